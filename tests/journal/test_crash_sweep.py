"""Every crash of a short life, and every crash of the recovery after it: what was acknowledged is there, and nothing else ever was.

The life is `workload.run`. It is cut off before each of its operations in turn; what the disk then holds is tried in several ways.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rap_journal.filesystem import FileSystem
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import EverythingSurvives, MemoryFileSystem, RandomSurvival, SeededRandomness, SimulatedCrash, Survival
from tests.journal.mortal_filesystem import MortalFileSystem
from tests.journal.workbench import HEALTH, PATH, Opened, create_journal, open_journal, plant, setup_of, tree
from tests.journal.workload import ORDINARY_ENDS, Outcome, run

Survivor = Callable[[MemoryFileSystem, int], MemoryFileSystem]

SURVIVORS: dict[str, Survivor] = {
    "nothing unsynced": lambda filesystem, n: filesystem.crash(),
    "everything": lambda filesystem, n: filesystem.crash(EverythingSurvives()),
    "some of it": lambda filesystem, n: filesystem.crash(RandomSurvival(SeededRandomness(n))),
    "some of it, another": lambda filesystem, n: filesystem.crash(RandomSurvival(SeededRandomness(1000 + n))),
    "the page cache": lambda filesystem, n: filesystem.kill(),
}


@pytest.fixture(scope="module")
def young() -> dict[str, bytes | None]:
    """The files of an empty journal."""
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    return tree(filesystem)


@pytest.fixture(scope="module")
def whole(young: dict[str, bytes | None]) -> tuple[Outcome, int]:
    """What the life comes to when nothing cuts it off, and how many operations it takes."""
    filesystem = plant(young)
    outcome = run(filesystem, PATH)
    assert outcome.finished
    return outcome, len(filesystem.operations)


def lives(young: dict[str, bytes | None], operation_count: int) -> Iterator[tuple[int, MemoryFileSystem, Outcome]]:
    """One life for each operation it may be cut off before."""
    for survived in range(operation_count):
        filesystem = plant(young)
        filesystem.crash_after(survived)
        outcome = run(filesystem, PATH)
        assert not outcome.finished
        yield survived, filesystem, outcome


def check_recovered(opened: Opened, outcome: Outcome, whole: Outcome) -> None:
    """I1: what was acknowledged is there. I2: what is there is a prefix of the history, in whole frames. No false alarm."""
    report, bodies = opened.journal.report, opened.ledger.bodies()
    assert not report.is_damage and not report.is_tampered and report.losses == ()
    assert report.verdict in ORDINARY_ENDS
    assert opened.ledger.lsns() == list(range(1, len(bodies) + 1))
    history, boundaries = [], [0]
    for frame in whole.frames:
        history += frame
        boundaries.append(len(history))
    assert bodies == history[: len(bodies)]
    assert len(bodies) in boundaries
    assert all(body in bodies for body in outcome.acknowledged)
    assert len(bodies) >= sum(map(len, outcome.frames)), "what was visible is there"


def go_on(filesystem: FileSystem, path: str, body: Any) -> None:
    """Recover, write one record, close."""
    opened = open_journal(filesystem, path, setup_of(randomness=SeededRandomness("again")))
    opened.append(HEALTH, body)
    opened.journal.close()


@pytest.mark.parametrize("survivor", SURVIVORS.values(), ids=SURVIVORS)
def test_after_a_crash_at_any_operation_all_that_was_acknowledged_is_there(
    young: dict[str, bytes | None], whole: tuple[Outcome, int], survivor: Survivor
) -> None:
    for survived, filesystem, outcome in lives(young, whole[1]):
        left = survivor(filesystem, survived)
        opened = open_journal(left)
        check_recovered(opened, outcome, whole[0])
        opened.journal.folders.close()
        # I4: looking twice sees the same, and the second look changes nothing.
        before = tree(left)
        again = open_journal(left)
        assert again.ledger.state == opened.ledger.state
        assert again.journal.report == opened.journal.report
        assert tree(left) == before
        # Writing goes on, and what was cut never comes back (I3).
        body = ["after", survived]
        again.append(HEALTH, body)
        again.journal.close()
        final = open_journal(left)
        assert final.journal.report.is_clean
        assert final.ledger.bodies() == [*opened.ledger.bodies(), body]


@pytest.mark.parametrize("survival", ["nothing", "some"])
def test_a_recovery_that_is_cut_off_anywhere_is_as_good_as_none(
    young: dict[str, bytes | None], whole: tuple[Outcome, int], survival: str
) -> None:
    for survived, filesystem, outcome in lives(young, whole[1]):
        if survived % 4:
            continue
        left = tree(filesystem.crash(RandomSurvival(SeededRandomness(survived))))
        expected = open_journal(plant(left)).journal.report
        for recovered in range(40):
            second = plant(left)
            second.crash_after(recovered)
            try:
                go_on(second, PATH, ["again"])
                break
            except SimulatedCrash:
                pass
            seed = SeededRandomness(1000 * survived + recovered)
            way: Survival | None = None if survival == "nothing" else RandomSurvival(seed)
            opened = open_journal(second.crash(way))
            bodies = opened.ledger.bodies()
            if bodies and bodies[-1] == ["again"]:
                opened.ledger.state[HEALTH.number].pop()
            elif survival == "nothing":
                report = opened.journal.report
                assert (report.verdict, report.cautious) == (expected.verdict, expected.cautious), "nobody was told before"
            check_recovered(opened, outcome, whole[0])
        else:
            pytest.fail("the recovery never came to its end")


def test_a_process_killed_at_any_operation_on_a_real_disk_loses_nothing_it_acknowledged(
    young: dict[str, bytes | None], whole: tuple[Outcome, int], tmp_path: Path
) -> None:
    for survived in range(0, whole[1], 5):
        path = str(tmp_path / str(survived))
        create_journal(OsFileSystem(), path)
        mortal = MortalFileSystem(OsFileSystem(), survived)
        outcome = run(mortal, path)
        mortal.bury()
        opened = open_journal(OsFileSystem(), path)
        check_recovered(opened, outcome, whole[0])
        opened.append(HEALTH, ["after", survived])
        opened.journal.close()
        final = open_journal(OsFileSystem(), path)
        assert final.journal.report.is_clean
        assert final.ledger.bodies() == opened.ledger.bodies()
        final.journal.close()


def test_on_a_disk_that_tells_the_truth_a_torn_frame_is_always_called_torn(
    young: dict[str, bytes | None], whole: tuple[Outcome, int]
) -> None:
    seen = set()
    for survived, filesystem, _outcome in lives(young, whole[1]):
        for seed in range(4):
            opened = open_journal(filesystem.image(RandomSurvival(SeededRandomness(10 * survived + seed))))
            seen.add(opened.journal.report.verdict)
    assert seen == ORDINARY_ENDS
