"""Which releases may wait, run, prove themselves or come back."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import updates
from rap_projections.documents import ArtifactReference
from rap_projections.event_kinds import Event
from rap_projections.policy import Policy, effective
from rap_projections.refusals import Equivocation, NotAllowed, Rollback, WrongArtifact
from rap_projections.stored_document import StoredDocument
from rap_projections.update_decisions import (
    decide_activate,
    decide_artifact_verified,
    decide_confirm,
    decide_current,
    decide_drop,
    decide_minimum_raised,
    decide_offers,
    decide_refused,
    decide_roll_back,
    decide_stage,
    decide_stale_dropped,
)
from rap_projections.update_events import (
    ArtifactVerified,
    CandidateDropped,
    CurrentVersionSeen,
    OffersApplied,
    UpdateActivated,
    UpdateConfirmed,
    UpdateDropped,
    UpdateMinimumRaised,
    UpdateRefused,
    UpdateRolledBack,
    UpdateStaged,
)
from tests.projections.class_log import SECOND, ClassLog, at

SIGNED = StoredDocument(b"", 4, b"sign")
LIMITS = effective(Policy(pending_age_s_max=60, refusal_interval_s=60), None)


def reference(sequence: int, *, minimum: int = 0, sha256: bytes = b"") -> ArtifactReference:
    return ArtifactReference("agent", f"1.{sequence}", sequence, sha256 or b"sha%d" % sequence, 10, "https://x", "all", minimum)


def running(sequence: int = 4) -> ClassLog:
    log = ClassLog(updates)
    log.append(*decide_current(log.state.view, "agent", version=f"1.{sequence}", sequence=sequence, sha256=b"sha%d" % sequence))
    return log


def stage(log: ClassLog, sequence: int, **changed: object) -> tuple[Event, ...]:
    return decide_stage(log.state.view, reference(sequence, **changed), content_id=b"doc", stored=SIGNED)  # type: ignore[arg-type]  # options of reference


def with_pending(sequence: int = 5, *, verified: bool = True) -> ClassLog:
    log = running()
    log.append(*stage(log, sequence), node_us=0)
    if verified:
        log.append(*decide_artifact_verified(log.state.view, "agent", sha256=b"sha%d" % sequence, size=10))
    return log


def updated() -> ClassLog:
    log = with_pending()
    log.append(*decide_activate(log.state.view, "agent"))
    return log


def test_what_runs_is_recorded_once() -> None:
    log = running()
    assert decide_current(log.state.view, "agent", version="1.4", sequence=4, sha256=b"sha4") == ()
    assert decide_current(log.state.view, "agent", version="1.5", sequence=5, sha256=b"sha5") == (
        CurrentVersionSeen("agent", "1.5", 5, b"sha5"),
    )


def test_a_newer_release_is_staged_once() -> None:
    log = running()
    events = stage(log, 5)
    assert events == (UpdateStaged(*reference(5), b"doc", SIGNED),)
    log.append(*events)
    assert stage(log, 5) == ()


def test_the_release_that_runs_is_not_staged() -> None:
    assert stage(running(), 4) == ()


def test_the_release_that_waits_goes_by_its_newest_document() -> None:
    """Fails when a release that waits is known by its digest alone: then it ends with the key or the term of its first document."""
    log, anew = with_pending(), SIGNED._replace(inline=b"anew")
    staged = decide_stage(log.state.view, reference(5), content_id=b"anew", stored=anew)
    assert staged == (UpdateStaged(*reference(5), b"anew", anew),)
    log.append(*decide_activate(log.state.view, "agent"))
    assert decide_stage(log.state.view, reference(5), content_id=b"anew", stored=anew) == (), "it runs already"


def test_a_newer_release_replaces_the_one_that_waits() -> None:
    assert stage(with_pending(), 6) == (UpdateDropped("agent", 5, "replaced"), UpdateStaged(*reference(6), b"doc", SIGNED))


@pytest.mark.parametrize(
    ("offered", "error"),
    [
        (reference(3), Rollback),
        (reference(4, sha256=b"other"), Equivocation),
        (reference(5, sha256=b"other"), Equivocation),
        (reference(6, minimum=7), Rollback),
    ],
)
def test_what_may_not_be_staged_is_refused_and_the_state_is_unchanged(offered: ArtifactReference, error: type[Exception]) -> None:
    """Mutation: drop a check in `decide_stage` or `_check_newer`."""
    log = with_pending()
    before = log.value()
    with pytest.raises(error):
        decide_stage(log.state.view, offered, content_id=b"doc", stored=SIGNED)
    assert log.value() == before


@pytest.mark.parametrize(("minimum", "raises"), [(4, False), (5, False), (6, True)])
def test_a_minimum_that_somebody_else_knows_is_written_where_it_is_higher(minimum: int, raises: bool) -> None:
    """Fails when what is known already is written at every opening."""
    log = running()
    log.append(*stage(log, 9, minimum=5))
    raised = decide_minimum_raised(log.state.view, "agent", minimum, origin="witness")
    assert raised == ((UpdateMinimumRaised("agent", minimum, "witness"),) if raises else ())


def test_a_release_below_a_minimum_signed_earlier_is_refused() -> None:
    log = running()
    log.append(*stage(log, 9, minimum=8))
    log.append(*decide_drop(log.state.view, "agent", reason="stale"))
    with pytest.raises(Rollback, match="below the signed minimum"):
        stage(log, 7)


@pytest.mark.parametrize(("sha256", "size"), [(b"other", 10), (b"sha5", 11)])
def test_an_artifact_of_other_bytes_is_refused(sha256: bytes, size: int) -> None:
    """Mutation: drop the check in `decide_artifact_verified`."""
    log = with_pending(verified=False)
    with pytest.raises(WrongArtifact):
        decide_artifact_verified(log.state.view, "agent", sha256=sha256, size=size)


def test_a_verified_artifact_is_recorded_once() -> None:
    """Mutation: drop the call of `_nothing` in `_pending`."""
    log = with_pending(verified=False)
    assert decide_artifact_verified(log.state.view, "agent", sha256=b"sha5", size=10) == (ArtifactVerified("agent", 5, b"sha5"),)
    assert decide_artifact_verified(with_pending().state.view, "agent", sha256=b"sha5", size=10) == ()
    with pytest.raises(MisuseError, match=r"updates\.verify_artifact: nothing is pending"):
        decide_artifact_verified(running().state.view, "agent", sha256=b"sha5", size=10)


def test_an_artifact_that_was_not_verified_is_never_activated() -> None:
    """Mutation: drop the check in `decide_activate`."""
    log = with_pending(verified=False)
    with pytest.raises(NotAllowed) as caught:
        decide_activate(log.state.view, "agent")
    assert caught.value.reason == "not_verified"


def test_staging_another_release_takes_the_verification_away() -> None:
    log = with_pending()
    log.append(*stage(log, 6))
    with pytest.raises(NotAllowed):
        decide_activate(log.state.view, "agent")


def test_a_verified_release_is_activated_once() -> None:
    log = with_pending()
    events = decide_activate(log.state.view, "agent")
    assert events == (UpdateActivated("agent", "1.5", 5, b"sha5"),)
    log.append(*events)
    assert decide_activate(log.state.view, "agent") == ()


def test_activating_with_nothing_pending_is_misuse() -> None:
    with pytest.raises(MisuseError, match="nothing is pending"):
        decide_activate(running().state.view, "agent")


def test_a_minimum_that_rose_meanwhile_bars_activation_and_rules_out_the_candidate() -> None:
    """Mutation: drop the check in `decide_activate`."""
    log = ClassLog(updates, {b"o": (reference(6, minimum=6),)})
    log.state = with_pending().state
    log.append(OffersApplied(b"o"))
    with pytest.raises(Rollback):
        decide_activate(log.state.view, "agent")
    fresh = running()
    fresh.append(*stage(fresh, 6, minimum=6), ArtifactVerified("agent", 6, b"sha6"))
    assert decide_activate(fresh.state.view, "agent") == (
        UpdateActivated("agent", "1.6", 6, b"sha6"),
        CandidateDropped("agent", 4, "below_minimum"),
    )


def test_a_current_release_below_a_minimum_that_rose_is_neither_hashed_nor_handed_out_again() -> None:
    """Mutation: drop the call of `_check_minimum` for what is current, in `decide_artifact_verified` or in `decide_activate`."""
    log = ClassLog(updates, {b"level": (reference(9, minimum=5),), b"above": (reference(9, minimum=6),)})
    log.state = with_pending().state
    log.append(*decide_activate(log.state.view, "agent"), OffersApplied(b"level"))
    assert decide_activate(log.state.view, "agent") == ()
    log.append(OffersApplied(b"above"))
    with pytest.raises(Rollback, match="below the signed minimum"):
        decide_artifact_verified(log.state.view, "agent", sha256=b"sha5", size=10)
    with pytest.raises(Rollback, match="below the signed minimum"):
        decide_activate(log.state.view, "agent")


def test_a_release_is_confirmed_once() -> None:
    """Mutation: drop the call of `_nothing` in `decide_confirm`."""
    log = updated()
    events = decide_confirm(log.state.view, "agent")
    assert events == (UpdateConfirmed("agent", 5),)
    log.append(*events)
    assert decide_confirm(log.state.view, "agent") == ()
    with pytest.raises(MisuseError, match="nothing is current"):
        decide_confirm(ClassLog(updates).state.view, "agent")


def test_rolling_back_brings_the_candidate_and_then_there_is_none() -> None:
    """Mutation: drop the check in `decide_roll_back`."""
    log = updated()
    events = decide_roll_back(log.state.view, "agent", reason="crashed", is_revoked=lambda _content_id: False)
    assert events == (UpdateRolledBack("agent", 5, "1.4", 4, b"sha4", "crashed"),)
    log.append(*events)
    with pytest.raises(NotAllowed) as caught:
        decide_roll_back(log.state.view, "agent", reason="crashed", is_revoked=lambda _content_id: False)
    assert caught.value.reason == "no_candidate"


def test_a_candidate_below_the_signed_minimum_may_not_come_back() -> None:
    log = ClassLog(updates, {b"o": (reference(5, minimum=5),)})
    log.state = updated().state
    events = decide_offers(log.state.view, content_id=b"o", offers=(reference(5, minimum=5),))
    assert events == (CandidateDropped("agent", 4, "below_minimum"), OffersApplied(b"o"))
    log.append(*events)
    with pytest.raises(NotAllowed):
        decide_roll_back(log.state.view, "agent", reason="crashed", is_revoked=lambda _content_id: False)


def test_a_candidate_that_a_staged_reference_rules_out_may_not_come_back() -> None:
    log = updated()
    log.append(*stage(log, 6, minimum=5))
    assert log.state.view.subject("agent").candidate is not None
    with pytest.raises(NotAllowed) as caught:
        decide_roll_back(log.state.view, "agent", reason="crashed", is_revoked=lambda _content_id: False)
    assert caught.value.reason == "no_candidate"


def test_offers_are_applied_once_and_drop_what_they_rule_out() -> None:
    log = ClassLog(updates, {b"o": (reference(9, minimum=6),)})
    log.state = with_pending().state
    events = decide_offers(log.state.view, content_id=b"o", offers=(reference(9, minimum=6),))
    assert events == (UpdateDropped("agent", 5, "below_minimum"), OffersApplied(b"o"))
    log.append(*events)
    assert decide_offers(log.state.view, content_id=b"o", offers=(reference(9, minimum=6),)) == ()
    assert decide_offers(log.state.view, content_id=None, offers=()) == (OffersApplied(None),)


def test_an_update_that_waited_long_enough_is_dropped() -> None:
    log = with_pending()
    assert decide_stale_dropped(log.state.view, at(59 * SECOND), LIMITS) == ()
    assert decide_stale_dropped(log.state.view, at(60 * SECOND), LIMITS) == (UpdateDropped("agent", 5, "stale"),)
    assert decide_drop(running().state.view, "agent", reason="damaged") == ()


def test_refusals_are_written_once_per_interval() -> None:
    log = running()
    values = {"source": "config", "subject": "agent", "reason": "rollback", "times": 1, "digest": b"x"}
    first = decide_refused(log.state.view, **values, now=at(0), policy=LIMITS)  # type: ignore[arg-type]  # a table of values
    assert first == (UpdateRefused("config", "agent", "rollback", 1, b"x"),)
    log.append(*first, node_us=0)
    assert decide_refused(log.state.view, **values, now=at(59 * SECOND), policy=LIMITS) == ()  # type: ignore[arg-type]  # as above
