"""A folder that can only be read, and tells before every step of the reading: a test lets a writer act at that very moment."""

from collections.abc import Callable
from typing import Any, Self

from rap_journal.filesystem import Directory, File, FileStatus

PIECE_BYTES = 256
"""Long reads happen in pieces, with a step before each, as they may on a machine where a writer runs at the same time."""


class WatchedFile:
    """A file of a `WatchedDirectory`; what would change it is not there."""

    def __init__(self, inner: File, step: Callable[[], None]) -> None:
        self._inner = inner
        self._step = step
        self.name = inner.name

    def read_at(self, offset: int, length: int) -> bytes:
        data = b""
        while len(data) < length:
            self._step()
            piece = self._inner.read_at(offset + len(data), min(PIECE_BYTES, length - len(data)))
            data += piece
            if not piece:
                break
        return data

    def size(self) -> int:
        self._step()
        return self._inner.size()

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class WatchedDirectory:
    """See above."""

    def __init__(self, inner: Directory, step: Callable[[], None]) -> None:
        self._inner = inner
        self._step = step
        self.name = inner.name

    def names(self) -> list[str]:
        self._step()
        return self._inner.names()

    def status(self, name: str) -> FileStatus | None:
        self._step()
        return self._inner.status(name)

    def directory(self, name: str) -> Any:
        self._step()
        return WatchedDirectory(self._inner.directory(name), self._step)

    def open(self, name: str) -> Any:
        self._step()
        return WatchedFile(self._inner.open(name), self._step)

    def lock_holder(self, name: str) -> str | None:
        self._step()
        return self._inner.lock_holder(name)

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
