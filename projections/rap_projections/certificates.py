"""Certificates of nodes: what one says, and whether an authority of the cluster vouches for it (trust, 14).

Rules this file keeps:

- Size and number are limited before anything is parsed. Whatever the bytes are, the answer is a value or a refusal.
- Every key is ECDSA P-256 and every signature made with SHA-256, the authority's included.
- A node's certificate has exactly one URI name, rap://cluster/node/id, and is no authority's.
- A path of certificates leads to one of the authorities that the bundle in force names, and nothing on it is revoked.
- Whose certificate it must be, what for, and at what time, is judged by those who ask.

Example::

    path = verify_path([certificate, intermediate], trust)
    path.leaf.node_id, path.leaf.facts.not_after_s
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import SignatureAlgorithmOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from rap_projections.identity import CertificateFacts
from rap_projections.refusals import Malformed, Revoked, TooLarge, UnknownSigner, UnsupportedKey, WrongCluster, WrongName
from rap_projections.trust_in_force import TrustInForce

CERTIFICATE_BYTES_MAX = 16 << 10
"""Largest certificate that is looked at."""

CHAIN_LENGTH_MAX = 4
"""Most certificates a peer may show: its own, and those between it and an authority that the bundle names."""

KIND = "certificate"
"""What refusals call a certificate."""

_ISSUER_LENGTH_MAX = 1024
_SERIAL_BYTES_MAX = 20
_NODE_URI = re.compile(r"rap://(?P<cluster>[a-z0-9-]{1,63})/node/(?P<node>[A-Za-z0-9][A-Za-z0-9._:-]{0,127})")
_UNREADABLE = (
    ValueError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""What reading a certificate raises, for bytes that are none or say something no certificate of a node says."""


class NodeCertificate(NamedTuple):
    """A certificate that reads like a node's.

    Attributes:
        facts: what status and decisions need of it.
        cluster_id: the cluster that its name says.
        node_id: the node that its name says.
        purposes: object identifiers of the sides of a connection that it is for.
    """

    facts: CertificateFacts
    cluster_id: str
    node_id: str
    purposes: frozenset[str]


class VerifiedPath(NamedTuple):
    """A node's certificate for which an authority of the cluster vouches. Its time was not judged.

    Attributes:
        leaf: the certificate.
        periods: start and end of validity, seconds since 1970, of every certificate on the path, the authority's last.
        anchor_sha256: SHA-256 of the authority's certificate (DER).
    """

    leaf: NodeCertificate
    periods: tuple[tuple[int, int], ...]
    anchor_sha256: bytes


def node_uri(cluster_id: str, node_id: str) -> str:
    """The one name of a node's certificate."""
    return f"rap://{cluster_id}/node/{node_id}"


def key_sha256(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of a public key (SubjectPublicKeyInfo, DER)."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def verify_path(chain: Sequence[bytes], trust: TrustInForce) -> VerifiedPath:
    """The path from the node's certificate, the first of `chain` (DER), to an authority of the cluster; the others may help.

    Raises a `RefusedError` that says which rule it broke.
    """
    if len(chain) > CHAIN_LENGTH_MAX:
        raise TooLarge(f"there are {len(chain)} certificates, and {CHAIN_LENGTH_MAX} may be", document_type=KIND)
    if not chain:
        raise Malformed("there is none", document_type=KIND)
    certificates = [_parse(data) for data in chain]
    leaf = _read_leaf(chain[0], certificates[0])
    if leaf.cluster_id != trust.cluster_id:
        raise WrongCluster("its name is of another cluster", document_type=KIND)
    path = _path(certificates, trust)
    _check_revoked([*certificates, path[-1]], trust)
    if trust.is_identity_revoked(node_id=leaf.node_id):
        raise Revoked("its node is revoked", document_type=KIND)
    return VerifiedPath(leaf, tuple(map(_period, path)), _sha256(path[-1]))


def _parse(data: bytes) -> x509.Certificate:
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise TooLarge(f"it has {len(data)} bytes", document_type=KIND)
    try:
        certificate = x509.load_der_x509_certificate(data)
        is_fit = _is_fit(certificate)
    except _UNREADABLE as error:
        raise Malformed("it is none", document_type=KIND) from error
    if not is_fit:
        raise UnsupportedKey("its key or signature is not ECDSA P-256 with SHA-256", document_type=KIND)
    return certificate


def _is_fit(certificate: x509.Certificate) -> bool:
    """Whether a certificate is for a P-256 key and signed with SHA-256 by one that may be such a key."""
    key = certificate.public_key()
    is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return is_p256 and certificate.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256


def _read_leaf(data: bytes, certificate: x509.Certificate) -> NodeCertificate:
    try:
        names, purposes = _names(certificate), _purposes(certificate)
        is_authority = _is_authority(certificate)
        facts = _facts(data, certificate, names[0] if len(names) == 1 else "")
    except _UNREADABLE as error:
        raise Malformed("it is no certificate of a node", document_type=KIND) from error
    if is_authority:
        raise Malformed("it is an authority's", document_type=KIND)
    named = _NODE_URI.fullmatch(facts.subject_uri)
    if named is None:
        raise WrongName(f"it has {len(names)} URI names, and the one must be a node's", document_type=KIND)
    return NodeCertificate(facts, named["cluster"], named["node"], purposes)


def _facts(data: bytes, certificate: x509.Certificate, uri: str) -> CertificateFacts:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "the key was looked at before"
    issuer = certificate.issuer.rfc4514_string()
    if len(issuer) > _ISSUER_LENGTH_MAX:
        raise ValueError("a name is too long")
    serial = certificate.serial_number.to_bytes(_SERIAL_BYTES_MAX, "big").lstrip(b"\0")
    return CertificateFacts(serial, issuer, uri, *_period(certificate), hashlib.sha256(data).digest(), key_sha256(key))


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.UniformResourceIdentifier)


def _purposes(certificate: x509.Certificate) -> frozenset[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(usage.dotted_string for usage in extension.value)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _path(certificates: Sequence[x509.Certificate], trust: TrustInForce) -> Sequence[x509.Certificate]:
    """The certificates from the first one to an authority that the bundle names, which comes last."""
    for anchor in trust.trust_anchors:
        try:
            authority = x509.load_der_x509_certificate(anchor.certificate)
            if _is_fit(authority):
                return _path_to(authority, certificates)
        except (VerificationError, *_UNREADABLE):
            continue
    raise UnknownSigner("no authority of this cluster vouches for it", document_type=KIND)


def _path_to(authority: x509.Certificate, certificates: Sequence[x509.Certificate]) -> Sequence[x509.Certificate]:
    # The library wants one time at which all of them are valid. Which time it is now is judged later, by trusted time: here they must
    # only have been valid together.
    start = max(_period(certificate)[0] for certificate in (*certificates, authority))
    builder = PolicyBuilder().store(Store([authority])).time(datetime.fromtimestamp(start, UTC))
    builder = builder.extension_policies(ca_policy=_AUTHORITY, ee_policy=ExtensionPolicy.permit_all())
    return builder.build_client_verifier().verify(certificates[0], list(certificates[1:])).chain


def _check_revoked(certificates: Iterable[x509.Certificate], trust: TrustInForce) -> None:
    for certificate in certificates:
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey), "the key was looked at before"
        if trust.is_certificate_revoked(_sha256(certificate)):
            raise Revoked("it, or one above it, is revoked", document_type=KIND)
        if trust.is_key_revoked(key_sha256(key)):
            raise Revoked("its key, or one above it, is revoked", document_type=KIND)


def _period(certificate: x509.Certificate) -> tuple[int, int]:
    return int(certificate.not_valid_before_utc.timestamp()), int(certificate.not_valid_after_utc.timestamp())


def _sha256(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def _must_sign_certificates(policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage) -> None:
    if not extension.key_cert_sign:
        raise ValueError("its key may not sign certificates")


_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, None)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _must_sign_certificates)
)
"""What every certificate above a node's says: basic constraints, of which the library itself demands that they allow an authority, and that
its key signs certificates."""
