"""What the store asks of this machine outside of any root: key files, credentials of the service manager, and who this process is.

Rules this file keeps:

- A key file belongs to this user alone; a credential may belong to root, who lets this user read it. Either is checked once open, and
  is never read through a link.
- A key file that is made is whole and synced, or not there; one that is there is never written over.

Example::

    write_private_file("/etc/rap/key", key)
    read_private_file("/etc/rap/key", 64)
"""

import errno
import os
import stat

from rap_journal.filesystem import unsafe_file
from rap_journal.os_files import OPEN_FILE, Descriptor, OsFile, check_or_close, make_file, open_directory, open_parent


def read_private_file(path: str, size_max: int) -> bytes:
    """At most `size_max` bytes of a file outside any root (a key). Raises `UnsafeFile` for a link, a foreign owner or a loose
    mode, `OSError`."""
    fd = _open_no_link(path, None, path)
    check_or_close(fd, path, os.geteuid(), file=True)
    with OsFile(fd, path) as file:
        return file.read_at(0, size_max)


def write_private_file(path: str, data: bytes) -> None:
    """Make the file `path` (0600) with this content, durably. Raises `FileExistsError` when the name is taken, `OSError`."""
    name = os.path.basename(path)
    with Descriptor(open_parent(os.path.dirname(os.path.abspath(path)), to_sync=True)) as parent:
        make_file(name, parent._fd, path, data)
        os.fsync(parent._fd)


def read_credential(directory: str, name: str, size_max: int) -> bytes:
    """At most `size_max` bytes of the file `name` in a folder that the service manager filled for this process.

    Folder and file belong to this user or to root, who gives read access by a list; nobody else may read or change them. Raises
    `UnsafeFile` where that is not so, `OSError`.
    """
    folder = open_directory(directory, None, directory)
    try:
        _check_credential(os.fstat(folder), directory)
        path = f"{directory}/{name}"
        with OsFile(_open_no_link(name, folder, path), path) as file:
            found = os.fstat(file.descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise unsafe_file(path, "is not a regular file", "kind")
            _check_credential(found, path)
            return file.read_at(0, size_max)
    finally:
        os.close(folder)


def _open_no_link(name: str, parent: int | None, path: str) -> int:
    """Open the file `name` for reading; `path` is for messages. Raises `UnsafeFile` where it is a link, `OSError`."""
    try:
        return os.open(name, os.O_RDONLY | OPEN_FILE, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise unsafe_file(path, "is a symbolic link", "link") from error
        raise


def _check_credential(found: os.stat_result, path: str) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise unsafe_file(path, f"belongs to user {found.st_uid} and neither to root nor to this one", "owner")
    # With an access list, the group bits are its mask: reading by a group is then reading by this user.
    if found.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
        raise unsafe_file(path, f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})", "mode")


def environment_variable(name: str) -> str | None:
    """What the environment of this process says of `name`, or None."""
    return os.environ.get(name)


def real_path(path: str) -> str:
    """`path` from the root of the machine on, without links and dots: what two ways of writing one place have in common."""
    return os.path.realpath(path)


def process_id() -> int:
    """Number of this process, for the text of a lock."""
    return os.getpid()
