"""What the file system of the machine does beyond the contract in `tests/contracts`: modes, links, owners, locks between processes."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rap_journal import file_control
from rap_journal.errors import MisuseError, StoreBusy, UnsafeFile
from rap_journal.os_filesystem import OsDirectory, OsFileSystem, environment_variable, read_credential

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the store needs POSIX file calls")

JOURNAL_FOLDER = str(Path(__file__).resolve().parents[2] / "journal")


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
    other = OsFileSystem(owner_uid=os.geteuid() + 1)
    message = refused(lambda: other.open_root(str(path)), "owner", str(path))
    assert f"belongs to user {os.geteuid()} and not to user {os.geteuid() + 1}" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_foreign_file_below_an_own_root_is_refused(path: Path, root: OsDirectory) -> None:
    make(path / "a")
    os.chown(path / "a", 12345, -1)
    refused(lambda: root.open("a"), "owner", "a")


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


def test_a_hard_link_is_refused_under_both_names(path: Path, root: OsDirectory) -> None:
    make(path / "a")
    os.link(path / "a", path / "b")
    for name in ("a", "b"):
        assert "2 hard links" in refused(partial(root.open, name), "hard_links", name)
    (path / "b").unlink()
    root.open("a").close()


def test_a_fifo_or_socket_in_place_of_a_file_is_refused_without_waiting(
    path: Path, root: OsDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
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


# Roots


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


# Credentials and settings


def test_a_credential_is_read_from_a_folder_of_its_owner_up_to_the_size_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o400)
    tmp_path.chmod(0o500)
    assert read_credential(str(tmp_path), "key", 4) == b"secr"
    with pytest.raises(FileNotFoundError):
        read_credential(str(tmp_path), "other", 4)


@pytest.mark.parametrize(("folder", "file"), [(0o500, 0o404), (0o500, 0o420), (0o505, 0o400), (0o720, 0o400)])
def test_a_credential_that_others_may_read_or_anybody_else_may_write_is_unsafe(tmp_path: Path, folder: int, file: int) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(file)
    tmp_path.chmod(folder)
    with pytest.raises(UnsafeFile) as caught:
        read_credential(str(tmp_path), "key", 4)
    assert caught.value.reason == "mode"


def test_a_setting_comes_from_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAP_STATE_TEST", "value")
    assert environment_variable("RAP_STATE_TEST") == "value"
    monkeypatch.delenv("RAP_STATE_TEST")
    assert environment_variable("RAP_STATE_TEST") is None
