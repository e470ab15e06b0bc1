"""Opening a store with a long history: by replay, and from its newest checkpoint."""

import gc
from array import array

import cbor2

from rap_projections import NodeStore
from rap_projections.event_kinds import kind_of_type
from rap_projections.peer_observations import PeersObserved
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.recording import recorded_contents, recorded_payloads
from tests.benchmarks.sample_store import Sample, cluster_of

OBSERVED = kind_of_type(PeersObserved).number


class _Opener:
    """Opens a sample again and again; the one opened before is closed and swept away first, untimed."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.store: NodeStore | None = None

    def open(self) -> None:
        self.store = self._sample.open()

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None
            gc.collect()


def bench_replay_1000000_events_without_checkpoint(comparison: Comparison, history: Sample) -> None:
    """All frames verified, unsealed, decoded and folded, beside decoding the same payloads and columns."""
    opener = _Opener(history)
    with recorded_payloads() as payloads:
        opener.open()
    assert opener.store is not None
    assert cluster_of(opener.store).recovery.record_count >= history.event_count
    comparison.run(
        opener.open,
        lambda: _decode_payloads(payloads),
        unit="s",
        rounds=5,
        things=history.event_count,
        between=opener.close,
        per_second_min=250_000,
    )
    opener.close()


def bench_open_1000000_events_from_checkpoint(comparison: Comparison, checkpointed_history: Sample) -> None:
    """Trust, documents of 10,000 peers and routes verified again, state restored, beside decoding the same files."""
    opener = _Opener(checkpointed_history)
    with recorded_contents() as contents:
        opener.open()
    assert opener.store is not None
    recovery = cluster_of(opener.store).recovery
    assert recovery.checkpoint_lsn >= checkpointed_history.event_count
    assert recovery.is_clean
    comparison.run(
        opener.open,
        lambda: _decode_contents(contents),
        unit="s",
        rounds=11,
        between=opener.close,
        seconds_max=0.5,
    )
    opener.close()


def _decode_payloads(payloads: list[bytes]) -> None:
    for payload in payloads:
        for kind, *_, body in cbor2.loads(payload)[5]:
            if kind == OBSERVED:
                array("H").frombytes(body[2])
                array("I").frombytes(body[3])


def _decode_contents(contents: list[bytes]) -> None:
    """A checkpoint is one value; a document is a COSE structure around another one."""
    for content in contents:
        value = cbor2.loads(content)
        if isinstance(value, cbor2.CBORTag):
            cbor2.loads(value.value[2])
