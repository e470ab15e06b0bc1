"""Using this node's identity without handing out its key: signing, and contexts for TLS.

Rules this file keeps:

- Every use asks first: not while the cluster fails closed, not with a certificate that is revoked, expired or uncertain, not before
  a restore was validated, nor against anything else that bars new sessions (`Operation.NEW_SESSION`).
- What was handed out is bound to one certificate: after a renewal was confirmed it is refused, and a new one is to be asked for.
- The key is read for each signature and let go of. It is in no attribute, representation, pickle or copy.

Example::

    signer = Signer(identity_in_use(context))
    signature = signer.sign(challenge)
"""

import ssl
from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from rap_journal.errors import MisuseError
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity import Certificate, IdentityView, Key
from rap_projections.identity_keys import kept_certificate, private_key_of
from rap_projections.operations import Operation
from rap_projections.refusals import NotAllowed
from rap_projections.tls_contexts import NodeContext, tls_context


class IdentityInUse:
    """One certificate of this node, and its key, as long as it is the one in use."""

    __slots__ = ("_context", "_key", "certificate")

    def __init__(self, context: ClusterContext, key: Key, certificate: Certificate) -> None:
        self._context = context
        self._key = key
        self.certificate = certificate

    def __repr__(self) -> str:
        return f"<IdentityInUse of cluster {self._context.cluster_id}, key redacted>"

    def require(self, what: str) -> None:
        """Raise `FailClosed`, `NotValidated` or `NotAllowed` where the identity may not be used for `what` now."""
        context = self._context
        context.require_allowed(Operation.NEW_SESSION, what, IDENTITY)
        identity: IdentityView = context.state.view(IDENTITY)
        if identity.certificate != self.certificate:
            raise _not_allowed(context, what, "renewed")
        trust, facts = context.require_trust(), self.certificate.facts
        # Asked of the bundle in force as well as of the cache: what it revokes is barred before that is written down.
        if (
            trust.is_certificate_revoked(facts.fingerprint)
            or trust.is_key_revoked(facts.key_sha256)
            or trust.is_identity_revoked(node_id=identity.node_id, membership_id=identity.membership_id)
        ):
            raise _not_allowed(context, what, "identity_revoked")

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The private key, for one use. Raises `DamageError`."""
        return private_key_of(self._context, self._key)

    def data(self) -> bytes:
        """The certificate (DER). Raises `DamageError`."""
        return kept_certificate(self._context, self.certificate)


class Signer:
    """Signs with the private key of this node's identity and never shows it."""

    __slots__ = ("__identity",)

    algorithm = "ecdsa-p256-sha256"
    """ECDSA on P-256 over SHA-256; signatures are DER (RFC 3279)."""

    def __init__(self, identity: IdentityInUse) -> None:
        self.__identity = identity

    def __repr__(self) -> str:
        return f"<Signer with certificate {self.fingerprint.hex()[:16]}, key redacted>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled: a key stays where it is."""
        raise MisuseError(
            "a Signer cannot be copied or pickled; nothing was done. Ask the identity for one.", reason="not_portable"
        )

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate that it signs for (DER)."""
        return self.__identity.certificate.facts.fingerprint

    def certificate(self) -> bytes:
        """The certificate that it signs for (DER). Raises `DamageError`."""
        return self.__identity.data()

    def public_key(self) -> bytes:
        """The public key (SubjectPublicKeyInfo, DER). Raises `DamageError`."""
        return self.__identity.private_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, as long as the identity may begin new sessions.

        Raises `FailClosed`; `NotValidated` after a restore; `NotAllowed`, whose reason says what stands against it ("identity_revoked",
        "certificate_expired", "certificate_uncertain", "renewed" for a certificate that another one replaced, or one of `allows`);
        `DamageError`, `KeyUnavailable` or `KeyLost` where the key cannot be read; `MisuseError` after closing, and for data that are no bytes.
        """
        require("data", data, bytes)
        self.__identity.require("signing")
        return self.__identity.private_key().sign(data, ec.ECDSA(hashes.SHA256()))


def identity_in_use(context: ClusterContext) -> IdentityInUse:
    """The identity that may be used now. Raises `FailClosed`, and `MisuseError` where there is no certificate yet."""
    context.core.require_open()
    context.require_open()
    identity: IdentityView = context.state.view(IDENTITY)
    if identity.key is None or identity.certificate is None:
        raise MisuseError(
            f"this node has no certificate of cluster {context.cluster_id}; nothing was done. Call request and enroll first.",
            cluster=context.cluster_id,
            state_class=IDENTITY.name,
            reason="not_enrolled",
        )
    return IdentityInUse(context, identity.key, identity.certificate)


def node_context(context: ClusterContext, purpose: ssl.Purpose) -> NodeContext:
    """A TLS context for the identity that is in use. Raises what `Signer.sign` raises, and `StorageError` on another system than Linux."""
    require("purpose", purpose, ssl.Purpose)
    identity = identity_in_use(context)
    identity.require("a TLS session")
    anchors = [anchor.certificate for anchor in context.require_trust().trust_anchors]
    if not anchors:
        raise _not_allowed(context, "a TLS session", "no_authority")
    secret = identity.private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = ssl.DER_cert_to_PEM_cert(identity.data()).encode() + secret
    return tls_context(pem, anchors, purpose, lambda: identity.require("a TLS session"))


def _not_allowed(context: ClusterContext, what: str, reason: str) -> NotAllowed:
    return NotAllowed(
        f"{what} with the identity in cluster {context.cluster_id} is not allowed now ({reason}); nothing was done.",
        cluster=context.cluster_id,
        state_class=IDENTITY.name,
        reason=reason,
    )
