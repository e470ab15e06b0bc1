"""What the tests of an agent need to play the rest of the cluster.

`Fabric` issues bundles, snapshots and all other signed documents, from keys that a seed makes.

Example::

    fabric = Fabric("eu-west-1")
    store.join("eu-west-1", bundle=fabric.bootstrap, expect=fabric.fingerprint)
"""

from rap_journal.testing import ManualClock
from rap_projections.testing.fabric import Fabric
from rap_projections.testing.memory_store import MemoryKeyProvider, MemoryStore, memory_store

__all__ = ["Fabric", "ManualClock", "MemoryKeyProvider", "MemoryStore", "memory_store"]
