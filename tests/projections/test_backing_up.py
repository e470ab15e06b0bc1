"""Taking a backup: what is in it, what is never in it, and that there is a whole one or none."""

import base64
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from rap_journal.backup_files import public_recovery_key
from rap_journal.errors import DamageError, MisuseError
from rap_journal.sealing import Purpose
from rap_journal.testing import SimulatedCrash
from rap_journal.values import ClassSpec
from rap_projections.backing_up import save_cluster
from rap_projections.backup_source import LiveSource
from rap_projections.class_table import CLUSTER_FOLDS
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import IDENTITY
from rap_projections.folding import FoldedState
from rap_projections.keys import KernelKeyringProvider, ProvisioningKeyProvider, RecoveryPassphraseProvider, Tpm2Provider
from rap_projections.policy import HIGH_RISK_OPERATIONS, Policy
from rap_projections.refusals import WrongFingerprint
from rap_projections.stored_document import StoredDocument
from rap_projections.testing import Fabric
from rap_projections.testing.memory_store import ROOT
from tests.projections.restore_kit import BACKUP, enrolled, restore
from tests.projections.store_kit import CLUSTER, Ready, files, furnished, ready

RECOVERY = bytes(range(100, 132))
RECIPIENT = public_recovery_key(RECOVERY)
SECRET = b"PRIVATE KEY"


def permitted() -> Ready:
    """A store whose cluster lets private keys be backed up; the operator does, too."""
    it = ready(policy=Policy(high_risk_operations=(*HIGH_RISK_OPERATIONS, "back_up_keys")))
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy(high_risk_operations=("back_up_keys",)))
    request = it.cluster.identity.request(node_id="node-1", membership_id="m-1")
    it.cluster.identity.enroll(certificate=it.fabric.certificate(request))
    return it


def spelled(secret: bytes) -> list[bytes]:
    """Ways in which a secret might stand in a file."""
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)[:-4], base64.urlsafe_b64encode(secret)[:-4],
            base64.b85encode(secret), secret[::-1]]  # fmt: skip


def test_private_keys_go_along_where_policy_and_caller_say_so() -> None:
    it = permitted()
    receipt = it.kit.store.backup(BACKUP, private_keys=True)
    assert receipt.holds_keys
    cluster = restore(it).cluster(CLUSTER)
    assert cluster.identity.status().enrollment.value == "enrolled"
    assert cluster.status()["fail_closed"] is None


def test_without_being_asked_no_private_key_goes_along() -> None:
    """Fails when `private_keys` is on by default."""
    it = permitted()
    assert not it.kit.store.backup(BACKUP).holds_keys
    assert restore(it).cluster(CLUSTER).identity.status().enrollment.value == "lost"


@pytest.mark.parametrize("private_keys", [False, True])
def test_no_secret_stands_in_a_backup_or_in_what_is_said_of_it(private_keys: bool) -> None:
    it = permitted()
    core = it.cluster._core
    view = it.cluster.view().identity
    assert view.key is not None
    sealed = core.load(IDENTITY, bytes.fromhex(view.key.reference.removeprefix("sealed:")), purpose=Purpose.IDENTITY)
    secrets = [sealed, sealed[20:60], it.kit.keys.key_encryption_key(), core._unlocked.keys.ring._data_key(1)]
    secrets.append(it.kit.store.agent.backup_seed(it.kit.store._folders.store_id))
    receipt = it.kit.store.backup(BACKUP, private_keys=private_keys, recipient=RECIPIENT)
    said = repr(receipt).encode() + repr(it.kit.store.report()).encode()
    data = it.kit.filesystem.read_file(BACKUP, 1 << 20)
    for secret in secrets:
        assert [text for text in spelled(secret) if text in data or text in said] == []
    assert CLUSTER.encode() not in data and b"node-1" not in data


def test_a_file_that_is_there_is_never_written_over() -> None:
    it = enrolled()
    it.kit.store.backup(BACKUP)
    with pytest.raises(MisuseError) as caught:
        it.kit.store.backup(BACKUP)
    assert caught.value.reason == "exists"


@pytest.mark.parametrize("place", [f"{ROOT}/b", f"{ROOT}/clusters/b"])
def test_no_backup_is_kept_in_a_store(place: str) -> None:
    """Mutation: the backup of a store lay in the store itself, and would have been lost with it."""
    it = enrolled()
    before = files(it.kit.filesystem)
    with pytest.raises(MisuseError) as caught:
        it.kit.store.backup(place)
    assert (caught.value.reason, files(it.kit.filesystem)) == ("inside_store", before)


class Bound(Tpm2Provider):
    """A TPM's provider whose key is at hand."""

    def key_encryption_key(self) -> bytes:
        return bytes(range(32))


class Passing(KernelKeyringProvider):
    """The keyring's provider whose key is at hand."""

    def key_encryption_key(self) -> bytes:
        return bytes(range(32))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (Bound("/blob"), "never leaves this machine"),
        (Passing("rap", ephemeral=True), "never leaves this machine"),
        (RecoveryPassphraseProvider(lambda: b"words"), "open by a passphrase"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_backup_is_not_sealed_to_a_key_that_could_not_restore_it_elsewhere(keys: ProvisioningKeyProvider, says: str) -> None:
    """Mutation: sealed to the TPM's key, the backup is lost with the machine, which is the day it was made for."""
    it = enrolled()
    it.kit.store._folders = it.kit.store._folders._replace(keys=keys)
    with pytest.raises(MisuseError, match=says) as caught:
        it.kit.store.backup(BACKUP)
    assert caught.value.reason == "recipient"
    with pytest.raises(FileNotFoundError):
        it.kit.filesystem.read_file(BACKUP, 1)


def test_where_nothing_is_sound_nothing_is_written() -> None:
    """Mutation: write a backup without any cluster."""
    it = enrolled()
    it.kit.wound("trust-flip")
    with pytest.raises(DamageError):
        it.kit.store.backup(BACKUP)
    with pytest.raises(FileNotFoundError):
        it.kit.filesystem.read_file(BACKUP, 1)


class Shown(LiveSource):
    """A cluster as a backup reads it, with these documents in the place of its bundles; without any, nothing is left of its state."""

    def __init__(self, it: Ready, *bundles: bytes) -> None:
        super().__init__(it.cluster._context)
        self.shelf = BundleShelf(bundles)
        self._is_empty = not bundles

    def frozen(self) -> tuple[FoldedState, Any]:
        """The state, or that of a journal in which nothing is left."""
        state, floors = super().frozen()
        return (FoldedState(CLUSTER_FOLDS, self.shelf) if self._is_empty else state), floors


class BundleShelf(DocumentShelf):
    """A shelf that gives one document after the other, whichever it is asked for."""

    def __init__(self, documents: Sequence[bytes]) -> None:
        self._left = iter(documents)

    def load(self, spec: ClassSpec, stored: StoredDocument) -> bytes:
        """The next one."""
        return next(self._left)


def test_a_cluster_in_which_no_bundle_is_left_is_no_backup() -> None:
    """Mutation: save what there is of trust."""
    with pytest.raises(DamageError) as caught:
        save_cluster(Shown(ready()), private_keys=False)
    assert (caught.value.reason, caught.value.state_class) == ("trust_damaged", "trust")


def test_kept_bundles_that_are_not_the_ones_in_force_are_no_backup() -> None:
    """Mutation: save the kept bundles without verifying them, or without comparing what they lead to."""
    it = ready()
    first, second = it.fabric.bootstrap, it.fabric.next_bundle()
    it.cluster.trust.update(second)
    assert save_cluster(Shown(it, first, second), private_keys=False).bundles == (first, second)
    with pytest.raises(WrongFingerprint):
        save_cluster(Shown(it, Fabric(CLUSTER, seed=1).bootstrap, second), private_keys=False)
    with pytest.raises(DamageError) as caught:
        save_cluster(Shown(it, first, it.fabric.bundle(requires_head=True)), private_keys=False)
    assert (caught.value.reason, caught.value.state_class) == ("trust_damaged", "trust")


def test_a_power_cut_leaves_a_whole_backup_or_none() -> None:
    for at in count():
        it = furnished()
        it.kit.filesystem.crash_after(at)
        finished = True
        try:
            it.kit.store.backup(BACKUP)
        except SimulatedCrash:
            finished = False
        it.kit.filesystem = it.kit.filesystem.crash()
        try:
            it.kit.filesystem.read_file(BACKUP, 1)
        except FileNotFoundError:
            assert not finished
            it.kit.clock.reboot()
            it.kit.open().backup(BACKUP)
        assert restore(it).clusters()
        if finished:
            return
