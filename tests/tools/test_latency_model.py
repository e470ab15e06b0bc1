"""The made-up network: repeatable, the same for all who look at it, and around the medians that were measured."""

import hashlib
import statistics

import pytest

from rap_journal.errors import MisuseError
from rap_tools.latency_model import REGIONS, RTT_MS_TO_EARLIER, ModelTrace, region_rtt_ms
from rap_tools.traces import Trace
from tests.shared_data import shared_data


def times_to(trace: ModelTrace, node: int, peer: int) -> list[float | None]:
    return [dict(row)[peer] for _, row in trace.rows(node)]


def test_the_table_has_every_pair_of_its_12_regions_once() -> None:
    assert [len(row) for row in RTT_MS_TO_EARLIER.values()] == list(range(12))
    assert region_rtt_ms("eu-west-1", "us-east-1") == region_rtt_ms("us-east-1", "eu-west-1") == 71.0
    assert region_rtt_ms("eu-west-1", "eu-west-1") == 0.6


def test_the_table_is_what_was_measured_rounded_to_milliseconds() -> None:
    folder = shared_data("net-cloud-ping", "latency_aws", "2020_06_05")
    for source in REGIONS:
        for line in (folder / f"{source}.dat").read_text().splitlines():
            figures, _, destination = line.partition(":")
            if destination in REGIONS and destination != source:
                assert abs(float(figures.split("/")[1]) - region_rtt_ms(source, destination)) < 0.52, (source, destination)


def test_every_row_has_every_peer_and_not_the_node_itself() -> None:
    trace: Trace = ModelTrace(seed=1, slices=3, nodes_per_region=2)
    assert (trace.node_count, trace.slices) == (24, 3)
    assert [(at, [peer for peer, _ in row]) for at, row in trace.rows(node=5)] == [
        (at, [peer for peer in range(24) if peer != 5]) for at in range(3)
    ]


def test_names_tell_the_region_and_are_unique() -> None:
    trace = ModelTrace(seed=1, slices=1, nodes_per_region=2)
    names = [trace.node_name(node) for node in range(trace.node_count)]
    assert (names[0], names[13], len(set(names))) == ("eu-west-1-node-0", "eu-central-1-node-1", 24)


def test_the_same_seed_gives_the_same_rows_whoever_asked_before() -> None:
    one, other = ModelTrace(seed=7, slices=40), ModelTrace(seed=7, slices=40)
    list(other.rows(node=9))
    assert list(one.rows(node=3)) == list(other.rows(node=3))
    assert list(one.rows(node=3)) != list(ModelTrace(seed=8, slices=40).rows(node=3))


def test_the_rows_of_a_seed_never_change() -> None:
    rows = repr(list(ModelTrace(seed=7, slices=40).rows(node=3)))
    assert hashlib.sha256(rows.encode()).hexdigest()[:16] == "0e4335a3a83f3398"


def test_times_stay_around_the_median_of_their_regions() -> None:
    answered = [rtt_ms for rtt_ms in times_to(ModelTrace(seed=2, slices=500), 0, 3) if rtt_ms is not None]
    assert min(answered) >= 71.0
    assert 71.0 <= statistics.median(answered) < 73.0
    assert max(answered) < 71.0 * 2.2 * 1.2 + 5.1


def test_all_nodes_see_the_same_outage_and_few_other_losses() -> None:
    trace = ModelTrace(seed=3, slices=400)
    lost_by = [{at for at, rtt_ms in enumerate(times_to(trace, node, 4)) if rtt_ms is None} for node in (0, 1, 2)]
    seen_by_all = lost_by[0] & lost_by[1] & lost_by[2]
    assert len(seen_by_all) >= 3
    total = sum(rtt_ms is None for _, row in trace.rows(node=0) for _, rtt_ms in row) / (400 * 11)
    assert 0.005 < total < 0.06


@pytest.mark.parametrize(("slices", "nodes_per_region"), [(0, 1), (1, 0), (1, 1001)])
def test_a_model_of_impossible_size_is_refused(slices: int, nodes_per_region: int) -> None:
    with pytest.raises(MisuseError) as caught:
        ModelTrace(seed=1, slices=slices, nodes_per_region=nodes_per_region)
    assert caught.value.reason == "bad_model"


def test_a_node_the_model_has_not_is_refused_at_once() -> None:
    with pytest.raises(MisuseError, match="nodes 0 to 11"):
        ModelTrace(seed=1, slices=1).rows(node=12)
