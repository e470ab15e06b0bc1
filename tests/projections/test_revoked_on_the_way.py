"""Revoked nodes and routes: no way leads to them or over them, from the call on that brought the revocation into force."""

from collections.abc import Iterator

import pytest

from rap_projections.documents import RevocationKind
from rap_projections.event_kinds import ROUTES, event_of
from rap_projections.route_selection import touches
from rap_projections.routes import RouteEnd, RoutesExpired
from tests.projections.store_kit import Ready, crashed_at_every_operation, fill, furnished, written


@pytest.fixture
def it() -> Ready:
    """A cluster with a direct way to "node-1" and one over "node-2", and a direct way to "node-2"."""
    return furnished()


def revoke(it: Ready, *nodes: str) -> None:
    it.cluster.trust.update([it.fabric.revoke(RevocationKind.IDENTITY, f"node:{node}") for node in nodes])


def way(it: Ready, destination: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    route = it.cluster.routes.best(destination, channel="interactive")
    return (route.path, route.alternatives) if route is not None else None


def kept_ways(it: Ready) -> Iterator[tuple[str, tuple[str, ...]]]:
    for route in it.cluster._context.state[ROUTES].selected.values():
        yield route.destination, route.path


def test_no_route_leads_to_a_revoked_node_or_over_one(it: Ready) -> None:
    """Mutation: without the choice behind a bundle, the routes stand until they expire."""
    assert (way(it, "node-1"), way(it, "node-2")) == (((), ("node-1_interactive_node-2",)), ((), ()))
    revoke(it, "node-2")
    assert (way(it, "node-1"), way(it, "node-2")) == (((), ()), None)
    ended = [event for record in written(it) if isinstance(event := event_of(record), RoutesExpired)]
    assert [event.reason for event in ended] == [RouteEnd.NOT_PERMITTED]


def test_it_stays_so_after_observations_results_and_another_opening(it: Ready) -> None:
    """Mutation: a choice that is not told of revocations takes the way over a revoked relay again."""
    revoke(it, "node-2")
    route = it.cluster.routes.best("node-1", channel="interactive")
    assert route is not None
    it.cluster.peers.observe("node-2", rtt_ms=0.1)
    it.cluster.routes.result(route, ok=False, reason="timeout")
    it.cluster.routes.review(everything=True)
    assert way(it, "node-1") == ((), ())
    it.kit.kill()
    assert way(it, "node-1") == ((), ()) and way(it, "node-2") is None


def test_a_node_that_no_way_touches_changes_no_route(it: Ready) -> None:
    before = dict(it.cluster._context.state[ROUTES].selected)
    revoke(it, "node-99")
    assert it.cluster._context.state[ROUTES].selected == before


def test_on_a_full_disk_a_route_that_could_not_be_chosen_anew_is_not_handed_out(it: Ready) -> None:
    fill(it)
    revoke(it, "node-1", "node-2")
    assert (way(it, "node-1"), way(it, "node-2")) == (None, None)


def test_a_crash_between_the_revocation_and_the_choice_is_made_up_for() -> None:
    for crash in crashed_at_every_operation(furnished, lambda it: revoke(it, "node-2")):
        crash.it.kit.open()
        revoked = crash.it.cluster._context.revoked_nodes
        assert revoked == ({"node-2"} if crash.it.cluster.status()["trust"]["bundle_version"] == 2 else frozenset())
        assert [found for found in kept_ways(crash.it) if touches(*found, revoked)] == []
