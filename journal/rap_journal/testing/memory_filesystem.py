"""A file system in memory that forgets what was not synced: crash-test a store, or an agent on top of one, without a disk.

Rules this file keeps:

- It behaves like `OsFileSystem`: both run the contract suite. Everything in it is owned and moded as the store makes it.
- What was not synced is at the mercy of a power cut: `crash` makes the disk that is left, by default the worst one.
- It can be told to fail: any operation with any error, a full disk, or the end of the process before operation number n.
- After its end every handle raises `SimulatedCrash`, so that threads and `finally` blocks of the dead change nothing more.
- What happened is in `operations`, in order, for tests that watch the order of syncs.

Example::

    filesystem = MemoryFileSystem()
    filesystem.crash_after(10)                      # the eleventh operation never happens
    with suppress(SimulatedCrash):
        run_store(filesystem)
    reopen_store(filesystem.crash())                # or .crash(RandomSurvival(SeededRandomness(seed)))

A process that dies while the machine lives loses nothing that it wrote: `kill` instead of `crash`. To try many power cuts at one
moment, take an `image` of each. To fail::

    filesystem.fail("sync", "*/journal/*", errno.EIO)       # the next sync of a segment fails, and what it should have written is lost
    filesystem.fail("*", "*", errno.EROFS, times=None)      # read-only from now on; .heal() ends it
    filesystem.capacity_bytes = filesystem.used_bytes       # the disk is full from now on

A power cut in the middle of a write is a power cut before the next operation of which some sectors survive. A failed folder sync
leaves its changes pending; a failed file sync loses them, as Linux does.
"""

import errno
import threading
from fnmatch import fnmatchcase
from types import TracebackType
from typing import NamedTuple, Self, cast

from rap_journal.errors import MisuseError
from rap_journal.filesystem import Directory, FileStatus, check_name, store_busy, unsafe_file
from rap_journal.testing.memory_inodes import BLOCK_BYTES, Change, DirectoryInode, Entry, FileInode, Inode, commit, survivor
from rap_journal.testing.survival import NameChange, NothingSurvives, Survival


class SimulatedCrash(BaseException):
    """Raised in place of an operation of a process that is dead. Not an `Exception`: nothing but the test may handle it."""


class Operation(NamedTuple):
    """One operation that changed or synced something, or took a lock.

    Attributes:
        sequence: number of the operation, from 1.
        name: create, create_directory, write, truncate, sync, sync_directory, rename, unlink, remove_directory or lock.
        path: what it was done to, relative to the root; empty for the root itself.
        offset: for a write, where; for a truncate, the new size.
        length: for a write, how many bytes.
        new_path: for a rename, the new name.
    """

    sequence: int
    name: str
    path: str
    offset: int = 0
    length: int = 0
    new_path: str | None = None


class _Fault:
    """An error that waits for its operation."""

    def __init__(self, operation: str, path: str, number: int, after: int, times: int | None, partial: int) -> None:
        self.operation, self.path, self.number, self.partial = operation, path, number, partial
        self._after, self._times = after, times

    def strikes(self, operation: str, path: str) -> bool:
        """Whether this operation fails; counts it."""
        if self._times == 0 or not (fnmatchcase(operation, self.operation) and fnmatchcase(path, self.path)):
            return False
        if self._after:
            self._after -= 1
            return False
        if self._times is not None:
            self._times -= 1
        return True


class MemoryFileSystem:
    """A file system in memory (`rap_journal.filesystem.FileSystem`). Safe to use from several threads.

    Args:
        capacity_bytes: size of the disk; None for no limit. Files and folders take 4 KiB each, and content 4 KiB blocks.

    Attributes:
        operations: what happened so far, in order; a test may clear it.
        capacity_bytes: may be changed at any time; what is stored stays.
    """

    def __init__(self, *, capacity_bytes: int | None = None) -> None:
        self.operations: list[Operation] = []
        self.capacity_bytes = capacity_bytes
        self._mutex = threading.RLock()
        self._top = DirectoryInode()
        self._pending: list[Change] = []
        self._used_blocks = 0
        self._faults: list[_Fault] = []
        self._sequence = 0
        self._operations_left: int | None = None
        self._is_dead = False

    def open_root(self, path: str, *, create: bool = False) -> "MemoryDirectory":
        """Open the directory `path`, counted from the top, as a root; with `create`, make it durably (its parent must exist)."""
        with self._mutex:
            self._begin("open_root", path)
            *above, name = [part for part in path.split("/") if part not in ("", ".")] or [""]
            parent = self._top
            for part in above:
                parent = _as_directory(parent.volatile.get(part), path)
            if not name:
                return MemoryDirectory(self, self._top, "")
            if create and name not in parent.volatile:
                self._begin("create_directory", "", changes=True)
                self._take_blocks(1)
                parent.volatile[name] = parent.durable[name] = DirectoryInode()
                self._log("create_directory", "")
            return MemoryDirectory(self, _as_directory(parent.volatile.get(name), path), "")

    @property
    def used_bytes(self) -> int:
        """Space taken, in whole blocks."""
        return self._used_blocks * BLOCK_BYTES

    def fail(
        self, operation: str, path: str, error_number: int, *, after: int = 0, times: int | None = 1, partial_bytes: int = 0
    ) -> None:
        """Let operations fail with `OSError(error_number)`.

        Args:
            operation: pattern (``*``, ``?``) of names as in `Operation`, or open, open_root, directory, read, size, status, names,
                lock_holder, forget_cache, which change nothing and are not logged.
            path: pattern of paths relative to the root; ``*`` matches ``/`` too.
            error_number: such as `errno.EIO`.
            after: how many matching operations succeed first.
            times: how many fail then; None for all.
            partial_bytes: for a write, how many bytes are written before it fails.
        """
        self._faults.append(_Fault(operation, path, error_number, after, times, partial_bytes))

    def heal(self) -> None:
        """Forget all planned failures."""
        self._faults.clear()

    def crash_after(self, operations: int) -> None:
        """Let `operations` more operations (of those that are logged) happen, then raise `SimulatedCrash` in place of the next."""
        self._operations_left = operations

    def image(self, survival: Survival | None = None) -> "MemoryFileSystem":
        """The file system as it would be after a power cut now, everything durable; this one goes on."""
        with self._mutex:
            return self._successor(survivor(self._top, self._pending, survival or NothingSurvives()), [])

    def crash(self, survival: Survival | None = None) -> "MemoryFileSystem":
        """Cut the power: this file system is dead, and what survived is returned; by default nothing that was not synced."""
        with self._mutex:
            self._is_dead = True
            return self.image(survival)

    def kill(self) -> "MemoryFileSystem":
        """Let the process die and the machine live: locks are free, handles dead, and everything written is there, still unsynced."""
        with self._mutex:
            self._is_dead = True
            for file in self._top.files():
                file.lock, file.handles = None, 0
            return self._successor(self._top, self._pending)

    def _successor(self, top: DirectoryInode, pending: list[Change]) -> "MemoryFileSystem":
        heir = MemoryFileSystem(capacity_bytes=self.capacity_bytes)
        heir._top, heir._pending, heir._used_blocks = top, pending, top.block_count() - 1
        heir._sequence = self._sequence
        return heir

    # What the handles call, with the mutex held: first `_begin`, then the change, then `_log`.

    def _begin(self, operation: str, path: str, *, changes: bool = False) -> None:
        """Raise what this operation is to meet."""
        self._check_alive()
        if changes and self._operations_left is not None:
            if self._operations_left == 0:
                self._is_dead = True
            self._check_alive()
        fault = next((fault for fault in self._faults if fault.strikes(operation, path)), None)
        if fault:
            raise _PlannedError(fault.number, f"planned failure of {operation}", path, partial_bytes=fault.partial)

    def _log(self, name: str, path: str, offset: int = 0, length: int = 0, new_path: str | None = None) -> int:
        """Note an operation that happened; returns its number."""
        self._sequence += 1
        if self._operations_left:
            self._operations_left -= 1
        self.operations.append(Operation(self._sequence, name, path, offset, length, new_path))
        return self._sequence

    def _check_alive(self) -> None:
        if self._is_dead:
            raise SimulatedCrash("the process that used this file system is dead")

    def _change_names(self, operation: str, path: str, removed: Entry | None, added: Entry | None, new_path: str | None = None) -> None:
        """Make and log a change of names; durable once its folder is synced."""
        if removed:
            del removed.directory.volatile[removed.name]
        if added:
            replaced = added.directory.volatile.get(added.name)
            added.directory.volatile[added.name] = added.inode
            if replaced is not None:
                self._drop(replaced)
        if removed and not added:
            self._drop(removed.inode)
        sequence = self._log(operation, path, new_path=new_path)
        self._pending.append(Change(NameChange(sequence, operation, path, new_path), removed, added))

    def _drop(self, inode: Inode) -> None:
        """No name leads to `inode` any more; its space is free once nobody has it open."""
        inode.is_linked = False
        if isinstance(inode, DirectoryInode) or not inode.handles:
            self._used_blocks -= inode.block_count()

    def _free_blocks(self) -> int:
        if self.capacity_bytes is None:
            return 1 << 62
        return self.capacity_bytes // BLOCK_BYTES - self._used_blocks

    def _take_blocks(self, count: int) -> None:
        if count > self._free_blocks():
            raise OSError(errno.ENOSPC, "the disk in memory is full")
        self._used_blocks += count


class _PlannedError(OSError):
    """Carries how much of a write happens before it fails."""

    def __new__(cls, number: int, text: str, path: str, *, partial_bytes: int) -> Self:
        return super().__new__(cls, number, text, path)

    def __init__(self, number: int, text: str, path: str, *, partial_bytes: int) -> None:
        super().__init__(number, text, path)
        self.partial_bytes = partial_bytes


class _Handle:
    """What an open file and an open directory have in common."""

    def __init__(self, filesystem: MemoryFileSystem, name: str) -> None:
        self._filesystem = filesystem
        self._mutex = filesystem._mutex
        self._is_open = True
        self.name = name

    def _begin(self, operation: str, path: str, *, changes: bool = False) -> None:
        self._filesystem._check_alive()
        if not self._is_open:
            raise OSError(errno.EBADF, "the handle is closed", path)
        self._filesystem._begin(operation, path, changes=changes)

    def close(self) -> None:
        """Close; further calls fail. Closing twice, or after a crash, is harmless."""
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class MemoryFile(_Handle):
    """An open file (`rap_journal.filesystem.File`)."""

    def __init__(self, filesystem: MemoryFileSystem, inode: FileInode, name: str, *, writable: bool) -> None:
        super().__init__(filesystem, name)
        self._inode = inode
        self._writable = writable
        inode.handles += 1

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the file."""
        with self._mutex:
            self._begin("read", self.name)
            _check_number(min(offset, length), self.name)
            return bytes(self._inode.volatile[offset : offset + length])

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` at `offset`. On a full disk, what fits is written and ENOSPC raised."""
        with self._mutex:
            try:
                self._begin("write", self.name, changes=True)
            except _PlannedError as error:
                self._inode.write(offset, memoryview(data)[: error.partial_bytes])
                raise
            self._check_writable(errno.EBADF)
            _check_number(offset, self.name)
            room = self._inode.bytes_that_fit(offset, len(data), self._filesystem._free_blocks())
            self._change_blocks(lambda: self._inode.write(offset, memoryview(data)[:room]))
            if room < len(data):
                raise OSError(errno.ENOSPC, "the disk in memory is full", self.name)
            self._filesystem._log("write", self.name, offset, len(data))

    def size(self) -> int:
        """Current length in bytes."""
        with self._mutex:
            self._begin("size", self.name)
            return len(self._inode.volatile)

    def truncate(self, size: int) -> None:
        """Cut or extend (with zeros, unallocated) to `size` bytes."""
        with self._mutex:
            self._begin("truncate", self.name, changes=True)
            self._check_writable(errno.EINVAL)
            _check_number(size, self.name)
            self._change_blocks(lambda: self._inode.truncate(size))
            self._filesystem._log("truncate", self.name, size)

    def sync(self) -> None:
        """Make content and size durable. A planned failure loses what waits, and the next sync succeeds all the same."""
        with self._mutex:
            try:
                self._begin("sync", self.name, changes=True)
            except _PlannedError:
                self._inode.fail_sync()
                raise
            self._inode.sync()
            self._filesystem._log("sync", self.name)

    def forget_cache(self) -> None:
        """Read from the disk from now on: what a failed sync lost shows its old bytes."""
        with self._mutex:
            self._begin("forget_cache", self.name)
            self._inode.forget_cache()

    def close(self) -> None:
        """Close; further calls fail. Closing twice, or after a crash, is harmless."""
        with self._mutex:
            if self._is_open and not self._filesystem._is_dead:
                self._inode.handles -= 1
                if not self._inode.handles and not self._inode.is_linked:
                    self._filesystem._used_blocks -= self._inode.block_count()
            self._is_open = False

    def _check_writable(self, number: int) -> None:
        if not self._writable:
            raise OSError(number, "the file is open for reading only", self.name)
