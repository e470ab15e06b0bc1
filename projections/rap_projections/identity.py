"""The identity class: who this node is in its cluster, and how far its enrollment has come.

Rules this file keeps:

- A private key appears as a reference of the form provider:slot. There is no field that could hold one.
- The store records what it asked for and what it was given. Whether a node may enroll, the cluster decides (spec 2).
- A renewed certificate waits beside the current one until it is confirmed; the old key is named until then.
- A revoked or lost identity stays so until the class is reset.

Example::

    state = empty()
    FOLDS[EnrollmentRequested](state, EnrollmentRequested("node-17", "m-1", "file:identity-1", "ecdsa-p256", key, request), record, documents)
    assert view(state).enrollment is Enrollment.REQUESTED
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from rap_journal.records import Record
from rap_projections.class_state import NOTHING, folds, shape
from rap_projections.identity_events import (
    CertificateConfirmed,
    CertificateInstalled,
    CertificateRenewed,
    EnrollmentRequested,
    IdentityLost,
    IdentityRefused,
    IdentityRepaired,
    IdentityRevoked,
    RenewalRequested,
    RevocationChecked,
)
from rap_projections.refusal_log import Refusal, noted
from rap_projections.stored_document import StoredDocument


class Enrollment(str, Enum):
    """How far the enrollment of this node has come."""

    NONE = "none"
    REQUESTED = "requested"
    ENROLLED = "enrolled"
    RENEWING = "renewing"
    REVOKED = "revoked"
    LOST = "lost"


class Key(NamedTuple):
    """A key pair by its reference: `reference` is provider:slot, the digests are SHA-256 of public key and request."""

    reference: str
    algorithm: str
    key_sha256: bytes
    request_sha256: bytes


class CertificateFacts(NamedTuple):
    """What a certificate says; fields as in `CertificateInstalled`."""

    serial: bytes
    issuer: str
    subject_uri: str
    not_before_s: int
    not_after_s: int
    fingerprint: bytes
    key_sha256: bytes


class Certificate(NamedTuple):
    """A kept certificate: what it says and where it is."""

    facts: CertificateFacts
    stored: StoredDocument


class RevocationStatus(NamedTuple):
    """The revocation cache: `status` "good", "revoked" or "unknown", when it was checked and against which set."""

    status: str
    checked_s: int
    revocation_digest: bytes


class IdentityView(NamedTuple):
    """Who this node is in the cluster.

    Attributes:
        enrollment: how far the enrollment has come.
        node_id: id of this node; empty before a request.
        membership_id: id of its membership; empty before a request.
        key: the key in use, or requested first.
        certificate: the certificate in use.
        next_key: the key of a renewal under way.
        next_certificate: the certificate that waits for confirmation.
        revocation: the cached revocation status.
        loss_reason: why the identity is revoked or lost; empty otherwise.
        refusals: recent refusals, newest last.
        repaired_lsn: LSN of the last repair; 0 where there was none.
        provenance: LSN that last changed each field.
    """

    enrollment: Enrollment = Enrollment.NONE
    node_id: str = ""
    membership_id: str = ""
    key: Key | None = None
    certificate: Certificate | None = None
    next_key: Key | None = None
    next_certificate: Certificate | None = None
    revocation: RevocationStatus | None = None
    loss_reason: str = ""
    refusals: tuple[Refusal, ...] = ()
    repaired_lsn: int = 0
    provenance: Mapping[str, int] = NOTHING


def _requested(before: IdentityView, event: EnrollmentRequested, record: Record) -> IdentityView:
    key = Key(event.key_reference, event.key_algorithm, event.key_sha256, event.request_sha256)
    return before._replace(
        enrollment=Enrollment.REQUESTED, node_id=event.node_id, membership_id=event.membership_id, key=key, loss_reason=""
    )


def _installed(before: IdentityView, event: CertificateInstalled, record: Record) -> IdentityView:
    return before._replace(enrollment=Enrollment.ENROLLED, certificate=_certificate(event))


def _renewal_requested(before: IdentityView, event: RenewalRequested, record: Record) -> IdentityView:
    return before._replace(enrollment=Enrollment.RENEWING, next_key=Key._make(event), next_certificate=None)


def _renewed(before: IdentityView, event: CertificateRenewed, record: Record) -> IdentityView:
    return before._replace(next_certificate=_certificate(event))


def _confirmed(before: IdentityView, event: CertificateConfirmed, record: Record) -> IdentityView:
    return before._replace(
        enrollment=Enrollment.ENROLLED,
        key=before.next_key,
        certificate=before.next_certificate,
        next_key=None,
        next_certificate=None,
        revocation=None,
    )


def _revoked(before: IdentityView, event: IdentityRevoked, record: Record) -> IdentityView:
    return before._replace(enrollment=Enrollment.REVOKED, loss_reason=event.reason)


def _lost(before: IdentityView, event: IdentityLost, record: Record) -> IdentityView:
    return before._replace(enrollment=Enrollment.LOST, loss_reason=event.reason)


def _checked(before: IdentityView, event: RevocationChecked, record: Record) -> IdentityView:
    return before._replace(revocation=RevocationStatus._make(event))


def _refused(before: IdentityView, event: IdentityRefused, record: Record) -> IdentityView:
    return before._replace(refusals=noted(before.refusals, Refusal(*event, record.node_us, record.node_us, record.lsn)))


def _repaired(before: IdentityView, event: IdentityRepaired, record: Record) -> IdentityView:
    return before._replace(repaired_lsn=record.lsn)


def _certificate(event: CertificateInstalled | CertificateRenewed) -> Certificate:
    return Certificate(CertificateFacts._make(event[:7]), StoredDocument._make(event.stored))


FOLDS = folds(
    {
        EnrollmentRequested: _requested,
        CertificateInstalled: _installed,
        RenewalRequested: _renewal_requested,
        CertificateConfirmed: _confirmed,
        CertificateRenewed: _renewed,
        IdentityRevoked: _revoked,
        RevocationChecked: _checked,
        IdentityLost: _lost,
        IdentityRefused: _refused,
        IdentityRepaired: _repaired,
    },
    after_reset=IdentityView(),
)
empty, to_value, from_value, view = shape(IdentityView())
