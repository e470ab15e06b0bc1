"""Rights and output files."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError
from rap_tools.machine import acting_as_owner, open_output, terminal_width
from tests.tools.command import Disk, make_store

NOBODY = 65_534

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


def test_output_is_for_its_owner_alone(tmp_path: Path) -> None:
    with open_output(str(tmp_path / "out")) as file:
        file.write(b"x")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600


def test_output_never_goes_into_a_store(lab: Disk) -> None:
    for path in (lab.root / "new", lab.root / "MARKER", lab.root / "clusters" / "lab" / "x", lab.root / "agent" / ".." / "y"):
        with pytest.raises(MisuseError, match="inside the store"):
            open_output(str(path))


def test_output_never_goes_where_a_store_is_about_to_be(tmp_path: Path) -> None:
    with pytest.raises(MisuseError):
        open_output(str(tmp_path / "x"), outside=str(tmp_path))


def test_the_width_of_the_terminal_is_what_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((101, 24)))
    assert terminal_width({"COLUMNS": "72"}) == 72
    assert [terminal_width({"COLUMNS": columns}) for columns in ("", "0", "wide", "-3")] == [101] * 4
    assert terminal_width({}) == 101


def test_a_folder_of_ones_own_changes_no_rights(tmp_path: Path) -> None:
    before = os.geteuid(), os.getegid(), os.getgroups()
    with acting_as_owner(str(tmp_path)):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    with acting_as_owner(str(tmp_path / "absent")):
        assert os.geteuid() == before[0]


@pytest.fixture
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """A store that belongs to another user, in a folder that he can reach."""
    folder = Path(tempfile.mkdtemp(prefix="rap-state-test-"))
    disk = make_store(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    yield disk
    shutil.rmtree(folder)


@only_root
def test_root_reads_with_the_rights_of_the_owner_and_gets_its_own_back(foreign: Disk) -> None:
    before = os.geteuid(), os.getegid(), os.getgroups()
    with acting_as_owner(str(foreign.root)):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (NOBODY, NOBODY, [NOBODY])
    with pytest.raises(RuntimeError), acting_as_owner(str(foreign.root)):
        raise RuntimeError
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


@only_root
def test_root_sees_the_status_of_a_store_of_another_user(foreign: Disk) -> None:
    result = foreign.rap_state("status", "-o", "json")
    assert (result.code, result.json()["cluster"]) == (0, "lab")


@only_root
def test_the_output_file_is_made_with_the_rights_of_the_caller(foreign: Disk, tmp_path: Path) -> None:
    assert foreign.rap_state("log", "-n", "1", "-O", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out").stat().st_uid == 0
