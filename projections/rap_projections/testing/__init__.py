"""What the tests of an agent need to play the rest of the cluster, the passing of time, and bad luck.

`Fabric` issues bundles, snapshots and all other signed documents, from keys that a seed makes. `memory_store` is a whole store without a
disk, `furnish` gives one something of everything, and `wound` hurts one. `pytest_plugin` has the same as fixtures.

Example::

    fabric = Fabric("eu-west-1")
    kit = memory_store()
    cluster = furnish(kit.store, fabric)
    expected = kit.wound("torn-tail")
"""

from rap_journal.testing import ManualClock
from rap_projections.testing.fabric import Fabric
from rap_projections.testing.furnishing import furnish
from rap_projections.testing.memory_anchor import MemoryAnchor
from rap_projections.testing.memory_store import MemoryKeyProvider, MemoryStore, WoundedStore, memory_store, wounded_store
from rap_projections.testing.wounds import WOUNDS, Outcome, Wound, wound

__all__ = [
    "Fabric",
    "ManualClock",
    "MemoryAnchor",
    "MemoryKeyProvider",
    "MemoryStore",
    "memory_store",
    "furnish",
    "wound",
    "wounded_store",
    "Wound",
    "WoundedStore",
    "WOUNDS",
    "Outcome",
]
