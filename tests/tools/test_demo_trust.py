"""What the demonstration shows of trust: taken, refused, taken, refused, and told as it was."""

from pathlib import Path

from rap_projections import NodeStore
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_trust import show_trust
from rap_tools.demo_writer import join_all
from tests.tools.demo_kit import DemoRun

ISSUED_AT_S = 1_767_225_600


def test_a_root_is_rotated_a_rollback_refused_and_a_signer_revoked(demo_run: DemoRun) -> None:
    steps = demo_run.evidence.trust
    assert [step.is_right for step in steps] == [True] * 4
    assert [step.answer.partition(", durable")[0] for step in steps] == [
        "bundle 2 in force", "refused: rollback", "bundle 3 in force", "refused: revoked",
    ]  # fmt: skip


def test_what_the_store_takes_although_it_must_not_is_wrong(tmp_path: Path, demo_run: DemoRun) -> None:
    """Shown a second time, the rotation is a rollback, and the revocation is in force already."""
    network = DemoNetwork.open(None, slices=12, seed=3)
    with NodeStore.open(tmp_path / "node", keys=demo_run.keys, create=True) as store:
        join_all(store, network, ISSUED_AT_S)
    first, second = (show_trust(tmp_path / "node", demo_run.keys, network, ISSUED_AT_S) for _time in range(2))
    assert [step.is_right for step in first] == [True] * 4
    assert [step.is_right for step in second] == [False, True, False, True]
