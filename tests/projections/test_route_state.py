"""How the state of the routes class is indexed, shown and kept."""

from typing import Any

import pytest

from rap_journal.errors import DamageError
from rap_projections import routes
from rap_projections.documents import RouteCandidate, Version
from rap_projections.peer_observations import FailureReason
from rap_projections.route_selection import SelectedRoute
from rap_projections.route_state import RouteFailure, RoutesState, from_value, to_value, view
from rap_projections.routes import CandidatesApplied, RouteResult, RoutesSelected
from tests.projections.class_log import ClassLog

CANDIDATES = (
    RouteCandidate("1", "z", "bulk", (), 5, False),
    RouteCandidate("2", "z", "bulk", ("r", "s"), 10**6, True),
    RouteCandidate("3", "y", "voice", ("r",), 0, False),
    RouteCandidate("4", "x", "voice", (), 0, False),
)


def chosen_log() -> ClassLog:
    """LSN 1 applies four candidates, 2 selects for z and y, 3 and 4 are a failure and a success on the way to z."""
    log = ClassLog(routes, {b"1": CANDIDATES})
    log.append(CandidatesApplied(b"1", 2, 3))
    log.append(
        RoutesSelected(1, ("z", "y"), ("bulk", "voice"), ("2", "3"), (70, 80), 1000, (500, 600), (("1",), ()), ((8, 9), ()), 10)
    )
    log.append(RouteResult("2", False, FailureReason.TIMEOUT, 30), node_us=40)
    log.append(RouteResult("1", True, 0, 30), node_us=50)
    return log


def test_a_route_shows_its_candidate_and_what_using_it_came_to() -> None:
    route = view(chosen_log().state).routes["z/bulk"]
    assert route[:8] == ("z", "bulk", "2", ("r", "s"), True, 70, 1000, ("1",))
    assert (route.last_success_us, route.last_success_path) == (50, ())
    assert route.last_failure == RouteFailure(40, FailureReason.TIMEOUT, "2")
    assert route.causes == (8, 9)
    assert {name: lsn for name, lsn in route.provenance.items() if lsn != 2} == {
        "last_success_us": 4,
        "last_success_path": 4,
        "last_failure": 3,
    }


def test_a_route_that_was_never_used_shows_no_result() -> None:
    route = view(chosen_log().state).routes["y/voice"]
    assert (route.last_success_us, route.last_success_path, route.last_failure) == (None, None, None)


def test_a_view_holds_the_snapshot_and_routes_by_destination_and_channel() -> None:
    seen = view(chosen_log().state)
    assert (seen.content_id, seen.version, seen.candidate_count) == (b"1", Version(2, 3), 4)
    assert (list(seen.routes), len(seen.routes)) == (["y/voice", "z/bulk"], 2)
    for absent in ("x/voice", "z/voice", "z", ""):
        assert absent not in seen.routes


def test_a_view_stays_as_it_was_taken() -> None:
    log = chosen_log()
    before = view(log.state)
    shown = dict(before.routes)
    log.append(RouteResult("2", True, 0, 30), CandidatesApplied(None, 0, 0))
    assert dict(before.routes) == shown
    assert dict(view(log.state).routes) == {}


def test_what_has_no_route_is_missing_and_what_is_due_comes_in_order() -> None:
    state = chosen_log().state
    assert state.missing == {("x", "voice")}
    assert [route.destination for route in state.due_at(600)] == ["z", "y"]
    assert [route.destination for route in state.due_at(599)] == ["z"]
    state.drop(("z", "bulk"))
    assert state.missing == {("x", "voice"), ("z", "bulk")}
    assert [route.destination for route in state.due_at(600)] == ["y"]
    state.drop(("z", "bulk"))
    assert len(state.due) == 1


def test_a_peer_leads_to_every_route_with_a_candidate_over_or_to_it() -> None:
    state = chosen_log().state
    found = {peer: set(state.keys_through(peer)) for peer in "rszyq"}
    assert found == {
        "r": {("z", "bulk"), ("y", "voice")},
        "s": {("z", "bulk")},
        "z": {("z", "bulk")},
        "y": {("y", "voice")},
        "q": set(),
    }


def test_the_value_reads_back_with_everything_derived() -> None:
    state = chosen_log().state
    copy = from_value(to_value(state))
    assert to_value(copy) == to_value(state)
    for name in ("candidates", "by_id", "results", "selected", "missing", "due", "applied_lsn"):
        assert getattr(copy, name) == getattr(state, name)


def test_an_empty_state_has_a_value() -> None:
    assert to_value(from_value(to_value(RoutesState()))) == to_value(RoutesState())


def test_a_route_in_the_value_is_that_of_its_candidate() -> None:
    route = from_value(to_value(chosen_log().state)).selected["z", "bulk"]
    assert route == SelectedRoute("z", "bulk", "2", ("r", "s"), 70, 1000, 0, ("1",), (8, 9), 2)


@pytest.mark.parametrize("index", [1, 3, 4, 5])
@pytest.mark.parametrize("wrong", [None, 7, (b"123",), "text", ((),)])
def test_a_value_of_another_shape_is_damage(index: int, wrong: Any) -> None:
    value: list[Any] = list(to_value(chosen_log().state))
    value[index] = wrong
    with pytest.raises(DamageError) as caught:
        from_value(value)
    assert caught.value.facts() == {"state_class": "routes", "reason": "checkpoint_shape"}


def test_a_route_over_an_unknown_candidate_is_damage() -> None:
    *rest, selected = to_value(chosen_log().state)
    with pytest.raises(DamageError):
        from_value((*rest, (("nobody", "3"), *selected[1:])))
