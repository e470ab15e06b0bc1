"""Finding the place that a selector names in a history.

Rules this file keeps:

- A selector names a span of LSNs, mostly of one. Who looks for a beginning takes its first, who looks for an end or a moment takes its last.
- Wall clocks step. A time that the clock showed more than once is never guessed at: the error lists every place it could be.
- Only a step counts: records of one frame may stand a few milliseconds out of order, and that makes no time ambiguous.

Example::

    place = Places(timeline).span(parse_selector("end-15min"))
    place.first, place.last
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from rap_journal.errors import HistoryGone, MisuseError, NoSuchRecord
from rap_tools.printable import counted
from rap_tools.selector_syntax import Active, AtLsn, AtTime, Boot, Checkpoint, Head, Relative, Selector
from rap_tools.times import rfc3339

CLOCK_STEP_US = 500_000
"""Wall clock and boot clock drift apart by less than this between two records, unless the wall clock was set."""


class Stamp(NamedTuple):
    """When a record was made: its first and last LSN, wall clock and boot clock in microseconds, and the boot."""

    first_lsn: int
    last_lsn: int
    wall_us: int
    boot_us: int
    boot_id: bytes


class Timeline(Protocol):
    """What finding a place needs of a history."""

    @property
    def cluster(self) -> str:
        """The cluster's id."""
        ...

    @property
    def horizon_lsn(self) -> int:
        """LSN of the last durable record; 0 where there is none."""
        ...

    @property
    def oldest_lsn(self) -> int:
        """The history floor: states from here on can be shown."""
        ...

    def now_us(self) -> int:
        """This machine's wall clock, microseconds since 1970."""
        ...

    def stamps(self) -> Iterator[Stamp]:
        """When each record was made, oldest first."""
        ...

    def checkpoints(self) -> Sequence[int]:
        """LSNs of the checkpoint sets, oldest first."""
        ...

    def activations(self, scope: str) -> Sequence[int]:
        """LSNs at which a document of the scope became active, oldest first."""
        ...


class Span(NamedTuple):
    """A run of LSNs. `last` is 0 where the place lies before the first record."""

    first: int
    last: int


class AmbiguousSelector(MisuseError):
    """Raised when a selector fits several places.

    Attributes:
        candidates: the places, as selectors that each name one of them.
    """

    def __init__(self, message: str, *, cluster: str, candidates: tuple[str, ...]) -> None:
        super().__init__(message, cluster=cluster, reason="ambiguous")
        self.candidates = candidates


class Places:
    """Finds places in one history."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def span(self, selector: Selector) -> Span:
        """The span that `selector` names.

        Raises `NoSuchRecord` for what this history never held, `HistoryGone` for what it holds no more, `AmbiguousSelector` for a time
        that the wall clock showed more than once, `MisuseError` for another cluster's selector.
        """
        timeline, where = self._timeline, selector.where
        if selector.cluster not in (None, timeline.cluster):
            raise MisuseError(
                f"{selector.text} is a place in another cluster than {timeline.cluster}; nothing was done.",
                cluster=timeline.cluster,
                reason="other_cluster",
            )
        match where:
            case AtLsn(lsn):
                return self._point(selector, lsn)
            case Head(back):
                return self._point(selector, timeline.horizon_lsn - back)
            case AtTime(wall_us):
                return self._at_time(selector, wall_us)
            case Relative(base, delta_us):
                return self._at_time(selector, (timeline.now_us() if base == "now" else self._end_us(selector)) + delta_us)
            case Boot(number):
                return self._boot(selector, number)
            case Checkpoint(number):
                checkpoints = [Span(lsn, lsn) for lsn in timeline.checkpoints()]
                return self._counted(
                    selector, checkpoints, number, newest=-1, what=("checkpoint", "; checkpoint:-1 is the newest")
                )
            case Active(scope, back):
                active = [Span(lsn, lsn) for lsn in timeline.activations(scope)]
                what = (f"activation of {scope} documents", f"; active:{scope} is the newest")
                return self._counted(selector, active, -back, newest=0, what=what)

    def moment(self, selector: Selector) -> int:
        """The LSN after which the state is meant: the end of the span. Raises as `span` does, and for a time before the first record."""
        span, timeline = self.span(selector), self._timeline
        if span.last < timeline.oldest_lsn:
            raise HistoryGone(
                f"{selector.text} lies before the history floor of {timeline.cluster}, @{timeline.oldest_lsn}; nothing was read.",
                oldest_lsn=timeline.oldest_lsn,
                cluster=timeline.cluster,
                lsn=span.last,
            )
        if span.last == 0 and not isinstance(selector.where, AtLsn | Head | Checkpoint):
            raise self._no_such(selector, "no record is that old")
        return span.last

    def _point(self, selector: Selector, lsn: int) -> Span:
        if lsn > self._timeline.horizon_lsn:
            raise self._no_such(selector, f"the last durable record is @{self._timeline.horizon_lsn}")
        if lsn < 0:
            raise self._no_such(selector, f"it has {counted(self._timeline.horizon_lsn, 'record')}")
        return Span(lsn, lsn)

    def _end_us(self, selector: Selector) -> int:
        last = deque(self._timeline.stamps(), maxlen=1)
        if not last:
            raise self._no_such(selector, "there is no record")
        return last[0].wall_us

    def _boot(self, selector: Selector, number: int) -> Span:
        boots: list[tuple[bytes, Span]] = []
        for stamp in self._timeline.stamps():
            if boots and boots[-1][0] == stamp.boot_id:
                boots[-1] = (stamp.boot_id, Span(boots[-1][1].first, stamp.last_lsn))
            else:
                boots.append((stamp.boot_id, Span(stamp.first_lsn, stamp.last_lsn)))
        spans = [span for _, span in boots]
        return self._counted(selector, spans, number, newest=0, what=("boot of this machine", "; boot:0 is the newest"))

    def _counted(self, selector: Selector, spans: list[Span], number: int, *, newest: int, what: tuple[str, str]) -> Span:
        """The span with this number: from 1 for the oldest, from `newest` downwards for the newest; `what` they are, and how to name one."""
        index = number - 1 if number > 0 else len(spans) - 1 + number - newest
        if not 0 <= index < len(spans):
            name, hint = what
            there = f"the history that is kept has {counted(len(spans), name) if spans else f'no {name}'}"
            raise self._no_such(selector, there + (hint if spans else ""))
        return spans[index]

    def _at_time(self, selector: Selector, wall_us: int) -> Span:
        """Records up to the last one made at `wall_us` or earlier, and from the first one made at it or later."""
        found = _Crossing(wall_us)
        ends = [end for stamp in self._timeline.stamps() if (end := found.feed(stamp)) is not None]
        ends += found.finish()
        if len(ends) > 1:
            raise self._ambiguous(selector, wall_us, ends)
        if not ends:
            return Span(found.first_lsn, 0)
        return ends[0]

    def _ambiguous(self, selector: Selector, wall_us: int, ends: list[Span]) -> AmbiguousSelector:
        candidates = tuple(f"{self._timeline.cluster}@{end.last}" for end in ends)
        return AmbiguousSelector(
            f"{selector.text}: the wall clock of {self._timeline.cluster} was set, and showed {rfc3339(wall_us, digits=3)} "
            f"{len(ends)} times; nothing was read. Name one of the places: {', '.join(candidates)}.",
            cluster=self._timeline.cluster,
            candidates=candidates,
        )

    def _no_such(self, selector: Selector, why: str) -> NoSuchRecord:
        return NoSuchRecord(
            f"{selector.text} selects nothing in {self._timeline.cluster}: {why}.",
            cluster=self._timeline.cluster,
            reason="no_such_place",
        )


class _Crossing:
    """Where a wall clock, followed record by record, goes past a time: once, unless it was set back."""

    def __init__(self, wall_us: int) -> None:
        self._wall_us = wall_us
        self._before: tuple[int, Stamp] | None = None
        self._first_at = 0
        self.first_lsn = 1
        self.horizon = 0

    def feed(self, stamp: Stamp) -> Span | None:
        """Take the next record; answers with the place that ended just before it, if one did."""
        before, self.horizon = self._before, stamp.last_lsn
        reading = stamp.wall_us
        if before is None:
            self.first_lsn = stamp.first_lsn
        elif not _clock_was_set(before[1], stamp):
            reading = max(before[0], reading)
        ended = None
        if before is not None and before[0] <= self._wall_us < reading:
            ended = Span(self._first_at or stamp.first_lsn, before[1].last_lsn)
        if reading < self._wall_us:
            self._first_at = 0
        elif not self._first_at:
            self._first_at = stamp.first_lsn
        self._before = (reading, stamp)
        return ended

    def finish(self) -> list[Span]:
        """The place at the very end, where the last record is not later than the time."""
        if self._before is None or self._before[0] > self._wall_us:
            return []
        return [Span(self._first_at or self.horizon + 1, self.horizon)]


def _clock_was_set(before: Stamp, after: Stamp) -> bool:
    drift_us = (after.wall_us - after.boot_us) - (before.wall_us - before.boot_us)
    return before.boot_id != after.boot_id or abs(drift_us) > CLOCK_STEP_US
