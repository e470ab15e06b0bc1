"""From writers and files to the result of one cluster."""

from collections.abc import Iterator

import pytest

from rap_projections import ClusterHistory, History
from rap_tools.demo_live import Closing
from rap_tools.demo_messages import Begun
from rap_tools.demo_report import report_killed, report_live
from rap_tools.demo_run import Transcript
from tests.tools.demo_kit import OBSERVATIONS, DemoRun

CLUSTER = "us-east-1"


@pytest.fixture
def history(demo_run: DemoRun) -> Iterator[ClusterHistory]:
    with History.open(demo_run.root, keys=demo_run.keys) as opened:
        yield opened.cluster(CLUSTER)


def test_a_killed_cluster_is_reported_over_both_of_its_writers(demo_run: DemoRun, history: ClusterHistory) -> None:
    demo = demo_run.network.clusters[1]
    found = report_killed(history, demo, demo_run.evidence, 77)
    said = demo_run.acknowledged(CLUSTER)
    first, second = demo_run.evidence.first.acknowledged(CLUSTER), demo_run.evidence.second.acknowledged(CLUSTER)
    assert (found.cluster, found.node, found.horizon, found.frames) == (CLUSTER, "us-east-1-node-0", history.horizon.lsn, 77)
    assert found.observations == OBSERVATIONS == first[-1].observations + second[-1].observations
    events, seconds = first[-1].events + second[-1].events, first[-1].seconds + second[-1].seconds
    assert found.events_per_s == pytest.approx(events / seconds)
    assert (len(found.comparisons), len(found.acknowledged_states), len(found.routes)) == (4, len(said), 5)


def test_the_interruption_tells_what_was_found_and_replayed(demo_run: DemoRun, history: ClusterHistory) -> None:
    demo, evidence = demo_run.network.clusters[1], demo_run.evidence
    kill = report_killed(history, demo, evidence, 0).interruption
    opened, last = evidence.second.opened(CLUSTER), evidence.first.acknowledged(CLUSTER)[-1]
    assert kill is not None and opened is not None
    assert (kill.acknowledged_lsn, kill.found_lsn, kill.checkpoint_lsn) == (last.lsn, opened.last_lsn, opened.checkpoint_lsn)
    assert kill.replayed_records == kill.found_lsn - kill.checkpoint_lsn
    assert kill.findings == tuple(opened.findings)


@pytest.mark.parametrize(("cluster", "under_way"), [(CLUSTER, "slice 3, 95 rows"), ("eu-west-1", "")])
def test_work_that_was_under_way_belongs_to_its_cluster(
    demo_run: DemoRun, history: ClusterHistory, cluster: str, under_way: str
) -> None:
    first = demo_run.evidence.first
    stopped = Transcript((*first.messages, Begun(cluster, 3, 95)), first.returncode)
    found = report_killed(history, demo_run.network.clusters[1], demo_run.evidence._replace(first=stopped), 0)
    assert found.interruption is not None
    assert found.interruption.under_way == under_way


def test_a_cluster_that_never_came_back_has_no_interruption(demo_run: DemoRun, history: ClusterHistory) -> None:
    evidence = demo_run.evidence._replace(second=Transcript((), 0))
    found = report_killed(history, demo_run.network.clusters[1], evidence, 0)
    assert found.interruption is None
    assert found.observations == demo_run.evidence.first.acknowledged(CLUSTER)[-1].observations


def test_a_closed_cluster_is_reported_with_what_its_writer_counted(demo_run: DemoRun, history: ClusterHistory) -> None:
    lsn = history.horizon.lsn
    closing = Closing(CLUSTER, lsn, history.state_at(lsn).digest(), 6, 570, 600, 0.5, 50)
    found = report_live(history, demo_run.network.clusters[1], closing, 77)
    assert (found.observations, found.events_per_s, found.frame_ms, found.frames) == (570, 1200.0, 10.0, 77)
    assert (found.interruption, found.acknowledged_states) == (None, ())
    assert [each.moment for each in found.comparisons] == ["at the end"]
    assert found.comparisons[0].is_equal


def test_a_writer_that_took_no_time_has_no_rate(demo_run: DemoRun, history: ClusterHistory) -> None:
    closing = Closing(CLUSTER, 1, "ab", 0, 0, 0, 0.0, 0)
    found = report_live(history, demo_run.network.clusters[1], closing, 0)
    assert (found.events_per_s, found.frame_ms) == (0.0, 0.0)
