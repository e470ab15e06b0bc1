"""The door to the file system: every operation the store performs on files, and what each one promises.

Rules this file keeps:

- A name is one path component. Nothing follows a link; a directory is reached from its parent, held open.
- New files are 0600 and new directories 0700 at creation.
- Failures are `OSError` with an errno; the layers above decide what one means. `UnsafeFile` is raised for a link, a foreign
  owner, a loose mode or an extra hard link.
- What is not synced may be lost, whole or in part, in any order. Content is synced by `File.sync`, names by `Directory.sync`.

Implementations: `rap_journal.os_filesystem.OsFileSystem` and `rap_journal.testing.MemoryFileSystem`; both run the contract
suite in ``tests/contracts``.

Example::

    root = filesystem.open_root(path, create=True)
    with root.create("tmp-1") as file:
        file.write_at(0, content)
        file.sync()
    root.rename("tmp-1", "MARKER")
    root.sync()
"""

from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

from rap_journal.errors import MisuseError, StoreBusy, UnsafeFile


class FileStatus(NamedTuple):
    """What a name stands for."""

    kind: Literal["file", "directory", "other"]
    size: int


class File(Protocol):
    """An open regular file. Usable as a context manager, which closes it."""

    @property
    def name(self) -> str:
        """Path relative to the root, for messages."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the file."""
        ...

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` at `offset`; a short write is continued, an error raised."""
        ...

    def size(self) -> int:
        """Current length in bytes."""
        ...

    def truncate(self, size: int) -> None:
        """Cut or extend (with zeros, unallocated) to `size` bytes."""
        ...

    def sync(self) -> None:
        """Return when content and size are on stable storage (fdatasync). A failure is final for this file."""
        ...

    def forget_cache(self) -> None:
        """Ask that the next read come from the device, not from the page cache. Advice: it may be ignored."""
        ...

    def close(self) -> None:
        """Close; further calls fail. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Lock(Protocol):
    """A held writer lock."""

    def release(self) -> None:
        """Give the lock up; the lock file stays, empty."""
        ...


class Directory(Protocol):
    """An open directory. Usable as a context manager, which closes it."""

    @property
    def name(self) -> str:
        """Path relative to the root, for messages; empty for the root."""
        ...

    def names(self) -> list[str]:
        """Names of all entries, sorted."""
        ...

    def status(self, name: str) -> FileStatus | None:
        """Kind and size of `name` (of the link itself, if it is one: kind "other"), or None where nothing has that name."""
        ...

    def directory(self, name: str) -> "Directory":
        """Open the subdirectory `name`."""
        ...

    def create_directory(self, name: str) -> "Directory":
        """Make and open the subdirectory `name`; FileExistsError where the name is taken."""
        ...

    def open(self, name: str, *, writable: bool = False) -> File:
        """Open the existing file `name`."""
        ...

    def create(self, name: str) -> File:
        """Make the file `name`, readable and writable; FileExistsError where the name is taken."""
        ...

    def rename(self, name: str, new_name: str, into: "Directory | None" = None) -> None:
        """Give `name` the name `new_name`, here or in `into`, atomically replacing a file (or an empty directory) of that name."""
        ...

    def unlink(self, name: str) -> None:
        """Remove the file `name`."""
        ...

    def remove_directory(self, name: str) -> None:
        """Remove the empty subdirectory `name`."""
        ...

    def sync(self) -> None:
        """Return when the names in this directory are on stable storage."""
        ...

    def lock(self, name: str, holder: str) -> Lock:
        """Take the exclusive lock on file `name` (made if absent, never unlinked) and write `holder` into it.

        Raises `StoreBusy`, naming the holder, when another open file description has it.
        """
        ...

    def lock_holder(self, name: str) -> str | None:
        """The text of whoever holds the lock on `name` now, or None when nobody does. Takes no lock and changes nothing."""
        ...

    def close(self) -> None:
        """Close; further calls fail. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class FileSystem(Protocol):
    """A file system that can hold a store."""

    def open_root(self, path: str, *, create: bool = False) -> Directory:
        """Open the directory `path` as a root; with `create`, make it (its parent must exist). FileNotFoundError otherwise."""
        ...

    def remove_root(self, path: str) -> None:
        """Remove the empty directory `path`: what `open_root` made, where nothing came of it. Raises OSError."""
        ...

    def write_file(self, path: str, data: bytes) -> None:
        """Make the file `path`, outside any root and in whosever folder, with this content: 0600 from its first byte, whole, and durable.

        It is written under the name ``.<name>.part`` and then renamed. Raises FileExistsError where the name is taken.
        """
        ...

    def read_file(self, path: str, size_max: int) -> bytes:
        """At most `size_max` bytes of the regular file `path`, outside any root; whoever owns it, since nothing in it is believed."""
        ...


def read_whole(directory: Directory, name: str, size_max: int) -> bytes:
    """All bytes of file `name`, at most `size_max` + 1 of them, so that a caller sees an oversized file without reading it whole."""
    with directory.open(name) as file:
        return file.read_at(0, size_max + 1)


# For implementations: what they check and say alike.


def check_name(name: str) -> None:
    """Raise `MisuseError` unless `name` is one path component. Every call of a `Directory` that takes a name does this first."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise MisuseError(f"{name[:80]!r} is not the name of a file in a folder; nothing was done", reason="bad_name")


def unsafe_file(path: str, what: str, reason: str) -> UnsafeFile:
    """The error for `path`, of which `what` is wrong."""
    return UnsafeFile(
        f"{path} {what}; it was not used and nothing was changed. The store makes its files 0600 and its folders 0700, for one user and "
        "without links: find out who changed this one, then put it right or restore it.",
        file=path,
        reason=reason,
    )


def store_busy(path: str, holder: str) -> StoreBusy:
    """The error for the lock file `path`, which `holder` has locked."""
    return StoreBusy(
        f"{path} is locked by {holder or 'another process'}; nothing was changed. Stop that process, or read the store beside it.",
        holder=holder,
        file=path,
    )
