"""Ed25519 keys and signatures: the Wycheproof vectors, the eight points of small order, and other spellings of them."""

import json
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from rap_projections.ed25519_keys import SMALL_ORDER_Y, check_public_key, key_id, verify_ed25519
from rap_projections.refusals import BadSignature
from tests.conftest import Tally
from tests.projections.documents_support import refused
from tests.shared_data import shared_data

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    """Addition on edwards25519, in affine coordinates (RFC 8032, section 5.1.4)."""
    product = D * one[0] * other[0] * one[1] * other[1]
    x = (one[0] * other[1] + one[1] * other[0]) * pow(1 + product, -1, P)
    y = (one[1] * other[1] + one[0] * other[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def roots_of(y: int) -> list[int]:
    """The x coordinates of the points with this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return sorted({x, -x % P}) if x * x % P == square else []


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def test_wycheproof_signatures_get_the_verdict_of_the_vectors(tally: Tally) -> None:
    """Mutation: drop a check in `verify_ed25519`."""
    counts: Counter[str] = Counter()
    for group in json.loads(shared_data("wycheproof", "ed25519_test.json").read_text())["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        check_public_key(key)
        for vector in group["tests"]:
            try:
                verify_ed25519(key, bytes.fromhex(vector["sig"]), bytes.fromhex(vector["msg"]))
                verdict = "valid"
            except BadSignature:
                verdict = "invalid"
            assert verdict == vector["result"], (vector["tcId"], vector["comment"])
            counts[verdict] += 1
    tally("wycheproof/ed25519_test.json", counts)
    assert counts == {"valid": 53, "invalid": 38}


def test_list_of_small_orders_has_the_eight_points_and_no_other() -> None:
    points = [(x, y) for y in SMALL_ORDER_Y for x in roots_of(y)]
    assert len(points) == 8
    for point in points:
        eighth = point
        for _ in range(3):
            eighth = add(eighth, eighth)
        assert eighth == (0, 1)


@pytest.mark.parametrize("y", sorted(SMALL_ORDER_Y))
@pytest.mark.parametrize("sign", [0, 1])
def test_key_of_small_order_is_refused(y: int, sign: int) -> None:
    """Mutation: drop the list of small orders, or forget the sign bit."""
    assert "small order" in str(refused(check_public_key, encoded(y, sign)))


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1, P + 3])
@pytest.mark.parametrize("sign", [0, 1])
def test_key_in_another_spelling_is_refused(y: int, sign: int) -> None:
    """Mutation: compare y with 2**255 instead of p."""
    assert "canonical" in str(refused(check_public_key, encoded(y, sign)))


def test_key_that_is_no_point_is_refused() -> None:
    """Mutation: drop the check of the curve equation. Half of all y have no point."""
    verdicts = Counter("point" if roots_of(y) else "none" for y in range(2, 202))
    for y in range(2, 202):
        if roots_of(y):
            check_public_key(encoded(y))
        else:
            assert "no point" in str(refused(check_public_key, encoded(y)))
    assert verdicts == {"point": 99, "none": 101}


@pytest.mark.parametrize("size", [0, 31, 33, 57])
def test_key_of_another_size_is_refused(size: int) -> None:
    """Mutation: drop a check of the size. Whatever the bytes are worth otherwise, the size is what is told."""
    assert f"of {size} bytes" in str(refused(check_public_key, bytes(size)))
    assert "the size of Ed25519" in str(refused(verify_ed25519, bytes(size), bytes(64), b""))


@given(st.binary(min_size=32, max_size=32))
def test_every_generated_key_is_fit(secret: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    check_public_key(key)
    assert len(key_id(key)) == 32


def test_signature_under_a_key_of_small_order_would_verify_for_any_message() -> None:
    """Why such keys are refused: the library itself takes this signature, for whatever message."""
    weak, signature = encoded(1), encoded(1) + bytes(32)
    for message in (b"one", b"two"):
        verify_ed25519(weak, signature, message)
