"""A doubt from outside a cluster's folder is written into its own journal, in one frame with the floors that are known."""

from typing import Any

import pytest

from rap_projections.cluster_context import ClusterContext
from rap_projections.doubts import Doubt, heed
from rap_projections.event_kinds import event_of
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors
from rap_projections.testing import Fabric
from rap_projections.trust_events import RestoreMarked, TrustFloorRaised
from tests.projections.anchor_kit import DOUBTED, restore_state
from tests.projections.restore_kit import restored
from tests.projections.store_kit import Ready, crashed_at_every_operation, ready, written


class Knowing:
    """Somebody who has this doubt about every cluster, or none."""

    anchor_state = "rolled_back"

    def __init__(self, doubt: Doubt | None) -> None:
        self.doubt = doubt
        self.asked: list[KnownFloors] = []
        self.settled_clusters: list[str] = []

    def about(self, cluster_id: str, floors: KnownFloors) -> Doubt | None:
        self.asked.append(floors)
        return self.doubt

    def settled(self, cluster_id: str) -> None:
        self.settled_clusters.append(cluster_id)


HIGHER = NOTHING_KNOWN._replace(
    bundle=(7, b"b" * 32), scopes=(("peers", 1, 9, b"p" * 32),), head=(0, 5, b"h" * 32), time=(0, 900, 0)
)


@pytest.fixture
def it() -> Ready:
    return ready()


def context_of(it: Ready) -> ClusterContext:
    return it.cluster._context


def test_without_a_doubt_nothing_is_written(it: Ready) -> None:
    lsn, knowing = context_of(it).core.journal.durable_lsn, Knowing(None)
    heed(context_of(it), knowing)
    assert (context_of(it).core.journal.durable_lsn, knowing.settled_clusters) == (lsn, [])
    assert knowing.asked == [it.cluster.known_floors()]


def test_a_doubt_marks_the_state_and_raises_every_floor_and_the_time_used_up(it: Ready) -> None:
    knowing = Knowing(Doubt(HIGHER))
    heed(context_of(it), knowing)
    floors = it.cluster.known_floors()
    assert (floors.bundle, floors.scopes, floors.head) == (HIGHER.bundle, HIGHER.scopes, HIGHER.head)
    assert floors.time[1] == 900
    assert restore_state(it) == DOUBTED
    assert knowing.settled_clusters == [it.fabric.cluster_id]


def test_a_folder_put_back_in_the_same_boot_counts_the_boot_once(it: Ready) -> None:
    """Mutation: what the floors count of this boot is counted again, and trusted time runs ahead of the real one."""
    it.kit.clock.advance(seconds=1000)
    used_s = it.cluster.view().health.used_s(it.kit.clock.now(), it.kit.clock.boot_id())
    knowing = Knowing(Doubt(HIGHER._replace(time=(0, used_s + 60, 0))))
    heed(context_of(it), knowing)
    assert it.cluster.view().health.used_s(it.kit.clock.now(), it.kit.clock.boot_id()) == used_s + 60


def test_mark_and_floors_are_of_one_frame_whose_origin_is_the_anchor(it: Ready) -> None:
    lsn = context_of(it).core.journal.durable_lsn
    heed(context_of(it), Knowing(Doubt(HIGHER)))
    events = [event_of(record) for record in written(it, lsn)]
    marked, raised = events[:2]
    assert isinstance(marked, RestoreMarked) and marked.reason == "rollback"
    assert isinstance(raised, TrustFloorRaised) and raised.origin == "anchor"


def test_a_doubt_about_nothing_higher_marks_all_the_same(it: Ready) -> None:
    before = it.cluster.known_floors()
    heed(context_of(it), Knowing(Doubt(NOTHING_KNOWN)))
    assert restore_state(it) == DOUBTED
    assert it.cluster.known_floors()._replace(restore="normal") == before


def test_a_state_that_waits_for_a_ticket_already_keeps_its_nonce_and_reason() -> None:
    it = restored()
    before = it.cluster.restore_request()
    context: Any = it.cluster._context
    knowing = Knowing(Doubt(HIGHER))
    heed(context, knowing)
    after = it.cluster.restore_request()
    assert (after.nonce, after.reason) == (before.nonce, "backup")
    assert after.minimum_bundle_version == 7
    assert knowing.settled_clusters == [it.cluster.id]


def test_what_fails_closed_is_left_alone_and_not_settled(it: Ready) -> None:
    context_of(it).fail_closed("trust_damaged")
    lsn, knowing = context_of(it).core.journal.durable_lsn, Knowing(Doubt(HIGHER))
    heed(context_of(it), knowing)
    assert (context_of(it).core.journal.durable_lsn, knowing.asked, knowing.settled_clusters) == (lsn, [], [])


def test_after_a_crash_at_any_operation_the_state_is_marked_or_the_floors_are_not_raised_either() -> None:
    found = set()
    for crash in crashed_at_every_operation(ready, lambda it: heed(context_of(it), Knowing(Doubt(HIGHER)))):
        crash.it.kit.open()
        found.add((restore_state(crash.it)[0], crash.it.cluster.known_floors().bundle[0]))
    assert found == {("normal", 1), ("restored-not-validated", 7)}


def test_the_other_clusters_of_a_store_hear_nothing_of_it(it: Ready) -> None:
    other = it.kit.join(Fabric("other"))
    before = other.digest()
    heed(context_of(it), Knowing(Doubt(HIGHER)))
    assert other.digest() == before
