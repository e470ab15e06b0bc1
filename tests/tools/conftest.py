"""Stores that the tests of the command read, written once. Nothing may change in them: that is looked at when all is done."""

from collections.abc import Iterator

import pytest

from tests.tools.command import Disk, all_bytes, make_store
from tests.tools.demo_kit import DemoRun, make_run


@pytest.fixture(autouse=True)
def no_wish_about_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the terminal of whoever runs the tests asks for is none of their findings; a test that is about it says so itself."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = make_store(tmp_path_factory.mktemp("lab"))
    before = all_bytes(disk.root)
    yield disk
    assert all_bytes(disk.root) == before


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    run = make_run(tmp_path_factory.mktemp("demo"))
    before = all_bytes(run.root)
    yield run
    assert all_bytes(run.root) == before
