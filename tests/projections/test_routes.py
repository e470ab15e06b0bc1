"""The folds and decisions of the routes class."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rap_journal.batches import WEIGHT_MAX, weigh
from rap_journal.errors import MisuseError
from rap_journal.records import Category
from rap_projections import peers, routes
from rap_projections.documents import PeerEntry, RouteCandidate, Version
from rap_projections.event_kinds import ROUTES, Event, kind_numbered
from rap_projections.lifecycle import ClassReset
from rap_projections.peer_observations import FailureReason, ObservationBuffer
from rap_projections.peers import DirectoryApplied
from rap_projections.policy import Policy
from rap_projections.routes import (
    PENALTY_US,
    CandidatesApplied,
    RouteEnd,
    RouteResult,
    RoutesEvicted,
    RoutesExpired,
    RoutesSelected,
    best,
    decide_candidates,
    decide_eviction,
    decide_expiry,
    decide_result,
    decide_routes,
    empty,
    from_value,
    next_deadline,
    to_value,
    view,
)
from rap_projections.testing.entries import make_peer, make_route
from rap_tools.traces import LatencyTrace
from tests.projections.class_log import SECOND, ClassLog, at
from tests.shared_data import shared_data

POLICY = Policy(observation_age_s_max=600, route_age_s_max=200, route_switch_permille=0)
START_US = 1000 * SECOND


class Node:
    """The peers and routes of one node, which decides after each thing that happens."""

    def __init__(self, names: str = "abr", candidates: tuple[RouteCandidate, ...] = (), policy: Policy = POLICY) -> None:
        self.policy = policy
        self.now_us = START_US
        self.peers = ClassLog(peers, {b"1": tuple(map(make_peer, names))})
        # A journal gives every LSN once; LSNs of routes are told from those of peers by being above 100.
        self.routes = ClassLog(routes, {b"1": candidates}, last_lsn=100)
        self.peers.append(DirectoryApplied(b"1", 1, 1, 10_000))
        self.routes.append(CandidatesApplied(b"1", 1, 1))

    def see(self, *rows: Any) -> set[int]:
        """Observe peers now; returns the numbers of those that were."""
        buffer = ObservationBuffer(self.peers.state, failures_max=8)
        buffer.observe_many(rows, self.now_us)
        events = buffer.drain()
        self.peers.append(*events)
        return {number for event in events for number in event.number_column()}

    def decide(self, touched: set[int] | None = None, log: ClassLog | None = None) -> tuple[Event, ...]:
        """Choose routes now and record the choice."""
        log = log or self.routes
        events = decide_routes(log.state, self.peers.state, self.policy, at(self.now_us), touched)
        log.append(*events, node_us=self.now_us)
        return events

    def result(self, name: str, *, ok: bool, reason: str | None = None) -> None:
        """Note what using a candidate came to, now."""
        self.routes.append(*decide_result(self.routes.state, name, ok=ok, reason=reason), node_us=self.now_us)

    def in_use(self) -> dict[str, str]:
        """Destination and candidate of every route in use."""
        return {route.destination: route.candidate_id for route in self.routes.state.selected.values()}


TO_A = (make_route("a", cost=0), make_route("a", ["r"], cost=0))
TO_B = (make_route("b", cost=0), make_route("b", ["r"], cost=0))
DIRECT_A, RELAYED_A, DIRECT_B, RELAYED_B = (candidate.id for candidate in (*TO_A, *TO_B))


@pytest.mark.parametrize(
    ("number", "event", "category"),
    [
        (80, CandidatesApplied, Category.DECISION),
        (81, RoutesSelected, Category.DECISION),
        (82, RoutesExpired, Category.EVICTION),
        (83, RouteResult, Category.OBSERVATION),
        (84, RoutesEvicted, Category.EVICTION),
    ],
)
def test_the_kinds_of_the_class_have_their_numbers(number: int, event: type, category: Category) -> None:
    kind = kind_numbered(number, 1)
    assert kind is not None
    assert (kind.type, kind.state_class, kind.category) == (event, ROUTES, category)


# Choosing.


def test_routes_are_chosen_for_everything_that_has_candidates() -> None:
    node = Node(candidates=(*TO_A, *TO_B))
    touched = node.see(("a", 50.0), ("b", 60.0), ("r", 10.0))
    (event,) = node.decide(touched)
    assert isinstance(event, RoutesSelected)
    assert (event.destinations, event.channels, event.candidate_ids) == (("a", "b"), ("interactive",) * 2, (DIRECT_A, DIRECT_B))
    assert (event.alternatives, event.causes) == (((RELAYED_A,), (RELAYED_B,)), ((2,), (3,)))
    assert (event.expires_us, event.applied_lsn, event.routes_max) == (START_US + 200 * SECOND, 101, 10_000)
    route = best(node.routes.state, "a", "interactive")
    assert route is not None
    assert (route.candidate_id, route.path, route.score, route.lsn) == (DIRECT_A, (), event.scores[0], 102)


def test_the_best_route_is_none_where_nothing_was_chosen_or_it_has_expired() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    state, expires_us = node.routes.state, START_US + 200 * SECOND
    assert best(state, "b", "interactive") is None
    assert best(state, "a", "bulk") is None
    assert best(state, "a", "interactive", expires_us) is None
    assert best(state, "a", "interactive", expires_us - 1) is not None


def test_nothing_is_decided_where_nothing_changed() -> None:
    node = Node(candidates=TO_A)
    node.see(("a", 50.0), ("r", 10.0))
    assert len(node.decide()) == 1
    assert node.decide() == ()
    assert node.decide(node.see(("a", 50.0))) == (), "a score within a tenth is not worth a record"


def test_a_score_that_moved_by_more_than_a_tenth_is_recorded_again() -> None:
    node = Node(candidates=TO_A[:1])
    for _ in range(100):
        node.see(("a", 100.0))
    node.decide()
    (event,) = node.decide(node.see(("a", 220.0)))
    assert isinstance(event, RoutesSelected)
    assert event.candidate_ids == (DIRECT_A,)


def test_only_routes_over_a_touched_peer_are_looked_at() -> None:
    node = Node(names="abrs", candidates=(*TO_A, *TO_B, make_route("b", ["s"], cost=0)))
    node.see(("a", 50.0), ("b", 50.0), ("r", 10.0), ("s", 10.0))
    node.decide()
    before = node.routes.state.selected["b", "interactive"]
    touched = node.see(*[("a", None, "timeout")] * 3)
    (event,) = node.decide(touched)
    assert isinstance(event, RoutesSelected)
    assert (event.destinations, event.candidate_ids) == (("a",), (RELAYED_A,))
    assert node.routes.state.selected["b", "interactive"] is before


def test_a_route_in_use_gives_way_only_to_one_better_by_the_policys_margin() -> None:
    node = Node(candidates=TO_A, policy=Policy(route_switch_permille=500))
    node.see(("a", 50.0), ("r", 10.0))
    node.decide()
    node.decide(node.see(("a", None)))
    assert node.in_use() == {"a": RELAYED_A}, "625 ms against 70 ms: more than half better"
    for _ in range(20):
        node.see(("a", 50.0))
    node.decide()
    assert node.in_use() == {"a": RELAYED_A}, "direct is better again, by less than half"


def test_without_room_only_the_routes_in_use_are_looked_at() -> None:
    node = Node(candidates=(*TO_A, *TO_B), policy=Policy(routes_max=1))
    node.decide()
    assert node.in_use() == {"a": DIRECT_A}
    assert node.decide() == ()


def test_selections_beyond_the_limit_in_the_event_are_not_taken() -> None:
    node = Node(candidates=(*TO_A, *TO_B))
    (event,) = decide_routes(node.routes.state, node.peers.state, POLICY, at(START_US))
    assert isinstance(event, RoutesSelected)
    node.routes.append(event._replace(routes_max=1))
    assert node.in_use() == {"a": DIRECT_A}


def test_many_selections_are_split_over_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ROUTES_PER_EVENT_MAX", 2)
    node = Node(candidates=tuple(make_route(name) for name in "abcde"))
    events = node.decide()
    assert [event.destinations for event in events if isinstance(event, RoutesSelected)] == [("a", "b"), ("c", "d"), ("e",)]
    assert set(node.in_use()) == set("abcde")


def test_choices_with_many_long_alternatives_are_split_so_that_each_event_fits_into_one_frame() -> None:
    destinations = [f"{number:03}-{'n' * 60}" for number in range(200)]
    ways = [
        make_route(name, cost=cost)._replace(id=f"{name[:3]}-{cost:02}-{'i' * 57}") for name in destinations for cost in range(17)
    ]
    node = Node(candidates=tuple(ways), policy=Policy(route_age_s_max=200, alternatives_max=16))
    events = node.decide()
    assert [len(event.destinations) for event in events if isinstance(event, RoutesSelected)] == [162, 38]
    assert {len(route.alternatives) for route in node.routes.state.selected.values()} == {16}
    assert max(weigh(event) for event in events) < WEIGHT_MAX


# Candidates.


def test_applying_the_active_snapshot_again_is_no_event() -> None:
    node = Node(candidates=TO_A)
    assert decide_candidates(node.routes.state, b"1", Version(1, 1)) == ()
    assert decide_candidates(node.routes.state, b"2", Version(1, 2)) == (CandidatesApplied(b"2", 1, 2),)


def test_folding_the_active_snapshot_again_changes_nothing_but_the_lsn_it_was_applied_at() -> None:
    node = Node(candidates=(*TO_A, *TO_B))
    node.decide()
    before = node.routes.value()
    node.routes.append(CandidatesApplied(b"1", 1, 1))
    assert node.routes.value() == (*before[:2], 103, *before[3:])


def test_new_candidates_end_the_routes_they_do_not_permit_and_have_the_others_looked_at_again() -> None:
    node = Node(candidates=(*TO_A, *TO_B))
    node.decide()
    changed = (TO_A[0], make_route("a", ["b"], cost=0), TO_B[0]._replace(cost=9))
    node.routes.bodies = type(node.routes.bodies)({b"2": changed})
    node.routes.append(CandidatesApplied(b"2", 1, 2))
    route = node.routes.state.selected["a", "interactive"]
    assert (route.candidate_id, route.alternatives, route.review_us) == (DIRECT_A, (), 0)
    assert node.in_use() == {"a": DIRECT_A}
    assert next_deadline(node.routes.state) == 0
    node.decide(set())
    assert node.in_use() == {"a": DIRECT_A, "b": DIRECT_B}
    assert node.routes.state.selected["a", "interactive"].alternatives == (changed[1].id,)


def test_without_a_snapshot_there_are_no_routes_and_no_results() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    node.result(DIRECT_A, ok=True)
    node.routes.append(CandidatesApplied(None, 0, 0))
    assert (node.in_use(), node.routes.state.results, len(node.routes.state.due)) == ({}, {}, 0)


def test_a_choice_made_from_older_candidates_is_taken_where_it_fits_and_looked_at_again() -> None:
    node = Node(candidates=(*TO_A, *TO_B))
    events = decide_routes(node.routes.state, node.peers.state, POLICY, at(START_US))
    node.routes.bodies = type(node.routes.bodies)({b"2": TO_A[:1]})
    node.routes.append(CandidatesApplied(b"2", 1, 2), *events)
    route = node.routes.state.selected["a", "interactive"]
    assert (node.in_use(), route.alternatives, route.review_us) == ({"a": DIRECT_A}, (), 0)


def test_a_route_the_policy_does_not_allow_any_more_ends() -> None:
    shortcut = make_route("a")._replace(shortcut=True)
    node = Node(candidates=(shortcut,))
    node.decide()
    assert view(node.routes.state).routes["a/interactive"].shortcut
    node.policy = Policy(shortcut_allowed=False)
    assert node.decide() == (RoutesExpired(("a",), ("interactive",), START_US, RouteEnd.NOT_PERMITTED),)
    assert node.in_use() == {}
    assert node.decide() == ()


# Results.


def test_a_failure_in_use_has_the_route_looked_at_again_and_another_way_is_taken() -> None:
    node = Node(candidates=TO_A)
    node.see(("a", 50.0), ("r", 10.0))
    node.decide()
    node.now_us += SECOND
    node.result(DIRECT_A, ok=False, reason="refused")
    node.decide(set())
    assert node.in_use() == {"a": RELAYED_A}
    shown = view(node.routes.state).routes["a/interactive"]
    assert shown.last_failure == (node.now_us, FailureReason.REFUSED, DIRECT_A)
    assert shown.causes == (2, 3, 103), "the rows of a and r, and the record of the failure"


@pytest.mark.parametrize("how", ["time", "observation", "success"])
def test_a_failed_way_is_taken_again_after_time_an_answer_or_a_success(how: str) -> None:
    node = Node(candidates=TO_A)
    node.see(("a", 50.0), ("r", 10.0))
    node.decide()
    node.result(DIRECT_A, ok=False, reason="timeout")
    node.decide(set())
    assert node.in_use() == {"a": RELAYED_A}
    node.now_us += PENALTY_US if how == "time" else SECOND
    if how == "success":
        node.result(DIRECT_A, ok=True)
    node.decide(node.see(("a", 50.0)) if how == "observation" else set())
    assert node.in_use() == {"a": DIRECT_A}


def test_the_end_of_a_penalty_is_a_deadline() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    node.result(DIRECT_A, ok=False)
    node.decide(set())
    assert next_deadline(node.routes.state) == START_US + PENALTY_US


def test_a_success_is_kept_as_the_last_successful_path() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    before = node.routes.state.selected["a", "interactive"]
    node.result(RELAYED_A, ok=True)
    shown = view(node.routes.state).routes["a/interactive"]
    assert (shown.last_success_us, shown.last_success_path) == (START_US, ("r",))
    assert node.routes.state.selected["a", "interactive"] is before, "a success alone asks for no new choice"


def test_the_result_of_a_way_that_is_not_permitted_is_no_event_and_folds_to_nothing() -> None:
    node = Node(candidates=TO_A)
    assert decide_result(node.routes.state, "gone", ok=True) == ()
    before = node.routes.value()
    node.routes.append(RouteResult("gone", False, 1, 5))
    assert node.routes.value() == before


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(MisuseError):
        decide_result(Node(candidates=TO_A).routes.state, DIRECT_A, ok=False, reason="tired")


# Expiry and eviction.


def test_routes_expire_at_the_age_of_the_policy() -> None:
    node = Node(candidates=(*TO_A, *TO_B[:1]))
    node.see(("a", 5.0))
    node.decide()
    expires_us = START_US + 200 * SECOND
    assert decide_expiry(node.routes.state, at(expires_us - 1)) == ()
    events = decide_expiry(node.routes.state, at(expires_us))
    assert events == (RoutesExpired(("a", "b"), ("interactive",) * 2, expires_us, RouteEnd.AGE),)
    node.routes.append(*events)
    assert (node.in_use(), next_deadline(node.routes.state)) == ({}, None)


def test_a_route_that_was_chosen_again_meanwhile_does_not_expire() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    events = decide_expiry(node.routes.state, at(START_US + 200 * SECOND))
    node.now_us += 150 * SECOND
    node.decide()
    node.routes.append(*events)
    assert node.in_use() == {"a": DIRECT_A}


def test_a_route_is_renewed_at_half_its_age_even_if_nothing_is_seen() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    assert next_deadline(node.routes.state) == START_US + 100 * SECOND
    node.now_us += 100 * SECOND
    (event,) = node.decide(set())
    assert isinstance(event, RoutesSelected)
    assert (event.candidate_ids, event.expires_us) == ((DIRECT_A,), START_US + 300 * SECOND)


def test_expired_routes_are_chosen_again_at_the_next_occasion() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    node.now_us += 500 * SECOND
    node.routes.append(*decide_expiry(node.routes.state, at(node.now_us)))
    assert node.in_use() == {}
    node.decide(set())
    assert node.in_use() == {"a": DIRECT_A}


def test_a_limit_that_fell_evicts_what_expires_first_and_of_that_the_worst() -> None:
    node = Node(names="abcd", candidates=tuple(make_route(name) for name in "abcd"))
    node.see(("a", 10.0), ("b", 90.0), ("c", 50.0), ("d", 1.0))
    node.decide()
    node.now_us += 50 * SECOND
    node.decide(node.see(*[("d", 500.0)] * 9))
    events = decide_eviction(node.routes.state, Policy(routes_max=2))
    assert events == (RoutesEvicted(("b", "c"), ("interactive",) * 2, 2),)
    node.routes.append(*events)
    assert set(node.in_use()) == set("ad")
    assert decide_eviction(node.routes.state, Policy(routes_max=2)) == ()


def test_a_reset_leaves_nothing() -> None:
    node = Node(candidates=TO_A)
    node.decide()
    node.routes.append(ClassReset(ROUTES.number, 0, 0, "checkpoint_damaged"))
    assert node.routes.value() == to_value(empty())
    assert (node.routes.state.missing, len(node.routes.state.due)) == (set(), 0)


# Looking at what changed is looking at everything.

DESTINATIONS = "abcd"
HOPS = "abrs"


def candidates_of(seed: int) -> tuple[RouteCandidate, ...]:
    """A snapshot's candidates: direct, and over one or two relays, of which `seed` leaves some out."""
    ways = [
        make_route(to, relays, cost=10 * (index % 3))._replace(shortcut=index % 5 == 4)
        for index, (to, relays) in enumerate((to, relays) for to in DESTINATIONS for relays in ([], ["r"], ["s"], ["r", "s"]))
    ]
    return tuple(sorted(way for index, way in enumerate(ways) if (seed >> index % 7) & 1))


STEP = st.one_of(
    st.tuples(
        st.just("see"),
        st.lists(st.tuples(st.sampled_from(HOPS), st.one_of(st.none(), st.floats(0, 400))), min_size=1, max_size=4),
    ),
    st.tuples(st.just("wait"), st.integers(0, 250)),
    st.tuples(st.just("fail"), st.integers(0, 20)),
    st.tuples(st.just("succeed"), st.integers(0, 20)),
    st.tuples(st.just("snapshot"), st.sampled_from([0b1111111, 0b1010101, 0b0001111, 0])),
    st.tuples(st.just("expire"), st.none()),
    st.tuples(st.just("reload"), st.none()),
)


def take(node: Node, step: tuple[str, Any], version: int) -> set[int]:
    """Let one thing happen; returns the peers it touched."""
    what, value = step
    state = node.routes.state
    if what == "see":
        return node.see(*value)
    if what == "wait":
        node.now_us += value * SECOND
    elif what in ("fail", "succeed") and state.by_id:
        node.result(sorted(state.by_id)[value % len(state.by_id)], ok=what == "succeed")
    elif what == "snapshot":
        node.routes.append(CandidatesApplied(str(value).encode(), 1, version), node_us=node.now_us)
    elif what == "expire":
        node.peers.append(*peers.decide_expiry(node.peers.state, at(node.now_us), node.policy))
        node.routes.append(*decide_expiry(state, at(node.now_us)))
    elif what == "reload":
        node.routes.reload()
    return set()


@settings(max_examples=200)
@given(st.lists(STEP, max_size=25), st.sampled_from([0, 100]), st.integers(1, 5))
def test_looking_at_what_changed_decides_what_looking_at_everything_would(
    steps: list[tuple[str, Any]], switch_permille: int, routes_max: int
) -> None:
    policy = Policy(
        observation_age_s_max=300,
        route_age_s_max=200,
        route_switch_permille=switch_permille,
        routes_max=routes_max,
        shortcut_allowed=False,
    )
    node = Node(names=HOPS, policy=policy)
    node.routes.bodies = type(node.routes.bodies)({str(seed).encode(): candidates_of(seed) for seed in range(128)})
    node.routes.append(CandidatesApplied(b"127", 1, 1))
    for version, step in enumerate(steps, 2):
        touched = take(node, step, version)
        everything = decide_routes(node.routes.state, node.peers.state, policy, at(node.now_us), None)
        assert node.decide(touched) == everything
        assert len(node.routes.state.selected) <= routes_max
        assert all(route.expires_us > node.now_us for route in node.routes.state.selected.values())
        if switch_permille == 0 and routes_max >= len(DESTINATIONS):
            assert same_choice(node.routes.state, from_scratch(node))


def from_scratch(node: Node) -> Any:
    """The routes chosen now by a node that keeps its candidates and results, and none of its routes."""
    *rest, _ = node.routes.value()
    fresh = ClassLog(routes)
    fresh.state = from_value((*rest, to_value(empty())[-1]))
    node.decide(None, fresh)
    return fresh.state


def same_choice(one: Any, other: Any) -> bool:
    """Whether both states have the same candidates and alternatives in use."""
    return {key: (route.candidate_id, route.alternatives) for key, route in one.selected.items()} == {
        key: (route.candidate_id, route.alternatives) for key, route in other.selected.items()
    }


@pytest.mark.parametrize("this_node", [17, 42])
def test_on_measured_round_trips_looking_at_what_changed_is_looking_at_everything(this_node: int) -> None:
    trace = LatencyTrace.open(shared_data("net-latency", "seattle"))
    names = [trace.node_name(peer) for peer in range(trace.node_count) if peer != this_node]
    candidates = [make_route(name, cost=0) for name in names]
    candidates += [make_route(name, [relay], cost=5) for name in names for relay in names[::25] if relay != name]
    node = Node(candidates=tuple(candidates), policy=Policy(route_switch_permille=0))
    entries: tuple[PeerEntry, ...] = tuple(map(make_peer, sorted(names)))
    node.peers.bodies = type(node.peers.bodies)({b"2": entries})
    node.peers.append(DirectoryApplied(b"2", 1, 2, 1000))
    selections = 0
    for slice_index, row in trace.rows(this_node):
        node.now_us += 60 * SECOND
        touched = node.see(*[(trace.node_name(peer), rtt_ms) for peer, rtt_ms in row])
        if slice_index % 20 == 0:
            everything = decide_routes(node.routes.state, node.peers.state, node.policy, at(node.now_us), None)
            assert node.decide(touched) == everything
            assert same_choice(node.routes.state, from_scratch(node))
        else:
            selections += sum(len(event.destinations) for event in node.decide(touched) if isinstance(event, RoutesSelected))
    assert len(node.in_use()) == len(names)
    assert selections < trace.slices * len(names) / 2, "most looks find that the route in use stands"
