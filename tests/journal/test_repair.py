"""Making the folder fit to go on: quarantine before the cut, the cut before truncation, and nothing lost for want of space."""

import errno

import pytest

from rap_journal.errors import NoSpace
from rap_journal.filesystem import read_whole
from rap_journal.layout import MARKER, WITNESS
from rap_journal.quarantine import read_piece
from rap_journal.recovery_plan import Verdict
from rap_journal.segments import decode_segment_header
from rap_journal.testing import MemoryFileSystem, SimulatedCrash
from tests.journal.segment_kit import flip
from tests.journal.test_recovery import Files, content, cut_within, journal_of, offset_of, opened_from, rot, without
from tests.journal.workbench import HEALTH, IDENTITY, PATH, PEERS, new_journal, open_journal, plant, segments_in, setup_of, tree


@pytest.fixture
def torn() -> Files:
    """A journal whose second frame was torn after 100 bytes, with zeros behind as in a prepared segment."""
    files = cut_within(journal_of([(IDENTITY, "i1"), (HEALTH, "h2")], close=False), 2, 100)
    name = segments_in(files)[0]
    return files | {name: content(files, name).ljust(4096, b"\0")}


def torn_bytes(files: Files) -> bytes:
    data = content(files, segments_in(files)[0])
    return data[: len(data.rstrip(b"\0"))][-100:]


def quarantined(filesystem: MemoryFileSystem) -> list[bytes]:
    """The bytes of every piece in quarantine."""
    with filesystem.open_root(PATH).directory("quarantine") as folder:
        return [read_piece(folder, name).data for name in folder.names()]


def first_segment(filesystem: MemoryFileSystem) -> bytes:
    return read_whole(filesystem.open_root(PATH).directory("journal"), "00000001-00000001", 1 << 20)


def test_the_order_is_quarantine_then_the_header_that_makes_the_cut_then_truncation(torn: Files) -> None:
    filesystem, opened = opened_from(torn)
    opened.append(HEALTH, ["on"])
    names = [(operation.name, operation.path, operation.new_path) for operation in filesystem.operations]
    kept = next(
        index for index, (name, _path, new) in enumerate(names) if name == "rename" and new and new.startswith("quarantine/")
    )
    named = names.index(("rename", "journal/next", "journal/00000002-00000002"))
    truncated = names.index(("truncate", "journal/00000001-00000001", None))
    written = names.index(("write", "journal/00000002-00000002", None))
    assert kept < names.index(("sync_directory", "quarantine", None)) < named
    assert named < names.index(("sync_directory", "journal", None), named) < truncated < written
    assert names[truncated + 1] == ("sync", "journal/00000001-00000001", None)


def test_the_header_of_the_next_segment_says_where_it_was_cut_what_and_why(torn: Files) -> None:
    filesystem, opened = opened_from(torn)
    opened.append(HEALTH, ["on"])
    header = decode_segment_header(content(tree(filesystem), "journal/00000002-00000002"), "")
    assert header.predecessor.valid_bytes == offset_of(journal_of([(IDENTITY, "i1"), (HEALTH, "h2")], close=False), 2)
    assert (header.cut.cut_bytes, header.cut.label, header.cut.class_mask) == (100, Verdict.TORN_OR_ROTTEN, 1 << HEALTH.number)
    assert len(first_segment(filesystem)) == header.predecessor.valid_bytes
    assert quarantined(filesystem) == [torn_bytes(torn)]


def test_the_header_behind_a_lost_strict_record_still_names_its_lsn() -> None:
    files = rot(journal_of([(HEALTH, "h1"), (IDENTITY, "i2")]), 2)
    filesystem, opened = opened_from(files)
    opened.append(HEALTH, ["on"])
    header = decode_segment_header(content(tree(filesystem), "journal/00000002-00000002"), "")
    assert (header.first_lsn, header.last_strict_lsn) == (3, 2)


def test_without_a_record_nothing_is_cut_and_every_opening_finds_the_same(torn: Files) -> None:
    filesystem, opened = opened_from(torn)
    before = tree(filesystem)
    for _opening in range(2):
        again = open_journal(filesystem)
        assert again.journal.report == opened.journal.report
        assert tree(filesystem) == before
    assert segments_in(before) == ["journal/00000001-00000001"]


def test_truncation_that_a_crash_prevented_is_made_up_for_at_the_next_opening(torn: Files) -> None:
    filesystem, opened = opened_from(torn)
    filesystem.fail("truncate", "*/00000001-00000001", errno.EIO)
    with pytest.raises(Exception, match="unknown"):
        opened.append(HEALTH, ["on"])
    assert len(first_segment(filesystem)) == 4096
    left = filesystem.crash()
    again = open_journal(left)
    assert len(first_segment(left)) < 4096
    assert again.ledger.bodies() == [["i1"]]
    assert quarantined(left) == [torn_bytes(torn)]


def test_without_space_quarantine_waits_in_place_until_there_is_some(torn: Files) -> None:
    filesystem = plant(torn | {"journal/spare": bytes(4096)})
    filesystem.capacity_bytes = filesystem.used_bytes
    opened = open_journal(filesystem)
    (finding,) = opened.journal.report.findings
    assert (finding.done, finding.advice) == (
        "it is cut; its bytes wait in place until there is space for quarantine.",
        "Free space.",
    )
    assert quarantined(filesystem) == []
    # The cut is made all the same, with the spare; the bytes stay where they are, and nobody judges them any more.
    opened.append(HEALTH, ["on a full disk"])
    with pytest.raises(NoSpace):
        opened.append(PEERS, ["never"])
    opened.journal.close()
    assert first_segment(filesystem).rstrip(b"\0").endswith(torn_bytes(torn))
    again = open_journal(filesystem)
    assert again.ledger.bodies() == [["i1"], ["on a full disk"]]
    assert quarantined(filesystem) == []
    again.journal.close()
    filesystem.capacity_bytes = None
    final = open_journal(filesystem)
    assert quarantined(filesystem) == [torn_bytes(torn)]
    assert len(first_segment(filesystem)) < 4096
    assert final.ledger.bodies() == [["i1"], ["on a full disk"]]


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename"])
def test_a_failing_disk_while_quarantining_is_a_storage_error_and_cuts_nothing(torn: Files, operation: str) -> None:
    filesystem = plant(torn)
    filesystem.fail(operation, "tmp/*", errno.EIO)
    with pytest.raises(OSError, match="planned"):
        open_journal(filesystem)
    assert first_segment(filesystem) == content(torn, "journal/00000001-00000001")
    assert open_journal(filesystem).ledger.bodies() == [["i1"]]


def test_the_quarantine_is_bounded_by_the_setup(torn: Files) -> None:
    filesystem = plant(torn)
    for number in range(4):
        opened = open_journal(filesystem, setup=setup_of(quarantine_bytes_max=600))
        opened.append(HEALTH, [number, "x" * 50])
        opened.append(HEALTH, ["torn"])
        files = cut_within(tree(filesystem.kill()), opened.journal.durable_lsn, 100)
        filesystem = plant(files)
    open_journal(filesystem, setup=setup_of(quarantine_bytes_max=600))
    assert len(quarantined(filesystem)) == 2


# The last frame


def test_the_last_frame_is_written_again_unless_the_witness_vouches_for_it() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    opened.append(HEALTH, ["h2"])
    left = filesystem.kill()
    left.operations.clear()
    again = open_journal(left)
    assert again.journal.report.rewrote_last_frame
    assert [operation.name for operation in left.operations] == ["write", "sync"]
    again.journal.close()
    left.operations.clear()
    assert not open_journal(left).journal.report.rewrote_last_frame
    assert left.operations == []


def test_a_frame_that_only_the_page_cache_held_is_durable_after_recovery() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, ["h1"])
    filesystem.crash_after(1)
    with pytest.raises(SimulatedCrash):
        opened.append(HEALTH, ["h2"])
    left = filesystem.kill()
    assert open_journal(left).ledger.bodies() == [["h1"], ["h2"]]
    assert open_journal(left.crash()).ledger.bodies() == [["h1"], ["h2"]]


# A recovery that was killed before it could tell


@pytest.mark.parametrize("openings", [1, 2, 3])
def test_a_recovery_killed_between_its_cut_and_its_first_record_is_reported_by_the_next_one(torn: Files, openings: int) -> None:
    filesystem, opened = opened_from(torn)
    expected = opened.journal.report
    for _opening in range(openings):
        filesystem.fail("write", "*/000000*-000000*", errno.EIO)
        with pytest.raises(Exception, match="unknown"):
            open_journal(filesystem).append(HEALTH, ["never"])
        filesystem = filesystem.crash()
    assert len(segments_in(tree(filesystem))) == 1 + openings
    again = open_journal(filesystem)
    report = again.journal.report
    assert (report.verdict, report.cautious, report.losses) == (expected.verdict, expected.cautious, expected.losses)
    assert [finding.reason for finding in report.findings] == ["unfinished_cut"]
    (finding,), (before,) = report.findings, expected.findings
    assert (finding.segment, finding.offset, finding.byte_count) == (before.segment, before.offset, before.byte_count)
    again.append(HEALTH, ["told"])
    again.journal.close()
    assert open_journal(filesystem).journal.report.is_clean


def test_a_crash_while_giving_lsns_up_gives_up_the_same_ones_again() -> None:
    files = journal_of([(HEALTH, "h1"), (PEERS, "p2")])
    name = segments_in(files)[0]
    filesystem, opened = opened_from(files | {name: flip(content(files, name), offset_of(files, 2) + 90)})
    expected = opened.journal.report
    filesystem.fail("write", "*/000000*-000000*", errno.EIO)
    with pytest.raises(Exception, match="unknown"):
        opened.append(HEALTH, ["never"])
    filesystem = filesystem.crash()
    again = open_journal(filesystem)
    assert again.journal.report.verdict is expected.verdict is Verdict.TAIL_DAMAGED
    assert [(loss.state_class, loss.first_lsn, loss.last_lsn) for loss in again.journal.report.losses] == [(PEERS.number, 2, 2)]
    assert again.append(HEALTH, ["h3"]).last_lsn == 3


# What is kept twice


@pytest.mark.parametrize("block", [0, 512])
def test_a_damaged_copy_of_the_marker_is_written_again_from_the_other(block: int) -> None:
    files = journal_of([(IDENTITY, "i1")])
    filesystem, opened = opened_from(files | {MARKER: flip(content(files, MARKER), block + 20)})
    (finding,) = opened.journal.report.findings
    assert (finding.file, finding.reason) == (MARKER, "damaged_copy")
    assert tree(filesystem)[MARKER] == files[MARKER]
    assert open_journal(filesystem).journal.report.is_clean


@pytest.mark.parametrize("folder", ["identity", "trust"])
@pytest.mark.parametrize("way", ["damaged", "missing"])
def test_a_damaged_or_missing_copy_of_the_key_file_is_written_again_from_the_other(folder: str, way: str) -> None:
    files = journal_of([(IDENTITY, "i1")])
    name = f"{folder}/keys-00000001"
    wounded = without(files, name) if way == "missing" else files | {name: flip(content(files, name), 100)}
    filesystem, opened = opened_from(wounded)
    (finding,) = opened.journal.report.findings
    assert (finding.file, finding.reason) == (name, "damaged_copy")
    assert tree(filesystem)[name] == files[name]
    assert opened.ledger.bodies() == [["i1"]]


def test_without_space_the_copy_waits_and_the_journal_opens() -> None:
    files = journal_of([(IDENTITY, "i1")])
    name = "trust/keys-00000001"
    filesystem = plant(files | {name: flip(content(files, name), 100)})
    filesystem.capacity_bytes = filesystem.used_bytes
    opened = open_journal(filesystem)
    assert [finding.file for finding in opened.journal.report.findings] == [name]
    filesystem.capacity_bytes = None
    open_journal(filesystem)
    assert tree(filesystem)[name] == files[name]


def test_the_witness_needs_no_repair_since_the_next_write_goes_into_the_bad_slot() -> None:
    files = journal_of([(IDENTITY, "i1")])
    filesystem, opened = opened_from(files | {WITNESS: flip(content(files, WITNESS), 60)})
    assert [finding.reason for finding in opened.journal.report.findings] == ["bad_slot"]
    assert opened.journal.report.witness_doubtful
    opened.append(IDENTITY, ["i2"])
    assert content(tree(filesystem), WITNESS)[:4096] != content(files, WITNESS)[:4096]
