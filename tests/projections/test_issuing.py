"""Keys that a seed makes, and signing with them: right documents, and wrong ones where a test asks for them."""

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rap_projections.cose import EDDSA
from rap_projections.documents import DocumentType
from rap_projections.refusals import BadSignature
from rap_projections.signed_document import Claims, open_document
from rap_projections.testing import Fabric, memory_store
from rap_projections.testing.issuing import (
    certificate_authority,
    issue_certificate,
    issuer_key,
    sign_document,
    tampered,
)
from tests.projections.documents_support import CLUSTER

CLAIMS = Claims("snapshot", CLUSTER, "peers")
BUNDLE_CLAIMS = Claims("bundle", CLUSTER, "cluster")
NOW_S = 1_800_000_000


def test_a_key_comes_of_cluster_seed_and_name_and_of_nothing_else() -> None:
    key = issuer_key(CLUSTER, 0, "peers")
    assert issuer_key(CLUSTER, 0, "peers").public_key == key.public_key
    others = [issuer_key("us-east-1", 0, "peers"), issuer_key(CLUSTER, 1, "peers"), issuer_key(CLUSTER, 0, "routes")]
    assert len({other.public_key for other in (key, *others)}) == 4


def test_the_kid_is_the_sha256_of_the_public_key() -> None:
    key = issuer_key(CLUSTER, 0, "peers")
    assert (key.name, len(key.public_key)) == ("peers", 32)
    assert key.kid == hashlib.sha256(key.public_key).digest()


def test_the_same_key_signs_the_same_document_byte_for_byte() -> None:
    key = issuer_key(CLUSTER, 0, "peers")
    assert sign_document(CLAIMS, b"payload", [key]) == sign_document(CLAIMS, b"payload", [key])


def test_a_document_is_signed_over_its_claims_and_payload() -> None:
    key = issuer_key(CLUSTER, 0, "peers")
    document = open_document(sign_document(CLAIMS, b"payload", [key]), DocumentType.SNAPSHOT)
    (signature,) = document.signatures
    assert (signature.kid, signature.claims, document.envelope.payload) == (key.kid, CLAIMS, b"payload")
    document.verify(signature, key.public_key)
    for changed in (signature._replace(claims=CLAIMS._replace(cluster_id="us-east-1")),):
        with pytest.raises(BadSignature):
            document.verify(changed, key.public_key)
    with pytest.raises(BadSignature):
        document._replace(envelope=document.envelope._replace(payload=b"PAYLOAD")).verify(signature, key.public_key)


def test_a_bundle_carries_one_signature_per_key_and_each_verifies_by_itself() -> None:
    keys = [issuer_key(CLUSTER, 0, f"root-{number}") for number in (1, 2, 3)]
    document = open_document(sign_document(BUNDLE_CLAIMS, b"payload", keys), DocumentType.BUNDLE)
    assert [signature.kid for signature in document.signatures] == [key.kid for key in keys]
    for signature, key in zip(document.signatures, keys, strict=True):
        document.verify(signature, key.public_key)


def test_what_has_one_signature_is_signed_by_the_first_key_alone() -> None:
    keys = [issuer_key(CLUSTER, 0, name) for name in ("peers", "spare")]
    assert sign_document(CLAIMS, b"payload", keys) == sign_document(CLAIMS, b"payload", keys[:1])


def test_nothing_is_checked_so_that_what_a_hostile_issuer_could_sign_can_be_signed() -> None:
    stranger = issuer_key("nowhere", 9, "stranger")
    document = open_document(sign_document(CLAIMS, b"\xff no payload", [stranger]), DocumentType.SNAPSHOT)
    document.verify(document.signatures[0], stranger.public_key)


def test_the_older_name_of_the_algorithm_can_be_asked_for() -> None:
    key = issuer_key(CLUSTER, 0, "peers")
    old = sign_document(CLAIMS, b"payload", [key], algorithm=EDDSA)
    assert old != sign_document(CLAIMS, b"payload", [key])
    document = open_document(old, DocumentType.SNAPSHOT)
    document.verify(document.signatures[0], key.public_key)


@pytest.mark.parametrize("at", [-1, 0, 5])
def test_tampering_changes_one_bit_and_only_there(at: int) -> None:
    document = b"0123456789"
    changed = tampered(document, at=at)
    assert [index for index in range(10) if changed[index] != document[index]] == [at % 10]
    assert changed[at] ^ document[at] == 1
    assert tampered(document) == tampered(document, at=-1)


# Certificates.


def test_an_authority_comes_of_cluster_and_seed_and_may_issue_and_nothing_else() -> None:
    authority = certificate_authority(CLUSTER, 0, NOW_S)
    assert certificate_authority(CLUSTER, 0, NOW_S).certificate == authority.certificate
    assert certificate_authority(CLUSTER, 1, NOW_S).certificate != authority.certificate
    certificate = x509.load_der_x509_certificate(authority.certificate)
    certificate.verify_directly_issued_by(certificate)
    assert isinstance(authority.private_key.curve, ec.SECP256R1)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert certificate.not_valid_before_utc == datetime.fromtimestamp(NOW_S - 86_400, UTC)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 3650


@pytest.fixture(scope="module")
def request_of_a_node() -> bytes:
    """A signing request as a node makes it."""
    return memory_store().join(Fabric(CLUSTER)).identity.request(node_id="node-1", membership_id="m-1")


def test_a_certificate_is_for_the_key_and_the_name_that_were_asked_for(request_of_a_node: bytes) -> None:
    authority = certificate_authority(CLUSTER, 0, NOW_S)
    issued = issue_certificate(authority, request_of_a_node, start_s=NOW_S, end_s=NOW_S + 60)
    certificate, asked = x509.load_der_x509_certificate(issued), x509.load_der_x509_csr(request_of_a_node)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.certificate))
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert certificate.public_key().public_bytes(*public) == asked.public_key().public_bytes(*public)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value == asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.critical
    assert certificate.not_valid_before_utc == datetime.fromtimestamp(NOW_S, UTC)
    assert certificate.not_valid_after_utc == datetime.fromtimestamp(NOW_S + 60, UTC)


def test_another_name_is_issued_where_a_test_asks_for_it(request_of_a_node: bytes) -> None:
    authority = certificate_authority(CLUSTER, 0, NOW_S)
    issued = issue_certificate(authority, request_of_a_node, start_s=NOW_S, end_s=NOW_S + 60, uri="rap://elsewhere/node-9")
    names = x509.load_der_x509_certificate(issued).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["rap://elsewhere/node-9"]


def test_the_same_request_gets_the_same_certificate_and_another_validity_another_serial(request_of_a_node: bytes) -> None:
    authority = certificate_authority(CLUSTER, 0, NOW_S)
    one, again, other = (
        issue_certificate(authority, request_of_a_node, start_s=NOW_S, end_s=NOW_S + seconds) for seconds in (60, 60, 61)
    )
    assert one == again
    assert x509.load_der_x509_certificate(one).serial_number != x509.load_der_x509_certificate(other).serial_number
