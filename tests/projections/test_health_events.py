"""The events of the health class: what each carries, which are durable, and by which clock."""

from rap_journal.values import Durability
from rap_projections import health_events
from rap_projections.event_kinds import HEALTH
from tests.projections.frozen_kinds import kinds_in, kinds_of, unwrapped

FROZEN = """
60.1 ContactObserved observation cache: party, ok
61.1 DegradedEntered decision sync: reason (text), safe_until_us
62.1 DegradedLeft decision sync: reason (text)
63.1 HeartbeatSent observation cache: at_lsn, digest (digest)
64.1 PressureObserved observation cache: resource, permille
65.1 PartitionFlagged decision sync: flag, on
66.1 DeadlineRenewed decision sync: signed_s, budget_s, deadline_uptime_s, basis
67.1 UptimeDebited lifecycle sync: uptime_s, boot_id (digest), covered_boot_us
68.1 ServicesSummarised observation cache: running, failed, stopped, silent
69.1 QuarantineEvicted eviction sync: evicted_count, entry_count, byte_count
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(health_events) == unwrapped(FROZEN)


def test_all_are_events_of_the_health_class_numbered_60_to_69() -> None:
    assert [(kind.number, kind.state_class) for kind in kinds_in(health_events)] == [(number, HEALTH) for number in range(60, 70)]


def test_flags_reasons_and_deadlines_are_durable_and_what_is_observed_all_the_time_is_batched() -> None:
    batched = {kind.name for kind in kinds_in(health_events) if kind.durability is Durability.CACHE}
    assert batched == {"ContactObserved", "HeartbeatSent", "PressureObserved", "ServicesSummarised"}
    assert {kind.durability for kind in kinds_in(health_events) if kind.name not in batched} == {Durability.SYNC}


def test_times_to_come_are_node_time_and_time_used_up_is_uptime_and_neither_is_wall_time() -> None:
    timed = {
        f"{kind.name}.{field}" for kind in kinds_in(health_events) for field in kind.sensitivity if field.endswith(("_us", "_s"))
    }
    assert timed == {
        "DegradedEntered.safe_until_us",
        "DeadlineRenewed.signed_s",
        "DeadlineRenewed.budget_s",
        "DeadlineRenewed.deadline_uptime_s",
        "UptimeDebited.uptime_s",
        "UptimeDebited.covered_boot_us",
    }
