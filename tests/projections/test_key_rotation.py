"""Data keys made anew: what opens afterwards, what no longer does, and what a crash leaves."""

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError, NoSpace
from rap_journal.markers import ProviderKind
from rap_journal.verify import verify_store
from rap_projections.keys import FileKeyProvider
from rap_projections.store_verification import SHAPES
from rap_projections.testing import Fabric, MemoryKeyProvider
from rap_projections.testing.memory_store import ROOT
from tests.projections.key_kit import KEYS, Other, Words, keys_of, reopened_by, with_two
from tests.projections.restore_kit import BACKUP, restore
from tests.projections.store_kit import CLUSTER, Ready, crashed_at_every_operation, files, ready, write_file


@pytest.fixture
def it() -> Ready:
    return ready()


def generations(it: Ready) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for slot in keys_of(it).slots():
        found.setdefault(slot.journal, set()).add(slot.generation)
    return found


def test_new_data_keys_are_made_in_every_journal_with_a_slot_of_each_provider_that_is_given(it: Ready) -> None:
    """Mutation: a new data key without slots of the others."""
    keys_of(it).add_slot(Other())
    keys_of(it).add_slot(Words())
    assert keys_of(it).rotate_data_keys([Other()]) == {"agent": 2, CLUSTER: 2}
    assert generations(it) == {"agent": {1, 2}, CLUSTER: {1, 2}}
    assert keys_of(it).lacking() == dict.fromkeys(("agent", CLUSTER), (ProviderKind.RECOVERY_PASSPHRASE,))
    it.cluster.health.enter_degraded("sealed_anew")
    assert ("data-key-rotated", "journals that have a new data key: 2") in [
        (entry.code, entry.text) for entry in it.kit.store.agent.view().diagnostics
    ]
    for provider in (Other(), MemoryKeyProvider()):
        reopened_by(it, provider)
        assert "sealed_anew" in it.cluster.view().health.degraded
    it.kit.store.close()
    it.kit.keys = Words()
    with pytest.raises(KeyUnavailable) as caught:
        it.kit.open()
    assert caught.value.reason == "no_slot"


def test_backups_are_signed_by_another_key_after_a_rotation_and_the_old_ones_still_restore(it: Ready) -> None:
    it.kit.store.backup(BACKUP)
    before = it.kit.store.report()["backup_fingerprint"]
    keys_of(it).rotate_data_keys()
    assert it.kit.store.report()["backup_fingerprint"] != before
    assert restore(it, expect=before).cluster(CLUSTER).id == CLUSTER


def test_key_files_from_before_a_slot_was_removed_open_nothing_once_the_data_keys_are_new(it: Ready) -> None:
    """Mutation: a new slot list in place of a new data key."""
    keys_of(it).add_slot(Other())
    kept = {path: data for path, data in files(it.kit.filesystem).items() if KEYS in path}
    keys_of(it).remove_slot(Other())
    assert keys_of(it).rotate_data_keys() == {"agent": 2, CLUSTER: 2}
    it.kit.store.close()
    for path, data in kept.items():
        write_file(it.kit.filesystem, path, data)
    it.kit.keys = Other()
    with pytest.raises(KeyUnavailable) as caught:
        it.kit.open()
    assert caught.value.reason == "no_slot"


def test_one_journal_that_is_full_keeps_no_other_from_its_new_data_key(it: Ready) -> None:
    it.kit.join(Fabric("late"))
    cluster = it.cluster

    def full() -> int:
        raise NoSpace("no room", cluster=CLUSTER)

    cluster.rotate_data_key = full  # type: ignore[method-assign]  # this one has no room
    with pytest.raises(NoSpace):
        keys_of(it).rotate_data_keys()
    assert generations(it) == {"agent": {1, 2}, CLUSTER: {1}, "late": {1, 2}}


def test_no_data_key_is_new_where_another_provider_cannot_be_meant(it: Ready) -> None:
    with pytest.raises(MisuseError) as caught:
        keys_of(it).rotate_data_keys([FileKeyProvider(f"{ROOT}/key")])
    assert caught.value.reason == "key_inside_root"
    assert generations(it) == {"agent": {1}, CLUSTER: {1}}


@pytest.mark.slow
def test_a_crash_at_any_operation_of_a_rotation_locks_nobody_out_and_loses_nothing() -> None:
    view = with_two(MemoryKeyProvider()).cluster.view()
    before = (view.trust, view.identity)
    for crash in crashed_at_every_operation(
        lambda: with_two(MemoryKeyProvider()), lambda it: keys_of(it).rotate_data_keys([Other()])
    ):
        report = verify_store(crash.it.kit.filesystem.open_root(ROOT), SHAPES, keys=MemoryKeyProvider())
        assert report.exit_code in (0, 6), (crash.at, report.findings)
        crash.it.kit.keys = MemoryKeyProvider()
        crash.it.kit.open()
        assert crash.it.kit.store.unopened == {}, crash.at
        keys_of(crash.it).rotate_data_keys([Other()])
        reopened_by(crash.it, Other())
        assert keys_of(crash.it).lacking() == {}, crash.at
        assert (crash.it.cluster.view().trust, crash.it.cluster.view().identity) == before, crash.at
