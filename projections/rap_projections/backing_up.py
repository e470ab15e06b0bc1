"""Taking a backup: from the states of a store's clusters to one sealed file (trust, 19; spec 11).

Rules this file keeps:

- What is written is what was durable at one LSN of each cluster; documents are read as they are kept, and the chain of bundles is
  verified once more, so that a damaged state is left out and named and never passes for a backup.
- A private key goes along only where the caller asks for it and the cluster's signed policy and the operator both list
  `Operation.BACK_UP_KEYS`; otherwise nothing is written at all.
- Without a recipient the file is sealed to a key that the store's key-encryption key gives, so that the same key provider restores it.

Example::

    receipt = take_backup(path, clusters, left, maker, recipient=None, private_keys=False, left_out={})
    receipt.fingerprint         # to be kept elsewhere: `restore` asks for it
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from rap_journal.backup_files import (
    KEY_BYTES,
    NO_VOUCHER,
    BackupFacts,
    encode_backup,
    public_recovery_key,
    public_signing_key,
    recovery_key_of,
    voucher_for,
)
from rap_journal.errors import DamageError, MisuseError, StateStoreError
from rap_journal.filesystem import FileSystem
from rap_journal.key_files import KeyProvider
from rap_journal.markers import ProviderKind
from rap_journal.sealing import SealBroken
from rap_journal.values import ClassSpec
from rap_projections.backup_content import (
    CONTENT_VERSION,
    BackupContent,
    LeftCluster,
    SavedCluster,
    SavedIdentity,
    SavedInstant,
    SavedKey,
    SavedScope,
    write_content,
)
from rap_projections.bundle_verification import verify_bootstrap, verify_next_bundle
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import IDENTITY, SNAPSHOTS, TRUST
from rap_projections.folding import FoldedState
from rap_projections.identity import IdentityView
from rap_projections.identity_keys import SEALED
from rap_projections.keys import is_bound_to_machine
from rap_projections.known_floors import higher_floors, read_floors
from rap_projections.refusals import RefusedError
from rap_projections.snapshots import SnapshotsView
from rap_projections.trust import TrustView
from rap_projections.witness_floors import witness_floors


class Source(Protocol):
    """A cluster that a backup is taken of: open for writing or for reading."""

    @property
    def cluster_id(self) -> str:
        """Its id."""
        ...

    @property
    def journal_id(self) -> bytes:
        """The id of its journal."""
        ...

    @property
    def incarnation(self) -> bytes:
        """The opening that wrote last."""
        ...

    @property
    def shelf(self) -> DocumentShelf:
        """Its documents."""
        ...

    def frozen(self) -> tuple[FoldedState, Any]:
        """Its state at one LSN, and the floors that its witness knows; None for none."""
        ...

    def load_key(self, spec: ClassSpec, file_id: bytes) -> bytes:
        """What is sealed for a private key. Raises `DamageError`, `SealBroken`, `OSError`."""
        ...


class Maker(NamedTuple):
    """The store that makes a backup.

    Attributes:
        store_id: its id.
        keys: holder of the key-encryption key.
        signing_seed: seed of the key that its backups are signed with.
        filesystem: where the file goes.
        made_us: wall clock, microseconds since 1970.
        randomness: gives n random bytes.
    """

    store_id: bytes
    keys: KeyProvider
    signing_seed: bytes
    filesystem: FileSystem
    made_us: int
    randomness: Callable[[int], bytes]

    def __repr__(self) -> str:
        return "Maker()"

    @property
    def signer(self) -> bytes:
        """The public key by which its backups are known."""
        return public_signing_key(self.signing_seed)


class BackupReceipt(NamedTuple):
    """A backup that was written.

    Attributes:
        path: where it is.
        size: its bytes.
        sha256: SHA-256 of the file, hex: what a restore ticket will name.
        fingerprint: the store's backup fingerprint, hex; `restore` wants it where the key-encryption key is another one.
        recipient: public key that it is sealed to, hex.
        clusters: the clusters in it.
        left_out: clusters that are damaged, with the reason; they are not in it.
        holds_keys: whether private keys are in it.
    """

    path: str
    size: int
    sha256: str
    fingerprint: str
    recipient: str
    clusters: tuple[str, ...]
    left_out: dict[str, str]
    holds_keys: bool


def take_backup(
    path: str,
    sources: Sequence[Source],
    left: Sequence[LeftCluster],
    maker: Maker,
    *,
    recipient: bytes | None,
    private_keys: bool,
    left_out: Mapping[str, str],
) -> BackupReceipt:
    """Write one file with all clusters that are sound; see `NodeStore.backup`, which says what it raises.

    `left_out`: clusters that the caller could not hand over, with the reason; those that turn out damaged are added.
    """
    if recipient is not None and len(recipient) != KEY_BYTES:
        raise MisuseError(
            f"a recovery recipient is an X25519 public key of {KEY_BYTES} bytes; nothing was written.", reason="recipient"
        )
    saved, bad = [], dict(left_out)
    for source in sources:
        try:
            saved.append(save_cluster(source, private_keys=private_keys))
        except (DamageError, SealBroken, RefusedError, OSError) as error:
            bad[source.cluster_id] = error_word(error)
    if bad and not saved:
        raise DamageError(
            f"no cluster is sound enough for a backup ({', '.join(sorted(bad))}); nothing was written.",
            reason="nothing_sound",
        )
    content = write_content(BackupContent(CONTENT_VERSION, maker.store_id, tuple(saved), tuple(left)))
    has_keys = any(cluster.identity is not None and cluster.identity.secret for cluster in saved)
    facts = BackupFacts(maker.store_id, maker.made_us, len(saved), has_keys, _voucher(maker))
    sealed_to = recipient if recipient is not None else _own_recipient(maker)
    data = encode_backup(facts, content, recipient=sealed_to, signing_seed=maker.signing_seed, randomness=maker.randomness)
    try:
        maker.filesystem.write_file(path, data)
    except FileExistsError as error:
        raise MisuseError(
            f"there is a file {path} already; nothing was written. Name another one.", file=path, reason="exists"
        ) from error
    return BackupReceipt(
        path, len(data), hashlib.sha256(data).hexdigest(), fingerprint_of(maker.signer), sealed_to.hex(),
        tuple([cluster.cluster_id for cluster in saved]), bad, has_keys,
    )  # fmt: skip


def error_word(error: StateStoreError | OSError) -> str:
    """A short word for what is wrong with a cluster."""
    return (error.reason if isinstance(error, StateStoreError) else None) or "unreadable"


def fingerprint_of(signer: bytes) -> str:
    """The backup fingerprint of a store, from its public signing key: SHA-256, hex."""
    return hashlib.sha256(signer).hexdigest()


def save_cluster(source: Source, *, private_keys: bool) -> SavedCluster:
    """One cluster as it is durable now. Raises `DamageError`, `SealBroken`, `RefusedError` or `OSError` where it is not sound."""
    state, witnessed = source.frozen()
    trust: TrustView = state.view(TRUST)
    if trust.bootstrap is None or not trust.chain:
        raise DamageError("no bundle is in force", cluster=source.cluster_id, state_class=TRUST.name, reason="trust_damaged")
    bundles = tuple([source.shelf.load(TRUST, kept.stored) for kept in trust.chain])
    _check_chain(source.cluster_id, trust, bundles)
    snapshots: SnapshotsView = state.view(SNAPSHOTS)
    active = {name: scope.active for name, scope in sorted(snapshots.scopes.items()) if scope.active is not None}
    instants = sorted(trust.instants.items())
    return SavedCluster(
        cluster_id=source.cluster_id,
        journal_id=source.journal_id,
        incarnation=source.incarnation,
        lsn=state.lsn,
        fingerprint=trust.bootstrap.fingerprint,
        method=trust.bootstrap.method,
        bundles=bundles,
        instants=tuple([SavedInstant(kid, *instant) for kid, instant in instants]),
        floors=higher_floors(read_floors(witness_floors(state)), read_floors(witnessed)),
        snapshots=tuple([SavedScope(name, source.shelf.documents(held.facts.content_id)) for name, held in active.items()]),
        head=source.shelf.load(SNAPSHOTS, snapshots.head.stored) if snapshots.head is not None else b"",
        identity=_saved_identity(source, state.view(IDENTITY), private_keys=private_keys),
    )


def _check_chain(cluster_id: str, trust: TrustView, bundles: Sequence[bytes]) -> None:
    assert trust.bootstrap is not None
    verified = verify_bootstrap(bundles[0], cluster_id=cluster_id, expect=trust.bootstrap.fingerprint.hex(), trusted_s=None)
    for data in bundles[1:]:
        verified = verify_next_bundle(data, verified, trusted_s=None)
    if verified.content_id != trust.chain[-1].content_id:
        raise DamageError("a kept bundle is another one", cluster=cluster_id, state_class=TRUST.name, reason="trust_damaged")


def _saved_identity(source: Source, view: IdentityView, *, private_keys: bool) -> SavedIdentity | None:
    if view.key is None:
        return None
    certificate = b""
    if view.certificate is not None:
        certificate = source.shelf.load(IDENTITY, view.certificate.stored)
    secret = b""
    if private_keys and view.key.reference.startswith(SEALED):
        secret = source.load_key(IDENTITY, bytes.fromhex(view.key.reference.removeprefix(SEALED)))
    key = SavedKey(view.key.algorithm, view.key.key_sha256, view.key.request_sha256)
    return SavedIdentity(view.node_id, view.membership_id, view.enrollment.value, key, certificate, secret)


def _own_recipient(maker: Maker) -> bytes:
    """The recipient of a backup that the store's own key provider is to open. Raises what the provider raises."""
    if maker.keys.kind is ProviderKind.RECOVERY_PASSPHRASE:
        raise MisuseError(
            "the store is open by a passphrase, which has no single key that a backup could be sealed to; nothing was written. Give "
            "`recipient=`, the public part of a recovery key, or open the store by another slot.",
            reason="recipient",
        )
    if is_bound_to_machine(maker.keys):
        raise MisuseError(
            "the store's key never leaves this machine, and a backup that is sealed to it would be lost with the machine; nothing was "
            "written. Name a recipient, the public part of a recovery key that is kept elsewhere.",
            reason="recipient",
        )
    return public_recovery_key(recovery_key_of(maker.keys.key_encryption_key(), maker.store_id))


def _voucher(maker: Maker) -> bytes:
    # A provider without a single key (a passphrase has one per slot) vouches for nothing: the fingerprint has to do.
    with suppress(MisuseError):
        return voucher_for(maker.keys.key_encryption_key(), maker.store_id, maker.signer)
    return NO_VOUCHER
