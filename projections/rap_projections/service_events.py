"""The events of the services class: kinds 50 to 59.

Rules this file keeps:

- Work comes from the signed services snapshot alone; no event names a workload that is to run.
- A secret appears as the reference that was asked for. No field could hold one.

What the events do to the state is in `services`, when they may be written in `service_decisions`.

Example::

    ServiceCommanded("svc-a", "restart")
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_projections.event_kinds import SERVICES, event_kind


@event_kind(50, state_class=SERVICES, category=Category.DECISION, sensitivity="digest")
class AssignmentsApplied(NamedTuple):
    """The signed services snapshot in force changed; its assignments are the workloads. None: no snapshot is active any more."""

    content_id: bytes | None


@event_kind(51, state_class=SERVICES, category=Category.OBSERVATION, sensitivity="name, open, open, open")
class ServiceReported(NamedTuple):
    """A workload, or its supervisor, reported its state.

    Attributes:
        service_id: the workload.
        state: a short word, such as "running" or "failed".
        version: the version that runs; empty where it is not known.
        detail: a short stable word for the cause; empty where there is none.
    """

    service_id: str
    state: str
    version: str
    detail: str


@event_kind(52, state_class=SERVICES, category=Category.DECISION, sensitivity="name, open")
class ServiceCommanded(NamedTuple):
    """The agent gave an assigned workload a command: "start", "stop", "restart" or "reload"."""

    service_id: str
    command: str


@event_kind(53, state_class=SERVICES, category=Category.OBSERVATION, sensitivity="name, open, open")
class CommandTaken(NamedTuple):
    """A workload took a command, and this is what became of it.

    Attributes:
        service_id: the workload.
        command_lsn: LSN of the command; older ones that still waited are done with too.
        outcome: "done", "failed" or "ignored".
    """

    service_id: str
    command_lsn: int
    outcome: str


@event_kind(54, state_class=SERVICES, category=Category.REFUSAL, sensitivity="name, name, open, open, digest")
class ServiceRefused(NamedTuple):
    """Something a workload asked for was refused.

    Attributes:
        source: who asked: "workload", or whoever spoke for it.
        service_id: the workload it was about.
        reason: a short stable word.
        times: how many since the last event of the same source, workload and reason.
        digest: SHA-256 of what was refused last; empty where there is nothing to name.
    """

    source: str
    service_id: str
    reason: str
    times: int
    digest: bytes


@event_kind(55, state_class=SERVICES, category=Category.DECISION, sensitivity="name, name, open")
class SecretAllowed(NamedTuple):
    """A workload may have a secret resolved that its assignment lists. One that may not is refused by `ServiceRefused`.

    Attributes:
        service_id: the workload.
        reference: the reference it asked for.
        times: how many since the last event of the same workload and reference.
    """

    service_id: str
    reference: str
    times: int


@event_kind(56, state_class=SERVICES, category=Category.EVICTION, sensitivity="name, open")
class ServiceRemoved(NamedTuple):
    """A workload is no longer assigned, and what was kept of it goes. `reason`: "not_assigned" or "no_snapshot"."""

    service_id: str
    reason: str
