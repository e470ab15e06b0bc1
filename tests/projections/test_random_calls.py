"""Whatever is called in whatever order, with crashes in between: errors of the store alone, the same state again, and every bound."""

from collections import Counter

from tests.conftest import Tally
from tests.projections.random_call_list import CALLS
from tests.projections.random_calls import RandomCalls

SEEDS = range(12)
STEPS = 250


def test_random_calls_raise_errors_of_the_store_alone_and_an_opened_store_is_the_one_before(tally: Tally) -> None:
    """All seeds in one test, since together they try every call, and each with success."""
    answers: Counter[tuple[str, str]] = Counter()
    wrong = {}
    for seed in SEEDS:
        drive = RandomCalls(seed, CALLS)
        drive.run(STEPS)
        answers.update(drive.answers)
        if drive.wrong:
            wrong[seed] = drive.wrong
    assert wrong == {}
    assert {name for name in CALLS if not answers[name, "ok"]} <= {"updates.roll_back"}
    tally("random calls", dict(Counter(outcome for _call, outcome in answers.elements())))
