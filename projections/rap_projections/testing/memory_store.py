"""A whole store in memory, with a clock that a test moves: no disk, no thread, no wall clock.

Example::

    kit = memory_store()
    cluster = kit.join(Fabric("eu-west-1"))
    kit.power_cut()          # what was not synced is gone
    kit.store.cluster("eu-west-1").recovery
    kit.wound("trust-flip")  # and now it fails closed
"""

from collections.abc import Callable
from typing import NamedTuple

from rap_journal.markers import ProviderKind
from rap_journal.sealing import SecretHolder
from rap_journal.testing import ManualClock, MemoryFileSystem, SeededRandomness
from rap_journal.testing.survival import Survival
from rap_projections.cluster import ClusterState
from rap_projections.keys import Anchor
from rap_projections.policy import Policy
from rap_projections.release import RELEASE, Release
from rap_projections.store import NodeStore
from rap_projections.testing.fabric import Fabric
from rap_projections.testing.furnishing import furnish
from rap_projections.testing.wounds import Wound, wound

ROOT = "/node"


class MemoryKeyProvider(SecretHolder):
    """A fixed key that is in no file. For tests only."""

    kind = ProviderKind.MEMORY
    holds_private_keys = False

    def __init__(self, key: bytes = bytes(range(32))) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "MemoryKeyProvider()"

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """There is nothing to make."""

    def key_encryption_key(self) -> bytes:
        """The key."""
        return self._key


class MemoryStore:
    """A store in memory and everything it stands on.

    Attributes:
        store: the open store.
        clock: its clock.
        filesystem: its disk.
        release: format levels and folds of whoever opens it next: another one stands for an update.
        anchor: the anchor of whoever opens it next.
    """

    def __init__(
        self, *, seed: int = 0, policy: Policy | None = None, clock: ManualClock | None = None, release: Release = RELEASE,
        anchor: Anchor | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock or ManualClock()
        self.filesystem = MemoryFileSystem()
        self.keys = MemoryKeyProvider()
        self._randomness = SeededRandomness(seed)
        self._policy = policy
        self.release = release
        self.anchor = anchor
        self.store = self.open(create=True)

    def open(self, *, create: bool = False) -> NodeStore:
        """Open the store again, as a new process would."""
        self.store = NodeStore.open(
            ROOT, keys=self.keys, policy=self._policy, create=create, clock=self.clock, filesystem=self.filesystem,
            randomness=self._randomness, background=False, release=self.release, anchor=self.anchor,
        )  # fmt: skip
        return self.store

    def join(self, fabric: Fabric) -> ClusterState:
        """Join the cluster that `fabric` issues for."""
        return self.store.join(fabric.cluster_id, bundle=fabric.bootstrap, expect=fabric.fingerprint)

    def kill(self) -> NodeStore:
        """Let the process die, the page cache surviving, and open the store anew."""
        self.filesystem = self.filesystem.kill()
        return self.open()

    def power_cut(self, survival: Survival | None = None) -> NodeStore:
        """Cut the power and open the store anew; `survival` says what of the unsynced is left, by default nothing."""
        self.filesystem = self.filesystem.crash(survival)
        self.clock.reboot()
        return self.open()

    def wound(self, name: str, *, cluster: str | None = None) -> Wound:
        """Close the store, hurt it (see `wounds.wound`), open it anew, and say what is to be expected of it."""
        self.store.close()
        try:
            return wound(ROOT, name, cluster=cluster, filesystem=self.filesystem)
        finally:
            self.open()


class WoundedStore(NamedTuple):
    """A store in memory whose one cluster was hurt, open again, and what is to be expected of it."""

    kit: MemoryStore
    fabric: Fabric
    expected: Wound

    @property
    def store(self) -> NodeStore:
        """The open store."""
        return self.kit.store

    @property
    def cluster(self) -> ClusterState:
        """The cluster that was hurt. Raises what kept it from being opened."""
        return self.kit.store.cluster(self.fabric.cluster_id)


def memory_store(
    *, seed: int = 0, policy: Policy | None = None, clock: ManualClock | None = None, release: Release = RELEASE, anchor: Anchor | None = None
) -> MemoryStore:  # fmt: skip
    """A fresh store in memory; its `clock` is one of its own unless one is given."""
    return MemoryStore(seed=seed, policy=policy, clock=clock, release=release, anchor=anchor)


def wounded_store(name: str, *, fabric: Fabric | None = None, clock: ManualClock | None = None) -> WoundedStore:
    """A store in memory with one furnished cluster and this wound. Raises `MisuseError` for a name that is not in `WOUNDS`."""
    kit, issuer = memory_store(clock=clock), fabric or Fabric("eu-west-1")
    furnish(kit.store, issuer)
    return WoundedStore(kit, issuer, kit.wound(name))
