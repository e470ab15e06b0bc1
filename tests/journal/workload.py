"""A short life of a journal, step by step, and what of it may be there after any crash."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from rap_journal.errors import StateStoreError
from rap_journal.filesystem import FileSystem
from rap_journal.recovery_plan import Verdict
from rap_journal.testing import SeededRandomness, SimulatedCrash
from tests.journal.workbench import HEALTH, IDENTITY, PEERS, TRUST, Opened, open_journal, record_of, setup_of

TEXT = SeededRandomness("text")(250).hex()
"""Does not compress well, so that a few records fill a segment of 4096 bytes."""

ORDINARY_ENDS = {Verdict.CLEAN, Verdict.TORN_TAIL, Verdict.TORN_OR_ROTTEN}
"""What the end of a journal may look like after a crash: never like damage."""


class Outcome(NamedTuple):
    """What a run of the workload came to.

    Attributes:
        acknowledged: bodies whose calls returned.
        frames: bodies frame by frame, as they became visible.
        finished: whether it ran to its end.
        error: what a call raised that ended it, other than a crash.
    """

    acknowledged: list[Any]
    frames: list[list[Any]]
    finished: bool
    error: Exception | None = None


def run(filesystem: FileSystem, path: str, seed: int = 2) -> Outcome:
    """Open, write, roll, checkpoint, reopen, write, close; a crash ends it early, and an error with a last attempt to close."""
    acknowledged: list[Any] = []
    frames: list[list[Any]] = []
    opened: Opened | None = None
    try:
        for step in (_first_life, _second_life):
            opened = open_journal(filesystem, path, setup_of(randomness=SeededRandomness(seed)))
            _watch(opened, frames)
            step(opened, acknowledged)
            opened.journal.close()
    except SimulatedCrash:
        return Outcome(acknowledged, frames, False)
    except (StateStoreError, OSError) as error:
        if opened is not None:
            with suppress(StateStoreError, OSError):
                opened.journal.close()
        return Outcome(acknowledged, frames, False, error)
    return Outcome(acknowledged, frames, True)


def _watch(opened: Opened, frames: list[list[Any]]) -> None:
    apply = opened.ledger.apply

    def watching(records: Sequence[Any]) -> None:
        apply(records)
        frames.append([list(record.body) for record in records])

    opened.ledger.apply = watching  # type: ignore[method-assign]  # the ledger of one test


def _first_life(opened: Opened, acknowledged: list[Any]) -> None:
    write = _writer(opened, acknowledged)
    write(IDENTITY, ["identity", 1])
    write(HEALTH, ["health", 1, TEXT], ["health", 2])
    opened.submit(PEERS, ["peers", 1, TEXT])
    opened.ledger.riding.append(record_of(PEERS, ["riding", 1]))
    write(HEALTH, ["health", 3, TEXT])
    write(TRUST, ["trust", 1, TEXT], ["trust", 2, TEXT])
    opened.journal.tick(10**9)
    for number in range(4, 10):
        write(HEALTH, ["health", number, TEXT])
    opened.checkpoint()
    write(IDENTITY, ["identity", 2])
    write(PEERS, ["peers", 2])


def _second_life(opened: Opened, acknowledged: list[Any]) -> None:
    write = _writer(opened, acknowledged)
    for number in range(10, 14):
        write(HEALTH, ["health", number, TEXT])
        write(TRUST, ["trust", number])
    opened.submit(PEERS, ["peers", 3, TEXT])
    opened.journal.flush()


def _writer(opened: Opened, acknowledged: list[Any]) -> Callable[..., None]:
    def write(spec: Any, *bodies: Any) -> None:
        opened.append(spec, *bodies)
        acknowledged.extend(bodies)

    return write
