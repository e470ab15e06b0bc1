"""The services class: the workloads this node is to run, what they last reported, and what they were told.

Rules this file keeps:

- The workloads are those of the active services snapshot, no more and no fewer; a workload that is no longer listed goes with all
  that was kept of it (spec 7).
- A report or command for a workload that is not listed changes nothing.
- Commands wait until they are taken; the newest 16 per workload are kept. Of secrets, one entry per listed reference is kept.

Example::

    state = empty()
    FOLDS[AssignmentsApplied](state, AssignmentsApplied(content_id), record, documents)
    assert view(state).services["svc-a"].assignment.desired_state == "running"
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.records import Record
from rap_projections.class_state import NOTHING, folds, shape, with_entry, without
from rap_projections.documents import Documents, ServiceAssignment
from rap_projections.refusal_log import Refusal, noted
from rap_projections.service_events import (
    AssignmentsApplied,
    CommandTaken,
    SecretAllowed,
    ServiceCommanded,
    ServiceRefused,
    ServiceRemoved,
    ServiceReported,
)

REPORT_US = 2_000_000
"""What a report takes off the time a workload has for reports. Part of the folds' meaning."""

REPORTS_AHEAD_US = 60_000_000
"""Time for reports that a workload may use at once. Part of the folds' meaning."""

COMMANDS_MAX = 16
"""Commands that wait per workload; the oldest gives way. Part of the folds' meaning."""


class ServiceReport(NamedTuple):
    """What a workload last reported: `state`, running `version` and `detail` as in `ServiceReported`, node time and LSN."""

    state: str
    version: str
    detail: str
    at_us: int
    lsn: int


class ServiceCommand(NamedTuple):
    """A command, its outcome ("" while it waits), and node time and LSN of the command."""

    command: str
    outcome: str
    at_us: int
    lsn: int


class SecretGrant(NamedTuple):
    """A reference that the workload may have resolved, how often that was granted, and node time and LSN of the last event."""

    reference: str
    times: int
    at_us: int
    lsn: int


class ServiceView(NamedTuple):
    """One workload.

    Attributes:
        assignment: what is signed: kind, version, desired state, and its policy, resource, connector and vpn_connection references.
        reported: what it last reported.
        reports_until_us: node time by which the workload will have waited for what it reported, `REPORT_US` for each.
        commands: commands that wait, oldest first.
        last_command: the last command that was taken.
        secrets: what was granted of the references that are listed now, the last event last.
        provenance: LSN that last changed each field.
    """

    assignment: ServiceAssignment
    reported: ServiceReport | None = None
    commands: tuple[ServiceCommand, ...] = ()
    last_command: ServiceCommand | None = None
    secrets: tuple[SecretGrant, ...] = ()
    reports_until_us: int = 0
    provenance: Mapping[str, int] = NOTHING


class ServicesView(NamedTuple):
    """All workloads of this node in the cluster.

    Attributes:
        services: the assigned workloads by id.
        content_id: content id of the services snapshot they come from.
        refusals: recent refusals, newest last.
        provenance: LSN that last changed each field.
    """

    services: Mapping[str, ServiceView] = NOTHING
    content_id: bytes | None = None
    refusals: tuple[Refusal, ...] = ()
    provenance: Mapping[str, int] = NOTHING

    def counts(self) -> tuple[int, int, int, int]:
        """How many run, failed, are in any other state, and said nothing yet."""
        states = [service.reported.state if service.reported else "" for service in self.services.values()]
        running, failed, silent = states.count("running"), states.count("failed"), states.count("")
        return running, failed, len(states) - running - failed - silent, silent


def _assigned(before: ServicesView, event: AssignmentsApplied, record: Record, documents: Documents) -> ServicesView:
    # The scope of the snapshot was checked when it was activated: its body is the assignments.
    body: Any = () if event.content_id is None else documents.snapshot(event.content_id).body
    assignments: list[ServiceAssignment] = list(body)
    services = {it.id: _with_assignment(before.services.get(it.id, ServiceView(it)), it) for it in assignments}
    return before._replace(services=MappingProxyType(services), content_id=event.content_id)


def _reported(before: ServicesView, event: ServiceReported, record: Record) -> ServicesView:
    service = before.services.get(event.service_id)
    if service is None:
        return before
    report = ServiceReport(event.state, event.version, event.detail, record.node_us, record.lsn)
    until_us = min(max(service.reports_until_us, record.node_us) + REPORT_US, record.node_us + REPORTS_AHEAD_US)
    return _with_service(before, event.service_id, service._replace(reported=report, reports_until_us=until_us))


def _commanded(before: ServicesView, event: ServiceCommanded, record: Record) -> ServicesView:
    service = before.services.get(event.service_id)
    if service is None:
        return before
    command = ServiceCommand(event.command, "", record.node_us, record.lsn)
    return _with_service(before, event.service_id, service._replace(commands=(*service.commands, command)[-COMMANDS_MAX:]))


def _taken(before: ServicesView, event: CommandTaken, record: Record) -> ServicesView:
    service = before.services.get(event.service_id)
    taken = next((it for it in service.commands if it.lsn == event.command_lsn), None) if service else None
    if service is None or taken is None:
        return before
    waiting = tuple(it for it in service.commands if it.lsn > event.command_lsn)
    after = service._replace(commands=waiting, last_command=taken._replace(outcome=event.outcome))
    return _with_service(before, event.service_id, after)


def _refused(before: ServicesView, event: ServiceRefused, record: Record) -> ServicesView:
    return before._replace(refusals=noted(before.refusals, Refusal(*event, record.node_us, record.node_us, record.lsn)))


def _granted(before: ServicesView, event: SecretAllowed, record: Record) -> ServicesView:
    service = before.services.get(event.service_id)
    if service is None or event.reference not in service.assignment.resource_refs:
        return before
    times = event.times + sum(it.times for it in service.secrets if it.reference == event.reference)
    others = tuple(it for it in service.secrets if it.reference != event.reference)
    grant = SecretGrant(event.reference, times, record.node_us, record.lsn)
    return _with_service(before, event.service_id, service._replace(secrets=(*others, grant)))


def _removed(before: ServicesView, event: ServiceRemoved, record: Record) -> ServicesView:
    return before._replace(services=without(before.services, event.service_id))


def _with_assignment(before: ServiceView, assignment: ServiceAssignment) -> ServiceView:
    secrets = tuple(it for it in before.secrets if it.reference in assignment.resource_refs)
    return before._replace(assignment=assignment, secrets=secrets)


def _with_service(before: ServicesView, service_id: str, after: ServiceView) -> ServicesView:
    return before._replace(services=with_entry(before.services, service_id, after))


FOLDS = folds(
    {
        ServiceReported: _reported,
        ServiceCommanded: _commanded,
        CommandTaken: _taken,
        ServiceRefused: _refused,
        SecretAllowed: _granted,
        ServiceRemoved: _removed,
    },
    reading_documents={AssignmentsApplied: _assigned},
    after_reset=ServicesView(),
)
empty, to_value, from_value, view = shape(ServicesView())
