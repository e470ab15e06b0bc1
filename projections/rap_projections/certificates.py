"""Certificates of nodes: what one says, and whether an authority of the cluster issued it to this node (trust, 14).

Rules this file keeps:

- A certificate has exactly one URI name, rap://cluster/node/id, and it is that of this node in this cluster.
- One of the authorities that the bundle in force names signed it directly, and the bundle does not revoke it or its node.
- Its key is ECDSA P-256, and it is no authority itself.
- Whether its key is the requested one, and whether it is still valid, is judged where its event is decided.

Example::

    facts = read_certificate(data, trust, node_id="node-17", membership_id="m-1")
"""

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rap_projections.identity import CertificateFacts
from rap_projections.refusals import Malformed, NotForThisNode, Revoked, TooLarge, UnknownSigner, WrongCluster
from rap_projections.trust_in_force import TrustInForce

CERTIFICATE_BYTES_MAX = 16 << 10
"""Largest certificate that is looked at."""

_ISSUER_LENGTH_MAX = 1024
_SERIAL_BYTES_MAX = 20
_KIND = "certificate"


def node_uri(cluster_id: str, node_id: str) -> str:
    """The one name of a node's certificate."""
    return f"rap://{cluster_id}/node/{node_id}"


def key_sha256(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of a public key (SubjectPublicKeyInfo, DER)."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def read_certificate(data: bytes, trust: TrustInForce, *, node_id: str, membership_id: str) -> CertificateFacts:
    """What the certificate `data` (DER) says, if it was issued to this node. Raises a `RefusedError` that says what is wrong."""
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise TooLarge(f"it has {len(data)} bytes", document_type=_KIND)
    try:
        certificate = x509.load_der_x509_certificate(data)
        facts = _facts(data, certificate)
        is_authority = _is_authority(certificate)
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Malformed("it is no certificate of a node", document_type=_KIND) from error
    if is_authority:
        raise Malformed("it is an authority's", document_type=_KIND)
    _check_name(facts.subject_uri, trust.cluster_id, node_id)
    _check_issuer(certificate, trust)
    if trust.is_certificate_revoked(facts.fingerprint) or trust.is_identity_revoked(node_id=node_id, membership_id=membership_id):
        raise Revoked("it is revoked, or this node is", document_type=_KIND)
    return facts


def _facts(data: bytes, certificate: x509.Certificate) -> CertificateFacts:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not an ECDSA P-256 key")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    serial = certificate.serial_number.to_bytes(_SERIAL_BYTES_MAX, "big").lstrip(b"\0")
    issuer = certificate.issuer.rfc4514_string()
    if len(issuer) > _ISSUER_LENGTH_MAX or len(uri) > _ISSUER_LENGTH_MAX:
        raise ValueError("a name is too long")
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return CertificateFacts(
        serial, issuer, uri, int(starts.timestamp()), int(ends.timestamp()), hashlib.sha256(data).digest(), key_sha256(key)
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_name(uri: str, cluster_id: str, node_id: str) -> None:
    if not uri.startswith(node_uri(cluster_id, "")):
        raise WrongCluster("its name is of another cluster", document_type=_KIND)
    if uri != node_uri(cluster_id, node_id):
        raise NotForThisNode("its name is of another node", document_type=_KIND)


def _check_issuer(certificate: x509.Certificate, trust: TrustInForce) -> None:
    for anchor in trust.trust_anchors:
        try:
            certificate.verify_directly_issued_by(x509.load_der_x509_certificate(anchor.certificate))
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    raise UnknownSigner("no authority of this cluster issued it", document_type=_KIND)
