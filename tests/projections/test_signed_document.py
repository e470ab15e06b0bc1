"""The headers of a document: exactly four labels, the same claims in every signature, and what the signature covers."""

import hashlib
from typing import Any

import pytest

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.cose import ALG, KID, TYP
from rap_projections.documents import DocumentType
from rap_projections.refusals import (
    BadSignature,
    Malformed,
    RefusedError,
    TooLarge,
    UnsupportedAlgorithm,
    UnsupportedFormat,
    WrongCluster,
    WrongDocumentType,
    WrongScope,
)
from rap_projections.signed_document import (
    CLAIMS,
    FORMS,
    Claims,
    check_document_size,
    content_id,
    external_aad,
    open_document,
    protected_header,
)
from rap_projections.testing import Fabric
from tests.projections.documents_support import CLUSTER, header_map, payload_of, refused, sign1

PEERS = Claims("snapshot", CLUSTER, "peers")
FABRIC = Fabric(CLUSTER)
GOOD = FABRIC.peers(["node-1"])
RIGHT = header_map(FABRIC, PEERS, "peers")


def made(header: dict[Any, Any], **options: Any) -> bytes:
    return sign1(FABRIC, header, payload_of(GOOD), "peers", PEERS, **options)


def test_right_header_is_what_the_issuer_writes() -> None:
    assert made(RIGHT) == GOOD
    assert protected_header(FABRIC.key("peers").kid, PEERS) == encode(RIGHT)


def test_opened_document_gives_kid_claims_and_payload() -> None:
    document = open_document(GOOD, DocumentType.SNAPSHOT)
    assert document.claims == PEERS
    assert document.signatures[0].kid == hashlib.sha256(FABRIC.key("peers").public_key).digest()
    document.check_claims(CLUSTER, ("peers", "routes"))
    document.verify(document.signatures[0], FABRIC.key("peers").public_key)


def test_external_data_and_content_id_are_the_published_arrays() -> None:
    """Mutation: leave cluster or scope out of either."""
    assert decode(external_aad(PEERS)) == ["rap/v1", "snapshot", CLUSTER, "peers"]
    assert content_id(PEERS, b"x") == hashlib.sha256(encode(["snapshot", CLUSTER, "peers", b"x"])).digest()
    others = [PEERS._replace(document_type="increment"), PEERS._replace(cluster_id="b"), PEERS._replace(scope="routes")]
    assert len({content_id(claims, b"x") for claims in [PEERS, *others]}) == 4


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (RIGHT | {5: b""}, Malformed),
        (RIGHT | {2: [ALG]}, Malformed),
        (RIGHT | {"x": 1}, Malformed),
        ({label: RIGHT[label] for label in (ALG, KID, TYP)}, Malformed),
        ({label: RIGHT[label] for label in (ALG, KID, CLAIMS)}, Malformed),
        ({label: RIGHT[label] for label in (ALG, TYP, CLAIMS)}, Malformed),
        ({label: RIGHT[label] for label in (KID, TYP, CLAIMS)}, Malformed),
        (RIGHT | {KID: b"short"}, Malformed),
        (RIGHT | {KID: "0" * 32}, Malformed),
        (RIGHT | {TYP: 60}, Malformed),
        (RIGHT | {CLAIMS: ["snapshot", CLUSTER]}, Malformed),
        (RIGHT | {CLAIMS: ["snapshot", CLUSTER, "peers", "more"]}, Malformed),
        (RIGHT | {CLAIMS: "snapshot"}, Malformed),
        (RIGHT | {CLAIMS: ["snapshot", CLUSTER, 1]}, Malformed),
        (RIGHT | {CLAIMS: ["snapshot", "EU", "peers"]}, Malformed),
        (RIGHT | {CLAIMS: ["snapshot", "eu\n", "peers"]}, Malformed),
        (RIGHT | {ALG: -7}, UnsupportedAlgorithm),
        (RIGHT | {ALG: "Ed25519"}, UnsupportedAlgorithm),
        (RIGHT | {ALG: None}, UnsupportedAlgorithm),
    ],
)
def test_header_that_is_not_exactly_the_four_labels_is_refused(header: dict[Any, Any], kind: type[RefusedError]) -> None:
    """Mutation: allow another label, a missing one, or a kid of another size."""
    assert type(refused(open_document, made(header), DocumentType.SNAPSHOT)) is kind


def test_unprotected_header_must_be_empty() -> None:
    """Mutation: allow labels in the unprotected header."""
    data = made(RIGHT, unprotected={KID: RIGHT[KID]})
    assert isinstance(refused(open_document, data, DocumentType.SNAPSHOT), Malformed)


def test_algorithm_minus_8_is_read_too() -> None:
    """Mutation: without the check of the signature itself, every key has signed."""
    document = open_document(FABRIC.peers([], algorithm=-8), DocumentType.SNAPSHOT)
    document.verify(document.signatures[0], FABRIC.key("peers").public_key)
    assert isinstance(refused(document.verify, document.signatures[0], FABRIC.key("routes").public_key), BadSignature)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (RIGHT | {TYP: "application/vnd.rap.head.v1+cose"}, WrongDocumentType),
        (RIGHT | {TYP: "application/cose"}, WrongDocumentType),
        (RIGHT | {TYP: "application/vnd.rap.snapshot.v2+cose"}, UnsupportedFormat),
        (RIGHT | {TYP: "application/vnd.rap.snapshot.v02+cose"}, WrongDocumentType),
        (RIGHT | {CLAIMS: ["increment", CLUSTER, "peers"]}, WrongDocumentType),
        (RIGHT | {CLAIMS: ["snapshot", "us-east-1", "peers"]}, WrongCluster),
        (RIGHT | {CLAIMS: ["snapshot", CLUSTER, "routes"]}, WrongScope),
        (RIGHT | {CLAIMS: ["snapshot", CLUSTER, "cluster"]}, WrongScope),
    ],
)
def test_claims_of_somebody_else_are_refused_by_name(header: dict[Any, Any], kind: type[RefusedError]) -> None:
    """Mutation: drop the comparison of typ, type, cluster or scope."""
    document = open_document(made(header), DocumentType.SNAPSHOT)
    assert type(refused(document.check_claims, CLUSTER, ("peers",))) is kind


def test_signatures_of_one_document_must_make_the_same_claims() -> None:
    """Mutation: compare the claims of the first signature only, or each with what is allowed but not with the others."""
    body = decode(FABRIC.bundle(sign_with="root-1")[2:])
    for other, kind in (
        (Fabric("us-east-1").bundle(sign_with="root-1"), WrongCluster),
        (FABRIC.sign("bundle", "cluster", body[2], sign_with="root-1", claimed_scope="peers"), WrongScope),
    ):
        both = b"\xd8\x62" + encode([*body[:3], [*body[3], *decode(other[2:])[3]]])
        document = open_document(both, DocumentType.BUNDLE)
        assert type(refused(document.check_claims, CLUSTER, ("cluster", "peers"))) is kind


def test_signature_does_not_fit_other_claims() -> None:
    """Mutation: leave the claims out of external_aad: then the header alone tells documents apart."""
    data = sign1(FABRIC, RIGHT, payload_of(GOOD), "peers", PEERS._replace(scope="routes"))
    document = open_document(data, DocumentType.SNAPSHOT)
    assert isinstance(refused(document.verify, document.signatures[0], FABRIC.key("peers").public_key), BadSignature)


@pytest.mark.parametrize("kind", DocumentType)
def test_size_limit_of_each_type_comes_before_parsing(kind: DocumentType) -> None:
    """Mutation: raise a limit, or check the size after the structure."""
    limit = FORMS[kind].bytes_max
    assert isinstance(refused(open_document, bytes(limit + 1), kind), TooLarge)
    assert isinstance(refused(open_document, bytes(limit), kind), Malformed)
    assert isinstance(refused(check_document_size, bytes(limit + 1), kind), TooLarge)


def test_policy_has_no_increments() -> None:
    assert "policy" not in FORMS[DocumentType.INCREMENT].scopes
