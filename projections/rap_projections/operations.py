"""The one gate for work that needs authority: whether this node may do it now, and until when.

Rules this file keeps:

- Everything that is not known to be safe is not allowed: the answer is a conjunction.
- A revoked identity does no high-risk work at all; one whose certificate is lost, expired or uncertain begins no session.
- A state that was restored bars all of it until the cluster's ticket was verified, and where that ticket wants a new identity, until
  there is one.
- A document below the floor of its scope is as good as a fall-back. A scope whose document was withdrawn, with no other in its place, is
  worse than one that fell back: the cluster has something to say of it, and this node no longer knows what.
- High-risk work (trust, 19) needs more than reading: validated state, the policy's word, no fall-back, a deadline that is not past.

Example::

    if cluster.allows(Operation.RESOLVE_SECRET).ok: ...
"""

from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from rap_projections.event_kinds import HEALTH, IDENTITY, SNAPSHOTS, TRUST
from rap_projections.folding import FoldedState
from rap_projections.identity import IdentityView
from rap_projections.identity_status import IdentityState, state_of
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.refusals import NotAllowed, NotForThisNode, NotValidated
from rap_projections.snapshots import ScopeView
from rap_projections.trust import REENROLL, RestoreState, TrustView


class Operation(str, Enum):
    """High-risk operations; a closed list."""

    ACTIVATE_UPDATE = "activate_update"
    BACK_UP_KEYS = "back_up_keys"
    NEW_SESSION = "new_session"
    RESOLVE_SECRET = "resolve_secret"
    START_SERVICE = "start_service"


class Allowed(NamedTuple):
    """The gate's answer.

    Attributes:
        ok: whether the operation may go ahead.
        reason: "ok", or the first thing that stands against it, in this order: "fail_closed"; "not_validated" after a restore;
            "identity_revoked"; "reenroll" where the ticket wants a new identity; "no_snapshot" in any scope; "withdrawn", a scope whose
            document was damaged or revoked, without another; "fallen_back"; "below_floor";
            "snapshot_expired"; "policy"; "deadline"; for sessions "identity_lost", "certificate_expired", "certificate_uncertain".
        until_us: node time, in microseconds, until which the answer holds at most; None when not ok.
    """

    ok: bool
    reason: str
    until_us: int | None

    @property
    def until(self) -> datetime | None:
        """`until_us` as a date in UTC: what node time takes for the time of day."""
        return datetime.fromtimestamp(self.until_us / 1_000_000, UTC) if self.until_us is not None else None


_NO_SESSION = {
    IdentityState.LOST: "identity_lost",
    IdentityState.EXPIRED: "certificate_expired",
    IdentityState.UNCERTAIN: "certificate_uncertain",
}
"""What of an identity bars new sessions. A node that has none yet cannot begin one anyway."""


def decide_allowed(
    operation: Operation, state: FoldedState, policy: EffectivePolicy, now: Now, boot_id: bytes, fail_closed: str | None
) -> Allowed:
    """Whether `operation` may go ahead now."""
    health, trust, snapshots = state.view(HEALTH), state.view(TRUST), state.view(SNAPSHOTS)
    identity: IdentityView = state.view(IDENTITY)
    identity_state = state_of(identity, now.trusted_s, fail_closed)
    is_session = operation is Operation.NEW_SESSION
    seconds_left = health.seconds_left(now, boot_id)
    active = [scope for scope in snapshots.scopes.values() if scope.active]
    obstacles = (
        (fail_closed is not None, "fail_closed"),
        (trust.restore_state is not RestoreState.NORMAL, "not_validated"),
        (identity_state is IdentityState.REVOKED, "identity_revoked"),
        (must_enroll(trust, state.view(IDENTITY)), "reenroll"),
        (not active, "no_snapshot"),
        (any(_is_withdrawn(scope) for scope in snapshots.scopes.values()), "withdrawn"),
        (any(scope.fallen_back for scope in snapshots.scopes.values()), "fallen_back"),
        (any(scope.active.facts.version < scope.floor.version for scope in active), "below_floor"),
        (any(scope.active.facts.expires_at_s <= now.trusted_s for scope in active), "snapshot_expired"),
        (operation.value not in policy.high_risk_operations, "policy"),
        (seconds_left <= 0, "deadline"),
        (is_session and identity_state in _NO_SESSION, _NO_SESSION.get(identity_state, "")),
    )
    for stands_against, reason in obstacles:
        if stands_against:
            return Allowed(False, reason, None)
    if is_session and identity.certificate is not None:
        seconds_left = min(seconds_left, identity.certificate.facts.not_after_s - now.trusted_s)
    return Allowed(True, "ok", now.node_us + seconds_left * 1_000_000)


def must_enroll(trust: TrustView, identity: IdentityView) -> bool:
    """Whether the cluster accepted a restored node only with a new identity, and there is none yet."""
    return trust.restore is not None and trust.restore.verdict == REENROLL and identity.certificate is None


def _is_withdrawn(scope: ScopeView) -> bool:
    """Whether the cluster has something to say of a scope that this node no longer knows. To no longer be told is no such thing."""
    return scope.active is None and scope.withdrawn_reason not in ("", NotForThisNode.word)


def require_allowed(operation: Operation, gate: Allowed, cluster_id: str) -> None:
    """Raise `NotValidated` after a restore, or `NotAllowed`, where the gate says no."""
    if gate.ok:
        return
    error = NotValidated if gate.reason == "not_validated" else NotAllowed
    raise error(
        f"{operation.value} is not allowed in cluster {cluster_id} now ({gate.reason}); nothing was done.",
        cluster=cluster_id,
        reason=gate.reason,
    )
