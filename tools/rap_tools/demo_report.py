"""From what the writers said and what the files hold to the result of the demonstration, cluster by cluster.

Rules this file keeps: it computes and compares; it prints nothing, and starts nothing.

Example::

    with History.open(root, keys=keys) as history:
        results = [report_killed(history.cluster(each.id), each, evidence, frames) for each in network.clusters]
"""

from collections.abc import Sequence

from rap_projections import ClusterHistory
from rap_projections.event_kinds import HEALTH
from rap_tools.demo_live import Closing
from rap_tools.demo_messages import Acknowledged, Begun, Opened
from rap_tools.demo_network import DemoCluster
from rap_tools.demo_proof import Evidence, compare, compare_acknowledged, compare_at_end, some_routes
from rap_tools.demo_result import ClusterResult, Interruption


def report_killed(history: ClusterHistory, demo: DemoCluster, evidence: Evidence, frames: int) -> ClusterResult:
    """What came of one cluster whose writer was killed and came back. `frames`: counted in its journal."""
    first, second = evidence.first.acknowledged(demo.id), evidence.second.acknowledged(demo.id)
    opened = evidence.second.opened(demo.id)
    writers = [said for said in (first, second) if said]
    events, seconds = sum(said[-1].events for said in writers), sum(said[-1].seconds for said in writers)
    return ClusterResult(
        cluster=demo.id,
        node=demo.name,
        horizon=history.horizon.lsn,
        observations=sum(said[-1].observations for said in writers),
        events_per_s=_rate(events, seconds),
        frames=frames,
        frame_ms=_frame_ms(writers),
        # The event that tells of a checkpoint may be lost with the kill; the checkpoint itself was found by recovery.
        checkpoint_lsn=max(_checkpoint_lsn(history), opened.checkpoint_lsn if opened else 0),
        interruption=_interruption(first, opened, evidence.first.under_way) if opened else None,
        comparisons=compare(history, evidence),
        acknowledged_states=compare_acknowledged(history, (*first, *second)),
        routes=some_routes(history),
    )


def report_live(history: ClusterHistory, demo: DemoCluster, closing: Closing, frames: int) -> ClusterResult:
    """What came of one cluster whose writer closed it."""
    return ClusterResult(
        cluster=demo.id,
        node=demo.name,
        horizon=history.horizon.lsn,
        observations=closing.observations,
        events_per_s=_rate(closing.events, closing.seconds),
        frames=frames,
        frame_ms=closing.seconds * 1000 / max(1, closing.frames),
        checkpoint_lsn=_checkpoint_lsn(history),
        interruption=None,
        comparisons=(compare_at_end(history, closing.lsn, closing.digest),),
        acknowledged_states=(),
        routes=some_routes(history),
    )


def _interruption(said: Sequence[Acknowledged], opened: Opened, under_way: Begun | None) -> Interruption:
    here = under_way is not None and under_way.cluster == opened.cluster
    return Interruption(
        acknowledged_lsn=said[-1].lsn if said else 0,
        found_lsn=opened.last_lsn,
        under_way=f"slice {under_way.slice_index}, {under_way.observations} rows" if under_way and here else "",
        verdict=opened.verdict,
        cut_bytes=opened.cut_bytes,
        rewrote_last_frame=opened.rewrote_last_frame,
        checkpoint_lsn=opened.checkpoint_lsn,
        replayed_records=opened.replayed_records,
        replayed_frames=opened.replayed_frames,
        findings=tuple(opened.findings),
    )


def _checkpoint_lsn(history: ClusterHistory) -> int:
    checkpoint = history.state_at(history.horizon.lsn).view(HEALTH).checkpoint
    return checkpoint.at_lsn if checkpoint else 0


def _rate(events: int, seconds: float) -> float:
    return events / seconds if seconds else 0.0


def _frame_ms(writers: Sequence[Sequence[Acknowledged]]) -> float:
    """The store's time per frame; each writer's first slice is left out, since documents are activated before it."""
    frames = sum(said[-1].frames - said[0].frames for said in writers)
    return sum(said[-1].seconds - said[0].seconds for said in writers) * 1000 / max(1, frames)
