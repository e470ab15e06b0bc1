"""Checkpoints that nobody asks for: when they are written, how much of the time they take, and what one that fails does."""

import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rap_journal.errors import NoSpace
from rap_projections import ClusterState, NodeStore
from rap_projections.due_checkpoints import PAUSES_PER_CHECKPOINT, RETRY_US, DueCheckpoints
from rap_projections.keys import FileKeyProvider
from rap_projections.policy import Policy
from rap_projections.testing import Fabric, ManualClock
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, names, ready

DAY_S = 86_400


def sets(it: Ready) -> list[str]:
    """The checkpoint files of one class, which are as many as there are sets."""
    return names(it.kit.filesystem, f"{FOLDER}/identity", part="checkpoint-")


def newest(cluster: ClusterState) -> int:
    """LSN of the newest set, as the cluster tells it."""
    checkpoint = cluster.view().health.checkpoint
    assert checkpoint is not None
    return checkpoint.at_lsn


def note(it: Ready, count: int) -> None:
    for number in range(count):
        it.cluster.note(f"note {number}")


def test_after_so_many_events_one_is_written() -> None:
    """Mutation: ask for more than the policy says."""
    it = ready(policy=Policy(checkpoint_interval_events=40))
    before = len(sets(it))
    note(it, 39 - it.cluster.view().lsn)
    it.kit.store.tick()
    assert len(sets(it)) == before
    note(it, 1)
    it.kit.store.tick()
    assert len(sets(it)) == before + 1
    # The event that tells of it is the only one behind it.
    it.cluster.flush()
    assert newest(it.cluster) == it.cluster.view().lsn - 1
    it.kit.store.tick()
    assert len(sets(it)) == before + 1


def test_after_so_many_bytes_one_is_written() -> None:
    it = ready(policy=Policy(checkpoint_interval_bytes=16 * 1024))
    before, written = len(sets(it)), it.cluster._core.journal.written_bytes
    while it.cluster._core.journal.written_bytes - written < 8 * 1024:
        note(it, 1)
    it.kit.store.tick()
    assert len(sets(it)) == before
    while it.cluster._core.journal.written_bytes < 16 * 1024:
        note(it, 1)
    it.kit.store.tick()
    assert len(sets(it)) == before + 1


def test_after_a_day_one_is_written_where_anything_happened() -> None:
    it = ready()
    before = len(sets(it))
    it.kit.clock.advance(seconds=DAY_S - 600)
    it.kit.store.tick()
    assert len(sets(it)) == before
    it.kit.clock.advance(seconds=601)
    it.kit.store.tick()
    assert len(sets(it)) == before + 1


def test_what_was_replayed_counts_after_an_opening() -> None:
    """Mutation: begin counting at the opening. Then a node that often starts would replay more each time."""
    it = ready(policy=Policy(checkpoint_interval_events=60))
    note(it, 50)
    it.kit.kill()
    before = len(sets(it))
    note(it, 10)
    it.kit.store.tick()
    assert len(sets(it)) == before + 1


def test_one_that_was_asked_for_counts() -> None:
    it = ready(policy=Policy(checkpoint_interval_events=60))
    note(it, 50)
    it.cluster.checkpoint()
    before = len(sets(it))
    note(it, 50)
    it.kit.store.tick()
    assert len(sets(it)) == before


class Slow:
    """Stands in for a checkpoint that takes long, or fails."""

    def __init__(self, clock: ManualClock, seconds: float = 0, error: Exception | None = None) -> None:
        self.clock, self.seconds, self.error, self.count = clock, seconds, error, 0

    def __call__(self) -> None:
        self.count += 1
        self.clock.advance(seconds=self.seconds)
        if self.error is not None:
            raise self.error


def due(it: Ready, write: Callable[[], object]) -> DueCheckpoints:
    found = DueCheckpoints(it.cluster._context, write)
    found.opened()
    note(it, 60)
    return found


def test_one_that_took_long_is_followed_by_a_pause_nine_times_as_long() -> None:
    """Mutation: no pause. Then a writer that is never still would be folded again without end."""
    it = ready(policy=Policy(checkpoint_interval_events=10))
    slow = Slow(it.kit.clock, seconds=2)
    checkpoints = due(it, slow)
    checkpoints.tick()
    assert checkpoints.is_idle
    it.kit.clock.advance(seconds=2 * PAUSES_PER_CHECKPOINT - 0.001)
    checkpoints.tick()
    assert slow.count == 1
    it.kit.clock.advance(seconds=0.001)
    assert not checkpoints.is_idle
    checkpoints.tick()
    assert slow.count == 2


@pytest.mark.parametrize("error", [NoSpace("no space"), OSError(errno.EIO, "disk")], ids=type)
def test_one_that_fails_is_tried_again_after_a_minute_and_stands_in_status(error: Exception) -> None:
    it = ready(policy=Policy(checkpoint_interval_events=10))
    failing = Slow(it.kit.clock, error=error)
    checkpoints = due(it, failing)
    checkpoints.tick()
    assert (checkpoints.failure, failing.count) == (type(error).__name__, 1)
    it.kit.clock.advance(seconds=RETRY_US / 1_000_000 - 0.001)
    checkpoints.tick()
    assert failing.count == 1
    it.kit.clock.advance(seconds=0.001)
    checkpoints.tick()
    assert failing.count == 2
    checkpoints.written(it.cluster.view().lsn)
    assert (checkpoints.failure, checkpoints.is_idle) == (None, True)


def test_a_failing_disk_keeps_a_due_checkpoint_from_being_written_and_status_says_so() -> None:
    it = ready(policy=Policy(checkpoint_interval_events=10))
    note(it, 20)
    before = it.cluster.digest()
    it.kit.filesystem.fail("write", f"{FOLDER}/tmp/*", errno.EIO)
    it.kit.store.tick()
    assert it.cluster.status()["writer"]["checkpoint_failure"] == "StorageError"
    assert it.cluster.digest() == before
    it.kit.clock.advance(seconds=RETRY_US / 1_000_000)
    it.kit.store.tick()
    assert it.cluster.status()["writer"]["checkpoint_failure"] is None


def test_a_cluster_that_fails_closed_is_left_alone() -> None:
    it = ready(policy=Policy(checkpoint_interval_events=10))
    note(it, 20)
    it.cluster._context.fail_closed("trust_damaged")
    assert it.cluster.upkeep.is_idle


def test_the_thread_for_upkeep_writes_one_while_the_agent_goes_on(tmp_path: Path) -> None:
    fabric = Fabric(CLUSTER)
    policy = Policy(checkpoint_interval_events=50)
    with NodeStore.open(f"{tmp_path}/store", keys=FileKeyProvider(f"{tmp_path}/key"), create=True, policy=policy) as store:
        cluster = store.join(CLUSTER, bundle=fabric.bootstrap, expect=fabric.fingerprint)
        seen = threading.Event()
        cluster.subscribe(lambda delivered: seen.set(), kinds=["CheckpointWritten"])
        for number in range(60):
            cluster.note(f"note {number}")
        assert seen.wait(60)
        assert newest(cluster) >= 40
