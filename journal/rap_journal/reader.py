"""Reading a journal beside its writer, or without one.

Rules this file keeps:

- No lock is taken and nothing is changed.
- The horizon is fixed before anything is judged: beside a live writer it is the witness's LSN or the LSN before the last valid
  frame, whichever is higher; nothing past it is looked at, so a frame being written is never called damage.
- The segments up to the horizon are held open: a checkpoint that retires them meanwhile takes nothing away. One that is retired
  between its listing and its opening is no damage: the folder is looked at again.

Example::

    with JournalReader.open(directory, setup, live=True) as reader:
        for frame, records in reader.records(after_lsn=0): ...
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

from rap_journal.checkpoints import START, LoadedCheckpoint, list_checkpoints, load_checkpoint
from rap_journal.errors import DamageError, HistoryGone, NoSuchRecord, StateStoreError
from rap_journal.filesystem import Directory, File
from rap_journal.folders import JournalFolders
from rap_journal.format_levels import require_known_segments
from rap_journal.frames import Frame
from rap_journal.inventory import Inventory, take_inventory
from rap_journal.layout import WITNESS
from rap_journal.ledger import list_ledger, read_ledger
from rap_journal.markers import read_marker
from rap_journal.records import Record
from rap_journal.unlocking import Keys, Setup, read_keys
from rap_journal.values import ClassSpec
from rap_journal.walk import Walk, records_of
from rap_journal.witness import Slot, read_witness, require_slot

_RETIRED_MEANWHILE_MAX = 10
"""So often a segment may be retired under a reader's eyes before that is called an error."""


class Horizon(NamedTuple):
    """How far a reader looks.

    Attributes:
        lsn: nothing after it is read.
        oldest_lsn: the history floor: states from here on can be shown.
        is_live: whether a writer held the lock when the horizon was fixed.
    """

    lsn: int
    oldest_lsn: int
    is_live: bool


class JournalReader:
    """A journal opened for reading. `refresh` moves the horizon."""

    def __init__(self, folders: JournalFolders, setup: Setup, keys: Keys) -> None:
        self.folders = folders
        self.keys = keys
        self._setup = setup
        self._files: dict[str, File] = {}
        self.slot: Slot
        self.inventory: Inventory
        self.horizon: Horizon

    @classmethod
    def open(cls, root: Directory, setup: Setup, *, live: bool) -> Self:
        """Open the journal in `root`. `live` says whether a writer holds the store's lock. `root` is closed with the reader.

        Raises `DamageError`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `KeyTampered`, `UnsafeFile`, `OSError`; all is closed then.
        """
        opened: Directory | JournalFolders | Self = root
        try:
            keys = read_keys(root, setup)
            opened = folders = JournalFolders.open(root, setup.specs, may_repair=False)
            opened = reader = cls(folders, setup, keys)
            reader.refresh(live=live)
        except BaseException:
            opened.close()
            raise
        return reader

    def refresh(self, *, live: bool) -> None:
        """Fix a new horizon at what is durable now."""
        root, journal_id = self.folders.root, self.keys.marker.journal_id
        if read_marker(root).marker != self.keys.marker:
            # The writer took a new data key or raised the level; what it writes now may need that.
            self.keys = read_keys(root, self._setup)
        self.slot = require_slot(read_witness(root), journal_id, f"{root.name}/{WITNESS}")
        self._hold_files(journal_id)
        walk = self._walk(self.slot.point.lsn)
        for _segment in walk:
            pass
        frames = walk.end.scan.frames if walk.end.scan else []
        lsn = walk.end.chain.last_lsn
        if live and frames and lsn > self.slot.point.lsn:
            # The last frame may be in the page cache only; the one before it was synced, since frames are written one at a time.
            lsn = max(self.slot.point.lsn, frames[-1].header.first_lsn - 1)
        kept = [list_checkpoints(folder) for folder in self.folders.classes.values()]
        self.horizon = Horizon(lsn, oldest_shown(kept, reaches_back=self.inventory.reaches_back), live)

    def records(self, after_lsn: int = 0, until_lsn: int | None = None) -> Iterator[tuple[Frame, list[Record]]]:
        """Frames with their records that hold an LSN after `after_lsn`, up to the horizon or `until_lsn`.

        Raises `SealBroken` where a frame was tampered with; gaps are passed over (verification names them).
        """
        last = self.horizon.lsn if until_lsn is None else min(until_lsn, self.horizon.lsn)
        for segment in self._walk(after_lsn):
            if segment.file.header.first_lsn > last:
                return
            for frame, records in records_of(segment, self.keys.ring, after_lsn):
                if frame.header.first_lsn > last:
                    return
                yield frame, records

    def checkpoint_before(self, spec: ClassSpec, lsn: int) -> LoadedCheckpoint:
        """The newest usable checkpoint of a class at or before `lsn`; where there is none, the start, if the first record is kept.

        Raises `NoSuchRecord` beyond the horizon, `HistoryGone` before the history floor, and `DamageError` where there is history and
        the class has no checkpoint that can be used.
        """
        if lsn > self.horizon.lsn:
            raise NoSuchRecord(
                f"LSN {lsn} is beyond the horizon of {self._name}, which is at {self.horizon.lsn}.", cluster=self._name, lsn=lsn
            )
        folder = self.folders.classes.get(spec.number)
        listed = list_checkpoints(folder) if folder is not None else []
        damage = None if listed else "missing"
        for candidate in reversed(listed):
            if candidate <= lsn:
                try:
                    assert folder is not None
                    return load_checkpoint(
                        folder, spec, candidate, self.keys.ring, self.keys.marker.journal_id, fold_set=self._setup.fold_set
                    )
                except (StateStoreError, OSError) as error:
                    damage = damage or _damage_told_by(error)
        if self.inventory.reaches_back and lsn >= self.horizon.oldest_lsn:
            return START
        if damage is None or lsn < self.horizon.oldest_lsn:
            raise self.history_gone(lsn)
        raise DamageError(
            f"no state of {self._name} at LSN {lsn} can be shown: the class {spec.name} has no whole checkpoint there ({damage}). "
            "Ask for a later one; `rap-state verify` names the damaged files.",
            cluster=self._name,
            state_class=spec.name,
            lsn=lsn,
            reason=damage,
        )

    @property
    def first_lsn(self) -> int:
        """LSN of the oldest record whose segment is kept; one past the horizon where there is none."""
        return self.inventory.chain[0].header.first_lsn if self.inventory.chain else self.horizon.lsn + 1

    def ledger(self, after_lsn: int = 0, until_lsn: int | None = None) -> Iterator[Record]:
        """What the ledger tells of records after `after_lsn`, up to `until_lsn`, whose segments are gone; oldest first.

        Raises `DamageError` and `SealBroken` where a file of it is not what was written.
        """
        last = self.first_lsn - 1 if until_lsn is None else min(until_lsn, self.first_lsn - 1)
        for span in list_ledger(self.folders.journal):
            if span.last_lsn > after_lsn and span.first_lsn <= last:
                # What the writer drops meanwhile is too old to be told.
                with suppress(FileNotFoundError):
                    told = read_ledger(self.folders.journal, span, self.keys.marker.journal_id, self.keys.ring).records
                    yield from (record for record in told if after_lsn < record.lsn <= last)

    def history_gone(self, lsn: int | None) -> HistoryGone:
        """The error for a state at `lsn`, or at a time, from which the floor has moved away: it says from where on there is one."""
        oldest_lsn = self.horizon.oldest_lsn
        since = next((records[0] for _frame, records in self.records(oldest_lsn)), None)
        when = f", {_when(since.wall_us)}" if since is not None else ""
        what = "at that time" if lsn is None else f"at LSN {lsn}"
        return HistoryGone(
            f"no state of {self._name} {what} can be shown: history reaches back to LSN {oldest_lsn}{when}.",
            oldest_lsn=oldest_lsn,
            oldest_wall_us=since.wall_us if since is not None else None,
            cluster=self._name,
            lsn=lsn,
        )

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self.folders.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _name(self) -> str:
        return self.keys.marker.cluster or "the agent"

    def _walk(self, after_lsn: int) -> Walk:
        return Walk(self.folders.journal, self.inventory, after_lsn, files=self._files)

    def _hold_files(self, journal_id: bytes) -> None:
        for _attempt in range(_RETIRED_MEANWHILE_MAX):
            with suppress(FileNotFoundError):
                self.inventory = take_inventory(self.folders.journal, journal_id)
                self._hold(self.inventory)
                return
        self.inventory = take_inventory(self.folders.journal, journal_id)
        self._hold(self.inventory)

    def _hold(self, inventory: Inventory) -> None:
        require_known_segments(inventory, self._setup.levels, self.folders.journal.name)
        wanted = {segment.name for segment in inventory.chain}
        for name in set(self._files) - wanted:
            self._files.pop(name).close()
        for name in wanted - set(self._files):
            self._files[name] = self.folders.journal.open(name)


def oldest_shown(kept: Sequence[Sequence[int]], *, reaches_back: bool) -> int:
    """The history floor, from the LSNs of the checkpoints that each class has: that of the oldest set.

    Where the first record is there, a class that lacks its file of that set can be folded from the start; else history begins at its own.
    """
    oldest = [min(lsns) for lsns in kept if lsns]
    return min(oldest, default=0) if reaches_back else max(oldest, default=0)


def _damage_told_by(error: StateStoreError | OSError) -> str | None:
    """A stable word for what is wrong with a checkpoint; None where nothing is: the writer dropped it, or other folds made it."""
    if isinstance(error, StateStoreError):
        return None if error.reason == "other_folds" else error.reason or "damaged"
    return None if isinstance(error, FileNotFoundError) else "unreadable"


def _when(wall_us: int) -> str:
    """A wall time for people; clocks may say anything."""
    try:
        return datetime.fromtimestamp(wall_us // 1_000_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{wall_us} microseconds since 1970 by the clock"
