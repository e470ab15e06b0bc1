"""Joining a cluster: what the node knows of the time from then on."""

import errno

import pytest

from rap_journal.errors import NoSpace, StorageError
from rap_projections.testing import Fabric, memory_store

DAY_S = 86_400


def test_trusted_time_starts_at_the_bundle_however_long_the_machine_was_up() -> None:
    kit = memory_store()
    kit.clock.advance(seconds=40 * DAY_S)
    fabric = Fabric("lab")
    cluster = kit.join(fabric)
    assert cluster.status()["trusted_time_s"] == fabric.issued_at_s
    assert cluster.activate(fabric.peers(["node-1"])).changed

    kit.clock.advance(seconds=90)
    cluster.expire()
    assert cluster.status()["trusted_time_s"] == fabric.issued_at_s + 90


def test_trusted_time_goes_on_over_a_reboot() -> None:
    kit = memory_store()
    kit.clock.advance(seconds=40 * DAY_S)
    fabric = Fabric("lab")
    kit.join(fabric).expire()
    kit.power_cut()
    kit.clock.advance(seconds=29)
    # A reboot costs what was paid in advance, at most 60 s, and counts from the new boot on.
    assert kit.store.cluster("lab").status()["trusted_time_s"] == fabric.issued_at_s + 60 + 30


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_directory"])
@pytest.mark.parametrize(("number", "expected"), [(errno.EIO, StorageError), (errno.ENOSPC, NoSpace)], ids=["EIO", "ENOSPC"])
def test_a_disk_that_fails_under_a_join_says_so_with_an_error_of_the_store_and_the_join_may_be_repeated(
    operation: str, number: int, expected: type[StorageError]
) -> None:
    kit, fabric = memory_store(), Fabric("lab")
    kit.filesystem.fail(operation, "*/.join-lab*", number)
    with pytest.raises(StorageError) as caught:
        kit.join(fabric)
    assert (type(caught.value), caught.value.cluster) == (expected, "lab")
    kit.filesystem.heal()
    assert (kit.store.clusters(), kit.store.unopened) == ((), {})
    assert kit.join(fabric).recovery.is_clean
