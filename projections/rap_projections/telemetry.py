"""The telemetry class (kinds 90 to 99): records that wait to be sent, and hints.

Rules this file keeps:

- The buffer is bounded in bytes. The oldest records give way to new ones, and how many did is counted and shown.
- Records have a sequence of their own, dense from 1. Whoever sends them acknowledges up to a sequence; until then they are handed
  out again: at least once.
- Telemetry is never authority and may be lost as a whole without harm.

Example::

    events = decide_record(state, "probe", '{"relay":"node-17"}', policy)
    ...
    batch = drain(state, bytes_max=64_000)
    send(batch)
    events = decide_acknowledge(state, batch[-1].sequence)
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.errors import DamageError, MisuseError
from rap_journal.records import Category, Record
from rap_projections import hints
from rap_projections.arguments import require
from rap_projections.columns import pack, unpack
from rap_projections.documents import Documents
from rap_projections.event_kinds import TELEMETRY, Event, event_kind
from rap_projections.hints import Hint, HintPut, HintsEvicted, HintsExpired
from rap_projections.lifecycle import ClassReset
from rap_projections.node_time import Now
from rap_projections.policy import Policy

TOPIC_LENGTH_MAX = 128
"""Characters of a topic."""

TEXT_LENGTH_MAX = 4096
"""Characters of a record's text."""

RECORD_OVERHEAD_BYTES = 64
"""Counted for a record beside its topic and text, so that many empty records are bounded too."""


@event_kind(90, state_class=TELEMETRY, category=Category.OBSERVATION, sensitivity="text, text, open")
class TelemetryRecorded(NamedTuple):
    """A record waits to be sent, with the record's node time.

    Attributes:
        topic: what it is about, 1 to 128 characters.
        text: what it says, at most 4096 characters.
        bytes_max: bytes that may wait; the oldest records give way and are counted.
    """

    topic: str
    text: str
    bytes_max: int


@event_kind(91, state_class=TELEMETRY, category=Category.DECISION, sensitivity="open")
class TelemetryAcknowledged(NamedTuple):
    """Records up to and with the sequence `through` were taken over by whoever sends them."""

    through: int


@event_kind(92, state_class=TELEMETRY, category=Category.EVICTION, sensitivity="open, open")
class TelemetryDropped(NamedTuple):
    """Records up to and with the sequence `through` give way, because only `bytes_max` bytes may wait."""

    through: int
    bytes_max: int


class TelemetryRecord(NamedTuple):
    """A record that waits.

    Attributes:
        sequence: its number, dense from 1.
        at_us: node time when it was recorded, microseconds.
        topic: what it is about.
        text: what it says.
        lsn: LSN of the record that brought it.
    """

    sequence: int
    at_us: int
    topic: str
    text: str
    lsn: int

    @property
    def size(self) -> int:
        """Bytes it counts for."""
        return len(self.topic.encode()) + len(self.text.encode()) + RECORD_OVERHEAD_BYTES


class TelemetryState:
    """The telemetry class.

    Attributes:
        waiting: records that wait, oldest first; their sequences are dense.
        waiting_bytes: bytes they count for; derived.
        last_sequence: sequence of the newest record ever taken; 0 for none.
        dropped: records that gave way without being acknowledged.
        changed_lsn: LSN of the record that last changed the buffer.
        hints: hints by key.
    """

    __slots__ = ("waiting", "waiting_bytes", "last_sequence", "dropped", "changed_lsn", "hints")

    def __init__(self) -> None:
        """Nothing waits."""
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.waiting: deque[TelemetryRecord] = deque()
        self.waiting_bytes = 0
        self.last_sequence = 0
        self.dropped = 0
        self.changed_lsn = 0
        self.hints: hints.Hints = {}

    def drop_oldest(self) -> None:
        """Take the oldest record out of the buffer."""
        self.waiting_bytes -= self.waiting.popleft().size


class TelemetryView(NamedTuple):
    """The telemetry class at one moment.

    Attributes:
        waiting_count: records that wait.
        waiting_bytes: bytes they count for.
        first_sequence: sequence of the oldest, or of the next one to come.
        last_sequence: sequence of the newest record ever taken; 0 for none.
        dropped: records that gave way without being acknowledged.
        records: the records that wait, oldest first.
        hints: hints by key, expired ones included until they are cleaned up.
        provenance: LSN that last changed each field, by name of the field; hints carry their own.
    """

    waiting_count: int
    waiting_bytes: int
    first_sequence: int
    last_sequence: int
    dropped: int
    records: tuple[TelemetryRecord, ...]
    hints: Mapping[str, Hint]
    provenance: Mapping[str, int]


def empty() -> TelemetryState:
    """Nothing waits."""
    return TelemetryState()


def view(state: TelemetryState) -> TelemetryView:
    """The state as it is now, immutable."""
    buffer = ("waiting_count", "waiting_bytes", "first_sequence", "last_sequence", "dropped", "records")
    return TelemetryView(
        len(state.waiting), state.waiting_bytes, _first_sequence(state), state.last_sequence, state.dropped, tuple(state.waiting),
        MappingProxyType(dict(state.hints)), MappingProxyType(dict.fromkeys(buffer, state.changed_lsn)),
    )  # fmt: skip


def drain(state: TelemetryState, *, count_max: int = 1000, bytes_max: int = 1 << 20) -> tuple[TelemetryRecord, ...]:
    """The oldest records that wait, at most so many and so many bytes, but at least one where any wait. They wait on.

    Raises `MisuseError` for what is no number of records or bytes.
    """
    require("count_max", count_max, int)
    require("bytes_max", bytes_max, int)
    taken: list[TelemetryRecord] = []
    size = 0
    for record in islice(state.waiting, min(max(0, count_max), len(state.waiting))):
        size += record.size
        if taken and size > bytes_max:
            break
        taken.append(record)
    return tuple(taken)


def decide_record(state: TelemetryState, topic: str, text: str, policy: Policy) -> tuple[Event, ...]:
    """Let a record wait to be sent.

    Raises `MisuseError` for a topic that is not 1 to 128 printable characters, a text of more than 4096 characters, and a record
    that alone is larger than the buffer the policy allows.
    """
    if not hints.is_name(topic, TOPIC_LENGTH_MAX):
        raise _misuse(f"a topic is text of 1 to {TOPIC_LENGTH_MAX} printable characters", "telemetry_topic")
    if not hints.is_text(text, TEXT_LENGTH_MAX):
        raise _misuse(f"a telemetry record is text of at most {TEXT_LENGTH_MAX} characters that UTF-8 can hold", "telemetry_text")
    size = TelemetryRecord(0, 0, topic, text, 0).size
    if size > policy.telemetry_bytes_max:
        raise _misuse(
            f"a telemetry record counts for {size} bytes; the policy allows {policy.telemetry_bytes_max}", "telemetry_size"
        )
    return (TelemetryRecorded(topic, text, policy.telemetry_bytes_max),)


def decide_acknowledge(state: TelemetryState, through: int) -> tuple[Event, ...]:
    """Let the records up to and with the sequence `through` go; nothing where they are gone already.

    Raises `MisuseError` for a sequence that no record has had.
    """
    require("through", through, int)
    if not 0 <= through <= state.last_sequence:
        raise _misuse(f"there is no telemetry record {through}; the newest is {state.last_sequence}", "telemetry_sequence")
    return (TelemetryAcknowledged(through),) if through >= _first_sequence(state) else ()


def decide_eviction(state: TelemetryState, policy: Policy) -> tuple[Event, ...]:
    """Drop the oldest records, and the hints that expire first, where there are more than the policy allows."""
    excess, through = state.waiting_bytes - policy.telemetry_bytes_max, 0
    for record in state.waiting:
        if excess <= 0:
            break
        excess -= record.size
        through = record.sequence
    dropped = (TelemetryDropped(through, policy.telemetry_bytes_max),) if through else ()
    return (*dropped, *hints.decide_eviction(state.hints, policy))


def decide_expiry(state: TelemetryState, now: Now) -> tuple[Event, ...]:
    """Forget the hints that have expired."""
    return hints.decide_expiry(state.hints, now)


def next_deadline(state: TelemetryState) -> int | None:
    """Node time at which the first hint expires, in microseconds; None without hints."""
    return hints.next_deadline(state.hints)


def to_value(state: TelemetryState) -> tuple[Any, ...]:
    """The whole state as arrays and packed columns."""
    waiting = state.waiting
    return (
        state.last_sequence, state.dropped, state.changed_lsn,
        pack("Q", [record.at_us for record in waiting]),
        tuple([record.topic for record in waiting]),
        tuple([record.text for record in waiting]),
        pack("Q", [record.lsn for record in waiting]),
        hints.hints_value(state.hints),
    )  # fmt: skip


def from_value(value: Any) -> TelemetryState:
    """The inverse of `to_value`. Raises `DamageError` for a value of another shape."""
    state = TelemetryState()
    try:
        state.last_sequence, state.dropped, state.changed_lsn, times, topics, texts, lsns, kept = value
        first = state.last_sequence - len(topics) + 1
        rows: Iterable[Any] = zip(
            range(first, first + len(topics)), unpack("Q", times), topics, texts, unpack("Q", lsns), strict=True
        )
        state.waiting = deque([TelemetryRecord(*row) for row in rows])
        state.waiting_bytes = sum([record.size for record in state.waiting])
        state.hints = hints.hints_from(kept)
    except (TypeError, ValueError, AttributeError) as error:
        raise DamageError(
            "a checkpoint does not hold the telemetry class; nothing was taken from it. Recovery goes on with an older one.",
            state_class=TELEMETRY.name,
            reason="checkpoint_shape",
        ) from error
    return state


def _fold_recorded(state: TelemetryState, event: TelemetryRecorded, record: Record, documents: Documents) -> None:
    state.last_sequence += 1
    entry = TelemetryRecord(state.last_sequence, record.node_us, event.topic, event.text, record.lsn)
    state.waiting.append(entry)
    state.waiting_bytes += entry.size
    while state.waiting_bytes > event.bytes_max:
        state.drop_oldest()
        state.dropped += 1
    state.changed_lsn = record.lsn


def _fold_acknowledged(state: TelemetryState, event: TelemetryAcknowledged, record: Record, documents: Documents) -> None:
    while state.waiting and state.waiting[0].sequence <= event.through:
        state.drop_oldest()
    state.changed_lsn = record.lsn


def _fold_dropped(state: TelemetryState, event: TelemetryDropped, record: Record, documents: Documents) -> None:
    while state.waiting and state.waiting[0].sequence <= event.through:
        state.drop_oldest()
        state.dropped += 1
    state.changed_lsn = record.lsn


def _fold_reset(state: TelemetryState, event: ClassReset, record: Record, documents: Documents) -> None:
    state.clear()


FOLDS: dict[type, Callable[[TelemetryState, Any, Record, Documents], None]] = {
    TelemetryRecorded: _fold_recorded,
    TelemetryAcknowledged: _fold_acknowledged,
    TelemetryDropped: _fold_dropped,
    HintPut: lambda state, event, record, documents: hints.fold_put(state.hints, event, record),
    HintsExpired: lambda state, event, record, documents: hints.fold_expired(state.hints, event, record),
    HintsEvicted: lambda state, event, record, documents: hints.fold_evicted(state.hints, event, record),
    ClassReset: _fold_reset,
}
"""How each event changes the state. Frozen per kind and version."""


def _first_sequence(state: TelemetryState) -> int:
    return state.last_sequence - len(state.waiting) + 1


def _misuse(rule: str, reason: str) -> MisuseError:
    return MisuseError(f"{rule}; nothing was kept.", state_class=TELEMETRY.name, reason=reason)
