"""What a call writes, reads or unseals, byte for byte: so that a baseline can do the same with nothing around it.

Example::

    with recorded_writes() as writes:
        cluster.health.partition("site-b", on=True)
    raw = RawFile(path)
    for data in writes:
        raw.append(data)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rap_journal.checkpoints
import rap_journal.sealed_store
from rap_journal.frames import Frame, FrameCodec
from rap_journal.os_files import OsFile

RAW_FILE_BYTES = 8 << 20


@contextmanager
def recorded_writes() -> Iterator[list[bytes]]:
    """The bytes of every write of the block, in order."""
    write_at, writes = OsFile.write_at, []

    def write(file: OsFile, offset: int, data: bytes | bytearray | memoryview) -> None:
        writes.append(bytes(data))
        write_at(file, offset, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OsFile, "write_at", write)
        yield writes


@contextmanager
def recorded_payloads() -> Iterator[list[bytes]]:
    """The payload of every frame that the block opens, in order."""
    unseal, payloads = FrameCodec.open, []

    def record(codec: FrameCodec, data: bytes, frame: Frame) -> bytes:
        payloads.append(unseal(codec, data, frame))
        return payloads[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrameCodec, "open", record)
        yield payloads


@contextmanager
def recorded_contents() -> Iterator[list[bytes]]:
    """The content of every checkpoint and document that the block unseals, in order."""
    contents: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        for module in (rap_journal.checkpoints, rap_journal.sealed_store):
            unseal = module.unseal_file

            def record(*arguments: Any, unseal: Any = unseal) -> bytes:
                contents.append(unseal(*arguments))
                return contents[-1]

            patch.setattr(module, "unseal_file", record)
        yield contents


@contextmanager
def unsynced() -> Iterator[None]:
    """Let nothing be synced within the block, but everything at its end: for making what is measured later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OsFile, "sync", lambda file: None)
        yield
    os.sync()


class RawFile:
    """A file of synced zeros, as a segment is, that is written to with two system calls and nothing else."""

    def __init__(self, path: Path, size: int = RAW_FILE_BYTES) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._size = size
        self._offset = 0
        os.pwrite(self._fd, bytes(size), 0)
        os.fsync(self._fd)

    def append(self, data: bytes) -> None:
        """Write `data` behind what was written before, and sync."""
        if self._offset + len(data) > self._size:
            self._offset = 0
        os.pwrite(self._fd, data, self._offset)
        os.fdatasync(self._fd)
        self._offset += len(data)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)
