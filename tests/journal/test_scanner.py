"""What stands in a segment and where it ends, told from its bytes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import FormatTooNew
from rap_journal.format import FRAME_MAGIC, SEGMENT_HEADER_BYTES
from rap_journal.frames import Frame
from rap_journal.limits import FRAME_BYTES_MAX
from rap_journal.scanner import Chain, Remnant, Scan, scan_segment, start_of
from rap_journal.segments import header_chain_digest
from tests.journal.segment_kit import Made, Piece, flip, make_segment, of_later_format

PIECES = [Piece(), Piece(3, strict=True), Piece(body_bytes=100), Piece(2), Piece(strict=True)]
LAST_LSNS = [1, 4, 5, 7, 8]


@pytest.fixture(scope="module")
def made() -> Made:
    return make_segment(PIECES)


def scan(made: Made, data: bytes, **settings: int | None) -> Scan:
    """Scan `data` as the segment that `made` heads."""
    return scan_segment(data, made.header, start_of(made.header, header_chain_digest(made.data)), **settings)  # type: ignore[arg-type]  # offset is no None here


def last_lsns(result: Scan) -> list[int]:
    return [frame.header.last_lsn for frame in result.frames]


def test_all_frames_are_read_and_the_chain_behind_them_is_known(made: Made) -> None:
    result = scan(made, made.data)
    assert last_lsns(result) == LAST_LSNS
    assert [frame.offset for frame in result.frames] == made.offsets
    assert result.chain == made.chain == Chain(8, result.frames[-1].digest, 8)
    assert (result.end, result.reason, result.remnant, result.remnant_bytes) == (len(made.data), "end", Remnant.NOTHING, 0)
    assert result.torn_header is None and result.resume is None


@pytest.mark.parametrize("zeros", [1, 7, 8, 4096, 3 * FRAME_BYTES_MAX])
def test_zeros_to_the_end_of_the_file_are_the_clean_end(made: Made, zeros: int) -> None:
    result = scan(made, made.data + bytes(zeros))
    assert (last_lsns(result), result.reason, result.remnant) == (LAST_LSNS, "end", Remnant.NOTHING)


def test_a_segment_without_frames_ends_behind_its_header() -> None:
    empty = make_segment([], first_lsn=5)
    result = scan(empty, empty.data + bytes(100))
    assert (result.frames, result.end, result.remnant) == ([], SEGMENT_HEADER_BYTES, Remnant.NOTHING)
    assert result.chain == Chain(4, header_chain_digest(empty.data), 0)


def test_a_last_frame_cut_off_anywhere_is_a_short_remnant(made: Made) -> None:
    start = made.offsets[-1]
    for length in range(start + 1, len(made.data)):
        result = scan(made, made.data[:length] + bytes(64))
        # A digest that ends in zeros may be whole already.
        if result.remnant is Remnant.NOTHING:
            assert length == len(made.data.rstrip(b"\0"))
            continue
        assert (last_lsns(result), result.end, result.remnant) == (LAST_LSNS[:-1], start, Remnant.SHORT)
        assert 0 < result.remnant_bytes <= length - start
        assert (result.torn_header is not None) == (length >= start + 80)


def test_the_torn_frame_tells_who_it_was_once_its_header_is_whole(made: Made) -> None:
    result = scan(made, made.data[:-1])
    assert result.torn_header is not None
    assert (result.torn_header.first_lsn, result.torn_header.is_strict, result.reason) == (8, True, "short_frame")


def test_a_flipped_bit_below_a_later_frame_ends_the_chain_there_and_names_where_to_resume(made: Made) -> None:
    for index, offset in enumerate(made.offsets[:-1]):
        for place in range(offset, made.offsets[index + 1]):
            result = scan(made, flip(made.data, place, place % 8))
            assert (last_lsns(result), result.end) == (LAST_LSNS[:index], offset)
            assert result.remnant is Remnant.LATER_FRAME
            assert result.resume is not None and result.resume.offset == made.offsets[index + 1]
            assert (result.torn_header is not None) == (place >= offset + 80)


def test_a_flipped_bit_in_the_last_frame_is_a_short_remnant_with_nothing_to_resume_at(made: Made) -> None:
    for place in range(made.offsets[-1], len(made.data)):
        result = scan(made, flip(made.data, place, place % 8))
        assert (last_lsns(result), result.remnant, result.resume) == (LAST_LSNS[:-1], Remnant.SHORT, None)


@pytest.mark.parametrize(("distance", "remnant"), [(FRAME_BYTES_MAX, Remnant.SHORT), (FRAME_BYTES_MAX + 1, Remnant.LONG)])
def test_bytes_farther_away_than_one_frame_are_a_long_remnant(made: Made, distance: int, remnant: Remnant) -> None:
    result = scan(made, made.data + bytes(distance - 1) + b"x")
    assert (result.remnant, result.remnant_bytes) == (remnant, distance)


def test_what_lies_beyond_the_valid_length_is_not_looked_at(made: Made) -> None:
    valid = made.offsets[3]
    result = scan(made, made.data, valid_bytes=valid)
    assert (last_lsns(result), result.end, result.remnant) == (LAST_LSNS[:3], valid, Remnant.NOTHING)


def test_swapped_frames_break_the_chain() -> None:
    made = make_segment([Piece()] * 4)
    swapped = made.data[:512] + made.frame(0) + made.frame(2) + made.frame(1) + made.frame(3)
    result = scan(made, swapped)
    assert (last_lsns(result), result.reason, result.remnant) == ([1], "broken_chain", Remnant.LATER_FRAME)
    assert result.resume is not None and result.resume.header.first_lsn == 3


def test_a_repeated_frame_ends_the_chain_and_is_no_later_frame() -> None:
    made = make_segment([Piece()] * 2)
    result = scan(made, made.data + made.frame(1))
    assert (last_lsns(result), result.reason, result.remnant) == ([1, 2], "broken_chain", Remnant.SHORT)


def test_a_frame_of_another_segment_of_the_journal_is_no_frame_here() -> None:
    made, other = make_segment([Piece()]), make_segment([Piece()] * 2, number=2)
    result = scan(made, made.data + other.frame(1))
    assert (last_lsns(result), result.reason, result.remnant) == ([1], "bad_header_check", Remnant.SHORT)


def test_a_frame_with_the_right_lsn_and_another_predecessor_does_not_continue() -> None:
    made = make_segment([Piece()] * 3)
    without = made.data[:512] + made.frame(0) + made.frame(2)
    result = scan(made, without)
    assert (last_lsns(result), result.reason) == ([1], "broken_chain")


def test_a_later_frame_is_found_only_on_a_multiple_of_eight() -> None:
    made = make_segment([Piece()] * 2)
    junk = b"x" * 4
    assert scan(made, made.data[: made.offsets[1]] + junk + made.frame(1)).resume is None
    aligned = scan(made, made.data[: made.offsets[1]] + junk * 2 + made.frame(1))
    assert isinstance(aligned.resume, Frame) and aligned.resume.offset == made.offsets[1] + 8


def test_the_magic_of_a_frame_within_garbage_is_passed_over() -> None:
    made = make_segment([Piece()] * 2)
    garbage = (FRAME_MAGIC + b"\x01" * 12) * 20
    result = scan(made, made.data[: made.offsets[1]] + garbage + made.frame(1))
    assert result.resume is not None and result.resume.header.first_lsn == 2


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_last_frame_are_described_and_never_raise(behind: bytes) -> None:
    made = make_segment([Piece()])
    result = scan(made, made.data + behind)
    assert last_lsns(result) == [1]
    assert result.remnant is (Remnant.SHORT if behind.strip(b"\0") else Remnant.NOTHING)
    assert result.remnant_bytes == len(behind.rstrip(b"\0"))


@pytest.mark.parametrize(("place", "value"), [(4, 2), (5, 4), (44, 1)], ids=["version", "flag", "reserved"])
@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize("is_torn", [False, True])
def test_a_frame_of_a_later_format_is_refused_and_never_called_torn(
    made: Made, place: int, value: int, index: int, *, is_torn: bool
) -> None:
    offset = made.offsets[index]
    data = of_later_format(made.data, offset, place, value)
    with pytest.raises(FormatTooNew) as caught:
        scan(made, data[: offset + 80] if is_torn else data)
    assert (caught.value.reason, caught.value.offset) == ("frame_version", offset)
    assert caught.value.file == "journal/00000001-00000001"


def test_a_frame_of_a_later_format_behind_damage_is_refused_too(made: Made) -> None:
    data = flip(of_later_format(made.data, made.offsets[-1]), made.offsets[-2])
    with pytest.raises(FormatTooNew):
        scan(made, data)
