"""Authorities for connections between nodes, and the certificates they issue: right ones, and wrong ones on purpose.

Rules this file keeps:

- The same seed gives the same keys and certificates, byte for byte: ECDSA is deterministic here (RFC 6979).
- Nothing is checked: what a faulty or hostile authority could sign can be signed here.

These keys are for tests alone: whoever knows the seed has them.

Example::

    authority = certificate_authority("eu-west-1", 0, issued_at_s)
    der = issue(authority, key.public_key(), "node-17", (start_s, end_s), uris=["rap://eu-west-1/node/node-17"])
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rap_projections.testing.issuing import seeded_secret

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DAY_S = 86_400

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
BOTH = (SERVER, CLIENT)

SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
"""Key usage of an authority."""

SIGNS_DATA = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
"""Key usage of anybody else."""


class CertificateAuthority(NamedTuple):
    """An authority for connections between nodes: its key, and its own certificate as DER."""

    private_key: ec.EllipticCurvePrivateKey
    certificate: bytes


class PeerIdentity(NamedTuple):
    """A node's key and the certificates that it shows (DER), its own first."""

    private_key: ec.EllipticCurvePrivateKey
    chain: tuple[bytes, ...]

    @property
    def certificate(self) -> bytes:
        """Its own certificate (DER)."""
        return self.chain[0]


def seeded_key(cluster_id: str, seed: int, name: str, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """The key called `name`, on P-256 unless another curve is named."""
    secret = int.from_bytes(seeded_secret(cluster_id, seed, name), "big")
    return ec.derive_private_key(secret % (_P256_ORDER - 1) + 1, curve or ec.SECP256R1())


def certificate_authority(
    cluster_id: str, seed: int, issued_at_s: int, *, days: int = 3650, curve: ec.EllipticCurve | None = None
) -> CertificateAuthority:
    """An authority, on P-256, whose certificate is valid from a day before `issued_at_s` for `days`."""
    private_key = seeded_key(cluster_id, seed, "certificate authority", curve)
    secret = int.from_bytes(seeded_secret(cluster_id, seed, "certificate authority"), "big")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {cluster_id}")])
    start_s = issued_at_s - _DAY_S
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=private_key.public_key())
        .serial_number(1 + secret % 2**64)
        .not_valid_before(_time(start_s))
        .not_valid_after(_time(start_s + days * _DAY_S))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(SIGNS_CERTIFICATES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), critical=False)
        .sign(private_key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return CertificateAuthority(private_key, certificate.public_bytes(Encoding.DER))


def issue(
    authority: CertificateAuthority,
    public_key: CertificatePublicKeyTypes,
    subject: str,
    period: tuple[int, int],
    *,
    uris: Sequence[str] = (),
    purposes: Sequence[x509.ObjectIdentifier] = BOTH,
    constraints: x509.BasicConstraints | None = None,
    key_usage: x509.KeyUsage | None = None,
    others: Sequence[x509.Extension[x509.ExtensionType]] = (),
    digest: hashes.SHA256 | hashes.SHA384 | None = None,
) -> bytes:
    """The certificate (DER) that `authority` issues, valid in `period` (start and end, seconds since 1970).

    Args:
        authority: who issues it.
        public_key: whose key it is for.
        subject: common name.
        period: start and end of validity.
        uris: URI names; none for an authority's certificate.
        purposes: extended key usage; empty for no such extension.
        constraints: basic constraints, critical; None for none.
        key_usage: key usage; None for none.
        others: further extensions as they stand.
        digest: hash of the signature, SHA-256 unless given.
    """
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    serial = int.from_bytes(hashlib.sha256(encoded + f"{subject} {period} {uris} {purposes}".encode()).digest()[:16], "big")
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]))
        .issuer_name(x509.load_der_x509_certificate(authority.certificate).subject)
        .public_key(public_key)
        .serial_number(1 + serial)
        .not_valid_before(_time(period[0]))
        .not_valid_after(_time(period[1]))
    )
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
    for extension, critical in (
        (names if uris else None, True), (x509.ExtendedKeyUsage(purposes) if purposes else None, False), (constraints, True),
        (key_usage, True), *((other.value, other.critical) for other in others),
    ):  # fmt: skip
        if extension is not None:
            builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(authority.private_key, digest or hashes.SHA256(), ecdsa_deterministic=True)
    return signed.public_bytes(Encoding.DER)


def asked_for(request: bytes) -> tuple[CertificatePublicKeyTypes, str, tuple[str, ...]]:
    """Public key, common name and URI names of a signing request (DER)."""
    asked = x509.load_der_x509_csr(request)
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    subject = asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return asked.public_key(), str(subject), tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
