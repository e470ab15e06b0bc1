"""A checkpoint proves that replay gives the live state; what it retires is gone for good, and a crash anywhere changes no state."""

import errno

import pytest

from rap_journal.errors import OutcomeUnknown, Poisoned
from rap_projections.cluster import ClusterState
from rap_projections.event_kinds import event_of
from rap_projections.history import History
from rap_projections.lifecycle import CheckpointWritten, HistoryRetired
from rap_projections.policy import Policy
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import FOLDER, Ready, crashed_at_every_operation, furnished, names, ready, written

FORGETFUL = Policy(history_all_h=0)


def noted_and_checkpointed(it: Ready, count: int) -> list[int]:
    """So many notes, each with a checkpoint set behind it; the LSNs of the sets."""
    sets = []
    for number in range(count):
        it.cluster.note(f"note {number}")
        sets.append(it.cluster.checkpoint().lsn)
    return sets


def about_to_retire() -> Ready:
    """A store in which the next checkpoint retires history."""
    it = ready(policy=FORGETFUL)
    noted_and_checkpointed(it, 1)
    it.cluster.note("the next set makes the first ones history")
    return it


def state_after(it: Ready, lsn: int) -> str:
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        return history.cluster(it.fabric.cluster_id).state_at(lsn).digest()


def floor(it: Ready) -> int:
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        return history.cluster(it.fabric.cluster_id).horizon.oldest_lsn


def segments(it: Ready) -> list[str]:
    return names(it.kit.filesystem, f"{FOLDER}/journal/", part="-")


def contents(cluster: ClusterState) -> tuple[object, ...]:
    """What a state says but for what checkpoints write into it."""
    view = cluster.view()
    return (view.trust.bundle, view.snapshots, view.services, view.peers, view.routes, view.health.notes)


def test_the_set_the_floor_and_the_live_state_agree() -> None:
    it = furnished()
    live = it.cluster.digest()
    written_set = it.cluster.checkpoint()
    assert written_set.digest == live
    it.cluster.note("after the set")
    live = it.cluster.digest()
    it.kit.store.close()
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        cluster = history.cluster(it.fabric.cluster_id)
        newest = cluster.horizon.lsn
        digests = {cluster.state_at(newest).digest(), cluster.state_at(newest, from_floor=True).digest()}
    assert digests == {live, it.kit.open().cluster(it.fabric.cluster_id).digest()} == {live}


def test_a_checkpoint_says_in_the_history_what_it_holds() -> None:
    it = furnished()
    lsn = it.cluster.view().lsn
    written_set = it.cluster.checkpoint()
    assert (written_set.lsn, written_set.byte_count > 0) == (lsn, True)
    assert written_set.receipt is not None and written_set.receipt.changed
    it.cluster.flush()
    told = [event for event in map(event_of, written(it)) if isinstance(event, CheckpointWritten)]
    assert [event[0] for event in told] == [lsn]


def test_what_comes_after_a_set_is_in_the_next_one() -> None:
    it = ready()
    sets = noted_and_checkpointed(it, 3)
    assert sets == sorted(set(sets))
    assert len(it.cluster.view().health.notes) == 3


def test_history_is_kept_as_long_as_the_policy_says() -> None:
    it = ready(policy=Policy(history_all_h=1))
    noted_and_checkpointed(it, 5)
    assert floor(it) == 0
    before = segments(it)
    it.kit.clock.advance(seconds=3601)
    noted_and_checkpointed(it, 2)
    assert floor(it) > 0
    assert not set(before) <= set(segments(it))


def test_retiring_moves_the_floor_to_the_older_of_the_two_newest_sets() -> None:
    it = ready(policy=FORGETFUL)
    sets = noted_and_checkpointed(it, 5)
    assert floor(it) == sets[-2]
    for spec_folder in {path.rpartition("/")[0] for path in names(it.kit.filesystem, FOLDER, part="checkpoint-")}:
        assert len(names(it.kit.filesystem, spec_folder, part="checkpoint-")) == 2


def test_the_event_is_durable_first_then_sets_go_then_segments() -> None:
    it = about_to_retire()
    seen = len(it.kit.filesystem.operations)
    it.cluster.checkpoint()
    done = it.kit.filesystem.operations[seen:]
    removed = [operation.path for operation in done if operation.name == "unlink" and "/tmp/" not in operation.path]
    is_set = ["/checkpoint-" in path for path in removed]
    assert is_set == sorted(is_set, reverse=True) and is_set.count(True) == 9 and is_set.count(False) > 0
    first = next(operation.sequence for operation in done if operation.path == removed[0])
    synced = [operation.sequence for operation in done if operation.name == "sync" and "/journal/" in operation.path]
    retired = [event for event in map(event_of, written(it, floor(it))) if isinstance(event, HistoryRetired)]
    assert len(retired) == 1 and retired[0].floor_lsn == floor(it)
    assert max(synced) < first


def test_a_checkpoint_whose_sync_failed_leaves_the_one_before() -> None:
    it = about_to_retire()
    live = it.cluster.digest()
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    with pytest.raises((OutcomeUnknown, Poisoned)):
        it.cluster.checkpoint()
    it.kit.filesystem.heal()
    it.cluster.reopen()
    assert it.cluster.digest() == live


def test_a_crash_at_any_operation_of_checkpoint_and_retire_changes_no_state() -> None:
    expected = contents(about_to_retire().cluster)
    floors = []
    for crash in crashed_at_every_operation(about_to_retire, lambda it: it.cluster.checkpoint()):
        crash.it.kit.open()
        cluster = crash.it.cluster
        assert contents(cluster) == expected
        assert cluster.status()["fail_closed"] is None and not cluster.recovery.is_damage
        live, lsn = cluster.digest(), cluster.view().lsn
        floors.append(floor(crash.it))
        assert cluster.checkpoint().digest == live
        crash.it.kit.store.close()
        assert state_after(crash.it, lsn) == live
    first = next(at for at, lsn in enumerate(floors) if lsn)
    assert floors == [0] * first + [floors[-1]] * (len(floors) - first)
    assert 50 < first < len(floors) - 1
