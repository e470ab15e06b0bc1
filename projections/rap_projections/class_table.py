"""The table of all state classes: number, durability and the functions of each class module.

Example::

    state = FoldedState(CLUSTER_FOLDS, documents)
"""

from rap_projections import agent, health, identity, peers, routes, services, snapshots, telemetry, trust, updates
from rap_projections.event_kinds import AGENT, HEALTH, IDENTITY, PEERS, ROUTES, SERVICES, SNAPSHOTS, TELEMETRY, TRUST, UPDATES
from rap_projections.folding import ClassFolds

CLUSTER_FOLDS = tuple(
    ClassFolds(spec, module.empty, module.FOLDS, module.to_value, module.from_value, module.view)
    for spec, module in (
        (IDENTITY, identity),
        (TRUST, trust),
        (SNAPSHOTS, snapshots),
        (UPDATES, updates),
        (SERVICES, services),
        (HEALTH, health),
        (PEERS, peers),
        (ROUTES, routes),
        (TELEMETRY, telemetry),
    )
)
"""The classes of a cluster, strictest first."""

AGENT_FOLDS = (ClassFolds(AGENT, agent.empty, agent.FOLDS, agent.to_value, agent.from_value, agent.view),)
"""The one class of the agent's own journal."""

FOLD_SETS_OF_LEVELS = {1: 1}
"""By format level, the number of the fold set that the first release of that level had."""
