"""A file in memory: readable by its path while the block lasts, changed by nobody, wiped and gone afterwards."""

import errno
import os
import sys
from pathlib import Path

import pytest

from rap_journal import os_memory_file
from rap_journal.errors import StorageError
from rap_journal.os_memory_file import memory_file

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
