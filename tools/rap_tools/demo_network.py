"""The clusters of the demonstration: which row of a latency trace each one is, what its issuer signs, and what is measured there.

Rules this file keeps:

- The same trace, seed and time of issue give the same documents, byte for byte: a writer that comes back signs nothing new.
- A cluster is one row of the matrix: this node is that row's node, everybody else is its peer. Two clusters are two rows.
- A trace with fewer slices than asked for is gone round again: a slice more is its first one once more.
- Every peer can be reached directly or over relays, by signed candidates; which way is used is the store's choice.

Example::

    network = DemoNetwork.open("seattle", slices=60, seed=7)
    documents = network.issuer(network.clusters[0], issued_at_s).published_at(0)
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple, Self

from rap_journal.errors import MisuseError
from rap_journal.values import ClusterId
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_route
from rap_tools.latency_model import ModelTrace
from rap_tools.traces import LatencyTrace, Trace

SLICE_S = 60
"""Seconds that a slice stands for. The spacing of the measured slices is unpublished: this one is virtual."""

SLICES_MIN = 6
"""A checkpoint, a kill behind it and some work after that need this many slices."""

NODES_MIN = 6
NODES_PER_REGION = 8
ROWS = (0, 3)
"""Which nodes of the trace this node is, in one cluster each."""

BUNDLE_AGE_S = 60
"""The bundle is older than the documents by so much."""

CHANNEL = "interactive"
RELAY_COUNT = 4
RELAYS_PER_DESTINATION = 2

Observation = tuple[str, float | None] | tuple[str, None, str]


class DemoCluster(NamedTuple):
    """One cluster: its id, the index of this node in the trace, and the node's name there."""

    id: ClusterId
    node: int
    name: str


class Issuer(NamedTuple):
    """The issuing side of one cluster: its bootstrap, how to recognise it, and its documents by the slice at which they come."""

    bootstrap: bytes
    fingerprint: str
    documents: dict[int, tuple[bytes, ...]]

    def published_at(self, slice_index: int) -> tuple[bytes, ...]:
        """The signed snapshots that arrive with a slice, in the order in which they are activated."""
        return self.documents.get(slice_index, ())


class DemoNetwork(NamedTuple):
    """A trace, and the clusters that are rows of it.

    Attributes:
        trace: where round-trip times come from.
        source: what the trace is, for people.
        slices: how many slices are used; where the trace has fewer, it is gone round again.
        seed: what everything made up is drawn from.
        clusters: the clusters.
    """

    trace: Trace
    source: str
    slices: int
    seed: int
    clusters: tuple[DemoCluster, ...]

    @classmethod
    def open(cls, folder: str | None, *, slices: int, seed: int) -> Self:
        """The measured trace in `folder`, or the model network. Raises `MisuseError` for too few nodes, or too few slices asked for."""
        trace, source, names = _measured(Path(folder)) if folder is not None else _modelled(seed, slices)
        if slices < SLICES_MIN or trace.node_count < NODES_MIN:
            asked = f"asked for were {slices} slices of a trace with {trace.node_count} nodes"
            raise MisuseError(
                f"the demo needs {SLICES_MIN} slices and {NODES_MIN} nodes; {asked}. Nothing was made.",
                reason="trace_too_small",
            )
        clusters = [DemoCluster(ClusterId(name), row, trace.node_name(row)) for name, row in zip(names, ROWS, strict=True)]
        return cls(trace, source, slices, seed, tuple(clusters))

    @property
    def checkpoint_slice(self) -> int:
        """The slice after which a checkpoint is written: a third of them."""
        return self.slices // 3

    def issuer(self, cluster: DemoCluster, issued_at_s: int) -> Issuer:
        """Everything this cluster's issuer signs: all five scopes at the start, and other relays halfway."""
        fabric = self.fabric(cluster, issued_at_s)
        peers = self.peers(cluster)
        # Newer than the bundle, so that they renew what it says of the time, and with it the deadline of safe operation.
        fabric.issued_at_s = issued_at_s
        start = (
            fabric.policy(fallback_allowed=True),
            fabric.peers(peers),
            fabric.routes(_candidates(peers, shift=0)),
            fabric.services(["metrics", "relay"]),
            fabric.updates(["agent"]),
        )
        fabric.issued_at_s = issued_at_s + self.slices // 2 * SLICE_S
        halfway = (fabric.routes(_candidates(peers, shift=1)),)
        return Issuer(fabric.bootstrap, fabric.fingerprint, {0: start, self.slices // 2: halfway})

    def fabric(self, cluster: DemoCluster, issued_at_s: int) -> Fabric:
        """Who signs for a cluster whose history begins at `issued_at_s`; the first bundle is a little older."""
        return Fabric(cluster.id, self.seed, issued_at_s - BUNDLE_AGE_S)

    def peers(self, cluster: DemoCluster) -> list[str]:
        """Every other node of the trace, by name."""
        return [self.trace.node_name(node) for node in range(self.trace.node_count) if node != cluster.node]

    def rows(self, cluster: DemoCluster) -> Iterator[list[Observation]]:
        """What this node measures of its peers, slice by slice; behind the last slice of the trace comes its first, without end."""
        names = [self.trace.node_name(node) for node in range(self.trace.node_count)]
        for _slice_index, row in chain.from_iterable(map(self.trace.rows, repeat(cluster.node))):
            yield [(names[peer], rtt_ms) if rtt_ms is not None else (names[peer], None, "timeout") for peer, rtt_ms in row]


def _candidates(peers: Sequence[str], *, shift: int) -> list[Any]:
    """Signed ways to every peer: the direct one, and one over each of two relays. Another shift means other relays."""
    step = max(1, len(peers) // RELAY_COUNT)
    relays = [peers[(place * step + shift) % len(peers)] for place in range(RELAY_COUNT)]
    found = []
    for number, peer in enumerate(peers):
        usable = [relay for relay in relays if relay != peer]
        chosen = [usable[(number + place) % len(usable)] for place in range(RELAYS_PER_DESTINATION)]
        found += [make_route(peer, (), CHANNEL), *[make_route(peer, (relay,), CHANNEL) for relay in sorted(set(chosen))]]
    return found


def _measured(folder: Path) -> tuple[Trace, str, list[str]]:
    trace = LatencyTrace.open(folder)
    stem = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40].strip("-") or "trace"
    return trace, f"{folder}: {trace.node_count} nodes, {trace.slices} slices", [f"{stem}-{letter}" for letter in "ab"]


def _modelled(seed: int, slices: int) -> tuple[Trace, str, list[str]]:
    trace = ModelTrace(seed, max(1, slices), NODES_PER_REGION)
    return trace, f"made up around measured medians: {trace.node_count} nodes in 12 regions", [trace.region(row) for row in ROWS]
