"""Records as the log shows them: one entry per LSN, with kind and fields by name.

Rules this file keeps:

- A columnar record is as many entries as it has rows, each with its own LSN and its own time.
- Nothing of an event is left out, but for the bytes of documents; what a later release wrote is shown as it stands.
- What the agent keeps for itself (the text of telemetry and hints) is shown where one record is asked for, and not in a log that may
  be sent on: there its length stands in its place.

Entry as an object: `lsn`, `time` (wall clock, RFC 3339, UTC), `class`, `kind`, `kind_number`, `version`, `category`, `actor`,
`trace_id`, `causes` (LSNs) and `fields` (by name; of a row: `peer`, `number`, `rtt_us` or null, `failure` or null, `node_us`).

Example::

    for entry in entries_of(record, names):
        print(entry.lsn, entry.kind_name, entry.fields())
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rap_journal.errors import DamageError
from rap_journal.records import Category, Record
from rap_projections.class_state import unpacked
from rap_projections.columns import unpack
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES, EventKind, kind_numbered
from rap_projections.events import EVENT_MODULES
from rap_projections.hints import HintPut
from rap_projections.peer_observations import FAILED, PeersObserved, failure_reason
from rap_projections.peers import PeersEvicted, PeersExpired
from rap_projections.routes import RouteEnd, RouteResult, RoutesExpired
from rap_projections.telemetry import TelemetryRecorded
from rap_tools.peer_names import PeerNames
from rap_tools.times import rfc3339
from rap_tools.values import plain

assert EVENT_MODULES, "importing them registers every kind"

PAYLOADS: dict[type, str] = {TelemetryRecorded: "text", HintPut: "value"}
"""Fields that hold whatever the agent wanted to keep."""

CLASS_NAMES = {spec.number: spec.name for spec in (*CLUSTER_CLASSES, *AGENT_CLASSES)}


class Row(NamedTuple):
    """One row of observations: the peer, its number, round trip in microseconds or None, why there was none, node time."""

    peer: str
    number: int
    rtt_us: int | None
    failure: str | None
    node_us: int


class Entry(NamedTuple):
    """One event of the log.

    Attributes:
        lsn: its LSN.
        record: the record it stands in.
        kind: what is known of its kind, or None for one of a later release.
        event: the event, with nested values typed; the bare body where the kind is unknown.
        row: the row it is, in a columnar record.
        names: names of peers.
    """

    lsn: int
    record: Record
    kind: EventKind | None
    event: Any
    row: Row | None
    names: PeerNames

    @property
    def kind_name(self) -> str:
        """Name of the kind."""
        return self.kind.name if self.kind else f"kind-{self.record.kind}"

    @property
    def class_name(self) -> str:
        """Name of the state class."""
        return CLASS_NAMES.get(self.record.state_class, f"class-{self.record.state_class}")

    @property
    def category(self) -> str:
        """Name of the category."""
        known = self.record.category in Category.__members__.values()
        return Category(self.record.category).name.lower() if known else f"category-{self.record.category}"

    @property
    def wall_us(self) -> int:
        """Wall clock when it happened: of a row, that of its record less the time the row had waited."""
        return self.record.wall_us - (self.record.node_us - self.row.node_us if self.row else 0)

    def fields(self, *, payloads: bool = True) -> dict[str, Any]:
        """The event's fields by name; without `payloads`, lengths stand in the place of what the agent keeps for itself."""
        if self.row is not None:
            return plain(self.row)  # type: ignore[no-any-return]  # a named tuple becomes an object
        if self.kind is None:
            return {"body": plain(self.event)}
        fields: dict[str, Any] = plain(self.event)
        if isinstance(self.event, PeersExpired | PeersEvicted):
            numbers = unpack("I", self.event.numbers)
            fields["numbers"] = list(numbers)
            fields["peers"] = [self.names.name(number, self.event.numbering_lsn) for number in numbers]
        if isinstance(self.event, RouteResult):
            fields["reason"] = failure_reason(self.event.reason).word if self.event.reason else None
        elif isinstance(self.event, RoutesExpired):
            fields["reason"] = route_end_word(self.event.reason)
        if not payloads and (name := PAYLOADS.get(type(self.event))):
            fields[name] = f"({len(fields[name])} characters)"
        return fields

    def as_object(self, *, payloads: bool = True) -> dict[str, Any]:
        """The entry as `-o json` shows it; `payloads` as in `fields`."""
        record = self.record
        return {
            "lsn": self.lsn,
            "time": rfc3339(self.wall_us),
            "class": self.class_name,
            "kind": self.kind_name,
            "kind_number": record.kind,
            "version": record.version,
            "category": self.category,
            "actor": record.actor,
            "trace_id": record.trace_id,
            "causes": list(record.causes),
            "fields": self.fields(payloads=payloads),
        }


def entries_of(record: Record, names: PeerNames) -> Iterator[Entry]:
    """The entries a record makes, in the order of their LSNs."""
    kind = kind_numbered(record.kind, record.version)
    event = _typed(kind, record) if kind else record.body
    if not isinstance(event, PeersObserved):
        yield Entry(record.lsn, record, kind, event, None, names)
        return
    numbering_lsn = event.numbering_lsn
    for lsn, (number, rtt_us, code, at_us) in enumerate(event.rows(), record.lsn):
        failed = rtt_us == FAILED
        failure = failure_reason(code).word if failed else None
        row = Row(names.name(number, numbering_lsn), number, None if failed else rtt_us, failure, at_us)
        yield Entry(lsn, record, kind, event, row, names)


def route_end_word(number: int) -> str:
    """Why routes ended; a number of a later release as it stands."""
    known = number in RouteEnd.__members__.values()
    return RouteEnd(number).name.lower() if known else f"reason {number}"


def _typed(kind: EventKind, record: Record) -> Any:
    """The event with nested values as the types its fields say, where they fit."""
    try:
        return unpacked(kind.type, record.body)
    except DamageError:
        return kind.type._make(record.body)
