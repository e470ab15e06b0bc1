"""The clusters of a store: joined, opened, reported where that fails, and left.

Rules this file keeps:

- A cluster that cannot be opened is reported and blocks no other, and can be left.
- A cluster is built whole beside its place and then renamed; half of one is never taken for one.
- Opening finishes what a crash interrupted: a join that was not noted yet, and a leave whose folder is still there.
- Floors outlive leaving: the agent's journal remembers them, and joining again does not lower them (trust, 15).

Whoever joins, leaves or closes holds the store's lock; reading takes none, because what is read is replaced and never changed.

Example::

    memberships = Memberships(folders, machine, agent_state, anchoring, protection="file")
    memberships.open_all()
    cluster = memberships.join(ClusterId("eu-west-1"), bundle, sha256_hex)
"""

from contextlib import suppress

from rap_journal.errors import DamageError, MisuseError, StateStoreError
from rap_journal.space import disk_errors_mean
from rap_journal.values import ClusterId
from rap_projections import agent
from rap_projections.agent_state import AgentState
from rap_projections.backup_content import LeftCluster
from rap_projections.bundle_verification import verify_bootstrap
from rap_projections.cluster import ClusterState
from rap_projections.cluster_building import check_not_below, cluster_core, pin
from rap_projections.doubts import Doubts
from rap_projections.format_commit import keep_in_step
from rap_projections.journaled_state import JournaledState, Machine
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors, higher_floors
from rap_projections.receipts import Receipt
from rap_projections.refusals import NoSuchCluster
from rap_projections.restoring import floors_on_disk
from rap_projections.store_folders import StoreFolders
from rap_projections.trust import RestoreState

CLUSTERS_MAX = 1000
"""Most clusters that an installation knows, left ones included: the floors of all of them are one record beside the anchor's number."""


class Memberships:
    """The clusters that this node is a member of, by id: those that are open, and what was in the way of the others."""

    def __init__(
        self, folders: StoreFolders, machine: Machine, agent_state: AgentState, doubts: Doubts, *, protection: str
    ) -> None:
        self._folders = folders
        self._machine = machine
        self._agent = agent_state
        self._doubts = doubts
        self._protection = protection
        self._clusters: dict[str, ClusterState] = {}
        self._unopened: dict[str, StateStoreError | OSError] = {}

    @property
    def unopened(self) -> dict[str, StateStoreError | OSError]:
        """Clusters that the agent joined and that could not be opened, with what was in the way."""
        return dict(self._unopened)

    def opened(self) -> tuple[ClusterState, ...]:
        """All open clusters, by id."""
        return tuple([cluster for _name, cluster in sorted(self._clusters.items())])

    def cluster(self, cluster_id: str) -> ClusterState:
        """The open cluster of this id. Raises `NoSuchCluster`, or what kept it from being opened."""
        found = self._clusters.get(ClusterId(cluster_id))
        if found is not None:
            return found
        if cluster_id in self._unopened:
            raise self._unopened[cluster_id]
        raise _no_cluster(cluster_id)

    def open_all(self) -> None:
        """Finish what a crash interrupted, and open every cluster that is on the disk or that the agent's journal lists."""
        self._folders.remove_leftovers()
        self._finish_leaving()
        present = set(self._folders.names())
        for name in sorted(present | set(self._agent.view().joined())):
            if name not in present:
                self._unopened[name] = _missing(name)
                continue
            with suppress(StateStoreError, OSError):
                # What kept it from being opened is in `unopened`; what could not be noted on a full disk is noted at a later opening.
                self._open_cluster(name)
                self._note_joined(name)

    def join(self, name: ClusterId, bundle: bytes, expect: str | list[str]) -> ClusterState:
        """The open cluster of this name, pinned with `bundle` where this node is no member of it yet. Raises like `NodeStore.join`."""
        if name not in self._clusters:
            if name not in self._folders.names():
                self._build(name, bundle, expect)
            self._open_cluster(name)
        self._note_joined(name)
        return self._clusters[name]

    def leave(self, name: ClusterId, reason: str) -> Receipt:
        """Note that the cluster is left, close it, and remove its folder. Raises like `NodeStore.leave`."""
        if name not in self._clusters and name not in self._unopened:
            raise _no_cluster(name)
        cluster = self._clusters.get(name)
        floors = self._floors_to_remember(name, cluster)
        receipt = self._agent.execute(lambda now: agent.decide_left(self._agent.view(), name, reason=reason, floors=floors))
        self._clusters = {other: kept for other, kept in self._clusters.items() if other != name}
        if cluster is not None:
            with suppress(StateStoreError, OSError):
                # What it could not write any more goes with its folder.
                cluster.close()
        self._unopened.pop(name, None)
        self._folders.remove_cluster(name)
        return receipt

    def forget(self) -> None:
        """Hand out no cluster any more: the store closed them."""
        self._clusters = {}

    def left(self) -> list[LeftCluster]:
        """The clusters that were left, with the floors that are remembered of them, by id."""
        clusters = self._agent.view().clusters
        return [LeftCluster(name, it.floors) for name, it in sorted(clusters.items()) if it.left_us is not None]

    def _finish_leaving(self) -> None:
        """Remove the folders of clusters that were left when the crash came."""
        known = self._agent.view().clusters
        for name in self._folders.names():
            if name in known and known[name].left_us is not None and self._folders.is_journal(name, known[name].journal_id):
                self._folders.remove_cluster(name)

    def _note_joined(self, name: str) -> None:
        """See to it that the agent's journal lists a cluster that is there."""
        if name not in self._agent.view().joined():
            journal_id = self._folders.marker(name).journal_id
            self._agent.execute(lambda now: agent.decide_joined(self._agent.view(), name, journal_id=journal_id))

    def _build(self, name: str, bundle: bytes, expect: str | list[str]) -> None:
        """Make a cluster's folder. Raises why not; the error of a folder that is gone is not forgotten."""
        if name in self._unopened:
            raise self._unopened[name]
        if name not in self._agent.view().clusters and len(self._agent.view().clusters) >= CLUSTERS_MAX:
            raise MisuseError(
                f"this installation knows {CLUSTERS_MAX} clusters, those that it left included, and no more have room in its memory of "
                f"floors; {name} was not joined.",
                cluster=name,
                reason="too_many_clusters",
            )
        # Before any signed instant there is no trusted time to judge an end of validity by: the bundle itself is the first.
        verified = verify_bootstrap(bundle, cluster_id=name, expect=expect, trusted_s=None)
        remembered = self._remembered(name)
        check_not_below(verified, remembered)
        with disk_errors_mean(name, "folder"):
            self._folders.build_cluster(name, lambda folder: pin(self._core(name, folder), verified, remembered))

    def _open_cluster(self, name: str) -> None:
        """Open what is in the folder of this name; what keeps it from being opened is raised, and kept in `unopened`."""
        cluster = ClusterState(name, self._core(name, name), self._folders.policy, self._protection, self._doubts)
        try:
            self._folders.check_own(name)
            cluster.open()
        except FileNotFoundError as error:
            self._unopened[name] = _file_missing(name, error)
            raise self._unopened[name] from error
        except (StateStoreError, OSError) as error:
            self._unopened[name] = error
            raise
        keep_in_step(self._folders, cluster)
        with suppress(OSError):
            # An orphan that stays does no harm, and the next opening tries again.
            cluster.sweep()
        self._unopened.pop(name, None)
        # Replaced, never changed: others may be going through it.
        self._clusters = {**self._clusters, name: cluster}

    def _core(self, name: str, folder: str) -> JournaledState:
        return cluster_core(self._folders, self._machine, name, folder)

    def _remembered(self, name: str) -> KnownFloors:
        """What the agent's journal knows of a cluster's floors: of an earlier stay, and beside the anchor's number."""
        view = self._agent.view()
        left = view.clusters[name].floors if name in view.clusters else NOTHING_KNOWN
        return higher_floors(left, view.anchor.floors.get(name, NOTHING_KNOWN))._replace(restore=left.restore)

    def _floors_to_remember(self, name: str, cluster: ClusterState | None) -> KnownFloors:
        """The floors of a cluster that is being left, and those that are remembered already: none falls by leaving again.

        Where its own cannot be read, nobody knows what it had accepted: joined again, it waits for the cluster's ticket.
        """
        its_own = cluster.known_floors() if cluster is not None else floors_on_disk(self._folders, name)
        restore = its_own.restore if its_own is not None else RestoreState.NOT_VALIDATED.value
        return higher_floors(its_own or NOTHING_KNOWN, self._remembered(name))._replace(restore=restore)


def _missing(name: str) -> DamageError:
    return DamageError(
        f"cluster {name} was joined and its folder is gone; no other cluster is concerned. Restore it, or leave and join again.",
        cluster=name,
        reason="missing_cluster",
    )


def _file_missing(name: str, error: FileNotFoundError) -> DamageError:
    return DamageError(
        f"cluster {name} lacks {error.filename}, which nothing but damage removes; no other cluster is concerned. "
        "Restore the file, or leave and join again.",
        cluster=name,
        file=str(error.filename),
        reason="missing_file",
    )


def _no_cluster(name: str) -> NoSuchCluster:
    return NoSuchCluster(f"this node is not a member of cluster {name}; nothing was done. Join it first.", cluster=name)
