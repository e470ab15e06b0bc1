"""The machine's clock, and what it has in common with the one that a test winds by hand."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rap_journal.clock import Clock, SystemClock, _read_boot_id
from rap_journal.testing import ManualClock

KERNEL_ID = Path("/proc/sys/kernel/random/boot_id")

YEAR_2020_US = 1_577_836_800_000_000


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


# Both


def test_boot_time_never_falls_between_two_readings(clock: Clock) -> None:
    readings = [clock.now().boot_us for _ in range(100)]
    assert readings == sorted(readings)
    assert readings[0] > 0


def test_wall_time_is_counted_in_microseconds_since_1970(clock: Clock) -> None:
    wall_us = clock.now().wall_us
    assert YEAR_2020_US < wall_us < 100 * YEAR_2020_US
    assert type(wall_us) is int


def test_the_boot_id_is_16_bytes_and_stays(clock: Clock) -> None:
    assert len(clock.boot_id()) == 16
    assert clock.boot_id() == clock.boot_id()


# The machine's


@pytest.mark.skipif(not KERNEL_ID.exists(), reason="only Linux has a kernel boot id")
def test_the_boot_id_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SystemClock().boot_id().hex() == KERNEL_ID.read_text().strip().replace("-", "")


def test_without_a_kernel_id_the_minute_of_boot_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: Path, *_args: Any, **_options: Any) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(time, "time_ns", lambda: 90 * 60_000_000_000 + 1)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 30 * 60_000_000_000)
    assert _read_boot_id.__wrapped__() == (60).to_bytes(16, "little")


@pytest.mark.skipif(sys.platform != "linux", reason="CLOCK_BOOTTIME is Linux's")
def test_boot_time_counts_the_time_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: 5_000_999}.__getitem__)
    assert SystemClock().now().boot_us == 5000
