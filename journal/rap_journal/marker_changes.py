"""Changing the marker of an open journal: the level that is written, and the generation of the data key that seals.

Rules this file keeps:

- The marker is durable before anything is written that it stands for, and that goes into a new segment.
- Before a new generation is named, its key file is durable in both folders.
- Where there is no space nothing has changed. After any other failure nobody knows which marker stands, and the writer is poisoned.

Example::

    raised = raise_level(folders, marker, ring, committer, 2)
    rotated = rotate_data_key(folders, raised, ring, committer, key_folders=("identity", "trust"), provider=provider, randomness=...)
"""

from collections.abc import Callable, Sequence

from rap_journal.committer import Committer
from rap_journal.folders import JournalFolders
from rap_journal.key_files import KeyProvider
from rap_journal.key_generations import list_generations, make_generation
from rap_journal.markers import Marker, ProviderKind, read_marker, sealed_marker, write_marker
from rap_journal.sealing import KeyRing
from rap_journal.space import no_space_means


def raise_level(folders: JournalFolders, marker: Marker, ring: KeyRing, committer: Committer, level: int) -> Marker:
    """Write at `level` from now on; returns the marker that stands. At that level already, nothing happens.

    Raises `NoSpace` with nothing changed, `OutcomeUnknown`, `Poisoned`.
    """
    if level <= marker.format_level:
        return marker
    newer = sealed_marker(marker._replace(format_level=level, serial=marker.serial + 1), ring)

    def change() -> None:
        _put(folders, marker, newer)
        committer.raise_level(level)

    committer.begin_anew(change)
    return newer


def name_provider(folders: JournalFolders, marker: Marker, ring: KeyRing, kind: ProviderKind) -> Marker:
    """Let the marker name another kind of key provider, by which nothing is written; returns the marker that stands.

    Raises `NoSpace` with nothing changed; after another `OSError` nobody knows which kind it names.
    """
    newer = sealed_marker(marker._replace(provider=kind, serial=marker.serial + 1), ring)
    _put(folders, marker, newer)
    return newer


def rotate_data_key(
    folders: JournalFolders,
    marker: Marker,
    ring: KeyRing,
    committer: Committer,
    *,
    key_folders: Sequence[str],
    provider: KeyProvider,
    randomness: Callable[[int], bytes],
) -> Marker:
    """Make a new data key and seal with it from now on; returns the marker that stands.

    Raises `KeyUnavailable` and `KeyLost`, and like `raise_level`; `OSError` where the key file cannot be made, and then nothing changed.
    """
    # A crash may have left the file of a generation that nothing names: its number is not used.
    generation = 1 + max({marker.key_generation, *ring.generations, *list_generations(folders.root, key_folders)})
    with no_space_means(marker.cluster, "key file"):
        data_key = make_generation(folders, key_folders, provider, marker.journal_id, generation, randomness)
    ring.add(generation, data_key)
    key_check, serial = ring.check_value(generation), marker.serial + 1
    newer = sealed_marker(marker._replace(key_generation=generation, key_check=key_check, serial=serial), ring)

    def change() -> None:
        _put(folders, marker, newer)
        ring.use(generation)

    committer.begin_anew(change)
    return newer


def _put(folders: JournalFolders, marker: Marker, newer: Marker) -> None:
    """Put `newer` into the place of `marker`. Raises `NoSpace` where `marker` still stands; after any other error nobody knows."""
    try:
        write_marker(folders.root, folders.temporary, newer)
    except OSError:
        if read_marker(folders.root).marker != marker:
            raise
        with no_space_means(marker.cluster, "marker"):
            raise
