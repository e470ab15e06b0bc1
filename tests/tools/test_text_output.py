"""Text for people: coloured where that is wanted, escaped always, and honest about what is not installed."""

import importlib
import io
from types import ModuleType

import pytest

from rap_journal.errors import MisuseError
from rap_tools.text_output import COLUMN_WIDTH_MAX, TextWriter

HOSTILE = "\x1b[31m[bold]x[/bold] \u202e:smile:"


@pytest.fixture(autouse=True)
def _a_terminal_without_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Continuous integration asks for no colour; these tests say themselves what they want."""
    monkeypatch.delenv("NO_COLOR", raising=False)


def line(*, color: bool, text: str = HOSTILE) -> str:
    stream = io.StringIO()
    TextWriter(stream, color=color).line((text, "cyan"), " ", text)
    return stream.getvalue()


def test_without_colour_there_is_no_escape_sequence() -> None:
    assert line(color=False) == "\\x1b[31m[bold]x[/bold] \\u202e:smile: \\x1b[31m[bold]x[/bold] \\u202e:smile:\n"


def test_with_colour_only_the_styles_are_escape_sequences() -> None:
    assert line(color=True) == "\x1b[36m\\x1b[31m[bold]x[/bold] \\u202e:smile:\x1b[0m \\x1b[31m[bold]x[/bold] \\u202e:smile:\n"


def test_a_long_line_is_neither_wrapped_nor_cut() -> None:
    assert line(color=True, text="x" * 500).count("\n") == 1
    assert line(color=True, text="x" * 500).count("x") == 1000


def test_pairs_stand_in_two_columns() -> None:
    stream = io.StringIO()
    TextWriter(stream, color=False).pairs([("a", "1"), ("long", ("2", "red"))])
    assert stream.getvalue() == "  a     1\n  long  2\n"


def test_pairs_are_wrapped_into_a_terminal_below_where_they_began_and_in_their_style() -> None:
    stream = io.StringIO()
    writer = TextWriter(stream, color=True, width=30)
    writer.pairs([("name", ("one two three four five six", "red")), ("a", "short"), ("b", "x" * 40)])
    assert stream.getvalue().splitlines() == [
        "  \x1b[1mname\x1b[0m  \x1b[31mone two three four\x1b[0m",
        "        \x1b[31mfive six\x1b[0m",
        "  \x1b[1ma\x1b[0m     short",
        f"  \x1b[1mb\x1b[0m     {'x' * 40}",
    ]


def test_in_a_very_narrow_terminal_pairs_keep_a_readable_width() -> None:
    stream = io.StringIO()
    TextWriter(stream, color=False, width=10).pairs([("name", "one two three four")])
    assert stream.getvalue() == "  name  one two three four\n"


def test_columns_stand_below_each_other_and_leave_no_blanks_behind() -> None:
    stream = io.StringIO()
    TextWriter(stream, color=False).columns([["a", ("1", "red"), "x"], ["long", "", ""], ["", "22", ""], []], indent=1)
    assert stream.getvalue() == " a     1   x\n long\n       22\n\n"


def test_a_cell_that_is_too_wide_pushes_its_own_row_aside_alone() -> None:
    stream = io.StringIO()
    TextWriter(stream, color=False).columns([["x" * (COLUMN_WIDTH_MAX + 9), "a"], ["y", "b"]])
    assert [line.rindex("  ") for line in stream.getvalue().splitlines()] == [COLUMN_WIDTH_MAX + 9, COLUMN_WIDTH_MAX]


def test_an_escaped_cell_is_as_wide_as_it_is_shown() -> None:
    stream = io.StringIO()
    TextWriter(stream, color=False).columns([["\x1b", "a"], ["1234", "b"]])
    assert stream.getvalue() == "\\x1b  a\n1234  b\n"


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    load = importlib.import_module

    def refuse(name: str, package: str | None = None) -> ModuleType:
        if name.startswith("rich"):
            raise ModuleNotFoundError(name)
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MisuseError, match=r"pip install 'rap-node-state\[tools\]'") as caught:
        line(color=False)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
