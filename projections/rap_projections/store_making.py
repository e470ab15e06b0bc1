"""Making a store in a root, claiming a root for a restore, and what has to hold before either is opened.

Rules this file keeps:

- The store's marker comes last: half a store is never taken for one, and is made again from the start.
- What is no part of a store, and a store that lost its marker, is never overwritten.
- What a restore makes counts when it is whole; a root that it was cut short in takes a restore alone.

Example::

    marker = ready_root(root, path, keys, clock, randomness, RELEASE, create=True)
"""

from collections.abc import Callable

from rap_journal.clock import Clock
from rap_journal.errors import DamageError, MisuseError, NoSuchStore
from rap_journal.filesystem import Directory
from rap_journal.format_levels import require_known
from rap_journal.layout import AGENT, CLUSTERS, JOURNAL, LOCK, MARKER, RESTORING, TEMPORARY
from rap_journal.markers import Marker, MarkerKind, read_marker, write_marker
from rap_journal.space import no_space_means
from rap_journal.trees import remove_tree
from rap_projections.keys import ProvisioningKeyProvider
from rap_projections.release import RELEASE, Release
from rap_projections.store_folders import Randomness, make_agent
from rap_projections.store_root import no_store


def ready_root(
    root: Directory,
    path: str,
    keys: ProvisioningKeyProvider,
    clock: Clock,
    randomness: Randomness,
    release: Release,
    *,
    create: bool,
) -> Marker:
    """Make the store if there is none and `create` says so, and read its marker.

    Raises `NoSuchStore`, `FormatTooNew`, `UnsafeFile`, `MisuseError`, `DamageError`, what the keys raise, `NoSpace`, `OSError`.
    """
    if root.status(MARKER) is None:
        _require_may_be_made(root, path, create=create)
        make_store(root, keys, clock, randomness, release)
    end_restore(root)
    marker = read_marker(root).marker
    require_known(marker.format_level, release.levels, MARKER)
    require_clusters(root, path)
    require_safe(root)
    return marker


def _require_may_be_made(root: Directory, path: str, *, create: bool) -> None:
    """Raise what keeps a store from being made in a folder without a marker."""
    if root.status(RESTORING) is not None:
        raise _half_restored(path)
    require_unused(root, path)
    if not create:
        raise no_store(path)


def _half_restored(path: str) -> NoSuchStore:
    return NoSuchStore(
        f"a restore into {path} was cut short, so that there is no store yet; nothing was made. Restore the backup again.",
        file=path,
        reason="half_restored",
    )


def make_store(
    root: Directory,
    keys: ProvisioningKeyProvider,
    clock: Clock,
    randomness: Randomness,
    release: Release = RELEASE,
    fill: Callable[[bytes], None] = lambda store_id: None,
) -> None:
    """Make a store's folders, at the level of the release before; its marker comes last: half a store is made again from the start.

    `fill` may build clusters in it, for the store id that it is given, before the store counts.

    Raises `MisuseError` for a folder that holds anything else, `NoSpace`, `OSError`.
    """
    _require_empty(root)
    with no_space_means("the store", "first files"):
        for name in (AGENT, CLUSTERS, TEMPORARY):
            remove_tree(root, name)
        keys.provision(randomness)
        store_id = randomness(16)
        root.create_directory(CLUSTERS).close()
        level = release.levels.made
        make_agent(root, AGENT, store_id, keys, clock, randomness, release, level)
        fill(store_id)
        with root.create_directory(TEMPORARY) as temporary:
            # The folders' names first: a marker without them would be half a store that counts as one.
            root.sync()
            write_marker(root, temporary, Marker(MarkerKind.STORE, keys.kind, store_id, store_id, format_level=level))


def begin_restore(root: Directory, path: str) -> None:
    """Claim a root for a restore, durably; what an earlier restore left half done there may go.

    Raises `MisuseError` where there is a store already, or anything else, and `DamageError` for a store that lost its marker.
    """
    if root.status(MARKER) is not None:
        raise MisuseError(
            f"there is a store in {path} already; nothing was restored. A backup is restored into a new folder.",
            file=path,
            reason="root_taken",
        )
    if root.status(RESTORING) is None:
        require_unused(root, path)
        _require_empty(root)
        with no_space_means("the store", "first files"):
            root.create(RESTORING).close()
            root.sync()


def end_restore(root: Directory) -> None:
    """Drop the claim, once the marker is there; nothing happens where there is none."""
    if root.status(RESTORING) is not None:
        root.unlink(RESTORING)
        root.sync()


def _require_empty(root: Directory) -> None:
    foreign = [name for name in root.names() if name not in (LOCK, RESTORING, AGENT, CLUSTERS, TEMPORARY)]
    if foreign:
        raise MisuseError(
            f"the folder holds {foreign[0]!r:.80}, which is no part of a store; nothing was made. Use an empty folder.",
            reason="not_empty",
        )


def require_unused(root: Directory, path: str) -> None:
    """Raise `DamageError` where a folder without a marker holds a cluster, or an agent's journal that was written to.

    The marker is written before either, so it was there and is gone; making a store here would wipe what they hold.
    """
    for folder in ((CLUSTERS,), (AGENT, JOURNAL)):
        held = _names_in(root, folder)
        if held:
            where = "/".join((*folder, held[0]))
            raise DamageError(
                f"{path} holds {where!r:.80} and no {MARKER}; nothing was touched. Put the file {MARKER} back from a backup of the "
                "folder, or move the folder away before a store is made in its place.",
                file=MARKER,
                reason="no_marker",
            )


def _names_in(root: Directory, folder: tuple[str, ...]) -> list[str]:
    """Names in a folder below the root; none where it, or one above it, is not there."""
    name, *below = folder
    if name not in root.names():
        return []
    with root.directory(name) as inner:
        return _names_in(inner, tuple(below)) if below else sorted(inner.names())


def require_clusters(root: Directory, path: str) -> None:
    """Raise `DamageError` where a store with its marker has no folder of clusters: it is made before the marker, and never removed."""
    if root.status(CLUSTERS) is None:
        raise DamageError(
            f"the store in {path} has no folder {CLUSTERS}, which nothing but damage removes; nothing was touched. Put it back from a "
            "copy of the store, or restore a backup into a new folder.",
            file=CLUSTERS,
            reason="missing_folder",
        )


def require_safe(root: Directory) -> None:
    """Raise `UnsafeFile` where the folder of temporary files is a link, no folder, another user's or open to others.

    The others are opened by every opening, and looked at then.
    """
    if root.status(TEMPORARY) is not None:
        root.directory(TEMPORARY).close()
