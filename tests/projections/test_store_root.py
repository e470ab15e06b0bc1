"""The way into a store: no folder is no store, and a lock is waited for as long as was said, and no longer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError, NoSuchStore, StoreBusy
from rap_journal.layout import LOCK, MARKER
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import ManualClock, MemoryFileSystem
from rap_projections import History, NodeStore
from rap_projections.store_root import held_root, open_root, take_lock
from rap_projections.testing import MemoryKeyProvider
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import files, ready


def test_a_folder_that_is_not_there_is_no_store_and_can_be_made() -> None:
    filesystem = MemoryFileSystem()
    with pytest.raises(NoSuchStore) as caught:
        open_root(filesystem, "/node", create=False)
    assert (caught.value.reason, caught.value.file) == ("no_store", "/node")
    assert open_root(filesystem, "/node", create=True).names() == []


@pytest.mark.parametrize("place", ["inner", "clusters/inner", "agent/a"])
def test_no_store_is_made_inside_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Mutation: a store could be made among another one's clusters."""
    NodeStore.open(tmp_path / "store", keys=MemoryKeyProvider(), create=True, background=False).close()
    (tmp_path / "link").symlink_to(tmp_path / "store")
    monkeypatch.chdir(tmp_path / "store")
    for path in (tmp_path / "store" / place, tmp_path / "link" / place, Path(place)):
        with pytest.raises(MisuseError, match="lies inside the store in ") as caught:
            NodeStore.open(path, keys=MemoryKeyProvider(), create=True, background=False)
        assert caught.value.reason == "inside_store" and not path.exists()


@pytest.mark.parametrize(("place", "whose"), [("clusters/lab", "of cluster lab"), ("agent", "of the agent")])
def test_a_part_of_a_store_is_taken_for_no_store_and_is_not_touched(place: str, whose: str) -> None:
    """Mutation: it was said to be a damaged store, and got a file for a lock."""
    it = ready()
    it.kit.store.close()
    before = files(it.kit.filesystem)
    for opening in (NodeStore.open, History.open):
        with pytest.raises(
            NoSuchStore, match=f"is the folder {whose} in a store, and no store by itself; nothing was touched"
        ) as caught:
            opening(f"{ROOT}/{place}", keys=it.kit.keys, filesystem=it.kit.filesystem)
        assert caught.value.reason == "part_of_store"
    assert files(it.kit.filesystem) == before


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


class Down(MemoryKeyProvider):
    """A provider that is not at hand."""

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        raise KeyUnavailable("it does not answer", reason="down")


class Away(MemoryKeyProvider):
    """A provider whose key goes away when the store is half made."""

    def key_encryption_key(self) -> bytes:
        raise KeyUnavailable("it does not answer", reason="down")


@pytest.mark.parametrize("keys", [Down(), Away()], ids=["at once", "half made"])
@pytest.mark.parametrize("was_there", [False, True])
def test_a_store_that_cannot_be_made_leaves_no_folder_that_was_not_there(
    tmp_path: Path, keys: MemoryKeyProvider, was_there: bool
) -> None:
    """A TPM that was down left a folder with a lock in it."""
    root = tmp_path / "store"
    if was_there:
        root.mkdir(0o700)
    with pytest.raises(KeyUnavailable):
        NodeStore.open(root, keys=keys, create=True, background=False)
    assert [path.name for path in tmp_path.iterdir()] == ["store"] * was_there
    NodeStore.open(root, keys=MemoryKeyProvider(), create=True, background=False).close()


def fail_with_a_store(root: Path) -> None:
    with held_root(OsFileSystem(), str(root), ManualClock(), wait_s=0, create=True) as (directory, _lock):
        directory.create(MARKER).close()
        raise KeyUnavailable("it does not answer", reason="down")


def test_a_store_that_was_made_stays_though_its_opening_fails(tmp_path: Path) -> None:
    """Fails when what is new goes whatever is in it."""
    with pytest.raises(KeyUnavailable):
        fail_with_a_store(tmp_path / "s")
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [LOCK, MARKER]
    OsFileSystem().open_root(str(tmp_path / "s")).lock(LOCK, "it was let go").release()
