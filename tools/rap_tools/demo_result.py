"""What the demonstration found, as plain values, and as one JSON document.

Rules this file keeps:

- A comparison holds every digest that was compared, so that whoever doubts "equal" can look.
- The verdict is computed from what was found, here and nowhere else.

Example::

    result.problems()       # () means: all digests agree, and the writer was killed
"""

from pathlib import Path
from signal import SIGKILL
from typing import Any, NamedTuple

from rap_tools.demo_trust import TrustStep
from rap_tools.invocation import program

FORMAT = "rap-state-demo"
FORMAT_VERSION = 1


class Comparison(NamedTuple):
    """Digests of one state, from different sources.

    Attributes:
        moment: which state it is.
        lsn: LSN of that state.
        digests: digest by source.
    """

    moment: str
    lsn: int
    digests: dict[str, str]

    @property
    def is_equal(self) -> bool:
        """Whether at least two sources were compared and all agree."""
        return len(self.digests) > 1 and len(set(self.digests.values())) == 1


class Interruption(NamedTuple):
    """What the kill did to one cluster, and what recovery made of it.

    Attributes:
        acknowledged_lsn: last LSN the writer had acknowledged.
        found_lsn: last LSN found on disk: this or more.
        under_way: what was begun and not acknowledged, in words; empty where nothing was.
        verdict: what recovery made of the end of the journal.
        cut_bytes: bytes that were no part of it.
        rewrote_last_frame: whether the last frame was written again, since only the page cache vouched for it.
        checkpoint_lsn: LSN of the checkpoint that recovery began with.
        replayed_records, replayed_frames: what was replayed behind it.
        findings: what else recovery had to say.
    """

    acknowledged_lsn: int
    found_lsn: int
    under_way: str
    verdict: str
    cut_bytes: int
    rewrote_last_frame: bool
    checkpoint_lsn: int
    replayed_records: int
    replayed_frames: int
    findings: tuple[str, ...]

    @property
    def unacknowledged_records(self) -> int:
        """Records that were on disk and not acknowledged."""
        return self.found_lsn - self.acknowledged_lsn

    @property
    def is_work_interrupted(self) -> bool:
        """Whether the kill fell into work on this cluster."""
        return bool(self.under_way or self.unacknowledged_records or self.cut_bytes)


class BestRoute(NamedTuple):
    """A route in use: destination, path and score, and the next best ways, best first. "direct" or "via NODE"."""

    destination: str
    path: str
    score_ms: float
    alternatives: tuple[str, ...]


class ClusterResult(NamedTuple):
    """What came of one cluster.

    Attributes:
        cluster: its id.
        node: name of this node in it.
        horizon: last LSN; LSNs are dense, so it is the number of events written.
        observations: round-trip times taken in, failed probes included.
        events_per_s: events per second of the store's own time for them.
        frames: frames in the journal, one durable commit each.
        frame_ms: the store's time divided by the frames written in it.
        checkpoint_lsn: LSN of the last checkpoint; 0 without one but the first.
        interruption: what the kill did; None where nothing was killed.
        comparisons: digests at the moments that matter.
        acknowledged_states: digests of other acknowledged states, folded again.
        routes: some routes in use.
    """

    cluster: str
    node: str
    horizon: int
    observations: int
    events_per_s: float
    frames: int
    frame_ms: float
    checkpoint_lsn: int
    interruption: Interruption | None
    comparisons: tuple[Comparison, ...]
    acknowledged_states: tuple[Comparison, ...]
    routes: tuple[BestRoute, ...]


class DemoResult(NamedTuple):
    """Everything.

    Attributes:
        root, key_file: where the store and its key are.
        disk_bytes: what the store takes on disk.
        source: what the trace is.
        slices: how many slices were used; more than `trace_slices` where the trace was gone round again.
        seed: what was drawn from it: the kill, and the model network.
        killed_with: how the first writer ended, as `subprocess` counts; None where nothing was to be killed.
        store_open_ms: how long opening the store took after the kill, all clusters together.
        verify_exit_code: what verification of every stored byte came to; 0 is sound.
        took_s: duration of the whole demonstration.
        clusters: one result per cluster.
        commands: what to run next.
        trace_slices: how many slices the trace has.
        trust: what was offered to the first cluster at the end, and what it answered; nothing where nothing was killed.
    """

    root: Path
    key_file: Path
    disk_bytes: int
    source: str
    slices: int
    seed: int
    killed_with: int | None
    store_open_ms: float | None
    verify_exit_code: int
    took_s: float
    clusters: tuple[ClusterResult, ...]
    commands: tuple[str, ...]
    trace_slices: int
    trust: tuple[TrustStep, ...] = ()

    def problems(self) -> tuple[str, ...]:
        """What is not as it must be, in sentences; empty when everything was shown."""
        found = []
        if self.killed_with not in (None, -SIGKILL):
            found.append(f"the first writer was to be killed and ended with status {self.killed_with}.")
        if self.verify_exit_code:
            found.append(f"verification found damage (exit code {self.verify_exit_code}): run {program()} verify.")
        found += [f"{step.offered}: {step.answer}." for step in self.trust if not step.is_right]
        for cluster in self.clusters:
            kill = cluster.interruption
            if kill is not None and kill.unacknowledged_records < 0:
                lost = f"LSN {kill.acknowledged_lsn} was acknowledged, and only {kill.found_lsn} was found"
                found.append(f"{cluster.cluster}: {lost}.")
            compared = (*cluster.comparisons, *cluster.acknowledged_states)
            found += [f"{cluster.cluster}: {_difference(each)}" for each in compared if not each.is_equal]
            if not compared:
                found.append(f"{cluster.cluster}: no digest was compared.")
        return tuple(found)

    def document(self) -> dict[str, Any]:
        """The result as a JSON document."""
        problems = self.problems()
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "cluster": None,
            "horizon": None,
            "ok": not problems,
            "problems": list(problems),
            **{name: str(value) if isinstance(value, Path) else value for name, value in self._asdict().items()},
            "clusters": [_cluster_document(cluster) for cluster in self.clusters],
            "trust": [step._asdict() for step in self.trust],
        }


def _difference(comparison: Comparison) -> str:
    digests = ", ".join(f"{source} {digest[:12] or '(none)'}" for source, digest in comparison.digests.items())
    return f"{comparison.moment}, LSN {comparison.lsn}: digests differ: {digests}."


def _cluster_document(cluster: ClusterResult) -> dict[str, Any]:
    kill = cluster.interruption
    return {
        **cluster._asdict(),
        "interruption": None if kill is None else _interruption_document(kill),
        "comparisons": [_comparison_document(each) for each in cluster.comparisons],
        "acknowledged_states": [_comparison_document(each) for each in cluster.acknowledged_states],
        "routes": [route._asdict() for route in cluster.routes],
    }


def _interruption_document(kill: Interruption) -> dict[str, Any]:
    derived = {"unacknowledged_records": kill.unacknowledged_records, "is_work_interrupted": kill.is_work_interrupted}
    return {**kill._asdict(), **derived}


def _comparison_document(comparison: Comparison) -> dict[str, Any]:
    return {**comparison._asdict(), "equal": comparison.is_equal}
