"""Group commit: whoever waits first leads, writes one frame for all who wait, and only then lets anybody see it.

Rules this file keeps:

- One frame is in flight at a time: the next is not written before the sync of this one returned.
- Order is disk, memory, witness (for strict frames), notification. A lone writer is never delayed.
- Any exception between the first byte written and the end of apply poisons: waiters of that frame are told "outcome unknown",
  those behind it "nothing was done", and nothing is retried on that file.
- Having no room is decided before the first byte, and poisons nothing.

Example::

    ticket = committer.submit(records, strict=False, privileged=True)
    committer.wait(ticket)
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rap_journal.batches import Batch, BatchQueue, Ticket
from rap_journal.errors import NoSpace, OutcomeUnknown, Poisoned, StateStoreError
from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_journal.payload import StrictHeads, encode_payload
from rap_journal.records import Record
from rap_journal.segment_writer import Place, SegmentWriter
from rap_journal.witness import SealedPart, WitnessPoint, WitnessWriter


class Projections(Protocol):
    """What the committer asks of the projections; all calls come from the one thread that leads."""

    def apply(self, records: Sequence[Record]) -> None:
        """Fold durable records into memory. An exception poisons the journal."""
        ...

    def floors(self) -> Any:
        """The floors to put into the witness: a CBOR value."""
        ...

    def waiting(self, rows_max: int) -> Sequence[Record]:
        """Records that can ride in a frame about to be written (observations), at most `rows_max` rows."""
        ...

    def give_back(self, records: Sequence[Record]) -> None:
        """Take back what `waiting` gave, because there was no room for it; nothing was written."""
        ...

    def committed(self, records: Sequence[Record]) -> None:
        """Told after acknowledgement, for subscriptions. Must not raise."""
        ...


class Committer:
    """The only way to write. Thread-safe."""

    def __init__(
        self,
        writer: SegmentWriter,
        witness: WitnessWriter,
        witnessed: int,
        heads: StrictHeads,
        projections: Projections,
        identity: tuple[str, bytes, int],
    ) -> None:
        self._writer = writer
        self._witness = witness
        self._heads = heads
        self._projections = projections
        self._cluster, self._incarnation, self._epoch = identity
        self._queue = BatchQueue()
        self._changed = threading.Condition(threading.Lock())
        self._leading = False
        self._poison: BaseException | None = None
        self.witnessed_lsn = witnessed
        self.durable_boot_us = 0
        self.frames_written = 0

    @property
    def durable_lsn(self) -> int:
        """LSN of the last record under a completed sync."""
        return self._writer.chain.last_lsn

    @property
    def is_poisoned(self) -> bool:
        """Whether a write or sync failed."""
        return self._poison is not None

    def submit(self, records: Sequence[Record], *, strict: bool, privileged: bool) -> Ticket:
        """Queue `records` for one frame and return at once. Raises `Poisoned`, or `MisuseError` when they are too large."""
        with self._changed:
            self._refuse_if_poisoned()
            return self._queue.add(records, strict=strict, privileged=privileged)

    def wait(self, ticket: Ticket) -> None:
        """Return when the ticket's records are durable and visible, leading the commit if nobody does.

        Raises what happened to its frame: `NoSpace` (nothing changed), `OutcomeUnknown` or `Poisoned`.
        """
        batch = ticket.batch
        with self._changed:
            while not batch.done:
                if self._leading:
                    self._changed.wait()
                else:
                    self._lead(self._queue.take())
        if batch.error is not None:
            raise batch.error

    def flush(self) -> None:
        """Commit everything that waits now, observations included."""
        with self._changed:
            self._lead_all()

    def write_witness(self) -> None:
        """Bring the witness up to the durable LSN."""
        with self._changed:
            self._take_turn()
            if self._poison is None and self.witnessed_lsn != self.durable_lsn:
                self._as_leader(lambda: self._witness_place(self._writer.place))

    def while_idle(self, work: Callable[[SegmentWriter], None]) -> None:
        """Run `work` on the writer between two frames, everything queued being written first."""
        with self._changed:
            self._lead_all()
            self._take_turn()
            self._refuse_if_poisoned()
            self._as_leader(lambda: work(self._writer))

    def close(self) -> None:
        """Let go of the files."""
        self._writer.abandon()
        self._witness.close()

    def oldest_waiting_boot_us(self) -> int | None:
        """When the oldest queued record was made."""
        with self._changed:
            return self._queue.oldest_boot_us()

    def _lead_all(self) -> None:
        # One more frame than is queued: the last takes the observations that no batch carried.
        while self._poison is None:
            if self._leading:
                self._changed.wait()
                continue
            batch = self._queue.take()
            if batch is None and not self._lead(None):
                return
            if batch is not None:
                self._lead(batch)
        self._refuse_if_poisoned()

    def _take_turn(self) -> None:
        while self._leading:
            self._changed.wait()

    def _lead(self, batch: Batch | None) -> bool:
        """Write `batch` (or what rides along, if None) as the leader; the lock is held before and after. False: nothing to write."""
        wrote = [False]

        def work() -> None:
            wrote[0] = self._write(batch)

        self._as_leader(work, batch)
        return wrote[0]

    def _as_leader(self, work: Callable[[], None], batch: Batch | None = None) -> None:
        self._leading = True
        self._changed.release()
        error: BaseException | None = None
        try:
            work()
        except BaseException as caught:  # noqa: BLE001 - an interrupt poisons, too; it is raised again below
            error = caught
        finally:
            self._changed.acquire()
            self._leading = False
            if error is not None:
                self._note_failure(error, batch)
            if batch is not None:
                batch.done = True
            self._changed.notify_all()
        if error is not None and (batch is None or not isinstance(error, Exception)):
            raise error

    def _write(self, batch: Batch | None) -> bool:
        strict = batch is not None and batch.strict
        records = batch.records if batch is not None else []
        riding: list[Record] = []
        if not strict:
            rows_free = RECORDS_PER_FRAME_MAX - (batch.rows if batch is not None else 0)
            riding = list(self._projections.waiting(rows_free))
            records = records + riding
            if not records:
                return False
        numbered, heads = self._number(records, strict)
        payload = encode_payload(numbered)
        try:
            self._writer.make_room(len(payload), privileged=batch is not None and batch.privileged)
        except NoSpace:
            self._projections.give_back(riding)
            raise
        mask = 0
        for record in numbered:
            mask |= 1 << record.state_class
        last = numbered[-1]
        place = self._writer.write(
            payload, record_count=last.lsn + last.rows - self._writer.chain.last_lsn - 1, class_mask=mask, strict=strict
        )
        self._finish(place, numbered, heads)
        if batch is not None:
            batch.first_lsns = [record.lsn for record in numbered]
        return True

    def _finish(self, place: Place, records: list[Record], heads: StrictHeads | None) -> None:
        """Memory, witness, notification: in this order, after the disk."""
        self.frames_written += 1
        self._projections.apply(records)
        self.durable_boot_us = records[-1].boot_us
        if heads is not None:
            self._heads = heads
            self._witness_place(place)
        self._projections.committed(records)

    def _number(self, records: list[Record], strict: bool) -> tuple[list[Record], StrictHeads | None]:
        heads = self._heads.copy() if strict else None
        lsn = self._writer.chain.last_lsn + 1
        numbered = []
        for record in records:
            placed = record._replace(lsn=lsn)
            numbered.append(heads.link_next(placed) if heads is not None else placed)
            lsn += record.rows
        return numbered, heads

    def _witness_place(self, place: Place) -> None:
        chain = place.chain
        point = WitnessPoint(
            self._incarnation, chain.last_lsn, chain.digest, place.segment, place.offset, self._epoch, chain.last_strict_lsn
        )
        self._witness.write(point, SealedPart(tuple(self._heads.items()), self._projections.floors()))
        self.witnessed_lsn = chain.last_lsn

    def _note_failure(self, error: BaseException, batch: Batch | None) -> None:
        if isinstance(error, NoSpace):
            if batch is not None:
                batch.error = error
            return
        self._poison = error
        self._writer.abandon()
        if batch is not None:
            batch.error = self._outcome_unknown(error)
        for waiting in self._queue.drain():
            waiting.error, waiting.done = self._poisoned(), True

    def _refuse_if_poisoned(self) -> None:
        if self._poison is not None:
            raise self._poisoned()

    def _outcome_unknown(self, error: BaseException) -> StateStoreError:
        unknown = OutcomeUnknown(
            f"writing to the journal of {self._cluster} failed ({type(error).__name__}); whether the records are on disk is unknown. "
            "The writer is poisoned; call reopen(), then repeat the call.",
            cluster=self._cluster,
            lsn=self.durable_lsn + 1,
            reason="write_failed",
        )
        unknown.__cause__ = error
        return unknown

    def _poisoned(self) -> StateStoreError:
        return Poisoned(
            f"an earlier write to the journal of {self._cluster} failed; nothing was done. Call reopen(), then repeat the call.",
            cluster=self._cluster,
            reason="poisoned",
        )
