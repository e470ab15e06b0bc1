"""The bounded list of recent refusals that each strict class keeps.

Rules this file keeps:

- Refusals of the same source, subject and reason are one entry that counts them: a flood of bad input costs one entry, and one event per
  interval (trust, 12).
- The list is in the order of the last refusal and keeps the newest 64. Whoever makes up ever new subjects gains nothing: while the list is
  full of refusals of the last interval, further ones are counted and not written.
- What had no event of its own is counted in memory, and the next event of its kind says how many there were.

Example::

    log = noted((), Refusal("control-plane", "routes", "expired", 1, digest, first_us, last_us, lsn))
"""

from collections.abc import Hashable
from typing import NamedTuple

from rap_projections.node_time import Now
from rap_projections.policy import Policy

REFUSALS_MAX = 64
"""Entries kept per class. Part of the folds' meaning: a change is a new version of the refusal kinds."""

UNSAID_MAX = 1024
"""Counts kept in memory; the oldest gives way."""


class Refusal(NamedTuple):
    """What was refused, and how often.

    Attributes:
        source: who offered it, a short word.
        subject: what it was for: a scope, an update subject or a service.
        reason: a short stable word.
        times: how many were refused since the entry was made.
        digest: SHA-256 of the bytes refused last; empty where there were none.
        first_us: node time of the first event.
        last_us: node time of the last event.
        lsn: LSN of the last event.
    """

    source: str
    subject: str
    reason: str
    times: int
    digest: bytes
    first_us: int
    last_us: int
    lsn: int


def noted(log: tuple[Refusal, ...], refusal: Refusal) -> tuple[Refusal, ...]:
    """`log` with `refusal` added to the entry of its source, subject and reason, oldest entries given up."""
    before = _entry(log, refusal.source, refusal.subject, refusal.reason)
    if before is not None:
        refusal = refusal._replace(times=before.times + refusal.times, first_us=before.first_us)
    others = tuple(entry for entry in log if entry is not before)
    return (*others, refusal)[-REFUSALS_MAX:]


def is_due(log: tuple[Refusal, ...], source: str, subject: str, reason: str, now: Now, policy: Policy) -> bool:
    """Whether a refusal is to be written now, or counted by the caller until the interval is over."""
    before = _entry(log, source, subject, reason)
    if before is None and len(log) >= REFUSALS_MAX:
        before = log[0]
    return before is None or now.node_us - before.last_us >= policy.refusal_interval_s * 1_000_000


class Unsaid:
    """How often things happened that have had no event of their own yet. Whoever uses it holds a lock."""

    def __init__(self) -> None:
        self._times: dict[Hashable, int] = {}

    def times(self, key: Hashable) -> int:
        """How often `key` happened since it was said last."""
        return self._times.get(key, 0)

    def add(self, key: Hashable) -> None:
        """`key` happened once more."""
        if key not in self._times and len(self._times) >= UNSAID_MAX:
            del self._times[next(iter(self._times))]
        self._times[key] = self.times(key) + 1

    def said(self, key: Hashable, times: int) -> None:
        """An event says that `key` happened `times` times."""
        left = self.times(key) - times
        if left > 0:
            self._times[key] = left
        else:
            self._times.pop(key, None)


def _entry(log: tuple[Refusal, ...], source: str, subject: str, reason: str) -> Refusal | None:
    return next((entry for entry in log if entry[:3] == (source, subject, reason)), None)
