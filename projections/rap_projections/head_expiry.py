"""Degraded mode while the head that the bundle demands has ended: nothing says any more that what is in force is current (trust, 6).

Rules this file keeps:

- Only a cluster that has something in force is degraded by it; what is in force stays readable.
- It ends with the next head, or with a bundle that demands none, and by no call.

Example::

    context.execute("health", lambda now: decide_head_expiry(context, now))
"""

from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, Event
from rap_projections.health import HEAD_EXPIRED, HealthView
from rap_projections.health_decisions import decide_enter_degraded
from rap_projections.health_events import DegradedLeft
from rap_projections.node_time import Now


def decide_head_expiry(context: ClusterContext, now: Now) -> tuple[Event, ...]:
    """Enter degraded mode where the head has ended, and leave it where one counts again, or none is demanded."""
    health: HealthView = context.state.view(HEALTH)
    if _end_s(context, now.trusted_s) <= now.trusted_s:
        return decide_enter_degraded(health, HEAD_EXPIRED, safe_until_us=None, now=now, policy=context.policy)
    return (DegradedLeft(HEAD_EXPIRED),) if HEAD_EXPIRED in health.degraded else ()


def next_deadline(context: ClusterContext, now: Now) -> int | None:
    """Node time, in microseconds, at which the head ends if trusted time only goes on; None where none is demanded, or it has ended."""
    end_s = _end_s(context, now.trusted_s)
    is_told = HEAD_EXPIRED in context.state.view(HEALTH).degraded
    return None if end_s == _NEVER_S or is_told else now.node_us + max(0, end_s - now.trusted_s) * 1_000_000


_NEVER_S = 2**63
"""Where no head is demanded, or there is nothing that one would have to list."""


def _end_s(context: ClusterContext, trusted_s: int) -> int:
    """When the head in use ends, in seconds since 1970: now, where one is demanded and none counts."""
    has_documents = any(scope.active is not None for scope in context.state.view(SNAPSHOTS).scopes.values())
    if not context.demands_head or not has_documents:
        return _NEVER_S
    return context.head.head.expires_at_s if context.head is not None else trusted_s
