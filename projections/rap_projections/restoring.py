"""Restoring: from a backup to the journals of a new store (trust, 19; spec 11).

Rules this file keeps:

- Nothing is believed before it is known whose backup it is: by a fingerprint from out of band, or by the voucher of whoever holds the
  same key-encryption key. A signature by a key that came with the file would prove nothing.
- Bundles and documents are verified again; what does not verify is left out.
- Floors are the highest of the backup and of whatever survived of the old store. No floor falls, whatever is restored.
- Every restored cluster is "restored, not validated" from its first frame on, with a nonce of its own for the ticket.
- An identity whose private key is not in the backup is lost, and one that was revoked stays revoked.

Example::

    file = read_backup(data, path, keys=provider, expect=fingerprint)
    content = read_content(unseal_backup(file, recovery_key))
    Restoration(folders, machine, file.sha256).restore(content.clusters[0], floors)
"""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from functools import reduce
from typing import NamedTuple

from rap_journal.backup_files import NO_VOUCHER, BackupFile, decode_backup, unseal_backup, voucher_for
from rap_journal.backup_files import recovery_key_of as own_recovery_key
from rap_journal.errors import DamageError, KeyUnavailable, MisuseError, NoSuchStore, StateStoreError
from rap_journal.filesystem import Directory, FileSystem
from rap_journal.key_files import KeyProvider
from rap_journal.key_generations import open_key_ring
from rap_journal.layout import CLUSTERS
from rap_journal.limits import BACKUP_BYTES_MAX
from rap_journal.markers import MarkerKind, read_marker
from rap_journal.sealing import SecretBytes
from rap_journal.unlocking import Setup
from rap_journal.witness import open_slot, read_witness
from rap_projections.backing_up import fingerprint_of
from rap_projections.backup_content import BackupContent, LeftCluster, SavedCluster, read_content
from rap_projections.bundle_verification import verify_bootstrap, verify_next_bundle
from rap_projections.cluster_building import cluster_core, keep_floors, mark_restored
from rap_projections.journaled_state import JournaledState, Machine
from rap_projections.keys import ProvisioningKeyProvider
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors, higher_floors, read_floors
from rap_projections.policy import Policy
from rap_projections.refusals import WrongFingerprint
from rap_projections.release import Release
from rap_projections.restored_state import RestoredDocuments, RestoredIdentity, restore_trust
from rap_projections.store_folders import Randomness, StoreFolders, cluster_setup
from rap_projections.store_making import begin_restore, end_restore, make_store
from rap_projections.store_root import open_root, take_lock
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verified import VerifiedBundle
from rap_projections.witness_floors import witness_floors

REASON = "backup"
"""Why a restored state counts as not validated."""


def read_backup(filesystem: FileSystem, path: str, *, keys: KeyProvider, expect: str | None) -> BackupFile:
    """The backup in `path`, once it is known whose it is.

    `expect`: backup fingerprint of the store that made it, or SHA-256 of the file, hex; None where `keys` holds that store's
    key-encryption key. Raises `WrongFingerprint`, `DamageError`, `SealBroken`, `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `OSError`.
    """
    file = decode_backup(filesystem.read_file(path, BACKUP_BYTES_MAX + 1), path)
    if expect is not None:
        if expect.lower() not in (fingerprint_of(file.signer), file.sha256.hex()):
            raise WrongFingerprint("it is not the expected file, nor was it made by the expected store", document_type="backup")
        return file
    with suppress(MisuseError):
        voucher = voucher_for(keys.key_encryption_key(), file.facts.store_id, file.signer)
        if file.facts.voucher != NO_VOUCHER and hmac.compare_digest(voucher, file.facts.voucher):
            return file
    raise WrongFingerprint(
        "these keys do not tell which store made it; name that store's backup fingerprint", document_type="backup"
    )


def open_backup(file: BackupFile, keys: KeyProvider, recovery: SecretBytes | None) -> BackupContent:
    """What a backup holds. Without `recovery` the key-encryption key has to open it.

    Raises `KeyUnavailable`, `SealBroken`, `DamageError`, `FormatTooNew`, `MisuseError`.
    """
    if recovery is not None and len(recovery) != len(file.recipient):
        raise MisuseError("a recovery key has 32 bytes; nothing was restored.", reason="recovery_key")
    try:
        key = recovery if recovery is not None else SecretBytes(own_recovery_key(keys.key_encryption_key(), file.facts.store_id))
    except MisuseError:
        raise KeyUnavailable(
            "the key provider has no key that opens a backup by itself; nothing was restored. Give the recovery key.",
            reason="no_recovery_key",
        ) from None
    content = read_content(unseal_backup(file, key.reveal()))
    if content.store_id != file.facts.store_id:
        raise DamageError("the backup holds the content of another store; nothing was restored.", reason="foreign")
    return content


def surviving_floors(filesystem: FileSystem, root: str, setup: Setup) -> dict[str, KnownFloors]:
    """The floors that the witnesses of an old store still know, by cluster; what is damaged is left out.

    Raises `NoSuchStore` and, where another key is needed, `KeyUnavailable`: whoever names a survivor is not to lose its floors in silence.
    """
    found: dict[str, KnownFloors] = {}
    with _survivor(filesystem, root) as clusters:
        for name in clusters.names():
            try:
                with clusters.directory(name) as folder:
                    found[name] = _witnessed(folder, name, setup)
            except KeyUnavailable as error:
                raise KeyUnavailable(
                    f"what survives of cluster {name} does not open with this key, and its floors would not be kept; nothing was restored. "
                    "Give the old store's own key for it (survivor_keys), or restore without the survivor.",
                    cluster=name,
                    reason=error.reason,
                ) from error
            except (StateStoreError, OSError):
                continue
    return found


def _survivor(filesystem: FileSystem, root: str) -> Directory:
    """The clusters of an old store."""
    try:
        with filesystem.open_root(root) as opened:
            return opened.directory(CLUSTERS)
    except FileNotFoundError as error:
        raise NoSuchStore(
            f"nothing of a store is left in {root}; nothing was restored. Name the old store's root, or restore without a survivor.",
            file=root,
            reason="no_survivor",
        ) from error


class Survivor(NamedTuple):
    """What is left of the old store, and who opens it."""

    root: str
    keys: KeyProvider


class Target(NamedTuple):
    """Where a store is restored to; the fields are those of `NodeStore.restore`."""

    filesystem: FileSystem
    root: str
    keys: ProvisioningKeyProvider
    policy: Policy
    machine: Machine
    randomness: Randomness
    release: Release

    def folders(self, root: Directory, store_id: bytes) -> StoreFolders:
        """The folders of the new store."""
        return StoreFolders(root, store_id, self.keys, self.policy, self.machine.clock, self.randomness, self.release)


def restore_store(
    target: Target, path: str, *, recovery: SecretBytes | None, expect: str | None, survivor: Survivor | None
) -> tuple[Sequence[LeftCluster], bytes]:
    """Make the store in `target`, whole or not at all; returns the clusters that were left and the SHA-256 of the backup.

    Raises what `NodeStore.restore` says.
    """
    file = read_backup(target.filesystem, path, keys=target.keys, expect=expect)
    content = open_backup(file, target.keys, recovery)
    floors: dict[str, KnownFloors] = {}
    if survivor is not None:
        setup = cluster_setup(survivor.keys, target.randomness, target.policy, target.release)
        floors = surviving_floors(target.filesystem, survivor.root, setup)
    opened = open_root(target.filesystem, target.root, create=True)
    lock = take_lock(opened, target.machine.clock, 0)
    try:
        begin_restore(opened, target.root)

        def fill(store_id: bytes) -> None:
            restoration = Restoration(target.folders(opened, store_id), target.machine, file.sha256)
            for saved in content.clusters:
                restoration.restore(saved, floors.get(saved.cluster_id, NOTHING_KNOWN))

        make_store(opened, target.keys, target.machine.clock, target.randomness, target.release, fill)
        end_restore(opened)
    finally:
        lock.release()
        opened.close()
    return content.left, file.sha256


class Restoration:
    """Restores clusters from one backup into the folders of a new store."""

    def __init__(self, folders: StoreFolders, machine: Machine, backup_sha256: bytes) -> None:
        self._folders = folders
        self._machine = machine
        self._sha256 = backup_sha256

    def restore(self, saved: SavedCluster, survivor: KnownFloors = NOTHING_KNOWN) -> None:
        """Build the journal of one cluster. Raises `RefusedError` where its trust does not verify, `NoSpace`, `OSError`."""
        bundles = _verified_chain(saved)
        name = saved.cluster_id
        self._folders.build_cluster(
            name, lambda folder: self._fill(cluster_core(self._folders, self._machine, name, folder), saved, bundles, survivor)
        )

    def _fill(self, core: JournaledState, saved: SavedCluster, bundles: list[VerifiedBundle], survivor: KnownFloors) -> None:
        core.floors_of = witness_floors
        core.open()
        try:
            floors = higher_floors(saved.floors, survivor)
            mark_restored(core, reason=REASON, backup_digest=self._sha256)
            restore_trust(core, saved, bundles, floors)
            trust = TrustInForce.of(bundles[-1])
            if saved.identity is not None:
                RestoredIdentity(core, saved.identity, trust).write()
            RestoredDocuments(core, saved, trust, self._folders.policy).write()
            keep_floors(core, saved.floors, "backup")
            keep_floors(core, floors, "witness")
        finally:
            core.close()


def _witnessed(folder: Directory, name: str, setup: Setup) -> KnownFloors:
    """The highest floors of the slots of a witness. Raises `StateStoreError` or `OSError` where no slot is whole, or one was tampered with."""
    marker = read_marker(folder).marker
    if (marker.kind, marker.cluster) != (MarkerKind.CLUSTER, name):
        raise DamageError("the folder is another cluster's", reason="foreign")
    ring = open_key_ring(folder, setup.key_folders, setup.provider, marker)
    slots = [slot for slot in read_witness(folder).slots if slot.journal_id == marker.journal_id]
    if not slots:
        raise DamageError("no slot of the witness is whole", reason="no_slot")
    return reduce(higher_floors, [read_floors(open_slot(slot, ring).floors) for slot in slots])


def floors_on_disk(folders: StoreFolders, name: str) -> KnownFloors | None:
    """The floors that the witness of a cluster still knows, whether or not the cluster can be opened; None where it cannot be read."""
    with suppress(StateStoreError, OSError), folders.cluster(name) as folder:
        return _witnessed(folder, name, cluster_setup(folders.keys, folders.randomness, folders.policy, folders.release))
    return None


def _verified_chain(saved: SavedCluster) -> list[VerifiedBundle]:
    """The bundles, verified from the pinned bootstrap on. Raises a `RefusedError`."""
    chain = [verify_bootstrap(saved.bundles[0], cluster_id=saved.cluster_id, expect=saved.fingerprint.hex(), trusted_s=None)]
    for data in saved.bundles[1:]:
        chain.append(verify_next_bundle(data, chain[-1], trusted_s=None))
    return chain
