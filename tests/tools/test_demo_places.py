"""Where the demonstration makes its store, and the commands it tells."""

import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError
from rap_tools.demo_places import is_own_folder, next_commands, places


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


def test_commands_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my tools" / "rap-state"
    program.parent.mkdir()
    program.touch(mode=0o755)
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


def test_only_a_folder_that_was_made_for_one_run_is_one_to_remove_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root, _key_file = places(None)
    assert is_own_folder(root)
    named, _key_file = places(str(tmp_path / "node"))
    assert not is_own_folder(named)
    assert not is_own_folder(tmp_path / "other" / root.parent.name / "node")
