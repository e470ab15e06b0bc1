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
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rap_journal.deterministic_cbor import encode
from rap_projections.cose import ED25519, SIGN_TAG, Envelope, Signature, signature_input
from rap_projections.documents import DocumentType
from rap_projections.ed25519_keys import key_id
from rap_projections.signed_document import FORMS, Claims, external_aad, protected_header

_TAG_BYTES = {18: b"\xd2", 98: b"\xd8\x62"}


class IssuerKey(NamedTuple):
    """A signing key of the issuing side."""

    name: str
    private_key: Ed25519PrivateKey
    public_key: bytes
    kid: bytes


def issuer_key(cluster_id: str, seed: int, name: str) -> IssuerKey:
    """The key called `name` of a cluster's issuer."""
    private_key = Ed25519PrivateKey.from_private_bytes(seeded_secret(cluster_id, seed, name))
    public_key = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return IssuerKey(name, private_key, public_key, key_id(public_key))


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


def tampered(document: bytes, *, at: int = -1) -> bytes:
    """`document` with one bit of the byte at this offset flipped: by default the last of the (last) signature."""
    changed = bytearray(document)
    changed[at] ^= 1
    return bytes(changed)


def _sign(context: str, body_protected: bytes, protected: bytes, claims: Claims, payload: bytes, key: IssuerKey) -> bytes:
    unsigned = Signature(protected, {}, b"")
    envelope = Envelope(context, body_protected, payload, (unsigned,))
    return key.private_key.sign(signature_input(envelope, unsigned, external_aad(claims)))


def seeded_secret(cluster_id: str, seed: int, name: str) -> bytes:
    """32 bytes that are the same for the same words: what a key of a test is made of."""
    return hashlib.sha256(f"rap fabric key, for tests only: {cluster_id} {seed} {name}".encode()).digest()
