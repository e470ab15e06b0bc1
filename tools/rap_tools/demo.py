"""`rap-state demo`: a node in two clusters, killed in the middle of its work, comes back with the state it had acknowledged.

Rules this file keeps:

- The store is made in a fresh folder, which is kept and named; its key lies beside that folder, not in it.
- What is shown was compared: the exit code is 0 when all digests agree, and 1 when one differs.
- Nothing is needed but this package: without a measured trace a model network stands in for one.

Example::

    rap-state demo --trace net-latency/seattle --slices 60
"""

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TextIO

from rap_journal.errors import MisuseError, StateStoreError
from rap_tools.demo_course import make_order, show_kill, show_live
from rap_tools.demo_live import Stop
from rap_tools.demo_messages import Order
from rap_tools.demo_network import SLICES_MIN, DemoNetwork
from rap_tools.demo_places import next_commands, places
from rap_tools.demo_result import DemoResult
from rap_tools.demo_run import Watcher, WriterFailed
from rap_tools.exit_codes import ExitCode
from rap_tools.json_output import JsonWriter, head
from rap_tools.machine import environment, open_output
from rap_tools.text_output import INSTALL

SLICES_DEFAULT = 60
SEED_COUNT = 1_000_000

INTERRUPTED = 130
"""What shells give for a command that Ctrl-C ended."""


class Form(NamedTuple):
    """How the outcome is told: "text", "json" or "ndjson", and whether without colour and movement."""

    output: str
    is_plain: bool

    @property
    def is_text(self) -> bool:
        """Whether people read it."""
        return self.output == "text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `demo` takes beside the global options."""
    parser.add_argument("--trace", metavar="DIR", help="a measured latency trace (NetLatency-Data); a model network without it")
    slices_help = f"time slices to use, at least {SLICES_MIN} (default %(default)s); a trace with fewer is gone round again"
    parser.add_argument("--slices", metavar="N", type=int, default=SLICES_DEFAULT, help=slices_help)
    parser.add_argument("--seed", metavar="S", type=int, help="what the kill and the model are drawn from (default: a new one)")
    parser.add_argument("--live", action="store_true", help="no kill: a slice a second until it is interrupted")


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; returns the exit code. Raises `MisuseError` where there is nothing to run it with or on."""
    form = _form(options)
    seed = secrets.randbelow(SEED_COUNT) if options.seed is None else options.seed
    network = DemoNetwork.open(options.trace, slices=options.slices, seed=seed)
    root, key_file = places(_option(options, "root"), _option(options, "key_file"))
    order = make_order(root, key_file, options.trace, network)
    try:
        result = _live(order, network, form) if options.live else _killed(order, network, form)
    except WriterFailed as failure:
        return _complain(f"{failure} The store is kept: {root}", failure.exit_code, form)
    except KeyboardInterrupt:
        return _complain(f"interrupted; nothing was shown. The store is kept: {root}", INTERRUPTED, form)
    exit_code = ExitCode.NEGATIVE if result.problems() else ExitCode.DONE
    with _stream(_option(options, "out_file"), root) as stream:
        _print(result, exit_code, form, stream)
    return exit_code


def _killed(order: Order, network: DemoNetwork, form: Form) -> DemoResult:
    with _watcher(len(network.clusters) * network.slices, form) as watcher:
        return show_kill(order, network, watcher)


def _live(order: Order, network: DemoNetwork, form: Form) -> DemoResult:
    if form.is_text:
        print(f"The store is in {order.root}. Ctrl-C closes it. Meanwhile, elsewhere:")
        for command in next_commands(Path(order.root), Path(order.key_file), network.clusters[0].id):
            print(f"  {command}", flush=True)
    with Stop() as stop, _teller(form) as tell:
        return show_live(order, network, stop.wait, tell)


def _form(options: argparse.Namespace) -> Form:
    """Who reads the output. For people rich must be there: raises `MisuseError` where it is not."""
    output = _option(options, "output") or "text"
    if output == "text" and find_spec("rich") is None:
        raise MisuseError(
            f"demo draws its tables with rich; nothing was made. Use -o json, or: {INSTALL}", reason="missing_extra"
        )
    around = environment()
    return Form(output, bool(_option(options, "no_color") or around.get("NO_COLOR") or around.get("TERM") == "dumb"))


def _option(options: argparse.Namespace, name: str) -> str | None:
    """A global option, or None where it was not given."""
    value: str | None = getattr(options, name, None)
    return value


def _watcher(total: int, form: Form) -> Watcher:
    if not form.is_text:
        return Watcher()
    from rap_tools.demo_tables import Meter

    return Meter.on_terminal(total, is_plain=form.is_plain)


def _teller(form: Form) -> AbstractContextManager[Callable[[str], None]]:
    if not form.is_text:
        return nullcontext(_tell_nobody)
    from rap_tools.demo_tables import live_line

    return live_line(sys.stdout, is_plain=form.is_plain)


def _tell_nobody(text: str) -> None:
    return None


def _stream(out_file: str | None, root: Path) -> AbstractContextManager[TextIO]:
    if out_file is None:
        return nullcontext(sys.stdout)
    return TextIOWrapper(open_output(out_file, outside=str(root)), encoding="utf-8")


def _print(result: DemoResult, exit_code: int, form: Form, stream: TextIO) -> None:
    if not form.is_text:
        JsonWriter(stream, lines=form.output == "ndjson").document(result.document(), exit_code)
        return
    from rap_tools.demo_tables import print_tables

    print_tables(result, stream, is_plain=form.is_plain)


def _complain(text: str, exit_code: int, form: Form) -> int:
    """Tell of what kept the demonstration from its end, in the form of the output; returns the exit code."""
    if not form.is_text:
        text = json.dumps(head("rap-state-error", None, None, message=text, action="operator", exit_code=exit_code))
    print(f"rap-state: {text}" if form.is_text else text, file=sys.stderr)
    return exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """`demo` without the rest of the command: ``python -m rap_tools.demo``."""
    parser = argparse.ArgumentParser(prog="rap-state demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-D", dest="root", metavar="ROOT", help="where to make the store (default: a fresh folder)")
    parser.add_argument("-o", dest="output", choices=("text", "json", "ndjson"), default="text", help="for people or programs")
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except StateStoreError as error:
        print(f"rap-state: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
