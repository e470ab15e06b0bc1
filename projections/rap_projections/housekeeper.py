"""The one background thread of a store: it lets time pass for whatever waits for it.

Rules this file keeps:

- It sleeps until something waits, and looks around every `PATROL_S` seconds even then: time runs, and is written down (trust, 16).
- It decides nothing: batches that waited long enough are committed, and an idle witness is brought up to date.
- A failure here is the journal's to remember (it is poisoned); it goes on for the other clusters.

Example::

    housekeeper = Housekeeper(lambda: store.clusters())
    housekeeper.start()
"""

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from rap_journal.errors import StateStoreError

INTERVAL_S = 0.02
"""How often it looks while something waits: a fifth of the longest wait of a batch."""

PATROL_S = 20.0
"""How often it looks when nothing waits: a third of the time that is paid for in advance."""


class Ticking(Protocol):
    """Something that waits for time to pass."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        ...

    def tick(self) -> None:
        """Do what time asks for."""
        ...


class Housekeeper:
    """A daemon thread that ticks clusters while they are not idle."""

    def __init__(self, tickers: Callable[[], Iterable[Ticking]], *, patrol_s: float = PATROL_S) -> None:
        self._tickers = tickers
        self._patrol_s = patrol_s
        self._awake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rap-housekeeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Something waits. Cheap enough for the hot path."""
        if not self._awake.is_set():
            self._awake.set()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        self._awake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._awake.wait(self._patrol_s)
            if self._stopped.wait(INTERVAL_S):
                return
            # Cleared before looking, so that a wake between looking and sleeping is not lost.
            self._awake.clear()
            busy = [ticking for ticking in self._tickers() if not tick_one(ticking)]
            if busy:
                self._awake.set()


def tick_one(ticking: Ticking) -> bool:
    """Tick one; True when nothing waits any more, or nothing can be done about it here."""
    try:
        ticking.tick()
    except (StateStoreError, OSError):
        return True
    return ticking.is_idle
