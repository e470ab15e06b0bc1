"""Records to payload and back, and the chain that proves that no strict record is missing."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import decode, encode
from rap_journal.errors import DamageError
from rap_journal.payload import StrictHead, StrictHeads, decode_payload, encode_payload
from rap_journal.records import Record, StrictLink
from tests.journal.workbench import BOOT_ID, HEALTH, IDENTITY, TRUST, plain, record_of

bodies = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)

records = st.builds(
    Record,
    lsn=st.just(0),
    kind=st.integers(1, 2000),
    version=st.integers(1, 9),
    category=st.integers(0, 5),
    state_class=st.integers(1, 15),
    rows=st.integers(1, 4096),
    wall_us=st.just(0),
    boot_us=st.just(0),
    node_us=st.integers(0, 2**53),
    boot_id=st.just(BOOT_ID),
    causes=st.lists(st.integers(1, 2**63 - 1), max_size=3).map(tuple),
    trace_id=st.none() | st.text(min_size=1, max_size=64),
    actor=st.text(min_size=1, max_size=64),
    link=st.none() | st.builds(StrictLink, st.integers(0, 2**53), st.binary(min_size=16, max_size=16), st.integers(1, 2**53)),
    body=st.lists(bodies, max_size=5),
)


def placed(given: list[Record], first_lsn: int) -> list[Record]:
    """The records as they come back: with LSNs, and the frame's clocks moved by each record's delta of node time."""
    lsn, base, found = first_lsn, given[0], []
    for record in given:
        delta = record.node_us - base.node_us
        found.append(record._replace(lsn=lsn, wall_us=base.wall_us + delta, boot_us=base.boot_us + delta))
        lsn += record.rows
    return found


@given(st.lists(records, min_size=1, max_size=6), st.integers(1, 2**53))
def test_records_read_back_with_dense_lsns_and_times_relative_to_the_first(given: list[Record], first_lsn: int) -> None:
    read = decode_payload(encode_payload(given), first_lsn)
    assert [record._replace(body=plain(record.body)) for record in read] == placed(given, first_lsn)


@given(st.lists(records, min_size=1, max_size=6))
def test_a_payload_is_deterministic_cbor(given: list[Record]) -> None:
    payload = encode_payload(given)
    assert encode(decode(payload, size_max=1 << 22)) == payload


def test_a_record_of_many_rows_takes_that_many_lsns() -> None:
    read = decode_payload(encode_payload([record_of(HEALTH, [1], rows=100), record_of(HEALTH, [2])]), 7)
    assert [(record.lsn, record.rows) for record in read] == [(7, 100), (107, 1)]


def test_an_actor_is_written_once_for_all_records_that_share_it() -> None:
    alone = len(encode_payload([record_of(HEALTH, [1], actor="operator")]))
    both = len(encode_payload([record_of(HEALTH, [1], actor="operator")] * 2))
    assert both - alone < len("operator") + 5
    read = decode_payload(encode_payload([record_of(HEALTH, [1], actor="a"), record_of(HEALTH, [2], actor="b", trace_id="t")]), 1)
    assert [(record.actor, record.trace_id) for record in read] == [("a", None), ("b", "t")]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        cbor2.dumps(7),
        cbor2.dumps([]),
        cbor2.dumps([BOOT_ID, "a", 0, 0, 0, [[1, 2]]]),
        cbor2.dumps([BOOT_ID, "a", 0, 0, 0, [[1, 1, 0, 6, 1, 0, [1], []]]]),
        cbor2.dumps([BOOT_ID, "a", 0, 0, 0, 5]),
        b"\x86\x40\x60\x00\x00\x00\x9f\xff",
        cbor2.dumps([BOOT_ID, "a", 0, 0, 0, [[1, 1, 0, 6, 1, 0, None, [cbor2.CBORTag(64, b"")]]]]),
        cbor2.dumps([BOOT_ID, "a", 0, 0, 0, [[1, 1, 0, 6, 1, 0, None, [[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]),
    ],
    ids=["empty", "break", "number", "short", "short record", "short meta", "no records", "indefinite", "a tag", "too deep"],
)
def test_authenticated_bytes_that_are_no_payload_are_damage(payload: bytes) -> None:
    with pytest.raises(DamageError) as caught:
        decode_payload(payload, 41)
    assert (caught.value.lsn, caught.value.reason) == (41, "bad_payload")


def linked(heads: StrictHeads, *given: tuple[Any, int, Any]) -> list[Record]:
    """Records of (class, LSN, body), linked one after the other."""
    return [heads.link_next(record_of(spec, [body], lsn=lsn)) for spec, lsn, body in given]


def test_strict_records_link_to_the_previous_one_of_their_class() -> None:
    first, other, second = linked(StrictHeads(), (IDENTITY, 3, "a"), (TRUST, 4, "b"), (IDENTITY, 9, "c"))
    assert first.link == StrictLink(0, bytes(16), 1)
    assert other.link == StrictLink(0, bytes(16), 1)
    assert second.link is not None
    assert (second.link.previous_lsn, second.link.ordinal) == (3, 2)
    assert second.link.previous_digest != bytes(16)


def test_a_whole_chain_is_followed_to_the_same_head_also_after_encoding() -> None:
    heads = StrictHeads()
    written = linked(heads, (IDENTITY, 1, "a"), (IDENTITY, 2, ("tuple", None, -1)), (IDENTITY, 3, b"c"))
    reader = StrictHeads()
    assert [reader.follow(record) for record in decode_payload(encode_payload(written), 1)] == [True, True, True]
    assert reader.items() == heads.items()


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_record_is_noticed_at_the_next_one_of_its_class_and_only_there(missing: int) -> None:
    written = linked(StrictHeads(), (IDENTITY, 1, "a"), (IDENTITY, 2, "b"), (IDENTITY, 3, "c"), (IDENTITY, 4, "d"))
    reader = StrictHeads()
    left = [record for index, record in enumerate(written) if index != missing]
    assert [reader.follow(record) for record in left] == [True] * missing + [False] + [True] * (2 - missing)


def test_another_record_in_the_place_of_one_is_noticed_at_the_next() -> None:
    written = linked(StrictHeads(), (IDENTITY, 1, "a"), (IDENTITY, 2, "b"))
    reader = StrictHeads()
    assert reader.follow(written[0]._replace(body=["other"]))
    assert not reader.follow(written[1])


def test_a_copy_of_the_heads_goes_its_own_way() -> None:
    heads = StrictHeads([(1, StrictHead(5, b"d" * 16, 2))])
    copy = heads.copy()
    linked(copy, (IDENTITY, 6, "a"))
    assert heads[1] == StrictHead(5, b"d" * 16, 2)
    assert copy[1].lsn == 6 and copy[1].record_count == 3
    assert heads[2] == StrictHead()


def test_a_head_that_only_a_gap_tells_of_is_known_to_be_unknown() -> None:
    assert not StrictHead(7).is_known
    assert StrictHead(7, b"d" * 16, 1).is_known
    heads = StrictHeads()
    heads.move(1, StrictHead(7))
    assert heads.items() == [(1, StrictHead(7))]
