"""The contract of `rap_journal.clock.Clock`, held by the clock of the machine, by the one that a test moves, and by the demonstration's."""

import pytest

from rap_journal.clock import Clock, Instant, SystemClock
from rap_journal.testing import ManualClock
from rap_projections.node_time import NodeTime
from rap_tools.demo_clock import SliceClock

YEAR_2020_US = 1_577_836_800_000_000


@pytest.fixture(params=["system", "manual", "demonstration"])
def clock(request: pytest.FixtureRequest) -> Clock:
    if request.param == "system":
        return SystemClock()
    if request.param == "manual":
        return ManualClock()
    return SliceClock(ManualClock(), slices=60, began_boot_us=600_000_000)


def test_a_reading_is_two_whole_numbers_of_microseconds(clock: Clock) -> None:
    now = clock.now()
    assert isinstance(now, Instant) and (type(now.wall_us), type(now.boot_us)) == (int, int)
    assert now.wall_us > YEAR_2020_US and 0 <= now.boot_us < now.wall_us


def test_boot_time_never_falls_from_one_reading_to_the_next(clock: Clock) -> None:
    readings = [clock.now().boot_us for _ in range(1000)]
    assert readings == sorted(readings)


def test_wall_and_boot_time_are_read_at_one_moment(clock: Clock) -> None:
    """What lies between two readings is the same on both clocks, to a millisecond, unless somebody set the one: try again then."""
    for _ in range(100):
        before, after = clock.now(), clock.now()
        if abs((after.wall_us - before.wall_us) - (after.boot_us - before.boot_us)) < 1000:
            return
    pytest.fail("the two clocks never ran alike")


def test_a_boot_has_one_id_of_16_bytes(clock: Clock) -> None:
    assert len(clock.boot_id()) == 16
    assert {clock.boot_id() for _ in range(10)} == {clock.boot_id()}


def test_node_time_goes_on_from_where_it_stood(clock: Clock) -> None:
    """What the store makes of a clock: microseconds that never fall, whatever the wall clock said when they were written."""
    for stood_us in (0, clock.now().wall_us + 3_600_000_000):
        node_time = NodeTime.resume(stood_us, clock.now())
        first, second = node_time.at(clock.now()), node_time.at(clock.now())
        assert stood_us <= first <= second
