"""Subscriptions: callbacks told of events in order, at least once, each on a thread of its own.

Rules this file keeps:

- A subscriber is told only of what is durable and visible.
- Nothing a subscriber does can delay or fail an append. What it is slow to take it reads from the journal later, at its own pace:
  memory holds a bounded queue, and no event is left out.
- A callback that raises is told of the same event again, at most `ATTEMPTS_MAX` times; then it is passed over and counted.

Example::

    subscription = cluster.subscribe(on_event, kinds={"RoutesSelected"}, after=cursor)
    subscription.cancel()
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from rap_journal.errors import MisuseError, StateStoreError
from rap_journal.records import Record
from rap_projections.arguments import require, require_callable
from rap_projections.event_kinds import Event, all_kinds, event_of, kind_of

QUEUE_MAX = 4096
"""Records held in memory for one subscriber; one that is further behind reads from the journal."""

ATTEMPTS_MAX = 3


class Delivered(NamedTuple):
    """An event as a subscriber gets it."""

    lsn: int
    name: str
    event: Event
    record: Record


class Subscription:
    """One subscriber.

    Attributes:
        cursor: LSN up to which everything was delivered; hand it over as `after` to go on from there.
        passed_over: events whose callback raised every time.
        error: what ended the delivery, if anything did.
    """

    def __init__(
        self,
        callback: Callable[[Delivered], None],
        kinds: Collection[str] | None,
        *,
        after: int,
        catch_up: Callable[[int], Iterable[Record]],
        is_behind: bool,
    ) -> None:
        require_callable("callback", callback)
        self._callback = callback
        self._kinds = _checked_kinds(kinds)
        self._catch_up = catch_up
        self._queue: deque[Record] = deque()
        self._changed = threading.Condition()
        self._is_behind = is_behind
        self._is_busy = False
        self._is_cancelled = False
        self._newest = after
        self.cursor = after
        self.passed_over = 0
        self.error: StateStoreError | OSError | None = None
        self._thread = threading.Thread(target=self._run, name="rap-subscription", daemon=True)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._is_cancelled

    @property
    def lag(self) -> int:
        """LSNs committed and not yet delivered, as far as this subscriber has heard."""
        return max(0, self._newest - self.cursor)

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def offer(self, records: Sequence[Record]) -> None:
        """Hear of committed records; never waits for the subscriber."""
        with self._changed:
            if self._is_cancelled:
                return
            # LSNs are dense: where some are missing, the journal was opened again meanwhile, and has them.
            self._is_behind = self._is_behind or records[0].lsn > self._newest + 1
            self._newest = max(self._newest, records[-1].lsn + records[-1].rows - 1)
            if not self._is_behind:
                self._queue.extend(records)
                if len(self._queue) > QUEUE_MAX:
                    self._is_behind = True
            self._changed.notify_all()

    def advance(self, lsn: int) -> None:
        """Hear that there are records up to `lsn`, whoever wrote them."""
        with self._changed:
            self._is_behind = self._is_behind or lsn > self._newest
            self._newest = max(self._newest, lsn)
            self._changed.notify_all()

    def cancel(self, timeout_s: float = 5.0) -> None:
        """Stop after the event being delivered; returns when the thread has ended, or after `timeout_s` seconds."""
        with self._changed:
            self._is_cancelled = True
            self._queue.clear()
            self._changed.notify_all()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything heard of is delivered; False after `timeout_s` seconds, or when the delivery ended."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._queue or self._is_behind or self._is_busy), timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._is_behind or self._is_cancelled)
                if self._is_cancelled:
                    return
                self._is_busy = True
                # What is durable by now is read from the journal; what is offered from here on is queued.
                is_behind, self._is_behind = self._is_behind, False
                records: Iterable[Record] = list(self._queue)
                self._queue.clear()
            try:
                self._deliver_all(self._catch_up(self.cursor) if is_behind else records)
            except (StateStoreError, OSError) as error:
                self.error = error
                return

    def _deliver_all(self, records: Iterable[Record]) -> None:
        for record in records:
            if self._is_cancelled:
                return
            last_lsn = record.lsn + record.rows - 1
            if last_lsn > self.cursor:
                self._deliver(record)
                self.cursor = last_lsn

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
        self.passed_over += 1


class Subscriptions:
    """All subscribers of one journal."""

    def __init__(self) -> None:
        self._all: tuple[Subscription, ...] = ()
        self._lock = threading.Lock()

    def add(self, subscription: Subscription) -> None:
        """Offer it every commit from now on. Those that were cancelled meanwhile are let go."""
        with self._lock:
            self._all = (*[other for other in self._all if not other.is_cancelled], subscription)

    def __len__(self) -> int:
        return len(self._all)

    def offer(self, records: Sequence[Record]) -> None:
        """Hand committed records to everybody."""
        for subscription in self._all:
            subscription.offer(records)

    def advance(self, lsn: int) -> None:
        """Tell everybody that there are records up to `lsn`: the journal was opened again."""
        for subscription in self._all:
            subscription.advance(lsn)

    def cancel_all(self) -> None:
        """Stop every subscriber."""
        for subscription in self._all:
            subscription.cancel()
        self._all = ()


def _checked_kinds(kinds: Collection[str] | None) -> frozenset[str] | None:
    if kinds is None:
        return None
    require("kinds", kinds, list, tuple, set, frozenset)
    for kind in kinds:
        require("an item of kinds", kind, str)
    unknown = sorted(set(kinds) - {kind.name for kind in all_kinds()})
    if unknown:
        raise MisuseError(f"{unknown[0]!r:.80} is no event kind; nothing was subscribed.", reason="unknown_kind")
    return frozenset(kinds)
