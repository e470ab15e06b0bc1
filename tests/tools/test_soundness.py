"""Whether what was read may be believed: what is missing since the checkpoint, what does not verify, and what fails closed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rap_projections.cluster import ClusterState
from rap_tools.exit_codes import ExitCode
from rap_tools.frame_reading import MissingRecords
from rap_tools.opening import StoreReading
from rap_tools.soundness import Judgement, judge, missing_records
from tests.tools.command import Disk, lsn_of, make_store, new_disk
from tests.tools.test_frame_reading import flip, frame_of


def judged(disk: Disk) -> Judgement:
    with StoreReading.open(str(disk.root), str(disk.key_file)) as store:
        history = store.history("lab")
        return judge(history, history.state_at(history.horizon.lsn), store.frames("lab"))


def after_the_checkpoint(folder: Path, *works: Callable[[ClusterState, Disk], object]) -> Disk:
    """A store that went on behind its last checkpoint, each piece of work in a frame of its own."""
    disk = make_store(folder)
    with disk.open(seed=3) as store:
        for work in works:
            work(store.cluster("lab"), disk)
            store.cluster("lab").flush()
    return disk


def test_a_sound_cluster_has_nothing_to_be_said(lab: Disk) -> None:
    assert judged(lab) == Judgement(None, (), ())
    assert judged(lab).exit_code is ExitCode.DONE


def test_a_missing_frame_of_a_cache_costs_a_cache(tmp_path: Path) -> None:
    disk = after_the_checkpoint(
        tmp_path, lambda cluster, disk: cluster.peers.observe("node-1", rtt_ms=3.0), lambda cluster, disk: cluster.note("after")
    )
    lsn = lsn_of(disk, "PeersObserved", -1)
    flip(disk, frame_of(disk, lsn))
    found = judged(disk)
    assert found == Judgement(None, (), (MissingRecords(lsn, lsn, ("peers",), True, found.missing[0].reason),))
    assert found.exit_code is ExitCode.CACHE_DAMAGE


@pytest.mark.parametrize("end", [True, False])
def test_what_is_missing_before_the_checkpoint_is_passed_over_where_the_checkpoint_is_used(tmp_path: Path, end: bool) -> None:
    disk = make_store(tmp_path)
    line = frame_of(disk, lsn_of(disk, "PeersObserved"))
    flip(disk, line)
    assert judged(disk).missing == ()
    with StoreReading.open(str(disk.root), str(disk.key_file)) as store:
        after_lsn = line.last_lsn if end else 0
        missing = missing_records(store.history("lab"), store.frames("lab"), after_lsn=after_lsn)
    assert [(gap.first_lsn, gap.last_lsn) for gap in missing] == ([] if end else [(line.first_lsn, line.last_lsn)])


def test_records_that_a_later_reset_accounts_for_are_not_missing(tmp_path: Path) -> None:
    disk = after_the_checkpoint(
        tmp_path, lambda cluster, disk: cluster.peers.observe("node-1", rtt_ms=3.0), lambda cluster, disk: cluster.note("after")
    )
    flip(disk, frame_of(disk, lsn_of(disk, "PeersObserved", -1)))
    assert judged(disk).exit_code is ExitCode.CACHE_DAMAGE
    disk.open(seed=4).close()
    assert judged(disk) == Judgement(None, (), ())


def test_a_missing_strict_record_fails_closed(tmp_path: Path) -> None:
    disk = after_the_checkpoint(
        tmp_path, lambda cluster, disk: cluster.activate(disk.fabric.routes([])), lambda cluster, disk: cluster.note("after")
    )
    lsn = lsn_of(disk, "SnapshotActivated", -1)
    flip(disk, frame_of(disk, lsn))
    found = judged(disk)
    assert found.missing[0].first_lsn <= lsn <= found.missing[0].last_lsn
    assert found.exit_code is ExitCode.FAIL_CLOSED


def test_a_missing_record_of_trust_is_named_as_the_reason(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    with disk.open(create=True) as store:
        store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
        store.cluster("lab").activate(disk.fabric.policy())
    lsn = lsn_of(disk, "BundleActivated")
    flip(disk, frame_of(disk, lsn))
    found = judged(disk)
    assert (found.fail_closed, found.exit_code) == ("trust_damaged", ExitCode.FAIL_CLOSED)
    assert found.missing[0].first_lsn <= lsn <= found.missing[0].last_lsn


def test_an_active_document_that_is_gone_is_named(tmp_path: Path) -> None:
    disk = after_the_checkpoint(
        tmp_path, lambda cluster, disk: cluster.activate(disk.fabric.peers([f"node-{number:05}" for number in range(900)]))
    )
    assert judged(disk).unsound_scopes == ()
    folder = disk.root / "clusters" / "lab" / "snapshots"
    max(folder.glob("document-*"), key=lambda path: path.stat().st_size).unlink()
    found = judged(disk)
    assert (found.fail_closed, found.unsound_scopes, found.exit_code) == (None, ("peers",), ExitCode.FAIL_CLOSED)
