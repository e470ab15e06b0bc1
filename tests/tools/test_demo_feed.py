"""Feeding one cluster: when a slice was taken, all of it is durable, and what was counted is what was written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rap_journal.testing import ManualClock, SeededRandomness
from rap_projections import History, NodeStore
from rap_projections.event_kinds import event_of
from rap_projections.keys import FileKeyProvider
from rap_projections.peer_observations import PeersObserved
from rap_projections.routes import RouteResult
from rap_tools.demo_feed import COMMITS_PER_SLICE, ClusterFeed
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_writer import join_all

NETWORK = DemoNetwork.open(None, slices=6, seed=3)
DEMO = NETWORK.clusters[0]


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[ClusterFeed]:
    """A feed of the first cluster, with the documents of the first slice active."""
    clock = ManualClock()
    with NodeStore.open(
        tmp_path / "node", keys=FileKeyProvider(tmp_path / "node.key"), create=True, clock=clock, randomness=SeededRandomness(1),
        background=False,
    ) as store:  # fmt: skip
        feed = join_all(store, NETWORK, clock.now().wall_us // 1_000_000)[0]
        feed.publish(0)
        yield feed


def events(folder: Path) -> list[object]:
    with History.open(folder / "node", keys=FileKeyProvider(folder / "node.key")) as history:
        return [event_of(record) for record in history.cluster(DEMO.id).records()]


def test_what_is_published_is_active_and_a_repetition_changes_nothing(feed: ClusterFeed) -> None:
    scopes = feed.cluster.view().snapshots.scopes
    assert sorted(scopes) == ["peers", "policy", "routes", "services", "updates"]
    before = feed.durable_lsn
    feed.publish(0)
    feed.publish(1)
    assert feed.durable_lsn == before


def test_a_slice_is_durable_in_four_parts_when_it_was_taken(feed: ClusterFeed, tmp_path: Path) -> None:
    rows = next(NETWORK.rows(DEMO))
    before, frames = feed.durable_lsn, feed.frames
    feed.take(0, rows)
    assert feed.observations == len(rows) == 95
    assert feed.events == feed.durable_lsn - before >= 95
    assert feed.seconds > 0
    assert feed.frames - frames >= COMMITS_PER_SLICE
    observed = [event for event in events(tmp_path) if isinstance(event, PeersObserved)]
    assert [event.row_count for event in observed] == [24, 24, 24, 23]


def test_the_route_to_a_peer_of_the_slice_is_used_and_works_if_its_first_hop_answered(feed: ClusterFeed, tmp_path: Path) -> None:
    rows = list(next(NETWORK.rows(DEMO)))
    answered = [(row[0], 5.0) for row in rows]
    feed.take(0, answered)
    feed.take(1, [(name, None, "timeout") for name, _ in answered])
    results = [event for event in events(tmp_path) if isinstance(event, RouteResult)]
    assert [result.ok for result in results] == [True, False]
    assert results[0].candidate_id.startswith(rows[0][0])
    assert results[1].candidate_id.startswith(rows[1][0])


def test_the_control_plane_is_the_first_peer(feed: ClusterFeed) -> None:
    first = NETWORK.peers(DEMO)[0]
    feed.take(0, [(name, None, "timeout") if name == first else (name, 5.0) for name in NETWORK.peers(DEMO)])
    contact = feed.cluster.view().health.contacts["control-plane"]
    assert contact.ok_us == 0 < contact.failed_us


def test_the_state_is_that_of_the_last_durable_lsn(feed: ClusterFeed) -> None:
    feed.take(0, next(NETWORK.rows(DEMO)))
    lsn, digest = feed.state()
    assert (lsn, digest) == (feed.durable_lsn, feed.cluster.digest())
    assert len(digest) == 64
