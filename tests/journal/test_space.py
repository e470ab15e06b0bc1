"""Zeros made ahead of need, and which errors say that there is no room for them."""

import errno

import pytest

from rap_journal.errors import DamageError, NoSpace, StorageError
from rap_journal.filesystem import read_whole
from rap_journal.space import disk_errors_mean, is_all_zero, is_no_space, make_zero_filled, no_space_means, write_zeros
from rap_journal.testing import MemoryFileSystem
from rap_journal.testing.memory_handles import MemoryDirectory


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def folder(filesystem: MemoryFileSystem) -> MemoryDirectory:
    return filesystem.open_root("/store", create=True)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EROFS, True),
        (errno.EFBIG, True),
        (errno.EIO, False),
        (errno.ENOENT, False),
        (errno.EACCES, False),
        (errno.EBADF, False),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if value not in (True, False) else "",
)
def test_whether_there_is_no_space_is_decided_by_errno(number: int, expected: bool) -> None:
    assert is_no_space(OSError(number, "")) is expected


def test_no_space_names_the_cluster_and_keeps_its_cause() -> None:
    cause = OSError(errno.EDQUOT, "quota")
    said = r"next segment of eu-1 \(EDQUOT\); nothing was changed"
    with pytest.raises(NoSpace, match=said) as caught, no_space_means("eu-1", "next segment"):
        raise cause
    assert caught.value.__cause__ is cause
    assert (caught.value.cluster, caught.value.reason, caught.value.action) == ("eu-1", "no_space", "retry")


def test_any_other_error_passes_through() -> None:
    failure = OSError(errno.EIO, "broken")
    with pytest.raises(OSError, match="broken") as caught, no_space_means("eu-1", "next segment"):
        raise failure
    assert caught.value is failure


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 262144])
def test_a_zero_filled_file_is_zeros_of_that_size_and_synced(
    filesystem: MemoryFileSystem, folder: MemoryDirectory, size: int
) -> None:
    make_zero_filled(folder, "next", size).close()
    folder.sync()
    left = filesystem.crash().open_root("/store")
    assert read_whole(left, "next", 1 << 20) == bytes(size)


def test_a_file_of_that_name_is_replaced(folder: MemoryDirectory) -> None:
    with folder.create("next") as file:
        file.write_at(0, b"old" * 100)
    make_zero_filled(folder, "next", 10).close()
    assert read_whole(folder, "next", 1000) == bytes(10)


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_a_failure_leaves_no_file_of_that_name(filesystem: MemoryFileSystem, folder: MemoryDirectory, operation: str) -> None:
    filesystem.fail(operation, "next", errno.ENOSPC)
    used = filesystem.used_bytes
    with pytest.raises(OSError, match="planned"):
        make_zero_filled(folder, "next", 100_000)
    assert folder.names() == [] and filesystem.used_bytes == used


def test_a_disk_that_fills_up_half_way_is_as_full_as_before(filesystem: MemoryFileSystem, folder: MemoryDirectory) -> None:
    filesystem.capacity_bytes = filesystem.used_bytes + 40_000
    used = filesystem.used_bytes
    with pytest.raises(OSError, match="full"):
        make_zero_filled(folder, "next", 100_000)
    assert folder.names() == [] and filesystem.used_bytes == used


def test_zeros_are_written_from_start_to_end_and_nowhere_else(folder: MemoryDirectory) -> None:
    with folder.create("file") as file:
        file.write_at(0, b"x" * 200_000)
        write_zeros(file, 10, 150_001)
        assert file.read_at(0, 200_000) == b"x" * 10 + bytes(149_991) + b"x" * 49_999


@pytest.mark.parametrize(("place", "expected"), [(None, True), (0, False), (65_535, False), (65_536, False), (149_999, False)])
def test_a_single_byte_tells_a_used_file_from_an_unused_one(folder: MemoryDirectory, place: int | None, expected: bool) -> None:
    with make_zero_filled(folder, "spare", 150_000) as file:
        if place is not None:
            file.write_at(place, b"\x01")
        assert is_all_zero(file) is expected


def test_an_empty_file_is_all_zero(folder: MemoryDirectory) -> None:
    with folder.create("file") as file:
        assert is_all_zero(file)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, NoSpace), (errno.EIO, StorageError), (errno.ENOENT, StorageError)]
)
def test_an_error_of_the_disk_comes_out_as_one_of_the_stores_and_names_no_more_than_the_errno(
    number: int, expected: type[StorageError]
) -> None:
    with pytest.raises(StorageError) as caught, disk_errors_mean("eu-1", "document"):
        raise OSError(number, "somewhere", "/state/secret")
    assert type(caught.value) is expected and isinstance(caught.value.__cause__, OSError)
    assert caught.value.cluster == "eu-1" and errno.errorcode[number] in str(caught.value) and "secret" not in str(caught.value)


def test_errors_of_the_store_pass_as_they_are() -> None:
    error = DamageError("damaged")
    with pytest.raises(DamageError) as caught, disk_errors_mean("eu-1", "document"):
        raise error
    assert caught.value is error
