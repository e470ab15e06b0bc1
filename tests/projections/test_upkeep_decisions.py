"""When events of upkeep are written: for what is news, and once."""

import pytest

from rap_projections.health import HealthView, Quarantine
from rap_projections.health_events import QuarantineEvicted
from rap_projections.policy import Policy, effective
from rap_projections.retention import HOUR_US
from rap_projections.upkeep import DAMAGE_MAX, Damage, FailClosed, Scrub, Upkeep
from rap_projections.upkeep_decisions import (
    SCRUB_FIRST_US,
    Found,
    decide_damage,
    decide_fail_closed,
    decide_quarantine_counted,
    decide_scrub_done,
    is_checkpoint_due,
    is_scrub_due,
)
from rap_projections.upkeep_events import DamageFound, FailClosedEntered, FailClosedLeft, ScrubDone

ROTTEN = Found("trust/x", 7, "bad_digest", 4, is_repaired=False)
MENDED = Found("MARKER", 0, "bad_block", 0, is_repaired=True)
KNOWN = Upkeep(damage={"trust/x": Damage(7, "bad_digest", 4, "reported", 1, 1), "MARKER": Damage(0, "", 0, "reported", 1, 1)})


def test_damage_is_told_once_for_as_long_as_it_stands() -> None:
    assert decide_damage(Upkeep(), [ROTTEN]) == (DamageFound("trust/x", 7, "bad_digest", 4, "reported"),)
    assert decide_damage(KNOWN, [ROTTEN]) == ()


@pytest.mark.parametrize(
    ("events", "journal_bytes", "hours", "due"),
    [(0, 0, 0, False), (0, 9_000, 99, False), (99, 7_999, 4.999, False), (100, 0, 0, True), (1, 8_000, 0, True), (1, 0, 5, True)],
)
def test_a_checkpoint_is_due_after_events_bytes_or_hours_and_never_without_an_event(
    events: int, journal_bytes: int, hours: float, due: bool
) -> None:
    """Mutation: drop any of the four conditions."""
    policy = effective(Policy(checkpoint_interval_events=100, checkpoint_interval_bytes=8_000, checkpoint_interval_h=5), None)
    assert is_checkpoint_due(policy, events=events, journal_bytes=journal_bytes, node_us=int(hours * HOUR_US)) is due


def test_a_repair_is_told_each_time() -> None:
    assert decide_damage(KNOWN, [MENDED]) == (DamageFound("MARKER", 0, "bad_block", 0, "repaired"),)


def test_no_more_damage_is_told_than_is_remembered() -> None:
    found = [Found(f"file-{number}", 0, "bad_digest", 0, is_repaired=False) for number in range(DAMAGE_MAX + 5)]
    assert len(decide_damage(Upkeep(), found)) == DAMAGE_MAX
    assert len(decide_damage(KNOWN, found)) == DAMAGE_MAX - 2


def test_the_end_of_a_scrub_names_what_stands_sorted_and_bounded() -> None:
    assert decide_scrub_done(file_count=3, byte_count=9, repaired_count=1, standing={"b", "a"}) == (
        ScrubDone(3, 9, 1, ("a", "b")),
    )
    many = [f"file-{number:03d}" for number in range(DAMAGE_MAX + 5)]
    (event,) = decide_scrub_done(file_count=3, byte_count=9, repaired_count=1, standing=many)
    assert event[3] == tuple(many[:DAMAGE_MAX])


@pytest.mark.parametrize(
    ("last_us", "now_us", "interval_us", "expected"),
    [
        (None, SCRUB_FIRST_US, 10**12, True),
        (None, SCRUB_FIRST_US - 1, 10**12, False),
        (None, 10**15, 0, False),
        (5, 104, 100, False),
        (5, 105, 100, True),
        (5, 10**15, 0, False),
    ],
)
def test_a_scrub_is_due_an_interval_after_the_last_one(
    last_us: int | None, now_us: int, interval_us: int, expected: bool
) -> None:
    upkeep = Upkeep(last_scrub=None if last_us is None else Scrub(0, 0, 0, 0, last_us))
    assert is_scrub_due(upkeep, now_us=now_us, opened_us=0, interval_us=interval_us) is expected


def test_failing_closed_is_written_down_where_it_begins_changes_and_ends() -> None:
    closed = Upkeep(fail_closed=FailClosed("trust_damaged", 1))
    assert decide_fail_closed(Upkeep(), None) == decide_fail_closed(closed, "trust_damaged") == ()
    assert decide_fail_closed(Upkeep(), "tampered") == decide_fail_closed(closed, "tampered") == (FailClosedEntered("tampered"),)
    assert decide_fail_closed(closed, None) == (FailClosedLeft("trust_damaged"),)


def test_the_quarantine_is_corrected_where_less_is_there() -> None:
    health = HealthView(quarantine=Quarantine(3, 300))
    assert decide_quarantine_counted(health, 3, 300) == decide_quarantine_counted(health, 4, 400) == ()
    assert decide_quarantine_counted(health, 1, 100) == (QuarantineEvicted(2, 1, 100),)
