"""The contract of `rap_journal.filesystem`, held by the file system of the machine and by the one in memory alike."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError, StoreBusy, UnsafeFile
from rap_journal.filesystem import Directory, FileStatus, FileSystem, read_whole
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import MemoryFileSystem


@pytest.fixture(params=["os", "memory"])
def filesystem(request: pytest.FixtureRequest) -> FileSystem:
    return OsFileSystem() if request.param == "os" else MemoryFileSystem()


@pytest.fixture
def path(filesystem: FileSystem, tmp_path: Path) -> str:
    return str(tmp_path / "store") if isinstance(filesystem, OsFileSystem) else "/store"


@pytest.fixture
def root(filesystem: FileSystem, path: str) -> Iterator[Directory]:
    with filesystem.open_root(path, create=True) as root:
        yield root


def fill(directory: Directory, name: str, content: bytes) -> None:
    with directory.create(name) as file:
        file.write_at(0, content)


def content(directory: Directory, name: str) -> bytes:
    return read_whole(directory, name, 1 << 20)


def fails_with(number: int, call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what is compared
        call()
    assert caught.value.errno == number


# The root


def test_a_missing_root_is_not_found_unless_it_is_to_be_made(filesystem: FileSystem, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        filesystem.open_root(path)
    with filesystem.open_root(path, create=True) as root:
        assert root.names() == []
    filesystem.open_root(path).close()


def test_a_root_that_is_empty_can_be_removed_and_no_other(filesystem: FileSystem, path: str) -> None:
    with filesystem.open_root(path, create=True) as root:
        fill(root, "file", b"1")
        fails_with(errno.ENOTEMPTY, lambda: filesystem.remove_root(path))
        root.unlink("file")
    filesystem.remove_root(path)
    with pytest.raises(FileNotFoundError):
        filesystem.open_root(path)
    fails_with(errno.ENOENT, lambda: filesystem.remove_root(path))


def test_making_a_root_twice_opens_the_same_one(filesystem: FileSystem, path: str, root: Directory) -> None:
    fill(root, "MARKER", b"1")
    with filesystem.open_root(path, create=True) as again:
        assert again.names() == ["MARKER"]


def test_a_root_is_not_made_where_its_parent_is_missing(filesystem: FileSystem, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        filesystem.open_root(f"{path}/a/b", create=True)


def test_a_path_without_a_name_is_not_found(filesystem: FileSystem) -> None:
    with pytest.raises(FileNotFoundError):
        filesystem.open_root("", create=True)


def test_a_root_that_is_a_file_is_unsafe(filesystem: FileSystem, path: str, root: Directory) -> None:
    fill(root, "inner", b"")
    with pytest.raises(UnsafeFile):
        filesystem.open_root(f"{path}/inner")


def test_a_trailing_slash_changes_nothing(filesystem: FileSystem, path: str, root: Directory) -> None:
    fill(root, "MARKER", b"1")
    with filesystem.open_root(f"{path}/") as again:
        assert again.names() == ["MARKER"]


# Files


def test_what_was_written_is_read_in_pieces_and_up_to_the_end(root: Directory) -> None:
    with root.create("a") as file:
        file.write_at(0, b"0123456789")
        file.write_at(3, bytearray(b"abc"))
        file.write_at(6, memoryview(b"XYZ")[:1])
        assert file.read_at(0, 100) == b"012abcX789"
        assert file.read_at(4, 3) == b"bcX"
        assert file.read_at(8, 3) == b"89"
        assert file.read_at(10, 1) == b""
        assert file.read_at(99, 1) == b""
        assert file.read_at(2, 0) == b""
        assert file.size() == 10


def test_writing_nothing_changes_nothing(root: Directory) -> None:
    with root.create("a") as file:
        file.write_at(100, b"")
        assert file.size() == 0


def test_writing_past_the_end_leaves_zeros_between(root: Directory) -> None:
    with root.create("a") as file:
        file.write_at(2, b"x")
        file.write_at(1000, b"y")
        assert file.read_at(0, 2000) == b"\0\0x" + bytes(997) + b"y"


def test_truncating_cuts_and_extends_with_zeros(root: Directory) -> None:
    with root.create("a") as file:
        file.write_at(0, b"0123456789")
        file.truncate(4)
        assert file.size() == 4
        file.truncate(6)
        assert file.read_at(0, 100) == b"0123\0\0"


def test_a_file_is_reopened_with_its_content(root: Directory) -> None:
    fill(root, "a", b"content")
    with root.open("a") as file:
        assert file.read_at(0, 100) == b"content"
    with root.open("a", writable=True) as file:
        file.write_at(7, b"!")
        file.sync()
        file.forget_cache()
        assert file.read_at(0, 100) == b"content!"


def test_a_file_opened_for_reading_cannot_be_changed_but_can_be_synced(root: Directory) -> None:
    fill(root, "a", b"content")
    with root.open("a") as file:
        fails_with(errno.EBADF, lambda: file.write_at(0, b"x"))
        fails_with(errno.EINVAL, lambda: file.truncate(0))
        file.sync()
    assert content(root, "a") == b"content"


def test_numbers_below_zero_are_refused(root: Directory) -> None:
    with root.create("a") as file:
        fails_with(errno.EINVAL, lambda: file.write_at(-1, b"x"))
        fails_with(errno.EINVAL, lambda: file.truncate(-1))
        fails_with(errno.EINVAL, lambda: file.read_at(-1, 1))


def test_a_missing_file_is_not_found(root: Directory) -> None:
    with pytest.raises(FileNotFoundError):
        root.open("a")
    with pytest.raises(FileNotFoundError):
        root.unlink("a")
    with pytest.raises(FileNotFoundError):
        root.rename("a", "b")
    assert root.status("a") is None


def test_a_taken_name_is_not_created_again(root: Directory) -> None:
    fill(root, "a", b"first")
    root.create_directory("d").close()
    for name in ("a", "d"):
        with pytest.raises(FileExistsError):
            root.create(name)
        with pytest.raises(FileExistsError):
            root.create_directory(name)
    assert content(root, "a") == b"first"


def test_a_closed_file_refuses_everything_and_closes_again(root: Directory) -> None:
    file = root.create("a")
    file.close()
    file.close()
    calls: list[Callable[[], object]] = [
        lambda: file.read_at(0, 1),
        lambda: file.write_at(0, b"x"),
        file.size,
        file.sync,
        file.forget_cache,
        lambda: file.truncate(0),
    ]
    for call in calls:
        fails_with(errno.EBADF, call)


def test_read_whole_reads_one_byte_more_than_allowed(root: Directory) -> None:
    fill(root, "a", b"0123456789")
    assert read_whole(root, "a", 10) == b"0123456789"
    assert read_whole(root, "a", 4) == b"01234"


# Names


def test_names_are_sorted_and_status_tells_kind_and_size(root: Directory) -> None:
    fill(root, "b", b"12345")
    fill(root, "a", b"")
    root.create_directory("c").close()
    assert root.names() == ["a", "b", "c"]
    assert root.status("a") == FileStatus("file", 0)
    assert root.status("b") == FileStatus("file", 5)
    assert root.status("c") == FileStatus("directory", 0)


def test_handles_are_named_relative_to_the_root(root: Directory) -> None:
    assert root.name == ""
    with root.create_directory("clusters") as clusters, clusters.create_directory("lab") as lab, lab.create("MARKER") as file:
        assert (clusters.name, lab.name, file.name) == ("clusters", "clusters/lab", "clusters/lab/MARKER")
    with root.directory("clusters") as clusters, clusters.directory("lab") as lab, lab.open("MARKER") as file:
        assert (clusters.name, lab.name, file.name) == ("clusters", "clusters/lab", "clusters/lab/MARKER")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b"])
def test_only_a_single_component_is_a_name(root: Directory, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: root.open(name),
        lambda: root.create(name),
        lambda: root.directory(name),
        lambda: root.create_directory(name),
        lambda: root.status(name),
        lambda: root.unlink(name),
        lambda: root.remove_directory(name),
        lambda: root.rename(name, "x"),
        lambda: root.rename("x", name),
        lambda: root.lock(name, "me"),
        lambda: root.lock_holder(name),
    ]
    for call in calls:
        with pytest.raises(MisuseError) as caught:
            call()
        assert caught.value.reason == "bad_name"


def test_a_directory_is_no_file_and_a_file_no_directory(root: Directory) -> None:
    fill(root, "a", b"content")
    root.create_directory("d").close()
    for call in (lambda: root.open("d"), lambda: root.open("d", writable=True), lambda: root.directory("a")):
        with pytest.raises(UnsafeFile) as caught:
            call()
        assert caught.value.reason == "kind"
        assert caught.value.file in ("a", "d")


def test_a_missing_directory_is_not_found(root: Directory) -> None:
    with pytest.raises(FileNotFoundError):
        root.directory("d")


def test_renaming_moves_the_content_and_open_handles_stay(root: Directory) -> None:
    with root.create("tmp-1") as file:
        file.write_at(0, b"new")
        root.rename("tmp-1", "MARKER")
        assert root.names() == ["MARKER"]
        file.write_at(3, b"er")
    assert content(root, "MARKER") == b"newer"


def test_renaming_replaces_a_file_and_its_reader_keeps_the_old_one(root: Directory) -> None:
    fill(root, "MARKER", b"old")
    fill(root, "tmp-1", b"new")
    with root.open("MARKER") as reader:
        root.rename("tmp-1", "MARKER")
        assert reader.read_at(0, 10) == b"old"
    assert content(root, "MARKER") == b"new"
    assert root.names() == ["MARKER"]


def test_renaming_goes_into_another_directory(root: Directory) -> None:
    fill(root, "a", b"content")
    with root.create_directory("d") as directory:
        root.rename("a", "b", directory)
        assert directory.names() == ["b"]
        assert content(directory, "b") == b"content"
        directory.rename("b", "c", root)
    assert root.names() == ["c", "d"]


def test_renaming_to_the_same_name_changes_nothing(root: Directory) -> None:
    fill(root, "a", b"content")
    root.rename("a", "a")
    assert content(root, "a") == b"content"


def test_a_renamed_directory_keeps_what_is_in_it(root: Directory) -> None:
    with root.create_directory(".join-lab") as directory:
        fill(directory, "MARKER", b"1")
    root.create_directory("lab").close()
    root.rename(".join-lab", "lab")
    assert root.names() == ["lab"]
    with root.directory("lab") as directory:
        assert content(directory, "MARKER") == b"1"


def test_a_full_directory_is_not_replaced(root: Directory) -> None:
    with root.create_directory("lab") as directory:
        fill(directory, "MARKER", b"1")
    root.create_directory("other").close()
    fails_with(errno.ENOTEMPTY, lambda: root.rename("other", "lab"))
    assert root.names() == ["lab", "other"]


def test_a_file_and_a_directory_do_not_replace_each_other(root: Directory) -> None:
    fill(root, "a", b"content")
    root.create_directory("d").close()
    fails_with(errno.EISDIR, lambda: root.rename("a", "d"))
    fails_with(errno.ENOTDIR, lambda: root.rename("d", "a"))
    assert root.names() == ["a", "d"]


def test_a_directory_does_not_become_its_own_subdirectory(root: Directory) -> None:
    with root.create_directory("d") as outer, outer.create_directory("e") as inner:
        fails_with(errno.EINVAL, lambda: root.rename("d", "x", inner))
    assert root.names() == ["d"]


def test_an_unlinked_file_is_gone_and_its_handle_still_reads(root: Directory) -> None:
    fill(root, "a", b"content")
    with root.open("a") as file:
        root.unlink("a")
        assert root.names() == []
        assert file.read_at(0, 100) == b"content"
    with pytest.raises(FileNotFoundError):
        root.open("a")


def test_unlink_removes_files_only(root: Directory) -> None:
    root.create_directory("d").close()
    with pytest.raises(OSError):  # noqa: PT011 - EISDIR on Linux, EPERM on macOS
        root.unlink("d")
    assert root.names() == ["d"]


def test_only_an_empty_directory_is_removed(root: Directory) -> None:
    with root.create_directory("d") as directory:
        fill(directory, "a", b"")
        fails_with(errno.ENOTEMPTY, lambda: root.remove_directory("d"))
        directory.unlink("a")
        root.remove_directory("d")
        assert root.names() == []
        with pytest.raises(FileNotFoundError):
            directory.create("b")
    fill(root, "f", b"")
    fails_with(errno.ENOTDIR, lambda: root.remove_directory("f"))
    with pytest.raises(FileNotFoundError):
        root.remove_directory("d")


def test_a_closed_directory_refuses_everything_and_closes_again(root: Directory) -> None:
    directory = root.create_directory("d")
    directory.close()
    directory.close()
    calls: list[Callable[[], object]] = [
        directory.names,
        directory.sync,
        lambda: directory.status("a"),
        lambda: directory.open("a"),
        lambda: directory.create("a"),
        lambda: directory.directory("a"),
        lambda: directory.create_directory("a"),
        lambda: directory.unlink("a"),
        lambda: directory.lock("LOCK", "me"),
        lambda: root.rename("d", "e", directory),
    ]
    for call in calls:
        fails_with(errno.EBADF, call)
    assert root.names() == ["d"]


def test_names_and_content_stay_after_every_sync(filesystem: FileSystem, path: str, root: Directory) -> None:
    with root.create_directory("d") as directory:
        with directory.create("a") as file:
            file.write_at(0, b"content")
            file.sync()
        directory.sync()
    root.sync()
    with filesystem.open_root(path) as again, again.directory("d") as directory:
        assert content(directory, "a") == b"content"


# The lock


def test_a_lock_names_its_holder_while_it_is_held(root: Directory) -> None:
    assert root.lock_holder("LOCK") is None
    lock = root.lock("LOCK", "pid 17, boot 4b")
    assert root.lock_holder("LOCK") == "pid 17, boot 4b"
    lock.release()
    assert root.lock_holder("LOCK") is None
    assert root.names() == ["LOCK"]


def test_a_second_opening_in_the_same_process_is_refused(filesystem: FileSystem, path: str, root: Directory) -> None:
    lock = root.lock("LOCK", "the first")
    with filesystem.open_root(path) as again:
        for directory in (root, again):
            with pytest.raises(StoreBusy) as caught:
                directory.lock("LOCK", "the second")
            assert caught.value.holder == "the first"
            assert caught.value.file == "LOCK"
            assert "the first" in str(caught.value)
        assert again.lock_holder("LOCK") == "the first"
        lock.release()
        again.lock("LOCK", "the second").release()


def test_a_released_lock_leaves_an_empty_file(root: Directory) -> None:
    root.lock("LOCK", "a rather long name of a holder").release()
    assert content(root, "LOCK") == b""
    lock = root.lock("LOCK", "me")
    assert root.lock_holder("LOCK") == "me"
    lock.release()
    assert content(root, "LOCK") == b""


def test_a_lock_is_released_twice_without_harm_to_the_next(root: Directory) -> None:
    first = root.lock("LOCK", "first")
    first.release()
    second = root.lock("LOCK", "second")
    first.release()
    assert root.lock_holder("LOCK") == "second"
    second.release()


def test_a_lock_outlives_the_directory_handle_it_was_taken_through(root: Directory) -> None:
    with root.create_directory("d") as directory:
        lock = directory.lock("LOCK", "me")
    with root.directory("d") as directory:
        assert directory.lock_holder("LOCK") == "me"
        lock.release()
        assert directory.lock_holder("LOCK") is None


def test_a_directory_cannot_be_locked(root: Directory) -> None:
    root.create_directory("d").close()
    with pytest.raises(UnsafeFile):
        root.lock("d", "me")
    with pytest.raises(UnsafeFile):
        root.lock_holder("d")


# Files outside any root


def test_a_file_outside_a_root_is_made_whole_and_read_back(filesystem: FileSystem, path: str) -> None:
    filesystem.write_file(path, b"content")
    assert filesystem.read_file(path, 100) == b"content"
    assert filesystem.read_file(path, 3) == b"con"
    if isinstance(filesystem, OsFileSystem):
        made = Path(path)
        assert (made.stat().st_mode & 0o777, [entry.name for entry in made.parent.iterdir()]) == (0o600, [made.name])


def test_a_file_outside_a_root_never_takes_another_ones_name(filesystem: FileSystem, path: str) -> None:
    filesystem.write_file(path, b"first")
    with pytest.raises(FileExistsError):
        filesystem.write_file(path, b"second")
    assert filesystem.read_file(path, 100) == b"first"


def test_a_file_outside_a_root_that_is_missing_or_no_file_is_not_read(filesystem: FileSystem, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        filesystem.read_file(path, 100)
    filesystem.open_root(path, create=True).close()
    with pytest.raises((UnsafeFile, IsADirectoryError)):
        filesystem.read_file(path, 100)


def test_what_a_crash_left_of_a_file_is_no_hindrance(filesystem: FileSystem, path: str) -> None:
    above, _, name = path.rpartition("/")
    filesystem.write_file(f"{above}/.{name}.part", b"half")
    filesystem.write_file(path, b"whole")
    assert filesystem.read_file(path, 100) == b"whole"
    with pytest.raises(FileNotFoundError):
        filesystem.read_file(f"{above}/.{name}.part", 100)
