"""The bounded list of refusals."""

import pytest

from rap_projections.policy import Policy
from rap_projections.refusal_log import REFUSALS_MAX, Refusal, is_due, noted
from tests.projections.class_log import SECOND, at


def refusal(reason: str, at_us: int = 1, times: int = 1) -> Refusal:
    return Refusal("peer", "routes", reason, times, b"d", at_us, at_us, at_us)


def test_refusals_of_one_source_subject_and_reason_are_one_entry() -> None:
    log = noted(noted((), refusal("expired", 1, 2)), refusal("expired", 9, 3))
    assert log == (Refusal("peer", "routes", "expired", 5, b"d", 1, 9, 9),)


@pytest.mark.parametrize("other", [("other", "routes", "expired"), ("peer", "peers", "expired"), ("peer", "routes", "revoked")])
def test_another_source_subject_or_reason_is_another_entry(other: tuple[str, str, str]) -> None:
    log = noted(noted((), refusal("expired")), Refusal(*other, 1, b"", 2, 2, 2))
    assert [entry[:3] for entry in log] == [("peer", "routes", "expired"), other]


def test_the_newest_64_are_kept_and_a_repeated_one_counts_as_new() -> None:
    log: tuple[Refusal, ...] = ()
    for number in range(REFUSALS_MAX):
        log = noted(log, refusal(f"r{number}", number))
    log = noted(noted(log, refusal("r0", 100)), refusal("new", 101))
    assert len(log) == REFUSALS_MAX
    assert [entry.reason for entry in log][:1] + [entry.reason for entry in log][-2:] == ["r2", "r0", "new"]


def test_a_refusal_is_due_again_after_the_interval() -> None:
    log = noted((), refusal("expired", 5 * SECOND))
    policy = Policy(refusal_interval_s=60)
    times = [5, 64, 65]
    assert [is_due(log, "peer", "routes", "expired", at(second * SECOND), policy) for second in times] == [False, False, True]
    assert is_due(log, "peer", "routes", "revoked", at(5 * SECOND), policy)
