"""The machine under `MemoryFileSystem`: it counts and logs operations, lets them fail as planned, runs out of space, and dies.

Rules this file keeps:

- Every operation of a handle begins with `begin`, which raises what it is to meet; then it happens; then it is logged.
- An operation that failed is not in the log.
- Names, space and the list of unsynced changes are kept here; content is the inodes' own.

Callers hold `mutex` around the three steps.

Example::

    with machine.mutex:
        machine.begin("truncate", name, changes=True)
        inode.truncate(size)
        machine.log("truncate", name, size)
"""

import errno
import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NamedTuple

from rap_journal.testing.memory_inodes import BLOCK_BYTES, Change, DirectoryInode, Entry, FileInode, Inode
from rap_journal.testing.survival import NameChange


class SimulatedCrash(BaseException):
    """Raised in place of an operation of a process that is dead. Not an `Exception`: nothing but the test is to handle it."""


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


class Fault:
    """An error that waits for its operation. `MemoryFileSystem.fail` tells what the arguments mean."""

    def __init__(self, operation: str, path: str, error_number: int, after: int, times: int | None, partial_bytes: int) -> None:
        self.error_number = error_number
        self.partial_bytes = partial_bytes
        self._operation = operation
        self._path = path
        self._after = after
        self._times = times

    def strikes(self, operation: str, path: str) -> bool:
        """Whether this operation fails; counts it."""
        if self._times == 0 or not (fnmatchcase(operation, self._operation) and fnmatchcase(path, self._path)):
            return False
        if self._after:
            self._after -= 1
            return False
        if self._times is not None:
            self._times -= 1
        return True


class MemoryMachine:
    """What all handles of a `MemoryFileSystem` share."""

    def __init__(self, capacity_bytes: int | None, used_blocks: int, pending: list[Change], sequence: int) -> None:
        self.mutex = threading.RLock()
        self.operations: list[Operation] = []
        self.faults: list[Fault] = []
        self.capacity_bytes = capacity_bytes
        self.used_blocks = used_blocks
        self.pending = pending
        self.sequence = sequence
        self.operations_left: int | None = None
        self.is_dead = False

    def begin(
        self, operation: str, path: str, *, changes: bool = False, on_fault: Callable[[Fault], object] | None = None
    ) -> None:
        """Raise what this operation is to meet: the end of the process, or a planned error, after `on_fault` had its say."""
        self.check_alive()
        if changes and self.operations_left == 0:
            self.is_dead = True
            self.check_alive()
        fault = next((fault for fault in self.faults if fault.strikes(operation, path)), None)
        if fault:
            if on_fault:
                on_fault(fault)
            raise OSError(fault.error_number, f"planned failure of {operation}", path)

    def log(self, name: str, path: str, offset: int = 0, length: int = 0, new_path: str | None = None) -> None:
        """Note an operation that happened."""
        self.sequence += 1
        if self.operations_left:
            self.operations_left -= 1
        self.operations.append(Operation(self.sequence, name, path, offset, length, new_path))

    def check_alive(self) -> None:
        """Raise `SimulatedCrash` after the end of the process."""
        if self.is_dead:
            raise SimulatedCrash("the process that used this file system is dead")

    def change_names(
        self, operation: str, path: str, removed: Entry | None, added: Entry | None, new_path: str | None = None
    ) -> None:
        """Make and log a change of names, which waits for a sync of its folder."""
        if removed:
            del removed.directory.volatile[removed.name]
        if added:
            replaced = added.directory.volatile.get(added.name)
            added.directory.volatile[added.name] = added.inode
            self._lose_name(replaced)
        elif removed:
            self._lose_name(removed.inode)
        self.log(operation, path, new_path=new_path)
        self.pending.append(Change(NameChange(self.sequence, operation, path, new_path), removed, added))

    def free_blocks(self) -> int:
        """Blocks that may still be taken."""
        return 1 << 62 if self.capacity_bytes is None else self.capacity_bytes // BLOCK_BYTES - self.used_blocks

    def take_block(self, path: str) -> None:
        """Take the block of a new file or folder; ENOSPC where there is none."""
        if self.free_blocks() < 1:
            raise disk_full(path)
        self.used_blocks += 1

    def write(self, inode: FileInode, offset: int, data: memoryview) -> int:
        """Write what fits; returns how much that was."""
        fitting = inode.bytes_that_fit(offset, len(data), self.free_blocks())
        self.used_blocks -= inode.block_count()
        inode.write(offset, data[:fitting])
        self.used_blocks += inode.block_count()
        return fitting

    def truncate(self, inode: FileInode, size: int) -> None:
        """Cut or extend, and free what is cut."""
        self.used_blocks -= inode.block_count()
        inode.truncate(size)
        self.used_blocks += inode.block_count()

    def close(self, inode: FileInode) -> None:
        """Count a handle less; the last one of a file without a name frees its space. After a crash nothing happens."""
        if not self.is_dead:
            inode.handles -= 1
            self._free_if_unused(inode)

    def _lose_name(self, inode: Inode | None) -> None:
        if inode is not None:
            inode.is_linked = False
            self._free_if_unused(inode)

    def _free_if_unused(self, inode: Inode) -> None:
        if not inode.is_linked and (isinstance(inode, DirectoryInode) or not inode.handles):
            self.used_blocks -= inode.block_count()


def disk_full(path: str) -> OSError:
    """The error of an operation for which there is no space."""
    return OSError(errno.ENOSPC, "the disk in memory is full", path)
