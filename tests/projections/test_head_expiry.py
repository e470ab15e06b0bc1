"""A cluster whose bundle demands heads is degraded while none counts, and everything that is in force stays readable."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import Operation
from rap_projections.health import HEAD_EXPIRED
from rap_projections.testing import Fabric, memory_store
from tests.projections.store_kit import CLUSTER, Ready, ready

DAY_S = 86_400


def served() -> Ready:
    """A cluster that demands heads, with documents and a head of a day; it may work offline for thirty days."""
    it = Ready(memory_store(), Fabric(CLUSTER, requires_head=True))
    it.kit.join(it.fabric)
    assert it.cluster.next_deadline() is None
    it.fabric.issued_at_s += 1
    ends = {"expires_at_s": it.fabric.issued_at_s + 90 * DAY_S}
    documents = [
        it.fabric.policy(high_risk_operations=("resolve_secret",), offline_s_max=30 * DAY_S, degraded_s_max=3600, snapshot=ends),
        it.fabric.peers(["node-1"], **ends),
    ]
    it.cluster.snapshots.take_head(it.fabric.head())
    for document in documents:
        it.cluster.activate(document)
    # Once more, with the budget of the policy that is in force by now.
    it.fabric.issued_at_s += 1
    it.cluster.snapshots.take_head(it.fabric.head())
    return it


def degraded(it: Ready) -> list[str]:
    reasons: list[str] = it.cluster.status()["degraded"]["reasons"]
    return reasons


def test_when_the_head_ends_the_cluster_is_degraded_until_the_next_one() -> None:
    """Mutation: whoever keeps newer heads from a node holds it at what is old, and nothing tells."""
    it = served()
    due_us = it.cluster.next_deadline()
    assert due_us is not None and due_us - it.cluster.node_time_us() == DAY_S * 1_000_000
    it.kit.clock.advance(seconds=DAY_S - 1)
    it.cluster.expire()
    assert degraded(it) == []
    it.kit.clock.advance(seconds=1)
    it.cluster.expire()
    assert degraded(it) == [HEAD_EXPIRED]
    assert sorted(it.cluster.view().peers.peers) == ["node-1"] and it.cluster.allows(Operation.RESOLVE_SECRET).ok
    it.kit.clock.advance(seconds=3601)
    assert it.cluster.allows(Operation.RESOLVE_SECRET)[:2] == (False, "deadline")
    it.kit.kill()
    assert degraded(it) == [HEAD_EXPIRED]
    it.fabric.issued_at_s += DAY_S + 3601
    it.cluster.snapshots.take_head(it.fabric.head())
    assert degraded(it) == [] and it.cluster.allows(Operation.RESOLVE_SECRET).ok


def test_a_head_whose_key_is_revoked_is_as_good_as_ended() -> None:
    """Mutation: look at the kept head, and not at the one that counts."""
    it = served()
    it.cluster.trust.update(it.fabric.revoke_key("head"))
    it.cluster.expire()
    assert degraded(it) == [HEAD_EXPIRED]


def test_a_bundle_that_demands_none_ends_it() -> None:
    """Mutation: only a head ends it, and there are none any more."""
    it = served()
    it.kit.clock.advance(seconds=DAY_S)
    it.cluster.expire()
    it.cluster.trust.update(it.fabric.next_bundle(requires_head=False))
    it.cluster.expire()
    assert degraded(it) == []


def test_without_a_demand_or_anything_in_force_no_head_is_missed() -> None:
    """Mutation: every new member is degraded."""
    for it in (ready(), Ready(memory_store(), Fabric(CLUSTER, requires_head=True))):
        it.kit.join(it.fabric)
        it.cluster.expire()
        assert degraded(it) == []


def test_no_call_ends_it() -> None:
    """Mutation: the agent says that all is well."""
    it = served()
    it.kit.clock.advance(seconds=DAY_S)
    it.cluster.expire()
    with pytest.raises(MisuseError, match="ends with the next head"):
        it.cluster.health.leave_degraded(HEAD_EXPIRED)
