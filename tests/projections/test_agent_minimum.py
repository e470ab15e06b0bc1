"""The lowest signed sequence of the agent's own releases is a floor, wherever floors are carried; that of a workload is not."""

from collections.abc import Callable

import pytest

from rap_projections.anchor_decisions import count_risen, is_below
from rap_projections.cluster import ClusterState
from rap_projections.event_kinds import event_of
from rap_projections.refusals import Rollback
from rap_projections.testing.entries import make_reference
from rap_projections.update_events import UpdateMinimumRaised
from tests.projections.restore_kit import restore
from tests.projections.store_kit import CLUSTER, Ready, furnished, written


def staged(subject: str = "agent") -> Ready:
    """A store that took a reference with sequence 9, which says itself that nothing below 9 may run."""
    it = furnished()
    it.cluster.updates.stage(it.fabric.artifact(make_reference(subject, 9)._replace(minimum_sequence=9)))
    return it


def class_lost(it: Ready) -> ClusterState:
    it.kit.wound("shortened-journal")
    return it.cluster


def joined_again(it: Ready) -> ClusterState:
    it.kit.store.leave(CLUSTER, reason="moved")
    it.kit.join(it.fabric)
    return it.cluster


def restored(it: Ready) -> ClusterState:
    it.kit.store.backup("/backup")
    return restore(it).cluster(CLUSTER)


AFTERWARDS: dict[str, Callable[[Ready], ClusterState]] = {"witness": class_lost, "memory": joined_again, "backup": restored}


@pytest.mark.parametrize("origin", AFTERWARDS)
def test_the_agents_signed_minimum_outlives_what_the_updates_class_does_not(origin: str) -> None:
    """Mutation: leave the agent out of `witness_floors` or of `decide_versions_raised`, or, for the backup, updates out of what it reads."""
    it = staged()
    cluster = AFTERWARDS[origin](it)
    subject = cluster.updates.subject("agent")
    assert (subject.minimum_sequence, subject.pending) == (9, None)
    with pytest.raises(Rollback):
        cluster.updates.stage(it.fabric.artifact(make_reference("agent", 8)))
    assert ("agent", 0, 9, b"") in cluster.known_floors().scopes


@pytest.mark.parametrize("origin", ["witness", "memory"])
def test_what_raised_it_is_written_once(origin: str) -> None:
    it = staged()
    AFTERWARDS[origin](it)
    it.kit.kill()
    raised = [event for record in written(it) if isinstance(event := event_of(record), UpdateMinimumRaised)]
    assert raised == [UpdateMinimumRaised("agent", 9, origin)]


def test_it_is_one_of_the_floors_that_the_anchor_covers() -> None:
    """Fails when a folder that was put back alone shows no lower minimum."""
    it = furnished()
    before = it.cluster.known_floors()
    it.cluster.updates.stage(it.fabric.artifact(make_reference("agent", 9)._replace(minimum_sequence=9)))
    after = it.cluster.known_floors()
    assert is_below(before, after) and not is_below(after, before)
    assert count_risen({CLUSTER: before}, {CLUSTER: after}) == 1


def test_a_workloads_minimum_lasts_as_long_as_the_updates_snapshot_states_it() -> None:
    """There may be thousands of workloads, and a slot of the witness has 4 KiB."""
    it = staged("svc-a")
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.updates([make_reference("svc-b", 7)._replace(minimum_sequence=7)]))
    floors = it.cluster.known_floors()
    it.cluster.updates.stage(it.fabric.artifact(make_reference("svc-c", 1)))
    updates = class_lost(it).updates
    assert [updates.subject(name).minimum_sequence for name in ("svc-a", "svc-b")] == [0, 7]
    assert [name for name, *_rest in floors.scopes] == ["peers", "policy", "routes", "services", "updates"]
