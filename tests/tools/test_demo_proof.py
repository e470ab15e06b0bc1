"""The proof: digests are folded from the files, and what cannot be shown equals nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rap_projections import ClusterHistory, History
from rap_tools.demo_messages import Acknowledged
from rap_tools.demo_proof import (
    ACKNOWLEDGED,
    AT_THE_END,
    CHECKPOINT,
    FLOOR,
    FOUND,
    KILLED,
    RECOVERED,
    ROUTES_SHOWN,
    WRITER,
    compare,
    compare_acknowledged,
    compare_at_end,
    disk_bytes,
    read_killed,
    some_routes,
    verify,
)
from tests.tools.demo_kit import SLICES, DemoRun

CLUSTER = "eu-west-1"


@pytest.fixture
def history(demo_run: DemoRun) -> Iterator[ClusterHistory]:
    with History.open(demo_run.root, keys=demo_run.keys) as opened:
        yield opened.cluster(CLUSTER)


def test_the_moments_that_matter_are_compared_from_every_source(demo_run: DemoRun, history: ClusterHistory) -> None:
    found = compare(history, demo_run.evidence)
    assert [(each.moment, tuple(each.digests)) for each in found] == [
        (ACKNOWLEDGED, (WRITER, KILLED, CHECKPOINT, FLOOR)),
        (FOUND, (KILLED, CHECKPOINT, FLOOR)),
        (RECOVERED, (WRITER, CHECKPOINT, FLOOR)),
        (AT_THE_END, (WRITER, CHECKPOINT, FLOOR)),
    ]
    assert all(each.is_equal for each in found)
    assert found[-1].lsn == demo_run.acknowledged(history.id)[-1].lsn <= history.horizon.lsn


def test_a_writer_that_acknowledged_nothing_has_nothing_to_compare(demo_run: DemoRun, history: ClusterHistory) -> None:
    evidence = demo_run.evidence._replace(first=demo_run.evidence.first._replace(messages=()))
    assert [each.moment for each in compare(history, evidence)] == [FOUND, RECOVERED, AT_THE_END]


def test_a_digest_that_was_not_the_writers_differs(history: ClusterHistory) -> None:
    lsn = history.horizon.lsn
    digest = history.state_at(lsn).digest()
    assert compare_at_end(history, lsn, digest).is_equal
    assert not compare_at_end(history, lsn, "0" * 64).is_equal
    assert not compare_at_end(history, lsn - 1, digest).is_equal


def test_a_state_that_cannot_be_shown_has_no_digest(history: ClusterHistory) -> None:
    found = compare_at_end(history, history.horizon.lsn + 1, "ab")
    assert (found.digests[WRITER], found.digests[CHECKPOINT]) == ("ab", "")
    assert not found.is_equal


def test_acknowledged_states_are_folded_again_evenly_spread_with_the_last(demo_run: DemoRun, history: ClusterHistory) -> None:
    said = demo_run.acknowledged(CLUSTER)
    found = compare_acknowledged(history, said)
    assert [(each.moment, each.lsn) for each in found] == [
        (f"acknowledged, slice {slice_index}", said[slice_index].lsn) for slice_index in range(SLICES)
    ]
    assert all(each.is_equal and tuple(each.digests) == (WRITER, CHECKPOINT) for each in found)
    assert compare_acknowledged(history, ()) == ()


def test_of_many_acknowledged_states_twenty_are_folded_again(history: ClusterHistory) -> None:
    said = [Acknowledged(CLUSTER, slice_index, 40, "ab", 1, 1, 0.1, 1) for slice_index in range(100)]
    assert [each.moment for each in compare_acknowledged(history, said)] == [
        f"acknowledged, slice {slice_index}" for slice_index in range(4, 100, 5)
    ]


def test_what_the_kill_left_is_read_without_a_change(demo_run: DemoRun, tmp_path: Path) -> None:
    found = read_killed(demo_run.root, demo_run.keys, demo_run.evidence.first, demo_run.network)
    last = demo_run.evidence.first.acknowledged(CLUSTER)[-1]
    assert set(found[CLUSTER].digests) == {last.lsn, found[CLUSTER].horizon}
    assert found[CLUSTER].digests[last.lsn] == last.digest


def test_routes_that_avoid_the_direct_way_come_first_and_scores_rise(history: ClusterHistory) -> None:
    found = some_routes(history)
    assert len(found) == ROUTES_SHOWN
    assert [route.score_ms for route in found] == sorted(route.score_ms for route in found)
    assert all(route.path == "direct" or route.path.startswith("via ") for route in found)
    assert {len(route.alternatives) for route in found} == {2}


def test_a_changed_byte_is_found_by_verification(demo_run: DemoRun, tmp_path: Path) -> None:
    assert verify(demo_run.root, demo_run.keys).exit_code == 0
    copy = Path(shutil.copytree(demo_run.root, tmp_path / "node"))
    victim = min((copy / "clusters" / CLUSTER / "peers").glob("checkpoint-*"))
    data = bytearray(victim.read_bytes())
    data[100] ^= 1
    victim.write_bytes(data)
    assert verify(copy, demo_run.keys).exit_code == 7


def test_the_bytes_on_disk_are_counted_in_whole_blocks(tmp_path: Path) -> None:
    assert disk_bytes(tmp_path) == 0
    (tmp_path / "file").write_bytes(b"x")
    assert disk_bytes(tmp_path) == (tmp_path / "file").stat().st_blocks * 512
