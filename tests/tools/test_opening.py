"""Opening a store for reading: which cluster, which key, and what is missing."""

from pathlib import Path

import pytest

from rap_journal.errors import DamageError, KeyUnavailable, MisuseError, NoSuchStore
from rap_projections import NodeStore
from rap_projections.keys import RecoveryPassphraseProvider, SystemdCredentialProvider
from rap_projections.refusals import NoSuchCluster
from rap_projections.testing import Fabric
from rap_tools.opening import StoreReading
from tests.tools.command import Disk, all_bytes, make_store, new_disk


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """A store with two clusters."""
    disk = new_disk(tmp_path_factory.mktemp("two"))
    with disk.open(create=True) as store:
        for name in ("east", "west"):
            fabric = Fabric(name)
            store.join(name, bundle=fabric.bootstrap, expect=fabric.fingerprint).activate(fabric.peers(["node-1"]))
    return disk


def test_a_cluster_need_not_be_named_where_there_is_one(lab: Disk) -> None:
    with StoreReading.open(str(lab.root), None) as store:
        assert store.choose(None) == "lab"
        assert store.choose("lab", ["lab", None]) == "lab"


def test_of_several_clusters_one_must_be_named(two: Disk) -> None:
    with StoreReading.open(str(two.root), None) as store:
        with pytest.raises(MisuseError, match="east, west"):
            store.choose(None)
        assert store.choose(None, [None, "west"]) == "west"
        with pytest.raises(MisuseError, match="east and west"):
            store.choose("east", ["west"])
        with pytest.raises(NoSuchCluster, match="it holds east, west"):
            store.choose("north")


def test_a_store_without_a_cluster_has_none_to_choose(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    disk.open(create=True).close()
    with StoreReading.open(str(disk.root), None) as store, pytest.raises(NoSuchCluster, match="no cluster yet"):
        store.choose(None)


def test_without_a_key_frames_can_be_read_and_nothing_else(lab: Disk) -> None:
    with StoreReading.open(str(lab.root), None) as store:
        assert store.frames("lab").horizon.lsn > 0
        for ask in (lambda: store.history("lab"), store.agent_history):
            with pytest.raises(KeyUnavailable, match="key provider is file"):
                ask()


def test_the_key_comes_from_the_provider_that_the_marker_names_with_the_operators_settings(tmp_path: Path, lab: Disk) -> None:
    settings = {"RAP_STATE_KEY_FILE": str(lab.key_file)}
    with StoreReading.open(str(lab.root), None, settings) as store:
        assert (store.has_keys, store.key_file) == (True, str(lab.key_file))
        assert store.history("lab").horizon.lsn > 0
    with StoreReading.open(str(lab.root), None, {}) as store:
        assert (store.has_keys, store.keys) == (False, None)


def test_a_store_of_another_provider_says_which_setting_is_missing_and_opens_by_a_slot_that_is_named(tmp_path: Path) -> None:
    credential, passphrase = tmp_path / "rap.key", tmp_path / "passphrase"
    for path, content in ((credential, bytes(range(32))), (passphrase, b"correct horse battery staple\n")):
        path.touch(0o600)
        path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        with NodeStore.open(tmp_path / "node", keys=SystemdCredentialProvider("rap.key"), create=True, background=False) as made:
            made.keys.add_slot(RecoveryPassphraseProvider(lambda: b"correct horse battery staple"))
        with StoreReading.open(str(tmp_path / "node"), None, {"RAP_STATE_CREDENTIAL": "rap.key"}) as store:
            store.agent_history()
    with (
        StoreReading.open(str(tmp_path / "node"), None, {}) as store,
        pytest.raises(KeyUnavailable, match="provider systemd_credential, and RAP_STATE_CREDENTIAL does not say where"),
    ):
        store.agent_history()
    by_passphrase = {"RAP_STATE_KEY_PROVIDER": "recovery_passphrase", "RAP_STATE_PASSPHRASE_FILE": str(passphrase)}
    with StoreReading.open(str(tmp_path / "node"), None, by_passphrase) as store:
        store.agent_history()


def test_a_key_file_that_is_named_and_gone_is_lost(lab: Disk, tmp_path: Path) -> None:
    with StoreReading.open(str(lab.root), str(tmp_path / "absent")) as store, pytest.raises(KeyUnavailable):
        store.history("lab")


def test_a_folder_that_is_no_store_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(NoSuchStore):
        StoreReading.open(str(tmp_path), None)


def test_a_file_that_is_gone_is_damage(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    (disk.root / "clusters" / "lab" / "WITNESS").unlink()
    with StoreReading.open(str(disk.root), str(disk.key_file)) as store, pytest.raises(DamageError) as caught:
        store.history("lab")
    assert (caught.value.cluster, caught.value.reason) == ("lab", "missing_file")


def test_opening_takes_no_lock_and_changes_nothing(lab: Disk) -> None:
    before = all_bytes(lab.root)
    with StoreReading.open(str(lab.root), str(lab.key_file)) as reading:
        reading.history("lab")
        reading.agent_history()
        assert (reading.holder, reading.is_live) == (None, False)
    assert all_bytes(lab.root) == before


def test_a_live_writer_is_seen_with_what_it_says_of_itself(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(), StoreReading.open(str(disk.root), None) as reading:
        assert reading.is_live
        assert (reading.holder or "").startswith("pid ")
