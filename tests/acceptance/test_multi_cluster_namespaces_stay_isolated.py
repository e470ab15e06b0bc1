"""Specification, section 13: multi-cluster namespaces stay isolated."""

from collections.abc import Callable

import pytest

from rap_journal.errors import DamageError, FailClosed, MisuseError, StateStoreError
from rap_journal.testing import EverythingSurvives, MemoryFileSystem
from rap_projections import ClusterState
from rap_projections.documents import Scope
from rap_projections.refusals import UnknownSigner, WrongCluster, WrongFingerprint
from rap_projections.testing import Fabric, MemoryStore
from tests.projections.store_kit import files, flip_bit, folder, names, ready, write_file

MINE, THEIRS = "lab", "other"


class Two:
    """A store in two clusters that issue the same under the same names: only who issues differs."""

    def __init__(self) -> None:
        it = ready()
        self.kit: MemoryStore = it.kit
        self.fabric = {MINE: it.fabric, THEIRS: Fabric(THEIRS)}
        self.kit.join(self.fabric[THEIRS])
        for name in (MINE, THEIRS):
            fill(self.cluster(name), self.fabric[name])

    def cluster(self, name: str) -> ClusterState:
        return self.kit.store.cluster(name)

    def stopped(self) -> MemoryFileSystem:
        """The disk, the store closed in order."""
        self.kit.store.close()
        self.kit.filesystem = self.kit.filesystem.kill()
        return self.kit.filesystem


def fill(cluster: ClusterState, fabric: Fabric) -> None:
    for document in (fabric.peers(["node-1", "node-2"]), fabric.routes([("node-1", [])]), fabric.services(["svc-a"])):
        cluster.activate(document)
    cluster.identity.request(node_id="node-1", membership_id="m-1")
    cluster.peers.observe("node-1", rtt_ms=12.5)
    cluster.hints.put("last-relay", "node-2", ttl_s=600)
    cluster.flush()


def busy(cluster: ClusterState, fabric: Fabric) -> None:
    """Every kind of work: documents, a refusal, observations, health, hints, telemetry, a checkpoint, and what time asks for."""
    cluster.activate(fabric.peers(["node-1", "node-3"]))
    with pytest.raises(StateStoreError):
        cluster.activate(b"not a document")
    cluster.activation("routes").stage(fabric.routes([("node-3", [])]))
    cluster.peers.observe("node-3", rtt_ms=3)
    cluster.health.enter_degraded("disk-failing")
    cluster.health.contact("control-plane", ok=False)
    cluster.services.report("svc-a", state="failed")
    cluster.hints.put("last-relay", "node-3", ttl_s=600)
    cluster.telemetry.record("relay", "queue length 12")
    cluster.identity.request(node_id="node-9", membership_id="m-9")
    cluster.expire()
    cluster.flush()
    cluster.checkpoint()


def test_multi_cluster_namespaces_stay_isolated() -> None:
    two = Two()
    two.kit.store.tick()
    for busy_one, quiet_one in ((MINE, THEIRS), (THEIRS, MINE)):
        before, digest = files(two.kit.filesystem, f"clusters/{quiet_one}/"), two.cluster(quiet_one).digest()
        two.kit.filesystem.operations.clear()
        busy(two.cluster(busy_one), two.fabric[busy_one])
        touched = {path for operation in two.kit.filesystem.operations for path in (operation.path, operation.new_path) if path}
        assert {path for path in touched if not path.startswith(f"clusters/{busy_one}/")} == set()
        assert files(two.kit.filesystem, f"clusters/{quiet_one}/") == before
        assert two.cluster(quiet_one).digest() == digest


def test_the_same_names_in_both_clusters_are_different_things() -> None:
    two = Two()
    two.cluster(MINE).peers.observe("node-2", rtt_ms=99)
    two.cluster(MINE).flush()
    two.cluster(MINE).services.report("svc-a", state="running")
    theirs = two.cluster(THEIRS).view()
    assert theirs.peers.peers["node-2"].latency_us is None
    assert theirs.services.services["svc-a"].reported is None
    mine = two.cluster(MINE).view()
    assert mine.identity.key is not None and theirs.identity.key is not None
    assert mine.identity.key.key_sha256 != theirs.identity.key.key_sha256
    assert mine.trust.bootstrap != theirs.trust.bootstrap
    assert two.cluster(MINE)._core.journal.keys.marker.journal_id != two.cluster(THEIRS)._core.journal.keys.marker.journal_id


@pytest.mark.parametrize("scope", list(Scope))
def test_a_document_of_one_cluster_is_refused_by_the_other_and_changes_nothing(scope: Scope) -> None:
    two = Two()
    fabric = two.fabric[THEIRS]
    bodies: dict[Scope, Callable[[], bytes]] = {
        Scope.POLICY: lambda: fabric.policy(fallback_allowed=True), Scope.PEERS: lambda: fabric.peers(["evil"]),
        Scope.ROUTES: lambda: fabric.routes([("evil", [])]), Scope.SERVICES: lambda: fabric.services(["evil"]),
        Scope.UPDATES: lambda: fabric.updates(["evil"]),
    }  # fmt: skip
    before = two.cluster(MINE).view()
    with pytest.raises(WrongCluster):
        two.cluster(MINE).activate(bodies[scope]())
    after = two.cluster(MINE).view()
    assert after.snapshots.scopes.keys() == before.snapshots.scopes.keys()
    assert all(after.snapshots.scope(name).active == held.active for name, held in before.snapshots.scopes.items())
    assert (after.peers, after.services, after.updates) == (before.peers, before.services, before.updates)


def test_the_key_of_another_cluster_signs_nothing_here() -> None:
    two = Two()
    key = two.fabric[THEIRS].key("peers")
    with pytest.raises(UnknownSigner):
        two.cluster(MINE).activate(two.fabric[MINE].peers(["evil"], sign_with=key))


def test_a_bundle_of_another_cluster_pins_nothing() -> None:
    kit = ready().kit
    theirs = Fabric(THEIRS)
    with pytest.raises((WrongCluster, WrongFingerprint)):
        kit.store.join("third", bundle=theirs.bootstrap, expect=theirs.fingerprint)
    assert names(kit.filesystem, "clusters/third") == []


def test_a_cause_of_one_cluster_is_none_in_the_other() -> None:
    two = Two()
    receipt = two.cluster(MINE).health.partition("site-b", on=True)
    with two.cluster(MINE).because(receipt):
        theirs = two.cluster(THEIRS).health.partition("site-b", on=True)
    assert theirs.lsn is not None
    (record,) = two.cluster(THEIRS)._core.history_after(theirs.lsn - 1)
    assert tuple(record.causes) == ()


def exchange(disk: MemoryFileSystem) -> None:
    clusters = folder(disk, "clusters")
    clusters.rename(MINE, "away")
    clusters.rename(THEIRS, MINE)
    clusters.rename("away", THEIRS)
    clusters.sync()


def test_folders_that_changed_places_are_both_refused() -> None:
    two = Two()
    exchange(two.stopped())
    store = two.kit.open()
    assert store.clusters() == ()
    assert {name: getattr(error, "reason", None) for name, error in store.unopened.items()} == {
        MINE: "foreign",
        THEIRS: "foreign",
    }
    for name in (MINE, THEIRS):
        with pytest.raises(DamageError):
            store.cluster(name)
    store.close()
    two.kit.filesystem = two.kit.filesystem.kill()
    exchange(two.kit.filesystem)
    assert [cluster.id for cluster in two.kit.open().clusters()] == [MINE, THEIRS]


def test_a_folder_with_the_marker_of_its_place_and_the_state_of_another_is_not_opened() -> None:
    two = Two()
    disk = two.stopped()
    mine, theirs = files(disk, f"clusters/{MINE}/"), files(disk, f"clusters/{THEIRS}/")
    for path in mine:
        if not path.endswith("/MARKER"):
            folder(disk, path.rpartition("/")[0]).unlink(path.rpartition("/")[2])
    for path, content in theirs.items():
        if not path.endswith("/MARKER"):
            write_file(disk, path.replace(f"/{THEIRS}/", f"/{MINE}/"), content)
    store = two.kit.open()
    assert MINE in store.unopened
    assert store.cluster(THEIRS).status()["fail_closed"] is None


def transplants() -> dict[str, str]:
    """What is copied from the other cluster over its counterpart, by what its name contains."""
    return {
        "identity/document-": "a private key", "identity/checkpoint-": "a checkpoint of identity", "identity/keys-": "a copy of the data keys",
        "trust/document-": "a bundle", "trust/checkpoint-": "a checkpoint of trust", "trust/keys-": "the other copy of the data keys",
        "snapshots/document-": "documents", "snapshots/checkpoint-": "a checkpoint of snapshots", "peers/checkpoint-": "a checkpoint of peers",
        "journal/0": "segments", "WITNESS": "the witness", "MARKER": "the marker",
    }  # fmt: skip


@pytest.mark.parametrize("part", transplants(), ids=lambda part: transplants()[part])
def test_a_file_of_another_cluster_is_never_taken_for_ones_own(part: str) -> None:
    two = Two()
    before = two.cluster(MINE).view()
    theirs_digest = two.cluster(THEIRS).digest()
    disk = two.stopped()
    own = [path for path in names(disk, f"clusters/{MINE}/") if part in path]
    other = [path for path in names(disk, f"clusters/{THEIRS}/") if part in path]
    assert own and len(own) == len(other)
    for mine, theirs in zip(own, other, strict=True):
        write_file(disk, mine, files(disk, theirs)[theirs])
    store = two.kit.open()
    assert store.cluster(THEIRS).digest() == theirs_digest
    if MINE in store.unopened:
        return
    cluster = store.cluster(MINE)
    after = cluster.view()
    assert after.trust.bootstrap in (before.trust.bootstrap, None)
    assert after.identity.key in (before.identity.key, None)
    for name, held in after.snapshots.scopes.items():
        known = before.snapshots.scope(name).active
        assert held.active is None or (known is not None and held.active.facts.content_id == known.facts.content_id)
    assert after.peers.content_id in (before.peers.content_id, None)
    assert cluster.status()["fail_closed"] is not None or (after.identity.key, after.trust.bundle) == (
        before.identity.key,
        before.trust.bundle,
    )
    if part.startswith(("identity/document", "trust/checkpoint", "identity/checkpoint")):
        assert cluster.status()["fail_closed"] == f"{part.partition('/')[0]}_damaged"
        with pytest.raises(FailClosed):
            cluster.identity.request(node_id="node-1", membership_id="m-1")


def test_a_damaged_cluster_and_one_that_is_gone_cost_no_other_anything() -> None:
    two = Two()
    disk = two.stopped()
    sound = disk.image(EverythingSurvives())
    for damaged in ("MARKER", "WITNESS", "identity/checkpoint-0000000000000000", "trust/keys-00000001"):
        two.kit.filesystem = sound.image(EverythingSurvives())
        flip_bit(two.kit.filesystem, f"clusters/{MINE}/{damaged}", 40)
        store = two.kit.open()
        theirs = store.cluster(THEIRS)
        assert theirs.status()["fail_closed"] is None
        assert theirs.activate(Fabric(THEIRS).peers(["node-7"], version=9)).changed


def test_leaving_one_cluster_removes_its_folder_and_nothing_else() -> None:
    two = Two()
    two.kit.store.tick()
    before = files(two.kit.filesystem, f"clusters/{THEIRS}/")
    two.kit.store.leave(MINE, reason="decommissioned")
    assert files(two.kit.filesystem, "clusters/") == before
    assert two.cluster(THEIRS).activate(two.fabric[THEIRS].peers(["node-7"])).changed


@pytest.mark.parametrize("name", ["..", ".", "../agent", "lab/identity", "LAB", ".join-lab", "lab\0", "láb"])
def test_no_id_reaches_out_of_its_namespace(name: str) -> None:
    two = Two()
    before = files(two.kit.filesystem)
    for call in (
        lambda: two.kit.store.cluster(name), lambda: two.kit.store.leave(name, reason="bye"),
        lambda: two.kit.store.join(name, bundle=two.fabric[MINE].bootstrap, expect=two.fabric[MINE].fingerprint),
    ):  # fmt: skip
        with pytest.raises(MisuseError):
            call()
    assert files(two.kit.filesystem) == before
