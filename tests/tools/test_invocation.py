"""The commands that are told can be pasted: the name where that is enough, else the path by which it was called, else the module."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import rap_tools
from rap_journal.errors import MisuseError
from rap_tools.complaint import Scene, complain
from rap_tools.invocation import program


def program_told() -> list[str]:
    """How the program is called from any folder."""
    return shlex.split(program(from_anywhere=True))


def make_program(folder: Path) -> Path:
    folder.mkdir()
    program = folder / "rap-state"
    program.touch(mode=0o755)
    return program


@pytest.mark.parametrize("called", ["./bin/rap-state", "bin/rap-state"])
def test_a_program_that_was_called_by_a_relative_path_is_told_by_its_absolute_one(
    called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = make_program(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [called, "demo"])
    assert program_told() == [str(program)]


@pytest.mark.parametrize("where", ["beside Python", "on the path"])
def test_a_program_that_was_not_called_is_told_by_its_absolute_path(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = make_program(tmp_path / "bin")
    beside = where == "beside Python"
    monkeypatch.setattr(sys, "argv", ["/lib/rap_tools/demo.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ("bin" if beside else "other") / "python"))
    monkeypatch.setenv("PATH", "/none" if beside else str(program.parent))
    assert program_told() == [str(program)]


def test_without_a_program_the_module_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = sys.executable
    monkeypatch.setattr(sys, "argv", ["/lib/rap_tools/demo.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    variable, *rest = program_told()
    assert rest == [str(tmp_path / "python"), "-m", "rap_tools"]
    name, _, value = variable.partition("=")
    assert all(Path(place).is_absolute() for place in value.split(":"))
    command = [python, "-m", "rap_tools", "--help"]
    assert subprocess.run(command, check=False, cwd=tmp_path, env={name: value}, capture_output=True).returncode == 0


@pytest.mark.parametrize("called", ["bin/rap-state", "./bin/rap-state"])
def test_a_program_that_is_not_on_the_path_is_told_as_it_was_called(
    called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_program(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setattr(sys, "argv", [called, "log"])
    assert program() == called
    assert complain(MisuseError("x"), Scene(command="log")).try_next == f"{called} log --help"


def test_another_program_of_that_name_on_the_path_is_not_told_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = make_program(tmp_path / "own"), make_program(tmp_path / "other")
    monkeypatch.setattr(sys, "argv", [str(own), "log"])
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == str(own)
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "rap-state"


@pytest.mark.parametrize(("on_path", "told"), [(True, "python -m rap_tools"), (False, None)])
def test_a_module_that_was_started_is_told_with_its_python(
    on_path: bool, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "argv", [str(Path(rap_tools.__path__[0]) / "__main__.py"), "log"])
    monkeypatch.setenv("PATH", str(tmp_path) if on_path else "/none")
    assert program() == (told or f"{python} -m rap_tools")


def test_wherever_it_was_called_from_otherwise_the_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for argv in ([], [""], ["-c"], ["/usr/bin/pytest"], ["/nowhere/rap-state"]):
        monkeypatch.setattr(sys, "argv", argv)
        assert program() == "rap-state"
