"""COSE_Sign1 and COSE_Sign with Ed25519, read strictly (RFC 9052): structure, signature input and verification.

Rules this file keeps:

- One item and nothing after it; definite, shortest lengths; no label twice, none that the caller did not allow, and never `crit`.
- The tag is taken off by hand, and no other tag may stand anywhere: hostile tags are never interpreted.
- What is signed is computed from the bytes as received, so nothing is encoded again on the way to a verdict.
- Algorithms: -19 (Ed25519, RFC 9864) and -8 (EdDSA, RFC 9053) with a key on Ed25519. Every other one is `UnsupportedAlgorithm`.

It knows no key but the one it is given. Which headers a document of ours carries, and who may sign it, is said elsewhere.

Example::

    envelope = parse_envelope(data, SIGN1_TAG, rules=GENERAL, size_max=1 << 16)
    verify_signature(envelope, envelope.signatures[0], public_key, external_aad=b"")
"""

from typing import Any, NamedTuple

from rap_journal.deterministic_cbor import MalformedCbor, decode, encode_arrays
from rap_projections.cbor_items import CborItems
from rap_projections.ed25519_keys import PUBLIC_KEY_BYTES, verify_ed25519
from rap_projections.refusals import Malformed, TooLarge, UnsupportedAlgorithm

SIGN1_TAG = 18
SIGN_TAG = 98

ALG, CRIT, CONTENT_TYPE, KID, TYP = 1, 2, 3, 4, 16
"""Header labels of RFC 9052, and of RFC 9596 for `TYP`."""

ED25519, EDDSA = -19, -8
"""The algorithm that is written, and the older name that is read too."""

SIGNATURES_MAX = 16
PROTECTED_BYTES_MAX = 1024
ED448_SIGNATURE_BYTES = 114


class HeaderRules(NamedTuple):
    """Which headers may stand where, and whether the leading tag may be left out.

    Attributes:
        protected: labels allowed in the header that covers a signature.
        body_protected: labels allowed in the protected header of a COSE_Sign body.
        unprotected: labels allowed in unprotected headers.
        untagged: whether the structure may also come without its tag.
        empty_map: whether a protected header without labels may be sent as an empty map, too.
    """

    protected: frozenset[int]
    body_protected: frozenset[int] = frozenset()
    unprotected: frozenset[int] = frozenset()
    untagged: bool = False
    empty_map: bool = False


GENERAL = HeaderRules(
    protected=frozenset({ALG, CONTENT_TYPE, KID, TYP}),
    body_protected=frozenset({CONTENT_TYPE, TYP}),
    unprotected=frozenset({KID, 7, 9, 11, 12}),  # kid, and countersignatures, which are not looked at
    untagged=True,
    empty_map=True,
)
"""What exchange with other implementations of COSE needs."""


class Signature(NamedTuple):
    """One signature with its header: `protected` as received, `header` as decoded."""

    protected: bytes
    header: dict[int | str, Any]
    signature: bytes


class Envelope(NamedTuple):
    """A COSE_Sign1 (`context` "Signature1", one signature) or COSE_Sign (`context` "Signature")."""

    context: str
    body_protected: bytes
    payload: bytes
    signatures: tuple[Signature, ...]


def parse_envelope(data: bytes, tag: int, *, rules: HeaderRules, size_max: int) -> Envelope:
    """The parts of the structure that `tag` (18 or 98) names.

    Raises `TooLarge` before anything is parsed, and `Malformed` for every deviation from `rules`. No signature is verified.
    """
    check_size(data, size_max)
    items = CborItems(data)
    found = items.tag()
    if found != tag and not (found is None and rules.untagged):
        raise Malformed(f"the leading tag is {'missing' if found is None else found}, not {tag}")
    if items.array() != 4:
        raise Malformed("the structure has not four parts")
    envelope = _sign1(items, rules) if tag == SIGN1_TAG else _sign(items, rules)
    items.end()
    return envelope


def check_size(data: bytes, size_max: int) -> None:
    """Raise `TooLarge` for more than `size_max` bytes."""
    if len(data) > size_max:
        raise TooLarge(f"it has {len(data)} bytes, more than the {size_max} allowed")


def signature_input(envelope: Envelope, signature: Signature, external_aad: bytes) -> bytes:
    """The Sig_structure of RFC 9052, section 4.4: the bytes that `signature` signs."""
    signer = [] if envelope.context == "Signature1" else [signature.protected]
    return encode_arrays([envelope.context, envelope.body_protected, *signer, external_aad, envelope.payload])


def verify_signature(envelope: Envelope, signature: Signature, public_key: bytes, *, external_aad: bytes) -> None:
    """Raise `UnsupportedAlgorithm` or `BadSignature` unless `signature` verifies under `public_key`."""
    check_algorithm(signature)
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise UnsupportedAlgorithm("the key is none of Ed25519")
    verify_ed25519(public_key, signature.signature, signature_input(envelope, signature, external_aad))


def check_algorithm(signature: Signature) -> None:
    """Raise `UnsupportedAlgorithm` unless the protected header names Ed25519 and the signature is not one of Ed448."""
    algorithm = signature.header.get(ALG)
    # A boolean or float equal to the number would not get here: the header was decoded strictly.
    if algorithm not in (ED25519, EDDSA):
        raise UnsupportedAlgorithm("a signature names no algorithm, or another than Ed25519")
    if algorithm == EDDSA and len(signature.signature) == ED448_SIGNATURE_BYTES:
        raise UnsupportedAlgorithm("a signature is of Ed448")


def _sign1(items: CborItems, rules: HeaderRules) -> Envelope:
    protected, header = _protected(items, rules.protected, rules)
    _check_labels(items.map_labels(), rules.unprotected)
    payload, signature = items.byte_string(), items.byte_string()
    return Envelope("Signature1", protected, payload, (Signature(protected, header, signature),))


def _sign(items: CborItems, rules: HeaderRules) -> Envelope:
    body_protected, _ = _protected(items, rules.body_protected, rules)
    _check_labels(items.map_labels(), rules.unprotected)
    payload = items.byte_string()
    count = items.array()
    if not 1 <= count <= SIGNATURES_MAX:
        raise Malformed(f"it carries {count} signatures, not 1 to {SIGNATURES_MAX}")
    signatures = tuple(_signer(items, rules) for _ in range(count))
    return Envelope("Signature", body_protected, payload, signatures)


def _signer(items: CborItems, rules: HeaderRules) -> Signature:
    if items.array() != 3:
        raise Malformed("a signature has not three parts")
    protected, header = _protected(items, rules.protected, rules)
    _check_labels(items.map_labels(), rules.unprotected)
    return Signature(protected, header, items.byte_string())


def _protected(items: CborItems, allowed: frozenset[int], rules: HeaderRules) -> tuple[bytes, dict[int | str, Any]]:
    """A protected header as it enters the signature, and decoded. An empty map counts as no header (RFC 9052, section 3)."""
    raw = items.byte_string()
    if len(raw) > PROTECTED_BYTES_MAX:
        raise Malformed(f"a protected header of {len(raw)} bytes, more than {PROTECTED_BYTES_MAX}")
    if not raw or (raw == b"\xa0" and rules.empty_map):
        return b"", {}
    inner = CborItems(raw)
    _check_labels(inner.map_labels(), allowed)
    inner.end()
    if len(raw) == 1:
        raise Malformed("a protected header without labels is not the empty byte string")
    try:
        return raw, decode(raw, size_max=PROTECTED_BYTES_MAX)
    except MalformedCbor as error:
        raise Malformed("a protected header is not deterministic CBOR") from error


def _check_labels(labels: tuple[int | str, ...], allowed: frozenset[int]) -> None:
    if CRIT in labels:
        raise Malformed("a header makes labels critical")
    if not allowed.issuperset(labels):
        raise Malformed("a header has a label that may not stand there")
