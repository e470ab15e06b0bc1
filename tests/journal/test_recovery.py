"""What recovery says of every kind of wound: how it is called, whom it costs what, and that it is not forgotten."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from rap_journal.checkpoints import Anchor, ClassContent
from rap_journal.errors import FailClosed, FormatTooNew
from rap_journal.format import FRAME_CHECKED_BYTES, FRAME_HEADER_BYTES
from rap_journal.frames import Frame, frame_digest
from rap_journal.inventory import take_inventory
from rap_journal.journal import write_checkpoint_set
from rap_journal.layout import WITNESS
from rap_journal.quarantine import PUT_AWAY, read_piece
from rap_journal.recovery_plan import Verdict
from rap_journal.recovery_report import ClassLoss, RecoveryReport
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.values import ClassSpec
from rap_journal.walk import Walk
from rap_journal.witness import read_witness
from tests.journal.segment_kit import flip, of_later_format
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    JOURNAL_ID,
    PATH,
    PEERS,
    SPECS,
    TRUST,
    Opened,
    closed_behind_an_empty_segment,
    create_journal,
    new_journal,
    open_journal,
    plant,
    record_of,
    segments_in,
    setup_of,
    tree,
)

Files = dict[str, bytes | None]
Script = Sequence[tuple[ClassSpec, Any]]

MIXED: Script = [(IDENTITY, "i1"), (HEALTH, "h2"), (PEERS, "p3"), (TRUST, "t4"), (HEALTH, "h5")]
"""Five frames of one record each, LSN 1 to 5."""


def journal_of(script: Script, *, close: bool = True, checkpoint_after: int | None = None) -> Files:
    """The files of a journal with one frame for each entry of `script`."""
    filesystem, opened = new_journal()
    for number, (spec, body) in enumerate(script, 1):
        opened.append(spec, [body])
        if number == checkpoint_after:
            opened.checkpoint()
    if close:
        opened.journal.close()
    return tree(filesystem)


def frames_of(files: Mapping[str, bytes | None]) -> list[tuple[str, Frame]]:
    """Every frame with the path of its segment."""
    folder = plant(files).open_root(PATH).directory("journal")
    walk = Walk(folder, take_inventory(folder, JOURNAL_ID), 0)
    return [(f"journal/{segment.file.name}", frame) for segment in walk for frame in segment.frames]


def content(files: Files, name: str) -> bytes:
    data = files[name]
    assert data is not None
    return data


def rot(files: Files, lsn: int, *, in_header: bool = False) -> Files:
    """`files` with a bit flipped in the frame that ends at `lsn`."""
    name, frame = next((name, frame) for name, frame in frames_of(files) if frame.header.last_lsn == lsn)
    return files | {name: flip(content(files, name), frame.offset + (10 if in_header else FRAME_HEADER_BYTES + 3))}


def cut_within(files: Files, lsn: int, length: int = 100) -> Files:
    """`files` with the segment ending `length` bytes into the frame that ends at `lsn`."""
    name, frame = next((name, frame) for name, frame in frames_of(files) if frame.header.last_lsn == lsn)
    return files | {name: content(files, name)[: frame.offset + length]}


def offset_of(files: Files, lsn: int) -> int:
    return next(frame.offset for _name, frame in frames_of(files) if frame.header.last_lsn == lsn)


def opened_from(files: Mapping[str, bytes | None]) -> tuple[MemoryFileSystem, Opened]:
    filesystem = plant(files)
    return filesystem, open_journal(filesystem)


def losses(report: RecoveryReport) -> set[tuple[str, int, int]]:
    """Who lost which LSNs, by name."""
    names = {spec.number: spec.name for spec in SPECS}
    return {(names[loss.state_class], loss.first_lsn, loss.last_lsn) for loss in report.losses}


def labels(report: RecoveryReport) -> list[Verdict]:
    return [finding.verdict for finding in report.findings]


# The end of the log


def test_a_torn_strict_frame_that_nobody_was_told_of_is_cut_and_costs_nothing() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    before = tree(filesystem)
    opened.append(IDENTITY, ["i2"])
    after = tree(filesystem)
    # The power went while the frame was written: the witness is the one from before.
    files = cut_within(after, 2, 100) | {WITNESS: before[WITNESS]}
    filesystem, again = opened_from(files)
    report = again.journal.report
    assert (report.verdict, report.losses, report.cautious, report.is_damage) == (Verdict.TORN_TAIL, (), (), False)
    (finding,) = report.findings
    assert (finding.file, finding.segment, finding.offset) == ("journal/00000001-00000001", 1, offset_of(after, 2))
    assert (finding.byte_count, finding.reason, finding.state_classes) == (100, "short_frame", ())
    assert again.ledger.bodies() == [["h1"]]
    assert again.append(IDENTITY, ["again"]).last_lsn == 2


@pytest.mark.parametrize(
    ("spec", "length", "expected"),
    [(HEALTH, 100, ("health",)), (PEERS, 100, ("peers",)), (HEALTH, 60, ("health", "peers")), (PEERS, 4, ("health", "peers"))],
    ids=["health", "peers", "health without header", "peers without header"],
)
def test_a_torn_last_frame_of_another_class_is_torn_or_rotten_and_makes_cautious_whom_it_may_concern(
    spec: ClassSpec, length: int, expected: tuple[str, ...]
) -> None:
    files = journal_of([(IDENTITY, "i1"), (spec, "last")], close=False)
    _filesystem, opened = opened_from(cut_within(files, 2, length))
    report = opened.journal.report
    assert (report.verdict, report.cautious, report.losses) == (Verdict.TORN_OR_ROTTEN, expected, ())
    assert opened.ledger.bodies() == [["i1"]]


def test_a_last_frame_that_the_witness_vouches_for_is_damage_and_its_lsn_is_not_given_again() -> None:
    files = journal_of(MIXED)
    _filesystem, opened = opened_from(rot(files, 5))
    report = opened.journal.report
    assert (report.verdict, report.is_damage, report.is_tampered) == (Verdict.TAIL_DAMAGED, True, False)
    assert losses(report) == {("health", 5, 5)}
    (finding,) = report.findings
    assert (finding.first_lsn, finding.last_lsn, finding.state_classes) == (5, 5, ("health",))
    assert opened.append(HEALTH, ["again"]).last_lsn == 6


def test_a_damaged_end_whose_header_is_unreadable_may_have_cost_every_class_that_is_not_strict() -> None:
    _filesystem, opened = opened_from(rot(journal_of(MIXED), 5, in_header=True))
    assert losses(opened.journal.report) == {("health", 5, 5), ("peers", 5, 5)}


def test_one_readable_header_does_not_speak_for_the_frames_behind_it() -> None:
    files = journal_of([(IDENTITY, "i1"), (PEERS, "p2"), (HEALTH, "h3")])
    name, frame = frames_of(files)[1]
    wiped = content(files, name)[: frame.offset + FRAME_HEADER_BYTES]
    _filesystem, opened = opened_from(files | {name: wiped.ljust(len(content(files, name)), b"\0")})
    assert losses(opened.journal.report) == {("health", 2, 3), ("peers", 2, 3)}


def test_a_shortened_last_segment_is_missing_records_not_a_torn_tail() -> None:
    files = journal_of(MIXED)
    name, frame = frames_of(files)[3]
    _filesystem, opened = opened_from(files | {name: content(files, name)[: frame.offset]})
    report = opened.journal.report
    assert report.verdict is Verdict.TAIL_MISSING
    assert losses(report) == {("health", 4, 5), ("peers", 4, 5), ("trust", 1, 4)}
    assert opened.ledger.bodies() == [["i1"], ["h2"], ["p3"]]
    assert opened.append(HEALTH, ["again"]).last_lsn == 6


def test_an_older_copy_of_the_last_segment_is_missing_records() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    older = tree(filesystem)
    opened.append(HEALTH, ["h2"])
    opened.journal.close()
    name = segments_in(older)[-1]
    _filesystem, again = opened_from(tree(filesystem) | {name: older[name]})
    assert again.journal.report.verdict is Verdict.TAIL_MISSING
    assert losses(again.journal.report) == {("health", 2, 2), ("peers", 2, 2)}


def test_bytes_farther_behind_the_end_than_one_frame_are_damage_even_if_nobody_vouches() -> None:
    files = journal_of([(HEALTH, "h1")])
    name = segments_in(files)[0]
    far = content(files, name) + bytes(1 << 20) + b"x"
    _filesystem, opened = opened_from(files | {name: far})
    report = opened.journal.report
    assert report.verdict is Verdict.TAIL_DAMAGED
    assert losses(report) == {("health", 2, 2), ("peers", 2, 2)}
    assert opened.append(HEALTH, ["h3"]).last_lsn == 3


# What is lost stays in sight


WOUNDS: dict[str, Callable[[], Files]] = {
    "rot in the last frame": lambda: rot(journal_of(MIXED), 5),
    "rot in the last frame's header": lambda: rot(journal_of(MIXED), 5, in_header=True),
    "rot in a cache's frame": lambda: rot(journal_of(MIXED), 3),
    "rot in a strict frame": lambda: rot(journal_of(MIXED), 1),
    "rot in a strict frame of a class with a later one": lambda: rot(journal_of([*MIXED, (TRUST, "t6")]), 4),
    "rot in the last strict frame, which is the last": lambda: rot(journal_of(MIXED[:4]), 4),
    "shortened": lambda: cut_within(journal_of(MIXED), 4, 0),
}


@pytest.mark.parametrize("wound", WOUNDS.values(), ids=WOUNDS)
def test_a_loss_keeps_its_classes_and_its_range_however_often_the_journal_is_written_and_opened(
    wound: Callable[[], Files],
) -> None:
    filesystem, opened = opened_from(wound())
    expected, state = losses(opened.journal.report), opened.ledger.bodies()
    assert expected
    for number in range(3):
        opened.append(HEALTH, ["later", number])
        opened.journal.close()
        opened = open_journal(filesystem)
        assert losses(opened.journal.report) == expected
        assert not opened.journal.report.is_tampered
        state.append(["later", number])
        assert opened.ledger.bodies() == state
    opened.append(IDENTITY, ["identity goes on"])
    opened.append(TRUST, ["trust goes on"])
    opened.journal.close()
    assert losses(open_journal(filesystem).journal.report) == expected


@pytest.mark.parametrize("wound", WOUNDS.values(), ids=WOUNDS)
def test_looking_twice_without_writing_reports_the_same_and_changes_nothing(wound: Callable[[], Files]) -> None:
    filesystem, opened = opened_from(wound())
    before = tree(filesystem)
    again = open_journal(filesystem)
    assert again.journal.report == opened.journal.report
    assert tree(filesystem) == before


def test_a_strict_class_that_lost_a_record_is_named_at_every_opening_though_only_others_write_on() -> None:
    # Were it forgotten once the witness is written again, a changed identity would not fail closed (I6).
    filesystem, opened = opened_from(rot(journal_of(MIXED), 1))
    for _opening in range(3):
        assert ("identity", 1, 1) in losses(opened.journal.report)
        opened.append(HEALTH, ["health"])
        opened.journal.close()
        opened = open_journal(filesystem)


def test_a_loss_is_over_for_a_class_once_a_checkpoint_covers_it_with_the_class_made_good() -> None:
    filesystem, opened = opened_from(rot(journal_of([*MIXED, (HEALTH, "h6")]), 3))
    assert losses(opened.journal.report) == {("peers", 3, 3)}
    opened.checkpoint()
    opened.journal.close()
    again = open_journal(filesystem)
    assert again.journal.report.losses == ()
    assert again.ledger.state == opened.ledger.state


# Gaps


@pytest.mark.parametrize(
    ("lsn", "expected"),
    [(1, {("identity", 1, 1)}), (2, {("health", 2, 2)}), (3, {("peers", 3, 3)}), (4, {("trust", 1, 4)})],
)
def test_rot_below_a_later_frame_costs_the_class_of_the_damaged_frame(lsn: int, expected: set[tuple[str, int, int]]) -> None:
    files = journal_of(MIXED)
    _filesystem, opened = opened_from(rot(files, lsn))
    report = opened.journal.report
    assert (report.verdict, labels(report), report.is_tampered) == (Verdict.CLEAN, [Verdict.GAP], False)
    assert losses(report) == expected
    assert report.findings[0].offset == offset_of(files, lsn)
    assert opened.ledger.lsns() == [n for n in range(1, 6) if n != lsn]


def test_rot_in_the_header_of_a_cache_frame_may_have_cost_any_class_that_is_not_strict_but_no_strict_one() -> None:
    _filesystem, opened = opened_from(rot(journal_of(MIXED), 3, in_header=True))
    assert losses(opened.journal.report) == {("health", 3, 3), ("peers", 3, 3)}


def test_the_next_strict_record_of_the_class_proves_the_loss_and_the_range() -> None:
    _filesystem, opened = opened_from(rot(journal_of([(TRUST, "t1"), (TRUST, "t2"), (HEALTH, "h3"), (TRUST, "t4")]), 2))
    assert losses(opened.journal.report) == {("trust", 2, 2)}
    assert [loss.reason for loss in opened.journal.report.losses] == ["broken_strict_chain"]


def test_rot_at_the_record_that_the_witness_names_is_a_gap_and_no_other_history() -> None:
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    opened.append(IDENTITY, ["i2"])
    opened.append(HEALTH, ["h3"])
    # The witness is at LSN 2, and a crash comes before it follows.
    _filesystem, again = opened_from(rot(tree(filesystem.crash()), 2))
    report = again.journal.report
    assert (report.is_tampered, labels(report)) == (False, [Verdict.GAP])
    assert losses(report) == {("identity", 2, 2)}


def test_without_the_witness_of_it_a_strict_record_in_a_gap_may_be_any_strict_class_s_and_stays_so() -> None:
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    older = tree(filesystem)[WITNESS]
    opened.append(TRUST, ["t2"])
    opened.append(HEALTH, ["h3"])
    files = rot(tree(filesystem.crash()), 2, in_header=True) | {WITNESS: older}
    filesystem, again = opened_from(files)
    expected = {("health", 2, 2), ("peers", 2, 2), ("identity", 2, 2), ("trust", 1, 2)}
    assert losses(again.journal.report) == expected
    again.append(HEALTH, ["later"])
    again.journal.close()
    again = open_journal(filesystem)
    assert losses(again.journal.report) == expected


def test_a_strict_class_with_a_later_linked_record_lost_nothing_in_a_gap_of_unknown_classes() -> None:
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    older = tree(filesystem)[WITNESS]
    opened.append(TRUST, ["t2"])
    opened.append(IDENTITY, ["i3"])
    opened.append(HEALTH, ["h4"])
    _filesystem, again = opened_from(rot(tree(filesystem.crash()), 2, in_header=True) | {WITNESS: older})
    assert losses(again.journal.report) == {("health", 2, 2), ("peers", 2, 2), ("trust", 1, 2)}


def test_swapped_frames_are_tampering() -> None:
    files = journal_of([(HEALTH, "a"), (HEALTH, "b"), (HEALTH, "c"), (HEALTH, "d")])
    name = segments_in(files)[0]
    data, places = content(files, name), [frame for _name, frame in frames_of(files)]
    pieces = [data[frame.offset : frame.end] for frame in places]
    swapped = data[: places[0].offset] + pieces[0] + pieces[2] + pieces[1] + pieces[3]
    _filesystem, opened = opened_from(files | {name: swapped})
    assert opened.journal.report.is_tampered and not opened.journal.is_writable
    assert opened.journal.report.verdict is Verdict.DIVERGED


# Segments that are missing, or too many


def big_journal(segment_count: int = 4) -> tuple[Files, list[list[int]]]:
    """A closed journal of several segments, and the LSNs in each."""
    filesystem, opened = new_journal()
    number = 0
    while len(segments_in(tree(filesystem))) < segment_count:
        number += 1
        opened.append(HEALTH, [number, hashlib.sha512(b"%d" % number).hexdigest() * 6])
    opened.journal.close()
    files = tree(filesystem)
    held: dict[str, list[int]] = {name: [] for name in segments_in(files)}
    for name, frame in frames_of(files):
        held[name].append(frame.header.last_lsn)
    return files, list(held.values())


def without(files: Files, *names: str) -> Files:
    return {name: data for name, data in files.items() if name not in names}


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_missing_segment_in_the_middle_or_at_the_beginning_is_a_gap_by_its_lsns(index: int) -> None:
    files, held = big_journal()
    _filesystem, opened = opened_from(without(files, segments_in(files)[index]))
    gone = held[index]
    assert losses(opened.journal.report) == {("health", gone[0], gone[-1]), ("peers", gone[0], gone[-1])}
    assert [finding.reason for finding in opened.journal.report.findings] == ["missing_records"]
    assert opened.ledger.lsns() == [lsn for lsns in held for lsn in lsns if lsn not in gone]


def test_a_missing_last_segment_is_missed_by_the_witness_that_its_first_frame_wrote() -> None:
    filesystem, opened = new_journal()
    number = 0
    while len(segments_in(tree(filesystem))) < 2:
        number += 1
        opened.append(HEALTH, [number, hashlib.sha512(b"%d" % number).hexdigest() * 6])
    files = tree(filesystem.kill())
    filesystem, again = opened_from(without(files, segments_in(files)[-1]))
    assert again.journal.report.verdict is Verdict.TAIL_MISSING
    assert losses(again.journal.report) == {("health", number, number), ("peers", number, number)}
    assert again.append(HEALTH, ["again"]).last_lsn == number + 1


def test_with_all_segments_gone_everything_after_the_checkpoints_is_missing_and_numbers_go_on() -> None:
    files, held = big_journal()
    last_lsn = held[-1][-1]
    filesystem, opened = opened_from(without(files, *segments_in(files)))
    assert opened.journal.report.verdict is Verdict.TAIL_MISSING
    assert losses(opened.journal.report) == {("health", 1, last_lsn), ("peers", 1, last_lsn)}
    assert opened.append(HEALTH, ["again"]).last_lsn == last_lsn + 1
    assert segments_in(tree(filesystem)) == ["journal/00000005-00000002"]
    opened.journal.close()
    assert losses(open_journal(filesystem).journal.report) == {("health", 1, last_lsn), ("peers", 1, last_lsn)}


def test_with_all_segments_gone_and_a_checkpoint_of_everything_it_is_reported_and_the_state_is_whole() -> None:
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    opened.checkpoint()
    opened.journal.close()
    files = tree(filesystem)
    filesystem, again = opened_from(without(files, *segments_in(files)))
    assert (again.journal.report.verdict, again.journal.report.losses) == (Verdict.TAIL_MISSING, ())
    assert again.ledger.state == opened.ledger.state
    assert again.append(IDENTITY, ["i2"]).last_lsn == 2
    again.journal.close()
    final = open_journal(filesystem)
    assert final.ledger.bodies() == [["i1"], ["i2"]]
    assert final.journal.report.losses == ()


def test_a_missing_segment_below_the_checkpoints_changes_no_state_and_costs_nobody() -> None:
    files = journal_of(MIXED, checkpoint_after=3)
    assert len(segments_in(files)) == 2
    _filesystem, opened = opened_from(without(files, segments_in(files)[0]))
    assert opened.journal.report.losses == ()
    assert opened.ledger.lsns() == [1, 2, 3, 4, 5]


def test_a_segment_with_a_damaged_header_at_the_end_vouches_for_records_that_nobody_can_count() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    opened.journal.seal_active()
    sealed_witness = tree(filesystem)[WITNESS]
    opened.append(HEALTH, ["h2"])
    files = tree(filesystem.kill()) | {WITNESS: sealed_witness}
    newest = segments_in(files)[-1]
    filesystem, again = opened_from(files | {newest: flip(content(files, newest), 20)})
    report = again.journal.report
    assert report.verdict is Verdict.TAIL_MISSING
    assert losses(report) == {("health", 2, 2), ("peers", 2, 2)}
    assert again.append(HEALTH, ["h3"]).last_lsn == 3
    again.journal.close()
    # It is named at every opening, and costs the same LSNs, not new ones each time.
    final = open_journal(filesystem)
    assert losses(final.journal.report) == {("health", 2, 2), ("peers", 2, 2)}
    assert final.ledger.bodies() == [["h1"], ["h3"]]


def test_a_copy_of_a_segment_under_another_name_is_reported_and_changes_nothing() -> None:
    files, held = big_journal()
    first = segments_in(files)[0]
    _filesystem, opened = opened_from(files | {"journal/00000009-00000001": files[first]})
    assert [finding.reason for finding in opened.journal.report.findings] == ["misnamed"]
    assert (opened.journal.report.verdict, opened.journal.report.losses) == (Verdict.CLEAN, ())
    assert opened.ledger.lsns() == [lsn for lsns in held for lsn in lsns]


def test_a_renamed_segment_is_missing_under_its_name_and_reported_under_the_other() -> None:
    files, held = big_journal()
    second = segments_in(files)[1]
    moved = without(files, second) | {"journal/00000009-00000001": files[second]}
    _filesystem, opened = opened_from(moved)
    assert {finding.reason for finding in opened.journal.report.findings} == {"missing_records", "misnamed"}
    assert ("health", held[1][0], held[1][-1]) in losses(opened.journal.report)


def test_segments_of_another_journal_in_the_folder_are_left_alone() -> None:
    other = MemoryFileSystem()
    create_journal(other, journal_id=b"another-journal.")
    theirs = open_journal(other)
    theirs.append(HEALTH, ["theirs"])
    theirs.journal.close()
    files = journal_of([(HEALTH, "ours")])
    foreign = content(tree(other), "journal/00000001-00000001")
    filesystem, opened = opened_from(files | {"journal/00000002-00000001": foreign})
    assert opened.journal.report.is_clean
    assert opened.ledger.bodies() == [["ours"]]
    opened.append(HEALTH, ["more"])
    opened.journal.close()
    assert open_journal(filesystem).ledger.bodies() == [["ours"], ["more"]]
    assert tree(filesystem)["journal/00000002-00000001"] == foreign


def test_a_retired_segment_that_comes_back_is_stale() -> None:
    files = journal_of(MIXED, checkpoint_after=3)
    old = segments_in(files)[0]
    filesystem, opened = opened_from(without(files, old))
    opened.append(HEALTH, ["h6"])
    opened.journal.close()
    _filesystem, again = opened_from(tree(filesystem) | {old: files[old]})
    assert again.journal.report.is_clean
    assert again.ledger.lsns() == [1, 2, 3, 4, 5, 6]


def histories() -> tuple[Files, Files]:
    """Two journals that went on from the same backup: same journal id, same names of segments, other content."""
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["common"])
    opened.journal.close()
    common = tree(filesystem)
    ends = []
    for words in ("ours", "theirs"):
        filesystem = plant(common)
        for step in range(2):
            opened = open_journal(filesystem, setup=setup_of(randomness=SeededRandomness(f"{words}{step}")))
            opened.append(HEALTH, [words, step])
            opened.append(IDENTITY, [words, step])
            opened.journal.close()
        ends.append(tree(filesystem))
    return ends[0], ends[1]


@pytest.mark.parametrize("index", [1, 2])
def test_a_segment_from_another_history_of_the_same_journal_is_never_folded_in(index: int) -> None:
    ours, theirs = histories()
    name = segments_in(ours)[index]
    assert segments_in(ours) == segments_in(theirs) and ours[name] != theirs[name]
    _filesystem, opened = opened_from(ours | {name: theirs[name]})
    report = opened.journal.report
    assert report.is_tampered or report.losses
    assert report.is_tampered or not any(body[0] == "theirs" for body in opened.ledger.bodies())


def test_all_segments_of_another_history_diverge_from_the_witness() -> None:
    ours, theirs = histories()
    mixed = ours | {name: theirs[name] for name in segments_in(ours)}
    filesystem, opened = opened_from(mixed)
    report = opened.journal.report
    assert (report.verdict, report.is_tampered) == (Verdict.DIVERGED, True)
    assert not opened.journal.is_writable
    before = tree(filesystem)
    with pytest.raises(FailClosed):
        opened.append(HEALTH, ["no"])
    opened.journal.close()
    assert tree(filesystem) == before, "nothing was changed"


# Checkpoints


def test_a_checkpoint_set_that_was_written_in_part_costs_nobody_anything() -> None:
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    opened.checkpoint()
    opened.append(IDENTITY, ["i2"])
    opened.append(TRUST, ["t3"])
    opened.append(HEALTH, ["h4"])
    opened.append(IDENTITY, ["i5"])
    opened.checkpoint()
    opened.append(IDENTITY, ["i6"])
    opened.append(TRUST, ["t7"])
    opened.journal.close()
    files = tree(filesystem)
    newest = {spec: f"{spec.name}/checkpoint-{5:016d}" for spec in SPECS}
    for kept in (IDENTITY, TRUST, HEALTH, PEERS):
        _filesystem, again = opened_from(without(files, *(name for spec, name in newest.items() if spec != kept)))
        assert again.journal.report.is_clean
        assert again.journal.report.checkpoint_lsn == 1
        assert again.ledger.state == opened.ledger.state


def test_a_damaged_checkpoint_means_an_older_one_and_a_longer_replay() -> None:
    files = journal_of(MIXED, checkpoint_after=3)
    name = f"identity/checkpoint-{3:016d}"
    _filesystem, opened = opened_from(files | {name: flip(content(files, name), 150)})
    report = opened.journal.report
    assert [(finding.file, finding.reason, finding.state_classes) for finding in report.findings] == [
        (name, "bad_digest", ("identity",))
    ]
    assert (report.losses, report.checkpoint_lsn) == ((), 0)
    assert opened.ledger.lsns() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("damaged", [False, True])
def test_a_class_without_any_usable_checkpoint_is_folded_from_the_first_record_on(spec: ClassSpec, damaged: bool) -> None:
    files, name = journal_of(MIXED), f"{spec.name}/checkpoint-{0:016d}"
    whole = opened_from(files)[1].ledger.state
    filesystem, opened = opened_from(files | {name: b""} if damaged else without(files, name))
    report = opened.journal.report
    assert (report.losses, report.from_start, report.is_tampered) == ((), (spec.number,), False)
    (finding,) = report.findings
    assert (finding.file, finding.reason) == ((name, "too_short") if damaged else (spec.name, "no_checkpoint"))
    assert finding.done == "it was folded again from the first record on."
    assert opened.ledger.state == whole
    assert name not in tree(filesystem)
    assert [bad.file for bad in opened.journal.bad_checkpoints] == [finding.file]


def test_a_damaged_checkpoint_goes_to_quarantine() -> None:
    files = journal_of(MIXED, checkpoint_after=3)
    name = f"health/checkpoint-{3:016d}"
    rotten = flip(content(files, name), 150)
    filesystem, opened = opened_from(files | {name: rotten})
    (finding,) = opened.journal.report.findings
    assert (finding.byte_count, finding.quarantine_sha256) == (len(rotten), hashlib.sha256(rotten).digest())
    assert finding.action == "put_away"
    quarantine = filesystem.open_root(PATH).directory("quarantine")
    (piece,) = [read_piece(quarantine, each) for each in quarantine.names() if each.startswith("0000")]
    assert (piece.data, piece.label, piece.offset) == (rotten, PUT_AWAY, HEALTH.number)
    opened.journal.close()
    assert opened_from(tree(filesystem))[1].journal.report.is_clean


def test_a_class_without_any_usable_checkpoint_is_lost_where_the_first_records_are_gone() -> None:
    files = without(journal_of(MIXED, checkpoint_after=3), f"journal/{1:08d}-{1:08d}")
    lost = [f"peers/checkpoint-{lsn:016d}" for lsn in (0, 3)]
    _filesystem, opened = opened_from(without(files, *lost))
    report = opened.journal.report
    assert (report.losses, report.from_start) == ((ClassLoss(PEERS.number, 0, 0, "no_checkpoint"),), ())
    assert not report.is_clean and report.is_damage
    assert opened.ledger.restored[PEERS.number] is None


def test_a_missing_folder_of_a_strict_class_is_made_again_and_costs_nothing_while_all_records_are_there() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, ["t1"])
    opened.journal.close()
    files = {name: data for name, data in tree(filesystem).items() if not name.startswith("trust")}
    filesystem, again = opened_from(files)
    assert (again.journal.report.losses, again.journal.report.from_start) == ((), (TRUST.number,))
    findings = [(finding.file, finding.reason) for finding in again.journal.report.findings]
    assert findings == [("trust", "missing_folder"), (f"trust/keys-{1:08d}", "damaged_copy")]
    assert again.ledger.state == opened.ledger.state
    assert again.checkpoint() == 1
    again.journal.close()
    assert opened_from(tree(filesystem))[1].journal.report.is_clean


def test_a_checkpoint_newer_than_journal_and_witness_vouches_for_what_is_missing() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    opened.journal.close()
    older = tree(filesystem)
    opened = open_journal(filesystem)
    opened.append(HEALTH, ["h2"])
    opened.append(HEALTH, ["h3"])
    opened.checkpoint()
    opened.journal.close()
    newer = tree(filesystem)
    # A backup of the journal folder and the witness was put back; the class folders are as they were.
    restored = {name: data for name, data in newer.items() if not name.startswith("journal/")}
    restored |= {name: data for name, data in older.items() if name.startswith("journal/") or name == WITNESS}
    filesystem, again = opened_from(restored)
    assert again.journal.report.verdict is Verdict.TAIL_MISSING
    assert again.ledger.state == opened.ledger.state
    # Whoever gave LSN 2 again would lose the record at the next opening, behind the checkpoint.
    assert again.append(HEALTH, ["h4"]).last_lsn == 4
    again.journal.close()
    assert open_journal(filesystem).ledger.bodies() == [["h1"], ["h2"], ["h3"], ["h4"]]


def test_a_checkpoint_of_another_history_at_the_same_lsn_diverges() -> None:
    sets = []
    for words in ("ours", "theirs"):
        filesystem, opened = new_journal()
        opened.append(HEALTH, [words])
        opened.append(HEALTH, ["same length"])
        opened.checkpoint()
        opened.append(HEALTH, ["after"])
        opened.journal.close()
        sets.append(tree(filesystem))
    ours, theirs = sets
    mixed = ours | {f"{spec.name}/checkpoint-{2:016d}": theirs[f"{spec.name}/checkpoint-{2:016d}"] for spec in SPECS}
    _filesystem, opened = opened_from(mixed)
    report = opened.journal.report
    assert (report.verdict, report.is_tampered) == (Verdict.DIVERGED, True)


def test_damage_below_an_intact_checkpoint_is_reported_where_it_is_seen_and_costs_nobody_anything() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    opened.append(HEALTH, ["h2"])
    opened.append(HEALTH, ["h3"])
    lsn = opened.journal.durable_lsn
    opened.checkpoint()
    opened.journal.close()
    files = rot(tree(filesystem), 2)
    _filesystem, again = opened_from(files)
    assert (lsn, again.journal.report.losses) == (3, ())
    assert again.ledger.state == opened.ledger.state


def test_a_gap_costs_only_the_classes_whose_checkpoint_does_not_cover_it() -> None:
    filesystem, opened = new_journal()
    for name in ("h1", "h2", "h3"):
        opened.append(HEALTH, [name])
    opened.checkpoint()
    opened.journal.close()
    files = tree(filesystem)
    name = f"health/checkpoint-{3:016d}"
    damaged = rot(files, 2, in_header=True) | {name: flip(content(files, name), 150)}
    _filesystem, again = opened_from(damaged)
    assert losses(again.journal.report) == {("health", 2, 2)}


# The witness


def witness_with_bad_slots(files: Files, *slots: int) -> Files:
    data = content(files, WITNESS)
    for slot in slots:
        data = flip(data, slot * 4096 + 60)
    return files | {WITNESS: data}


@pytest.mark.parametrize("slot", [0, 1])
def test_with_one_bad_slot_the_other_one_serves_and_the_state_is_whole(slot: int) -> None:
    files = journal_of(MIXED)
    filesystem, opened = opened_from(witness_with_bad_slots(files, slot))
    assert opened.ledger.lsns() == [1, 2, 3, 4, 5]
    assert opened.journal.report.losses == ()
    opened.append(HEALTH, ["more"])
    opened.journal.close()
    assert open_journal(filesystem).journal.report.is_clean


def test_an_older_witness_that_was_restored_hides_no_record_and_is_written_on_from() -> None:
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    older = tree(filesystem)[WITNESS]
    opened.append(IDENTITY, ["i2"])
    opened.append(TRUST, ["t3"])
    opened.journal.close()
    filesystem, again = opened_from(tree(filesystem) | {WITNESS: older})
    assert again.journal.report.is_clean
    assert again.ledger.bodies() == [["i1"], ["i2"], ["t3"]]
    again.append(TRUST, ["t4"])
    again.journal.close()
    assert open_journal(filesystem).journal.report.is_clean


def test_a_witness_that_was_written_behind_an_empty_segment_agrees_with_the_journal() -> None:
    assert open_journal(closed_behind_an_empty_segment()).journal.report.is_clean


def test_at_the_border_of_two_segments_witness_and_checkpoint_may_name_either_digest() -> None:
    filesystem = closed_behind_an_empty_segment()
    opened = open_journal(filesystem)
    frame = frames_of(tree(filesystem))[-1][1]
    slot = read_witness(opened.journal.folders.root).newest
    assert slot is not None and slot.point.lsn == frame.header.last_lsn and slot.point.digest != frame.digest
    heads = opened._heads()
    contents = {spec.number: ClassContent(heads[spec.number], 0, opened.ledger.state[spec.number]) for spec in SPECS}
    write_checkpoint_set(opened.journal, Anchor(2, frame.header.epoch, frame.digest), contents)
    assert open_journal(filesystem).journal.report.is_clean


# Tampering


def forge_frame(files: Files, lsn: int) -> Files:
    """`files` with one stored byte of a frame changed and all digests behind it made right again, as whoever has no key can."""
    name, target = next((name, frame) for name, frame in frames_of(files) if frame.header.last_lsn == lsn)
    data = bytearray(content(files, name))
    salt = bytes(data[152:184])
    data[target.offset + FRAME_HEADER_BYTES] ^= 1
    predecessor = target.header.predecessor
    for _name, frame in frames_of(files):
        if frame.offset < target.offset:
            continue
        head = bytes(data[frame.offset : frame.offset + 56]) + predecessor
        head += hashlib.blake2b(head[:FRAME_CHECKED_BYTES], key=salt, digest_size=8).digest()
        start, end = frame.offset + FRAME_HEADER_BYTES, frame.offset + FRAME_HEADER_BYTES + frame.header.stored_bytes
        predecessor = frame_digest(head, bytes(data[start:end]))
        data[frame.offset : start] = head
        data[frame.end - 16 : frame.end] = predecessor
    return files | {name: bytes(data)}


def test_a_frame_with_the_right_digest_and_the_wrong_seal_is_tampering_and_fails_closed() -> None:
    filesystem, opened = new_journal()
    for spec, body in MIXED:
        opened.append(spec, [body])
    filesystem, again = opened_from(forge_frame(tree(filesystem.kill()), 5))
    report = again.journal.report
    assert (report.is_tampered, report.verdict) == (True, Verdict.DIVERGED)
    assert [finding.reason for finding in report.findings] == ["seal_broken"]
    assert again.ledger.lsns() == [1, 2, 3, 4]
    assert not again.journal.is_writable and again.journal.witnessed_lsn == 0
    with pytest.raises(FailClosed) as caught:
        again.append(HEALTH, ["no"])
    assert (caught.value.reason, caught.value.cluster) == ("tampered", "eu-1")


@pytest.mark.parametrize("lsn", [1, 5])
def test_a_frame_of_a_later_format_stops_recovery_before_anything_is_changed(lsn: int) -> None:
    files = journal_of(MIXED, close=False)
    name, frame = next((name, frame) for name, frame in frames_of(files) if frame.header.last_lsn == lsn)
    files = files | {name: of_later_format(content(files, name), frame.offset)}
    filesystem = plant(files)
    with pytest.raises(FormatTooNew) as caught:
        open_journal(filesystem)
    assert (caught.value.reason, caught.value.exit_code) == ("frame_version", 9)
    assert tree(filesystem) == files


def test_a_forged_frame_below_the_witness_is_noticed_by_seal_and_by_witness() -> None:
    filesystem, opened = opened_from(forge_frame(journal_of(MIXED), 2))
    reasons = [finding.reason for finding in opened.journal.report.findings]
    assert opened.journal.report.is_tampered
    assert "seal_broken" in reasons
    before = tree(filesystem)
    opened.journal.close()
    assert tree(filesystem) == before


# Times


def test_node_time_goes_on_from_the_newest_record_also_when_older_ones_ride_behind_it() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["newer"], node_us=9_000_000)
    opened.ledger.riding.append(record_of(PEERS, ["older"], node_us=5_000_000))
    opened.append(HEALTH, ["newest"], node_us=9_500_000)
    opened.journal.close()
    assert open_journal(filesystem).journal.node_us == 9_500_000


# The report


def test_a_finding_says_in_one_line_what_where_and_what_was_done() -> None:
    files = journal_of(MIXED)
    _filesystem, opened = opened_from(rot(files, 3))
    offset = offset_of(files, 3)
    (finding,) = opened.journal.report.findings
    assert finding.sentence() == (
        f"gap in journal segment 1 at byte {offset} ({finding.byte_count} bytes, LSN 3 to 3; bad_digest): "
        "history goes on behind it. Run `rap-state verify` and check the disk."
    )


def test_what_was_cut_is_kept_exactly_under_the_name_of_its_place() -> None:
    files = journal_of([(IDENTITY, "i1"), (HEALTH, "h2")], close=False)
    torn = cut_within(files, 2, 100)
    filesystem, _opened = opened_from(torn)
    with filesystem.open_root(PATH).directory("quarantine") as folder:
        (name,) = folder.names()
        piece = read_piece(folder, name)
    start = offset_of(files, 2)
    segment = content(torn, segments_in(torn)[0])
    assert (piece.segment, piece.epoch, piece.offset, piece.after_lsn, piece.label) == (1, 1, start, 1, Verdict.TORN_OR_ROTTEN)
    assert piece.data == segment[start:].rstrip(b"\0")
