"""A network that was never measured: round-trip times between cloud regions, with seeded jitter, congestion and outages.

Rules this file keeps:

- It gives the rows of `rap_tools.traces`, so that whatever reads a measured trace runs without any data.
- The medians are real: average AWS inter-region pings of 2020-06-05, in ms, from the repository fantoch by Vitor Enes (MIT or
  Apache-2.0), rounded to whole milliseconds. Everything that varies around them is made up.
- The same seed and sizes give the same rows, on every machine; what one node sees does not depend on who asked before.
- All nodes see the same outage of a node, and both ends the same congestion between their regions.

Example::

    trace = ModelTrace(seed=7, slices=60, nodes_per_region=2)
    rows = list(trace.rows(node=0))
"""

from collections.abc import Iterator
from functools import cached_property
from random import Random

from rap_journal.errors import MisuseError
from rap_tools.traces import Row, check_node

RTT_MS_TO_EARLIER: dict[str, tuple[int, ...]] = {
    "eu-west-1": (),
    "eu-central-1": (24,),
    "eu-north-1": (36, 20),
    "us-east-1": (71, 86, 105),
    "us-west-2": (127, 158, 157, 73),
    "ca-central-1": (72, 100, 114, 15, 66),
    "sa-east-1": (184, 203, 217, 113, 180, 124),
    "ap-south-1": (118, 112, 131, 182, 223, 197, 299),
    "ap-southeast-1": (187, 178, 196, 236, 163, 221, 338, 63),
    "ap-southeast-2": (254, 282, 295, 198, 139, 196, 309, 143, 90),
    "ap-northeast-1": (204, 244, 265, 152, 101, 155, 268, 137, 77, 104),
    "af-south-1": (151, 199, 166, 216, 272, 224, 329, 292, 357, 413, 383),
}
"""Average round-trip time in ms from each region to every region above it; it is the same in both directions."""

REGIONS = tuple(RTT_MS_TO_EARLIER)

SAME_REGION_RTT_MS = 0.6
"""Between two nodes of one region; the pings of the source are within one host and tell nothing about that."""

LOSS_PERCENT = 0.6
"""Probes that fail without an outage: as many as in the measured Seattle trace."""


def region_rtt_ms(one: str, other: str) -> float:
    """Median round-trip time between two regions of the table."""
    low, high = sorted((REGIONS.index(one), REGIONS.index(other)))
    return SAME_REGION_RTT_MS if low == high else float(RTT_MS_TO_EARLIER[REGIONS[high]][low])


class ModelTrace:
    """A made-up trace of `nodes_per_region` nodes in each region of the table, over `slices` time slices.

    Raises `MisuseError` unless `slices` is at least 1 and `nodes_per_region` between 1 and 1000.
    """

    def __init__(self, seed: int, slices: int, nodes_per_region: int = 1) -> None:
        if slices < 1 or not 1 <= nodes_per_region <= 1000:
            raise MisuseError("a model trace needs at least 1 slice, and 1 to 1000 nodes in a region", reason="bad_model")
        self.seed = seed
        self.slices = slices
        self.nodes_per_region = nodes_per_region
        self.node_count = nodes_per_region * len(REGIONS)

    def region(self, node: int) -> str:
        """The region in which the node with this index stands: nodes are dealt to the regions in turn."""
        return REGIONS[node % len(REGIONS)]

    def node_name(self, node: int) -> str:
        """Region and number within it: `eu-west-1-node-0`."""
        return f"{self.region(node)}-node-{node // len(REGIONS)}"

    def rows(self, node: int) -> Iterator[Row]:
        """What `node` (an index from 0) saw in each slice, in order; None is a probe that failed. Raises `MisuseError`."""
        check_node(node, self.node_count)
        noise = Random(f"{self.seed}/noise/{node}")
        return ((at, self._row(node, at, noise)) for at in range(self.slices))

    def _row(self, node: int, at: int, noise: Random) -> list[tuple[int, float | None]]:
        return [(peer, self._probe(node, peer, at, noise)) for peer in range(self.node_count) if peer != node]

    def _probe(self, node: int, peer: int, at: int, noise: Random) -> float | None:
        # Both numbers are drawn for every probe, so that an outage shifts no later value.
        draw, luck = noise.random(), noise.random() * 100
        if luck < LOSS_PERCENT or self._outages[node][at] or self._outages[peer][at]:
            return None
        here, there = sorted((node % len(REGIONS), peer % len(REGIONS)))
        rtt_ms = region_rtt_ms(REGIONS[here], REGIONS[there]) * self._congestion[here, there][at]
        # Mostly below 1, seldom up to 50; no logarithm, whose last bit differs between machines.
        jitter = draw * draw / (1.02 - draw)
        return round(rtt_ms * (1 + 0.004 * jitter) + 0.1 * jitter, 3)

    @cached_property
    def _outages(self) -> list[list[bool]]:
        """For each node, whether it is down in each slice: about 1 % of the time, 5 slices long on average."""
        return [self._episodes(f"outage/{node}", begin=0.002, end=0.2) for node in range(self.node_count)]

    @cached_property
    def _congestion(self) -> dict[tuple[int, int], list[float]]:
        """For each pair of regions, by how much its paths are slower in each slice."""
        pairs = [(low, high) for high in range(len(REGIONS)) for low in range(high + 1)]
        return {pair: self._slowdown(f"congestion/{pair[0]}/{pair[1]}") for pair in pairs}

    def _slowdown(self, subject: str) -> list[float]:
        factor = 1.2 + Random(f"{self.seed}/factor/{subject}").random()
        return [factor if slow else 1.0 for slow in self._episodes(subject, begin=0.01, end=0.1)]

    def _episodes(self, subject: str, *, begin: float, end: float) -> list[bool]:
        """One flag per slice; an episode begins, and ends, with the given probability per slice."""
        draws, active, flags = Random(f"{self.seed}/{subject}"), False, []
        for _ in range(self.slices):
            active = draws.random() >= end if active else draws.random() < begin
            flags.append(active)
        return flags
