"""One run of the demonstration, killed and recovered, for the tests that look at what came of it."""

from pathlib import Path
from typing import NamedTuple

from rap_projections.keys import FileKeyProvider
from rap_tools.demo_course import conduct, make_order
from rap_tools.demo_messages import Acknowledged, Order
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_proof import Evidence
from rap_tools.demo_run import Watcher

SLICES = 6
PEER_COUNT = 95
OBSERVATIONS = SLICES * PEER_COUNT


class DemoRun(NamedTuple):
    """A run: its network, what its first writer was told, and what was seen of both writers."""

    network: DemoNetwork
    order: Order
    evidence: Evidence

    @property
    def root(self) -> Path:
        """The store."""
        return Path(self.order.root)

    @property
    def keys(self) -> FileKeyProvider:
        """Its key."""
        return FileKeyProvider(self.order.key_file)

    def acknowledged(self, cluster: str) -> tuple[Acknowledged, ...]:
        """What both writers acknowledged of a cluster, in order."""
        return (*self.evidence.first.acknowledged(cluster), *self.evidence.second.acknowledged(cluster))


def make_run(folder: Path, watcher: Watcher | None = None) -> DemoRun:
    """Run a short demonstration in `folder`."""
    network = DemoNetwork.open(None, slices=SLICES, seed=7)
    order = make_order(folder / "node", folder / "node.key", None, network)
    return DemoRun(network, order, conduct(order, network, watcher or Watcher()))
