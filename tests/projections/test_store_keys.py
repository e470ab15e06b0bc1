"""Who may open a store: slots are added and removed in all its journals, in any of which a crash may come between."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from rap_journal.errors import KeyLost, KeyTampered, KeyUnavailable, MisuseError, NoSpace
from rap_journal.key_files import make_key_file
from rap_journal.markers import ProviderKind, read_marker
from rap_journal.testing import SeededRandomness
from rap_journal.verify import verify_store
from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider, Tpm2Provider
from rap_projections.store_verification import SHAPES
from rap_projections.testing import Fabric, MemoryKeyProvider
from rap_projections.testing.memory_store import ROOT
from tests.projections.key_kit import COPIES, KEYS, Other, Words, keys_of, kinds, reopened_by, with_two
from tests.projections.store_kit import CLUSTER, Ready, crashed_at_every_operation, files, folder, ready, write_file


@pytest.fixture
def it() -> Ready:
    return ready()


def marked(it: Ready) -> list[str]:
    return [read_marker(folder(it.kit.filesystem, path)).marker.provider.name for path in ("", "agent", f"clusters/{CLUSTER}")]


def test_a_new_store_has_one_slot_in_each_journal_of_the_provider_it_was_made_with(it: Ready) -> None:
    assert kinds(it) == {"agent": ["MEMORY"], CLUSTER: ["MEMORY"]}
    assert len({slot.id for slot in keys_of(it).slots()}) == 2
    assert keys_of(it).protection == "memory"


@pytest.mark.parametrize("provider", [Other(), Words()], ids=["a key", "a passphrase"])
def test_an_added_provider_opens_the_whole_store(it: Ready, provider: MemoryKeyProvider) -> None:
    before = it.cluster.digest()
    assert keys_of(it).add_slot(provider) == 2
    assert kinds(it) == {name: ["MEMORY", provider.kind.name] for name in ("agent", CLUSTER)}
    reopened_by(it, provider)
    assert it.cluster.digest() == before
    name = provider.kind.name.lower()
    assert (it.kit.store.report()["protection"], it.cluster.status()["identity"]["protection"]) == (name, name)
    reopened_by(it, MemoryKeyProvider())


def test_adding_what_is_there_changes_nothing(it: Ready) -> None:
    assert keys_of(it).add_slot(MemoryKeyProvider()) == 0
    assert keys_of(it).add_slot(Other()) == 2
    before = files(it.kit.filesystem)
    assert keys_of(it).add_slot(Other()) == 0
    assert {path: data for path, data in files(it.kit.filesystem).items() if KEYS in path} == {
        path: data for path, data in before.items() if KEYS in path
    }


def test_a_second_key_of_a_kind_replaces_none(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    keys_of(it).add_slot(Other(b"p" * 32))
    assert kinds(it)["agent"] == ["MEMORY", "TPM2", "TPM2"]
    for key in (b"o" * 32, b"p" * 32):
        reopened_by(it, Other(key))


def test_a_cluster_that_is_joined_later_is_said_to_lack_the_slots_it_has_not(it: Ready) -> None:
    keys_of(it).add_slot(Words())
    assert keys_of(it).lacking() == {}
    it.kit.join(Fabric("late"))
    assert keys_of(it).lacking() == {"late": (ProviderKind.RECOVERY_PASSPHRASE,)}
    assert keys_of(it).add_slot(Words()) == 1
    assert keys_of(it).lacking() == {}


def test_a_cluster_that_is_joined_after_a_second_key_of_the_same_kind_is_said_to_lack_it(it: Ready) -> None:
    keys_of(it).add_slot(MemoryKeyProvider(b"2" * 32))
    it.kit.join(Fabric("late"))
    assert keys_of(it).lacking() == {"late": (ProviderKind.MEMORY,)}


def test_slots_can_be_removed_by_kind_by_provider_and_by_id(it: Ready) -> None:
    for number in range(3):
        keys_of(it).add_slot(Other(bytes([number]) * 32))
    assert keys_of(it).remove_slot(Other(b"\x01" * 32)) == 2
    one = next(slot for slot in keys_of(it).slots() if slot.provider is ProviderKind.TPM2)
    assert keys_of(it).remove_slot(one.id) == 1
    assert kinds(it) == {"agent": ["MEMORY", "TPM2"], CLUSTER: ["MEMORY", "TPM2", "TPM2"]}
    assert keys_of(it).remove_slot(ProviderKind.TPM2) == 3
    assert kinds(it) == {"agent": ["MEMORY"], CLUSTER: ["MEMORY"]}


@pytest.mark.parametrize("which", ["0" * 16, ProviderKind.FILE, Other()], ids=["id", "kind", "provider"])
def test_a_slot_that_is_not_there_cannot_be_removed(it: Ready, which: str | ProviderKind | Other) -> None:
    with pytest.raises(MisuseError, match="nothing was changed") as caught:
        keys_of(it).remove_slot(which)
    assert caught.value.reason == "no_slot"


@pytest.mark.parametrize("which", [ProviderKind.MEMORY, MemoryKeyProvider()], ids=["kind", "provider"])
def test_the_last_slot_stays(it: Ready, which: ProviderKind | MemoryKeyProvider) -> None:
    with pytest.raises(MisuseError) as caught:
        keys_of(it).remove_slot(which)
    assert caught.value.reason == "last_slot"


def test_the_way_in_that_is_in_use_stays_in_every_journal(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    before = kinds(it)
    for which in (ProviderKind.MEMORY, MemoryKeyProvider(), keys_of(it).slots()[0].id):
        with pytest.raises(MisuseError) as caught:
            keys_of(it).remove_slot(which)
        assert caught.value.reason == "slot_in_use"
    assert kinds(it) == before


def test_what_is_refused_for_one_journal_is_refused_for_all(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    reopened_by(it, Other())
    it.kit.join(Fabric("late"))
    keys_of(it).remove_slot(
        next(slot.id for slot in keys_of(it).slots() if slot.journal == CLUSTER and slot.provider.name == "MEMORY")
    )
    before = kinds(it)
    with pytest.raises(MisuseError):
        keys_of(it).remove_slot(ProviderKind.TPM2)
    assert kinds(it) == before


def test_a_provider_takes_over_and_the_markers_follow_when_the_old_ones_slots_go(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    reopened_by(it, Other())
    assert marked(it) == ["MEMORY"] * 3
    assert keys_of(it).remove_slot(ProviderKind.MEMORY) == 2
    assert marked(it) == ["TPM2"] * 3
    reopened_by(it, Other())
    it.kit.store.close()
    it.kit.keys = MemoryKeyProvider()
    with pytest.raises(KeyUnavailable) as caught:
        it.kit.open()
    assert caught.value.reason == "no_slot"


def test_every_change_stands_in_the_agents_history_without_a_secret(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    keys_of(it).remove_slot(Other())
    noted = [(entry.code, entry.text) for entry in it.kit.store.agent.view().diagnostics]
    assert noted == [
        ("key-slot-added", "provider tpm2, key files changed: 2"),
        ("key-slot-removed", "provider tpm2, slots that went: 2"),
    ]


def test_a_provider_without_its_key_gets_no_slot(it: Ready) -> None:
    def lost(_self: object) -> bytes:
        raise KeyLost("the key is gone", reason="gone")

    other = Other()
    other.key_encryption_key = lost.__get__(other)  # type: ignore[method-assign]  # this one answers so
    before = kinds(it)
    with pytest.raises(KeyLost):
        keys_of(it).add_slot(other)
    assert kinds(it) == before


@pytest.mark.parametrize("make", [FileKeyProvider, Tpm2Provider])
def test_a_provider_whose_file_lies_inside_the_root_gets_no_slot(it: Ready, make: Callable[[str], FileKeyProvider]) -> None:
    with pytest.raises(MisuseError) as caught:
        keys_of(it).add_slot(make(f"{ROOT}/key"))
    assert caught.value.reason == "key_inside_root"


def test_one_journal_that_is_damaged_keeps_no_other_from_its_slot(it: Ready) -> None:
    for copy in COPIES[0]:
        write_file(it.kit.filesystem, f"{copy}/{KEYS}", b"rot")
    with pytest.raises(Exception, match="no copy of keys-00000001 in agent is whole"):
        keys_of(it).add_slot(Other())
    assert kinds(it) == {CLUSTER: ["MEMORY", "TPM2"]}


def test_on_a_full_disk_nothing_changes_and_the_call_may_be_repeated(it: Ready) -> None:
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    with pytest.raises(NoSpace):
        keys_of(it).add_slot(Other())
    assert kinds(it) == {"agent": ["MEMORY"], CLUSTER: ["MEMORY"]}
    it.kit.filesystem.capacity_bytes = None
    assert keys_of(it).add_slot(Other()) == 2


def test_a_closed_store_has_no_keys_to_change(it: Ready) -> None:
    it.kit.store.close()
    with pytest.raises(MisuseError):
        keys_of(it).slots()


def test_a_cluster_whose_slots_somebody_weakened_stays_shut(it: Ready) -> None:
    keys_of(it).add_slot(Words())
    for copy in COPIES[1]:
        path = f"{copy}/{KEYS}"
        data = files(it.kit.filesystem)[path]
        weak = data[: 64 + 128 + 4] + b"\x01" + data[64 + 128 + 5 : -32]
        write_file(it.kit.filesystem, path, weak + hashlib.sha256(weak).digest())
    it.kit.store.close()
    it.kit.open()
    error = it.kit.store.unopened[CLUSTER]
    assert isinstance(error, KeyTampered) and error.reason == "kdf_bounds"
    assert kinds(it) == {"agent": ["MEMORY", "RECOVERY_PASSPHRASE"]}
    with pytest.raises(KeyTampered):
        keys_of(it).add_slot(Other())


def after_removal_of_memory(it: Ready) -> None:
    keys_of(it).remove_slot(ProviderKind.MEMORY)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_crash_at_any_operation_of_a_change_locks_nobody_out_and_the_change_can_be_finished(change: str) -> None:
    prepare = ready if change == "add" else lambda: with_two(Other())
    work = (lambda it: keys_of(it).add_slot(Other())) if change == "add" else after_removal_of_memory
    stays = MemoryKeyProvider() if change == "add" else Other()
    for crash in crashed_at_every_operation(prepare, work):
        report = verify_store(crash.it.kit.filesystem.open_root(ROOT), SHAPES, keys=stays)
        assert report.exit_code in (0, 6), (crash.at, report.findings)
        crash.it.kit.keys = stays
        crash.it.kit.open()
        assert crash.it.kit.store.unopened == {}, crash.at
        if change == "add":
            keys_of(crash.it).add_slot(Other())
            assert kinds(crash.it) == {"agent": ["MEMORY", "TPM2"], CLUSTER: ["MEMORY", "TPM2"]}
            reopened_by(crash.it, Other())
            continue
        if any("MEMORY" in there for there in kinds(crash.it).values()):
            keys_of(crash.it).remove_slot(ProviderKind.MEMORY)
        assert kinds(crash.it) == {"agent": ["TPM2"], CLUSTER: ["TPM2"]}
        assert marked(crash.it) == ["TPM2"] * 3
        for first, second in COPIES:
            found = files(crash.it.kit.filesystem)
            assert found[f"{first}/{KEYS}"] == found[f"{second}/{KEYS}"]


def test_on_a_real_disk_a_key_file_is_replaced_by_another_one(tmp_path: Path) -> None:
    old, new = FileKeyProvider(tmp_path / "old.key"), FileKeyProvider(tmp_path / "new.key")
    store = NodeStore.open(tmp_path / "store", keys=old, create=True, background=False)
    new.provision(lambda count: b"n" * count)
    assert store.keys.add_slot(new) == 1
    store.close()
    with NodeStore.open(tmp_path / "store", keys=new, background=False) as store:
        assert store.keys.remove_slot(old) == 1
    with pytest.raises(KeyUnavailable) as caught:
        NodeStore.open(tmp_path / "store", keys=old, background=False)
    assert caught.value.reason == "wrong_key"


def test_a_data_key_made_anew_lacks_the_other_slots_until_they_are_added_again(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    assert it.cluster._core.journal.rotate_data_key() == 2
    assert keys_of(it).lacking() == {CLUSTER: (ProviderKind.TPM2,)}
    assert [(slot.generation, slot.provider.name) for slot in keys_of(it).slots() if slot.journal == CLUSTER] == [
        (1, "MEMORY"), (1, "TPM2"), (2, "MEMORY"),
    ]  # fmt: skip
    assert keys_of(it).add_slot(Other()) == 1
    assert keys_of(it).lacking() == {}
    reopened_by(it, Other())


def test_a_marker_that_was_changed_for_a_slot_is_still_the_key_holders_and_can_be_changed_again(it: Ready) -> None:
    keys_of(it).add_slot(Other())
    reopened_by(it, Other())
    keys_of(it).remove_slot(ProviderKind.MEMORY)
    it.cluster._core.journal.rotate_data_key()
    reopened_by(it, Other())
    assert marked(it) == ["TPM2"] * 3
    assert it.cluster._core.journal.keys.marker.key_generation == 2


def test_a_key_file_of_an_older_generation_that_nobody_here_opens_is_left_as_it_is(it: Ready) -> None:
    it.cluster._core.journal.rotate_data_key()
    path = f"{COPIES[1][0]}/{KEYS}"
    foreign = make_key_file(Other(b"x" * 32), it.cluster._core.journal.keys.marker.journal_id, 1, b"d" * 32, SeededRandomness(3))
    for copy in COPIES[1]:
        write_file(it.kit.filesystem, f"{copy}/{KEYS}", foreign)
    assert keys_of(it).add_slot(Words()) == 2
    assert keys_of(it).remove_slot(Words()) == 2
    assert files(it.kit.filesystem)[path] == foreign
