"""The writer: it says what it begins before, and what is durable after, and goes on where it is told to."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError
from rap_projections import History, NodeStore
from rap_projections.keys import FileKeyProvider
from rap_tools.demo_course import make_order
from rap_tools.demo_messages import Acknowledged, Begun, Checkpointed, Closed, Failed, Message, Opened, Order, order_text
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_writer import join_all, main, write
from tests.tools.demo_kit import DemoRun

NETWORK = DemoNetwork.open(None, slices=6, seed=1)


def order_in(folder: Path) -> Order:
    return make_order(folder / "node", folder / "node.key", None, NETWORK)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Order, list[Message]]:
    """What a writer says that nobody kills."""
    order = order_in(tmp_path_factory.mktemp("writer"))
    messages: list[Message] = []
    write(order, messages.append)
    return order, messages


def test_a_writer_says_what_it_does_in_this_order(said: tuple[Order, list[Message]]) -> None:
    kinds = [type(message).__name__ for message in said[1]]
    slices = ["Begun", "Acknowledged"] * 2
    assert kinds == ["Opened", "Opened", *slices * 3, "Checkpointed", "Checkpointed", *slices * 3, "Closed"]


def test_each_slice_is_begun_before_it_is_acknowledged_and_lsns_rise(said: tuple[Order, list[Message]]) -> None:
    for cluster in NETWORK.clusters:
        steps = [each for each in said[1] if isinstance(each, Begun | Acknowledged) and each.cluster == cluster.id]
        assert [step.slice_index for step in steps] == [slice_index for slice_index in range(6) for _ in range(2)]
        done = [step for step in steps if isinstance(step, Acknowledged)]
        assert [step.observations for step in done] == [95 * (slice_index + 1) for slice_index in range(6)]
        assert sorted({step.lsn for step in done}) == [step.lsn for step in done]


def test_what_was_acknowledged_is_what_the_history_has(said: tuple[Order, list[Message]]) -> None:
    order, messages = said
    with History.open(order.root, keys=FileKeyProvider(order.key_file)) as history:
        for message in messages:
            if isinstance(message, Acknowledged):
                assert history.cluster(message.cluster).state_at(message.lsn).digest() == message.digest
            if isinstance(message, Checkpointed):
                assert message.byte_count > 0
                assert history.cluster(message.cluster).horizon.lsn > message.lsn


def test_a_new_store_opens_with_nothing_replayed(said: tuple[Order, list[Message]]) -> None:
    opened = [message for message in said[1] if isinstance(message, Opened)]
    assert [(each.cluster, each.verdict, each.cut_bytes, each.findings) for each in opened] == [
        ("eu-west-1", "clean", 0, []), ("us-east-1", "clean", 0, []),
    ]  # fmt: skip
    assert {each.store_open_ms for each in opened} == {opened[0].store_open_ms}


def test_a_writer_that_comes_back_goes_on_with_the_slices_that_are_left(demo_run: DemoRun) -> None:
    first, second = demo_run.evidence.first, demo_run.evidence.second
    for cluster in demo_run.network.clusters:
        slices = [said.slice_index for said in (*first.acknowledged(cluster.id), *second.acknowledged(cluster.id))]
        assert slices == list(range(6))
        opened = second.opened(cluster.id)
        assert opened is not None
        assert opened.replayed_records == opened.last_lsn - opened.checkpoint_lsn
    assert not any(isinstance(said, Checkpointed) for said in second.messages)


def test_joining_again_keeps_the_clusters(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    with NodeStore.open(tmp_path / "node", keys=FileKeyProvider(order.key_file), create=True, background=False) as store:
        lsns = [[feed.durable_lsn for feed in join_all(store, NETWORK, order.issued_at_s)] for _ in range(2)]
    assert lsns[0] == lsns[1]


def test_the_main_function_writes_a_line_for_each_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([order_text(order_in(tmp_path))]) == 0
    kinds = Counter(json.loads(line)["message"] for line in capsys.readouterr().out.splitlines())
    assert kinds == {"Opened": 2, "Begun": 12, "Acknowledged": 12, "Checkpointed": 2, "Closed": 1}


def test_a_failure_is_said_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([order_text(order_in(tmp_path / "absent"))])
    (line,) = capsys.readouterr().out.splitlines()
    assert (code, json.loads(line)["message"], json.loads(line)["exit_code"]) == (3, "Failed", 3)


def test_a_failure_of_the_system_is_12(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(order: Order, say: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rap_tools.demo_writer.write", fail)
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    assert main([order_text(order_in(tmp_path))]) == 12
    assert json.loads(stream.getvalue()) == {
        "message": "Failed", **Failed("the writer failed: No space left on device", 12)._asdict(),
    }  # fmt: skip


def test_too_few_slices_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="needs 6 slices"):
        write(order_in(tmp_path)._replace(slices=5), lambda message: None)
    assert list(tmp_path.iterdir()) == []
    assert Closed() == ()
