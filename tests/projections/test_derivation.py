"""What follows from an active document is made up for after a crash, and nothing is written where nothing is missing."""

from collections.abc import Callable

import pytest

from rap_projections.documents import Scope
from rap_projections.event_kinds import PEERS, ROUTES, event_of
from rap_projections.service_events import AssignmentsApplied
from rap_projections.snapshot_events import AppliedReported, SnapshotActivated
from rap_projections.trust_events import SignedInstantSeen
from tests.projections.store_kit import Ready, crashed_at_every_operation, fill, furnished, ready, written

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
    assert receipt.lsn == before + 2
    told = [(type(event_of(record)), record.causes) for record in written(it, before)]
    assert told == [
        (SignedInstantSeen, ()),
        (SnapshotActivated, ()),
        (AssignmentsApplied, (receipt.lsn,)),
        (AppliedReported, (receipt.lsn,)),
    ]


def test_a_document_is_applied_last_of_all() -> None:
    it = ready()
    for document in DOCUMENTS.values():
        before = it.cluster.view().lsn
        it.cluster.activate(document(it))
        it.cluster.flush()
        told = [type(event_of(record)) for record in written(it, before)]
        assert (told[:2], told[-1]) == ([SignedInstantSeen, SnapshotActivated], AppliedReported)


@pytest.mark.parametrize("scope", Scope)
def test_without_space_for_what_follows_an_activation_stands_and_the_next_tick_that_finds_space_makes_up_for_it(
    scope: Scope,
) -> None:
    finished = ready()
    finished.cluster.activate(DOCUMENTS[scope](finished))
    it = ready()
    fill(it)
    receipt = it.cluster.activate(DOCUMENTS[scope](it))
    assert receipt.changed and receipt.durable
    held = it.cluster.snapshots.scope(scope.value)
    assert held.active is not None
    # The cautious part holds at once: the limits of a policy are in force though there is no event that says so yet.
    assert it.cluster.policy == finished.cluster.policy
    it.cluster.tick()
    it.kit.filesystem.capacity_bytes = None
    it.cluster.tick()
    it.cluster.flush()
    assert summary(it, scope) == summary(finished, scope)


@pytest.mark.parametrize("scope", Scope)
def test_a_cluster_opens_on_a_full_disk_though_something_is_missing(scope: Scope) -> None:
    finished = ready()
    finished.cluster.activate(DOCUMENTS[scope](finished))
    it = ready()
    fill(it)
    it.cluster.activate(DOCUMENTS[scope](it))
    capacity_bytes = it.kit.filesystem.capacity_bytes
    it.kit.filesystem = it.kit.filesystem.crash()
    it.kit.filesystem.capacity_bytes = capacity_bytes
    it.kit.clock.reboot()
    it.kit.open()
    assert it.kit.store.unopened == {}
    assert it.cluster.snapshots.scope(scope.value).active is not None
    it.kit.filesystem.capacity_bytes = None
    it.cluster.tick()
    it.cluster.flush()
    assert summary(it, scope) == summary(finished, scope)


def summary(it: Ready, scope: Scope) -> tuple[object, ...]:
    """What follows from the documents, without the LSNs at which it did."""
    view = it.cluster.view()
    held = view.snapshots.scope(scope)
    return (
        held.active.facts.content_id if held.active else None,
        held.applied.content_id if held.applied else None,
        it.cluster._core.state[PEERS].directory.content_id,
        it.cluster._core.state[ROUTES].content_id,
        it.cluster._core.state[ROUTES].selected.keys(),
        view.services.content_id,
        view.updates.offers_content_id,
        it.cluster.policy,
    )
