"""That a cluster fails closed is written down once, where there is room and nothing is lost by it."""

import pytest

from rap_journal.errors import NoSpace
from rap_projections.event_kinds import event_of
from rap_projections.failing_closed import write_fail_closed
from rap_projections.upkeep_events import FailClosedEntered, FailClosedLeft
from tests.projections.store_kit import CLUSTER, Ready, ready


def written(it: Ready) -> list[tuple[type, str]]:
    """What the history tells of failing closed: kind and reason."""
    events = map(event_of, it.cluster._core.history_after(0))
    return [(type(event), event.reason) for event in events if isinstance(event, FailClosedEntered | FailClosedLeft)]


def test_failing_closed_is_written_down_once_and_so_is_its_end() -> None:
    """Mutation: write it down whether or not it is news."""
    it = ready()
    context = it.cluster._context
    write_fail_closed(context)
    context.fail_closed("identity_damaged")
    for _time in range(2):
        write_fail_closed(context)
    assert written(it) == [(FailClosedEntered, "identity_damaged")]
    context.fail_closed_reason = None
    for _time in range(2):
        write_fail_closed(context)
    assert written(it) == [(FailClosedEntered, "identity_damaged"), (FailClosedLeft, "identity_damaged")]


def test_a_full_disk_keeps_nobody_from_being_told_of_the_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: the lack of space is raised in the place of the damage."""
    it = ready()
    context = it.cluster._context

    def full(*_arguments: object, **_named: object) -> None:
        raise NoSpace("no space", cluster=CLUSTER)

    monkeypatch.setattr(context, "execute", full)
    with pytest.raises(NoSpace):
        write_fail_closed(context)
    context.fail_closed("identity_damaged")
    write_fail_closed(context)
    assert written(it) == []
