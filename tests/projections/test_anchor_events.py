"""What the agent's journal remembers of an anchor: which events, and what each leaves."""

from rap_journal.values import Durability
from rap_projections import agent, anchor_events
from rap_projections.agent import AgentView
from rap_projections.anchor_events import AnchorDoubtSettled, AnchorNote, AnchorNumbered, AnchorSeen
from rap_projections.event_kinds import AGENT
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors
from rap_projections.lifecycle import ClassReset
from tests.projections.class_log import ClassLog
from tests.projections.frozen_kinds import kinds_in, kinds_of, unwrapped

FROZEN = """
106.1 AnchorNumbered lifecycle strict: number, reason, floors (document), doubtful (name)
107.1 AnchorSeen observation sync: state, number
108.1 AnchorDoubtSettled decision sync: cluster_id (name)
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""

FLOORS = KnownFloors((3, b"b3"), (b"r", 2), "normal", (("peers", 1, 5, b"p"),), (0, 4, b"h"), (1000, 50, 90))


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(anchor_events) == unwrapped(FROZEN)


def test_only_numbers_are_strict_since_the_anchor_rises_behind_them() -> None:
    assert {kind.state_class for kind in kinds_in(anchor_events)} == {AGENT}
    assert [kind.name for kind in kinds_in(anchor_events) if kind.durability is Durability.STRICT] == ["AnchorNumbered"]


def test_a_number_replaces_the_one_before_with_its_floors_and_doubts() -> None:
    log = ClassLog(agent)
    log.append(AnchorNumbered(7, "set_up", (("lab", FLOORS), ("prod", NOTHING_KNOWN)), ("prod",)), node_us=5)
    log.append(AnchorNumbered(8, "floors", (("lab", FLOORS),), ()), node_us=6)
    assert log.state.view.anchor == AnchorNote(8, "floors", 6, {"lab": FLOORS}, ())
    assert log.state.view.provenance == {"anchor": 2}
    log.reload()
    assert log.state.view.anchor.floors["lab"].scopes == (("peers", 1, 5, b"p"),)


def test_what_the_anchor_answered_stands_beside_what_was_written() -> None:
    log = ClassLog(agent)
    log.append(AnchorNumbered(7, "set_up", (), ()), AnchorSeen("behind", 3), node_us=5)
    assert log.state.view.anchor == AnchorNote(7, "set_up", 5, {}, (), "behind", 3, 5)


def test_a_settled_doubt_is_one_less_and_one_that_is_not_there_changes_nothing() -> None:
    log = ClassLog(agent)
    log.append(AnchorNumbered(7, "rolled_back", (), ("lab", "prod")))
    log.append(AnchorDoubtSettled("lab"), AnchorDoubtSettled("strange"))
    assert log.state.view.anchor.doubtful == ("prod",)
    assert log.state.view.provenance["anchor"] == 2


def test_a_reset_of_the_agent_forgets_the_number() -> None:
    log = ClassLog(agent)
    log.append(AnchorNumbered(7, "set_up", (), ()), ClassReset(AGENT.number, 1, 1, "gap"))
    assert log.state.view.anchor == AgentView().anchor == AnchorNote()
