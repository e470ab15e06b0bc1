"""Files that are made ahead of need: zero-filled, synced, and so writable on a full disk.

Rules this file keeps:

- Zeros are written and synced before they count: a frame that overwrites them changes no metadata, which halves the cost of its
  sync and cannot run out of space.
- "No space" is decided by errno, for full disks, quotas and read-only mounts alike; anything else is a failure of the disk.

Example::

    with no_space_means("eu-west-1", "next segment"):
        file = make_zero_filled(folder, "next", 262144)
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rap_journal.errors import NoSpace, StorageError
from rap_journal.filesystem import Directory, File

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_STEP = bytes(64 << 10)


def is_no_space(error: OSError) -> bool:
    """Whether the error says that there is no room, rather than that something broke."""
    return error.errno in _NO_SPACE


@contextmanager
def no_space_means(cluster: str, what: str) -> Iterator[None]:
    """Turn an errno for "no room" into `NoSpace`, for work that has changed nothing yet."""
    try:
        yield
    except OSError as error:
        if not is_no_space(error):
            raise
        raise NoSpace(
            f"no space for the {what} of {cluster} ({errno.errorcode.get(error.errno or 0, 'errno')}); nothing was changed. "
            "Free space or raise the quota; appends resume by themselves.",
            cluster=cluster,
            reason="no_space",
        ) from error


@contextmanager
def disk_errors_mean(cluster: str, what: str) -> Iterator[None]:
    """Turn errors of the operating system into `NoSpace` and `StorageError`, for writing what nothing depends on yet."""
    try:
        with no_space_means(cluster, what):
            yield
    except OSError as error:
        raise StorageError(
            f"the {what} of {cluster} could not be written or read ({errno.errorcode.get(error.errno or 0, 'errno')}); nothing depends on it "
            "yet. Check the disk, then repeat the call.",
            cluster=cluster,
            reason="disk_failed",
        ) from error


def make_zero_filled(folder: Directory, name: str, size: int) -> File:
    """A new file of `size` synced zeros. On failure nothing of that name remains, so that a full disk is not made fuller."""
    if folder.status(name) is not None:
        folder.unlink(name)
    file = folder.create(name)
    try:
        write_zeros(file, 0, size)
        file.sync()
    except BaseException:
        file.close()
        with suppress(OSError):
            folder.unlink(name)
        raise
    return file


def write_zeros(file: File, start: int, end: int) -> None:
    """Write zeros from `start` to `end`."""
    for offset in range(start, end, len(_STEP)):
        file.write_at(offset, _STEP[: end - offset])


def is_all_zero(file: File) -> bool:
    """Whether every byte of `file` is zero, as in a spare that was never used."""
    return not any(file.read_at(offset, len(_STEP)).strip(b"\0") for offset in range(0, file.size(), len(_STEP)))
