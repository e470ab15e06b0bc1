"""Observations that wait for a frame to ride in: none has one of its own while another frame is about to be written.

Rules this file keeps:

- What was made into records keeps its order and its time, also where there was no room and it has to wait for the next frame.
- Only the one thread that leads the journal's commits takes observations and gives them back.

Example::

    riding = RidingObservations(to_record)
    riding.draw_from(buffer.drain, lambda: buffer.oldest_us)
    riding.take(rows_max=4096)
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from rap_journal.records import Record
from rap_projections.peer_observations import Noted


class RidingObservations:
    """Observations on their way from the buffer of a class into a frame.

    Args:
        to_records: makes records of observations, with the time at which it is called.
    """

    def __init__(self, to_records: Callable[[Sequence[Noted]], Iterable[Record]]) -> None:
        self._to_records = to_records
        self._riding: deque[Record] = deque()
        self._drain: Callable[[], Sequence[Noted]] = tuple
        self._oldest_waiting_us: Callable[[], int | None] = _never

    def draw_from(self, drain: Callable[[], Sequence[Noted]], oldest_us: Callable[[], int | None]) -> None:
        """Take what `drain` gives from now on; `oldest_us`: node time of the first that it would give."""
        self._drain = drain
        self._oldest_waiting_us = oldest_us

    def forget(self) -> None:
        """Drop what was taken and found no room: the journal is opened again, and what was not durable is lost."""
        self._riding.clear()

    @property
    def is_waiting(self) -> bool:
        """Whether observations found no room yet."""
        return bool(self._riding)

    @property
    def oldest_us(self) -> int | None:
        """Node time of the oldest that waits; None where none does."""
        return self._riding[0].node_us if self._riding else self._oldest_waiting_us()

    def take(self, rows_max: int) -> Sequence[Record]:
        """The oldest observations, at most `rows_max` rows."""
        if not self._riding:
            drained = self._drain()
            if not drained:
                return ()
            self._riding.extend(self._to_records(drained))
        taken: list[Record] = []
        while self._riding and self._riding[0].rows <= rows_max:
            record = self._riding.popleft()
            rows_max -= record.rows
            taken.append(record)
        return taken

    def give_back(self, records: Sequence[Record]) -> None:
        """Take back what found no room."""
        self._riding.extendleft(reversed(records))


def _never() -> int | None:
    return None
