"""Specification, section 13: peer cache expiry works."""

import pytest

from rap_projections.event_kinds import kind_of_type
from rap_projections.peers import PeersExpired
from rap_projections.policy import Policy
from rap_projections.testing.entries import make_peer
from tests.projections.store_kit import Ready, crashed_at_every_operation, ready, written

AGE_S = 600
POLICY = Policy(observation_age_s_max=AGE_S)


def observed(*peers: str, policy: Policy = POLICY) -> Ready:
    """A store whose directory names node-1 to node-3, and that has seen these of them just now."""
    it = ready(policy=policy)
    it.cluster.activate(it.fabric.peers(["node-1", "node-2", "node-3"]))
    it.cluster.peers.observe_many([(peer, 12.5) for peer in peers])
    it.cluster.flush()
    return it


def known(it: Ready) -> dict[str, int | None]:
    """The latency known of each peer, in microseconds; None where nothing is."""
    return {name: peer.latency_us for name, peer in it.cluster.view().peers.peers.items()}


def test_peer_cache_expiry_works() -> None:
    it = observed("node-1", "node-2")
    assert known(it) == {"node-1": 12_500, "node-2": 12_500, "node-3": None}
    it.kit.clock.advance(seconds=300)
    it.cluster.peers.observe("node-2", rtt_ms=20)
    it.cluster.flush()
    # One microsecond before its time nothing expires.
    it.kit.clock.advance(seconds=300 - 0.000_001)
    it.cluster.expire()
    it.cluster.flush()
    assert known(it)["node-1"] == 12_500
    it.kit.clock.advance(seconds=0.000_001)
    assert it.cluster.expire().changed
    it.cluster.flush()
    latencies = known(it)
    assert (latencies["node-1"], latencies["node-3"]) == (None, None)
    assert latencies["node-2"] is not None and 12_500 < latencies["node-2"] < 20_000
    gone = it.cluster.peers.get("node-1")
    assert gone is not None and gone.observed_us == 0
    # What is signed stays: only what was observed expires.
    assert it.cluster.view().peers.peers["node-1"].endpoints == make_peer("node-1").endpoints
    assert kind_of_type(PeersExpired).number in {record.kind for record in written(it)}


def test_the_next_deadline_is_the_moment_at_which_the_first_observation_expires() -> None:
    it = observed("node-1")
    deadline = it.cluster.next_deadline()
    assert deadline == it.cluster.node_time_us() + AGE_S * 1_000_000
    it.kit.clock.advance(seconds=AGE_S)
    it.cluster.expire()
    it.cluster.flush()
    assert known(it)["node-1"] is None
    assert it.cluster.next_deadline() is None


def test_an_observation_that_expired_comes_back_neither_by_restart_nor_by_power_cut() -> None:
    it = observed("node-1")
    it.kit.clock.advance(seconds=AGE_S)
    it.cluster.expire()
    it.cluster.flush()
    digest = it.cluster.digest()
    it.kit.kill()
    assert (known(it)["node-1"], it.cluster.digest()) == (None, digest)
    it.kit.power_cut()
    assert known(it)["node-1"] is None


def test_an_observation_ages_while_the_node_is_down() -> None:
    it = observed("node-1")
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    it.kit.clock.reboot(down_seconds=AGE_S)
    it.kit.open()
    it.cluster.expire()
    it.cluster.flush()
    assert known(it)["node-1"] is None


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_stepped_wall_clock_neither_expires_nor_keeps_an_observation(step_s: int) -> None:
    it = observed("node-1")
    it.kit.clock.step_wall(seconds=step_s)
    it.kit.clock.advance(seconds=AGE_S - 1)
    it.cluster.expire()
    it.cluster.flush()
    assert known(it)["node-1"] == 12_500
    it.kit.clock.advance(seconds=1)
    it.cluster.expire()
    it.cluster.flush()
    assert known(it)["node-1"] is None


def test_an_expiry_interrupted_by_a_power_cut_at_any_operation_is_made_up_for() -> None:
    def expire(it: Ready) -> None:
        it.cluster.expire()
        it.cluster.flush()

    def due() -> Ready:
        it = observed("node-1")
        it.kit.clock.advance(seconds=AGE_S)
        return it

    for crash in crashed_at_every_operation(due, expire):
        crash.it.kit.open()
        assert known(crash.it)["node-1"] in (None, 12_500) and (known(crash.it)["node-1"] is None or not crash.finished)
        crash.it.cluster.expire()
        crash.it.cluster.flush()
        assert known(crash.it)["node-1"] is None


def test_expiring_again_at_the_same_moment_writes_nothing() -> None:
    it = observed("node-1", "node-2", "node-3")
    it.kit.clock.advance(seconds=AGE_S)
    it.cluster.expire()
    it.cluster.flush()
    lsn, digest = it.cluster.view().lsn, it.cluster.digest()
    assert it.cluster.expire().changed is False
    it.cluster.flush()
    assert (it.cluster.view().lsn, it.cluster.digest()) == (lsn, digest)


def test_the_cache_never_holds_more_peers_than_the_policy_allows() -> None:
    it = ready(policy=Policy(peers_max=10))
    it.cluster.activate(it.fabric.policy(peers_max=1000))
    it.cluster.activate(it.fabric.peers([f"node-{number}" for number in range(50)]))
    assert len(it.cluster.view().peers.peers) == 10 == it.cluster.status()["peer_count"]
    it.cluster.peers.observe_many([(f"node-{number}", 1.0) for number in range(50)])
    assert it.cluster.peers.strangers == 40
    it.cluster.flush()
    assert len(it.cluster.view().peers.peers) == 10
