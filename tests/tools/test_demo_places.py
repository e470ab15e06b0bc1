"""Where the demonstration makes its store, and the commands it tells."""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError
from rap_tools.demo_places import next_commands, places


def test_without_a_root_a_fresh_folder_is_named_after_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root, key_file = places(None)
    assert root.parent.parent == tmp_path
    assert root.parent.name.startswith("rap-state-demo-")
    assert (root.name, key_file) == ("node", root.parent / "node.key")
    assert list(root.parent.iterdir()) == []


def test_the_key_lies_beside_the_root_that_was_named_or_where_it_was_asked_for(tmp_path: Path) -> None:
    assert places(str(tmp_path / "here")) == (tmp_path / "here", tmp_path / "here.key")
    assert places(str(tmp_path / "here"), str(tmp_path / "my.key")) == (tmp_path / "here", tmp_path / "my.key")


def test_an_empty_folder_is_fresh(tmp_path: Path) -> None:
    assert places(str(tmp_path))[0] == tmp_path


@pytest.mark.parametrize("kind", ["full folder", "file", "link"])
def test_what_is_there_already_is_refused(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if kind == "full folder":
        place.mkdir()
        (place / "mine").touch()
    elif kind == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MisuseError) as caught:
        places(str(place))
    assert caught.value.reason == "not_fresh"


def test_a_parent_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MisuseError) as caught:
        places(str(tmp_path / "missing" / "node"))
    assert caught.value.reason == "no_parent"


def program_told() -> list[str]:
    """How the first of the next commands calls the program, without the variable that names the key."""
    return shlex.split(next_commands(Path("/n"), Path("/n.key"), "lab")[0])[1:-3]


def make_program(folder: Path) -> Path:
    folder.mkdir()
    program = folder / "rap-state"
    program.touch(mode=0o755)
    return program


def test_commands_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_program(tmp_path / "my tools")
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    commands = [shlex.split(command) for command in next_commands(Path("/tmp/a b/node"), Path("/tmp/a b/node.key"), "lab")]
    assert commands == [
        ["RAP_STATE_KEY_FILE=/tmp/a b/node.key", str(program), *rest]
        for rest in (
            ["status", "-D", "/tmp/a b/node"],
            ["log", "-D", "/tmp/a b/node", "-c", "lab", "-n", "20"],
            ["verify", "-D", "/tmp/a b/node"],
        )
    ]


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
    assert rest == [str(tmp_path / "python"), "-m", "rap_tools.main"]
    name, _, value = variable.partition("=")
    assert all(Path(place).is_absolute() for place in value.split(":"))
    command = [python, "-m", "rap_tools.main", "--help"]
    assert subprocess.run(command, check=False, cwd=tmp_path, env={name: value}, capture_output=True).returncode == 0
