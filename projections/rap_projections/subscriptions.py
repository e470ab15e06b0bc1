"""Subscriptions: callbacks told of events in order, at least once, each on a thread of its own.

Rules this file keeps:

- A subscriber is told only of what is durable and visible.
- Nothing a subscriber does can delay or fail an append: it reads from the journal at its own pace, and is only woken.
- A callback that raises is told of the same event again later, at most `ATTEMPTS_MAX` times; then it is passed over and counted.

Example::

    subscription = cluster.subscribe(on_event, kinds={"RoutesSelected"}, after=cursor)
    subscription.cancel()
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from rap_journal.records import Record
from rap_projections.event_kinds import Event, event_of, kind_of

QUEUE_MAX = 65_536
"""Records one subscriber may be behind before the oldest are dropped and counted."""

ATTEMPTS_MAX = 3


class Delivered(NamedTuple):
    """An event as a subscriber gets it."""

    lsn: int
    name: str
    event: Event
    record: Record


class Subscription:
    """One subscriber. `cursor` is the LSN it has seen everything up to; `lag` how many records wait for it."""

    def __init__(self, callback: Callable[[Delivered], None], kinds: Collection[str] | None, after: int) -> None:
        self._callback = callback
        self._kinds = frozenset(kinds) if kinds is not None else None
        self._queue: deque[Record] = deque()
        self._changed = threading.Condition()
        self._cancelled = False
        self.cursor = after
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="rap-subscription", daemon=True)

    @property
    def lag(self) -> int:
        """Records that wait to be delivered."""
        return len(self._queue)

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def offer(self, records: Sequence[Record]) -> None:
        """Queue committed records; never waits for the subscriber."""
        with self._changed:
            self._queue.extend(record for record in records if record.lsn > self.cursor)
            while len(self._queue) > QUEUE_MAX:
                self._queue.popleft()
                self.dropped += 1
            self._changed.notify()

    def cancel(self, timeout_s: float = 5.0) -> None:
        """Stop after the event being delivered; returns when the thread has ended, or after `timeout_s` seconds."""
        with self._changed:
            self._cancelled = True
            self._changed.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing is queued; False after `timeout_s` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._cancelled)
                if self._cancelled:
                    return
                record = self._queue[0]
            self._deliver(record)
            with self._changed:
                self._queue.popleft()
                self.cursor = max(self.cursor, record.lsn + record.rows - 1)
                self._changed.notify_all()

    def _deliver(self, record: Record) -> None:
        event = event_of(record)
        if event is None or (self._kinds is not None and kind_of(event).name not in self._kinds):
            return
        for _attempt in range(ATTEMPTS_MAX):
            try:
                self._callback(Delivered(record.lsn, kind_of(event).name, event, record))
            except Exception:  # noqa: BLE001  # whatever a subscriber raises is its own; it must not end the delivery to it
                continue
            return
        self.dropped += 1


class Subscriptions:
    """All subscribers of one journal."""

    def __init__(self) -> None:
        self._all: tuple[Subscription, ...] = ()
        self._lock = threading.Lock()

    def add(self, subscription: Subscription) -> None:
        """Offer it every commit from now on."""
        with self._lock:
            self._all = (*self._all, subscription)

    def remove(self, subscription: Subscription) -> None:
        """Offer it nothing more."""
        with self._lock:
            self._all = tuple(other for other in self._all if other is not subscription)

    def offer(self, records: Sequence[Record]) -> None:
        """Hand committed records to everybody."""
        for subscription in self._all:
            subscription.offer(records)

    def cancel_all(self) -> None:
        """Stop every subscriber."""
        for subscription in self._all:
            subscription.cancel()
        self._all = ()
