"""Which releases may wait, run, prove themselves or come back.

Rules this file keeps:

- Every function is pure: the view and the values of the command in, the events that follow out. What is already so gives no event.
- Nothing is activated whose bytes were not hashed against a signed reference (spec 4: unsigned artifacts are never activated).
- A release below the signed minimum is neither staged nor activated nor rolled back to, and its bytes are not handed out again (trust, 13).
- Whether the cluster allows updates at all just now is one gate for all high-risk operations, and not asked here.

Example::

    events = decide_stage(view(state), reference, content_id=content_id, stored=stored)
"""

from collections.abc import Callable, Iterable

from rap_journal.errors import MisuseError
from rap_projections.documents import ArtifactReference
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.refusal_log import is_due
from rap_projections.refusals import Equivocation, NotAllowed, Rollback, WrongArtifact
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
from rap_projections.updates import PendingUpdate, SubjectView, UpdatesView


def decide_stage(
    updates: UpdatesView, reference: ArtifactReference, *, content_id: bytes, stored: StoredDocument
) -> tuple[Event, ...]:
    """Let a release wait, given by a verified reference. What runs or waits already gives no event; a newer one replaces what waits.

    Of the release that waits, another document takes the place of the one before it: it may be signed by another key, or for longer.

    Raises `Rollback` where it is older than what runs or waits or below the signed minimum, `Equivocation` where its sequence is
    taken by other bytes.
    """
    subject = updates.subject(reference.subject)
    if reference.sequence < max(subject.minimum_sequence, reference.minimum_sequence):
        raise Rollback("its sequence is below the signed minimum", document_type="artifact")
    staged = UpdateStaged(*reference, content_id, stored)
    for known in (subject.current, subject.pending and subject.pending.reference):
        if known is None:
            continue
        _check_newer(known.sequence, known.sha256, reference)
        if known.sequence == reference.sequence and known.sha256 == reference.sha256:
            is_signed_anew = known is not subject.current and subject.pending is not None and subject.pending.signed != stored
            return (staged,) if is_signed_anew else ()
    return (*decide_drop(updates, reference.subject, reason="replaced"), staged)


def expected_size(updates: UpdatesView, subject: str, size_max: int) -> int:
    """How many bytes the artifact may have that is to be hashed now.

    Raises `NotAllowed` for a reference that names more than `size_max`, `MisuseError` where nothing is to be hashed.
    """
    it = updates.subject(subject)
    if _is_to_be_installed(it):
        # Of a release that is current already, the size is not kept: its digest decides.
        return size_max
    size = _pending(updates, subject, "verify_artifact").reference.size
    if size > size_max:
        raise NotAllowed(
            f"the artifact has {size} bytes, and this node holds {size_max} at most; nothing was read. Raise artifact_bytes_max of its policy.",
            state_class="updates",
            reason="artifact_too_large",
        )
    return size


def decide_artifact_verified(updates: UpdatesView, subject: str, *, sha256: bytes, size: int) -> tuple[Event, ...]:
    """Record that the artifact's bytes were hashed; of a release that is current and has not proved itself yet, there is nothing to record.

    Raises `WrongArtifact` where they are not those of the reference, `Rollback` where the signed minimum rose above the current release.
    """
    it = updates.subject(subject)
    if _is_to_be_installed(it) and it.current is not None:
        _check_minimum(it, it.current.sequence)
        if sha256 != it.current.sha256:
            raise WrongArtifact("its bytes are not those that the signed reference names", document_type="artifact")
        return ()
    pending = _pending(updates, subject, "verify_artifact")
    reference = pending.reference
    if (sha256, size) != (reference.sha256, reference.size):
        raise WrongArtifact("its bytes are not those that the signed reference names", document_type="artifact")
    return () if pending.is_verified else (ArtifactVerified(subject, reference.sequence, sha256),)


def decide_activate(updates: UpdatesView, subject: str) -> tuple[Event, ...]:
    """Make the pending release the current one; with nothing pending and a release that still has to prove itself, no event.

    Raises `NotAllowed` where the artifact was not verified, `Rollback` where the signed minimum rose above it meanwhile.
    """
    it = updates.subject(subject)
    if _is_to_be_installed(it) and it.current is not None:
        _check_minimum(it, it.current.sequence)
        return ()
    pending = _pending(updates, subject, "activate")
    reference = pending.reference
    if not pending.is_verified:
        raise NotAllowed(
            f"the artifact of update {reference.sequence} was not verified; nothing was changed. Verify it, then activate.",
            state_class="updates",
            reason="not_verified",
        )
    _check_minimum(it, reference.sequence)
    activated = UpdateActivated(subject, reference.version, reference.sequence, reference.sha256)
    if it.current is not None and it.current.sequence < it.minimum_sequence:
        return activated, CandidateDropped(subject, it.current.sequence, "below_minimum")
    return (activated,)


def digest_to_install(updates: UpdatesView, subject: str) -> bytes:
    """SHA-256 of what activating hands out. Raises `MisuseError` where there is nothing to activate."""
    it = updates.subject(subject)
    if _is_to_be_installed(it) and it.current is not None:
        return it.current.sha256
    return _pending(updates, subject, "activate").reference.sha256


def decide_confirm(updates: UpdatesView, subject: str) -> tuple[Event, ...]:
    """Record that the current release proved itself. Raises `MisuseError` where none is known."""
    current = updates.subject(subject).current
    if current is None:
        raise _nothing("current", subject, "confirm")
    return () if current.is_confirmed else (UpdateConfirmed(subject, current.sequence),)


def decide_roll_back(
    updates: UpdatesView, subject: str, *, reason: str, is_revoked: Callable[[bytes], bool]
) -> tuple[Event, ...]:
    """Make the rollback candidate the current release. Raises `NotAllowed` without one at or above the signed minimum.

    `is_revoked`: whether the bundle in force revokes what a document with this content id says.
    """
    it = updates.subject(subject)
    if (
        it.candidate is None
        or it.current is None
        or it.candidate.sequence < it.minimum_sequence
        or is_revoked(it.candidate.content_id)
    ):
        raise NotAllowed(
            "there is no release that may be rolled back to; nothing was changed. Stage a newer one.",
            state_class="updates",
            reason="no_candidate",
        )
    return (UpdateRolledBack(subject, it.current.sequence, *it.candidate[:3], reason),)


def decide_drop(updates: UpdatesView, subject: str, *, reason: str) -> tuple[Event, ...]:
    """Give up what waits for a subject, if anything does."""
    pending = updates.subject(subject).pending
    return (UpdateDropped(subject, pending.reference.sequence, reason),) if pending else ()


def decide_stale_dropped(updates: UpdatesView, now: Now, policy: EffectivePolicy) -> tuple[Event, ...]:
    """Give up every update that has waited for the policy's time or longer (spec 7)."""
    latest_us = now.node_us - policy.pending_age_s_max * 1_000_000
    stale = [name for name, it in sorted(updates.subjects.items()) if it.pending and it.pending.since_us <= latest_us]
    return tuple(event for name in stale for event in decide_drop(updates, name, reason="stale"))


def next_deadline(updates: UpdatesView, policy: EffectivePolicy) -> int | None:
    """Node time, in microseconds, at which `decide_stale_dropped` has something to do; None for never."""
    waiting = [it.pending.since_us for it in updates.subjects.values() if it.pending]
    return min(waiting) + policy.pending_age_s_max * 1_000_000 if waiting else None


def decide_offers(updates: UpdatesView, *, content_id: bytes | None, offers: Iterable[ArtifactReference]) -> tuple[Event, ...]:
    """Apply the updates snapshot in force (None: there is none); what its signed minimums rule out goes first."""
    if updates.offers_content_id == content_id:
        return ()
    events: list[Event] = []
    for offer in offers:
        it = updates.subject(offer.subject)
        if it.pending and it.pending.reference.sequence < offer.minimum_sequence:
            events.append(UpdateDropped(offer.subject, it.pending.reference.sequence, "below_minimum"))
        if it.candidate and it.candidate.sequence < offer.minimum_sequence:
            events.append(CandidateDropped(offer.subject, it.candidate.sequence, "below_minimum"))
    return (*events, OffersApplied(content_id))


def decide_current(updates: UpdatesView, subject: str, *, version: str, sequence: int, sha256: bytes) -> tuple[Event, ...]:
    """Record what runs without having been installed through this store. What is known already gives no event."""
    current = updates.subject(subject).current
    is_known = current is not None and current[:3] == (version, sequence, sha256)
    return () if is_known else (CurrentVersionSeen(subject, version, sequence, sha256),)


def decide_minimum_raised(updates: UpdatesView, subject: str, minimum_sequence: int, *, origin: str) -> tuple[Event, ...]:
    """Raise the signed minimum to what somebody else knows; nothing where this state knows as much."""
    is_known = minimum_sequence <= updates.subject(subject).minimum_sequence
    return () if is_known else (UpdateMinimumRaised(subject, minimum_sequence, origin),)


def decide_refused(
    updates: UpdatesView, *, source: str, subject: str, reason: str, times: int, digest: bytes, now: Now, policy: EffectivePolicy
) -> tuple[Event, ...]:
    """Record `times` refusals, or nothing while the interval of the same source, subject and reason lasts."""
    due = is_due(updates.refusals, source, subject, reason, now, policy)
    return (UpdateRefused(source, subject, reason, times, digest),) if due else ()


def _check_newer(sequence: int, sha256: bytes, offered: ArtifactReference) -> None:
    if offered.sequence < sequence:
        raise Rollback("its sequence is below that of what runs or waits", document_type="artifact")
    if offered.sequence == sequence and sha256 and offered.sha256 != sha256:
        what = "another artifact with this sequence runs or waits"
        raise Equivocation(what, known_content_id=sha256, other_content_id=offered.sha256)


def _check_minimum(it: SubjectView, sequence: int) -> None:
    if sequence < it.minimum_sequence:
        raise Rollback("its sequence is below the signed minimum", document_type="artifact")


def _is_to_be_installed(it: SubjectView) -> bool:
    """Whether a release was activated that may not be installed yet: nobody saw it prove itself, and nothing newer waits."""
    return it.pending is None and it.current is not None and not it.current.is_confirmed


def _pending(updates: UpdatesView, subject: str, call: str) -> PendingUpdate:
    pending = updates.subject(subject).pending
    if pending is None:
        raise _nothing("pending", subject, call)
    return pending


def _nothing(what: str, subject: str, call: str) -> MisuseError:
    return MisuseError(
        f"updates.{call}: nothing is {what} for {subject!r:.80}; nothing was changed.",
        state_class="updates",
        reason=f"none_{what}",
    )
