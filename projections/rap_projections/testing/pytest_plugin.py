"""Fixtures for the tests of an agent. pytest finds them by itself where rap-node-state is installed.

Rules this file keeps:

- It is the only file of the core that imports pytest; nothing else imports it.
- No fixture touches a disk, a thread or the machine's clock, and each test gets its own.
- A test, or a `conftest.py`, may override `fabric` and `manual_clock`; the others are built on them.

Example::

    def test_the_agent_survives_a_power_cut(node_store, fabric):
        node_store.store.cluster(fabric.cluster_id).activate(fabric.peers(["node-1"]))
        node_store.power_cut()
        assert node_store.store.cluster(fabric.cluster_id).peers.get("node-1")

    def test_the_agent_stops_work_where_trust_is_damaged(wounded_store):
        wounded = wounded_store("trust-flip")
        assert wounded.cluster.status()["fail_closed"] == wounded.expected.reason
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from rap_journal.errors import StateStoreError
from rap_journal.testing import ManualClock, SimulatedCrash
from rap_projections.store import NodeStore
from rap_projections.testing.fabric import Fabric
from rap_projections.testing.memory_store import MemoryStore, WoundedStore, memory_store
from rap_projections.testing.memory_store import wounded_store as make_wounded_store


@pytest.fixture
def manual_clock() -> ManualClock:
    """The clock of `node_store` and of `wounded_store`: it moves when the test says so."""
    return ManualClock()


@pytest.fixture
def fabric() -> Fabric:
    """The issuing side of the cluster "eu-west-1"."""
    return Fabric("eu-west-1")


@pytest.fixture
def node_store(fabric: Fabric, manual_clock: ManualClock) -> Iterator[MemoryStore]:
    """A store in memory that has joined the cluster of `fabric`: `.store`, `.clock`, `.filesystem`, `.kill()`, `.power_cut()`, `.wound()`."""
    kit = memory_store(clock=manual_clock)
    kit.join(fabric)
    yield kit
    _close(kit.store)


@pytest.fixture
def wounded_store(fabric: Fabric, manual_clock: ManualClock) -> Iterator[Callable[[str], WoundedStore]]:
    """A function that makes a store with the wound of this name (see `rap_projections.testing.WOUNDS`) in the cluster of `fabric`."""
    made: list[WoundedStore] = []

    def make(name: str) -> WoundedStore:
        made.append(make_wounded_store(name, fabric=fabric, clock=manual_clock))
        return made[-1]

    yield make
    for wounded in made:
        _close(wounded.store)


def _close(store: NodeStore) -> None:
    """Close, whatever the test did to the disk."""
    with suppress(StateStoreError, OSError, SimulatedCrash):
        store.close()
