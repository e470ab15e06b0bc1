"""Observing in bulk: rows in, columns packed, frame written and synced, projections folded."""

from pathlib import Path

from rap_journal.limits import RECORDS_PER_FRAME_MAX
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.recording import RawFile, recorded_writes
from tests.benchmarks.sample_store import Scale, cluster_of, make_store, observations


def bench_observe_many_4096_rows_durable(comparison: Comparison, scale: Scale, raw_file: RawFile, tmp_path: Path) -> None:
    """One frame of 4096 round trips over 10,000 peers, from rows to visible state, beside writing and syncing the same bytes."""
    with make_store(tmp_path, peer_count=scale.peer_count) as store:
        peers = cluster_of(store).peers
        rows = observations(scale.peer_count, 0, RECORDS_PER_FRAME_MAX)
        peers.observe_many(rows)
        with recorded_writes() as writes:
            assert peers.observe_many(rows).durable
        frame = b"".join(writes)
        comparison.run(
            lambda: peers.observe_many(rows),
            lambda: raw_file.append(frame),
            unit="ms",
            rounds=200,
            warmup=5,
            things=RECORDS_PER_FRAME_MAX,
            per_second_min=150_000,
        )
