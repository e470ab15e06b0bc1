"""Observations ride in the frames of others, in their order, and wait where there is no room."""

from collections.abc import Sequence

from rap_journal.records import Record
from rap_projections.peer_observations import Noted, PeersObserved
from rap_projections.receipts import Origin
from rap_projections.riding import RidingObservations
from tests.projections.store_kit import fill, furnished, ready


def test_observations_wait_on_a_full_disk_and_are_kept_once_there_is_space() -> None:
    it = furnished()
    fill(it)
    it.cluster.peers.observe("node-1", rtt_ms=500)
    for _ in range(3):
        it.kit.clock.advance(seconds=1)
        it.kit.store.tick()
    before = it.cluster.view().peers.peers["node-1"]
    assert before.observation_count == 1 and not it.cluster.is_idle
    it.kit.filesystem.capacity_bytes = None
    it.kit.clock.advance(seconds=1)
    it.kit.store.tick()
    assert it.cluster.view().peers.peers["node-1"].observation_count == 2


def test_a_sync_command_never_pays_for_observations_that_ride_along() -> None:
    it = ready()
    it.cluster.activate(it.fabric.peers([f"node-{number}" for number in range(4000)]))
    fill(it)
    it.cluster.peers.observe_many([(f"node-{number}", 1.0) for number in range(3999)])
    assert it.cluster.health.partition("a", on=True).durable
    assert it.cluster.view().peers.peers["node-7"].latency_us is None


def observed(node_us: int, rows: int) -> Noted:
    """So many round trips at one time, to peers 0 and up."""
    return Noted(PeersObserved(node_us, 1, bytes(2 * rows), bytes(4 * rows), b"", b"", 8), Origin())


def riding_with(*waves: Sequence[Noted]) -> RidingObservations:
    """Observations of which each draining gives a wave."""
    left = list(waves)
    riding = RidingObservations(
        lambda drained: [
            Record(0, 70, 1, 0, 6, event.row_count, 0, 0, event.node_us, bytes(16), (), None, "agent", None, ())
            for event, _origin in drained
        ]
    )
    riding.draw_from(lambda: left.pop(0) if left else (), lambda: left[0][0].event.node_us if left else None)
    return riding


def test_as_many_rows_are_taken_as_there_is_room_for_and_the_rest_waits_its_turn() -> None:
    riding = riding_with([observed(10, 3), observed(20, 2), observed(30, 1)], [observed(40, 1)])
    assert (riding.oldest_us, riding.is_waiting) == (10, False)
    assert [record.node_us for record in riding.take(4)] == [10]
    assert (riding.oldest_us, riding.is_waiting) == (20, True)
    assert [record.node_us for record in riding.take(4096)] == [20, 30]
    assert (riding.oldest_us, riding.is_waiting) == (40, False)
    assert [record.node_us for record in riding.take(4096)] == [40]
    assert (list(riding.take(4096)), riding.oldest_us) == ([], None)


def test_what_found_no_room_is_taken_again_first_and_in_its_order() -> None:
    riding = riding_with([observed(10, 1), observed(20, 1), observed(30, 1)], [observed(40, 1)])
    taken = riding.take(3)
    riding.give_back(taken[1:])
    assert (riding.oldest_us, [record.node_us for record in riding.take(4096)]) == (20, [20, 30])


def test_what_was_taken_and_not_written_is_forgotten_with_the_journal() -> None:
    riding = riding_with([observed(10, 1)], [observed(40, 1)])
    riding.give_back(riding.take(1))
    riding.forget()
    assert (riding.is_waiting, [record.node_us for record in riding.take(4096)]) == (False, [40])
