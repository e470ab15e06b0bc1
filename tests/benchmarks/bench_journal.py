"""The journal engine alone: one record of 256 bytes, acknowledged, beside the same bytes written and synced by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rap_journal.journal import Journal
from rap_projections.event_kinds import HEALTH, TRUST
from tests.benchmarks.bare_journal import append, make_bare_journal, record
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.recording import RawFile, recorded_writes

BODY = bytes(range(256))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with projections that do nothing."""
    opened = make_bare_journal(tmp_path)
    yield opened
    opened.close()


def bench_append_256_bytes_durable(comparison: Comparison, journal: Journal, raw_file: RawFile) -> None:
    """A sync class: one write, one sync."""
    one = record(HEALTH, BODY)
    append(journal, one, strict=False)
    with recorded_writes() as writes:
        append(journal, one, strict=False)
    assert len(writes) == 1
    comparison.run(
        lambda: append(journal, one, strict=False),
        lambda: raw_file.append(writes[0]),
        unit="us",
        rounds=2500,
        warmup=100,
        ratio_max=1.4,
    )


def bench_append_256_bytes_strict(comparison: Comparison, journal: Journal, raw_file: RawFile, tmp_path: Path) -> None:
    """A strict class: the frame and its sync, then the witness and its sync."""
    one = record(TRUST, BODY)
    append(journal, one, strict=True)
    with recorded_writes() as writes:
        append(journal, one, strict=True)
    assert len(writes) == 2
    witness = RawFile(tmp_path / "raw-witness", 2 * len(writes[1]))

    def raw() -> None:
        raw_file.append(writes[0])
        witness.append(writes[1])

    comparison.run(lambda: append(journal, one, strict=True), raw, unit="us", rounds=1500, warmup=100)
    witness.close()
