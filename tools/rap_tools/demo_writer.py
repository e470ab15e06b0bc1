"""The demonstration's writer: a process of its own, so that it can be killed as a crash would kill it.

Rules this file keeps:

- It tells what it begins and what is durable, in that order, and flushes its pipe each time; see `demo_messages`.
- It installs no handler, writes no file of its own and keeps nothing for later: whatever survives is the store's doing.
- Started again with the slices to go on from, it opens the store as any agent would, and goes on.

Example::

    python -m rap_tools.demo_writer '{"root": ...}'
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter

from rap_journal.clock import SystemClock
from rap_journal.errors import StateStoreError
from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider
from rap_tools.demo_clock import SliceClock
from rap_tools.demo_feed import ClusterFeed
from rap_tools.demo_messages import Acknowledged, Begun, Checkpointed, Closed, Failed, Message, Opened, Order, read_order, to_line
from rap_tools.demo_network import DemoNetwork, Observation

LOCK_WAIT_S = 5.0
"""How long to wait for a writer that was killed to be gone."""

Say = Callable[[Message], None]


def main(arguments: Sequence[str]) -> int:
    """Follow the order that is the only argument; returns the exit code."""
    try:
        write(read_order(arguments[0]), _say)
    except StateStoreError as error:
        _say(Failed(str(error), error.exit_code))
        return error.exit_code
    except OSError as error:
        _say(Failed(f"the writer failed: {error.strerror or error}", 12))
        return 12
    return 0


def write(order: Order, say: Say) -> None:
    """Open the store, take the slices that are left, and close it."""
    network = DemoNetwork.open(order.trace, slices=order.slices, seed=order.seed)
    clock = SliceClock(SystemClock(), network.slices, order.began_boot_us)
    clock.enter(min((order.resume.get(cluster.id, 0) for cluster in network.clusters), default=0))
    began = perf_counter()
    keys = FileKeyProvider(Path(order.key_file))
    store = NodeStore.open(Path(order.root), keys=keys, create=not order.resume, clock=clock, wait_s=LOCK_WAIT_S)
    opened_ms = (perf_counter() - began) * 1000
    feeds = join_all(store, network, order.issued_at_s)
    for feed in feeds:
        say(_opened(feed, opened_ms))
    rows = {feed: islice(network.rows(feed.demo), order.resume.get(feed.demo.id, 0), None) for feed in feeds}
    for slice_index in range(network.slices):
        for feed in feeds:
            if slice_index >= order.resume.get(feed.demo.id, 0):
                clock.enter(slice_index)
                _take_slice(feed, slice_index, rows[feed], say)
        if slice_index == network.checkpoint_slice and not order.resume:
            for feed in feeds:
                say(_checkpointed(feed))
    store.close()
    say(Closed())


def join_all(store: NodeStore, network: DemoNetwork, issued_at_s: int) -> list[ClusterFeed]:
    """Join every cluster, unless this node is a member already, and be ready to feed it."""
    feeds = []
    for demo in network.clusters:
        issuer = network.issuer(demo, issued_at_s)
        cluster = store.join(demo.id, bundle=issuer.bootstrap, expect=issuer.fingerprint)
        feeds.append(ClusterFeed(cluster, network, demo, issuer))
    return feeds


def _take_slice(feed: ClusterFeed, slice_index: int, rows: Iterator[list[Observation]], say: Say) -> None:
    observed = next(rows)
    say(Begun(feed.demo.id, slice_index, len(observed)))
    feed.publish(slice_index)
    feed.take(slice_index, observed)
    lsn, digest = feed.state()
    say(Acknowledged(feed.demo.id, slice_index, lsn, digest, feed.observations, feed.events, feed.seconds, feed.frames))


def _opened(feed: ClusterFeed, opened_ms: float) -> Opened:
    report, (lsn, digest) = feed.cluster.recovery, feed.state()
    return Opened(
        cluster=feed.demo.id,
        lsn=lsn,
        digest=digest,
        store_open_ms=opened_ms,
        last_lsn=report.last_lsn,
        checkpoint_lsn=report.checkpoint_lsn,
        replayed_records=report.record_count,
        replayed_frames=report.frame_count,
        verdict=report.verdict.name.lower(),
        cut_bytes=sum(finding.byte_count for finding in report.findings),
        rewrote_last_frame=report.rewrote_last_frame,
        findings=[finding.sentence() for finding in report.findings],
    )


def _checkpointed(feed: ClusterFeed) -> Checkpointed:
    began = perf_counter()
    written = feed.cluster.checkpoint()
    return Checkpointed(feed.demo.id, written.lsn, written.byte_count, (perf_counter() - began) * 1000)


def _say(message: Message) -> None:
    sys.stdout.write(to_line(message))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
