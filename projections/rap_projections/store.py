"""The store: one folder, one writer, one agent, many clusters that know nothing of each other.

Rules this file keeps:

- The root's lock is held from opening to closing; a second writer is refused and told who holds it.
- A store, and each cluster in it, is built whole beside its place and then renamed: half of one is never taken for one.
- A cluster that cannot be opened is reported and blocks no other, and can be left.
- The agent's own journal blocks nothing: one that cannot be opened is put aside and begun anew, and on a full disk it is silent.
- Opening finishes what a crash interrupted: a join that was not noted yet, and a leave whose folder is still there.

Example::

    store = NodeStore.open(root, keys=FileKeyProvider(path), create=True)
    cluster = store.join("eu-west-1", bundle=bundle, expect=sha256_hex)
    store.close()
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import PurePath
from types import TracebackType
from typing import Any, Self

from rap_journal.clock import Clock, SystemClock
from rap_journal.deterministic_cbor import MalformedCbor
from rap_journal.errors import (
    DamageError,
    FormatTooNew,
    KeyTampered,
    MisuseError,
    NoSpace,
    NoSuchStore,
    StateStoreError,
)
from rap_journal.filesystem import FileSystem, Lock
from rap_journal.format_levels import require_known
from rap_journal.layout import AGENT as AGENT_FOLDER
from rap_journal.layout import AGENT_DAMAGED, MARKER, RESTORING
from rap_journal.markers import read_marker
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.sealing import SealBroken
from rap_journal.space import disk_errors_mean
from rap_journal.values import ClusterId
from rap_projections import agent
from rap_projections.agent_state import AgentState
from rap_projections.backing_up import BackupReceipt, Maker, error_word, fingerprint_of, take_backup
from rap_projections.backup_content import LeftCluster
from rap_projections.bundle_verification import verify_bootstrap
from rap_projections.cluster import ClusterState
from rap_projections.cluster_building import check_not_below, cluster_core, pin
from rap_projections.event_kinds import Event
from rap_projections.format_commit import commit_format, keep_in_step
from rap_projections.housekeeper import Housekeeper, Ticking, tick_one
from rap_projections.journaled_state import Decide, JournaledState, Machine
from rap_projections.keys import ProvisioningKeyProvider, require_outside
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors
from rap_projections.node_time import Now
from rap_projections.opening_arguments import require_opening
from rap_projections.operations import Operation
from rap_projections.policy import Policy
from rap_projections.receipts import Receipt
from rap_projections.refusals import NoSuchCluster
from rap_projections.release import RELEASE, Release
from rap_projections.restoring import Target, floors_on_disk, restore_store
from rap_projections.store_folders import Randomness, StoreFolders, agent_setup, end_restore, make_store, require_unused
from rap_projections.store_keys import Marked, StoreKeys
from rap_projections.store_root import no_store, open_root, take_lock
from rap_projections.version import __version__

_AGENT_LOST = (DamageError, KeyTampered, MalformedCbor, SealBroken, FileNotFoundError)
"""What tells that the agent's journal is damaged, as opposed to a key that is missing or a disk that fails."""


class NodeStore:
    """An open store. Thread-safe. Use `NodeStore.open`."""

    def __init__(self, folders: StoreFolders, lock: Lock, path: str, filesystem: FileSystem, *, background: bool) -> None:
        self._folders = folders
        self._filesystem = filesystem
        self._lock = lock
        self._is_closed = False
        self._membership = threading.RLock()
        self._clusters: dict[str, ClusterState] = {}
        self._unopened: dict[str, StateStoreError | OSError] = {}
        self._housekeeper = Housekeeper(self._tickers) if background else None
        self._machine = Machine(folders.clock, self._housekeeper.wake if self._housekeeper else _nothing, __version__)
        self._agent = AgentState(self._agent_core())
        self._keys = StoreKeys(folders, path, self._membership, self._marked, self._note)

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
        release: Release = RELEASE,
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
            release: format levels and folds; another than this one only in tests of an update.

        Raises `NoSuchStore`, `StoreBusy`, `UnsafeFile`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `KeyTampered`, `DamageError` for the
        store's own marker; what is wrong with one cluster is in `unopened`.
        """
        require_opening(
            root=root, keys=keys, policy=policy, create=create, wait_s=wait_s, clock=clock, filesystem=filesystem,
            randomness=randomness, background=background,
        )  # fmt: skip
        path = str(root)
        require_outside(path, keys)
        the_filesystem, the_clock = filesystem or OsFileSystem(), clock or SystemClock()
        opened = open_root(the_filesystem, path, create=create)
        lock = take_lock(opened, the_clock, wait_s)
        try:
            if opened.status(MARKER) is None:
                if opened.status(RESTORING) is not None:
                    raise _half_restored(path)
                require_unused(opened, path)
                if not create:
                    raise no_store(path)
                make_store(opened, keys, the_clock, randomness, release)
            end_restore(opened)
            marker = read_marker(opened).marker
            require_known(marker.format_level, release.levels, MARKER)
            folders = StoreFolders(opened, marker.store_id, keys, policy or Policy(), the_clock, randomness, release)
            store = cls(folders, lock, path, the_filesystem, background=background)
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
    def keys(self) -> StoreKeys:
        """Who may open this store: the key slots of all its journals."""
        return self._keys

    @property
    def unopened(self) -> dict[str, StateStoreError | OSError]:
        """Clusters that the agent joined and that could not be opened, with what was in the way."""
        return dict(self._unopened)

    def clusters(self) -> tuple[ClusterState, ...]:
        """All open clusters, by id."""
        return tuple([cluster for _name, cluster in sorted(self._clusters.items())])

    def cluster(self, cluster_id: str) -> ClusterState:
        """The open cluster of this id. Raises `NoSuchCluster`, what kept it from being opened, or `MisuseError` after closing."""
        found = self._clusters.get(ClusterId(cluster_id))
        if found is not None:
            return found
        self._require_open()
        if cluster_id in self._unopened:
            raise self._unopened[cluster_id]
        raise _no_cluster(cluster_id)

    def join(self, cluster_id: str, *, bundle: bytes, expect: str | list[str]) -> ClusterState:
        """Become a member of a cluster, pinning its first trust bundle.

        Args:
            cluster_id: its id.
            bundle: the bootstrap bundle as received.
            expect: SHA-256 of the bundle in hex, or fingerprints of root keys, from out of band.

        Of a cluster this node is a member of already, returns it and never pins anew; one that could not be opened is tried again.
        Raises a `RefusedError`, `MisuseError`, `StorageError`, or what keeps the cluster from being opened.
        """
        name = ClusterId(cluster_id)
        with self._membership:
            self._require_open()
            if name not in self._clusters:
                if name not in self._folders.names():
                    self._build(name, bundle, expect)
                self._open_cluster(name)
            self._note_joined(name)
            return self._clusters[name]

    def leave(self, cluster_id: str, *, reason: str) -> Receipt:
        """Stop being a member: the agent's journal says so, the cluster is closed, and its folder is removed.

        The floors are remembered, so that joining again does not lower them (trust, 15).

        A cluster that could not be opened can be left too. Raises `NoSuchCluster`, `MisuseError` for a reason that is no short word,
        and what writing raises. A crash in between is made up for at the next opening.
        """
        name = ClusterId(cluster_id)
        with self._membership:
            self._require_open()
            if name not in self._clusters and name not in self._unopened:
                raise _no_cluster(name)
            cluster = self._clusters.get(name)
            floors = cluster.known_floors() if cluster is not None else floors_on_disk(self._folders, name)
            receipt = self._agent.execute(lambda now: agent.decide_left(self._agent.view(), name, reason=reason, floors=floors))
            self._clusters = {other: kept for other, kept in self._clusters.items() if other != name}
            if cluster is not None:
                with suppress(StateStoreError, OSError):
                    # What it could not write any more goes with its folder.
                    cluster.close()
            self._unopened.pop(name, None)
            self._folders.remove_cluster(name)
        return receipt

    def commit_format(self) -> int:
        """Let everything be written at the level of this release from now on, which releases before it cannot read; returns the level.

        To be called when an update has proved itself: until then it can be taken back. What a crash or a lack of space left at the old
        level is raised at the next opening; so is a cluster that is not open. Nothing happens where all is at that level already.
        Raises `MisuseError` after closing, and what writing raises, once everything was tried.
        """
        with self._membership:
            self._require_open()
            level = self._folders.release.levels.known
            commit_format(self._folders, [self._agent, *self.clusters()], level)
        return level

    def backup(self, path: str | PurePath, *, recipient: bytes | None = None, private_keys: bool = False) -> BackupReceipt:
        """Write trust, floors, identity metadata and active documents of all clusters into one sealed, signed file (spec 11).

        Args:
            path: the file, which must not be there yet; it is 0600 and whole, or not there at all.
            recipient: X25519 public key, 32 bytes, of whoever is to restore; None for whoever holds the store's key-encryption key.
            private_keys: put the sealed private keys in as well, for which every cluster's signed policy and the operator's must list
                "back_up_keys".

        Keep the receipt's `fingerprint` elsewhere: it tells, where the key-encryption key is another one, that a file is this store's.
        Damaged clusters are left out and named. Raises `NotAllowed` or `NotValidated` for `private_keys`, `MisuseError` for a recipient
        or a path that cannot be used, `DamageError` where no cluster is sound, `KeyUnavailable`, `KeyLost`, `OSError`.
        """
        require_opening(path=path, recipient=recipient, private_keys=private_keys)
        with self._membership, ExitStack() as held:
            self._require_open()
            left_out = {name: error_word(error) for name, error in self._unopened.items()}
            sources = []
            for cluster in self.clusters():
                source = cluster.backup_source()
                if source.fail_closed_reason is not None:
                    left_out[cluster.id] = source.fail_closed_reason
                    continue
                if private_keys:
                    cluster.require(Operation.BACK_UP_KEYS)
                held.enter_context(source.authority)
                sources.append(source)
            receipt = take_backup(
                str(path), sources, self._left_clusters(), self._backup_maker(),
                recipient=recipient, private_keys=private_keys, left_out=left_out,
            )  # fmt: skip
            with suppress(NoSpace):
                self._agent.diagnostic("backup-made", text=f"SHA-256 {receipt.sha256}, clusters: {', '.join(receipt.clusters)}")
        return receipt

    @classmethod
    def restore(
        cls,
        path: str | PurePath,
        root: str | PurePath,
        *,
        keys: ProvisioningKeyProvider,
        recovery: bytes | None = None,
        expect: str | None = None,
        survivor: str | PurePath | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        filesystem: FileSystem | None = None,
        randomness: Randomness = secrets.token_bytes,
        background: bool = True,
        release: Release = RELEASE,
    ) -> Self:
        """Make a new store in `root` from a backup, and open it. Every cluster in it is "restored, not validated" (trust, 19).

        Reads work; high-risk operations raise `NotValidated` until `ClusterState.validate_restore` has verified a ticket.

        Args:
            path: the backup.
            root: folder of the new store; there may be none, or what an earlier call left half done.
            keys: holder of the new store's key-encryption key.
            recovery: X25519 private key, 32 bytes, of the recipient; None where `keys` opens it, as it was made without a recipient.
            expect: backup fingerprint of the store that made it, or SHA-256 of the file, from out of band; not needed where `keys` holds
                that store's key-encryption key.
            survivor: root of the old store, if anything is left of it: floors that its witnesses know are kept, where `keys` opens them.
            policy, clock, filesystem, randomness, background, release: as `open` takes them.

        Killed anywhere, it can be called again. Raises `MisuseError` for a root that holds anything, `WrongFingerprint`, `DamageError`,
        `SealBroken`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `RefusedError`, `NoSpace`, `OSError`.
        """
        require_opening(
            path=path, root=root, keys=keys, recovery=recovery, expect=expect, survivor=survivor, policy=policy, clock=clock,
            filesystem=filesystem, randomness=randomness, background=background,
        )  # fmt: skip
        the_filesystem, the_clock = filesystem or OsFileSystem(), clock or SystemClock()
        require_outside(str(root), keys)
        machine = Machine(the_clock, _nothing, __version__)
        target = Target(the_filesystem, str(root), keys, policy or Policy(), machine, randomness, release)
        survivor_path = str(survivor) if survivor is not None else None
        left, sha256 = restore_store(target, str(path), recovery=recovery, expect=expect, survivor=survivor_path)
        store = cls.open(
            root, keys=keys, policy=policy, clock=clock, filesystem=filesystem, randomness=randomness, background=background,
            release=release,
        )  # fmt: skip
        store._remember(left, sha256)
        return store

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
            "backup_fingerprint": fingerprint_of(self._backup_maker().signer),
            # Without an anchor outside the root nobody can tell from inside; incarnations let the control plane see a fork.
            "whole_root_rollback": "cannot_tell",
            "format_level": {"written": self._folders.level(), "known": self._folders.release.levels.known},
            "protection": self._keys.protection,
            "clusters": {cluster.id: cluster.status() for cluster in self.clusters()},
            "unopened": {name: type(error).__name__ for name, error in sorted(self._unopened.items())},
        }

    def tick(self) -> None:
        """Let time pass for everything that waits; where there is a housekeeper, it does this. One cluster's failure stops no other."""
        for ticking in self._tickers():
            tick_one(ticking)

    def close(self) -> None:
        """Commit what waits, close every journal, and let the lock go. Closing twice is harmless.

        Raises the first error that committing met, once everything is closed all the same: what waited for its frame may be lost.
        """
        with self._membership:
            if self._is_closed:
                return
            self._is_closed = True
            if self._housekeeper is not None:
                self._housekeeper.stop()
            steps = [cluster.close for cluster in self.clusters()] + [self._note_closed, self._agent.close]
            errors = [error for step in steps if (error := _attempt(step)) is not None]
            self._clusters = {}
            self._lock.release()
            self._folders.root.close()
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        self._open_agent()
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
        if self._housekeeper is not None:
            self._housekeeper.start()

    def _open_agent(self) -> None:
        """Open the agent's journal, or begin it anew where it is damaged, and note the opening."""
        lost = _attempt(self._agent.open)
        if lost is None and not self._agent.is_writable and not self._agent.is_too_new:
            lost = DamageError("the agent's journal was tampered with", reason="tampered")
            self._agent.close()
        if isinstance(lost, _AGENT_LOST):
            self._folders.begin_agent_anew()
            self._agent.open()
        elif lost is not None:
            raise lost
        install_id, incarnation = self._folders.store_id.hex(), self._folders.randomness(16)

        def decide(now: Now) -> tuple[Event, ...]:
            view = self._agent.view()
            note = _journal_lost(lost) if lost is not None else ()
            opened = agent.decide_opened(view, agent_version=__version__, build=__version__, incarnation=incarnation)
            return (*agent.decide_installed(view, install_id), *opened, *note)

        with suppress(NoSpace, FormatTooNew):
            self._agent.execute(decide)
            keep_in_step(self._folders, self._agent)

    def _finish_leaving(self) -> None:
        """Remove the folders of clusters that were left when the crash came."""
        known = self._agent.view().clusters
        for name in self._folders.names():
            if name in known and known[name].left_us is not None and self._folders.is_journal(name, known[name].journal_id):
                self._folders.remove_cluster(name)

    def _marked(self) -> dict[str, Marked]:
        """What has a journal and is open, by name. Raises `MisuseError` after closing."""
        self._require_open()
        return {AGENT_FOLDER: self._agent, **self._clusters}

    def _note(self, code: str, text: str) -> None:
        with suppress(StateStoreError):
            # What it tells of is done; a journal that cannot take it says so to whoever writes next.
            self._agent.diagnostic(code, text=text)

    def _note_closed(self) -> None:
        if self._agent.is_writable:
            self._agent.execute(lambda now: agent.decide_closed(self._agent.view(), "closed"))

    def _note_joined(self, name: str) -> None:
        """See to it that the agent's journal lists a cluster that is there."""
        if name not in self._agent.view().joined():
            journal_id = self._folders.marker(name).journal_id
            self._agent.execute(lambda now: agent.decide_joined(self._agent.view(), name, journal_id=journal_id))

    def _require_open(self) -> None:
        if self._is_closed:
            raise MisuseError("the store is closed; nothing was done. Open it again.", reason="closed")

    def _build(self, name: str, bundle: bytes, expect: str | list[str]) -> None:
        """Make a cluster's folder. Raises why not; the error of a folder that is gone is not forgotten."""
        if name in self._unopened:
            raise self._unopened[name]
        # Before any signed instant there is no trusted time to judge an end of validity by: the bundle itself is the first.
        verified = verify_bootstrap(bundle, cluster_id=name, expect=expect, trusted_s=None)
        remembered = self._remembered(name)
        check_not_below(verified, remembered)
        with disk_errors_mean(name, "folder"):
            self._folders.build_cluster(name, lambda folder: pin(self._core(name, folder), verified, remembered))

    def _open_cluster(self, name: str) -> None:
        """Open what is in the folder of this name; what keeps it from being opened is raised, and kept in `unopened`."""
        cluster = ClusterState(name, self._core(name, name), self._folders.policy, self._keys.protection)
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
        """What the agent's journal still knows of the floors of a cluster that was left."""
        known = self._agent.view().clusters.get(name)
        return known.floors if known is not None else NOTHING_KNOWN

    def _left_clusters(self) -> list[LeftCluster]:
        clusters = self._agent.view().clusters
        return [LeftCluster(name, it.floors) for name, it in sorted(clusters.items()) if it.left_us is not None]

    def _remember(self, left: Sequence[LeftCluster], backup_sha256: bytes) -> None:
        """Note what a backup says of clusters that were left, and that this store came from it."""
        for name, floors in left:
            self._agent.execute(_remembering(self._agent, name, floors))
        self._agent.diagnostic("restored", text=f"from the backup with SHA-256 {backup_sha256.hex()}")

    def _backup_maker(self) -> Maker:
        folders = self._folders
        seed = self._agent.backup_seed(folders.store_id)
        return Maker(folders.store_id, folders.keys, seed, self._filesystem, folders.clock.now().wall_us, folders.randomness)

    def _agent_core(self) -> JournaledState:
        folders = self._folders
        setup = agent_setup(folders.keys, folders.randomness, folders.release)
        return JournaledState(
            lambda: folders.root.directory(AGENT_FOLDER), setup, self._machine, folders.release.agent, AGENT_FOLDER
        )

    def _tickers(self) -> tuple[Ticking, ...]:
        return (self._agent, *self.clusters())


def _nothing() -> None:
    return None


def _attempt(step: Callable[[], object]) -> StateStoreError | OSError | None:
    """What `step` raised, or None."""
    try:
        step()
    except (StateStoreError, OSError) as error:
        return error
    return None


def _journal_lost(error: StateStoreError | OSError) -> tuple[Event, ...]:
    reason = error.reason if isinstance(error, StateStoreError) else "missing"
    return agent.decide_diagnostic(
        "agent-journal-lost",
        text=f"the agent's journal could not be opened ({reason}) and was begun anew; the old one is in {AGENT_DAMAGED}.",
    )


def _remembering(state: AgentState, name: str, floors: KnownFloors) -> Decide:
    return lambda now: agent.decide_remembered(state.view(), name, floors)


def _half_restored(path: str) -> NoSuchStore:
    return NoSuchStore(
        f"a restore into {path} was cut short, so that there is no store yet; nothing was made. Restore the backup again.",
        file=path,
        reason="half_restored",
    )


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
