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
- Whoever led ends the turn, whatever interrupted it and wherever: the turn is the one thing that others wait for. An interrupt within
  it poisons, wakes everybody and goes on to whoever led; ending a turn may itself be interrupted, and is then done once more.
- Having no room is decided before the first byte, and poisons nothing.

Example::

    ticket = committer.submit(records, strict=False, privileged=True)
    committer.wait(ticket)
"""

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from rap_journal.batches import Batch, BatchQueue, Ticket
from rap_journal.errors import MisuseError, NoSpace, OutcomeUnknown, Poisoned, StateStoreError
from rap_journal.frame_assembly import FrameAssembly
from rap_journal.payload import StrictHeads
from rap_journal.projections import Projections
from rap_journal.records import Record
from rap_journal.segment_writer import Place, SegmentWriter
from rap_journal.witness import SealedPart, WitnessPoint, WitnessWriter


class _Turn:
    """One thread's turn to use the disk: the batches it took, and how it ended."""

    __slots__ = ("error", "failure", "is_over", "load", "wrote")

    def __init__(self) -> None:
        self.load: list[Batch] = []
        self.wrote = False
        self.is_over = False
        self.error: BaseException | None = None
        self.failure: StateStoreError | None = None


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
        self._assembly = FrameAssembly(writer, projections)
        self._cluster, self._incarnation, self._epoch = identity
        self._queue = BatchQueue()
        # Held by name, never through the condition, whose `with` can be interrupted between taking the lock and saying so.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._turn: _Turn | None = None
        self._closed = False
        self._poison: BaseException | None = None
        self._witnessed_segment = witnessed.segment
        self.witnessed_lsn = witnessed.lsn
        self.durable_boot_us = 0
        self.frames_written = 0

    @property
    def incarnation(self) -> bytes:
        """The random id of this opening, 16 bytes."""
        return self._incarnation

    @property
    def durable_lsn(self) -> int:
        """LSN of the last record under a completed sync."""
        return self._writer.chain.last_lsn

    @property
    def written_bytes(self) -> int:
        """Bytes of the frames written so far."""
        return self._writer.written_bytes

    @property
    def is_poisoned(self) -> bool:
        """Whether a write or sync failed."""
        return self._poison is not None

    def submit(self, records: Sequence[Record], *, strict: bool, privileged: bool) -> Ticket:
        """Queue `records` for one frame and return at once. Raises `Poisoned`, or `MisuseError`: too large, none, or closed."""
        with self._lock:
            self._refuse_if_unusable()
            return self._queue.add(records, strict=strict, privileged=privileged)

    def wait(self, ticket: Ticket) -> None:
        """Return when the ticket's records are durable and visible, leading the commit if nobody does.

        Raises what happened to its frame: `NoSpace` (nothing changed), `OutcomeUnknown` or `Poisoned`.
        """
        batch = ticket.batch
        while not batch.done:
            self._lead(self._write, lambda: batch.done)
        if batch.error is not None:
            raise batch.error

    def flush(self) -> None:
        """Commit everything that waits now, observations included. Raises what happened to any of it, after all was tried."""
        with self._lock:
            waiting = self._queue.waiting()
        self._lead_until_done(waiting)
        self._lead_observations()
        for batch in waiting:
            if batch.error is not None:
                raise batch.error
        self._refuse_if_unusable()

    def write_witness(self) -> None:
        """Bring the witness up to the durable LSN. Raises `OutcomeUnknown`."""
        self._lead(lambda turn: self._witness_all(), lambda: self._is_unusable)

    def seal(self, *, to_go_on: bool = False) -> int:
        """Close the active segment and witness it, once what waits was written or had no room; returns the LSN it ends at.

        With `to_go_on`, only while a spare stands by: on a full disk the next segment is made of that, and of nothing else.
        Raises `NoSpace` where there is none and nothing was sealed, `Poisoned` or `OutcomeUnknown`.
        """
        sealed_lsn = 0
        refused: list[NoSpace] = []

        def work(turn: _Turn) -> None:
            nonlocal sealed_lsn
            if to_go_on and self._writer.has_active:
                try:
                    self._writer.ensure_spare()
                except NoSpace as error:
                    refused.append(error)
                    return
            # Witness first: a slot that a crash tore is then always one whose journal is longer than it says.
            self._witness_all()
            self._writer.seal()
            sealed_lsn = self.durable_lsn

        with self._lock:
            waiting = self._queue.waiting()
        self._lead_until_done(waiting)
        with suppress(NoSpace):
            self._lead_observations()
        if not self._lead(work, lambda: self._is_unusable).is_over:
            self._refuse_if_unusable()
        if refused:
            raise refused[0]
        return sealed_lsn

    def begin_anew(self, change: Callable[[], None]) -> None:
        """Close the active segment and do `change`, so that what is written after it goes into a new one.

        `change` raises `NoSpace` where it has changed nothing; whatever else it raises poisons. Raises `Poisoned` or `OutcomeUnknown`.
        """

        def work(turn: _Turn) -> None:
            self._witness_all()
            self._writer.seal()
            change()

        with self._lock:
            waiting = self._queue.waiting()
        self._lead_until_done(waiting)
        if not self._lead(work, lambda: self._is_unusable).is_over:
            self._refuse_if_unusable()

    def raise_level(self, format_level: int) -> None:
        """Write at this level from now on. Only from within `begin_anew`."""
        self._writer.raise_level(format_level)

    def close(self) -> None:
        """Let go of the files; who waits still is told that nothing was done."""
        try:
            self._let_go()
        except BaseException:
            # Interrupted: whoever waits must be told all the same.
            self._let_go()
            raise

    def oldest_waiting_boot_us(self) -> int | None:
        """When the oldest queued record was made."""
        with self._lock:
            return self._queue.oldest_boot_us()

    def _let_go(self) -> None:
        with self._lock:
            while self._turn is not None:
                self._changed.wait()
            self._closed = True
            self._give_up_queue(self._was_closed)
            self._changed.notify_all()
            self._writer.abandon()
            self._witness.close()

    def _lead_until_done(self, batches: Sequence[Batch]) -> None:
        # Only those: others come in all the time, and their waiters lead them.
        for batch in batches:
            while not batch.done:
                self._lead(self._write, lambda batch=batch: batch.done)  # type: ignore[misc]  # bound per batch

    def _lead_observations(self) -> None:
        while self._lead(self._write_observations, lambda: self._is_unusable).wrote:
            pass

    def _lead(self, work: Callable[[_Turn], None], is_settled: Callable[[], bool]) -> _Turn:
        """Wait for the turn and do `work` in it, alone and without the lock; nothing, where `is_settled` says so first.

        What happens to it is the batches' to tell; without any it is raised here, and so is an interrupt.
        """
        turn = _Turn()
        try:
            try:
                self._take_turn(turn, is_settled)
                if self._turn is turn:
                    work(turn)
                    turn.is_over = True
            except BaseException as error:  # noqa: BLE001 - an interrupt poisons, too; it is raised again below
                turn.error = error
            finally:
                self._end(turn)
        finally:
            # For an interrupt that struck in the line above, or before it: ending a turn twice is ending it once.
            self._end(turn)
        if turn.error is not None and (turn.failure is None or not isinstance(turn.error, Exception)):
            raise turn.error
        if turn.failure is not None and not turn.load:
            raise turn.failure
        return turn

    def _take_turn(self, turn: _Turn, is_settled: Callable[[], bool]) -> None:
        with self._lock:
            while self._turn is not None and not is_settled():
                self._changed.wait()
            if not is_settled():
                self._turn = turn

    def _end(self, turn: _Turn) -> None:
        """End the turn if it was taken: tell its batches, poison where it did not end well, and wake whoever waits."""
        if self._turn is not turn:
            return
        with self._lock:
            if not turn.is_over:
                self._note_failure(turn)
            for batch in turn.load:
                batch.done = True
            self._changed.notify_all()
            # Last, for until then the turn can be ended again.
            self._turn = None

    def _write_observations(self, turn: _Turn) -> None:
        turn.wrote = self._write_frame([])

    def _write(self, turn: _Turn) -> None:
        with self._lock:
            self._queue.take(turn.load)
        turn.wrote = self._write_frame(turn.load)

    def _write_frame(self, load: list[Batch]) -> bool:
        frame = self._assembly.assemble(load, self._heads)
        if frame is None:
            return False
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

    def _note_failure(self, turn: _Turn) -> None:
        """Find what the batches are told, and whoever leads without any. Done twice, it changes nothing the second time."""
        # An interrupt can strike between the failure and the line that keeps it; then it is on its way to whoever led.
        error = turn.error or sys.exception()
        assert error is not None, "a turn that is not over was ended by an exception"
        if isinstance(error, NoSpace):
            turn.failure = error
        else:
            self._poison = self._poison or error
            self._writer.abandon()
            self._give_up_queue(self._poisoned)
            turn.failure = self._outcome_unknown(error)
        for batch in turn.load:
            batch.error = batch.error or turn.failure

    def _give_up_queue(self, error: Callable[[], StateStoreError]) -> None:
        for batch in self._queue.waiting():
            batch.error, batch.done = batch.error or error(), True
        self._queue.drain()

    @property
    def _is_unusable(self) -> bool:
        return self._closed or self._poison is not None

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
