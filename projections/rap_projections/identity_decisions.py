"""Which steps of its enrollment a node may record, and when.

Rules this file keeps:

- Every function is pure: the view and the values of the command in, the events that follow out. What is already so gives no event.
- A certificate is recorded only for a key that was requested here, and only while it is valid in trusted time.
- A revoked or lost identity takes no further step; resetting the class is the way out.
- A refused key reference is not repeated in the message, in case somebody passed a key.

Example::

    key = Key("file:identity-1", "ecdsa-p256", key_sha256, request_sha256)
    events = decide_request(view(state), node_id="node-17", membership_id="m-1", key=key)
"""

import re

from rap_journal.errors import MisuseError
from rap_projections.event_kinds import Event
from rap_projections.identity import Certificate, Enrollment, IdentityView, Key
from rap_projections.identity_events import (
    CertificateConfirmed,
    CertificateInstalled,
    CertificateRenewed,
    EnrollmentRequested,
    IdentityLost,
    IdentityRefused,
    IdentityRevoked,
    RenewalRequested,
    RevocationChecked,
)
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.refusal_log import is_due
from rap_projections.refusals import Expired, WrongKey
from rap_projections.trust_in_force import TrustInForce

KEY_ALGORITHMS = ("ecdsa-p256", "ed25519")

_KEY_REFERENCE = re.compile(r"[a-z0-9-]{1,32}:[A-Za-z0-9._-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def decide_request(identity: IdentityView, *, node_id: str, membership_id: str, key: Key) -> tuple[Event, ...]:
    """Record that `key` was made and a signing request for it handed out. The same again gives no event.

    Raises `MisuseError` for malformed ids or key reference, and where the node is past its first request.
    """
    if identity.enrollment not in (Enrollment.NONE, Enrollment.REQUESTED):
        raise _out_of_turn("request", identity)
    _check_name("node_id", node_id)
    _check_name("membership_id", membership_id)
    _check_key(key)
    if (identity.node_id, identity.membership_id, identity.key) == (node_id, membership_id, key):
        return ()
    return (EnrollmentRequested(node_id, membership_id, *key),)


def decide_install(identity: IdentityView, certificate: Certificate, now: Now) -> tuple[Event, ...]:
    """Keep a checked certificate: the first one, or that of a renewal. A certificate that is kept already gives no event.

    Raises `MisuseError` where none was requested, `WrongKey` where it is for another key, `Expired` where it is no longer valid.
    """
    facts = certificate.facts
    kept = [known.facts.fingerprint for known in (identity.certificate, identity.next_certificate) if known]
    if facts.fingerprint in kept:
        return ()
    renewing = identity.enrollment is Enrollment.RENEWING
    key = identity.next_key if renewing else identity.key
    if key is None or identity.enrollment not in (Enrollment.REQUESTED, Enrollment.RENEWING):
        raise _out_of_turn("install", identity)
    if facts.key_sha256 != key.key_sha256:
        raise WrongKey("it is not for the requested key", document_type="certificate")
    if facts.not_after_s <= now.trusted_s:
        raise Expired("it is no longer valid", document_type="certificate")
    return (CertificateRenewed(*facts, certificate.stored) if renewing else CertificateInstalled(*facts, certificate.stored),)


def decide_renew(identity: IdentityView, *, key: Key) -> tuple[Event, ...]:
    """Record a second key and its signing request. The same again gives no event.

    Raises `MisuseError` for a malformed key reference, for the key in use, and where the node is not enrolled.
    """
    if identity.enrollment not in (Enrollment.ENROLLED, Enrollment.RENEWING):
        raise _out_of_turn("renew", identity)
    _check_key(key)
    if identity.key is not None and key.key_sha256 == identity.key.key_sha256:
        raise MisuseError(
            "a renewal needs a new key, and this one is in use; nothing was changed.", state_class="identity", reason="same_key"
        )
    return () if key == identity.next_key else (RenewalRequested._make(key),)


def decide_confirm(identity: IdentityView, now: Now) -> tuple[Event, ...]:
    """The renewed certificate replaces the current one; without a renewal under way there is nothing to confirm, and no event.

    Raises `MisuseError` where a renewal was requested and its certificate is not there yet, or the node never enrolled; `Expired` where
    that certificate is no longer valid.
    """
    if identity.enrollment is Enrollment.ENROLLED:
        return ()
    if identity.enrollment is not Enrollment.RENEWING or identity.next_certificate is None:
        raise _out_of_turn("confirm", identity)
    if identity.next_certificate.facts.not_after_s <= now.trusted_s:
        raise Expired("it is no longer valid", document_type="certificate")
    return (CertificateConfirmed(identity.next_certificate.facts.fingerprint),)


def decide_revoked(identity: IdentityView, *, fingerprint: bytes, reason: str, source_content_id: bytes) -> tuple[Event, ...]:
    """Record that a verified document revokes this identity, once."""
    if identity.enrollment in (Enrollment.REVOKED, Enrollment.NONE):
        return ()
    return (IdentityRevoked(fingerprint, reason, source_content_id),)


def decide_reviewed(identity: IdentityView, trust: TrustInForce, now: Now) -> tuple[Event, ...]:
    """Record what the bundle in force says of this identity; nothing where that is known.

    The identity is revoked for good where node or membership are, and where its key or certificate is and no renewal is under way. With
    one under way only the certificate in use is barred: the renewed one may still come, and is judged by itself.
    """
    if identity.enrollment in (Enrollment.NONE, Enrollment.REVOKED, Enrollment.LOST):
        return ()
    node = trust.is_identity_revoked(node_id=identity.node_id, membership_id=identity.membership_id)
    in_use = node or _is_revoked(trust, identity.key, identity.certificate)
    renewing = identity.next_key is not None and not _is_revoked(trust, identity.next_key, identity.next_certificate)
    status, digest = "revoked" if in_use else "good", trust.revocation_digest()
    checked = decide_revocation_checked(identity, status=status, revocation_digest=digest, now=now)
    if in_use and (node or not renewing):
        fingerprint = identity.certificate.facts.fingerprint if identity.certificate and not node else b""
        reason = "node_revoked" if node else "certificate_revoked"
        return (*checked, *decide_revoked(identity, fingerprint=fingerprint, reason=reason, source_content_id=trust.content_id))
    return checked if identity.certificate else ()


def _is_revoked(trust: TrustInForce, key: Key | None, certificate: Certificate | None) -> bool:
    if key is not None and trust.is_key_revoked(key.key_sha256):
        return True
    return certificate is not None and trust.is_certificate_revoked(certificate.facts.fingerprint)


def decide_lost(identity: IdentityView, *, key_reference: str, reason: str) -> tuple[Event, ...]:
    """Record that the private key of this identity is gone, once; a key this identity does not use costs it nothing."""
    in_use = identity.key is not None and identity.key.reference == key_reference
    if not in_use or identity.enrollment in (Enrollment.LOST, Enrollment.REVOKED):
        return ()
    return (IdentityLost(key_reference, reason),)


def decide_revocation_checked(identity: IdentityView, *, status: str, revocation_digest: bytes, now: Now) -> tuple[Event, ...]:
    """Refresh the revocation cache, where the answer or the set it was looked up in changed.

    Raises `MisuseError` for a status other than good, revoked or unknown.
    """
    if status not in ("good", "revoked", "unknown"):
        raise MisuseError(
            f"{status!r:.80} is no revocation status; nothing was changed. Use good, revoked or unknown.", state_class="identity"
        )
    known = identity.revocation
    if known is not None and (known.status, known.revocation_digest) == (status, revocation_digest):
        return ()
    return (RevocationChecked(status, now.trusted_s, revocation_digest),)


def decide_refused(
    identity: IdentityView,
    *,
    source: str,
    subject: str,
    reason: str,
    times: int,
    digest: bytes,
    now: Now,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    """Record `times` refusals, or nothing while the interval of the same source, subject and reason lasts."""
    due = is_due(identity.refusals, source, subject, reason, now, policy)
    return (IdentityRefused(source, subject, reason, times, digest),) if due else ()


def _out_of_turn(call: str, identity: IdentityView) -> MisuseError:
    return MisuseError(
        f"identity.{call} does not fit the enrollment state {identity.enrollment.value!r}; nothing was changed.",
        state_class="identity",
        reason="out_of_turn",
    )


def _check_name(field: str, text: object) -> None:
    if not (isinstance(text, str) and _NAME.fullmatch(text)):
        raise MisuseError(
            f"{field} {text!r:.80} is not 1 to 128 letters, digits and . _ : -; nothing was changed.",
            state_class="identity",
            reason=field,
        )


def _check_key(key: Key) -> None:
    digests = len(key.key_sha256) == len(key.request_sha256) == 32
    if not (_KEY_REFERENCE.fullmatch(key.reference) and key.algorithm in KEY_ALGORITHMS and digests):
        # The text is not repeated: a caller who mistakes key for reference must not find it in a log.
        raise MisuseError(
            "a key is named by provider:slot, an algorithm of this format and two SHA-256 digests; nothing was changed.",
            state_class="identity",
            reason="key_reference",
        )
