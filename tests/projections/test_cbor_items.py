"""The walk over CBOR that nothing vouches for yet: what it refuses, and that it never costs more than the bytes it is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import encode
from rap_projections.cbor_items import DEPTH_MAX, CborItems
from rap_projections.refusals import Malformed
from tests.projections.documents_support import refused

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=300) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: depth_of(value) < DEPTH_MAX)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_any_deterministic_value_is_passed_over_exactly(value: object) -> None:
    items = CborItems(encode(value) + encode(b"what follows"))
    items.skip()
    assert items.byte_string() == b"what follows"
    items.end()


@pytest.mark.parametrize(
    "data",
    [
        "",  # nothing
        "18",  # a head without its argument
        "1817",  # 23 in two bytes
        "190017",
        "1900ff",
        "1a0000ffff",
        "1b00000000ffffffff",
        "58",
        "4200",  # a string cut short
        "5f4100ff",  # indefinite lengths
        "7f6100ff",
        "9f00ff",
        "bf0000ff",
        "1c",  # reserved
        "1f",
        "f93c00",  # floats
        "fa3f800000",
        "fb3ff0000000000000",
        "f7",  # undefined
        "e0",  # an unassigned simple value
        "f820",
        "c100",  # tags, also those with meaning for decoders
        "d81c80",
        "d81d00",
        "d8238161",
        "d9010080",
        "ff",
        "81",
        "a1",
        "a100",
        "81" * (DEPTH_MAX + 1) + "00",
        "9b00000000ffffffff",  # four milliards of items in nine bytes
        "bbffffffffffffffff",
        "5bffffffffffffffff",
    ],
)
def test_item_that_is_not_plain_and_complete_is_refused(data: str) -> None:
    """Mutation: take what is nested too deep, of another kind, longer than needed, or cut off."""
    assert isinstance(refused(CborItems(bytes.fromhex(data)).skip), Malformed)


@pytest.mark.parametrize(("data", "labels"), [("a0", ()), ("a2010203 04".replace(" ", ""), (1, 3)), ("a26161002000", ("a", -1))])
def test_labels_of_a_map_are_told_in_order(data: str, labels: tuple[int | str, ...]) -> None:
    assert CborItems(bytes.fromhex(data)).map_labels() == labels


@pytest.mark.parametrize("data", ["a201000100", "a14000", "a1f600", "a1800000", "a161ff00", "8100", "bf0100ff"])
def test_map_with_a_label_twice_or_of_another_kind_is_refused(data: str) -> None:
    """Mutation: the later of two equal labels counts, or anything is a label."""
    assert isinstance(refused(CborItems(bytes.fromhex(data)).map_labels), Malformed)


def test_tag_is_taken_off_once_and_only_where_one_is() -> None:
    assert CborItems(bytes.fromhex("d28400")).tag() == 18
    assert CborItems(bytes.fromhex("d86284")).tag() == 98
    assert CborItems(bytes.fromhex("84")).tag() is None
    assert CborItems(b"").tag() is None


def test_bytes_after_the_end_are_refused() -> None:
    """Mutation: the end is not looked for."""
    items = CborItems(bytes.fromhex("0000"))
    items.skip()
    assert "follow" in str(refused(items.end))
    items.skip()
    items.end()


@given(st.binary(max_size=100))
def test_any_bytes_end_in_an_answer(data: bytes) -> None:
    """Mutation: without one of the refusals some bytes end in an error of this program, or never."""
    items = CborItems(data)
    try:
        items.skip()
        assert 0 < items.offset <= len(data)
    except Malformed:
        assert items.offset <= len(data)
