"""Group commit: whoever waits first leads, writes one frame for all who wait, and only then lets anybody see it.

Rules this file keeps:

- One frame is in flight at a time: the next is not written before the sync of this one returned.
- Order is disk, memory, witness (for strict frames, and for the first frame of a segment), notification. A lone writer is never
  delayed.
- What is visible is durable: its frame was synced. The witness comes behind memory because it carries the floors after the frame. It adds
  one thing, that rot of this frame is never taken for a tear; so whoever is told, caller or subscriber, is told behind it. Where
  writing it fails, what is visible is what recovery brings back, and the writer is poisoned, so that nothing is built on it before.
- Any exception between the first byte written and the end of apply poisons: waiters of that frame are told "outcome unknown",
  those behind it "nothing was done", and nothing is retried on that file.
- Having no room is decided before the first byte, and poisons nothing. Records that may not use the reserve never take it along
  with others that may: those that may are then written alone.

Example::

    ticket = committer.submit(records, strict=False, privileged=True)
    committer.wait(ticket)
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from rap_journal.batches import WEIGHT_MAX, Batch, BatchQueue, Ticket, weigh_record
from rap_journal.errors import MisuseError, NoSpace, OutcomeUnknown, Poisoned, StateStoreError
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
        """Records that can ride in a frame about to be written (observations), oldest first, at most `rows_max` rows."""
        ...

    def give_back(self, records: Sequence[Record]) -> None:
        """Take back what `waiting` gave, in its order, because there was no room for it; nothing of it was written."""
        ...

    def committed(self, records: Sequence[Record]) -> None:
        """Told after acknowledgement, for subscriptions. Must not raise."""
        ...


class _Frame(NamedTuple):
    """What is about to be written: batches, their records and those that ride along, and the heads after strict ones."""

    load: list[Batch]
    records: list[Record]
    heads: StrictHeads | None
    payload: bytes


class Committer:
    """The only way to write. Thread-safe."""

    def __init__(
        self,
        writer: SegmentWriter,
        witness: WitnessWriter,
        witnessed: WitnessPoint,
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
        self._closed = False
        self._poison: BaseException | None = None
        self._witnessed_segment = witnessed.segment
        self.witnessed_lsn = witnessed.lsn
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
        """Queue `records` for one frame and return at once. Raises `Poisoned`, or `MisuseError`: too large, none, or closed."""
        with self._changed:
            self._refuse_if_unusable()
            return self._queue.add(records, strict=strict, privileged=privileged)

    def wait(self, ticket: Ticket) -> None:
        """Return when the ticket's records are durable and visible, leading the commit if nobody does.

        Raises what happened to its frame: `NoSpace` (nothing changed), `OutcomeUnknown` or `Poisoned`.
        """
        batch = ticket.batch
        with self._changed:
            while not batch.done:
                self._lead_or_wait()
        if batch.error is not None:
            raise batch.error

    def flush(self) -> None:
        """Commit everything that waits now, observations included. Raises what happened to any of it, after all was tried."""
        with self._changed:
            waiting = self._queue.waiting()
            self._lead_until_done(waiting)
            self._lead_observations()
        for batch in waiting:
            if batch.error is not None:
                raise batch.error
        self._refuse_if_unusable()

    def write_witness(self) -> None:
        """Bring the witness up to the durable LSN. Raises `OutcomeUnknown`."""
        with self._changed:
            self._take_turn()
            if self._poison is None and not self._closed:
                self._as_leader(self._witness_all, [])

    def seal(self) -> int:
        """Close the active segment and witness it, once what waits was written or had no room; returns the LSN it ends at.

        Raises `Poisoned` or `OutcomeUnknown`.
        """
        sealed_lsn = 0

        def work() -> None:
            nonlocal sealed_lsn
            # Witness first: a slot that a crash tore is then always one whose journal is longer than it says.
            self._witness_all()
            self._writer.seal()
            sealed_lsn = self.durable_lsn

        with self._changed:
            self._lead_until_done(self._queue.waiting())
            with suppress(NoSpace):
                self._lead_observations()
            self._take_turn()
            self._refuse_if_unusable()
            self._as_leader(work, [])
        return sealed_lsn

    def close(self) -> None:
        """Let go of the files; who waits still is told that nothing was done."""
        with self._changed:
            self._take_turn()
            self._closed = True
            for batch in self._queue.drain():
                batch.error, batch.done = self._was_closed(), True
            self._changed.notify_all()
            self._writer.abandon()
            self._witness.close()

    def oldest_waiting_boot_us(self) -> int | None:
        """When the oldest queued record was made."""
        with self._changed:
            return self._queue.oldest_boot_us()

    def _lead_or_wait(self) -> None:
        if self._leading:
            self._changed.wait()
        else:
            self._lead(self._queue.take())

    def _lead_until_done(self, batches: Sequence[Batch]) -> None:
        # Only those: others come in all the time, and their waiters lead them.
        while not all(batch.done for batch in batches):
            self._lead_or_wait()

    def _lead_observations(self) -> None:
        wrote = True
        while wrote and self._poison is None and not self._closed:
            self._take_turn()
            wrote = self._lead([])

    def _take_turn(self) -> None:
        while self._leading:
            self._changed.wait()

    def _lead(self, load: list[Batch]) -> bool:
        """Write `load`, and what rides along, as the leader; the lock is held before and after. False: nothing to write."""
        wrote = False

        def work() -> None:
            nonlocal wrote
            wrote = self._write(load)

        self._as_leader(work, load)
        return wrote

    def _as_leader(self, work: Callable[[], None], load: list[Batch]) -> None:
        """Do `work` without the lock, alone. What happens to it is the batches' to tell; without any it is raised here."""
        error: BaseException | None = None
        try:
            self._leading = True
            self._changed.release()
            try:
                work()
            finally:
                self._changed.acquire()
        except BaseException as caught:  # noqa: BLE001 - an interrupt poisons, too; it is raised again below
            error = caught
        self._leading = False
        failure = self._note_failure(error, load) if error is not None else None
        for batch in load:
            batch.done = True
        self._changed.notify_all()
        if error is not None and not isinstance(error, Exception):
            raise error
        if failure is not None and not load:
            raise failure

    def _write(self, load: list[Batch]) -> bool:
        riding = self._riding_along(load)
        if not load and not riding:
            return False
        frame = self._find_room(load, riding)
        records, heads = frame.records, frame.heads
        mask = 0
        for record in records:
            mask |= 1 << record.state_class
        row_count = records[-1].lsn + records[-1].rows - records[0].lsn
        place = self._writer.write(frame.payload, record_count=row_count, class_mask=mask, strict=heads is not None)
        self._finish(place, records, heads)
        lsns = iter([record.lsn for record in records])
        for batch in frame.load:
            batch.first_lsns = [next(lsns) for _record in batch.records]
        return True

    def _find_room(self, load: list[Batch], riding: list[Record]) -> _Frame:
        """Make room for the load and what rides along; where there is none, for those batches that may use the reserve."""
        frame = self._encode(load, riding)
        urgent = [batch for batch in load if batch.privileged]
        is_urgent = len(urgent) == len(load) and not riding
        try:
            self._writer.make_room(len(frame.payload), privileged=is_urgent)
        except NoSpace as error:
            self._projections.give_back(riding)
            if is_urgent or not urgent:
                raise
            for batch in load:
                batch.error = None if batch.privileged else error
            frame = self._encode(urgent, [])
            self._writer.make_room(len(frame.payload), privileged=True)
        return frame

    def _riding_along(self, load: list[Batch]) -> list[Record]:
        """Observations for the frame about to be written: none in a strict one, and never more than fit."""
        rows = weight = 0
        for batch in load:
            if batch.strict:
                return []
            rows += batch.rows
            weight += batch.weight
        offered = list(self._projections.waiting(RECORDS_PER_FRAME_MAX - rows))
        for index, record in enumerate(offered):
            weight += weigh_record(record)
            if weight > WEIGHT_MAX and (load or index):
                self._projections.give_back(offered[index:])
                return offered[:index]
        return offered

    def _encode(self, load: list[Batch], riding: list[Record]) -> _Frame:
        records = [record for batch in load for record in batch.records] + riding
        numbered, heads = self._number(records, strict=bool(load) and load[0].strict)
        return _Frame(load, numbered, heads, encode_payload(numbered))

    def _finish(self, place: Place, records: list[Record], heads: StrictHeads | None) -> None:
        """Memory, witness, notification: in this order, after the disk."""
        self.frames_written += 1
        self._projections.apply(records)
        self.durable_boot_us = max([record.boot_us for record in records])
        self._heads = heads or self._heads
        if heads is not None or place.segment != self._witnessed_segment:
            # From here on, a segment that goes missing is missed.
            self._witness_place(place)
        self._projections.committed(records)

    def _number(self, records: list[Record], *, strict: bool) -> tuple[list[Record], StrictHeads | None]:
        heads = self._heads.copy() if strict else None
        lsn = self._writer.chain.last_lsn + 1
        numbered = []
        for record in records:
            placed = record.placed(lsn)
            numbered.append(heads.link_next(placed) if heads is not None else placed)
            lsn += record.rows
        return numbered, heads

    def _witness_all(self) -> None:
        if self.witnessed_lsn != self.durable_lsn:
            self._witness_place(self._writer.place)

    def _witness_place(self, place: Place) -> None:
        chain = place.chain
        point = WitnessPoint(
            self._incarnation, chain.last_lsn, chain.digest, place.segment, place.offset, self._epoch, chain.last_strict_lsn
        )
        self._witness.write(point, SealedPart(tuple(self._heads.items()), self._projections.floors()))
        self.witnessed_lsn = chain.last_lsn
        self._witnessed_segment = place.segment

    def _note_failure(self, error: BaseException, load: list[Batch]) -> BaseException:
        """What the batches are told, and whoever leads without any."""
        if isinstance(error, NoSpace):
            for batch in load:
                batch.error = error
            return error
        self._poison = error
        self._writer.abandon()
        unknown = self._outcome_unknown(error)
        for batch in load:
            batch.error = batch.error or unknown
        for waiting in self._queue.drain():
            waiting.error, waiting.done = self._poisoned(), True
        return unknown

    def _refuse_if_unusable(self) -> None:
        if self._closed:
            raise self._was_closed()
        if self._poison is not None:
            raise self._poisoned()

    def _was_closed(self) -> StateStoreError:
        return MisuseError(
            f"the journal of {self._cluster} was closed; nothing was done. Open it first.", cluster=self._cluster, reason="closed"
        )

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
