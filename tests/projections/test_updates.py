"""What the events of the updates class do to its state."""

from rap_projections import updates
from rap_projections.documents import ArtifactReference
from rap_projections.lifecycle import ClassReset
from rap_projections.stored_document import StoredDocument
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
from rap_projections.updates import AGENT_SUBJECT, PendingUpdate, Release, SubjectView, UpdateResult, UpdatesView
from tests.projections.class_log import ClassLog


def reference(sequence: int, *, subject: str = AGENT_SUBJECT, minimum: int = 0) -> ArtifactReference:
    return ArtifactReference(subject, f"1.{sequence}", sequence, b"sha%d" % sequence, 10, "https://x", "canary", minimum)


def staged(sequence: int, *, minimum: int = 0) -> UpdateStaged:
    return UpdateStaged(*reference(sequence, minimum=minimum), b"doc", SIGNED)


def activated(sequence: int) -> UpdateActivated:
    return UpdateActivated(AGENT_SUBJECT, f"1.{sequence}", sequence, b"sha%d" % sequence)


SIGNED = StoredDocument(b"", 4, b"sign")
SEEN = CurrentVersionSeen(AGENT_SUBJECT, "1.4", 4, b"sha4")
RUNNING = Release("1.4", 4, b"sha4", True, 7, 1)


def after(*events: tuple[object, ...]) -> SubjectView:
    log = ClassLog(updates, {b"offers": (reference(5, minimum=3), reference(9, subject="svc-a"))})
    log.append(*events, node_us=7)
    subject: SubjectView = log.state.view.subject(AGENT_SUBJECT)
    return subject


def test_what_runs_is_known_before_any_update() -> None:
    assert after(SEEN).current == RUNNING
    assert after(SEEN).provenance["current"] == 1


def test_a_staged_update_waits_unverified_with_its_rollout_group() -> None:
    subject = after(SEEN, staged(5))
    assert subject.pending == PendingUpdate(reference(5), b"doc", SIGNED, False, 7, 2)
    assert subject.pending.reference.rollout == "canary" and subject.current == RUNNING


def test_verifying_other_bytes_marks_nothing() -> None:
    pending = after(SEEN, staged(5), ArtifactVerified(AGENT_SUBJECT, 5, b"other")).pending
    assert pending is not None and not pending.is_verified
    verified = after(SEEN, staged(5), ArtifactVerified(AGENT_SUBJECT, 5, b"sha5")).pending
    assert verified is not None and verified.is_verified


def test_an_activated_update_runs_unconfirmed_and_the_one_before_may_come_back() -> None:
    subject = after(SEEN, staged(5), activated(5))
    assert subject.current == Release("1.5", 5, b"sha5", False, 7, 3, b"doc", SIGNED)
    assert (subject.pending, subject.candidate) == (None, RUNNING)
    assert subject.last_result == UpdateResult("activated", 5, "", 7, 3)


def test_a_candidate_needs_its_reference_no_more() -> None:
    subject = after(SEEN, staged(5), activated(5), staged(6), activated(6))
    assert subject.candidate is not None and (subject.candidate.sequence, subject.candidate.signed) == (5, None)


def test_the_release_that_waits_stays_verified_when_it_is_signed_anew() -> None:
    """Fails when the fold takes the verification away, or keeps it for other bytes."""
    verified = ArtifactVerified(AGENT_SUBJECT, 5, b"sha5")
    anew = staged(5)._replace(content_id=b"anew", stored=SIGNED._replace(inline=b"anew"))
    pending = after(SEEN, staged(5), verified, anew).pending
    assert pending is not None and (pending.is_verified, pending.content_id, pending.signed.inline) == (True, b"anew", b"anew")
    for other in (staged(6), anew._replace(sha256=b"other"), anew._replace(size=11)):
        pending = after(SEEN, staged(5), verified, other).pending
        assert pending is not None and not pending.is_verified


def test_a_confirmed_update_has_proved_itself_and_needs_its_reference_no_more() -> None:
    subject = after(SEEN, staged(5), activated(5), UpdateConfirmed(AGENT_SUBJECT, 5))
    assert subject.current is not None and (subject.current.is_confirmed, subject.current.signed) == (True, None)
    assert subject.last_result == UpdateResult("confirmed", 5, "", 7, 4)


def test_a_rolled_back_update_gives_way_to_the_candidate() -> None:
    subject = after(SEEN, staged(5), activated(5), UpdateRolledBack(AGENT_SUBJECT, 5, "1.4", 4, b"sha4", "crashed"))
    assert subject.current == RUNNING._replace(lsn=4)
    assert (subject.candidate, subject.last_result) == (None, UpdateResult("rolled_back", 5, "crashed", 7, 4))


def test_a_dropped_update_leaves_what_runs() -> None:
    subject = after(SEEN, staged(5), UpdateDropped(AGENT_SUBJECT, 5, "stale"))
    assert (subject.pending, subject.current) == (None, RUNNING)
    assert subject.last_result == UpdateResult("dropped", 5, "stale", 7, 3)


def test_a_dropped_candidate_is_gone() -> None:
    assert after(SEEN, staged(5), activated(5), CandidateDropped(AGENT_SUBJECT, 4, "damaged")).candidate is None


def test_offers_come_from_the_signed_snapshot_and_go_with_it() -> None:
    assert after(OffersApplied(b"offers")).offer == reference(5, minimum=3)
    assert after(OffersApplied(b"offers"), OffersApplied(None)).offer is None


def test_the_minimum_sequence_never_falls() -> None:
    assert after(OffersApplied(b"offers"), OffersApplied(None)).minimum_sequence == 3
    assert after(staged(5, minimum=4), OffersApplied(b"offers")).minimum_sequence == 4


def test_subjects_do_not_touch_one_another() -> None:
    log = ClassLog(updates, {b"offers": (reference(9, subject="svc-a"),)})
    log.append(SEEN, OffersApplied(b"offers"), activated(5)._replace(subject="svc-a"), node_us=7)
    view: UpdatesView = log.state.view
    assert view.subject(AGENT_SUBJECT).current == RUNNING
    assert view.subject("svc-a").provenance == {
        "current": 3, "pending": 2, "candidate": 2, "offer": 2, "minimum_sequence": 2, "last_result": 3,
    }  # fmt: skip
    assert view.offers_content_id == b"offers"


def test_a_refusal_leaves_every_subject_as_it_is() -> None:
    log = ClassLog(updates)
    log.append(SEEN, staged(5))
    before = log.state.view.subjects
    log.append(UpdateRefused("control-plane", AGENT_SUBJECT, "rollback", 1, b""))
    assert log.state.view.subjects == before and len(log.state.view.refusals) == 1


def test_a_reset_drops_what_waited() -> None:
    assert after(SEEN, staged(5), ClassReset(4, 1, 2, "gap")) == SubjectView()


def test_a_minimum_that_somebody_else_knows_only_rises() -> None:
    raised = [UpdateMinimumRaised(AGENT_SUBJECT, minimum, "witness") for minimum in (7, 3)]
    subject = after(SEEN, staged(5), *raised)
    assert (subject.minimum_sequence, subject.current) == (7, RUNNING)
