"""Where the demonstration makes its store and its key, and how to look at them afterwards.

Rules this file keeps: the folder is fresh, the key lies outside of it, and a command that is told can be pasted into a shell.

Example::

    root, key_file = places(None)           # a new folder below the one for temporary files
    next_commands(root, key_file, "eu-west-1")
"""

import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from rap_journal.errors import MisuseError


def places(root: str | None, key_file: str | None = None) -> tuple[Path, Path]:
    """Where the store and its key go. Raises `MisuseError` for a folder that is not fresh, or whose parent is not there."""
    given = Path(key_file).absolute() if key_file is not None else None
    if root is None:
        base = Path(tempfile.mkdtemp(prefix="rap-state-demo-"))
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
    program = f"RAP_STATE_KEY_FILE={shlex.quote(str(key_file))} {_program()}"
    store = shlex.quote(str(root))
    return (f"{program} status -D {store}", f"{program} log -D {store} -c {cluster} -n 20", f"{program} verify -D {store}")


def _program() -> str:
    """How to call this command again: as it was called, as the shell finds it, or by its module."""
    called = sys.argv[0] if sys.argv else ""
    if Path(called).name == "rap-state":
        return shlex.quote(called)
    return "rap-state" if shutil.which("rap-state") else f"{shlex.quote(sys.executable)} -m rap_tools.main"
