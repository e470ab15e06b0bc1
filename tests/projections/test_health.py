"""What the events of the health class do to its state: above all, that time only runs out."""

import pytest

from rap_projections import health
from rap_projections.health import (
    LOST,
    NOTES_MAX,
    RECOVERIES_MAX,
    STATE_LOST,
    Checkpoint,
    Contact,
    Deadline,
    Degraded,
    HealthView,
    Heartbeat,
    History,
    NoteHeld,
    PolicyHeld,
    Pressure,
    Quarantine,
    Recovery,
    ServicesSummary,
    Uptime,
)
from rap_projections.health_events import (
    ContactObserved,
    DeadlineRenewed,
    DegradedEntered,
    DegradedLeft,
    HeartbeatSent,
    PartitionFlagged,
    PressureObserved,
    QuarantineEvicted,
    ServicesSummarised,
    UptimeDebited,
)
from rap_projections.lifecycle import CheckpointWritten, ClassReset, HistoryRetired, Note, PolicyInForce, RecoveryDone
from rap_projections.node_time import Now
from tests.projections.class_log import SECOND, ClassLog

BOOT, NEXT_BOOT = b"1" * 16, b"2" * 16
RECOVERY = RecoveryDone(3, 4096, 17, 120, "torn_tail", "bad_digest", "cut", "nothing", b"q" * 32)


def after(*events: tuple[object, ...], node_us: int = 7) -> HealthView:
    log = ClassLog(health)
    log.append(*events, node_us=node_us)
    view: HealthView = log.state.view
    return view


def test_contacts_keep_the_last_answer_and_the_last_failure_of_each_party() -> None:
    log = ClassLog(health)
    log.append(ContactObserved("storage", True), node_us=5)
    log.append(ContactObserved("storage", False), ContactObserved("config", False), node_us=6)
    contacts = log.state.view.contacts
    assert contacts["storage"][:2] == (5, 6) and contacts["config"] == Contact(0, 6, {"ok_us": 3, "failed_us": 3})
    assert contacts["storage"].provenance == {"ok_us": 1, "failed_us": 2}


def test_reasons_of_degraded_mode_are_a_set_each_with_its_time() -> None:
    view = after(DegradedEntered("no-contact", 100), DegradedEntered("disk", 50))
    assert {reason: it[:2] for reason, it in view.degraded.items()} == {"no-contact": (7, 100), "disk": (7, 50)}
    assert view.safe_until_us == 50


def test_entering_again_shortens_and_never_lengthens() -> None:
    assert after(DegradedEntered("disk", 50), DegradedEntered("disk", 40), node_us=9).degraded["disk"][:2] == (9, 40)
    assert after(DegradedEntered("disk", 50), DegradedEntered("disk", 60)).degraded["disk"].safe_until_us == 50
    log = ClassLog(health)
    log.append(DegradedEntered("disk", 50), node_us=1)
    log.append(DegradedEntered("disk", 40), node_us=2)
    assert log.state.view.degraded["disk"].since_us == 1


def test_leaving_gives_no_time_back() -> None:
    view = after(DegradedEntered("disk", 50), DegradedLeft("disk"))
    assert (view.degraded, view.safe_until_us) == ({}, 50)
    assert after(DegradedEntered("disk", 50), DegradedLeft("disk"), DegradedEntered("disk", 90)).safe_until_us == 50


def test_contact_gives_no_time_back() -> None:
    before = after(DegradedEntered("disk", 50), UptimeDebited(60, BOOT, 60))
    view = after(DegradedEntered("disk", 50), UptimeDebited(60, BOOT, 60), ContactObserved("control-plane", True))
    assert (view.safe_until_us, view.deadline, view.uptime) == (before.safe_until_us, before.deadline, before.uptime)


def test_a_renewed_deadline_ends_the_limits_of_reasons_that_were_left_and_of_no_others() -> None:
    renewed = DeadlineRenewed(1000, 300, 360, "head")
    view = after(DegradedEntered("disk", 50), DegradedEntered("no-contact", 40), DegradedLeft("no-contact"), renewed)
    assert (view.safe_until_us, view.deadline) == (50, Deadline(1000, 300, 360))
    assert after(DegradedEntered("disk", 50), DegradedLeft("disk"), renewed).safe_until_us is None


def test_time_used_up_never_falls() -> None:
    assert after(UptimeDebited(60, BOOT, 60), UptimeDebited(30, BOOT, 90)).uptime == Uptime(60, BOOT, 90)


@pytest.mark.parametrize(
    ("boot_id", "boot_s", "used_s"),
    [
        (BOOT, 40, 40),
        (BOOT, 60, 60),
        (BOOT, 75, 75),
        (NEXT_BOOT, 0, 60),
        (NEXT_BOOT, 10, 70),
    ],
)
def test_what_was_paid_in_advance_counts_once_the_machine_rebooted(boot_id: bytes, boot_s: int, used_s: int) -> None:
    view = after(UptimeDebited(60, BOOT, 60 * SECOND))
    assert view.used_s(Now(0, 0, boot_s * SECOND, 0), boot_id) == used_s


@pytest.mark.parametrize(
    ("events", "boot_s", "left_s"),
    [
        ([], 0, 0),
        ([DeadlineRenewed(1000, 300, 300, "head")], 0, 300),
        ([DeadlineRenewed(1000, 300, 300, "head")], 299, 1),
        ([DeadlineRenewed(1000, 300, 300, "head")], 301, 0),
        ([DeadlineRenewed(1000, 300, 300, "head"), DegradedEntered("disk", 50 * SECOND)], 0, 50),
        ([DeadlineRenewed(1000, 300, 300, "head"), DegradedEntered("disk", 400 * SECOND)], 0, 300),
    ],
)
def test_the_seconds_left_are_those_of_the_earlier_end(events: list[tuple[object, ...]], boot_s: int, left_s: int) -> None:
    assert after(*events).seconds_left(Now(boot_s * SECOND, 0, boot_s * SECOND, 0), BOOT) == left_s


@pytest.mark.parametrize(("offline_s_max", "left_s"), [(600, 300), (300, 300), (120, 120), (0, 0)])
def test_a_policy_that_allows_less_cuts_a_deadline_that_runs(offline_s_max: int, left_s: int) -> None:
    """Mutation: what was allowed when the deadline was renewed stays allowed."""
    view = after(DeadlineRenewed(1000, 300, 300, "head"), PolicyInForce(b"", "1", (("offline_s_max", offline_s_max),), None))
    assert view.seconds_left(Now(0, 0, 0, 0), BOOT) == left_s


def test_after_a_reset_the_reading_is_the_most_cautious_one() -> None:
    view = after(DeadlineRenewed(1000, 300, 300, "head"), ClassReset(6, 1, 1, "gap"))
    assert {reason: it[:2] for reason, it in view.degraded.items()} == {STATE_LOST: (0, 0)}
    assert view.seconds_left(Now(0, 0, 0, 0), BOOT) == 0
    assert all(
        getattr(view, name) == getattr(LOST, name) for name in HealthView._fields if name not in ("degraded", "provenance")
    )
    assert view.degraded[STATE_LOST].provenance == {"since_us": 2, "safe_until_us": 2}


def test_partition_flags_are_a_sorted_set() -> None:
    flags = (PartitionFlagged("minority", True), PartitionFlagged("isolated", True), PartitionFlagged("minority", True))
    assert after(*flags).partition_flags == ("isolated", "minority")
    assert after(*flags, PartitionFlagged("isolated", False)).partition_flags == ("minority",)


def test_the_latest_of_heartbeat_pressure_and_summary_counts() -> None:
    view = after(
        HeartbeatSent(3, b"a"),
        HeartbeatSent(5, b"b"),
        PressureObserved("disk", 100),
        PressureObserved("disk", 900),
        ServicesSummarised(1, 2, 3, 4),
    )
    assert (view.heartbeat, view.pressure, view.services) == (
        Heartbeat(5, b"b", 7), {"disk": Pressure(900, 7)}, ServicesSummary(1, 2, 3, 4, 7),
    )  # fmt: skip


def test_a_recovery_is_kept_with_what_it_cut_and_did() -> None:
    view = after(RECOVERY)
    assert view.recoveries == (Recovery(3, 4096, 17, 120, "torn_tail", "bad_digest", "cut", "nothing", b"q" * 32, 7, 1),)
    assert (view.recovery_count, view.quarantine) == (1, Quarantine(1, 120))
    assert after(RECOVERY._replace(quarantine_sha256=None)).quarantine == Quarantine(0, 0)
    assert after(RECOVERY, QuarantineEvicted(1, 0, 0)).quarantine == Quarantine(0, 0)


def test_the_newest_recoveries_and_notes_are_kept_and_all_recoveries_counted() -> None:
    view = after(*[RECOVERY] * (RECOVERIES_MAX + 1), *[Note(f"n{number}") for number in range(NOTES_MAX + 1)])
    assert (len(view.recoveries), view.recoveries[0].lsn, view.recovery_count) == (RECOVERIES_MAX, 2, RECOVERIES_MAX + 1)
    assert (len(view.notes), view.notes[0].text) == (NOTES_MAX, "n1")


def test_a_note_says_who_made_it() -> None:
    assert after(Note("before the change")).notes == (NoteHeld("before the change", "", 7, 1),)


def test_the_policy_in_force_is_kept_as_written() -> None:
    settings = (("fallback_allowed", True), ("high_risk_operations", ("new_session",)), ("peers_max", 5))
    assert after(PolicyInForce(b"d", "1.0", settings, None)).policy == PolicyHeld(b"d", "1.0", settings, None, 1)


def test_history_and_checkpoints() -> None:
    view = after(HistoryRetired(40, 1, 3), CheckpointWritten(50, 1, b"c", ((1, b"x"), (2, b"y"))))
    assert (view.history, view.checkpoint) == (History(40, 3), Checkpoint(50, 1, b"c", ((1, b"x"), (2, b"y"))))


def test_a_reason_names_the_event_that_last_changed_it() -> None:
    view = after(DegradedEntered("disk", 50), DegradedEntered("disk", 40))
    assert view.degraded["disk"] == Degraded(7, 40, {"since_us": 1, "safe_until_us": 2})
