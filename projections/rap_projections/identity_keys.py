"""The private keys of this node's identity, sealed in the identity folder: making, reading, checking and wiping them.

Rules this file keeps:

- A key is on disk, sealed for this purpose alone and together with its signing request, before any event names it.
- A key or certificate that is named and cannot be read, or is not the one recorded, is damage: whoever finds it, an opening or a use,
  the cluster fails closed (spec 8). A certificate has a second copy in its event. What the disk does not hand over now is no damage yet.
- A key that is lost for good ends the identity: that is recorded, and the node is to enroll anew. One that is not at hand now ends
  nothing: who needs it asks again later.
- A key is wiped behind the event that puts it out of use, once that is durable; what a failed write may have named is not touched.
- No message, representation or traceback shows a key. Python cannot promise that its memory is wiped.

Example::

    made = make_key(context, "node-17")
    made.key.reference, made.request
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from cryptography.x509.oid import NameOID

from rap_journal.deterministic_cbor import decode_own, encode_arrays
from rap_journal.errors import DamageError, KeyLost
from rap_journal.sealing import Purpose, SealBroken
from rap_projections.certificates import key_sha256, node_uri
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import IDENTITY
from rap_projections.failing_closed import write_fail_closed
from rap_projections.identity import Certificate, IdentityView, Key
from rap_projections.identity_decisions import decide_lost

SEALED = "sealed:"
"""Where the keys of this file are, as the first part of a key's reference."""

ALGORITHM = "ecdsa-p256"

UNREADABLE = "unreadable"
"""Why a key cannot be had where its file is there and the system does not let it be read."""


class MadeKey(NamedTuple):
    """A key that was made, by its reference and digests, and the signing request for it (PKCS #10, DER)."""

    key: Key
    request: bytes


def make_key(context: ClusterContext, node_id: str) -> MadeKey:
    """Make an ECDSA P-256 key, durably, and a signing request that names this node. Raises `NoSpace`."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    request = _signing_request(private_key, context.cluster_id, node_id)
    secret = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    file_id = context.core.store(IDENTITY, encode_arrays([secret, request]), purpose=Purpose.IDENTITY)
    digests = key_sha256(private_key.public_key()), hashlib.sha256(request).digest()
    return MadeKey(Key(SEALED + file_id.hex(), ALGORITHM, *digests), request)


def kept_request(context: ClusterContext, key: Key) -> bytes:
    """The signing request that is sealed beside the private key of `key`.

    Raises `DamageError` where the file is gone, does not unseal, or holds another key than the one that was requested, and then the
    cluster fails closed; `KeyUnavailable` where what it is sealed with is not there now; `KeyLost`, which is recorded, where it never
    will be again.
    """
    with _failing_closed(context):
        return _load(context, key)[1]


def private_key_of(context: ClusterContext, key: Key) -> ec.EllipticCurvePrivateKey:
    """The private key of `key`, for one use: whoever asks lets go of it at once. Raises what `kept_request` does."""
    with _failing_closed(context):
        private_key = load_der_private_key(_load(context, key)[0], None)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey) or key_sha256(private_key.public_key()) != key.key_sha256:
            raise _key_damaged(context, "key_swapped")
        return private_key


def check_kept_keys(context: ClusterContext) -> None:
    """Read every key of the identity that is sealed in this store again, and every certificate. Raises what `kept_request` does.

    For an opening, which fails closed by itself.
    """
    view: IdentityView = context.state.view(IDENTITY)
    for key in (view.key, view.next_key):
        if key is not None and key.reference.startswith(SEALED):
            _load(context, key)
    for certificate in (view.certificate, view.next_certificate):
        if certificate is not None:
            _load_certificate(context, certificate)


def kept_certificate(context: ClusterContext, certificate: Certificate) -> bytes:
    """A kept certificate (DER). Raises `DamageError` where it is gone or another one, and then the cluster fails closed."""
    with _failing_closed(context):
        return _load_certificate(context, certificate)


@contextmanager
def _failing_closed(context: ClusterContext) -> Iterator[None]:
    """Let damage that is found while at work count as an opening would let it."""
    try:
        yield
    except DamageError as error:
        if error.reason != UNREADABLE:
            context.fail_closed("identity_damaged")
            write_fail_closed(context)
        raise


def _load_certificate(context: ClusterContext, certificate: Certificate) -> bytes:
    data = context.shelf.load(IDENTITY, certificate.stored)
    if hashlib.sha256(data).digest() != certificate.facts.fingerprint:
        raise DamageError(
            f"the certificate of cluster {context.cluster_id} is not the one that was kept; nothing was done with it. "
            "Restore the identity folder, or leave and join again.",
            cluster=context.cluster_id,
            state_class=IDENTITY.name,
            reason="certificate_swapped",
        )
    return data


def wipe_key(context: ClusterContext, key: Key | None) -> None:
    """Wipe a key that the identity names no more, behind the event that put it out of use; one that it names stays.

    What cannot be removed now stays for the next opening, which knows it by that event.
    """
    view: IdentityView = context.state.view(IDENTITY)
    named = {named.reference for named in (view.key, view.next_key) if named is not None}
    if key is not None and key.reference.startswith(SEALED) and key.reference not in named:
        with suppress(OSError):
            context.core.wipe(IDENTITY, bytes.fromhex(key.reference.removeprefix(SEALED)))


def _load(context: ClusterContext, key: Key) -> tuple[bytes, bytes]:
    try:
        file_id = bytes.fromhex(key.reference.removeprefix(SEALED))
        sealed = context.core.load(IDENTITY, file_id, purpose=Purpose.IDENTITY)
    except KeyLost:
        view: IdentityView = context.state.view(IDENTITY)
        context.execute("identity", lambda now: decide_lost(view, key_reference=key.reference, reason="key_lost"))
        raise
    except (DamageError, SealBroken, OSError) as error:
        # From None: what unsealing said is told by the reason, and nothing of a key belongs into a traceback.
        raise _key_damaged(context, _reason(error)) from None
    secret, request = decode_own(sealed)
    if hashlib.sha256(request).digest() != key.request_sha256:
        raise _key_damaged(context, "key_swapped")
    return bytes(secret), bytes(request)


def _reason(error: DamageError | SealBroken | OSError) -> str | None:
    if isinstance(error, OSError):
        return "missing" if isinstance(error, FileNotFoundError) else UNREADABLE
    return error.reason if isinstance(error, DamageError) else "seal_broken"


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
