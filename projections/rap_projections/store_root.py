"""The way into a store: its folder, and the lock of its one writer.

Example::

    root = open_root(filesystem, path, create=True)
    lock = take_lock(root, clock, wait_s=5)
"""

import math
import threading

from rap_journal.clock import Clock
from rap_journal.errors import NoSuchStore, StoreBusy
from rap_journal.filesystem import Directory, FileSystem, Lock
from rap_journal.layout import LOCK, lock_holder_text
from rap_journal.os_surroundings import process_id
from rap_journal.space import no_space_means

LOCK_RETRY_S = 0.05
"""Pause between two tries to take the lock."""


def open_root(filesystem: FileSystem, path: str, *, create: bool) -> Directory:
    """Open the folder `path`; with `create`, make it. Raises `NoSuchStore`, `UnsafeFile`, `OSError`."""
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
