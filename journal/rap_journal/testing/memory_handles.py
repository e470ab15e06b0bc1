"""Open files, folders and locks of `MemoryFileSystem`, with the manners of `OsFileSystem`.

Rules this file keeps:

- An operation is whole before the next begins, whichever thread asks.
- Errors are those of Linux, by errno; what `OsFileSystem` refuses as unsafe is refused here.
- After a crash a handle raises `SimulatedCrash`; closing it, or releasing a lock, is harmless.

Example::

    with root.create("tmp-1") as file:
        file.write_at(0, b"content")
"""

import errno
from types import TracebackType
from typing import Self, cast

from rap_journal.filesystem import Directory, FileStatus, check_name, store_busy, unsafe_file
from rap_journal.testing.memory_inodes import DirectoryInode, Entry, FileInode, Inode, commit
from rap_journal.testing.memory_machine import MemoryMachine, disk_full


class _Handle:
    """What an open file and an open folder have in common."""

    def __init__(self, machine: MemoryMachine, name: str) -> None:
        self._machine = machine
        self._is_open = True
        self.name = name

    def close(self) -> None:
        """Close; further calls fail. Closing twice, or after a crash, is harmless."""
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check_open(self) -> None:
        self._machine.check_alive()
        if not self._is_open:
            raise OSError(errno.EBADF, "the handle is closed", self.name)


class MemoryFile(_Handle):
    """An open file (`rap_journal.filesystem.File`)."""

    def __init__(self, machine: MemoryMachine, inode: FileInode, name: str, *, writable: bool) -> None:
        super().__init__(machine, name)
        self._inode = inode
        self._writable = writable
        inode.handles += 1

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the file."""
        with self._machine.mutex:
            self._check_open()
            self._machine.begin("read", self.name)
            self._check_number(min(offset, length))
            return bytes(self._inode.volatile[offset : offset + length])

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` at `offset`. On a full disk what fits is written, and ENOSPC raised."""
        view = memoryview(data).cast("B")
        with self._machine.mutex:
            self._check_writable(errno.EBADF)
            self._check_number(offset)
            self._machine.begin(
                "write",
                self.name,
                changes=True,
                on_fault=lambda fault: self._machine.write(self._inode, offset, view[: fault.partial_bytes]),
            )
            if self._machine.write(self._inode, offset, view) < len(view):
                raise disk_full(self.name)
            self._machine.log("write", self.name, offset, len(view))

    def size(self) -> int:
        """Current length in bytes."""
        with self._machine.mutex:
            self._check_open()
            self._machine.begin("size", self.name)
            return len(self._inode.volatile)

    def truncate(self, size: int) -> None:
        """Cut or extend (with zeros, unallocated) to `size` bytes."""
        with self._machine.mutex:
            self._check_writable(errno.EINVAL)
            self._check_number(size)
            self._machine.begin("truncate", self.name, changes=True)
            self._machine.truncate(self._inode, size)
            self._machine.log("truncate", self.name, size)

    def sync(self) -> None:
        """Make content and size durable. A planned failure loses what waited, and the next sync succeeds all the same."""
        with self._machine.mutex:
            self._check_open()
            self._machine.begin("sync", self.name, changes=True, on_fault=lambda _: self._inode.fail_sync())
            self._inode.sync()
            self._machine.log("sync", self.name)

    def forget_cache(self) -> None:
        """Read from the disk from now on: what a failed sync lost shows its old bytes."""
        with self._machine.mutex:
            self._check_open()
            self._machine.begin("forget_cache", self.name)
            self._inode.forget_cache()

    def close(self) -> None:
        """Close; further calls fail. Closing twice, or after a crash, is harmless."""
        with self._machine.mutex:
            if self._is_open:
                self._machine.close(self._inode)
            super().close()

    def _check_writable(self, error_number: int) -> None:
        self._check_open()
        if not self._writable:
            raise OSError(error_number, "the file is open for reading only", self.name)

    def _check_number(self, number: int) -> None:
        if number < 0:
            raise OSError(errno.EINVAL, "an offset, length or size below 0", self.name)


class MemoryDirectory(_Handle):
    """An open folder (`rap_journal.filesystem.Directory`)."""

    def __init__(self, machine: MemoryMachine, inode: DirectoryInode, name: str) -> None:
        super().__init__(machine, name)
        self._inode = inode

    def names(self) -> list[str]:
        """Names of all entries, sorted."""
        with self._machine.mutex:
            self._check_open()
            self._machine.begin("names", self.name)
            return sorted(self._inode.volatile)

    def status(self, name: str) -> FileStatus | None:
        """Kind of `name` and size of a file, or None where nothing has that name."""
        with self._machine.mutex:
            self._begin("status", name)
            match self._inode.volatile.get(name):
                case None:
                    return None
                case FileInode() as file:
                    return FileStatus("file", len(file.volatile))
                case _:
                    return FileStatus("directory", 0)

    def directory(self, name: str) -> "MemoryDirectory":
        """Open the subdirectory `name`. Raises `UnsafeFile` where it is no directory."""
        with self._machine.mutex:
            self._begin("directory", name)
            return MemoryDirectory(
                self._machine, as_directory(self._inode.volatile.get(name), self._path(name)), self._path(name)
            )

    def create_directory(self, name: str) -> "MemoryDirectory":
        """Make and open the subdirectory `name`; FileExistsError where the name is taken."""
        with self._machine.mutex:
            self._begin("create_directory", name, changes=True)
            inode = DirectoryInode()
            self._add("create_directory", name, inode)
            return MemoryDirectory(self._machine, inode, self._path(name))

    def open(self, name: str, *, writable: bool = False) -> MemoryFile:
        """Open the existing file `name`. Raises `UnsafeFile` where it is no file."""
        with self._machine.mutex:
            self._begin("open", name)
            return MemoryFile(self._machine, self._file(name), self._path(name), writable=writable)

    def create(self, name: str) -> MemoryFile:
        """Make the file `name`, readable and writable; FileExistsError where the name is taken."""
        with self._machine.mutex:
            return MemoryFile(self._machine, self._create(name), self._path(name), writable=True)

    def rename(self, name: str, new_name: str, into: Directory | None = None) -> None:
        """Give `name` the name `new_name`, here or in `into`, atomically replacing a file (or an empty directory) of that name."""
        target = self if into is None else cast(MemoryDirectory, into)
        check_name(new_name)
        with self._machine.mutex:
            target._check_open()
            self._begin("rename", name, changes=True)
            inode = self._existing(name)
            replaced = target._inode.volatile.get(new_name)
            _check_replaceable(inode, replaced, target, self._path(name))
            if inode is not replaced:
                removed, added = Entry(self._inode, name, inode), Entry(target._inode, new_name, inode)
                self._machine.change_names("rename", self._path(name), removed, added, target._path(new_name))

    def unlink(self, name: str) -> None:
        """Remove the file `name`."""
        with self._machine.mutex:
            self._begin("unlink", name, changes=True)
            inode = self._existing(name)
            if isinstance(inode, DirectoryInode):
                raise OSError(errno.EISDIR, "is a directory", self._path(name))
            self._machine.change_names("unlink", self._path(name), Entry(self._inode, name, inode), None)

    def remove_directory(self, name: str) -> None:
        """Remove the empty subdirectory `name`."""
        with self._machine.mutex:
            self._begin("remove_directory", name, changes=True)
            inode = self._existing(name)
            if not isinstance(inode, DirectoryInode):
                raise OSError(errno.ENOTDIR, "is no directory", self._path(name))
            if inode.volatile:
                raise OSError(errno.ENOTEMPTY, "is not empty", self._path(name))
            self._machine.change_names("remove_directory", self._path(name), Entry(self._inode, name, inode), None)

    def sync(self) -> None:
        """Make the names in this directory durable. After a planned failure they wait on."""
        with self._machine.mutex:
            self._check_open()
            self._machine.begin("sync_directory", self.name, changes=True)
            self._machine.pending[:] = commit(self._machine.pending, self._inode)
            self._machine.log("sync_directory", self.name)

    def lock(self, name: str, holder: str) -> "MemoryLock":
        """Take the exclusive lock on file `name` (made if absent) and write `holder` into it; `StoreBusy` when it is held."""
        with self._machine.mutex:
            self._begin("lock", name, changes=True)
            inode = self._file(name) if name in self._inode.volatile else self._create(name)
            if inode.lock is not None:
                raise store_busy(self._path(name), inode.volatile.decode(errors="replace"))
            inode.lock = lock = MemoryLock(self._machine, inode)
            text = holder.encode(errors="replace")
            self._machine.truncate(inode, 0)
            self._machine.write(inode, 0, memoryview(text))
            self._machine.log("lock", self._path(name))
            return lock

    def lock_holder(self, name: str) -> str | None:
        """The text of whoever holds the lock on `name` now, or None when nobody does."""
        with self._machine.mutex:
            self._begin("lock_holder", name)
            if name not in self._inode.volatile:
                return None
            inode = self._file(name)
            return None if inode.lock is None else inode.volatile.decode(errors="replace")

    def _begin(self, operation: str, name: str, *, changes: bool = False) -> None:
        check_name(name)
        self._check_open()
        self._machine.begin(operation, self._path(name), changes=changes)

    def _path(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def _existing(self, name: str) -> Inode:
        if name not in self._inode.volatile:
            raise OSError(errno.ENOENT, "no such file or directory", self._path(name))
        return self._inode.volatile[name]

    def _file(self, name: str) -> FileInode:
        inode = self._existing(name)
        if isinstance(inode, DirectoryInode):
            raise unsafe_file(self._path(name), "is not a regular file", "kind")
        return inode

    def _create(self, name: str) -> FileInode:
        self._begin("create", name, changes=True)
        inode = FileInode()
        self._add("create", name, inode)
        return inode

    def _add(self, operation: str, name: str, inode: Inode) -> None:
        if name in self._inode.volatile:
            raise OSError(errno.EEXIST, "the name is taken", self._path(name))
        if not self._inode.is_linked:
            raise OSError(errno.ENOENT, "the directory was removed", self._path(name))
        self._machine.take_block(self._path(name))
        self._machine.change_names(operation, self._path(name), None, Entry(self._inode, name, inode))


class MemoryLock:
    """A held writer lock (`rap_journal.filesystem.Lock`)."""

    def __init__(self, machine: MemoryMachine, inode: FileInode) -> None:
        self._machine = machine
        self._inode = inode

    def release(self) -> None:
        """Give the lock up; the lock file stays, empty. Releasing twice, or after a crash, is harmless."""
        with self._machine.mutex:
            if self._inode.lock is self:
                self._machine.truncate(self._inode, 0)
                self._inode.lock = None


def as_directory(inode: Inode | None, path: str) -> DirectoryInode:
    """`inode`, where it is a folder; raises FileNotFoundError where it is nothing, `UnsafeFile` where it is a file."""
    if inode is None:
        raise FileNotFoundError(errno.ENOENT, "no such directory", path)
    if not isinstance(inode, DirectoryInode):
        raise unsafe_file(path, "is a link or no directory", "kind")
    return inode


def _check_replaceable(inode: Inode, replaced: Inode | None, target: MemoryDirectory, path: str) -> None:
    if isinstance(inode, DirectoryInode) and inode.contains(target._inode):
        raise OSError(errno.EINVAL, "a directory cannot become its own subdirectory", path)
    if not target._inode.is_linked:
        raise OSError(errno.ENOENT, "the directory was removed", path)
    if replaced is None or replaced is inode:
        return
    if isinstance(replaced, DirectoryInode) and not isinstance(inode, DirectoryInode):
        raise OSError(errno.EISDIR, "a file cannot replace a directory", path)
    if not isinstance(replaced, DirectoryInode) and isinstance(inode, DirectoryInode):
        raise OSError(errno.ENOTDIR, "a directory cannot replace a file", path)
    if isinstance(replaced, DirectoryInode) and replaced.volatile:
        raise OSError(errno.ENOTEMPTY, "a directory cannot replace one that is not empty", path)
