"""The store that the tests of the command read, written once. Nothing may change in it: that is looked at when all is done."""

from collections.abc import Iterator

import pytest

from tests.tools.command import Disk, all_bytes, make_store


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = make_store(tmp_path_factory.mktemp("lab"))
    before = all_bytes(disk.root)
    yield disk
    assert all_bytes(disk.root) == before
