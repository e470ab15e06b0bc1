"""Stores to measure: a cluster with a signed directory, routes and a policy, and a long history of observations.

Rules this file keeps:

- What is measured is on a real file system, with real keys and signatures, and every document was activated as usual.
- No checkpoint comes due in a long history: whether it has one is what the benchmarks differ in.
- Making a history skips the syncs (`recording.unsynced`): it is made once per run, before anything is timed.

Example::

    sample = make_sample(folder, peer_count=10_000)
    sample.observe(1_000_000)
    sample.close()
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rap_projections import NodeStore, Policy
from rap_projections.cluster import ClusterState
from rap_projections.keys import FileKeyProvider
from rap_projections.testing import Fabric
from tests.benchmarks.recording import unsynced

CLUSTER = "bench"
ROWS_PER_FRAME = 128
"""Observations in a frame of the history: a hundred peers probed at once, and some."""

LOST_EVERY = 50
"""One observation in so many is of a loss."""


NEVER_DUE = Policy(checkpoint_interval_events=1 << 40, checkpoint_interval_bytes=1 << 40)
"""Checkpoints are written where somebody asks for one."""


class Scale(NamedTuple):
    """How much of everything: events of the long history, and peers in the signed directory."""

    event_count: int
    peer_count: int


class Sample(NamedTuple):
    """A store that is closed, and what it holds."""

    folder: Path
    peer_count: int
    event_count: int

    def open(self) -> NodeStore:
        """Open it."""
        return NodeStore.open(self.folder / "store", keys=FileKeyProvider(self.folder / "key"), policy=NEVER_DUE)


def peer_id(number: int) -> str:
    """Id of a peer."""
    return f"node-{number:05}"


def make_store(folder: Path, *, peer_count: int, policy: Policy | None = None) -> NodeStore:
    """A store with one cluster of `peer_count` peers; half the routes to them are direct, the other half over a relay."""
    store = NodeStore.open(folder / "store", keys=FileKeyProvider(folder / "key"), policy=policy, create=True)
    fabric = Fabric(CLUSTER)
    cluster = store.join(CLUSTER, bundle=fabric.bootstrap, expect=fabric.fingerprint)
    cluster.activate(fabric.policy())
    cluster.activate(fabric.peers([peer_id(number) for number in range(peer_count)]))
    relays = [[peer_id((number + 1) % peer_count)] if number % 2 else [] for number in range(peer_count)]
    cluster.activate(fabric.routes([(peer_id(number), relays[number]) for number in range(peer_count)]))
    return store


def observations(peer_count: int, start: int, count: int) -> list[tuple[Any, ...]]:
    """Rows number `start` to `start + count` of an endless round of all peers."""
    return [_observation(peer_id(row % peer_count), row) for row in range(start, start + count)]


def make_history(folder: Path, *, peer_count: int, event_count: int) -> Sample:
    """A store that has observed `event_count` round trips, in frames of `ROWS_PER_FRAME`, and has no checkpoint of them."""
    with unsynced():
        store = make_store(folder, peer_count=peer_count, policy=NEVER_DUE)
        cluster = store.cluster(CLUSTER)
        for rows in _frames(peer_count, event_count):
            cluster.peers.observe_many(rows)
            cluster.flush()
        cluster.routes.review(everything=True)
        store.close()
    return Sample(folder, peer_count, event_count)


def with_checkpoint(sample: Sample, folder: Path) -> Sample:
    """A copy of `sample` in `folder` that has a checkpoint at its end."""
    shutil.copytree(sample.folder, folder, dirs_exist_ok=True)
    copy = sample._replace(folder=folder)
    with unsynced(), copy.open() as store:
        store.cluster(CLUSTER).checkpoint()
    return copy


def cluster_of(store: NodeStore) -> ClusterState:
    """The one cluster of a sample."""
    return store.cluster(CLUSTER)


def _frames(peer_count: int, event_count: int) -> Iterator[list[tuple[Any, ...]]]:
    for start in range(0, event_count, ROWS_PER_FRAME):
        yield observations(peer_count, start, min(ROWS_PER_FRAME, event_count - start))


def _observation(peer: str, row: int) -> tuple[Any, ...]:
    return (peer, None, "timeout") if row % LOST_EVERY == 0 else (peer, 5.0 + row % 97)
