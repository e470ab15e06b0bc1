"""Times are UTC, exact to the microsecond, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import MisuseError
from rap_tools.times import WALL_US_MAX, looks_like_time, parse_rfc3339, parse_span, rfc3339, rfc3339_s, span_text


@pytest.mark.parametrize(
    ("text", "wall_us"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000_000_000),
        ("2027-01-15t08:00z", 1_800_000_000_000_000),
        ("2027-01-15 09:00:00+01:00", 1_800_000_000_000_000),
        ("2027-01-15T08:00:00.5Z", 1_800_000_000_500_000),
        ("2027-01-15T08:00:00.123456789Z", 1_800_000_000_123_456),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_a_time_with_its_zone_is_a_moment(text: str, wall_us: int) -> None:
    assert parse_rfc3339(text) == wall_us


@pytest.mark.parametrize(
    "text", ["2027-01-15T08:00:00", "2027-01-15", "2027-02-30T00:00:00Z", "2027-01-15T25:00:00Z", "soon", ""]
)
def test_a_time_without_zone_or_moment_is_refused(text: str) -> None:
    with pytest.raises(MisuseError, match=r"2026-01-31T03:12:00Z"):
        parse_rfc3339(text)


def test_a_time_without_zone_still_looks_like_one() -> None:
    assert looks_like_time("2027-01-15T08:00:00")
    assert not looks_like_time("HEAD")


@given(st.integers(0, WALL_US_MAX))
def test_a_time_that_was_written_is_read_again(wall_us: int) -> None:
    assert parse_rfc3339(rfc3339(wall_us)) == wall_us


def test_digits_are_cut_and_not_rounded() -> None:
    assert rfc3339(1_999_999, digits=3) == "1970-01-01T00:00:01.999Z"
    assert rfc3339(1_999_999, digits=0) == "1970-01-01T00:00:01Z"
    assert rfc3339_s(1_800_000_000) == "2027-01-15T08:00:00Z"


def test_a_time_no_calendar_has_is_shown_as_its_number() -> None:
    assert rfc3339(-1) == "-1us"
    assert rfc3339(WALL_US_MAX + 1) == f"{WALL_US_MAX + 1}us"


@pytest.mark.parametrize(
    ("text", "span_us"),
    [
        ("90s", 90_000_000),
        ("15min", 900_000_000),
        ("2h", 7_200_000_000),
        ("1h30min", 5_400_000_000),
        ("3d", 259_200_000_000),
        ("5ms", 5_000),
        ("1w", 604_800_000_000),
    ],
)
def test_a_span_is_a_sum_of_parts(text: str, span_us: int) -> None:
    assert parse_span(text) == span_us


@pytest.mark.parametrize("text", ["", "15", "min", "15fortnights", "1h-", "1.5h", " 5s"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(MisuseError):
        parse_span(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (3600, "1h"), (93_784, "1d 2h"), (86_400, "1d"), (61, "1min 1s")]
)
def test_a_span_for_people_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert span_text(seconds) == text
