"""When events of upkeep are written.

Rules this file keeps:

- Pure: state and what was found in, events out.
- What is known already is not told again, however often it is found.

Example::

    events = decide_damage(view.upkeep, [Found("journal/00000003-00000001", 4096, "bad_digest", 0, is_repaired=False)])
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from rap_projections.event_kinds import Event
from rap_projections.health import HealthView
from rap_projections.health_events import QuarantineEvicted
from rap_projections.policy import EffectivePolicy
from rap_projections.retention import HOUR_US
from rap_projections.upkeep import DAMAGE_MAX, Upkeep
from rap_projections.upkeep_events import DamageFound, FailClosedEntered, FailClosedLeft, ScrubDone

SCRUB_FIRST_US = 10 * 60 * 1_000_000
"""How long after an opening the first scrub ever waits: starting comes first."""


class Found(NamedTuple):
    """Damage, as `DamageFound` tells it; `is_repaired` where the file was written again from its second copy."""

    file: str
    offset: int
    reason: str
    class_mask: int
    is_repaired: bool


def decide_damage(upkeep: Upkeep, found: Iterable[Found]) -> tuple[Event, ...]:
    """Tell of the damage that is news. What was repaired is always told: then it happened, and happened again."""
    events = []
    room = DAMAGE_MAX - len(upkeep.damage)
    for each in found:
        if each.is_repaired:
            events.append(DamageFound(*each[:4], "repaired"))
        elif each.file not in upkeep.damage and room > 0:
            events.append(DamageFound(*each[:4], "reported"))
            room -= 1
    return tuple(events)


def decide_scrub_done(*, file_count: int, byte_count: int, repaired_count: int, standing: Collection[str]) -> tuple[Event, ...]:
    """Everything at rest was looked at."""
    return (ScrubDone(file_count, byte_count, repaired_count, tuple(sorted(standing)[:DAMAGE_MAX])),)


def is_scrub_due(upkeep: Upkeep, *, now_us: int, opened_us: int, interval_us: int) -> bool:
    """Whether everything at rest is to be looked at: an interval after the last time, and soon where it never was. 0: never."""
    if interval_us == 0:
        return False
    if upkeep.last_scrub is None:
        return now_us - opened_us >= SCRUB_FIRST_US
    return now_us - upkeep.last_scrub.at_us >= interval_us


def is_checkpoint_due(policy: EffectivePolicy, *, events: int, journal_bytes: int, node_us: int) -> bool:
    """Whether a checkpoint set is due, by what happened since the newest one: events, bytes of journal, microseconds of node time."""
    return events > 0 and (
        events >= policy.checkpoint_interval_events
        or journal_bytes >= policy.checkpoint_interval_bytes
        or node_us >= policy.checkpoint_interval_h * HOUR_US
    )


def decide_fail_closed(upkeep: Upkeep, reason: str | None) -> tuple[Event, ...]:
    """Write down that the cluster fails closed, or no longer does, where that is news."""
    known = upkeep.fail_closed.reason if upkeep.fail_closed is not None else None
    if reason == known:
        return ()
    return (FailClosedEntered(reason),) if reason is not None else (FailClosedLeft(known or ""),)


def decide_quarantine_counted(health: HealthView, entry_count: int, byte_count: int) -> tuple[Event, ...]:
    """Correct what is known of the quarantine where less is there: a recovery made room, or was killed before it could tell."""
    known = health.quarantine
    if entry_count >= known.entry_count and byte_count >= known.byte_count:
        return ()
    return (QuarantineEvicted(max(0, known.entry_count - entry_count), entry_count, byte_count),)
