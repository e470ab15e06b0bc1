"""The command line: options mean the same before and after the command, and help answers questions."""

import pytest

from rap_journal.errors import MisuseError
from rap_tools.command_line import CATEGORIES, CLASSES, COMMANDS, build_parser, command_named, option
from rap_tools.event_entries import CLASS_NAMES
from rap_tools.selector_syntax import MEANINGS

PARSER = build_parser(with_demo=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-D", "/x", "-c", "lab", "-o", "json", "log", "-n", "3"],
        ["log", "-n", "3", "-D", "/x", "-c", "lab", "-o", "json"],
        ["-D", "/x", "log", "-c", "lab", "-n", "3", "--output", "json"],
        ["-D", "/other", "log", "-D", "/x", "-c", "lab", "-o", "json", "-n", "3"],
    ],
)
def test_global_options_stand_before_or_after_the_command(arguments: list[str]) -> None:
    options = PARSER.parse_args(arguments)
    assert (options.root, options.cluster, options.output, options.lines) == ("/x", "lab", "json", 3)


def test_a_global_option_that_was_not_given_is_none() -> None:
    options = PARSER.parse_args(["status"])
    assert [option(options, name) for name in ("root", "cluster", "output", "out_file", "key_file", "no_color")] == [None] * 6


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["nonsense"], ["log", "-n", "0"], ["log", "-n", "x"], ["log", "--rev"], ["log", "--class", "x"], ["show"], ["state"],
        ["-o", "xml", "status"],
    ],
)  # fmt: skip
def test_wrong_usage_is_raised_and_nothing_exits(arguments: list[str]) -> None:
    with pytest.raises(MisuseError):
        PARSER.parse_args(arguments)


def test_the_overview_has_each_command_under_its_question_with_an_example() -> None:
    text = PARSER.format_help()
    questions = [
        text.index(f"\n{question}\n")
        for question in ("try it", "what is it", "what happened", "is it sound", "set it up, move it")
    ]
    assert questions == sorted(questions)
    for command in COMMANDS:
        assert f"  {command.name:<12}{command.purpose}" in text
        assert f"$ rap-state {command.example}" in text


def test_the_overview_fits_a_terminal_of_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = build_parser(with_demo=False).format_help().splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("completion", {"--output", "--out-file"}),
        ("fabric", {"--cluster", "--output", "--out-file", "--no-color"}),
        ("demo", {"--root", "--key-file", "--output", "--out-file", "--no-color"}),
        ("init", {"--root", "--key-file", "--output", "--out-file", "--no-color"}),
        ("status", {"--root", "--cluster", "--key-file", "--output", "--out-file", "--no-color"}),
    ],
)
def test_help_names_the_global_options_that_mean_something(
    command: str, named: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        PARSER.parse_args([command, "--help"])
    words = set(capsys.readouterr().out.replace(",", " ").split())
    everything = {"--root", "--cluster", "--key-file", "--output", "--out-file", "--no-color"}
    assert words & everything == named


def test_an_option_that_means_nothing_is_taken_all_the_same() -> None:
    assert PARSER.parse_args(["completion", "-D", "/x", "-c", "lab"]).root == "/x"


@pytest.mark.parametrize("command", ["log", "show", "state"])
def test_help_says_what_a_selector_is_where_one_is_taken(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        PARSER.parse_args([command, "--help"])
    shown = {line.strip() for line in capsys.readouterr().out.splitlines()}
    assert {f"{form:<22}{meaning}" for form, meaning in MEANINGS} <= shown


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.name != "demo"], ids=lambda command: command.name)
def test_each_example_is_a_command_line(command: object) -> None:
    words = getattr(command, "example").split(" >> ")[0].split()  # noqa: B009
    assert PARSER.parse_args(words).command == getattr(command, "name")  # noqa: B009


def test_classes_and_categories_are_those_of_the_store() -> None:
    assert set(CLASSES) == set(CLASS_NAMES.values())
    assert CATEGORIES == ("observation", "decision", "refusal", "eviction", "lifecycle", "note")


def test_the_demonstration_brings_its_own_arguments() -> None:
    assert build_parser(with_demo=True).parse_args(["demo", "--live"]).live
    assert command_named("demo").module == "rap_tools.demo"
