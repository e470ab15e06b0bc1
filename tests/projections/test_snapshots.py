"""What the events of the snapshots class do to its state."""

from rap_projections import snapshots
from rap_projections.documents import Floor, Version
from rap_projections.lifecycle import ClassReset
from rap_projections.snapshot_events import (
    AppliedReported,
    EquivocationSeen,
    HeadApplied,
    IncrementApplied,
    PreviousDropped,
    SnapshotActivated,
    SnapshotFacts,
    SnapshotFellBack,
    SnapshotFloorRaised,
    SnapshotPendingDropped,
    SnapshotRefused,
    SnapshotStaged,
    SnapshotWithdrawn,
)
from rap_projections.snapshots import (
    EVIDENCE_MAX,
    NO_FLOOR,
    AppliedVersion,
    HeldHead,
    HeldSnapshot,
    PendingSnapshot,
    ScopeView,
    SnapshotEquivocation,
)
from rap_projections.stored_document import StoredDocument
from tests.projections.class_log import ClassLog
from tests.projections.verified_documents import content, stored

LIMITS = (("fallback_allowed", True), ("high_risk_operations", ("new_session",)), ("peers_max", 5))


def facts(version: int, *, minimum: int = 0) -> SnapshotFacts:
    return SnapshotFacts(
        "routes", Version(1, version), content(version), 100, 500, 1000, Version(1, minimum), "everyone", (b"kid",), 150, 3
    )


def activated(version: int, *, previous_max: int = 3, minimum: int = 0) -> SnapshotActivated:
    return SnapshotActivated(*facts(version, minimum=minimum), stored(version), previous_max, LIMITS)


def increment(version: int, base: int) -> IncrementApplied:
    return IncrementApplied(*facts(version), stored(version), 3, LIMITS, content(base))


def after(*events: tuple[object, ...]) -> ScopeView:
    log = ClassLog(snapshots)
    log.append(*events, node_us=7)
    scope: ScopeView = log.state.view.scope("routes")
    return scope


def versions(held: tuple[HeldSnapshot, ...]) -> list[int]:
    return [it.facts.version.version for it in held]


def test_an_activated_document_is_active_with_its_facts_limits_and_second_copy() -> None:
    scope = after(activated(1, minimum=1))
    assert scope.active == HeldSnapshot(facts(1, minimum=1), stored(1), (), LIMITS, 7, 1)
    assert (scope.floor, scope.minimum, scope.fallen_back) == (Floor(Version(1, 1), content(1)), Version(1, 1), False)
    assert scope.provenance["active"] == 1


def test_the_one_before_is_kept_without_its_second_copy_newest_first() -> None:
    scope = after(activated(1), activated(2), activated(3))
    assert versions(scope.previous) == [2, 1]
    assert [it.stored.inline for it in scope.previous] == [b"", b""]
    assert scope.active is not None and scope.active.stored.inline == b"document 3"


def test_as_many_previous_documents_are_kept_as_the_event_says() -> None:
    assert versions(after(*[activated(version, previous_max=2) for version in range(1, 6)]).previous) == [4, 3]
    assert after(activated(1), activated(2, previous_max=0)).previous == ()


def test_the_same_content_activated_again_is_kept_once() -> None:
    scope = after(activated(1), activated(2), activated(2))
    assert versions(scope.previous) == [1]


def test_a_pending_document_leaves_the_active_one_alone() -> None:
    before = after(activated(1))
    scope = after(activated(1), SnapshotStaged("routes", "snapshot", "config", stored(2)))
    assert scope.pending == PendingSnapshot("snapshot", "config", stored(2), 7, 2)
    assert scope.active == before.active


def test_activating_what_was_pending_empties_the_place_and_dropping_too() -> None:
    staged = SnapshotStaged("routes", "snapshot", "config", stored(2))
    assert after(activated(1), staged, activated(2)).pending is None
    assert after(activated(1), staged, activated(3)).pending is not None
    dropped = after(activated(1), staged, SnapshotPendingDropped("routes", b"f2", "stale"))
    assert dropped.pending is None and dropped.active == after(activated(1)).active


def test_an_increment_rests_on_the_full_document_and_the_base_becomes_previous() -> None:
    scope = after(activated(1), increment(2, 1), increment(3, 2))
    assert scope.active is not None
    assert (scope.active.facts, scope.active.stored, scope.active.increments) == (facts(3), stored(1), (stored(2), stored(3)))
    assert versions(scope.previous) == [2, 1]
    assert scope.previous[0].increments == (StoredDocument(b"f2", 10, b""),)
    assert scope.floor == Floor(Version(1, 3), content(3))


def test_an_increment_on_another_base_changes_nothing() -> None:
    assert after(activated(1), increment(3, 2)) == after(activated(1))
    assert after(increment(3, 2)) == ScopeView()


def test_falling_back_lowers_no_floor_and_says_so() -> None:
    scope = after(activated(1), activated(2), SnapshotFellBack("routes", Version(1, 1), content(1), content(2), "damaged"))
    assert scope.active is not None and scope.active.facts == facts(1)
    assert (scope.fallen_back, scope.previous, scope.floor) == (True, (), Floor(Version(1, 2), content(2)))
    assert (
        after(
            activated(1), activated(2), SnapshotFellBack("routes", Version(1, 1), content(1), content(2), "x"), activated(3)
        ).fallen_back
        is False
    )


def test_a_withdrawn_scope_has_no_active_document_and_keeps_its_floor() -> None:
    scope = after(activated(2), SnapshotWithdrawn("routes", content(2), "revoked"))
    assert (scope.active, scope.withdrawn_reason, scope.floor) == (None, "revoked", Floor(Version(1, 2), content(2)))
    assert after(activated(2), SnapshotWithdrawn("routes", content(2), "revoked"), activated(3)).withdrawn_reason == ""


def test_a_dropped_previous_document_is_gone() -> None:
    assert versions(
        after(activated(1), activated(2), activated(3), PreviousDropped("routes", content(2), b"f2", "revoked")).previous
    ) == [1]


def test_the_applied_version_is_what_was_reported() -> None:
    assert after(activated(1), AppliedReported("routes", Version(1, 1), content(1))).applied == AppliedVersion(
        Version(1, 1), content(1)
    )


def test_the_minimum_never_falls() -> None:
    assert after(activated(1, minimum=1), activated(2, minimum=0)).minimum == Version(1, 1)


def test_the_floor_never_falls_whatever_event_comes() -> None:
    assert after(activated(2), activated(1)).floor == Floor(Version(1, 2), content(2))
    assert after(activated(5), activated(1), increment(2, 1)).floor == Floor(Version(1, 5), content(5))


def test_a_raised_floor_takes_the_higher_one() -> None:
    raised = SnapshotFloorRaised("routes", Version(2, 0), b"x", "witness")
    assert after(activated(1), raised).floor == Floor(Version(2, 0), b"x")
    assert after(activated(1), raised._replace(version=Version(0, 9))).floor == Floor(Version(1, 1), content(1))


def test_evidence_of_at_most_8_equivocations_is_kept_per_scope() -> None:
    seen = [EquivocationSeen("routes", Version(1, number), b"a", b"b", b"e") for number in range(EVIDENCE_MAX + 1)]
    assert after(*seen).equivocations == tuple(
        SnapshotEquivocation(Version(1, number), b"a", b"b", b"e", number + 1) for number in range(1, EVIDENCE_MAX + 1)
    )


def test_the_head_and_its_floor() -> None:
    log = ClassLog(snapshots)
    entries = (("routes", Version(1, 2), content(2), 40),)
    head = HeadApplied(4, b"head", 100, 200, 3, entries, (b"kid",), stored(4))
    log.append(head)
    assert log.state.view.head == HeldHead(*head)
    assert log.state.view.head_floor == Floor(Version(0, 4), b"head")
    log.append(SnapshotFloorRaised("cluster", Version(0, 9), b"", "witness"))
    assert log.state.view.head_floor == Floor(Version(0, 9), b"") and log.state.view.scopes == {}


def test_a_refusal_leaves_every_scope_as_it_is() -> None:
    log = ClassLog(snapshots)
    log.append(activated(1))
    before = log.state.view.scopes
    log.append(SnapshotRefused("config", "routes", "expired", "time", 3, b"d"), node_us=9)
    assert log.state.view.scopes == before
    assert [tuple(entry) for entry in log.state.view.refusals] == [("config", "routes", "expired", 3, b"d", 9, 9, 2)]


def test_scopes_do_not_touch_one_another() -> None:
    log = ClassLog(snapshots)
    log.append(activated(1), activated(5)._replace(scope="peers"))
    assert log.state.view.scopes["routes"] == after(activated(1))._replace(active=log.state.view.scopes["routes"].active)
    assert log.state.view.scopes["routes"].floor == Floor(Version(1, 1), content(1))
    assert log.state.view.scopes["peers"].provenance["active"] == 2


def test_a_reset_forgets_everything_and_floors_are_raised_again_after_it() -> None:
    scope = after(activated(4), ClassReset(3, 1, 1, "gap"))
    assert (scope.active, scope.floor) == (None, NO_FLOOR)
    raised = SnapshotFloorRaised("routes", Version(1, 4), content(4), "witness")
    assert after(activated(4), ClassReset(3, 1, 1, "gap"), raised).floor == Floor(Version(1, 4), content(4))
