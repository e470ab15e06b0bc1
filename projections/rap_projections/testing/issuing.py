"""Keys that a seed makes, and the signing of documents with them: right ones, and wrong ones on purpose.

Rules this file keeps:

- The same seed gives the same keys and, because Ed25519 is deterministic, the same documents, byte for byte.
- Nothing is checked: what a faulty or hostile issuer could sign can be signed here.

These keys are for tests alone: whoever knows the seed has them.

Example::

    key = issuer_key("eu-west-1", 0, "root-1")
    data = sign_document(Claims("snapshot", "eu-west-1", "peers"), payload, [key])
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rap_journal.deterministic_cbor import encode
from rap_projections.cose import ED25519, SIGN_TAG, Envelope, Signature, signature_input
from rap_projections.documents import DocumentType
from rap_projections.ed25519_keys import key_id
from rap_projections.signed_document import FORMS, Claims, external_aad, protected_header

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_TAG_BYTES = {18: b"\xd2", 98: b"\xd8\x62"}


class IssuerKey(NamedTuple):
    """A signing key of the issuing side."""

    name: str
    private_key: Ed25519PrivateKey
    public_key: bytes
    kid: bytes


class CertificateAuthority(NamedTuple):
    """An authority for connections between nodes: its key, and its own certificate as DER."""

    private_key: ec.EllipticCurvePrivateKey
    certificate: bytes


def issuer_key(cluster_id: str, seed: int, name: str) -> IssuerKey:
    """The key called `name` of a cluster's issuer."""
    private_key = Ed25519PrivateKey.from_private_bytes(_secret(cluster_id, seed, name))
    public_key = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return IssuerKey(name, private_key, public_key, key_id(public_key))


def certificate_authority(cluster_id: str, seed: int, issued_at_s: int) -> CertificateAuthority:
    """An ECDSA P-256 authority whose certificate is valid from a day before `issued_at_s` for ten years."""
    secret = int.from_bytes(_secret(cluster_id, seed, "certificate authority"), "big")
    private_key = ec.derive_private_key(secret % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {cluster_id}")])
    start = datetime.fromtimestamp(issued_at_s, UTC) - timedelta(days=1)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=private_key.public_key())
        .serial_number(1 + secret % 2**64)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), critical=False)
        .sign(private_key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return CertificateAuthority(private_key, certificate.public_bytes(Encoding.DER))


def sign_document(claims: Claims, payload: bytes, keys: Sequence[IssuerKey], *, algorithm: int = ED25519) -> bytes:
    """A document with these claims and this payload, signed by `keys`: as COSE_Sign or COSE_Sign1, whichever its type is.

    A COSE_Sign1 is signed by the first key alone.
    """
    tag = FORMS[DocumentType(claims.document_type)].tag
    headers = [protected_header(key.kid, claims, algorithm=algorithm) for key in keys]
    if tag == SIGN_TAG:
        signers = [
            [header, {}, _sign("Signature", b"", header, claims, payload, key)] for header, key in zip(headers, keys, strict=True)
        ]
        return _TAG_BYTES[tag] + encode([b"", {}, payload, signers])
    signature = _sign("Signature1", headers[0], headers[0], claims, payload, keys[0])
    return _TAG_BYTES[tag] + encode([headers[0], {}, payload, signature])


def issue_certificate(
    authority: CertificateAuthority, request: bytes, *, start_s: int, end_s: int, uri: str | None = None
) -> bytes:
    """The certificate (DER) that `authority` issues for a signing request, valid from `start_s` to `end_s`, seconds since 1970.

    `uri` is what it names instead of what was asked for. Nothing else is checked: whether a node may enroll is not decided here.
    """
    asked = x509.load_der_x509_csr(request)
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if uri is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    serial = int.from_bytes(hashlib.sha256(request + f"{start_s} {end_s}".encode()).digest()[:16], "big")
    return (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(x509.load_der_x509_certificate(authority.certificate).subject)
        .public_key(asked.public_key())
        .serial_number(1 + serial)
        .not_valid_before(datetime.fromtimestamp(start_s, UTC))
        .not_valid_after(datetime.fromtimestamp(end_s, UTC))
        .add_extension(names, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority.private_key, hashes.SHA256(), ecdsa_deterministic=True)
        .public_bytes(Encoding.DER)
    )


def tampered(document: bytes, *, at: int = -1) -> bytes:
    """`document` with one bit of the byte at this offset flipped: by default the last of the (last) signature."""
    changed = bytearray(document)
    changed[at] ^= 1
    return bytes(changed)


def _sign(context: str, body_protected: bytes, protected: bytes, claims: Claims, payload: bytes, key: IssuerKey) -> bytes:
    unsigned = Signature(protected, {}, b"")
    envelope = Envelope(context, body_protected, payload, (unsigned,))
    return key.private_key.sign(signature_input(envelope, unsigned, external_aad(claims)))


def _secret(cluster_id: str, seed: int, name: str) -> bytes:
    return hashlib.sha256(f"rap fabric key, for tests only: {cluster_id} {seed} {name}".encode()).digest()
