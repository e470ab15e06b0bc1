"""What workloads may report and be told."""

import pytest

from rap_journal.errors import MisuseError, StateStoreError
from rap_projections import services
from rap_projections.documents import ServiceAssignment
from rap_projections.event_kinds import Event
from rap_projections.policy import Policy, effective
from rap_projections.refusals import NotAllowed, NotValidated, TooOften
from rap_projections.service_decisions import (
    COMMANDS,
    check_reference,
    decide_assignments,
    decide_command,
    decide_command_taken,
    decide_own_report,
    decide_refused,
    decide_report,
    decide_secret,
)
from rap_projections.service_events import (
    AssignmentsApplied,
    CommandTaken,
    SecretAllowed,
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


def test_a_workload_has_a_minute_for_its_reports_and_each_takes_two_seconds_of_it() -> None:
    """Mutation: the allowance is counted and not kept to."""
    log, states = assigned(), ("starting", "running")
    for number in range(30):
        log.append(*decide_own_report(log.state.view, "svc-a", state=states[number % 2], now=at(7)), node_us=7)
    for now in (7, 7 + 2 * SECOND - 1):
        with pytest.raises(TooOften):
            decide_own_report(log.state.view, "svc-a", state="starting", now=at(now))
    assert len(decide_own_report(log.state.view, "svc-a", state="starting", now=at(7 + 2 * SECOND))) == 1
    assert decide_own_report(log.state.view, "svc-a", state="running", now=at(7)) == ()
    assert len(decide_report(log.state.view, "svc-a", state="starting")) == 1


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
    """Mutation: the assignment is not looked up."""
    view = assigned(b"one").state.view
    for call in (
        lambda: decide_report(view, "svc-a", state="running"),
        lambda: decide_command(view, "svc-a", "stop"),
        lambda: decide_command_taken(view, "svc-a", command_lsn=1, outcome="done"),
        lambda: secret(assigned(b"one")),
    ):
        with pytest.raises(NotAllowed) as caught:
            call()
        assert caught.value.reason == "not_assigned"


def test_the_four_commands_and_no_other() -> None:
    """Mutation: any word is a command."""
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
    """Mutation: what was taken, or never told, can be taken."""
    log = assigned()
    log.append(ServiceCommanded("svc-a", "stop"))
    events = decide_command_taken(log.state.view, "svc-a", command_lsn=2, outcome="done")
    assert events == (CommandTaken("svc-a", 2, "done"),)
    log.append(*events)
    assert decide_command_taken(log.state.view, "svc-a", command_lsn=2, outcome="done") == ()
    with pytest.raises(MisuseError, match="is no outcome"):
        decide_command_taken(log.state.view, "svc-a", command_lsn=2, outcome="maybe")


def secret(
    log: ClassLog, *, reference: str = "secret:s", obstacle: str = "", times: int = 1, at_us: int = 0
) -> tuple[Event, ...]:
    policy = effective(Policy(refusal_interval_s=60), None)
    return decide_secret(
        log.state.view, "svc-a", reference=reference, obstacle=obstacle, times=times, now=at(at_us), policy=policy
    )


@pytest.mark.parametrize(
    ("reference", "obstacle", "reason", "error"),
    [
        ("secret:s", "policy", "policy", NotAllowed),
        ("secret:s", "not_validated", "not_validated", NotValidated),
        ("secret:other", "", "not_listed", NotAllowed),
        ("secret:other", "not_validated", "not_listed", NotAllowed),
    ],
)
def test_a_secret_is_for_who_is_assigned_it_while_nothing_stands_against_it(
    reference: str, obstacle: str, reason: str, error: type[StateStoreError]
) -> None:
    """Mutation: a secret is given to whoever is assigned anything."""
    with pytest.raises(error) as caught:
        secret(assigned(), reference=reference, obstacle=obstacle)
    assert (caught.value.reason, caught.value.state_class) == (reason, "services")


def test_a_granted_secret_is_written_once_per_interval_with_the_number_of_times() -> None:
    log = assigned()
    first = secret(log)
    assert first == (SecretAllowed("svc-a", "secret:s", 1),)
    log.append(*first, node_us=0)
    assert secret(log, times=9, at_us=60 * SECOND - 1) == ()
    assert secret(log, times=10, at_us=60 * SECOND) == (SecretAllowed("svc-a", "secret:s", 10),)


@pytest.mark.parametrize("reference", ["", "secret", "SECRET:s", "secret:" + "x" * 65, "secret:s\n", None, 7, ["secret:s"]])
def test_what_is_no_reference_is_a_misuse(reference: object) -> None:
    with pytest.raises(MisuseError) as caught:
        check_reference(reference)
    assert caught.value.reason == "reference"


def test_refusals_are_written_once_per_interval() -> None:
    log, policy = assigned(), effective(Policy(refusal_interval_s=60), None)
    values = {"source": "svc-x", "service_id": "svc-x", "reason": "not_assigned", "times": 1, "digest": b""}
    first = decide_refused(log.state.view, **values, now=at(0), policy=policy)  # type: ignore[arg-type]  # a table of values
    assert first == (ServiceRefused("svc-x", "svc-x", "not_assigned", 1, b""),)
    log.append(*first, node_us=0)
    assert decide_refused(log.state.view, **values, now=at(59 * SECOND), policy=policy) == ()  # type: ignore[arg-type]  # as above
