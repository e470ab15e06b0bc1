"""The events of the identity class: kinds 10 to 19.

Rules this file keeps:

- A private key appears as a reference of the form provider:slot. No field could hold one.
- A certificate's event carries what status and decisions need of it; the certificate itself is where `stored` says.

What the events do to the state is in `identity`, when they may be written in `identity_decisions`.

Example::

    IdentityLost("file:identity-1", "provider_lost")
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_projections.event_kinds import IDENTITY, event_kind
from rap_projections.stored_document import StoredDocument


@event_kind(10, state_class=IDENTITY, category=Category.DECISION, sensitivity="name, name, digest, open, digest, digest")
class EnrollmentRequested(NamedTuple):
    """A key was made, durably, and a signing request for it handed out.

    Attributes:
        node_id: id of this node.
        membership_id: id of its membership in the cluster.
        key_reference: where the private key is, provider:slot.
        key_algorithm: "ecdsa-p256" or "ed25519".
        key_sha256: SHA-256 of the public key (SubjectPublicKeyInfo, DER).
        request_sha256: SHA-256 of the signing request (DER).
    """

    node_id: str
    membership_id: str
    key_reference: str
    key_algorithm: str
    key_sha256: bytes
    request_sha256: bytes


_CERTIFICATE = "digest, text, text, open, open, digest, digest, document"


@event_kind(11, state_class=IDENTITY, category=Category.DECISION, sensitivity=_CERTIFICATE)
class CertificateInstalled(NamedTuple):
    """The first certificate for the requested key was checked and kept.

    Attributes:
        serial: serial number, big-endian, at most 20 bytes.
        issuer: issuer's name, RFC 4514.
        subject_uri: the certificate's one URI name, which names cluster and node.
        not_before_s: start of validity, seconds since 1970.
        not_after_s: end of validity, seconds since 1970.
        fingerprint: SHA-256 of the certificate (DER).
        key_sha256: SHA-256 of its public key (SubjectPublicKeyInfo, DER).
        stored: where the certificate (DER) is kept.
    """

    serial: bytes
    issuer: str
    subject_uri: str
    not_before_s: int
    not_after_s: int
    fingerprint: bytes
    key_sha256: bytes
    stored: StoredDocument


@event_kind(12, state_class=IDENTITY, category=Category.DECISION, sensitivity="digest, open, digest, digest")
class RenewalRequested(NamedTuple):
    """A second key was made and a signing request for it handed out; the current identity stays in use.

    Attributes:
        key_reference: where the new private key is, provider:slot.
        key_algorithm: "ecdsa-p256" or "ed25519".
        key_sha256: SHA-256 of the new public key.
        request_sha256: SHA-256 of the signing request.
    """

    key_reference: str
    key_algorithm: str
    key_sha256: bytes
    request_sha256: bytes


@event_kind(13, state_class=IDENTITY, category=Category.DECISION, sensitivity="digest")
class CertificateConfirmed(NamedTuple):
    """The cluster was seen to accept the renewed certificate with this fingerprint: it replaces the current one."""

    fingerprint: bytes


@event_kind(14, state_class=IDENTITY, category=Category.DECISION, sensitivity=_CERTIFICATE)
class CertificateRenewed(NamedTuple):
    """The certificate for the second key was checked and kept; it waits for confirmation. Fields as in `CertificateInstalled`."""

    serial: bytes
    issuer: str
    subject_uri: str
    not_before_s: int
    not_after_s: int
    fingerprint: bytes
    key_sha256: bytes
    stored: StoredDocument


@event_kind(15, state_class=IDENTITY, category=Category.DECISION, sensitivity="digest, open, digest")
class IdentityRevoked(NamedTuple):
    """A verified document of the cluster revokes this node's identity.

    Attributes:
        fingerprint: the revoked certificate; empty where the identity as such is revoked.
        reason: a short stable word.
        source_content_id: content id of the document that says so.
    """

    fingerprint: bytes
    reason: str
    source_content_id: bytes


@event_kind(16, state_class=IDENTITY, category=Category.OBSERVATION, sensitivity="open, open, digest")
class RevocationChecked(NamedTuple):
    """The cached answer to "is this identity revoked?".

    Attributes:
        status: "good", "revoked" or "unknown".
        checked_s: trusted time of the check, seconds since 1970.
        revocation_digest: digest of the revocation set it was checked against.
    """

    status: str
    checked_s: int
    revocation_digest: bytes


@event_kind(17, state_class=IDENTITY, category=Category.DECISION, sensitivity="digest, open")
class IdentityLost(NamedTuple):
    """The private key is gone for good; the node must enroll anew. `reason` is a short stable word."""

    key_reference: str
    reason: str


@event_kind(18, state_class=IDENTITY, category=Category.REFUSAL, sensitivity="name, open, open, open, digest")
class IdentityRefused(NamedTuple):
    """A certificate or request was refused.

    Attributes:
        source: who offered it.
        subject: "enroll", "renew" or "confirm".
        reason: a short stable word.
        times: how many since the last event of the same source, subject and reason.
        digest: SHA-256 of the bytes refused last; empty where there were none.
    """

    source: str
    subject: str
    reason: str
    times: int
    digest: bytes


@event_kind(19, state_class=IDENTITY, category=Category.LIFECYCLE, sensitivity="open, digest")
class IdentityRepaired(NamedTuple):
    """A damaged file of the class was written again from its second copy, which the witness vouched for.

    Attributes:
        source: where the good copy was, a short stable word.
        file_id: name of the file that was written.
    """

    source: str
    file_id: bytes
