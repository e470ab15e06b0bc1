"""A value of a type that no call was made for is the caller's mistake, changes nothing, and comes out as such."""

from collections.abc import Callable
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_projections import ClusterState
from rap_projections.arguments import require, require_optional
from tests.projections.store_kit import Ready, furnished

WRONG: tuple[Any, ...] = (None, True, 7, 1.5, b"x", [], {}, ("x",), object())


@pytest.mark.parametrize(
    ("value", "kinds"), [("x", (str,)), (7, (int,)), (True, (bool,)), (True, (int, bool)), (1.5, (int, float))]
)
def test_a_value_of_one_of_the_types_passes(value: object, kinds: tuple[type, ...]) -> None:
    require("it", value, *kinds)
    require_optional("it", value, *kinds)
    require_optional("it", None, *kinds)
    for call in (require, require_optional):
        with pytest.raises(MisuseError):
            call("it", object(), *kinds)


@pytest.mark.parametrize(("value", "kinds"), [(True, (int,)), (7, (bool,)), (1.5, (int,)), (None, (str,)), (b"x", (str, int))])
def test_a_value_of_another_type_is_a_misuse_that_names_both(value: object, kinds: tuple[type, ...]) -> None:
    with pytest.raises(MisuseError, match=f"^it cannot be of type {type(value).__name__}; nothing was done") as caught:
        require("it", value, *kinds)
    assert caught.value.reason == "bad_it"


CALLS: dict[str, Callable[[ClusterState, Any], object]] = {
    "activate": lambda cluster, it: cluster.activate(it),
    "activate_all": lambda cluster, it: cluster.snapshots.activate_all([it]),
    "allows": lambda cluster, it: cluster.allows(it),
    "check": lambda cluster, it: cluster.snapshots.check(it),
    "degraded": lambda cluster, it: cluster.health.enter_degraded(it),
    "enroll": lambda cluster, it: cluster.identity.enroll(certificate=it),
    "leave degraded": lambda cluster, it: cluster.health.leave_degraded(it),
    "note": lambda cluster, it: cluster.note(it),
    "partition": lambda cluster, it: cluster.health.partition(it, on=True),
    "peer": lambda cluster, it: cluster.peers.get(it),
    "request": lambda cluster, it: cluster.identity.request(node_id=it, membership_id="m-1"),
    "roll back": lambda cluster, it: cluster.updates.roll_back(it, reason="broken"),
    "route result": lambda cluster, it: cluster.routes.result(it, ok=True),
    "scope": lambda cluster, it: cluster.snapshots.scope(it),
    "service command": lambda cluster, it: cluster.services.command(it, "stop"),
    "service report": lambda cluster, it: cluster.services.report(it, state="running"),
    "stage": lambda cluster, it: cluster.activation("routes").stage(it),
    "trust": lambda cluster, it: cluster.trust.update([it]),
    "update subject": lambda cluster, it: cluster.updates.subject(it),
    "peer's certificate": lambda cluster, it: cluster.trust.verify_peer(it, node_id="node-1"),
    "purpose of a context": lambda cluster, it: cluster.identity.ssl_context(purpose=it),
    "workload": lambda cluster, it: cluster.workload(it),
}  # fmt: skip
TAKES = {"activate", "activate_all", "check", "enroll", "peer's certificate", "stage", "trust"}
"""Calls that take bytes, of which b"x" is some; what they are worth is another question."""


@pytest.fixture(scope="module")
def shared() -> Ready:
    return furnished()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with_a_value_of_another_type_changes_nothing(name: str, shared: Ready) -> None:
    shared.cluster.flush()
    before = shared.cluster.digest(), shared.cluster._core.journal.durable_lsn
    for value in WRONG:
        if (name in TAKES and isinstance(value, bytes)) or (name == "peer's certificate" and value == []):
            continue
        with pytest.raises(MisuseError):
            CALLS[name](shared.cluster, value)
    shared.cluster.flush()
    assert (shared.cluster.digest(), shared.cluster._core.journal.durable_lsn) == before


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.kit.store.cluster(7), lambda it: it.kit.store.leave(None, reason="x"),
        lambda it: it.kit.store.join(b"lab", bundle=b"", expect="0" * 64), lambda it: it.kit.store.join("x", bundle="", expect="0" * 64),
        lambda it: it.kit.store.join("x", bundle=b"", expect=7), lambda it: it.kit.store.join("x", bundle=b"", expect=[b"0" * 64]),
        lambda it: it.cluster.health.pressure(disk=0.5), lambda it: it.cluster.health.enter_degraded("x", safe_until_us=1.5),
        lambda it: it.cluster.telemetry.ack("1"), lambda it: it.cluster.telemetry.drain(count_max=None),
        lambda it: it.cluster.subscribe(print, after="1"), lambda it: it.cluster.updates.verify_artifact("agent", "text"),
        lambda it: it.cluster.trust.verify_peer([b"x"], node_id=7), lambda it: it.cluster.trust.verify_peer([b"x"], purpose="client"),
        lambda it: it.cluster.routes.best([], channel="interactive"), lambda it: it.cluster.hints.get([]),
    ],
)  # fmt: skip
def test_any_other_value_of_another_type_is_a_misuse(call: Callable[[Ready], object], shared: Ready) -> None:
    with pytest.raises(MisuseError):
        call(shared)


@pytest.mark.parametrize("count_max", [-1, 0, 2**70])
def test_any_whole_number_of_records_may_be_asked_for(count_max: int, shared: Ready) -> None:
    assert len(shared.cluster.telemetry.drain(count_max=count_max)) == (1 if count_max > 1 else 0)
