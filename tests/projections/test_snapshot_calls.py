"""Signed snapshots on a full disk: nothing is active whose bytes are nowhere."""

import errno

import pytest

from rap_journal.errors import MisuseError, NoSpace, StorageError
from rap_projections.documents import Scope
from rap_projections.event_kinds import SNAPSHOTS
from rap_projections.refusals import Equivocation, TooLarge
from tests.projections.store_kit import Ready, fill, ready, written


def active_and_previous(it: Ready) -> list[bytes]:
    """Content ids of the routes documents that serve and that could, each read from wherever it is kept."""
    routes = it.cluster.snapshots.scope("routes")
    held = [routes.active, *routes.previous]
    return [it.fabric.content_id(it.cluster._context.shelf.load(SNAPSHOTS, kept.stored)) for kept in held if kept is not None]


def test_a_document_that_found_no_space_is_not_staged_and_so_never_activated() -> None:
    it = ready()
    fill(it)
    before = it.cluster.digest(), it.cluster._core.journal.durable_lsn
    with it.cluster.activation("routes") as step, pytest.raises(NoSpace):
        step.stage(it.fabric.routes([("node-1", [])]))
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before
    it.kit.power_cut()
    assert it.cluster.digest() == before[0]


def test_a_verified_document_that_stands_in_its_event_alone_is_kept_while_it_is_previous() -> None:
    it = ready()
    fill(it)
    documents = [it.fabric.routes([("node-1", [])]), it.fabric.routes([("node-2", [])])]
    it.cluster.activate(documents[0])
    active = it.cluster.snapshots.scope("routes").active
    assert active is not None and active.stored.file_id == b""
    it.kit.filesystem.capacity_bytes = None
    it.cluster.activate(documents[1])
    expected = [it.fabric.content_id(document) for document in reversed(documents)]
    assert active_and_previous(it) == expected
    it.cluster.checkpoint()
    for _opening in range(2):
        it.kit.power_cut()
        assert it.cluster.recovery.is_clean
        assert active_and_previous(it) == expected
    assert it.cluster.snapshots.scope(Scope.ROUTES.value).previous[0].stored.inline == documents[0]


def test_what_is_larger_than_any_document_is_not_written_aside_and_the_refusal_is_recorded() -> None:
    """Mutation: the size is looked at when the document is verified, and by then it is on the disk."""
    it = ready()
    used, lsn = it.kit.filesystem.used_bytes, it.cluster._core.journal.durable_lsn
    with it.cluster.activation("routes", source="mirror") as step, pytest.raises(TooLarge):
        step.stage(bytes((4 << 20) + 1))
    assert it.cluster.snapshots.scope("routes").pending is None
    assert [refusal[:3] for refusal in it.cluster.view().snapshots.refusals] == [("mirror", "unknown", "too_large")]
    assert len(written(it, lsn)) == 1 and it.kit.filesystem.used_bytes - used <= 1 << 20


def test_staging_again_and_again_on_a_full_disk_takes_nothing_of_the_reserve() -> None:
    it = ready()
    step = it.cluster.activation("routes")
    step.stage(b"first")
    fill(it)
    before = it.cluster.digest()
    for number in range(50):
        with pytest.raises(NoSpace):
            step.stage(b"junk %d" % number)
    assert it.cluster.digest() == before
    assert it.cluster.health.partition("storage", on=True).durable


def test_evidence_of_equivocation_that_found_no_space_is_named_by_no_event_and_kept_the_next_time() -> None:
    it = ready()
    it.cluster.activate(it.fabric.routes([("node-1", [])], version=1))
    other = it.fabric.routes([("node-2", [])], version=1)
    fill(it)
    with pytest.raises(Equivocation):
        it.cluster.activate(other)
    assert it.cluster.snapshots.scope("routes").equivocations == ()
    it.kit.filesystem.capacity_bytes = None
    it.kit.power_cut()
    with pytest.raises(Equivocation):
        it.cluster.activate(other)
    (seen,) = it.cluster.snapshots.scope("routes").equivocations
    assert len(seen.evidence_file_id) == 16


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_directory"])
def test_a_disk_that_fails_under_a_document_or_a_checkpoint_says_so_with_an_error_of_the_store_and_costs_nothing(
    operation: str,
) -> None:
    it = ready()
    document = it.fabric.routes([("node-1", [])])
    it.cluster.note("so that a checkpoint is due")
    before = it.cluster.digest()
    for call in (
        lambda: it.cluster.activate(document),
        lambda: it.cluster.activation("routes").stage(document),
        it.cluster.checkpoint,
    ):
        it.kit.filesystem.fail(operation, ON_ITS_WAY[operation], errno.EIO)
        with pytest.raises(StorageError) as caught:
            call()
        it.kit.filesystem.heal()
        assert (type(caught.value), caught.value.reason, caught.value.cluster) == (StorageError, "disk_failed", "lab")
    assert it.cluster.digest() == before
    assert it.cluster.activate(document).durable and it.cluster.checkpoint().byte_count


ON_ITS_WAY = {
    "create": "*/tmp/*", "write": "*/tmp/*", "sync": "*/tmp/*", "rename": "*/tmp/*", "sync_directory": "*/snapshots",
}  # fmt: skip
"""What is touched by writing a document, or a checkpoint of the class, aside."""


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_documents_of_a_scope_at_once_are_a_mistake_and_none_of_them_is_activated(order: tuple[int, int]) -> None:
    """Mutation: both were judged by the floor of before; the older one ends up in force, below the floor of the newer."""
    it = ready()
    both = (it.fabric.peers(["node-1"]), it.fabric.peers(["node-2"]))
    documents = [both[index] for index in order]
    before = it.cluster.digest()
    for call in (
        lambda: it.cluster.snapshots.activate_all(documents),
        lambda: it.cluster.trust.update(it.fabric.next_bundle(), documents=documents),
    ):
        with pytest.raises(MisuseError, match="two documents are of scope peers; nothing was activated") as caught:
            call()
        assert (caught.value.reason, it.cluster.digest()) == ("two_of_a_scope", before)
