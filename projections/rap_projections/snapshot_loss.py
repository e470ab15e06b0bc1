"""Degraded mode while a signed document is lost: entered when it is, left when every scope has one again (spec 8, steps 4 to 6).

Rules this file keeps:

- Pure: views in, events out.
- Only damage counts. A document that was revoked, or that a previous one stands in for, is told by its scope.
- It is entered ahead of the event that gives the document up, so that no crash leaves a loss that status does not tell.

Example::

    events = (*decide_snapshot_lost(health, now, policy), SnapshotWithdrawn(...))
"""

from rap_projections.event_kinds import Event
from rap_projections.health import SNAPSHOT_LOST, HealthView
from rap_projections.health_decisions import decide_enter_degraded
from rap_projections.health_events import DegradedLeft
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.snapshots import NO_FLOOR, SnapshotsView

DAMAGED = "damaged"
"""Why a document is given up whose bytes are gone or are not those that were kept."""


def lost_scopes(snapshots: SnapshotsView) -> tuple[str, ...]:
    """Scopes that once had a document, and have none because of damage; after a reset of the class, whatever the reason was."""
    return tuple(
        name
        for name, scope in sorted(snapshots.scopes.items())
        if scope.active is None and scope.floor.version > NO_FLOOR.version and scope.withdrawn_reason in ("", DAMAGED)
    )


def decide_snapshot_lost(health: HealthView, now: Now, policy: EffectivePolicy) -> tuple[Event, ...]:
    """Enter degraded mode because a document is about to be given up as lost."""
    return decide_enter_degraded(health, SNAPSHOT_LOST, safe_until_us=None, now=now, policy=policy)


def decide_snapshots_back(health: HealthView, snapshots: SnapshotsView) -> tuple[Event, ...]:
    """Leave degraded mode once no scope lacks a document that it had."""
    is_over = SNAPSHOT_LOST in health.degraded and not lost_scopes(snapshots)
    return (DegradedLeft(SNAPSHOT_LOST),) if is_over else ()
