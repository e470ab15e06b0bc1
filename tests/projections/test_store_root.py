"""The way into a store: no folder is no store, and a lock is waited for as long as was said, and no longer."""

from pathlib import Path

import pytest

from rap_journal.errors import NoSuchStore, StoreBusy
from rap_journal.layout import LOCK
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import ManualClock, MemoryFileSystem
from rap_projections.store_root import open_root, take_lock


def test_a_folder_that_is_not_there_is_no_store_and_can_be_made() -> None:
    filesystem = MemoryFileSystem()
    with pytest.raises(NoSuchStore) as caught:
        open_root(filesystem, "/node", create=False)
    assert (caught.value.reason, caught.value.file) == ("no_store", "/node")
    assert open_root(filesystem, "/node", create=True).names() == []


def test_the_lock_names_its_holder_and_a_second_writer_is_refused() -> None:
    filesystem, clock = MemoryFileSystem(), ManualClock()
    root = open_root(filesystem, "/node", create=True)
    lock = take_lock(root, clock, 0)
    holder = root.lock_holder(LOCK)
    assert holder is not None and clock.boot_id().hex() in holder
    with pytest.raises(StoreBusy) as caught:
        take_lock(filesystem.open_root("/node"), clock, 0)
    assert caught.value.holder == holder
    lock.release()
    take_lock(filesystem.open_root("/node"), clock, 0).release()


def test_a_folder_whose_parent_is_not_there_is_said_to_lack_it(tmp_path: Path) -> None:
    with pytest.raises(NoSuchStore, match="is to be made in is not there") as caught:
        open_root(OsFileSystem(), str(tmp_path / "absent" / "store"), create=True)
    assert caught.value.reason == "no_parent"
