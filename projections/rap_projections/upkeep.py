"""How the journal of a cluster is kept: incidents that pin its history, what gave way, damage that stands, the last scrub.

Rules this file keeps:

- It is part of the health class's state, and folded there; this file holds the steps and their values.
- An incident is remembered until the history floor has passed it. There may be many: those within an hour are one, and of more than
  32 the oldest two become one that spans both, so that history is kept too long rather than not long enough.
- Damage is remembered by file until a scrub no longer finds it.

Example::

    upkeep = with_incident(Upkeep(), at_us=record.node_us, lsn=record.lsn)
    assert upkeep.incidents[-1].first_us == record.node_us
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.records import Record
from rap_projections.class_state import NOTHING
from rap_projections.upkeep_events import DamageFound, FailClosedEntered, FailClosedLeft, LedgerShortened, ScrubDone, SpaceGaveWay

INCIDENT_JOIN_US = 3600 * 1_000_000
INCIDENTS_MAX = 32
DAMAGE_MAX = 64
"""Incidents this close count as one; so many incidents, and damaged files, are remembered. Part of the folds' meaning."""


class Incident(NamedTuple):
    """One or several incidents: node times of the first and the last, and LSN of the last event of them."""

    first_us: int
    last_us: int
    last_lsn: int


class FailClosed(NamedTuple):
    """Why the cluster fails closed, and node time since when."""

    reason: str
    since_us: int


class GaveWay(NamedTuple):
    """What gave way last in one step: bytes and files, and the node time."""

    byte_count: int
    file_count: int
    at_us: int


class Damage(NamedTuple):
    """Damage to a file; fields as in `DamageFound`, then node time and LSN of the event."""

    offset: int
    reason: str
    class_mask: int
    action: str
    at_us: int
    lsn: int


class Scrub(NamedTuple):
    """The last whole look at everything at rest: files, bytes, files repaired, files that were damaged still, and the node time."""

    file_count: int
    byte_count: int
    repaired_count: int
    damaged_count: int
    at_us: int


class Upkeep(NamedTuple):
    """How the journal is kept.

    Attributes:
        incidents: entering degraded, fail-closed or recovery, oldest first, at most 32.
        fail_closed: why the cluster failed closed when that was last written down; None where it does not.
        gave_way: what gave way for want of space, newest per step.
        ledger_gone_lsn: nothing up to this LSN is told any more.
        damage: damage that stands, by file, at most 64.
        last_scrub: the last scrub; None before the first.
    """

    incidents: tuple[Incident, ...] = ()
    fail_closed: FailClosed | None = None
    gave_way: Mapping[str, GaveWay] = NOTHING
    ledger_gone_lsn: int = 0
    damage: Mapping[str, Damage] = NOTHING
    last_scrub: Scrub | None = None


def with_incident(before: Upkeep, at_us: int, lsn: int) -> Upkeep:
    """`before`, with an incident at this node time."""
    last = before.incidents[-1] if before.incidents else None
    if last is not None and at_us - last.first_us <= INCIDENT_JOIN_US:
        joined = Incident(last.first_us, max(last.last_us, at_us), lsn)
        return before._replace(incidents=(*before.incidents[:-1], joined))
    incidents = (*before.incidents, Incident(at_us, at_us, lsn))
    if len(incidents) > INCIDENTS_MAX:
        first, second = incidents[:2]
        incidents = (Incident(first.first_us, second.last_us, second.last_lsn), *incidents[2:])
    return before._replace(incidents=incidents)


def with_floor(before: Upkeep, floor_lsn: int) -> Upkeep:
    """`before`, with the history floor at `floor_lsn`: incidents it has passed pin nothing any more."""
    return before._replace(incidents=tuple([incident for incident in before.incidents if incident.last_lsn > floor_lsn]))


def fail_closed_entered(before: Upkeep, event: FailClosedEntered, record: Record) -> Upkeep:
    """The step of that event."""
    marked = before._replace(fail_closed=FailClosed(event.reason, record.node_us))
    return with_incident(marked, record.node_us, record.lsn)


def fail_closed_left(before: Upkeep, event: FailClosedLeft, record: Record) -> Upkeep:
    """The step of that event."""
    return before._replace(fail_closed=None)


def space_gave_way(before: Upkeep, event: SpaceGaveWay, record: Record) -> Upkeep:
    """The step of that event."""
    latest = GaveWay(event.byte_count, event.file_count, record.node_us)
    return before._replace(gave_way=MappingProxyType({**before.gave_way, event.step: latest}))


def ledger_shortened(before: Upkeep, event: LedgerShortened, record: Record) -> Upkeep:
    """The step of that event."""
    return before._replace(ledger_gone_lsn=max(before.ledger_gone_lsn, event.last_lsn))


def damage_found(before: Upkeep, event: DamageFound, record: Record) -> Upkeep:
    """The step of that event: what was repaired no longer stands, what does not fit any more is found again by a later scrub."""
    damage = {file: known for file, known in before.damage.items() if file != event.file}
    if event.action != "repaired" and len(damage) < DAMAGE_MAX:
        damage[event.file] = Damage(*event[1:], record.node_us, record.lsn)
    return before._replace(damage=MappingProxyType(damage))


def scrub_done(before: Upkeep, event: ScrubDone, record: Record) -> Upkeep:
    """The step of that event: damage that was not found again no longer stands."""
    scrub = Scrub(event.file_count, event.byte_count, event.repaired_count, len(event.standing), record.node_us)
    damage = {file: known for file, known in before.damage.items() if file in event.standing}
    return before._replace(last_scrub=scrub, damage=MappingProxyType(damage))


STEPS: Mapping[type, Callable[[Upkeep, Any, Record], Upkeep]] = {
    FailClosedEntered: fail_closed_entered,
    FailClosedLeft: fail_closed_left,
    SpaceGaveWay: space_gave_way,
    LedgerShortened: ledger_shortened,
    DamageFound: damage_found,
    ScrubDone: scrub_done,
}
"""The step of each event of upkeep."""
