"""Frames can be read without the key: LSNs, classes and sizes, and where records are missing."""

from itertools import pairwise
from pathlib import Path

from rap_journal.format import SEGMENT_HEADER_BYTES
from rap_tools.exit_codes import ExitCode
from rap_tools.frame_reading import FrameLine, FrameReader
from rap_tools.opening import StoreReading
from tests.tools.command import Disk, last_lsn, lsn_of, make_store


def reader(disk: Disk) -> FrameReader:
    return StoreReading.open(str(disk.root), None).frames("lab")


def flip(disk: Disk, line: FrameLine) -> None:
    """Change one byte in the payload of a frame."""
    path = disk.root / "clusters" / "lab" / "journal" / line.segment
    data = bytearray(path.read_bytes())
    data[line.offset + line.byte_count - 40] ^= 1
    path.write_bytes(data)


def frame_of(disk: Disk, lsn: int) -> FrameLine:
    return next(iter(reader(disk).frames(lsn - 1)))


def test_frames_follow_on_each_other_without_a_hole(lab: Disk) -> None:
    lines = list(reader(lab).frames())
    assert [lines[0].first_lsn, lines[-1].last_lsn] == [1, last_lsn(lab)]
    assert all(before.last_lsn + 1 == after.first_lsn for before, after in pairwise(lines))
    assert lines[0].offset == SEGMENT_HEADER_BYTES
    strict = next(line for line in lines if line.first_lsn <= lsn_of(lab, "BundleActivated") <= line.last_lsn)
    assert (strict.is_strict, strict.state_classes) == (True, ("trust",))


def test_frames_start_where_they_are_asked_to(lab: Disk) -> None:
    lsn = lsn_of(lab, "DegradedEntered")
    line = next(reader(lab).frames(lsn - 1))
    assert line.first_lsn <= lsn <= line.last_lsn
    assert (line.state_classes, line.is_strict) == (("health",), False)


def test_a_sound_journal_misses_nothing(lab: Disk) -> None:
    found = reader(lab)
    assert found.missing(0) == ()
    assert found.first_lsn() == 1
    assert found.checkpoints() == (0, lsn_of(lab, "CheckpointWritten") - 1)
    assert found.stored_bytes() == sum(
        path.stat().st_size for path in (lab.root / "clusters" / "lab" / "journal").iterdir() if path.name != "spare"
    )


def test_a_damaged_frame_of_a_cache_is_missing_and_costs_a_cache_only(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    line = frame_of(disk, lsn_of(disk, "PeersObserved"))
    flip(disk, line)
    (gap,) = reader(disk).missing(0)
    assert (gap.first_lsn, gap.last_lsn, gap.state_classes) == (line.first_lsn, line.last_lsn, ("peers",))
    assert gap.exit_code is ExitCode.CACHE_DAMAGE
    assert reader(disk).missing(line.last_lsn) == ()


def test_a_damaged_strict_frame_may_have_cost_anything(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    lsn = lsn_of(disk, "BundleActivated")
    flip(disk, frame_of(disk, lsn))
    (gap,) = reader(disk).missing(0)
    assert gap.first_lsn <= lsn <= gap.last_lsn
    assert gap.exit_code is ExitCode.FAIL_CLOSED
