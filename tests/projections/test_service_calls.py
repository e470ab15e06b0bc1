"""The calls about assigned workloads: which there are, what they report, and what they are told."""

from collections.abc import Callable

import pytest

from rap_journal.errors import MisuseError
from rap_projections.receipts import UNCHANGED
from rap_projections.refusals import NotAllowed
from tests.projections.store_kit import Ready, ready, written


@pytest.fixture
def it() -> Ready:
    it = ready()
    it.cluster.activate(it.fabric.services(["svc-b", "svc-a"]))
    return it


def test_the_assigned_workloads_come_by_id_with_what_is_signed(it: Ready) -> None:
    assigned = it.cluster.services.assigned()
    assert [service.assignment.id for service in assigned] == ["svc-a", "svc-b"]
    assert {(service.assignment.desired_state, service.reported, service.commands) for service in assigned} == {
        ("running", None, ())
    }


def test_without_a_signed_snapshot_nothing_is_assigned() -> None:
    assert ready().cluster.services.assigned() == ()


def test_a_report_is_durable_when_the_call_returns_and_the_same_again_changes_nothing(it: Ready) -> None:
    receipt = it.cluster.services.report("svc-a", state="running", version="1.4.2", detail="warm_start")
    assert (receipt.durable, receipt.changed) == (True, True)
    assert it.cluster.services.report("svc-a", state="running", version="1.4.2", detail="warm_start") == UNCHANGED
    it.kit.power_cut()
    reported = it.cluster.services.assigned()[0].reported
    assert reported is not None and reported[:3] == ("running", "1.4.2", "warm_start")
    assert it.cluster.services.assigned()[1].reported is None


def test_a_command_waits_for_its_workload_and_the_same_again_changes_nothing(it: Ready) -> None:
    receipt = it.cluster.services.command("svc-b", "restart")
    assert (receipt.durable, receipt.changed) == (True, True)
    assert it.cluster.services.command("svc-b", "restart") == UNCHANGED
    assert it.cluster.services.command("svc-b", "stop").changed
    assert [command.command for command in it.cluster.services.assigned()[1].commands] == ["restart", "stop"]
    assert it.cluster.services.assigned()[0].commands == ()


def test_a_workload_that_is_not_assigned_reports_nothing_and_is_told_nothing(it: Ready) -> None:
    before = len(written(it))
    calls: list[Callable[[], object]] = [
        lambda: it.cluster.services.report("svc-z", state="running"),
        lambda: it.cluster.services.command("svc-z", "start"),
    ]
    for call in calls:
        with pytest.raises(NotAllowed):
            call()
    assert len(written(it)) == before


@pytest.mark.parametrize(
    ("state", "version", "detail"), [("Running", "", ""), ("", "", ""), ("running", "1 2", ""), ("running", "", "Bad")]
)
def test_what_is_no_word_is_refused_and_not_kept(it: Ready, state: str, version: str, detail: str) -> None:
    with pytest.raises(MisuseError):
        it.cluster.services.report("svc-a", state=state, version=version, detail=detail)
    assert it.cluster.services.assigned()[0].reported is None


def test_a_command_that_is_none_of_the_four_is_refused(it: Ready) -> None:
    with pytest.raises(MisuseError, match="start"):
        it.cluster.services.command("svc-a", "explode")
    assert it.cluster.services.assigned()[0].commands == ()


def test_who_asked_is_written_with_it(it: Ready) -> None:
    it.cluster.services.command("svc-a", "start", actor="operator", trace_id="t-1")
    record = written(it)[-1]
    assert (record.actor, record.trace_id) == ("operator", "t-1")
