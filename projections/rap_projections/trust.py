"""The trust class: which bundle is in force, what it says in brief, and how far trust has been shaken.

Rules this file keeps:

- A bundle is trusted because it was verified before its event was written; the bundle itself is kept, signed, in a file and, when
  small, in the event. Nothing here is a source of trust.
- The floor (bundle version, its content id, the revocation set) only rises; a raise from elsewhere takes the larger of both.
- Every bundle since the bootstrap is named, so that opening can verify the chain again.
- Trusted instants are kept per signing key, so that revoking a key takes its share away (trust, 16).
- After a restore the class says so until the cluster's ticket was verified.

Example::

    state = empty()
    FOLDS[TrustPinned](state, TrustPinned(b"...", "sha256"), record, documents)
    assert view(state).bootstrap == Bootstrap(b"...", "sha256")
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from rap_journal.records import Record
from rap_projections.class_state import NOTHING, folds, shape, with_entry, without
from rap_projections.documents import Floor, Version
from rap_projections.refusal_log import Refusal, noted
from rap_projections.stored_document import StoredDocument
from rap_projections.trust_events import (
    BundleActivated,
    BundleEquivocationSeen,
    RestoreMarked,
    RestoreValidated,
    RevocationsMerged,
    SignedInstantSeen,
    TrustFloorRaised,
    TrustPinned,
    TrustRefused,
    TrustRepaired,
)

EVIDENCE_MAX = 8
"""Equivocations whose evidence is kept. Part of the folds' meaning."""

INSTANTS_MAX = 256
"""Signing keys whose newest instant is kept; the oldest instant gives way. Part of the folds' meaning."""


ACCEPT = "accept"
REENROLL = "reenroll"
"""Words for the verdict of a restore ticket."""


class RestoreState(str, Enum):
    """Whether the cluster has accepted this node since its state was last copied or rolled back."""

    NORMAL = "normal"
    NOT_VALIDATED = "restored-not-validated"


class Bootstrap(NamedTuple):
    """What was pinned at join: the fingerprint, and whether it is one of the bundle ("sha256") or of its roots ("roots")."""

    fingerprint: bytes
    method: str


class BundleFacts(NamedTuple):
    """The bundle in force, in brief; fields as in `BundleActivated`."""

    version: int
    content_id: bytes
    issued_at_s: int
    expires_at_s: int
    root_kids: tuple[bytes, ...]
    signing_kids: tuple[bytes, ...]
    anchor_fingerprints: tuple[bytes, ...]
    platform_roots: tuple[str, ...]


class Revocations(NamedTuple):
    """The revocation set in force: its digest and how many entries it has."""

    digest: bytes
    entries: int


class KeptBundle(NamedTuple):
    """A bundle of the chain since the bootstrap, and where it is."""

    version: int
    content_id: bytes
    stored: StoredDocument


class BundleEquivocation(NamedTuple):
    """Evidence of two truths for one version: fields as in `BundleEquivocationSeen`, and the LSN of that event."""

    version: int
    known_content_id: bytes
    other_content_id: bytes
    evidence_file_id: bytes
    lsn: int


class Restore(NamedTuple):
    """Why the state is not validated, or how it came to be again: fields as in `RestoreMarked`, and the ticket's verdict ("" before)."""

    reason: str
    backup_digest: bytes
    nonce: bytes
    verdict: str


class SignedInstant(NamedTuple):
    """The newest instant a key has signed, and the seconds used up when it was seen."""

    signed_s: int
    uptime_s: int


class TrustView(NamedTuple):
    """The trust this node has in its cluster.

    Attributes:
        bootstrap: what was pinned at join.
        bundle: the bundle in force, in brief.
        chain: every bundle since the bootstrap, oldest first.
        requires_head: whether the bundle demands a head beside every activation.
        revocations: the revocation set in force.
        floor: the highest bundle version ever accepted; its generation is 0.
        restore_state: whether the cluster has accepted this node since the last restore.
        restore: the last restore.
        instants: newest signed instant by kid.
        refusals: recent refusals, newest last.
        equivocations: evidence of double bundles, newest last, at most 8.
        repaired_lsn: LSN of the last repair; 0 where there was none.
        provenance: LSN that last changed each field.
    """

    bootstrap: Bootstrap | None = None
    bundle: BundleFacts | None = None
    chain: tuple[KeptBundle, ...] = ()
    requires_head: bool = False
    revocations: Revocations = Revocations(b"", 0)
    floor: Floor = Floor(Version(0, 0), b"")
    restore_state: RestoreState = RestoreState.NORMAL
    restore: Restore | None = None
    instants: Mapping[bytes, SignedInstant] = NOTHING
    refusals: tuple[Refusal, ...] = ()
    equivocations: tuple[BundleEquivocation, ...] = ()
    repaired_lsn: int = 0
    provenance: Mapping[str, int] = NOTHING

    def trusted_s(self, uptime_s: int) -> int:
        """Low end of trusted time, seconds since 1970, when `uptime_s` seconds are used up; 0 before any signed instant."""
        low_end_s = 0
        for signed_s, seen_uptime_s in self.instants.values():
            low_end_s = max(low_end_s, signed_s + max(0, uptime_s - seen_uptime_s))
        return low_end_s

    def newest_instant_s(self) -> int:
        """The newest signed instant that any key has shown, seconds since 1970; 0 before the first."""
        return max((seen.signed_s for seen in self.instants.values()), default=0)

    def share_s(self, kid: bytes, uptime_s: int) -> int:
        """What trusted time would be by the instants of this key alone; 0 where it has shown none."""
        seen = self.instants.get(kid)
        return seen.signed_s + max(0, uptime_s - seen.uptime_s) if seen is not None else 0


def higher(floor: Floor, other: Floor) -> Floor:
    """The higher of two floors; of two at the same version the first, unless it does not know what that version said."""
    is_better = other.version > floor.version or (other.version == floor.version and not floor.content_id)
    return other if is_better else floor


def _pinned(before: TrustView, event: TrustPinned, record: Record) -> TrustView:
    return before._replace(bootstrap=Bootstrap._make(event))


def _activated(before: TrustView, event: BundleActivated, record: Record) -> TrustView:
    bundle = BundleFacts(
        *event[:4],
        root_kids=tuple(event.root_kids),
        signing_kids=tuple(event.signing_kids),
        anchor_fingerprints=tuple(event.anchor_fingerprints),
        platform_roots=tuple(event.platform_roots),
    )
    kept = KeptBundle(event.version, event.content_id, StoredDocument._make(event.stored))
    return before._replace(
        bundle=bundle,
        chain=(*(older for older in before.chain if older.version < event.version), kept),
        requires_head=event.requires_head,
        revocations=Revocations(event.revocation_digest, event.revocation_count),
        floor=higher(before.floor, Floor(Version(0, event.version), event.content_id)),
        instants=without(before.instants, *event.revoked_kids),
    )


def _merged(before: TrustView, event: RevocationsMerged, record: Record) -> TrustView:
    return before._replace(
        revocations=Revocations(event.revocation_digest, event.revocation_count),
        instants=without(before.instants, *event.revoked_kids),
    )


def _refused(before: TrustView, event: TrustRefused, record: Record) -> TrustView:
    return before._replace(refusals=noted(before.refusals, Refusal(*event, record.node_us, record.node_us, record.lsn)))


def _equivocated(before: TrustView, event: BundleEquivocationSeen, record: Record) -> TrustView:
    seen = BundleEquivocation(*event, record.lsn)
    return before._replace(equivocations=(*before.equivocations, seen)[-EVIDENCE_MAX:])


def _marked(before: TrustView, event: RestoreMarked, record: Record) -> TrustView:
    return before._replace(restore_state=RestoreState.NOT_VALIDATED, restore=Restore(*event, ""))


def _validated(before: TrustView, event: RestoreValidated, record: Record) -> TrustView:
    restore = before.restore or Restore("", b"", event.nonce, "")
    return before._replace(restore_state=RestoreState.NORMAL, restore=restore._replace(verdict=event.verdict))


def _instant_seen(before: TrustView, event: SignedInstantSeen, record: Record) -> TrustView:
    known = before.instants.get(event.kid, SignedInstant(0, 0))
    instants = with_entry(before.instants, event.kid, max(known, SignedInstant(event.signed_s, event.uptime_s)))
    if len(instants) > INSTANTS_MAX:
        oldest = min(instants, key=lambda kid: (instants[kid], kid))
        instants = without(instants, oldest)
    return before._replace(instants=instants)


def _raised(before: TrustView, event: TrustFloorRaised, record: Record) -> TrustView:
    known = Revocations(event.revocation_digest, event.revocation_count)
    return before._replace(
        floor=higher(before.floor, Floor(Version(0, event.bundle_version), event.bundle_content_id)),
        revocations=known if known.entries > before.revocations.entries else before.revocations,
    )


def _repaired(before: TrustView, event: TrustRepaired, record: Record) -> TrustView:
    return before._replace(repaired_lsn=record.lsn)


FOLDS = folds(
    {
        TrustPinned: _pinned,
        BundleActivated: _activated,
        RevocationsMerged: _merged,
        TrustRefused: _refused,
        BundleEquivocationSeen: _equivocated,
        RestoreMarked: _marked,
        RestoreValidated: _validated,
        SignedInstantSeen: _instant_seen,
        TrustFloorRaised: _raised,
        TrustRepaired: _repaired,
    },
    after_reset=TrustView(),
)
empty, to_value, from_value, view = shape(TrustView())
