"""The events of the trust class: kinds 20 to 29.

Rules this file keeps:

- A bundle's event carries what status and decisions need of it, in brief; the bundle itself, signed, is where `stored` says.
- What raises a floor from elsewhere says where it came from.

What the events do to the state is in `trust`, when they may be written in `trust_decisions`.

Example::

    TrustPinned(fingerprint, "sha256")
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_projections.event_kinds import TRUST, event_kind
from rap_projections.stored_document import StoredDocument


@event_kind(20, state_class=TRUST, category=Category.DECISION, sensitivity="digest, open")
class TrustPinned(NamedTuple):
    """The cluster's first bundle was pinned at join.

    Attributes:
        fingerprint: what was given out of band: SHA-256 of the bundle, or the fingerprint of its roots.
        method: "sha256" or "roots".
    """

    fingerprint: bytes
    method: str


@event_kind(
    21,
    state_class=TRUST,
    category=Category.DECISION,
    sensitivity="open, digest, open, open, digest, digest, digest, name, digest, open, digest, open, document",
)
class BundleActivated(NamedTuple):
    """A verified bundle is in force.

    Attributes:
        version: version of the bundle.
        content_id: its content id.
        issued_at_s: when it was issued, seconds since 1970.
        expires_at_s: when it expires, seconds since 1970.
        root_kids: the cluster's trust roots, by kid, sorted.
        signing_kids: its configuration signing keys, by kid, sorted.
        anchor_fingerprints: trust anchors of connections between nodes, SHA-256 of each certificate, sorted.
        platform_roots: references to platform roots by id, sorted.
        revocation_digest: digest of the revocation set in force with it.
        revocation_count: entries in that set.
        revoked_kids: the keys that set names, sorted: their share of trusted time goes.
        requires_head: whether an activation must match an unexpired head.
        stored: where the bundle is kept.
    """

    version: int
    content_id: bytes
    issued_at_s: int
    expires_at_s: int
    root_kids: tuple[bytes, ...]
    signing_kids: tuple[bytes, ...]
    anchor_fingerprints: tuple[bytes, ...]
    platform_roots: tuple[str, ...]
    revocation_digest: bytes
    revocation_count: int
    revoked_kids: tuple[bytes, ...]
    requires_head: bool
    stored: StoredDocument


@event_kind(22, state_class=TRUST, category=Category.DECISION, sensitivity="digest, open, digest, open")
class RevocationsMerged(NamedTuple):
    """The revocation set grew from elsewhere than a bundle, from a backup for example.

    Attributes:
        revocation_digest: digest of the revocation set now in force.
        revocation_count: entries in that set.
        revoked_kids: the keys that set names, sorted.
        origin: where the new entries came from, a short stable word.
    """

    revocation_digest: bytes
    revocation_count: int
    revoked_kids: tuple[bytes, ...]
    origin: str


@event_kind(23, state_class=TRUST, category=Category.REFUSAL, sensitivity="name, open, open, open, digest")
class TrustRefused(NamedTuple):
    """A bundle, a ticket or a peer's certificate was refused.

    Attributes:
        source: who offered it.
        scope: what it was for, such as "bundle".
        reason: a short stable word.
        times: how many since the last event of the same source, scope and reason.
        digest: SHA-256 of the bytes refused last; empty where there were none.
    """

    source: str
    scope: str
    reason: str
    times: int
    digest: bytes


@event_kind(24, state_class=TRUST, category=Category.REFUSAL, sensitivity="open, digest, digest, digest")
class BundleEquivocationSeen(NamedTuple):
    """Two bundles of one version both verify and say different things; the second was refused.

    Attributes:
        version: the version.
        known_content_id: content id of the one in force or passed through.
        other_content_id: content id of the refused one.
        evidence_file_id: name of the sealed file that keeps the refused one.
    """

    version: int
    known_content_id: bytes
    other_content_id: bytes
    evidence_file_id: bytes


@event_kind(25, state_class=TRUST, category=Category.LIFECYCLE, sensitivity="open, digest, digest")
class RestoreMarked(NamedTuple):
    """This state was restored, rolled back or copied: high-risk operations stop until the cluster's ticket was verified.

    Attributes:
        reason: "backup", "witness_behind", "rollback", "copy", or "left" where a cluster in doubt was left and joined again.
        backup_digest: SHA-256 of the backup; empty where there was none.
        nonce: 32 random bytes the ticket must name; used once.
    """

    reason: str
    backup_digest: bytes
    nonce: bytes


@event_kind(26, state_class=TRUST, category=Category.DECISION, sensitivity="digest, open, digest")
class RestoreValidated(NamedTuple):
    """The cluster's ticket was verified.

    Attributes:
        nonce: the nonce it named.
        verdict: "accept" or "reenroll".
        ticket_content_id: content id of the ticket.
    """

    nonce: bytes
    verdict: str
    ticket_content_id: bytes


@event_kind(27, state_class=TRUST, category=Category.OBSERVATION, sensitivity="digest, open, open")
class SignedInstantSeen(NamedTuple):
    """A verified document states this instant as the share of this key: it moves trusted time, or the key's own share by an hour.

    Attributes:
        kid: the key that signed it.
        signed_s: the instant, seconds since 1970, as far as one instant may move trusted time.
        uptime_s: the health class's count of seconds used up at that moment.
    """

    kid: bytes
    signed_s: int
    uptime_s: int


@event_kind(28, state_class=TRUST, category=Category.LIFECYCLE, sensitivity="open, digest, digest, open, open")
class TrustFloorRaised(NamedTuple):
    """The floor was raised to what the witness, a backup, an anchor, a ticket or the agent knows.

    Attributes:
        bundle_version: lowest bundle version that may be in force.
        bundle_content_id: content id of that bundle; empty where it is not known.
        revocation_digest: digest of the revocation set; empty where it is not known.
        revocation_count: entries in that set.
        origin: "witness", "backup", "anchor", "ticket", "memory" of an earlier stay, or "reset".
    """

    bundle_version: int
    bundle_content_id: bytes
    revocation_digest: bytes
    revocation_count: int
    origin: str


@event_kind(29, state_class=TRUST, category=Category.LIFECYCLE, sensitivity="open, digest")
class TrustRepaired(NamedTuple):
    """A damaged file of the class was written again from its second copy, which the witness vouched for.

    Attributes:
        source: where the good copy was, a short stable word.
        file_id: name of the file that was written.
    """

    source: str
    file_id: bytes
