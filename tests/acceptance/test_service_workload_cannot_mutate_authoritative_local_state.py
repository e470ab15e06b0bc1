"""Specification, section 13: service workload cannot mutate authoritative local state."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from rap_journal.errors import MisuseError, StateStoreError
from rap_projections import ClusterState, Operation
from rap_projections.event_kinds import CLUSTER_CLASSES, SERVICES, event_of
from rap_projections.refusals import NotAllowed
from rap_projections.services import ServiceCommand
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_service
from rap_projections.workload import Workload
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, files, names, ready

VALUE = "correct-horse-battery-staple"
ALLOWED = {"config", "wait_config", "report", "secret", "commands"}
"""Section 10: read configuration, report, request secrets, receive commands."""

KINDS = {"ServiceReported", "CommandTaken", "SecretAllowed", "ServiceRefused"}
"""The only events that a workload can cause."""


def staffed() -> Ready:
    """A store in two clusters; in one of them a workload is assigned that may resolve a secret, and a command waits for it."""
    it = ready()
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy(high_risk_operations=("resolve_secret",)))
    it.cluster.activate(it.fabric.peers(["node-1"]))
    it.cluster.activate(it.fabric.services([make_service("svc-a")._replace(resource_refs=("secret:db",)), make_service("svc-b")]))
    it.cluster.services.command("svc-a", "restart")
    it.kit.join(Fabric("other"))
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok
    it.cluster.flush()
    it.kit.store.tick()
    return it


def workload(it: Ready, service_id: str = "svc-a") -> Workload:
    return it.cluster.workload(service_id, resolver=lambda service, reference: VALUE)


def class_digests(cluster: ClusterState) -> dict[str, bytes]:
    state = cluster._core.state
    return {spec.name: state.class_digest(spec.number) for spec in CLUSTER_CLASSES}


def authoritative_files(it: Ready) -> dict[str, bytes]:
    """The files of the classes whose word counts, in the cluster of the workload."""
    folders = ("identity", "trust", "snapshots", "updates")
    return {path: content for name in folders for path, content in files(it.kit.filesystem, f"{FOLDER}/{name}/").items()}


def everything(mine: Workload) -> list[Callable[[], object]]:
    """All that a workload can ask for, well-formed and not, for itself and in the name of others."""
    stranger = make_service("svc-b")
    foreign = ServiceCommand("restart", "", 0, 10**9)
    texts = [
        "running",
        "",
        "x" * 100_000,
        "\ud800",
        "../../trust/evil",
        "svc-b",
        "secret:db",
        "secret:other",
        "resource:db",
        "\0",
        "é",
    ]
    calls: list[Callable[[], object]] = [mine.config, mine.commands, lambda: mine.wait_config(after=stranger, timeout_s=0)]
    for text in texts:
        calls += [
            partial(mine.report, state=text), partial(mine.report, state="running", version=text),
            partial(mine.report, state="running", detail=text), partial(mine.report, state="running", command=foreign, outcome=text),
            partial(mine.secret, text),
        ]  # fmt: skip
    calls += [partial(mine.report, state="ready", command=foreign, outcome=outcome) for outcome in ("done", "failed", "ignored")]
    return calls


def test_service_workload_cannot_mutate_authoritative_local_state() -> None:
    it = staffed()
    mine = workload(it)
    before, lsn = class_digests(it.cluster), it.cluster._core.journal.durable_lsn
    agent, other = it.kit.store.agent.digest(), it.kit.store.cluster("other").digest()
    outside = {path: content for path, content in files(it.kit.filesystem).items() if not path.startswith(FOLDER)}
    sealed = authoritative_files(it)
    answered = 0
    for call in everything(mine):
        with suppress(StateStoreError):
            call()
            answered += 1
    it.cluster.flush()
    after = class_digests(it.cluster)
    assert answered > 5
    assert {name for name in after if after[name] != before[name]} == {SERVICES.name}
    assert {type(event_of(record)).__name__ for record in it.cluster._core.history_after(lsn)} <= KINDS
    assert {record.actor for record in it.cluster._core.history_after(lsn)} == {"workload:svc-a"}
    # Not the assignments either: what a workload writes is what it says of itself.
    services = {service.assignment.id: service for service in it.cluster.services.assigned()}
    assert services["svc-b"].reported is None
    assert services["svc-a"].assignment.resource_refs == ("secret:db",)
    # No other namespace, and no authoritative file of this one.
    assert (it.kit.store.agent.digest(), it.kit.store.cluster("other").digest()) == (agent, other)
    assert {path: content for path, content in files(it.kit.filesystem).items() if not path.startswith(FOLDER)} == outside
    assert authoritative_files(it) == sealed


def test_a_workload_is_offered_what_section_10_allows_and_nothing_else() -> None:
    mine = workload(staffed())
    assert {name for name in dir(mine) if not name.startswith("_")} == ALLOWED
    assert not hasattr(mine, "__dict__")
    for attribute in ("config", "activate", "role"):
        with pytest.raises(AttributeError):
            setattr(mine, attribute, None)


def test_what_a_workload_is_given_cannot_be_written_through() -> None:
    it = staffed()
    mine = workload(it)
    before = it.cluster.digest()
    config, (command,) = mine.config(), mine.commands()
    for given, field in ((config, "desired_state"), (config, "resource_refs"), (command, "command")):
        with pytest.raises(AttributeError):
            setattr(given, field, ("secret:other",))
    assert all(isinstance(value, str | int | tuple) for value in (*config, *command))
    assert it.cluster.digest() == before


def test_a_workload_reports_for_itself_alone() -> None:
    it = staffed()
    workload(it).report(state="failed")
    services = {service.assignment.id: service.reported for service in it.cluster.services.assigned()}
    assert services["svc-a"] is not None and services["svc-a"].state == "failed"
    assert services["svc-b"] is None


def test_a_workload_gets_no_secret_of_another() -> None:
    it = staffed()
    with pytest.raises(NotAllowed) as caught:
        workload(it, "svc-b").secret("secret:db")
    assert caught.value.reason == "not_listed"


@pytest.mark.parametrize("service_id", ["svc-z", "", "../svc-a", "SVC-A", "x" * 1000, "node-1"])
def test_a_workload_that_nobody_assigned_is_refused_everything_and_leaves_no_trace(service_id: str) -> None:
    it = staffed()
    mine = workload(it, service_id)
    before = it.cluster.digest(), files(it.kit.filesystem)
    for call in everything(mine):
        with pytest.raises((NotAllowed, MisuseError)):
            call()
    it.cluster.flush()
    assert (it.cluster.digest(), files(it.kit.filesystem)) == before


def test_reports_of_a_workload_do_not_become_signed_state_over_a_restart() -> None:
    it = staffed()
    mine = workload(it)
    mine.report(state="running", version="9.9.9")
    it.kit.power_cut()
    (service, _other) = it.cluster.services.assigned()
    assert service.reported is not None and service.reported.version == "9.9.9"
    assert (service.assignment.version, service.assignment.desired_state) == ("1.0.0", "running")


def test_no_secret_that_a_workload_resolved_is_stored() -> None:
    it = staffed()
    assert workload(it).secret("secret:db") == VALUE
    it.cluster.checkpoint()
    assert VALUE not in repr([record.body for record in it.cluster._core.history_after(0)])
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    assert not [path for path, content in files(it.kit.filesystem).items() if VALUE.encode() in content]
    assert names(it.kit.filesystem, f"clusters/{CLUSTER}/tmp") == []
