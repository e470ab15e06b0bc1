"""Reading the log: forwards, the newest first, or the newest few, with the key or without.

Rules this file keeps:

- Memory does not grow with the log: going backwards reads windows, from the end.
- An LSN that should be there and is not is told of as an item of its own; nothing is passed over in silence.
- Without the key an item is a frame, since what is in it is sealed.
- People are told of the rows of one record together, programs of each by itself.

Example::

    source = UnsealedLog(history, LogFilter(), PeerNames(history))
    for item in newest(source, 1, source.horizon_lsn, count=20): ...
"""

from collections.abc import Callable, Collection, Iterator
from itertools import groupby
from typing import NamedTuple, Protocol

from rap_journal.records import Record
from rap_projections.history import ClusterHistory
from rap_tools.event_entries import CLASS_NAMES, Entry, entries_of
from rap_tools.frame_reading import FrameLine, FrameReader
from rap_tools.peer_names import PeerNames

WINDOW_FIRST, WINDOW_MAX = 4096, 65_536
"""LSNs looked at in one go on the way back: few at first, since mostly the newest few are wanted."""


class Absent(NamedTuple):
    """LSNs that are not in the journal: damaged, or given up by a recovery."""

    first_lsn: int
    last_lsn: int


class Batch(NamedTuple):
    """Rows of one columnar record, oldest first, that are told of together."""

    rows: tuple[Entry, ...]

    @property
    def first_lsn(self) -> int:
        """LSN of the first of these rows."""
        return self.rows[0].lsn

    @property
    def last_lsn(self) -> int:
        """LSN of the last of these rows."""
        return self.rows[-1].lsn


Item = Entry | FrameLine | Absent | Batch


Shown = Callable[[Iterator[Item]], Iterator[Item]]
"""A way to tell of items."""


class LogFilter(NamedTuple):
    """Which events are wanted; None: all of them.

    Attributes:
        kinds: numbers of event kinds.
        classes: names of state classes.
        categories: numbers of categories.
    """

    kinds: frozenset[int] | None = None
    classes: frozenset[str] | None = None
    categories: frozenset[int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether everything passes."""
        return self == LogFilter()

    def accepts(self, record: Record) -> bool:
        """Whether a record is wanted."""
        return (
            (self.kinds is None or record.kind in self.kinds)
            and (self.classes is None or CLASS_NAMES.get(record.state_class) in self.classes)
            and (self.categories is None or record.category in self.categories)
        )

    def accepts_frame(self, line: FrameLine) -> bool:
        """Whether a frame may hold what is wanted, as far as that can be told without the key."""
        return self.classes is None or bool(self.classes & set(line.state_classes))


class LogSource(Protocol):
    """A log that can be read forwards."""

    @property
    def horizon_lsn(self) -> int:
        """LSN of the last durable record."""
        ...

    def forward(self, first: int, last: int) -> Iterator[Item]:
        """What is wanted of the LSNs `first` to `last`, oldest first, and what of them is absent."""
        ...

    def refresh(self, *, live: bool) -> None:
        """Move the horizon to what is durable now."""
        ...


class UnsealedLog:
    """The log with its key: events."""

    def __init__(self, history: ClusterHistory, wanted: LogFilter, names: PeerNames) -> None:
        self._history = history
        self._wanted = wanted
        self._names = names

    @property
    def horizon_lsn(self) -> int:
        """LSN of the last durable record."""
        return self._history.horizon.lsn

    def forward(self, first: int, last: int) -> Iterator[Item]:
        """The events wanted of the LSNs `first` to `last`, oldest first, and what of them is absent."""
        expected = first
        for record in self._history.records(after=first - 1, until=last):
            if record.lsn > expected:
                yield Absent(expected, record.lsn - 1)
            expected = record.lsn + record.rows
            if self._wanted.accepts(record):
                yield from (entry for entry in entries_of(record, self._names) if first <= entry.lsn <= last)

    def refresh(self, *, live: bool) -> None:
        """Move the horizon to what is durable now."""
        self._history.refresh(live=live)


class SealedLog:
    """The log without its key: frames."""

    def __init__(self, frames: FrameReader, wanted: LogFilter) -> None:
        self._frames = frames
        self._wanted = wanted

    @property
    def horizon_lsn(self) -> int:
        """LSN of the last durable record."""
        return self._frames.horizon.lsn

    def forward(self, first: int, last: int) -> Iterator[Item]:
        """The frames that hold LSNs `first` to `last`, oldest first, and what of these is absent."""
        expected = first
        for line in self._frames.frames(first - 1):
            if line.first_lsn > last:
                return
            if line.first_lsn > expected:
                yield Absent(expected, line.first_lsn - 1)
            expected = line.last_lsn + 1
            if self._wanted.accepts_frame(line):
                yield line

    def refresh(self, *, live: bool) -> None:
        """Move the horizon to what is durable now."""
        self._frames.refresh(live=live)


def backward(source: LogSource, first: int, last: int) -> Iterator[Item]:
    """What is wanted of the LSNs `first` to `last`, the newest first."""
    size = WINDOW_FIRST
    shown = last + 1
    while last >= first:
        start = max(first, last - size + 1)
        for item in reversed(list(source.forward(start, last))):
            # A frame that reaches over the edge of a window is met in both.
            if _first_lsn(item) < shown:
                shown = _first_lsn(item)
                yield item
        last, size = start - 1, min(2 * size, WINDOW_MAX)


def newest(source: LogSource, first: int, last: int, count: int, shown: Shown = iter) -> list[Item]:
    """The newest `count` of the LSNs `first` to `last`, oldest first; what is absent between them comes on top.

    `shown`: how items are to be told of; `collapsed`, for example, makes one of many.
    """
    found: list[Item] = []
    events = 0
    for item in shown(backward(source, first, last)):
        found.append(item)
        events += not isinstance(item, Absent)
        if events == count:
            break
    return list(reversed(found))


def collapsed(items: Iterator[Item], *, but: Collection[int] = ()) -> Iterator[Item]:
    """The same items in the same order, but for rows that follow on each other and share a record: they are one batch.

    `but`: numbers of kinds whose rows are left as they are. A single row is left as it is, too.
    """
    for key, group in groupby(items, lambda item: _record_of(item, but)):
        if key is None:
            yield from group
            continue
        rows = sorted([item for item in group if isinstance(item, Entry)], key=lambda row: row.lsn)
        yield Batch(tuple(rows)) if len(rows) > 1 else rows[0]


def _record_of(item: Item, but: Collection[int]) -> int | None:
    """LSN of the record that a row shares with others; None for what is told of by itself."""
    is_row = isinstance(item, Entry) and item.row is not None and item.record.kind not in but
    return item.record.lsn if isinstance(item, Entry) and is_row else None


def _first_lsn(item: Item) -> int:
    return item.lsn if isinstance(item, Entry) else item.first_lsn
