"""What the tests of documents share: a cluster with its issuer, and documents broken on purpose.

Example::

    refusal = refused(verify_snapshot, data, trust, trusted_s=NOW_S, recipient=NODE)
    assert refusal.reason == "expired"
"""

from collections.abc import Callable
from typing import Any

import pytest

from rap_journal.deterministic_cbor import encode
from rap_projections.cose import ALG, ED25519, KID, TYP, Envelope, Signature, signature_input
from rap_projections.documents import DocumentType
from rap_projections.refusals import RefusedError
from rap_projections.signed_document import CLAIMS, Claims, external_aad, media_type, open_document
from rap_projections.testing import Fabric
from rap_projections.testing.fabric import DEFAULT_TIME_S
from rap_projections.verification import Recipient

CLUSTER = "eu-west-1"
NOW_S = DEFAULT_TIME_S + 1800
NODE = Recipient("node-1", frozenset({"edge"}))


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> RefusedError:
    """The refusal that a call must raise."""
    with pytest.raises(RefusedError) as caught:
        call(*arguments, **options)
    return caught.value


def payload_of(document: bytes, document_type: DocumentType = DocumentType.SNAPSHOT) -> bytes:
    """The payload of a document."""
    return open_document(document, document_type).envelope.payload


def header_map(fabric: Fabric, claims: Claims, signer: str) -> dict[Any, Any]:
    """The right protected header, to be changed by a test."""
    return {ALG: ED25519, KID: fabric.key(signer).kid, TYP: media_type(claims.document_type), CLAIMS: list(claims)}


def sign1(
    fabric: Fabric, header: bytes | dict[Any, Any], payload: bytes, signer: str, claims: Claims, *, unprotected: Any = None
) -> bytes:
    """A COSE_Sign1 with any headers at all, signed truly over them."""
    protected = encode(header) if isinstance(header, dict) else header
    unsigned = Signature(protected, {}, b"")
    signed = signature_input(Envelope("Signature1", protected, payload, (unsigned,)), unsigned, external_aad(claims))
    signature = fabric.key(signer).private_key.sign(signed)
    return b"\xd2" + encode([protected, {} if unprotected is None else unprotected, payload, signature])


CERTIFICATE_REASONS = {"unsupported_key", "wrong_name", "wrong_purpose", "wrong_peer", "time_uncertain"}
"""Reasons that only a certificate can be refused for."""
