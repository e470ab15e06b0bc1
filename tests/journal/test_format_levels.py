"""Format levels: what is written goes by the marker, and what is not known stops whoever meets it."""

import errno
from collections.abc import Callable
from functools import partial

import pytest

from rap_journal.errors import FormatTooNew, NoSpace, OutcomeUnknown
from rap_journal.filesystem import FileSystem
from rap_journal.format_levels import LEVELS, FormatLevels
from rap_journal.inventory import take_inventory
from rap_journal.markers import read_marker, sealed_marker, write_marker
from rap_journal.reader import JournalReader
from rap_journal.recovery_plan import Verdict
from rap_journal.testing import EverythingSurvives, MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.verify import JournalShape, verify_journal
from rap_journal.verify_report import Severity
from tests.journal.workbench import (
    HEALTH,
    JOURNAL_ID,
    PATH,
    SPECS,
    TRUST,
    FixedProvider,
    Opened,
    create_journal,
    new_journal,
    open_journal,
    plant,
    setup_of,
    tree,
)

NEXT_RELEASE = FormatLevels(known=2, made=1)


def open_later(filesystem: FileSystem, seed: int = 2) -> Opened:
    """The journal, opened by a release that knows level 2."""
    return open_journal(filesystem, setup=setup_of(randomness=SeededRandomness(seed), levels=NEXT_RELEASE))


def segment_levels(filesystem: FileSystem) -> list[int]:
    with filesystem.open_root(PATH) as root, root.directory("journal") as folder:
        return [file.header.format_level for file in take_inventory(folder, JOURNAL_ID).chain]


def marker_level(filesystem: FileSystem) -> int:
    with filesystem.open_root(PATH) as root:
        return read_marker(root).marker.format_level


def put_back_level(filesystem: FileSystem, level: int) -> None:
    """Let the marker name `level`, as an older one that is put back does."""
    opened = open_later(filesystem)
    marker, ring = opened.journal.keys
    opened.journal.close()
    with filesystem.open_root(PATH) as root, root.directory("tmp") as temporary:
        write_marker(root, temporary, sealed_marker(marker._replace(format_level=level), ring))


def at_level_2() -> MemoryFileSystem:
    """A journal with a record of either level, closed."""
    filesystem, opened = new_journal()
    opened.append(TRUST, "before")
    opened.journal.close()
    upgraded = open_later(filesystem)
    upgraded.journal.raise_level(2)
    upgraded.append(TRUST, "after")
    upgraded.journal.close()
    assert isinstance(filesystem, MemoryFileSystem)
    return filesystem


def test_this_release_makes_stores_at_a_level_that_it_knows() -> None:
    assert 1 <= LEVELS.made <= LEVELS.known


def test_a_new_journal_is_at_its_markers_level_whatever_the_release_knows() -> None:
    filesystem = MemoryFileSystem()
    create_journal(filesystem, setup=setup_of(levels=NEXT_RELEASE))
    opened = open_later(filesystem)
    opened.append(TRUST, "x")
    assert (opened.journal.format_level, segment_levels(filesystem)) == (1, [1])


def test_raising_the_level_is_durable_and_what_follows_goes_into_a_new_segment() -> None:
    filesystem, opened = new_journal(setup=setup_of(levels=NEXT_RELEASE))
    opened.append(TRUST, "before")
    serial = opened.journal.keys.marker.serial
    opened.journal.raise_level(2)
    marker = opened.journal.keys.marker
    assert (marker.format_level, marker.serial) == (2, serial + 1)
    opened.append(TRUST, "after")
    assert segment_levels(filesystem) == [1, 2]
    again = open_later(filesystem.crash())
    assert again.ledger.bodies() == ["before", "after"]
    assert (again.journal.format_level, again.journal.report.is_damage) == (2, False)


def test_raising_to_the_level_that_is_written_does_nothing() -> None:
    filesystem, opened = new_journal(setup=setup_of(levels=NEXT_RELEASE))
    opened.append(TRUST, "x")
    opened.journal.raise_level(2)
    before = tree(filesystem)
    opened.journal.raise_level(2)
    opened.journal.raise_level(1)
    assert tree(filesystem) == before
    assert opened.journal.format_level == 2


def test_after_every_crash_the_level_is_the_old_one_or_the_new_one_and_nothing_is_lost() -> None:
    filesystem, opened = new_journal(setup=setup_of(levels=NEXT_RELEASE))
    opened.append(TRUST, "before")
    files = tree(filesystem.crash(EverythingSurvives()))
    levels = []
    for survived in range(1000):
        machine = plant(files)
        finished = False
        try:
            it = open_later(machine, seed=3)
            machine.crash_after(survived)
            it.journal.raise_level(2)
            it.append(HEALTH, "after")
            finished = True
        except SimulatedCrash:
            pass
        left = machine.crash()
        again = open_later(left, seed=4)
        assert again.ledger.bodies() in (["before"], ["before", "after"])
        assert not again.journal.report.is_damage
        levels.append(again.journal.format_level)
        again.append(HEALTH, "later")
        again.journal.close()
        assert segment_levels(left)[-1] == levels[-1]
        if finished:
            break
    assert levels == [1] * levels.count(1) + [2] * levels.count(2)
    assert levels.count(1) > 3 and levels.count(2) > 3


def test_without_space_the_level_stays_and_raising_it_can_be_repeated() -> None:
    filesystem, opened = new_journal(setup=setup_of(levels=NEXT_RELEASE))
    opened.append(TRUST, "x")
    filesystem.fail("create", "tmp/*", errno.ENOSPC)
    with pytest.raises(NoSpace):
        opened.journal.raise_level(2)
    assert (opened.journal.format_level, marker_level(filesystem)) == (1, 1)
    filesystem.heal()
    opened.append(TRUST, "y")
    opened.journal.raise_level(2)
    assert marker_level(filesystem) == 2


def test_a_marker_whose_rename_cannot_be_synced_poisons() -> None:
    filesystem, opened = new_journal(setup=setup_of(levels=NEXT_RELEASE))
    opened.append(TRUST, "x")
    filesystem.fail("sync_directory", "*", errno.ENOSPC)
    with pytest.raises(OutcomeUnknown):
        opened.journal.raise_level(2)
    filesystem.heal()
    assert opened.journal.is_poisoned
    assert open_later(filesystem).ledger.bodies() == ["x"]


OPENINGS: dict[str, Callable[[FileSystem], object]] = {
    "writer": open_journal,
    "reader": lambda filesystem: JournalReader.open(filesystem.open_root(PATH), setup_of(), live=False),
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_release_that_does_not_know_the_level_stops_and_changes_nothing(opening: str) -> None:
    filesystem = at_level_2()
    before = tree(filesystem)
    with pytest.raises(FormatTooNew, match="level 2, and this release knows levels up to 1") as caught:
        OPENINGS[opening](filesystem)
    assert (caught.value.reason, caught.value.file) == ("format_level", "/MARKER")
    assert tree(filesystem) == before


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_segment_of_a_level_that_is_not_known_stops_too(opening: str) -> None:
    filesystem = at_level_2()
    put_back_level(filesystem, 1)
    before = tree(filesystem)
    with pytest.raises(FormatTooNew) as caught:
        OPENINGS[opening](filesystem)
    assert (caught.value.reason, caught.value.file) == ("format_level", "journal/00000002-00000002")
    assert tree(filesystem) == before


def test_a_marker_that_is_behind_the_segments_is_written_again_and_reported() -> None:
    filesystem = at_level_2()
    put_back_level(filesystem, 1)
    opened = open_later(filesystem, seed=5)
    (finding,) = opened.journal.report.findings
    assert (finding.verdict, finding.file, finding.reason) == (Verdict.GAP, "MARKER", "marker_behind")
    assert opened.journal.report.is_damage
    assert (opened.journal.format_level, marker_level(filesystem)) == (2, 2)
    opened.append(TRUST, "more")
    assert segment_levels(filesystem)[-1] == 2
    assert open_later(filesystem.crash(), seed=6).journal.report.is_clean


def test_without_space_a_marker_behind_is_mended_by_a_later_opening() -> None:
    filesystem = at_level_2()
    put_back_level(filesystem, 1)
    filesystem.fail("create", "tmp/*", errno.ENOSPC)
    opened = open_later(filesystem, seed=5)
    assert (opened.journal.format_level, marker_level(filesystem)) == (2, 1)
    opened.journal.folders.close()
    filesystem.heal()
    open_later(filesystem, seed=6)
    assert marker_level(filesystem) == 2


def verified(filesystem: FileSystem, levels: FormatLevels) -> list[tuple[str, str, Severity]]:
    shape = JournalShape(SPECS, ("identity", "trust"), levels)
    verify = partial(verify_journal, filesystem.open_root(PATH), shape, live=False)
    found = verify(keys=FixedProvider())
    assert [finding.reason for finding in verify().findings] == [finding.reason for finding in found.findings]
    return [(finding.file, finding.reason, finding.severity) for finding in found.findings]


def test_verification_names_a_level_that_is_not_known_and_a_marker_that_is_behind() -> None:
    filesystem = at_level_2()
    assert verified(filesystem, NEXT_RELEASE) == []
    later_format = [
        ("MARKER", "format_level", Severity.UNKNOWN_FORMAT),
        ("journal/00000002-00000002", "format_level", Severity.UNKNOWN_FORMAT),
    ]
    assert verified(filesystem, LEVELS) == later_format
    put_back_level(filesystem, 1)
    assert verified(filesystem, NEXT_RELEASE) == [("MARKER", "marker_behind", Severity.DAMAGE)]
