"""One value, one spelling: what `decode` lets through is compared with a reader written here from RFC 8949, section 4.2.1."""

import json
import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import DEPTH_MAX, MalformedCbor, decode, decode_own, encode, encode_arrays
from rap_journal.errors import MisuseError
from tests.conftest import Tally
from tests.shared_data import shared_data

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
SCALARS = st.none() | st.booleans() | INT64 | st.binary(max_size=40) | st.text(max_size=40)
KEYS = INT64 | st.integers(-300, 300) | st.text(max_size=5)
ARRAYS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5), max_leaves=30)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)


# The reader to compare with: no library, no shortcut.


class Refused(Exception):
    """These bytes are not the deterministic CBOR of one allowed value."""


def reference(data: bytes) -> Any:
    value, end = read_item(data, 0, 0)
    if end != len(data):
        raise Refused
    return value


def read_item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    major, number, at = read_head(data, at)
    if major in (0, 1):
        if number >= 1 << 63:
            raise Refused
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        if at + number > len(data):
            raise Refused
        content = data[at : at + number]
        try:
            return (content if major == 2 else content.decode()), at + number
        except UnicodeDecodeError:
            raise Refused from None
    if major == 7:
        return {20: False, 21: True, 22: None}[number], at
    if number and depth == DEPTH_MAX:
        raise Refused
    return read_array(data, at, depth, number) if major == 4 else read_map(data, at, depth, number)


def read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, number, place after the head."""
    if at >= len(data):
        raise Refused
    major, short = data[at] >> 5, data[at] & 31
    if major == 6 or short > 27 or (major == 7 and short not in (20, 21, 22)):
        raise Refused
    if short < 24:
        return major, short, at + 1
    size = 1 << (short - 24)
    number = int.from_bytes(data[at + 1 : at + 1 + size])
    if at + 1 + size > len(data) or number < (24, 1 << 8, 1 << 16, 1 << 32)[short - 24]:
        raise Refused
    return major, number, at + 1 + size


def read_array(data: bytes, at: int, depth: int, count: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, at = read_item(data, at, depth + 1)
        items.append(item)
    return items, at


def read_map(data: bytes, at: int, depth: int, count: int) -> tuple[dict[Any, Any], int]:
    entries, before = {}, b""
    for _ in range(count):
        start = at
        key, at = read_item(data, at, depth + 1)
        if type(key) not in (int, str) or data[start:at] <= before:
            raise Refused
        before = data[start:at]
        entries[key], at = read_item(data, at, depth + 1)
    return entries, at


def same(left: Any, right: Any) -> bool:
    """Equal also in type: to Python, 1 and True are equal."""
    return left == right and repr(left) == repr(right)


def agrees_with_reference(data: bytes) -> bool:
    """Whether `decode` accepts `data`; fails where the reference does otherwise."""
    try:
        expected = reference(data)
    except Refused:
        with pytest.raises(MalformedCbor):
            decode(data)
        with suppress(MalformedCbor):
            decode_own(data)
        return False
    assert same(decode(data), expected)
    assert same(decode_own(data), expected)
    assert encode(expected) == data
    return True


# Round trips


@given(VALUES)
def test_what_is_encoded_is_decoded_to_the_same_value_and_back(value: Any) -> None:
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data
    assert agrees_with_reference(data)


@given(ARRAYS)
def test_encode_arrays_writes_the_same_bytes_where_there_is_no_map(value: Any) -> None:
    assert encode_arrays(value) == encode(value)


@given(st.dictionaries(KEYS, SCALARS))
def test_the_order_of_insertion_does_not_show(value: dict[Any, Any]) -> None:
    assert encode(dict(reversed(value.items()))) == encode(value)


@given(st.binary(max_size=60))
@example(b"")
@example(b"\xff")
def test_any_bytes_are_accepted_or_refused_as_the_reference_does(data: bytes) -> None:
    agrees_with_reference(data)


@given(VALUES, st.data())
def test_a_changed_byte_is_accepted_only_where_it_spells_another_value(value: Any, data: st.DataObject) -> None:
    whole = bytearray(encode(value))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    agrees_with_reference(bytes(whole))


# Order of keys


def test_keys_are_sorted_by_the_bytes_of_their_encoding() -> None:
    keys = [0, 10, 23, 24, 100, 1000, 1 << 40, -1, -24, -25, -70001, "", "a", "b", "aa", "z" * 30]
    data = encode(dict.fromkeys(reversed(keys)))
    assert list(decode(data)) == keys
    assert keys == sorted(keys, key=cbor2.dumps)


def test_the_length_first_order_of_rfc_7049_is_refused() -> None:
    value = {1000: None, "a": None}
    length_first = cbor2.dumps(value, canonical=True)
    assert length_first.hex() == "a26161f61903e8f6"
    assert encode(value).hex() == "a21903e8f66161f6"
    assert refusal(length_first) == "not_deterministic"


# What is refused, and under which name


def refusal(data: bytes) -> str | None:
    with pytest.raises(MalformedCbor) as caught:
        decode(data)
    return caught.value.reason


REFUSED = {
    "nothing at all": ("", "malformed"),
    "the end is missing": ("8201", "malformed"),
    "a byte follows": ("0000", "not_deterministic"),
    "a longer spelling of 0": ("1800", "not_deterministic"),
    "a longer spelling of -1": ("3800", "not_deterministic"),
    "a longer length of a text": ("780161", "not_deterministic"),
    "a longer length of an array": ("980100", "not_deterministic"),
    "keys out of order": ("a202000100", "not_deterministic"),
    "a key twice": ("a201000100", "malformed"),
    "a key twice, in two spellings": ("a20100180100", "malformed"),
    "indefinite array": ("9f01ff", "malformed"),
    "indefinite map": ("bf0101ff", "malformed"),
    "indefinite bytes": ("5f4101ff", "malformed"),
    "indefinite text": ("7f6161ff", "malformed"),
    "a break on its own": ("ff", "malformed"),
    "a break in an array": ("81ff", "malformed"),
    "a reserved head": ("1c", "malformed"),
    "half float 1.0": ("f93c00", "type"),
    "single float": ("fa47c35000", "type"),
    "double float": ("fb3ff199999999999a", "type"),
    "not a number": ("f97e00", "type"),
    "undefined": ("f7", "type"),
    "simple value 16": ("f0", "type"),
    "simple value 255": ("f8ff", "type"),
    "an integer above 64 bits signed": ("1b8000000000000000", "type"),
    "an integer below 64 bits signed": ("3b8000000000000000", "type"),
    "a key of bytes": ("a14000", "type"),
    "a key that is true": ("a1f500", "type"),
    "a key that is null": ("a1f600", "type"),
    "a key that is an array": ("a18000", "type"),
    "text that is not UTF-8": ("61ff", "malformed"),
    "a surrogate in UTF-8": ("63eda080", "malformed"),
}


@pytest.mark.parametrize(("hexadecimal", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_another_spelling_or_type_is_refused_by_name(hexadecimal: str, reason: str) -> None:
    data = bytes.fromhex(hexadecimal)
    assert refusal(data) == reason
    with pytest.raises(Refused):
        reference(data)


TAGGED = {
    "a date in text": "c074323031332d30332d32315432303a30343a30305a",
    "a date in seconds": "c11a514b67b0",
    "a big number": "c249010000000000000000",
    "a negative big number": "c349010000000000000000",
    "a decimal fraction of enormous size": "c4821b7fffffffffffffff01",
    "a big float": "c5822003",
    "a string reference": "d81900",
    "a string reference space": "d9010083636161616361616163616161",
    "a shared value that holds itself": "d81c81d81d00",
    "a shared reference to nothing": "d81d00",
    "a rational number": "d81e820103",
    "a regular expression that backtracks for ever": "d8236b2861612b2b29732b2424242421",
    "a MIME message": "d82440",
    "a UUID": "d8255000000000000000000000000000000000",
    "CBOR in bytes": "d8184100",
    "a set": "d9010283010203",
    "an IP address": "d9010444c0a80001",
    "a self-described item": "d9d9f700",
    "a COSE_Sign1 message": "d28440a04040",
    "an unassigned tag": "daffffffff00",
    "a tag inside an array in a map": "a10181c100",
    "a tag as a key": "a1c10000",
}


@pytest.mark.parametrize("hexadecimal", TAGGED.values(), ids=TAGGED.keys())
@pytest.mark.parametrize("read", [decode, decode_own])
def test_a_tag_is_refused_and_its_content_never_interpreted(read: Any, hexadecimal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interpreted(*_args: object, **_options: object) -> None:
        pytest.fail("the content of a tag was interpreted")

    monkeypatch.setattr(re, "compile", interpreted)
    with pytest.raises(MalformedCbor) as caught:
        read(bytes.fromhex(hexadecimal))
    assert caught.value.reason == "tag"


@given(st.integers(0, (1 << 64) - 1), VALUES)
def test_no_tag_whatever_its_number_is_let_through(tag: int, value: Any) -> None:
    data = cbor2.dumps(cbor2.CBORTag(tag, value))
    assert refusal(data) == "tag"


# Bounds


@pytest.mark.parametrize("opening", ["81", "a100"], ids=["arrays", "maps"])
def test_nesting_is_bounded(opening: str) -> None:
    deepest = bytes.fromhex(opening * DEPTH_MAX + "00")
    assert encode(decode(deepest)) == deepest
    for too_deep in (DEPTH_MAX + 1, 100_000):
        assert refusal(bytes.fromhex(opening * too_deep + "00")) == "malformed"


@pytest.mark.parametrize("head", ["9b", "bb", "5b", "7b"], ids=["array", "map", "bytes", "text"])
@pytest.mark.parametrize("length", ["ffffffffffffffff", "7fffffffffffffff", "00000000ffffffff"])
def test_a_length_that_is_a_lie_costs_nothing(head: str, length: str) -> None:
    assert refusal(bytes.fromhex(head + length + "00")) == "malformed"


def test_size_is_checked_before_anything_is_read() -> None:
    data = encode(bytes(100))
    assert decode(data, size_max=len(data)) == bytes(100)
    with pytest.raises(MalformedCbor) as caught:
        decode(data, size_max=len(data) - 1)
    assert caught.value.reason == "too_large"
    with pytest.raises(MalformedCbor) as caught:
        decode(b"\xff" * ((1 << 20) + 1))
    assert caught.value.reason == "too_large"


def test_no_message_holds_what_was_read() -> None:
    secret = "hunter2"
    twice = b"\xa2" + 2 * (cbor2.dumps(secret) + b"\0")
    for data in (
        twice,
        encode(secret) + b"\0",
        encode([secret])[:-1],
        cbor2.dumps([secret, 1.5]),
        cbor2.dumps({secret: re.compile(secret)}),
    ):
        with pytest.raises(MalformedCbor) as caught:
            decode(data)
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__


# What `encode` refuses


WITHOUT_A_SPELLING = {
    "a float": 1.0,
    "not a number": math.nan,
    "an integer above 64 bits signed": 1 << 63,
    "an integer below 64 bits signed": -(1 << 63) - 1,
    "a set": {1, 2},
    "a date": datetime(2026, 1, 1, tzinfo=UTC),
    "a decimal": Decimal(1),
    "a regular expression": re.compile("a"),
    "a tag": cbor2.CBORTag(1, 1),
    "undefined": cbor2.undefined,
    "bytes that can change": bytearray(b"a"),
    "any object": object(),
    "a key of bytes": {b"key": 1},
    "a key that is true": {True: 1},
    "a key that is None": {None: 1},
    "a key that is a float": {1.5: 1},
    "a key beyond 64 bits": {1 << 63: 1},
    "a key that is an array": {(1, 2): 1},
    "half a surrogate pair": "\ud800",
    "half a surrogate pair as a key": {"\ud800": 1},
    "a float deep inside": [[{"a": [1.0]}]],
}


@pytest.mark.parametrize("value", WITHOUT_A_SPELLING.values(), ids=WITHOUT_A_SPELLING.keys())
def test_a_value_without_a_spelling_is_refused_by_encode(value: Any) -> None:
    with pytest.raises(MisuseError) as caught:
        encode(value)
    assert caught.value.reason == "type"


class Colour(IntEnum):
    RED = 5


class Pair(NamedTuple):
    first: int
    second: str


class Name(str):
    __slots__ = ()


def test_a_subclass_is_written_like_the_type_it_extends() -> None:
    assert (
        encode([Colour.RED, Pair(1, "a"), Name("b"), {Colour.RED: Name("c")}]).hex() == encode([5, [1, "a"], "b", {5: "c"}]).hex()
    )
    assert encode_arrays([Colour.RED, Pair(1, "a"), Name("b")]) == encode([5, [1, "a"], "b"])


def test_decode_own_lets_other_spellings_of_authenticated_bytes_through() -> None:
    assert decode_own(bytes.fromhex("1800")) == 0
    assert decode_own(bytes.fromhex("f93c00")) == 1.0
    assert decode_own(bytes.fromhex("0000")) == 0
    with pytest.raises(MalformedCbor):
        decode_own(bytes.fromhex("a201000100"))


# Vectors that others wrote


def test_every_example_of_the_rfc_is_read_or_refused_as_the_reference_does(tally: Tally) -> None:
    examples = json.loads(shared_data("cbor-vectors", "rfc7049-appendix_a.json").read_text())
    accepted = 0
    for each in examples:
        data = bytes.fromhex(each["hex"])
        if agrees_with_reference(data):
            accepted += 1
            assert "decoded" not in each or same(decode(data), each["decoded"]), each
        else:
            assert not_ours(each), each
    tally("cbor-vectors/rfc7049-appendix_a.json", {"read": accepted, "refused": len(examples) - accepted})
    assert (len(examples), accepted) == (82, 35)


def not_ours(each: dict[str, Any]) -> bool:
    """Whether an example of the RFC is a float, tag, simple value or indefinite length, or an integer beyond 64 bits signed."""
    first = int(each["hex"][:2], 16)
    return not each["roundtrip"] or first >> 5 >= 6 or abs(each["decoded"]) >= 1 << 63


def test_every_vector_of_the_working_group_is_read_or_refused_as_the_reference_does(tally: Tally) -> None:
    counted, accepted = 0, 0
    for path in sorted(shared_data("cbor-vectors", "cbor-wg").rglob("*.cbor")):
        for each in cbor2.loads(path.read_bytes(), max_depth=5000)["tests"]:
            counted += 1
            if agrees_with_reference(each["encoded"]):
                accepted += 1
                assert each.get("roundtrip", True) and not each.get("fail", False), each["description"]
                assert same(decode(each["encoded"]), each["decoded"]), each["description"]
    tally("cbor-vectors/cbor-wg", {"read": accepted, "refused": counted - accepted})
    assert (counted, accepted) == (169, 48)


def seeds() -> list[Path]:
    folder = shared_data("cbor-vectors")
    return sorted(path for path in folder.glob("seeds-*/**/*") if path.is_file())


def test_every_fuzz_seed_is_read_or_refused_as_the_reference_does(tally: Tally) -> None:
    accepted = [path for path in seeds() if agrees_with_reference(path.read_bytes())]
    tally("cbor-vectors/seeds", {"read": len(accepted), "refused": len(seeds()) - len(accepted)})
    assert (len(seeds()), len(accepted)) == (168, 78)


def test_every_seed_cut_short_or_lengthened_is_refused() -> None:
    for path in seeds():
        data = path.read_bytes()
        if len(data) <= 2000 and agrees_with_reference(data):
            assert not any(agrees_with_reference(data[:end]) for end in range(len(data)))
            assert not agrees_with_reference(data + b"\0")
