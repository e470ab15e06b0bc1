"""What the benchmarks share: the comparison, the size of things, and the table at the end.

"make bench" measures. Without measuring, everything is small and runs once, so that a benchmark that broke is seen by "make test".
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rap_projections import NodeStore
from tests.benchmarks.comparison import Comparison, Figure, table
from tests.benchmarks.recording import RawFile
from tests.benchmarks.sample_store import Sample, Scale, make_history, make_store, with_checkpoint

FIGURES = pytest.StashKey[list[Figure]]()


FULL = Scale(1_000_000, 10_000)
SMALL = Scale(2_000, 100)


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no figures."""
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures, store beside baseline."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("store beside the raw operations, in turn: medians, ratio per block of calls")
        for line in table(figures):
            terminalreporter.line(line)


@pytest.fixture
def comparison(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Comparison:
    """What times a benchmark."""
    return Comparison(benchmark, request.node.name, request.config.stash[FIGURES])


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> Scale:
    """Full size where times are taken."""
    return FULL if pytestconfig.getoption("benchmark_enable") else SMALL


@pytest.fixture
def raw_file(tmp_path: Path) -> Iterator[RawFile]:
    """A file for the baseline, beside the store."""
    file = RawFile(tmp_path / "raw")
    yield file
    file.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[NodeStore]:
    """An open store with a cluster of 100 peers."""
    with make_store(tmp_path, peer_count=SMALL.peer_count) as opened:
        yield opened


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory, scale: Scale) -> Sample:
    """The long history, without a checkpoint of it."""
    return make_history(tmp_path_factory.mktemp("history"), peer_count=scale.peer_count, event_count=scale.event_count)


@pytest.fixture(scope="session")
def checkpointed_history(tmp_path_factory: pytest.TempPathFactory, history: Sample) -> Sample:
    """The long history, with a checkpoint at its end."""
    return with_checkpoint(history, tmp_path_factory.mktemp("checkpointed"))
