"""What the events of the services class do to its state."""

from typing import Any

from rap_projections import services
from rap_projections.documents import ServiceAssignment
from rap_projections.lifecycle import ClassReset
from rap_projections.service_events import (
    AssignmentsApplied,
    CommandTaken,
    SecretAllowed,
    ServiceCommanded,
    ServiceRefused,
    ServiceRemoved,
    ServiceReported,
)
from rap_projections.services import COMMANDS_MAX, SecretGrant, ServiceCommand, ServiceReport, ServicesView, ServiceView
from tests.projections.class_log import ClassLog


def assignment(service_id: str, *, version: str = "1.0") -> ServiceAssignment:
    return ServiceAssignment(
        service_id, "rdp", version, "running", ("policy:p",), ("secret:s",), ("connector:c",), ("vpn_connection:v",)
    )


BODIES = {
    b"both": (assignment("svc-a"), assignment("svc-b")),
    b"newer": (assignment("svc-a", version="2.0"),),
    b"bare": (assignment("svc-a")._replace(resource_refs=()),),
}
REPORT = ServiceReported("svc-a", "running", "1.0", "")


def after(*events: tuple[object, ...]) -> ServicesView:
    log = ClassLog(services, BODIES)
    log.append(*events, node_us=7)
    view: ServicesView = log.state.view
    return view


def test_the_workloads_are_those_of_the_signed_snapshot_with_all_their_references() -> None:
    view = after(AssignmentsApplied(b"both"))
    assert {name: service.assignment for name, service in view.services.items()} == {it.id: it for it in BODIES[b"both"]}
    assert view.content_id == b"both"
    assert view.services["svc-a"].provenance["assignment"] == 1


def test_the_time_for_reports_is_used_up_by_each_and_never_by_more_than_there_is() -> None:
    for reports, until_us in ((1, 7 + 2_000_000), (30, 7 + 60_000_000), (99, 7 + 60_000_000)):
        view = after(AssignmentsApplied(b"both"), *[REPORT] * reports)
        assert view.services["svc-a"].reports_until_us == until_us


def test_a_newer_snapshot_keeps_the_reports_of_those_that_stay_and_drops_the_rest() -> None:
    view = after(AssignmentsApplied(b"both"), REPORT, AssignmentsApplied(b"newer"))
    assert list(view.services) == ["svc-a"]
    service = view.services["svc-a"]
    assert (service.assignment.version, service.reported) == ("2.0", ServiceReport("running", "1.0", "", 7, 2))
    assert (service.provenance["assignment"], service.provenance["reported"]) == (3, 2)


def test_the_same_snapshot_again_changes_nothing() -> None:
    assert after(AssignmentsApplied(b"both"), REPORT, AssignmentsApplied(b"both")) == after(AssignmentsApplied(b"both"), REPORT)


def test_without_a_snapshot_there_are_no_workloads() -> None:
    assert after(AssignmentsApplied(b"both"), AssignmentsApplied(None)).services == {}


def test_what_is_said_about_a_stranger_changes_nothing() -> None:
    before = after(AssignmentsApplied(b"both"))
    strangers: list[Any] = [
        REPORT,
        ServiceCommanded("svc-a", "stop"),
        CommandTaken("svc-a", 1, "done"),
        SecretAllowed("svc-a", "secret:s", 1),
    ]
    for event in strangers:
        assert after(AssignmentsApplied(b"both"), event._replace(service_id="svc-x")) == before


def test_commands_wait_until_they_are_taken() -> None:
    first, second = ServiceCommand("stop", "", 7, 2), ServiceCommand("start", "", 7, 3)
    waiting = (AssignmentsApplied(b"both"), ServiceCommanded("svc-a", "stop"), ServiceCommanded("svc-a", "start"))
    assert after(*waiting).services["svc-a"].commands == (first, second)
    service = after(*waiting, CommandTaken("svc-a", 2, "done")).services["svc-a"]
    assert (service.commands, service.last_command) == ((second,), first._replace(outcome="done"))
    service = after(*waiting, CommandTaken("svc-a", 3, "failed")).services["svc-a"]
    assert (service.commands, service.last_command) == ((), second._replace(outcome="failed"))
    assert after(*waiting, CommandTaken("svc-a", 9, "done")) == after(*waiting)


def test_the_newest_16_commands_wait() -> None:
    commands = [ServiceCommanded("svc-a", "stop") for _ in range(COMMANDS_MAX + 1)]
    assert [it.lsn for it in after(AssignmentsApplied(b"both"), *commands).services["svc-a"].commands] == list(range(3, 19))


def test_of_a_granted_secret_its_reference_is_kept_and_how_often_it_was_granted() -> None:
    view = after(AssignmentsApplied(b"both"), SecretAllowed("svc-a", "secret:s", 1), SecretAllowed("svc-a", "secret:s", 41))
    assert view.services["svc-a"].secrets == (SecretGrant("secret:s", 42, 7, 3),)


def test_grants_are_kept_for_listed_references_alone_and_go_when_the_assignment_lists_them_no_longer() -> None:
    granted = SecretAllowed("svc-a", "secret:s", 1)
    assert after(AssignmentsApplied(b"both"), granted._replace(reference="secret:x")) == after(AssignmentsApplied(b"both"))
    assert len(after(AssignmentsApplied(b"both"), granted, AssignmentsApplied(b"newer")).services["svc-a"].secrets) == 1
    assert after(AssignmentsApplied(b"both"), granted, AssignmentsApplied(b"bare")).services["svc-a"].secrets == ()


def test_a_removed_workload_is_gone_and_a_refusal_touches_none() -> None:
    assert list(after(AssignmentsApplied(b"both"), ServiceRemoved("svc-a", "not_assigned")).services) == ["svc-b"]
    refused = after(AssignmentsApplied(b"both"), ServiceRefused("svc-x", "svc-x", "not_assigned", 1, b""))
    assert refused.services == after(AssignmentsApplied(b"both")).services and len(refused.refusals) == 1


def test_after_a_reset_the_assignments_come_back_from_the_snapshot() -> None:
    reset = (AssignmentsApplied(b"both"), REPORT, ClassReset(5, 1, 2, "gap"))
    assert after(*reset).services == {}
    view = after(*reset, AssignmentsApplied(b"both"))
    assert list(view.services) == ["svc-a", "svc-b"] and view.services["svc-a"].reported is None


def test_workloads_are_counted_by_what_they_said_last() -> None:
    assignments = [ServiceAssignment(f"svc-{number}", "workload", "1", "running", (), (), (), ()) for number in range(5)]
    states = ("running", "failed", "stopping", "stopped", "")
    services = {
        it.id: ServiceView(it, reported=ServiceReport(state, "1", "", 1, 1) if state else None)
        for it, state in zip(assignments, states, strict=True)
    }
    assert ServicesView(services).counts() == (1, 1, 2, 1)
    assert ServicesView().counts() == (0, 0, 0, 0)
