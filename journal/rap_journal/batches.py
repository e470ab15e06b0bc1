"""The queue of records that wait for their frame.

Rules this file keeps:

- Records of one submission stay in one batch, and so in one frame: they become visible together or not at all.
- A batch holds strict records or others, never both, and records that may use reserved space or others, never both; batches are
  written in the order in which they were opened.
- Neighbours that are not strict share a frame where they fit, so that a reserve costs no syncs; when space is short they part.
- A batch never outgrows a frame; a submission that alone would, or that holds what cannot be encoded, is refused before
  anything is queued.

Not thread-safe: the committer holds its lock around every call.

Example::

    ticket = queue.add(records, strict=False, privileged=True)
    load = queue.take([])
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from rap_journal.errors import MisuseError, StateStoreError
from rap_journal.limits import FRAME_BYTES_MAX, RECORDS_PER_FRAME_MAX
from rap_journal.records import Record

WEIGHT_MAX = FRAME_BYTES_MAX - 4096
"""Most that the records of a frame may weigh."""

_RECORD_WEIGHT = 96
"""Of a record's numbers, its strict link and its nine array heads."""


class Batch:
    """Records that will share a frame. After it is done, `first_lsns` holds the LSN of each record, or `error` what happened."""

    __slots__ = ("done", "error", "first_lsns", "privileged", "records", "rows", "strict", "weight")

    def __init__(self, *, strict: bool, privileged: bool) -> None:
        self.records: list[Record] = []
        self.first_lsns: list[int] = []
        self.rows = 0
        self.weight = 0
        self.strict = strict
        self.privileged = privileged
        self.done = False
        self.error: StateStoreError | None = None

    def has_room(self, rows: int, weight: int) -> bool:
        """Whether that much more fits."""
        return self.rows + rows <= RECORDS_PER_FRAME_MAX and self.weight + weight <= WEIGHT_MAX

    def takes(self, rows: int, weight: int, *, strict: bool, privileged: bool) -> bool:
        """Whether records of that kind, and that much of them, may join."""
        return self.strict is strict and self.privileged is privileged and self.has_room(rows, weight)

    def add(self, records: Sequence[Record], rows: int, weight: int) -> None:
        """Put `records` at the end."""
        # Counted first: an interrupt in between leaves a batch that is lighter than it says, never one that outgrows its frame.
        self.rows += rows
        self.weight += weight
        self.records += records


class Ticket(NamedTuple):
    """A place in a batch: where a submission's records stand in it."""

    batch: Batch
    start: int
    record_count: int

    @property
    def last_lsn(self) -> int:
        """LSN of the submission's last record, once the batch is done."""
        return self.batch.first_lsns[self.start + self.record_count - 1]


class BatchQueue:
    """Batches waiting to be written, oldest first."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, records: Sequence[Record], *, strict: bool, privileged: bool) -> Ticket:
        """Queue `records` together. Raises `MisuseError`, with nothing queued, when they cannot share one frame, or are none."""
        if not records:
            raise MisuseError("no records were given; nothing was written.", reason="no_records")
        rows = weight = 0
        for record in records:
            rows += record.rows
            weight += weigh_record(record)
        newest = self._batches[-1] if self._batches else None
        batch = newest
        if batch is None or not batch.takes(rows, weight, strict=strict, privileged=privileged):
            batch = Batch(strict=strict, privileged=privileged)
            if not batch.has_room(rows, weight):
                raise MisuseError(
                    f"{rows} records of about {weight} bytes do not fit into one frame; nothing was written.",
                    reason="batch_too_large",
                )
        ticket = Ticket(batch, len(batch.records), len(records))
        batch.add(records, rows, weight)
        if batch is not newest:
            # Filled first: an interrupt never leaves an empty batch in the queue.
            self._batches.append(batch)
        return ticket

    def take(self, load: list[Batch]) -> list[Batch]:
        """Move what goes into the next frame to the empty `load`: the oldest batch, and those behind it that fit and are not strict."""
        rows = weight = 0
        while self._batches:
            batch = self._batches[0]
            if load and (batch.strict or load[0].strict or not batch.has_room(rows, weight)):
                break
            # First there, then away from here: an interrupt in between loses none.
            load.append(batch)
            self._batches.popleft()
            rows += batch.rows
            weight += batch.weight
        return load

    def waiting(self) -> list[Batch]:
        """All batches, oldest first; they stay."""
        return list(self._batches)

    def oldest_boot_us(self) -> int | None:
        """When the oldest waiting record was made, in microseconds since boot."""
        return self._batches[0].records[0].boot_us if self._batches else None

    def drain(self) -> list[Batch]:
        """Remove and return all batches."""
        batches = list(self._batches)
        self._batches.clear()
        return batches


def weigh_record(record: Record) -> int:
    """A cheap upper bound of a record's encoded size in bytes."""
    texts = 4 * (len(record.trace_id or "") + len(record.actor)) + 18
    return weigh(record.body) + 9 * len(record.causes) + texts + _RECORD_WEIGHT


def weigh(value: Any) -> int:
    """A cheap upper bound of a value's encoded size in bytes.

    Raises `MisuseError` for what a record's body cannot hold: anything but arrays of texts, byte strings, 64-bit integers,
    booleans and None.
    """
    if isinstance(value, str):
        return _weigh_text(value)
    if isinstance(value, bytes):
        return len(value) + 9
    if value is None:
        return 9
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise MisuseError("an integer beyond 64 bits has no place in a record; nothing was written.", reason="type")
        return 9
    if isinstance(value, (tuple, list)):
        total = 9
        for item in value:
            total += weigh(item)
        return total
    raise MisuseError(f"a value of type {type(value).__name__} has no place in a record; nothing was written.", reason="type")


def _weigh_text(text: str) -> int:
    if text.isascii():
        return len(text) + 9
    try:
        return len(text.encode()) + 9
    except UnicodeEncodeError:
        raise MisuseError("a text that is not Unicode has no place in a record; nothing was written.", reason="type") from None
