"""Looking this node's identity up among the revocations of the bundle in force, and writing down what was found.

Rules this file keeps:

- It is called behind everything that may change the answer: an opening, and a new bundle. Called again it writes nothing.
- Until it was called, whatever uses the identity asks the bundle in force by itself (`identity_use`).

Example::

    review_identity(context)
"""

from typing import Unpack

from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity_decisions import decide_reviewed
from rap_projections.receipts import Context, Receipt


def review_identity(context: ClusterContext, **origin: Unpack[Context]) -> Receipt:
    """Record whether the identity is revoked. Raises `FailClosed`, `NoSpace`, `OutcomeUnknown`, `Poisoned`."""
    trust = context.require_trust()
    return context.execute("identity", lambda now: decide_reviewed(context.state.view(IDENTITY), trust, now), origin)
