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
    filesystem.fail("write", "*", errno.EDQUOT, times=None) # over quota from now on; heal() ends it
    filesystem.capacity_bytes = filesystem.used_bytes       # the disk is full from now on

A power cut in the middle of a write is a power cut before the next operation, of which some sectors survive. A failed folder sync
leaves its changes waiting; a failed file sync loses them, as on Linux.
"""

import errno

from rap_journal.testing.memory_handles import MemoryDirectory, as_directory
from rap_journal.testing.memory_inodes import BLOCK_BYTES, Change, DirectoryInode, survivor
from rap_journal.testing.memory_machine import Fault, MemoryMachine, Operation
from rap_journal.testing.survival import NothingSurvives, Survival


class MemoryFileSystem:
    """A file system in memory (`rap_journal.filesystem.FileSystem`). Several threads may use it.

    Args:
        capacity_bytes: size of the disk; None for no limit. Every file and folder takes 4 KiB, and content whole blocks of 4 KiB.
    """

    def __init__(self, *, capacity_bytes: int | None = None) -> None:
        self._top = DirectoryInode()
        self._machine = MemoryMachine(capacity_bytes, used_blocks=0, pending=[], sequence=0)

    @property
    def operations(self) -> list[Operation]:
        """What happened so far, in order. A test may clear it."""
        return self._machine.operations

    @property
    def used_bytes(self) -> int:
        """Space taken, in whole blocks."""
        return self._machine.used_blocks * BLOCK_BYTES

    @property
    def capacity_bytes(self) -> int | None:
        """Size of the disk, or None for no limit. May be set at any time; what is stored stays."""
        return self._machine.capacity_bytes

    @capacity_bytes.setter
    def capacity_bytes(self, capacity_bytes: int | None) -> None:
        self._machine.capacity_bytes = capacity_bytes

    def open_root(self, path: str, *, create: bool = False) -> MemoryDirectory:
        """Open the directory `path`, counted from the top, as a root; with `create`, make it, durably (its parent must exist)."""
        with self._machine.mutex:
            self._machine.begin("open_root", path)
            parent, name = self._place(path)
            if create and name not in parent.volatile:
                self._make_root(parent, name)
            return MemoryDirectory(self._machine, as_directory(parent.volatile.get(name), path), "")

    def remove_root(self, path: str) -> None:
        """Remove the empty directory `path`."""
        with self._machine.mutex:
            inode, name = self._place(path)
        MemoryDirectory(self._machine, inode, "").remove_directory(name)

    def write_file(self, path: str, data: bytes) -> None:
        """Make the file `path`, whole and durable. Raises FileExistsError where the name is taken."""
        with self._machine.mutex:
            inode, name = self._place(path)
        parent, part = MemoryDirectory(self._machine, inode, ""), f".{name}.part"
        if parent.status(name) is not None:
            raise FileExistsError(errno.EEXIST, "the name is taken", path)
        if parent.status(part) is not None:
            parent.unlink(part)
        with parent.create(part) as file:
            try:
                file.write_at(0, data)
                file.sync()
            except OSError:
                parent.unlink(part)
                raise
        parent.rename(part, name)
        parent.sync()

    def read_file(self, path: str, size_max: int) -> bytes:
        """At most `size_max` bytes of the file `path`."""
        with self._machine.mutex:
            inode, name = self._place(path)
        with MemoryDirectory(self._machine, inode, "").open(name) as file:
            return file.read_at(0, size_max)

    def fail(
        self, operation: str, path: str, error_number: int, *, after: int = 0, times: int | None = 1, partial_bytes: int = 0
    ) -> None:
        """Let operations fail with an `OSError`.

        Args:
            operation: pattern (``*``, ``?``) of names as in `Operation`; also open, open_root, directory, read, size, status,
                names, lock_holder and forget_cache, which change nothing and are not logged.
            path: pattern of paths relative to the root; ``*`` matches ``/`` too.
            error_number: such as `errno.EIO`.
            after: how many matching operations succeed first.
            times: how many fail then; None for all.
            partial_bytes: for a write, how many bytes are written before it fails.
        """
        self._machine.faults.append(Fault(operation, path, error_number, after, times, partial_bytes))

    def heal(self) -> None:
        """Forget all planned failures."""
        self._machine.faults.clear()

    def crash_after(self, operations: int) -> None:
        """Let so many more operations (of those that are logged) happen, and raise `SimulatedCrash` in place of the next."""
        self._machine.operations_left = operations

    def image(self, survival: Survival | None = None) -> "MemoryFileSystem":
        """The file system as a power cut now would leave it; this one goes on."""
        with self._machine.mutex:
            return self._heir(survivor(self._top, self._machine.pending, survival or NothingSurvives()), [])

    def crash(self, survival: Survival | None = None) -> "MemoryFileSystem":
        """Cut the power: this file system is dead, and what survived is returned; by default nothing that was not synced."""
        with self._machine.mutex:
            self._machine.is_dead = True
            return self.image(survival)

    def kill(self) -> "MemoryFileSystem":
        """Let the process die and the machine live: locks are free, handles dead, and all that was written is there, still unsynced."""
        with self._machine.mutex:
            self._machine.is_dead = True
            for file in self._top.files():
                file.lock, file.handles = None, 0
            return self._heir(self._top, self._machine.pending)

    def _heir(self, top: DirectoryInode, pending: list[Change]) -> "MemoryFileSystem":
        heir = MemoryFileSystem()
        heir._top = top
        used_blocks = top.block_count() - 1  # The top is no folder of anyone's making.
        heir._machine = MemoryMachine(self.capacity_bytes, used_blocks, pending, self._machine.sequence)
        return heir

    def _place(self, path: str) -> tuple[DirectoryInode, str]:
        """The folder that `path`, counted from the top, lies in, and its name there."""
        *above, name = [part for part in path.split("/") if part not in ("", ".")] or [""]
        if not name:
            raise FileNotFoundError(errno.ENOENT, "a path needs a name", path)
        parent = self._top
        for part in above:
            parent = as_directory(parent.volatile.get(part), path)
        return parent, name

    def _make_root(self, parent: DirectoryInode, name: str) -> None:
        self._machine.begin("create_directory", "", changes=True)
        self._machine.take_block(name)
        parent.volatile[name] = parent.durable[name] = DirectoryInode()
        self._machine.log("create_directory", "")
