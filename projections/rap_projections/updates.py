"""The updates class: what runs, what waits, what may be rolled back to, and how the last update ended.

Rules this file keeps:

- Per subject there is one current release, at most one pending and at most one rollback candidate.
- A pending update becomes current by its event alone, and that event is written only for verified bytes of a signed reference.
- The lowest sequence that may run, as signed, only rises. The agent's is a floor, and outlives a reset of this class (`witness_floors`).
- The signed reference is kept until its release has proved itself, so that it can be judged again (trust, 10 and 13).

Example::

    state = empty()
    FOLDS[CurrentVersionSeen](state, CurrentVersionSeen("agent", "2.1.0", 41, sha256), record, documents)
    assert view(state).subject("agent").current.sequence == 41
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rap_journal.records import Record
from rap_projections.class_state import NOTHING, folds, shape, with_entry
from rap_projections.documents import ArtifactReference, Documents
from rap_projections.refusal_log import Refusal, noted
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

AGENT_SUBJECT = "agent"
"""The subject that stands for the node agent itself; all others are workloads."""


class Release(NamedTuple):
    """A release that runs or ran.

    Attributes:
        version: version, for people.
        sequence: its number in the order of releases; 0 where it is not known.
        sha256: SHA-256 of its artifact; empty where it is not known.
        is_confirmed: whether it proved itself.
        since_us: node time since when it is or was current.
        lsn: LSN of the event that made it current.
        content_id: content id of the document by which it was installed; empty where that is not known.
        signed: that document, until the release has proved itself; else None.
    """

    version: str
    sequence: int
    sha256: bytes
    is_confirmed: bool
    since_us: int
    lsn: int
    content_id: bytes = b""
    signed: StoredDocument | None = None


class PendingUpdate(NamedTuple):
    """A signed reference that waits.

    Attributes:
        reference: what is to be installed, its rollout group included.
        content_id: content id of the document that holds the reference.
        signed: that document, as received.
        is_verified: whether the artifact's bytes were hashed and are those of the reference.
        since_us: node time of staging.
        lsn: LSN of staging.
    """

    reference: ArtifactReference
    content_id: bytes
    signed: StoredDocument
    is_verified: bool
    since_us: int
    lsn: int


class UpdateResult(NamedTuple):
    """How the last update ended: "activated", "confirmed", "rolled_back" or "dropped", of which sequence, why, when, by which event."""

    outcome: str
    sequence: int
    reason: str
    at_us: int
    lsn: int


class SubjectView(NamedTuple):
    """One subject.

    Attributes:
        current: what runs.
        pending: what waits.
        candidate: what may be rolled back to.
        offer: what the active updates snapshot offers, its rollout group included.
        minimum_sequence: lowest sequence that may run, as signed so far.
        last_result: how the last update ended.
        provenance: LSN that last changed each field.
    """

    current: Release | None = None
    pending: PendingUpdate | None = None
    candidate: Release | None = None
    offer: ArtifactReference | None = None
    minimum_sequence: int = 0
    last_result: UpdateResult | None = None
    provenance: Mapping[str, int] = NOTHING


class UpdatesView(NamedTuple):
    """All subjects.

    Attributes:
        subjects: each subject that any event has named, by name; "agent" is the agent.
        offers_content_id: content id of the updates snapshot in force.
        refusals: recent refusals, newest last.
        provenance: LSN that last changed each field.
    """

    subjects: Mapping[str, SubjectView] = NOTHING
    offers_content_id: bytes | None = None
    refusals: tuple[Refusal, ...] = ()
    provenance: Mapping[str, int] = NOTHING

    def subject(self, subject: str) -> SubjectView:
        """The subject of this name, as it is or as it starts."""
        return self.subjects.get(subject, SubjectView())


def _staged(before: UpdatesView, event: UpdateStaged, record: Record) -> UpdatesView:
    subject = before.subject(event.subject)
    known, reference = subject.pending, ArtifactReference._make(event[:8])
    # The same release, signed anew: what was hashed is still what is meant.
    is_verified = known is not None and known.is_verified and known.reference[2:5] == reference[2:5]
    signed = StoredDocument._make(event.stored)
    pending = PendingUpdate(reference, event.content_id, signed, is_verified, record.node_us, record.lsn)
    minimum = max(subject.minimum_sequence, event.minimum_sequence)
    return _with_subject(before, event.subject, subject._replace(pending=pending, minimum_sequence=minimum))


def _verified(before: UpdatesView, event: ArtifactVerified, record: Record) -> UpdatesView:
    subject = before.subject(event.subject)
    pending = subject.pending
    if pending is None or pending.reference.sha256 != event.sha256:
        return before
    return _with_subject(before, event.subject, subject._replace(pending=pending._replace(is_verified=True)))


def _activated(before: UpdatesView, event: UpdateActivated, record: Record) -> UpdatesView:
    subject = before.subject(event.subject)
    content_id, signed = (subject.pending.content_id, subject.pending.signed) if subject.pending else (b"", None)
    release = Release(event.version, event.sequence, event.sha256, False, record.node_us, record.lsn, content_id, signed)
    candidate = subject.current and subject.current._replace(signed=None)
    result = UpdateResult("activated", event.sequence, "", record.node_us, record.lsn)
    after = subject._replace(current=release, pending=None, candidate=candidate, last_result=result)
    return _with_subject(before, event.subject, after)


def _confirmed(before: UpdatesView, event: UpdateConfirmed, record: Record) -> UpdatesView:
    subject = before.subject(event.subject)
    current = subject.current
    result = UpdateResult("confirmed", event.sequence, "", record.node_us, record.lsn)
    after = subject._replace(current=current and current._replace(is_confirmed=True, signed=None), last_result=result)
    return _with_subject(before, event.subject, after)


def _rolled_back(before: UpdatesView, event: UpdateRolledBack, record: Record) -> UpdatesView:
    subject = before.subject(event.subject)
    content_id = subject.candidate.content_id if subject.candidate else b""
    release = Release(event.version, event.sequence, event.sha256, True, record.node_us, record.lsn, content_id)
    result = UpdateResult("rolled_back", event.given_up_sequence, event.reason, record.node_us, record.lsn)
    after = subject._replace(current=release, candidate=None, last_result=result)
    return _with_subject(before, event.subject, after)


def _dropped(before: UpdatesView, event: UpdateDropped, record: Record) -> UpdatesView:
    result = UpdateResult("dropped", event.sequence, event.reason, record.node_us, record.lsn)
    return _with_subject(before, event.subject, before.subject(event.subject)._replace(pending=None, last_result=result))


def _refused(before: UpdatesView, event: UpdateRefused, record: Record) -> UpdatesView:
    return before._replace(refusals=noted(before.refusals, Refusal(*event, record.node_us, record.node_us, record.lsn)))


def _offers_applied(before: UpdatesView, event: OffersApplied, record: Record, documents: Documents) -> UpdatesView:
    # The scope of the snapshot was checked when it was activated: its body is the offers.
    body: Any = () if event.content_id is None else documents.snapshot(event.content_id).body
    offers: dict[str, ArtifactReference] = {offer.subject: offer for offer in body}
    after = before._replace(offers_content_id=event.content_id)
    for name in sorted(before.subjects.keys() | offers.keys()):
        subject, offer = before.subject(name), offers.get(name)
        minimum = max(subject.minimum_sequence, offer.minimum_sequence if offer else 0)
        after = _with_subject(after, name, subject._replace(offer=offer, minimum_sequence=minimum))
    return after


def _current_seen(before: UpdatesView, event: CurrentVersionSeen, record: Record) -> UpdatesView:
    release = Release(event.version, event.sequence, event.sha256, True, record.node_us, record.lsn)
    return _with_subject(before, event.subject, before.subject(event.subject)._replace(current=release))


def _candidate_dropped(before: UpdatesView, event: CandidateDropped, record: Record) -> UpdatesView:
    return _with_subject(before, event.subject, before.subject(event.subject)._replace(candidate=None))


def _minimum_raised(before: UpdatesView, event: UpdateMinimumRaised, record: Record) -> UpdatesView:
    subject = before.subject(event.subject)
    minimum = max(subject.minimum_sequence, event.minimum_sequence)
    return _with_subject(before, event.subject, subject._replace(minimum_sequence=minimum))


def _with_subject(before: UpdatesView, subject: str, after: SubjectView) -> UpdatesView:
    return before._replace(subjects=with_entry(before.subjects, subject, after))


FOLDS = folds(
    {
        UpdateStaged: _staged,
        ArtifactVerified: _verified,
        UpdateActivated: _activated,
        UpdateConfirmed: _confirmed,
        UpdateRolledBack: _rolled_back,
        UpdateDropped: _dropped,
        UpdateRefused: _refused,
        CurrentVersionSeen: _current_seen,
        CandidateDropped: _candidate_dropped,
        UpdateMinimumRaised: _minimum_raised,
    },
    reading_documents={OffersApplied: _offers_applied},
    after_reset=UpdatesView(),
)
empty, to_value, from_value, view = shape(UpdatesView())
