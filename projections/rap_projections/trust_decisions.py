"""Which bundles may come into force, and what else may be recorded about trust.

Rules this file keeps:

- Every function is pure: the view and the values of the command in, the events that follow out. What is already so gives no event.
- Bundles were verified by the caller. What is checked here again is what may have changed since: the floor, the order without gaps,
  and the expiry of the last one.
- A cluster is pinned once; joining again never pins anew.
- A floor is raised, never lowered.

Example::

    events = decide_bundles(view(state), [NewBundle(bundle, content_id, stored)], now)
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rap_journal.errors import MisuseError
from rap_projections.bundle_schema import revocation_digest
from rap_projections.documents import Bundle, Floor, RevocationKind, Version
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.refusal_log import is_due
from rap_projections.refusals import Equivocation, Expired, Rollback, VersionGap
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import Bootstrap, TrustView, higher
from rap_projections.trust_events import (
    BundleActivated,
    BundleEquivocationSeen,
    RestoreMarked,
    SignedInstantSeen,
    TrustFloorRaised,
    TrustPinned,
    TrustRefused,
)

SHARE_STEP_S = 3600
"""A key's share of trusted time that trusted time is ahead of is written down again only so many seconds later."""


class NewBundle(NamedTuple):
    """A verified bundle that is to come into force.

    Attributes:
        bundle: what it says.
        content_id: its content id.
        stored: where it is kept.
    """

    bundle: Bundle
    content_id: bytes
    stored: StoredDocument


def decide_pin(trust: TrustView, *, fingerprint: bytes, method: str) -> tuple[Event, ...]:
    """Pin the cluster's first bundle. The same again gives no event; another fingerprint is a `MisuseError`."""
    if trust.bootstrap is None:
        return (TrustPinned(fingerprint, method),)
    if trust.bootstrap == Bootstrap(fingerprint, method):
        return ()
    raise MisuseError(
        "this cluster is pinned already, to another fingerprint; nothing was changed. Leave the cluster before joining it anew.",
        state_class="trust",
        reason="pinned",
    )


def decide_bundles(trust: TrustView, bundles: Sequence[NewBundle], now: Now) -> tuple[Event, ...]:
    """Bring verified bundles into force, oldest first; those already in force give no event.

    Raises `Rollback`, `Equivocation`, `VersionGap` or `Expired`; then none of them comes into force.
    """
    chain = {kept.version: kept.content_id for kept in trust.chain}
    fresh: list[NewBundle] = []
    for new in bundles:
        if chain.get(new.bundle.version) == new.content_id:
            continue
        _check_follows(chain, trust.floor, new)
        chain[new.bundle.version] = new.content_id
        fresh.append(new)
    if fresh:
        _check_last(trust.floor, fresh[-1].bundle, now)
    return tuple([_activated(new) for new in fresh])


def decide_equivocation(
    trust: TrustView, *, version: int, known_content_id: bytes, other_content_id: bytes, evidence_file_id: bytes
) -> tuple[Event, ...]:
    """Keep the evidence of two bundles for one version, once per pair."""
    pairs = {(seen.known_content_id, seen.other_content_id) for seen in trust.equivocations}
    if (known_content_id, other_content_id) in pairs:
        return ()
    return (BundleEquivocationSeen(version, known_content_id, other_content_id, evidence_file_id),)


def decide_refused(
    trust: TrustView, *, source: str, scope: str, reason: str, times: int, digest: bytes, now: Now, policy: EffectivePolicy
) -> tuple[Event, ...]:
    """Record `times` refusals, or nothing while the interval of the same source, scope and reason lasts."""
    return (
        (TrustRefused(source, scope, reason, times, digest),)
        if is_due(trust.refusals, source, scope, reason, now, policy)
        else ()
    )


def decide_restore_marked(trust: TrustView, *, reason: str, backup_digest: bytes, nonce: bytes) -> tuple[Event, ...]:
    """Mark the state as not validated. The same mark again gives no event; another restore replaces it, and its nonce."""
    if trust.restore and trust.restore[:3] == (reason, backup_digest, nonce):
        return ()
    return (RestoreMarked(reason, backup_digest, nonce),)


def decide_instants(
    trust: TrustView, *, kids: Iterable[bytes], signed_s: int, uptime_s: int, clock_step_s_max: int
) -> tuple[Event, ...]:
    """Record an instant that a verified document states, as the share of every key that signed it.

    It is news where it moves trusted time forward, or moves a key's own share by an hour: revoking the key that is ahead must not throw
    trusted time behind what the others stated. One instant moves trusted time by at most `clock_step_s_max` seconds, so that a key gone
    wrong cannot carry the node years ahead; the first instant of all has nothing to be measured by.
    """
    present_s = trust.trusted_s(uptime_s)
    limited_s = limited_instant_s(trust, signed_s, uptime_s, clock_step_s_max)
    return tuple([
        SignedInstantSeen(kid, limited_s, uptime_s)
        for kid in kids
        if limited_s > present_s or limited_s >= trust.share_s(kid, uptime_s) + SHARE_STEP_S
    ])  # fmt: skip


def limited_instant_s(trust: TrustView, signed_s: int, uptime_s: int, clock_step_s_max: int) -> int:
    """A signed instant, as far as it may move trusted time."""
    return min(signed_s, trust.trusted_s(uptime_s) + clock_step_s_max) if trust.instants else signed_s


def decide_floor_raised(
    trust: TrustView,
    *,
    bundle_version: int,
    bundle_content_id: bytes,
    revocation_digest: bytes,
    revocation_count: int,
    origin: str,
) -> tuple[Event, ...]:
    """Raise the floor to what somebody else knows; nothing where this state knows as much."""
    other = Floor(Version(0, bundle_version), bundle_content_id)
    if higher(trust.floor, other) == trust.floor and revocation_count <= trust.revocations.entries:
        return ()
    return (TrustFloorRaised(bundle_version, bundle_content_id, revocation_digest, revocation_count, origin),)


def _check_follows(chain: dict[int, bytes], floor: Floor, new: NewBundle) -> None:
    version = new.bundle.version
    known = chain.get(version) or (floor.content_id if version == floor.version.version else b"")
    if known and known != new.content_id:
        what = f"bundle {version} verifies, and so does another one of this version"
        raise Equivocation(what, known_content_id=known, other_content_id=new.content_id)
    if chain and version <= max(chain):
        raise Rollback(f"bundle {version} is older than bundle {max(chain)}, which is in force", document_type="bundle")
    if chain and version > max(chain) + 1:
        raise VersionGap(f"bundle {version} does not follow bundle {max(chain)}", document_type="bundle")


def _check_last(floor: Floor, bundle: Bundle, now: Now) -> None:
    if bundle.version < floor.version.version:
        raise Rollback(f"bundle {bundle.version} is below the floor {floor.version.version}", document_type="bundle")
    if bundle.expires_at_s <= now.trusted_s:
        raise Expired("the newest of the bundles is past its end", document_type="bundle")


def revoked_kids(bundle: Bundle) -> tuple[bytes, ...]:
    """The keys that a bundle revokes, sorted."""
    revoked = [entry.subject for entry in bundle.revocations if entry.kind is RevocationKind.KID]
    return tuple(sorted(kid for kid in revoked if isinstance(kid, bytes)))


def _activated(new: NewBundle) -> BundleActivated:
    bundle = new.bundle
    return BundleActivated(
        version=bundle.version,
        content_id=new.content_id,
        issued_at_s=bundle.issued_at_s,
        expires_at_s=bundle.expires_at_s,
        root_kids=tuple(sorted(root.kid for root in bundle.roots)),
        signing_kids=tuple(sorted(key.kid for key in bundle.keys)),
        anchor_fingerprints=tuple(sorted(anchor.sha256 for anchor in bundle.trust_anchors)),
        platform_roots=tuple(sorted(root.id for root in bundle.platform_roots)),
        revocation_digest=revocation_digest(bundle),
        revocation_count=len(bundle.revocations),
        revoked_kids=revoked_kids(bundle),
        requires_head=bundle.requires_head,
        stored=new.stored,
    )
