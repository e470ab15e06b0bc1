"""Exit codes: the table of the interface, and which of several wins."""

import pytest

from rap_journal.errors import (
    DamageError,
    FailClosed,
    FormatTooNew,
    KeyLost,
    MisuseError,
    NoSpace,
    NoSuchRecord,
    StoreBusy,
    UnsafeFile,
)
from rap_projections.refusals import Expired, NoSuchCluster, NotAllowed
from rap_tools.exit_codes import WORST_FIRST, ExitCode, exit_code_of, worst

TABLE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 70}


def test_the_codes_are_those_of_the_interface() -> None:
    assert {int(code) for code in ExitCode} == TABLE
    assert set(WORST_FIRST) == set(ExitCode)


def test_the_order_of_the_worst_is_that_of_the_interface() -> None:
    ranked = [int(code) for code in WORST_FIRST if code not in (ExitCode.DONE, ExitCode.USAGE)]
    assert ranked == [70, 8, 12, 11, 9, 10, 7, 6, 5, 4, 3, 1]


@pytest.mark.parametrize(
    ("codes", "winner"),
    [
        ((), 0),
        ((0, 0), 0),
        ((0, 1), 1),
        ((6, 7), 7),
        ((7, 8), 8),
        ((12, 8), 8),
        ((11, 12), 12),
        ((9, 10, 3), 9),
        ((70, 8), 70),
        ((1, 3), 3),
    ],
)
def test_the_worst_of_several_wins(codes: tuple[int, ...], winner: int) -> None:
    assert worst(codes) == winner


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MisuseError("x"), 2),
        (NoSuchRecord("x"), 3),
        (NoSuchCluster("x"), 3),
        (StoreBusy("x", holder="pid 1"), 5),
        (FailClosed("x"), 8),
        (FormatTooNew("x"), 9),
        (KeyLost("x"), 11),
        (UnsafeFile("x"), 11),
        (NoSpace("x"), 12),
        (NotAllowed("x"), 1),
        (Expired("x"), 1),
        (PermissionError("x"), 11),
        (OSError("x"), 12),
        (RuntimeError("x"), 70),
    ],
)
def test_each_error_has_its_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_damage_is_that_of_a_cache_only_where_the_error_names_one() -> None:
    assert exit_code_of(DamageError("x", state_class="peers")) is ExitCode.CACHE_DAMAGE
    assert exit_code_of(DamageError("x", state_class="trust")) is ExitCode.FAIL_CLOSED
    assert exit_code_of(DamageError("x")) is ExitCode.FAIL_CLOSED
