"""Which documents may become active, wait, serve again or go.

Rules this file keeps:

- Every function is pure: the view and the values of the command in, the events that follow out. What is already so gives no event.
- Documents were verified by the caller (`verification`). What is checked here again is what may have changed since: floor and expiry.
- The same content again gives no event. A new signature of it does, if the caller asks for it because the old signer is revoked.
- Nothing here touches the active document but an activation, an increment, a fall-back and a withdrawal.
- The `policy` scope never falls back, nor does a document past its end or below the signed minimum (trust, 11).

Example::

    events = decide_activation(view(state), verified, stored, now, policy)
"""

from collections.abc import Collection, Iterable
from typing import Protocol

from rap_journal.errors import MisuseError
from rap_projections.documents import CLUSTER_WIDE, Audience, Floor, Head, Scope, SnapshotPayload, Version
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.refusal_log import is_due
from rap_projections.refusals import Equivocation, Expired, Rollback, WrongBase
from rap_projections.snapshot_events import (
    AppliedReported,
    EquivocationSeen,
    HeadApplied,
    IncrementApplied,
    PreviousDropped,
    SnapshotActivated,
    SnapshotFacts,
    SnapshotFellBack,
    SnapshotFloorRaised,
    SnapshotPendingDropped,
    SnapshotRefused,
    SnapshotStaged,
    SnapshotWithdrawn,
)
from rap_projections.snapshots import HeldSnapshot, ScopeView, SnapshotsView
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import higher

INCREMENTS_MAX = 16
"""Increments kept on top of a full document (trust, 7)."""


class VerifiedDocument(Protocol):
    """What a decision needs of a document that passed every check: a `VerifiedSnapshot`."""

    @property
    def snapshot(self) -> SnapshotPayload:
        """What it says."""

    @property
    def content_id(self) -> bytes:
        """Its content id, 32 bytes."""

    @property
    def signers(self) -> tuple[bytes, ...]:
        """The kids of the keys that signed it."""

    @property
    def trust_version(self) -> int:
        """Version of the bundle it was verified under."""


def decide_stage(snapshots: SnapshotsView, *, scope: Scope, form: str, source: str, stored: StoredDocument) -> tuple[Event, ...]:
    """Write a document aside for its scope; what waited there before is replaced (spec 4, step 1). `form`: snapshot or increment."""
    pending = snapshots.scope(scope).pending
    if pending and pending.stored.file_id == stored.file_id:
        return ()
    return (
        *decide_pending_dropped(snapshots, scope=scope, reason="replaced"),
        SnapshotStaged(scope.value, form, source, stored.without_inline()),
    )


def decide_pending_dropped(snapshots: SnapshotsView, *, scope: Scope, reason: str) -> tuple[Event, ...]:
    """Give up what waits in a scope, if anything does."""
    pending = snapshots.scope(scope).pending
    return (SnapshotPendingDropped(scope.value, pending.stored.file_id, reason),) if pending else ()


def decide_stale_dropped(snapshots: SnapshotsView, now: Now, policy: EffectivePolicy) -> tuple[Event, ...]:
    """Give up everything that has waited for the policy's time or longer (spec 7)."""
    latest_us = now.node_us - policy.pending_age_s_max * 1_000_000
    stale = [scope for scope, it in sorted(snapshots.scopes.items()) if it.pending and it.pending.since_us <= latest_us]
    return tuple(event for scope in stale for event in decide_pending_dropped(snapshots, scope=Scope(scope), reason="stale"))


def next_deadline(snapshots: SnapshotsView, policy: EffectivePolicy) -> int | None:
    """Node time, in microseconds, at which `decide_stale_dropped` has something to do; None for never."""
    waiting = [it.pending.since_us for it in snapshots.scopes.values() if it.pending]
    return min(waiting) + policy.pending_age_s_max * 1_000_000 if waiting else None


def decide_activation(
    snapshots: SnapshotsView,
    verified: VerifiedDocument,
    stored: StoredDocument,
    now: Now,
    policy: EffectivePolicy,
    *,
    signed_anew: bool = False,
) -> tuple[Event, ...]:
    """Make a verified document the active one of its scope (spec 4, steps 3 and 4).

    `signed_anew`: activate the same content too, because the key that signed the active envelope is revoked.
    Raises `Rollback` or `Equivocation` where the floor rose meanwhile, `Expired` where trusted time passed its end.
    """
    scope = snapshots.scope(verified.snapshot.scope)
    if _is_active(scope, verified) and not signed_anew:
        return decide_pending_dropped(snapshots, scope=verified.snapshot.scope, reason="active_already")
    _check_acceptable(scope, verified, now)
    activated = SnapshotActivated(*_facts(verified, now), stored, policy.previous_snapshots_max, policy.signed_part())
    return (*_making_room(snapshots, verified, stored, policy), activated)


def decide_increment(
    snapshots: SnapshotsView,
    result: VerifiedDocument,
    stored: StoredDocument,
    now: Now,
    policy: EffectivePolicy,
    *,
    base_content_id: bytes,
) -> tuple[Event, ...]:
    """Make the verified result of an increment the active document of its scope; `stored` is the increment.

    Raises as `decide_activation`, and `WrongBase` where another document is active or 16 increments are on it already.
    """
    scope = snapshots.scope(result.snapshot.scope)
    if _is_active(scope, result):
        return decide_pending_dropped(snapshots, scope=result.snapshot.scope, reason="active_already")
    if scope.active is None or scope.active.facts.content_id != base_content_id:
        raise WrongBase("the active document is not the one it starts from", scope=result.snapshot.scope.value)
    if len(scope.active.increments) >= INCREMENTS_MAX:
        raise WrongBase(f"{INCREMENTS_MAX} increments are on the active document already", scope=result.snapshot.scope.value)
    _check_acceptable(scope, result, now)
    facts = _facts(result, now)
    applied = IncrementApplied(*facts, stored, policy.previous_snapshots_max, policy.signed_part(), base_content_id)
    return (*_making_room(snapshots, result, stored, policy), applied)


def decide_head(
    snapshots: SnapshotsView, head: Head, stored: StoredDocument, now: Now, *, content_id: bytes, signer_kids: tuple[bytes, ...]
) -> tuple[Event, ...]:
    """Record a verified head. Raises `Rollback`, `Equivocation` or `Expired` as for a document."""
    if snapshots.head and snapshots.head.content_id == content_id:
        return ()
    _check_floor(snapshots.head_floor, Floor(Version(0, head.version), content_id), "head")
    if head.expires_at_s <= now.trusted_s:
        raise Expired("it is past its end", document_type="head")
    entries = tuple((entry.scope.value, entry.version, entry.content_id, entry.size) for entry in head.entries)
    times = (head.issued_at_s, head.expires_at_s)
    return (HeadApplied(head.version, content_id, *times, head.bundle_version, entries, tuple(sorted(signer_kids)), stored),)


def decide_applied(snapshots: SnapshotsView, *, scope: Scope, content_id: bytes) -> tuple[Event, ...]:
    """Record by which document the affected components run (spec 4, step 6). Raises `MisuseError` where it is not the active one."""
    it = snapshots.scope(scope)
    if it.active is None or it.active.facts.content_id != content_id:
        raise MisuseError(
            f"the document reported as applied in scope {scope.value} is not the active one; nothing was changed.",
            state_class="snapshots",
            reason="not_active",
        )
    report = AppliedReported(scope.value, it.active.facts.version, content_id)
    return () if it.applied == report[1:] else (report,)


def decide_fall_back(
    snapshots: SnapshotsView, *, scope: Scope, reason: str, usable: Collection[bytes], now: Now, policy: EffectivePolicy
) -> tuple[Event, ...]:
    """Let a previous document serve because the active one cannot, else leave the scope without one (spec 8, step 3).

    `usable` are the content ids of previous documents whose bytes are sound and verify under current trust. `reason`: damaged,
    revoked or missing.
    """
    it = snapshots.scope(scope)
    if it.active is None:
        return ()
    given_up = it.active.facts.content_id
    if _may_fall_back(it.active, scope, policy):
        for held in it.previous:
            facts = held.facts
            if facts.content_id in usable and facts.version >= it.minimum and facts.expires_at_s > now.trusted_s:
                return (SnapshotFellBack(scope.value, facts.version, facts.content_id, given_up, reason),)
    return (SnapshotWithdrawn(scope.value, given_up, reason),)


def decide_previous_dropped(snapshots: SnapshotsView, *, scope: Scope, content_id: bytes, reason: str) -> tuple[Event, ...]:
    """Give up a previous document whose bytes are gone. One that is not kept gives no event."""
    return _dropped((held for held in snapshots.scope(scope).previous if held.facts.content_id == content_id), reason)


def decide_trimmed(snapshots: SnapshotsView, policy: EffectivePolicy) -> tuple[Event, ...]:
    """Give up the previous documents beyond what the policy allows by now."""
    kept = policy.previous_snapshots_max
    return tuple(event for _, it in sorted(snapshots.scopes.items()) for event in _dropped(it.previous[kept:], "limit"))


def decide_equivocation(
    snapshots: SnapshotsView,
    *,
    scope: Scope,
    version: Version,
    known_content_id: bytes,
    other_content_id: bytes,
    evidence_file_id: bytes,
) -> tuple[Event, ...]:
    """Keep the evidence of two documents for one version, once per pair."""
    pairs = {(seen.known_content_id, seen.other_content_id) for seen in snapshots.scope(scope).equivocations}
    if (known_content_id, other_content_id) in pairs:
        return ()
    return (EquivocationSeen(scope.value, version, known_content_id, other_content_id, evidence_file_id),)


def decide_refused(
    snapshots: SnapshotsView,
    *,
    source: str,
    scope: str,
    reason: str,
    rule: str,
    times: int,
    digest: bytes,
    now: Now,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    """Record `times` refusals, or nothing while the interval of the same source, scope and reason lasts."""
    due = is_due(snapshots.refusals, source, scope, reason, now, policy)
    return (SnapshotRefused(source, scope, reason, rule, times, digest),) if due else ()


def decide_floor_raised(
    snapshots: SnapshotsView, *, scope: str, version: Version, content_id: bytes, origin: str
) -> tuple[Event, ...]:
    """Raise a floor to what somebody else knows; nothing where this state knows as much. `scope`: of a document, or "cluster" of the head."""
    known = snapshots.head_floor if scope == CLUSTER_WIDE else snapshots.scope(scope).floor
    is_known = higher(known, Floor(version, content_id)) == known
    return () if is_known else (SnapshotFloorRaised(scope, version, content_id, origin),)


def _is_active(scope: ScopeView, verified: VerifiedDocument) -> bool:
    return scope.active is not None and scope.active.facts.content_id == verified.content_id


def _check_acceptable(scope: ScopeView, verified: VerifiedDocument, now: Now) -> None:
    payload = verified.snapshot
    _check_floor(scope.floor, Floor(payload.version, verified.content_id), payload.scope.value)
    if payload.version < scope.minimum:
        raise Rollback("its version is below the signed minimum", scope=payload.scope.value)
    if payload.expires_at_s <= now.trusted_s:
        raise Expired("it is past its end", scope=payload.scope.value)


def _check_floor(floor: Floor, offered: Floor, scope: str) -> None:
    if offered.version < floor.version:
        raise Rollback("its version is below the highest one accepted before", scope=scope)
    if offered.version == floor.version and floor.content_id and offered.content_id != floor.content_id:
        what = f"another document of scope {scope} with this version was accepted before"
        raise Equivocation(what, known_content_id=floor.content_id, other_content_id=offered.content_id)


def _facts(verified: VerifiedDocument, now: Now) -> SnapshotFacts:
    payload = verified.snapshot
    return SnapshotFacts(
        scope=payload.scope.value,
        version=payload.version,
        content_id=verified.content_id,
        issued_at_s=payload.issued_at_s,
        refresh_after_s=payload.refresh_after_s,
        expires_at_s=payload.expires_at_s,
        minimum=payload.minimum,
        audience=_summary(payload.audience),
        signer_kids=tuple(sorted(verified.signers)),
        verified_at_s=now.trusted_s,
        bundle_version=verified.trust_version,
    )


def _summary(audience: Audience) -> str:
    """Whom a document is for, without the names of other nodes: those are no concern of reports (spec 12)."""
    if audience.everyone:
        return "everyone"
    return f"role:{audience.role}" if audience.role is not None else "node"


def _making_room(
    snapshots: SnapshotsView, verified: VerifiedDocument, stored: StoredDocument, policy: EffectivePolicy
) -> tuple[Event, ...]:
    scope = snapshots.scope(verified.snapshot.scope)
    older = scope.succeeded(verified.content_id)[policy.previous_snapshots_max :]
    is_other = scope.pending is not None and scope.pending.stored.file_id != stored.file_id
    replaced = decide_pending_dropped(snapshots, scope=verified.snapshot.scope, reason="replaced") if is_other else ()
    return (*_dropped(older, "limit"), *replaced)


def _dropped(held: Iterable[HeldSnapshot], reason: str) -> tuple[Event, ...]:
    return tuple(PreviousDropped(it.facts.scope, it.facts.content_id, it.stored.file_id, reason) for it in held)


def _may_fall_back(active: HeldSnapshot, scope: Scope, policy: EffectivePolicy) -> bool:
    return scope is not Scope.POLICY and policy.fallback_allowed and dict(active.limits).get("fallback_allowed") is True
