"""The examples in the docstrings of modules are right: a type checker reads them, and the command takes its own."""

import ast
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rap_tools.command_line import build_parser
from tests.conftest import Tally
from tests.project.example_code import COMMANDS, Example, as_module, example_of
from tests.project.source_files import FOLDERS, ROOT, python_files

EXAMPLES = [found for path in python_files(*FOLDERS) if (found := example_of(path))]

LENIENT = ("no-untyped-def", "empty-body", "return", "no-untyped-call", "unused-coroutine")
"""What an example may leave out: types of functions that it makes up, and what these return."""


def wrong_lines(examples: list[Example], folder: Path) -> list[str]:
    """What the type checker says of these examples, a line each, with the path of the module."""
    text = as_module(examples)
    (folder / "examples.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    command += [option for code in LENIENT for option in ("--disable-error-code", code)]
    run = subprocess.run(
        [*command, str(folder / "examples.py")], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode in (0, 1), run.stderr
    lines, found = text.splitlines(), []
    for said in run.stdout.splitlines():
        place, _, what = said.partition(": error: ")
        if what:
            above = lines[: int(place.rpartition(":")[2])]
            function = next(line for line in reversed(above) if line.startswith("async def "))
            found.append(f"{function.rpartition('# ')[2]}: {above[-1].strip()}: {what}")
    return found


@pytest.mark.parametrize("example", [example for example in EXAMPLES if not example.is_command], ids=lambda it: it.path)
def test_an_example_is_python(example: Example) -> None:
    assert ast.parse(example.code).body


@pytest.mark.slow
def test_a_type_checker_finds_nothing_wrong_with_any_example(tmp_path: Path, tally: Tally) -> None:
    """Names, attributes and arguments: what an example says is there must be there."""
    examples = [example for example in EXAMPLES if not example.is_command]
    assert wrong_lines(examples, tmp_path) == []
    tally("examples of modules", {"read by a type checker": len(examples)})


@pytest.mark.slow
def test_an_example_that_names_what_is_not_there_is_found(tmp_path: Path) -> None:
    wrong = [
        Example("rap_journal.frames", "attribute", "codec = FrameCodec(salt, 1, cipher, randomness)\ncodec.check_key"),
        Example("rap_journal.frames", "argument", "FrameCodec(salt, 1, cipher)"),
        Example("rap_journal.frames", "given", "store.tickers()"),
    ]
    assert [line.partition(":")[0] for line in wrong_lines(wrong, tmp_path)] == ["attribute", "argument", "given"]


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.is_command], ids=lambda it: it.path)
def test_a_command_of_an_example_is_taken(example: Example) -> None:
    for line in example.code.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "rap-state":
            assert build_parser(with_demo=True).parse_args(words[1:]).command
        else:
            assert not words or line.startswith(COMMANDS)
