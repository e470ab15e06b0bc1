"""Specification, section 13: valid snapshot activates atomically."""

from collections.abc import Callable, Iterator

import pytest

from rap_journal.testing import Operation
from rap_projections import History
from rap_projections.documents import Scope, Version
from rap_projections.event_kinds import event_of
from rap_projections.refusals import (
    BadSignature,
    Equivocation,
    Expired,
    Malformed,
    RefusedError,
    Rollback,
    UnknownSigner,
    WrongCluster,
    WrongScope,
    WrongUsage,
)
from rap_projections.testing import Fabric
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, furnished, ready

OLD = [f"node-{number}" for number in range(4)]
NEW = [f"node-{number}" for number in range(2, 9)]


class Watched(list[Operation]):
    """The log of a file system that calls somebody after every operation, while the writer is in the middle of its work."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look
        self._is_looking = False

    def append(self, operation: Operation) -> None:
        super().append(operation)
        if not self._is_looking:
            self._is_looking = True
            try:
                self._look()
            finally:
                self._is_looking = False


def seen_beside(it: Ready) -> tuple[bytes, bytes, frozenset[str]]:
    """What a reader without a lock sees: the active document, the content its stored bytes have, and the ids in the peer cache."""
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        cluster = history.cluster(CLUSTER)
        view = cluster.at()
        active = view.snapshots.scope("peers").active
        assert active is not None
        stored = it.fabric.content_id(cluster.documents(active.facts.content_id)[0])
        return active.facts.content_id, stored, frozenset(view.peers.peers)


def test_valid_snapshot_activates_atomically() -> None:
    it = ready()
    old, new = it.fabric.peers(OLD), it.fabric.peers(NEW)
    names = {it.fabric.content_id(old): frozenset(OLD), it.fabric.content_id(new): frozenset(NEW)}
    it.cluster.activate(old)
    seen: list[tuple[bytes, frozenset[str]]] = []

    def look() -> None:
        content_id, document_id, peers = seen_beside(it)
        # The document behind the pointer is always the one it names, and the cache is made of one document or the other.
        assert document_id == content_id
        assert peers in names.values()
        seen.append((content_id, peers))

    it.kit.filesystem._machine.operations = Watched(look)
    it.cluster.activate(new)
    first, last = it.fabric.content_id(old), it.fabric.content_id(new)
    pointers = [content_id for content_id, _peers in seen]
    switched = pointers.index(last)
    assert pointers == [first] * switched + [last] * (len(pointers) - switched)
    # The cache follows the pointer and never runs ahead of it.
    followed = [peers for _content_id, peers in seen].index(names[last])
    assert [peers for _content_id, peers in seen] == [names[first]] * followed + [names[last]] * (len(seen) - followed)
    assert 5 < switched <= followed < len(seen)


def test_whoever_looks_within_the_process_sees_one_document_or_the_other() -> None:
    it = ready()
    old, new = it.fabric.peers(OLD), it.fabric.peers(NEW)
    it.cluster.activate(old)
    before = it.cluster.view().snapshots.scope("peers").active
    seen = []
    it.kit.filesystem._machine.operations = Watched(lambda: seen.append(it.cluster.view().snapshots.scope("peers").active))
    it.cluster.activate(new)
    after = it.cluster.view().snapshots.scope("peers").active
    assert before != after
    switched = seen.index(after)
    assert seen == [before] * switched + [after] * (len(seen) - switched)


def test_the_six_steps_come_in_the_order_of_the_specification() -> None:
    it = ready()
    it.cluster.activate(it.fabric.peers(OLD))
    before = it.cluster.view().snapshots.scope("peers")
    start = it.cluster._core.journal.durable_lsn
    new = it.fabric.peers(NEW)
    with it.cluster.activation("peers") as step:
        step.stage(new)
        staged = it.cluster.snapshots.scope("peers")
        assert staged.pending is not None and staged.active == before.active
        assert step.verify().content_id == it.fabric.content_id(new)
        assert it.cluster.snapshots.scope("peers") == staged
        receipt = step.commit()
    after = it.cluster.snapshots.scope("peers")
    assert receipt.durable and receipt.changed
    assert after.pending is None and after.applied is not None
    assert after.active is not None and after.active.facts.content_id == after.applied.content_id == it.fabric.content_id(new)
    events = [type(event_of(record)).__name__ for record in it.cluster._core.history_after(start)]
    assert events == ["SnapshotStaged", "SnapshotActivated", "DirectoryApplied", "AppliedReported"]


def test_the_document_is_synced_before_the_frame_that_activates_it_and_the_frame_before_anybody_is_told() -> None:
    it = ready()
    told: list[int] = []
    subscription = it.cluster.subscribe(
        lambda delivered: told.append(len(it.kit.filesystem.operations)), kinds={"SnapshotActivated"}
    )
    it.kit.filesystem.operations.clear()
    it.cluster.activate(it.fabric.peers(OLD))
    assert subscription.wait_idle()
    operations = list(it.kit.filesystem.operations)
    active = it.cluster.snapshots.scope("peers").active
    assert active is not None
    target = f"{FOLDER}/snapshots/document-{active.stored.file_id.hex()}"
    renamed = next(index for index, done in enumerate(operations) if done.new_path == target)
    synced = operations.index(next(done for done in operations if (done.name, done.path) == ("sync", operations[renamed].path)))
    named = next(index for index in range(renamed, len(operations)) if operations[index].name == "sync_directory")
    assert operations[named].path == f"{FOLDER}/snapshots"
    frames = [index for index, done in enumerate(operations) if done.path.startswith(f"{FOLDER}/journal/")]
    assert synced < renamed < named < frames[0]
    first_sync = next(index for index in frames if operations[index].name == "sync")
    (when,) = told
    assert when > first_sync


def refused_documents(it: Ready) -> Iterator[tuple[str, bytes, type[RefusedError]]]:
    """Documents that must not become active, each with the refusal it meets."""
    fabric, stranger = it.fabric, Fabric("other")
    good = fabric.peers(NEW, version=7)
    yield "another cluster's", stranger.peers(NEW, version=7), WrongCluster
    yield "another cluster's, in our name", stranger.peers(NEW, version=7, cluster_id=CLUSTER, sign_with="peers"), UnknownSigner
    yield "a stranger's key", fabric.peers(NEW, version=7, sign_with="stranger"), UnknownSigner
    yield "a key for another scope", fabric.peers(NEW, version=7, sign_with="routes"), WrongUsage
    yield "a version that was", fabric.peers(NEW, version=1), Rollback
    yield "another document of the version that is", fabric.peers(NEW, version=2), Equivocation
    yield (
        "past its end",
        fabric.peers(NEW, version=7, issued_at_s=fabric.issued_at_s - 100, expires_at_s=fabric.issued_at_s),
        Expired,
    )
    yield "cut", good[:-1], Malformed
    yield "longer", good + b"\0", Malformed
    yield "one bit of its signature", good[:-1] + bytes([good[-1] ^ 1]), BadSignature
    yield "nothing", b"", Malformed


def test_a_refused_document_leaves_the_active_one_and_everything_made_of_it_as_they_were() -> None:
    it = ready()
    it.cluster.activate(it.fabric.peers(["node-9"]))
    it.cluster.activate(it.fabric.peers(OLD))
    before = it.cluster.view()
    for what, document, refusal in refused_documents(it):
        for call in (it.cluster.activate, lambda document: it.cluster.snapshots.activate_all([it.fabric.routes([]), document])):
            with pytest.raises(refusal):
                call(document)
            after = it.cluster.view()
            assert after.snapshots.scope("peers")._replace(equivocations=(), provenance={}) == before.snapshots.scope(
                "peers"
            )._replace(provenance={}), what
            assert after.snapshots.scope("routes").active is None, what
            assert after.peers == before.peers, what
        it.kit.clock.advance(seconds=120)
    refused = it.cluster.view().snapshots.refusals
    assert len(refused) > 3
    assert it.cluster.activate(it.fabric.peers(NEW, version=7)).changed


def test_a_document_for_another_scope_than_the_one_announced_is_refused_and_dropped() -> None:
    it = furnished()
    before = it.cluster.snapshots.scope("routes").active
    with it.cluster.activation("routes") as step:
        step.stage(it.fabric.peers(NEW))
        with pytest.raises(WrongScope):
            step.verify()
    after = it.cluster.snapshots.scope("routes")
    assert (after.active, after.pending) == (before, None)


def test_every_scope_activates_and_the_version_in_force_is_the_one_offered() -> None:
    it = furnished()
    active = {scope: it.cluster.snapshots.scope(scope.value).active for scope in Scope}
    assert {scope: held.facts.version for scope, held in active.items() if held} == dict.fromkeys(Scope, Version(1, 1))


def test_the_same_document_again_changes_nothing() -> None:
    it = ready()
    document = it.fabric.peers(OLD)
    it.cluster.activate(document)
    before = it.cluster.digest(), it.cluster._core.journal.durable_lsn
    receipt = it.cluster.activate(document)
    assert (receipt.changed, receipt.lsn) == (False, None)
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before
