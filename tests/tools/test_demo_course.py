"""The course of the demonstration: what happens in which order, and that the result is put together from all of it."""

from pathlib import Path
from typing import Any

import pytest

from rap_tools import demo_course
from rap_tools.demo_course import conduct, make_order, show_kill, show_live
from rap_tools.demo_messages import Message
from rap_tools.demo_network import SLICE_S, DemoNetwork
from rap_tools.demo_proof import Evidence
from rap_tools.demo_result import DemoResult
from rap_tools.demo_run import Watcher
from tests.tools.demo_kit import OBSERVATIONS, SLICES, DemoRun


class Witness(Watcher):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.heard: list[Message] = []

    def say(self, what: str) -> None:
        self.said.append(what)

    def listen(self, message: Message) -> None:
        self.heard.append(message)


def shown_again(demo_run: DemoRun, monkeypatch: pytest.MonkeyPatch, watcher: Watcher, **changes: Any) -> DemoResult:
    """The result of a run that has been, changed or not."""
    evidence = demo_run.evidence._replace(**changes)

    def conducted(*arguments: object) -> Evidence:
        return evidence

    monkeypatch.setattr(demo_course, "conduct", conducted)
    return show_kill(demo_run.order, demo_run.network, watcher)


def test_documents_are_issued_when_the_history_begins() -> None:
    network = DemoNetwork.open(None, slices=12, seed=1)
    order = make_order(Path("/n"), Path("/n.key"), "trace", network)
    assert (order.root, order.key_file, order.trace, order.slices, order.seed, order.resume) == (
        "/n", "/n.key", "trace", 12, 1, {},
    )  # fmt: skip
    later = make_order(Path("/n"), Path("/n.key"), None, network._replace(slices=24))
    assert 0 <= order.issued_at_s - later.issued_at_s - 12 * SLICE_S + 1 <= 2


def test_the_result_is_put_together_from_writers_and_files(demo_run: DemoRun, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = Witness()
    result = shown_again(demo_run, monkeypatch, witness)
    assert witness.said == ["comparing digests"]
    assert result.problems() == ()
    assert (result.killed_with, result.verify_exit_code, result.slices, result.seed) == (-9, 0, SLICES, 7)
    opened = demo_run.evidence.second.opened("eu-west-1")
    assert opened is not None and result.store_open_ms == opened.store_open_ms
    assert [cluster.observations for cluster in result.clusters] == [OBSERVATIONS] * 2
    assert [command.split()[-1] for command in result.commands] == [str(demo_run.root), "20", str(demo_run.root)]


def test_a_writer_that_was_quicker_than_the_kill_is_a_problem(demo_run: DemoRun, monkeypatch: pytest.MonkeyPatch) -> None:
    result = shown_again(demo_run, monkeypatch, Witness(), first=demo_run.evidence.first._replace(returncode=0))
    assert result.problems() == ("the first writer was to be killed and ended with status 0.",)


def test_the_steps_are_told_and_every_message_is_passed_on(tmp_path: Path) -> None:
    network, witness = DemoNetwork.open(None, slices=SLICES, seed=2), Witness()
    evidence = conduct(make_order(tmp_path / "node", tmp_path / "node.key", None, network), network, witness)
    assert witness.said == [
        "writing, to be killed",
        "killed; reading the files",
        "recovering and going on",
        "changing whom to trust",
    ]
    assert witness.heard == [*evidence.first.messages, *evidence.second.messages]
    assert (evidence.first.returncode, evidence.second.returncode) == (-9, 0)
    assert sorted(evidence.killed) == ["eu-west-1", "us-east-1"]


def test_live_ends_with_the_slices_that_were_written(tmp_path: Path) -> None:
    network = DemoNetwork.open(None, slices=SLICES, seed=2)
    lines: list[str] = []
    result = show_live(make_order(tmp_path / "node", tmp_path / "node.key", None, network), network, lambda: True, lines.append)
    assert (result.slices, result.killed_with, result.store_open_ms, result.problems()) == (1, None, None, ())
    assert len(lines) == 1


def test_slices_are_acknowledged_once_over_both_writers(demo_run: DemoRun) -> None:
    said = [message for cluster in demo_run.network.clusters for message in demo_run.acknowledged(cluster.id)]
    assert [message.slice_index for message in said] == [*range(SLICES), *range(SLICES)]
