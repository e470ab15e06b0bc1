"""A cluster's history as finding places needs it: stamps, checkpoints and activations, with the key or without."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from rap_journal.errors import KeyUnavailable
from rap_tools.history_timeline import HistoryTimeline
from rap_tools.opening import StoreReading
from rap_tools.selector_places import Stamp
from tests.tools.command import Disk, last_lsn, lsn_of

START_US = 1_767_225_600_000_000


@pytest.fixture
def timeline(lab: Disk) -> Iterator[HistoryTimeline]:
    with StoreReading.open(str(lab.root), str(lab.key_file)) as store:
        yield HistoryTimeline("lab", store.history("lab"), store.frames("lab"), lambda: START_US + 7)


@pytest.fixture
def sealed(lab: Disk) -> Iterator[HistoryTimeline]:
    with StoreReading.open(str(lab.root), None) as store:
        yield HistoryTimeline("lab", None, store.frames("lab"), lambda: START_US + 7)


def test_stamps_follow_on_each_other_without_a_hole(lab: Disk, timeline: HistoryTimeline) -> None:
    stamps = list(timeline.stamps())
    assert (stamps[0].first_lsn, stamps[-1].last_lsn) == (1, last_lsn(lab))
    assert all(before.last_lsn + 1 == after.first_lsn for before, after in pairwise(stamps))
    assert {stamp.boot_id for stamp in stamps} == {stamps[0].boot_id}


def test_a_batch_has_one_stamp_over_all_its_rows(lab: Disk, timeline: HistoryTimeline) -> None:
    first = lsn_of(lab, "PeersObserved")
    batch = next(stamp for stamp in timeline.stamps() if stamp.first_lsn == first)
    assert batch == Stamp(first, first + 7, START_US, batch.boot_us, batch.boot_id)


def test_checkpoints_and_activations_are_named_by_their_lsns(lab: Disk, timeline: HistoryTimeline) -> None:
    assert timeline.checkpoints() == [0, lsn_of(lab, "CheckpointWritten") - 1]
    assert timeline.activations("routes") == [lsn_of(lab, "SnapshotActivated", 2)]
    assert timeline.activations("updates") == [lsn_of(lab, "SnapshotActivated", 4)]
    assert timeline.activations("nothing") == []


def test_horizon_floor_and_now_are_those_of_history_and_machine(lab: Disk, timeline: HistoryTimeline) -> None:
    assert (timeline.cluster, timeline.horizon_lsn, timeline.oldest_lsn) == ("lab", last_lsn(lab), 0)
    assert timeline.now_us() == START_US + 7


def test_without_the_key_lsns_and_checkpoints_are_known(lab: Disk, sealed: HistoryTimeline) -> None:
    assert (sealed.horizon_lsn, sealed.oldest_lsn) == (last_lsn(lab), 0)
    assert sealed.checkpoints() == [0, lsn_of(lab, "CheckpointWritten") - 1]


def test_without_the_key_times_and_activations_are_sealed(sealed: HistoryTimeline) -> None:
    for ask in (lambda: list(sealed.stamps()), lambda: sealed.activations("routes")):
        with pytest.raises(KeyUnavailable, match="times, boots and activations of lab are sealed") as caught:
            ask()
        assert (caught.value.cluster, caught.value.reason) == ("lab", "no_key")
