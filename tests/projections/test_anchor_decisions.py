"""What an anchor's number means beside the journal's, when it rises, and what is a floor below another."""

from itertools import product

import pytest

from rap_projections.agent import AgentView, DiagnosticNoted, Membership
from rap_projections.anchor_decisions import (
    REST_US,
    VERDICTS,
    AnchorState,
    Answer,
    Knows,
    Settings,
    Standing,
    count_risen,
    decide_numbered,
    decide_seen,
    is_below,
    is_due,
    judge,
    settings_of,
)
from rap_projections.anchor_events import AnchorNote, AnchorNumbered, AnchorSeen
from rap_projections.event_kinds import Event
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors
from rap_projections.policy import Policy

HOUR_US = 3_600_000_000
FLOORS = KnownFloors(
    (3, b"b3"), (b"r3", 2), "normal", (("peers", 1, 5, b"p5"), ("routes", 1, 2, b"r2")), (0, 4, b"h4"), (1000, 50, 90)
)


@pytest.mark.parametrize(
    ("answer", "written", "state"),
    [
        (Answer(None), 7, "unavailable"),
        (Answer(None), 0, "unavailable"),
        (Answer(None, is_gone=True), 7, "lost"),
        (Answer(None, is_gone=True), 0, "not_set_up"),
        (Answer(7), 7, "current"),
        (Answer(6), 7, "current"),
        (Answer(0), 1, "current"),
        (Answer(5), 7, "behind"),
        (Answer(0), 7, "behind"),
        (Answer(8), 7, "rolled_back"),
        (Answer(1 << 62), 7, "rolled_back"),
        (Answer(8), 0, "rolled_back"),
        (Answer(0), 0, "not_set_up"),
    ],
)
def test_a_number_beside_a_store_with_clusters_means_this(answer: Answer, written: int, state: str) -> None:
    assert judge(answer, written=written, has_clusters=True).value == state


@pytest.mark.parametrize("number", [0, 1, 8])
def test_without_clusters_and_numbers_nothing_can_have_been_put_back(number: int) -> None:
    assert judge(Answer(number), written=0, has_clusters=False) is AnchorState.NOT_SET_UP


def test_every_combination_that_can_be_has_a_verdict_and_no_other_has() -> None:
    only_with_a_number = {Standing.EQUAL, Standing.LOWER, Standing.ONE_LOWER}
    possible = {
        (standing, knows)
        for standing, knows in product(Standing, Knows)
        if (standing in only_with_a_number) <= (knows is Knows.NUMBER)
        and not (standing is Standing.FRESH and knows is Knows.NUMBER)
    }
    assert VERDICTS.keys() == possible


def test_only_a_number_above_the_journals_is_a_rollback_and_only_the_same_or_the_one_before_is_in_step() -> None:
    rollbacks = {standing for (standing, _knows), state in VERDICTS.items() if state is AnchorState.ROLLED_BACK}
    in_step = {standing for (standing, _knows), state in VERDICTS.items() if state is AnchorState.CURRENT}
    assert (rollbacks, in_step) == ({Standing.HIGHER}, {Standing.EQUAL, Standing.ONE_LOWER})


@pytest.mark.parametrize(
    ("risen", "since_us", "due"),
    [
        (0, 1000 * HOUR_US, False),
        (1, 6 * HOUR_US, True),
        (1, 6 * HOUR_US - 1, False),
        (31, 6 * HOUR_US - 1, False),
        (32, REST_US, True),
        (1000, REST_US - 1, False),
    ],
)
def test_it_rises_at_the_interval_or_at_the_count_and_never_within_its_rest(risen: int, since_us: int, due: bool) -> None:
    note = AnchorNote(number=7, at_us=500)
    assert is_due(note, risen=risen, now_us=500 + since_us, settings=settings_of(Policy())) is due


def test_the_operators_limits_are_taken_over() -> None:
    assert settings_of(Policy(anchor_interval_h=2, anchor_floors_max=5)) == Settings(2, 5)


def test_the_most_raises_that_limits_allow_wear_a_counter_no_faster_than_it_is_said() -> None:
    year_us = 365 * 24 * HOUR_US
    assert year_us // REST_US == 52_560


def test_floors_that_rose_are_counted_and_time_is_none() -> None:
    assert count_risen({"lab": FLOORS}, {"lab": FLOORS}) == 0
    assert count_risen({"lab": FLOORS}, {"lab": FLOORS._replace(time=(9, 9, 9), restore="x")}) == 0
    assert count_risen({"lab": FLOORS}, {"lab": FLOORS._replace(bundle=(4, b"b4"), revocations=(b"r4", 3))}) == 2
    assert count_risen({}, {"lab": FLOORS}) == 5


BELOW: dict[str, KnownFloors] = {
    "an older bundle": FLOORS._replace(bundle=(2, b"b2")),
    "another bundle of the version": FLOORS._replace(bundle=(3, b"xx")),
    "an older head": FLOORS._replace(head=(0, 3, b"h3")),
    "another head of the version": FLOORS._replace(head=(0, 4, b"xx")),
    "an older document": FLOORS._replace(scopes=(("peers", 1, 4, b"p4"), FLOORS.scopes[1])),
    "a document of an older generation": FLOORS._replace(scopes=(("peers", 0, 9, b"p9"), FLOORS.scopes[1])),
    "another document of the version": FLOORS._replace(scopes=(("peers", 1, 5, b"xx"), FLOORS.scopes[1])),
    "a scope less": FLOORS._replace(scopes=FLOORS.scopes[:1]),
}


@pytest.mark.parametrize("what", BELOW)
def test_this_is_below_what_was_written(what: str) -> None:
    assert is_below(BELOW[what], FLOORS)


NOT_BELOW: dict[str, KnownFloors] = {
    "the same": FLOORS,
    "a newer bundle": FLOORS._replace(bundle=(4, b"b4")),
    "a newer head": FLOORS._replace(head=(0, 5, b"h5")),
    "a newer generation with a lower version": FLOORS._replace(scopes=(("peers", 2, 1, b"p"), FLOORS.scopes[1])),
    "one scope more": FLOORS._replace(scopes=(*FLOORS.scopes, ("services", 1, 1, b"s"))),
    "content that is not known": FLOORS._replace(bundle=(3, b""), head=(0, 4, b"")),
    "less time used up": FLOORS._replace(time=(0, 0, 0)),
}


@pytest.mark.parametrize("what", NOT_BELOW)
def test_this_is_not_below_what_was_written(what: str) -> None:
    assert not is_below(NOT_BELOW[what], FLOORS)
    assert not is_below(NOT_BELOW[what], NOTHING_KNOWN)


def view(note: AnchorNote, *clusters: str) -> AgentView:
    member = Membership(b"j" * 16, 0, None, "")
    return AgentView(anchor=note, clusters=dict.fromkeys(clusters, member))


def numbered(events: tuple[Event, ...]) -> AnchorNumbered:
    (event,) = events
    assert isinstance(event, AnchorNumbered)
    return event


def test_a_cluster_that_is_not_open_keeps_the_floors_that_were_written_of_it() -> None:
    before = view(AnchorNote(7, floors={"closed": FLOORS, "forgotten": FLOORS}), "closed", "lab")
    event = numbered(decide_numbered(before, 8, reason="floors", floors={"lab": FLOORS}))
    assert event == AnchorNumbered(8, "floors", (("closed", FLOORS), ("lab", FLOORS)), ())


def test_a_written_floor_is_never_lowered() -> None:
    before = view(AnchorNote(7, floors={"lab": FLOORS}), "lab")
    event = numbered(decide_numbered(before, 8, reason="floors", floors={"lab": BELOW["an older bundle"]}))
    assert dict(event.floors)["lab"].bundle == (3, b"b3")


def test_who_was_in_doubt_stays_in_doubt_unless_nobody_knows_it_any_more() -> None:
    before = view(AnchorNote(7, doubtful=("forgotten", "lab")), "lab", "prod")
    event = numbered(decide_numbered(before, 8, reason="rolled_back", floors={}, doubtful=frozenset({"prod"})))
    assert event.doubtful == ("lab", "prod")


def test_an_answer_is_told_once_and_one_that_somebody_should_look_at_with_a_sentence() -> None:
    before = view(AnchorNote(7, state="current"))
    assert decide_seen(before, AnchorState.CURRENT, 7) == ()
    seen, diagnostic = decide_seen(before, AnchorState.ROLLED_BACK, 8)
    assert seen == AnchorSeen("rolled_back", 8)
    assert isinstance(diagnostic, DiagnosticNoted) and diagnostic.code == "anchor-rolled-back"
    assert decide_seen(view(AnchorNote(7, state="unavailable")), AnchorState.CURRENT, 7) == (AnchorSeen("current", 7),)
