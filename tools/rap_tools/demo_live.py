"""`rap-state demo --live`: the same node without the kill, a slice a second by the machine's clock, until it is interrupted.

Rules this file keeps:

- An interrupt (Ctrl-C) or a request to end (SIGTERM) is heeded between two slices: the store is closed cleanly.
- When the trace ends it begins again, as `DemoNetwork.rows` has it.
- At the end the state that was closed with is folded again from the files, from the checkpoint and from the floor.

Example::

    states = run_live(order, network, wait=Stop().wait, tell=print)
"""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider
from rap_tools.demo_feed import ClusterFeed
from rap_tools.demo_messages import Order
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_writer import join_all

INTERVAL_S = 1.0
"""A slice of every cluster comes this often."""

CHECKPOINT_SLICES = 20
"""A checkpoint is written after so many slices."""


class Closing(NamedTuple):
    """What a cluster was when the store was closed."""

    cluster: str
    lsn: int
    digest: str
    slices: int
    observations: int
    events: int
    seconds: float
    frames: int


class Stop:
    """Set by SIGINT and SIGTERM while the block lasts."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    def wait(self) -> bool:
        """Wait for the next slice; True once it is time to stop."""
        return self._asked.wait(INTERVAL_S)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.set()


def run_live(order: Order, network: DemoNetwork, *, wait: Callable[[], bool], tell: Callable[[str], None]) -> list[Closing]:
    """Write slices until `wait` says that it is time to stop, then close. What is going on is told by `tell`, a line per slice."""
    with NodeStore.open(Path(order.root), keys=FileKeyProvider(Path(order.key_file)), create=True) as store:
        feeds = join_all(store, network, order.issued_at_s)
        for feed in feeds:
            feed.publish(0)
        rows = {feed: network.rows(feed.demo) for feed in feeds}
        slice_count = 0
        while True:
            for feed in feeds:
                feed.take(slice_count, next(rows[feed]))
            slice_count += 1
            if slice_count % CHECKPOINT_SLICES == 0:
                for feed in feeds:
                    feed.cluster.checkpoint()
            tell(_line(slice_count, feeds))
            if wait():
                return [_closing(feed, slice_count) for feed in feeds]


def _closing(feed: ClusterFeed, slice_count: int) -> Closing:
    feed.cluster.flush()
    lsn, digest = feed.state()
    return Closing(feed.demo.id, lsn, digest, slice_count, feed.observations, feed.events, feed.seconds, feed.frames)


def _line(slice_count: int, feeds: list[ClusterFeed]) -> str:
    clusters = "; ".join(f"{feed.demo.id}: LSN {feed.durable_lsn:,}, {feed.observations:,} observations" for feed in feeds)
    return f"slice {slice_count:,}: {clusters}"
