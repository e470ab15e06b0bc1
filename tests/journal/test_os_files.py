"""What is opened and made on this machine: modes, owners and links that are refused, and reads, writes and syncs to the last byte."""

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rap_journal.errors import StoreBusy, UnsafeFile
from rap_journal.os_filesystem import OsDirectory, OsFileSystem

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the store needs POSIX file calls")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def root(path: Path) -> Iterator[OsDirectory]:
    with OsFileSystem().open_root(str(path), create=True) as root:
        yield root


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def make(path: Path, content: bytes = b"content", mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def mode_of(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def refused(call: Callable[[], object], reason: str, file: str) -> str:
    """The message of the `UnsafeFile` that `call` raises for `reason`, about `file`."""
    with pytest.raises(UnsafeFile) as caught:
        call()
    assert (caught.value.reason, caught.value.file) == (reason, file)
    return str(caught.value)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# Modes


@pytest.mark.parametrize("bits", [0, 0o022, 0o077, 0o277, 0o777])
def test_what_is_made_is_for_the_owner_alone_whatever_the_umask(path: Path, umask: Callable[[int], int], bits: int) -> None:
    umask(bits)
    with OsFileSystem().open_root(str(path), create=True) as root, root.create_directory("d") as directory:
        directory.create("file").close()
        directory.lock("LOCK", "me").release()
    made = [path, path / "d", path / "d" / "file", path / "d" / "LOCK"]
    assert [mode_of(each) for each in made] == [0o700, 0o700, 0o600, 0o600]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
def test_a_file_open_to_others_is_refused(path: Path, root: OsDirectory, mode: int) -> None:
    """Mutation: the mode is not looked at."""
    make(path / "a", mode=mode)
    for call in (lambda: root.open("a"), lambda: root.open("a", writable=True), lambda: root.lock("a", "me")):
        assert f"mode {mode:04o}" in refused(call, "mode", "a")
    assert (path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o710, 0o701, 0o777])
def test_a_directory_open_to_others_is_refused_as_root_and_below(path: Path, root: OsDirectory, mode: int) -> None:
    root.create_directory("d").close()
    (path / "d").chmod(mode)
    refused(lambda: root.directory("d"), "mode", "d")
    refused(lambda: OsFileSystem().open_root(str(path / "d")), "mode", str(path / "d"))
    refused(lambda: OsFileSystem().open_root(str(path / "d"), create=True), "mode", str(path / "d"))


# Owners


def test_what_belongs_to_another_user_is_refused(path: Path, root: OsDirectory) -> None:
    """Mutation: the owner is not looked at."""
    other = OsFileSystem(owner_uid=os.geteuid() + 1)
    message = refused(lambda: other.open_root(str(path)), "owner", str(path))
    assert f"belongs to user {os.geteuid()} and not to user {os.geteuid() + 1}" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_foreign_file_below_an_own_root_is_refused(path: Path, root: OsDirectory) -> None:
    make(path / "a")
    os.chown(path / "a", 12345, -1)
    refused(lambda: root.open("a"), "owner", "a")


def test_a_hard_link_is_refused_under_both_names(path: Path, root: OsDirectory) -> None:
    """Mutation: the number of names is not looked at, and a name outside the store leads into it."""
    make(path / "a")
    os.link(path / "a", path / "b")
    for name in ("a", "b"):
        assert "2 hard links" in refused(partial(root.open, name), "hard_links", name)
    (path / "b").unlink()
    root.open("a").close()


def test_a_fifo_or_socket_in_place_of_a_file_is_refused_without_waiting(
    path: Path, root: OsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: what is no file, or no folder, is opened like one."""
    os.mkfifo(path / "fifo", 0o600)
    monkeypatch.chdir(path)  # A socket's path may not be long.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for name in ("fifo", "socket"):
            found = root.status(name)
            assert found is not None and found.kind == "other"
            refused(partial(root.open, name), "kind", name)
            refused(partial(root.open, name, writable=True), "kind", name)
            refused(partial(root.lock_holder, name), "kind", name)
            refused(partial(root.directory, name), "kind", name)


def test_a_file_that_is_removed_while_it_is_opened_is_not_found(
    path: Path, root: OsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(path / "a")
    really_open = os.open

    def open_then_lose(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = really_open(name, flags, mode, dir_fd=dir_fd)
        (path / "a").unlink()
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    with pytest.raises(FileNotFoundError):
        root.open("a")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
def test_a_refused_open_leaves_no_descriptor_behind(path: Path, root: OsDirectory) -> None:
    make(path / "loose", mode=0o644)
    os.mkfifo(path / "fifo", 0o600)
    (path / "d").mkdir(0o755)
    held = root.lock("LOCK", "me")
    before = open_descriptors()
    for _ in range(3):
        refused(lambda: root.open("loose"), "mode", "loose")
        refused(lambda: root.open("fifo"), "kind", "fifo")
        refused(lambda: root.directory("d"), "mode", "d")
        refused(lambda: OsFileSystem().open_root(str(path / "d")), "mode", str(path / "d"))
        with pytest.raises(StoreBusy):
            root.lock("LOCK", "another")
        assert root.lock_holder("LOCK") == "me"
        assert root.names() == ["LOCK", "d", "fifo", "loose"]
    assert open_descriptors() == before
    held.release()


def test_descriptors_are_not_inherited(root: OsDirectory) -> None:
    with root.create("a") as file, root.create_directory("d") as directory:
        lock = root.lock("LOCK", "me")
        assert [os.get_inheritable(handle._fd) for handle in (root, file, directory, lock)] == [False] * 4
        lock.release()


# Reading and writing in pieces


def test_a_short_write_is_continued_to_the_last_byte(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    really_write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: really_write(fd, memoryview(data)[:3], offset))
    with root.create("a") as file:
        file.write_at(2, b"0123456789")
        assert file.read_at(0, 100) == b"\0\x000123456789"


def test_an_error_after_a_short_write_is_raised(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    really_write = os.pwrite

    def write_three_bytes_in_all(fd: int, data: bytes, offset: int) -> int:
        if offset >= 3:
            raise OSError(errno.ENOSPC, "full")
        return really_write(fd, memoryview(data)[:3], offset)

    monkeypatch.setattr(os, "pwrite", write_three_bytes_in_all)
    with root.create("a") as file:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
            file.write_at(0, b"0123456789")
        assert caught.value.errno == errno.ENOSPC
        assert file.size() == 3


def test_a_device_that_takes_nothing_is_an_error_and_no_endless_loop(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: 0)
    with root.create("a") as file:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
            file.write_at(0, b"0123456789")
        assert caught.value.errno == errno.EIO


def test_a_short_read_is_continued_to_the_end(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    really_read = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: really_read(fd, min(length, 3), offset))
    with root.create("a") as file:
        file.write_at(0, b"0123456789")
        assert file.read_at(1, 7) == b"1234567"
        assert file.read_at(1, 100) == b"123456789"


def test_advice_that_a_file_system_does_not_take_is_no_failure(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("this platform takes no such advice")
    asked: list[int] = []

    def refuse(fd: int, offset: int, length: int, advice: int) -> None:
        asked.append(advice)
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    with root.create("a") as file:
        file.forget_cache()
    assert asked == [os.POSIX_FADV_DONTNEED]


def test_content_is_synced_by_fdatasync_and_names_by_fsync(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "fdatasync"):
        pytest.skip("this platform has no fdatasync")
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: calls.append(("fdatasync", fd)))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(("fsync", fd)))
    with root.create("a") as file:
        file.sync()
        root.sync()
        assert calls == [("fdatasync", file._fd), ("fsync", root._fd)]
