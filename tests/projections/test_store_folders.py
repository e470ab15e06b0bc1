"""The folders of a store: made whole or not at all, told apart by what is in them, and removed so that nothing half gone counts."""

import errno

import pytest

from rap_journal.errors import DamageError, NoSpace
from rap_journal.filesystem import Directory
from rap_journal.layout import AGENT, AGENT_DAMAGED, CLUSTERS, MARKER, TEMPORARY
from rap_journal.markers import MarkerKind, read_marker
from rap_journal.testing import ManualClock, MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_projections.store_folders import StoreFolders, agent_setup, cluster_setup
from rap_projections.testing import MemoryKeyProvider
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import POLICY, store_in


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> Directory:
    return filesystem.open_root(ROOT, create=True)


@pytest.fixture
def folders(root: Directory) -> StoreFolders:
    return store_in(root)


def nothing(_folder: str) -> None:
    pass


def clusters(folders: StoreFolders) -> list[str]:
    """Every name under ``clusters/``, those of no cluster too."""
    with folders.root.directory(CLUSTERS) as directory:
        return directory.names()


def test_the_level_of_a_store_only_rises_and_is_durable_on_return(filesystem: MemoryFileSystem, folders: StoreFolders) -> None:
    made = folders.level()
    before = read_marker(folders.root).marker
    for level in (made, made - 1):
        folders.raise_level(level)
        assert read_marker(folders.root).marker == before
    folders.raise_level(made + 1)
    assert folders.level() == made + 1
    survivor = read_marker(filesystem.crash().open_root(ROOT)).marker
    assert survivor == before._replace(format_level=made + 1, serial=before.serial + 1)


# Telling folders apart.


def test_only_names_that_are_cluster_ids_may_hold_a_cluster(folders: StoreFolders) -> None:
    with folders.root.directory(CLUSTERS) as directory:
        for name in ("eu-1", ".join-eu-2", "EU-3", "eu_4", "a" * 64):
            directory.create_directory(name).close()
    assert folders.names() == ["eu-1"]


def test_a_folder_is_its_own_if_kind_name_and_store_are_right(folders: StoreFolders, filesystem: MemoryFileSystem) -> None:
    folders.build_cluster("eu-1", nothing)
    folders.check_own("eu-1")
    other = store_in(filesystem.open_root("/other", create=True), seed=1)
    other.build_cluster("eu-3", nothing)
    with folders.root.directory(CLUSTERS) as here, other.root.directory(CLUSTERS) as there:
        here.rename("eu-1", "eu-2")
        there.rename("eu-3", "eu-3", here)
    with folders.root.directory(CLUSTERS) as here:
        folders.root.rename(AGENT, "eu-4", here)
    for name in ("eu-2", "eu-3", "eu-4"):
        with pytest.raises(DamageError) as caught:
            folders.check_own(name)
        assert (caught.value.reason, caught.value.cluster) == ("foreign", name)


def test_a_folder_that_cannot_be_read_is_known_to_hold_no_journal(folders: StoreFolders, filesystem: MemoryFileSystem) -> None:
    folders.build_cluster("eu-1", nothing)
    journal_id = folders.marker("eu-1").journal_id
    assert folders.is_journal("eu-1", journal_id)
    assert not folders.is_journal("eu-1", b"another journal!")
    assert not folders.is_journal("eu-9", journal_id)
    filesystem.fail("read", "*MARKER", errno.EIO)
    assert not folders.is_journal("eu-1", journal_id)


# Building and removing clusters.


def test_a_cluster_is_built_beside_its_place_and_then_renamed(folders: StoreFolders, filesystem: MemoryFileSystem) -> None:
    seen: list[list[str]] = []
    folders.build_cluster("eu-1", lambda folder: seen.append([folder, *clusters(folders)]))
    assert seen == [[".join-eu-1", ".join-eu-1"]]
    assert clusters(folders) == ["eu-1"]
    survivor = filesystem.crash().open_root(ROOT).directory(CLUSTERS)
    assert survivor.names() == ["eu-1"]
    marker = read_marker(survivor.directory("eu-1")).marker
    assert (marker.kind, marker.cluster, marker.store_id) == (MarkerKind.CLUSTER, "eu-1", folders.store_id)


@pytest.mark.parametrize("error", [NoSpace("full", reason="no_space"), OSError(errno.EIO, "broken"), DamageError("rot")])
def test_a_cluster_that_cannot_be_finished_leaves_nothing(folders: StoreFolders, error: Exception) -> None:
    def fail(_folder: str) -> None:
        raise error

    with pytest.raises(type(error)):
        folders.build_cluster("eu-1", fail)
    assert clusters(folders) == []
    folders.build_cluster("eu-1", nothing)
    assert clusters(folders) == ["eu-1"]


def test_what_a_crash_left_of_a_join_is_removed_before_the_next_one(folders: StoreFolders) -> None:
    with folders.root.directory(CLUSTERS) as directory, directory.create_directory(".join-eu-1") as half:
        half.create("MARKER").close()
    folders.build_cluster("eu-1", nothing)
    assert clusters(folders) == ["eu-1"]


def test_a_cluster_that_goes_takes_another_name_first(folders: StoreFolders, filesystem: MemoryFileSystem) -> None:
    folders.build_cluster("eu-1", nothing)
    folders.build_cluster("eu-2", nothing)
    filesystem.operations.clear()
    folders.remove_cluster("eu-1")
    first = filesystem.operations[0]
    assert (first.name, first.path, first.new_path) == ("rename", "clusters/eu-1", "clusters/.join-eu-1")
    assert [operation.name for operation in filesystem.operations[:2]] == ["rename", "sync_directory"]
    assert clusters(folders) == ["eu-2"]
    folders.remove_cluster("eu-1")
    assert clusters(folders) == ["eu-2"]


def test_a_cluster_can_go_where_half_of_an_earlier_one_is_still_going(folders: StoreFolders) -> None:
    folders.build_cluster("eu-1", nothing)
    with folders.root.directory(CLUSTERS) as directory, directory.create_directory(".join-eu-1") as half:
        half.create("MARKER").close()
    folders.remove_cluster("eu-1")
    assert clusters(folders) == []


def test_leftovers_are_those_of_joins_and_leaves_and_nothing_else(folders: StoreFolders) -> None:
    folders.build_cluster("eu-1", nothing)
    with folders.root.directory(CLUSTERS) as directory:
        for name in (".join-eu-2", ".join-", "EU-3"):
            directory.create_directory(name).close()
        directory.create("notes.txt").close()
    folders.remove_leftovers()
    assert clusters(folders) == ["EU-3", "eu-1", "notes.txt"]


# The agent's folder.


def test_a_damaged_journal_of_the_agent_is_put_aside_and_the_last_one_kept(folders: StoreFolders) -> None:
    first = read_marker(folders.root.directory(AGENT)).marker.journal_id
    folders.begin_agent_anew()
    second = read_marker(folders.root.directory(AGENT)).marker.journal_id
    assert read_marker(folders.root.directory(AGENT_DAMAGED)).marker.journal_id == first != second
    folders.begin_agent_anew()
    assert read_marker(folders.root.directory(AGENT_DAMAGED)).marker.journal_id == second
    assert folders.root.names() == sorted([MARKER, AGENT, AGENT_DAMAGED, CLUSTERS, TEMPORARY])


def test_an_agents_folder_that_is_gone_is_made_anew(folders: StoreFolders) -> None:
    folders.root.rename(AGENT, AGENT_DAMAGED)
    folders.begin_agent_anew()
    assert read_marker(folders.root.directory(AGENT)).marker.kind is MarkerKind.AGENT


def test_beginning_the_agent_anew_may_be_killed_anywhere_and_run_again() -> None:
    count, finished = 0, False
    while not finished:
        disk = MemoryFileSystem()
        store_in(disk.open_root(ROOT, create=True))
        disk.crash_after(count)
        try:
            store_at(disk).begin_agent_anew()
            finished = True
        except SimulatedCrash:
            pass
        again = store_at(disk.crash())
        if again.root.status(AGENT) is None:
            again.begin_agent_anew()
        assert read_marker(again.root.directory(AGENT)).marker.kind is MarkerKind.AGENT
        again.begin_agent_anew()
        assert [name for name in again.root.names() if name.startswith(".")] == []
        count += 5
    assert count > 40


def store_at(disk: MemoryFileSystem) -> StoreFolders:
    root = disk.open_root(ROOT)
    store_id = read_marker(root).marker.store_id
    return StoreFolders(root, store_id, MemoryKeyProvider(), POLICY, ManualClock(), SeededRandomness("again"))


# How journals are opened.


def test_a_clusters_journal_is_opened_by_the_operators_limits_and_the_agents_by_the_defaults() -> None:
    randomness = SeededRandomness(0)
    cluster, agent = cluster_setup(MemoryKeyProvider(), randomness, POLICY), agent_setup(MemoryKeyProvider(), randomness)
    assert (cluster.segment_bytes_max, cluster.quarantine_bytes_max, cluster.batch_delay_ms) == (8192, 10_000, 7)
    assert cluster.key_folders == ("identity", "trust")
    assert agent.key_folders == ("agent", "quarantine")
    assert [spec.name for spec in agent.specs] == ["agent"]
    assert agent.segment_bytes_max != 8192
