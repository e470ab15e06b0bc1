"""The store: one folder, one writer, one agent, many clusters that know nothing of each other.

Rules this file keeps:

- The root's lock is held from opening to closing; a second writer is refused and told who holds it.
- A store, and each cluster in it, is built whole beside its place and then renamed: half of one is never taken for one.
- A cluster that cannot be opened is reported and blocks no other.

Example::

    store = NodeStore.open(root, keys=FileKeyProvider(path), create=True)
    cluster = store.join("eu-west-1", bundle=bundle, expect=sha256_hex)
    store.close()
"""

import hashlib
import math
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import TracebackType
from typing import Any, Self

from rap_journal.clock import Clock, SystemClock
from rap_journal.errors import DamageError, MisuseError, NoSuchStore, StateStoreError, StoreBusy
from rap_journal.filesystem import Directory, FileSystem, Lock
from rap_journal.journal import Journal, Setup
from rap_journal.key_files import KeyProvider
from rap_journal.layout import AGENT as AGENT_FOLDER
from rap_journal.layout import CLUSTERS, JOIN_PREFIX, LOCK, MARKER, TEMPORARY
from rap_journal.markers import Marker, MarkerKind, read_marker, write_marker
from rap_journal.os_filesystem import OsFileSystem, process_id
from rap_journal.trees import remove_tree
from rap_journal.values import ClusterId
from rap_projections import agent
from rap_projections.agent_state import AgentState
from rap_projections.bundle_verification import verify_bootstrap
from rap_projections.class_table import AGENT_FOLDS, CLUSTER_FOLDS
from rap_projections.cluster import ClusterState, witness_floors
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES, TRUST, Event
from rap_projections.folding import FOLD_SET, FoldedState
from rap_projections.housekeeper import Housekeeper, Ticking
from rap_projections.journaled_state import JournaledState, Machine
from rap_projections.keys import ProvisioningKeyProvider, require_outside
from rap_projections.node_time import Now
from rap_projections.policy import Policy
from rap_projections.receipts import Receipt
from rap_projections.refusals import NoSuchCluster
from rap_projections.trust_decisions import NewBundle, decide_bundles, decide_instant, decide_pin
from rap_projections.verified import VerifiedBundle
from rap_projections.version import __version__

Randomness = Callable[[int], bytes]

LOCK_RETRY_S = 0.05
"""Pause between two tries to take the lock."""


class NodeStore:
    """An open store. Thread-safe. Use `NodeStore.open`."""

    def __init__(
        self, root: Directory, marker: Marker, keys: ProvisioningKeyProvider, policy: Policy, clock: Clock, randomness: Randomness, lock: Lock,
        *, background: bool,
    ) -> None:  # fmt: skip
        self._root = root
        self._marker = marker
        self._keys = keys
        self._policy = policy
        self._randomness = randomness
        self._lock = lock
        self._is_closed = False
        self._clusters: dict[str, ClusterState] = {}
        self._unopened: dict[str, StateStoreError | OSError] = {}
        self._housekeeper = Housekeeper(self._tickers) if background else None
        self._machine = Machine(clock, self._housekeeper.wake if self._housekeeper else _nothing, __version__)
        self._agent = AgentState(self._agent_core())

    @classmethod
    def open(
        cls,
        root: str | PurePath,
        *,
        keys: ProvisioningKeyProvider,
        policy: Policy | None = None,
        create: bool = False,
        wait_s: float = 0,
        clock: Clock | None = None,
        filesystem: FileSystem | None = None,
        randomness: Randomness = secrets.token_bytes,
        background: bool = True,
    ) -> Self:
        """Open the store in `root`, recovering every cluster in it.

        Args:
            root: its folder; the parent must exist.
            keys: holder of the key-encryption key.
            policy: the operator's limits; the defaults if None.
            create: make the store if the folder holds none.
            wait_s: how long to wait for another writer to let go.
            clock, filesystem, randomness: the doors to the world, for tests.
            background: run the housekeeper thread; without it somebody must call `tick`.

        Raises `NoSuchStore`, `StoreBusy`, `UnsafeFile`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `KeyTampered`, `DamageError` for the
        store's own marker; what is wrong with one cluster is in `unopened`.
        """
        path = str(root)
        require_outside(path, keys)
        opened = _open_root(filesystem or OsFileSystem(), path, create=create)
        the_clock = clock or SystemClock()
        lock = _take_lock(opened, the_clock, wait_s)
        try:
            if opened.status(MARKER) is None:
                if not create:
                    raise _no_store(path)
                _make_store(opened, keys, the_clock, randomness)
            marker = read_marker(opened).marker
            store = cls(opened, marker, keys, policy or Policy(), the_clock, randomness, lock, background=background)
            store._start()
        except BaseException:
            lock.release()
            opened.close()
            raise
        return store

    @property
    def agent(self) -> AgentState:
        """The agent's own state."""
        return self._agent

    @property
    def unopened(self) -> dict[str, StateStoreError | OSError]:
        """Clusters that the agent joined and that could not be opened, with what was in the way."""
        return dict(self._unopened)

    def clusters(self) -> tuple[ClusterState, ...]:
        """All open clusters, by id."""
        return tuple(self._clusters[name] for name in sorted(self._clusters))

    def cluster(self, cluster_id: str) -> ClusterState:
        """The open cluster of this id. Raises `NoSuchCluster`, or what kept it from being opened."""
        found = self._clusters.get(ClusterId(cluster_id))
        if found is not None:
            return found
        if cluster_id in self._unopened:
            raise self._unopened[cluster_id]
        raise NoSuchCluster(f"this node is not a member of cluster {cluster_id}; nothing was done. Join it first.", cluster=cluster_id)

    def join(self, cluster_id: str, *, bundle: bytes, expect: str | list[str]) -> ClusterState:
        """Become a member of a cluster, pinning its first trust bundle.

        Args:
            cluster_id: its id.
            bundle: the bootstrap bundle as received.
            expect: SHA-256 of the bundle in hex, or fingerprints of root keys, from out of band.

        Of a cluster this node is a member of already, returns it and never pins anew. Raises a `RefusedError`, `MisuseError`, `NoSpace`.
        """
        name = ClusterId(cluster_id)
        if name in self._clusters or name in self._unopened:
            return self.cluster(name)
        # Before any signed instant there is no trusted time to judge an end of validity by: the bundle itself is the first.
        verified = verify_bootstrap(bundle, cluster_id=name, expect=expect, trusted_s=None)
        journal_id = self._randomness(16)
        self._build_cluster(name, journal_id, verified)
        self._agent.execute(lambda now: agent.decide_joined(self._agent.view(), name, journal_id=journal_id))
        return self._open_cluster(name)

    def leave(self, cluster_id: str, *, reason: str) -> Receipt:
        """Stop being a member: the cluster is closed, the agent's journal says so, and its folder is removed."""
        cluster = self.cluster(cluster_id)
        receipt = self._agent.execute(lambda now: agent.decide_left(self._agent.view(), cluster.id, reason=reason))
        cluster.close()
        del self._clusters[cluster.id]
        with self._root.directory(CLUSTERS) as clusters:
            clusters.rename(cluster.id, JOIN_PREFIX + cluster.id)
            clusters.sync()
            remove_tree(clusters, JOIN_PREFIX + cluster.id)
        return receipt

    def report(self) -> dict[str, Any]:
        """Status of the store and all clusters, safe to send (spec 12)."""
        view = self._agent.view()
        return {
            "format": "rap-state-report",
            "format_version": 1,
            "install_id": view.install_id,
            "build": __version__,
            "incarnation": view.opened.incarnation.hex() if view.opened else None,
            "previous_close_was_clean": view.opened.previous_clean if view.opened else None,
            "feature_flags": dict(view.feature_flags),
            "protection": self._keys.kind.name.lower(),
            "clusters": {cluster.id: cluster.status() for cluster in self.clusters()},
            "unopened": {name: type(error).__name__ for name, error in sorted(self._unopened.items())},
        }

    def tick(self) -> None:
        """Let time pass for everything that waits; the housekeeper calls it where there is one."""
        for ticking in self._tickers():
            ticking.tick()

    def close(self) -> None:
        """Commit what waits, close every journal, and let the lock go. Closing twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._housekeeper is not None:
            self._housekeeper.stop()
        for cluster in self.clusters():
            cluster.close()
        self._clusters.clear()
        self._agent.execute(lambda now: agent.decide_closed(self._agent.view(), "closed"))
        self._agent.close()
        self._lock.release()
        self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        self._agent.open()
        self._agent.execute(
            lambda now: (
                *agent.decide_installed(self._agent.view(), self._marker.store_id.hex()),
                *agent.decide_opened(self._agent.view(), agent_version=__version__, build=__version__, incarnation=self._randomness(16)),
            )
        )
        self._remove_leftovers()
        present = set(self._cluster_names())
        for name in sorted(present | self._joined()):
            if name not in present:
                self._unopened[name] = DamageError(
                    f"cluster {name} was joined and its folder is gone; no other cluster is concerned. Restore it, or leave and join again.",
                    cluster=name,
                    reason="missing_cluster",
                )
                continue
            try:
                self._open_cluster(name)
            except (StateStoreError, OSError) as error:
                self._unopened[name] = error
        if self._housekeeper is not None:
            self._housekeeper.start()

    def _open_cluster(self, name: str) -> ClusterState:
        cluster = ClusterState(name, self._core(name, name), self._policy, self._keys.kind.name.lower())
        cluster.open()
        self._clusters[name] = cluster
        return cluster

    def _core(self, name: str, folder: str) -> JournaledState:
        def directory() -> Directory:
            with self._root.directory(CLUSTERS) as clusters:
                return clusters.directory(folder)

        return JournaledState(directory, self._setup(), self._machine, CLUSTER_FOLDS, name)

    def _agent_core(self) -> JournaledState:
        return JournaledState(
            lambda: self._root.directory(AGENT_FOLDER), agent_setup(self._keys, self._randomness), self._machine, AGENT_FOLDS, AGENT_FOLDER
        )

    def _setup(self) -> Setup:
        return cluster_setup(self._keys, self._randomness, self._policy)

    def _build_cluster(self, name: str, journal_id: bytes, verified: VerifiedBundle) -> None:
        """Build the cluster beside its place, pin and bundle included, and rename it into place."""
        folder = JOIN_PREFIX + name
        with self._root.directory(CLUSTERS) as clusters:
            remove_tree(clusters, folder)
            marker = Marker(MarkerKind.CLUSTER, self._keys.kind, journal_id, self._marker.store_id, name)
            empty = FoldedState(CLUSTER_FOLDS, _NoDocuments())
            values = {spec.number: empty.value(spec.number) for spec in CLUSTER_CLASSES}
            with clusters.create_directory(folder) as place:
                Journal.create(place, marker, self._setup(), values, witness_floors(empty), 0)
            self._pin(self._core(name, folder), verified)
            clusters.rename(folder, name)
            clusters.sync()

    def _pin(self, core: JournaledState, verified: VerifiedBundle) -> None:
        core.floors_of = witness_floors
        core.open()
        stored = core.shelf.store(TRUST, verified.data)
        bundle = NewBundle(verified.bundle, verified.content_id, stored)

        def decide(now: Now) -> tuple[Event, ...]:
            trust = core.state.view(TRUST)
            pin = decide_pin(trust, fingerprint=hashlib.sha256(verified.data).digest(), method="sha256")
            instant = decide_instant(
                trust, kid=verified.signers[0], signed_s=verified.bundle.issued_at_s, uptime_s=0, clock_step_s_max=0
            )
            return (*pin, *decide_bundles(trust, [bundle], now), *instant)

        core.execute("trust", decide)
        core.journal.close()

    def _cluster_names(self) -> Iterator[str]:
        with self._root.directory(CLUSTERS) as clusters:
            for name in clusters.names():
                if not name.startswith("."):
                    yield ClusterId(name)

    def _joined(self) -> set[str]:
        return {name for name, membership in self._agent.view().clusters.items() if membership.left_us is None}

    def _remove_leftovers(self) -> None:
        """What a join or a leave left half done is nobody's."""
        with self._root.directory(CLUSTERS) as clusters:
            for name in clusters.names():
                if name.startswith(JOIN_PREFIX):
                    remove_tree(clusters, name)

    def _tickers(self) -> tuple[Ticking, ...]:
        return (self._agent, *self.clusters())


def cluster_setup(keys: KeyProvider, randomness: Randomness, policy: Policy) -> Setup:
    """How a cluster's journal is opened."""
    return Setup(
        CLUSTER_CLASSES, ("identity", "trust"), keys, randomness, FOLD_SET, policy.segment_bytes_max, policy.quarantine_bytes_max,
        policy.batch_delay_ms,
    )  # fmt: skip


def agent_setup(keys: KeyProvider, randomness: Randomness) -> Setup:
    """How the agent's own journal is opened."""
    return Setup(AGENT_CLASSES, ("agent", "quarantine"), keys, randomness, FOLD_SET)


class _NoDocuments:
    """Documents of an empty state: there are none."""

    def snapshot(self, content_id: bytes) -> Any:
        raise KeyError(content_id)


def _nothing() -> None:
    return None


def _open_root(filesystem: FileSystem, path: str, *, create: bool) -> Directory:
    try:
        return filesystem.open_root(path, create=create)
    except FileNotFoundError as error:
        raise _no_store(path) from error


def _no_store(path: str) -> NoSuchStore:
    return NoSuchStore(
        f"there is no store in {path}; nothing was made. Check the path, or open with create=True.", file=path, reason="no_store"
    )


def _take_lock(root: Directory, clock: Clock, wait_s: float) -> Lock:
    holder = f"pid {process_id()} boot {clock.boot_id().hex()}"
    pause = threading.Event()
    for _attempt in range(math.ceil(wait_s / LOCK_RETRY_S)):
        try:
            return root.lock(LOCK, holder)
        except StoreBusy:
            pause.wait(LOCK_RETRY_S)
    return root.lock(LOCK, holder)


def _make_store(root: Directory, keys: ProvisioningKeyProvider, clock: Clock, randomness: Randomness) -> None:
    """Make the store's folders; its marker comes last, so that half a store is made again from the start."""
    foreign = [name for name in root.names() if name not in (LOCK, AGENT_FOLDER, CLUSTERS, TEMPORARY)]
    if foreign:
        raise MisuseError(
            f"the folder holds {foreign[0]!r:.80}, which is no part of a store; nothing was made. Use an empty folder.", reason="not_empty"
        )
    for name in (AGENT_FOLDER, CLUSTERS, TEMPORARY):
        remove_tree(root, name)
    keys.provision(randomness)
    store_id = randomness(16)
    root.create_directory(CLUSTERS).close()
    empty = FoldedState(AGENT_FOLDS, _NoDocuments())
    with root.create_directory(AGENT_FOLDER) as place:
        marker = Marker(MarkerKind.AGENT, keys.kind, randomness(16), store_id)
        values = {spec.number: empty.value(spec.number) for spec in AGENT_CLASSES}
        Journal.create(place, marker, agent_setup(keys, randomness), values, None, clock.now().wall_us)
    with root.create_directory(TEMPORARY) as temporary:
        write_marker(root, temporary, Marker(MarkerKind.STORE, keys.kind, store_id, store_id))

