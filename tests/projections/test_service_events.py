"""The events of the services class: what each carries, and that none names work that was not signed."""

from rap_projections import service_events
from rap_projections.event_kinds import SERVICES
from rap_projections.service_events import AssignmentsApplied, SecretAllowed
from tests.projections.frozen_kinds import hints_in, kinds_in, kinds_of, unwrapped

FROZEN = """
50.1 AssignmentsApplied decision sync: content_id (digest)
51.1 ServiceReported observation sync: service_id (name), state, version, detail
52.1 ServiceCommanded decision sync: service_id (name), command
53.1 CommandTaken observation sync: service_id (name), command_lsn, outcome
54.1 ServiceRefused refusal sync: source (name), service_id (name), reason, times, digest (digest)
55.1 SecretAllowed decision sync: service_id (name), reference (name), times
56.1 ServiceRemoved eviction sync: service_id (name), reason
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(service_events) == unwrapped(FROZEN)


def test_all_are_events_of_the_services_class_numbered_50_to_56_and_durable() -> None:
    kinds = kinds_in(service_events)
    assert [(kind.number, kind.state_class) for kind in kinds] == [(number, SERVICES) for number in range(50, 57)]
    assert {kind.durability for kind in kinds} == {SERVICES.durability}


def test_work_comes_from_the_signed_snapshot_alone() -> None:
    """The one event that brings work names a document, by content id; all others speak of workloads that are there."""
    assert AssignmentsApplied._fields == ("content_id",)
    assert [kind.name for kind in kinds_in(service_events) if "service_id" not in kind.sensitivity] == ["AssignmentsApplied"]


def test_a_secret_appears_as_the_reference_that_was_asked_for_and_no_field_could_hold_one() -> None:
    assert SecretAllowed._fields == ("service_id", "reference", "times")
    hints = hints_in(service_events)
    assert hints["SecretAllowed.reference"] == {str}
    assert [place for place, parts in hints.items() if bytes in parts] == [
        "AssignmentsApplied.content_id",
        "ServiceRefused.digest",
    ]
