"""A file in memory: readable by its path while the block lasts, changed by nobody, wiped and gone afterwards."""

import errno
import hashlib
import os
import sys
from io import BytesIO
from pathlib import Path

import pytest

from rap_journal import os_memory_file
from rap_journal.errors import StorageError
from rap_journal.os_memory_file import CHUNK_BYTES, memory_file, sealed_copy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files in memory are Linux's")


def test_the_content_is_read_by_path_while_the_block_lasts() -> None:
    with memory_file(b"content") as path:
        assert Path(path).read_bytes() == b"content"
        assert Path(path).read_bytes() == b"content"
    assert not Path(path).exists()


@pytest.mark.parametrize("change", ["write", "grow", "shrink"])
def test_nobody_changes_it(change: str) -> None:
    """Mutation: without the seals every one of these goes through."""
    with memory_file(b"content") as path:
        fd = os.open(path, os.O_RDWR)
        try:
            with pytest.raises(PermissionError):
                os.pwrite(fd, b"x", 0) if change == "write" else os.ftruncate(fd, 8 if change == "grow" else 6)
        finally:
            os.close(fd)
        assert Path(path).read_bytes() == b"content"


def test_it_is_wiped_before_it_is_closed_also_after_an_error() -> None:
    """Mutation: without the overwriting, whoever still holds it open reads the content."""
    held: list[int] = []

    def hold_and_fail() -> None:
        with memory_file(b"content") as path:
            held.append(os.open(path, os.O_RDONLY))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hold_and_fail()
    try:
        assert os.pread(held[0], 100, 0) == bytes(7)
    finally:
        os.close(held[0])


def test_it_is_not_inherited_by_a_program_that_is_started() -> None:
    with memory_file(b"content") as path:
        assert not os.get_inheritable(int(path.rpartition("/")[2]))


def test_another_system_says_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(StorageError) as caught, memory_file(b"content"):
        pass
    assert caught.value.reason == "unsupported_platform"
    assert "darwin" in str(caught.value) and "content" not in str(caught.value)


def test_a_kernel_without_these_seals_holds_no_content_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def refuse(fd: int) -> None:
        seen.append(os.dup(fd))
        raise OSError(errno.EINVAL, "unknown seal")

    monkeypatch.setattr(os_memory_file, "seal_memory", refuse)
    with pytest.raises(StorageError) as caught, memory_file(b"content"):
        pass
    assert caught.value.reason == "unsupported_platform"
    try:
        assert os.pread(seen[0], 100, 0) == bytes(7)
    finally:
        os.close(seen[0])


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 7])
def test_a_sealed_copy_holds_what_was_read_and_its_hash(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    with sealed_copy(BytesIO(content[:size]), size_max=size) as copy, copy.open() as file:
        assert file.read() == content[:size]
        assert (copy.size, copy.sha256) == (size, hashlib.sha256(content[:size]).digest())


def test_of_too_much_one_byte_more_is_read() -> None:
    source = BytesIO(b"too much content")
    with sealed_copy(source, size_max=3) as copy:
        assert (copy.size, source.tell()) == (4, 4)


@pytest.mark.parametrize("change", ["write", "grow", "shrink", "own write"])
def test_nobody_changes_a_sealed_copy(change: str) -> None:
    """Mutation: without the seals every one of these goes through."""
    with sealed_copy(BytesIO(b"content"), size_max=7) as copy:
        fd = os.dup(copy.fileno()) if change == "own write" else os.open(copy.path, os.O_RDWR)
        try:
            with pytest.raises(PermissionError):
                os.pwrite(fd, b"x", 0) if change.endswith("write") else os.ftruncate(fd, 8 if change == "grow" else 6)
        finally:
            os.close(fd)
        assert Path(copy.path).read_bytes() == b"content"


def test_a_duplicate_outlives_the_first() -> None:
    first = sealed_copy(BytesIO(b"content"), size_max=7)
    with first.duplicate() as second:
        first.close()
        first.close()
        assert Path(second.path).read_bytes() == b"content" and not os.get_inheritable(second.fileno())
        with pytest.raises(ValueError, match="closed"):
            first.path  # noqa: B018 - reading it is the test


def test_a_source_that_fails_leaves_no_descriptor_behind() -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "input/output error")

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="input/output error"):
        sealed_copy(Broken(), size_max=7)
    assert len(os.listdir("/proc/self/fd")) == before
