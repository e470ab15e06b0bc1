"""The one background thread: it ticks what waits until it is idle, and no failure of one keeps time from passing for others."""

import errno
import threading

import pytest

from rap_journal.errors import Poisoned
from rap_projections.housekeeper import Housekeeper, tick_one

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
