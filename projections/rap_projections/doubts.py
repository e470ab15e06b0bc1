"""Doubts about a cluster's state that come from outside its own folder, and heeding them (trust, 15).

Rules this file keeps:

- A cluster in doubt is marked as restored and not validated: reads work, high-risk work waits for a ticket (`restore_calls`).
- Marking it and raising its floors to what is known are one frame: killed in between, it is in doubt again at the next opening.
- A state that waits for a ticket already keeps its nonce: one ticket answers all doubts that came before it.
- What fails closed is left alone. It is asked about again when it was reset, which opens it anew.

Example::

    heed(context, doubts)
"""

from typing import NamedTuple, Protocol

from rap_projections.backup_source import known_floors
from rap_projections.cluster_building import NONCE_BYTES, decide_floors
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH, TRUST, Event
from rap_projections.health_events import UptimeDebited
from rap_projections.known_floors import KnownFloors
from rap_projections.node_time import Now
from rap_projections.trust import RestoreState, TrustView
from rap_projections.trust_decisions import decide_restore_marked

ROLLBACK = "rollback"
"""Why such a state is not validated, as the request for a ticket says it."""


class Doubt(NamedTuple):
    """A cluster's state is older than what was accepted here before. `floors`: the highest that are known of it."""

    floors: KnownFloors


class Doubts(Protocol):
    """Who knows of doubts."""

    @property
    def anchor_state(self) -> str:
        """What the anchor's answer means, as status tells it."""
        ...

    def about(self, cluster_id: str, floors: KnownFloors) -> Doubt | None:
        """The doubt about a cluster that knows these floors of itself."""
        ...

    def settled(self, cluster_id: str) -> None:
        """Its own journal has the doubt now."""
        ...


def heed(context: ClusterContext, doubts: Doubts) -> None:
    """Mark a cluster as not validated where there is a doubt about it. Raises what writing raises."""
    core = context.core
    if context.fail_closed_reason is not None:
        return
    doubt = doubts.about(context.cluster_id, known_floors(context))
    if doubt is None:
        return
    nonce = core.random_bytes(NONCE_BYTES)

    def decide(now: Now) -> tuple[Event, ...]:
        trust: TrustView = context.state.view(TRUST)
        is_marked = trust.restore_state is not RestoreState.NORMAL
        marks = () if is_marked else decide_restore_marked(trust, reason=ROLLBACK, backup_digest=b"", nonce=nonce)
        return (*marks, *decide_floors(context.state, doubt.floors, "anchor"), *_decide_time(context, doubt.floors, now))

    context.execute("trust", decide, durable=True)
    doubts.settled(context.cluster_id)


def _decide_time(context: ClusterContext, floors: KnownFloors, now: Now) -> tuple[Event, ...]:
    """Time that was used up is not given back by a copy (trust, 16)."""
    core, health = context.core, context.state.view(HEALTH)
    if floors.time[1] <= health.uptime.used_s:
        return ()
    # What the anchor's floors count may hold this boot already: it is not counted twice.
    return (UptimeDebited(max(floors.time[1], health.used_s(now, core.boot_id)), core.boot_id, now.boot_us),)
