"""Changing the marker of an open journal: what is durable before what, and what a failure leaves. More on levels is in
`test_format_levels`, on generations in `test_key_generations`."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from rap_journal.errors import KeyUnavailable, NoSpace, OutcomeUnknown, Poisoned
from rap_journal.format_levels import FormatLevels
from rap_journal.key_files import read_key_file
from rap_journal.layout import MARKER, keys_name
from rap_journal.markers import read_marker
from rap_journal.reader import JournalReader
from rap_journal.sealed_store import load_document, store_document
from rap_journal.testing import EverythingSurvives, MemoryFileSystem, SeededRandomness, SimulatedCrash
from tests.journal.rotation_kit import FOLDERS, both, key_files, opened_again, rotated, segment_generations, verified
from tests.journal.workbench import (
    HEALTH,
    JOURNAL_ID,
    PATH,
    PEERS,
    TRUST,
    FixedProvider,
    Opened,
    create_journal,
    new_journal,
    open_journal,
    plain,
    plant,
    setup_of,
    tree,
)

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


# Rotations of the data key.


def test_a_rotation_makes_a_key_file_in_both_folders_and_names_it_in_the_marker() -> None:
    filesystem, opened = rotated()
    marker = opened.journal.keys.marker
    assert (marker.key_generation, marker.serial) == (2, 2)
    assert key_files(filesystem) == both(1, 2)
    with filesystem.open_root(PATH) as root:
        files = []
        for name in FOLDERS:
            with root.directory(name) as folder:
                files.append(read_key_file(folder, keys_name(2)))
        assert files[0] == files[1]
        assert files[0].key_check == marker.key_check == read_marker(root).marker.key_check
    assert segment_generations(filesystem) == [1, 2]


def test_what_was_sealed_before_a_rotation_stays_readable() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    journal = opened.journal
    arguments: dict[str, Any] = {"journal_id": JOURNAL_ID, "keys": journal.keys.ring}
    old = store_document(journal.folders, PEERS, b"old", randomness=SeededRandomness("d"), **arguments)
    journal.rotate_data_key()
    new = store_document(journal.folders, PEERS, b"new", randomness=SeededRandomness("e"), **arguments)
    opened.append(TRUST, "second")
    opened.checkpoint()
    opened.append(HEALTH, "third")
    journal.close()
    assert verified(filesystem) == []
    again = opened_again(filesystem.crash())
    assert again.ledger.bodies() == ["first", "second", "third"]
    assert again.journal.report.is_clean
    ring = again.journal.keys.ring
    assert (ring.generations, ring.current) == (frozenset({1, 2}), 2)
    for file_id, content in ((old, b"old"), (new, b"new")):
        assert load_document(again.journal.folders, PEERS, file_id, journal_id=JOURNAL_ID, keys=ring) == content


def test_rotations_follow_on_each_other() -> None:
    filesystem, opened = rotated()
    assert opened.journal.rotate_data_key() == 3
    opened.append(TRUST, "third")
    opened.journal.close()
    again = opened_again(filesystem)
    assert again.ledger.bodies() == ["first", "second", "third"]
    assert segment_generations(filesystem) == [1, 2, 3]


def test_a_reader_beside_the_writer_reads_on_over_a_rotation() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    with JournalReader.open(filesystem.open_root(PATH), setup_of(), live=True) as reader:
        opened.journal.rotate_data_key()
        opened.append(TRUST, "second")
        reader.refresh(live=True)
        assert [plain(record.body) for _frame, records in reader.records() for record in records] == ["first", "second"]


def test_a_provider_that_does_not_answer_stops_a_rotation_and_nothing_else() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    before = tree(filesystem)
    provider = opened.journal.setup.provider
    assert isinstance(provider, FixedProvider)
    provider.failure = KeyUnavailable("later", reason="x")
    with pytest.raises(KeyUnavailable):
        opened.journal.rotate_data_key()
    provider.failure = None
    assert tree(filesystem) == before
    opened.append(TRUST, "second")
    assert opened.journal.rotate_data_key() == 2


@pytest.mark.parametrize("succeeding", [0, 1, 2])
def test_without_space_a_rotation_leaves_the_old_key_in_use_and_can_be_repeated(succeeding: int) -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    filesystem.fail("create", "tmp/*", errno.ENOSPC, after=succeeding)
    with pytest.raises(NoSpace):
        opened.journal.rotate_data_key()
    filesystem.heal()
    assert (opened.journal.keys.marker.key_generation, opened.journal.keys.ring.current) == (1, 1)
    opened.append(TRUST, "second")
    # A number that a file may bear is not used again.
    generation = opened.journal.rotate_data_key()
    opened.append(TRUST, "third")
    opened.journal.close()
    again = opened_again(filesystem)
    assert again.ledger.bodies() == ["first", "second", "third"]
    assert key_files(filesystem) == both(1, generation)


def test_a_failed_sync_of_the_markers_folder_poisons() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    filesystem.fail("rename", "tmp/*MARKER", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.journal.rotate_data_key()
    filesystem.heal()
    again = opened_again(filesystem)
    assert (again.ledger.bodies(), again.journal.keys.marker.key_generation) == (["first"], 1)
    assert key_files(filesystem) == both(1)


SURVIVORS: dict[str, Callable[[MemoryFileSystem], MemoryFileSystem]] = {
    "nothing unsynced": lambda filesystem: filesystem.crash(),
    "everything": lambda filesystem: filesystem.crash(EverythingSurvives()),
    "the page cache": lambda filesystem: filesystem.kill(),
}


@pytest.mark.parametrize("survivor", SURVIVORS)
def test_after_a_crash_at_any_operation_of_a_rotation_everything_reads_and_no_orphan_is_left(survivor: str) -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    files = tree(filesystem.crash(EverythingSurvives()))
    generations = []
    for survived in range(1000):
        machine = plant(files)
        finished = False
        try:
            it = opened_again(machine, "rotating")
            machine.crash_after(survived)
            it.journal.rotate_data_key()
            it.append(HEALTH, "second")
            finished = True
        except SimulatedCrash:
            pass
        left = SURVIVORS[survivor](machine)
        again = opened_again(left, "recovering")
        assert again.ledger.bodies() in (["first"], ["first", "second"])
        assert not again.journal.report.is_damage
        generation = again.journal.keys.marker.key_generation
        assert key_files(left) == both(*range(1, generation + 1))
        again.append(HEALTH, "third")
        again.journal.close()
        assert verified(left) == []
        assert segment_generations(left)[-1] == generation
        assert opened_again(left, "last").ledger.bodies()[-1] == "third"
        generations.append(generation)
        if finished:
            break
    assert generations == sorted(generations)
    assert generations.count(1) > 10 and generations.count(2) > 3


def test_an_opening_that_crashes_while_it_drops_an_orphan_is_as_good_as_none() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    filesystem.fail("create", "tmp/*MARKER", errno.ENOSPC)
    with pytest.raises(NoSpace):
        opened.journal.rotate_data_key()
    files = tree(filesystem.crash(EverythingSurvives()))
    assert [name for name in files if "keys-00000002" in name]
    for survived in range(50):
        machine = plant(files)
        machine.crash_after(survived)
        try:
            opened_again(machine)
            break
        except SimulatedCrash:
            left = machine.crash()
            again = opened_again(left)
            assert (again.ledger.bodies(), again.journal.report.is_damage) == (["first"], False)
            assert key_files(left) == both(1)
    else:
        pytest.fail("the opening never came to its end")
