"""Feeding one cluster of an open store, slice by slice, as an agent would: documents, observations, contacts, use of routes.

Rules this file keeps:

- When `take` returns, everything of the slice is durable: it ends with a flush.
- Only the store's calls are timed, not the reading of the trace and not the telling of it.

Example::

    feed = ClusterFeed(store.cluster("eu-west-1"), network, demo, issuer)
    feed.publish(slice_index=0)
    feed.take(0, rows)
    lsn, digest = feed.state()
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from rap_projections import ClusterState
from rap_tools.demo_network import CHANNEL, DemoCluster, DemoNetwork, Issuer, Observation

COMMITS_PER_SLICE = 4
"""Observations of a slice come in this many parts, each committed by itself."""


class ClusterFeed:
    """One cluster that is being fed.

    Attributes:
        observations: taken in up to now.
        events: written by `take` up to now.
        seconds: that the store's calls for them took.
    """

    def __init__(self, cluster: ClusterState, network: DemoNetwork, demo: DemoCluster, issuer: Issuer) -> None:
        self.cluster = cluster
        self.demo = demo
        self._issuer = issuer
        self._control_plane = network.peers(demo)[0]
        self.observations = 0
        self.events = 0
        self.seconds = 0.0

    def publish(self, slice_index: int) -> None:
        """Activate what the issuer publishes with a slice; what is active already stays."""
        for document in self._issuer.published_at(slice_index):
            self.cluster.snapshots.activate(document, source="config")

    def take(self, slice_index: int, rows: Sequence[Observation]) -> None:
        """Take in what was measured in a slice, use a route, let time do its work, and flush."""
        cluster, before = self.cluster, self.durable_lsn
        strangers = cluster.peers.strangers
        began = perf_counter()
        part = -(-len(rows) // COMMITS_PER_SLICE)
        for start in range(0, len(rows), part):
            cluster.peers.observe_many(rows[start : start + part])
            cluster.flush()
        self.observations += len(rows) - (cluster.peers.strangers - strangers)
        answered = {row[0]: row[1] is not None for row in rows}
        cluster.health.contact("control-plane", ok=answered.get(self._control_plane, False))
        cluster.expire()
        self._use_route(rows[slice_index % len(rows)][0], answered)
        cluster.flush()
        self.seconds += perf_counter() - began
        self.events += self.durable_lsn - before

    def state(self) -> tuple[int, str]:
        """Last durable LSN, and the digest of the state at it."""
        view = self.cluster.view(digest=True)
        return view.lsn, view.digest

    @property
    def durable_lsn(self) -> int:
        """Last durable LSN."""
        return int(self._writer["durable_lsn"])

    @property
    def frames(self) -> int:
        """Frames written since the store was opened."""
        return int(self._writer["frames_written"])

    @property
    def _writer(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.status()["writer"]
        return found

    def _use_route(self, destination: str, answered: dict[str, bool]) -> None:
        """Use the route to a destination: it works if its first hop answered in this slice."""
        route = self.cluster.routes.best(destination, channel=CHANNEL)
        if route is None:
            return
        ok = answered.get((*route.path, destination)[0], False)
        self.cluster.routes.result(route, ok=ok, reason=None if ok else "timeout")
