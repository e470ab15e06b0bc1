"""The calls about peers: hints that are batched, visible once they are durable, and never about strangers."""

import errno

import pytest

from rap_journal.errors import MisuseError, OutcomeUnknown, Poisoned
from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_projections.event_kinds import event_of
from rap_projections.peer_observations import PeersObserved
from tests.projections.store_kit import Ready, ready, written


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
    assert it.cluster.peers.observe("node-1", rtt_ms=12.5) is True
    unseen = it.cluster.peers.get("node-1")
    assert unseen is not None and unseen.observed_us == 0
    it.cluster.flush()
    seen = it.cluster.peers.get("node-1")
    assert seen is not None and (seen.latency_us, seen.loss_ppm, seen.success_us > 0) == (12_500, 0, True)
    it.kit.power_cut()
    assert it.cluster.peers.get("node-1") == seen


def test_a_loss_has_a_reason_and_no_round_trip(it: Ready) -> None:
    assert it.cluster.peers.observe("node-2", failure="timeout") is True
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
    assert it.cluster.peers.observe("nobody", rtt_ms=1.0) is False
    assert it.cluster.peers.observe_many([("nobody", 1.0), ("node-1", 2.0), ("node-3", None, "timeout")]) == 1
    assert it.cluster.peers.strangers == 3
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
    ],
    ids=["negative", "too long", "no number", "unknown word", "answer and failure", "no row"],
)
def test_of_many_rows_of_which_one_is_wrong_none_is_kept(it: Ready, row: tuple[object, ...]) -> None:
    with pytest.raises(MisuseError):
        it.cluster.peers.observe_many([("node-1", 1.0), row, ("node-2", 2.0)])
    it.cluster.flush()
    assert observed(it) == []


def test_less_than_a_frames_worth_waits_and_a_frames_worth_is_committed_by_the_caller(it: Ready) -> None:
    rows = [("node-1", 1.0)] * (RECORDS_PER_FRAME_MAX - 1)
    assert it.cluster.peers.observe_many(rows) == RECORDS_PER_FRAME_MAX - 1
    assert observed(it) == []
    assert it.cluster.peers.observe_many([("node-2", 1.0)]) == 1
    assert sum(observed(it)) == RECORDS_PER_FRAME_MAX


def test_what_the_commit_meets_is_told_to_whoever_filled_the_frame(it: Ready) -> None:
    rows = [("node-1", 1.0)] * RECORDS_PER_FRAME_MAX
    it.kit.filesystem.fail("sync", "*", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster.peers.observe_many(rows)
    with pytest.raises(Poisoned):
        it.cluster.peers.observe_many(rows)
