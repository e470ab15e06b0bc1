"""The folders in a store: making them whole, removing them, and telling whose they are.

Rules this file keeps:

- A cluster is built beside its place and then renamed: half of one is never taken for it.
- A folder that goes takes a name first that no opening takes for a cluster. What a crash left half done is nobody's.
- A damaged journal of the agent is put aside and never deleted unseen; the last one is kept.
- What does not parse as a cluster's id is foreign and left alone.

Example::

    folders = StoreFolders(root, marker.store_id, keys, policy, clock, randomness)
    folders.build_cluster("eu-west-1", pin)
    folders.names()
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from rap_journal.clock import Clock
from rap_journal.errors import DamageError, MisuseError, StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.journal import Journal
from rap_journal.key_files import KeyProvider
from rap_journal.key_generations import open_key_ring
from rap_journal.layout import AGENT as AGENT_FOLDER
from rap_journal.layout import (
    AGENT_DAMAGED,
    AGENT_KEY_FOLDERS,
    AGENT_NEXT,
    CLUSTERS,
    JOIN_PREFIX,
    KEY_FOLDERS,
    MARKER,
    TEMPORARY,
)
from rap_journal.markers import Marker, MarkerKind, ProviderKind, read_marker, write_marker
from rap_journal.space import no_space_means
from rap_journal.trees import remove_tree
from rap_journal.unlocking import Setup
from rap_journal.values import ClusterId
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES
from rap_projections.folding import FoldedState
from rap_projections.keys import ProvisioningKeyProvider
from rap_projections.policy import Policy
from rap_projections.release import RELEASE, Release
from rap_projections.witness_floors import witness_floors

Randomness = Callable[[int], bytes]


class StoreFolders(NamedTuple):
    """A store's root, and what making folders in it takes."""

    root: Directory
    store_id: bytes
    keys: ProvisioningKeyProvider
    policy: Policy
    clock: Clock
    randomness: Randomness
    release: Release = RELEASE

    def names(self) -> list[str]:
        """Names of the folders that may hold a cluster, sorted."""
        with self.root.directory(CLUSTERS) as clusters:
            return [name for name in clusters.names() if _is_cluster_id(name)]

    def cluster(self, folder: str) -> Directory:
        """Open the folder of this name under ``clusters/``."""
        with self.root.directory(CLUSTERS) as clusters:
            return clusters.directory(folder)

    def marker(self, name: str) -> Marker:
        """The marker of a cluster's folder. Raises `DamageError`, `FormatTooNew`, `OSError`."""
        with self.cluster(name) as folder:
            return read_marker(folder).marker

    def level(self) -> int:
        """The format level at which the store is written, as its marker has it."""
        if self.root.status(MARKER) is None:
            # A store that is being restored: its marker comes last.
            return self.release.levels.made
        return read_marker(self.root).marker.format_level

    def raise_level(self, level: int) -> None:
        """Let the store's marker name at least this level, durably. Raises `NoSpace`, `OSError`."""
        marker = read_marker(self.root).marker
        if level > marker.format_level:
            with self.root.directory(TEMPORARY) as temporary, no_space_means("the store", "marker"):
                write_marker(self.root, temporary, marker._replace(format_level=level, serial=marker.serial + 1))

    def marked_provider(self) -> ProviderKind:
        """The kind of key provider that the store's marker names."""
        return read_marker(self.root).marker.provider

    def name_provider(self, kind: ProviderKind) -> None:
        """Let the store's marker name this kind of provider, durably. Raises `NoSpace`, `OSError`."""
        marker = read_marker(self.root).marker
        if marker.provider is not kind:
            with self.root.directory(TEMPORARY) as temporary, no_space_means("the store", "marker"):
                write_marker(self.root, temporary, marker._replace(provider=kind, serial=marker.serial + 1))

    def check_own(self, name: str) -> None:
        """Raise `DamageError` unless the folder of this name holds this cluster's state, made by this store."""
        marker = self.marker(name)
        if (marker.kind, marker.cluster, marker.store_id) != (MarkerKind.CLUSTER, name, self.store_id):
            raise DamageError(
                f"the folder of cluster {name} holds the state of another cluster or store; it was left alone. Put the right one there.",
                cluster=name,
                reason="foreign",
            )

    def check_own_agent(self) -> None:
        """Raise `DamageError` unless the agent's folder was made by this store; `FileNotFoundError` without one."""
        with self.root.directory(AGENT_FOLDER) as folder:
            marker = read_marker(folder).marker
        if (marker.kind, marker.store_id) != (MarkerKind.AGENT, self.store_id):
            raise DamageError("the agent's folder is another store's.", file=AGENT_FOLDER, reason="foreign")

    def opens_a_cluster(self) -> bool:
        """Whether the key that was given opens a cluster that this store made."""
        for name in self.names():
            with suppress(StateStoreError, OSError), self.cluster(name) as folder:
                self.check_own(name)
                open_key_ring(folder, KEY_FOLDERS, self.keys, read_marker(folder).marker)
                return True
        return False

    def is_journal(self, name: str, journal_id: bytes) -> bool:
        """Whether the folder of this name is known to hold the journal of this id."""
        try:
            return self.marker(name).journal_id == journal_id
        except (StateStoreError, OSError):
            return False

    def build_cluster(self, name: str, finish: Callable[[str], None]) -> None:
        """Build a cluster in a folder beside its place, let `finish` write into it, and rename it. Raises `NoSpace`, `OSError`."""
        folder = JOIN_PREFIX + name
        with self.root.directory(CLUSTERS) as clusters, no_space_means(name, "cluster"):
            remove_tree(clusters, folder)
            try:
                with clusters.create_directory(folder) as place:
                    self._make_journal(place, name)
                finish(folder)
            except (StateStoreError, OSError):
                with suppress(OSError):
                    remove_tree(clusters, folder)
                raise
            clusters.rename(folder, name)
            clusters.sync()

    def remove_cluster(self, name: str) -> None:
        """Remove a cluster's folder, if it is there."""
        with self.root.directory(CLUSTERS) as clusters:
            if clusters.status(name) is not None:
                remove_tree(clusters, JOIN_PREFIX + name)
                clusters.rename(name, JOIN_PREFIX + name)
                clusters.sync()
                remove_tree(clusters, JOIN_PREFIX + name)

    def mend_marker(self) -> bool:
        """Write a damaged copy in the root's marker again; returns whether there was one and it could be done."""
        read = read_marker(self.root)
        if not read.bad_blocks:
            return False
        try:
            with self.root.directory(TEMPORARY) as temporary:
                write_marker(self.root, temporary, read.marker)
        except OSError:
            # The other copy serves, and verification says so.
            return False
        return True

    def remove_leftovers(self) -> None:
        """Remove what a join or a leave left half done."""
        with self.root.directory(CLUSTERS) as clusters:
            for name in clusters.names():
                if name.startswith(JOIN_PREFIX):
                    remove_tree(clusters, name)

    def begin_agent_anew(self) -> None:
        """Put the agent's folder aside and make another. Killed anywhere, it can be run again."""
        remove_tree(self.root, AGENT_NEXT)
        make_agent(self.root, AGENT_NEXT, self.store_id, self.keys, self.clock, self.randomness, self.release, self.level())
        if self.root.status(AGENT_FOLDER) is not None:
            remove_tree(self.root, AGENT_DAMAGED)
            self.root.rename(AGENT_FOLDER, AGENT_DAMAGED)
            self.root.sync()
        self.root.rename(AGENT_NEXT, AGENT_FOLDER)
        self.root.sync()

    def _make_journal(self, place: Directory, name: str) -> None:
        marker = Marker(MarkerKind.CLUSTER, self.keys.kind, self.randomness(16), self.store_id, name, format_level=self.level())
        empty = FoldedState(self.release.cluster, _NoDocuments())
        values = {spec.number: empty.value(spec.number) for spec in CLUSTER_CLASSES}
        setup = cluster_setup(self.keys, self.randomness, self.policy, self.release)
        Journal.create(place, marker, setup, values, witness_floors(empty), 0)


def make_agent(
    root: Directory, name: str, store_id: bytes, keys: ProvisioningKeyProvider, clock: Clock, randomness: Randomness, release: Release,
    level: int,
) -> None:  # fmt: skip
    """Make the agent's journal, empty, in the folder `name`."""
    empty = FoldedState(release.agent, _NoDocuments())
    with root.create_directory(name) as place:
        marker = Marker(MarkerKind.AGENT, keys.kind, randomness(16), store_id, format_level=level)
        values = {spec.number: empty.value(spec.number) for spec in AGENT_CLASSES}
        Journal.create(place, marker, agent_setup(keys, randomness, release), values, None, clock.now().wall_us)


def cluster_setup(keys: KeyProvider, randomness: Randomness, policy: Policy, release: Release = RELEASE) -> Setup:
    """How a cluster's journal is opened."""
    return Setup(
        CLUSTER_CLASSES, KEY_FOLDERS, keys, randomness, release.cluster_folds, policy.segment_bytes_max,
        policy.quarantine_bytes_max, policy.batch_delay_ms, release.levels,
    )  # fmt: skip


def agent_setup(keys: KeyProvider, randomness: Randomness, release: Release = RELEASE) -> Setup:
    """How the agent's own journal is opened."""
    return Setup(AGENT_CLASSES, AGENT_KEY_FOLDERS, keys, randomness, release.agent_folds, levels=release.levels)


def _is_cluster_id(name: str) -> bool:
    try:
        ClusterId(name)
    except MisuseError:
        return False
    return True


class _NoDocuments:
    """Documents of an empty state: there are none."""

    def snapshot(self, content_id: bytes) -> Any:
        raise KeyError(content_id)
