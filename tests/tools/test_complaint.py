"""A complaint says what happened and what to try next, and never what an unforeseen error holds."""

import shlex
from pathlib import Path

import pytest

from rap_journal.errors import (
    DamageError,
    FormatTooNew,
    HistoryGone,
    KeyLost,
    KeyUnavailable,
    MisuseError,
    NoSuchRecord,
    NoSuchStore,
    StoreBusy,
)
from rap_projections.refusals import NoSuchCluster
from rap_tools.complaint import Scene, complain
from rap_tools.selector_places import AmbiguousSelector
from rap_tools.state_paths import NoSuchPath
from tests.tools.command import Disk, rap_state

SCENE = Scene("/var/lib/a b", "lab", "log", ("log", "-n", "3"))
STORE = "rap-state -D '/var/lib/a b'"


@pytest.mark.parametrize(
    ("error", "try_next"),
    [
        (NoSuchStore("x"), f"{STORE} init --key-file FILE"),
        (NoSuchStore("x", file="/var/lib/a b/clusters/lab", reason="part_of_store"), f"{STORE} status"),
        (NoSuchStore("x", file="/var/lib/a b/agent", reason="part_of_store"), f"{STORE} status"),
        (NoSuchCluster("x"), f"{STORE} status"),
        (NoSuchRecord("x"), f"{STORE} -c lab log -n 5"),
        (NoSuchPath("x", up_to="peers/node-7"), f"{STORE} -c lab state peers/node-7"),
        (NoSuchPath("x", up_to="peers", nearest=("peers/node-7", "peers/node-1")), f"{STORE} -c lab state peers/node-7"),
        (NoSuchPath("x", up_to=""), "rap-state state --help"),
        (HistoryGone("x", oldest_lsn=40), f"{STORE} -c lab state health --at @40"),
        (AmbiguousSelector("x", cluster="lab", candidates=("lab@8", "lab@13")), f"{STORE} -c lab show lab@13"),
        (StoreBusy("x", holder="pid 7"), f"{STORE} status"),
        (KeyUnavailable("x"), f"{STORE} log -n 3 --key-file FILE"),
        (DamageError("x"), f"{STORE} verify"),
        (FormatTooNew("x"), "rap-state --version"),
        (MisuseError("x"), "rap-state log --help"),
        (OSError(5, "Input/output error", "/x"), None),
    ],
)
def test_each_failure_ends_with_a_command_to_try(error: Exception, try_next: str | None) -> None:
    assert complain(error, SCENE).try_next == try_next


def test_an_unforeseen_error_tells_its_class_and_place_and_not_its_message() -> None:
    try:
        raise RuntimeError("canary")
    except RuntimeError as error:
        complaint = complain(error, SCENE)
    assert complaint.exit_code == 70
    assert "canary" not in complaint.message
    assert "RuntimeError in test_an_unforeseen" in complaint.message
    assert "test_complaint.py" in complaint.message


def test_an_error_of_the_system_names_the_file() -> None:
    assert complain(OSError(5, "Input/output error", "/x"), SCENE).message == "Input/output error: /x; nothing was changed."


def test_the_object_has_the_documented_fields() -> None:
    error = AmbiguousSelector("which", cluster="lab", candidates=("lab@8", "lab@13"))
    assert complain(error, SCENE).as_object("lab") == {
        "format": "rap-state-error",
        "format_version": 1,
        "cluster": "lab",
        "horizon": None,
        "error": "AmbiguousSelector",
        "message": "which",
        "action": "fix_call",
        "exit_code": 2,
        "facts": {"cluster": "lab", "reason": "ambiguous"},
        "candidates": ["lab@8", "lab@13"],
        "try": f"{STORE} -c lab show lab@13",
    }


def test_every_command_to_try_is_complete(lab: Disk, tmp_path: Path) -> None:
    """Each is called as it is printed, without the environment that the failed call had; a file has to be filled in by people."""
    tried = set()
    for is_sealed, arguments in (
        (False, ("show", "@99999")), (False, ("show", "@99999", "--agent")), (False, ("state", "peers/node-99")),
        (False, ("state", "peers", "--at", "@99999")), (False, ("log", "-c", "other")), (False, ("log", "-n", "0")), (False, ()),
        (True, ("state", "peers")), (True, ("log", "-k", "Note")),
        (False, ("state", "peer")), (False, ("state", "routes/node-99")), (False, ("show", "17")),
        (False, ("status", "-D", str(tmp_path / "none"))), (False, ("state", "peers", "--key-file", str(tmp_path / "none"))),
        (False, ("show", "@99999", "--key-file", str(lab.key_file))),
    ):  # fmt: skip
        result = lab.rap_state(*arguments, sealed=is_sealed)
        assert result.code not in (0, 70), arguments
        for line in result.err.splitlines():
            if line.startswith("try: "):
                program, *words = shlex.split(line.removeprefix("try: "))
                assert program == "rap-state"
                words = [str(tmp_path / "key") if word == "FILE" else word for word in words]
                assert rap_state(*words).code != 2, line
                tried.add(words[2] if words[0] == "-D" else words[0])
    assert len(tried) > 3


@pytest.mark.parametrize("named", [(), ("--at", "end-1min"), ("--at=end-1min",)])
def test_a_path_is_suggested_at_the_moment_that_was_asked_for(named: tuple[str, ...]) -> None:
    error = NoSuchPath("x", up_to="peers", nearest=("peers/node-7",))
    complaint = complain(error, SCENE._replace(command="state", arguments=("state", "peers/node-8", *named)))
    assert complaint.try_next == f"{STORE} -c lab state peers/node-7{' --at end-1min' if named else ''}"
    assert complaint.candidates == ("peers/node-7",)


@pytest.mark.parametrize("form", [("--key-file", "/typo"), ("--key-file=/typo",), ()])
def test_the_key_that_lies_beside_the_store_is_suggested(tmp_path: Path, form: tuple[str, ...]) -> None:
    scene = Scene(f"{tmp_path}/node/", None, "log", ("log", *form, "-n", "3"), "/typo" if form else None)
    without = complain(KeyLost("x"), scene).try_next
    assert without == (None if form else f"rap-state -D {tmp_path}/node/ log -n 3 --key-file FILE")
    (tmp_path / "node.key").touch()
    assert complain(KeyLost("x"), scene).try_next == f"rap-state -D {tmp_path}/node/ log -n 3 --key-file {tmp_path}/node.key"


def test_verification_can_do_without_the_key_that_was_mistyped(tmp_path: Path) -> None:
    scene = Scene(str(tmp_path / "node"), None, "verify", ("verify", "--key-file", "/typo", "agent"), "/typo")
    assert complain(KeyLost("x"), scene).try_next == f"rap-state -D {tmp_path}/node verify agent"


def test_a_mistyped_key_file_is_told_as_that(lab: Disk, tmp_path: Path) -> None:
    for command in (("state", "peers"), ("log",), ("verify",)):
        result = lab.rap_state(*command, "--key-file", str(tmp_path / "typo.key"))
        assert result.code == 11
        assert f"there is no key file {tmp_path}/typo.key" in result.err
        assert "enroll" not in result.err


def test_a_loose_mode_is_mended_by_the_command_named(lab: Disk, tmp_path: Path) -> None:
    key = tmp_path / "loose.key"
    key.write_bytes(lab.key_file.read_bytes())
    key.chmod(0o644)
    result = lab.rap_state("state", "peers", "--key-file", str(key))
    assert (result.code, result.err.splitlines()[-1]) == (11, f"try: chmod 600 {key}")
    folder = tmp_path / "node"
    folder.mkdir()
    folder.chmod(0o755)
    result = rap_state("init", "-D", str(folder), "--key-file", str(tmp_path / "node.key"))
    assert (result.code, result.err.splitlines()[-1]) == (11, f"try: chmod 700 {folder}")
    assert rap_state("status", "-D", str(folder)).code == 3
