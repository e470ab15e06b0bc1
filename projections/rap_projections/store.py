"""The store: one folder, one writer, one agent, many clusters that know nothing of each other.

Rules this file keeps:

- The root's lock is held from opening to closing; a second writer is refused and told who holds it.
- A store is built whole before it counts; half of one is never taken for one.
- What is wrong with one cluster or with the agent's journal keeps no other from being opened, ticked or closed.
- Joining, leaving, backing up and closing come one after the other, and none of them after closing.

Which clusters there are is kept by `memberships`, the agent's journal is opened by `agent_opening`.

Example::

    store = NodeStore.open(root, keys=FileKeyProvider(path), create=True)
    cluster = store.join("eu-west-1", bundle=bundle, expect=sha256_hex)
    store.close()
"""

import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import PurePath
from types import TracebackType
from typing import Any, Self

from rap_journal.clock import Clock, SystemClock
from rap_journal.errors import MisuseError, NoSpace, StateStoreError
from rap_journal.filesystem import FileSystem, Lock
from rap_journal.layout import AGENT as AGENT_FOLDER
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.sealing import SecretBytes
from rap_journal.values import ClusterId
from rap_projections import agent
from rap_projections.agent_opening import agent_core, open_agent
from rap_projections.agent_state import AgentState
from rap_projections.anchoring import Anchoring
from rap_projections.backing_up import BackupReceipt, Maker, error_word, fingerprint_of, take_backup
from rap_projections.cluster import ClusterState
from rap_projections.format_commit import commit_format
from rap_projections.housekeeper import Housekeeping, Ticking
from rap_projections.journaled_state import Machine
from rap_projections.keys import Anchor, KeyProvider, ProvisioningKeyProvider, require_outside
from rap_projections.memberships import Memberships
from rap_projections.opening_arguments import require_opening
from rap_projections.policy import Policy
from rap_projections.receipts import Receipt
from rap_projections.release import RELEASE, Release
from rap_projections.restoring import Survivor, Target, restore_store
from rap_projections.store_backups import backup_maker, note_restored, sound_sources
from rap_projections.store_folders import Randomness, StoreFolders
from rap_projections.store_keys import Keyed, StoreKeys
from rap_projections.store_making import ready_root
from rap_projections.store_root import held_root, require_outside_stores
from rap_projections.version import __version__


class NodeStore:
    """An open store. Thread-safe. Use `NodeStore.open`."""

    def __init__(
        self, folders: StoreFolders, lock: Lock, path: str, filesystem: FileSystem, anchor: Anchor | None, *, background: bool
    ) -> None:
        self._folders = folders
        self._filesystem = filesystem
        self._lock = lock
        self._is_closed = False
        self._changing = threading.RLock()
        self._housekeeping = Housekeeping(prompt=self._tickers, slow=self._upkeep, background=background)
        machine = Machine(folders.clock, self._housekeeping.wake, self._housekeeping.wake_upkeep, __version__)
        self._agent = AgentState(agent_core(folders, machine))
        self._anchoring = Anchoring(anchor, folders, self._agent, opened=self.clusters)
        self._keys = StoreKeys(folders, path, self._changing, self._journals_open, self._note, self._anchoring.provision)
        self._memberships = Memberships(folders, machine, self._agent, self._anchoring, protection=self._keys.protection)

    @classmethod
    def open(
        cls,
        root: str | PurePath,
        *,
        keys: ProvisioningKeyProvider,
        policy: Policy | None = None,
        create: bool = False,
        wait_s: float = 0,
        anchor: Anchor | None = None,
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
            anchor: a number outside the root that only rises, by which a root shows that was put back from a copy; `Tpm2Anchor` is one.
            clock, filesystem, randomness: the doors to the world, for tests.
            background: run the threads for housekeeping and upkeep; without them somebody must call `tick`.
            release: format levels and folds; another than this one only in tests of an update.

        Raises `NoSuchStore`, `StoreBusy`, `UnsafeFile`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `KeyTampered`, `DamageError` for the
        store's own marker; what is wrong with one cluster is in `unopened`.
        """
        require_opening(
            root=root, keys=keys, policy=policy, create=create, wait_s=wait_s, clock=clock, filesystem=filesystem,
            randomness=randomness, background=background, anchor=anchor,
        )  # fmt: skip
        path = str(root)
        require_outside(path, keys)
        the_filesystem, the_clock = filesystem or OsFileSystem(), clock or SystemClock()
        with held_root(the_filesystem, path, the_clock, wait_s=wait_s, create=create) as (opened, lock):
            marker = ready_root(opened, path, keys, the_clock, randomness, release, create=create)
            folders = StoreFolders(opened, marker.store_id, keys, policy or Policy(), the_clock, randomness, release)
            store = cls(folders, lock, path, the_filesystem, anchor, background=background)
            store._start()
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
        return self._memberships.unopened

    def clusters(self) -> tuple[ClusterState, ...]:
        """All open clusters, by id."""
        return self._memberships.opened()

    def cluster(self, cluster_id: str) -> ClusterState:
        """The open cluster of this id. Raises `NoSuchCluster`, what kept it from being opened, or `MisuseError` after closing."""
        self._require_open()
        return self._memberships.cluster(cluster_id)

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
        with self._changing:
            self._require_open()
            return self._memberships.join(name, bundle, expect)

    def leave(self, cluster_id: str, *, reason: str) -> Receipt:
        """Stop being a member: the agent's journal says so, the cluster is closed, and its folder is removed.

        The floors are remembered, so that joining again does not lower them (trust, 15).

        A cluster that could not be opened can be left too. Raises `NoSuchCluster`, `MisuseError` for a reason that is no short word,
        and what writing raises. A crash in between is made up for at the next opening.
        """
        name = ClusterId(cluster_id)
        with self._changing:
            self._require_open()
            return self._memberships.leave(name, reason)

    def commit_format(self) -> int:
        """Let everything be written at the level of this release from now on, which releases before it cannot read; returns the level.

        To be called when an update has proved itself: until then it can be taken back. What a crash or a lack of space left at the old
        level is raised at the next opening; so is a cluster that is not open. Nothing happens where all is at that level already.
        Raises `MisuseError` after closing, and what writing raises, once everything was tried.
        """
        with self._changing:
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
        require_outside_stores(self._filesystem, str(path))
        with self._changing, ExitStack() as held:
            self._require_open()
            left_out = {name: error_word(error) for name, error in self.unopened.items()}
            sources = sound_sources(self.clusters(), held, left_out, private_keys=private_keys)
            receipt = take_backup(
                str(path), sources, self._memberships.left(), self._backup_maker(),
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
        survivor_keys: KeyProvider | None = None,
        policy: Policy | None = None,
        anchor: Anchor | None = None,
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
            survivor: root of the old store, if anything is left of it: floors that its witnesses know are kept.
            survivor_keys: who opens the old store; None for `keys`.
            policy, anchor, clock, filesystem, randomness, background, release: as `open` takes them.

        Killed anywhere, it can be called again. Raises `MisuseError` for a root that holds anything, `WrongFingerprint`, `DamageError`,
        `SealBroken`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `RefusedError`, `NoSpace`, `OSError`.
        """
        secret = SecretBytes(recovery) if recovery is not None else None
        del recovery  # Whatever shows local variables of frames that fail shows no key.
        require_opening(
            path=path, root=root, keys=keys, recovery=secret, expect=expect, survivor=survivor, survivor_keys=survivor_keys,
            policy=policy, clock=clock, filesystem=filesystem, randomness=randomness, background=background, anchor=anchor,
        )  # fmt: skip
        the_filesystem, the_clock = filesystem or OsFileSystem(), clock or SystemClock()
        require_outside(str(root), keys)
        machine = Machine(the_clock, _nothing, _nothing, __version__)
        target = Target(the_filesystem, str(root), keys, policy or Policy(), machine, randomness, release)
        old = Survivor(str(survivor), survivor_keys or keys) if survivor is not None else None
        left, sha256 = restore_store(target, str(path), recovery=secret, expect=expect, survivor=old)
        store = cls.open(
            root, keys=keys, policy=policy, anchor=anchor, clock=clock, filesystem=filesystem, randomness=randomness,
            background=background, release=release,
        )  # fmt: skip
        note_restored(store.agent, left, sha256)
        return store

    def report(self) -> dict[str, Any]:
        """Status of the store and all clusters, safe to send (spec 12). Raises `MisuseError` after closing."""
        self._require_open()
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
            "whole_root_rollback": self._anchoring.whole_root_rollback,
            "anchor": self._anchoring.report(),
            "format_level": {"written": self._folders.level(), "known": self._folders.release.levels.known},
            "protection": self._keys.protection,
            "lacking": {name: [kind.name.lower() for kind in kinds] for name, kinds in self._keys.lacking().items()},
            "clusters": {cluster.id: cluster.status() for cluster in self.clusters()},
            "unopened": {name: error_word(error) for name, error in sorted(self.unopened.items())},
        }

    def tick(self) -> None:
        """Let time pass for everything that waits; in the background this goes by itself. One cluster's failure stops no other."""
        self._housekeeping.tick()

    def close(self) -> None:
        """Commit what waits, close every journal, and let the lock go. Closing twice is harmless.

        Raises the first error that committing met, once everything is closed all the same: what waited for its frame may be lost.
        """
        with self._changing:
            if self._is_closed:
                return
            self._is_closed = True
            self._housekeeping.stop()
            clusters = [cluster.close for cluster in self.clusters()]
            steps = [self._anchoring.close, *clusters, self._note_closed, self._agent.close]
            errors = [error for step in steps if (error := _attempt(step)) is not None]
            self._memberships.forget()
            self._lock.release()
            self._folders.root.close()
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        open_agent(self._agent, self._folders)
        if self._folders.mend_marker():
            self._note("marker-repaired", "one of the two copies in the marker of the root was damaged; it was written again.")
        self._anchoring.open()
        self._memberships.open_all()
        self._housekeeping.start()

    def _journals_open(self) -> dict[str, Keyed]:
        """What has a journal and is open, by name. Raises `MisuseError` after closing."""
        self._require_open()
        return {AGENT_FOLDER: self._agent, **{cluster.id: cluster for cluster in self.clusters()}}

    def _note(self, code: str, text: str) -> None:
        with suppress(StateStoreError):
            # What it tells of is done; a journal that cannot take it says so to whoever writes next.
            self._agent.diagnostic(code, text=text)

    def _note_closed(self) -> None:
        if self._agent.is_writable:
            self._agent.execute(lambda now: agent.decide_closed(self._agent.view(), "closed"))

    def _require_open(self) -> None:
        if self._is_closed:
            raise MisuseError("the store is closed; nothing was done. Open it again.", reason="closed")

    def _backup_maker(self) -> Maker:
        return backup_maker(self._folders, self._agent, self._filesystem)

    def _tickers(self) -> tuple[Ticking, ...]:
        return (self._agent, *self.clusters())

    def _upkeep(self) -> tuple[Ticking, ...]:
        return (self._anchoring, *[cluster.upkeep for cluster in self.clusters()])


def _nothing() -> None:
    return None


def _attempt(step: Callable[[], object]) -> StateStoreError | OSError | None:
    """What `step` raised, or None."""
    try:
        step()
    except (StateStoreError, OSError) as error:
        return error
    return None
