"""One cluster's state: it reopens after a failed sync, its views never change, and what was written says why."""

import errno

import pytest

from rap_journal.errors import CursorDiverged, MisuseError, OutcomeUnknown, Poisoned
from tests.projections.store_kit import FOLDER, Ready, furnished, ready, written


def poisoned(it: Ready) -> None:
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster.note("on disk or not")


def test_after_a_failed_sync_writing_is_refused_until_it_is_reopened() -> None:
    it = ready()
    cluster = it.cluster
    before = cluster.digest()
    poisoned(it)
    with pytest.raises(Poisoned):
        cluster.note("refused")
    assert cluster.digest() == before
    cluster.reopen()
    receipt = cluster.note("works again")
    assert receipt.durable and cluster.view().health.notes[-1].text == "works again"
    assert "refused" not in [note.text for note in cluster.view().health.notes]
    live = cluster.digest()
    assert it.kit.kill().cluster(cluster.id).digest() == live


def test_handles_stay_valid_over_a_reopening() -> None:
    it = furnished()
    cluster, peers = it.cluster, it.cluster.peers
    cluster.reopen()
    assert peers is cluster.peers is it.cluster.peers
    peers.observe_many([("node-1", 11.0)])
    cluster.flush()
    assert it.cluster is cluster


def test_reopening_changes_no_state() -> None:
    it = furnished()
    before = it.cluster.digest()
    it.cluster.reopen()
    it.cluster.reopen()
    assert it.cluster.digest() == before and it.cluster.recovery.is_clean


def test_reopening_that_fails_may_be_tried_again() -> None:
    it = ready()
    before = it.cluster.digest()
    it.kit.filesystem.fail("read", f"{FOLDER}/WITNESS", errno.EIO)
    with pytest.raises(OSError, match="planned failure"):
        it.cluster.reopen()
    it.kit.filesystem.heal()
    it.cluster.reopen()
    assert it.cluster.digest() == before
    assert it.cluster.note("goes on").durable


def test_a_view_stays_as_it_was() -> None:
    it = furnished()
    view = it.cluster.view(digest=True)
    copy = repr(view)
    it.cluster.note("later")
    it.cluster.peers.observe_many([("node-1", 99.0)])
    it.cluster.flush()
    assert repr(view) == copy and it.cluster.view().lsn > view.lsn
    assert (view.digest == it.cluster.digest(), it.cluster.view().digest) == (False, "")
    with pytest.raises(TypeError):
        view.peers.peers["node-9"] = view.peers.peers["node-1"]  # type: ignore[index]  # the point of the test
    with pytest.raises(AttributeError):
        view.lsn = 0  # type: ignore[misc]  # the point of the test


def test_a_block_says_why_and_a_call_adds_its_own_reason() -> None:
    it = ready()
    first = it.cluster.note("first", actor="ops", trace_id="t-1")
    with it.cluster.because(first, actor="controller"):
        second = it.cluster.note("second")
        third = it.cluster.note("third", cause=second)
    it.cluster.note("fourth")
    assert first.lsn is not None and second.lsn is not None and third.lsn == second.lsn + 1
    told = [(record.causes, record.trace_id, record.actor) for record in written(it, first.lsn - 1)]
    default = told[-1][2]
    assert told == [
        ((), "t-1", "ops"),
        ((first.lsn,), None, "controller"),
        ((first.lsn, second.lsn), None, "controller"),
        ((), None, default),
    ]


def test_a_cause_that_was_never_written_is_refused() -> None:
    it = ready()
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.cluster.note("x", cause=it.cluster.view().lsn + 1000)
    assert it.cluster.digest() == before


def test_expiring_before_the_deadline_does_nothing_and_at_it_does_it() -> None:
    it = furnished()
    cluster = it.cluster
    deadline = cluster.next_deadline()
    assert deadline is not None and deadline > cluster.node_time_us()
    before = cluster.view()
    it.kit.clock.advance(seconds=(deadline - cluster.node_time_us()) / 1e6 - 1)
    cluster.expire()
    assert (cluster.view().peers.peers, cluster.view().telemetry) == (before.peers.peers, before.telemetry)
    it.kit.clock.advance(seconds=1)
    assert cluster.node_time_us() == deadline
    assert cluster.expire().changed
    cluster.flush()
    later = cluster.next_deadline()
    assert later is None or later > deadline


def test_a_cluster_where_nothing_can_expire_has_no_deadline() -> None:
    it = ready()
    assert it.cluster.next_deadline() is None


def test_a_cursor_of_another_history_is_refused() -> None:
    it = ready()
    with pytest.raises(CursorDiverged):
        it.cluster.subscribe(lambda delivered: None, after=it.cluster.view().lsn + 1)
    assert len(it.cluster._core.subscriptions) == 0


def test_it_is_idle_when_nothing_waits() -> None:
    it = ready()
    it.cluster.telemetry.record("relay", "waits for its frame")
    assert not it.cluster.is_idle
    for _ in range(3):
        it.kit.clock.advance(seconds=1)
        it.cluster.tick()
    assert it.cluster.is_idle
