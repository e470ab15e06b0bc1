"""What a change of trust does to the documents that are in use. Pure code.

Rules this file keeps (trust, 10 and 11):

- A bundle, the documents signed anew for it, and the end of every document that it lets no longer count are one decision: its events
  stand in one frame, so that no crash and no reader finds a document in use that the trust in force refuses.
- A document that no longer counts gives way to a previous one that does, where policy allows it, else its scope has none. Floors stay.
- Each signer's share of trusted time is noted, so that revoking one of them takes away no more than that one's.

Example::

    events = decide_trust_change(trust, snapshots, change, now, policy, uptime_s=used_s, clock_step_s_max=86_400)
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rap_projections.class_state import without
from rap_projections.documents import Scope
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.snapshot_decisions import decide_activation, decide_fall_back
from rap_projections.snapshot_events import PreviousDropped
from rap_projections.snapshots import HeldSnapshot, ScopeView, SnapshotsView
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import TrustView
from rap_projections.trust_decisions import NewBundle, decide_bundles, decide_instants, revoked_kids
from rap_projections.verified import VerifiedSnapshot


class SignedAnew(NamedTuple):
    """A snapshot that comes with the bundle, verified under it, and where it is kept."""

    verified: VerifiedSnapshot
    stored: StoredDocument


class TrustChange(NamedTuple):
    """A change of trust, verified and stored.

    Attributes:
        bundles: the new bundles, oldest first.
        signers: kids of the keys that signed the last one.
        documents: snapshots that come with it.
        flaws: content id of every kept snapshot that no longer counts under the last bundle, and the word that says why.
    """

    bundles: Sequence[NewBundle]
    signers: Sequence[bytes]
    documents: Sequence[SignedAnew]
    flaws: Mapping[bytes, str]


def decide_trust_change(
    trust: TrustView,
    snapshots: SnapshotsView,
    change: TrustChange,
    now: Now,
    policy: EffectivePolicy,
    *,
    uptime_s: int,
    clock_step_s_max: int,
) -> tuple[Event, ...]:
    """The events of a change of trust; none where its bundles are in force already.

    Args:
        trust, snapshots: the state.
        change: what was verified.
        now: the reference time of the call.
        policy: the limits in force under the new trust.
        uptime_s: seconds used up by now.
        clock_step_s_max: by how much one signed instant may move trusted time, as the bundle in force until now says.

    Raises as `decide_bundles` and `decide_activation`; then nothing of it comes into force.
    """
    bundles = decide_bundles(trust, change.bundles, now)
    if not bundles:
        return ()
    issued_at_s = change.bundles[-1].bundle.issued_at_s
    revoked = {kid for bundle in change.bundles for kid in revoked_kids(bundle.bundle)}
    # Measured by what is left: the bundle that revokes a key which is ahead is news, although that key's share was beyond it.
    known = trust._replace(instants=without(trust.instants, *revoked))
    kids = [kid for kid in change.signers if kid not in revoked]
    events: list[Event] = [*bundles]
    events += decide_instants(known, kids=kids, signed_s=issued_at_s, uptime_s=uptime_s, clock_step_s_max=clock_step_s_max)
    events += _flawed_previous(snapshots, change.flaws)
    replaced: dict[Scope, bytes] = {}
    for verified, stored in change.documents:
        events += decide_activation(snapshots, verified, stored, now, policy, signed_anew=True)
        replaced[verified.snapshot.scope] = verified.content_id
    for scope in Scope:
        events += _decide_active(snapshots.scope(scope), scope, replaced.get(scope), snapshots, change.flaws, now, policy)
    return tuple(events)


def _flawed_previous(snapshots: SnapshotsView, flaws: Mapping[bytes, str]) -> list[Event]:
    """Previous documents that no longer count go first, so that they take no other one's place."""
    flawed = [held for scope in Scope for held in snapshots.scope(scope).previous if held.facts.content_id in flaws]
    return [_dropped(held, flaws[held.facts.content_id]) for held in flawed]


def _decide_active(
    held: ScopeView,
    scope: Scope,
    successor: bytes | None,
    snapshots: SnapshotsView,
    flaws: Mapping[bytes, str],
    now: Now,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    """The end of an active document that no longer counts: dropped from behind its successor, else a fallback, else none."""
    if held.active is None or (content_id := held.active.facts.content_id) not in flaws or content_id == successor:
        return ()
    reason = flaws[content_id]
    if successor is not None:
        return (_dropped(held.active, reason),)
    usable = {previous.facts.content_id for previous in held.previous if previous.facts.content_id not in flaws}
    return decide_fall_back(snapshots, scope=scope, reason=reason, usable=usable, now=now, policy=policy)


def _dropped(held: HeldSnapshot, reason: str) -> PreviousDropped:
    return PreviousDropped(held.facts.scope, held.facts.content_id, held.stored.file_id, reason)
