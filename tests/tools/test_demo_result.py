"""What the demonstration found: when it is a success, and what it says when it is none."""

from pathlib import Path
from typing import Any

import pytest

from rap_tools.demo_result import ClusterResult, Comparison, DemoResult, Interruption

SAME, OTHER = "ab" * 32, "cd" * 32
GOOD = Comparison("at the end", 1234, {"writer": SAME, "floor": SAME})
KILL = Interruption(900, 950, "slice 9, 95 rows", "clean", 0, True, 400, 550, 12, ())
CLUSTER = ClusterResult("lab", "node-0", 1234, 1140, 4000.0, 80, 0.5, 400, KILL, (GOOD,), (GOOD,), ())
RESULT = DemoResult(Path("/n"), Path("/n.key"), 4096, "a trace", 12, 7, -9, 80.0, 0, 4.5, (CLUSTER,), ("rap-state status",), 12)


def result_with(**changes: Any) -> DemoResult:
    return RESULT._replace(clusters=(CLUSTER._replace(**changes),))


def test_equal_digests_of_a_killed_writer_are_a_success() -> None:
    assert RESULT.problems() == ()
    assert RESULT.document()["ok"] is True


@pytest.mark.parametrize("digests", [{"writer": SAME, "floor": OTHER}, {"writer": SAME, "floor": ""}, {"writer": SAME}, {}])
def test_digests_that_differ_or_were_not_compared_are_not_equal(digests: dict[str, str]) -> None:
    bad = Comparison("recovered", 950, digests)
    assert not bad.is_equal
    for result in (result_with(comparisons=(GOOD, bad)), result_with(acknowledged_states=(bad,))):
        assert len(result.problems()) == 1
        assert result.problems()[0].startswith("lab: recovered, LSN 950: digests differ")
        assert result.document()["ok"] is False


def test_nothing_compared_is_no_success() -> None:
    assert result_with(comparisons=(), acknowledged_states=()).problems() == ("lab: no digest was compared.",)


def test_acknowledged_records_that_were_not_found_are_named() -> None:
    lost = result_with(interruption=KILL._replace(found_lsn=899))
    assert lost.problems() == ("lab: LSN 900 was acknowledged, and only 899 was found.",)


def test_a_writer_that_ended_otherwise_is_named() -> None:
    assert RESULT._replace(killed_with=0).problems() == ("the first writer was to be killed and ended with status 0.",)
    assert RESULT._replace(killed_with=None).problems() == ()


def test_damage_that_verification_found_is_named() -> None:
    assert RESULT._replace(verify_exit_code=7).problems() == ("verification found damage (exit code 7): run rap-state verify.",)


def test_work_is_interrupted_where_something_was_begun_found_or_cut() -> None:
    quiet = KILL._replace(found_lsn=900, under_way="")
    assert not quiet.is_work_interrupted
    assert quiet._replace(cut_bytes=1).is_work_interrupted
    assert quiet._replace(found_lsn=901).is_work_interrupted
    assert quiet._replace(under_way="slice 9, 95 rows").is_work_interrupted


def test_the_document_has_plain_values_and_says_what_was_equal() -> None:
    document = RESULT.document()
    assert (document["format"], document["format_version"], document["root"]) == ("rap-state-demo", 1, "/n")
    cluster = document["clusters"][0]
    assert (cluster["cluster"], cluster["horizon"]) == ("lab", 1234)
    assert cluster["interruption"]["unacknowledged_records"] == 50
    assert cluster["interruption"]["is_work_interrupted"] is True
    assert cluster["comparisons"] == [
        {"moment": "at the end", "lsn": 1234, "digests": {"writer": SAME, "floor": SAME}, "equal": True}
    ]
