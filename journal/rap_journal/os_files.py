"""Open files of this machine, and the ways to open and make them that nobody can turn aside.

Rules this file keeps:

- Nothing follows a link. What was opened is checked itself (type, owner, mode and, for files, the number of hard links) and not its
  name, so that a swap between check and use gains nothing.
- A file is made 0600 and a directory 0700, whatever the umask.
- No call is repeated after an error. Interrupted calls (EINTR) are continued by Python itself; only a short write is continued here.

Everything works from a directory that is held open; paths, locks and what a store is are left to `os_filesystem`.

Example::

    fd = open_directory("clusters", parent, "clusters")
    check_or_close(fd, "clusters", owner_uid)
"""

import errno
import os
import stat
from contextlib import suppress
from types import TracebackType
from typing import Self

from rap_journal.file_control import HAS_DRIVE_SYNC, drive_sync
from rap_journal.filesystem import unsafe_file

FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_GROUP_AND_OTHERS = 0o077

# Absent constants are 0 so that this module imports everywhere; `OsFileSystem` refuses a platform that needs them.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
OPEN_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
# Without O_NONBLOCK, opening a FIFO that stands where a file should be would wait for its other end.
OPEN_FILE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _NO_LINK
# A parent of the root need not be readable to be passed through.
_PASS_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

# In place of a closed descriptor: no process can have this one, so that the kernel answers EBADF. (-1 is a ValueError to some calls.)
_CLOSED = 0x7FFFFFFF

_HAS_FDATASYNC = hasattr(os, "fdatasync")


class Descriptor:
    """What an open file, an open directory and a held lock have in common."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def descriptor(self) -> int:
        """The number by which the kernel knows it."""
        return self._fd

    def close(self) -> None:
        """Close; further calls fail. Closing twice is harmless."""
        fd, self._fd = self._fd, _CLOSED
        if fd != _CLOSED:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class OsFile(Descriptor):
    """An open regular file (`rap_journal.filesystem.File`)."""

    __slots__ = ("name",)

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(fd)
        self.name = name

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the file."""
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        parts = [data]
        missing = length - len(data)
        while missing and (data := os.pread(self._fd, missing, offset + length - missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` at `offset`; a short write is continued, an error raised."""
        written = os.pwrite(self._fd, data, offset)
        if written != len(data):
            self._write_rest(offset, memoryview(data).cast("B"), written)

    def _write_rest(self, offset: int, data: memoryview, written: int) -> None:
        while written < len(data):
            step = os.pwrite(self._fd, data[written:], offset + written)
            if step == 0:
                raise OSError(errno.EIO, "the device took none of the bytes", self.name)
            written += step

    def size(self) -> int:
        """Current length in bytes."""
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        """Cut or extend (with zeros, unallocated) to `size` bytes."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Return when content and size are on stable storage (fdatasync). A failure is final for this file."""
        if _HAS_FDATASYNC:
            os.fdatasync(self._fd)
        else:
            full_sync(self._fd)

    def forget_cache(self) -> None:
        """Ask that the next read come from the device. Works for synced pages, on Linux; elsewhere nothing happens."""
        if not hasattr(os, "posix_fadvise"):
            return
        try:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            # Advice that a file system does not take is no failure; a closed file is.
            if error.errno == errno.EBADF:
                raise


def full_sync(fd: int) -> None:
    """Return when content, size and names behind `fd` are on stable storage. Raises `OSError`."""
    if HAS_DRIVE_SYNC:
        drive_sync(fd)
    else:
        os.fsync(fd)


def make_directory(name: str, parent: int) -> None:
    """Make the directory `name`, 0700, in the open directory `parent`. Raises `FileExistsError`, `OSError`."""
    os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)
    made = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(made.st_mode) and stat.S_IMODE(made.st_mode) & _DIRECTORY_MODE != _DIRECTORY_MODE:
        os.chmod(name, _DIRECTORY_MODE, dir_fd=parent)  # The umask took bits that the owner needs.


def open_parent(path: str, *, to_sync: bool) -> int:
    """Open a directory above a root, which is the operator's business: only to pass through, or `to_sync` where it may be read."""
    if to_sync:
        with suppress(PermissionError):
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return os.open(path, _PASS_THROUGH)


def open_directory(name: str, parent: int | None, path: str) -> int:
    """Open the directory `name` in `parent`; `path` is for messages. Raises `UnsafeFile` for a link or no directory, `OSError`."""
    try:
        return os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise unsafe_file(path, "is a link or no directory", "kind") from error
        raise


def check_or_close(fd: int, path: str, owner_uid: int, *, file: bool = False) -> None:
    """Raise `UnsafeFile`, and close, unless `fd` is the owner's alone; a `file` must also be a regular one with one name."""
    try:
        _check(os.fstat(fd), path, owner_uid, file=file)
    except BaseException:
        os.close(fd)
        raise


def _check(found: os.stat_result, path: str, owner_uid: int, *, file: bool) -> None:
    if file and not stat.S_ISREG(found.st_mode):
        raise unsafe_file(path, "is not a regular file", "kind")
    if found.st_uid != owner_uid:
        raise unsafe_file(path, f"belongs to user {found.st_uid} and not to user {owner_uid}", "owner")
    if found.st_mode & _GROUP_AND_OTHERS:
        raise unsafe_file(path, f"is open to group or others (mode {stat.S_IMODE(found.st_mode):04o})", "mode")
    if file and found.st_nlink == 0:
        raise FileNotFoundError(errno.ENOENT, "removed while it was being opened", path)
    if file and found.st_nlink != 1:
        raise unsafe_file(path, f"has {found.st_nlink} hard links", "hard_links")


def make_file(name: str, parent: int, path: str, data: bytes) -> None:
    """Make the file `name` with this content, synced; where that fails, there is none."""
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_FILE, FILE_MODE, dir_fd=parent)
    try:
        with OsFile(fd, path) as file:
            os.fchmod(fd, FILE_MODE)
            file.write_at(0, data)
            file.sync()
    except BaseException:
        os.unlink(name, dir_fd=parent)
        raise
