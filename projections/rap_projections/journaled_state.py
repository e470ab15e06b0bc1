"""One journal and the state folded from it: where a command is decided, written, and becomes visible.

Rules this file keeps:

- A command decides on durable state, under the lock; what it decides is visible once its frame is synced.
- A command whose subject already has an event waiting for its frame waits for that frame first; observations are free of conflict.
- What is queued for its frame is bounded: whoever fills a frame commits the one before it.
- Disk first, memory second, notification third: `rap_journal.committer` calls back here in that order.
- After a failed write nothing is decided any more until it was opened again; after closing, nothing at all.

Example::

    state = JournaledState(directory, setup, machine, CLUSTER_FOLDS, name="eu-west-1")
    state.open()
    receipt = state.execute("health", lambda now: decide_enter(...))
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from rap_journal.batches import Ticket
from rap_journal.clock import Clock, Instant
from rap_journal.errors import MisuseError, NoSpace, Poisoned
from rap_journal.filesystem import Directory
from rap_journal.format_levels import FormatLevels
from rap_journal.journal import Journal
from rap_journal.records import Record
from rap_journal.sealed_store import finish_wipes, load_document, store_document, wipe_document
from rap_journal.sealing import Purpose
from rap_journal.space import disk_errors_mean
from rap_journal.unlocking import Setup, Unlocked, unlock
from rap_journal.values import ClassSpec
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import SNAPSHOTS, Event, kind_of_type
from rap_projections.folding import ClassFolds, FoldedState
from rap_projections.lifecycle import ClassReset
from rap_projections.node_time import NodeTime, Now
from rap_projections.own_history import OwnHistory
from rap_projections.peer_observations import Noted
from rap_projections.receipts import UNCHANGED, Context, Origin, Receipt, origin_of
from rap_projections.riding import RidingObservations
from rap_projections.submitting import Submitter
from rap_projections.subscriptions import Subscriptions

Decide = Callable[[Now], Sequence[Event]]

NO_SPACE_PAUSE_US = 1_000_000
"""On a full disk, observations that wait are tried again after this time."""


class Machine(NamedTuple):
    """What the store uses of the world outside.

    Attributes:
        clock: wall and boot time.
        wake: called when something waits for time to pass, so that the housekeeper looks.
        wake_upkeep: called when something is due that takes long, such as a checkpoint.
        build: version of the code that decides.
    """

    clock: Clock
    wake: Callable[[], None]
    wake_upkeep: Callable[[], None]
    build: str


class JournaledState:
    """A journal with its folded state. Thread-safe."""

    def __init__(
        self, directory: Callable[[], Directory], setup: Setup, machine: Machine, classes: Sequence[ClassFolds], name: str
    ) -> None:
        self._directory = directory
        self._setup = setup
        self._classes = classes
        self.boot_id = machine.clock.boot_id()
        self._subjects: dict[str, Ticket] = {}
        self._newest: Ticket | None = None
        self._riding = RidingObservations(self._ride)
        self._pause_until_us = 0
        self._shut = "closed"
        self.machine = machine
        self.name = name
        self.lock = threading.RLock()
        self.subscriptions = Subscriptions()
        self.floors_of: Callable[[FoldedState], Any] = lambda state: None
        self.trusted_s: Callable[[FoldedState, Instant], int] = lambda state, instant: 0
        self.on_committed: Callable[[Sequence[Record]], None] = lambda records: None
        self.shelf: DocumentShelf
        self.state: FoldedState
        self.journal: Journal
        self._submitter: Submitter
        self._unlocked: Unlocked
        self.resets_seen: set[tuple[int, int, int]]
        self.stored_here: set[bytes]

    def open(self) -> None:
        """Recover the journal and fold its state. Raises what `Journal.open` raises."""
        with self.lock:
            self.shelf = DocumentShelf(self, lambda: self.state.view(SNAPSHOTS))
            self.state = FoldedState(self._classes, self.shelf)
            self.resets_seen = set()
            self.stored_here = set()
            self._subjects.clear()
            self._newest = None
            self._riding.forget()
            self._unlocked = unlock(self._directory(), self._setup)
            self.journal = Journal.recover(self._unlocked, self._setup, self)
            self._submitter = Submitter(self.journal, self._classes, self.boot_id, self.name)
            # Behind a checkpoint there may be nothing to replay, and checkpoints of classes do not move the whole state's LSN.
            self.state.lsn = max(self.state.lsn, self.journal.folded_lsn)
            self.state.node_us = max(self.state.node_us, self.journal.node_us)
            self._node_time = NodeTime.resume(self.state.node_us, self.machine.clock.now())
            self._pause_until_us = 0
            self._shut = ""

    def close(self, *, to_reopen: bool = False) -> None:
        """Commit what waits and let go of the files. From now on commands are refused: for good, or until `open` where `to_reopen`.

        Raises `MisuseError` when it is to be opened again and was closed for good; whatever committing raises, it is closed then too.
        """
        with self.lock:
            if to_reopen and self._shut == "closed":
                raise self._closed()
            was_open, self._shut = not self._shut, "reopening" if to_reopen else "closed"
        # Where an opening failed, there is nothing to close before the next one.
        if was_open:
            self.journal.close()

    def require_open(self) -> None:
        """Raise `MisuseError` after closing, `Poisoned` while it is being opened again."""
        if self._shut == "closed":
            raise self._closed()
        if self._shut:
            raise Poisoned(
                f"{self.name} is being opened again after a failed write; nothing was done. Repeat the call when reopen() has returned.",
                cluster=self.name,
                reason="reopening",
            )

    @property
    def levels(self) -> FormatLevels:
        """The format levels of this release."""
        return self._setup.levels

    @property
    def classes(self) -> Sequence[ClassFolds]:
        """The folds of its classes."""
        return self._classes

    @property
    def is_open(self) -> bool:
        """Whether commands are taken."""
        return not self._shut

    def ride_along(self, drain: Callable[[], Sequence[Noted]], oldest_us: Callable[[], int | None]) -> None:
        """Let the observations that `drain` gives ride in the next frame that is not strict; `oldest_us`: node time of the first."""
        self._riding.draw_from(drain, oldest_us)

    def now(self) -> Now:
        """The one reference time of a call."""
        instant = self.machine.clock.now()
        return Now(self._node_time.at(instant), instant.wall_us, instant.boot_us, self.trusted_s(self.state, instant))

    def node_us(self) -> int:
        """Node time now, microseconds."""
        return self._node_time.at(self.machine.clock.now())

    def execute(
        self,
        subject: str | None,
        decide: Decide,
        context: Context | None = None,
        *,
        durable: bool = False,
        may_use_reserve: bool = True,
    ) -> Receipt:
        """Decide on durable state and write what follows.

        Args:
            subject: commands of one subject see each other's outcome; None for what is free of conflict with everything.
            decide: pure; raises what it refuses, and then nothing was written.
            context: cause, actor and trace id of the call.
            durable: wait also for classes that are batched.
            may_use_reserve: whether strict and sync classes may take the space reserve; not for what somebody may ask for at will.

        Raises what `decide` raises; `MisuseError` for what cannot be written down, and after closing; `NoSpace`, `OutcomeUnknown`,
        `Poisoned`, `FailClosed`.
        """
        origin = origin_of(context or {}, self.name)
        while True:
            with self.lock:
                self.require_open()
                self._check_causes(origin)
                waiting = self._subjects.get(subject) if subject is not None else None
                if waiting is None or waiting.batch.done:
                    now = self.now()
                    events = decide(now)
                    if not events:
                        return UNCHANGED
                    tickets, must_wait = self._submitter.submit(events, now, origin, may_use_reserve=may_use_reserve)
                    if subject is not None:
                        self._subjects[subject] = tickets[-1]
                    full = self._note_queued(tickets[-1])
                    break
            self.journal.wait(waiting)
        if not (durable or must_wait):
            self.machine.wake()
            if full is not None:
                # Having no room for what others queued is not this caller's affair.
                with suppress(NoSpace):
                    self.journal.wait(full)
            return Receipt(None, False, True)
        for ticket in tickets:
            self.journal.wait(ticket)
        return Receipt(tickets[-1].last_lsn, True, True)

    def origin(self, context: Context) -> Origin:
        """The checked origin of a call: observations ride along with it, others ask before they do anything that costs.

        Raises `MisuseError` for a bad one, and after closing; `Poisoned`.
        """
        self.require_open()
        origin = origin_of(context, self.name)
        self._check_causes(origin)
        return origin

    def flush(self) -> Receipt:
        """Commit everything that waits. Raises `MisuseError` after closing; `NoSpace`, `OutcomeUnknown`, `Poisoned`, `FailClosed`."""
        with self.lock:
            self.require_open()
        before_lsn = self.journal.durable_lsn
        self.journal.flush()
        lsn = self.journal.durable_lsn
        return Receipt(lsn, True, True) if lsn > before_lsn else UNCHANGED

    def history_after(self, lsn: int) -> Iterator[Record]:
        """Every durable record after `lsn`, read from the journal beside the writer. Raises `HistoryGone`, `CursorDiverged`, `OSError`."""
        return self._history().after(lsn)

    def require_history(self, lsn: int) -> None:
        """Raise `HistoryGone` or `CursorDiverged` where the events right behind `lsn` cannot be told."""
        self._history().require(lsn)

    def tick(self) -> None:
        """Do what time asks for. Having no space is not an error here: what waits goes on waiting, and is tried again after a while."""
        if self._shut:
            return
        instant = self.machine.clock.now()
        try:
            if self._has_waited_long(instant):
                self.journal.flush()
            self.journal.tick(instant.boot_us)
        except NoSpace:
            self._pause_until_us = instant.boot_us + NO_SPACE_PAUSE_US

    def digest(self) -> str:
        """SHA-256, in hex, of the whole visible state."""
        with self.lock:
            return self.state.digest()

    def random_bytes(self, count: int) -> bytes:
        """Random bytes, from the door they came in by."""
        return self._setup.randomness(count)

    def store(self, spec: ClassSpec, content: bytes, *, purpose: Purpose = Purpose.DOCUMENT, again: bytes | None = None) -> bytes:
        """Keep a document, sealed and synced; returns its file id. Raises `NoSpace`, `StorageError`, and `MisuseError` after closing.

        `again`: the file id of a document whose file is missing or damaged, and is replaced.
        """
        self.require_open()
        self.journal.require_writable()
        folders, keys = self._unlocked.folders, self._unlocked.keys
        with disk_errors_mean(self.name, f"{spec.name} document"):
            file_id = store_document(
                folders, spec, content, journal_id=keys.marker.journal_id, keys=keys.ring, randomness=self._setup.randomness,
                purpose=purpose, again=again,
            )  # fmt: skip
        self.stored_here.add(file_id)
        return file_id

    def load(self, spec: ClassSpec, file_id: bytes, *, purpose: Purpose = Purpose.DOCUMENT) -> bytes:
        """The content of a kept document. Raises `FileNotFoundError`, `DamageError`, `SealBroken`."""
        folders, keys = self._unlocked.folders, self._unlocked.keys
        return load_document(folders, spec, file_id, journal_id=keys.marker.journal_id, keys=keys.ring, purpose=purpose)

    def finish_wipes(self, spec: ClassSpec) -> int:
        """Do again the wipes that a crash or an error cut short; returns how many there were. Raises `OSError`."""
        return finish_wipes(self._unlocked.folders, spec)

    def wipe(self, spec: ClassSpec, file_id: bytes) -> None:
        """Overwrite a document and remove it, both durably. Raises `FileNotFoundError`, `OSError`."""
        wipe_document(self._unlocked.folders, spec, file_id)

    def secret(self, purpose: Purpose, salt: bytes) -> bytes:
        """32 secret bytes that this journal's data key gives for a use other than sealing."""
        return self._unlocked.keys.ring.secret(purpose, salt)

    # What the committer calls, from whichever thread leads.

    def restore(self, state_class: int, value: Any) -> None:
        """Take a checkpoint's value of one class."""
        self.state.restore(state_class, value)

    def apply(self, records: Sequence[Record]) -> None:
        """Fold durable records: from here on they are visible.

        While opening, a class that breaks is left for the owner to reset; later on it is an error.
        """
        with self.lock:
            self.shelf.note(records)
            for record in records:
                if record.kind == _CLASS_RESET:
                    self.resets_seen.add(tuple(record.body[:3]))
            known = set(self.state.broken)
            self.state.apply(records)
            if not self._shut and not self.state.broken.keys() <= known:
                self.state.require_whole()

    def floors(self) -> Any:
        """What the witness keeps of the floors."""
        with self.lock:
            return self.floors_of(self.state)

    def waiting(self, rows_max: int) -> Sequence[Record]:
        """Observations that ride along in the frame about to be written."""
        return self._riding.take(rows_max)

    def give_back(self, records: Sequence[Record]) -> None:
        """Take back what found no room."""
        self._riding.give_back(records)

    def committed(self, records: Sequence[Record]) -> None:
        """Tell the subscribers, and the housekeeper: the witness is to follow once the journal is idle."""
        self.on_committed(records)
        self.subscriptions.offer(records)
        self.machine.wake()

    @property
    def is_waiting(self) -> bool:
        """Whether observations found no room yet."""
        return self._riding.is_waiting

    def _history(self) -> OwnHistory:
        return OwnHistory(self._directory, self._setup, self.journal, self.name)

    def _ride(self, drained: Sequence[Noted]) -> list[Record]:
        now = self.now()
        return [self._submitter.record(noted.event, now, noted.origin) for noted in drained]

    def _note_queued(self, ticket: Ticket) -> Ticket | None:
        """Remember the newest batch; returns a ticket of the one before it, which is full, if that was not written yet."""
        before, self._newest = self._newest, ticket
        is_full = before is not None and before.batch is not ticket.batch and not before.batch.done
        return before if is_full else None

    def _has_waited_long(self, instant: Instant) -> bool:
        """Whether the oldest observation has waited as long as a batch may."""
        if instant.boot_us < self._pause_until_us:
            return False
        oldest_us = self._riding.oldest_us
        return oldest_us is not None and self._node_time.at(instant) - oldest_us >= self._setup.batch_delay_ms * 1000

    def _closed(self) -> MisuseError:
        return MisuseError(
            f"{self.name} is closed, or was left; nothing was done. Open the store again, or join it.",
            cluster=self.name,
            reason="closed",
        )

    def _check_causes(self, origin: Origin) -> None:
        if origin.causes and max(origin.causes) > self.journal.durable_lsn:
            raise MisuseError(
                f"a cause is LSN {max(origin.causes)}, and the last record of {self.name} is LSN {self.journal.durable_lsn}; nothing was done.",
                cluster=self.name,
                reason="bad_cause",
            )


_CLASS_RESET = kind_of_type(ClassReset).number
