"""The clock that catches up with the machine's by a minute with every slice."""

import pytest

from rap_journal.testing import ManualClock
from rap_tools.demo_clock import SliceClock

HOUR_US = 3_600_000_000


@pytest.fixture(params=[10, 2 * 3600], ids=["booted lately", "up for long"])
def machine(request: pytest.FixtureRequest) -> ManualClock:
    """The clock of a machine, up for so many seconds."""
    return ManualClock(boot_us=request.param * 1_000_000)


def slice_clock(machine: ManualClock) -> SliceClock:
    return SliceClock(machine, slices=60, began_boot_us=machine.now().boot_us)


def test_a_slice_moves_wall_and_boot_time_on_by_a_minute(machine: ManualClock) -> None:
    clock = slice_clock(machine)
    before = clock.now()
    clock.enter(3)
    assert clock.now() == before._replace(wall_us=before.wall_us + 180_000_000, boot_us=before.boot_us + 180_000_000)


def test_it_begins_as_long_ago_as_the_slices_stand_for_and_ends_at_the_present(machine: ManualClock) -> None:
    clock = slice_clock(machine)
    assert clock.now().wall_us == machine.now().wall_us - HOUR_US
    assert clock.now().boot_us >= 0
    clock.enter(60)
    assert clock.now().wall_us == machine.now().wall_us


def test_a_slice_that_is_over_does_not_come_back(machine: ManualClock) -> None:
    clock = slice_clock(machine)
    clock.enter(7)
    before = clock.now()
    clock.enter(6)
    assert clock.now() == before


def test_a_writer_that_comes_back_finds_the_same_boot_and_no_earlier_time(machine: ManualClock) -> None:
    began_boot_us = machine.now().boot_us
    killed = SliceClock(machine, 60, began_boot_us)
    killed.enter(30)
    last = killed.now()
    machine.advance(seconds=2)
    back = SliceClock(machine, 60, began_boot_us)
    back.enter(30)
    assert back.now() == last._replace(wall_us=last.wall_us + 2_000_000, boot_us=last.boot_us + 2_000_000)
    assert back.boot_id() == killed.boot_id()


def test_the_boot_is_the_machines_where_its_clock_never_says_more_than_the_machines() -> None:
    machine = ManualClock(boot_us=2 * HOUR_US)
    clock = slice_clock(machine)
    assert clock.boot_id() == machine.boot_id()
    clock.enter(60)
    assert clock.now() == machine.now()


def test_a_machine_that_was_booted_lately_has_a_boot_made_up_for_each_run() -> None:
    machine = ManualClock(boot_us=10_000_000)
    first = slice_clock(machine)
    machine.advance(seconds=1)
    second = slice_clock(machine)
    assert len({first.boot_id(), second.boot_id(), machine.boot_id()}) == 3
