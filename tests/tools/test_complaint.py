"""A complaint says what happened and what to try next, and never what an unforeseen error holds."""

import pytest

from rap_journal.errors import (
    DamageError,
    FormatTooNew,
    HistoryGone,
    KeyUnavailable,
    MisuseError,
    NoSuchRecord,
    NoSuchStore,
    StoreBusy,
)
from rap_projections.refusals import NoSuchCluster
from rap_tools.complaint import Scene, complain
from rap_tools.selector_places import AmbiguousSelector
from rap_tools.values import NoSuchPath

SCENE = Scene("/var/lib/a b", "lab", "log", ("log", "-n", "3"))
STORE = "rap-state -D '/var/lib/a b'"


@pytest.mark.parametrize(
    ("error", "try_next"),
    [
        (NoSuchStore("x"), f"{STORE} init --key-file FILE"),
        (NoSuchCluster("x"), f"{STORE} status"),
        (NoSuchRecord("x"), f"{STORE} -c lab log -n 5"),
        (NoSuchPath("x", up_to="peers/node-7"), f"{STORE} -c lab state peers/node-7"),
        (HistoryGone("x", oldest_lsn=40), f"{STORE} -c lab state health --at @40"),
        (AmbiguousSelector("x", cluster="lab", candidates=("lab@8", "lab@13")), f"{STORE} -c lab show lab@13"),
        (StoreBusy("x", holder="pid 7"), f"{STORE} status"),
        (KeyUnavailable("x"), "rap-state log -n 3 --key-file FILE"),
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
