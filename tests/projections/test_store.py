"""One folder, one writer, one agent, and clusters that come, go and break without concerning one another."""

import errno
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rap_journal.errors import DamageError, MisuseError, NoSpace, NoSuchStore, Poisoned, StoreBusy
from rap_journal.testing import MemoryFileSystem, RandomSurvival, SeededRandomness, SimulatedCrash
from rap_journal.trees import remove_tree
from rap_projections import NodeStore
from rap_projections.agent import DiagnosticNoted
from rap_projections.event_kinds import event_of
from rap_projections.keys import FileKeyProvider
from rap_projections.testing import Fabric, ManualClock, MemoryKeyProvider, memory_store
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import (
    CLUSTER,
    FOLDER,
    files,
    flip_bit,
    furnished,
    ready,
)

OTHER = Fabric("other")


def test_without_create_nothing_is_made() -> None:
    filesystem = MemoryFileSystem()
    with pytest.raises(NoSuchStore) as caught:
        NodeStore.open("/node", keys=MemoryKeyProvider(), filesystem=filesystem, clock=ManualClock())
    assert (caught.value.reason, filesystem.used_bytes) == ("no_store", 0)


@pytest.mark.parametrize("survivors", ["none", "some"])
def test_a_store_whose_making_was_interrupted_is_there_as_a_whole_or_not_at_all(survivors: str) -> None:
    at, finished = 0, False
    while not finished:
        kit = memory_store()
        kit.filesystem = MemoryFileSystem()
        kit.filesystem.crash_after(at)
        with suppress(SimulatedCrash):
            kit.open(create=True)
            finished = True
        kit.filesystem = kit.filesystem.crash(RandomSurvival(SeededRandomness(at)) if survivors == "some" else None)
        with suppress(NoSuchStore):
            assert kit.open().clusters() == ()
            kit.filesystem = kit.filesystem.kill()
        kit.open(create=True)
        assert kit.join(Fabric(CLUSTER)).status()["fail_closed"] is None
        at += 1
    assert at > 30


def test_a_folder_that_holds_something_else_is_left_alone() -> None:
    filesystem = MemoryFileSystem()
    filesystem.open_root("/node", create=True).create("precious").close()
    with pytest.raises(MisuseError) as caught:
        NodeStore.open("/node", keys=MemoryKeyProvider(), filesystem=filesystem, clock=ManualClock(), create=True)
    assert caught.value.reason == "not_empty"
    assert list(files(filesystem)) == ["LOCK", "precious"]


def test_on_a_disk_too_small_for_a_store_nothing_counts_as_one() -> None:
    for blocks in range(12):
        filesystem = MemoryFileSystem(capacity_bytes=blocks * 4096)
        with pytest.raises((NoSpace, OSError)) as caught:
            NodeStore.open("/node", keys=MemoryKeyProvider(), filesystem=filesystem, clock=ManualClock(), create=True)
        assert isinstance(caught.value, NoSpace) or (isinstance(caught.value, OSError) and caught.value.errno == errno.ENOSPC)
        filesystem.capacity_bytes = None
        store = NodeStore.open("/node", keys=MemoryKeyProvider(), filesystem=filesystem, clock=ManualClock(), create=True)
        store.close()


def test_a_second_writer_is_refused_and_told_who_holds_the_lock() -> None:
    it = ready()
    with pytest.raises(StoreBusy) as caught:
        it.kit.open()
    assert caught.value.holder.startswith("pid ")
    assert it.kit.clock.boot_id().hex() in caught.value.holder
    it.cluster.note("the first writer goes on")


CHILD = """
import sys
from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider
store = NodeStore.open(sys.argv[1], keys=FileKeyProvider(sys.argv[2]), create=True)
print("open", flush=True)
sys.stdin.read()
"""


def test_another_process_is_refused_until_the_first_one_ends_or_is_killed(tmp_path: Path) -> None:
    root, keys = tmp_path / "store", FileKeyProvider(tmp_path / "key")
    command = [sys.executable, "-c", CHILD, str(root), keys.path]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)})
    assert child.stdout and child.stdin
    try:
        assert child.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusy) as caught:
            NodeStore.open(root, keys=keys)
        assert caught.value.holder.startswith(f"pid {child.pid} ")
    finally:
        child.kill()
        child.communicate()
    with NodeStore.open(root, keys=keys, wait_s=5) as store:
        assert store.report()["previous_close_was_clean"] is False
    with NodeStore.open(root, keys=keys) as store:
        assert store.report()["previous_close_was_clean"] is True


def test_closing_lets_go_of_everything_although_what_waits_finds_no_space() -> None:
    it = ready()
    it.kit.join(OTHER)
    it.cluster.activate(it.fabric.peers([f"node-{number}" for number in range(3000)]))
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    with suppress(NoSpace):
        while True:
            it.cluster.peers.observe_many([(f"node-{number}", 1.0) for number in range(3000)])
    with pytest.raises(NoSpace):
        it.kit.store.close()
    it.kit.store.close()
    it.kit.filesystem.capacity_bytes = None
    store = it.kit.open()
    assert [cluster.recovery.is_clean for cluster in store.clusters()] == [True, True]
    assert store.report()["previous_close_was_clean"] is True


def test_a_poisoned_cluster_keeps_no_other_from_closing_in_order() -> None:
    it = ready()
    other = it.kit.join(OTHER)
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    with pytest.raises(Exception, match="whether the records are on disk is unknown"):
        it.cluster.note("lost or not")
    other.telemetry.record("relay", "waits for its frame")
    it.kit.store.tick()
    it.kit.store.close()
    assert len(it.kit.open().cluster("other").telemetry.drain()) == 1


def test_time_passes_for_every_cluster_although_one_is_poisoned() -> None:
    it = ready()
    other = it.kit.join(OTHER)
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    with pytest.raises(Exception, match="unknown"):
        it.cluster.note("lost or not")
    other.telemetry.record("relay", "waits")
    it.kit.clock.advance(seconds=1)
    it.kit.store.tick()
    assert len(other.telemetry.drain()) == 1
    with pytest.raises(Poisoned):
        it.cluster.flush()


def test_after_closing_commands_are_refused_and_reads_still_answer() -> None:
    it = furnished()
    cluster, before = it.cluster, it.cluster.digest()
    it.kit.store.close()
    for call in (
        lambda: cluster.note("x"), cluster.flush, cluster.checkpoint, cluster.reopen, lambda: it.kit.join(OTHER),
        lambda: cluster.activate(it.fabric.peers(["node-9"])), lambda: it.kit.store.leave(CLUSTER, reason="bye"),
        lambda: it.kit.store.agent.flag("x", on=True), it.kit.store.report,
    ):  # fmt: skip
        with pytest.raises(MisuseError) as caught:
            call()
        assert caught.value.reason == "closed"
    assert cluster.digest() == before
    assert it.kit.open().cluster(CLUSTER).digest() == before


def test_the_report_names_every_cluster_and_no_peer_and_no_key() -> None:
    it = furnished()
    report = it.kit.store.report()
    assert (report["format"], report["format_version"], report["protection"]) == ("rap-state-report", 1, "memory")
    assert set(report["clusters"]) == {CLUSTER} and report["unopened"] == {}
    text = repr(report)
    for hidden in ("node-1", "node-2", "svc-a", it.kit.keys.key_encryption_key().hex(), "last-relay"):
        assert hidden not in text


def test_the_context_manager_closes_the_store(tmp_path: Path) -> None:
    keys = FileKeyProvider(tmp_path / "key")
    with NodeStore.open(tmp_path / "store", keys=keys, create=True) as store:
        store.join(CLUSTER, bundle=Fabric(CLUSTER).bootstrap, expect=Fabric(CLUSTER).fingerprint).note("on a real disk")
    with NodeStore.open(tmp_path / "store", keys=keys) as store:
        assert [note.text for note in store.cluster(CLUSTER).view().health.notes] == ["on a real disk"]


@pytest.mark.parametrize("create", [False, True])
def test_a_store_whose_marker_is_gone_is_damaged_and_loses_nothing(create: bool) -> None:
    """Mutation: take a folder without a marker for half a store, and make it anew."""
    it = furnished()
    it.kit.store.close()
    root = it.kit.filesystem.open_root(ROOT)
    root.unlink("MARKER")
    root.sync()
    before = {path: data for path, data in files(it.kit.filesystem).items() if path != "LOCK"}
    with pytest.raises(DamageError, match="holds 'clusters/lab' and no MARKER; nothing was touched") as caught:
        it.kit.open(create=create)
    kept = files(it.kit.filesystem, "clusters") | files(it.kit.filesystem, "agent")
    assert (caught.value.reason, kept) == ("no_marker", before)


def test_a_store_without_clusters_whose_marker_is_gone_keeps_its_agents_history() -> None:
    kit = memory_store()
    kit.store.close()
    root = kit.filesystem.open_root(ROOT)
    root.unlink("MARKER")
    root.sync()
    with pytest.raises(DamageError, match="holds 'agent/journal/"):
        kit.open(create=True)


def test_a_store_without_its_folder_of_clusters_is_damaged_and_not_touched() -> None:
    it = furnished()
    it.kit.store.close()
    with it.kit.filesystem.open_root(ROOT) as root:
        remove_tree(root, "clusters")
    before = files(it.kit.filesystem)
    for create in (False, True):
        with pytest.raises(DamageError) as caught:
            it.kit.open(create=create)
        assert (caught.value.file, caught.value.reason, caught.value.action) == ("clusters", "missing_folder", "operator")
    assert files(it.kit.filesystem) == before


@pytest.mark.parametrize("offset", [8, 678])
def test_a_damaged_copy_in_the_marker_of_the_root_is_written_again_and_told(offset: int) -> None:
    it = furnished()
    it.kit.store.close()
    before = files(it.kit.filesystem)["MARKER"]
    flip_bit(it.kit.filesystem, "MARKER", offset)
    it.kit.open()
    assert files(it.kit.filesystem)["MARKER"] == before
    told = [
        event for record in it.kit.store.agent._core.history_after(0) if isinstance(event := event_of(record), DiagnosticNoted)
    ]
    assert [event.code for event in told] == ["marker-repaired"]


def test_a_root_that_is_mounted_read_only_is_no_space_and_not_a_bare_error() -> None:
    it = furnished()
    it.kit.store.close()
    it.kit.filesystem.fail("*lock*", "LOCK", errno.EROFS)
    with pytest.raises(NoSpace) as caught:
        it.kit.open()
    assert "lock file" in str(caught.value) and caught.value.exit_code == 12


def test_after_the_agents_journal_was_lost_nobody_says_that_the_last_close_was_clean() -> None:
    it = furnished()
    it.kit.store.close()
    with it.kit.filesystem.open_root(ROOT) as root:
        remove_tree(root, "agent")
    it.kit.open()
    assert it.kit.store.report()["previous_close_was_clean"] is False
