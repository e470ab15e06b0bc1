"""Files that are in memory alone: for a library that takes nothing but a path, and for bytes that nobody may swap once they were checked.

Rules this file keeps:

- They have no name in any folder and belong to this process. What is secret is overwritten and gone when its block ends.
- While they are there, nobody changes them: length and content are sealed.
- Only Linux has such files. Elsewhere nothing is written anywhere, and the error says what cannot be done.

Of `os` this file uses what makes and closes the file; files of the store are the business of `os_filesystem`.

Example::

    with memory_file(content) as path:
        context.load_cert_chain(path)

    with sealed_copy(download, size_max=reference.size) as file:
        install(file.path)
"""

import hashlib
import mmap
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import BinaryIO, Self

from rap_journal.errors import StorageError
from rap_journal.file_control import seal_memory, seal_memory_for_good

CHUNK_BYTES = 1 << 20
"""So much is copied at a time."""


class SealedFile:
    """A file in memory that nobody can change any more, this process included. `sealed_copy` makes one.

    Attributes:
        size: its length in bytes.
        sha256: SHA-256 of its content.
    """

    def __init__(self, fd: int, size: int, sha256: bytes) -> None:
        self._fd = fd
        # Nothing is lost with a file that nobody holds any more, so that forgetting to close it is no mistake to warn of.
        self._let_go = weakref.finalize(self, os.close, fd)
        self.size = size
        self.sha256 = sha256

    def __repr__(self) -> str:
        return f"SealedFile(size={self.size}, sha256={self.sha256.hex()})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def path(self) -> str:
        """By which it is opened, from this process only. Raises `ValueError` after closing."""
        return f"/proc/self/fd/{self.fileno()}"

    def fileno(self) -> int:
        """Its descriptor, which is not inherited by programs that are started unless it is passed on. Raises `ValueError` after closing."""
        if not self._let_go.alive:
            raise ValueError("this file in memory is closed")
        return self._fd

    def open(self) -> BinaryIO:
        """Its content from the beginning, for reading. Raises `ValueError` after closing."""
        return open(self.path, "rb")

    def duplicate(self) -> "SealedFile":
        """The same file once more: it is there until both are closed. Raises `ValueError` after closing."""
        return SealedFile(os.dup(self.fileno()), self.size, self.sha256)

    def close(self) -> None:
        """Let it go; once is enough."""
        self._let_go()


def sealed_copy(source: BinaryIO, size_max: int) -> SealedFile:
    """What `source` holds from where it stands on, hashed while it is copied; of more than `size_max` bytes, one more than that.

    Raises `StorageError` where this system has no such files, `OSError` where memory is short, and what reading raises.
    """
    fd = _make(0)
    try:
        digest, size = hashlib.sha256(), 0
        while size <= size_max and (chunk := source.read(min(CHUNK_BYTES, size_max + 1 - size))):
            digest.update(chunk)
            size += len(chunk)
            _write_all(fd, chunk)
        _seal(fd, seal_memory_for_good)
    except BaseException:
        os.close(fd)
        raise
    return SealedFile(fd, size, digest.digest())


@contextmanager
def memory_file(content: bytes | bytearray) -> Iterator[str]:
    """The path of a file that holds `content`, which is not empty, while the block lasts. Readable from this process only.

    Raises `StorageError` where this system has no such files.
    """
    fd = _make(len(content))
    try:
        # The mapping is made before the seals: it alone can still write, and so wipe.
        with mmap.mmap(fd, len(content)) as memory:
            memory[:] = bytes(content)
            try:
                _seal(fd, seal_memory)
                yield f"/proc/self/fd/{fd}"
            finally:
                memory[:] = bytes(len(content))
    finally:
        os.close(fd)


def _make(size: int) -> int:
    if sys.platform != "linux":
        raise _unsupported()
    try:
        fd = os.memfd_create("rap-node-state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise _unsupported() from error
    os.ftruncate(fd, size)
    return fd


def _write_all(fd: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _seal(fd: int, seal: Callable[[int], None]) -> None:
    try:
        seal(fd)
    except OSError as error:
        raise _unsupported() from error


def _unsupported() -> StorageError:
    return StorageError(
        f"this platform ({sys.platform}) has no sealed files in memory, which need Linux 5.1 or later; nothing was written. "
        "What takes a key by the path of a file cannot be given one here without writing it to a disk, and an update cannot be held "
        "so that nobody swaps it.",
        reason="unsupported_platform",
    )
