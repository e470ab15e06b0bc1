"""Specification, section 13: service workload cannot mutate authoritative local state."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rap_journal.errors import FailClosed, MisuseError, StateStoreError
from rap_projections import ClusterState, NodeStore
from rap_projections.cluster_context import ClusterContext
from rap_projections.documents import ServiceAssignment
from rap_projections.event_kinds import SERVICES, all_kinds
from rap_projections.journaled_state import JournaledState
from rap_projections.refusals import NotAllowed
from rap_projections.services import ServiceCommand
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_service
from rap_projections.workload import Workload
from tests.projections.store_kit import Ready, files, ready

AUTHORITATIVE = ("identity", "trust", "snapshots", "updates", "peers", "routes", "health", "telemetry")
OWN_EVENTS = {"ServiceReported", "CommandTaken", "SecretDecided", "ServiceRefused"}
LISTED = make_service("svc-a")._replace(resource_refs=("secret:db",))


def assigned() -> Ready:
    it = ready()
    it.cluster.activate(it.fabric.policy(high_risk_operations=("resolve_secret",)))
    it.fabric.issued_at_s += 1
    for document in (it.fabric.peers(["node-1"]), it.fabric.routes([("node-1", [])]), it.fabric.services([LISTED, "svc-b"])):
        it.cluster.activate(document)
    it.cluster.services.command("svc-a", "stop")
    # The time of this boot is paid for: the first question to the gate has nothing left to write.
    it.cluster.expire()
    it.cluster.flush()
    return it


def authority(cluster: ClusterState) -> dict[str, Any]:
    """All state that is not the workload's own: every other class, and of services what is signed."""
    view = cluster.view()
    return {name: getattr(view, name) for name in AUTHORITATIVE} | {
        "assignments": {name: service.assignment for name, service in view.services.services.items()},
        "content_id": view.services.content_id,
    }


def test_service_workload_cannot_mutate_authoritative_local_state() -> None:
    it = assigned()
    other = it.kit.join(Fabric("other"))
    before, other_files = authority(it.cluster), files(it.kit.filesystem, "clusters/other")
    lsn = it.cluster.view().lsn
    workload = it.cluster.workload("svc-a", resolver=lambda service, reference: "value")
    config = workload.config()
    workload.wait_config(after=config._replace(version="0"), timeout_s=0)
    workload.report(state="failed", version="9.9.9", detail="oom", command=workload.commands()[0], outcome="failed")
    assert workload.secret("secret:db") == "value"
    with pytest.raises(NotAllowed):
        workload.secret("secret:other")
    assert authority(it.cluster) == before
    assert files(it.kit.filesystem, "clusters/other") == other_files and other.view().lsn > 0
    kinds = {kind.number: kind for kind in all_kinds()}
    written = [record for record in it.cluster._core.history_after(lsn) if record.lsn > lsn]
    assert {kinds[record.kind].name for record in written} <= OWN_EVENTS
    assert {record.state_class for record in written} == {SERVICES.number}
    assert all(record.actor.startswith("workload") for record in written)


texts = some.text(max_size=80) | some.sampled_from(
    ["svc-a", "svc-b", "running", "done", "secret:db", "policy:p", "../trust", "clusters/other"]
)
commands = some.none() | some.builds(ServiceCommand, texts, texts, some.integers(0, 2**40), some.integers(0, 50))
assignments = some.builds(ServiceAssignment, texts, texts, texts, texts, *[some.tuples(texts)] * 4)
calls = some.one_of(
    some.tuples(some.just("config"), some.just({})),
    some.tuples(some.just("commands"), some.just({})),
    some.tuples(some.just("wait_config"), some.fixed_dictionaries({"after": assignments, "timeout_s": some.just(0)})),
    some.tuples(
        some.just("report"),
        some.fixed_dictionaries({"state": texts, "version": texts, "detail": texts, "command": commands, "outcome": texts}),
    ),
    some.tuples(some.just("secret"), some.fixed_dictionaries({"reference": texts})),
)


@given(some.lists(calls, min_size=1, max_size=12), some.sampled_from(["svc-a", "svc-b", "svc-x"]))
def test_whatever_a_workload_calls_with_whatever_it_finds_authority_stays_as_it_is(
    script: list[tuple[str, dict[str, Any]]], name: str
) -> None:
    it = SHARED
    before = authority(it.cluster)
    workload = it.cluster.workload(name, resolver=lambda service, reference: "value")
    for call, arguments in script:
        with suppress(StateStoreError):
            getattr(workload, call)(**arguments)
    it.cluster.flush()
    assert authority(it.cluster) == before
    assert it.cluster.status()["writer"]["is_poisoned"] is False


SHARED = assigned()
"""One store for all scripts: what a workload cannot do in one of them it cannot do in all of them together either."""


def reached(value: object, seen: dict[int, object]) -> None:
    """Everything that public names lead to, without calling anything."""
    if id(value) in seen or value is None or isinstance(value, str | bytes | int | type):
        return
    seen[id(value)] = value
    members: list[Any] = list(value) if isinstance(value, tuple) else []
    members += [inspect.getattr_static(value, name) for name in dir(value) if not name.startswith("_")]
    for member in members:
        reached(member, seen)


def test_no_public_name_leads_from_a_workload_or_its_answers_to_anything_that_writes() -> None:
    it = assigned()
    workload = it.cluster.workload("svc-a")
    assert {name for name in dir(workload) if not name.startswith("_")} == {
        "config",
        "wait_config",
        "report",
        "secret",
        "commands",
    }
    seen: dict[int, object] = {}
    for value in (workload, workload.config(), workload.commands(), workload.report(state="running")):
        reached(value, seen)
    assert not [value for value in seen.values() if isinstance(value, NodeStore | ClusterState | ClusterContext | JournaledState)]
    assert not hasattr(workload, "__dict__"), "nothing can be hung onto it"
    with pytest.raises(AttributeError):
        workload.trust = None  # type: ignore[attr-defined]  # what is tried must fail


def test_no_event_that_a_workload_causes_could_carry_authority() -> None:
    names = {kind.name: kind for kind in all_kinds()}
    assert {name for name, kind in names.items() if kind.state_class is SERVICES} == OWN_EVENTS | {
        "AssignmentsApplied", "ServiceCommanded", "ServiceRemoved",
    }  # fmt: skip
    for name in OWN_EVENTS:
        fields = set(names[name].sensitivity)
        assert not fields & {"content_id", "roles", "policy", "assignment", "bundle", "key", "certificate", "endpoints", "path"}


@pytest.mark.parametrize("gone", ["unassigned", "left", "closed", "fail closed"])
def test_a_workload_that_was_handed_out_earlier_loses_every_call_with_its_assignment(gone: str) -> None:
    it = assigned()
    workload: Workload = it.cluster.workload("svc-a", resolver=lambda service, reference: "value")
    cluster = it.cluster
    if gone == "unassigned":
        cluster.activate(it.fabric.services(["svc-b"]))
    elif gone == "left":
        it.kit.store.leave("lab", reason="bye")
    elif gone == "closed":
        it.kit.store.close()
    else:
        cluster._context.fail_closed("trust_damaged")
    before = authority(cluster)
    calls: dict[str, Callable[[], object]] = {
        "config": workload.config,
        "commands": workload.commands,
        "secret": lambda: workload.secret("secret:db"),
        "report": lambda: workload.report(state="running"),
    }
    # A handle that is closed still shows what it showed last; a cluster that fails closed still takes diagnostics.
    kept = {"left": {"config", "commands"}, "closed": {"config", "commands"}, "fail closed": {"report"}, "unassigned": set()}[
        gone
    ]
    for name in calls.keys() - kept:
        with pytest.raises((NotAllowed, FailClosed, MisuseError)):
            calls[name]()
    assert authority(cluster) == before
