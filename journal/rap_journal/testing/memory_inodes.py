"""The disk of `MemoryFileSystem`: files and folders, each as the process sees it and as the last sync left it.

Rules this file keeps:

- A file has volatile and durable content and size; a write or cut changes the one, a sync copies to the other.
- A folder has volatile and durable entries; what no folder sync has confirmed is a list of changes, in order.
- A failed sync loses what it should have written: the page cache still shows it, a later sync reports success, the disk holds the
  old bytes. That is what ext4, xfs and btrfs do.
- Nothing here knows of handles, faults or logs.

Example::

    file = FileInode()
    file.write(0, b"abc")
    file.sync()
    assert file.durable == b"abc"
"""

from collections.abc import Iterator
from typing import NamedTuple

from rap_journal.testing.survival import SECTOR_BYTES, Fate, NameChange, Survival, UnsyncedFile

BLOCK_BYTES = 4096
"""Space is taken in blocks of this size; every file and every folder takes one for itself."""


class FileInode:
    """A file.

    Attributes:
        volatile: content as every process sees it.
        durable: content as the last sync left it.
        lock: whoever holds the lock on it, or None.
        handles: number of open handles.
        is_linked: whether a name leads to it.
    """

    __slots__ = ("volatile", "durable", "_dirty", "_lost", "_blocks", "lock", "handles", "is_linked")

    def __init__(self, content: bytes | bytearray = b"") -> None:
        self.volatile = bytearray(content)
        self.durable = bytearray(content)
        self._dirty: set[int] = set()
        self._lost: set[int] = set()
        self._blocks = set(range(_ceil(len(content), BLOCK_BYTES)))
        self.lock: object | None = None
        self.handles = 0
        self.is_linked = True

    def block_count(self) -> int:
        """Blocks it takes, one for itself included. A hole takes none."""
        return 1 + len(self._blocks)

    def bytes_that_fit(self, offset: int, length: int, free_blocks: int) -> int:
        """How many of `length` bytes at `offset` can be written when only `free_blocks` blocks are free."""
        for block in range(offset // BLOCK_BYTES, _ceil(offset + length, BLOCK_BYTES)):
            if block not in self._blocks:
                free_blocks -= 1
            if free_blocks < 0:
                return max(0, block * BLOCK_BYTES - offset)
        return length

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Change the volatile content."""
        if not len(data):
            return
        end = offset + len(data)
        if offset > len(self.volatile):
            self.volatile.extend(bytes(offset - len(self.volatile)))
        self.volatile[offset:end] = data
        self._touch(offset, end)
        self._blocks.update(range(offset // BLOCK_BYTES, _ceil(end, BLOCK_BYTES)))

    def truncate(self, size: int) -> None:
        """Change the volatile size; new bytes are zeros that take no space."""
        if size < len(self.volatile):
            self._touch(size, len(self.volatile))
            del self.volatile[size:]
            self._blocks = {block for block in self._blocks if block * BLOCK_BYTES < size}
        else:
            self.volatile.extend(bytes(size - len(self.volatile)))

    def sync(self) -> None:
        """Make content and size durable, except what an earlier failed sync lost."""
        self._resize_durable(len(self.volatile))
        for sector in self._dirty:
            place = slice(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)
            self.durable[place] = self.volatile[place]
        self._dirty.clear()

    def fail_sync(self) -> None:
        """Lose what waits to be written, as a kernel does when the device reports an error."""
        self._lost |= self._dirty
        self._dirty.clear()

    def forget_cache(self) -> None:
        """Drop what is believed to be on disk: content that a failed sync lost reads as its old bytes from now on."""
        for sector in self._lost:
            start, end = sector * SECTOR_BYTES, min((sector + 1) * SECTOR_BYTES, len(self.volatile))
            if start < end:
                self.volatile[start:end] = self.durable[start:end].ljust(end - start, b"\0")
        self._lost.clear()

    def unsynced(self, path: str) -> UnsyncedFile | None:
        """What no sync has confirmed, or None when all is durable."""
        if not self._dirty and len(self.volatile) == len(self.durable):
            return None
        return UnsyncedFile(path, len(self.durable), len(self.volatile), tuple(sorted(self._dirty)))

    def survivor(self, path: str, survival: Survival) -> "FileInode":
        """This file as it is after a power cut."""
        unsynced = self.unsynced(path)
        if unsynced is None:
            return FileInode(self.durable)
        size, fates = survival.content(unsynced)
        content = self.durable[:size].ljust(size, b"\0")
        for sector, fate in fates.items():
            start, end = sector * SECTOR_BYTES, min((sector + 1) * SECTOR_BYTES, size)
            if start < end and fate != "old":
                content[start:end] = self._bytes_of(fate, start, end).ljust(end - start, b"\0")
        return FileInode(content)

    def _bytes_of(self, fate: Fate, start: int, end: int) -> bytes:
        if isinstance(fate, bytes):
            return fate[: end - start]
        return bytes(self.volatile[start:end]) if fate == "new" else b""

    def _touch(self, start: int, end: int) -> None:
        sectors = range(start // SECTOR_BYTES, _ceil(end, SECTOR_BYTES))
        self._dirty.update(sectors)
        self._lost.difference_update(sectors)

    def _resize_durable(self, size: int) -> None:
        del self.durable[size:]
        self.durable.extend(bytes(size - len(self.durable)))


class DirectoryInode:
    """A folder.

    Attributes:
        volatile: entries as every process sees them.
        durable: entries as the last syncs left them.
        is_linked: whether a name leads to it.
    """

    __slots__ = ("volatile", "durable", "is_linked")

    def __init__(self) -> None:
        self.volatile: dict[str, Inode] = {}
        self.durable: dict[str, Inode] = {}
        self.is_linked = True

    def contains(self, other: "DirectoryInode") -> bool:
        """Whether `other` is this folder or lies below it."""
        below = (inode for inode in self.volatile.values() if isinstance(inode, DirectoryInode))
        return self is other or any(inode.contains(other) for inode in below)

    def files(self) -> "Iterator[FileInode]":
        """Every file in it and below."""
        for inode in self.volatile.values():
            if isinstance(inode, FileInode):
                yield inode
            else:
                yield from inode.files()

    def block_count(self) -> int:
        """Blocks that it and everything below it takes."""
        return 1 + sum(inode.block_count() for inode in self.volatile.values())


Inode = FileInode | DirectoryInode
Table = dict[str, Inode]


class Entry(NamedTuple):
    """A name in a folder, and what it stands for."""

    directory: DirectoryInode
    name: str
    inode: Inode


class Change(NamedTuple):
    """A change of names: at most one entry goes, at most one comes; a rename is both, and so atomic across folders."""

    what: NameChange
    removed: Entry | None
    added: Entry | None

    def touches(self, directories: set[DirectoryInode]) -> bool:
        """Whether it changes one of `directories`."""
        return any(entry.directory in directories for entry in self.entries())

    def entries(self) -> list[Entry]:
        """The entries that it changes."""
        return [entry for entry in (self.removed, self.added) if entry]

    def apply(self, tables: "Tables") -> None:
        """Make it in `tables`. An entry that stands for something else by now is not removed."""
        if self.removed and tables[self.removed.directory].get(self.removed.name) is self.removed.inode:
            del tables[self.removed.directory][self.removed.name]
        if self.added:
            tables[self.added.directory][self.added.name] = self.added.inode


class Tables(dict[DirectoryInode, Table]):
    """Durable entries by folder: the real ones, or copies to try changes on."""

    def __init__(self, *, copied: bool) -> None:
        super().__init__()
        self._copied = copied

    def __missing__(self, directory: DirectoryInode) -> Table:
        self[directory] = dict(directory.durable) if self._copied else directory.durable
        return self[directory]


def commit(pending: list[Change], directory: DirectoryInode) -> list[Change]:
    """Make the changes of `directory` durable; returns those that still are not.

    A change is never overtaken by a later one of the same folder, so the older changes of a folder that a committed rename came
    from or went to are committed with it.
    """
    directories, kept, committed = {directory}, list[Change](), list[Change]()
    for change in reversed(pending):
        if change.touches(directories):
            directories.update(entry.directory for entry in change.entries())
            committed.append(change)
        else:
            kept.append(change)
    tables = Tables(copied=False)
    for change in reversed(committed):
        change.apply(tables)
    return kept[::-1]


def survivor(top: DirectoryInode, pending: list[Change], survival: Survival) -> DirectoryInode:
    """The tree below `top` as it is after a power cut."""
    kept = set(survival.names([change.what for change in pending]))
    tables, lost = Tables(copied=True), set[Inode]()
    for change in pending:
        inodes = {entry.inode for entry in change.entries()}
        if change.what.sequence in kept and not inodes & lost:
            change.apply(tables)
        else:
            lost |= inodes
    return _survivor_below(top, tables, survival, "")


def _survivor_below(directory: DirectoryInode, tables: Tables, survival: Survival, path: str) -> DirectoryInode:
    copy = DirectoryInode()
    for name, inode in sorted(tables[directory].items()):
        if isinstance(inode, DirectoryInode):
            copy.durable[name] = _survivor_below(inode, tables, survival, f"{path}/{name}")
        else:
            copy.durable[name] = inode.survivor(f"{path}/{name}", survival)
    copy.volatile = dict(copy.durable)
    return copy


def _ceil(size: int, unit: int) -> int:
    return -(-size // unit)
