"""The demonstration that runs until it is interrupted."""

import argparse
import json
import os
import signal
from pathlib import Path

import pytest

from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider
from rap_tools import demo
from rap_tools.demo_course import make_order, show_live
from rap_tools.demo_live import Stop, run_live
from rap_tools.demo_network import DemoNetwork

SLICES = 6


class Turns:
    """Says that it is time to stop after so many slices."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def test_the_store_is_closed_with_the_state_that_was_told(tmp_path: Path) -> None:
    network = DemoNetwork.open(None, slices=SLICES, seed=1)
    lines: list[str] = []
    order = make_order(tmp_path / "node", tmp_path / "node.key", None, network)
    closings = run_live(order, network, wait=Turns(3), tell=lines.append)
    assert [(closing.cluster, closing.slices, closing.observations) for closing in closings] == [
        ("eu-west-1", 3, 285),
        ("us-east-1", 3, 285),
    ]
    assert len(lines) == 3
    assert lines[2].startswith("slice 3: eu-west-1: LSN ")
    with NodeStore.open(tmp_path / "node", keys=FileKeyProvider(tmp_path / "node.key"), background=False) as store:
        opening = store.agent.view().opened
        assert opening is not None and opening.previous_clean
        for closing in closings:
            view = store.cluster(closing.cluster).view(digest=True)
            assert (view.lsn, view.digest) == (closing.lsn, closing.digest)


def test_the_trace_begins_again_when_it_ends(tmp_path: Path) -> None:
    network = DemoNetwork.open(None, slices=SLICES, seed=1)
    order = make_order(tmp_path / "node", tmp_path / "node.key", None, network)
    result = show_live(order, network, Turns(SLICES + 2), lambda text: None)
    assert result.slices == SLICES + 2
    assert result.problems() == ()
    assert result.killed_with is None
    assert [cluster.interruption for cluster in result.clusters] == [None, None]
    assert [[each.moment for each in cluster.comparisons] for cluster in result.clusters] == [["at the end"], ["at the end"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_nothing_else(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stop() as stop:
        os.kill(os.getpid(), number)
        assert stop.wait() is True
    assert signal.getsignal(number) == before


def test_an_interrupt_ends_with_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(stop: Stop) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return original(stop)

    original = Stop.wait
    monkeypatch.setattr(Stop, "wait", interrupt)
    options = argparse.Namespace(trace=None, slices=SLICES, seed=7, live=True, root=str(tmp_path / "node"), output="json")
    assert demo.run(options) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["slices"], document["killed_with"]) == (True, 1, None)
