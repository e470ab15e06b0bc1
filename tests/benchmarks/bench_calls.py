"""Single calls of an open cluster, each beside the least that does the same."""

import struct
from itertools import count, cycle, islice

from rap_projections import NodeStore
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.recording import RawFile, recorded_writes
from tests.benchmarks.sample_store import Sample, cluster_of, peer_id

REPEATS = 1000


def bench_partition_flag_durable(comparison: Comparison, store: NodeStore, raw_file: RawFile) -> None:
    """Decide, write, sync, fold and notify: setting and clearing a flag."""
    health, turns = cluster_of(store).health, count()

    def toggle() -> None:
        health.partition("site-b", on=next(turns) % 2 == 0)

    toggle()
    with recorded_writes() as writes:
        toggle()
    assert len(writes) == 1
    comparison.run(toggle, lambda: raw_file.append(writes[0]), unit="us", rounds=2500, warmup=100, ratio_max=1.4)


def bench_observe_one_queued(comparison: Comparison, store: NodeStore) -> None:
    """One round trip into the buffer, beside packing the same numbers. Its commit is left out."""
    cluster, row, packed = cluster_of(store), struct.Struct("<HI"), bytearray(6 * REPEATS)
    peers = [peer_id(number % 100) for number in range(REPEATS)]

    def observe() -> None:
        for peer in peers:
            cluster.peers.observe(peer, rtt_ms=12.5)

    def raw() -> None:
        for number in range(REPEATS):
            row.pack_into(packed, 6 * number, number % 100, 12_500)

    comparison.run(observe, raw, unit="us", rounds=100, repeats=REPEATS, between=cluster.flush)


def bench_best_route_of_10000(comparison: Comparison, checkpointed_history: Sample) -> None:
    """Looking a route up, beside looking it up in a dict."""
    with checkpointed_history.open() as store:
        best, known = cluster_of(store).routes.best, checkpointed_history.peer_count
        table = {(peer_id(number), "interactive"): number for number in range(known)}
        asked = list(islice(cycle([peer_id(number * 7919 % known) for number in range(known)]), REPEATS))
        assert best(asked[0], channel="interactive") is not None

        def ours() -> None:
            for destination in asked:
                best(destination, channel="interactive")

        def raw() -> None:
            for destination in asked:
                table.get((destination, "interactive"))

        comparison.run(ours, raw, unit="us", rounds=100, repeats=REPEATS)
