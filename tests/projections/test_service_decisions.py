"""What workloads may report and be told."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import services
from rap_projections.documents import ServiceAssignment
from rap_projections.policy import Policy, effective
from rap_projections.refusals import NotAllowed
from rap_projections.service_decisions import (
    COMMANDS,
    decide_assignments,
    decide_command,
    decide_command_taken,
    decide_refused,
    decide_report,
    decide_secret,
)
from rap_projections.service_events import (
    AssignmentsApplied,
    CommandTaken,
    SecretDecided,
    ServiceCommanded,
    ServiceRefused,
    ServiceRemoved,
    ServiceReported,
)
from tests.projections.class_log import SECOND, ClassLog, at


def assignment(service_id: str) -> ServiceAssignment:
    return ServiceAssignment(service_id, "rdp", "1.0", "running", (), ("secret:s",), (), ())


BODIES = {b"both": (assignment("svc-a"), assignment("svc-b")), b"one": (assignment("svc-b"),)}


def assigned(content_id: bytes = b"both") -> ClassLog:
    log = ClassLog(services, BODIES)
    log.append(*decide_assignments(log.state.view, content_id=content_id, assignments=BODIES[content_id]))
    return log


def test_assignments_are_applied_once_and_those_who_leave_are_named() -> None:
    log = assigned()
    assert decide_assignments(log.state.view, content_id=b"both", assignments=BODIES[b"both"]) == ()
    events = decide_assignments(log.state.view, content_id=b"one", assignments=BODIES[b"one"])
    assert events == (ServiceRemoved("svc-a", "not_assigned"), AssignmentsApplied(b"one"))
    log.append(*events)
    assert decide_assignments(log.state.view, content_id=None, assignments=()) == (
        ServiceRemoved("svc-b", "no_snapshot"),
        AssignmentsApplied(None),
    )


def test_a_report_is_kept_when_it_says_something_new() -> None:
    log = assigned()
    events = decide_report(log.state.view, "svc-a", state="failed", version="1.0", detail="out_of_memory")
    assert events == (ServiceReported("svc-a", "failed", "1.0", "out_of_memory"),)
    log.append(*events)
    assert decide_report(log.state.view, "svc-a", state="failed", version="1.0", detail="out_of_memory") == ()
    assert decide_report(log.state.view, "svc-a", state="running") == (ServiceReported("svc-a", "running", "", ""),)


@pytest.mark.parametrize(
    "report", [{"state": ""}, {"state": "up up"}, {"state": "up", "detail": "<b>"}, {"state": "up", "version": "1\n"}]
)
def test_a_report_holds_words_and_a_version_only(report: dict[str, str]) -> None:
    log = assigned()
    before = log.value()
    with pytest.raises(MisuseError):
        decide_report(log.state.view, "svc-a", **report)
    assert log.value() == before


def test_who_is_not_assigned_can_neither_report_nor_be_told_nor_ask() -> None:
    view = assigned(b"one").state.view
    for call in (
        lambda: decide_report(view, "svc-a", state="running"),
        lambda: decide_command(view, "svc-a", "stop"),
        lambda: decide_command_taken(view, "svc-a", command_lsn=1, outcome="done"),
        lambda: decide_secret(view, "svc-a", reference="secret:s", is_open=True),
    ):
        with pytest.raises(NotAllowed) as caught:
            call()
        assert caught.value.reason == "not_assigned"


def test_the_four_commands_and_no_other() -> None:
    view = assigned().state.view
    assert [decide_command(view, "svc-a", command) for command in COMMANDS] == [
        (ServiceCommanded("svc-a", command),) for command in COMMANDS
    ]
    with pytest.raises(MisuseError, match="Use start, stop, restart, reload"):
        decide_command(view, "svc-a", "erase")


def test_a_command_that_is_the_newest_to_wait_is_not_given_twice() -> None:
    log = assigned()
    log.append(ServiceCommanded("svc-a", "stop"))
    assert decide_command(log.state.view, "svc-a", "stop") == ()
    log.append(ServiceCommanded("svc-a", "start"))
    assert decide_command(log.state.view, "svc-a", "stop") == (ServiceCommanded("svc-a", "stop"),)


def test_a_command_is_taken_once() -> None:
    log = assigned()
    log.append(ServiceCommanded("svc-a", "stop"))
    events = decide_command_taken(log.state.view, "svc-a", command_lsn=2, outcome="done")
    assert events == (CommandTaken("svc-a", 2, "done"),)
    log.append(*events)
    assert decide_command_taken(log.state.view, "svc-a", command_lsn=2, outcome="done") == ()
    with pytest.raises(MisuseError, match="is no outcome"):
        decide_command_taken(log.state.view, "svc-a", command_lsn=2, outcome="maybe")


@pytest.mark.parametrize(
    ("reference", "is_open", "answer"),
    [
        ("secret:s", True, (True, "listed")),
        ("secret:s", False, (False, "gate_closed")),
        ("secret:other", True, (False, "not_listed")),
    ],
)
def test_a_secret_is_for_who_is_assigned_it_while_the_gate_is_open(
    reference: str, is_open: bool, answer: tuple[bool, str]
) -> None:
    events = decide_secret(assigned().state.view, "svc-a", reference=reference, is_open=is_open)
    assert events == (SecretDecided("svc-a", reference, *answer),)


def test_refusals_are_written_once_per_interval() -> None:
    log, policy = assigned(), effective(Policy(refusal_interval_s=60), None)
    values = {"source": "svc-x", "service_id": "svc-x", "reason": "not_assigned", "times": 1, "digest": b""}
    first = decide_refused(log.state.view, **values, now=at(0), policy=policy)  # type: ignore[arg-type]  # a table of values
    assert first == (ServiceRefused("svc-x", "svc-x", "not_assigned", 1, b""),)
    log.append(*first, node_us=0)
    assert decide_refused(log.state.view, **values, now=at(59 * SECOND), policy=policy) == ()  # type: ignore[arg-type]  # as above
