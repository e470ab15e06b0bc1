"""Walking a chain of segments: frames in order, gaps with what they may have held, and the end."""

from collections.abc import Iterator

import pytest

from rap_journal.filesystem import Directory
from rap_journal.inventory import take_inventory
from rap_journal.scanner import Chain, Remnant
from rap_journal.sealing import KeyRing, SealBroken
from rap_journal.segments import Cut, Predecessor
from rap_journal.testing import MemoryFileSystem
from rap_journal.walk import Gap, Walk, records_of
from tests.journal.segment_kit import RING, Piece, flip, make_chain, make_segment, put
from tests.journal.workbench import HEALTH, IDENTITY, JOURNAL_ID, PEERS


@pytest.fixture
def folder() -> Iterator[Directory]:
    with MemoryFileSystem().open_root("/store", create=True) as root:
        yield root.create_directory("journal")


def walk_over(folder: Directory, after_lsn: int = 0) -> tuple[Walk, list[int]]:
    """A walk that was gone to its end, and the LSNs of its records."""
    walk = Walk(folder, take_inventory(folder, JOURNAL_ID), after_lsn)
    lsns = [record.lsn for segment in walk for _frame, records in records_of(segment, RING, after_lsn) for record in records]
    return walk, lsns


def test_a_whole_chain_is_walked_without_gaps(folder: Directory) -> None:
    for made in make_chain([2, 0, 3]):
        put(folder, made)
    walk, lsns = walk_over(folder)
    assert (lsns, walk.gaps) == ([1, 2, 3, 4, 5], [])
    assert walk.end.file is not None and walk.end.file.header.number == 3
    assert walk.end.scan is not None and walk.end.scan.remnant is Remnant.NOTHING
    assert walk.end.chain.last_lsn == 5


def test_an_empty_folder_ends_where_it_was_to_begin(folder: Directory) -> None:
    walk, lsns = walk_over(folder, after_lsn=7)
    assert (lsns, walk.gaps) == ([], [])
    assert (walk.end.file, walk.end.scan, walk.end.chain) == (None, None, Chain(7, bytes(16), 0))


@pytest.mark.parametrize(
    ("after_lsn", "expected"), [(0, [1, 2, 3, 4, 5]), (1, [2, 3, 4, 5]), (2, [3, 4, 5]), (4, [5]), (5, []), (6, [])]
)
def test_only_records_after_the_lsn_are_given(folder: Directory, after_lsn: int, expected: list[int]) -> None:
    for made in make_chain([2, 0, 3]):
        put(folder, made)
    walk, lsns = walk_over(folder, after_lsn)
    assert (lsns, walk.gaps) == (expected, [])


def test_segments_wholly_before_the_lsn_are_not_read(folder: Directory) -> None:
    chain = make_chain([2, 2, 2])
    put(folder, chain[0], flip(chain[0].data, 600))
    for made in chain[1:]:
        put(folder, made)
    walk, lsns = walk_over(folder, 2)
    assert (lsns, walk.gaps) == ([3, 4, 5, 6], [])


def test_rot_below_a_later_frame_is_a_gap_and_the_walk_goes_on(folder: Directory) -> None:
    pieces = [Piece(), Piece(3, class_mask=1 << PEERS.number), Piece(2)]
    made = make_segment(pieces)
    put(folder, made, flip(made.data, made.offsets[1] + 100))
    walk, lsns = walk_over(folder)
    assert lsns == [1, 5, 6]
    length = made.offsets[2] - made.offsets[1]
    assert walk.gaps == [Gap(1, made.offsets[1], length, 2, 4, 0, 1 << PEERS.number, "bad_digest")]
    assert not walk.gaps[0].strict_lost and not walk.gaps[0].is_foreign


def test_rot_in_a_header_leaves_the_classes_of_the_gap_unknown(folder: Directory) -> None:
    made = make_segment([Piece()] * 3)
    put(folder, made, flip(made.data, made.offsets[1] + 8))
    walk, lsns = walk_over(folder)
    assert lsns == [1, 3]
    assert (walk.gaps[0].class_mask, walk.gaps[0].reason) == (None, "bad_header_check")


def test_rot_over_several_frames_is_one_gap_of_unknown_classes(folder: Directory) -> None:
    made = make_segment([Piece()] * 4)
    put(folder, made, flip(flip(made.data, made.offsets[1] + 100), made.offsets[2] + 100))
    walk, lsns = walk_over(folder)
    assert lsns == [1, 4]
    assert [(gap.first_lsn, gap.last_lsn, gap.class_mask) for gap in walk.gaps] == [(2, 3, None)]


def test_two_places_of_rot_are_two_gaps(folder: Directory) -> None:
    made = make_segment([Piece()] * 5)
    put(folder, made, flip(flip(made.data, made.offsets[1] + 100), made.offsets[3] + 100))
    walk, lsns = walk_over(folder)
    assert lsns == [1, 3, 5]
    assert [(gap.first_lsn, gap.last_lsn) for gap in walk.gaps] == [(2, 2), (4, 4)]


def test_the_frame_behind_a_gap_tells_whether_a_strict_record_was_in_it(folder: Directory) -> None:
    strict = Piece(2, strict=True, class_mask=1 << IDENTITY.number)
    made = make_segment([Piece(), strict, Piece()])
    put(folder, made, flip(made.data, made.offsets[1] + 100))
    walk, _lsns = walk_over(folder)
    assert walk.gaps == [Gap(1, made.offsets[1], len(made.frame(1)), 2, 3, 3, 1 << IDENTITY.number, "bad_digest")]
    assert walk.gaps[0].strict_lost


def test_a_closed_segment_that_ends_early_is_a_gap_up_to_where_its_successor_says(folder: Directory) -> None:
    first, second = make_chain([3, 2])
    put(folder, first, first.data[: first.offsets[1]])
    put(folder, second)
    walk, lsns = walk_over(folder)
    assert lsns == [1, 4, 5]
    assert [(gap.segment, gap.offset, gap.first_lsn, gap.last_lsn) for gap in walk.gaps] == [(1, first.offsets[1], 2, 3)]


def test_rot_in_the_last_frame_of_a_closed_segment_is_a_gap(folder: Directory) -> None:
    first, second = make_chain([3, 2])
    put(folder, first, flip(first.data, first.offsets[2] + 100))
    put(folder, second)
    walk, lsns = walk_over(folder)
    assert lsns == [1, 2, 4, 5]
    assert [(gap.first_lsn, gap.last_lsn, gap.class_mask) for gap in walk.gaps] == [(3, 3, 1 << HEALTH.number)]


def test_bytes_beyond_the_length_that_the_successor_names_are_stale(folder: Directory) -> None:
    first = make_segment([Piece()] * 3)
    valid = first.offsets[2]
    before = first.predecessor(valid)._replace(last_lsn=2, digest=first.frame(1)[-16:])
    second = make_segment([Piece()], number=2, epoch=2, first_lsn=3, predecessor=before)
    put(folder, first, first.data + b"torn")
    put(folder, second)
    walk, lsns = walk_over(folder)
    assert (lsns, walk.gaps) == ([1, 2, 3], [])
    assert walk.end.chain == second.chain


def test_a_missing_segment_is_a_gap_by_its_lsns(folder: Directory) -> None:
    chain = make_chain([2, 3, 1])
    put(folder, chain[0])
    put(folder, chain[2])
    walk, lsns = walk_over(folder)
    assert lsns == [1, 2, 6]
    assert walk.gaps == [Gap(3, 0, 0, 3, 5, 0, None, "missing_records")]


def test_missing_segments_at_the_beginning_are_a_gap_unless_the_start_is_behind_them(folder: Directory) -> None:
    chain = make_chain([2, 3, 1])
    put(folder, chain[2])
    assert walk_over(folder)[0].gaps == [Gap(3, 0, 0, 1, 5, 0, None, "missing_records")]
    assert walk_over(folder, 5)[0].gaps == []


def test_lsns_that_a_recovery_gave_up_are_a_gap_with_its_label_and_classes(folder: Directory) -> None:
    first = make_segment([Piece()] * 2)
    cut = Cut(50, 4, b"c" * 32, 1 << PEERS.number)
    second = make_segment([Piece()], number=2, epoch=2, first_lsn=6, predecessor=first.predecessor(), cut=cut)
    put(folder, first)
    put(folder, second)
    walk, lsns = walk_over(folder)
    assert lsns == [1, 2, 6]
    assert walk.gaps == [Gap(2, 0, 0, 3, 5, 0, 1 << PEERS.number, "given_up", 4)]


def test_a_frame_that_follows_on_another_one_is_foreign_though_no_lsn_is_missing(folder: Directory) -> None:
    made, twin = make_segment([Piece()] * 3), make_segment([Piece(), Piece(body_bytes=21), Piece()])
    assert made.salt == twin.salt
    data = made.data[: made.offsets[2]] + twin.frame(2)
    put(folder, made, data)
    walk, lsns = walk_over(folder)
    assert lsns == [1, 2, 3]
    assert [(gap.first_lsn, gap.last_lsn, gap.is_foreign) for gap in walk.gaps] == [(3, 2, True)]


def test_a_closed_segment_that_ends_in_another_digest_than_its_successor_names_is_foreign(folder: Directory) -> None:
    first = make_segment([Piece()] * 2)
    before = first.predecessor()._replace(digest=b"x" * 16)
    put(folder, first)
    put(folder, make_segment([Piece()], number=2, first_lsn=3, predecessor=before))
    walk, _lsns = walk_over(folder)
    assert [(gap.reason, gap.is_foreign) for gap in walk.gaps] == [("other_history", True)]


def test_lsns_that_come_twice_are_foreign(folder: Directory) -> None:
    put(folder, make_segment([Piece()] * 4))
    put(folder, make_segment([Piece()], number=3, first_lsn=3, predecessor=Predecessor(2, epoch=1, last_lsn=2)))
    walk, _lsns = walk_over(folder)
    assert [(gap.segment, gap.reason, gap.is_foreign) for gap in walk.gaps] == [(3, "other_history", True)]


def test_files_that_are_held_open_are_read_though_their_names_are_gone(folder: Directory) -> None:
    chain = make_chain([2, 2])
    held = {}
    for made in chain:
        name = put(folder, made)
        held[name] = folder.open(name)
    inventory = take_inventory(folder, JOURNAL_ID)
    for name in held:
        folder.unlink(name)
    walk = Walk(folder, inventory, 0, files=held)
    assert [len(segment.frames) for segment in walk] == [2, 2]


def test_a_frame_whose_seal_is_broken_is_given_up_to_the_caller(folder: Directory) -> None:
    put(folder, make_segment([Piece()]))
    walk = Walk(folder, take_inventory(folder, JOURNAL_ID), 0)
    other = KeyRing(JOURNAL_ID, {1: b"x" * 32}, 1)
    (segment,) = walk
    with pytest.raises(SealBroken):
        list(records_of(segment, other))
