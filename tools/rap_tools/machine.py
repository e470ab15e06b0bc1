"""What the command asks of the machine it runs on: environment, rights, output files. The only file of the command that imports `os`.

Rules this file keeps:

- Run as root, the command reads a store with the rights of the owner of its root folder, and takes its own back afterwards.
- A file for output is 0600, since it may hold the topology of a cluster, and never lies inside a store.

Example::

    with acting_as_owner(root):
        history = History.open(root, keys=keys)
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rap_journal.errors import MisuseError
from rap_journal.layout import CLUSTERS, MARKER

_OUTPUT_MODE = 0o600


def environment() -> dict[str, str]:
    """The environment variables."""
    return dict(os.environ)


@contextmanager
def acting_as_owner(root: str) -> Iterator[None]:
    """Run as root: have the effective rights of the owner of the folder `root` inside the block. Otherwise nothing happens.

    The store refuses files of another user than the one who runs, so that root reads with no more rights than the agent has.
    """
    try:
        owner = os.lstat(root) if os.geteuid() == 0 else None
    except OSError:
        owner = None
    if owner is None or owner.st_uid == 0:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    # The user last: without being root, the groups could not be changed any more; and back in the opposite order.
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def open_output(path: str, *, outside: str | None = None) -> BinaryIO:
    """Make or empty the file `path` (0600) for output.

    Raises `MisuseError` where it would lie inside a store, or inside the folder `outside`, where one is about to be; `OSError`.
    """
    for folder in Path(path).resolve().parents:
        is_store = (folder / MARKER).is_file() and (folder / CLUSTERS).is_dir()
        if is_store or (outside is not None and folder == Path(outside).resolve()):
            raise MisuseError(
                f"{path} lies inside the store {folder}; nothing was written. Nobody but the store writes there: name another place.",
                reason="output_inside_store",
            )
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _OUTPUT_MODE), "wb")


def terminal_width(environment: Mapping[str, str]) -> int:
    """Columns of the terminal: what COLUMNS says, else what the terminal at the standard output says, else 80."""
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return shutil.get_terminal_size().columns


def forget_standard_output() -> None:
    """Send what is still to come on standard output nowhere: its reader has gone, and Python would complain at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
