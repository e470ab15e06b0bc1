"""`rap-state init`: makes a store and its key, once."""

import stat
from pathlib import Path

import pytest

from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider
from tests.tools.command import all_bytes, rap_state


def init(root: Path, key_file: Path | None, *arguments: str) -> object:
    key = ("--key-file", str(key_file)) if key_file else ()
    return rap_state("init", "-D", str(root), *key, *arguments)


def test_a_store_and_its_key_are_made_and_the_next_commands_named(tmp_path: Path) -> None:
    result = rap_state("init", "-D", str(tmp_path / "node"), "--key-file", str(tmp_path / "node.key"))
    assert (result.code, result.err) == (0, "")
    assert {path.name for path in (tmp_path / "node").iterdir()} == {"LOCK", "MARKER", "agent", "clusters", "tmp"}
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600
    assert f"rap-state status -D {tmp_path}/node --key-file {tmp_path}/node.key" in result.out
    NodeStore.open(tmp_path / "node", keys=FileKeyProvider(tmp_path / "node.key")).close()


def test_a_store_that_is_there_is_left_alone(tmp_path: Path) -> None:
    arguments = ("init", "-D", str(tmp_path / "node"), "--key-file", str(tmp_path / "node.key"), "-o", "json")
    assert rap_state(*arguments).json()["changed"] is True
    before = all_bytes(tmp_path)
    again = rap_state(*arguments)
    assert (again.code, again.json()["changed"]) == (0, False)
    assert all_bytes(tmp_path) == before


@pytest.mark.parametrize("key", [None, "node/inside.key"])
def test_a_store_needs_a_key_file_outside_of_it(tmp_path: Path, key: str | None) -> None:
    arguments = ("--key-file", str(tmp_path / key)) if key else ()
    result = rap_state("init", "-D", str(tmp_path / "node"), *arguments)
    assert (result.code, result.out) == (2, "")
    assert not (tmp_path / "node").exists()


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir(mode=0o700)
    (tmp_path / "node" / "letter.txt").write_text("dear")
    assert rap_state("init", "-D", str(tmp_path / "node"), "--key-file", str(tmp_path / "k")).code == 2
    assert rap_state("init", "-D", str(tmp_path / "absent" / "node"), "--key-file", str(tmp_path / "k")).code == 2


def test_the_key_is_never_printed(tmp_path: Path) -> None:
    result = rap_state("init", "-D", str(tmp_path / "node"), "--key-file", str(tmp_path / "node.key"), "-o", "json")
    assert (tmp_path / "node.key").read_bytes().hex() not in result.out + result.err


@pytest.mark.parametrize("has_other_key", [False, True])
def test_a_store_that_this_key_does_not_open_is_not_confirmed(tmp_path: Path, has_other_key: bool) -> None:
    assert rap_state("init", "-D", str(tmp_path / "node"), "--key-file", str(tmp_path / "node.key")).code == 0
    other = tmp_path / "other.key"
    if has_other_key:
        other.write_bytes(bytes(32))
        other.chmod(0o600)
    before = all_bytes(tmp_path)
    result = rap_state("init", "-D", str(tmp_path / "node"), "--key-file", str(other))
    assert (result.code, result.out) == (11, "")
    assert all_bytes(tmp_path) == before
