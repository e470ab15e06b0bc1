"""A segment's header: it says again what it was told, and a changed bit takes its name from it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.format import SEGMENT_DIGESTED_BYTES, SEGMENT_HEADER_BYTES
from rap_journal.segments import (
    Cut,
    Predecessor,
    SegmentHeader,
    decode_segment_header,
    encode_segment_header,
    header_chain_digest,
    header_key_context,
)
from rap_journal.values import Epoch, SegmentNumber

FILE = "journal/00000007-00000003"

HEADER = SegmentHeader(
    journal_id=b"j" * 16,
    cluster="eu-1",
    number=SegmentNumber(7),
    epoch=Epoch(3),
    key_generation=2,
    incarnation=b"i" * 16,
    first_lsn=1001,
    salt=b"s" * 32,
    last_strict_lsn=990,
    predecessor=Predecessor(6, b"h" * 16, 2, 1000, 3456, b"d" * 16),
    cut=Cut(77, 2, b"c" * 32, 0b1100_0000),
)


def resealed(data: bytes, offset: int, value: bytes) -> bytes:
    """`data` with bytes changed and its digest made right again."""
    changed = data[:offset] + value + data[offset + len(value) :]
    return changed[:SEGMENT_DIGESTED_BYTES] + hashlib.sha256(changed[:SEGMENT_DIGESTED_BYTES]).digest()


def test_a_header_reads_back() -> None:
    data = encode_segment_header(HEADER)
    assert len(data) == SEGMENT_HEADER_BYTES
    assert decode_segment_header(data, FILE) == HEADER
    assert decode_segment_header(data + b"frames", FILE) == HEADER


numbers = st.integers(0, 2**64 - 1)


@given(
    st.builds(
        SegmentHeader,
        journal_id=st.binary(min_size=16, max_size=16),
        cluster=st.from_regex(r"[a-z0-9]{1,63}", fullmatch=True),
        number=numbers,
        epoch=st.integers(0, 2**32 - 1),
        key_generation=st.integers(0, 2**32 - 1),
        incarnation=st.binary(min_size=16, max_size=16),
        first_lsn=numbers,
        salt=st.binary(min_size=32, max_size=32),
        last_strict_lsn=numbers,
        predecessor=st.builds(
            Predecessor,
            number=numbers,
            incarnation=st.binary(min_size=16, max_size=16),
            epoch=st.integers(0, 2**32 - 1),
            last_lsn=numbers,
            valid_bytes=numbers,
            digest=st.binary(min_size=16, max_size=16),
        ),
        cut=st.builds(
            Cut,
            cut_bytes=numbers,
            label=st.integers(0, 2**16 - 1),
            sha256=st.binary(min_size=32, max_size=32),
            class_mask=st.integers(0, 2**16 - 1),
        ),
        format_level=st.integers(0, 2**16 - 1),
    )
)
def test_any_header_reads_back(header: SegmentHeader) -> None:
    assert decode_segment_header(encode_segment_header(header), FILE) == header


def test_the_first_segment_of_a_journal_names_no_predecessor_and_no_cut() -> None:
    header = HEADER._replace(predecessor=Predecessor(), cut=Cut())
    read = decode_segment_header(encode_segment_header(header), FILE)
    assert (read.predecessor.number, read.predecessor.last_lsn, read.cut.cut_bytes, read.cut.label) == (0, 0, 0, 0)


def test_every_flipped_bit_is_found() -> None:
    data = encode_segment_header(HEADER)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamageError) as caught:
            decode_segment_header(bytes(changed), FILE)
        assert caught.value.reason == ("bad_magic" if bit < 64 else "bad_header_digest")
        assert (caught.value.file, caught.value.offset) == (FILE, 0)


@pytest.mark.parametrize("length", [0, 1, 511])
def test_a_file_shorter_than_a_header_has_none(length: int) -> None:
    with pytest.raises(DamageError) as caught:
        decode_segment_header(encode_segment_header(HEADER)[:length], FILE)
    assert caught.value.reason == "short_header"


@pytest.mark.parametrize(
    ("offset", "value"),
    [(8, b"\x02\x00"), (12, b"\x00\x04\x00\x00"), (280, b"\x01"), (479, b"\x01")],
    ids=["version", "length", "first", "last"],
)
def test_a_header_of_a_later_format_is_left_alone(offset: int, value: bytes) -> None:
    with pytest.raises(FormatTooNew) as caught:
        decode_segment_header(resealed(encode_segment_header(HEADER), offset, value), FILE)
    assert caught.value.file == FILE


def test_the_key_and_the_chain_are_bound_to_every_bit_of_the_header() -> None:
    data = encode_segment_header(HEADER)
    other = encode_segment_header(HEADER._replace(cut=Cut()))
    assert header_key_context(data) == hashlib.sha256(data).digest() == header_key_context(data + b"frames")
    assert header_chain_digest(data) == hashlib.sha256(data).digest()[:16]
    assert header_key_context(data) != header_key_context(other)
