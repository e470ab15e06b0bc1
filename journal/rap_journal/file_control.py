"""What only `fcntl` can do for an open file: locks, seals, and a sync that reaches past the drive's cache. The only file that imports it.

Rules this file keeps:

- Locks are open-file-description locks (Linux): two openings conflict, in one process too, the kernel drops a lock when its holder
  dies, and a reader can ask for it without taking anything.
- Where they are absent, `flock` serves: it conflicts and dies in the same way, but a reader's question takes it for an instant.
- Everything is a function of a file descriptor; what stands in the file is not looked at.

Example::

    if not try_lock(fd):
        raise StoreBusy(...)
"""

import errno
import struct
import sys

if sys.platform != "win32":
    import fcntl

HAS_LOCKS = sys.platform != "win32"
HAS_DRIVE_SYNC = sys.platform == "darwin"
"""Which of these this platform has."""

# struct flock as C lays it out: type, whence, start, length (0: to the end), process id (must be 0 for these locks).
_FLOCK = struct.Struct("hhqqi0q")
_OFD_GETLK: int | None = 36 if sys.platform == "linux" else None
_OFD_SETLK: int | None = 37 if sys.platform == "linux" else None

_FLOCK_ATTEMPTS = 100

# Of linux/fcntl.h: no write but through a mapping that exists already. Python names it from 3.12 on.
_F_SEAL_FUTURE_WRITE = 0x10


def drive_sync(fd: int) -> None:
    """Return when content, size and names are on stable storage: on macOS, where `fsync` leaves them in the drive's cache."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)


def seal_memory(fd: int) -> None:
    """Fix length and content of a file in memory, but for whoever has it mapped already. Raises `OSError` before Linux 5.1."""
    if sys.platform == "linux":
        seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | _F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)


def seal_memory_for_good(fd: int) -> None:
    """Fix length and content of a file in memory for everybody. Raises `OSError` while anybody has it mapped for writing."""
    if sys.platform == "linux":
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)


def try_lock(fd: int) -> bool:
    """Take the exclusive lock on the whole file; False when another opening has it."""
    if _OFD_SETLK is not None:
        try:
            fcntl.fcntl(fd, _OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            return True
    # A kernel that does not know these locks says EINVAL to everyone alike, so all agree on flock. There a reader's probe takes
    # the lock for an instant; a writer that meets one tries again.
    return any(_try_flock(fd, fcntl.LOCK_EX) for _ in range(_FLOCK_ATTEMPTS))


def is_locked(fd: int) -> bool:
    """Whether another opening holds the lock now."""
    if _OFD_GETLK is not None:
        try:
            answer = fcntl.fcntl(fd, _OFD_GETLK, _FLOCK.pack(fcntl.F_RDLCK, 0, 0, 0, 0))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    return not _try_flock(fd, fcntl.LOCK_SH)


def _try_flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
