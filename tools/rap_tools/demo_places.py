"""Where the demonstration makes its store and its key, and how to look at them afterwards.

Rules this file keeps: the folder is fresh, the key lies outside of it, and a command that is told can be pasted into a shell,
whatever folder it is in.

Example::

    root, key_file = places(None)           # a new folder below the one for temporary files
    next_commands(root, key_file, "eu-west-1")
"""

import shlex
import tempfile
from pathlib import Path

from rap_journal.errors import MisuseError
from rap_tools.invocation import program

PREFIX = "rap-state-demo-"
"""How the folders begin that the demonstration makes where none was named."""


def places(root: str | None, key_file: str | None = None) -> tuple[Path, Path]:
    """Where the store and its key go. Raises `MisuseError` for a folder that is not fresh, or whose parent is not there."""
    given = Path(key_file).absolute() if key_file is not None else None
    if root is None:
        base = Path(tempfile.mkdtemp(prefix=PREFIX))
        return base / "node", given or base / "node.key"
    chosen = Path(root).absolute()
    if not chosen.parent.is_dir():
        raise MisuseError(f"there is no folder {chosen.parent} to make {chosen.name} in; nothing was made.", reason="no_parent")
    if chosen.is_symlink() or (chosen.exists() and not (chosen.is_dir() and not any(chosen.iterdir()))):
        raise MisuseError(
            f"{chosen} is there already; nothing was done. The demo makes a fresh folder: name one that is not there.",
            reason="not_fresh",
        )
    return chosen, given or chosen.with_name(chosen.name + ".key")


def next_commands(root: Path, key_file: Path, cluster: str) -> tuple[str, ...]:
    """What to run next, as it can be pasted into a shell."""
    called = f"RAP_STATE_KEY_FILE={shlex.quote(str(key_file))} {program(from_anywhere=True)}"
    store = shlex.quote(str(root))
    return (f"{called} status -D {store}", f"{called} log -D {store} -c {cluster} -n 20", f"{called} verify -D {store}")


def is_own_folder(root: Path) -> bool:
    """Whether the folder around the store was made by the demonstration for one run, so that all of it may go."""
    return root.parent.name.startswith(PREFIX) and root.parent.parent == Path(tempfile.gettempdir())
