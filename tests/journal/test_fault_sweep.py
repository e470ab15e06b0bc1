"""Every operation of a short life fails once, in every way: nobody is told what is not so, and reopening puts all right.

The life is `workload.run`. Its n-th sync (write, rename, ...) fails; the caller gives up, closes, and opens again: first in the same
process, with what the page cache still shows, and then once more after the power went.
"""

import errno
from collections.abc import Iterator

import pytest

from rap_journal.errors import StateStoreError
from rap_journal.testing import MemoryFileSystem, RandomSurvival, SeededRandomness
from tests.journal.test_crash_sweep import check_recovered
from tests.journal.workbench import HEALTH, PATH, create_journal, open_journal, plant, tree
from tests.journal.workload import Outcome, run

OPERATIONS = ("create", "write", "truncate", "sync", "rename", "unlink", "sync_directory")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS)


@pytest.fixture(scope="module")
def young() -> dict[str, bytes | None]:
    """The files of an empty journal."""
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    return tree(filesystem)


@pytest.fixture(scope="module")
def whole(young: dict[str, bytes | None]) -> Outcome:
    """What the life comes to when nothing fails."""
    outcome = run(plant(young), PATH)
    assert outcome.finished
    return outcome


def failing_lives(young: dict[str, bytes | None], operation: str, number: int) -> Iterator[tuple[MemoryFileSystem, Outcome]]:
    """One life for each operation of that name, which fails in it."""
    for succeeding in range(1000):
        filesystem = plant(young)
        filesystem.fail(operation, "*", number, after=succeeding)
        outcome = run(filesystem, PATH)
        if outcome.finished and outcome.error is None:
            return
        filesystem.heal()
        yield filesystem, outcome
    raise AssertionError("the life never came to its end")


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_after_any_failed_operation_reopening_finds_all_that_was_acknowledged(
    young: dict[str, bytes | None], whole: Outcome, operation: str, number: int
) -> None:
    count = 0
    for filesystem, outcome in failing_lives(young, operation, number):
        count += 1
        assert isinstance(outcome.error, (StateStoreError, OSError))
        left = filesystem.image(RandomSurvival(SeededRandomness(count)))
        for place in (filesystem, left):
            opened = open_journal(place)
            check_recovered(opened, outcome, whole)
            opened.append(HEALTH, ["after", count])
            opened.journal.close()
            again = open_journal(place)
            assert again.journal.report.is_clean
            assert again.ledger.bodies() == opened.ledger.bodies()
    assert count > 0 or operation == "unlink"


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_power_cut_right_after_a_failed_operation_loses_nothing_that_was_acknowledged(
    young: dict[str, bytes | None], whole: Outcome, operation: str
) -> None:
    for filesystem, outcome in failing_lives(young, operation, errno.EIO):
        opened = open_journal(filesystem.crash())
        check_recovered(opened, outcome, whole)
