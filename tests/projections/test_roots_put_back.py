"""Roots, clusters and the agent's journal that were put back from an older copy, or lost, beside an anchor that was not."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from rap_journal.errors import NoSpace
from rap_journal.testing import MemoryFileSystem, SimulatedCrash
from rap_journal.trees import remove_tree
from rap_projections.operations import Operation
from rap_projections.refusals import NotValidated
from rap_projections.testing import Fabric
from tests.projections.anchor_kit import (
    DOUBTED,
    NORMAL,
    anchor_of,
    in_step,
    note_of,
    put_back,
    raise_floors,
    reopened,
    restore_state,
    tick,
    told,
)
from tests.projections.restore_kit import BACKUP, answer, restore
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, destroy, files, flip_bit, folder, names, write_file


def validate(it: Ready) -> None:
    now_s = it.cluster.status()["trusted_time_s"]
    ticket = it.fabric.restore_ticket(**answer(it.cluster.restore_request()), issued_at_s=now_s, expires_at_s=now_s + 600)
    it.cluster.validate_restore(ticket)


def test_a_whole_root_that_was_put_back_is_seen_and_every_cluster_waits_for_a_ticket() -> None:
    it = in_step()
    other = Fabric("other")
    it.kit.join(other)
    copy = it.kit.filesystem.image()
    raise_floors(it)
    store = put_back(it, copy)
    assert told(store) == ("rolled_back", "seen")
    for cluster in store.clusters():
        assert cluster.status()["trust"]["restore_state"] == "restored-not-validated"
        assert cluster.status()["anchor"] == "rolled_back"
        assert cluster.restore_request().reason == "rollback"
        assert cluster.allows(Operation.RESOLVE_SECRET)[:2] == (False, "not_validated")
    with pytest.raises(NotValidated):
        it.cluster.require(Operation.ACTIVATE_UPDATE)
    assert "anchor-rolled-back" in [diagnostic.code for diagnostic in store.agent.view().diagnostics]
    assert (note_of(it).reason, note_of(it).doubtful) == ("rolled_back", ())


def test_a_ticket_settles_it_for_good() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    put_back(it, copy)
    it.cluster.trust.update(it.fabric.bundle())
    validate(it)
    for _ in range(2):
        store = reopened(it)
        assert told(store) == ("current", "not_seen")
        assert it.cluster.status()["trust"]["restore_state"] == "normal"


def test_without_a_ticket_the_next_opening_is_in_step_and_still_not_validated() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    put_back(it, copy)
    nonce = it.cluster.restore_request().nonce
    store = reopened(it)
    assert told(store) == ("current", "not_seen")
    assert restore_state(it) == DOUBTED
    assert it.cluster.restore_request().nonce == nonce


def test_a_root_put_back_twice_is_seen_twice() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    for _ in range(2):
        assert told(put_back(it, copy)) == ("rolled_back", "seen")
        assert restore_state(it) == DOUBTED


def test_a_copy_from_after_the_last_raise_is_not_seen_which_is_the_window() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    it.cluster.trust.update(it.fabric.next_bundle())
    tick(it, hours=5)
    assert told(put_back(it, copy)) == ("current", "not_seen")
    assert restore_state(it) == NORMAL


def test_of_a_clone_beside_the_original_whoever_raises_second_sees_it_while_at_work() -> None:
    it = in_step()
    clone = Ready(it.kit, it.fabric)
    original, disk = it.kit.store, it.kit.filesystem
    it.kit.filesystem = disk.image()
    it.kit.open()
    raise_floors(clone)
    assert restore_state(clone) == NORMAL
    # The original goes on meanwhile; before it raises the anchor, it asks.
    it.kit.store, it.kit.filesystem = original, disk
    it.cluster.activate(it.fabric.peers(["node-1"]))
    tick(it, hours=7)
    assert told(original) == ("rolled_back", "seen")
    assert restore_state(it) == DOUBTED


def test_a_crash_at_any_operation_of_the_opening_that_sees_it_hides_nothing() -> None:
    at, is_done = 0, False
    while not is_done:
        it = in_step()
        copy = it.kit.filesystem.image()
        raise_floors(it)
        it.kit.filesystem.crash()
        it.kit.filesystem = copy
        copy.crash_after(at)
        with suppress(SimulatedCrash):
            it.kit.open()
            is_done = True
        it.kit.filesystem = it.kit.filesystem.crash()
        it.kit.clock.reboot()
        it.kit.open()
        assert restore_state(it) == DOUBTED, at
        assert note_of(it).doubtful == ()
        at += 1
    assert at > 40


def test_a_cluster_that_could_not_be_opened_then_is_marked_when_it_can() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    marker = f"clusters/{CLUSTER}/MARKER"
    content = bytes(folder(copy, f"clusters/{CLUSTER}").open("MARKER").read_at(0, 1 << 16))
    write_file(copy, marker, bytes(len(content)))
    store = put_back(it, copy)
    assert (list(store.unopened), note_of(it).doubtful) == ([CLUSTER], (CLUSTER,))
    store.close()
    write_file(it.kit.filesystem, marker, content)
    store = it.kit.open()
    assert told(store) == ("current", "not_seen")
    assert (restore_state(it), note_of(it).doubtful) == (DOUBTED, ())


def test_a_cluster_that_was_left_and_is_joined_again_after_the_root_was_put_back_is_in_doubt_too() -> None:
    it = in_step()
    it.kit.store.leave(CLUSTER, reason="operator")
    copy = it.kit.filesystem.image()
    it.kit.join(Fabric("other"))
    tick(it, hours=7)
    store = put_back(it, copy)
    assert told(store) == ("rolled_back", "seen")
    it.kit.join(it.fabric)
    assert restore_state(it) == DOUBTED


def no_room(*arguments: object, **more: object) -> tuple[()]:
    raise NoSpace("the disk is full; nothing was changed.")


def test_without_room_for_its_event_a_rollback_is_told_and_nothing_is_raised_until_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    with monkeypatch.context() as full:
        full.setattr("rap_projections.anchoring.decide_numbered", no_room)
        store = put_back(it, copy)
        assert told(store) == ("rolled_back", "seen")
        assert restore_state(it) == DOUBTED
        assert (anchor_of(it).read(), note_of(it).number) == (3, 2)
        # A cluster that is not open yet is in doubt in memory, and at the next opening again.
        other = it.kit.join(Fabric("other"))
        assert other.status()["trust"]["restore_state"] == "normal"
        tick(it, hours=1)
        assert (anchor_of(it).read(), note_of(it).number) == (3, 2)
    tick(it, hours=1)
    assert (anchor_of(it).read(), note_of(it).number) == (4, 4)


def test_on_a_full_disk_the_reserve_has_room_for_it() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    copy.capacity_bytes = copy.used_bytes
    put_back(it, copy)
    assert (told(it.kit.store), restore_state(it)) == (("rolled_back", "seen"), DOUBTED)
    assert (anchor_of(it).read(), note_of(it).number) == (4, 4)


def test_a_cluster_that_fails_closed_is_marked_once_it_was_reset() -> None:
    it = in_step()
    it.cluster.identity.request(node_id="node-1", membership_id="m-1")
    copy = it.kit.filesystem.image()
    raise_floors(it)
    for path in names(copy, f"{FOLDER}/identity/", part="document"):
        write_file(copy, path, bytes(300))
    put_back(it, copy)
    assert it.cluster.status()["fail_closed"] == "identity_damaged"
    assert (restore_state(it), note_of(it).doubtful) == (NORMAL, (CLUSTER,))
    it.cluster.reset("identity")
    assert it.cluster.status()["fail_closed"] is None
    assert (restore_state(it), note_of(it).doubtful) == (DOUBTED, ())


def test_a_cluster_folder_that_was_put_back_alone_is_below_the_floors_that_were_written() -> None:
    it = in_step()
    old = it.kit.filesystem.image()
    raise_floors(it)
    floors = it.cluster.known_floors()
    it.kit.store.close()
    copy_folder(old, it.kit.filesystem, f"clusters/{CLUSTER}")
    store = it.kit.open()
    assert told(store) == ("current", "not_seen")
    assert restore_state(it) == DOUBTED
    # It cannot go below what was accepted before, and the ticket will demand the newer bundle.
    assert it.cluster.known_floors().bundle == floors.bundle
    assert it.cluster.restore_request().minimum_bundle_version == 2
    it.kit.anchor = None
    reopened(it)
    assert restore_state(it) == DOUBTED


def test_what_was_written_with_an_anchor_serves_without_one() -> None:
    it = in_step()
    old = it.kit.filesystem.image()
    raise_floors(it)
    it.kit.store.close()
    copy_folder(old, it.kit.filesystem, f"clusters/{CLUSTER}")
    it.kit.anchor = None
    assert told(it.kit.open()) == ("none", "cannot_tell")
    assert restore_state(it) == DOUBTED


def copy_folder(source: MemoryFileSystem, target: MemoryFileSystem, path: str) -> None:
    """Put the files of a folder back from an older disk."""
    for name in files(target, f"{path}/"):
        parent, _, base = name.rpartition("/")
        folder(target, parent).unlink(base)
    for name, content in files(source, f"{path}/").items():
        write_file(target, name, content)


# The agent's journal


AGENT_DAMAGE: dict[str, Callable[[MemoryFileSystem], object]] = {
    "its witness is destroyed": lambda disk: write_file(disk, "agent/WITNESS", bytes(8192)),
    "its folder is gone": lambda disk: remove_tree(folder(disk, ""), "agent"),
    "its keys are destroyed": lambda disk: destroy(disk, "agent", part="keys"),
}


@pytest.mark.parametrize("damage", AGENT_DAMAGE)
def test_an_agent_journal_that_was_begun_anew_knows_no_number_so_that_every_cluster_waits_for_a_ticket(damage: str) -> None:
    it = in_step()
    it.kit.store.close()
    AGENT_DAMAGE[damage](it.kit.filesystem)
    store = it.kit.open()
    assert told(store) == ("rolled_back", "seen")
    assert restore_state(it) == DOUBTED
    assert told(reopened(it)) == ("current", "not_seen")


def test_an_agent_journal_that_lost_its_last_number_is_told_from_one_that_never_had_it() -> None:
    it = in_step()
    raise_floors(it)
    it.kit.store.close()
    path = names(it.kit.filesystem, "agent/journal", part="-")[0]
    # Every frame behind the first is damaged, those with numbers among them.
    for offset in range(900, len(files(it.kit.filesystem)[path]), 64):
        flip_bit(it.kit.filesystem, path, offset)
    store = it.kit.open()
    assert told(store) == ("rolled_back", "seen")
    assert restore_state(it) == DOUBTED


def test_a_store_restored_from_a_backup_goes_on_with_the_anchor_of_the_old_one() -> None:
    it = in_step()
    it.kit.store.backup(BACKUP)
    store = restore(it, anchor=it.kit.anchor)
    assert told(store) == ("rolled_back", "seen")
    assert store.cluster(CLUSTER).restore_request().reason == "backup"
    assert store.agent.view().anchor.number == anchor_of(it).read() == 3
