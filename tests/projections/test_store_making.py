"""Making a store: whole or not at all, in a folder that holds nothing else, and never opened where a folder is not this user's alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError, NoSpace, UnsafeFile
from rap_journal.filesystem import Directory
from rap_journal.layout import AGENT, CLUSTERS, LOCK, MARKER, TEMPORARY
from rap_journal.markers import MarkerKind, ProviderKind, read_marker
from rap_journal.testing import ManualClock, MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_projections import NodeStore
from rap_projections.store_making import make_store
from rap_projections.testing import MemoryKeyProvider
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import files, store_in


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> Directory:
    return filesystem.open_root(ROOT, create=True)


def test_a_store_is_made_of_its_folders_and_a_marker_that_comes_last(filesystem: MemoryFileSystem, root: Directory) -> None:
    folders = store_in(root)
    assert root.names() == [MARKER, AGENT, CLUSTERS, TEMPORARY]
    marker = read_marker(root).marker
    assert (marker.kind, marker.provider, marker.store_id) == (MarkerKind.STORE, ProviderKind.MEMORY, marker.journal_id)
    agent = read_marker(root.directory(AGENT)).marker
    assert (agent.kind, agent.store_id, agent.cluster) == (MarkerKind.AGENT, folders.store_id, "")
    named = [operation.new_path for operation in filesystem.operations if operation.name == "rename"]
    assert named[-1] == MARKER
    survivor = filesystem.crash().open_root(ROOT)
    assert survivor.names() == [MARKER, AGENT, CLUSTERS, TEMPORARY]


def test_the_folders_names_are_durable_before_the_marker_is_written(filesystem: MemoryFileSystem, root: Directory) -> None:
    store_in(root)
    marked = [index for index, operation in enumerate(filesystem.operations) if operation.new_path == MARKER][-1]
    made = [index for index, operation in enumerate(filesystem.operations) if operation.name == "create_directory"]
    named = [index for index, operation in enumerate(filesystem.operations) if operation[1:3] == ("sync_directory", "")]
    assert any(max(index for index in made if index < marked) < sync < marked for sync in named)


def test_the_key_is_provided_for_before_anything_is_sealed(root: Directory) -> None:
    class Lazy(MemoryKeyProvider):
        provided = False

        def provision(self, randomness: Callable[[int], bytes]) -> None:
            self.provided = True

        def key_encryption_key(self) -> bytes:
            assert self.provided
            return super().key_encryption_key()

    keys = Lazy()
    make_store(root, keys, ManualClock(), SeededRandomness(0))
    assert keys.provided


def test_half_a_store_is_made_again_from_the_start(filesystem: MemoryFileSystem) -> None:
    whole = MemoryFileSystem()
    store_in(whole.open_root(ROOT, create=True))
    for count in range(1, len(whole.operations), 3):
        disk = MemoryFileSystem()
        disk.crash_after(count)
        with pytest.raises(SimulatedCrash):
            store_in(disk.open_root(ROOT, create=True))
        again = disk.kill().open_root(ROOT, create=True)
        if again.status(MARKER) is None:
            store_in(again)
        assert again.names() == [MARKER, AGENT, CLUSTERS, TEMPORARY]


def test_a_folder_with_anything_else_in_it_is_left_alone(filesystem: MemoryFileSystem, root: Directory) -> None:
    root.create("notes.txt").close()
    root.lock(LOCK, "pid 1").release()
    with pytest.raises(MisuseError, match=r"notes\.txt") as caught:
        store_in(root)
    assert (caught.value.reason, list(files(filesystem))) == ("not_empty", [LOCK, "notes.txt"])


def test_a_full_disk_makes_no_store(filesystem: MemoryFileSystem, root: Directory) -> None:
    filesystem.capacity_bytes = 8 * 4096
    with pytest.raises(NoSpace):
        store_in(root)
    assert root.status(MARKER) is None


def make_link(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


def open_to_others(folder: Path) -> None:
    folder.chmod(0o755)


def give_away(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    os.chown(folder, 65534, -1)


@pytest.mark.parametrize("name", [AGENT, CLUSTERS, TEMPORARY])
@pytest.mark.parametrize(("change", "reason"), [(make_link, "kind"), (open_to_others, "mode"), (give_away, "owner")])
def test_a_folder_below_the_root_that_is_not_this_user_s_alone_is_refused_at_opening(
    tmp_path: Path, name: str, change: Callable[[Path], None], reason: str
) -> None:
    """The one for temporary files was taken whatever it was, as long as nothing was written through it."""
    NodeStore.open(tmp_path / "store", keys=MemoryKeyProvider(), create=True, background=False).close()
    change(tmp_path / "store" / name)
    with pytest.raises(UnsafeFile) as caught:
        NodeStore.open(tmp_path / "store", keys=MemoryKeyProvider(), background=False)
    assert (caught.value.reason, caught.value.file) == (reason, name)
