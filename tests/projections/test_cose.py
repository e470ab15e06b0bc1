"""COSE_Sign1 and COSE_Sign: the vectors of the IETF working group, and every way in which a structure can be wrong."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import encode
from rap_projections.cose import (
    GENERAL,
    SIGN1_TAG,
    SIGN_TAG,
    SIGNATURES_MAX,
    Envelope,
    HeaderRules,
    check_size,
    parse_envelope,
    signature_input,
    verify_signature,
)
from rap_projections.documents import DocumentType
from rap_projections.refusals import BadSignature, Malformed, RefusedError, TooLarge, UnsupportedAlgorithm
from rap_projections.signed_document import open_document
from rap_projections.testing.issuing import issuer_key
from tests.conftest import Tally
from tests.projections.documents_support import refused
from tests.shared_data import shared_data

EVERY_LABEL = frozenset(range(1, 40))
ANYTHING = HeaderRules(EVERY_LABEL - {2}, EVERY_LABEL - {2}, EVERY_LABEL - {2}, untagged=True, empty_map=True)
"""For vectors that use headers of which this project never hears."""

SIZE_MAX = 1 << 16


def vectors() -> list[tuple[str, dict[str, Any]]]:
    folder = shared_data("cose-wg")
    return [(str(path.relative_to(folder)), json.loads(path.read_text())) for path in sorted(folder.rglob("*.json"))]


def judge(vector: dict[str, Any]) -> str:
    """ "verified", or the reason of the refusal."""
    kind = "sign0" if "sign0" in vector["input"] else "sign"
    data = bytes.fromhex(vector["output"]["cbor"])
    try:
        envelope = parse_envelope(data, SIGN1_TAG if kind == "sign0" else SIGN_TAG, rules=ANYTHING, size_max=SIZE_MAX)
        for signer, signature in zip(signers_of(vector, kind), envelope.signatures, strict=is_signed(vector)):
            aad = bytes.fromhex(signer.get("external", ""))
            verify_signature(envelope, signature, bytes.fromhex(signer["key"].get("x_hex", "")), external_aad=aad)
    except RefusedError as refusal:
        return str(refusal.reason)
    return "verified"


def signers_of(vector: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    signed = vector["input"].get(kind) or {"signers": [{"key": {}}] * 2}
    return [signed] if kind == "sign0" else signed["signers"]


def is_ed25519(vector: dict[str, Any]) -> bool:
    kind = "sign0" if "sign0" in vector["input"] else "sign"
    if kind not in vector["input"]:
        return False
    return all(signer["key"].get("crv") == "Ed25519" for signer in signers_of(vector, kind))


def is_signed(vector: dict[str, Any]) -> bool:
    return "sign0" in vector["input"] or "sign" in vector["input"]


def test_ietf_vectors_with_ed25519_verify_and_all_others_are_refused_by_type(tally: Tally) -> None:
    """Mutation: drop a check in `parse_envelope`, `verify_signature`, `check_algorithm`, `_sign1`, `_sign`, `_signer` or `_protected`."""
    folders: dict[str, Counter[str]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for name, vector in vectors():
        verdict = judge(vector)
        if is_ed25519(vector):
            assert verdict == "verified", name
        elif is_signed(vector) and "ChangeCBORTag" not in vector["input"].get("failures", {}):
            assert verdict == "unsupported_algorithm", name
        else:
            # An untagged COSE_Encrypt has the form of a COSE_Sign; its algorithms tell them apart.
            assert verdict == ("unsupported_algorithm" if name == "enveloped-tests/env-pass-03.json" else "malformed"), name
        counts["signed" if is_signed(vector) else "encrypted or MACed", verdict] += 1
        folders.setdefault(name.split("/")[0], Counter())[verdict] += 1
    for folder, verdicts in folders.items():
        tally(f"cose-wg/{folder}", verdicts)
    assert counts == {
        ("signed", "verified"): 4,
        ("signed", "unsupported_algorithm"): 22,
        ("signed", "malformed"): 2,
        ("encrypted or MACed", "malformed"): 61,
        ("encrypted or MACed", "unsupported_algorithm"): 1,
    }


def test_no_ietf_vector_passes_for_a_document(tally: Tally) -> None:
    """Mutation: let a document have other headers, or none."""
    everything = [(bytes.fromhex(vector["output"]["cbor"]), kind) for _, vector in vectors() for kind in DocumentType]
    counts = Counter(str(refused(open_document, data, kind).reason) for data, kind in everything)
    tally("cose-wg, opened as each of the 6 types of document", counts)
    assert counts == {"malformed": 6 * 90}


def test_eddsa_vector_is_refused_with_any_bit_changed_that_is_signed(tally: Tally) -> None:
    """The set has no forged vector for Ed25519, so its plain one is forged here. Mutation: leave anything unsigned.

    Only the unprotected header, a hint for the kid, may change: no signature covers it.
    """
    name, vector = next(it for it in vectors() if it[0] == "eddsa-examples/eddsa-sig-01.json")
    data = bytes.fromhex(vector["output"]["cbor"])
    unprotected = data.index(bytes.fromhex("a104423131"))
    counts: Counter[str] = Counter()
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        verdict = judge(vector | {"output": {"cbor": changed.hex()}})
        assert verdict != "verified" or unprotected <= bit // 8 < unprotected + 5, bit
        counts[verdict] += 1
    tally(f"cose-wg/{name}, one bit changed", counts)
    assert counts == {"bad_signature": 683, "malformed": 90, "unsupported_algorithm": 6, "verified": 21}


def test_signature_input_is_that_of_every_signed_ietf_vector() -> None:
    """Whatever the algorithm: what would be signed is the same bytes. Mutation: leave out external_aad, context or a header."""
    compared = 0
    for name, vector in vectors():
        if not is_signed(vector) or "ChangeCBORTag" in vector["input"].get("failures", {}):
            continue
        kind = "sign0" if "sign0" in vector["input"] else "sign"
        data = bytes.fromhex(vector["output"]["cbor"])
        envelope = parse_envelope(data, SIGN1_TAG if kind == "sign0" else SIGN_TAG, rules=ANYTHING, size_max=SIZE_MAX)
        steps = vector["intermediates"]
        expected = [steps] if kind == "sign0" else steps["signers"]
        for signer, signature, step in zip(signers_of(vector, kind), envelope.signatures, expected, strict=True):
            if vector.get("fail"):
                continue  # the vector states what was signed before the header was changed
            aad = bytes.fromhex(signer.get("external", ""))
            assert signature_input(envelope, signature, aad).hex() == step["ToBeSign_hex"].lower(), name
            compared += 1
    assert compared == 20


def eddsa_vector() -> bytes:
    path: Path = shared_data("cose-wg", "eddsa-examples", "eddsa-sig-01.json")
    return bytes.fromhex(json.loads(path.read_text())["output"]["cbor"])


EDDSA_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def verify_general(data: bytes, *, key: bytes = EDDSA_KEY, aad: bytes = b"", size_max: int = SIZE_MAX) -> Envelope:
    envelope = parse_envelope(data, SIGN1_TAG, rules=GENERAL, size_max=size_max)
    verify_signature(envelope, envelope.signatures[0], key, external_aad=aad)
    return envelope


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("d284", "d903e684", Malformed),  # fail 01: another tag
        ("7142fd2f", "7142fd2e", BadSignature),  # fail 02: the signature
        ("45a2012703", "47a2013903e603", UnsupportedAlgorithm),  # fail 03: alg -999
        ("45a2012703", "4ca20167756e6b6e6f776e03", UnsupportedAlgorithm),  # fail 04: alg "unknown"
        ("45a201270300", "47a301270300100a", BadSignature),  # fail 06: an attribute more
        ("45a201270300", "43a10127", BadSignature),  # fail 07: an attribute less
        ("54686973", "54686974", BadSignature),  # the payload
    ],
)
def test_eddsa_vector_changed_as_the_ietf_fail_vectors_are_is_refused(old: str, new: str, kind: type[RefusedError]) -> None:
    data = eddsa_vector()
    assert verify_general(data).payload == b"This is the content."
    changed = data.hex().replace(old, new, 1)
    assert changed != data.hex()
    with pytest.raises(kind):
        verify_general(bytes.fromhex(changed))


def test_eddsa_vector_without_its_tag_verifies_where_the_rules_allow_it() -> None:
    assert verify_general(eddsa_vector()[1:]).payload == b"This is the content."
    strict = GENERAL._replace(untagged=False)
    assert "missing" in str(refused(parse_envelope, eddsa_vector()[1:], SIGN1_TAG, rules=strict, size_max=SIZE_MAX))


def test_other_external_data_is_a_bad_signature() -> None:
    """Mutation: pass b"" instead of external_aad."""
    with pytest.raises(BadSignature):
        verify_general(eddsa_vector(), aad=b"x")


def test_size_is_bounded_before_parsing() -> None:
    """Mutation: drop check_size. What is too large is not even looked at: these bytes are no COSE."""
    with pytest.raises(TooLarge):
        parse_envelope(bytes(101), SIGN1_TAG, rules=GENERAL, size_max=100)
    with pytest.raises(TooLarge):
        check_size(bytes(101), 100)
    check_size(bytes(100), 100)


KEY = issuer_key("lab", 0, "test")
HEADER = encode({1: -19})
RULES = HeaderRules(frozenset({1, 4}))


def sign(count: int = 1, *, body: bytes = b"", unprotected: Any = None) -> bytes:
    signer = [HEADER, {}, bytes(64)]
    return b"\xd8\x62" + encode([body, {} if unprotected is None else unprotected, b"payload", [signer] * count])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xd2" + encode([HEADER, {}, b"", bytes(64), 0]), "four parts"),
        (b"\xd2" + encode([HEADER, {}, b""]), "four parts"),
        (b"\xd2" + encode([HEADER, {}, None, bytes(64)]), "a byte string"),
        (b"\xd2" + encode([HEADER, [], b"", bytes(64)]), "a map"),
        (b"\xd2" + encode(["header", {}, b"", bytes(64)]), "a byte string"),
        (b"\xd2" + encode([HEADER, {4: b"k"}, b"", bytes(64)]), "may not stand there"),
        (b"\xd2" + encode([encode({1: -19, 2: [4]}), {}, b"", bytes(64)]), "critical"),
        (b"\xd2" + encode([encode({1: -19, 3: 0}), {}, b"", bytes(64)]), "may not stand there"),
        (b"\xd2" + encode([encode({1: -19, "x": 0}), {}, b"", bytes(64)]), "may not stand there"),
        (b"\xd2" + encode([b"\xa0", {}, b"", bytes(64)]), "not the empty byte string"),
        (b"\xd2" + encode([HEADER + b"\x00", {}, b"", bytes(64)]), "follow the end"),
        (b"\xd2" + encode([encode({1: -19, 4: bytes(1100)}), {}, b"", bytes(64)]), "protected header of"),
        (b"\xd2" + encode([HEADER, {}, b"", bytes(64)]) + b"\x00", "follow the end"),
        (b"\xd2\xd2" + encode([HEADER, {}, b"", bytes(64)]), "an array"),
        (b"\xd9\x00\x12" + encode([HEADER, {}, b"", bytes(64)]), "shortest"),
    ],
)
def test_sign1_that_is_not_exactly_the_structure_is_malformed(data: bytes, words: str) -> None:
    """Mutation: drop a check in `_protected` or `_check_labels`."""
    refusal = refused(parse_envelope, data, SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
    assert isinstance(refusal, Malformed)
    assert words in refusal.what


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (sign(0), "0 signatures"),
        (sign(SIGNATURES_MAX + 1), "17 signatures"),
        (sign(body=encode({1: -19})), "may not stand there"),
        (sign(unprotected={4: b"k"}), "may not stand there"),
        (b"\xd8\x62" + encode([b"", {}, b"", [[HEADER, {}]]]), "three parts"),
        (b"\xd8\x62" + encode([b"", {}, b"", [[HEADER, {4: b"k"}, bytes(64)]]]), "may not stand there"),
        (b"\xd8\x62" + encode([b"", {}, b"", bytes(64)]), "an array"),
        (b"\xd2" + sign()[2:], "leading tag"),
    ],
)
def test_sign_that_is_not_exactly_the_structure_is_malformed(data: bytes, words: str) -> None:
    """Mutation: drop a check in `_sign` or `_signer`."""
    refusal = refused(parse_envelope, data, SIGN_TAG, rules=RULES, size_max=SIZE_MAX)
    assert isinstance(refusal, Malformed)
    assert words in refusal.what


def test_signature_of_ed448_and_key_of_another_curve_are_unsupported() -> None:
    """Mutation: drop the check in `verify_signature`."""
    envelope = parse_envelope(b"\xd2" + encode([encode({1: -8}), {}, b"", bytes(114)]), SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
    assert isinstance(
        refused(verify_signature, envelope, envelope.signatures[0], bytes(57), external_aad=b""), UnsupportedAlgorithm
    )
    short = parse_envelope(b"\xd2" + encode([HEADER, {}, b"", bytes(64)]), SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
    assert isinstance(refused(verify_signature, short, short.signatures[0], bytes(57), external_aad=b""), UnsupportedAlgorithm)


def test_signature_of_another_size_is_a_bad_signature() -> None:
    for size in (0, 63, 65, 114):
        envelope = parse_envelope(b"\xd2" + encode([HEADER, {}, b"", bytes(size)]), SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
        assert isinstance(
            refused(verify_signature, envelope, envelope.signatures[0], KEY.public_key, external_aad=b""), BadSignature
        )


@given(st.binary(max_size=200), st.sampled_from([SIGN1_TAG, SIGN_TAG]), st.sampled_from([b"", b"\xd2\x84", b"\xd8\x62\x84"]))
def test_any_bytes_are_an_envelope_or_a_refusal(data: bytes, tag: int, start: bytes) -> None:
    try:
        taken = bool(parse_envelope(start + data, tag, rules=ANYTHING, size_max=SIZE_MAX).signatures)
    except Malformed:
        taken = False
    assert taken in (True, False)


@given(st.integers(0, 147), st.integers(0, 255))
def test_one_byte_changed_anywhere_is_refused_unless_it_is_in_the_unprotected_header(offset: int, byte: int) -> None:
    data = b"\xd2" + encode([HEADER, {}, b"x" * 64, bytes(64)])
    unsigned = parse_envelope(data, SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
    signature = KEY.private_key.sign(signature_input(unsigned, unsigned.signatures[0], b""))
    good = b"\xd2" + encode([HEADER, {}, b"x" * 64, signature])
    changed = good[:offset] + bytes([byte]) + good[offset + 1 :] if offset < len(good) else good + bytes([byte])
    try:
        envelope = parse_envelope(changed, SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
        verify_signature(envelope, envelope.signatures[0], KEY.public_key, external_aad=b"")
        assert changed == good
    except RefusedError:
        assert changed != good


def test_signature_of_the_size_of_ed448_is_unsupported_before_any_key_is_tried() -> None:
    """Mutation: without the check of the size, it would be called a bad signature."""
    envelope = parse_envelope(b"\xd2" + encode([encode({1: -8}), {}, b"", bytes(114)]), SIGN1_TAG, rules=RULES, size_max=SIZE_MAX)
    with pytest.raises(UnsupportedAlgorithm, match="of Ed448"):
        verify_signature(envelope, envelope.signatures[0], KEY.public_key, external_aad=b"")
