"""Which time it is, for whom.

Rules this file keeps:

- Node time orders and ages what is in the journal: it never falls, across reboots too, and moves with the boot clock. It is
  no claim about the real time of day.
- Trusted time is the low end of what signatures prove: validity of documents is judged by it (trust, 16).
- The wall clock is recorded for people and decides nothing that a signature should.

Example::

    node_time = NodeTime.resume(last_node_us, clock.now())
    node_time.at(clock.now())
"""

from enum import Enum
from typing import NamedTuple, Self

from rap_journal.clock import Instant

DOWN_US_MAX = 30 * 86_400 * 1_000_000
"""Down time that one opening counts at most, in microseconds: a wall clock that is years ahead must not retire all history."""


class Now(NamedTuple):
    """The one reference time of a call.

    Attributes:
        node_us: node time in microseconds; never falls over the life of a journal.
        wall_us: wall clock in microseconds since 1970; may be wrong.
        boot_us: microseconds since boot.
        trusted_s: low end of trusted time, whole seconds since 1970; the real time is this or later, but for the minute that each boot
            pays in advance: a machine that reboots again and again is ahead by up to so much each time, on the cautious side (trust, 16).
    """

    node_us: int
    wall_us: int
    boot_us: int
    trusted_s: int


class Validity(str, Enum):
    """What trusted time says of a period of validity (trust, 16)."""

    VALID = "valid"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"

    @classmethod
    def of(cls, starts_s: int, ends_s: int, trusted_s: int) -> "Validity":
        """The verdict on a period from `starts_s` up to, not including, `ends_s`, seconds since 1970, at this low end of trusted time.

        Before the start, nothing signed says that the period has begun: the real time is the low end or later. That is uncertain.
        """
        if ends_s <= trusted_s:
            return cls.EXPIRED
        return cls.UNCERTAIN if trusted_s < starts_s else cls.VALID


class NodeTime:
    """Node time of one opening: an anchor at the moment of opening, advanced by the boot clock."""

    __slots__ = ("_anchor_node_us", "_anchor_boot_us", "_last_us")

    def __init__(self, anchor_node_us: int, anchor_boot_us: int) -> None:
        self._anchor_node_us = anchor_node_us
        self._anchor_boot_us = anchor_boot_us
        self._last_us = anchor_node_us

    @classmethod
    def resume(cls, last_node_us: int, instant: Instant) -> Self:
        """Continue after `last_node_us` (0 for a new journal).

        Down time is counted by the wall clock, which is all there is across a reboot; one that went back counts none, and one that is far
        ahead no more than `DOWN_US_MAX`: what is aged by node time ends early then by no more than that. Of a node that was off for
        longer, later openings count the rest.
        """
        latest_us = last_node_us + DOWN_US_MAX if last_node_us else instant.wall_us
        return cls(max(last_node_us, min(instant.wall_us, latest_us)), instant.boot_us)

    def at(self, instant: Instant) -> int:
        """Node time at `instant`, never less than any node time given out before."""
        self._last_us = max(self._last_us, self._anchor_node_us + instant.boot_us - self._anchor_boot_us)
        return self._last_us
