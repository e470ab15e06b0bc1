"""The file system of this machine: the only file that imports `os`, but for `os_memory_file`.

Rules this file keeps:

- A name is one path component, looked up in a directory that is held open; nothing follows a link.
- Every open checks type, owner, mode and, for files, the number of hard links, on the opened file itself and not on its name, so
  that a swap between check and use gains nothing. The folders above the root are the operator's business.
- A file is made 0600 and a directory 0700, whatever the umask.
- No call is repeated after an error. Interrupted calls (EINTR) are continued by Python itself; only a short write is continued here.

Locks are open-file-description locks: two openings conflict, in one process too, the kernel drops a lock when its holder dies, and
a reader can see that one is held without taking anything. A child made by `fork` shares its parent's locks until it execs or exits.

Example::

    root = OsFileSystem().open_root("/var/lib/agent-state", create=True)
    with root.create("tmp-1") as file:
        file.write_at(0, content)
        file.sync()
    root.rename("tmp-1", "MARKER")
    root.sync()
"""

import errno
import os
import stat
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self, cast

from rap_journal.errors import MisuseError, StorageError
from rap_journal.file_control import HAS_DRIVE_SYNC, HAS_LOCKS, drive_sync, is_locked, try_lock
from rap_journal.filesystem import Directory, FileStatus, check_name, store_busy, unsafe_file

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_GROUP_AND_OTHERS = 0o077

# Absent constants are 0 so that this module imports everywhere; `OsFileSystem` refuses a platform that needs them.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_OPEN_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
# Without O_NONBLOCK, opening a FIFO that stands where a file should be would wait for its other end.
_OPEN_FILE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _NO_LINK
# A parent of the root need not be readable to be passed through.
_PASS_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

# In place of a closed descriptor: no process can have this one, so that the kernel answers EBADF. (-1 is a ValueError to some calls.)
_CLOSED = 0x7FFFFFFF

_HAS_FDATASYNC = hasattr(os, "fdatasync")
_HOLDER_BYTES_MAX = 4096


class _Descriptor:
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


class OsFile(_Descriptor):
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
            _full_sync(self._fd)

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


class OsDirectory(_Descriptor):
    """An open directory (`rap_journal.filesystem.Directory`)."""

    __slots__ = ("_owner_uid", "name")

    def __init__(self, fd: int, name: str, owner_uid: int) -> None:
        super().__init__(fd)
        self._owner_uid = owner_uid
        self.name = name

    def names(self) -> list[str]:
        """Names of all entries, sorted."""
        # Listing moves a position that all users of a descriptor share, so each listing gets a descriptor of its own.
        fd = os.open(".", _OPEN_DIRECTORY, dir_fd=self._fd)
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def status(self, name: str) -> FileStatus | None:
        """Kind of `name` (of the link itself, if it is one: kind "other") and size of a file; None where nothing has that name."""
        check_name(name)
        try:
            found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISREG(found.st_mode):
            return FileStatus("file", found.st_size)
        return FileStatus("directory" if stat.S_ISDIR(found.st_mode) else "other", 0)

    def directory(self, name: str) -> "OsDirectory":
        """Open the subdirectory `name`. Raises `UnsafeFile` where it is a link, no directory, or open to others."""
        check_name(name)
        return self._directory(name)

    def create_directory(self, name: str) -> "OsDirectory":
        """Make and open the subdirectory `name`; FileExistsError where the name is taken."""
        check_name(name)
        self._check_may_create(name)
        _make_directory(name, self._fd)
        return self._directory(name)

    def open(self, name: str, *, writable: bool = False) -> OsFile:
        """Open the existing file `name`. Raises `UnsafeFile` where it is a link, no file, hard-linked, or open to others."""
        check_name(name)
        return OsFile(self._open_file(name, os.O_RDWR if writable else os.O_RDONLY), self._path(name))

    def create(self, name: str) -> OsFile:
        """Make the file `name`, readable and writable; FileExistsError where the name is taken."""
        check_name(name)
        self._check_may_create(name)
        return OsFile(self._open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL), self._path(name))

    def rename(self, name: str, new_name: str, into: Directory | None = None) -> None:
        """Give `name` the name `new_name`, here or in `into`, atomically replacing a file (or an empty directory) of that name."""
        check_name(name)
        check_name(new_name)
        target = self if into is None else cast(OsDirectory, into)
        os.rename(name, new_name, src_dir_fd=self._fd, dst_dir_fd=target._fd)

    def unlink(self, name: str) -> None:
        """Remove the file `name`."""
        check_name(name)
        os.unlink(name, dir_fd=self._fd)

    def remove_directory(self, name: str) -> None:
        """Remove the empty subdirectory `name`."""
        check_name(name)
        os.rmdir(name, dir_fd=self._fd)

    def sync(self) -> None:
        """Return when the names in this directory are on stable storage."""
        _full_sync(self._fd)

    def lock(self, name: str, holder: str) -> "OsLock":
        """Take the exclusive lock on file `name` (made if absent, never unlinked) and write `holder` into it.

        Raises `StoreBusy`, naming the holder, when another opening has it.
        """
        check_name(name)
        fd = self._open_or_create(name)
        try:
            if not try_lock(fd):
                raise store_busy(self._path(name), _read_holder(fd))
            _write_holder(fd, holder)
        except BaseException:
            os.close(fd)
            raise
        return OsLock(fd)

    def lock_holder(self, name: str) -> str | None:
        """The text of whoever holds the lock on `name` now, or None when nobody does. Takes no lock and changes nothing.

        Without open-file-description locks (not Linux) it takes a shared lock for an instant.
        """
        check_name(name)
        try:
            fd = self._open_file(name, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return _read_holder(fd) if is_locked(fd) else None
        finally:
            os.close(fd)

    def _path(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def _directory(self, name: str) -> "OsDirectory":
        path = self._path(name)
        fd = _open_directory(name, self._fd, path)
        _check_or_close(fd, path, self._owner_uid)
        return OsDirectory(fd, path, self._owner_uid)

    def _open_file(self, name: str, flags: int) -> int:
        path = self._path(name)
        try:
            fd = os.open(name, flags | _OPEN_FILE, _FILE_MODE, dir_fd=self._fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise unsafe_file(path, "is a symbolic link", "link") from error
            if error.errno in (errno.EISDIR, errno.ENXIO):
                raise unsafe_file(path, "is not a regular file", "kind") from error
            raise
        if flags & os.O_EXCL and stat.S_IMODE(os.fstat(fd).st_mode) != _FILE_MODE:
            os.fchmod(fd, _FILE_MODE)  # The umask took bits that the owner needs.
        _check_or_close(fd, path, self._owner_uid, file=True)
        return fd

    def _open_or_create(self, name: str) -> int:
        while True:
            try:
                return self._open_file(name, os.O_RDWR)
            except FileNotFoundError:
                self._check_may_create(name)
            try:
                return self._open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                continue  # Another process made it between the two calls.

    def _check_may_create(self, name: str) -> None:
        if self._owner_uid != os.geteuid():
            raise MisuseError(
                f"{self._path(name)} would belong to user {os.geteuid()} and not to {self._owner_uid}, the owner of this store; nothing "
                "was made. Run as the owner.",
                file=self._path(name),
                reason="not_owner",
            )


class OsLock(_Descriptor):
    """A held writer lock (`rap_journal.filesystem.Lock`); the kernel drops it when the process ends."""

    __slots__ = ()

    def release(self) -> None:
        """Give the lock up; the lock file stays, empty: it names nobody who is gone. Releasing twice is harmless."""
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
        self.close()


def _missing_on_this_platform() -> str | None:
    """What this platform lacks of what the store cannot do without, or None."""
    for name in ("O_NOFOLLOW", "O_DIRECTORY", "pread", "pwrite", "fchmod", "geteuid"):
        if not hasattr(os, name):
            return f"os.{name}"
    if os.open not in os.supports_dir_fd:
        return "openat"
    return None if HAS_LOCKS else "file locks"


_MISSING = _missing_on_this_platform()


class OsFileSystem:
    """The file system of this machine (`rap_journal.filesystem.FileSystem`).

    Args:
        owner_uid: user id that must own everything opened; the process's own by default. A reader that runs as another user
            (root) names the store's owner here, and can make nothing.

    Raises `StorageError` where the platform cannot give what the store needs: files reached from an open directory, without
    following links (Windows).
    """

    def __init__(self, *, owner_uid: int | None = None) -> None:
        if _MISSING:
            raise StorageError(
                f"this platform ({sys.platform}) has no {_MISSING}, without which files cannot be opened safely; nothing was opened. "
                "Run the store on Linux or macOS.",
                reason="unsupported_platform",
            )
        self._owner_uid = os.geteuid() if owner_uid is None else owner_uid

    def open_root(self, path: str, *, create: bool = False) -> OsDirectory:
        """Open the directory `path` as a root; with `create`, make it if absent (its parent must exist), durably.

        Raises FileNotFoundError where it is absent, and `UnsafeFile` where the last component of `path` is a link or no
        directory, or where the directory is another user's or open to group or others.
        """
        if not path:
            raise FileNotFoundError(errno.ENOENT, "a store's root needs a path", path)
        above, name = os.path.split(path.rstrip("/") or "/")
        parent = _open_parent(above or ".", to_sync=create)
        try:
            if create:
                self._make_root(name or ".", parent)
            fd = _open_directory(name or ".", parent, path)
        finally:
            os.close(parent)
        _check_or_close(fd, path, self._owner_uid)
        return OsDirectory(fd, "", self._owner_uid)

    def write_file(self, path: str, data: bytes) -> None:
        """Make the file `path` (0600), whole and durable. Raises `FileExistsError` when the name is taken, `OSError`."""
        name = os.path.basename(path)
        part = f".{name}.part"
        with _Descriptor(_open_parent(os.path.dirname(os.path.abspath(path)), to_sync=True)) as parent:
            if _is_there(name, parent._fd):
                raise FileExistsError(errno.EEXIST, "the name is taken", path)
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=parent._fd)
            _make_file(part, parent._fd, path, data)
            os.rename(part, name, src_dir_fd=parent._fd, dst_dir_fd=parent._fd)
            os.fsync(parent._fd)

    def read_file(self, path: str, size_max: int) -> bytes:
        """At most `size_max` bytes of the regular file `path`. Raises `UnsafeFile` for anything but a regular file, `OSError`."""
        fd = os.open(path, os.O_RDONLY | (_OPEN_FILE & ~getattr(os, "O_NOFOLLOW", 0)))
        with OsFile(fd, path) as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise unsafe_file(path, "is not a regular file", "kind")
            return file.read_at(0, size_max)

    def _make_root(self, name: str, parent: int) -> None:
        if self._owner_uid == os.geteuid():
            with suppress(FileExistsError):
                _make_directory(name, parent)
        # Also when it was there already: whoever made it may have been killed before this.
        try:
            _full_sync(parent)
        except OSError as error:
            if error.errno != errno.EBADF:  # A parent that may be passed through but not read cannot be synced.
                raise


def _full_sync(fd: int) -> None:
    if HAS_DRIVE_SYNC:
        drive_sync(fd)
    else:
        os.fsync(fd)


def _make_directory(name: str, parent: int) -> None:
    os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)
    made = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(made.st_mode) and stat.S_IMODE(made.st_mode) & _DIRECTORY_MODE != _DIRECTORY_MODE:
        os.chmod(name, _DIRECTORY_MODE, dir_fd=parent)  # The umask took bits that the owner needs.


def _open_parent(path: str, *, to_sync: bool) -> int:
    if to_sync:
        with suppress(PermissionError):
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return os.open(path, _PASS_THROUGH)


def _open_directory(name: str, parent: int | None, path: str) -> int:
    try:
        return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise unsafe_file(path, "is a link or no directory", "kind") from error
        raise


def _check_or_close(fd: int, path: str, owner_uid: int, *, file: bool = False) -> None:
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


def _read_holder(fd: int) -> str:
    return os.pread(fd, _HOLDER_BYTES_MAX, 0).decode(errors="replace")


def _write_holder(fd: int, holder: str) -> None:
    text = holder.encode(errors="replace")[:_HOLDER_BYTES_MAX]
    try:
        # Over the old text, then cut: space that the file has already is not needed again on a full disk.
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
    except OSError as error:
        # The lock holds without its text, and a full disk must not keep a store from opening.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def read_private_file(path: str, size_max: int) -> bytes:
    """At most `size_max` bytes of a file outside any root (a key). Raises `UnsafeFile` for a foreign owner or a loose mode, `OSError`."""
    fd = os.open(path, os.O_RDONLY | _OPEN_FILE)
    _check_or_close(fd, path, os.geteuid(), file=True)
    with OsFile(fd, path) as file:
        return file.read_at(0, size_max)


def write_private_file(path: str, data: bytes) -> None:
    """Make the file `path` (0600) with this content, durably. Raises `FileExistsError` when the name is taken, `OSError`."""
    name = os.path.basename(path)
    with _Descriptor(_open_parent(os.path.dirname(os.path.abspath(path)), to_sync=True)) as parent:
        _make_file(name, parent._fd, path, data)
        os.fsync(parent._fd)


def _make_file(name: str, parent: int, path: str, data: bytes) -> None:
    """Make the file `name` with this content, synced; where that fails, there is none."""
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN_FILE, _FILE_MODE, dir_fd=parent)
    try:
        with OsFile(fd, path) as file:
            os.fchmod(fd, _FILE_MODE)
            file.write_at(0, data)
            file.sync()
    except BaseException:
        os.unlink(name, dir_fd=parent)
        raise


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def read_credential(directory: str, name: str, size_max: int) -> bytes:
    """At most `size_max` bytes of the file `name` in a folder that the service manager filled for this process.

    Folder and file belong to this user or to root, who gives read access by a list; nobody else may read or change them. Raises
    `UnsafeFile` where that is not so, `OSError`.
    """
    folder = _open_directory(directory, None, directory)
    try:
        _check_credential(os.fstat(folder), directory)
        path = f"{directory}/{name}"
        with OsFile(os.open(name, os.O_RDONLY | _OPEN_FILE, dir_fd=folder), path) as file:
            found = os.fstat(file.descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise unsafe_file(path, "is not a regular file", "kind")
            _check_credential(found, path)
            return file.read_at(0, size_max)
    finally:
        os.close(folder)


def _check_credential(found: os.stat_result, path: str) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise unsafe_file(path, f"belongs to user {found.st_uid} and neither to root nor to this one", "owner")
    # With an access list, the group bits are its mask: reading by a group is then reading by this user.
    if found.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
        raise unsafe_file(path, f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})", "mode")


def environment_variable(name: str) -> str | None:
    """What the environment of this process says of `name`, or None."""
    return os.environ.get(name)


def real_path(path: str) -> str:
    """`path` from the root of the machine on, without links and dots: what two ways of writing one place have in common."""
    return os.path.realpath(path)


def process_id() -> int:
    """Number of this process, for the text of a lock."""
    return os.getpid()
