"""The calls about health: what is durable at once and what is batched, and what a heartbeat carries."""

import hashlib
from collections.abc import Callable

import pytest

from rap_journal.deterministic_cbor import encode
from rap_journal.errors import MisuseError
from rap_projections import ClusterState
from rap_projections.documents import Scope
from rap_projections.receipts import UNCHANGED, Receipt
from tests.projections.store_kit import Ready, furnished, ready, written

QUEUED = Receipt(None, False, True)


@pytest.fixture
def it() -> Ready:
    return ready()


@pytest.mark.parametrize(
    "call",
    [
        lambda cluster: cluster.health.enter_degraded("disk-failing"),
        lambda cluster: cluster.health.partition("split", on=True),
    ],
    ids=["enter degraded", "partition"],
)
def test_reasons_and_flags_are_durable_when_the_call_returns(it: Ready, call: Callable[[ClusterState], Receipt]) -> None:
    receipt = call(it.cluster)
    assert (receipt.durable, receipt.changed, receipt.lsn) == (True, True, written(it)[-1].lsn)
    before = it.cluster.health.view
    assert call(it.cluster) == UNCHANGED
    it.kit.power_cut()
    assert (it.cluster.health.view.degraded, it.cluster.health.view.partition_flags) == (before.degraded, before.partition_flags)


@pytest.mark.parametrize(
    "call",
    [
        lambda cluster: cluster.health.contact("control-plane", ok=True),
        lambda cluster: cluster.health.pressure(disk=900),
        lambda cluster: cluster.health.heartbeat_sent(cluster.health.heartbeat()),
    ],
    ids=["contact", "pressure", "heartbeat sent"],
)
def test_what_is_observed_all_the_time_is_batched(it: Ready, call: Callable[[ClusterState], Receipt]) -> None:
    before = it.cluster.health.view
    assert call(it.cluster) == QUEUED
    assert it.cluster.health.view == before
    it.cluster.flush()
    assert it.cluster.health.view != before


def test_contacts_are_told_by_party(it: Ready) -> None:
    it.cluster.health.contact("control-plane", ok=True)
    it.cluster.health.contact("storage", ok=False)
    it.cluster.flush()
    contacts = it.cluster.health.view.contacts
    assert sorted(contacts) == ["control-plane", "storage"]
    assert contacts["control-plane"].ok_us > 0 and contacts["storage"].ok_us == 0


def test_the_same_contact_again_is_another_one(it: Ready) -> None:
    for _twice in range(2):
        assert it.cluster.health.contact("config", ok=True) == QUEUED


def test_only_resources_that_were_given_and_changed_are_noted(it: Ready) -> None:
    it.cluster.health.pressure(disk=100, memory=200)
    it.cluster.flush()
    assert it.cluster.health.pressure(disk=100) == UNCHANGED
    it.cluster.health.pressure(disk=0, cpu=1000)
    it.cluster.flush()
    pressure = it.cluster.health.view.pressure
    assert {name: value.permille for name, value in pressure.items()} == {"disk": 0, "memory": 200, "cpu": 1000}
    assert it.cluster.health.pressure() == UNCHANGED


def test_degraded_mode_is_entered_and_left_reason_by_reason(it: Ready) -> None:
    for reason in ("disk-failing", "clock-unsure"):
        it.cluster.health.enter_degraded(reason)
    assert it.cluster.health.leave_degraded("disk-failing").changed
    assert sorted(it.cluster.health.view.degraded) == ["clock-unsure"]
    assert it.cluster.health.leave_degraded("disk-failing") == UNCHANGED


def test_a_local_limit_only_shortens_what_the_policy_gives(it: Ready) -> None:
    now_us = it.cluster._core.node_us()
    latest_us = now_us + it.cluster.policy.degraded_s_max * 1_000_000
    it.cluster.health.enter_degraded("a", safe_until_us=latest_us + 1)
    it.cluster.health.enter_degraded("b", safe_until_us=now_us + 5)
    degraded = it.cluster.health.view.degraded
    assert (degraded["a"].safe_until_us, degraded["b"].safe_until_us) == (latest_us, now_us + 5)
    it.cluster.health.enter_degraded("a", safe_until_us=now_us + 7)
    assert it.cluster.health.view.degraded["a"].safe_until_us == now_us + 7
    assert it.cluster.health.enter_degraded("a", safe_until_us=latest_us) == UNCHANGED


def test_a_partition_flag_is_set_and_cleared(it: Ready) -> None:
    for on in (True, False):
        it.cluster.health.partition("split", on=on)
        assert ("split" in it.cluster.health.view.partition_flags) is on
    assert it.cluster.health.partition("split", on=False) == UNCHANGED


@pytest.mark.parametrize(
    "call",
    [
        lambda cluster: cluster.health.contact("a stranger", ok=True),
        lambda cluster: cluster.health.pressure(disk=1001),
        lambda cluster: cluster.health.pressure(memory=-1),
        lambda cluster: cluster.health.partition("No Word", on=True),
        lambda cluster: cluster.health.enter_degraded(""),
        lambda cluster: cluster.health.enter_degraded("x" * 65),
        lambda cluster: cluster.health.leave_degraded("health-state-lost"),
    ],
)
def test_what_is_refused_writes_nothing(it: Ready, call: Callable[[ClusterState], Receipt]) -> None:
    before = len(written(it))
    with pytest.raises(MisuseError):
        call(it.cluster)
    it.cluster.flush()
    assert len(written(it)) == before


# Heartbeats.


def test_a_heartbeat_carries_safe_metadata_of_one_lsn_and_writes_nothing() -> None:
    it = furnished()
    it.cluster.health.enter_degraded("disk-failing")
    it.cluster.health.partition("split", on=True)
    it.cluster.health.pressure(disk=900, cpu=50)
    it.cluster.flush()
    count = len(written(it))
    beat = it.cluster.health.heartbeat()
    assert beat.document == {
        "cluster": "lab",
        "lsn": it.cluster.view().lsn,
        "degraded": ["disk-failing"],
        "partition_flags": ["split"],
        "pressure_permille": {"cpu": 50, "disk": 900},
        "applied": {scope.value: [1, 1] for scope in Scope},
        "fail_closed": None,
    }
    assert (beat.at_lsn, beat.digest) == (it.cluster.view().lsn, hashlib.sha256(encode(beat.document)).digest())
    assert len(written(it)) == count


def test_a_heartbeat_of_a_fresh_member_has_nothing_to_tell(it: Ready) -> None:
    document = it.cluster.health.heartbeat().document
    assert (document["applied"], document["degraded"], document["pressure_permille"]) == ({}, [], {})


def test_the_reason_for_failing_closed_is_told_in_it() -> None:
    it = ready()
    it.kit.wound("trust-flip")
    assert it.cluster.health.heartbeat().document["fail_closed"] == "trust_damaged"


def test_a_heartbeat_that_was_accepted_is_noted_once(it: Ready) -> None:
    beat = it.cluster.health.heartbeat()
    it.cluster.health.heartbeat_sent(beat)
    it.cluster.flush()
    noted = it.cluster.health.view.heartbeat
    assert noted is not None and noted[:2] == (beat.at_lsn, beat.digest)
    assert it.cluster.health.heartbeat_sent(beat) == UNCHANGED
    assert it.cluster.health.heartbeat_sent(it.cluster.health.heartbeat()) == QUEUED


@pytest.mark.parametrize(("given", "shown"), [(0.5, "0.5"), (1001, "1001"), (True, "True"), ("half", "str")])
def test_pressure_says_which_resource_takes_which_numbers(given: object, shown: str) -> None:
    message = f"^disk is how full it is in thousandths, a whole number from 0 to 1000, not {shown}. Nothing was changed.$"
    with pytest.raises(MisuseError, match=message):
        ready().cluster.health.pressure(disk=given)  # type: ignore[arg-type]  # the slip under test
