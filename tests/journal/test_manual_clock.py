"""The clock that a test winds by hand: nothing moves by itself."""

import hashlib

import pytest

from rap_journal.clock import Instant
from rap_journal.errors import MisuseError
from rap_journal.testing import ManualClock


def test_it_starts_in_2026_on_a_machine_that_has_been_up_for_ten_minutes() -> None:
    assert ManualClock().now() == Instant(1_767_225_600_000_000, 600_000_000)


def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(wall_us=1000, boot_us=50)
    assert clock.now() == clock.now() == Instant(1000, 50)
    assert clock.advance(seconds=1.5) == clock.now() == Instant(1_501_000, 1_500_050)
    assert clock.advance(seconds=0) == Instant(1_501_000, 1_500_050)


def test_time_is_not_advanced_backwards() -> None:
    clock = ManualClock(wall_us=1000, boot_us=50)
    with pytest.raises(MisuseError):
        clock.advance(seconds=-1)
    assert clock.now() == Instant(1000, 50)


def test_a_step_of_the_wall_clock_leaves_the_boot_clock_alone() -> None:
    clock = ManualClock(wall_us=5_000_000, boot_us=50)
    assert clock.step_wall(seconds=3600) == Instant(3_605_000_000, 50)
    assert clock.step_wall(seconds=-3604) == Instant(1_000_000, 50)


def test_a_reboot_gives_a_new_boot_id_and_a_young_boot_clock() -> None:
    clock = ManualClock(wall_us=5_000_000, boot_us=86_400_000_000)
    ids = [clock.boot_id()]
    assert clock.reboot(down_seconds=30) == Instant(35_000_000, 1_000_000)
    ids.append(clock.boot_id())
    assert clock.reboot() == Instant(35_000_000, 1_000_000)
    ids.append(clock.boot_id())
    assert len(set(ids)) == 3
    assert ids[0] == ManualClock().boot_id(), "the ids repeat from run to run"


def test_boots_are_numbered_from_one_so_that_their_ids_repeat_from_run_to_run() -> None:
    clock = ManualClock()
    for number in (1, 2, 3):
        assert clock.boot_id() == hashlib.sha256(f"boot {number}".encode()).digest()[:16]
        clock.reboot()


def test_both_clocks_pass_alike_and_in_whole_microseconds() -> None:
    clock = ManualClock(wall_us=0, boot_us=0)
    for _step in range(3):
        clock.advance(seconds=0.1)
    clock.advance(seconds=0.000_000_4)
    assert clock.now() == Instant(300_000, 300_000)


def test_neither_advancing_nor_a_step_of_the_wall_clock_is_another_boot() -> None:
    clock = ManualClock()
    before = clock.boot_id()
    clock.advance(seconds=86_400)
    clock.step_wall(seconds=-86_400)
    assert clock.boot_id() == before
