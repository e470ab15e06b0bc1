"""Which documents become active, wait, serve again or go; refusals leave the state as it was."""

from collections.abc import Callable

import pytest

from rap_journal.errors import MisuseError
from rap_projections import snapshots
from rap_projections.documents import CAUTIOUS_POLICY, Audience, Head, HeadEntry, Scope, Version
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import Policy, effective
from rap_projections.refusals import Equivocation, Expired, Rollback, WrongBase
from rap_projections.snapshot_decisions import (
    INCREMENTS_MAX,
    decide_activation,
    decide_applied,
    decide_equivocation,
    decide_fall_back,
    decide_floor_raised,
    decide_head,
    decide_increment,
    decide_pending_dropped,
    decide_refused,
    decide_stage,
    decide_stale_dropped,
    decide_trimmed,
)
from rap_projections.snapshot_events import (
    AppliedReported,
    EquivocationSeen,
    HeadApplied,
    IncrementApplied,
    PreviousDropped,
    SnapshotActivated,
    SnapshotFellBack,
    SnapshotFloorRaised,
    SnapshotPendingDropped,
    SnapshotRefused,
    SnapshotStaged,
    SnapshotWithdrawn,
)
from rap_projections.snapshots import SnapshotsView
from tests.projections.class_log import SECOND, ClassLog, at
from tests.projections.verified_documents import Verified, content, stored, verified

NOW = Now(0, 0, 0, 150)
GENEROUS = CAUTIOUS_POLICY._replace(fallback_allowed=True)
LIMITS = effective(Policy(previous_snapshots_max=2, pending_age_s_max=60, refusal_interval_s=60), GENEROUS)
ROUTES = Scope.ROUTES


def activate(view: SnapshotsView, version: int, scope: str = "routes", **changed: object) -> tuple[Event, ...]:
    return decide_activation(view, verified(scope, version, **changed), stored(version), NOW, LIMITS)  # type: ignore[arg-type]  # options of verified


def with_active(*versions: int, scope: str = "routes", **changed: object) -> ClassLog:
    log = ClassLog(snapshots)
    for version in versions:
        log.append(*activate(log.state.view, version, scope, **changed))
    return log


def held(log: ClassLog, scope: str = "routes") -> list[int]:
    """Versions that are kept: active first, then previous."""
    it = log.state.view.scope(scope)
    return [each.facts.version.version for each in (*([it.active] if it.active else []), *it.previous)]


def test_an_activation_is_one_event_with_facts_limits_and_document() -> None:
    (event,) = activate(SnapshotsView(), 1, minimum=1, audience=Audience(False, role="edge"), signers=(b"z", b"a"))
    assert event == SnapshotActivated(
        "routes",
        Version(1, 1),
        content(1),
        100,
        500,
        1000,
        Version(1, 1),
        "role:edge",
        (b"a", b"z"),
        150,
        1,
        stored(1),
        2,
        LIMITS.signed_part(),
    )


@pytest.mark.parametrize(
    ("audience", "summary"),
    [(Audience(True), "everyone"), (Audience(False, ("node-1", "node-2")), "node"), (Audience(False, role="edge"), "role:edge")],
)
def test_the_audience_is_summed_up_without_naming_other_nodes(audience: Audience, summary: str) -> None:
    (event,) = activate(SnapshotsView(), 1, audience=audience)
    assert isinstance(event, SnapshotActivated) and event.audience == summary


def test_the_same_content_again_gives_no_event() -> None:
    log = with_active(1)
    assert activate(log.state.view, 1) == ()
    assert activate(log.state.view, 1, signers=(b"other",)) == ()


def test_the_same_content_signed_anew_is_activated_when_asked_for_and_no_copy_of_it_is_kept() -> None:
    log = with_active(1, 2)
    again = verified("routes", 2, signers=(b"new",))
    events = decide_activation(log.state.view, again, stored(9), NOW, LIMITS, signed_anew=True)
    assert [type(event) for event in events] == [SnapshotActivated]
    log.append(*events)
    assert held(log) == [2, 1]
    assert log.state.view.scope("routes").active.facts.signer_kids == (b"new",)


def test_previous_documents_beyond_the_limit_go_by_an_event_of_their_own() -> None:
    log = with_active(1, 2, 3)
    events = activate(log.state.view, 4)
    assert events[0] == PreviousDropped("routes", content(1), b"f1", "limit") and isinstance(events[1], SnapshotActivated)
    log.append(*events)
    assert held(log) == [4, 3, 2]


@pytest.mark.parametrize(
    ("offered", "error"),
    [
        (verified("routes", 1), Rollback),
        (verified("routes", 2, content_id=b"other"), Equivocation),
        (verified("routes", 3, expires_at_s=150), Expired),
    ],
)
def test_what_may_not_become_active_is_refused_and_the_state_is_unchanged(offered: Verified, error: type[Exception]) -> None:
    """Mutation: drop a check in `decide_activation`, `_check_acceptable` or `_check_floor`."""
    log = with_active(1, 2)
    before = log.value()
    with pytest.raises(error):
        decide_activation(log.state.view, offered, stored(9), NOW, LIMITS)
    assert log.value() == before


def test_a_version_below_the_signed_minimum_is_refused_also_where_the_floor_does_not_know_it() -> None:
    """Mutation: drop the check in `_check_acceptable`."""
    log = with_active(1, minimum=5)
    with pytest.raises(Rollback, match="below the signed minimum"):
        activate(log.state.view, 4)
    assert activate(log.state.view, 5)


def test_a_floor_that_rose_between_verification_and_commit_is_kept() -> None:
    log = with_active(1)
    log.append(*decide_floor_raised(log.state.view, scope="routes", version=Version(2, 1), content_id=b"x", origin="witness"))
    with pytest.raises(Rollback):
        activate(log.state.view, 7)


def test_another_generation_is_higher_than_any_version() -> None:
    log = with_active(9)
    newer = verified("routes", 1)
    newer = newer._replace(snapshot=newer.snapshot._replace(version=Version(2, 1), minimum=Version(2, 0)))
    assert decide_activation(log.state.view, newer, stored(1), NOW, LIMITS)


# The six steps: stage, verify (by the caller), commit.


def test_staging_writes_aside_and_leaves_the_active_document_alone() -> None:
    log = with_active(1)
    before = log.state.view.scope("routes").active
    events = decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(2))
    assert events == (SnapshotStaged("routes", "snapshot", "config", stored(2).without_inline()),)
    log.append(*events)
    assert log.state.view.scope("routes").active == before
    assert decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(2)) == ()


def test_a_later_document_replaces_a_pending_one() -> None:
    log = ClassLog(snapshots)
    log.append(*decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(1)))
    events = decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(2))
    assert events[0] == SnapshotPendingDropped("routes", b"f1", "replaced") and isinstance(events[1], SnapshotStaged)


def test_committing_what_was_staged_takes_one_event_and_empties_the_place() -> None:
    log = with_active(1)
    log.append(*decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(2)))
    events = activate(log.state.view, 2)
    assert [type(event) for event in events] == [SnapshotActivated]
    log.append(*events)
    assert log.state.view.scope("routes").pending is None and held(log) == [2, 1]


def test_activating_another_document_drops_the_pending_one() -> None:
    log = with_active(1)
    log.append(*decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(2)))
    assert activate(log.state.view, 3)[0] == SnapshotPendingDropped("routes", b"f2", "replaced")


def test_committing_a_staged_copy_of_the_active_content_drops_it_and_no_more() -> None:
    log = with_active(1)
    log.append(*decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(7)))
    assert activate(log.state.view, 1) == (SnapshotPendingDropped("routes", b"f7", "active_already"),)


def test_a_pending_document_is_dropped_when_it_has_waited_long_enough() -> None:
    log = ClassLog(snapshots)
    log.append(*decide_stage(log.state.view, scope=ROUTES, form="snapshot", source="config", stored=stored(1)), node_us=0)
    assert decide_stale_dropped(log.state.view, at(59 * SECOND), LIMITS) == ()
    assert decide_stale_dropped(log.state.view, at(60 * SECOND), LIMITS) == (SnapshotPendingDropped("routes", b"f1", "stale"),)


def test_dropping_where_nothing_waits_gives_no_event() -> None:
    assert decide_pending_dropped(with_active(1).state.view, scope=ROUTES, reason="refused") == ()


# Increments.


def grow(log: ClassLog, version: int, base: int) -> tuple[Event, ...]:
    return decide_increment(
        log.state.view, verified("routes", version), stored(version), NOW, LIMITS, base_content_id=content(base)
    )


def test_an_increment_names_its_base_and_its_result() -> None:
    (event,) = grow(with_active(1), 2, 1)
    assert isinstance(event, IncrementApplied)
    assert (event.content_id, event.base_content_id, event.stored) == (content(2), content(1), stored(2))


def test_an_increment_on_anything_but_the_active_document_is_refused() -> None:
    """Mutation: drop a check in `decide_increment`."""
    for log in (with_active(1, 2), ClassLog(snapshots)):
        with pytest.raises(WrongBase):
            grow(log, 3, 1)


def test_an_increment_whose_result_is_active_gives_no_event() -> None:
    assert grow(with_active(1, 2), 2, 1) == ()


def test_the_seventeenth_increment_is_refused_and_a_full_document_starts_anew() -> None:
    """Mutation: drop a check in `decide_increment`."""
    log = with_active(1)
    for version in range(2, INCREMENTS_MAX + 2):
        log.append(*grow(log, version, version - 1))
    assert len(log.state.view.scope("routes").active.increments) == INCREMENTS_MAX
    with pytest.raises(WrongBase, match="16 increments"):
        grow(log, 18, 17)
    log.append(*activate(log.state.view, 18))
    assert grow(log, 19, 18)


def test_the_result_of_an_increment_is_held_to_floor_and_time() -> None:
    """Mutation: drop the call of `_check_acceptable` in `decide_increment`."""
    log = with_active(3)
    with pytest.raises(Rollback):
        grow(log, 2, 3)
    expired = verified("routes", 4, expires_at_s=150)
    with pytest.raises(Expired):
        decide_increment(log.state.view, expired, stored(4), NOW, LIMITS, base_content_id=content(3))


# The head.


def apply_head(view: SnapshotsView, version: int, *, content_id: bytes = b"", expires_at_s: int = 200) -> tuple[Event, ...]:
    head = Head(version, 100, expires_at_s, 3, (HeadEntry(ROUTES, Version(1, 2), content(2), 40),))
    return decide_head(view, head, stored(1), NOW, content_id=content_id or b"h%d" % version, signer_kids=(b"k",))


def test_a_head_is_recorded_once_and_never_goes_back() -> None:
    """Mutation: drop a check in `decide_head`."""
    log = ClassLog(snapshots)
    events = apply_head(log.state.view, 2)
    assert events == (HeadApplied(2, b"h2", 100, 200, 3, (("routes", Version(1, 2), content(2), 40),), (b"k",), stored(1)),)
    log.append(*events)
    assert apply_head(log.state.view, 2) == ()
    for offered, error in (((1, b"h1", 200), Rollback), ((2, b"x", 200), Equivocation), ((3, b"h3", 150), Expired)):
        with pytest.raises(error):
            apply_head(log.state.view, offered[0], content_id=offered[1], expires_at_s=offered[2])


# Applied, previous, evidence, refusals.


def test_the_applied_version_is_reported_once_and_only_of_the_active_document() -> None:
    log = with_active(1)
    events = decide_applied(log.state.view, scope=ROUTES, content_id=content(1))
    assert events == (AppliedReported("routes", Version(1, 1), content(1)),)
    log.append(*events)
    assert decide_applied(log.state.view, scope=ROUTES, content_id=content(1)) == ()
    with pytest.raises(MisuseError, match="is not the active one"):
        decide_applied(log.state.view, scope=ROUTES, content_id=content(2))


def test_a_limit_that_fell_is_kept_from_then_on() -> None:
    log = with_active(1, 2, 3)
    tight = effective(Policy(previous_snapshots_max=1), GENEROUS)
    assert decide_trimmed(log.state.view, LIMITS) == ()
    assert decide_trimmed(log.state.view, tight) == (PreviousDropped("routes", content(1), b"f1", "limit"),)


def test_evidence_of_an_equivocation_is_kept_once_per_pair() -> None:
    log = with_active(1)

    def seen() -> tuple[Event, ...]:
        return decide_equivocation(
            log.state.view,
            scope=ROUTES,
            version=Version(1, 1),
            known_content_id=b"a",
            other_content_id=b"b",
            evidence_file_id=b"e",
        )

    assert seen() == (EquivocationSeen("routes", Version(1, 1), b"a", b"b", b"e"),)
    log.append(*seen())
    assert seen() == ()


def test_refusals_are_written_once_per_interval_and_never_touch_the_active_document() -> None:
    log = with_active(1)
    before = log.state.view.scopes
    values = {"source": "config", "scope": "routes", "reason": "expired", "rule": "time", "times": 1, "digest": b"x"}
    first = decide_refused(log.state.view, **values, now=at(0), policy=LIMITS)  # type: ignore[arg-type]  # a table of values
    assert first == (SnapshotRefused("config", "routes", "expired", "time", 1, b"x"),)
    log.append(*first, node_us=0)
    assert log.state.view.scopes == before
    assert decide_refused(log.state.view, **values, now=at(59 * SECOND), policy=LIMITS) == ()  # type: ignore[arg-type]  # as above
    assert decide_refused(log.state.view, **values, now=at(60 * SECOND), policy=LIMITS)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("scope", "version", "raises"),
    [
        ("routes", Version(1, 1), False),
        ("routes", Version(1, 2), True),
        ("cluster", Version(0, 1), True),
        ("cluster", Version(0, 0), False),
    ],
)
def test_a_floor_is_raised_only_where_the_other_is_higher(scope: str, version: Version, raises: bool) -> None:
    events = decide_floor_raised(with_active(1).state.view, scope=scope, version=version, content_id=b"", origin="witness")
    assert events == ((SnapshotFloorRaised(scope, version, b"", "witness"),) if raises else ())


# Falling back.

FALL_BACK: list[tuple[str, Callable[[], tuple[Event, ...]], type[Event]]] = [
    ("the newest previous one that is sound serves", lambda: fall_back(with_active(1, 2, 3), usable=[1, 2]), SnapshotFellBack),
    ("one whose bytes are damaged does not", lambda: fall_back(with_active(1, 2), usable=[]), SnapshotWithdrawn),
    ("one below the signed minimum does not", lambda: fall_back(with_active(1, 2, minimum=2), usable=[1]), SnapshotWithdrawn),
    ("one past its end does not", lambda: fall_back(with_active(1, 2), usable=[1], trusted_s=1000), SnapshotWithdrawn),
    ("without a previous one there is none", lambda: fall_back(with_active(1), usable=[1]), SnapshotWithdrawn),
    (
        "the policy scope never falls back",
        lambda: fall_back(with_active(1, 2, scope="policy"), usable=[1], scope=Scope.POLICY),
        SnapshotWithdrawn,
    ),
    ("a policy in force that forbids it", lambda: fall_back(with_active(1, 2), usable=[1], allowed=False), SnapshotWithdrawn),
]


def fall_back(
    log: ClassLog, *, usable: list[int], scope: Scope = ROUTES, trusted_s: int = 150, allowed: bool = True
) -> tuple[Event, ...]:
    limits = LIMITS if allowed else effective(Policy(fallback_allowed=False), GENEROUS)
    ids = {content(version) for version in usable}
    return decide_fall_back(
        log.state.view, scope=scope, reason="damaged", usable=ids, now=NOW._replace(trusted_s=trusted_s), policy=limits
    )


@pytest.mark.parametrize(
    ("decide", "kind"), [(decide, kind) for _, decide, kind in FALL_BACK], ids=[name for name, _, _ in FALL_BACK]
)
def test_falling_back(decide: Callable[[], tuple[Event, ...]], kind: type[Event]) -> None:
    assert [type(event) for event in decide()] == [kind]


def test_the_document_that_serves_again_is_the_newest_usable_one() -> None:
    assert fall_back(with_active(1, 2, 3), usable=[1, 2]) == (
        SnapshotFellBack("routes", Version(1, 2), content(2), content(3), "damaged"),
    )
    assert fall_back(with_active(1, 2, 3), usable=[1]) == (
        SnapshotFellBack("routes", Version(1, 1), content(1), content(3), "damaged"),
    )


def test_the_limits_at_activation_count_so_that_a_lost_policy_allows_nothing_new() -> None:
    log, strict = ClassLog(snapshots), effective(Policy(), None)
    for version in (1, 2):
        log.append(*decide_activation(log.state.view, verified("routes", version), stored(version), NOW, strict))
    assert fall_back(log, usable=[1]) == (SnapshotWithdrawn("routes", content(2), "damaged"),)


def test_a_scope_without_active_document_has_nothing_to_fall_back_from() -> None:
    assert fall_back(ClassLog(snapshots), usable=[1]) == ()


def test_after_a_fall_back_the_given_up_version_may_come_back_and_an_older_one_may_not() -> None:
    log = with_active(1, 2, 3)
    log.append(*fall_back(log, usable=[1]))
    with pytest.raises(Rollback):
        activate(log.state.view, 2)
    log.append(*activate(log.state.view, 3))
    assert log.state.view.scope("routes").fallen_back is False and held(log) == [3, 2, 1]
