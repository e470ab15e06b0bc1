"""A TPM 2.0 in software: what it sealed it alone opens, and its counter only rises."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rap_journal.errors import KeyLost, KeyUnavailable, MisuseError, StateStoreError, UnsafeFile
from rap_journal.testing import SeededRandomness
from rap_projections import NodeStore
from rap_projections.key_providers.anchors import STEPS_MAX
from rap_projections.key_providers.tpm2 import NV_INDEX, Tpm2Anchor, Tpm2Provider
from rap_projections.keys import FileKeyProvider
from tests.projections.key_providers.keepers import SoftwareTpm, need_library, software_tpm

KEY = bytes(range(32))
RANDOM = SeededRandomness(4)


@pytest.fixture
def tpm() -> Iterator[SoftwareTpm]:
    with software_tpm() as tpm:
        yield tpm


@pytest.fixture
def keys(tpm: SoftwareTpm, tmp_path: Path) -> Tpm2Provider:
    provider = Tpm2Provider(tmp_path / "node.tpm", tcti=tpm.tcti)
    provider.provision(lambda count: KEY[:count])
    return provider


def reason_of(provider: Tpm2Provider, error: type[StateStoreError]) -> str | None:
    with pytest.raises(error) as caught:
        provider.key_encryption_key()
    assert type(caught.value) is error
    return caught.value.reason


# What needs no TPM


def test_without_the_library_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(KeyUnavailable, match=r"pip install 'rap-node-state\[tpm2\]'") as caught:
        Tpm2Provider(tmp_path / "node.tpm").provision(RANDOM)
    assert caught.value.reason == "missing_extra"
    assert list(tmp_path.iterdir()) == []


def test_a_sealed_key_that_is_gone_is_lost(tmp_path: Path) -> None:
    assert reason_of(Tpm2Provider(tmp_path / "node.tpm"), KeyUnavailable) == "no_tpm_blob"


def blob(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    "data",
    [b"", b"short", bytes(48), blob(b"RAPTPM02" + bytes(8)), blob(b"RAPTPM01\x02\0" + bytes(6)), blob(b"RAPTPM01\x01\0\x05\0" + bytes(4)),
     blob(b"RAPTPM01\x01\0" + bytes(4) + b"\x01\0"), blob(b"RAPTPM01\x01\0" + bytes(6)) + b"more", bytes(5000)],
)  # fmt: skip
def test_a_file_that_is_no_sealed_key_is_tampered(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "node.tpm"
    path.touch(0o600)
    path.write_bytes(data)
    assert reason_of(Tpm2Provider(path), KeyUnavailable) == "tpm_blob"


def test_a_representation_names_file_and_device_and_nothing_else(tmp_path: Path) -> None:
    assert repr(Tpm2Provider("/etc/rap/node.tpm")) == "Tpm2Provider('/etc/rap/node.tpm', tcti='device:/dev/tpmrm0')"
    assert repr(Tpm2Anchor()) == f"Tpm2Anchor({NV_INDEX:#x}, tcti='device:/dev/tpmrm0')"
    assert not Tpm2Provider("/etc/rap/node.tpm").holds_private_keys


@pytest.mark.parametrize("index", [0, 0x01400000, 0x01C00000, 0x81000001])
def test_an_index_that_is_not_the_owners_is_refused(index: int) -> None:
    with pytest.raises(MisuseError) as caught:
        Tpm2Anchor(index)
    assert caught.value.reason == "nv_index"


def test_a_tpm_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    need_library("tpm2_pytss", "tpm2")
    path = f"swtpm:path={tmp_path}/no-tpm"
    for attempt in (lambda: Tpm2Provider(tmp_path / "key", tcti=path).provision(RANDOM), Tpm2Anchor(tcti=path).read):
        with pytest.raises(KeyUnavailable, match="the TPM does not answer") as caught:
            attempt()
        assert (caught.value.reason, caught.value.action) == ("tpm", "retry")
    assert list(tmp_path.iterdir()) == []


# Sealing


def test_the_key_comes_back_and_stands_nowhere_in_the_file(keys: Tpm2Provider) -> None:
    data = Path(keys.path).read_bytes()
    assert keys.key_encryption_key() == KEY
    assert KEY not in data and KEY[:8] not in data
    assert (data[:8], len(data)) == (b"RAPTPM01", 16 + 48 + 160 + 32)
    assert Path(keys.path).stat().st_mode & 0o7777 == 0o600


def test_provisioning_again_keeps_the_key(keys: Tpm2Provider) -> None:
    before = Path(keys.path).read_bytes()
    keys.provision(RANDOM)
    assert Path(keys.path).read_bytes() == before


def test_the_key_comes_back_after_a_reboot(keys: Tpm2Provider, tpm: SoftwareTpm) -> None:
    tpm.stop()
    assert reason_of(keys, KeyUnavailable) == "tpm"
    tpm.start()
    assert keys.key_encryption_key() == KEY


def test_it_can_be_asked_more_often_than_a_tpm_has_places_for_objects(keys: Tpm2Provider) -> None:
    assert {keys.key_encryption_key() for _again in range(12)} == {KEY}


def test_after_clearing_the_tpm_the_key_is_lost(keys: Tpm2Provider, tpm: SoftwareTpm) -> None:
    tpm.clear()
    assert reason_of(keys, KeyLost) == "tpm_integrity"


def test_another_machines_tpm_does_not_open_it(keys: Tpm2Provider) -> None:
    with software_tpm() as other:
        assert reason_of(Tpm2Provider(keys.path, tcti=other.tcti), KeyLost) == "tpm_integrity"


@pytest.mark.parametrize("offset", [0, 10, 20, 100, 200, -1])
def test_a_changed_blob_is_tampered(keys: Tpm2Provider, offset: int) -> None:
    data = bytearray(Path(keys.path).read_bytes())
    data[offset] ^= 1
    Path(keys.path).write_bytes(data)
    assert reason_of(keys, KeyUnavailable) == "tpm_blob"


def test_a_changed_blob_with_a_right_digest_opens_nothing(keys: Tpm2Provider) -> None:
    data = bytearray(Path(keys.path).read_bytes()[:-32])
    data[-1] ^= 1
    Path(keys.path).write_bytes(blob(bytes(data)))
    assert reason_of(keys, KeyLost) == "tpm_integrity"


def test_a_blob_that_others_may_read_is_not_used(keys: Tpm2Provider) -> None:
    Path(keys.path).chmod(0o644)
    assert reason_of(keys, UnsafeFile) == "mode"


def test_an_owner_hierarchy_with_a_password_is_said_to_be_in_the_way(keys: Tpm2Provider, tpm: SoftwareTpm) -> None:
    tpm.set_owner_password(b"not ours")
    assert reason_of(keys, KeyUnavailable) == "tpm_owner_password"


def test_a_store_lives_by_a_tpm_and_a_copy_of_it_elsewhere_does_not_open(keys: Tpm2Provider, tmp_path: Path) -> None:
    with NodeStore.open(tmp_path / "store", keys=keys, create=True, background=False) as store:
        assert store.report()["protection"] == "tpm2"
    NodeStore.open(tmp_path / "store", keys=keys, background=False).close()
    with software_tpm() as other, pytest.raises(KeyLost):
        NodeStore.open(tmp_path / "store", keys=Tpm2Provider(keys.path, tcti=other.tcti), background=False)


def test_a_sealed_key_inside_the_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MisuseError) as caught:
        NodeStore.open(tmp_path / "store", keys=Tpm2Provider(tmp_path / "store" / "key"), create=True, background=False)
    assert caught.value.reason == "key_inside_root"
    assert list(tmp_path.iterdir()) == []


def test_a_store_moves_from_a_key_file_to_the_tpm(keys: Tpm2Provider, tmp_path: Path) -> None:
    file = FileKeyProvider(tmp_path / "node.key")
    with NodeStore.open(tmp_path / "store", keys=file, create=True, background=False) as store:
        store.keys.add_slot(keys)
    with NodeStore.open(tmp_path / "store", keys=keys, background=False) as store:
        store.keys.remove_slot(file)
    with pytest.raises(KeyUnavailable):
        NodeStore.open(tmp_path / "store", keys=file, background=False)


# The counter; what every anchor promises is in tests/contracts


def test_the_counter_outlives_a_reboot_and_provisioning_again_keeps_it(tpm: SoftwareTpm) -> None:
    anchor = Tpm2Anchor(tcti=tpm.tcti)
    anchor.provision()
    anchor.raise_to(anchor.read() + 3)
    before = anchor.read()
    tpm.stop()
    tpm.start()
    anchor.provision()
    assert Tpm2Anchor(tcti=tpm.tcti).read() == before


def test_a_counter_that_was_never_made_is_lost(tpm: SoftwareTpm) -> None:
    for attempt in (Tpm2Anchor(tcti=tpm.tcti).read, lambda: Tpm2Anchor(tcti=tpm.tcti).raise_to(1)):
        with pytest.raises(KeyLost, match="Make it anew") as caught:
            attempt()
        assert caught.value.reason == "no_counter"


def test_a_counter_that_is_made_anew_starts_above_the_old_one(tpm: SoftwareTpm) -> None:
    import tpm2_pytss

    anchor = Tpm2Anchor(tcti=tpm.tcti)
    anchor.provision()
    anchor.raise_to(STEPS_MAX)
    before = anchor.read()
    with tpm2_pytss.ESAPI(tpm.tcti) as context:
        context.nv_undefine_space(context.tr_from_tpmpublic(NV_INDEX))
    with pytest.raises(KeyLost):
        anchor.read()
    anchor.provision()
    assert anchor.read() > before


def test_two_counters_beside_each_other_do_not_disturb_each_other(tpm: SoftwareTpm) -> None:
    first, second = Tpm2Anchor(tcti=tpm.tcti), Tpm2Anchor(NV_INDEX + 1, tcti=tpm.tcti)
    first.provision()
    second.provision()
    before = second.read()
    first.raise_to(first.read() + 5)
    assert second.read() == before
