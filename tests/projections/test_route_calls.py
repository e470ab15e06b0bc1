"""The calls about routes: looking one up writes nothing, and a failure has the choice made anew at once."""

import pytest

from rap_journal.errors import MisuseError, NoSpace
from rap_projections.documents import RevocationKind
from rap_projections.event_kinds import event_of
from rap_projections.receipts import UNCHANGED, Receipt
from rap_projections.route_selection import SelectedRoute
from rap_projections.routes import RouteResult
from tests.projections.store_kit import Ready, furnished, written


@pytest.fixture
def it() -> Ready:
    """A cluster with a direct and a relayed way to "node-1", and one way to "node-2"."""
    return furnished()


def best(it: Ready, destination: str = "node-1") -> SelectedRoute:
    route = it.cluster.routes.best(destination, channel="interactive")
    assert route is not None
    return route


def results(it: Ready) -> list[RouteResult]:
    events = [event_of(record) for record in written(it)]
    return [event for event in events if isinstance(event, RouteResult)]


def test_looking_a_route_up_decides_nothing_and_writes_nothing(it: Ready) -> None:
    before, operations = it.cluster.digest(), len(it.kit.filesystem.operations)
    assert (best(it).path, best(it).alternatives) == ((), ("node-1_interactive_node-2",))
    assert it.cluster.routes.best("nowhere", channel="interactive") is None
    assert it.cluster.routes.best("node-1", channel="bulk") is None
    assert it.cluster.routes.best("node-1") is None, "the channel is called default unless it is named"
    it.cluster.flush()
    assert (it.cluster.digest(), len(it.kit.filesystem.operations)) == (before, operations)


def test_alternatives_are_given_as_the_ways_that_were_signed_less_those_that_are_revoked(it: Ready) -> None:
    route = best(it)
    (other,) = it.cluster.routes.alternatives(route)
    assert (other.id, other.destination, other.path) == ("node-1_interactive_node-2", "node-1", ("node-2",))
    assert it.cluster.routes.alternatives(route._replace(alternatives=("gone",))) == ()
    it.cluster.trust.update(it.fabric.revoke(RevocationKind.IDENTITY, "node:node-2"))
    assert it.cluster.routes.alternatives(route) == ()


def test_a_route_whose_time_is_over_is_none(it: Ready) -> None:
    left_us = best(it).expires_us - it.cluster._core.node_us()
    it.kit.clock.advance(seconds=left_us / 1_000_000 - 1)
    assert best(it)
    it.kit.clock.advance(seconds=1)
    assert it.cluster.routes.best("node-1", channel="interactive") is None


def test_a_success_is_queued_and_chooses_nothing_anew(it: Ready) -> None:
    route = best(it)
    assert it.cluster.routes.result(route, ok=True) == Receipt(None, False, True)
    it.cluster.flush()
    assert [(result.candidate_id, result.ok) for result in results(it)] == [(route.candidate_id, True)]
    assert best(it).candidate_id == route.candidate_id


def test_nothing_is_chosen_anew_for_a_success_or_for_a_route_that_is_gone(it: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    route, gone = best(it), best(it)._replace(candidate_id="gone")
    monkeypatch.setattr(it.cluster.routes, "_choose", None)
    assert it.cluster.routes.result(route, ok=True).changed
    assert not it.cluster.routes.result(gone, ok=False, reason="timeout").changed


def test_a_failure_is_durable_and_the_alternative_serves_when_the_call_returns(it: Ready) -> None:
    route = best(it)
    receipt = it.cluster.routes.result(route, ok=False, reason="timeout")
    assert (receipt.durable, receipt.changed) == (True, True)
    assert best(it).candidate_id == route.alternatives[0]
    assert receipt.lsn is not None and receipt.lsn in best(it).causes, "why it was chosen can be told"
    (result,) = results(it)
    assert (result.candidate_id, result.ok) == (route.candidate_id, False)


def test_a_failure_and_the_choice_that_follows_survive_a_power_cut(it: Ready) -> None:
    failed = best(it)
    it.cluster.routes.result(failed, ok=False, reason="timeout")
    it.kit.power_cut()
    assert best(it).candidate_id == failed.alternatives[0]


def test_a_failure_is_told_where_there_is_no_space_to_choose_anew(it: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> Receipt:
        raise NoSpace("full", reason="no_space")

    failed = best(it)
    monkeypatch.setattr(it.cluster.routes, "_choose", full)
    assert it.cluster.routes.result(failed, ok=False, reason="timeout").changed
    assert [result.ok for result in results(it)] == [False]


@pytest.mark.parametrize("reason", ["bored", ""])
def test_a_reason_that_is_no_failure_word_is_refused_and_nothing_changes(it: Ready, reason: str) -> None:
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.cluster.routes.result(best(it), ok=False, reason=reason)
    it.cluster.flush()
    assert it.cluster.digest() == before


def test_the_result_of_a_route_that_is_not_permitted_any_more_changes_nothing(it: Ready) -> None:
    route = best(it)
    it.cluster.activate(it.fabric.routes([("node-2", [])]))
    assert it.cluster.routes.result(route, ok=False, reason="timeout") == UNCHANGED
    assert results(it) == []


def test_a_review_chooses_again_where_something_was_observed_and_nowhere_else(it: Ready) -> None:
    assert it.cluster.routes.review() == UNCHANGED
    before = {destination: best(it, destination) for destination in ("node-1", "node-2")}
    it.cluster.peers.observe_many([("node-2", 900.0)] * 40)
    it.cluster.flush()
    seen = it.cluster.peers.get("node-2")
    assert it.cluster.routes.review() == Receipt(None, False, True)
    assert best(it, "node-2") == before["node-2"], "it is queued, and visible once it is durable"
    it.cluster.flush()
    assert seen is not None and seen.lsn in best(it, "node-2").causes
    assert best(it, "node-2").score > before["node-2"].score
    assert best(it, "node-1").candidate_id == before["node-1"].candidate_id
    assert it.cluster.routes.review() == UNCHANGED, "what was observed is looked at once"


def test_a_review_of_everything_looks_at_what_nobody_asked_about(it: Ready) -> None:
    it.cluster.peers.observe_many([("node-2", 900.0)] * 40)
    it.cluster.flush()
    it.cluster._context.take_touched()
    before = best(it, "node-2")
    assert it.cluster.routes.review() == UNCHANGED
    assert it.cluster.routes.review(everything=True) == Receipt(None, False, True)
    it.cluster.flush()
    assert best(it, "node-2").score > before.score


def test_who_asked_is_written_with_the_result_and_with_the_choice(it: Ready) -> None:
    it.cluster.routes.result(best(it), ok=False, reason="timeout", actor="relay", trace_id="t-1")
    it.cluster.flush()
    last = written(it)[-2:]
    assert [(record.actor, record.trace_id) for record in last] == [("relay", "t-1")] * 2
