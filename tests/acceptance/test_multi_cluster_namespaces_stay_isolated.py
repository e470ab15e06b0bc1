"""Specification, section 13: multi-cluster namespaces stay isolated."""

import errno
from collections.abc import Callable

import pytest

from rap_journal.errors import OutcomeUnknown, StateStoreError
from rap_journal.testing import MemoryFileSystem
from rap_projections import ClusterState
from rap_projections.refusals import WrongCluster
from rap_projections.testing import Fabric, MemoryStore, memory_store
from tests.projections.store_kit import destroy, files, flip_bit, folder, names, write_file

EAST, WEST = "us-east-1", "eu-west-1"


class Two:
    """A store with two clusters that name the same peers, services and subjects, and mean different ones."""

    def __init__(self) -> None:
        self.kit: MemoryStore = memory_store()
        self.fabrics = {name: Fabric(name) for name in (EAST, WEST)}
        for name, fabric in self.fabrics.items():
            self.kit.join(fabric)
            work(self.cluster(name), fabric)

    def cluster(self, name: str) -> ClusterState:
        return self.kit.store.cluster(name)

    def stop(self) -> MemoryFileSystem:
        self.kit.store.close()
        self.kit.filesystem = self.kit.filesystem.kill()
        return self.kit.filesystem


def work(cluster: ClusterState, fabric: Fabric) -> None:
    """Everything a cluster does: documents, identity, observations, reports, health, updates, hints, a checkpoint."""
    for document in (
        fabric.policy(fallback_allowed=True), fabric.peers(["node-1", "node-2"]), fabric.routes([("node-1", ["node-2"]), ("node-2", [])]),
        fabric.services(["svc-a"]), fabric.updates(["agent"]),
    ):  # fmt: skip
        cluster.activate(document)
    cluster.identity.enroll(certificate=fabric.certificate(cluster.identity.request(node_id="node-1", membership_id="m-1")))
    cluster.peers.observe_many([("node-1", 10.0), ("node-2", 20.0)])
    cluster.services.report("svc-a", state="running")
    cluster.services.command("svc-a", "reload")
    cluster.health.enter_degraded(f"only in {fabric.cluster_id}")
    cluster.health.contact("control-plane", ok=True)
    cluster.hints.put("relay", fabric.cluster_id, ttl_s=600)
    cluster.telemetry.record("relay", fabric.cluster_id)
    cluster.note(f"a note of {fabric.cluster_id}")
    cluster.flush()
    cluster.routes.review(everything=True)
    cluster.flush()
    cluster.checkpoint()
    cluster.flush()


def test_multi_cluster_namespaces_stay_isolated() -> None:
    it = Two()
    east_files, east_digest = files(it.kit.filesystem, f"clusters/{EAST}"), it.cluster(EAST).digest()
    it.kit.filesystem.operations.clear()
    west = it.cluster(WEST)
    west.note("more work")
    west.activate(it.fabrics[WEST].peers(["node-3"]))
    west.health.leave_degraded(f"only in {WEST}")
    west.checkpoint()
    it.kit.clock.advance(seconds=3600)
    west.expire()
    west.flush()
    # Not a byte of the other cluster was written, renamed, synced or locked, and nothing of it changed.
    touched = {path for step in it.kit.filesystem.operations for path in (step.path, step.new_path or "") if EAST in path}
    assert touched == set()
    assert files(it.kit.filesystem, f"clusters/{EAST}") == east_files
    assert it.cluster(EAST).digest() == east_digest
    assert it.cluster(EAST).digest() != west.digest()


def test_neither_cluster_shows_anything_of_the_other() -> None:
    it = Two()
    for name, other in ((EAST, WEST), (WEST, EAST)):
        cluster = it.cluster(name)
        shown = repr(
            (cluster.view(), cluster.status(), cluster.health.heartbeat(), cluster.telemetry.drain(), cluster.hints.get("relay"))
        )
        assert name in shown and other not in shown


def test_what_is_signed_for_one_cluster_is_refused_by_the_other_and_moves_nothing_there() -> None:
    it = Two()
    west, signed = it.cluster(WEST), it.fabrics[EAST]
    before = west.view()
    documents = (
        signed.policy(), signed.peers(["node-9"]), signed.routes([("node-9", [])]), signed.services(["svc-z"]), signed.updates(["agent"]),
    )  # fmt: skip
    for document in documents:
        with pytest.raises(WrongCluster):
            west.activate(document)
        assert west.snapshots.check(document).ok is False
    with pytest.raises(WrongCluster):
        west.updates.stage(signed.artifact("agent"))
    after = west.view()
    for name in ("identity", "trust", "peers", "routes", "services"):
        assert getattr(after, name) == getattr(before, name), name
    assert {scope: held.floor for scope, held in after.snapshots.scopes.items()} == {
        scope: held.floor for scope, held in before.snapshots.scopes.items()
    }


def test_keys_journals_and_identities_differ_although_everything_else_is_named_the_same() -> None:
    it = Two()
    east, west = (it.cluster(name).view().identity for name in (EAST, WEST))
    assert east.node_id == west.node_id and east.key and west.key and east.key.key_sha256 != west.key.key_sha256
    disk = it.kit.filesystem
    for name in ("identity/keys-00000001", "MARKER", "WITNESS"):
        one, two = (files(disk, f"clusters/{cluster}/{name}")[f"clusters/{cluster}/{name}"] for cluster in (EAST, WEST))
        assert one != two


def test_a_cause_of_one_cluster_is_none_of_the_other() -> None:
    it = Two()
    east, west = it.cluster(EAST), it.cluster(WEST)
    receipt = east.note("the cause")
    with east.because(receipt, actor="operator", trace_id="t-1"):
        mine, theirs = east.note("follows"), west.note("does not follow")
    (first,) = [record for record in east._core.history_after((mine.lsn or 0) - 1) if record.lsn == mine.lsn]
    (second,) = [record for record in west._core.history_after((theirs.lsn or 0) - 1) if record.lsn == theirs.lsn]
    assert (first.causes, first.actor, first.trace_id) == ((receipt.lsn,), "operator", "t-1")
    assert (second.causes, second.actor, second.trace_id) == ((), "operator", "t-1")


def moved_files(disk: MemoryFileSystem) -> list[str]:
    """Names, within a cluster's folder, of files of one cluster that can be put in the other's place: one of each sort."""
    own = [path.removeprefix(f"clusters/{EAST}/") for path in names(disk, f"clusters/{EAST}/")]
    sorts: dict[tuple[str, str], str] = {}
    for path in own:
        place, _, name = path.rpartition("/")
        sorts.setdefault((place, name.partition("-")[0] if place != "journal" else "segment"), path)
    return sorted(sorts.values())


def counterpart(disk: MemoryFileSystem, path: str) -> str:
    """The file of the other cluster whose place `path` takes: that of its name, or the first of its sort."""
    place, _, name = path.rpartition("/")
    candidates = names(disk, f"clusters/{WEST}/{place}/" if place else f"clusters/{WEST}/")
    same = [candidate for candidate in candidates if candidate.removeprefix(f"clusters/{WEST}/") == path]
    alike = [candidate for candidate in candidates if candidate.rpartition("/")[2].partition("-")[0] == name.partition("-")[0]]
    return (same or alike or candidates)[0]


def test_a_file_of_one_cluster_in_the_place_of_the_others_is_never_taken_for_its_own() -> None:
    base = Two()
    west_view, east_digest = base.cluster(WEST).view(), base.cluster(EAST).digest()
    disk = base.stop()
    for path in moved_files(disk):
        if path.rpartition("/")[2] == "spare":
            continue
        base.kit.filesystem = disk.image()
        write_file(
            base.kit.filesystem, counterpart(disk, path), files(disk, f"clusters/{EAST}/{path}")[f"clusters/{EAST}/{path}"]
        )
        store = base.kit.open()
        assert store.cluster(EAST).digest() == east_digest, path
        if WEST in store.unopened:
            assert isinstance(store.unopened[WEST], StateStoreError), path
            continue
        cluster = store.cluster(WEST)
        assert EAST not in repr(cluster.view()), path
        if cluster.status()["fail_closed"] is None and cluster.recovery.is_clean:
            # It was not needed, or its second copy served.
            assert cluster.view().identity == west_view.identity and cluster.view().trust == west_view.trust, path


def test_a_whole_journal_of_the_other_cluster_is_foreign() -> None:
    it = Two()
    east_digest = it.cluster(EAST).digest()
    disk = it.stop()
    journal = folder(disk, f"clusters/{WEST}/journal")
    for name in journal.names():
        journal.unlink(name)
    for path, content in files(disk, f"clusters/{EAST}/journal/").items():
        write_file(disk, path.replace(EAST, WEST), content)
    store = it.kit.open()
    assert store.cluster(EAST).digest() == east_digest
    if WEST not in store.unopened:
        assert store.cluster(WEST).recovery.is_damage or store.cluster(WEST).status()["fail_closed"]
        assert EAST not in repr(store.cluster(WEST).view())


DAMAGE: dict[str, Callable[[MemoryFileSystem], object]] = {
    "its witness": lambda disk: destroy(disk, f"clusters/{WEST}/WITNESS"),
    "its marker": lambda disk: destroy(disk, f"clusters/{WEST}/MARKER"),
    "its keys": lambda disk: destroy(disk, f"clusters/{WEST}/", part="keys-"),
    "its checkpoints": lambda disk: destroy(disk, f"clusters/{WEST}/", part="checkpoint-"),
    "its segments": lambda disk: destroy(disk, f"clusters/{WEST}/journal/"),
    "its documents": lambda disk: destroy(disk, f"clusters/{WEST}/", part="document-"),
    "everything of it": lambda disk: destroy(disk, f"clusters/{WEST}/"),
    "a bit of its newest segment": lambda disk: flip_bit(disk, names(disk, f"clusters/{WEST}/journal/", part="-")[-1], 700),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_the_damage_of_one_cluster_touches_no_other(what: str) -> None:
    it = Two()
    digest = it.cluster(EAST).digest()
    disk = it.stop()
    DAMAGE[what](disk)
    store = it.kit.open()
    east = store.cluster(EAST)
    assert (east.digest(), east.recovery.is_clean, east.status()["fail_closed"]) == (digest, True, None)
    assert east.activate(it.fabrics[EAST].peers(["node-7"])).changed
    assert store.report()["clusters"][EAST]["fail_closed"] is None
    if WEST not in store.unopened:
        west = store.cluster(WEST)
        assert west.status()["fail_closed"] or west.recovery.findings or what == "its documents"


def test_a_poisoned_cluster_keeps_no_other_from_working() -> None:
    it = Two()
    it.kit.filesystem.fail("sync", f"clusters/{WEST}/journal/*", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster(WEST).note("lost or not")
    assert it.cluster(EAST).note("goes on").durable
    it.cluster(WEST).reopen()
    assert it.cluster(WEST).note("goes on, too").durable


def test_leaving_one_cluster_leaves_the_other_byte_for_byte() -> None:
    it = Two()
    before = files(it.kit.filesystem, f"clusters/{EAST}")
    it.kit.store.leave(WEST, reason="decommissioned")
    assert files(it.kit.filesystem, f"clusters/{EAST}") == before
    assert names(it.kit.filesystem, f"clusters/{WEST}") == []
