"""What holds for every test: repeatable property tests, a count of the vectors that ran, and of what was skipped and why."""

from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")


Tally = Callable[[str, Mapping[str, int]], None]
"""Notes how often a set of vectors, or a list of mutations, came to which verdict."""


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Note counts, which stand at the end of the run: nothing of a set that others made is left out silently."""

    def note(subject: str, counts: Mapping[str, int]) -> None:
        line = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        request.node.user_properties.append(("tally", f"{subject}: {line}"))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the vectors came to, and how many tests were skipped for which reason."""
    passed = terminalreporter.stats.get("passed", [])
    tallies = [text for report in passed for name, text in report.user_properties if name == "tally"]
    if tallies:
        terminalreporter.section("vectors and other counts")
        for text in sorted(tallies):
            terminalreporter.line(text)
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    if reasons:
        terminalreporter.section("skipped, by reason")
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count} skipped: {reason}")
