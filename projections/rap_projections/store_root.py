"""The way into a store: its folder, and the lock of its one writer.

Rules this file keeps:

- No store is made inside another one.
- A store that could not be made leaves no folder behind that was not there before; one that was there stays.

Example::

    with held_root(filesystem, path, clock, wait_s=5, create=True) as (root, lock):
        make_store(root, ...)
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath

from rap_journal.clock import Clock
from rap_journal.errors import DamageError, MisuseError, NoSuchStore, StateStoreError, StoreBusy
from rap_journal.filesystem import Directory, FileSystem, Lock
from rap_journal.layout import AGENT, CLUSTERS, LOCK, MARKER, TEMPORARY, lock_holder_text
from rap_journal.markers import MarkerKind, read_marker
from rap_journal.os_surroundings import process_id, real_path
from rap_journal.space import no_space_means
from rap_journal.trees import remove_tree

LOCK_RETRY_S = 0.05
"""Pause between two tries to take the lock."""


PART_OF_STORE = "part_of_store"
"""Why a folder that was named is no store: it is the folder of a cluster, or of the agent, in one."""


def open_root(filesystem: FileSystem, path: str, *, create: bool) -> Directory:
    """Open the folder `path`; with `create`, make it. Raises `NoSuchStore`, `MisuseError`, `UnsafeFile`, `OSError`."""
    if create:
        require_outside_stores(filesystem, path)
    try:
        return filesystem.open_root(path, create=create)
    except FileNotFoundError as error:
        if create:
            raise NoSuchStore(
                f"the folder that {path} is to be made in is not there; nothing was made. Make it first.",
                file=path,
                reason="no_parent",
            ) from error
        raise no_store(path) from error


def require_outside_stores(filesystem: FileSystem, path: str) -> None:
    """Raise `MisuseError` where `path` lies inside a store: what is not the store's own goes with it when it is removed or moved."""
    for above in PurePath(real_path(path)).parents:
        with suppress(StateStoreError, OSError), filesystem.open_root(str(above)) as folder:
            if folder.status(MARKER) is not None:
                break
    else:
        return
    raise MisuseError(
        f"{path} lies inside the store in {above}; nothing was made. Use a place outside of it.", reason="inside_store"
    )


def require_no_part(root: Directory, path: str) -> None:
    """Raise `NoSuchStore` where the folder is a cluster's, or the agent's, of a store.

    A marker that is not there or cannot be read is told by whoever needs to know more. Raises `FormatTooNew`.
    """
    try:
        marker = read_marker(root).marker
    except (DamageError, FileNotFoundError):
        return
    if marker.kind is not MarkerKind.STORE:
        whose = f"of cluster {marker.cluster}" if marker.kind is MarkerKind.CLUSTER else "of the agent"
        raise NoSuchStore(
            f"{path} is the folder {whose} in a store, and no store by itself; nothing was touched. Name the store's root.",
            file=path,
            reason=PART_OF_STORE,
        )


@contextmanager
def held_root(
    filesystem: FileSystem, path: str, clock: Clock, *, wait_s: float, create: bool
) -> Iterator[tuple[Directory, Lock]]:
    """Open the folder `path` and take its lock; both stay open behind the block, and are let go where it fails.

    A folder that was made for it goes again then, unless there is a store in it. Raises what `open_root` and `take_lock` raise.
    """
    is_new = create and not _is_there(filesystem, path)
    root = open_root(filesystem, path, create=create)
    try:
        require_no_part(root, path)
        lock = take_lock(root, clock, wait_s)
    except BaseException:
        root.close()
        raise
    try:
        yield root, lock
    except BaseException as error:
        has_store = not is_new or not isinstance(error, StateStoreError | OSError) or root.status(MARKER) is not None
        if not has_store:
            _empty(root)
        lock.release()
        root.close()
        if not has_store:
            with suppress(OSError):
                filesystem.remove_root(path)
        raise


def _is_there(filesystem: FileSystem, path: str) -> bool:
    try:
        filesystem.open_root(path).close()
    except FileNotFoundError:
        return False
    except (StateStoreError, OSError):
        return True
    return True


def _empty(root: Directory) -> None:
    """Remove what making a store makes, and the lock: whoever waits for that finds a folder that is gone, as it was before."""
    with suppress(StateStoreError, OSError):
        for name in (AGENT, CLUSTERS, TEMPORARY, LOCK):
            remove_tree(root, name)


def take_lock(root: Directory, clock: Clock, wait_s: float) -> Lock:
    """Take the writer's lock, waiting up to `wait_s` seconds for another writer to let go. Raises `StoreBusy`, `NoSpace`, `OSError`."""
    with no_space_means("the store", "lock file"):
        return _lock(root, clock, wait_s)


def _lock(root: Directory, clock: Clock, wait_s: float) -> Lock:
    holder = lock_holder_text(process_id(), clock.boot_id())
    pause = threading.Event()
    for _attempt_number in range(math.ceil(wait_s / LOCK_RETRY_S)):
        try:
            return root.lock(LOCK, holder)
        except StoreBusy:
            pause.wait(LOCK_RETRY_S)
    return root.lock(LOCK, holder)


def no_store(path: str) -> NoSuchStore:
    """The error for a folder that holds no store."""
    return NoSuchStore(
        f"there is no store in {path}; nothing was made. Check the path, or open with create=True.", file=path, reason="no_store"
    )
