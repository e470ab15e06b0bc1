"""One folder, one writer, one agent, and clusters that come, go and break without concerning one another."""

import errno
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rap_journal.errors import DamageError, MisuseError, NoSpace, NoSuchStore, Poisoned, StoreBusy
from rap_journal.layout import AGENT_DAMAGED
from rap_journal.testing import MemoryFileSystem, RandomSurvival, SeededRandomness, SimulatedCrash
from rap_journal.trees import remove_tree
from rap_projections import ClusterState, NodeStore
from rap_projections.keys import FileKeyProvider
from rap_projections.refusals import NoSuchCluster, WrongFingerprint
from rap_projections.testing import Fabric, ManualClock, MemoryKeyProvider, memory_store
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import (
    CLUSTER,
    FOLDER,
    Ready,
    crashed_at_every_operation,
    destroy,
    files,
    flip_bit,
    folder,
    frames,
    furnished,
    names,
    ready,
    write_file,
)

OTHER = Fabric("other")


def stopped(it: Ready) -> MemoryFileSystem:
    """The disk of the store, closed in order."""
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    return it.kit.filesystem


def membership(store: NodeStore) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether the cluster is open, what could not be opened, and what the agent lists."""
    is_open = CLUSTER in [cluster.id for cluster in store.clusters()]
    return is_open, tuple(store.unopened), store.agent.view().joined()


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


def test_joining_makes_a_member_with_the_pinned_bundle() -> None:
    it = ready()
    assert membership(it.kit.store) == (True, (), (CLUSTER,))
    trust = it.cluster.view().trust
    assert trust.bootstrap is not None and trust.bootstrap.fingerprint.hex() == it.fabric.fingerprint
    assert (trust.bundle and trust.bundle.version, it.cluster.status()["trusted_time_s"]) == (1, it.fabric.issued_at_s)


def test_joining_again_returns_the_member_and_pins_nothing_anew() -> None:
    it = ready()
    before = it.cluster.digest()
    impostor = Fabric(CLUSTER, seed=1)
    assert it.kit.join(impostor) is it.cluster
    assert it.kit.store.join(CLUSTER, bundle=b"", expect="") is it.cluster
    assert it.cluster.digest() == before


def test_a_bundle_that_is_not_the_expected_one_makes_no_cluster() -> None:
    kit = memory_store()
    before = files(kit.filesystem)
    with pytest.raises(WrongFingerprint):
        kit.store.join(CLUSTER, bundle=Fabric(CLUSTER).bootstrap, expect=OTHER.fingerprint)
    assert files(kit.filesystem) == before
    with pytest.raises(NoSuchCluster):
        kit.store.cluster(CLUSTER)


@pytest.mark.parametrize("cluster_id", ["", "..", "A", "a/b", "-a", "a" * 64, "a.b"])
def test_what_is_no_cluster_id_is_refused_before_anything_is_touched(cluster_id: str) -> None:
    kit = memory_store()
    before = files(kit.filesystem)
    for call in (
        lambda: kit.store.join(cluster_id, bundle=b"", expect=""), lambda: kit.store.cluster(cluster_id),
        lambda: kit.store.leave(cluster_id, reason="bye"),
    ):  # fmt: skip
        with pytest.raises(MisuseError):
            call()
    assert files(kit.filesystem) == before


def test_a_join_interrupted_at_any_operation_leaves_a_member_or_nothing() -> None:
    outcomes = []
    for crash in crashed_at_every_operation(lambda: Ready(memory_store(), Fabric(CLUSTER)), lambda it: it.kit.join(it.fabric)):
        store = crash.it.kit.open()
        outcomes.append(membership(store))
        assert not names(crash.it.kit.filesystem, "clusters/.")
        again = crash.it.kit.join(crash.it.fabric)
        assert (again.status()["trust"]["bundle_version"], again.status()["fail_closed"]) == (1, None)
        assert membership(store) == (True, (), (CLUSTER,))
    first = outcomes.index((True, (), (CLUSTER,)))
    assert outcomes == [(False, (), ())] * first + [(True, (), (CLUSTER,))] * (len(outcomes) - first)
    assert first > 50


def test_a_join_that_finds_no_space_leaves_nothing_and_works_once_there_is_some() -> None:
    free_blocks, joined = 0, False
    while not joined:
        kit = memory_store()
        before = files(kit.filesystem, "clusters")
        kit.filesystem.capacity_bytes = kit.filesystem.used_bytes + free_blocks * 4096
        with suppress(NoSpace):
            kit.join(Fabric(CLUSTER))
            joined = True
        if not joined and CLUSTER not in kit.store.unopened:
            assert files(kit.filesystem, "clusters") == before
        kit.filesystem.capacity_bytes = None
        kit.join(Fabric(CLUSTER)).note("a member")
        assert membership(kit.store) == (True, (), (CLUSTER,))
        free_blocks += 1
    assert free_blocks > 50


def test_two_threads_that_join_get_the_same_member() -> None:
    kit, fabric = memory_store(), Fabric(CLUSTER)
    together = threading.Barrier(2)
    joined: list[ClusterState] = []

    def join() -> None:
        together.wait()
        joined.append(kit.join(fabric))

    threads = [threading.Thread(target=join) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert joined[0] is joined[1]
    assert kit.store.clusters() == (joined[0],)


def test_leaving_removes_the_folder_and_the_agent_remembers_why() -> None:
    it = ready()
    cluster = it.cluster
    assert it.kit.store.leave(CLUSTER, reason="decommissioned").changed
    assert names(it.kit.filesystem, "clusters") == []
    membership_of = it.kit.store.agent.view().clusters[CLUSTER]
    assert membership_of.left_reason == "decommissioned" and membership_of.left_us is not None
    with pytest.raises(MisuseError) as caught:
        cluster.note("nobody is there any more")
    assert caught.value.reason == "closed"
    with pytest.raises(MisuseError):
        cluster.reopen()
    with pytest.raises(NoSuchCluster):
        it.kit.store.leave(CLUSTER, reason="again")


def test_after_leaving_a_cluster_can_be_joined_with_another_bootstrap() -> None:
    it = ready()
    it.kit.store.leave(CLUSTER, reason="moved")
    # Built anew under the same id: its bundles begin above those that this node remembers.
    other = Fabric(CLUSTER, seed=1)
    bundle = other.next_bundle()
    sha256 = hashlib.sha256(bundle).hexdigest()
    trust = it.kit.store.join(CLUSTER, bundle=bundle, expect=sha256).view().trust
    assert trust.bootstrap is not None and trust.bootstrap.fingerprint.hex() == sha256
    assert it.kit.store.agent.view().joined() == (CLUSTER,)


def test_a_refused_leave_changes_nothing() -> None:
    it = ready()
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.kit.store.leave(CLUSTER, reason="Not A Word")
    assert (it.cluster.digest(), membership(it.kit.store)) == (before, (True, (), (CLUSTER,)))


def test_a_leave_interrupted_at_any_operation_is_finished_or_never_happened() -> None:
    expected = ready().cluster.digest()
    outcomes = []
    for crash in crashed_at_every_operation(ready, lambda it: it.kit.store.leave(CLUSTER, reason="bye")):
        store = crash.it.kit.open()
        outcomes.append(membership(store))
        if store.clusters():
            assert store.cluster(CLUSTER).digest() == expected
        else:
            assert names(crash.it.kit.filesystem, "clusters") == []
            assert crash.it.kit.join(Fabric(CLUSTER)).status()["fail_closed"] is None
    first = outcomes.index((False, (), ()))
    assert outcomes == [(True, (), (CLUSTER,))] * first + [(False, (), ())] * (len(outcomes) - first)
    assert 0 < first < len(outcomes) - 10


def test_a_cluster_whose_folder_is_gone_is_reported_and_blocks_no_other() -> None:
    it = ready()
    it.kit.join(OTHER)
    filesystem = stopped(it)
    remove_tree(folder(filesystem, "clusters"), CLUSTER)
    store = it.kit.open()
    assert [cluster.id for cluster in store.clusters()] == ["other"]
    error = store.unopened[CLUSTER]
    assert isinstance(error, DamageError) and error.reason == "missing_cluster" and error.cluster == CLUSTER
    assert store.report()["unopened"] == {CLUSTER: "DamageError"}
    calls: tuple[Callable[[], object], ...] = (lambda: store.cluster(CLUSTER), lambda: it.kit.join(it.fabric))
    for call in calls:
        with pytest.raises(DamageError) as caught:
            call()
        assert caught.value is error
    store.cluster("other").note("goes on")


def test_a_cluster_that_cannot_be_opened_can_be_left_and_joined_again() -> None:
    it = ready()
    filesystem = stopped(it)
    remove_tree(folder(filesystem, "clusters"), CLUSTER)
    store = it.kit.open()
    assert store.leave(CLUSTER, reason="lost").changed
    assert membership(store) == (False, (), ())
    assert it.kit.join(it.fabric).status()["fail_closed"] is None
    assert membership(store) == (True, (), (CLUSTER,))


@pytest.mark.parametrize("name", ["MARKER", "WITNESS"])
def test_a_cluster_whose_marker_or_witness_is_destroyed_is_reported_and_can_be_left(name: str) -> None:
    it = ready()
    it.kit.join(OTHER)
    filesystem = stopped(it)
    destroy(filesystem, f"{FOLDER}/{name}")
    store = it.kit.open()
    assert membership(store) == (False, (CLUSTER,), (CLUSTER, "other"))
    assert isinstance(store.unopened[CLUSTER], DamageError)
    store.leave(CLUSTER, reason="destroyed")
    assert names(filesystem, FOLDER) == []


@pytest.mark.parametrize("name", ["MARKER", "WITNESS"])
def test_a_cluster_that_lacks_a_file_is_damaged_and_the_error_names_the_file(name: str) -> None:
    it = ready()
    folder(stopped(it), FOLDER).unlink(name)
    error = it.kit.open().unopened[CLUSTER]
    assert isinstance(error, DamageError)
    assert (error.reason, error.cluster, error.file) == ("missing_file", CLUSTER, f"{FOLDER}/{name}")
    assert isinstance(error.__cause__, FileNotFoundError)
    with pytest.raises(DamageError):
        it.kit.store.cluster(CLUSTER)
    assert it.kit.store.leave(CLUSTER, reason="damaged").changed


def test_an_unopened_cluster_is_tried_again_by_joining_once_its_disk_answers() -> None:
    it = ready()
    before = it.cluster.digest()
    filesystem = stopped(it)
    filesystem.fail("read", f"{FOLDER}/WITNESS", errno.EIO)
    store = it.kit.open()
    assert isinstance(store.unopened[CLUSTER], OSError)
    assert it.kit.join(it.fabric).digest() == before
    assert store.unopened == {}


def test_a_folder_under_another_clusters_name_is_not_taken_for_it() -> None:
    it = ready()
    it.kit.join(OTHER)
    filesystem = stopped(it)
    clusters = folder(filesystem, "clusters")
    clusters.rename(CLUSTER, "third")
    clusters.sync()
    store = it.kit.open()
    assert [cluster.id for cluster in store.clusters()] == ["other"]
    reasons = {name: getattr(error, "reason", None) for name, error in store.unopened.items()}
    assert reasons == {CLUSTER: "missing_cluster", "third": "foreign"}
    assert store.agent.view().joined() == (CLUSTER, "other")


def test_a_cluster_of_another_store_is_not_opened() -> None:
    it, stranger = ready(), ready(seed=1)
    mine, theirs = stopped(it), stopped(stranger)
    remove_tree(folder(mine, "clusters"), CLUSTER)
    for path, content in files(theirs, FOLDER).items():
        place = folder(mine, "")
        for name in path.split("/")[:-1]:
            place = place.directory(name) if place.status(name) else place.create_directory(name)
        write_file(mine, path, content)
    assert getattr(it.kit.open().unopened[CLUSTER], "reason", None) == "foreign"


def test_foreign_names_beside_the_clusters_are_left_alone() -> None:
    it = ready()
    filesystem = stopped(it)
    folder(filesystem, "clusters").create_directory("lost+found").close()
    write_file(filesystem, "clusters/README.txt", b"not ours")
    store = it.kit.open()
    assert membership(store) == (True, (), (CLUSTER,))
    assert files(filesystem, "clusters/README.txt") == {"clusters/README.txt": b"not ours"}


AGENT_DAMAGE: dict[str, Callable[[MemoryFileSystem], object]] = {
    "its witness is destroyed": lambda filesystem: write_file(filesystem, "agent/WITNESS", bytes(8192)),
    "its marker is destroyed": lambda filesystem: write_file(filesystem, "agent/MARKER", bytes(1024)),
    "its folder is gone": lambda filesystem: remove_tree(folder(filesystem, ""), "agent"),
    "its segments' folder is gone": lambda filesystem: remove_tree(folder(filesystem, "agent"), "journal"),
    "its keys are destroyed": lambda filesystem: destroy(filesystem, "agent", part="keys"),
}


@pytest.mark.parametrize("damage", AGENT_DAMAGE)
def test_a_damaged_agent_journal_blocks_no_cluster_and_is_reported(damage: str) -> None:
    it = furnished()
    before, install_id = it.cluster.digest(), it.kit.store.agent.view().install_id
    filesystem = stopped(it)
    AGENT_DAMAGE[damage](filesystem)
    store = it.kit.open()
    assert store.cluster(CLUSTER).digest() == before
    view = store.agent.view()
    assert (view.install_id, view.joined()) == (install_id, (CLUSTER,))
    assert [diagnostic.code for diagnostic in view.diagnostics] == ["agent-journal-lost"]
    assert bool(names(filesystem, AGENT_DAMAGED)) is (damage != "its folder is gone")
    stopped(it)
    assert it.kit.open().agent.view().diagnostics == view.diagnostics


def test_a_damaged_agent_journal_is_begun_anew_at_whatever_operation_a_crash_comes() -> None:
    def damaged() -> Ready:
        it = ready()
        filesystem = stopped(it)
        write_file(filesystem, "agent/WITNESS", bytes(8192))
        return it

    count = 0
    for crash in crashed_at_every_operation(damaged, lambda it: it.kit.open()):
        assert membership(crash.it.kit.open()) == (True, (), (CLUSTER,))
        count += 1
    assert count > 40


def test_what_the_agents_journal_lost_in_the_middle_is_noted_again() -> None:
    it = ready()
    it.kit.store.agent.diagnostic("before-the-gap", text="goes with it")
    filesystem = stopped(it)
    # The first frame of the agent's journal tells of the installation, later ones of the join.
    path = names(filesystem, "agent/journal", part="-")[0]
    flip_bit(filesystem, path, 600)
    store = it.kit.open()
    assert store.agent.recovery.is_damage
    assert membership(store) == (True, (), (CLUSTER,))


def test_an_agent_can_be_started_and_stopped_on_a_full_disk_again_and_again() -> None:
    it = furnished()
    before = it.cluster.digest()
    filesystem = stopped(it)
    filesystem.capacity_bytes = filesystem.used_bytes
    for _ in range(5):
        store = it.kit.open()
        assert (store.unopened, store.cluster(CLUSTER).digest()) == ({}, before)
        filesystem = stopped(it)
        filesystem.capacity_bytes = filesystem.used_bytes
    filesystem.capacity_bytes = None
    assert it.kit.open().agent.flag("space-again", on=True).durable


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
        lambda: it.kit.store.agent.flag("x", on=True),
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


def test_leftovers_of_joins_and_temporary_files_are_wiped_at_every_start() -> None:
    it = ready()
    filesystem = stopped(it)
    folder(filesystem, "clusters").create_directory(".join-half").close()
    write_file(filesystem, f"{FOLDER}/tmp/half-a-document", b"secret leftovers")
    it.kit.open()
    assert names(filesystem, f"{FOLDER}/tmp") == []
    assert folder(filesystem, "clusters").names() == [CLUSTER]


def test_a_clean_opening_of_a_cluster_writes_nothing_into_it() -> None:
    it = furnished()
    filesystem = stopped(it)
    before = files(filesystem, FOLDER)
    it.kit.open()
    assert files(filesystem, FOLDER) == before
    assert frames(filesystem)[-1].last_lsn == it.cluster.view().lsn


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
