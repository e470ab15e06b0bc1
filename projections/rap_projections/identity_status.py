"""What the identity of this node amounts to, in one word, and what of it is safe to show.

Rules this file keeps:

- Pure: the view, trusted time, and why the cluster fails closed, if it does.
- The worst that is true is told: a revoked identity is not "renewing".
- No key and no reference to one: digests of what is public, times and states only.

Example::

    state_of(view, now.trusted_s, fail_closed=None) is IdentityState.ENROLLED
"""

from enum import Enum
from typing import NamedTuple

from rap_projections.identity import Enrollment, IdentityView
from rap_projections.node_time import Validity

REVOKED = "revoked"
"""The word of the revocation cache for a certificate in use that is revoked."""


class IdentityState(str, Enum):
    """What an identity amounts to now.

    `ENROLLED`: its certificate is valid in trusted time. `RENEWING`: so it is, and a second key was made. `UNCERTAIN`: nothing signed
    says that the certificate's validity has begun. `DAMAGED`: the cluster fails closed over it.
    """

    NONE = "none"
    REQUESTED = "requested"
    ENROLLED = "enrolled"
    RENEWING = "renewing"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    REVOKED = "revoked"
    LOST = "lost"
    DAMAGED = "damaged"


class IdentityStatus(NamedTuple):
    """Safe to show: no key, and no reference to one.

    Attributes:
        enrollment: how far enrollment has come.
        node_id, membership_id: empty before the first request.
        certificate_fingerprint: SHA-256 of the certificate in use, hex; empty without one.
        certificate_expires_at_s: seconds since 1970; None without a certificate.
        revocation: "good", "revoked", "unknown", or "" before the first check.
        state: what the identity amounts to now.
        renewal: "" where none is under way, "requested", or "waiting" when its certificate waits for `confirm`.
        renewal_fingerprint: SHA-256 of the certificate that waits, hex; empty without one.
        renewal_expires_at_s: end of its validity, seconds since 1970; None without one.
        reason: why the identity is revoked or lost, a short stable word; empty otherwise.
    """

    enrollment: Enrollment
    node_id: str
    membership_id: str
    certificate_fingerprint: str
    certificate_expires_at_s: int | None
    revocation: str
    state: IdentityState = IdentityState.NONE
    renewal: str = ""
    renewal_fingerprint: str = ""
    renewal_expires_at_s: int | None = None
    reason: str = ""


def state_of(identity: IdentityView, trusted_s: int, fail_closed: str | None) -> IdentityState:
    """What the identity amounts to at this low end of trusted time. `fail_closed`: why the cluster fails closed, or None."""
    if fail_closed is not None and fail_closed.startswith("identity"):
        return IdentityState.DAMAGED
    if identity.enrollment is Enrollment.LOST:
        return IdentityState.LOST
    cached = identity.revocation.status if identity.revocation else ""
    if identity.enrollment is Enrollment.REVOKED or cached == REVOKED:
        return IdentityState.REVOKED
    if identity.certificate is None:
        return IdentityState(identity.enrollment.value)
    facts = identity.certificate.facts
    validity = Validity.of(facts.not_before_s, facts.not_after_s, trusted_s)
    return IdentityState(identity.enrollment.value if validity is Validity.VALID else validity.value)


def identity_status(identity: IdentityView, trusted_s: int, fail_closed: str | None) -> IdentityStatus:
    """The identity, as it is safe to show."""
    facts = identity.certificate.facts if identity.certificate else None
    waiting = identity.next_certificate.facts if identity.next_certificate else None
    return IdentityStatus(
        enrollment=identity.enrollment,
        node_id=identity.node_id,
        membership_id=identity.membership_id,
        certificate_fingerprint=facts.fingerprint.hex() if facts else "",
        certificate_expires_at_s=facts.not_after_s if facts else None,
        revocation=identity.revocation.status if identity.revocation else "",
        state=state_of(identity, trusted_s, fail_closed),
        renewal="waiting" if waiting else "requested" if identity.next_key else "",
        renewal_fingerprint=waiting.fingerprint.hex() if waiting else "",
        renewal_expires_at_s=waiting.not_after_s if waiting else None,
        reason=identity.loss_reason,
    )
