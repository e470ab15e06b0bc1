"""Keys that a seed makes, and signing with them: right documents, and wrong ones where a test asks for them."""

import hashlib

import pytest

from rap_projections.cose import EDDSA
from rap_projections.documents import DocumentType
from rap_projections.refusals import BadSignature
from rap_projections.signed_document import Claims, open_document
from rap_projections.testing.issuing import (
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
    assert (document.signatures[0].kid, document.envelope.payload) == (stranger.kid, b"\xff no payload")
    with pytest.raises(BadSignature):
        document.verify(document.signatures[0], issuer_key("nowhere", 9, "another").public_key)


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
