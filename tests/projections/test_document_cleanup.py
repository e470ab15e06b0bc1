"""Documents go when nothing names them any more, and not before."""

from rap_journal.layout import parse_document_name
from rap_projections.document_cleanup import file_ids_in, remove_unnamed_documents
from rap_projections.documents import Scope
from rap_projections.event_kinds import SNAPSHOTS
from rap_projections.policy import Policy
from rap_projections.testing import Fabric, MemoryStore, memory_store

HOUR_S = 3600


def documents_on_disk(kit: MemoryStore) -> int:
    """Files of snapshots of the one cluster."""
    with (
        kit.filesystem.open_root("/node") as root,
        root.directory("clusters") as clusters,
        clusters.directory("lab") as cluster,
        cluster.directory("snapshots") as folder,
    ):
        return sum(parse_document_name(name) is not None for name in folder.names())


def with_history(kit: MemoryStore, versions: int) -> Fabric:
    """A member of cluster lab that has activated so many versions of its peer directory, a checkpoint behind each."""
    fabric = Fabric("lab")
    cluster = kit.join(fabric)
    for count in range(versions):
        cluster.activate(fabric.peers([f"node-{number}" for number in range(count + 1)]))
        cluster.checkpoint()
        kit.clock.advance(seconds=HOUR_S)
    return fabric


def test_file_ids_are_found_however_deep_they_stand() -> None:
    deep = bytes(range(16))
    assert list(file_ids_in([1, "text", b"short", (None, [deep, bytes(32)])])) == [deep]


def test_documents_stay_while_history_can_show_them() -> None:
    kit = memory_store()
    with_history(kit, versions=8)
    assert documents_on_disk(kit) == 8
    kit.kill()
    cluster = kit.store.cluster("lab")
    cluster.checkpoint()
    assert documents_on_disk(kit) == 8


def test_documents_of_retired_history_go_and_those_still_kept_stay() -> None:
    kit = memory_store(policy=Policy(history_all_h=2, previous_snapshots_max=1))
    with_history(kit, versions=8)
    kit.kill()
    cluster = kit.store.cluster("lab")
    before = cluster.view().snapshots
    kit.clock.advance(seconds=10 * HOUR_S)
    for reason in ("one", "two", "three"):
        cluster.health.enter_degraded(reason)
        cluster.checkpoint()
    assert documents_on_disk(kit) < 8
    scope = cluster.view().snapshots.scope(Scope.PEERS)
    assert scope == before.scope(Scope.PEERS)
    for held in (scope.active, *scope.previous):
        assert held is not None
        assert cluster._core.load(SNAPSHOTS, held.stored.file_id)
    digest = cluster.digest()
    assert kit.kill().cluster("lab").digest() == digest
    assert kit.store.cluster("lab").recovery.is_clean


def test_a_document_stored_by_this_opening_is_spared() -> None:
    kit = memory_store()
    with_history(kit, versions=1)
    core = kit.store.cluster("lab")._core
    file_id = core.store(SNAPSHOTS, b"on its way into an event")
    assert remove_unnamed_documents(core.journal, core.state, spared=core.stored_here) == 0
    assert remove_unnamed_documents(core.journal, core.state, spared=set()) == 1
    assert documents_on_disk(kit) == 1
    assert file_id in core.stored_here
