"""A history shows any kept state, by LSN or by time, beside a live writer and without one, and changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rap_journal.errors import DamageError, HistoryGone, MisuseError, NoSuchRecord, NoSuchStore
from rap_journal.ledger import LEDGER_CATEGORIES
from rap_journal.testing import MemoryFileSystem
from rap_projections.documents import Scope
from rap_projections.event_kinds import SNAPSHOTS
from rap_projections.history import ClusterHistory, History
from rap_projections.policy import Policy
from rap_projections.refusals import NoSuchCluster
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, destroy, files, folder, furnished, ready, written

START = datetime(2026, 1, 1, tzinfo=UTC)


def opened(it: Ready) -> History:
    return History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem)


def noted(it: Ready, count: int) -> list[tuple[int, str]]:
    """Leave notes a minute apart; LSN and digest of the state after each."""
    states = []
    for number in range(count):
        it.kit.clock.advance(seconds=60)
        lsn = it.cluster.note(f"note {number}").lsn
        assert lsn is not None
        states.append((lsn, it.cluster.digest()))
    return states


def at_lsn(history: ClusterHistory, lsn: int) -> tuple[int, str]:
    view = history.at(lsn=lsn, digest=True)
    return view.lsn, view.digest


def retired() -> Ready:
    """A store that keeps two checkpoint sets and nothing before them."""
    it = ready(policy=Policy(history_all_h=0))
    for number in range(4):
        it.cluster.note(f"before set {number}")
        it.cluster.checkpoint()
    return it


def test_every_lsn_shows_the_state_there_was_after_it() -> None:
    it = ready()
    states = noted(it, 5)
    it.kit.store.close()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        assert [at_lsn(cluster, lsn) for lsn, _ in states] == states
        assert len(cluster.at(lsn=states[1][0]).health.notes) == 2


def test_states_on_both_sides_of_a_checkpoint_are_the_ones_there_were() -> None:
    it = furnished()
    before = noted(it, 2)
    it.cluster.checkpoint()
    after = noted(it, 2)
    it.kit.store.close()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        assert [at_lsn(cluster, lsn) for lsn, _ in before + after] == before + after
        for lsn, digest in before + after:
            assert cluster.state_at(lsn, from_floor=True).digest() == digest


def test_without_lsn_and_time_the_newest_state_is_shown() -> None:
    it = furnished()
    it.kit.store.close()
    with opened(it) as history:
        view = history.cluster(CLUSTER).at(digest=True)
    reopened = it.kit.open().cluster(CLUSTER)
    assert (view.cluster, view.lsn, view.digest) == (CLUSTER, reopened.view().lsn, reopened.digest())


def test_a_time_shows_the_state_after_its_last_record() -> None:
    it = ready()
    states = noted(it, 3)
    it.cluster.flush()
    it.kit.filesystem = it.kit.filesystem.kill()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        for seconds, expected in ((60, 0), (119, 0), (120, 1), (179.999, 1), (180, 2), (86_400, 2)):
            view = cluster.at(time=START + timedelta(seconds=seconds), digest=True)
            assert (view.lsn, view.digest) == states[expected]


def test_a_time_may_be_given_in_any_zone() -> None:
    it = ready()
    states = noted(it, 2)
    berlin = datetime.fromisoformat("2026-01-01T01:01:30+01:00")
    with opened(it) as history:
        assert history.cluster(CLUSTER).lsn_at(berlin) == states[0][0]


def test_a_time_is_looked_for_backwards_where_the_wall_clock_was_set_back() -> None:
    it = ready()
    noted(it, 2)
    it.kit.clock.step_wall(seconds=-100)
    again = noted(it, 1)
    it.cluster.flush()
    it.kit.filesystem = it.kit.filesystem.kill()
    with opened(it) as history:
        # The clock says 80 seconds past the start, once more.
        assert history.cluster(CLUSTER).lsn_at(START + timedelta(seconds=80)) == again[0][0]


def test_before_the_first_record_there_is_nothing() -> None:
    it = ready()
    with opened(it) as history, pytest.raises(NoSuchRecord) as caught:
        history.cluster(CLUSTER).at(time=START - timedelta(seconds=1))
    assert (caught.value.reason, caught.value.cluster) == ("before_first", CLUSTER)


def test_a_naive_time_and_a_time_beside_an_lsn_are_refused() -> None:
    it = ready()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        calls: tuple[Callable[[], object], ...] = (
            lambda: cluster.at(time=START.replace(tzinfo=None)),
            lambda: cluster.at(lsn=1, time=START),
            lambda: cluster.store(SNAPSHOTS, b""),
        )
        reasons = []
        for call in calls:
            with pytest.raises(MisuseError) as caught:
                call()
            reasons.append(caught.value.reason)
    assert reasons == ["naive_time", "ambiguous", "read_only"]


def test_beyond_the_horizon_there_is_nothing() -> None:
    it = ready()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        horizon = cluster.horizon.lsn
        with pytest.raises(NoSuchRecord, match="beyond the horizon"):
            cluster.at(lsn=horizon + 1)
        assert cluster.at(lsn=horizon).lsn == horizon


def test_before_the_floor_the_error_says_from_where_on_there_is_history() -> None:
    it = retired()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        floor = cluster.horizon.oldest_lsn
        assert 0 < floor < cluster.horizon.lsn
        with pytest.raises(HistoryGone) as caught:
            cluster.at(lsn=floor - 1)
        assert (caught.value.oldest_lsn, caught.value.lsn) == (floor, floor - 1)
        assert cluster.at(lsn=floor).lsn == floor


def test_what_went_is_told_by_the_ledger_with_the_mark_that_no_state_can_be_shown() -> None:
    it = ready(policy=Policy(history_all_h=0, incident_days=0))
    everything = written(it)
    for number in range(4):
        it.cluster.note(f"before set {number}")
        it.cluster.checkpoint()
    it.kit.store.close()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        entries = list(cluster.ledger())
        records = list(cluster.records())
        assert cluster.first_lsn == records[0].lsn > everything[-1].lsn
        kept = [record for record in everything if record.category in LEDGER_CATEGORIES]
        assert kept and [entry.record for entry in entries[: len(kept)]] == kept
        for entry in entries:
            assert entry.record.lsn < cluster.first_lsn <= entry.state_from_lsn
            with pytest.raises(HistoryGone):
                cluster.at(lsn=entry.record.lsn)
        lsn = entries[2].record.lsn
        assert [entry.record.lsn for entry in cluster.ledger(after=lsn - 1, until=lsn)] == [lsn]


def test_a_time_before_the_oldest_record_is_gone_where_there_was_history_and_the_error_says_since_when() -> None:
    it = retired()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        with pytest.raises(HistoryGone) as caught:
            cluster.at(time=START - timedelta(seconds=1))
        assert caught.value.lsn is None and caught.value.oldest_lsn == cluster.horizon.oldest_lsn
        assert caught.value.oldest_wall_us == START.timestamp() * 1_000_000
        assert START.isoformat() in str(caught.value)


@pytest.mark.parametrize("class_name", ["peers", "snapshots"])
def test_without_a_whole_checkpoint_a_class_is_shown_by_folding_it_from_the_first_record_on(class_name: str) -> None:
    it = furnished()
    noted(it, 1)
    it.cluster.checkpoint()
    lsn, digest = it.cluster.view().lsn, it.cluster.digest()
    it.kit.store.close()
    destroy(it.kit.filesystem, f"{FOLDER}/{class_name}/", part="checkpoint-")
    with opened(it) as history:
        assert history.cluster(CLUSTER).horizon.oldest_lsn == 0
        assert history.cluster(CLUSTER).state_at(lsn).digest() == digest


def test_a_cache_without_a_whole_checkpoint_is_damage_and_no_history_that_went() -> None:
    it = furnished()
    noted(it, 1)
    it.cluster.checkpoint()
    it.kit.store.close()
    destroy(it.kit.filesystem, f"{FOLDER}/peers/", part="checkpoint-")
    folder(it.kit.filesystem, f"{FOLDER}/journal").unlink(f"{1:08d}-{1:08d}")
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        with pytest.raises(DamageError) as caught:
            cluster.state_at(cluster.horizon.lsn)
    assert (caught.value.state_class, caught.value.cluster) == ("peers", CLUSTER)


def test_beside_a_writer_the_horizon_stands_until_it_is_moved() -> None:
    it = ready()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        assert history.is_live and cluster.horizon.is_live
        before = cluster.horizon
        lsns = [lsn for lsn, _ in noted(it, 3)]
        assert cluster.horizon == before
        history.refresh()
        # The last frame may not be synced yet, as far as a reader can tell; its witness follows when the writer idles.
        assert cluster.horizon.lsn == lsns[-2]
        for _ in range(2):
            it.kit.clock.advance(seconds=10)
            it.kit.store.tick()
        history.refresh()
        assert (cluster.horizon.lsn, cluster.at(digest=True).digest) == (it.cluster.view().lsn, it.cluster.digest())


def test_a_checkpoint_beside_an_open_history_takes_nothing_away_from_it() -> None:
    it = ready(policy=Policy(history_all_h=0))
    states = noted(it, 3)
    it.cluster.checkpoint()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        lsns = [record.lsn for record in cluster.records()]
        for _ in range(4):
            noted(it, 1)
            it.cluster.checkpoint()
        assert [record.lsn for record in cluster.records()] == lsns
        assert {lsn for lsn, _ in states} <= set(lsns)


def test_records_are_told_between_two_lsns() -> None:
    it = ready()
    lsns = [lsn for lsn, _ in noted(it, 5)]
    everything = [record.lsn for record in written(it)]
    it.kit.store.close()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        assert [record.lsn for record in cluster.records()][: len(everything)] == everything
        assert [record.lsn for record in cluster.records(after=lsns[0], until=lsns[3])] == lsns[1:4]


def test_a_kept_document_is_read_as_it_was_received() -> None:
    it = ready()
    document = it.fabric.peers(["node-1"])
    it.cluster.activate(document)
    it.kit.store.close()
    with opened(it) as history:
        cluster = history.cluster(CLUSTER)
        active = cluster.at().snapshots.scope(Scope.PEERS).active
        assert active is not None and cluster.documents(active.facts.content_id) == (document,)


def test_reading_changes_nothing_and_takes_no_lock() -> None:
    it = furnished()
    it.kit.store.close()
    before = files(it.kit.filesystem)
    with opened(it) as history:
        assert (history.clusters(), history.is_live) == ((CLUSTER,), False)
        history.cluster(CLUSTER).at(lsn=3)
        assert history.cluster(CLUSTER) is history.cluster(CLUSTER)
        it.kit.open()
        assert history.is_live
        it.kit.store.close()
    after = files(it.kit.filesystem)
    assert {path: after[path] for path in before if path.startswith("clusters")} == {
        path: content for path, content in before.items() if path.startswith("clusters")
    }


def test_no_store_and_no_cluster_are_told_apart() -> None:
    it = ready()
    with opened(it) as history, pytest.raises(NoSuchCluster):
        history.cluster("other")
    with pytest.raises(NoSuchStore):
        History.open(ROOT, keys=it.kit.keys, filesystem=MemoryFileSystem())
    empty = MemoryFileSystem()
    empty.open_root(ROOT, create=True).close()
    with pytest.raises(NoSuchStore):
        History.open(ROOT, keys=it.kit.keys, filesystem=empty)
