"""The decision table of recovery: every combination of facts, every label, and a paragraph for each."""

import re
from itertools import product

import pytest

from rap_journal import recovery_plan
from rap_journal.recovery_plan import IS_DAMAGE, TailFacts, TornFrame, Verdict, judge_tail
from rap_journal.scanner import Remnant

ALL_FACTS = [TailFacts(*facts) for facts in product(Remnant, (False, True), TornFrame, (False, True))]

DOCUMENTATION = recovery_plan.__doc__ or ""

ROW = re.compile(r"^    (?P<witness>differs|agrees)\s+(?P<remnant>later frame|nothing|short|long|-)\s+(?P<vouched>yes|no|-)\s+"
                 r"(?P<torn>strict|other/none|-)\s+(?P<verdict>[A-Z_]+)$", re.MULTILINE)  # fmt: skip

REMNANTS = {"later frame": Remnant.LATER_FRAME, "nothing": Remnant.NOTHING, "short": Remnant.SHORT, "long": Remnant.LONG}


def matches(row: re.Match[str], facts: TailFacts) -> bool:
    """Whether a row of the documented table stands for `facts`."""
    return (
        (row["witness"] == "agrees") == facts.witness_agrees
        and row["remnant"] in ("-", next(name for name, remnant in REMNANTS.items() if remnant is facts.remnant))
        and row["vouched"] in ("-", "yes" if facts.vouched else "no")
        and row["torn"] in ("-", "strict" if facts.torn is TornFrame.STRICT else "other/none")
    )


def test_there_are_48_combinations_of_facts() -> None:
    assert len(ALL_FACTS) == len(set(ALL_FACTS)) == 48


@pytest.mark.parametrize("facts", ALL_FACTS, ids=str)
def test_every_combination_matches_exactly_one_documented_row_and_gets_its_verdict(facts: TailFacts) -> None:
    rows = [row for row in ROW.finditer(DOCUMENTATION) if matches(row, facts)]
    assert [row["verdict"] for row in rows] == [judge_tail(facts).name]


def test_every_label_is_reached_by_some_combination() -> None:
    assert {judge_tail(facts) for facts in ALL_FACTS} == set(Verdict)


@pytest.mark.parametrize("verdict", Verdict, ids=lambda verdict: verdict.name)
def test_every_label_has_its_paragraph_in_the_documentation(verdict: Verdict) -> None:
    paragraph = re.search(rf"^{verdict.name}\n((?:    .+\n)+)", DOCUMENTATION, re.MULTILINE)
    assert paragraph is not None
    assert len(paragraph[1].split()) >= 10


def test_numbers_of_labels_never_change_since_they_stand_on_disk() -> None:
    assert {verdict.name: int(verdict) for verdict in Verdict} == {
        "CLEAN": 0,
        "TORN_TAIL": 1,
        "TORN_OR_ROTTEN": 2,
        "GAP": 3,
        "TAIL_DAMAGED": 4,
        "TAIL_MISSING": 5,
        "DIVERGED": 6,
    }


@pytest.mark.parametrize("facts", ALL_FACTS, ids=str)
def test_only_what_nothing_vouches_for_is_called_torn(facts: TailFacts) -> None:
    if judge_tail(facts) in (Verdict.TORN_TAIL, Verdict.TORN_OR_ROTTEN):
        assert facts.witness_agrees and not facts.vouched and facts.remnant is Remnant.SHORT


@pytest.mark.parametrize("facts", ALL_FACTS, ids=str)
def test_whatever_somebody_vouches_for_is_damage_when_it_is_not_there(facts: TailFacts) -> None:
    if facts.vouched or not facts.witness_agrees:
        assert judge_tail(facts) in IS_DAMAGE


def test_a_clean_end_takes_a_witness_that_agrees_and_nothing_behind() -> None:
    clean = [facts for facts in ALL_FACTS if judge_tail(facts) is Verdict.CLEAN]
    assert {(facts.remnant, facts.vouched, facts.witness_agrees) for facts in clean} == {(Remnant.NOTHING, False, True)}
