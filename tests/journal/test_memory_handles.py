"""Handles of the file system in memory: what they log, how they fail and die. That they behave like the machine's is in `tests/contracts`."""

import errno
from collections.abc import Callable

import pytest

from rap_journal.errors import MisuseError, StoreBusy, UnsafeFile
from rap_journal.filesystem import read_whole
from rap_journal.testing import MemoryFileSystem, Operation, SimulatedCrash
from rap_journal.testing.memory_handles import MemoryDirectory, as_directory
from rap_journal.testing.memory_inodes import BLOCK_BYTES, DirectoryInode, FileInode

BLOCK = BLOCK_BYTES


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> MemoryDirectory:
    return filesystem.open_root("/store", create=True)


def put(directory: MemoryDirectory, name: str, content: bytes) -> None:
    """Make file `name` with `content`, durably."""
    with directory.create(name) as file:
        file.write_at(0, content)
        file.sync()
    directory.sync()


def files(filesystem: MemoryFileSystem) -> dict[str, bytes]:
    """Content of every file directly below the root."""
    root = filesystem.open_root("/store")
    return {name: read_whole(root, name, 1 << 20) for name in root.names()}


def fails_with(number: int, call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what is compared
        call()
    assert caught.value.errno == number


def test_handles_of_before_the_crash_are_dead_and_close_in_peace(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    lock = root.lock("LOCK", "me")
    with root.open("a", writable=True) as file, root.create_directory("d") as directory:
        after = filesystem.crash()
        calls: list[Callable[[], object]] = [
            lambda: file.write_at(0, b"x"),
            lambda: file.read_at(0, 1),
            lambda: file.truncate(0),
            file.size,
            file.sync,
            file.forget_cache,
            directory.sync,
            directory.names,
            lambda: root.create("b"),
            lambda: root.unlink("a"),
            lambda: root.status("a"),
            lambda: root.lock_holder("LOCK"),
            lambda: filesystem.open_root("/store"),
        ]
        for call in calls:
            with pytest.raises(SimulatedCrash):
                call()
        lock.release()
    root.close()
    assert files(after) == {"a": b"content"}


def test_the_log_tells_what_happened_where_and_in_which_order(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create_directory("d") as directory, directory.create("a") as file:
        file.write_at(10, b"content")
        file.truncate(12)
        file.sync()
        directory.rename("a", "b", root)
        directory.sync()
        root.unlink("b")
        root.remove_directory("d")
        root.lock("LOCK", "me").release()
        root.sync()
    assert filesystem.operations == [
        Operation(1, "create_directory", ""),
        Operation(2, "create_directory", "d"),
        Operation(3, "create", "d/a"),
        Operation(4, "write", "d/a", 10, 7),
        Operation(5, "truncate", "d/a", 12),
        Operation(6, "sync", "d/a"),
        Operation(7, "rename", "d/a", new_path="b"),
        Operation(8, "sync_directory", "d"),
        Operation(9, "unlink", "b"),
        Operation(10, "remove_directory", "d"),
        Operation(11, "create", "LOCK"),
        Operation(12, "lock", "LOCK"),
        Operation(13, "sync_directory", ""),
    ]


def test_refused_and_failed_operations_are_not_in_the_log(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    filesystem.operations.clear()
    filesystem.fail("sync_directory", "", errno.EIO)
    with pytest.raises(FileExistsError):
        root.create("a")
    with pytest.raises(FileNotFoundError):
        root.unlink("b")
    with pytest.raises(UnsafeFile):
        root.directory("a")
    fails_with(errno.EIO, root.sync)
    assert filesystem.operations == []


@pytest.mark.parametrize(
    "operation", ["open_root", "directory", "open", "read", "size", "status", "names", "lock_holder", "forget_cache"]
)
def test_operations_that_change_nothing_can_fail_too(filesystem: MemoryFileSystem, root: MemoryDirectory, operation: str) -> None:
    put(root, "a", b"content")
    root.create_directory("d").close()
    file = root.open("a")
    calls: dict[str, Callable[[], object]] = {
        "open_root": lambda: filesystem.open_root("/store"),
        "directory": lambda: root.directory("d"),
        "open": lambda: root.open("a"),
        "read": lambda: file.read_at(0, 1),
        "size": file.size,
        "status": lambda: root.status("a"),
        "names": root.names,
        "lock_holder": lambda: root.lock_holder("LOCK"),
        "forget_cache": file.forget_cache,
    }
    filesystem.fail(operation, "*", errno.EIO)
    fails_with(errno.EIO, calls[operation])
    calls[operation]()


def test_prepared_space_is_writable_on_a_full_disk(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "segment", bytes(4 * BLOCK))
    filesystem.capacity_bytes = filesystem.used_bytes
    with root.open("segment", writable=True) as file:
        file.write_at(100, b"frame")
        file.sync()
        fails_with(errno.ENOSPC, lambda: file.write_at(4 * BLOCK, b"x"))
    root.lock("segment", "a lock needs no space either").release()


def test_a_write_on_a_full_disk_keeps_what_fitted_and_is_not_in_the_log(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    with root.create("a") as file:
        filesystem.capacity_bytes = filesystem.used_bytes + BLOCK
        filesystem.operations.clear()
        fails_with(errno.ENOSPC, lambda: file.write_at(BLOCK - 2, b"abcd"))
        assert file.read_at(0, 2 * BLOCK) == bytes(BLOCK - 2) + b"ab"
    assert filesystem.operations == []


@pytest.mark.parametrize("content", [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"abcdefgh").cast("I")[:1]])
def test_whatever_is_made_of_bytes_is_written_byte_by_byte(root: MemoryDirectory, content: bytearray | memoryview) -> None:
    with root.create("a") as file:
        file.write_at(0, content)
        assert file.read_at(0, 10) == b"abcd"


def test_what_was_read_does_not_change_with_the_file(root: MemoryDirectory) -> None:
    with root.create("a") as file:
        file.write_at(0, b"before")
        read = file.read_at(0, 10)
        file.write_at(0, b"AFTER!")
        assert read == b"before"


def test_an_open_file_is_named_by_the_path_it_was_opened_by(root: MemoryDirectory) -> None:
    with root.create_directory("d") as directory, directory.create("a") as file:
        directory.rename("a", "b", root)
        assert (root.name, directory.name, file.name) == ("", "d", "d/a")


def test_every_error_names_the_path_it_is_about(root: MemoryDirectory) -> None:
    with root.create_directory("d") as directory:
        for call in (lambda: directory.open("a"), lambda: directory.unlink("a"), lambda: directory.remove_directory("a")):
            with pytest.raises(FileNotFoundError) as caught:
                call()
            assert caught.value.filename == "d/a"
        directory.create("a").close()
        with pytest.raises(FileExistsError) as taken:
            directory.create("a")
        assert taken.value.filename == "d/a"


def test_nothing_is_made_in_a_folder_that_was_removed(root: MemoryDirectory) -> None:
    with root.create_directory("d") as directory:
        root.create("a").close()
        root.remove_directory("d")
        fails_with(errno.ENOENT, lambda: directory.create("a"))
        fails_with(errno.ENOENT, lambda: directory.create_directory("a"))
        fails_with(errno.ENOENT, lambda: root.rename("a", "a", directory))
    assert root.names() == ["a"]


def test_a_bad_name_is_refused_before_anything_else(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    root.close()
    for call in (lambda: root.open("a/b"), lambda: root.create(".."), lambda: root.rename("a", "", None)):
        with pytest.raises(MisuseError):
            call()


def test_a_lock_is_held_by_one_and_named_by_its_text(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    lock = root.lock("LOCK", "pid 1")
    assert (root.lock_holder("LOCK"), files(filesystem)["LOCK"]) == ("pid 1", b"pid 1")
    with pytest.raises(StoreBusy) as caught:
        root.lock("LOCK", "pid 2")
    assert caught.value.holder == "pid 1"
    lock.release()
    assert (root.lock_holder("LOCK"), files(filesystem)["LOCK"]) == (None, b"")
    second = root.lock("LOCK", "pid 2")
    lock.release()
    assert root.lock_holder("LOCK") == "pid 2", "releasing twice takes nothing from the next"
    second.release()


def test_a_file_or_a_gap_in_the_place_of_a_folder_is_told_apart() -> None:
    folder = DirectoryInode()
    assert as_directory(folder, "d") is folder
    with pytest.raises(FileNotFoundError) as missing:
        as_directory(None, "d")
    assert missing.value.filename == "d"
    with pytest.raises(UnsafeFile) as caught:
        as_directory(FileInode(), "d")
    assert (caught.value.reason, caught.value.file) == ("kind", "d")
