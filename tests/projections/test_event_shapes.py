"""Only what can be read back is written down."""

from collections.abc import Callable
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_projections.event_kinds import all_kinds
from rap_projections.event_shapes import require_shape
from rap_projections.events import EVENT_MODULES
from rap_projections.health_events import ContactObserved, DegradedEntered, PartitionFlagged
from rap_projections.service_events import AssignmentsApplied, CommandTaken, ServiceReported
from rap_projections.snapshot_events import AppliedReported
from tests.projections.store_kit import furnished

assert EVENT_MODULES


@pytest.mark.parametrize(
    "event",
    [
        ServiceReported("svc-a", "running", "1.0", ""), AssignmentsApplied(None), AssignmentsApplied(b"id"),
        AppliedReported("routes", (1, 2), b"id"), AppliedReported("routes", [1, 2], b"id"), ContactObserved("config", True),  # type: ignore[arg-type]  # arrays
    ],
    ids=repr,
)  # fmt: skip
def test_an_event_whose_fields_are_of_their_types_is_right(event: tuple[Any, ...]) -> None:
    require_shape(event)
    # The first look at a type makes what later ones go by: both must look.
    require_shape(event)
    for _time in range(2):
        with pytest.raises(MisuseError):
            require_shape(wrong(type(event), *event[:-1], object()))


def wrong(kind: Callable[..., tuple[Any, ...]], *fields: object) -> tuple[Any, ...]:
    """An event with fields that its type does not have."""
    return kind(*fields)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (wrong(ServiceReported, "svc-a", "running", "1.0", None), "detail"),
        (wrong(ServiceReported, b"svc-a", "running", "1.0", ""), "service_id"),
        (wrong(AssignmentsApplied, "id"), "content_id"),
        (wrong(AppliedReported, "routes", "1.2", b"id"), "version"),
        (wrong(CommandTaken, "svc-a", True, "done"), "command_lsn"),
        (wrong(CommandTaken, "svc-a", 1.0, "done"), "command_lsn"),
        (wrong(DegradedEntered, "disk", float("nan")), "safe_until_us"),
        (wrong(ContactObserved, "config", 1), "ok"),
        (wrong(PartitionFlagged, "storage", "yes"), "on"),
    ],
    ids=repr,
)
def test_a_field_of_another_type_is_a_misuse_and_is_named(event: tuple[Any, ...], field: str) -> None:
    for _again in range(2):
        with pytest.raises(MisuseError, match=f"^{field} of {type(event).__name__} cannot be of type ") as caught:
            require_shape(event)
        assert caught.value.reason == f"bad_{field}"


def test_every_kind_is_declared_with_types_that_can_be_asked_for() -> None:
    for kind in all_kinds():
        with pytest.raises(MisuseError):
            require_shape(kind.type._make([object()] * len(kind.type._fields)))


def test_a_truth_that_is_no_truth_value_costs_no_checkpoint() -> None:
    it = furnished()
    before = it.cluster.digest(), it.cluster._core.journal.durable_lsn
    calls = (
        lambda: it.cluster.health.partition("storage", on="yes"),  # type: ignore[arg-type]  # wrong on purpose
        lambda: it.cluster.health.contact("config", ok=None),  # type: ignore[arg-type]  # as above
        lambda: it.cluster.services.report("svc-a", state="failed", detail=None),  # type: ignore[arg-type]  # as above
    )
    for call in calls:
        with pytest.raises(MisuseError):
            call()
    it.cluster.flush()
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before
    it.cluster.checkpoint()
    it.kit.power_cut()
    assert it.cluster.recovery.is_clean
