"""An interrupt at any line of the committer leaves nobody waiting for ever, and no record in doubt that recovery cannot settle."""

import linecache
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NamedTuple

import pytest

from rap_journal import batches, committer, frame_assembly
from rap_journal.batches import Ticket
from rap_journal.errors import MisuseError, OutcomeUnknown, Poisoned
from rap_journal.records import Record
from rap_journal.testing import MemoryFileSystem
from tests.journal.workbench import HEALTH, IDENTITY, Opened, create_journal, open_journal

FILES = (committer.__file__, frame_assembly.__file__, batches.__file__)
PATIENCE_S = 20
"""How long a test waits for a thread before it fails; no test waits that long when all is well."""


class Worker(threading.Thread):
    """A call in a thread of its own, interrupted before line number `at` of the committer and its queue."""

    def __init__(self, call: Callable[[], object], at: int) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._left = at
        self.was_interrupted = False
        self.error: BaseException | None = None

    def run(self) -> None:
        sys.settrace(self._trace)
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error
        finally:
            sys.settrace(None)

    def result(self) -> BaseException | None:
        """What it raised, once it is over."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), "the call never returned"
        return self.error

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        return self._trace_line if frame.f_code.co_filename in FILES else None

    def _trace_line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        # A line that takes the lock is seen again when it gives it back. Real interrupts come behind a call, or while waiting for
        # the lock, and never between the last statement of the block and the lock being free.
        if event == "line" and not linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            self._left -= 1
            if self._left == 0:
                self.was_interrupted = True
                raise KeyboardInterrupt
        return self._trace_line


class Scene(NamedTuple):
    """A journal with records that wait, each for a frame of its own, and whoever waits for the last of them."""

    filesystem: MemoryFileSystem
    opened: Opened
    tickets: list[Ticket]
    onlooker: Worker


def scene() -> Scene:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    opened = open_journal(filesystem)
    opened.append(HEALTH, ["before"])
    tickets = [opened.submit(IDENTITY, ["first"]), opened.submit(HEALTH, ["second"]), opened.submit(IDENTITY, ["third"])]
    onlooker = Worker(lambda: opened.journal.wait(tickets[-1]), at=0)
    apply, is_asleep = opened.ledger.apply, watch_sleepers(opened)

    def joined(records: Sequence[Record]) -> None:
        # Somebody leads: from here on there is somebody to be forgotten.
        if not onlooker.ident:
            onlooker.start()
            assert is_asleep.wait(PATIENCE_S)
        apply(records)

    opened.ledger.apply = joined  # type: ignore[method-assign]  # the ledger of one test
    return Scene(filesystem, opened, tickets, onlooker)


def watch_sleepers(opened: Opened) -> threading.Event:
    """Set once a thread waits for whoever leads."""
    assert opened.journal._committer is not None
    changed, is_asleep = opened.journal._committer._changed, threading.Event()
    wait = changed.wait

    def watching_wait(timeout: float | None = None) -> bool:
        is_asleep.set()
        return wait(timeout)

    changed.wait = watching_wait  # type: ignore[method-assign]  # the condition of one test
    return is_asleep


CALLS: dict[str, Callable[[Scene], object]] = {
    "wait": lambda it: it.opened.journal.wait(it.tickets[0]),
    "wait for what comes later": lambda it: it.opened.journal.wait(it.tickets[1]),
    "append": lambda it: it.opened.append(HEALTH, ["more"]),
    "flush": lambda it: it.opened.journal.flush(),
    "witness": lambda it: it.opened.journal.bring_witness_up(),
    "seal": lambda it: it.opened.journal.seal_active(),
    "close": lambda it: it.opened.journal.close(),
}


def settle(it: Scene) -> None:
    """Whoever waits is answered, the journal takes records or says why it does not, and recovery brings back all that was told or seen."""
    if not it.onlooker.ident:
        it.onlooker.start()
    assert isinstance(it.onlooker.result(), (type(None), OutcomeUnknown, Poisoned, MisuseError)), it.onlooker.error
    after = Worker(lambda: it.opened.append(HEALTH, ["after"]), at=0)
    after.start()
    assert isinstance(after.result(), (type(None), Poisoned, MisuseError)), after.error
    last = Worker(it.opened.journal.close, at=0)
    last.start()
    assert isinstance(last.result(), (type(None), MisuseError)), last.error
    seen, told = it.opened.ledger.bodies(), ["third"] if it.onlooker.error is None else ["before"]
    found = open_journal(it.filesystem.kill()).ledger.bodies()
    assert found[: len(seen)] == seen and told in found
    assert len({body[0] for body in found}) == len(found), "something was written twice"


@pytest.mark.parametrize("what", CALLS)
def test_an_interrupt_at_any_line_of_a_call_leaves_nobody_waiting(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    at = 0
    while True:
        at += 1
        it = scene()
        worker = Worker(lambda it=it: CALLS[what](it), at)  # type: ignore[misc]  # bound per round
        worker.start()
        error = worker.result()
        if not worker.was_interrupted:
            break
        assert isinstance(error, KeyboardInterrupt), f"line {at}: {error!r}"
        settle(it)
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: interrupted at each of {at - 1} lines\n")
    assert error is None and at > 20
    settle(it)


def test_an_interrupt_that_comes_before_the_failure_was_noted_is_named_to_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: say KeyboardInterrupt whatever it was."""
    it = scene()

    class Stop(BaseException):
        """Another interrupt than that of the keyboard, such as a signal handler raises."""

    def stopped(turn: object, error: BaseException | None) -> None:
        if error is not None:
            raise Stop

    # The line that keeps the error is where this one strikes.
    monkeypatch.setattr(committer._Turn, "error", property(lambda turn: None, stopped), raising=False)
    monkeypatch.setattr(it.opened.ledger, "apply", lambda records: 1 // 0)
    with pytest.raises(Stop) as caught:
        it.opened.journal.wait(it.tickets[0])
    assert isinstance(caught.value.__context__, ZeroDivisionError)
    error = it.tickets[0].batch.error
    assert isinstance(error, OutcomeUnknown) and "(Stop)" in str(error)
    assert it.opened.journal.is_poisoned
