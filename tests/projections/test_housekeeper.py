"""The one background thread: it ticks what waits until it is idle, and no failure of one keeps time from passing for others."""

import errno
import threading

import pytest

from rap_journal.errors import Poisoned
from rap_projections.housekeeper import Housekeeper, Housekeeping, tick_one

LONG_S = 3600.0


class Waiter:
    """Waits until it was ticked so many times."""

    def __init__(self, ticks: int, error: Exception | None = None) -> None:
        self.left = ticks
        self.ticked = 0
        self.done = threading.Event()
        self._error = error

    @property
    def is_idle(self) -> bool:
        return self.left <= 0

    def tick(self) -> None:
        self.ticked += 1
        self.left -= 1
        if self.is_idle or self._error:
            self.done.set()
        if self._error:
            raise self._error


def test_what_waits_is_ticked_until_it_is_idle() -> None:
    waiter = Waiter(3)
    housekeeper = Housekeeper(lambda: [waiter], patrol_s=LONG_S)
    housekeeper.start()
    housekeeper.wake()
    assert waiter.done.wait(30)
    housekeeper.stop()
    assert waiter.ticked == 3


def test_nothing_is_ticked_while_nobody_wakes_it() -> None:
    waiter = Waiter(1)
    housekeeper = Housekeeper(lambda: [waiter], patrol_s=LONG_S)
    housekeeper.start()
    housekeeper.stop()
    assert waiter.ticked == 0


def test_it_looks_around_although_nobody_wakes_it() -> None:
    waiter = Waiter(1)
    housekeeper = Housekeeper(lambda: [waiter], patrol_s=0.001)
    housekeeper.start()
    assert waiter.done.wait(30)
    housekeeper.stop()


@pytest.mark.parametrize("error", [Poisoned("poisoned"), OSError(errno.EIO, "input/output error")])
def test_a_failure_of_one_stops_no_other(error: Exception) -> None:
    broken, healthy = Waiter(1000, error), Waiter(4)
    housekeeper = Housekeeper(lambda: [broken, healthy], patrol_s=LONG_S)
    housekeeper.start()
    housekeeper.wake()
    assert healthy.done.wait(30)
    housekeeper.stop()
    assert healthy.ticked == 4


def test_it_can_be_woken_again_after_everything_was_idle() -> None:
    first, second = Waiter(1), Waiter(1)
    tickers = [first]
    housekeeper = Housekeeper(lambda: tickers, patrol_s=LONG_S)
    housekeeper.start()
    housekeeper.wake()
    assert first.done.wait(30)
    tickers[:] = [second]
    housekeeper.wake()
    assert second.done.wait(30)
    housekeeper.stop()


def test_one_tick_says_whether_anything_waits_still() -> None:
    waiter = Waiter(2)
    assert [tick_one(waiter), tick_one(waiter)] == [False, True]
    assert tick_one(Waiter(1000, OSError(errno.ENOSPC, "full")))


def test_a_mistake_of_ours_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        tick_one(Waiter(1, ZeroDivisionError()))


def test_a_mistake_of_ours_is_told_and_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    broken, healthy = Waiter(1000, ZeroDivisionError()), Waiter(4)
    housekeeper = Housekeeper(lambda: [broken, healthy], patrol_s=LONG_S)
    housekeeper.start()
    housekeeper.wake()
    assert healthy.done.wait(30)
    housekeeper.stop()
    assert healthy.ticked == 4 and {args.exc_type for args in told} == {ZeroDivisionError}
    assert told[0].thread is not None and told[0].thread.name == "rap-housekeeper"


class Blocked(Waiter):
    """Takes until it is let go."""

    def __init__(self) -> None:
        super().__init__(1)
        self.begun, self.let_go = threading.Event(), threading.Event()

    def tick(self) -> None:
        self.begun.set()
        assert self.let_go.wait(30)
        super().tick()


def test_what_takes_long_keeps_nothing_else_waiting_and_is_finished_before_the_end() -> None:
    """Mutation: tick both on one thread."""
    slow, prompt = Blocked(), Waiter(2)
    housekeeping = Housekeeping(prompt=lambda: [prompt], slow=lambda: [slow], background=True)
    housekeeping.start()
    housekeeping.wake_upkeep()
    assert slow.begun.wait(30)
    housekeeping.wake()
    assert prompt.done.wait(30)
    threading.Timer(0.01, slow.let_go.set).start()
    housekeeping.stop()
    assert (prompt.ticked, slow.ticked) == (2, 1)


def test_without_threads_one_tick_does_both() -> None:
    slow, prompt = Waiter(1), Waiter(1)
    housekeeping = Housekeeping(prompt=lambda: [prompt], slow=lambda: [slow], background=False)
    housekeeping.start()
    housekeeping.wake()
    housekeeping.tick()
    housekeeping.stop()
    assert (prompt.ticked, slow.ticked) == (1, 1)
