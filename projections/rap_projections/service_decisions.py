"""What workloads may report and be told, and what happens when the assignments change.

Rules this file keeps:

- Every function is pure: the view and the values of the command in, the events that follow out. What is already so gives no event.
- Only an assigned workload can report or be told anything; the node invents no work (spec 4, service assignment cache).
- A workload that is no longer assigned leaves by an event of its own, so that the history shows what was given up.

Example::

    events = decide_report(view(state), "svc-a", state="running", version="1.4.2")
"""

import re
from collections.abc import Iterable

from rap_journal.errors import MisuseError
from rap_projections.arguments import require
from rap_projections.documents import ServiceAssignment
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.refusal_log import is_due
from rap_projections.refusals import NotAllowed, NotValidated, TooOften
from rap_projections.service_events import (
    AssignmentsApplied,
    CommandTaken,
    SecretAllowed,
    ServiceCommanded,
    ServiceRefused,
    ServiceRemoved,
    ServiceReported,
)
from rap_projections.services import REPORT_US, REPORTS_AHEAD_US, ServicesView, ServiceView

COMMANDS = ("start", "stop", "restart", "reload")
OUTCOMES = ("done", "failed", "ignored")

_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_REFERENCE = re.compile(r"[a-z_]{1,32}:[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9A-Za-z.+_-]{0,64}")


def decide_assignments(
    services: ServicesView, *, content_id: bytes | None, assignments: Iterable[ServiceAssignment]
) -> tuple[Event, ...]:
    """Apply the services snapshot in force (None: there is none); workloads it no longer lists leave first."""
    if services.content_id == content_id:
        return ()
    listed = {assignment.id for assignment in assignments}
    reason = "no_snapshot" if content_id is None else "not_assigned"
    gone = [ServiceRemoved(service_id, reason) for service_id in sorted(services.services) if service_id not in listed]
    return (*gone, AssignmentsApplied(content_id))


def decide_report(
    services: ServicesView, service_id: str, *, state: str, version: str = "", detail: str = ""
) -> tuple[Event, ...]:
    """Keep what a workload reports. The same report again gives no event.

    Raises `NotAllowed` where the workload is not assigned, `MisuseError` where a word is none.
    """
    service = _assigned(services, service_id)
    texts = all(isinstance(text, str) for text in (state, version, detail))
    if not (texts and _WORD.fullmatch(state) and (not detail or _WORD.fullmatch(detail)) and _VERSION.fullmatch(version)):
        raise MisuseError(
            "a report is a state and a detail of 1 to 32 of a-z, 0-9 and _, and a version of at most 64 characters; nothing was kept.",
            state_class="services",
            reason="report",
        )
    if service.reported is not None and service.reported[:3] == (state, version, detail):
        return ()
    return (ServiceReported(service_id, state, version, detail),)


def decide_own_report(
    services: ServicesView, service_id: str, *, state: str, version: str = "", detail: str = "", now: Now
) -> tuple[Event, ...]:
    """`decide_report` for what a workload says of itself: 30 new reports at once, and one every 2 seconds from then on.

    Raises `TooOften` for more. What the agent reports of a workload counts, and is never refused: a workload silences nobody.
    """
    events = decide_report(services, service_id, state=state, version=version, detail=detail)
    if events and services.services[service_id].reports_until_us + REPORT_US > now.node_us + REPORTS_AHEAD_US:
        raise TooOften(
            f"workload {service_id!r:.80} reports something new too often; nothing was kept. Report again in {REPORT_US // 1_000_000} s.",
            state_class="services",
            reason="too_often",
        )
    return events


def decide_command(services: ServicesView, service_id: str, command: str) -> tuple[Event, ...]:
    """Tell an assigned workload to start, stop, restart or reload. A command that is the newest to wait gives no second event.

    Raises `NotAllowed` where the workload is not assigned, `MisuseError` for any other command.
    """
    service = _assigned(services, service_id)
    if command not in COMMANDS:
        raise _unknown("command", command, COMMANDS)
    if service.commands and service.commands[-1].command == command:
        return ()
    return (ServiceCommanded(service_id, command),)


def decide_command_taken(services: ServicesView, service_id: str, *, command_lsn: int, outcome: str) -> tuple[Event, ...]:
    """Record what became of a command. One that no longer waits gives no event."""
    service = _assigned(services, service_id)
    if outcome not in OUTCOMES:
        raise _unknown("outcome", outcome, OUTCOMES)
    waits = any(command.lsn == command_lsn for command in service.commands)
    return (CommandTaken(service_id, command_lsn, outcome),) if waits else ()


def check_reference(reference: object) -> None:
    """Raise `MisuseError` for what is no reference: the journal is no place for whatever a workload comes up with (spec 10)."""
    if not (isinstance(reference, str) and _REFERENCE.fullmatch(reference)):
        raise MisuseError(
            "a reference is kind:id of at most 97 characters of a-z, 0-9 and . _ -; nothing was recorded.",
            state_class="services",
            reason="reference",
        )


def decide_secret(
    services: ServicesView,
    service_id: str,
    *,
    reference: str,
    obstacle: str,
    times: int,
    now: Now,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    """Grant a workload this secret: its signed assignment must list the checked reference, and nothing may stand against it.

    `obstacle`: what stands against resolving secrets just now; empty where nothing does. `times`: how many were granted since the
    last event, this one included; while the interval of the same reference lasts, no event follows.
    Raises `NotAllowed`, `NotValidated`.
    """
    service = _assigned(services, service_id)
    if reference not in service.assignment.resource_refs or obstacle:
        raise _no_secret(service_id, obstacle if reference in service.assignment.resource_refs else "not_listed")
    last_us = next((grant.at_us for grant in service.secrets if grant.reference == reference), None)
    is_quiet = last_us is not None and now.node_us - last_us < policy.refusal_interval_s * 1_000_000
    return () if is_quiet else (SecretAllowed(service_id, reference, times),)


def decide_refused(
    services: ServicesView,
    *,
    source: str,
    service_id: str,
    reason: str,
    times: int,
    digest: bytes,
    now: Now,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    """Record `times` refusals, or nothing while the interval of the same source, workload and reason lasts."""
    due = is_due(services.refusals, source, service_id, reason, now, policy)
    return (ServiceRefused(source, service_id, reason, times, digest),) if due else ()


def _assigned(services: ServicesView, service_id: str) -> ServiceView:
    require("service_id", service_id, str)
    service = services.services.get(service_id)
    if service is None:
        raise NotAllowed(
            f"the workload {service_id!r:.80} is not assigned to this node; nothing was changed. "
            "Wait for a services snapshot that lists it.",
            state_class="services",
            reason="not_assigned",
        )
    return service


def _no_secret(service_id: str, reason: str) -> NotAllowed | NotValidated:
    error = NotValidated if reason == "not_validated" else NotAllowed
    return error(
        f"workload {service_id!r:.80} may not have that secret resolved ({reason}); nobody was asked for it. Its signed assignment and the "
        "cluster's policy decide.",
        state_class="services",
        reason=reason,
    )


def _unknown(what: str, given: str, known: tuple[str, ...]) -> MisuseError:
    return MisuseError(
        f"{given!r:.80} is no {what}; nothing was changed. Use {', '.join(known)}.",
        state_class="services",
        reason=f"unknown_{what}",
    )
