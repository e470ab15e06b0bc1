"""The bounded list of refusals."""

import pytest

from rap_projections.policy import Policy
from rap_projections.refusal_log import REFUSALS_MAX, UNSAID_MAX, Refusal, Unsaid, is_due, noted
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


def test_a_full_list_of_fresh_refusals_lets_no_further_ones_in() -> None:
    log: tuple[Refusal, ...] = ()
    policy = Policy(refusal_interval_s=60)
    for number in range(REFUSALS_MAX):
        assert is_due(log, "peer", "routes", f"r{number}", at(number), policy)
        log = noted(log, refusal(f"r{number}", number))
    times_us = [REFUSALS_MAX, 60 * SECOND - 1, 60 * SECOND]
    assert [is_due(log, "peer", "routes", "made_up", at(time_us), policy) for time_us in times_us] == [False, False, True]


def test_what_was_not_said_is_counted_until_it_is() -> None:
    unsaid = Unsaid()
    for _time in range(3):
        unsaid.add("flood")
    unsaid.add("other")
    unsaid.said("flood", 2)
    assert (unsaid.times("flood"), unsaid.times("other"), unsaid.times("stranger")) == (1, 1, 0)
    unsaid.said("flood", 5)
    assert unsaid.times("flood") == 0


def test_counts_are_bounded_and_the_oldest_gives_way() -> None:
    unsaid = Unsaid()
    for number in range(UNSAID_MAX + 1):
        unsaid.add(number)
    assert [unsaid.times(number) for number in (0, 1, UNSAID_MAX)] == [0, 1, 1]
