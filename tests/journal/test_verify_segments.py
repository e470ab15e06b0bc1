"""Segments made by hand, and what verification finds in them: headers, frames, ends, gaps and what lies between."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from rap_journal.errors import FormatTooNew
from rap_journal.filesystem import Directory
from rap_journal.format import FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES
from rap_journal.format_levels import FormatLevels
from rap_journal.frames import read_frame
from rap_journal.limits import FRAME_BYTES_MAX, SEGMENT_BYTES_MAX
from rap_journal.payload import StrictHead, StrictHeads
from rap_journal.records import Record
from rap_journal.sealing import KeyRing
from rap_journal.segments import Cut
from rap_journal.testing import MemoryFileSystem
from rap_journal.verify_files import Findings, Look
from rap_journal.verify_report import Severity, VerifyFinding
from rap_journal.verify_segments import (
    Expected,
    Place,
    SegmentsSeen,
    StrictFollower,
    check_segments,
    disagreement,
    mask_of_headers,
)
from tests.journal.segment_kit import RING, Made, Piece, flip, make_chain, make_segment, of_later_format, put
from tests.journal.sound_journal import SHAPE
from tests.journal.workbench import HEALTH, IDENTITY, JOURNAL_ID, PEERS, TRUST, record_of

CACHE = Piece(class_mask=1 << PEERS.number)
STRICT = Piece(strict=True, class_mask=1 << TRUST.number)
FIRST, SECOND, THIRD = (f"journal/{number:08d}-00000001" for number in (1, 2, 3))
Found = list[tuple[str, int, str, Severity, tuple[int, int]]]


@pytest.fixture
def folder() -> Directory:
    return MemoryFileSystem().open_root("/store", create=True).create_directory("journal")


def check(
    folder: Directory,
    *,
    vouched_lsn: int = 0,
    wanted: Sequence[int] = (),
    live: bool = False,
    floor: int = 0,
    ring: KeyRing | None = None,
) -> tuple[SegmentsSeen, list[VerifyFinding]]:
    findings = Findings()
    look = Look(SHAPE, JOURNAL_ID, live, ring, findings)
    return check_segments(folder, look, Expected(vouched_lsn, frozenset(wanted)), lambda: floor), list(findings)


def found(folder: Directory, *, vouched_lsn: int = 0, live: bool = False, floor: int = 0) -> Found:
    _seen, findings = check(folder, vouched_lsn=vouched_lsn, live=live, floor=floor)
    return [(each.file, each.offset, each.reason, each.severity, (each.first_lsn, each.last_lsn)) for each in findings]


# Sound chains.


def test_a_sound_chain_is_counted_from_its_first_lsn_to_its_last(folder: Directory) -> None:
    for made in make_chain([2, 0, 3]):
        put(folder, made)
    seen, findings = check(folder)
    assert findings == []
    assert (seen.first_lsn, seen.last_lsn, seen.end_lsn, seen.lost) == (1, 5, 5, ())
    assert (seen.segment_count, seen.frame_count, seen.is_cut_to_length) == (3, 5, True)
    assert seen.heads == frozenset()


def test_a_folder_without_segments_holds_nothing_and_misses_what_was_vouched_for(folder: Directory) -> None:
    seen, findings = check(folder)
    assert (seen.first_lsn, seen.last_lsn, seen.segment_count, findings) == (0, 0, 0, [])
    assert found(folder, vouched_lsn=7) == [("journal", 0, "tail_missing", Severity.DAMAGE, (1, 7))]


def test_prepared_zeros_behind_the_last_frame_are_its_clean_end_but_not_cut_to_length(folder: Directory) -> None:
    made = make_segment([Piece(), Piece()])
    put(folder, made, made.data + bytes(5000))
    seen, findings = check(folder, vouched_lsn=2)
    assert (findings, seen.is_cut_to_length) == ([], False)


def test_the_wanted_places_are_those_behind_frames_and_on_both_sides_of_a_border(folder: Directory) -> None:
    first, second = make_chain([2, 1])
    for made in (first, second):
        put(folder, made)
    seen, _findings = check(folder, wanted=[1, 2, 3, 9])
    assert seen.places.keys() == {1, 2, 3}
    (behind_first,) = seen.places[1]
    assert (behind_first.segment, behind_first.offset) == (1, first.offsets[1])
    assert {(place.segment, place.offset) for place in seen.places[2]} == {(1, len(first.data)), (2, SEGMENT_HEADER_BYTES)}
    assert Place(first.chain.digest, 1, len(first.data)) in seen.places[2]
    assert seen.places[3] == {Place(second.chain.digest, 2, len(second.data))}


def test_where_the_segment_before_was_retired_its_successor_says_where_it_ended(folder: Directory) -> None:
    first, second = make_chain([2, 1])
    put(folder, second)
    seen, _findings = check(folder, wanted=[2], floor=2)
    assert Place(first.chain.digest, 1, len(first.data)) in seen.places[2]
    assert {(place.segment, place.offset) for place in seen.places[2]} == {(1, len(first.data)), (2, SEGMENT_HEADER_BYTES)}


def test_a_segment_of_a_level_that_is_not_known_is_raised_and_nothing_is_judged(folder: Directory) -> None:
    put(folder, make_segment([Piece()], number=1))
    findings = Findings()
    look = Look(SHAPE._replace(levels=FormatLevels(known=0, made=0)), JOURNAL_ID, False, None, findings)
    with pytest.raises(FormatTooNew) as caught:
        check_segments(folder, look, Expected(0, frozenset()), lambda: 0)
    assert (caught.value.reason, caught.value.file, list(findings)) == ("format_level", FIRST, [])


# Frames that do not verify.


@pytest.mark.parametrize(
    ("damaged", "severity", "classes"),
    [
        ([CACHE], Severity.CACHE_DAMAGE, ("peers",)),
        ([CACHE, CACHE], Severity.CACHE_DAMAGE, ("peers",)),
        ([Piece()], Severity.DAMAGE, ("health",)),
        ([STRICT], Severity.DAMAGE, ("trust",)),
        ([CACHE, STRICT], Severity.DAMAGE, ("trust", "peers")),
    ],
    ids=["cache", "two caches", "sync", "strict", "cache and strict"],
)
def test_rot_in_bodies_costs_the_classes_that_their_headers_name(
    folder: Directory, damaged: list[Piece], severity: Severity, classes: tuple[str, ...]
) -> None:
    made = make_segment([Piece(), *damaged, Piece()])
    data = made.data
    for offset in made.offsets[1:-1]:
        data = flip(data, offset + FRAME_HEADER_BYTES)
    put(folder, made, data)
    seen, findings = check(folder)
    lsns = (2, 1 + len(damaged))
    assert findings == [VerifyFinding(FIRST, made.offsets[1], "bad_digest", severity, classes, *lsns)]
    assert (seen.lost, seen.last_lsn, seen.frame_count) == ((lsns,), 2 + len(damaged), 2)


def test_rot_in_a_header_may_have_cost_anything(folder: Directory) -> None:
    made = make_segment([CACHE, CACHE, CACHE])
    put(folder, made, flip(made.data, made.offsets[1] + 9))
    _seen, findings = check(folder)
    assert findings == [VerifyFinding(FIRST, made.offsets[1], "bad_header_check", Severity.DAMAGE, (), 2, 2)]


def test_every_gap_is_told_by_itself(folder: Directory) -> None:
    made = make_segment([CACHE] * 5)
    put(folder, made, flip(flip(made.data, made.offsets[1] + 90), made.offsets[3] + 90))
    seen, findings = check(folder)
    assert [(finding.offset, finding.first_lsn) for finding in findings] == [(made.offsets[1], 2), (made.offsets[3], 4)]
    assert seen.lost == ((2, 2), (4, 4))


def test_what_was_lost_is_not_among_the_places(folder: Directory) -> None:
    made = make_segment([CACHE] * 3)
    put(folder, made, flip(made.data, made.offsets[1] + 90))
    seen, _findings = check(folder, wanted=[1, 2, 3])
    assert seen.places.keys() == {1, 3}


# The end of the last segment.


@pytest.mark.parametrize(
    ("torn", "reason", "classes"), [(STRICT, "torn_tail", ("trust",)), (CACHE, "torn_or_rotten", ("peers",))]
)
def test_half_a_frame_that_nothing_vouches_for_is_torn(
    folder: Directory, torn: Piece, reason: str, classes: tuple[str, ...]
) -> None:
    made = make_segment([Piece(), torn])
    put(folder, made, made.data[: made.offsets[1] + 100] + bytes(500))
    seen, findings = check(folder, vouched_lsn=1)
    assert findings == [VerifyFinding(FIRST, made.offsets[1], reason, Severity.TORN, classes)]
    assert (seen.last_lsn, seen.lost, seen.is_cut_to_length) == (1, (), False)


def test_half_a_frame_that_was_vouched_for_is_damage(folder: Directory) -> None:
    made = make_segment([Piece(), CACHE])
    put(folder, made, made.data[: made.offsets[1] + 100])
    assert found(folder, vouched_lsn=2) == [(FIRST, made.offsets[1], "short_frame", Severity.CACHE_DAMAGE, (2, 2))]
    assert found(folder, vouched_lsn=3) == [(FIRST, made.offsets[1], "short_frame", Severity.DAMAGE, (2, 3))]


def test_an_end_on_a_border_of_frames_misses_what_was_vouched_for(folder: Directory) -> None:
    made = make_segment([Piece()] * 3)
    put(folder, made, made.data[: made.offsets[1]])
    seen, findings = check(folder, vouched_lsn=3)
    assert findings == [VerifyFinding(FIRST, made.offsets[1], "tail_missing", Severity.DAMAGE, (), 2, 3)]
    assert seen.lost == ((2, 3),)


def test_more_bytes_than_one_write_leaves_are_damage(folder: Directory) -> None:
    made = make_segment([Piece()])
    put(folder, made, made.data + b"\x01" * (FRAME_BYTES_MAX + 1))
    assert found(folder, vouched_lsn=1) == [(FIRST, len(made.data), "bad_magic", Severity.DAMAGE, (0, 0))]


def test_a_segment_larger_than_any_is_not_read(folder: Directory) -> None:
    made = make_segment([Piece()])
    put(folder, made)
    with folder.open("00000001-00000001", writable=True) as file:
        file.truncate(0)
        file.write_at(0, made.data)
    larger = SizedFolder(folder, SEGMENT_BYTES_MAX + 2 * FRAME_BYTES_MAX + 1)
    assert found(larger) == [(FIRST, 0, "too_large", Severity.DAMAGE, (0, 0))]  # type: ignore[arg-type]  # it offers what is used


class SizedFolder:
    """A folder whose files claim a size."""

    def __init__(self, inner: Directory, size: int) -> None:
        self.name = inner.name
        self.names = inner.names
        self._inner = inner
        self._size = size

    def open(self, name: str) -> object:
        file = self._inner.open(name)
        file.size = lambda: self._size  # type: ignore[method-assign]  # so large a file is not to be made
        return file


# Closed segments.


def closed(folder: Directory, data: bytes) -> None:
    """Two segments, of which the first holds other bytes than it should."""
    first, second = make_chain([2, 1])
    put(folder, first, data)
    put(folder, second)


def test_a_closed_segment_ends_where_its_successor_says(folder: Directory) -> None:
    first, _second = make_chain([2, 1])
    closed(folder, first.data[: first.offsets[1]])
    assert found(folder) == [(FIRST, first.offsets[1], "missing_frames", Severity.DAMAGE, (2, 2))]


def test_half_a_last_frame_of_a_closed_segment_is_damage_and_never_torn(folder: Directory) -> None:
    first, _second = make_chain([2, 1])
    closed(folder, first.data[:-20])
    assert found(folder) == [(FIRST, first.offsets[1], "short_frame", Severity.DAMAGE, (2, 2))]


BEFORE = make_chain([2, 1])[0].predecessor()


@pytest.mark.parametrize(
    "changes",
    [
        {"predecessor": BEFORE._replace(digest=b"other digest....")},
        {"predecessor": BEFORE._replace(valid_bytes=BEFORE.valid_bytes + 8)},
        {"last_strict_lsn": 2},
    ],
    ids=["digest", "valid_bytes", "last_strict_lsn"],
)
def test_a_successor_that_says_otherwise_is_told(folder: Directory, changes: dict[str, Any]) -> None:
    first, _second = make_chain([2, 1])
    put(folder, first)
    put(folder, make_segment([Piece()], number=2, first_lsn=3, **({"predecessor": BEFORE} | changes)))
    assert found(folder) == [(FIRST, len(first.data), "successor_disagrees", Severity.DAMAGE, (0, 0))]


def test_bytes_behind_the_end_of_a_closed_segment_are_zero_or_stale(folder: Directory) -> None:
    first, _second = make_chain([2, 1])
    closed(folder, first.data + bytes(300))
    assert found(folder) == []
    folder.unlink("00000001-00000001")
    put(folder, first, first.data + bytes(300) + b"\x01")
    assert found(folder) == [(FIRST, len(first.data), "stale_bytes", Severity.CACHE_DAMAGE, (0, 0))]


def test_what_a_recovery_cut_and_could_not_remove_is_known(folder: Directory) -> None:
    torn = b"half a frame"
    cut = Cut(len(torn), 1, hashlib.sha256(torn).digest(), 0)
    first = make_segment([Piece(), Piece()])
    put(folder, make_segment([Piece()], number=2, first_lsn=3, predecessor=first.predecessor(), cut=cut))
    for rest, expected in (
        (torn, []),
        (torn + bytes(90), []),
        (torn[:-1] + b"E", ["stale_bytes"]),
        (torn + b"E", ["stale_bytes"]),
    ):
        put(folder, first, first.data + rest)
        assert [finding[2] for finding in found(folder)] == expected
        folder.unlink("00000001-00000001")


# Missing segments and records.


def test_a_missing_segment_in_the_middle_is_damage_above_the_floor_and_none_below(folder: Directory) -> None:
    chain = make_chain([2, 3, 1])
    put(folder, chain[0])
    put(folder, chain[2])
    assert found(folder) == [(THIRD, 0, "missing_segment", Severity.DAMAGE, (3, 5))]
    assert found(folder, floor=4) == [(THIRD, 0, "missing_segment", Severity.DAMAGE, (3, 5))]
    assert found(folder, floor=5) == [(THIRD, 0, "missing_segment", Severity.HARMLESS, (3, 5))]


def test_the_lsns_of_a_missing_segment_are_named_where_it_held_any(folder: Directory) -> None:
    for counts, lsns, lost in (([2, 0, 1], (0, 0), ()), ([2, 1, 1], (3, 3), ((3, 3),))):
        chain = make_chain(counts)
        put(folder, chain[0])
        put(folder, chain[2])
        seen, findings = check(folder)
        assert findings == [VerifyFinding(THIRD, 0, "missing_segment", Severity.DAMAGE, (), *lsns)]
        assert seen.lost == lost
        for name in folder.names():
            folder.unlink(name)


def test_a_torn_end_before_a_missing_segment_is_damage_too(folder: Directory) -> None:
    chain = make_chain([2, 1, 1])
    put(folder, chain[0], chain[0].data[:-20])
    put(folder, chain[2])
    assert found(folder) == [
        (FIRST, chain[0].offsets[1], "short_frame", Severity.DAMAGE, (0, 0)),
        (THIRD, 0, "missing_segment", Severity.DAMAGE, (2, 3)),
    ]


def test_segments_that_begin_above_the_floor_miss_records(folder: Directory) -> None:
    put(folder, make_chain([2, 3])[1])
    assert found(folder, floor=2) == []
    assert found(folder, floor=1) == [(SECOND, 0, "missing_records", Severity.DAMAGE, (2, 2))]
    assert check(folder, floor=1)[0].lost == ((2, 2),)


def test_what_a_recovery_gave_up_is_recorded_and_harmless_and_without_its_word_it_is_damage(folder: Directory) -> None:
    first = make_segment([Piece(), Piece()])
    put(folder, first)
    for cut, reason, severity in ((Cut(label=5), "given_up", Severity.HARMLESS), (None, "missing_records", Severity.DAMAGE)):
        second = make_segment([Piece()], number=2, first_lsn=6, predecessor=first.predecessor(), cut=cut)
        put(folder, second)
        seen, findings = check(folder)
        assert findings == [VerifyFinding(SECOND, 0, reason, severity, (), 3, 5)]
        assert seen.lost == ((3, 5),)
        folder.unlink("00000002-00000001")


def test_lsns_that_come_twice_are_of_another_history(folder: Directory) -> None:
    first = make_segment([Piece()] * 3)
    put(folder, first)
    put(folder, make_segment([Piece()], number=3, first_lsn=2, predecessor=first.predecessor()._replace(number=2, last_lsn=1)))
    assert found(folder) == [
        (THIRD, 0, "missing_segment", Severity.DAMAGE, (0, 0)),
        (THIRD, 0, "other_history", Severity.DAMAGE, (2, 3)),
    ]


def test_one_lsn_that_comes_twice_is_enough(folder: Directory) -> None:
    first = make_segment([Piece()] * 3)
    put(folder, first)
    put(folder, make_segment([Piece()], number=3, first_lsn=3, predecessor=first.predecessor()._replace(number=2, last_lsn=2)))
    assert (THIRD, 0, "other_history", Severity.DAMAGE, (3, 3)) in found(folder)


@pytest.mark.parametrize(
    ("stray", "name", "reason", "severity"),
    [
        (make_segment([Piece()], number=9, journal_id=b"another journal!"), None, "foreign", Severity.CACHE_DAMAGE),
        (make_segment([Piece()], number=9), "00000008-00000001", "misnamed", Severity.DAMAGE),
        (make_segment([Piece()], number=1, seed="other"), "00000000-00000001", "misnamed", Severity.DAMAGE),
    ],
    ids=["foreign", "misnamed newer", "misnamed older"],
)
def test_what_is_not_on_the_chain_is_named(
    folder: Directory, stray: Made, name: str | None, reason: str, severity: Severity
) -> None:
    for made in make_chain([1, 1]):
        put(folder, made)
    name = put(folder, stray, name=name)
    assert (f"journal/{name}", 0, reason, severity, (0, 0)) in found(folder)


def test_a_retired_segment_that_came_back_is_harmless(folder: Directory) -> None:
    for made in make_chain([1, 1, 1])[1:]:
        put(folder, made)
    put(folder, make_segment([Piece()], number=1, epoch=9))
    assert found(folder, floor=1) == [("journal/00000001-00000009", 0, "stale", Severity.HARMLESS, (0, 0))]


def test_a_segment_of_a_history_that_was_left_is_stale_bytes_among_the_others(folder: Directory) -> None:
    for made in make_chain([1, 1, 1]):
        put(folder, made)
    put(folder, make_segment([Piece()], number=2, epoch=2, seed="other"))
    assert found(folder) == [("journal/00000002-00000002", 0, "stale", Severity.CACHE_DAMAGE, (0, 0))]


def test_a_frame_of_a_later_format_is_raised_and_nothing_is_judged(folder: Directory) -> None:
    made = make_segment([Piece(), Piece()])
    put(folder, made, of_later_format(made.data, made.offsets[1]))
    with pytest.raises(FormatTooNew) as caught:
        check(folder)
    assert caught.value.reason == "frame_version"


# Beside a live writer.


def test_beside_a_writer_nothing_from_the_last_valid_frame_on_is_judged(folder: Directory) -> None:
    made = make_segment([Piece()] * 3)
    put(folder, made, made.data + b"half a frame")
    seen, findings = check(folder, live=True)
    assert (findings, seen.last_lsn, seen.end_lsn, seen.frame_count) == ([], 2, 3, 2)


def test_beside_a_writer_all_that_is_witnessed_may_be_there_and_is_judged_up_to_its_last_frame(folder: Directory) -> None:
    made = make_segment([Piece()] * 3)
    put(folder, made, made.data + b"half a frame")
    seen, findings = check(folder, live=True, vouched_lsn=3)
    assert (findings, seen.last_lsn, seen.frame_count) == ([], 3, 3)


def test_beside_a_writer_rot_right_behind_the_horizon_is_not_judged(folder: Directory) -> None:
    made = make_segment([Piece()] * 4)
    put(folder, made, flip(made.data, made.offsets[2] + 90))
    assert found(folder, live=True, vouched_lsn=2) == []
    assert found(folder, live=True, vouched_lsn=3) == [(FIRST, made.offsets[2], "bad_digest", Severity.DAMAGE, (3, 3))]


def test_beside_a_writer_a_segment_that_was_just_begun_has_the_horizon_before_it(folder: Directory) -> None:
    for made in make_chain([2, 0]):
        put(folder, made)
    seen, findings = check(folder, live=True)
    assert (findings, seen.last_lsn, seen.frame_count) == ([], 2, 2)


def test_beside_a_writer_all_that_is_witnessed_is_judged(folder: Directory) -> None:
    made = make_segment([Piece()] * 3)
    put(folder, made, made.data[: made.offsets[2]])
    seen, findings = check(folder, live=True, vouched_lsn=3)
    assert findings == [VerifyFinding(FIRST, made.offsets[2], "end", Severity.DAMAGE, (), 3, 3)]
    assert seen.last_lsn == 2


# With keys.


def test_with_keys_frames_that_hold_what_their_headers_say_have_no_findings(folder: Directory) -> None:
    for made in make_chain([2, 1]):
        put(folder, made)
    assert check(folder, ring=RING)[1] == []


def test_with_keys_a_header_that_says_otherwise_than_the_records_is_told_with_its_place(folder: Directory) -> None:
    made = make_segment([Piece(), CACHE, Piece(strict=True)])
    put(folder, made)
    assert check(folder, ring=RING)[1] == [
        VerifyFinding(FIRST, made.offsets[1], "header_disagrees", Severity.DAMAGE),
        VerifyFinding(FIRST, made.offsets[2], "mixed_frame", Severity.DAMAGE),
    ]


def test_with_keys_that_were_not_those_of_the_journal_the_first_frame_is_tampering(folder: Directory) -> None:
    made = make_segment([Piece(), Piece()])
    put(folder, made)
    other = KeyRing(JOURNAL_ID, {1: b"x" * 32}, 1)
    assert check(folder, ring=other)[1] == [VerifyFinding(FIRST, made.offsets[0], "seal_broken", Severity.DAMAGE)]


def test_a_generation_that_the_keys_at_hand_lack_is_not_judged(folder: Directory) -> None:
    put(folder, make_segment([Piece()]))
    (finding,) = check(folder, ring=KeyRing(JOURNAL_ID, {2: b"k" * 32}, 2))[1]
    assert (finding.file, finding.severity) == (FIRST, Severity.UNAVAILABLE)


# What the parts know by themselves.


def test_headers_give_the_classes_only_where_they_account_for_every_lsn() -> None:
    made = make_segment([Piece(), CACHE, Piece(3, class_mask=1 << PEERS.number), STRICT])
    data, offsets = made.data, made.offsets
    peers, trust = 1 << PEERS.number, 1 << TRUST.number
    assert mask_of_headers(data, made.header, offsets[1], 2, 5) == peers
    assert mask_of_headers(data, made.header, offsets[1], 2, 6) == peers | trust
    for first, last in ((2, 3), (3, 5), (2, 7)):
        assert mask_of_headers(data, made.header, offsets[1], first, last) is None, "half a frame, another LSN, too few"
    assert mask_of_headers(data, made.header, offsets[1], 2, 1) is None
    assert mask_of_headers(flip(data, offsets[2] + 4), made.header, offsets[1], 2, 5) is None


def test_a_frame_that_holds_other_records_than_its_header_says_disagrees() -> None:
    made = make_segment([Piece(2)])
    frame = read_frame(made.data, made.offsets[0], made.salt, 1)
    assert not isinstance(frame, str)
    header = frame.header
    records = [record_of(HEALTH, [1]), record_of(HEALTH, [2])]
    assert disagreement(header, records) is None
    assert disagreement(header, records[:1]) == "header_disagrees"
    assert disagreement(header, [record_of(HEALTH, [1]), record_of(PEERS, [2])]) == "header_disagrees"
    assert disagreement(header, [record_of(HEALTH, [1], rows=2)]) is None
    linked = StrictHeads().link_next(record_of(HEALTH, [1], rows=2))
    assert disagreement(header, [linked]) == "mixed_frame"


def strict_records(count: int) -> list[Record]:
    heads = StrictHeads()
    return [heads.link_next(record_of((IDENTITY, TRUST)[lsn % 2], [lsn], lsn=lsn)) for lsn in range(1, count + 1)]


def test_the_strict_chains_are_followed_from_wherever_they_begin() -> None:
    records = strict_records(8)
    for start in range(8):
        follower = StrictFollower()
        assert [follower.follow([record]) for record in records[start:]] == [None] * (8 - start)
        assert {(number, head.lsn) for number, head in follower.seen} == {
            (record.state_class, record.lsn) for record in records[start:]
        }


def test_a_missing_strict_record_breaks_its_chain_and_no_other() -> None:
    records = strict_records(8)
    follower = StrictFollower()
    assert follower.follow(records[:4]) is None
    assert follower.follow(records[5:6]) is None, "the other class"
    assert follower.follow(records[6:7]) == "broken_strict_chain"
    assert follower.follow(records[7:]) is None, "it is taken as it comes from there on"


def test_after_a_gap_that_is_known_the_chains_go_on_as_they_come() -> None:
    records = strict_records(8)
    follower = StrictFollower()
    follower.follow(records[:2])
    follower.forget()
    assert follower.follow(records[4:]) is None


def test_records_without_a_link_have_no_chain() -> None:
    follower = StrictFollower()
    assert follower.follow([record_of(PEERS, [1], lsn=1)]) is None
    assert follower.seen == set()
    assert StrictHead() == StrictHead(0, bytes(16), 0)
