"""What of the unsynced outlives a power cut: the choice that `MemoryFileSystem.crash` leaves to its caller.

Rules this file keeps:

- The unit of content is the 512-byte sector: a sector that was being overwritten holds its old bytes or its new ones.
- The unit of naming is the operation: a rename happened or did not, in both folders at once.
- A size may survive without the bytes, which then read as zeros or as whatever was on the device.
- Choices are values: the same survival of the same disk is the same disk.

Example::

    for seed in range(100):
        survivor = filesystem.image(RandomSurvival(SeededRandomness(seed)))
        check_recovery(survivor)
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

SECTOR_BYTES = 512
"""The largest write that a device does whole or not at all."""

Fate = Literal["new", "old", "zero"] | bytes
"""What a sector holds afterwards: what was written, what was synced before, zeros, or these (up to 512) bytes."""


class NameChange(NamedTuple):
    """A change of names that no directory sync has confirmed.

    Attributes:
        sequence: its place in the order of all operations.
        operation: create, create_directory, rename, unlink or remove_directory.
        path: what it was done to, relative to the root.
        new_path: for a rename, the new name.
    """

    sequence: int
    operation: str
    path: str
    new_path: str | None


class UnsyncedFile(NamedTuple):
    """A file whose content or size no sync has confirmed.

    Attributes:
        path: relative to the top of the file system.
        durable_size: size at the last sync.
        size: size that the process saw last.
        sectors: numbers of the sectors written or cut since the last sync, ascending.
    """

    path: str
    durable_size: int
    size: int
    sectors: tuple[int, ...]


class SurvivingFile(NamedTuple):
    """What becomes of an `UnsyncedFile`: its size, and the fate of its unsynced sectors ("old" where none is given)."""

    size: int
    fates: Mapping[int, Fate]


class Survival(Protocol):
    """A choice of what survives. Extend it to steer a crash to the sector."""

    def names(self, changes: Sequence[NameChange]) -> Collection[int]:
        """The `sequence` of each change that survives.

        A change of a file or folder of which an earlier change was lost is lost with it, also when it is returned here.
        """
        ...

    def content(self, file: UnsyncedFile) -> SurvivingFile:
        """What becomes of `file`."""
        ...


class NothingSurvives:
    """Only what was synced is there: the worst that a disk which tells the truth can do."""

    def names(self, changes: Sequence[NameChange]) -> Collection[int]:
        """None of them."""
        return ()

    def content(self, file: UnsyncedFile) -> SurvivingFile:
        """Old size, old bytes."""
        return SurvivingFile(file.durable_size, {})


class EverythingSurvives:
    """The page cache was written back just in time."""

    def names(self, changes: Sequence[NameChange]) -> Collection[int]:
        """All of them."""
        return [change.sequence for change in changes]

    def content(self, file: UnsyncedFile) -> SurvivingFile:
        """New size, new bytes."""
        return SurvivingFile(file.size, dict.fromkeys(file.sectors, "new"))


class RandomSurvival:
    """A random choice: sizes kept or not, sectors whole, cut after some, or each for itself, name changes as prefix or subset.

    Args:
        randomness: where the choice comes from, such as a `SeededRandomness`: the same seed makes the same choice.
        atomic_sectors: whether a sector that existed before holds old or new bytes only. With False it may also read as zeros
            or garbage, which a journal that rewrites synced bytes in place cannot survive; sectors new to the file always may.
    """

    def __init__(self, randomness: Callable[[int], bytes], *, atomic_sectors: bool = True) -> None:
        self._randomness = randomness
        self._atomic_sectors = atomic_sectors

    def names(self, changes: Sequence[NameChange]) -> Collection[int]:
        """Half the time those before a random point, as a file system with an ordered journal does, else any subset."""
        if self._below(2):
            return [change.sequence for change in changes[: self._below(len(changes) + 1)]]
        return [change.sequence for change in changes if self._below(2)]

    def content(self, file: UnsyncedFile) -> SurvivingFile:
        """Old size or new, and sectors all new, new up to one of them, or each with a fate of its own."""
        size = (file.durable_size, file.size)[self._below(2)]
        way = self._below(3)
        if way == 0:
            return SurvivingFile(size, dict.fromkeys(file.sectors, "new"))
        if way == 1:
            return SurvivingFile(size, dict.fromkeys(file.sectors[: self._below(len(file.sectors) + 1)], "new"))
        return SurvivingFile(size, {sector: self._fate(file, sector) for sector in file.sectors})

    def _fate(self, file: UnsyncedFile, sector: int) -> Fate:
        existed = sector * SECTOR_BYTES < file.durable_size
        choice = self._below(2 if existed and self._atomic_sectors else 4)
        return self._randomness(SECTOR_BYTES) if choice == 3 else ("new", "old", "zero")[choice]

    def _below(self, limit: int) -> int:
        return int.from_bytes(self._randomness(8), "little") % limit
