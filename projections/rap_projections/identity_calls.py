"""The calls about who this node is in its cluster: asking for a certificate, taking it, and how far that has come.

Rules this file keeps:

- The private key is made here, sealed into the identity folder and synced before any event names it; nothing returns it.
- Asking again for the same ids hands out the same signing request, also to two threads that ask at once.
- A sealed key or a certificate that cannot be read, or is not the one recorded, is damage: an opening that finds one fails closed
  (spec 8). A certificate has a second copy in its event.
- Whether a node may enroll is the cluster's to decide (spec 2): what is kept is a certificate that one of its authorities issued.

Example::

    request = cluster.identity.request(node_id="node-17", membership_id="m-1")
    cluster.identity.enroll(certificate=answer_of_the_control_plane(request))
"""

import hashlib
import threading
from contextlib import suppress
from typing import NamedTuple, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from rap_journal.deterministic_cbor import decode_own, encode_arrays
from rap_journal.errors import DamageError, MisuseError, NoSpace
from rap_journal.sealing import Purpose, SealBroken
from rap_projections.arguments import require
from rap_projections.certificates import node_uri, read_certificate
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import IDENTITY, Event
from rap_projections.identity import Certificate, Enrollment, IdentityView, Key
from rap_projections.identity_decisions import decide_install, decide_refused, decide_request
from rap_projections.node_time import Now
from rap_projections.receipts import UNCHANGED, Context, Receipt, check_word
from rap_projections.refusals import RefusedError
from rap_projections.stored_document import StoredDocument

_SEALED = "sealed:"
_ALGORITHM = "ecdsa-p256"
_UNMADE = Key(_SEALED + "0", _ALGORITHM, bytes(32), bytes(32))
"""Stands for a key when only the rest of a request is judged."""

_NOT_STORED = StoredDocument(b"", 0, b"")
"""Stands for the place of a certificate that is only judged."""


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
        self._asking = threading.Lock()

    def request(self, *, node_id: str, membership_id: str, **context: Unpack[Context]) -> bytes:
        """A certificate signing request (PKCS #10, DER) for this node; its ECDSA P-256 key is durable before this returns.

        The same ids again give the same request. Raises `MisuseError` for malformed ids or past the first enrollment, `FailClosed`,
        `NoSpace`, `OutcomeUnknown`, `Poisoned`, `DamageError` when the sealed key cannot be read any more.
        """
        with self._asking:
            return self._request(node_id, membership_id, context)

    def _request(self, node_id: str, membership_id: str, context: Context) -> bytes:
        cluster = self._context
        cluster.require_open()
        known = self._view
        if known.enrollment is Enrollment.REQUESTED and (known.node_id, known.membership_id) == (node_id, membership_id):
            assert known.key is not None, "a requested identity has a key"
            return kept_request(cluster, known.key)
        # Asked before a key is made or stored: what is refused leaves no file behind, and no malformed id reaches the request.
        decide_request(known, node_id=node_id, membership_id=membership_id, key=_UNMADE)
        private_key = ec.generate_private_key(ec.SECP256R1())
        signing_request = _signing_request(private_key, cluster.cluster_id, node_id)
        public = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        secret = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        file_id = cluster.core.store(IDENTITY, encode_arrays([secret, signing_request]), purpose=Purpose.IDENTITY)
        digests = hashlib.sha256(public).digest(), hashlib.sha256(signing_request).digest()
        key = Key(_SEALED + file_id.hex(), _ALGORITHM, *digests)

        def decide(now: Now) -> tuple[Event, ...]:
            return decide_request(self._view, node_id=node_id, membership_id=membership_id, key=key)

        cluster.execute("identity", decide, context)
        return signing_request

    def enroll(self, *, certificate: bytes, source: str = "control-plane", **context: Unpack[Context]) -> Receipt:
        """Keep the certificate (DER) that answers the request, durably. The one that is kept already is ``changed=False``.

        Raises a `RefusedError`, which is recorded, where it is not this node's, not for the requested key, not issued by the cluster,
        revoked or past its end; `MisuseError` where none was requested; `FailClosed`, `StorageError`.
        """
        check_word("source", source)
        require("certificate", certificate, bytes)
        with self._asking:
            kept = self._judged(certificate, source, context)
            if kept is None:
                return UNCHANGED
            stored = kept._replace(stored=self._context.shelf.store(IDENTITY, certificate))
            return self._context.execute("identity", lambda now: decide_install(self._view, stored, now), context)

    def _judged(self, certificate: bytes, source: str, context: Context) -> Certificate | None:
        """The certificate, if it may be kept; None where it is kept already."""
        cluster, view = self._context, self._view
        trust = cluster.require_trust()
        if view.key is None:
            raise MisuseError(
                "no identity was requested; nothing was changed. Call request first.",
                state_class="identity",
                reason="not_requested",
            )
        try:
            facts = read_certificate(certificate, trust, node_id=view.node_id, membership_id=view.membership_id)
            judged = Certificate(facts, _NOT_STORED)
            return judged if decide_install(view, judged, cluster.core.now()) else None
        except RefusedError as refusal:
            refusal.concerning(cluster=cluster.cluster_id)
            with suppress(NoSpace):
                self._record(refusal, certificate, source, context)
            raise

    def _record(self, refusal: RefusedError, certificate: bytes, source: str, context: Context) -> None:
        reason, digest = refusal.reason or refusal.rule, hashlib.sha256(certificate).digest()

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            policy = self._context.policy
            return decide_refused(
                self._view, source=source, subject="enroll", reason=reason, times=times, digest=digest, now=now, policy=policy
            )

        self._context.coalesce("identity/refused", ("identity", source, reason), decide, context)

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


def kept_request(context: ClusterContext, key: Key) -> bytes:
    """The signing request that is sealed beside the private key of `key`.

    Raises `DamageError` where the file is gone, does not unseal, or holds another key than the one that was requested.
    """
    try:
        file_id = bytes.fromhex(key.reference.removeprefix(_SEALED))
        sealed = context.core.load(IDENTITY, file_id, purpose=Purpose.IDENTITY)
    except (DamageError, SealBroken, OSError) as error:
        # From None: what unsealing said is told by the reason, and nothing of a key belongs into a traceback.
        reason = error.reason if isinstance(error, DamageError) else "missing" if isinstance(error, OSError) else "seal_broken"
        raise _key_damaged(context, reason) from None
    _secret, signing_request = decode_own(sealed)
    if hashlib.sha256(signing_request).digest() != key.request_sha256:
        raise _key_damaged(context, "key_swapped")
    return bytes(signing_request)


def check_kept_keys(context: ClusterContext) -> None:
    """Read every key of the identity that is sealed in this store again, and every certificate. Raises `DamageError`."""
    view: IdentityView = context.state.view(IDENTITY)
    for key in (view.key, view.next_key):
        if key is not None and key.reference.startswith(_SEALED):
            kept_request(context, key)
    for certificate in (view.certificate, view.next_certificate):
        if certificate is not None:
            _check_certificate(context, certificate)


def _check_certificate(context: ClusterContext, certificate: Certificate) -> None:
    data = context.shelf.load(IDENTITY, certificate.stored)
    if hashlib.sha256(data).digest() != certificate.facts.fingerprint:
        raise DamageError(
            f"the certificate of cluster {context.cluster_id} is not the one that was kept; nothing was done with it. "
            "Restore the identity folder, or leave and join again.",
            cluster=context.cluster_id,
            state_class=IDENTITY.name,
            reason="certificate_swapped",
        )


def _key_damaged(context: ClusterContext, reason: str | None) -> DamageError:
    return DamageError(
        f"the sealed key of cluster {context.cluster_id} is not the one that was requested, or cannot be read ({reason}); "
        "nothing was handed out. Restore the identity folder, or leave and join again.",
        cluster=context.cluster_id,
        state_class=IDENTITY.name,
        reason=reason,
    )


def _signing_request(private_key: ec.EllipticCurvePrivateKey, cluster_id: str, node_id: str) -> bytes:
    """The request names cluster and node in its one URI, as the certificate will (trust, 14)."""
    uri = x509.UniformResourceIdentifier(node_uri(cluster_id, node_id))
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id[:64])]))
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
    )
    return builder.sign(private_key, hashes.SHA256()).public_bytes(Encoding.DER)
