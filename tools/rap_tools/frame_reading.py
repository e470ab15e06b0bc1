"""What can be read of a journal without its key: which frames there are, which LSNs they hold, and where some are missing.

Rules this file keeps:

- No key is asked for, no lock is taken, nothing is changed.
- The horizon is that of `rap_journal.reader`: beside a live writer nothing past it is looked at.
- Event kinds, times and contents are inside the seals: of them nothing is known here.

Example::

    with FrameReader.open(directory, CLUSTER_CLASSES, live=False) as reader:
        for line in reader.frames():
            print(line.first_lsn, line.state_classes)
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from rap_journal.checkpoints import list_checkpoints
from rap_journal.filesystem import Directory, File
from rap_journal.folders import JournalFolders
from rap_journal.inventory import take_inventory
from rap_journal.layout import WITNESS
from rap_journal.markers import Marker, read_marker
from rap_journal.reader import Horizon, oldest_shown
from rap_journal.values import ClassSpec, Durability
from rap_journal.walk import Gap, Walk
from rap_journal.witness import read_witness, require_slot
from rap_tools.exit_codes import ExitCode


class FrameLine(NamedTuple):
    """One frame.

    Attributes:
        segment: name of its segment's file.
        offset: where it starts in that file.
        byte_count: its length.
        first_lsn, last_lsn: the LSNs in it.
        is_strict: whether its records are of strict classes.
        state_classes: names of the classes that may have records in it: a hint, as the frame's header gives it.
    """

    segment: str
    offset: int
    byte_count: int
    first_lsn: int
    last_lsn: int
    is_strict: bool
    state_classes: tuple[str, ...]


class MissingRecords(NamedTuple):
    """LSNs that the journal should hold and does not.

    Attributes:
        first_lsn, last_lsn: which.
        state_classes: names of the classes that may have lost something; empty for "any".
        is_cache_only: whether nothing but a cache can have lost something.
        reason: stable word.
    """

    first_lsn: int
    last_lsn: int
    state_classes: tuple[str, ...]
    is_cache_only: bool
    reason: str

    @property
    def exit_code(self) -> ExitCode:
        """What a command that comes upon it exits with."""
        return ExitCode.CACHE_DAMAGE if self.is_cache_only else ExitCode.FAIL_CLOSED


class FrameReader:
    """A journal's frames, up to a horizon."""

    def __init__(self, folders: JournalFolders, marker: Marker, specs: Sequence[ClassSpec]) -> None:
        self.marker = marker
        self.horizon: Horizon
        self._folders = folders
        self._specs = specs
        self._files: dict[str, File] = {}

    @classmethod
    def open(cls, directory: Directory, specs: Sequence[ClassSpec], *, live: bool) -> Self:
        """Open the journal in `directory`. Raises `DamageError`, `FormatTooNew`, `OSError`."""
        reader = cls(JournalFolders.open(directory, specs, may_repair=False), read_marker(directory).marker, specs)
        reader.refresh(live=live)
        return reader

    def refresh(self, *, live: bool) -> None:
        """Fix a new horizon at what is durable now."""
        folders = self._folders
        point = require_slot(read_witness(folders.root), self.marker.journal_id, f"{folders.root.name}/{WITNESS}").point
        self._inventory = take_inventory(folders.journal, self.marker.journal_id)
        self._hold_files()
        walk = self._walk(point.lsn)
        for _segment in walk:
            pass
        lsn, frames = walk.end.chain.last_lsn, walk.end.scan.frames if walk.end.scan else []
        if live and frames and lsn > point.lsn:
            # The last frame may be in the page cache only; the one before it was synced, since frames are written one at a time.
            lsn = max(point.lsn, frames[-1].header.first_lsn - 1)
        oldest = oldest_shown(self._checkpoint_lsns(), reaches_back=self._inventory.reaches_back)
        self.horizon = Horizon(lsn, oldest, live)

    def frames(self, after_lsn: int = 0) -> Iterator[FrameLine]:
        """The frames that hold an LSN after `after_lsn`, oldest first, up to the horizon."""
        for segment in self._walk(after_lsn):
            for frame in segment.frames:
                header = frame.header
                if header.first_lsn > self.horizon.lsn:
                    return
                if header.last_lsn > after_lsn:
                    yield FrameLine(
                        segment.file.name, frame.offset, header.frame_bytes, header.first_lsn, header.last_lsn, header.is_strict,
                        self._names(header.class_mask),
                    )  # fmt: skip

    def missing(self, after_lsn: int) -> tuple[MissingRecords, ...]:
        """The records after `after_lsn` that are missing, but for those that a recovery has given up, of which events tell."""
        walk = self._walk(after_lsn)
        for _segment in walk:
            pass
        return tuple([
            MissingRecords(gap.first_lsn, gap.last_lsn, self._names(gap.class_mask or 0), self._is_cache_only(gap), gap.reason)
            for gap in walk.gaps
            if after_lsn < gap.last_lsn >= gap.first_lsn <= self.horizon.lsn and not gap.given_up
        ])  # fmt: skip

    def checkpoints(self) -> tuple[int, ...]:
        """LSNs of the checkpoint sets, oldest first: those at which every class has a file."""
        return tuple(sorted(set.intersection(*map(set, self._checkpoint_lsns()))))

    def first_lsn(self) -> int:
        """LSN of the oldest record that is kept; the one after the horizon where there is none."""
        return next((line.first_lsn for line in self.frames()), self.horizon.lsn + 1)

    def segment_count(self) -> int:
        """How many segments there are."""
        return len(self._files)

    def stored_bytes(self) -> int:
        """Bytes of the segments on disk, space made ready for writing included."""
        return sum(file.size() for file in self._files.values())

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._folders.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _walk(self, after_lsn: int) -> Walk:
        return Walk(self._folders.journal, self._inventory, after_lsn, files=self._files)

    def _checkpoint_lsns(self) -> list[list[int]]:
        classes = self._folders.classes
        return [list_checkpoints(classes[spec.number]) if spec.number in classes else [] for spec in self._specs]

    def _names(self, mask: int) -> tuple[str, ...]:
        return tuple(spec.name for spec in self._specs if mask >> spec.number & 1)

    def _is_cache_only(self, gap: Gap) -> bool:
        """Whether nothing but caches can have lost something; a mask that nobody can read may stand for any class."""
        mask = gap.class_mask
        concerned = [spec for spec in self._specs if mask and mask >> spec.number & 1]
        return not gap.strict_lost and bool(concerned) and all(spec.durability is Durability.CACHE for spec in concerned)

    def _hold_files(self) -> None:
        wanted = {segment.name for segment in self._inventory.chain}
        for name in set(self._files) - wanted:
            self._files.pop(name).close()
        for name in wanted - set(self._files):
            self._files[name] = self._folders.journal.open(name)
