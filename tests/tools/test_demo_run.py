"""Running the demonstration's writers, and killing one."""

import signal
from pathlib import Path

import pytest

from rap_tools.demo_course import make_order
from rap_tools.demo_messages import Acknowledged, Begun, Closed, Failed, Message
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_run import KillPlan, Transcript, WriterFailed, plan_kill, resume_after, run_writer

SLICES = 6


def acknowledged(cluster: str, slice_index: int) -> Acknowledged:
    return Acknowledged(cluster, slice_index, 100 * (slice_index + 1), "ab" * 32, 95, 99, 0.1, 9)


@pytest.mark.parametrize("slices", [6, 60])
def test_the_kill_is_drawn_behind_the_checkpoint_and_before_the_last_slice(slices: int) -> None:
    plans = [plan_kill(DemoNetwork.open(None, slices=slices, seed=seed)) for seed in range(200)]
    checkpoint_slice = slices // 3
    assert {plan.slice_index for plan in plans} == set(range(checkpoint_slice + 1, slices - 1))
    assert {plan.cluster for plan in plans} == {"eu-west-1", "us-east-1"}
    assert all(0 <= plan.part < 1 for plan in plans)


def test_the_same_seed_draws_the_same_kill() -> None:
    network = DemoNetwork.open(None, slices=60, seed=5)
    assert plan_kill(network) == plan_kill(DemoNetwork.open(None, slices=60, seed=5))
    assert plan_kill(network) != plan_kill(network._replace(seed=6))


def test_what_was_begun_and_not_acknowledged_was_under_way() -> None:
    begun = Begun("eu-west-1", 3, 95)
    assert Transcript((begun,), -9).under_way == begun
    assert Transcript((begun, acknowledged("eu-west-1", 3)), -9).under_way is None
    assert Transcript((), -9).under_way is None


def test_each_cluster_goes_on_behind_its_last_acknowledged_slice() -> None:
    network = DemoNetwork.open(None, slices=12, seed=1)
    said: tuple[Message, ...] = (acknowledged("eu-west-1", 0), acknowledged("us-east-1", 0), acknowledged("eu-west-1", 1))
    assert resume_after(Transcript(said, -9), network) == {"eu-west-1": 2, "us-east-1": 1}
    assert resume_after(Transcript((), -9), network) == {"eu-west-1": 0, "us-east-1": 0}


def test_a_writer_is_killed_while_it_works_on_the_slice_that_was_drawn(tmp_path: Path) -> None:
    network = DemoNetwork.open(None, slices=SLICES, seed=1)
    order = make_order(tmp_path / "node", tmp_path / "node.key", None, network)
    heard: list[Message] = []
    transcript = run_writer(order, heard.append, KillPlan("us-east-1", 3, 0.0))
    assert transcript.returncode == -signal.SIGKILL
    assert tuple(heard) == transcript.messages
    assert Begun("us-east-1", 3, 95) in transcript.messages
    assert not any(isinstance(said, Closed) for said in transcript.messages)
    assert [said.slice_index for said in transcript.acknowledged("eu-west-1")][:4] == [0, 1, 2, 3]


def test_a_writer_that_gives_up_by_itself_is_told_of_with_its_exit_code(tmp_path: Path) -> None:
    network = DemoNetwork.open(None, slices=SLICES, seed=1)
    order = make_order(tmp_path / "missing" / "node", tmp_path / "node.key", None, network)
    with pytest.raises(WriterFailed, match="is to be made in is not there") as caught:
        run_writer(order, lambda message: None, plan_kill(network))
    assert caught.value.exit_code == 3


def test_a_writer_that_died_without_a_word_counts_as_a_bug() -> None:
    assert WriterFailed.of(Transcript((), -11)).exit_code == 70
    assert WriterFailed.of(Transcript((Failed("no space", 12),), 12)).exit_code == 12
