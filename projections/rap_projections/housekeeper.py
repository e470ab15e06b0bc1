"""The background threads of a store: one lets time pass for whatever waits for it, one does what takes long.

Rules this file keeps:

- It sleeps until something waits, and looks around every `PATROL_S` seconds even then: time runs, and is written down (trust, 16).
- It decides nothing: batches that waited long enough are committed, and an idle witness is brought up to date.
- What takes long, such as a checkpoint, has a thread of its own: no batch waits for it.
- A failure here is the journal's to remember (it is poisoned); it goes on for the other clusters.
- A mistake in the code ends no thread either: it is told through `threading.excepthook`, as one that did would be.

Example::

    housekeeping = Housekeeping(prompt=lambda: (cluster,), slow=lambda: (), background=True)
    housekeeping.start()
"""

import sys
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

    def __init__(
        self, tickers: Callable[[], Iterable[Ticking]], *, patrol_s: float = PATROL_S, name: str = "rap-housekeeper"
    ) -> None:
        self._tickers = tickers
        self._patrol_s = patrol_s
        self._awake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

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
            busy = [ticking for ticking in self._tickers() if not self._tick_one(ticking)]
            if busy:
                self._awake.set()

    def _tick_one(self, ticking: Ticking) -> bool:
        try:
            return tick_one(ticking)
        except Exception:  # noqa: BLE001 - whatever it is, batches of all clusters wait for this thread.
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
            return True


class Housekeeping:
    """Both threads of a store; without `background` there are none, and somebody calls `tick`."""

    def __init__(
        self, *, prompt: Callable[[], Iterable[Ticking]], slow: Callable[[], Iterable[Ticking]], background: bool
    ) -> None:
        self._tickers = (prompt, slow)
        self._background = background
        self._prompt = Housekeeper(prompt)
        self._slow = Housekeeper(slow, name="rap-upkeep")
        self.wake = self._prompt.wake
        self.wake_upkeep = self._slow.wake

    def start(self) -> None:
        """Begin."""
        if self._background:
            self._prompt.start()
            self._slow.start()
            # A boot is paid for from its beginning, so that none is too short to count.
            self._prompt.wake()

    def stop(self) -> None:
        """End both threads and wait for them: a checkpoint under way is finished."""
        if self._background:
            self._prompt.stop()
            self._slow.stop()

    def tick(self) -> None:
        """Do everything once, here and now."""
        for tickers in self._tickers:
            for ticking in tickers():
                tick_one(ticking)


def tick_one(ticking: Ticking) -> bool:
    """Tick one; True when nothing waits any more, or nothing can be done about it here."""
    try:
        ticking.tick()
    except (StateStoreError, OSError):
        return True
    return ticking.is_idle
