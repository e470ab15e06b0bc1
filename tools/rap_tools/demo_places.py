"""Where the demonstration makes its store and its key, and how to look at them afterwards.

Rules this file keeps: the folder is fresh, the key lies outside of it, and a command that is told can be pasted into a shell,
whatever folder it is in.

Example::

    root, key_file = places(None)           # a new folder below the one for temporary files
    next_commands(root, key_file, "eu-west-1")
"""

import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import rap_journal
import rap_projections
import rap_tools
from rap_journal.errors import MisuseError
from rap_tools.machine import environment

_NAME = "rap-state"


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
    """How to call this command from any folder: the file that was called, the one of this Python, the shell's, or the module."""
    called, beside = Path(sys.argv[0] if sys.argv else ""), Path(sys.executable).with_name(_NAME)
    on_path = shutil.which(_NAME)
    found = [path for path in (called, beside, Path(on_path or "")) if path.name == _NAME and path.is_file()]
    if found:
        return shlex.quote(str(found[0].absolute()))
    # Nothing is installed, so the packages are where this process found them, as is what they need.
    packages = [Path(module.__path__[0]).parent for module in (rap_journal, rap_projections, rap_tools)]
    given = [Path(place) for place in environment().get("PYTHONPATH", "").split(":") if place]
    places_of_code = ":".join(dict.fromkeys(str(place.absolute()) for place in (*packages, *given)))
    return f"PYTHONPATH={shlex.quote(places_of_code)} {shlex.quote(sys.executable)} -m rap_tools.main"
