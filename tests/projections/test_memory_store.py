"""The store in memory that tests break: the same seed gives the same bytes, and a crash loses what was not synced."""

import copy
import pickle
import threading
from collections.abc import Callable

import pytest

from rap_journal.testing import RandomSurvival, SeededRandomness
from rap_projections.testing import Fabric, MemoryKeyProvider, memory_store
from tests.projections.store_kit import CLUSTER, files, ready


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    first, second, other = ready(), ready(), ready(seed=1)
    assert files(first.kit.filesystem) == files(second.kit.filesystem)
    assert files(first.kit.filesystem) != files(other.kit.filesystem)


def test_it_is_empty_at_first_and_runs_no_thread() -> None:
    before = set(threading.enumerate())
    kit = memory_store()
    assert kit.store.clusters() == ()
    assert kit.store.report()["protection"] == "memory"
    assert set(threading.enumerate()) == before


def test_joining_again_gives_the_same_cluster() -> None:
    kit, fabric = memory_store(), Fabric(CLUSTER)
    assert kit.join(fabric) is kit.join(fabric)


def test_a_kill_keeps_what_was_written_and_a_power_cut_what_was_synced() -> None:
    it = ready()
    it.cluster.note("synced")
    before = it.cluster.digest()
    boot = it.kit.clock.boot_id()
    assert it.kit.kill().cluster(CLUSTER).digest() == before
    assert it.kit.clock.boot_id() == boot
    assert it.kit.power_cut().cluster(CLUSTER).digest() == before
    assert it.kit.clock.boot_id() != boot


def test_what_was_only_queued_is_gone_after_a_kill() -> None:
    it = ready()
    it.cluster.telemetry.record("relay", "queued")
    assert it.kit.kill().cluster(CLUSTER).telemetry.drain() == ()


def test_what_of_the_unsynced_survives_a_power_cut_can_be_said() -> None:
    it = ready()
    before = it.cluster.digest()
    assert it.kit.power_cut(RandomSurvival(SeededRandomness(7))).cluster(CLUSTER).digest() == before


def test_the_key_shows_in_no_text() -> None:
    it = ready()
    assert repr(it.kit.keys) == "MemoryKeyProvider()"
    assert it.kit.keys.key_encryption_key() == bytes(range(32))


@pytest.mark.parametrize("leave", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_provider_is_neither_pickled_nor_copied_with_its_key(leave: Callable[[object], object]) -> None:
    """A pickle of it held the key."""
    with pytest.raises(TypeError, match="a MemoryKeyProvider holds secrets and cannot be copied or pickled"):
        leave(MemoryKeyProvider())
