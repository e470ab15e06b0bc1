"""What opens a store is looked at before a file is."""

import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from rap_journal.clock import SystemClock
from rap_journal.errors import MisuseError
from rap_journal.os_filesystem import OsFileSystem
from rap_projections import NodeStore, Policy
from rap_projections.keys import FileKeyProvider, RecoveryPassphraseProvider
from rap_projections.opening_arguments import require_opening


@pytest.mark.parametrize("as_path", [str, PurePath])
@pytest.mark.parametrize("wait_s", [0, 0.5])
def test_what_fits_opens_a_store(tmp_path: Path, as_path: Callable[[Path], str | PurePath], wait_s: float) -> None:
    keys = RecoveryPassphraseProvider(lambda: b"correct horse battery staple")
    with NodeStore.open(
        as_path(tmp_path / "store"), keys=keys, create=True, wait_s=wait_s, policy=Policy(), clock=SystemClock(),
        filesystem=OsFileSystem(), randomness=os.urandom, background=False,
    ) as store:  # fmt: skip
        assert store.clusters() == ()


@pytest.mark.parametrize("wait_s", [-1, -0.1, float("nan"), float("inf")])
def test_a_time_to_wait_is_none_or_some(wait_s: float) -> None:
    with pytest.raises(MisuseError, match=r"^wait_s is a number of seconds from 0; nothing was done"):
        require_opening(wait_s=wait_s)


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": {}},
        {"create": 1},
        {"wait_s": "5"},
        {"clock": 7},
        {"filesystem": "/"},
        {"randomness": b"x"},
        {"keys": b"k" * 32},
    ],
)
def test_a_slip_leaves_no_store_behind(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (name,) = wrong
    arguments: dict[str, Any] = {"keys": FileKeyProvider(tmp_path / "key"), "create": True} | wrong
    with pytest.raises(MisuseError, match=rf"^{name} cannot be of type"):
        NodeStore.open(tmp_path / "store", **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["root", "path", "survivor"])
def test_a_zero_byte_is_in_no_path(name: str) -> None:
    with pytest.raises(MisuseError, match=f"^{name} is no path"):
        require_opening(**{name: "a\0b"})
