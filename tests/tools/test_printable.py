"""Text from elsewhere never steers a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_tools.printable import counted, printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("node-17", "node-17"),
        ("Zürich 東京", "Zürich 東京"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("two\nlines\r", r"two\x0alines\x0d"),
        ("\x9b2J", r"\x9b2J"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("a\u2066b\u2069", r"a\u2066b\u2069"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("line\u2028end", r"line\u2028end"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        (r"C:\x1b", r"C:\\x1b"),
        ("[red]no markup[/red]", "[red]no markup[/red]"),
    ],
)
def test_what_a_terminal_might_act_on_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_but_printable_characters_comes_out(text: str) -> None:
    assert all(unicodedata.category(character)[0] != "C" for character in printable(text))
    assert printable(text).isprintable()


@given(st.text(), st.text())
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert (printable(one) == printable(other)) == (one == other)


def test_a_long_text_ends_with_an_ellipsis() -> None:
    assert shortened("12345", 5) == "12345"
    assert shortened("123456", 5) == "1234…"


def test_one_is_not_many() -> None:
    assert [counted(number, "segment") for number in (0, 1, 2)] == ["0 segments", "1 segment", "2 segments"]
