"""The proof of the demonstration: states folded again from the files, and compared with what the writers said of them.

Rules this file keeps:

- Nothing is taken on trust: a writer's digest left it through a pipe while it lived; the others are folded here, from the disk.
- The killed store is read before anybody repairs it, and again afterwards: recovery must change nothing that was there.
- A state that cannot be shown has no digest, and so is equal to nothing.

Example::

    killed = read_killed(root, keys, first, network)
    comparisons = compare(history.cluster("eu-west-1"), Evidence(first, killed, second))
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rap_journal.errors import HistoryGone, NoSuchRecord
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.verify_report import VerifyReport
from rap_projections import ClusterHistory, History
from rap_projections.event_kinds import ROUTES
from rap_projections.keys import FileKeyProvider
from rap_projections.route_selection import SelectedRoute
from rap_projections.store_verification import verify_whole_store
from rap_tools.demo_messages import Acknowledged
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_result import BestRoute, Comparison
from rap_tools.demo_run import Transcript
from rap_tools.demo_trust import TrustStep

ACKNOWLEDGED_STATES_MAX = 20
"""So many of the acknowledged states of a cluster, evenly spread, are folded again."""

ROUTES_SHOWN = 5

WRITER, KILLED, CHECKPOINT, FLOOR = "writer", "killed_files", "checkpoint", "floor"
"""Where digests come from: what the writer said; the files before recovery; a fold from the newest checkpoint; from the floor."""

ACKNOWLEDGED, FOUND, RECOVERED, AT_THE_END = (
    "acknowledged before the kill",
    "found after the kill",
    "after recovery",
    "at the end",
)
"""The moments whose states are compared. What was acknowledged is folded again from the recovered files."""


class KilledReading(NamedTuple):
    """What a reader saw of a cluster after the kill and before recovery: the last LSN, and digests by LSN."""

    horizon: int
    digests: dict[int, str]


class Evidence(NamedTuple):
    """Everything known of one run: the writer that was killed and what it left, the one that came back, and what was shown of trust."""

    first: Transcript
    killed: dict[str, KilledReading]
    second: Transcript
    trust: tuple[TrustStep, ...] = ()


def read_killed(root: Path, keys: FileKeyProvider, first: Transcript, network: DemoNetwork) -> dict[str, KilledReading]:
    """Read every cluster as the kill left it. Nothing is changed."""
    found: dict[str, KilledReading] = {}
    with History.open(root, keys=keys) as history:
        for cluster in network.clusters:
            opened = history.cluster(cluster.id)
            lsns = {opened.horizon.lsn, *[said.lsn for said in first.acknowledged(cluster.id)[-1:]]}
            found[cluster.id] = KilledReading(opened.horizon.lsn, {lsn: _digest(opened, lsn) for lsn in lsns})
    return found


def compare(history: ClusterHistory, evidence: Evidence) -> tuple[Comparison, ...]:
    """The moments that matter: the last that was acknowledged, all that was found after the kill, recovered, and the end."""
    cluster, killed = history.id, evidence.killed[history.id]
    said, last = evidence.first.acknowledged(cluster), evidence.second.acknowledged(cluster)
    opened = evidence.second.opened(cluster)
    found = [Comparison(FOUND, killed.horizon, {KILLED: killed.digests[killed.horizon]})]
    if said:
        before = {WRITER: said[-1].digest, KILLED: killed.digests[said[-1].lsn]}
        found.insert(0, Comparison(ACKNOWLEDGED, said[-1].lsn, before))
    if opened is not None:
        found.append(Comparison(RECOVERED, opened.lsn, {WRITER: opened.digest}))
    if last:
        found.append(Comparison(AT_THE_END, last[-1].lsn, {WRITER: last[-1].digest}))
    return tuple([_with_folds(history, each) for each in found])


def compare_at_end(history: ClusterHistory, lsn: int, digest: str) -> Comparison:
    """The state that a writer closed with."""
    return _with_folds(history, Comparison(AT_THE_END, lsn, {WRITER: digest}))


def compare_acknowledged(history: ClusterHistory, said: Iterable[Acknowledged]) -> tuple[Comparison, ...]:
    """Acknowledged states, evenly spread and the last among them, each folded again from the files."""
    found = list(said)
    count = min(len(found), ACKNOWLEDGED_STATES_MAX)
    chosen = [found[-1 - place * len(found) // count] for place in reversed(range(count))]

    def folded(each: Acknowledged) -> Comparison:
        digests = {WRITER: each.digest, CHECKPOINT: _digest(history, each.lsn)}
        return Comparison(f"acknowledged, slice {each.slice_index}", each.lsn, digests)

    return tuple(map(folded, chosen))


def verify(root: Path, keys: FileKeyProvider) -> VerifyReport:
    """Verify every stored byte, seals included, and that nothing is missing."""
    with OsFileSystem().open_root(str(root)) as opened:
        return verify_whole_store(opened, keys=keys)


def some_routes(history: ClusterHistory) -> tuple[BestRoute, ...]:
    """Routes in use at the horizon: first those that avoid the direct way, then the best, the middle and the worst."""
    state = history.state_at(history.horizon.lsn)[ROUTES]
    ranked = sorted(state.selected.values(), key=lambda route: (route.score, route.destination))
    relayed = [route for route in ranked if route.path]
    spread = [ranked[place] for place in (0, len(ranked) // 2, len(ranked) - 1)] if ranked else []
    chosen = list(dict.fromkeys([*relayed[: ROUTES_SHOWN - 2], *spread, *ranked]))[:ROUTES_SHOWN]

    def shown(route: SelectedRoute) -> BestRoute:
        others = tuple([_way(state.by_id[name].path) for name in route.alternatives])
        return BestRoute(route.destination, _way(route.path), route.score / 1000, others)

    return tuple([shown(route) for route in sorted(chosen, key=lambda route: route.score)])


def disk_bytes(root: Path) -> int:
    """What the files below `root` take on disk."""
    return sum(path.stat().st_blocks * 512 for path in root.rglob("*") if path.is_file())


def _with_folds(history: ClusterHistory, said: Comparison) -> Comparison:
    folds = {CHECKPOINT: _digest(history, said.lsn), FLOOR: _digest(history, said.lsn, from_floor=True)}
    return said._replace(digests={**said.digests, **folds})


def _digest(history: ClusterHistory, lsn: int, *, from_floor: bool = False) -> str:
    try:
        return history.state_at(lsn, from_floor=from_floor).digest()
    except (NoSuchRecord, HistoryGone):
        return ""


def _way(path: tuple[str, ...]) -> str:
    return f"via {', '.join(path)}" if path else "direct"
