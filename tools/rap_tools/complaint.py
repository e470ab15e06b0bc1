"""What to tell when a command failed: what happened, the exit code, and the next command to try.

Rules this file keeps:

- An error of the store speaks for itself: its message holds no payload and no secret. Of an unforeseen one only its class and place
  are told, because nobody knows what its message holds.
- Every complaint that has one ends with a command that helps further, ready to be pasted.

Example::

    complaint = complain(error, Scene("/var/lib/agent", "lab", "log"))
    print(f"rap-state: {complaint.message}")
"""

import shlex
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from rap_journal.errors import (
    DamageError,
    FormatTooNew,
    HistoryGone,
    KeyLost,
    KeyTampered,
    KeyUnavailable,
    NoSuchRecord,
    NoSuchStore,
    StateStoreError,
    StorageError,
    StoreBusy,
    UnsafeFile,
)
from rap_journal.layout import AGENT, MARKER
from rap_journal.sealing import SealBroken
from rap_projections.refusals import NoSuchCluster
from rap_projections.store_root import PART_OF_STORE
from rap_tools.exit_codes import ExitCode, exit_code_of
from rap_tools.invocation import program
from rap_tools.json_output import head
from rap_tools.selector_places import AmbiguousSelector
from rap_tools.state_paths import NoSuchPath

NO_AGENT_STATE = "agent_state"
"""Reason of the error for whoever asks for the state of the agent's journal."""


class Scene(NamedTuple):
    """What the command was about to do, as far as that is known: store, cluster, command, the words of its command line, and the
    key file that it named."""

    root: str | None = None
    cluster: str | None = None
    command: str | None = None
    arguments: tuple[str, ...] = ()
    key_file: str | None = None


class Complaint(NamedTuple):
    """A failure, ready to be told.

    Attributes:
        error: name of its class.
        message: what happened, what was done about it, what to do.
        exit_code: what the command exits with.
        action: one word for programs; see `StateStoreError`.
        facts: what it concerns.
        candidates: what an ambiguous selector could have meant, or the paths nearest to one that leads nowhere.
        try_next: a command to try, or None.
    """

    error: str
    message: str
    exit_code: ExitCode
    action: str
    facts: dict[str, Any]
    candidates: tuple[str, ...]
    try_next: str | None

    def as_object(self, cluster: str | None) -> dict[str, Any]:
        """The complaint as `-o json` shows it."""
        return head(
            "rap-state-error", self.facts.get("cluster", cluster), None, error=self.error, message=self.message, action=self.action,
            exit_code=int(self.exit_code), facts=self.facts, candidates=list(self.candidates), **{"try": self.try_next},
        )  # fmt: skip


def complain(error: BaseException, scene: Scene) -> Complaint:
    """What to tell of `error`."""
    code = exit_code_of(error)
    facts, action = {}, "operator"
    if isinstance(error, StateStoreError):
        message, facts, action = str(error), dict(error.facts()), error.action
    elif isinstance(error, OSError) and _is_named(error, scene):
        message, code, action = *_wrong_file(error), "fix_call"
    elif isinstance(error, OSError):
        message = (
            f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}; nothing was changed."
        )
    else:
        message = f"a bug in this program: {type(error).__name__} {_place_of(error)}. Please report it with the command you gave."
    candidates = _candidates(error)
    return Complaint(type(error).__name__, message, code, action, facts, candidates, _next_command(error, scene, code))


def _is_named(error: OSError, scene: Scene) -> bool:
    """Whether it is about a file that the command line named, and that cannot be what it was named for."""
    given = str(error.filename or "")
    return isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError) and any(
        given == word or given == str(Path(word).absolute()) for word in scene.arguments
    )


def _wrong_file(error: OSError) -> tuple[str, ExitCode]:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {error.filename}; nothing was done. Check the path.", ExitCode.NO_SUCH
    what = "a folder" if isinstance(error, IsADirectoryError) else "not in a folder"
    return f"{error.filename} is {what}; nothing was done. Name a file.", ExitCode.USAGE


def _candidates(error: BaseException) -> tuple[str, ...]:
    if isinstance(error, NoSuchPath):
        return error.nearest
    return error.candidates if isinstance(error, AmbiguousSelector) else ()


def _place_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return (
        f"in {frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename.rpartition('/')[2]}" if frames else "somewhere"
    )


def _next_command(error: BaseException, scene: Scene, code: ExitCode) -> str | None:
    """A command that helps further; the order is from the special to the general."""
    if isinstance(error, AmbiguousSelector):
        return _command(scene, f"show {error.candidates[-1]}")
    if code is ExitCode.USAGE or scene.command == "restore":
        return f"{program()} {scene.command} --help" if scene.command else f"{program()} --help"
    if isinstance(error, NoSuchPath):
        path = next(iter(error.nearest), error.up_to)
        return _command(scene, f"state {shlex.quote(path)}{_moment(scene)}") if path else f"{program()} state --help"
    if isinstance(error, NoSuchRecord) and error.reason == NO_AGENT_STATE:
        return _command(scene._replace(cluster=None), "log --agent")
    if isinstance(error, KeyUnavailable | KeyLost):
        return _with_key_file(scene)
    if isinstance(error, UnsafeFile) and error.reason == "mode" and error.file:
        return f"chmod {'700' if Path(error.file).is_dir() else '600'} {shlex.quote(error.file)}"
    return _next_by_class(error, scene)


def _next_by_class(error: BaseException, scene: Scene) -> str | None:
    """The first row of `_NEXT` whose class fits."""
    if scene.cluster is None and isinstance(error, StateStoreError) and "--agent" not in scene.arguments:
        scene = scene._replace(cluster=error.cluster)
    if isinstance(error, DamageError) and error.reason == "no_marker" and error.file == MARKER:
        # What the message says is the way out: no command knows more of a store without its marker.
        return None
    if isinstance(error, NoSuchStore) and error.reason == PART_OF_STORE and error.file:
        part = PurePath(error.file)
        return _command(scene._replace(root=str(part.parent if part.name == AGENT else part.parent.parent)), "status")
    if isinstance(error, NoSuchRecord) and scene.command == "verify":
        return _command(scene, "verify")
    for kinds, arguments in _NEXT:
        if isinstance(error, kinds):
            return f"{program()} --version" if arguments == "--version" else _command(scene, arguments)
    if isinstance(error, HistoryGone):
        return _command(scene, f"state health --at @{error.oldest_lsn}")
    return None


_NEXT: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (NoSuchStore, "init --key-file FILE"),
    (NoSuchCluster, "status"),
    (NoSuchRecord, "log -n 5"),
    (StoreBusy, "status"),
    (UnsafeFile, "verify"),
    ((KeyTampered, SealBroken, DamageError), "verify"),
    (FormatTooNew, "--version"),
    (StorageError, "verify"),
)


def _with_key_file(scene: Scene) -> str | None:
    """The same call with a key file: the one that lies beside the store, if one does, else one to be filled in.

    A call that named one is not told to name another, unless one lies there; `verify` can do without.
    """
    beside = Path(f"{scene.root.rstrip('/')}.key") if scene.root else None
    has_other = beside is not None and beside.is_file() and str(beside) != scene.key_file
    words = _without_key_file(scene.arguments)
    if has_other:
        words += ["--key-file", str(beside)]
    elif scene.key_file is None:
        words += ["--key-file", "FILE"]
    elif scene.command != "verify":
        return None
    is_named = any(word in ("-D", "--root") or word.startswith(("-D", "--root=")) for word in words)
    root = [] if is_named or scene.root is None else ["-D", scene.root]
    return f"{program()} {shlex.join([*root, *words])}"


def _without_key_file(words: Sequence[str]) -> list[str]:
    is_key = [word == "--key-file" for word in ["", *words]]
    return [word for word, follows in zip(words, is_key, strict=False) if not follows and not word.startswith("--key-file")]


def _moment(scene: Scene) -> str:
    """The moment that the call named, to be named again."""
    words = [*scene.arguments, ""]
    found = [
        after if word == "--at" else word.removeprefix("--at=") for word, after in pairwise(words) if word.startswith("--at")
    ]
    return f" --at {shlex.quote(found[-1])}" if found else ""


def _command(scene: Scene, arguments: str) -> str:
    """A command line on the same store."""
    if "--agent" in scene.arguments and arguments.startswith(("log", "show")):
        return f"{program()} -D {shlex.quote(scene.root or 'ROOT')}{_key(scene)} {arguments} --agent"
    cluster = (
        f" -c {shlex.quote(scene.cluster)}" if scene.cluster and not arguments.startswith(("init", "status", "verify")) else ""
    )
    return f"{program()} -D {shlex.quote(scene.root or 'ROOT')}{cluster}{'' if arguments.startswith('init') else _key(scene)} {arguments}"


def _key(scene: Scene) -> str:
    return f" --key-file {shlex.quote(scene.key_file)}" if scene.key_file else ""
