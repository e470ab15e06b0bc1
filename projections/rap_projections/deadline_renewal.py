"""Renewing the safe-operation deadline, once a document with a signed instant was taken (trust, 17).

Rules this file keeps:

- An instant counts as far as it may move trusted time, so that one far ahead does not keep later ones from renewing.
- What a key showed counts no longer once it is revoked: an instant is new where it is newer than what the others showed.
- Where there is no space the deadline stays as it was: what it follows from is durable, and an earlier deadline is the cautious one.

Example::

    before = context.state.view(TRUST)
    receipt = context.execute("snapshots/head", decide)
    renew_deadline(context, head.issued_at_s, before, "head", receipt)
"""

from contextlib import suppress

from rap_journal.errors import NoSpace
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH, TRUST, Event
from rap_projections.health_decisions import decide_deadline_renewed
from rap_projections.node_time import Now
from rap_projections.receipts import Receipt
from rap_projections.trust import TrustView
from rap_projections.trust_decisions import limited_instant_s


def renew_deadline(context: ClusterContext, signed_s: int, before: TrustView, basis: str, cause: Receipt) -> None:
    """Let a strictly newer signed instant renew the deadline, with the budget of the policy in force.

    Args:
        context: the cluster.
        signed_s: the instant that the document states.
        before: the trust class before the document was taken.
        basis: what the document is, for the event.
        cause: the receipt of taking it.

    Raises what writing raises but `NoSpace`.
    """
    step_s = context.require_trust().clock_step_s_max

    def decide(now: Now) -> tuple[Event, ...]:
        health, counting = context.state.view(HEALTH), context.state.view(TRUST).instants
        uptime_s = health.used_s(now, context.core.boot_id)
        known = before._replace(instants={kid: seen for kid, seen in before.instants.items() if kid in counting})
        renewed = decide_deadline_renewed(
            health, signed_s=limited_instant_s(known, signed_s, uptime_s, step_s), newest_instant_s=known.newest_instant_s(),
            trusted_s=known.trusted_s(uptime_s), uptime_s=uptime_s, basis=basis, policy=context.policy,
        )  # fmt: skip
        return (*context.decide_uptime(now), *renewed) if renewed else ()

    with suppress(NoSpace):
        context.execute("health", decide, {"cause": cause})
