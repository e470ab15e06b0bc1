"""The clock of the demonstration's writer: it runs behind the machine's, and catches up by a minute with every slice.

Rules this file keeps:

- It ends at the present, so that the history lies in the past, and whoever opens the store later finds no time ahead of its own.
- It never falls, also over a writer that is killed and comes back: it depends on the machine's clocks and the slice alone.
- On a machine that was booted too lately to have such a past it counts a boot of its own.

Example::

    machine = SystemClock()
    clock = SliceClock(machine, slices=60, began_boot_us=machine.now().boot_us)
    clock.enter(12)
"""

import hashlib

from rap_journal.clock import Clock, Instant
from rap_tools.demo_network import SLICE_S

_SLICE_US = SLICE_S * 1_000_000


class SliceClock:
    """A clock that implements `rap_journal.clock.Clock`.

    Args:
        machine: the clock of the machine.
        slices: how many slices there will be.
        began_boot_us: what the machine's boot clock said when the demonstration began, microseconds.
    """

    def __init__(self, machine: Clock, slices: int, began_boot_us: int) -> None:
        self._machine = machine
        self._slices = slices
        self._began_boot_us = began_boot_us
        self._slice_index = 0

    @property
    def _has_past(self) -> bool:
        """Whether the machine was up for as long as the slices stand for."""
        return self._began_boot_us > self._slices * _SLICE_US

    def enter(self, slice_index: int) -> None:
        """Let it be the time of this slice."""
        self._slice_index = max(self._slice_index, slice_index)

    def now(self) -> Instant:
        """Read wall and boot time."""
        real = self._machine.now()
        behind_us = (self._slices - self._slice_index) * _SLICE_US
        ahead_us = 0 if self._has_past else self._slices * _SLICE_US
        return Instant(real.wall_us - behind_us, real.boot_us - behind_us + ahead_us)

    def boot_id(self) -> bytes:
        """That of the machine, or 16 bytes of this run where it has a boot of its own."""
        real = self._machine.boot_id()
        return real if self._has_past else hashlib.sha256(b"demo" + real + self._began_boot_us.to_bytes(8, "big")).digest()[:16]
