"""What the file system of the machine does beyond the contract in `tests/contracts`: modes, links, owners, locks between processes."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rap_journal import file_control
from rap_journal.errors import MisuseError, StoreBusy, UnsafeFile
from rap_journal.os_filesystem import OsDirectory, OsFileSystem

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the store needs POSIX file calls")

JOURNAL_FOLDER = str(Path(__file__).resolve().parents[2] / "journal")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def root(path: Path) -> Iterator[OsDirectory]:
    with OsFileSystem().open_root(str(path), create=True) as root:
        yield root


def make(path: Path, content: bytes = b"content", mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def refused(call: Callable[[], object], reason: str, file: str) -> str:
    """The message of the `UnsafeFile` that `call` raises for `reason`, about `file`."""
    with pytest.raises(UnsafeFile) as caught:
        call()
    assert (caught.value.reason, caught.value.file) == (reason, file)
    return str(caught.value)


def test_a_reader_who_is_not_the_owner_reads_and_makes_nothing(
    path: Path, root: OsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    root.create("a").close()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with OsFileSystem(owner_uid=owner).open_root(str(path)) as reader:
        reader.open("a").close()
        for call in (lambda: reader.create("b"), lambda: reader.create_directory("b"), lambda: reader.lock("LOCK", "me")):
            with pytest.raises(MisuseError) as caught:
                call()
            assert caught.value.reason == "not_owner"
        assert reader.names() == ["a"]
    with pytest.raises(FileNotFoundError):
        OsFileSystem(owner_uid=owner).open_root(str(path / "new"), create=True)


# Links, and what is no file


def test_a_symbolic_link_is_never_followed(path: Path, root: OsDirectory, tmp_path: Path) -> None:
    make(tmp_path / "target")
    (path / "link").symlink_to(tmp_path / "target")
    (path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("link", "dangling"):
        found = root.status(name)
        assert found is not None and found.kind == "other"
        refused(partial(root.open, name), "link", name)
        refused(partial(root.open, name, writable=True), "link", name)
        refused(partial(root.lock, name, "me"), "link", name)
        refused(partial(root.lock_holder, name), "link", name)
        with pytest.raises(FileExistsError):
            root.create(name)
    assert (tmp_path / "target").read_bytes() == b"content"
    assert not (tmp_path / "nothing").exists()


def test_unlink_and_rename_handle_the_link_and_not_its_target(path: Path, root: OsDirectory, tmp_path: Path) -> None:
    make(tmp_path / "target")
    (path / "link").symlink_to(tmp_path / "target")
    root.rename("link", "renamed")
    root.unlink("renamed")
    assert root.names() == []
    assert (tmp_path / "target").read_bytes() == b"content"


def test_a_link_in_place_of_a_directory_is_refused(path: Path, root: OsDirectory, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    (path / "clusters").symlink_to(tmp_path / "elsewhere")
    refused(lambda: root.directory("clusters"), "kind", "clusters")


def test_a_link_in_place_of_the_root_is_refused_but_one_above_it_is_not(path: Path, root: OsDirectory, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    for text in (f"{tmp_path}/link", f"{tmp_path}/link/"):
        for create in (False, True):
            refused(partial(OsFileSystem().open_root, text, create=create), "kind", text)
    root.create_directory("inner").close()
    OsFileSystem().open_root(f"{tmp_path}/link/inner").close()


def test_a_root_may_be_named_from_the_working_directory(path: Path, root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    root.create("MARKER").close()
    monkeypatch.chdir(path)
    for text in (".", "./", "../store", "../store/."):
        with OsFileSystem().open_root(text) as again:
            assert again.names() == ["MARKER"]


def test_the_top_of_the_machine_is_no_root() -> None:
    with pytest.raises(UnsafeFile):
        OsFileSystem().open_root("/")


def test_a_root_is_made_below_a_parent_that_cannot_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open

    def open_unless_parent(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if name == str(path.parent) and not flags & os.O_PATH:
            raise PermissionError(errno.EACCES, "not readable", name)
        return really_open(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_unless_parent)
    with OsFileSystem().open_root(str(path), create=True) as root:
        assert root.names() == []


def test_making_a_root_syncs_its_parent_also_when_it_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    for _ in range(2):
        OsFileSystem().open_root(str(path), create=True).close()
    OsFileSystem().open_root(str(path)).close()
    assert synced == [path.parent.stat().st_ino] * 2


# Locks between processes


HOLD = """
import sys
from rap_journal.os_filesystem import OsFileSystem
root = OsFileSystem().open_root(sys.argv[1])
lock = root.lock("LOCK", "the other process")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(path: Path, root: OsDirectory) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock until its standard input ends or it is killed."""
    environment = {**os.environ, "PYTHONPATH": JOURNAL_FOLDER}
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_held_by_another_process_is_named_and_refused(root: OsDirectory, other_process: "subprocess.Popen[str]") -> None:
    assert root.lock_holder("LOCK") == "the other process"
    with pytest.raises(StoreBusy) as caught:
        root.lock("LOCK", "this process")
    assert caught.value.holder == "the other process"
    assert (caught.value.action, caught.value.exit_code) == ("retry", 5)


def test_the_lock_of_a_killed_process_is_free_and_its_text_means_nothing(
    path: Path, root: OsDirectory, other_process: "subprocess.Popen[str]"
) -> None:
    other_process.kill()
    other_process.wait()
    assert (path / "LOCK").read_bytes() == b"the other process"
    assert root.lock_holder("LOCK") is None
    lock = root.lock("LOCK", "this")
    assert (path / "LOCK").read_bytes() == b"this"
    lock.release()
    assert (path / "LOCK").read_bytes() == b""


def test_asking_for_the_holder_changes_nothing_and_drops_no_lock(path: Path, root: OsDirectory) -> None:
    lock = root.lock("LOCK", "me")
    before = (path / "LOCK").stat()
    for _ in range(3):
        assert root.lock_holder("LOCK") == "me"
    after = (path / "LOCK").stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    # Closing any descriptor of a file would drop a classic POSIX lock of the process; this one must still be there.
    with pytest.raises(StoreBusy):
        root.lock("LOCK", "another")
    lock.release()
    assert root.lock_holder("missing") is None
    assert root.names() == ["LOCK"]


@pytest.mark.parametrize("command", [None, 9999], ids=["absent on the platform", "unknown to the kernel"])
def test_flock_serves_where_description_locks_are_missing(
    root: OsDirectory, monkeypatch: pytest.MonkeyPatch, command: int | None
) -> None:
    monkeypatch.setattr(file_control, "_OFD_SETLK", command)
    monkeypatch.setattr(file_control, "_OFD_GETLK", command)
    first = root.lock("LOCK", "first")
    with pytest.raises(StoreBusy) as caught:
        root.lock("LOCK", "second")
    assert caught.value.holder == "first"
    assert root.lock_holder("LOCK") == "first"
    first.release()
    assert root.lock_holder("LOCK") is None
    root.lock("LOCK", "second").release()


def test_a_full_disk_does_not_keep_a_store_from_being_locked(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    lock = root.lock("LOCK", "me")
    assert root.lock_holder("LOCK") == ""
    with pytest.raises(StoreBusy, match="locked by another process"):
        root.lock("LOCK", "another")
    lock.release()


def test_another_error_in_writing_the_holder_gives_the_lock_back(root: OsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", broken)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
            root.lock("LOCK", "me")
    assert caught.value.errno == errno.EIO
    root.lock("LOCK", "me").release()


# Other platforms

ELSEWHERE = """
import os, sys
sys.modules["fcntl"] = None
sys.platform = "win32"
for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_PATH", "pread", "pwrite", "fdatasync", "fchmod", "geteuid"):
    if hasattr(os, name):
        delattr(os, name)
from rap_journal.errors import StorageError
from rap_journal.os_filesystem import OsFileSystem
try:
    OsFileSystem()
except StorageError as error:
    print(error.reason, error)
"""


def test_a_platform_without_these_calls_imports_the_module_and_is_told_once() -> None:
    environment = {**os.environ, "PYTHONPATH": JOURNAL_FOLDER}
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == (
        "unsupported_platform this platform (win32) has no os.O_NOFOLLOW, without which files cannot be opened safely; nothing was opened. "
        "Run the store on Linux or macOS.\n"
    )
