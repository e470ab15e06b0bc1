"""The queue of records that wait for their frame.

Rules this file keeps:

- Records of one submission stay in one batch, and so in one frame: they become visible together or not at all.
- A batch holds strict records or others, never both; batches are written in the order in which they were opened.
- A batch never outgrows a frame; a submission that alone would is refused before anything is queued.

Not thread-safe: the committer holds its lock around every call.

Example::

    ticket = queue.add(records, strict=False, privileged=True)
    batch = queue.take()
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from rap_journal.errors import MisuseError, StateStoreError
from rap_journal.limits import FRAME_BYTES_MAX, RECORDS_PER_FRAME_MAX
from rap_journal.records import Record

_WEIGHT_MAX = FRAME_BYTES_MAX - 4096
_RECORD_WEIGHT = 96


class Batch:
    """Records that will share a frame. After it is done, `first_lsns` holds the LSN of each record, or `error` what happened."""

    __slots__ = ("done", "error", "first_lsns", "privileged", "records", "rows", "strict", "weight")

    def __init__(self, *, strict: bool) -> None:
        self.records: list[Record] = []
        self.first_lsns: list[int] = []
        self.rows = 0
        self.weight = 0
        self.strict = strict
        self.privileged = strict
        self.done = False
        self.error: StateStoreError | None = None

    def has_room(self, rows: int, weight: int) -> bool:
        """Whether that much more fits."""
        return self.rows + rows <= RECORDS_PER_FRAME_MAX and self.weight + weight <= _WEIGHT_MAX

    def add(self, records: Sequence[Record], rows: int, weight: int) -> None:
        """Put `records` at the end."""
        self.records += records
        self.rows += rows
        self.weight += weight


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
        """Queue `records` together. Raises `MisuseError`, with nothing queued, when they cannot share one frame."""
        rows = sum(record.rows for record in records)
        weight = sum(weigh(record.body) + _RECORD_WEIGHT for record in records)
        batch = self._batches[-1] if self._batches else None
        if batch is None or batch.strict != strict or not batch.has_room(rows, weight):
            batch = Batch(strict=strict)
            if not batch.has_room(rows, weight):
                raise MisuseError(
                    f"{rows} records of about {weight} bytes do not fit into one frame; nothing was written.",
                    reason="batch_too_large",
                )
            self._batches.append(batch)
        ticket = Ticket(batch, len(batch.records), len(records))
        batch.add(records, rows, weight)
        batch.privileged = batch.privileged or privileged
        return ticket

    def take(self) -> Batch | None:
        """Remove and return the oldest batch."""
        return self._batches.popleft() if self._batches else None

    def oldest_boot_us(self) -> int | None:
        """When the oldest waiting record was made, in microseconds since boot."""
        return self._batches[0].records[0].boot_us if self._batches else None

    def drain(self) -> list[Batch]:
        """Remove and return all batches."""
        batches = list(self._batches)
        self._batches.clear()
        return batches


def weigh(value: Any) -> int:
    """A cheap upper bound of a value's encoded size in bytes."""
    kind = type(value)
    if kind is bytes:
        return len(value) + 9
    if kind is str:
        return 4 * len(value) + 9
    if kind is int or value is None or kind is bool:
        return 9
    return 9 + sum(map(weigh, value))
