"""How this command was called, so that the commands it tells of can be called the same way.

Rules this file keeps:

- What is told can be pasted: into the same shell, or with `from_anywhere` into one in any folder.
- Where the command is on the path its name is enough; where it was called by a path, as `make` does, that path is told.

Example::

    print(f"try: {program()} status -D {root}")
"""

import shlex
import shutil
import sys
from pathlib import Path

import rap_journal
import rap_projections
import rap_tools
from rap_tools.machine import environment

NAME = "rap-state"
_MODULE = Path(rap_tools.__path__[0])


def program(*, from_anywhere: bool = False) -> str:
    """The words that call this command, quoted for a shell."""
    return _from_anywhere() if from_anywhere else _from_here()


def _from_here() -> str:
    called = Path(sys.argv[0] if sys.argv else "")
    if called.parent == _MODULE:
        return f"{_interpreter()} -m {_MODULE.name}"
    on_path = shutil.which(NAME)
    if called.name == NAME and called.is_file() and not (on_path and Path(on_path).samefile(called)):
        return shlex.quote(sys.argv[0])
    return NAME


def _interpreter() -> str:
    """This Python: by name where the path has it under that, else as it was started."""
    for name in ("python", "python3"):
        if shutil.which(name) == sys.executable:
            return name
    return shlex.quote(sys.executable)


def _from_anywhere() -> str:
    """The file that was called, the one of this Python, the shell's, or the module."""
    called, beside = Path(sys.argv[0] if sys.argv else ""), Path(sys.executable).with_name(NAME)
    on_path = shutil.which(NAME)
    found = [path for path in (called, beside, Path(on_path or "")) if path.name == NAME and path.is_file()]
    if found:
        return shlex.quote(str(found[0].absolute()))
    # Nothing is installed, so the packages are where this process found them, as is what they need.
    packages = [Path(module.__path__[0]).parent for module in (rap_journal, rap_projections, rap_tools)]
    given = [Path(place) for place in environment().get("PYTHONPATH", "").split(":") if place]
    places_of_code = ":".join(dict.fromkeys(str(place.absolute()) for place in (*packages, *given)))
    return f"PYTHONPATH={shlex.quote(places_of_code)} {shlex.quote(sys.executable)} -m {_MODULE.name}"
