"""Choosing a route: a pure function, so every case is a small table of peers and candidates."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_projections.documents import RouteCandidate
from rap_projections.peer_state import PeerFacts
from rap_projections.policy import Policy
from rap_projections.route_selection import CandidateResult, SelectedRoute, penalised_until, select
from tests.projections.class_log import SECOND, at

NOW_US = 10_000 * SECOND
POLICY = Policy(observation_age_s_max=600, route_age_s_max=200, route_switch_permille=100)

DIRECT = RouteCandidate("1-direct", "z", "bulk", (), 0, False)
VIA_R = RouteCandidate("2-via-r", "z", "bulk", ("r",), 0, False)
VIA_RS = RouteCandidate("3-via-rs", "z", "bulk", ("r", "s"), 0, False)
SHORTCUT = RouteCandidate("0-shortcut", "z", "bulk", ("s",), 0, True)


def seen(latency_ms: int, loss_ppm: int = 0, reliability: int = 1000, *, ago_s: int = 1, lsn: int = 7) -> PeerFacts:
    """A peer that answered `ago_s` seconds ago."""
    at_us = NOW_US - ago_s * SECOND
    return PeerFacts(latency_ms * 1000, loss_ppm, reliability, at_us, at_us, lsn)


def choose(
    peers: Mapping[str, PeerFacts], *candidates: RouteCandidate, policy: Policy = POLICY, now_us: int = NOW_US, **more: Any
) -> SelectedRoute | None:
    return select("z", "bulk", candidates, peers.get, policy, at(now_us), **more)


def chosen(peers: Mapping[str, PeerFacts], *candidates: RouteCandidate, **more: Any) -> SelectedRoute:
    route = choose(peers, *candidates, **more)
    assert route is not None
    return route


def test_the_score_adds_latency_loss_unreliability_cost_and_relays() -> None:
    peers = {"z": seen(50, 1000, 900), "r": seen(20, 2000, 800), "s": seen(30, 3000, 700)}
    assert chosen(peers, DIRECT).score == 50_000 + 1000 * 4 + 100 * 100
    assert chosen(peers, VIA_RS._replace(cost=70)).score == (
        20_000 + 30_000 + 50_000 + (2000 + 3000) * 4 + (200 + 300) * 100 + 70 * 100 + 2 * 1000
    )


def test_loss_on_the_direct_way_says_nothing_about_the_way_around() -> None:
    peers = {"z": seen(50, 500_000), "r": seen(20)}
    route = chosen(peers, DIRECT, VIA_R)
    assert (route.candidate_id, route.path, route.score) == ("2-via-r", ("r",), 71_000)


def test_the_route_says_what_it_is_and_until_when() -> None:
    assert chosen({"z": seen(50, lsn=9), "r": seen(20, lsn=4), "s": seen(20, lsn=5)}, VIA_RS, VIA_R, DIRECT) == SelectedRoute(
        destination="z",
        channel="bulk",
        candidate_id="1-direct",
        path=(),
        score=50_000,
        expires_us=NOW_US + 200 * SECOND,
        review_us=NOW_US + 100 * SECOND,
        alternatives=("2-via-r", "3-via-rs"),
        causes=(9,),
    )


def test_nothing_seen_counts_as_a_cautious_default() -> None:
    unknown = 250_000 + 50_000 * 4 + 500 * 100
    assert chosen({}, DIRECT).score == unknown
    assert chosen({"z": seen(499)}, DIRECT).score < unknown < chosen({"z": seen(501)}, DIRECT).score
    assert chosen({}, DIRECT).causes == ()


def test_an_observation_of_the_policys_age_counts_as_unknown_and_one_younger_does_not() -> None:
    young, old = {"z": seen(50, ago_s=599)}, {"z": seen(50, ago_s=600)}
    assert chosen(young, DIRECT).score == 50_000
    assert chosen(old, DIRECT) == chosen({}, DIRECT)


def test_an_old_answer_and_a_fresh_failure_leave_the_latency_unknown_and_the_loss_known() -> None:
    peer = PeerFacts(50_000, 125_000, 900, NOW_US - 600 * SECOND, NOW_US - 1, 8)
    route = chosen({"z": peer}, DIRECT)
    assert (route.score, route.causes) == (250_000 + 125_000 * 4 + 100 * 100, (8,))


def test_the_review_comes_when_the_first_observation_of_any_candidate_grows_old() -> None:
    peers = {"z": seen(50, ago_s=1), "r": seen(20, ago_s=590)}
    assert chosen(peers, DIRECT, VIA_R).review_us == NOW_US + 10 * SECOND


@pytest.mark.parametrize(("success_ago_s", "observed_ago_s"), [(590, 1), (590, 590), (700, 590)])
def test_the_review_comes_when_the_last_answer_grows_old_or_without_one_the_last_failure(
    success_ago_s: int, observed_ago_s: int
) -> None:
    peer = seen(50)._replace(success_us=NOW_US - success_ago_s * SECOND, observed_us=NOW_US - observed_ago_s * SECOND)
    route = chosen({"z": peer}, DIRECT)
    assert route.review_us == NOW_US + 10 * SECOND
    later = chosen({"z": peer}, DIRECT, now_us=route.review_us)
    assert later.score != route.score == chosen({"z": peer}, DIRECT, now_us=route.review_us - 1).score


def test_equal_scores_are_decided_by_candidate_id_whatever_the_order() -> None:
    twins = [DIRECT._replace(id=name) for name in "cab"]
    assert chosen({}, *twins).candidate_id == "a"
    assert chosen({}, *twins).alternatives == ("b", "c")


def test_candidates_for_another_destination_or_channel_are_passed_over() -> None:
    assert choose({}, DIRECT._replace(destination="y"), DIRECT._replace(channel="voice")) is None


def test_without_a_candidate_there_is_no_route() -> None:
    assert choose({}) is None


def test_where_routes_may_have_no_age_there_is_none() -> None:
    assert choose({}, DIRECT, policy=Policy(route_age_s_max=0)) is None


def test_shortcuts_are_taken_only_where_the_policy_allows_them() -> None:
    peers = {"s": seen(1), "z": seen(400, 900_000)}
    forbidden = Policy(shortcut_allowed=False)
    assert chosen(peers, DIRECT, SHORTCUT).candidate_id == "0-shortcut"
    assert chosen(peers, DIRECT, SHORTCUT, policy=forbidden).candidate_id == "1-direct"
    assert chosen(peers, DIRECT, SHORTCUT, policy=forbidden).alternatives == ()
    assert choose(peers, SHORTCUT, policy=forbidden) is None


def test_alternatives_are_bounded_and_in_order() -> None:
    many = [DIRECT._replace(id=f"{cost:02}", cost=cost) for cost in range(20)]
    assert chosen({}, *reversed(many), policy=Policy(alternatives_max=3)).alternatives == ("01", "02", "03")
    assert chosen({}, *many, policy=Policy(alternatives_max=0)).alternatives == ()


@pytest.mark.parametrize(("direct_ms", "stays"), [(100, True), (91, True), (90, False), (50, False)])
def test_a_route_in_use_gives_way_only_to_one_that_is_a_tenth_better(direct_ms: int, stays: bool) -> None:
    other = DIRECT._replace(id="9-other", cost=1000)  # scores 100 ms more than its latency
    route = chosen({"z": seen(0)}, DIRECT._replace(cost=direct_ms * 10), other, current="9-other")
    assert route.candidate_id == ("9-other" if stays else "1-direct")
    assert route.alternatives == (("1-direct",) if stays else ("9-other",))


def test_a_route_in_use_that_is_no_candidate_any_more_holds_nothing_back() -> None:
    assert chosen({"z": seen(10)}, DIRECT, VIA_R, current="gone").candidate_id == "1-direct"


def failed(until_s: int, *, at_s: int = -5) -> CandidateResult:
    return CandidateResult(
        failure_us=NOW_US + at_s * SECOND, failure_lsn=77, failure_code=2, penalty_until_us=NOW_US + until_s * SECOND
    )


def test_a_failure_in_use_makes_a_candidate_the_last_resort_until_its_time_is_over() -> None:
    peers = {"z": seen(10, ago_s=6), "r": seen(200, ago_s=6)}
    route = chosen(peers, DIRECT, VIA_R, results={"1-direct": failed(20)}, current="1-direct")
    assert (route.candidate_id, route.alternatives, route.causes) == ("2-via-r", ("1-direct",), (7, 77))
    assert route.review_us == NOW_US + 20 * SECOND
    assert chosen(peers, DIRECT, results={"1-direct": failed(20)}).score == 60_000_000 + 10_000
    assert chosen(peers, DIRECT, VIA_R, results={"1-direct": failed(0)}).candidate_id == "1-direct"


@pytest.mark.parametrize(
    ("candidate", "answers_s", "lifted"),
    [
        (DIRECT, {"z": 4}, True),
        (DIRECT, {"z": 5}, False),
        (DIRECT, {"r": 1}, False),
        (VIA_R, {"r": 4}, True),
        (VIA_R, {"z": 4}, False),
        (VIA_RS, {"r": 4, "s": 5}, False),
        (VIA_RS, {"r": 4, "s": 4}, True),
    ],
)
def test_a_penalty_ends_when_every_judged_hop_answered_after_the_failure(
    candidate: RouteCandidate, answers_s: dict[str, int], lifted: bool
) -> None:
    peers = {name: seen(1, ago_s=ago_s) for name, ago_s in answers_s.items()}
    until_us = penalised_until(candidate, failed(20), peers.get, NOW_US)
    assert until_us == (0 if lifted else NOW_US + 20 * SECOND)


FACTS = st.builds(
    seen, st.integers(0, 400), st.integers(0, 1_000_000), st.integers(0, 1000), ago_s=st.integers(0, 900), lsn=st.integers(1, 99)
)
CANDIDATES = st.lists(
    st.builds(
        RouteCandidate,
        st.sampled_from("abcdefgh"),
        st.just("z"),
        st.just("bulk"),
        st.lists(st.sampled_from("rst"), max_size=2, unique=True).map(tuple),
        st.integers(0, 10**6),
        st.booleans(),
    ),
    unique_by=lambda candidate: candidate.id,
    min_size=1,
)


@given(st.dictionaries(st.sampled_from("rstz"), FACTS), CANDIDATES, st.randoms(use_true_random=False))
def test_the_choice_is_the_best_permitted_one_and_independent_of_order(
    peers: dict[str, PeerFacts], candidates: list[RouteCandidate], order: Any
) -> None:
    policy = Policy(shortcut_allowed=False, observation_age_s_max=600)
    scores = {}
    for candidate in candidates:
        alone = choose(peers, candidate, policy=policy)
        if not candidate.shortcut:
            assert alone is not None
            scores[candidate.id] = alone.score
        else:
            assert alone is None
    ranked = sorted(scores, key=lambda name: (scores[name], name))
    route = choose(peers, *candidates, policy=policy)
    shuffled = list(candidates)
    order.shuffle(shuffled)
    assert choose(peers, *shuffled, policy=policy) == route
    if route is None:
        assert ranked == []
    else:
        assert [route.candidate_id, *route.alternatives] == ranked[: 1 + policy.alternatives_max]
        assert route.score == scores[route.candidate_id]
        assert NOW_US < route.review_us <= route.expires_us
