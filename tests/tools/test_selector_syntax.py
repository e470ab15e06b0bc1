"""Every form of selector is read as what it means, and what is none is refused with what could be meant."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import MisuseError
from rap_tools.selector_syntax import Active, AtLsn, AtTime, Boot, Checkpoint, Head, Relative, Selector, Where, parse_selector

MINUTE_US = 60_000_000

MEANINGS: list[tuple[str, Where]] = [
    ("@1234", AtLsn(1234)),
    ("@0", AtLsn(0)),
    ("HEAD", Head(0)),
    ("HEAD~", Head(1)),
    ("HEAD~3", Head(3)),
    ("2027-01-15T08:00:00Z", AtTime(1_800_000_000_000_000)),
    ("2027-01-15T09:00:00.25+01:00", AtTime(1_800_000_000_250_000)),
    ("now", Relative("now", 0)),
    ("now-15min", Relative("now", -15 * MINUTE_US)),
    ("now+1h30min", Relative("now", 90 * MINUTE_US)),
    ("end", Relative("end", 0)),
    ("end-15min", Relative("end", -15 * MINUTE_US)),
    ("boot:-1", Boot(-1)),
    ("boot:0", Boot(0)),
    ("boot:2", Boot(2)),
    ("checkpoint:-1", Checkpoint(-1)),
    ("checkpoint:1", Checkpoint(1)),
    ("active:routes", Active("routes", 0)),
    ("active:routes~1", Active("routes", 1)),
    ("active:policy~", Active("policy", 1)),
]


@pytest.mark.parametrize(("text", "where"), MEANINGS)
def test_each_form_has_its_meaning(text: str, where: Where) -> None:
    assert parse_selector(text) == Selector(text, None, where)


def test_a_cluster_may_stand_before_the_lsn() -> None:
    assert parse_selector("eu-west-1@1234") == Selector("eu-west-1@1234", "eu-west-1", AtLsn(1234))


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "@-1", "@1e3", "@12 ", "head", "HEAD~x", "HEAD^", "HEAD-3", "Lab@3", "../x@3", "boot", "boot:", "boot:x", "boot:1.5",
        "checkpoint:0", "active:", "active:secrets", "active:routes~~1", "now-", "now-15", "now-15parsecs", "end~3", "yesterday",
        "2027-01-15", "2027-01-15T08:00:00", "١٢",
    ],
)  # fmt: skip
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(MisuseError, match=r"[Nn]othing was done"):
        parse_selector(text)


def test_a_bare_number_is_told_how_an_lsn_is_written() -> None:
    with pytest.raises(MisuseError, match="Did you mean @1234"):
        parse_selector("1234")


def test_an_unknown_scope_is_told_which_there_are() -> None:
    with pytest.raises(MisuseError, match="policy, peers, routes, services, updates"):
        parse_selector("active:secrets")


@given(st.text(max_size=30))
def test_any_text_is_a_selector_or_a_misuse(text: str) -> None:
    with suppress(MisuseError):
        assert parse_selector(text).text == text
