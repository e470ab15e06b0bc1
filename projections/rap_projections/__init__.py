"""rap-node-state: the node-local state store that a node agent embeds.

Rules this file keeps: it names what an agent needs, and nothing else; keys are in `rap_projections.keys`, test kits in
`rap_projections.testing`.

Example::

    from rap_projections import NodeStore
    from rap_projections.keys import FileKeyProvider

    store = NodeStore.open(root, keys=FileKeyProvider(path), create=True)
"""

from rap_projections.cluster import ClusterState
from rap_projections.cluster_view import ClusterView
from rap_projections.history import ClusterHistory, History
from rap_projections.log_filter import SecretFilter
from rap_projections.operations import Operation
from rap_projections.policy import EffectivePolicy, Policy
from rap_projections.receipts import Receipt
from rap_projections.store import NodeStore
from rap_projections.version import __version__

__all__ = [
    "ClusterHistory",
    "ClusterState",
    "ClusterView",
    "EffectivePolicy",
    "History",
    "NodeStore",
    "Operation",
    "Policy",
    "Receipt",
    "SecretFilter",
    "__version__",
]
