"""The course of the demonstration, with the kill or live: write, look at the files, compare, and put the result together.

Rules this file keeps: what goes on is told to whoever watches; nothing is printed, and nothing is decided about exit codes.

Example::

    result = show_kill(make_order(root, key_file, None, network), network, Watcher())
    assert not result.problems()
"""

import time
from collections.abc import Callable
from pathlib import Path

from rap_journal.clock import SystemClock
from rap_projections import ClusterHistory, History
from rap_projections.keys import FileKeyProvider
from rap_tools.demo_live import run_live
from rap_tools.demo_messages import Order
from rap_tools.demo_network import SLICE_S, DemoCluster, DemoNetwork
from rap_tools.demo_places import next_commands
from rap_tools.demo_proof import Evidence, disk_bytes, read_killed, verify
from rap_tools.demo_report import report_killed, report_live
from rap_tools.demo_result import ClusterResult, DemoResult
from rap_tools.demo_run import Watcher, plan_kill, resume_after, run_writer
from rap_tools.demo_trust import show_trust

Report = Callable[[ClusterHistory, DemoCluster, int], ClusterResult]
"""The result of one cluster, from its history and the number of frames in its journal."""


def make_order(root: Path, key_file: Path, trace: str | None, network: DemoNetwork) -> Order:
    """What the first writer is told: the documents are issued when the history begins, so many slices before the present."""
    now = SystemClock().now()
    issued_at_s = now.wall_us // 1_000_000 - network.slices * SLICE_S
    return Order(str(root), str(key_file), trace, network.slices, network.seed, now.boot_us, issued_at_s, {})


def show_kill(order: Order, network: DemoNetwork, watcher: Watcher) -> DemoResult:
    """Write, kill, look, recover, go on, and compare. Raises `WriterFailed`, or what reading the store raises."""
    began = time.perf_counter()
    evidence = conduct(order, network, watcher)
    watcher.say("comparing digests")
    result = _look(order, network, lambda history, demo, frames: report_killed(history, demo, evidence, frames))
    opened = evidence.second.opened(network.clusters[0].id)
    return result._replace(
        killed_with=evidence.first.returncode,
        trust=evidence.trust,
        store_open_ms=opened.store_open_ms if opened else None,
        took_s=time.perf_counter() - began,
    )


def conduct(order: Order, network: DemoNetwork, watcher: Watcher) -> Evidence:
    """Run the writer that is killed and the one that comes back, with a look at the files in between."""
    watcher.say("writing, to be killed")
    first = run_writer(order, watcher.listen, plan_kill(network))
    watcher.say("killed; reading the files")
    killed = read_killed(Path(order.root), FileKeyProvider(order.key_file), first, network)
    watcher.say("recovering and going on")
    second = run_writer(order._replace(resume=resume_after(first, network)), watcher.listen)
    watcher.say("changing whom to trust")
    return Evidence(
        first, killed, second, show_trust(Path(order.root), FileKeyProvider(order.key_file), network, order.issued_at_s)
    )


def show_live(order: Order, network: DemoNetwork, wait: Callable[[], bool], tell: Callable[[str], None]) -> DemoResult:
    """Write until `wait` says that it is time to stop, close, and compare. `tell` is told of every slice."""
    began = time.perf_counter()
    closings = {closing.cluster: closing for closing in run_live(order, network, wait=wait, tell=tell)}
    result = _look(order, network, lambda history, demo, frames: report_live(history, demo, closings[demo.id], frames))
    slices = max(closing.slices for closing in closings.values())
    return result._replace(slices=slices, took_s=time.perf_counter() - began)


def _look(order: Order, network: DemoNetwork, report: Report) -> DemoResult:
    """Verify the store, and report every cluster of it."""
    root, key_file = Path(order.root), Path(order.key_file)
    keys = FileKeyProvider(key_file)
    verified = verify(root, keys)
    frames = {journal.cluster: journal.frame_count for journal in verified.journals}
    with History.open(root, keys=keys) as history:
        clusters = [report(history.cluster(demo.id), demo, frames.get(demo.id, 0)) for demo in network.clusters]
    return DemoResult(
        root=root,
        key_file=key_file,
        disk_bytes=disk_bytes(root),
        source=network.source,
        slices=network.slices,
        seed=network.seed,
        killed_with=None,
        store_open_ms=None,
        verify_exit_code=verified.exit_code,
        took_s=0.0,
        clusters=tuple(clusters),
        commands=next_commands(root, key_file, network.clusters[0].id),
        trace_slices=network.trace.slices,
        trust=(),
    )
