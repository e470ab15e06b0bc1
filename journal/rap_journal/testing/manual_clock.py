"""Time that passes when a test says so: the stand-in for the machine's clocks.

Rules this file keeps:

- Nothing moves by itself; the same calls give the same readings.
- Wall and boot clock move together, except that `step_wall` moves the one and `reboot` restarts the other, as on a machine.

Example::

    clock = ManualClock()
    clock.advance(seconds=90)
    clock.step_wall(seconds=-3600)      # someone set the clock back
    clock.reboot(down_seconds=30)
"""

import hashlib

from rap_journal.clock import Instant
from rap_journal.errors import MisuseError

BOOT_US_AFTER_REBOOT = 1_000_000
"""A rebooted machine is one second old when anything can read its clock."""


class ManualClock:
    """A clock that implements `rap_journal.clock.Clock`.

    Args:
        wall_us: where the wall clock starts, microseconds since 1970; 2026-01-01T00:00:00Z by default.
        boot_us: where the boot clock starts, microseconds; ten minutes by default.
    """

    def __init__(self, wall_us: int = 1_767_225_600_000_000, boot_us: int = 600_000_000) -> None:
        self._wall_us = wall_us
        self._boot_us = boot_us
        self._boots = 1

    def now(self) -> Instant:
        """Read wall and boot time."""
        return Instant(self._wall_us, self._boot_us)

    def boot_id(self) -> bytes:
        """16 bytes that are the same until `reboot`."""
        return hashlib.sha256(f"boot {self._boots}".encode()).digest()[:16]

    def advance(self, *, seconds: float) -> Instant:
        """Let `seconds` pass on both clocks. Raises `MisuseError` for less than 0: time itself does not go back."""
        if seconds < 0:
            raise MisuseError(
                f"time cannot pass by {seconds} seconds; use step_wall to set the wall clock back", reason="negative"
            )
        self._wall_us += _microseconds(seconds)
        self._boot_us += _microseconds(seconds)
        return self.now()

    def step_wall(self, *, seconds: float) -> Instant:
        """Set the wall clock forward or, with a negative number, back; the boot clock does not notice."""
        self._wall_us += _microseconds(seconds)
        return self.now()

    def reboot(self, *, down_seconds: float = 0) -> Instant:
        """Restart the machine: a new boot id, a boot clock near 0, and a wall clock that ran on for `down_seconds`."""
        self._boots += 1
        self._wall_us += _microseconds(down_seconds)
        self._boot_us = BOOT_US_AFTER_REBOOT
        return self.now()


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
