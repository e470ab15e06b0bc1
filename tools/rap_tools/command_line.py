"""The command line of `rap-state`: commands grouped by the question they answer, and what each of them takes.

Rules this file keeps:

- Global options stand before or after the command, and mean the same in both places.
- The help of a command names the global options that mean something for it; the others are taken all the same, and mean nothing.
- Options are never abbreviated: what a script says keeps its meaning when options are added.
- Building the parser imports none of the commands, so that help and completion come at once; `demo` alone brings its own arguments.

Example::

    options = build_parser(with_demo=False).parse_args(["log", "-D", root, "-n", "20"])
    assert options.command == "log"
"""

import argparse
import difflib
import re
import textwrap
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from rap_journal.errors import MisuseError
from rap_projections.version import __version__
from rap_tools.selector_syntax import FORMS, MEANINGS

PROGRAM = "rap-state"
ROOT_VARIABLE = "RAP_STATE_DIR"
KEY_FILE_VARIABLE = "RAP_STATE_KEY_FILE"
CATEGORIES = ("observation", "decision", "refusal", "eviction", "lifecycle", "note")
CLASSES = ("identity", "trust", "snapshots", "updates", "services", "health", "peers", "routes", "telemetry", "agent")
HELP_WIDTH = 78
TRIAL_SCOPES = ("peers", "routes", "services", "updates")


class Command(NamedTuple):
    """One command.

    Attributes:
        name: as it is typed.
        question: the question it helps to answer.
        purpose: one line for the overview.
        example: one call, without the program's name.
        add_arguments: adds what it takes.
        module: where its `run` is.
        about: what global options mean for it, where that is another thing than elsewhere; empty where they mean nothing.
    """

    name: str
    question: str
    purpose: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    module: str
    about: Mapping[str, str] = MappingProxyType({})


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting, so that an error can be an object under `-o json`."""

    def error(self, message: str) -> NoReturn:
        """Raise `MisuseError`."""
        if unknown := re.search(r"argument COMMAND: invalid choice: '(.*?)'", message):
            near = difflib.get_close_matches(unknown[1], [command.name for command in COMMANDS], 1)
            there = f"Did you mean {near[0]}?" if near else f"There is {', '.join(command.name for command in COMMANDS)}."
            raise MisuseError(f"there is no command {unknown[1]!r:.40}; nothing was done. {there}", reason="usage")
        raise MisuseError(f"{message}; nothing was done.", reason="usage")


def build_parser(*, with_demo: bool) -> Parser:
    """The whole parser. `with_demo`: ask the demonstration for its arguments, which takes a moment."""
    common = _global_options()
    parser = Parser(
        prog=PROGRAM, parents=[common], allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, description=_overview(),
        usage=f"{PROGRAM} [-D ROOT] [-c CLUSTER] [-o text|json|ndjson] COMMAND ...", add_help=False,
    )  # fmt: skip
    parser.add_argument("-h", "--help", action="help", help="show this, or the help of a command")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}", help="show the version")
    commands = parser.add_subparsers(
        prog=PROGRAM, dest="command", metavar="COMMAND", required=True, parser_class=Parser, help=argparse.SUPPRESS
    )
    for command in COMMANDS:
        adding = commands.add_parser(
            command.name, parents=[_global_options(command.about)], allow_abbrev=False, epilog=_places(command),
            description=f"{command.purpose[0].upper()}{command.purpose[1:]}.\n\nexample: {PROGRAM} {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False,
        )  # fmt: skip
        adding.add_argument("-h", "--help", action="help", help="show this")
        if command.name != "demo":
            command.add_arguments(adding)
        elif with_demo:
            _add_demo(adding)
    return parser


def command_named(name: str) -> Command:
    """The command of this name."""
    return next(command for command in COMMANDS if command.name == name)


def option(options: argparse.Namespace, name: str) -> Any:
    """A global option, or None where it was not given."""
    return getattr(options, name, None)


def _global_options(about: Mapping[str, str] = MappingProxyType({})) -> Parser:
    """Without defaults: otherwise the defaults behind the command would undo what was given before it. `about`: see `Command`."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("global options, before or after the command")

    def add(*names: str, dest: str, usual: str, **more: Any) -> None:
        group.add_argument(*names, dest=dest, help=about.get(dest, usual) or argparse.SUPPRESS, **more)

    key = f"the key file (default: ${KEY_FILE_VARIABLE}); without one, what is sealed is not shown"
    add("-D", "--root", dest="root", metavar="ROOT", usual=f"the store's root folder (default: ${ROOT_VARIABLE})")
    add("-c", "--cluster", dest="cluster", metavar="CLUSTER", usual="the cluster; not needed where there is one")
    add("--key-file", dest="key_file", metavar="FILE", usual=key)
    forms = ("text", "json", "ndjson")
    add("-o", "--output", dest="output", choices=forms, usual="text for people, or JSON for programs (default: text)")
    add("-O", "--out-file", dest="out_file", metavar="FILE", usual="write to FILE (0600) instead of standard output")
    add("--no-color", dest="no_color", action="store_true", usual="no colour, as with NO_COLOR")
    return common


def _overview() -> str:
    """The commands by question, each with an example."""
    lines = ["Looks at the state that a node keeps: read-only, and beside a running agent.", ""]
    for question in dict.fromkeys(command.question for command in COMMANDS):
        lines.append(question)
        for command in COMMANDS:
            if command.question == question:
                lines += [f"  {command.name:<12}{command.purpose}", f"  {'':<12}$ {PROGRAM} {command.example}"]
        lines.append("")
    return "\n".join([*lines, *_places_lines()])


def _places(command: Command) -> str | None:
    if command.name not in ("log", "show", "state"):
        return None
    return "\n".join(["a place in the history (SELECTOR):", *[f"  {form:<22}{meaning}" for form, meaning in MEANINGS]])


def _places_lines() -> list[str]:
    return textwrap.wrap(f"A place in the history (SELECTOR) is one of {FORMS}.", HELP_WIDTH, break_on_hyphens=False)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    from rap_tools import demo

    demo.add_arguments(parser)


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """For a command that takes the global options only."""


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", choices=("bash",), default="bash", help="the shell to write it for")


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        help="CLASS, CLASS/KEY or CLASS/KEY/FIELD, percent-encoded, such as peers/node-17 or routes/node-42 (all its channels); "
        "the classes are " + ", ".join(CLASSES[:-1]),
    )
    parser.add_argument(
        "--at", metavar="SELECTOR", default="HEAD", help="the moment, such as @1234, end-15min or a time (default: HEAD)"
    )


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--lines", metavar="N", type=_count, help="the newest N lines only")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="a line for each observation of a batch, as -k PeersObserved has it"
    )
    parser.add_argument("-r", "--reverse", action="store_true", help="the newest first")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with new events until interrupted; starts with the newest 10"
    )
    parser.add_argument(
        "-k",
        "--kind",
        metavar="KIND",
        action="append",
        default=[],
        help="events of this kind only, such as PeersObserved or 70; may be repeated",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        metavar="CLASS",
        action="append",
        default=[],
        choices=CLASSES,
        help="events of this class only; may be repeated",
    )
    parser.add_argument(
        "--category",
        metavar="CATEGORY",
        action="append",
        default=[],
        choices=CATEGORIES,
        help=f"one of {', '.join(CATEGORIES)}; may be repeated",
    )
    parser.add_argument("-S", "--since", metavar="SELECTOR", help="from this place on")
    parser.add_argument("-U", "--until", metavar="SELECTOR", help="up to this place")
    parser.add_argument("--after", metavar="CURSOR", help="from behind this place on: the cursor of an earlier call")
    parser.add_argument("--agent", action="store_true", help="the agent's own journal instead of a cluster's")
    parser.add_argument(
        "--interval", metavar="SECONDS", type=_seconds, default=0.5, help="how often -f looks (default: %(default)s)"
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("selectors", metavar="@LSN", nargs="+", help="the record; any selector will do")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="all rows of a batch, not only those around the one asked for"
    )
    parser.add_argument("--agent", action="store_true", help="in the agent's own journal instead of a cluster's")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="a file or folder of the store, relative to its root; everything without it"
    )


def _add_fabric(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="what the issuer's keys are made from (default: %(default)s)")
    parser.add_argument("--number", metavar="N", type=_count, default=1, help="version of the document (default: %(default)s)")
    parser.add_argument(
        "--issued-at",
        metavar="TIME",
        default="now",
        help="when it is issued, RFC 3339; a fixed time makes the same call give the same bytes (default: %(default)s)",
    )
    parser.add_argument("kind", choices=("bundle", *TRIAL_SCOPES, "policy", "head"), help="what to issue")
    parser.add_argument(
        "entries", metavar="ENTRY", nargs="*",
        help="peers, services: an id. routes: DESTINATION or DESTINATION=RELAY,RELAY. updates: SUBJECT or SUBJECT=SEQUENCE. "
        "policy: FIELD=VALUE. head: the files of the snapshots it is to list",
    )  # fmt: skip


def _add_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipient", metavar="HEX", help="X25519 public key of whoever restores (default: the store's own key)")
    parser.add_argument(
        "--new-recovery-key",
        metavar="FILE",
        help="make a recovery key in FILE (0600), and seal to that: keep it away from the backup",
    )


def _add_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument(
        "--recovery-key",
        metavar="FILE",
        help="the recovery key, 32 bytes (default: --key-file names the key of the store that was backed up)",
    )
    parser.add_argument(
        "--expect",
        metavar="HEX",
        help="backup fingerprint of the store, or SHA-256 of FILE; not needed with that store's key file",
    )
    parser.add_argument("--survivor", metavar="ROOT", help="what is left of the old store: floors that it knows are kept")
    parser.add_argument("--survivor-key-file", metavar="FILE", help="its key file, where the new store has another one")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not a whole number of 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.01 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not a number of seconds from 0.01 to 3600")
    return seconds


_IN_COMMANDS = "rap_tools.commands."

COMMANDS = (
    Command(
        "demo", "try it", "kill a node in the middle of its work and see it come back",
        "demo", _add_nothing, "rap_tools.demo",
        {
            "cluster": "",
            "root": "where to make the store (default: a fresh folder)",
            "key_file": "where to make its key (default: beside the store)",
        },
    ),
    Command(
        "fabric", "try it", "issue documents for trials, with keys that a seed makes",
        "fabric peers node-1 node-2 -c lab -O peers.cbor", _add_fabric, _IN_COMMANDS + "fabric",
        {"root": "", "key_file": "", "cluster": "the cluster it is for", "out_file": "write the document to FILE (0600)"},
    ),
    Command(
        "completion", "try it", "print the completion for a shell",
        "completion >> ~/.bashrc", _add_completion, _IN_COMMANDS + "completion",
        dict.fromkeys(("root", "cluster", "key_file", "no_color"), ""),
    ),
    Command(
        "status", "what is it", "versions, expiries, caches, health: what is safe to show",
        "status -D /var/lib/rap-node-agent", _add_nothing, _IN_COMMANDS + "status",
    ),
    Command(
        "state", "what is it", "a value at any moment, and the record that set it",
        "state peers/node-17/latency_us --at end-15min", _add_state, _IN_COMMANDS + "state",
    ),
    Command(
        "keys", "what is it", "who may open the store, and what lacks a way in; never a key",
        "keys -D /var/lib/rap-node-agent", _add_nothing, _IN_COMMANDS + "keys",
        {"cluster": "this cluster alone"},
    ),
    Command(
        "log", "what happened", "the events, oldest first",
        "log -c lab --category refusal -S now-2h", _add_log, _IN_COMMANDS + "log",
    ),
    Command(
        "show", "what happened", "one record with all its fields, row by row",
        "show @1234", _add_show, _IN_COMMANDS + "show",
    ),
    Command(
        "verify", "is it sound", "check every stored byte; needs no key",
        "verify -o json", _add_verify, _IN_COMMANDS + "verify",
    ),
    Command(
        "init", "set it up, move it", "make an empty store and its key file",
        "init -D ./node --key-file ./node.key", _add_nothing, _IN_COMMANDS + "init",
        {
            "cluster": "",
            "root": f"the folder to make (default: ${ROOT_VARIABLE})",
            "key_file": f"the key file to make, or to use where it is there (default: ${KEY_FILE_VARIABLE})",
        },
    ),
    Command(
        "backup", "set it up, move it", "one sealed file with what a restore needs",
        "backup -O node.backup --new-recovery-key recovery.key", _add_backup, _IN_COMMANDS + "backup",
        {"cluster": "", "out_file": "the file to make (0600)"},
    ),
    Command(
        "restore", "set it up, move it", "make a new store from a backup",
        "restore node.backup -D ./new --key-file ./node.key", _add_restore, _IN_COMMANDS + "restore",
        {
            "cluster": "",
            "root": f"the folder to make (default: ${ROOT_VARIABLE})",
            "key_file": f"the key file to make, or to use where it is there (default: ${KEY_FILE_VARIABLE})",
        },
    ),
)  # fmt: skip
"""All commands, in the order of the overview."""
