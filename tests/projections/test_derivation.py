"""What follows from an active document is made up for after a crash, and nothing is written where nothing is missing."""

from collections.abc import Callable

import pytest

from rap_projections.documents import Scope
from rap_projections.event_kinds import event_of
from rap_projections.service_events import AssignmentsApplied
from rap_projections.snapshot_events import AppliedReported, SnapshotActivated
from tests.projections.store_kit import Ready, crashed_at_every_operation, furnished, ready, written

DOCUMENTS: dict[Scope, Callable[[Ready], bytes]] = {
    Scope.POLICY: lambda it: it.fabric.policy(fallback_allowed=True, high_risk_operations=("resolve_secret",)),
    Scope.PEERS: lambda it: it.fabric.peers(["node-1", "node-2"]),
    Scope.ROUTES: lambda it: it.fabric.routes([("node-1", []), ("node-2", [])]),
    Scope.SERVICES: lambda it: it.fabric.services(["svc-a"]),
    Scope.UPDATES: lambda it: it.fabric.updates(["agent"]),
}


def derived(it: Ready, scope: Scope) -> tuple[object, ...]:
    """What stands in the classes that depend on documents."""
    view = it.cluster.view()
    held = view.snapshots.scope(scope)
    return (
        held.active.facts.content_id if held.active else None,
        held.applied.content_id if held.applied else None,
        view.peers,
        view.routes,
        view.services.content_id,
        view.updates.offers_content_id,
        it.cluster.policy,
    )


@pytest.mark.parametrize("scope", Scope)
def test_what_a_crash_came_between_is_made_up_for_at_the_next_opening(scope: Scope) -> None:
    def activate(it: Ready) -> None:
        it.cluster.activate(DOCUMENTS[scope](it))

    untouched, finished = ready(), ready()
    activate(finished)
    neither, both = derived(untouched, scope), derived(finished, scope)
    assert neither != both
    outcomes = []
    for crash in crashed_at_every_operation(ready, activate):
        crash.it.kit.open()
        outcomes.append(derived(crash.it, scope))
    first = outcomes.index(both)
    assert outcomes == [neither] * first + [both] * (len(outcomes) - first)
    assert 0 < first < len(outcomes) - 1


def test_where_nothing_is_missing_nothing_is_written() -> None:
    it = furnished()
    lsn = it.cluster.view().lsn
    it.cluster._derivation.derive_all()
    it.cluster.flush()
    assert (it.cluster.view().lsn, written(it, lsn)) == (lsn, [])


def test_what_follows_names_the_activation_as_its_cause() -> None:
    it = ready()
    before = it.cluster.view().lsn
    receipt = it.cluster.activate(DOCUMENTS[Scope.SERVICES](it))
    assert receipt.lsn == before + 1
    told = [(type(event_of(record)), record.causes) for record in written(it, before)]
    assert told == [(SnapshotActivated, ()), (AssignmentsApplied, (receipt.lsn,)), (AppliedReported, (receipt.lsn,))]


def test_a_document_is_applied_last_of_all() -> None:
    it = ready()
    for document in DOCUMENTS.values():
        before = it.cluster.view().lsn
        it.cluster.activate(document(it))
        it.cluster.flush()
        told = [type(event_of(record)) for record in written(it, before)]
        assert (told[0], told[-1]) == (SnapshotActivated, AppliedReported)
