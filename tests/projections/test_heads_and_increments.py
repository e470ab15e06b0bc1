"""Heads and increments through the calls of a cluster: what they change, what they survive, and what they are refused for."""

import pytest

from rap_projections.documents import PeerEntry, Scope, Version
from rap_projections.refusals import Equivocation, Expired, HeadMismatch, HeadRequired, Revoked, Rollback, WrongBase, WrongScope
from rap_projections.snapshot_decisions import INCREMENTS_MAX
from rap_projections.testing import Fabric, memory_store
from rap_projections.testing.entries import make_peer
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, crashed_at_every_operation, flip_bit, names, ready, written


def peers_of(it: Ready) -> list[str]:
    return sorted(it.cluster.view().peers.peers)


def grown(it: Ready, count: int) -> list[bytes]:
    """A directory of one peer, then increments that add one each; none of them was handed to the store but the first document."""
    full = it.fabric.snapshot(Scope.PEERS, (make_peer("node-0"),))
    it.cluster.activate(full)
    increments = []
    for number in range(1, count + 1):
        body = tuple(make_peer(f"node-{each}") for each in sorted(map(str, range(number + 1))))
        increments.append(it.fabric.increment(full, body))
        full = it.fabric.snapshot(Scope.PEERS, body, version=number + 1)
    return increments


def strict() -> Ready:
    """A cluster whose bundle demands heads."""
    it = Ready(memory_store(), Fabric(CLUSTER, requires_head=True))
    it.kit.join(it.fabric)
    return it


def test_an_increment_is_activated_like_a_document() -> None:
    it = ready()
    (increment,) = grown(it, 1)
    assert it.cluster.snapshots.check(increment).ok
    receipt = it.cluster.activate(increment)
    held = it.cluster.snapshots.scope("peers").active
    assert held is not None
    assert (receipt.changed, receipt.durable, held.facts.version, len(held.increments)) == (True, True, Version(1, 2), 1)
    assert peers_of(it) == ["node-0", "node-1"]
    assert it.cluster.snapshots.scope("peers").applied is not None
    assert not it.cluster.activate(increment).changed


def test_a_chain_of_increments_survives_crash_and_checkpoint() -> None:
    it = ready()
    for increment in grown(it, 5):
        it.cluster.activate(increment)
    it.kit.kill()
    digest = it.cluster.digest()
    it.cluster.checkpoint()
    it.kit.kill()
    assert it.cluster.digest() == digest
    assert peers_of(it) == [f"node-{number}" for number in range(6)]
    held = it.cluster.snapshots.scope("peers").active
    assert held is not None and len(held.increments) == 5
    newest = it.cluster._core.shelf.snapshot(held.facts.content_id).body[-1]
    assert isinstance(newest, PeerEntry) and newest.id == "node-5"


def test_a_crash_at_any_operation_leaves_the_base_or_the_result() -> None:
    documents: list[bytes] = []

    def fresh() -> Ready:
        it = ready()
        documents[:] = grown(it, 1)
        return it

    seen = set()
    for crash in crashed_at_every_operation(fresh, lambda it: it.cluster.activate(documents[0])):
        crash.it.kit.open()
        assert crash.it.cluster._context.fail_closed_reason is None
        held = crash.it.cluster.snapshots.scope("peers").active
        assert held is not None
        seen.add((held.facts.version, tuple(peers_of(crash.it))))
    assert seen == {(Version(1, 1), ("node-0",)), (Version(1, 2), ("node-0", "node-1"))}


def test_increments_go_through_the_six_steps_too() -> None:
    """Mutation: an increment is of whatever scope it was staged for."""
    it = ready()
    (increment,) = grown(it, 1)
    with it.cluster.activation("peers") as step:
        step.stage(increment)
        pending = it.cluster.snapshots.scope("peers").pending
        assert pending is not None and pending.form == "increment"
        step.verify()
        assert step.commit().changed
    assert it.cluster.snapshots.scope("peers").pending is None
    with it.cluster.activation("routes") as step:
        step.stage(increment)
        with pytest.raises(WrongScope):
            step.verify()


def test_an_increment_without_its_base_is_refused_and_recorded() -> None:
    it = ready()
    first, second = grown(it, 2)
    digest = it.cluster._core.state.class_digest(7)
    with pytest.raises(WrongBase):
        it.cluster.activate(second)
    assert it.cluster._core.state.class_digest(7) == digest
    assert [(log.subject, log.reason) for log in it.cluster.view().snapshots.refusals] == [("peers", "wrong_base")]
    it.cluster.activate(first)
    it.cluster.activate(second)
    assert peers_of(it) == ["node-0", "node-1", "node-2"]


def test_an_increment_for_a_scope_without_a_document_is_refused_and_recorded() -> None:
    """Mutation: take it that there is something to start from."""
    it = ready()
    base = it.fabric.peers(["node-0"])
    increment = it.fabric.increment(base, (make_peer("node-0"), make_peer("node-1")))
    with pytest.raises(WrongBase, match="no active document"):
        it.cluster.activate(increment)
    assert it.cluster.snapshots.scope("peers").active is None
    assert [(log.subject, log.reason) for log in it.cluster.view().snapshots.refusals] == [("peers", "wrong_base")]
    it.cluster.activate(base)
    it.cluster.activate(increment)
    assert peers_of(it) == ["node-0", "node-1"]


def test_no_more_than_sixteen_increments_stand_on_one_document() -> None:
    it = ready()
    increments = grown(it, INCREMENTS_MAX + 1)
    for increment in increments[:-1]:
        it.cluster.activate(increment)
    with pytest.raises(WrongBase, match="16 increments"):
        it.cluster.activate(increments[-1])


def test_when_the_key_of_one_increment_is_revoked_the_whole_chain_ends() -> None:
    """Mutation: judge the full document only."""
    it = ready()
    full = it.fabric.snapshot(Scope.PEERS, (make_peer("node-0"),), sign_with="spare")
    it.cluster.activate(full)
    it.cluster.activate(it.fabric.increment(full, (make_peer("node-1"),)))
    it.cluster.trust.update(it.fabric.revoke_key("peers"))
    scope = it.cluster.snapshots.scope("peers")
    assert (scope.active, scope.withdrawn_reason) == (None, Revoked.word)


@pytest.mark.parametrize("count", [1, 1200])
def test_a_damaged_increment_ends_the_chain_unless_its_event_has_a_copy(count: int) -> None:
    """Mutation: judge the full document only. A small increment stands in its event too, a large one in its file alone."""
    it = ready()
    full = it.fabric.snapshot(Scope.PEERS, (make_peer("node-0"),))
    it.cluster.activate(full)
    it.cluster.activate(it.fabric.increment(full, tuple(make_peer(f"node-{number:04}") for number in range(count))))
    held = it.cluster.snapshots.scope("peers").active
    assert held is not None and len(held.increments) == 1
    it.kit.store.close()
    (name,) = names(it.kit.filesystem, f"{FOLDER}/snapshots", part=held.increments[0].file_id.hex())
    flip_bit(it.kit.filesystem, name, -100)
    it.kit.open()
    scope = it.cluster.snapshots.scope("peers")
    assert (scope.active is not None, scope.withdrawn_reason) == ((True, "") if count == 1 else (False, "damaged"))


def test_a_head_is_the_newest_statement_of_what_is_current() -> None:
    it = ready()
    it.cluster.activate(it.fabric.peers(["node-1"]))
    head = it.fabric.head()
    assert it.cluster.snapshots.take_head(head).changed
    assert not it.cluster.snapshots.take_head(head).changed
    held = it.cluster.view().snapshots.head
    assert held is not None and [entry[0] for entry in held.entries] == ["peers"]
    it.kit.kill()
    assert it.cluster._context.head is not None
    assert it.cluster._context.head.head.version == 1
    assert it.cluster.status()["trust"]["head_expires_at_s"] == held.expires_at_s


def test_an_older_a_double_and_an_expired_head_are_refused_and_change_nothing() -> None:
    """Mutation: take any head that verifies."""
    it = ready()
    old, new = it.fabric.head(), it.fabric.head()
    it.cluster.snapshots.take_head(new)
    held = it.cluster.view().snapshots.head
    for document, refusal in (
        (old, Rollback), (it.fabric.head(version=2, bundle_version=9), Equivocation),
        (it.fabric.head(issued_at_s=it.fabric.issued_at_s - 90, expires_at_s=it.fabric.issued_at_s - 1), Expired),
    ):  # fmt: skip
        with pytest.raises(refusal):
            it.cluster.snapshots.take_head(document)
    assert it.cluster.view().snapshots.head == held


def test_where_the_bundle_demands_a_head_nothing_but_what_it_lists_is_activated() -> None:
    """Mutation: leave the head out of the verification."""
    it = strict()
    old = it.fabric.peers(["node-1"])
    with pytest.raises(HeadRequired):
        it.cluster.activate(old)
    new = it.fabric.peers(["node-2"])
    it.cluster.snapshots.take_head(it.fabric.head())
    with pytest.raises(HeadMismatch):
        it.cluster.activate(old)
    assert it.cluster.activate(new).changed
    it.kit.kill()
    assert peers_of(it) == ["node-2"]
    assert it.cluster.snapshots.check(old).refusal is not None


@pytest.mark.parametrize("meanwhile", ["another head came", "the head expired"])
def test_where_the_bundle_demands_a_head_a_late_commit_goes_by_the_head_of_that_time(meanwhile: str) -> None:
    """Mutation: in `commit`, verify again only for another bundle."""
    it = strict()
    old = it.fabric.peers(["node-1"])
    it.cluster.snapshots.take_head(it.fabric.head(expires_at_s=it.fabric.issued_at_s + 3600))
    with it.cluster.activation("peers") as step:
        step.stage(old)
        step.verify()
        if meanwhile == "another head came":
            it.fabric.peers(["node-2"])
            it.cluster.snapshots.take_head(it.fabric.head())
        else:
            it.kit.clock.advance(seconds=3600)
        with pytest.raises(HeadMismatch if meanwhile == "another head came" else HeadRequired) as caught:
            step.commit()
    scope = it.cluster.snapshots.scope("peers")
    assert (scope.active, scope.floor.version) == (None, (0, 0))
    assert it.cluster.view().snapshots.refusals[-1].reason == caught.value.reason


def test_an_expired_head_lets_nothing_new_in_and_what_is_there_stays_readable() -> None:
    it = strict()
    document = it.fabric.peers(["node-1"])
    it.cluster.snapshots.take_head(it.fabric.head())
    it.cluster.activate(document)
    it.kit.clock.advance(seconds=86_400 + 60)
    it.cluster.tick()
    it.fabric.issued_at_s += 60
    newer = it.fabric.peers(["node-2"])
    with pytest.raises(HeadRequired):
        it.cluster.activate(newer)
    assert peers_of(it) == ["node-1"]
    it.fabric.issued_at_s += 86_400
    it.cluster.snapshots.take_head(it.fabric.head())
    assert it.cluster.activate(newer).changed


def test_a_head_whose_key_is_revoked_counts_no_longer() -> None:
    """Mutation: keep the head that was verified under the bundle before."""
    it = strict()
    document = it.fabric.peers(["node-1"])
    it.cluster.snapshots.take_head(it.fabric.head())
    it.cluster.trust.update(it.fabric.revoke_key("head"))
    with pytest.raises(HeadRequired):
        it.cluster.activate(document)


def test_a_head_moves_trusted_time_and_renews_the_deadline() -> None:
    it = ready()
    before = it.cluster.status()["trusted_time_s"]
    it.fabric.issued_at_s += 600
    it.cluster.snapshots.take_head(it.fabric.head())
    assert it.cluster.status()["trusted_time_s"] == before + 600
    assert it.cluster.view().health.deadline.signed_s == it.fabric.issued_at_s
    events = [record.kind for record in written(it)]
    assert 39 in events


def test_the_worst_delay_of_enforcement_is_a_number_that_ends_with_bundle_or_deadline() -> None:
    it = ready()
    assert it.cluster.status()["trust"]["enforcement_delay_s"] == it.fabric.draft.expires_at_s - it.fabric.issued_at_s
    it.cluster.activate(it.fabric.policy(offline_s_max=3600))
    it.fabric.issued_at_s += 60
    it.cluster.snapshots.take_head(it.fabric.head())
    assert it.cluster.status()["trust"]["enforcement_delay_s"] == 3600
    it.kit.clock.advance(seconds=600)
    assert it.cluster.status()["trust"]["enforcement_delay_s"] == 3000
