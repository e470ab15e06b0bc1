"""Changing the marker of an open journal: what is durable before what, and what a failure leaves. More on levels is in
`test_format_levels`, on generations in `test_key_generations`."""

import errno

import pytest

from rap_journal.errors import NoSpace, OutcomeUnknown, Poisoned
from rap_journal.format_levels import FormatLevels
from rap_journal.layout import MARKER, keys_name
from rap_journal.markers import read_marker
from rap_journal.testing import MemoryFileSystem
from tests.journal.workbench import PATH, TRUST, Opened, create_journal, open_journal, setup_of, tree

KNOWS_TWO = setup_of(levels=FormatLevels(known=2, made=1))
CHANGES = ["level", "key"]


def opened() -> tuple[MemoryFileSystem, Opened]:
    """A journal with one record, open."""
    filesystem = MemoryFileSystem()
    create_journal(filesystem, setup=KNOWS_TWO)
    journal = open_journal(filesystem, setup=KNOWS_TWO)
    journal.append(TRUST, "before")
    filesystem.operations.clear()
    return filesystem, journal


def change(journal: Opened, what: str) -> None:
    if what == "level":
        journal.journal.raise_level(2)
    else:
        journal.journal.rotate_data_key()


def marked(filesystem: MemoryFileSystem) -> tuple[int, int, int]:
    """Level, generation and serial that the marker names."""
    marker = read_marker(filesystem.open_root(PATH)).marker
    return marker.format_level, marker.key_generation, marker.serial


def places(filesystem: MemoryFileSystem, name: str, part: str) -> list[int]:
    """Where in the order of operations something of this sort happened."""
    return [
        index
        for index, operation in enumerate(filesystem.operations)
        if operation.name == name and part in f"{operation.path} {operation.new_path or ''}"
    ]


@pytest.mark.parametrize(("what", "expected"), [("level", (2, 1, 2)), ("key", (1, 2, 2))])
def test_a_change_is_one_marker_further_and_durable_on_return(what: str, expected: tuple[int, int, int]) -> None:
    filesystem, journal = opened()
    assert marked(filesystem) == (1, 1, 1)
    change(journal, what)
    assert marked(filesystem) == marked(filesystem.image()) == expected


@pytest.mark.parametrize("what", CHANGES)
def test_the_marker_is_durable_before_anything_is_written_that_it_stands_for(what: str) -> None:
    filesystem, journal = opened()
    change(journal, what)
    journal.append(TRUST, "after")
    (renamed,) = places(filesystem, "rename", MARKER)
    (synced,) = [index for index, operation in enumerate(filesystem.operations) if operation[1:3] == ("sync_directory", "")]
    segments = [index for index in places(filesystem, "rename", "journal/") if index > renamed]
    assert renamed < synced < segments[0], "what is sealed anew goes into a new segment"
    assert not [index for index in places(filesystem, "write", "journal/00000001") if index > renamed]


def test_both_key_files_are_durable_before_the_marker_names_their_generation() -> None:
    filesystem, journal = opened()
    change(journal, "key")
    (marker,) = places(filesystem, "rename", MARKER)
    for folder in KNOWS_TWO.key_folders:
        (file,) = places(filesystem, "rename", f"{folder}/{keys_name(2)}")
        assert file < next(index for index in places(filesystem, "sync_directory", folder) if index > file) < marker


def test_the_number_of_a_generation_that_a_crash_left_without_a_marker_is_not_used() -> None:
    filesystem, journal = opened()
    root = filesystem.open_root(PATH)
    with root.directory("trust") as folder:
        folder.create(keys_name(7)).close()
    assert journal.journal.rotate_data_key() == 8
    assert marked(filesystem)[1] == 8


def test_at_the_level_that_is_written_nothing_happens() -> None:
    filesystem, journal = opened()
    journal.journal.raise_level(1)
    assert (marked(filesystem), filesystem.operations) == ((1, 1, 1), [])


@pytest.mark.parametrize("what", CHANGES)
def test_without_space_for_the_marker_the_old_one_stands_and_the_journal_goes_on(what: str) -> None:
    filesystem, journal = opened()
    filesystem.fail("create", f"tmp/*{MARKER}*", errno.ENOSPC)
    with pytest.raises(NoSpace):
        change(journal, what)
    assert marked(filesystem) == (1, 1, 1)
    journal.append(TRUST, "goes on")
    change(journal, what)
    assert marked(filesystem)[2] == 2


@pytest.mark.parametrize("what", CHANGES)
def test_after_any_other_failure_nobody_knows_which_marker_stands_and_the_writer_is_poisoned(what: str) -> None:
    filesystem, journal = opened()
    filesystem.fail("sync_directory", "", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        change(journal, what)
    with pytest.raises(Poisoned):
        journal.append(TRUST, "never")
    survivor = filesystem.crash()
    assert marked(survivor) in ((1, 1, 1), (2, 1, 2), (1, 2, 2))
    assert open_journal(survivor, setup=KNOWS_TWO).ledger.bodies() == ["before"]


def test_a_key_file_that_cannot_be_made_changes_nothing() -> None:
    filesystem, journal = opened()
    before = tree(filesystem)[MARKER]
    filesystem.fail("create", f"*{keys_name(2)}*", errno.EIO)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
        journal.journal.rotate_data_key()
    assert (caught.value.errno, tree(filesystem)[MARKER]) == (errno.EIO, before)
    journal.append(TRUST, "goes on")
