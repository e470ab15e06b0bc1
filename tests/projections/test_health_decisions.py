"""When a cluster enters and leaves degraded mode, and how its time runs out."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import encode_arrays
from rap_journal.errors import MisuseError
from rap_projections import health
from rap_projections.documents import CAUTIOUS_POLICY
from rap_projections.event_kinds import Event
from rap_projections.health import STATE_LOST, Contact, Degraded, HealthView
from rap_projections.health_decisions import (
    ADVANCE_S,
    NO_CONTACT,
    PARTIES,
    REASONS_MAX,
    decide_contact,
    decide_deadline_renewed,
    decide_degraded,
    decide_enter_degraded,
    decide_heartbeat_sent,
    decide_leave_degraded,
    decide_partition,
    decide_policy,
    decide_pressure,
    decide_services_summary,
    decide_uptime,
)
from rap_projections.health_events import (
    ContactObserved,
    DeadlineRenewed,
    DegradedEntered,
    DegradedLeft,
    HeartbeatSent,
    PartitionFlagged,
    PressureObserved,
    ServicesSummarised,
    UptimeDebited,
)
from rap_projections.lifecycle import ClassReset, PolicyInForce
from rap_projections.node_time import Now
from rap_projections.policy import Policy, effective
from tests.projections.class_log import SECOND, ClassLog, at

BOOT, NEXT_BOOT = b"1" * 16, b"2" * 16
LIMITS = effective(Policy(degraded_s_max=100, contact_silence_s=300, offline_s_max=3600), CAUTIOUS_POLICY)


def enter(view: HealthView, reason: str = "disk", *, until_s: int | None = None, at_s: int = 0) -> tuple[Event, ...]:
    until_us = None if until_s is None else until_s * SECOND
    return decide_enter_degraded(view, reason, safe_until_us=until_us, now=at(at_s * SECOND), policy=LIMITS)


def entered(**values: int) -> ClassLog:
    log = ClassLog(health)
    log.append(*enter(log.state.view, **values))  # type: ignore[arg-type]  # the numbers of enter
    return log


def test_the_longest_stay_is_the_end_unless_an_earlier_one_is_asked_for() -> None:
    for until_s, end_s in ((None, 110), (50, 50), (110, 110), (500, 110)):
        assert enter(HealthView(), until_s=until_s, at_s=10) == (DegradedEntered("disk", end_s * SECOND),)


def test_entering_again_gives_an_event_only_where_it_shortens_the_time() -> None:
    log = entered(at_s=0)
    assert enter(log.state.view, at_s=50) == ()
    assert enter(log.state.view, at_s=50, until_s=100) == ()
    assert enter(log.state.view, at_s=50, until_s=99) == (DegradedEntered("disk", 99 * SECOND),)


@pytest.mark.parametrize("reason", ["", "x" * 65, "two\nlines", "\x1b[31m"])
def test_a_reason_is_short_and_printable(reason: str) -> None:
    with pytest.raises(MisuseError, match="1 to 64 printable characters"):
        enter(HealthView(), reason)


def test_a_reason_is_left_once() -> None:
    log = entered()
    events = decide_leave_degraded(log.state.view, "disk")
    assert events == (DegradedLeft("disk"),)
    log.append(*events)
    assert decide_leave_degraded(log.state.view, "disk") == ()


def test_a_lost_health_state_ends_with_a_newer_signed_instant_and_by_no_call() -> None:
    log = ClassLog(health)
    log.append(ClassReset(6, 1, 1, "gap"))
    with pytest.raises(MisuseError, match="not by a call"):
        decide_leave_degraded(log.state.view, STATE_LOST)
    log.append(*renew(log.state.view, 1000))
    assert log.state.view.degraded == {} and log.state.view.safe_until_us is None
    assert log.state.view.seconds_left(Now(0, 0, 0, 0), BOOT) == 3600


@given(st.lists(st.tuples(st.sampled_from(["disk", "net"]), st.booleans(), st.none() | st.integers(0, 400)), max_size=12))
def test_no_sequence_of_entering_and_leaving_gives_time_back(steps: list[tuple[str, bool, int | None]]) -> None:
    log, ends = ClassLog(health), []
    for second, (reason, is_entering, until_s) in enumerate(steps):
        view = log.state.view
        log.append(*(enter(view, reason, until_s=until_s, at_s=second) if is_entering else decide_leave_degraded(view, reason)))
        ends.append(log.state.view.safe_until_us)
    known = [end for end in ends if end is not None]
    assert known == sorted(known, reverse=True) and ends == [*[None] * (len(ends) - len(known)), *known]


# Contacts.


def contacts(*tried: tuple[str, bool, int]) -> ClassLog:
    log = ClassLog(health)
    for party, ok, second in tried:
        log.append(*decide_contact(party, ok=ok), node_us=second * SECOND)
    return log


def test_a_contact_is_an_event_of_a_known_party() -> None:
    assert [decide_contact(party, ok=False) for party in PARTIES] == [(ContactObserved(party, False),) for party in PARTIES]
    with pytest.raises(MisuseError, match="is no party"):
        decide_contact("friend", ok=True)


@pytest.mark.parametrize(("second", "cut_off"), [(10, False), (309, False), (310, True)])
def test_silence_of_all_parties_for_the_policys_time_is_no_contact(second: int, cut_off: bool) -> None:
    log = contacts(("config", True, 0), ("control-plane", True, 10), ("storage", False, 200))
    expected = (DegradedEntered(NO_CONTACT, (second + 100) * SECOND),) if cut_off else ()
    assert decide_degraded(log.state.view, at(second * SECOND), LIMITS) == expected


def test_any_answer_ends_no_contact_and_gives_no_time_back() -> None:
    log = contacts(("control-plane", True, 10))
    log.append(*decide_degraded(log.state.view, at(400 * SECOND), LIMITS))
    assert decide_degraded(log.state.view, at(450 * SECOND), LIMITS) == ()
    log.append(*decide_contact("storage", ok=True), node_us=460 * SECOND)
    events = decide_degraded(log.state.view, at(460 * SECOND), LIMITS)
    assert events == (DegradedLeft(NO_CONTACT),)
    log.append(*events)
    assert log.state.view.safe_until_us == 500 * SECOND


def test_before_the_first_attempt_nothing_is_known_and_a_party_that_never_answered_is_silent() -> None:
    assert decide_degraded(HealthView(), at(10**15), LIMITS) == ()
    log = contacts(("control-plane", False, 1000))
    assert decide_degraded(log.state.view, at(1000 * SECOND), LIMITS) == (DegradedEntered(NO_CONTACT, 1100 * SECOND),)


# The deadline.


def renew(
    view: HealthView, signed_s: int, *, newest_instant_s: int = 0, trusted_s: int = 10**9, uptime_s: int = 0
) -> tuple[Event, ...]:
    return decide_deadline_renewed(
        view, signed_s=signed_s, newest_instant_s=newest_instant_s, trusted_s=trusted_s, uptime_s=uptime_s, basis="head", policy=LIMITS
    )  # fmt: skip


def test_only_a_strictly_newer_signed_instant_renews_the_deadline() -> None:
    log = ClassLog(health)
    log.append(*renew(log.state.view, 1000, uptime_s=60))
    assert log.state.view.deadline == (1000, 3600, 3660)
    assert renew(log.state.view, 1000, uptime_s=90) == ()
    assert renew(log.state.view, 1001, uptime_s=90) == (DeadlineRenewed(1001, 3600, 3690, "head"),)


def test_an_instant_beyond_trusted_time_whose_key_was_revoked_keeps_no_later_one_from_renewing() -> None:
    """Mutation: compare with what renewed the deadline alone."""
    log = ClassLog(health)
    log.append(*renew(log.state.view, 9000, trusted_s=0))
    assert renew(log.state.view, 900, newest_instant_s=900, trusted_s=8999) == ()
    assert renew(log.state.view, 901, newest_instant_s=900, trusted_s=9000) == ()
    assert renew(log.state.view, 901, newest_instant_s=900, trusted_s=8999) == (DeadlineRenewed(901, 3600, 3600, "head"),)


def test_an_instant_that_trust_knew_renews_nothing_in_a_lost_health_class() -> None:
    log = ClassLog(health)
    log.append(ClassReset(6, 1, 1, "gap"))
    assert renew(log.state.view, 1000, newest_instant_s=1000) == ()
    assert renew(log.state.view, 1001, newest_instant_s=1000) == (
        DegradedLeft(STATE_LOST),
        DeadlineRenewed(1001, 3600, 3600, "head"),
    )


def pay(log: ClassLog, boot_s: int, boot_id: bytes = BOOT) -> tuple[Event, ...]:
    events = decide_uptime(log.state.view, Now(0, 0, boot_s * SECOND, 0), boot_id)
    log.append(*events)
    return events


def test_whoever_pays_for_the_same_time_twice_has_paid_once() -> None:
    """Mutation: let the event say what is added. A command and the housekeeper may decide it beside each other."""
    log = ClassLog(health)
    twice = [decide_uptime(log.state.view, Now(0, 0, 600 * SECOND, 0), BOOT) for _time in range(2)]
    log.append(*twice[0])
    once = log.state.view.uptime
    log.append(*twice[1])
    assert (log.state.view.uptime, once.used_s) == (once, 600 + ADVANCE_S)


def test_uptime_is_paid_60_seconds_in_advance_and_again_when_that_is_used_up() -> None:
    log = ClassLog(health)
    assert pay(log, 5) == (UptimeDebited(65, BOOT, 65 * SECOND),)
    assert pay(log, 64) == ()
    assert pay(log, 65) == (UptimeDebited(125, BOOT, 125 * SECOND),)
    assert pay(log, 1000) == (UptimeDebited(1060, BOOT, 1060 * SECOND),)


def test_a_reboot_pays_again_and_gives_nothing_back() -> None:
    log = ClassLog(health)
    pay(log, 10)
    assert pay(log, 3, NEXT_BOOT) == (UptimeDebited(70 + 3 + ADVANCE_S, NEXT_BOOT, 63 * SECOND),)


@given(st.lists(st.integers(0, 10_000_000_000), min_size=1, max_size=10))
def test_within_a_boot_the_time_used_is_the_time_that_passed(readings: list[int]) -> None:
    log = ClassLog(health)
    for boot_us in sorted(readings):
        now = Now(0, 0, boot_us, 0)
        log.append(*decide_uptime(log.state.view, now, BOOT))
        assert log.state.view.used_s(now, BOOT) == -(-boot_us // SECOND)
        assert 0 < log.state.view.uptime.covered_boot_us - boot_us <= ADVANCE_S * SECOND


# The rest.


def test_a_heartbeat_is_recorded_once() -> None:
    log = ClassLog(health)
    events = decide_heartbeat_sent(log.state.view, at_lsn=5, digest=b"d")
    assert events == (HeartbeatSent(5, b"d"),)
    log.append(*events)
    assert decide_heartbeat_sent(log.state.view, at_lsn=5, digest=b"d") == ()


def test_pressure_is_recorded_where_it_changed() -> None:
    log = ClassLog(health)
    events = decide_pressure(log.state.view, {"memory": 10, "disk": 990})
    assert events == (PressureObserved("disk", 990), PressureObserved("memory", 10))
    log.append(*events)
    assert decide_pressure(log.state.view, {"memory": 11, "disk": 990}) == (PressureObserved("memory", 11),)


@pytest.mark.parametrize("permille", [{"disk": -1}, {"disk": 1001}, {"Disk": 1}])
def test_pressure_is_thousandths_of_a_named_resource(permille: dict[str, int]) -> None:
    with pytest.raises(MisuseError):
        decide_pressure(HealthView(), permille)


def test_a_partition_flag_is_set_and_cleared_once() -> None:
    log = ClassLog(health)
    assert decide_partition(log.state.view, "minority", on=False) == ()
    log.append(*decide_partition(log.state.view, "minority", on=True))
    assert decide_partition(log.state.view, "minority", on=True) == ()
    assert decide_partition(log.state.view, "minority", on=False) == (PartitionFlagged("minority", False),)


def test_a_summary_is_recorded_where_it_changed() -> None:
    log = ClassLog(health)
    assert decide_services_summary(log.state.view, 0, 0, 0, 0) == ()
    log.append(*decide_services_summary(log.state.view, 1, 0, 0, 2))
    assert decide_services_summary(log.state.view, 1, 0, 0, 2) == ()
    assert decide_services_summary(log.state.view, 2, 0, 0, 1) == (ServicesSummarised(2, 0, 0, 1),)


def test_the_policy_in_force_is_recorded_when_limits_build_or_signed_policy_change() -> None:
    log = ClassLog(health)
    settings = LIMITS.to_value()
    events = decide_policy(log.state.view, LIMITS, build="1.0", signed_content_id=None)
    assert events == (PolicyInForce(hashlib.sha256(encode_arrays(settings)).digest(), "1.0", settings, None),)
    log.append(*events)
    assert decide_policy(log.state.view, LIMITS, build="1.0", signed_content_id=None) == ()
    changes = [(LIMITS, "1.1", None), (LIMITS, "1.0", b"c"), (effective(Policy(peers_max=3), None), "1.0", None)]
    for limits, build, content_id in changes:
        assert decide_policy(log.state.view, limits, build=build, signed_content_id=content_id)


def test_64_reasons_and_flags_hold_at_one_time_and_the_stores_own_reason_comes_on_top() -> None:
    full = HealthView(
        degraded={f"reason {number}": Degraded(0, 10**9) for number in range(REASONS_MAX)},
        partition_flags=tuple(f"flag-{number}" for number in range(REASONS_MAX)),
        contacts={"config": Contact()},
    )
    policy = effective(Policy(contact_silence_s=1), None)
    with pytest.raises(MisuseError) as caught:
        decide_enter_degraded(full, "one more", safe_until_us=None, now=at(0), policy=policy)
    assert caught.value.reason == "too_many_reasons"
    with pytest.raises(MisuseError) as caught:
        decide_partition(full, "one-more", on=True)
    assert caught.value.reason == "too_many_flags"
    # What holds already can be shortened, left and cleared, and silence is always noted.
    assert decide_enter_degraded(full, "reason 0", safe_until_us=5, now=at(0), policy=policy) == (DegradedEntered("reason 0", 5),)
    assert decide_leave_degraded(full, "reason 0") == (DegradedLeft("reason 0"),)
    assert decide_partition(full, "flag-0", on=False) == (PartitionFlagged("flag-0", False),)
    assert decide_partition(full, "one-more", on=False) == ()
    assert [event.reason for event in decide_degraded(full, at(2 * SECOND), policy)] == [NO_CONTACT]  # type: ignore[attr-defined]  # of that kind
