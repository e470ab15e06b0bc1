"""The command `rap-state`: reads the command line, runs one command, and tells of its failure if it fails.

Rules this file keeps:

- Whatever happens, the exit code is one of the documented ones and the output is closed in its form.
- Run as root, a command works with the rights of the owner of the store; its output file is opened before that.
- A reader that went away (`rap-state log | head`) is no failure.

Example::

    rap-state log -D /var/lib/rap-node-agent -c eu-west-1 -n 20
"""

import argparse
import importlib
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import TextIO

from rap_journal.clock import Clock, SystemClock
from rap_journal.errors import MisuseError
from rap_tools.command_line import COMMANDS, PROGRAM, Parser, build_parser, command_named, option
from rap_tools.complaint import Complaint, Scene, complain
from rap_tools.exit_codes import ExitCode
from rap_tools.machine import acting_as_owner, environment, forget_standard_output, open_output
from rap_tools.printable import printable
from rap_tools.session import Session, find_root

INTERRUPTED = 130
"""What shells give for a command that Ctrl-C ended."""

WRITES_ITS_OWN_FILE = ("fabric", "demo", "backup")
"""Commands for which -O names the document, or which print by themselves."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(given, environment=environment(), stream=sys.stdout, errors=sys.stderr)


def run_command(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    stream: TextIO,
    errors: TextIO,
    clock: Clock | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """`main` with everything it stands on handed in."""
    options = argparse.Namespace(
        output=_guessed_form(arguments), command=next((word for word in arguments if word in _NAMES), None)
    )
    try:
        options = _parse(arguments)
        with ExitStack() as stack:
            is_terminal = stream.isatty()
            if option(options, "out_file") and options.command not in WRITES_ITS_OWN_FILE:
                out = open_output(options.out_file)
                stream, is_terminal = stack.enter_context(io.TextIOWrapper(out, encoding="utf-8")), False
            session = Session(options, environment, stream, is_terminal, errors, clock or SystemClock(), pause)
            code = _run(session)
            stream.flush()
            return code
    except SystemExit as done:
        return int(done.code or 0)  # Help and version, which argparse prints.
    except BrokenPipeError:
        forget_standard_output()
        return ExitCode.DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last place that can name it
        scene = Scene(find_root(options, environment), option(options, "cluster"), options.command, tuple(arguments))
        scene = scene._replace(key_file=option(options, "key_file"))
        complaint = complain(error, scene)
        tell(complaint, errors, is_text=options.output == "text" if option(options, "output") else True, cluster=scene.cluster)
        return complaint.exit_code


def tell(complaint: Complaint, errors: TextIO, *, is_text: bool, cluster: str | None) -> None:
    """Write a complaint: two lines for people, an object on one line for programs."""
    if not is_text:
        errors.write(json.dumps(complaint.as_object(cluster)) + "\n")
        return
    errors.write(f"{PROGRAM}: {printable(complaint.message)}\n")
    if complaint.try_next:
        errors.write(f"try: {printable(complaint.try_next)}\n")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser: Parser = build_parser(with_demo="demo" in arguments or "completion" in arguments)
    options = parser.parse_args(arguments)
    for name, words in (("root", "-D"), ("cluster", "-c"), ("key_file", "--key-file"), ("out_file", "-O")):
        if option(options, name) == "":
            # Else a script whose variable is not set would look at another store than it means.
            raise MisuseError(
                f"{words} is given and empty; nothing was done. Name what it is to be, or leave it away.", reason="usage"
            )
    return options


def _run(session: Session) -> int:
    command = command_named(session.options.command)
    # Before rights are given up, while everything that is installed can still be read.
    module = importlib.import_module(command.module)
    if session.is_text:
        session.text()
    if command.name == "demo":
        return int(module.run(session.options))
    with acting_as_owner(find_root(session.options, session.environment) or ""):
        return int(module.run(session))


def _guessed_form(arguments: Sequence[str]) -> str:
    """The form that a command line asks for which may not even be one."""
    for word, after in pairwise([*arguments, ""]):
        value = after if word in ("-o", "--output") else word.removeprefix("--output=").removeprefix("-o")
        if value in ("json", "ndjson") and word.startswith("-"):
            return value
    return "text"


_NAMES = tuple(command.name for command in COMMANDS)

if __name__ == "__main__":
    sys.exit(main())
