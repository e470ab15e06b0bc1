"""Node time never falls, moves with the boot clock, and counts down time by the wall clock where that went forward."""

import pytest

from rap_journal.clock import Instant
from rap_journal.testing import ManualClock
from rap_projections.node_time import NodeTime
from tests.projections.store_kit import ready


def test_a_new_journal_begins_at_the_wall_clock() -> None:
    instant = Instant(wall_us=1_000, boot_us=50)
    assert NodeTime.resume(0, instant).at(instant) == 1_000


@pytest.mark.parametrize(("last_us", "wall_us", "expected"), [(900, 1_000, 1_000), (1_000, 1_000, 1_000), (1_100, 1_000, 1_100)])
def test_down_time_is_counted_by_a_wall_clock_that_went_forward_only(last_us: int, wall_us: int, expected: int) -> None:
    instant = Instant(wall_us, 7)
    assert NodeTime.resume(last_us, instant).at(instant) == expected


def test_a_wall_clock_that_is_years_ahead_ages_nothing_by_more_than_thirty_days_and_heals() -> None:
    """Mutation: all history is retired by one opening, and node time stays in the future for good."""
    day_us, last_us = 86_400_000_000, 1_000_000
    once = NodeTime.resume(last_us, Instant(wall_us=73 * 365 * day_us, boot_us=0)).at(Instant(0, 0))
    assert once == last_us + 30 * day_us
    assert NodeTime.resume(once, Instant(wall_us=2 * day_us, boot_us=0)).at(Instant(0, 0)) == once
    assert NodeTime.resume(once, Instant(wall_us=31 * day_us, boot_us=0)).at(Instant(0, 0)) == 31 * day_us


def test_it_moves_with_the_boot_clock_and_not_with_the_wall_clock() -> None:
    clock = ManualClock(wall_us=1_000_000, boot_us=0)
    node_time = NodeTime.resume(0, clock.now())
    assert node_time.at(clock.advance(seconds=5)) == 6_000_000
    assert node_time.at(clock.step_wall(seconds=3600)) == 6_000_000
    assert node_time.at(clock.step_wall(seconds=-7200)) == 6_000_000
    assert node_time.at(clock.advance(seconds=1)) == 7_000_000


def test_it_never_falls_even_where_the_boot_clock_does() -> None:
    node_time = NodeTime(anchor_node_us=100, anchor_boot_us=10)
    given_out = [node_time.at(Instant(0, boot_us)) for boot_us in (10, 30, 20, 0, 31)]
    assert given_out == [100, 120, 120, 120, 121]


def test_before_its_anchor_it_says_the_anchor() -> None:
    assert NodeTime(anchor_node_us=100, anchor_boot_us=10).at(Instant(0, 3)) == 100


@pytest.mark.parametrize(("wall_step_s", "passed_s"), [(0, 30), (-86_400, 0), (86_400, 86_430)])
def test_the_node_time_of_a_journal_never_falls_across_a_reboot(wall_step_s: int, passed_s: int) -> None:
    it = ready()
    it.cluster.note("before")
    before_us = it.cluster.view().health.notes[-1].at_us
    it.kit.filesystem = it.kit.filesystem.crash(None)
    it.kit.clock.reboot(down_seconds=30)
    it.kit.clock.step_wall(seconds=wall_step_s)
    it.kit.open()
    it.cluster.note("after")
    assert it.cluster.view().health.notes[-1].at_us == before_us + passed_s * 1_000_000
