"""What recovery says of itself: one line per finding, and whether it was damage."""

import itertools

import pytest

from rap_journal.recovery_plan import Verdict
from rap_journal.recovery_report import ClassLoss, Finding, RecoveryReport

FINDING = Finding(
    Verdict.TORN_TAIL, "journal/00000002-00000001", 2, 640, 96, 0, 0, ("trust",), "short_frame", "It was cut.", "Nothing is to be done."
)  # fmt: skip
CLEAN = RecoveryReport("eu-1", Verdict.CLEAN, (), (), False, (), 0, 10, 3, 10, True)
LOSS = ClassLoss(7, 3, 5, "bad_digest")


def found(*verdicts: Verdict, tail: Verdict = Verdict.CLEAN) -> RecoveryReport:
    return CLEAN._replace(verdict=tail, findings=tuple(FINDING._replace(verdict=verdict) for verdict in verdicts))


def test_a_finding_reads_as_one_line() -> None:
    assert FINDING.sentence() == (
        "torn_tail in journal/00000002-00000001 at byte 640 (96 bytes; short_frame): It was cut. Nothing is to be done."
    )


def test_lsns_are_named_where_some_are_concerned() -> None:
    gap = FINDING._replace(verdict=Verdict.GAP, first_lsn=3, last_lsn=7)
    assert "(96 bytes, LSN 3 to 7; short_frame)" in gap.sentence()
    assert "(96 bytes, LSN 3 to 3; short_frame)" in gap._replace(last_lsn=3).sentence()
    for first, last in ((3, 2), (0, 0), (0, 7)):
        assert "LSN" not in gap._replace(first_lsn=first, last_lsn=last).sentence()


def test_a_finding_about_no_file_is_about_the_journal_and_ends_without_a_gap() -> None:
    assert FINDING._replace(file="", advice="").sentence() == "torn_tail in the journal (96 bytes; short_frame): It was cut."


@pytest.mark.parametrize("verdict", Verdict)
def test_a_finding_is_damage_unless_it_is_an_ordinary_or_a_torn_end(verdict: Verdict) -> None:
    torn_or_clean = {Verdict.CLEAN, Verdict.TORN_TAIL, Verdict.TORN_OR_ROTTEN}
    assert found(verdict).is_damage == (verdict not in torn_or_clean)
    assert not found(verdict).is_clean


def test_one_finding_that_is_damage_is_enough() -> None:
    for order in itertools.permutations((Verdict.TORN_TAIL, Verdict.GAP, Verdict.CLEAN)):
        assert found(*order).is_damage
    assert not found(Verdict.TORN_TAIL, Verdict.TORN_OR_ROTTEN, tail=Verdict.TORN_TAIL).is_damage


def test_a_loss_is_damage_though_nothing_else_was_found() -> None:
    lost = CLEAN._replace(losses=(LOSS,))
    assert (lost.is_clean, lost.is_damage) == (False, True)


def test_a_clean_opening_has_nothing_to_report_whatever_it_replayed() -> None:
    assert (CLEAN.is_clean, CLEAN.is_damage) == (True, False)
    assert not CLEAN.witness_doubtful
