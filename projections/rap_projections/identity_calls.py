"""The calls about who this node is in its cluster: asking for a certificate, and how far that has come.

Rules this file keeps:

- The private key is made here, sealed into the identity folder and synced before any event names it; nothing returns it.
- Asking again for the same ids hands out the same signing request.

Example::

    request = cluster.identity.request(node_id="node-17", membership_id="m-1")
    send_to_control_plane(request)
"""

import hashlib
from typing import NamedTuple, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from rap_journal.deterministic_cbor import decode_own, encode_arrays
from rap_journal.errors import DamageError
from rap_journal.sealing import Purpose
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import IDENTITY, Event
from rap_projections.identity import Enrollment, IdentityView, Key
from rap_projections.identity_decisions import decide_request
from rap_projections.node_time import Now
from rap_projections.receipts import Context

_SEALED = "sealed:"


class IdentityStatus(NamedTuple):
    """Safe to show: no key, and no reference to one.

    Attributes:
        enrollment: how far enrollment has come.
        node_id, membership_id: empty before the first request.
        certificate_fingerprint: SHA-256 of the certificate in use, hex; empty without one.
        certificate_expires_at_s: seconds since 1970; None without a certificate.
        revocation: "good", "revoked", "unknown", or "" before the first check.
    """

    enrollment: Enrollment
    node_id: str
    membership_id: str
    certificate_fingerprint: str
    certificate_expires_at_s: int | None
    revocation: str


class Identity:
    """What `cluster.identity` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def request(self, *, node_id: str, membership_id: str, **context: Unpack[Context]) -> bytes:
        """A certificate signing request (PKCS #10, DER) for this node; its ECDSA P-256 key is durable before this returns.

        The same ids again give the same request. Raises `MisuseError` for malformed ids or past the first enrollment, `FailClosed`,
        `NoSpace`, `OutcomeUnknown`, `Poisoned`, `DamageError` when the sealed key cannot be read any more.
        """
        cluster = self._context
        cluster.require_open()
        known = self._view
        if known.enrollment is Enrollment.REQUESTED and (known.node_id, known.membership_id) == (node_id, membership_id):
            return self._kept_request(known)
        private_key = ec.generate_private_key(ec.SECP256R1())
        signing_request = _signing_request(private_key, cluster.cluster_id, node_id)
        public = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        # Asked before the key is stored, so that a refused request leaves no file behind.
        placeholder = Key(_SEALED + "0", "ecdsa-p256", hashlib.sha256(public).digest(), hashlib.sha256(signing_request).digest())
        decide_request(known, node_id=node_id, membership_id=membership_id, key=placeholder)
        secret = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        file_id = cluster.core.store(IDENTITY, encode_arrays([secret, signing_request]), purpose=Purpose.IDENTITY)
        key = placeholder._replace(reference=_SEALED + file_id.hex())

        def decide(now: Now) -> tuple[Event, ...]:
            return decide_request(self._view, node_id=node_id, membership_id=membership_id, key=key)

        cluster.execute("identity", decide, context)
        return signing_request

    def status(self) -> IdentityStatus:
        """How far enrollment has come."""
        view = self._view
        facts = view.certificate.facts if view.certificate else None
        return IdentityStatus(
            enrollment=view.enrollment,
            node_id=view.node_id,
            membership_id=view.membership_id,
            certificate_fingerprint=facts.fingerprint.hex() if facts else "",
            certificate_expires_at_s=facts.not_after_s if facts else None,
            revocation=view.revocation.status if view.revocation else "",
        )

    @property
    def _view(self) -> IdentityView:
        view: IdentityView = self._context.state.view(IDENTITY)
        return view

    def _kept_request(self, known: IdentityView) -> bytes:
        assert known.key is not None, "a requested identity has a key"
        file_id = bytes.fromhex(known.key.reference.removeprefix(_SEALED))
        _secret, signing_request = decode_own(self._context.core.load(IDENTITY, file_id, purpose=Purpose.IDENTITY))
        if hashlib.sha256(signing_request).digest() != known.key.request_sha256:
            raise DamageError(
                f"the sealed key of cluster {self._context.cluster_id} is not the one that was requested; nothing was handed out.",
                cluster=self._context.cluster_id,
                state_class=IDENTITY.name,
                reason="key_swapped",
            )
        return bytes(signing_request)


def _signing_request(private_key: ec.EllipticCurvePrivateKey, cluster_id: str, node_id: str) -> bytes:
    """The request names cluster and node in its one URI, as the certificate will (trust, 14)."""
    uri = x509.UniformResourceIdentifier(f"rap://{cluster_id}/node/{node_id}")
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id[:64])]))
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
    )
    return builder.sign(private_key, hashes.SHA256()).public_bytes(Encoding.DER)
