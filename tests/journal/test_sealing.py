"""The key hierarchy: what it derives, what it seals, and that nothing moved or changed unseals."""

import copy
import json
import pickle
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from rap_journal import sealing
from rap_journal.errors import KeyUnavailable
from rap_journal.sealing import (
    KeyRing,
    Purpose,
    SealBroken,
    authenticate,
    hkdf,
    key_check_value,
    unwrap_key,
    wrap_key,
)
from tests.conftest import Tally
from tests.shared_data import shared_data

JOURNAL_ID = b"j" * 16
SALT = b"s" * 32
HKDF_BYTES_MAX = 255 * 32
NONCE_BITS_MIN, NONCE_BITS_MAX = 64, 1024
"""The library's bounds. The store's nonces have 96 bits."""


def vectors(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Group and test of every vector in a Wycheproof file."""
    groups = json.loads(shared_data("wycheproof", name).read_text(encoding="utf-8"))["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(JOURNAL_ID, {1: b"a" * 32, 2: b"b" * 32}, 2)


@pytest.mark.parametrize("leave", [copy.copy, copy.deepcopy, pickle.dumps, partial(pickle.dumps, protocol=0)])
def test_a_key_ring_is_neither_pickled_nor_copied_alone_or_in_something_else(
    ring: KeyRing, leave: Callable[[object], object]
) -> None:
    """A pickle of it held every data key and every key derived from one."""
    ring.check_value(1)
    with pytest.raises(TypeError, match="a KeyRing holds secrets and cannot be copied or pickled; nothing was done") as caught:
        leave(ring)
    assert (b"a" * 32).hex() not in repr(caught.value) and "aaaa" not in repr(caught.value)
    if leave is not copy.copy:
        with pytest.raises(TypeError, match="a KeyRing holds secrets"):
            leave({"held by another": [ring]})


def test_hkdf_agrees_with_all_50_valid_wycheproof_vectors_over_its_32_bytes(tally: Tally) -> None:
    """The other two ask for more bytes than HKDF can give, which `hkdf` cannot be asked for. Mutation: swap salt and info."""
    counts: Counter[str] = Counter()
    for _group, test in vectors("hkdf_sha256_test.json"):
        if test["size"] > HKDF_BYTES_MAX:
            assert test["result"] == "invalid"
            counts["ask for more than HKDF gives"] += 1
            continue
        # HKDF expands to a longer output by appending: what is asked for is a prefix of, or begins with, the 32 bytes used here.
        ours = hkdf(bytes.fromhex(test["ikm"]), bytes.fromhex(test["salt"]), bytes.fromhex(test["info"]))
        length = min(len(ours), test["size"])
        assert (test["result"], ours[:length]) == ("valid", bytes.fromhex(test["okm"])[:length]), test["tcId"]
        counts["valid"] += 1
    tally("wycheproof/hkdf_sha256_test.json", counts)
    assert counts == {"valid": 50, "ask for more than HKDF gives": 2}


def test_seal_and_unseal_agree_with_all_189_wycheproof_vectors(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """With the vector's key and nonce where the store has a derived key and zero: of any size, though the store has one of each.

    Mutation: where the tag is wrong, give what there is.
    """
    counts: Counter[str] = Counter()
    for group, test in vectors("aes_gcm_test.json"):
        key, nonce, associated, message = (bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg"))
        monkeypatch.setattr(sealing, "hkdf", lambda *_inputs, key=key: key)
        monkeypatch.setattr(sealing, "_ONE_USE_NONCE", nonce)
        sealed = bytes.fromhex(test["ct"] + test["tag"])
        size = "256-bit key, 96-bit nonce" if (group["keySize"], group["ivSize"]) == (256, 96) else "other sizes"
        if not NONCE_BITS_MIN <= group["ivSize"] <= NONCE_BITS_MAX:
            for call, content in ((ring.seal, message), (ring.unseal, sealed)):
                with pytest.raises(ValueError, match="Nonce must be between 8 and 128 bytes"):
                    call(Purpose.DOCUMENT, 1, SALT, associated, content)
            counts["refused for the size of the nonce"] += 1
            continue
        assert verdict(ring, associated, message, sealed) == test["result"], test["tcId"]
        counts[f"{test['result']} ({size})"] += 1
    tally("wycheproof/aes_gcm_test.json", counts)
    assert counts == {
        "valid (256-bit key, 96-bit nonce)": 21,
        "invalid (256-bit key, 96-bit nonce)": 16,
        "valid (other sizes)": 98,
        "invalid (other sizes)": 33,
        "refused for the size of the nonce": 21,
    }


def verdict(ring: KeyRing, associated: bytes, message: bytes, sealed: bytes) -> str:
    """ "valid" where `sealed` unseals to the message and is what sealing it gives."""
    try:
        unsealed = ring.unseal(Purpose.DOCUMENT, 1, SALT, associated, sealed)
    except SealBroken:
        return "invalid"
    return "valid" if (unsealed, ring.seal(Purpose.DOCUMENT, 1, SALT, associated, message)) == (message, sealed) else "differs"


def test_what_was_sealed_unseals(ring: KeyRing) -> None:
    sealed = ring.seal(Purpose.DOCUMENT, 1, SALT, b"place", b"content")
    assert len(sealed) == len(b"content") + 16
    assert ring.unseal(Purpose.DOCUMENT, 1, SALT, b"place", sealed) == b"content"


@pytest.mark.parametrize(
    ("purpose", "generation", "salt", "associated"),
    [
        (Purpose.CHECKPOINT, 1, SALT, b"place"),
        (Purpose.DOCUMENT, 2, SALT, b"place"),
        (Purpose.DOCUMENT, 1, b"t" * 32, b"place"),
        (Purpose.DOCUMENT, 1, SALT, b"elsewhere"),
    ],
    ids=["another purpose", "another generation", "another salt", "another place"],
)
def test_sealed_bytes_unseal_only_where_and_for_what_they_were_sealed(
    ring: KeyRing, purpose: Purpose, generation: int, salt: bytes, associated: bytes
) -> None:
    sealed = ring.seal(Purpose.DOCUMENT, 1, SALT, b"place", b"content")
    with pytest.raises(SealBroken) as caught:
        ring.unseal(purpose, generation, salt, associated, sealed)
    assert caught.value.reason == "seal_broken"


def test_another_journal_with_the_same_data_key_derives_other_keys(ring: KeyRing) -> None:
    sealed = ring.seal(Purpose.DOCUMENT, 1, SALT, b"", b"content")
    other = KeyRing(b"k" * 16, {1: b"a" * 32}, 1)
    with pytest.raises(SealBroken):
        other.unseal(Purpose.DOCUMENT, 1, SALT, b"", sealed)


@pytest.mark.parametrize("length", [0, 1, 15])
def test_fewer_bytes_than_a_tag_do_not_unseal(ring: KeyRing, length: int) -> None:
    with pytest.raises(SealBroken):
        ring.unseal(Purpose.DOCUMENT, 1, SALT, b"", bytes(length))


def test_every_flipped_bit_of_a_sealed_content_is_noticed(ring: KeyRing) -> None:
    sealed = ring.seal(Purpose.WITNESS, 2, SALT, b"", b"four")
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            ring.unseal(Purpose.WITNESS, 2, SALT, b"", bytes(changed))


def test_a_segment_key_is_bound_to_the_digest_of_the_whole_header(ring: KeyRing) -> None:
    sealed = ring.segment_cipher(1, SALT, b"d" * 32).encrypt(bytes(12), b"content", b"")
    assert ring.segment_cipher(1, SALT, b"d" * 32).decrypt(bytes(12), sealed, b"") == b"content"
    with pytest.raises(InvalidTag):
        ring.segment_cipher(1, SALT, b"e" * 32).decrypt(bytes(12), sealed, b"")


def test_a_generation_without_a_key_is_unavailable(ring: KeyRing) -> None:
    """Mutation: let a missing key through as an error of this program."""
    with pytest.raises(KeyUnavailable) as caught:
        ring.segment_cipher(3, SALT, b"")
    assert caught.value.reason == "unknown_generation"
    assert caught.value.action == "retry"


def test_a_wrapped_key_unwraps_with_the_same_key_salt_and_place_only() -> None:
    """Mutation: where the tag is wrong, give what there is."""
    wrapped = wrap_key(b"p" * 32, SALT, b"place", b"d" * 32)
    assert len(wrapped) == 48
    assert unwrap_key(b"p" * 32, SALT, b"place", wrapped) == b"d" * 32
    for key, salt, place in ((b"q" * 32, SALT, b"place"), (b"p" * 32, b"t" * 32, b"place"), (b"p" * 32, SALT, b"other")):
        with pytest.raises(SealBroken) as caught:
            unwrap_key(key, salt, place, wrapped)
        assert caught.value.reason == "wrong_key"


def test_a_check_value_and_an_authenticator_belong_to_one_key_and_one_journal() -> None:
    assert len(key_check_value(b"a" * 32, JOURNAL_ID)) == 16
    values = {key_check_value(key, journal) for key in (b"a" * 32, b"b" * 32) for journal in (JOURNAL_ID, b"k" * 16)}
    assert len(values) == 4
    codes = {
        authenticate(key, journal, content)
        for key in (b"a" * 32, b"b" * 32)
        for journal in (JOURNAL_ID, b"k" * 16)
        for content in (b"x", b"y")
    }
    assert len(codes) == 8


def test_neither_a_ring_nor_an_error_shows_a_key(ring: KeyRing) -> None:
    assert repr(ring) == "KeyRing(generations=[1, 2], current=2)"
    with pytest.raises(SealBroken) as caught:
        unwrap_key(b"p" * 32, SALT, b"", wrap_key(b"q" * 32, SALT, b"", b"d" * 32))
    assert "pppp" not in str(caught.value) and "qqqq" not in str(caught.value)
