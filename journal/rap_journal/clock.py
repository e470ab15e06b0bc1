"""The door to time: what the store may ask a clock, and the clock of the machine.

Rules this file keeps:

- The wall clock is read here and nowhere else; everything else is handed an `Instant`.
- No duration is ever computed from wall time, which may step either way.

Example::

    clock = SystemClock()
    before = clock.now()
"""

import time
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """One reading of all clocks.

    Attributes:
        wall_us: microseconds since 1970-01-01T00:00:00Z as the machine believes; may jump either way.
        boot_us: microseconds since this boot, suspend included (CLOCK_BOOTTIME); never falls within one boot.
    """

    wall_us: int
    boot_us: int


class Clock(Protocol):
    """A source of time."""

    def now(self) -> Instant:
        """Read wall and boot time."""
        ...

    def boot_id(self) -> bytes:
        """16 bytes that are the same until the machine reboots."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> Instant:
        """Read wall and boot time."""
        return Instant(time.time_ns() // 1000, time.clock_gettime_ns(_BOOT_CLOCK) // 1000)

    def boot_id(self) -> bytes:
        """The kernel's random boot id; elsewhere than on Linux, one made from the time of boot (to the minute)."""
        return _read_boot_id()


_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 1))


@cache
def _read_boot_id() -> bytes:
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    except OSError:
        # Without a kernel id, the minute of boot serves: wall minus uptime, which only a clock step can move.
        minute = round((time.time_ns() - time.monotonic_ns()) / 60e9)
        return minute.to_bytes(16, "little")
