"""The canary sees a secret in each of its spellings, wherever it stands, and no secret where there is none."""

import base64

import pytest

from rap_journal.sealing import KeyRing
from rap_projections.documents import Version
from tests.canary import Canary, reachable, spellings

SECRET = bytes([0, 255, 92, 37]) + b"canary:" + bytes(range(200, 220))


@pytest.mark.parametrize("spelling", spellings(SECRET))
@pytest.mark.parametrize("before", range(5))
def test_every_spelling_is_found_wherever_it_stands(spelling: str, before: int) -> None:
    content = b"x" * before + spellings(SECRET)[spelling] + b"yz"
    assert f"key: {spelling}" in Canary({"key": SECRET}).found_in(content)


@pytest.mark.parametrize("before", range(6))
def test_a_secret_inside_a_longer_base64_or_base32_text_is_found(before: int) -> None:
    """Mutation: look for one alignment only."""
    around = b"z" * before + SECRET + b"zz"
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
        assert Canary({"key": SECRET}).found_in(encode(around))


def test_nothing_is_found_where_there_is_no_secret() -> None:
    assert Canary({"key": SECRET}).found_in(bytes(range(256)) * 20) == []
    assert Canary({"key": SECRET}).found_in(SECRET[:-1]) == []


def test_what_is_reached_is_every_value_of_our_own_types() -> None:
    ring = KeyRing(bytes(16), {1: bytes(32)}, 1)
    assert list(reachable({"a": [(lambda: ring, ring)]}, ring)) == [ring]
    marked = Version(1, 2)
    assert list(reachable([[marked]], 1, "text")) == [marked]
