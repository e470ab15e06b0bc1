"""Whatever is called in whatever order, with crashes in between: errors of the store alone, the same state again, and every bound."""

import sys
from collections import Counter

import pytest

from tests.projections.random_call_list import CALLS
from tests.projections.random_calls import RandomCalls

SEEDS = range(12)
STEPS = 250


@pytest.fixture(scope="module")
def answers() -> Counter[tuple[str, str]]:
    """What came of the calls of all seeds that were driven by this process."""
    return Counter()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls_raise_errors_of_the_store_alone_and_an_opened_store_is_the_one_before(
    seed: int, answers: Counter[tuple[str, str]]
) -> None:
    drive = RandomCalls(seed, CALLS)
    drive.run(STEPS)
    answers.update(drive.answers)
    assert drive.wrong == [], f"seed {seed}"


def test_the_seeds_together_try_every_call_and_each_with_success(
    answers: Counter[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    if answers.total() < len(SEEDS) * STEPS // 2:
        pytest.skip("the seeds were driven by several processes")
    outcomes = Counter(outcome for _call, outcome in answers.elements())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{answers.total()} random calls: {', '.join(f'{count} {name}' for name, count in outcomes.most_common())}\n"
        )
    assert {name for name in CALLS if not answers[name, "ok"]} <= {"updates.roll_back"}
