"""Errors: whose fault, what to do, how to exit, and no more facts than are known."""

from typing import get_args

import pytest

from rap_journal import errors
from rap_journal.errors import (
    Action,
    CursorDiverged,
    DamageError,
    FailClosed,
    HistoryGone,
    MisuseError,
    NoSpace,
    OutcomeUnknown,
    Poisoned,
    StateStoreError,
    StorageError,
    StoreBusy,
    UnsafeFile,
)

ALL = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, StateStoreError)]

EXIT_CODES = {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 70}
"""Those that the command `rap-state` may fail with."""


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_error_says_when_it_is_raised_what_to_do_and_how_to_exit(error: type[StateStoreError]) -> None:
    assert error.action in get_args(Action)
    assert error.exit_code in EXIT_CODES
    assert error.__doc__ is not None
    assert error is StateStoreError or error.__doc__.startswith("Raised ")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (StoreBusy, StorageError),
        (NoSpace, StorageError),
        (OutcomeUnknown, StorageError),
        (Poisoned, StorageError),
        (UnsafeFile, StorageError),
        (FailClosed, DamageError),
    ],
)
def test_errors_are_sorted_by_whose_fault_it_is(error: type[StateStoreError], fault: type[StateStoreError]) -> None:
    assert issubclass(error, fault)
    assert not issubclass(error, MisuseError)


@pytest.mark.parametrize(
    ("error", "action", "exit_code"),
    [
        (NoSpace, "retry", 12),
        (OutcomeUnknown, "reopen", 12),
        (Poisoned, "reopen", 12),
        (UnsafeFile, "operator", 11),
        (StoreBusy, "retry", 5),
        (FailClosed, "operator", 8),
        (DamageError, "operator", 7),
        (MisuseError, "fix_call", 2),
        (CursorDiverged, "fix_call", 3),
        (HistoryGone, "fix_call", 4),
    ],
)
def test_actions_and_exit_codes_are_a_contract(error: type[StateStoreError], action: str, exit_code: int) -> None:
    assert (error.action, error.exit_code) == (action, exit_code)


def test_facts_are_those_that_are_set_and_zero_is_one() -> None:
    assert StateStoreError("text").facts() == {}
    error = DamageError("text", cluster="lab", state_class="trust", file="journal/0001", lsn=0, offset=0, reason="bad_digest")
    assert error.facts() == {
        "cluster": "lab",
        "state_class": "trust",
        "file": "journal/0001",
        "lsn": 0,
        "offset": 0,
        "reason": "bad_digest",
    }
    assert str(error) == "text"


def test_a_busy_store_names_its_holder_and_file() -> None:
    error = StoreBusy("locked", holder="pid 17", file="LOCK")
    assert error.holder == "pid 17"
    assert error.facts() == {"file": "LOCK", "reason": "locked"}


def test_gone_history_names_what_can_still_be_shown() -> None:
    error = HistoryGone("gone", oldest_lsn=500, cluster="lab", lsn=17)
    assert error.oldest_lsn == 500
    assert error.facts() == {"cluster": "lab", "lsn": 17, "reason": "before_floor"}
