"""A file that is in memory alone, for a library that takes nothing but the path of a file.

Rules this file keeps:

- It has no name in any folder, belongs to this process, and is gone when the block ends, its bytes overwritten before.
- While it is there, nobody changes it: length and content are sealed.
- Only Linux has such files. Elsewhere nothing is written anywhere, and the error says what cannot be done.

Of `os` this file uses what makes and closes the file; files of the store are the business of `os_filesystem`.

Example::

    with memory_file(content) as path:
        context.load_cert_chain(path)
"""

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rap_journal.errors import StorageError
from rap_journal.file_control import seal_memory


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
                _seal(fd)
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


def _seal(fd: int) -> None:
    try:
        seal_memory(fd)
    except OSError as error:
        raise _unsupported() from error


def _unsupported() -> StorageError:
    return StorageError(
        f"this platform ({sys.platform}) has no sealed files in memory, which need Linux 5.1 or later; nothing was written. "
        "What takes a key by the path of a file cannot be given one here without writing it to a disk.",
        reason="unsupported_platform",
    )
