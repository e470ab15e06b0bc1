"""From one store's backup to another store: whose it is, who may open it, which floors it ends with, and that no crash leaves half of it."""

import base64
import hashlib
from typing import Any

import pytest

from rap_journal.backup_files import public_recovery_key
from rap_journal.errors import DamageError, KeyUnavailable, MisuseError, NoSuchStore, StateStoreError
from rap_journal.sealing import SealBroken
from rap_journal.testing import SeededRandomness, SimulatedCrash
from rap_projections import NodeStore, Operation
from rap_projections.keys import RecoveryPassphraseProvider
from rap_projections.policy import Policy
from rap_projections.refusals import NotAllowed, NotValidated, WrongFingerprint
from rap_projections.restoring import surviving_floors
from rap_projections.store_folders import cluster_setup
from rap_projections.testing.memory_store import ROOT
from tests.canary import Canary, shown_with_locals
from tests.projections.restore_kit import BACKUP, NEW_ROOT, enrolled, other_keys, restore, restored, rewrite
from tests.projections.store_kit import (
    CLUSTER,
    FOLDER,
    Ready,
    files,
    folder,
    furnished,
    names,
    ready,
    stopped,
    write_file,
)

RECOVERY = bytes(range(100, 132))
RECIPIENT = public_recovery_key(RECOVERY)
SECRET = b"PRIVATE KEY"


def test_reads_work_at_once_and_high_risk_work_does_not() -> None:
    """Fails when `mark_restored` is left out of a restoration."""
    it = enrolled()
    before = it.cluster.view()
    other = restored(it)
    after = other.cluster.view()
    assert after.trust.chain[-1].content_id == before.trust.chain[-1].content_id
    active = {name: scope.active.facts.content_id for name, scope in before.snapshots.scopes.items() if scope.active}
    assert {name: scope.active.facts.content_id for name, scope in after.snapshots.scopes.items() if scope.active} == active
    assert len(active) == 5
    assert other.cluster.routes.best("node-2", channel="interactive") is not None
    assert other.cluster.status()["trust"]["restore_state"] == "restored-not-validated"
    for operation in Operation:
        assert other.cluster.allows(operation)[:2] == (False, "not_validated")
        with pytest.raises(NotValidated):
            other.cluster.require(operation)


def test_high_risk_calls_raise_until_validated() -> None:
    other = restored()
    reference = other.it.fabric.artifact("agent")
    other.cluster.updates.stage(reference)
    with pytest.raises((NotValidated, NotAllowed)):
        other.cluster.updates.activate("agent")


def test_it_stays_not_validated_over_kills_and_checkpoints() -> None:
    other = restored()
    nonce = other.cluster.restore_request().nonce
    other.cluster.checkpoint()
    other.store.close()
    store = NodeStore.open(
        NEW_ROOT, keys=other.it.kit.keys, clock=other.it.kit.clock, filesystem=other.it.kit.filesystem, background=False
    )
    assert store.cluster(CLUSTER).restore_request().nonce == nonce


def test_no_cache_and_no_private_key_is_in_a_backup() -> None:
    """Fails when peers, routes or the sealed key are saved."""
    other = restored()
    view = other.cluster.view()
    assert other.cluster.identity.status().enrollment.value == "lost"
    assert view.identity.key is not None and view.identity.key.reference == "backup:absent"
    assert view.identity.certificate is not None
    assert other.cluster.status()["telemetry_waiting"] == 0


def spelled(secret: bytes) -> list[bytes]:
    """Ways in which a secret might stand in a file."""
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)[:-4], base64.urlsafe_b64encode(secret)[:-4],
            base64.b85encode(secret), secret[::-1]]  # fmt: skip


def test_a_recipient_restores_on_another_machine_with_the_fingerprint() -> None:
    it = enrolled()
    receipt = it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    assert receipt.fingerprint == it.kit.store.report()["backup_fingerprint"]
    store = restore(it, keys=other_keys(), recovery=RECOVERY, expect=receipt.fingerprint)
    assert store.cluster(CLUSTER).status()["trust"]["bundle_version"] == 1
    assert store.report()["backup_fingerprint"] != receipt.fingerprint


def test_the_digest_of_the_file_will_do_in_place_of_the_fingerprint() -> None:
    it = enrolled()
    receipt = it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    assert receipt.sha256 == hashlib.sha256(it.kit.filesystem.read_file(BACKUP, 1 << 24)).hexdigest()
    assert restore(it, keys=other_keys(), recovery=RECOVERY, expect=receipt.sha256.upper()).clusters()


def forged() -> Ready:
    """A store whose backup was replaced by one that an attacker made, who knows the recipient, with a cluster of his own."""
    it, attacker = enrolled(), ready(seed=7)
    attacker.kit.store.backup(BACKUP, recipient=RECIPIENT)
    it.kit.filesystem.write_file(BACKUP, attacker.kit.filesystem.read_file(BACKUP, 1 << 24))
    return it


def test_a_backup_that_nobody_vouches_for_is_refused() -> None:
    """Mutation: a file is taken whose signature verifies under the key that came with it."""
    it = enrolled()
    it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    with pytest.raises(WrongFingerprint):
        restore(it, keys=other_keys(), recovery=RECOVERY)
    with pytest.raises(NoSuchStore):
        NodeStore.open(NEW_ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem)


def test_a_forged_backup_is_refused_by_its_fingerprint() -> None:
    """Mutation: `expect` is not compared."""
    it = forged()
    with pytest.raises(WrongFingerprint):
        restore(it, keys=other_keys(), recovery=RECOVERY, expect=it.kit.store.report()["backup_fingerprint"])


def test_a_key_encryption_key_vouches_for_its_own_stores_alone() -> None:
    """Fails when the voucher is not compared."""
    it = enrolled()
    it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    assert restore(it, recovery=RECOVERY).clusters()
    other = forged()
    with pytest.raises(WrongFingerprint):
        restore(other, keys=other_keys(), recovery=RECOVERY)


def test_who_is_not_the_recipient_reads_nothing() -> None:
    it = enrolled()
    receipt = it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    for recovery in (None, bytes(32)):
        with pytest.raises(KeyUnavailable):
            restore(it, recovery=recovery, expect=receipt.fingerprint)
    with pytest.raises(MisuseError):
        restore(it, recovery=bytes(31), expect=receipt.fingerprint)


def test_a_passphrase_opens_no_backup_and_the_recovery_key_is_asked_for() -> None:
    """Mutation: go on without a key."""
    it = enrolled()
    receipt = it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    with pytest.raises(KeyUnavailable, match="Give the recovery key") as caught:
        restore(it, keys=RecoveryPassphraseProvider(lambda: b"correct horse battery staple"), expect=receipt.fingerprint)
    assert caught.value.reason == "no_recovery_key"


def test_a_backup_that_holds_another_stores_content_is_damage() -> None:
    """Mutation: what is under the seal is not compared with the header in front of it."""
    it = enrolled()
    rewrite(it, lambda content: content._replace(store_id=bytes(16)))
    with pytest.raises(DamageError) as caught:
        restore(it)
    assert caught.value.reason == "foreign"


def test_a_damaged_backup_is_told_from_a_forged_one() -> None:
    it = enrolled()
    it.kit.store.backup(BACKUP)
    data = bytearray(it.kit.filesystem.read_file(BACKUP, 1 << 24))
    data[300] ^= 1
    it.kit.filesystem.write_file("/rotten", bytes(data))
    it.kit.filesystem.write_file("/tampered", bytes(data[:-32]) + hashlib.sha256(data[:-32]).digest())
    for path, error in (("/rotten", DamageError), ("/tampered", SealBroken)):
        with pytest.raises(error):
            NodeStore.restore(path, NEW_ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem)


def test_a_store_is_never_restored_over() -> None:
    """Fails when the marker of the root is not looked for."""
    it = enrolled()
    it.kit.store.backup(BACKUP)
    digest = it.cluster.digest()
    it.kit.store.close()
    with pytest.raises(MisuseError) as caught:
        NodeStore.restore(BACKUP, ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem)
    assert caught.value.reason == "root_taken"
    it.kit.open()
    assert it.cluster.digest() == digest


def test_floors_are_those_of_the_backup_and_do_not_fall() -> None:
    """Fails when the backup's floors are not raised: here the documents that showed them are gone."""
    it = furnished()
    it.cluster.activate(it.fabric.routes([("node-1", [])]))
    it.kit.store.backup(BACKUP)
    floors = it.cluster.known_floors()
    again = restore(it).cluster(CLUSTER).known_floors()
    assert again[:2] + again[3:5] == floors[:2] + floors[3:5]
    assert again.time[0] >= floors.time[0] and again.time[1] >= floors.time[1]


def test_what_survives_of_the_old_root_raises_the_floors() -> None:
    """Fails when the survivor's witness is not read, or not taken for the maximum."""
    it = furnished()
    it.kit.store.backup(BACKUP)
    it.cluster.activate(it.fabric.routes([("node-1", [])]))
    it.cluster.trust.update(it.fabric.next_bundle())
    it.kit.store.close()
    for path in names(it.kit.filesystem, f"{FOLDER}/journal/"):
        write_file(it.kit.filesystem, path, b"gone")
    cluster = restore(it, survivor=ROOT).cluster(CLUSTER)
    floors = cluster.known_floors()
    assert floors.bundle[0] == 2
    assert {name: version for name, _generation, version, _said in floors.scopes}["routes"] == 2
    assert cluster.status()["trust"]["bundle_version"] == 1
    assert cluster.status()["fail_closed"] is None
    assert cluster.restore_request().minimum_bundle_version == 2


def test_a_survivor_that_another_key_opens_is_not_passed_over() -> None:
    """Mutation: under a new key the old root's floors were not kept, and nothing said so."""
    it = furnished()
    it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    it.cluster.trust.update(it.fabric.next_bundle())
    fingerprint = it.kit.store.report()["backup_fingerprint"]
    it.kit.store.close()
    options = {"keys": other_keys(), "recovery": RECOVERY, "expect": fingerprint, "survivor": ROOT}
    with pytest.raises(KeyUnavailable, match="its floors would not be kept; nothing was restored") as caught:
        restore(it, **options)
    assert (caught.value.cluster, caught.value.reason) == (CLUSTER, "wrong_key")
    store = restore(it, **options, survivor_keys=it.kit.keys)
    assert store.cluster(CLUSTER).restore_request().minimum_bundle_version == 2


def test_a_surviving_folder_under_another_clusters_name_raises_no_floor_of_that_one() -> None:
    """Mutation: the folder's name is believed, and another cluster gets floors that it can never reach."""
    it = furnished()
    setup = cluster_setup(it.kit.keys, SeededRandomness(9), Policy())
    filesystem = stopped(it)
    assert surviving_floors(filesystem, ROOT, setup)[CLUSTER].bundle[0] == 1
    clusters = folder(filesystem, "clusters")
    clusters.rename(CLUSTER, "other")
    clusters.sync()
    assert surviving_floors(filesystem, ROOT, setup) == {}


def test_a_survivor_that_is_not_there_is_told_by_its_whole_path() -> None:
    """Mutation: the last part of its path was all that the error named."""
    it = furnished()
    it.kit.store.backup(BACKUP)
    with pytest.raises(NoSuchStore, match="nothing of a store is left in /mnt/old; nothing was restored") as caught:
        restore(it, survivor="/mnt/old")
    assert caught.value.reason == "no_survivor"
    with pytest.raises(FileNotFoundError):
        it.kit.filesystem.open_root(NEW_ROOT)


@pytest.mark.parametrize("place", [f"{ROOT}/inner", f"{ROOT}/clusters/inner", f"{ROOT}/{FOLDER}/inner"])
def test_no_store_is_restored_into_another_one(place: str) -> None:
    """Mutation: a store was made inside the store that the backup was of, and would have gone with it."""
    it = furnished()
    it.kit.store.backup(BACKUP)
    with pytest.raises(MisuseError, match=f"{place} lies inside the store in {ROOT}") as caught:
        NodeStore.restore(BACKUP, place, keys=it.kit.keys, clock=it.kit.clock, filesystem=it.kit.filesystem, background=False)
    assert caught.value.reason == "inside_store" and [path for path in files(it.kit.filesystem) if "inner" in path] == []


def test_a_survivor_that_cannot_be_read_hinders_nothing() -> None:
    it = furnished()
    it.kit.store.backup(BACKUP)
    it.kit.store.close()
    write_file(it.kit.filesystem, f"{FOLDER}/WITNESS", bytes(8192))
    assert restore(it, survivor=ROOT).clusters()


def test_a_revoked_identity_stays_revoked_over_a_restore() -> None:
    """Fails when a restored identity is not judged by the bundle."""
    from rap_projections.documents import Revocation, RevocationKind

    it = enrolled()
    entry = Revocation(RevocationKind.IDENTITY, "node:node-1", (), None)
    it.cluster.trust.update(it.fabric.next_bundle(revocations=(entry,)))
    other = restored(it)
    assert other.cluster.identity.status().enrollment.value == "revoked"


def test_a_restore_that_a_power_cut_ended_anywhere_is_no_store_and_can_be_repeated() -> None:
    """Fails when the store's marker is written before its clusters."""
    made = enrolled()
    made.kit.store.backup(BACKUP)
    made.kit.store.close()
    sound = made.kit.filesystem.image()
    outcomes = set()
    for at in range(0, 2000, 11):
        made.kit.filesystem = sound.image()
        made.kit.filesystem.crash_after(at)
        try:
            restore(made).close()
            finished = True
        except SimulatedCrash:
            finished = False
        made.kit.filesystem = made.kit.filesystem.crash()
        try:
            store = NodeStore.open(
                NEW_ROOT, keys=made.kit.keys, clock=made.kit.clock, filesystem=made.kit.filesystem, background=False
            )
        except NoSuchStore:
            store = restore(made)
            outcomes.add("repeated")
        else:
            outcomes.add("there")
        assert store.cluster(CLUSTER).status()["trust"]["restore_state"] == "restored-not-validated", at
        assert store.unopened == {}
        store.close()
        if finished:
            break
    assert finished and outcomes == {"repeated", "there"}


def test_errors_show_no_key() -> None:
    it = enrolled()
    it.kit.store.backup(BACKUP, recipient=RECIPIENT)
    errors = []
    for options in ({}, {"recovery": bytes(32)}, {"keys": other_keys(), "recovery": RECOVERY}):
        with pytest.raises(StateStoreError) as caught:
            restore(it, **options)
        errors.append(str(caught.value) + repr(caught.value))
    for secret in (RECOVERY, it.kit.keys.key_encryption_key()):
        assert not any(text.decode("latin-1") in error for error in errors for text in spelled(secret))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, KeyUnavailable), ({"expect": "00" * 32}, WrongFingerprint), ({"expect": 7}, MisuseError), ({"shorten": 1}, MisuseError),
        ({"as_text": True}, MisuseError),
    ],
    ids=["another recipient", "another store", "a slip beside it", "one byte short", "text"],
)  # fmt: skip
def test_no_frame_of_a_restore_that_fails_shows_the_recovery_key(given: dict[str, Any], error: type[Exception]) -> None:
    """Collectors of errors send local variables along, and there stood the recovery key."""
    it, key = enrolled(), SeededRandomness("canary")(32)
    fingerprint = it.kit.store.backup(BACKUP, recipient=RECIPIENT).fingerprint
    options: dict[str, Any] = {"expect": given.get("expect", fingerprint)}
    options["recovery"] = key.hex() if "as_text" in given else key[: 32 - given.get("shorten", 0)]
    canary = Canary({"key": key[:31]})
    with pytest.raises(error) as caught:
        NodeStore.restore(BACKUP, NEW_ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem, **options)
    shown = shown_with_locals(caught.value)
    assert "in restore\n" in shown and canary.found_in(shown) == []


def test_a_store_that_lost_its_marker_is_damage_and_no_half_restore() -> None:
    """Fails when a restore takes every root without a marker for its own leavings: it would wipe a node's clusters."""
    it = enrolled()
    it.kit.store.backup(BACKUP)
    it.kit.store.close()
    folder(it.kit.filesystem, "").unlink("MARKER")
    before = files(it.kit.filesystem)
    with pytest.raises(DamageError):
        NodeStore.restore(BACKUP, ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem)
    assert files(it.kit.filesystem) == before


def test_a_folder_with_something_else_in_it_is_left_alone() -> None:
    it = enrolled()
    it.kit.store.backup(BACKUP)
    with it.kit.filesystem.open_root(NEW_ROOT, create=True) as root:
        root.create("letter").close()
        with pytest.raises(MisuseError):
            restore(it)
        assert set(root.names()) == {"LOCK", "letter"}
