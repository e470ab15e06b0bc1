"""The agent's own journal: it remembers over kills and power cuts, and never speaks for a cluster."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.agent import UpdateEngine
from tests.projections.store_kit import CLUSTER, ready


def test_a_flag_is_durable_and_set_once() -> None:
    it = ready()
    receipt = it.kit.store.agent.flag("probe", on=True)
    assert (receipt.durable, receipt.changed) == (True, True)
    assert it.kit.store.agent.flag("probe", on=True) == (None, True, False)
    it.kit.power_cut()
    assert it.kit.store.agent.view().feature_flags == {"probe": True}


def test_everything_it_is_told_is_there_after_a_power_cut() -> None:
    it = ready()
    agent = it.kit.store.agent
    agent.update_engine(name="rauc", version="1.2", state="ready")
    agent.diagnostic("disk-slow", text="took long", cluster=CLUSTER)
    before, install_id = agent.view(), agent.view().install_id
    it.kit.power_cut()
    after = it.kit.store.agent.view()
    assert after.update_engine == UpdateEngine("rauc", "1.2", "ready") == before.update_engine
    assert [entry[:3] for entry in after.diagnostics] == [("disk-slow", CLUSTER, "took long")]
    assert (after.install_id, after.joined(), len(install_id)) == (install_id, (CLUSTER,), 32)


def test_an_opening_says_whether_the_one_before_was_closed() -> None:
    it = ready()
    first = it.kit.store.agent.view().opened
    it.kit.store.close()
    it.kit.open()
    second = it.kit.store.agent.view().opened
    it.kit.kill()
    third = it.kit.store.agent.view().opened
    assert first is not None and second is not None and third is not None
    assert [first.previous_clean, second.previous_clean, third.previous_clean] == [True, True, False]
    assert it.kit.store.agent.view().is_open


def test_a_refused_call_changes_nothing() -> None:
    it = ready()
    before = it.kit.store.agent.digest()
    with pytest.raises(MisuseError):
        it.kit.store.agent.flag("Not A Word", on=True)
    with pytest.raises(MisuseError):
        it.kit.store.agent.diagnostic("Not A Word", text="x")
    assert it.kit.store.agent.digest() == before


def test_what_the_agent_is_told_changes_no_cluster() -> None:
    it = ready()
    before = it.cluster.digest()
    it.kit.store.agent.flag("resolve_secret", on=True)
    assert it.cluster.digest() == before


def test_it_is_idle_once_its_witness_caught_up() -> None:
    it = ready()
    agent = it.kit.store.agent
    agent.flag("probe", on=True)
    idle = [agent.is_idle]
    it.kit.clock.advance(seconds=60)
    agent.tick()
    idle.append(agent.is_idle)
    assert idle == [False, True]
    assert agent.is_writable and agent.recovery.is_clean


def test_a_view_stays_as_it_was() -> None:
    it = ready()
    view = it.kit.store.agent.view()
    it.kit.store.agent.flag("probe", on=True)
    assert (view.feature_flags, it.kit.store.agent.view().feature_flags) == ({}, {"probe": True})
