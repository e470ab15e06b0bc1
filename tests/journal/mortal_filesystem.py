"""A file system on which the process dies before a chosen operation: what was written stays, as after kill -9."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rap_journal.filesystem import Directory, FileSystem
from rap_journal.testing import SimulatedCrash

_CHANGING = {
    "write_at",
    "truncate",
    "sync",
    "create_directory",
    "create",
    "rename",
    "unlink",
    "remove_directory",
    "lock",
}
_OPENING = {"directory", "create_directory", "open", "create"}


class MortalFileSystem:
    """Any file system, until `operations_left` operations that change or sync something have happened."""

    def __init__(self, inner: FileSystem, operations_left: int) -> None:
        self._inner = inner
        self._left = operations_left
        self._handles: list[Any] = []

    def open_root(self, path: str, *, create: bool = False) -> Any:
        """As the inner one does."""
        return self.wrap(self._inner.open_root(path, create=create))

    def remove_root(self, path: str) -> None:
        """As the inner one does, or not at all."""
        self.live("remove_directory")
        self._inner.remove_root(path)

    def write_file(self, path: str, data: bytes) -> None:
        """As the inner one does, or not at all."""
        self.live("create")
        self._inner.write_file(path, data)

    def read_file(self, path: str, size_max: int) -> bytes:
        """As the inner one does."""
        return self._inner.read_file(path, size_max)

    def bury(self) -> None:
        """Close what the dead process left open, as the kernel does."""
        for handle in self._handles:
            handle.close()

    def wrap(self, inner: Any) -> Any:
        """A handle that dies with the others."""
        self._handles.append(inner)
        return _Mortal(inner, self)

    def live(self, operation: str) -> None:
        """Count an operation; raises `SimulatedCrash` once there are none left."""
        if self._left <= 0 and operation != "close":
            raise SimulatedCrash(operation)
        self._left -= operation in _CHANGING


class _Mortal:
    """A file or folder of a `MortalFileSystem`."""

    def __init__(self, inner: Any, machine: MortalFileSystem) -> None:
        self.inner = inner
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        return partial(self._call, name, value) if callable(value) else value

    def _call(self, name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        self._machine.live(name)
        if name == "rename" and len(given) == 3:
            given = (*given[:2], given[2].inner)
        answer = method(*given, **named)
        return self._machine.wrap(answer) if name in _OPENING else answer

    def __enter__(self) -> "_Mortal":
        return self

    def __exit__(self, *_error: object) -> None:
        self.inner.close()


__all__ = ["Directory", "MortalFileSystem"]
