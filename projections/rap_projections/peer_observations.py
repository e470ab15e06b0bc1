"""What this node saw of its peers: the columnar event, and the buffer that collects rows for it.

Rules this file keeps:

- An observation is a hint: it is counted and ignored for an id the directory does not name, and never makes a peer.
- A row names its peer by number. The event says under which numbering, so that a row which waited while the directory changed is
  never given to another peer.
- Every row has its own time, relative to the event's, so that how rows are split into events changes nothing.
- An event has one origin: what was observed for another reason, or by somebody else, goes into another event.
- A batch with one wrong row is refused whole, before any of it is kept.

Columns are packed as in `columns`: numbers 2 or 4 bytes a row, rtt_us and after_us 4 bytes, failures 1 byte. A column of
zeros only is left empty (failures, after_us).

Example::

    buffer = ObservationBuffer(state, failures_max=8)
    buffer.observe("node-17", node_us, rtt_ms=12.5)
    buffer.observe_many([("node-17", 12.5), ("node-4", None), ("node-9", None, "refused")], node_us)
    for event in buffer.drain():
        append(event, rows=event.row_count)
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import repeat
from typing import Any, NamedTuple, Protocol

from rap_journal.errors import MisuseError
from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_journal.records import Category
from rap_projections.columns import Column, pack, unpack
from rap_projections.event_kinds import PEERS, event_kind
from rap_projections.peer_directory import Directory
from rap_projections.receipts import NO_ORIGIN, Origin

FAILED = 0xFFFF_FFFF
"""Stands in the column of round-trip times where there was no answer."""

RTT_MS_MAX = 4_294_000
"""Longest round trip that is taken, in milliseconds: what fits 32 bits of microseconds."""

ROWS_MAX_DEFAULT = 16 * RECORDS_PER_FRAME_MAX
"""Rows a buffer holds while the disk is slow."""

WRONG_ROW = "observation_row"
"""Reason of the `MisuseError` for what is no observation."""

AFTER_US_MAX = 0xFFFF_FFFF
"""Longest span of time within one event: about 71 minutes."""


class FailureReason(IntEnum):
    """Why there was no answer, of a peer or on a route. The numbers are on disk: they are never given another meaning."""

    LOST = 1
    TIMEOUT = 2
    REFUSED = 3
    UNREACHABLE = 4
    RESET = 5
    CERTIFICATE = 6
    PROTOCOL = 7
    OVERLOADED = 8
    UNRESOLVED = 9
    LOCAL = 10

    @property
    def word(self) -> str:
        """The word callers use for it, such as "timeout"."""
        return self.name.lower()


_CODES: dict[Any, int] = {None: FailureReason.LOST.value, **{reason.word: reason.value for reason in FailureReason}}


def failure_code(word: str | None) -> int:
    """The code of a failure word; no word means "lost": no answer, and nobody knows why. Raises `MisuseError` for another word."""
    try:
        return _CODES[word]
    except (KeyError, TypeError):
        words = ", ".join(reason.word for reason in FailureReason)
        raise MisuseError(
            f"{word!r:.40} is no failure reason; nothing of the call was kept. Use one of: {words}.", reason="failure_word"
        ) from None


def failure_reason(code: int) -> FailureReason:
    """The reason with this code; a code of a later release reads as LOST."""
    return _REASONS.get(code, FailureReason.LOST)


_REASONS = {reason.value: reason for reason in FailureReason}


@event_kind(70, state_class=PEERS, category=Category.OBSERVATION, sensitivity="open, open, open, open, open, open, open")
class PeersObserved(NamedTuple):
    """Round trips to peers, or their failures. It takes one LSN per row: row i has the record's LSN + i.

    Attributes:
        node_us: node time of the first row, microseconds.
        numbering_lsn: LSN of the record that made the numbering the rows use.
        numbers: column of peer numbers: 2 bytes each, or 4 where one is above 65,535.
        rtt_us: column of round-trip times in microseconds; `FAILED` where there was no answer.
        failures: column of `FailureReason` codes, 1 byte each, 0 for an answer; empty if every row is one.
        after_us: column of microseconds since `node_us`; empty if all are 0.
        failures_max: recent failures kept per peer.
    """

    node_us: int
    numbering_lsn: int
    numbers: bytes
    rtt_us: bytes
    failures: bytes
    after_us: bytes
    failures_max: int

    @property
    def row_count(self) -> int:
        """Number of rows, and of LSNs."""
        return len(self.rtt_us) // 4

    def number_column(self) -> Column:
        """The peer numbers as integers. Raises ValueError where columns do not fit one another."""
        rows = len(self.rtt_us)
        if len(self.numbers) == rows:
            return unpack("I", self.numbers)
        if len(self.numbers) * 2 == rows:
            return unpack("H", self.numbers)
        raise ValueError(f"{len(self.numbers)} bytes of peer numbers for {rows} bytes of round-trip times")

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Peer number, round trip in microseconds or `FAILED`, failure code and node time of each row.

        Raises ValueError, before the first row, where columns do not fit one another.
        """
        count, start = self.row_count, self.node_us
        if len(self.failures) not in (0, count) or len(self.after_us) not in (0, 4 * count):
            raise ValueError(f"{len(self.failures)} failures and {len(self.after_us)} bytes of times for {count} rows")
        times: Iterable[int] = [start + after for after in unpack("I", self.after_us)] if self.after_us else repeat(start)
        return zip(self.number_column(), unpack("I", self.rtt_us), self.failures or repeat(0), times, strict=False)


class HasDirectory(Protocol):
    """Whatever has the directory in force: the state of the peers class."""

    directory: Directory


class Noted(NamedTuple):
    """An event that waits for its frame, and what it follows from."""

    event: PeersObserved
    origin: Origin


class ObservationBuffer:
    """Rows that wait for their frame. The caller's lock guards it.

    Attributes:
        strangers: observations of ids the directory did not name, since this buffer was made.
        overflowed: observations dropped because `rows_max` rows were waiting.
        accepted: rows kept since this buffer was made, those that were drained included.
    """

    __slots__ = (
        "strangers", "overflowed", "accepted", "_source", "_directory", "_origin", "_failures_max", "_rows_max", "_done",
        "_done_rows", "_numbers", "_rtts", "_failures", "_times", "_last_us",
    )  # fmt: skip

    def __init__(self, source: HasDirectory, *, failures_max: int, rows_max: int = ROWS_MAX_DEFAULT) -> None:
        """Collect rows under the numbering that `source` has at each call."""
        self.strangers = 0
        self.overflowed = 0
        self.accepted = 0
        self._source = source
        self._directory = source.directory
        self._origin = NO_ORIGIN
        self._failures_max = failures_max
        self._rows_max = rows_max
        self._done: list[Noted] = []
        self._done_rows = 0
        # Rows are at node time 1 or later: 0 stands for "never" in the state.
        self._last_us = 1
        self._clear()

    def __len__(self) -> int:
        """Number of rows that wait."""
        return self._done_rows + len(self._numbers)

    @property
    def oldest_us(self) -> int | None:
        """Node time of the oldest row that waits, microseconds; None where none does."""
        if self._done:
            return self._done[0].event.node_us
        return self._times[0] if self._times else None

    def limit_failures(self, failures_max: int) -> None:
        """Rows from now on are kept under this many recent failures per peer: the policy changed."""
        self._seal()
        self._failures_max = failures_max

    def observe(self, peer: str, node_us: int, *, rtt_ms: float | None = None, failure: str | None = None) -> bool:
        """Keep one observation, made at node time `node_us`; False if `peer` is a stranger or the buffer is full.

        Args:
            peer: id of the peer.
            node_us: node time of the observation, microseconds; one before the latest row's counts as the same time.
            rtt_ms: round trip in milliseconds, 0 to 4,294,000; None for a loss. Less than a microsecond counts as one.
            failure: the word of a `FailureReason`, for a loss only.

        Raises `MisuseError` for another round trip or word; nothing is kept.
        """
        return self.observe_many(((peer, rtt_ms, failure),), node_us) == 1

    def observe_many(self, rows: Iterable[tuple[Any, ...]], node_us: int, origin: Origin = NO_ORIGIN) -> int:
        """Keep many observations, made at node time `node_us`: (peer, rtt_ms or None) or (peer, rtt_ms or None, failure).

        `origin`: who asked, and what it follows from.

        Returns how many were kept. Raises `MisuseError` as `observe` does, and for a row of another shape; nothing is kept.
        """
        if self._source.directory is not self._directory or origin != self._origin:
            self._seal()
            self._directory, self._origin = self._source.directory, origin
        number_of = self._directory.number_of.get
        numbers: list[int] = []
        rtts: list[int] = []
        failures: dict[int, int] = {}
        strangers = 0
        try:
            for row in rows:
                if len(row) == 2:
                    peer, rtt_ms = row
                    failure = None
                else:
                    peer, rtt_ms, failure = row
                if rtt_ms is None:
                    code = failure_code(failure)
                    rtt_us = FAILED
                # This form of comparison refuses a NaN too.
                elif failure is None and 0 <= rtt_ms <= RTT_MS_MAX:
                    code = 0
                    rtt_us = int(rtt_ms * 1000 + 0.5) or 1
                else:
                    raise _wrong_row(len(numbers) + strangers)
                number = number_of(peer)
                if number is None:
                    if not isinstance(peer, str):
                        raise _wrong_row(len(numbers) + strangers)
                    strangers += 1
                    continue
                if code:
                    failures[len(numbers)] = code
                numbers.append(number)
                rtts.append(rtt_us)
        except (TypeError, ValueError) as error:
            raise _wrong_row(len(numbers) + strangers) from error
        self.strangers += strangers
        return self._keep(numbers, rtts, failures, node_us)

    def take(self) -> tuple[Noted, ...]:
        """All rows that wait, as events of at most 4096 rows, in order, each with its origin; the buffer is empty afterwards."""
        self._seal()
        noted = tuple(self._done)
        self._done.clear()
        self._done_rows = 0
        return noted

    def drain(self) -> tuple[PeersObserved, ...]:
        """The events of `take`."""
        return tuple([noted.event for noted in self.take()])

    def _keep(self, numbers: list[int], rtts: list[int], failures: dict[int, int], node_us: int) -> int:
        first = len(self._numbers)
        room = self._rows_max - self._done_rows - first
        if len(numbers) > room:
            self.overflowed += len(numbers) - room
            del numbers[room:], rtts[room:]
        if node_us > self._last_us:
            self._last_us = node_us
        self.accepted += len(numbers)
        self._numbers += numbers
        self._rtts += rtts
        self._times += [self._last_us] * len(numbers)
        if failures:
            self._failures.update({first + index: code for index, code in failures.items()})
        return len(numbers)

    def _seal(self) -> None:
        """Make events of the rows so far: they belong to the numbering, and to the limit, under which they came."""
        start = 0
        while start < len(self._numbers):
            end = min(start + RECORDS_PER_FRAME_MAX, len(self._numbers))
            while self._times[end - 1] - self._times[start] > AFTER_US_MAX:
                end -= 1
            self._done.append(Noted(self._event(start, end), self._origin))
            start = end
        self._done_rows += start
        self._clear()

    def _event(self, start: int, end: int) -> PeersObserved:
        numbers, times = self._numbers[start:end], self._times[start:end]
        codes = [self._failures.get(index, 0) for index in range(start, end)] if self._failures else []
        return PeersObserved(
            node_us=times[0],
            numbering_lsn=self._directory.numbering_lsn,
            numbers=pack("H" if max(numbers) <= 0xFFFF else "I", numbers),
            rtt_us=pack("I", self._rtts[start:end]),
            failures=bytes(codes) if any(codes) else b"",
            after_us=pack("I", [at - times[0] for at in times]) if times[-1] != times[0] else b"",
            failures_max=self._failures_max,
        )

    def _clear(self) -> None:
        self._numbers: list[int] = []
        self._rtts: list[int] = []
        self._failures: dict[int, int] = {}
        self._times: list[int] = []


def _wrong_row(index: int) -> MisuseError:
    return MisuseError(
        f"row {index} of the observations is not (peer, rtt_ms or None) or (peer, rtt_ms or None, failure); nothing of the call was "
        f"kept. A round trip is 0 to {RTT_MS_MAX} ms, or None for a loss; a failure goes with a loss only.",
        reason=WRONG_ROW,
    )
