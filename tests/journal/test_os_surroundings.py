"""What the store asks of the machine outside of any root: key files, credentials, settings."""

import errno
import os
import sys
from pathlib import Path

import pytest

from rap_journal.errors import UnsafeFile
from rap_journal.os_surroundings import (
    environment_variable,
    process_id,
    read_credential,
    read_private_file,
    real_path,
    write_private_file,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the store needs POSIX file calls")


def test_a_credential_is_read_from_a_folder_of_its_owner_up_to_the_size_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o400)
    tmp_path.chmod(0o500)
    assert read_credential(str(tmp_path), "key", 4) == b"secr"
    with pytest.raises(FileNotFoundError):
        read_credential(str(tmp_path), "other", 4)


@pytest.mark.parametrize(("folder", "file"), [(0o500, 0o404), (0o500, 0o420), (0o505, 0o400), (0o720, 0o400)])
def test_a_credential_that_others_may_read_or_anybody_else_may_write_is_unsafe(tmp_path: Path, folder: int, file: int) -> None:
    """Mutation: the mode of the folder, or that of the file, is not looked at."""
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(file)
    tmp_path.chmod(folder)
    with pytest.raises(UnsafeFile) as caught:
        read_credential(str(tmp_path), "key", 4)
    assert caught.value.reason == "mode"


def test_a_credential_that_is_a_link_is_unsafe_as_every_other_link_is(tmp_path: Path) -> None:
    """Mutation: it was told as an error of the system, which is to be tried again."""
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o400)
    (tmp_path / "link").symlink_to("key")
    tmp_path.chmod(0o700)
    with pytest.raises(UnsafeFile, match="link is a symbolic link") as caught:
        read_credential(str(tmp_path), "link", 4)
    assert caught.value.reason == "link"


def test_a_credential_that_is_no_file_is_unsafe_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """Mutation: what is no regular file is read like one."""
    tmp_path.chmod(0o700)
    os.mkfifo(tmp_path / "key", 0o400)
    with pytest.raises(UnsafeFile) as caught:
        read_credential(str(tmp_path), "key", 4)
    assert caught.value.reason == "kind"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("given_away", [".", "key"])
def test_a_credential_that_another_user_owns_is_unsafe(tmp_path: Path, given_away: str) -> None:
    """Mutation: the owner of the folder, or that of the file, is not looked at."""
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o400)
    tmp_path.chmod(0o500)
    os.chown(tmp_path / given_away, 12345, -1)
    with pytest.raises(UnsafeFile) as caught:
        read_credential(str(tmp_path), "key", 4)
    assert caught.value.reason == "owner"


def test_a_setting_comes_from_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAP_STATE_TEST", "value")
    assert environment_variable("RAP_STATE_TEST") == "value"
    monkeypatch.delenv("RAP_STATE_TEST")
    assert environment_variable("RAP_STATE_TEST") is None


def test_a_key_file_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private_file(str(path), b"secret")
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"secret", 0o600)
    with pytest.raises(FileExistsError):
        write_private_file(str(path), b"another")
    assert read_private_file(str(path), 4) == b"secr"
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_a_key_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(OSError, match="broken"):
        write_private_file(str(tmp_path / "key"), b"secret")
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_others_may_read_or_that_is_a_link_is_unsafe(tmp_path: Path) -> None:
    """Mutation: owner and mode are not looked at."""
    path = tmp_path / "key"
    write_private_file(str(path), b"secret")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(UnsafeFile, match="link is a symbolic link") as caught:
        read_private_file(str(tmp_path / "link"), 4)
    assert caught.value.reason == "link"
    path.chmod(0o640)
    with pytest.raises(UnsafeFile) as caught:
        read_private_file(str(path), 4)
    assert caught.value.reason == "mode"


def test_two_ways_of_writing_one_place_are_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert real_path(f"{tmp_path}/link/../{tmp_path.name}/./key") == real_path(str(tmp_path / "key"))
    assert process_id() == os.getpid()
