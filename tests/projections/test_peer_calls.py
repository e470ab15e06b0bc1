"""The calls about peers: hints that are batched, visible once they are durable, and never about strangers."""

import errno

import pytest

from rap_journal.errors import MisuseError, OutcomeUnknown, Poisoned
from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_projections.event_kinds import event_of
from rap_projections.peer_observations import PeersObserved
from rap_projections.receipts import UNCHANGED, Receipt
from tests.projections.store_kit import Ready, ready, written

QUEUED = Receipt(None, False, True)


@pytest.fixture
def it() -> Ready:
    """A cluster whose directory names two peers, of which nothing was seen."""
    it = ready()
    it.cluster.activate(it.fabric.peers(["node-1", "node-2"]))
    return it


def observed(it: Ready) -> list[int]:
    """How many rows each record of observations has."""
    events = [event_of(record) for record in written(it)]
    return [event.row_count for event in events if isinstance(event, PeersObserved)]


def waken(it: Ready) -> list[int]:
    """Counts how often the housekeeper is woken from now on."""
    calls: list[int] = []
    machine = it.cluster._core.machine
    it.cluster._core.machine = machine._replace(wake=lambda: calls.append(1))
    return calls


def test_an_observation_is_visible_once_it_is_durable_and_not_before(it: Ready) -> None:
    assert it.cluster.peers.observe("node-1", rtt_ms=12.5) == QUEUED
    unseen = it.cluster.peers.get("node-1")
    assert unseen is not None and unseen.observed_us == 0
    it.cluster.flush()
    seen = it.cluster.peers.get("node-1")
    assert seen is not None and (seen.latency_us, seen.loss_ppm, seen.success_us > 0) == (12_500, 0, True)
    it.kit.power_cut()
    assert it.cluster.peers.get("node-1") == seen


def test_a_loss_has_a_reason_and_no_round_trip(it: Ready) -> None:
    assert it.cluster.peers.observe("node-2", failure="timeout") == QUEUED
    it.cluster.flush()
    seen = it.cluster.peers.get("node-2")
    assert seen is not None and (seen.loss_ppm > 0, seen.latency_us, seen.success_us) == (True, 0, 0)
    assert seen.observed_us > 0


def test_it_is_made_at_the_node_time_of_the_call(it: Ready) -> None:
    it.kit.clock.advance(seconds=5)
    at_us = it.cluster._core.node_us()
    it.cluster.peers.observe("node-1", rtt_ms=1.0)
    it.kit.clock.advance(seconds=60)
    it.cluster.flush()
    seen = it.cluster.peers.get("node-1")
    assert seen is not None and seen.observed_us == at_us


def test_the_housekeeper_is_told_that_something_waits(it: Ready) -> None:
    calls = waken(it)
    it.cluster.peers.observe("node-1", rtt_ms=1.0)
    assert len(calls) == 1
    it.cluster.peers.observe_many([("node-1", 1.0), ("node-2", 2.0)])
    assert len(calls) == 2


def test_strangers_are_counted_and_ignored(it: Ready) -> None:
    assert it.cluster.peers.observe("nobody", rtt_ms=1.0) == UNCHANGED
    assert it.cluster.peers.observe("nobody", rtt_ms=1.0, durable=True) == UNCHANGED
    assert it.cluster.peers.observe_many([("nobody", 1.0), ("node-1", 2.0), ("node-3", None, "timeout")]) == QUEUED
    assert it.cluster.peers.strangers == 4
    it.cluster.flush()
    assert it.cluster.peers.get("nobody") is None
    assert observed(it) == [1]


def test_an_untried_peer_is_known_and_nothing_is_known_of_it(it: Ready) -> None:
    known = it.cluster.peers.get("node-2")
    assert known is not None
    assert (known.observed_us, known.success_us, known.latency_us) == (0, 0, 0)


@pytest.mark.parametrize(
    "row",
    [
        ("node-1", -1.0),
        ("node-1", 4_294_001.0),
        ("node-1", float("nan")),
        ("node-1", None, "bored"),
        ("node-1", 1.0, "timeout"),
        (),
        (7, 1.0),
        ("node-1", "1.0"),
    ],
    ids=["negative", "too long", "no number", "unknown word", "answer and failure", "no row", "no peer", "text"],
)
def test_of_many_rows_of_which_one_is_wrong_none_is_kept(it: Ready, row: tuple[object, ...]) -> None:
    with pytest.raises(MisuseError):
        it.cluster.peers.observe_many([("node-1", 1.0), row, ("node-2", 2.0)])
    it.cluster.flush()
    assert observed(it) == []


def test_less_than_a_frames_worth_waits_and_a_frames_worth_is_committed_by_the_caller(it: Ready) -> None:
    rows = [("node-1", 1.0)] * (RECORDS_PER_FRAME_MAX - 1)
    assert it.cluster.peers.observe_many(rows) == QUEUED
    assert observed(it) == []
    assert it.cluster.peers.observe_many([("node-2", 1.0)]) == Receipt(it.cluster.view().lsn, True, True)
    assert sum(observed(it)) == RECORDS_PER_FRAME_MAX


def test_what_the_commit_meets_is_told_to_whoever_filled_the_frame(it: Ready) -> None:
    rows = [("node-1", 1.0)] * RECORDS_PER_FRAME_MAX
    it.kit.filesystem.fail("sync", "*", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster.peers.observe_many(rows)
    with pytest.raises(Poisoned):
        it.cluster.peers.observe_many(rows)


def test_one_observation_is_durable_before_the_call_returns_where_that_is_asked_for(it: Ready) -> None:
    receipt = it.cluster.peers.observe("node-1", rtt_ms=12.5, durable=True)
    assert receipt == Receipt(it.cluster.view().lsn, True, True)
    it.kit.power_cut()
    seen = it.cluster.peers.get("node-1")
    assert seen is not None and seen.latency_us == 12_500


def test_the_lsn_is_that_of_the_last_row_of_the_call_also_where_others_ride_in_its_frame(it: Ready) -> None:
    it.cluster.peers.observe_many([("node-1", 1.0)] * 3)
    first_lsn = it.cluster.view().lsn + 1
    receipt = it.cluster.peers.observe_many([("node-1", 2.0), ("nobody", 2.0), ("node-2", 3.0)], durable=True)
    assert receipt == Receipt(first_lsn + 4, True, True)
    assert it.cluster.view().lsn == first_lsn + 4


def test_flushing_says_whether_anything_waited_and_the_last_lsn(it: Ready) -> None:
    assert it.cluster.flush() == UNCHANGED
    it.cluster.peers.observe("node-1", rtt_ms=1.0)
    assert it.cluster.flush() == Receipt(it.cluster.view().lsn, True, True)
    assert it.cluster.flush() == UNCHANGED


def test_observations_carry_their_cause_and_who_made_them_and_share_an_event_with_nobody_else(it: Ready) -> None:
    cause = it.cluster.note("probing anew")
    it.cluster.peers.observe("node-1", rtt_ms=1.0)
    it.cluster.peers.observe("node-1", rtt_ms=2.0, cause=cause, actor="prober", trace_id="t-1")
    with it.cluster.because(cause, actor="prober", trace_id="t-1"):
        it.cluster.peers.observe_many([("node-2", 3.0)])
    it.cluster.peers.observe("node-2", rtt_ms=4.0)
    it.cluster.flush()
    records = [record for record in written(it, after=cause.lsn or 0) if isinstance(event_of(record), PeersObserved)]
    assert [(record.rows, record.causes, record.actor, record.trace_id) for record in records] == [
        (1, (), "agent", None),
        (2, (cause.lsn,), "prober", "t-1"),
        (1, (), "agent", None),
    ]
    assert records[-1].lsn == it.cluster.view().lsn


def test_an_observation_with_a_bad_cause_is_not_kept(it: Ready) -> None:
    with pytest.raises(MisuseError, match=r"a cause is LSN 999"):
        it.cluster.peers.observe("node-1", rtt_ms=1.0, cause=999)
    assert it.cluster.flush() == UNCHANGED


def test_of_one_wrong_observation_is_said_what_a_right_one_is(it: Ready) -> None:
    with pytest.raises(MisuseError, match=r"^rtt_ms is a number from 0 to 4294000, or None for a loss, .*nothing was kept\.$"):
        it.cluster.peers.observe("node-1", rtt_ms=-1.0)
    with pytest.raises(MisuseError, match=r"^peer cannot be of type int"):
        it.cluster.peers.observe(7, rtt_ms=1.0)  # type: ignore[arg-type]  # the slip under test


def test_after_closing_nothing_is_observed(it: Ready) -> None:
    cluster = it.cluster
    it.kit.store.close()
    with pytest.raises(MisuseError, match="closed"):
        cluster.peers.observe("node-1", rtt_ms=1.0)
    with pytest.raises(MisuseError, match="the store is closed; nothing was done"):
        it.kit.store.cluster(cluster.id)


@pytest.mark.parametrize("fails", [False, True], ids=["in order", "after a failed write"])
def test_what_another_thread_wrote_or_lost_while_opening_again_is_not_called_something_else(
    it: Ready, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    core, lsn = it.cluster._core, it.cluster.view().lsn
    flush = core.flush

    def flush_late() -> Receipt:
        if fails:
            it.kit.filesystem.fail("sync", "*", errno.EIO)
            with pytest.raises(OutcomeUnknown):
                flush()
        it.cluster.reopen()
        return flush()

    monkeypatch.setattr(core, "flush", flush_late)
    if not fails:
        assert it.cluster.peers.observe("node-1", rtt_ms=1.0, durable=True) == Receipt(lsn + 1, True, True)
        return
    with pytest.raises(OutcomeUnknown, match=r"opened again before these observations were known to be on disk"):
        it.cluster.peers.observe("node-1", rtt_ms=1.0, durable=True)
