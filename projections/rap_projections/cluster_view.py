"""Everything a cluster's store knows, at one LSN: what `cluster.view()` and the history return.

Rules this file keeps: a view never changes; it holds no writer, no file and no key.

Example::

    view = cluster.view()
    view.peers.peers["node-17"].latency_us
"""

from typing import Any, NamedTuple

from rap_projections.event_kinds import HEALTH, IDENTITY, PEERS, ROUTES, SERVICES, SNAPSHOTS, TELEMETRY, TRUST, UPDATES
from rap_projections.folding import FoldedState
from rap_projections.health import HealthView
from rap_projections.identity import IdentityView
from rap_projections.peer_state import PeersView
from rap_projections.route_state import RoutesView
from rap_projections.services import ServicesView
from rap_projections.snapshots import SnapshotsView
from rap_projections.telemetry import TelemetryView
from rap_projections.trust import TrustView
from rap_projections.updates import UpdatesView


class ClusterView(NamedTuple):
    """All classes of a cluster at one LSN.

    Attributes:
        cluster: the cluster's id.
        lsn: LSN of the last record folded.
        node_us: node time of that record, microseconds.
        digest: SHA-256, in hex, of the whole state; empty where it was not asked for.
    """

    cluster: str
    lsn: int
    node_us: int
    digest: str
    identity: IdentityView
    trust: TrustView
    snapshots: SnapshotsView
    updates: UpdatesView
    services: ServicesView
    health: HealthView
    peers: PeersView
    routes: RoutesView
    telemetry: TelemetryView


_SPECS = (IDENTITY, TRUST, SNAPSHOTS, UPDATES, SERVICES, HEALTH, PEERS, ROUTES, TELEMETRY)


def view_of(cluster: str, state: FoldedState, *, with_digest: bool = False) -> ClusterView:
    """The view of a folded state, whose owner holds its lock."""
    views: list[Any] = [state.view(spec) for spec in _SPECS]
    return ClusterView(cluster, state.lsn, state.node_us, state.digest() if with_digest else "", *views)
