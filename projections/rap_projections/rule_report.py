"""What every rule says about one document.

Rules this file keeps:

- While what the signature covers is in doubt, nothing behind it is tried: the rules up to the signature depend on each other.
- Behind the signature each rule is tried although another failed. One that needs what another rule refuses is not reached.

Example::

    report = report_of([("size", check_size), ("structure", check_structure)], verified, naming)
    report.ok, report.refusal
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple

from rap_projections.refusals import AUTHENTICITY, RULES, RefusedError
from rap_projections.verified import VerifiedResult, VerifiedSnapshot


class NotReached(Exception):
    """A rule needs what another rule refused."""


class RuleResult(NamedTuple):
    """What one rule said. "not reached" means that another rule failed on which it depends."""

    rule: str
    outcome: Literal["passed", "failed", "not reached"]
    refusal: RefusedError | None = None


class CheckReport(NamedTuple):
    """What every rule says about a document, in order, and what it comes to if all passed."""

    rules: tuple[RuleResult, ...]
    snapshot: VerifiedSnapshot | VerifiedResult | None

    @property
    def ok(self) -> bool:
        """Whether every rule passed."""
        return self.snapshot is not None

    @property
    def refusal(self) -> RefusedError | None:
        """The refusal of the first rule that failed."""
        return next((result.refusal for result in self.rules if result.refusal), None)


def report_of(
    checks: Sequence[tuple[str, Callable[[], None]]],
    verified: Callable[[], VerifiedSnapshot | VerifiedResult],
    naming: Callable[[], AbstractContextManager[None]],
) -> CheckReport:
    """Try each of `RULES` by its check, which raises a `RefusedError`, or `NotReached`.

    Args:
        checks: rule and check, in the order of `RULES`.
        verified: gives what the document comes to, where every rule passed.
        naming: adds to a refusal which document it is about.
    """
    results: list[RuleResult] = []
    for rule, check in checks:
        is_blocked = any(result.outcome == "failed" and result.rule in AUTHENTICITY for result in results)
        results.append(RuleResult(rule, "not reached") if is_blocked else _tried(rule, check, naming()))
    is_ok = all(result.outcome == "passed" for result in results)
    return CheckReport(tuple(results), verified() if is_ok else None)


def _tried(rule: str, check: Callable[[], None], naming: AbstractContextManager[None]) -> RuleResult:
    try:
        with naming:
            check()
    except NotReached:
        return RuleResult(rule, "not reached")
    except RefusedError as refusal:
        # A header that cannot be read breaks the schema, not the rule that asked for it: what a later rule refuses is that rule's to tell.
        is_its_own = RULES.index(refusal.rule) <= RULES.index(rule)
        return RuleResult(rule, "failed", refusal) if is_its_own else RuleResult(rule, "not reached")
    return RuleResult(rule, "passed")
