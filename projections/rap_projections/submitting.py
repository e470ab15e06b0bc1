"""From decided events to queued records: which of them ride in one frame, and which may use the space reserve.

Rules this file keeps:

- Strict events are in frames of their own; the other events of a command are in one frame, as far as strict ones in between allow.
- What cannot be written down is refused before anything is queued, so that a caller's mistake never costs the writer.
- Caches and refusals never take the space reserve (trust, 12).
- An event is written at a format level that the release before can read, or not at all.

Example::

    submitter = Submitter(journal, classes, boot_id, "eu-west-1")
    tickets, must_wait = submitter.submit(events, now, origin, may_use_reserve=True)
"""

from collections.abc import Sequence

from rap_journal.batches import Ticket, weigh
from rap_journal.errors import MisuseError
from rap_journal.journal import Journal
from rap_journal.records import Category, Record
from rap_journal.values import Durability
from rap_projections.event_kinds import Event, kind_of
from rap_projections.event_shapes import require_shape
from rap_projections.folding import ClassFolds
from rap_projections.node_time import Now
from rap_projections.peer_observations import PeersObserved
from rap_projections.receipts import Origin

DEFAULT_ACTOR = "agent"


class Submitter:
    """Queues what a command decided, for one journal as long as it is open. The caller holds the lock of the state."""

    def __init__(self, journal: Journal, classes: Sequence[ClassFolds], boot_id: bytes, name: str) -> None:
        self._journal = journal
        self._class_durability = {folds.spec.number: folds.spec.durability for folds in classes}
        self._boot_id = boot_id
        self._name = name

    def submit(self, events: Sequence[Event], now: Now, origin: Origin, *, may_use_reserve: bool) -> tuple[list[Ticket], bool]:
        """Queue events in order, strict ones in frames of their own. Returns the tickets and whether the caller must wait."""
        if len(events) == 1:
            return self._submit_one(events[0], now, origin, may_use_reserve=may_use_reserve)
        # Whatever cannot be written down is refused before the first is queued.
        for event in events:
            weigh(event)
        levels = [self._durability(event) for event in events]
        records = [self.record(event, now, origin) for event in events]
        if max(levels) is Durability.CACHE:
            # Each means something by itself, and all together may be more than a frame holds.
            return [self._journal.submit([record], strict=False, privileged=False) for record in records], False
        tickets: list[Ticket] = []
        start = 0
        for end in range(1, len(events) + 1):
            strict = levels[start] is Durability.STRICT
            if end == len(events) or (levels[end] is Durability.STRICT) is not strict:
                # What was refused is worth recording, but never the space reserve (trust, 12).
                needed = [levels[index] for index in range(start, end) if records[index].category != Category.REFUSAL]
                privileged = may_use_reserve and max(needed, default=Durability.CACHE) is not Durability.CACHE
                tickets.append(self._journal.submit(records[start:end], strict=strict, privileged=privileged))
                start = end
        return tickets, True

    def record(self, event: Event, now: Now, origin: Origin) -> Record:
        """The record of one event, without its LSN. Raises `MisuseError` for what cannot be written down."""
        require_shape(event)
        kind = kind_of(event)
        if kind.level > 1 and kind.level > self._journal.format_level:
            raise MisuseError(
                f"{kind.name} came with format level {kind.level}, and {self._name} is written at level {self._journal.format_level}; "
                "nothing was done. Call commit_format() once the update has proved itself.",
                cluster=self._name,
                reason="format_level",
            )
        number = kind.state_class.number if kind.state_class is not None else event[0]
        rows = event.row_count if isinstance(event, PeersObserved) else 1
        return Record(
            0, kind.number, kind.version, kind.category, number, rows, now.wall_us, now.boot_us, now.node_us, self._boot_id,
            origin.causes, origin.trace_id, origin.actor or DEFAULT_ACTOR, None, event,
        )  # fmt: skip

    def _submit_one(self, event: Event, now: Now, origin: Origin, *, may_use_reserve: bool) -> tuple[list[Ticket], bool]:
        record, level = self.record(event, now, origin), self._durability(event)
        privileged = may_use_reserve and level is not Durability.CACHE and record.category != Category.REFUSAL
        ticket = self._journal.submit((record,), strict=level is Durability.STRICT, privileged=privileged)
        return [ticket], level is not Durability.CACHE

    def _durability(self, event: Event) -> Durability:
        """The kind's durability; an event that any class may carry takes that of the class."""
        kind = kind_of(event)
        return kind.durability if kind.state_class is not None else self._class_durability[event[0]]
