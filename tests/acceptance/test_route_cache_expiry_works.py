"""Specification, section 13: route cache expiry works."""

import pytest

from rap_projections.policy import Policy
from rap_projections.route_selection import SelectedRoute
from tests.projections.store_kit import Ready, ready, written

AGE_S = 300
EXPIRED, SELECTED = 82, 81


def routed(*, age_s: int = AGE_S, observations: bool = True) -> Ready:
    """A store that uses a route to node-1, chosen just now, with one way round as alternative."""
    it = ready(policy=Policy(route_age_s_max=age_s))
    it.cluster.activate(it.fabric.peers(["node-1", "node-2"]))
    it.cluster.activate(it.fabric.routes([("node-1", []), ("node-1", ["node-2"])]))
    if observations:
        it.cluster.peers.observe_many([("node-1", 10.0), ("node-2", 10.0)])
        it.cluster.flush()
        it.cluster.routes.review(everything=True)
        it.cluster.flush()
    return it


def best(it: Ready) -> SelectedRoute | None:
    return it.cluster.routes.best("node-1", channel="interactive")


def expired_events(it: Ready) -> list[int]:
    return [record.lsn for record in written(it) if record.kind == EXPIRED]


def test_route_cache_expiry_works() -> None:
    it = routed()
    route = best(it)
    assert route is not None and route.expires_us == it.cluster.node_time_us() + AGE_S * 1_000_000
    assert (route.path, route.alternatives) == ((), ("node-1_interactive_node-2",))
    it.kit.clock.advance(seconds=AGE_S - 0.000_001)
    assert best(it) == route
    # At its end it is no answer any more, before anybody has removed it; the entry itself goes with the next expiry, by an event.
    it.kit.clock.advance(seconds=0.000_001)
    assert best(it) is None
    assert len(it.cluster.view().routes.routes) == 1 and expired_events(it) == []
    assert it.cluster.expire().changed
    it.cluster.flush()
    assert len(expired_events(it)) == 1
    anew = best(it)
    assert (
        anew is not None and anew.expires_us == it.cluster.node_time_us() + AGE_S * 1_000_000 and anew.lsn > expired_events(it)[0]
    )


def test_a_route_that_is_reviewed_in_time_never_expires() -> None:
    it = routed()
    for _ in range(10):
        deadline = it.cluster.next_deadline()
        assert deadline is not None
        it.kit.clock.advance(seconds=max(0.0, (deadline - it.cluster.node_time_us()) / 1_000_000))
        assert best(it) is not None
        it.cluster.expire()
        it.cluster.flush()
        assert best(it) is not None
    assert expired_events(it) == []


def test_a_route_that_nothing_permits_any_more_is_gone_at_once() -> None:
    it = routed()
    it.cluster.activate(it.fabric.routes([("node-2", [])]))
    assert best(it) is None
    assert {route.destination for route in it.cluster.view().routes.routes.values()} == {"node-2"}


def test_an_expired_route_comes_back_neither_by_restart_nor_by_power_cut() -> None:
    it = routed()
    it.kit.clock.advance(seconds=AGE_S)
    it.kit.kill()
    assert best(it) is None
    it.kit.power_cut()
    assert best(it) is None


def test_a_route_ages_while_the_node_is_down() -> None:
    it = routed()
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    it.kit.clock.reboot(down_seconds=AGE_S)
    it.kit.open()
    assert best(it) is None


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_stepped_wall_clock_neither_expires_nor_keeps_a_route(step_s: int) -> None:
    it = routed()
    it.kit.clock.step_wall(seconds=step_s)
    it.kit.clock.advance(seconds=AGE_S - 1)
    assert best(it) is not None
    it.kit.clock.advance(seconds=1)
    assert best(it) is None


def test_the_age_of_a_route_is_the_stricter_of_the_operators_and_the_signed_limit() -> None:
    it = routed(age_s=300)
    it.cluster.activate(it.fabric.policy(route_age_s_max=60))
    it.kit.clock.advance(seconds=59)
    assert best(it) is not None
    it.kit.clock.advance(seconds=1)
    assert best(it) is None


def test_expiring_again_at_the_same_moment_writes_nothing() -> None:
    it = routed()
    it.kit.clock.advance(seconds=AGE_S)
    it.cluster.expire()
    it.cluster.flush()
    lsn, digest = it.cluster.view().lsn, it.cluster.digest()
    it.cluster.expire()
    it.cluster.flush()
    assert (it.cluster.view().lsn, it.cluster.digest()) == (lsn, digest)


def test_the_cache_never_holds_more_routes_than_the_policy_allows() -> None:
    it = ready(policy=Policy(routes_max=5))
    it.cluster.activate(it.fabric.policy(routes_max=1000))
    names = [f"node-{number}" for number in range(20)]
    it.cluster.activate(it.fabric.peers(names))
    it.cluster.activate(it.fabric.routes([(name, []) for name in names]))
    assert len(it.cluster.view().routes.routes) == 5 == it.cluster.status()["route_count"]
