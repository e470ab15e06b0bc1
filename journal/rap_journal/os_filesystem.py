"""The file system of this machine: folders that are held open, the writer's lock, and the root that everything is reached from.

Rules this file keeps:

- A name is one path component, looked up in a directory that is held open; nothing follows a link.
- Every open is checked as `os_files` says. The folders above the root are the operator's business.
- The files whose names begin with `os_` are the only ones that import `os`.

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
from typing import cast

from rap_journal.errors import MisuseError, StorageError
from rap_journal.file_control import HAS_LOCKS, is_locked, try_lock
from rap_journal.filesystem import Directory, FileStatus, check_name, store_busy, unsafe_file
from rap_journal.os_files import (
    FILE_MODE,
    OPEN_DIRECTORY,
    OPEN_FILE,
    Descriptor,
    OsFile,
    check_or_close,
    full_sync,
    make_directory,
    make_file,
    open_directory,
    open_parent,
)

_HOLDER_BYTES_MAX = 4096


class OsDirectory(Descriptor):
    """An open directory (`rap_journal.filesystem.Directory`)."""

    __slots__ = ("_owner_uid", "name")

    def __init__(self, fd: int, name: str, owner_uid: int) -> None:
        super().__init__(fd)
        self._owner_uid = owner_uid
        self.name = name

    def names(self) -> list[str]:
        """Names of all entries, sorted."""
        # Listing moves a position that all users of a descriptor share, so each listing gets a descriptor of its own.
        fd = os.open(".", OPEN_DIRECTORY, dir_fd=self._fd)
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
        make_directory(name, self._fd)
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
        full_sync(self._fd)

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
        fd = open_directory(name, self._fd, path)
        check_or_close(fd, path, self._owner_uid)
        return OsDirectory(fd, path, self._owner_uid)

    def _open_file(self, name: str, flags: int) -> int:
        path = self._path(name)
        try:
            fd = os.open(name, flags | OPEN_FILE, FILE_MODE, dir_fd=self._fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise unsafe_file(path, "is a symbolic link", "link") from error
            if error.errno in (errno.EISDIR, errno.ENXIO):
                raise unsafe_file(path, "is not a regular file", "kind") from error
            raise
        if flags & os.O_EXCL and stat.S_IMODE(os.fstat(fd).st_mode) != FILE_MODE:
            os.fchmod(fd, FILE_MODE)  # The umask took bits that the owner needs.
        check_or_close(fd, path, self._owner_uid, file=True)
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


class OsLock(Descriptor):
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
        parent = open_parent(above or ".", to_sync=create)
        try:
            if create:
                self._make_root(name or ".", parent)
            fd = open_directory(name or ".", parent, path)
        finally:
            os.close(parent)
        check_or_close(fd, path, self._owner_uid)
        return OsDirectory(fd, "", self._owner_uid)

    def remove_root(self, path: str) -> None:
        """Remove the empty directory `path`. Raises `OSError`, as for a directory that is not empty."""
        os.rmdir(path)

    def write_file(self, path: str, data: bytes) -> None:
        """Make the file `path` (0600), whole and durable. Raises `FileExistsError` when the name is taken, `OSError`."""
        name = os.path.basename(path)
        part = f".{name}.part"
        with Descriptor(open_parent(os.path.dirname(os.path.abspath(path)), to_sync=True)) as parent:
            if _is_there(name, parent._fd):
                raise FileExistsError(errno.EEXIST, "the name is taken", path)
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=parent._fd)
            make_file(part, parent._fd, path, data)
            os.rename(part, name, src_dir_fd=parent._fd, dst_dir_fd=parent._fd)
            os.fsync(parent._fd)

    def read_file(self, path: str, size_max: int) -> bytes:
        """At most `size_max` bytes of the regular file `path`. Raises `UnsafeFile` for anything but a regular file, `OSError`."""
        fd = os.open(path, os.O_RDONLY | (OPEN_FILE & ~getattr(os, "O_NOFOLLOW", 0)))
        with OsFile(fd, path) as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise unsafe_file(path, "is not a regular file", "kind")
            return file.read_at(0, size_max)

    def _make_root(self, name: str, parent: int) -> None:
        if self._owner_uid == os.geteuid():
            with suppress(FileExistsError):
                make_directory(name, parent)
        # Also when it was there already: whoever made it may have been killed before this.
        try:
            full_sync(parent)
        except OSError as error:
            if error.errno != errno.EBADF:  # A parent that may be passed through but not read cannot be synced.
                raise


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


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
