"""The command as a whole: exit codes, errors in the form that was asked for, output files, colour, and readers that go away."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rap_journal.errors import NoSpace
from rap_tools import main as main_module
from rap_tools.main import INTERRUPTED
from rap_tools.session import Session
from tests.project.source_files import ROOT
from tests.tools.command import Disk, Terminal, rap_state

PATHS = os.pathsep.join(str(ROOT / folder) for folder in ("journal", "projections", "tools"))


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call the command in a process of its own."""
    command = [sys.executable, "-m", "rap_tools", *arguments]
    return subprocess.run(command, env={"PYTHONPATH": PATHS, **environment}, capture_output=True, text=True, check=False)


def test_help_and_version_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert rap_state("--version").code == 0
    assert rap_state("log", "--help").code == 0
    assert "example: rap-state log -c lab" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "COMMAND"),
        (("status",), 2, "RAP_STATE_DIR"),
        (("nonsense",), 2, "nonsense"),
        (("log", "-D", "/absent/node"), 3, "no store in /absent/node"),
        (("log", "-S", "12"), 2, "Did you mean @12"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_to_try(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = rap_state(*arguments)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert result.err.splitlines()[-1].startswith("try: rap-state")
    assert len(result.err.splitlines()) == 2


@pytest.mark.parametrize("form", [("-o", "json"), ("-ojson",), ("--output=ndjson",), ("--output", "ndjson")])
def test_an_error_is_an_object_even_where_the_command_line_is_wrong(form: tuple[str, ...]) -> None:
    result = rap_state("log", "--bogus", *form)
    assert (result.code, result.out) == (2, "")
    assert result.error()["format"] == "rap-state-error"
    assert result.error()["exit_code"] == 2
    assert len(result.err.splitlines()) == 1


def test_hostile_text_in_an_error_is_escaped() -> None:
    assert "\x1b" not in rap_state("state", "peers", "--at", "\x1b[2J").err
    assert r"\x1b[2J" in rap_state("state", "peers", "--at", "\x1b[2J").err


def test_a_bug_is_70_and_keeps_its_message_to_itself(monkeypatch: pytest.MonkeyPatch, lab: Disk) -> None:
    def fail(session: Session) -> int:
        raise RuntimeError("canary")

    monkeypatch.setattr(main_module, "_run", fail)
    result = lab.rap_state("status")
    assert result.code == 70
    assert "canary" not in result.err
    assert "a bug in this program: RuntimeError in fail" in result.err


def test_an_interrupt_is_what_shells_say(monkeypatch: pytest.MonkeyPatch, lab: Disk) -> None:
    def interrupt(session: Session) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_run", interrupt)
    assert lab.rap_state("status").code == INTERRUPTED


def test_a_full_disk_is_12(monkeypatch: pytest.MonkeyPatch, lab: Disk) -> None:
    def fail(session: Session) -> int:
        raise NoSpace("the disk is full; nothing was changed")

    monkeypatch.setattr(main_module, "_run", fail)
    assert lab.rap_state("status").code == 12


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
def test_an_output_file_holds_what_would_have_been_printed(lab: Disk, tmp_path: Path, form: str) -> None:
    printed = lab.rap_state("log", "-n", "3", "-o", form)
    written = lab.rap_state("log", "-n", "3", "-o", form, "-O", str(tmp_path / "out"))
    assert (written.code, written.out) == (0, "")
    assert (tmp_path / "out").read_text() == printed.out


def test_an_output_file_inside_the_store_is_refused(lab: Disk) -> None:
    result = lab.rap_state("log", "-O", str(lab.root / "MARKER"))
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize("command", [("status",), ("log",), ("show", "HEAD"), ("state", "health"), ("verify",)])
def test_there_is_colour_on_a_terminal_and_nowhere_else(lab: Disk, command: tuple[str, ...]) -> None:
    def is_coloured(*more: str, terminal: bool = True, **environment: str) -> bool:
        return (
            "\x1b["
            in lab.rap_state(*command, *more, environment=environment, stream=Terminal() if terminal else io.StringIO()).out
        )

    assert is_coloured()
    assert not is_coloured(terminal=False)
    assert not is_coloured("--no-color")
    assert not is_coloured(NO_COLOR="1")
    assert not is_coloured(TERM="dumb")
    assert not is_coloured(terminal=False, FORCE_COLOR="1")
    assert not is_coloured("-o", "json")


def test_text_is_the_same_with_colour_and_without_where_the_terminal_is_wide_enough(lab: Disk) -> None:
    import re

    coloured = lab.rap_state("status", stream=Terminal(), environment={"COLUMNS": "500"}).out
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == lab.rap_state("status").out


def test_in_a_narrow_terminal_no_line_of_status_is_longer_than_it(lab: Disk) -> None:
    narrow = lab.rap_state("--no-color", "status", stream=Terminal(), environment={"COLUMNS": "80"}).out.splitlines()
    assert [line for line in narrow if len(line) > 80 and str(lab.root) not in line] == []
    assert any(line.startswith(" " * 21) for line in narrow)


def test_as_a_process_it_takes_its_store_and_key_from_the_environment(lab: Disk) -> None:
    done = process("status", "-o", "json", RAP_STATE_DIR=str(lab.root), RAP_STATE_KEY_FILE=str(lab.key_file))
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout)["is_sealed"] is False


def test_a_reader_that_goes_away_is_no_failure(lab: Disk) -> None:
    script = f"{sys.executable} -m rap_tools log -o ndjson; echo $? >&2"
    around = {"PYTHONPATH": PATHS, "RAP_STATE_DIR": str(lab.root), "RAP_STATE_KEY_FILE": str(lab.key_file)}
    done = subprocess.run(["sh", "-c", f"({script}) | true"], env=around, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"


def test_help_does_not_load_the_library_that_colours_text() -> None:
    probe = "import sys, rap_tools.main as m; m.build_parser(with_demo=False).format_help(); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], env={"PYTHONPATH": PATHS}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
