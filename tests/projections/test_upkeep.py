"""How the journal is kept, as the health class remembers it: bounded, and in doubt towards keeping."""

from typing import Any

from rap_journal.records import Record
from rap_projections.class_state import packed, unpacked
from rap_projections.upkeep import (
    DAMAGE_MAX,
    INCIDENT_JOIN_US,
    INCIDENTS_MAX,
    STEPS,
    Damage,
    FailClosed,
    GaveWay,
    Incident,
    Scrub,
    Upkeep,
    with_floor,
    with_incident,
)
from rap_projections.upkeep_events import (
    DamageFound,
    FailClosedEntered,
    FailClosedLeft,
    LedgerShortened,
    ScrubDone,
    SpaceGaveWay,
)


def record(lsn: int, node_us: int) -> Record:
    return Record(lsn, 130, 1, 4, 6, 1, 0, 0, node_us, bytes(16), (), None, "agent", None, ())


FRESH = Upkeep()


def after(*events: Any, before: Upkeep = FRESH) -> Upkeep:
    """The state after these events, which have LSN 1, 2, … and node time 10, 20, …"""
    for lsn, event in enumerate(events, 1):
        before = STEPS[type(event)](before, event, record(lsn, 10 * lsn))
    return before


def test_incidents_within_an_hour_of_the_first_are_one() -> None:
    upkeep = with_incident(with_incident(Upkeep(), 100, 1), 100 + INCIDENT_JOIN_US, 2)
    assert upkeep.incidents == (Incident(100, 100 + INCIDENT_JOIN_US, 2),)
    upkeep = with_incident(upkeep, 101 + INCIDENT_JOIN_US, 3)
    assert [incident.last_lsn for incident in upkeep.incidents] == [2, 3]


def test_an_incident_whose_record_waited_does_not_make_a_pin_shorter() -> None:
    upkeep = with_incident(with_incident(Upkeep(), 100, 1), 50, 2)
    assert upkeep.incidents == (Incident(100, 100, 2),)


def test_of_too_many_incidents_the_oldest_become_one_that_spans_both() -> None:
    upkeep = Upkeep()
    for number in range(INCIDENTS_MAX + 2):
        upkeep = with_incident(upkeep, 2 * INCIDENT_JOIN_US * number, number + 1)
    assert len(upkeep.incidents) == INCIDENTS_MAX
    assert upkeep.incidents[0] == Incident(0, 4 * INCIDENT_JOIN_US, 3)
    assert upkeep.incidents[-1].last_lsn == INCIDENTS_MAX + 2


def test_incidents_that_the_floor_has_passed_are_forgotten() -> None:
    upkeep = with_incident(with_incident(Upkeep(), 0, 5), 2 * INCIDENT_JOIN_US, 9)
    assert [incident.last_lsn for incident in with_floor(upkeep, 5).incidents] == [9]
    assert with_floor(upkeep, 4) == upkeep


def test_failing_closed_is_an_incident_and_remembered_until_it_is_over() -> None:
    upkeep = after(FailClosedEntered("trust_damaged"))
    assert (upkeep.fail_closed, upkeep.incidents) == (FailClosed("trust_damaged", 10), (Incident(10, 10, 1),))
    upkeep = after(FailClosedLeft("trust_damaged"), before=upkeep)
    assert (upkeep.fail_closed, len(upkeep.incidents)) == (None, 1)


def test_what_gave_way_last_is_remembered_by_step() -> None:
    upkeep = after(SpaceGaveWay("history", 5, 1, 9, 8), SpaceGaveWay("ledger", 6, 2, 9, 8), SpaceGaveWay("history", 7, 3, 9, 8))
    assert dict(upkeep.gave_way) == {"history": GaveWay(7, 3, 30), "ledger": GaveWay(6, 2, 20)}


def test_what_the_ledger_no_longer_tells_only_rises() -> None:
    assert after(LedgerShortened(9, 1, 1), LedgerShortened(7, 1, 1)).ledger_gone_lsn == 9


def test_damage_stands_until_it_is_repaired_or_not_found_again() -> None:
    found = [DamageFound("MARKER", 0, "bad_block", 0, "reported"), DamageFound("trust/x", 7, "bad_digest", 4, "reported")]
    upkeep = after(*found)
    assert dict(upkeep.damage) == {
        "MARKER": Damage(0, "bad_block", 0, "reported", 10, 1), "trust/x": Damage(7, "bad_digest", 4, "reported", 20, 2),
    }  # fmt: skip
    assert set(after(DamageFound("MARKER", 0, "bad_block", 0, "repaired"), before=upkeep).damage) == {"trust/x"}
    done = after(ScrubDone(5, 50, 1, ("MARKER",)), before=upkeep)
    assert (set(done.damage), done.last_scrub) == ({"MARKER"}, Scrub(5, 50, 1, 1, 10))


def test_no_more_damage_is_remembered_than_there_is_room_for() -> None:
    upkeep = after(*[DamageFound(f"file-{number}", 0, "bad_digest", 0, "reported") for number in range(DAMAGE_MAX + 5)])
    assert len(upkeep.damage) == DAMAGE_MAX


def test_a_checkpoint_holds_all_of_it() -> None:
    upkeep = after(
        FailClosedEntered("trust_damaged"), SpaceGaveWay("history", 5, 1, 9, 8), LedgerShortened(9, 1, 1),
        DamageFound("MARKER", 0, "bad_block", 0, "reported"), ScrubDone(5, 50, 1, ("MARKER",)),
    )  # fmt: skip
    assert unpacked(Upkeep, packed(upkeep)) == upkeep
    assert unpacked(Upkeep, packed(Upkeep())) == Upkeep()
