"""The folders of a journal: made together, opened together, and what is done about those that are missing."""

import errno

import pytest

from rap_journal.folders import JournalFolders
from rap_journal.testing import MemoryFileSystem
from rap_journal.testing.memory_handles import MemoryDirectory
from rap_journal.values import ClassSpec
from tests.journal.workbench import SPECS

NAMES = ["health", "identity", "journal", "peers", "quarantine", "tmp", "trust"]


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> MemoryDirectory:
    root = filesystem.open_root("/store", create=True)
    JournalFolders.create(root, SPECS)
    root.sync()
    return filesystem.open_root("/store")


def remove(root: MemoryDirectory, name: str) -> None:
    root.remove_directory(name)
    root.sync()


def test_all_folders_are_made(root: MemoryDirectory) -> None:
    assert root.names() == NAMES


def test_opening_gives_every_folder_and_misses_none(root: MemoryDirectory) -> None:
    folders = JournalFolders.open(root, SPECS, may_repair=False)
    assert (folders.journal.name, folders.quarantine.name, folders.temporary.name) == ("journal", "quarantine", "tmp")
    assert {number: folder.name for number, folder in folders.classes.items()} == {spec.number: spec.name for spec in SPECS}
    assert folders.missing == ()


def test_a_whole_set_of_folders_is_opened_without_changing_anything(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    filesystem.operations.clear()
    JournalFolders.open(root, SPECS, may_repair=True)
    assert filesystem.operations == []


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_missing_folder_of_a_class_is_made_again_durably_and_reported(
    filesystem: MemoryFileSystem, root: MemoryDirectory, spec: ClassSpec
) -> None:
    remove(root, spec.name)
    folders = JournalFolders.open(root, SPECS, may_repair=True)
    assert folders.missing == (spec.name,)
    assert set(folders.classes) == {each.number for each in SPECS}
    assert filesystem.crash().open_root("/store").names() == NAMES


@pytest.mark.parametrize("name", ["quarantine", "tmp"])
def test_missing_folders_that_hold_nothing_irreplaceable_are_made_again(root: MemoryDirectory, name: str) -> None:
    remove(root, name)
    folders = JournalFolders.open(root, SPECS, may_repair=True)
    assert folders.missing == () and root.names() == NAMES


def test_a_missing_folder_of_segments_is_never_taken_for_a_fresh_start(root: MemoryDirectory) -> None:
    remove(root, "journal")
    with pytest.raises(FileNotFoundError):
        JournalFolders.open(root, SPECS, may_repair=True)
    assert "journal" not in root.names()


def test_whoever_may_not_repair_changes_nothing(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    remove(root, "peers")
    filesystem.operations.clear()
    folders = JournalFolders.open(root, SPECS, may_repair=False)
    assert folders.missing == ("peers",) and filesystem.operations == []


def test_temporary_files_are_wiped_and_folders_of_others_left(root: MemoryDirectory) -> None:
    folders = JournalFolders.open(root, SPECS, may_repair=True)
    folders.temporary.create("peers-checkpoint-1").close()
    folders.temporary.create("x").close()
    folders.temporary.create_directory("not-ours").close()
    folders.wipe_temporary()
    assert folders.temporary.names() == ["not-ours"]


def test_closing_closes_every_folder(root: MemoryDirectory) -> None:
    folders = JournalFolders.open(root, SPECS, may_repair=False)
    folders.close()
    for folder in (folders.journal, folders.quarantine, folders.temporary, *folders.classes.values(), folders.root):
        with pytest.raises(OSError, match="closed") as caught:
            folder.names()
        assert caught.value.errno == errno.EBADF
