"""What is tried and what is not when a document is checked by every rule."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rap_projections.refusals import RULES, BadSchema, BadSignature, Expired, RefusedError, Rollback
from rap_projections.rule_report import NotReached, report_of


def outcomes(**broken: Exception) -> list[str]:
    """The outcome of each rule, where the checks of these raise; what it comes to is not asked for then."""

    def check(rule: str) -> Callable[[], None]:
        def run() -> None:
            if rule in broken:
                raise broken[rule]

        return run

    @contextmanager
    def naming() -> Iterator[None]:
        try:
            yield
        except RefusedError as refusal:
            refusal.concerning(cluster="lab", document_type="snapshot")
            raise

    report = report_of([(rule, check(rule)) for rule in RULES], lambda: pytest.fail("it did not pass"), naming)
    assert not report.ok
    assert all(result.refusal.cluster == "lab" for result in report.rules if result.refusal)
    return [f"{result.rule} {result.outcome}" for result in report.rules if result.outcome != "passed"]


def test_behind_a_broken_signature_nothing_is_tried() -> None:
    """Mutation: go on, and parse what nobody signed."""
    assert outcomes(signature=BadSignature("x"), time=Expired("x")) == [
        "signature failed", "floor not reached", "head not reached", "time not reached", "audience not reached", "schema not reached",
    ]  # fmt: skip


def test_behind_the_signature_each_rule_is_tried_for_itself() -> None:
    """Mutation: stop at the first that fails."""
    assert outcomes(floor=Rollback("x"), time=Expired("x")) == ["floor failed", "time failed"]


def test_what_a_later_rule_refuses_is_told_by_that_rule() -> None:
    """Mutation: a header that cannot be read breaks the floor."""
    flaw = BadSchema("x")
    assert outcomes(floor=flaw, schema=flaw) == ["floor not reached", "schema failed"]


def test_what_an_earlier_rule_would_have_refused_is_not_passed_over() -> None:
    """Mutation: nothing fails, and still it does not pass."""
    assert outcomes(head=Rollback("x")) == ["head failed"]


def test_a_rule_that_needs_what_another_refused_is_not_reached() -> None:
    """Mutation: without it, an error of this project comes out of a check."""
    assert outcomes(floor=Rollback("x"), head=NotReached()) == ["floor failed", "head not reached"]
