"""What a restored journal begins with: time that goes on, documents with their increments and head, an identity that is what it can be."""

from rap_projections.event_kinds import event_of
from rap_projections.identity import Enrollment
from rap_projections.snapshot_events import SnapshotActivated
from tests.projections.restore_kit import enrolled, restore, restored, rewrite, with_cluster
from tests.projections.store_kit import CLUSTER, furnished


def test_trusted_time_goes_on_and_the_new_machines_uptime_is_not_the_old_nodes() -> None:
    """Fails when instants or used time are left out, or the new machine's uptime is paid for once more."""
    it = enrolled()
    it.cluster.expire()
    before = it.cluster.status()["trusted_time_s"]
    other = restored(it)
    after = other.cluster.status()["trusted_time_s"]
    assert before <= after <= before + 120


def test_increments_and_head_come_along() -> None:
    """Fails when only full documents are restored."""
    it = furnished()
    base = it.fabric.routes([("node-1", [])])
    it.cluster.activate(base)
    it.cluster.activate(it.fabric.increment(base, ()))
    it.cluster.snapshots.take_head(it.fabric.head())
    active = it.cluster.view().snapshots.scope("routes").active
    other = restored(it)
    again = other.cluster.view().snapshots
    assert active is not None and len(active.increments) == 1
    assert again.scope("routes").active is not None
    assert again.scope("routes").active.facts[:3] == active.facts[:3]
    assert again.head is not None and again.head.version == it.cluster.view().snapshots.head.version


def test_a_document_that_is_not_for_the_restored_node_is_never_in_force() -> None:
    """Mutation: restore whatever is signed; a later opening would withdraw it, and tell of a document that was taken away."""
    it = enrolled()
    it.cluster.activate(it.fabric.routes([("node-1", [])], audience=("node-1",)))
    rewrite(it, lambda content: with_cluster(content, identity=None))
    cluster = restore(it).cluster(CLUSTER)
    events = [event_of(record) for record in cluster._core.history_after(0)]
    assert [event.scope for event in events if isinstance(event, SnapshotActivated)] == ["policy", "peers", "services", "updates"]
    assert cluster.snapshots.scope("routes").withdrawn_reason == ""


def test_the_identity_names_what_was_and_is_lost_without_its_key() -> None:
    it = enrolled()
    was = it.cluster.view().identity
    identity = restored(it).cluster.view().identity
    assert (identity.node_id, identity.membership_id, identity.enrollment) == ("node-1", "m-1", Enrollment.LOST)
    assert identity.loss_reason == "not_in_backup"
    assert identity.key is not None and was.key is not None and identity.key.key_sha256 == was.key.key_sha256
    assert identity.certificate is not None and was.certificate is not None
    assert identity.certificate.facts == was.certificate.facts
