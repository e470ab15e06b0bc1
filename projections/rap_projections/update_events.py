"""The events of the updates class: kinds 40 to 49, and 140.

Rules this file keeps:

- Everything pending came from a signed reference; its bytes count only once they were hashed and found to be those.
- The reference rides along as it was received, so that it can be judged again before anything is installed by it.
- A sequence number orders the releases of a subject. The version is a name for people.

What the events do to the state is in `updates`, when they may be written in `update_decisions`.

Example::

    UpdateConfirmed("agent", 42)
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_projections.event_kinds import UPDATES, event_kind
from rap_projections.stored_document import StoredDocument


@event_kind(
    40,
    state_class=UPDATES,
    category=Category.DECISION,
    sensitivity="name, open, open, digest, open, address, name, open, digest, document",
)
class UpdateStaged(NamedTuple):
    """A signed reference waits to be fetched and activated.

    The first eight fields are those of `ArtifactReference`.

    Attributes:
        subject: what it updates: "agent" or a workload.
        version: version, for people.
        sequence: its number in the order of releases.
        sha256: SHA-256 of the artifact.
        size: length of the artifact in bytes.
        location: where it may be fetched.
        rollout: the rollout or canary group it is for.
        minimum_sequence: lowest sequence of the subject that may still run.
        content_id: content id of the document that holds the reference.
        stored: that document, as received; the event alone holds it, since it is always small enough.
    """

    subject: str
    version: str
    sequence: int
    sha256: bytes
    size: int
    location: str
    rollout: str
    minimum_sequence: int
    content_id: bytes
    stored: StoredDocument


@event_kind(41, state_class=UPDATES, category=Category.DECISION, sensitivity="name, open, digest")
class ArtifactVerified(NamedTuple):
    """The bytes of a pending update were hashed and are those of its reference.

    Attributes:
        subject: what it updates.
        sequence: its sequence.
        sha256: SHA-256 of the bytes.
    """

    subject: str
    sequence: int
    sha256: bytes


@event_kind(42, state_class=UPDATES, category=Category.DECISION, sensitivity="name, open, open, digest")
class UpdateActivated(NamedTuple):
    """The pending update is the current release, until it is confirmed or rolled back; the one before is the rollback candidate.

    Attributes:
        subject: what was updated.
        version: version, for people.
        sequence: its sequence.
        sha256: SHA-256 of the artifact.
    """

    subject: str
    version: str
    sequence: int
    sha256: bytes


@event_kind(43, state_class=UPDATES, category=Category.DECISION, sensitivity="name, open")
class UpdateConfirmed(NamedTuple):
    """The current release proved itself. `sequence` is its sequence."""

    subject: str
    sequence: int


@event_kind(44, state_class=UPDATES, category=Category.DECISION, sensitivity="name, open, open, open, digest, open")
class UpdateRolledBack(NamedTuple):
    """The rollback candidate is the current release again.

    Attributes:
        subject: what was rolled back.
        given_up_sequence: sequence of the release that was given up.
        version: version of the candidate.
        sequence: sequence of the candidate.
        sha256: SHA-256 of the candidate's artifact.
        reason: a short stable word.
    """

    subject: str
    given_up_sequence: int
    version: str
    sequence: int
    sha256: bytes
    reason: str


@event_kind(45, state_class=UPDATES, category=Category.EVICTION, sensitivity="name, open, open")
class UpdateDropped(NamedTuple):
    """The pending update of a subject was given up.

    Attributes:
        subject: what it would have updated.
        sequence: its sequence.
        reason: "replaced", "stale", "damaged", "below_minimum", or the word of the refusal where its reference counts no longer, such as
            "revoked" or "expired".
    """

    subject: str
    sequence: int
    reason: str


@event_kind(46, state_class=UPDATES, category=Category.REFUSAL, sensitivity="name, name, open, open, digest")
class UpdateRefused(NamedTuple):
    """A reference or artifact was refused; what runs stays as it is.

    Attributes:
        source: who offered it.
        subject: what it would have updated.
        reason: a short stable word.
        times: how many since the last event of the same source, subject and reason.
        digest: SHA-256 of the bytes refused last; empty where there were none.
    """

    source: str
    subject: str
    reason: str
    times: int
    digest: bytes


@event_kind(47, state_class=UPDATES, category=Category.DECISION, sensitivity="digest")
class OffersApplied(NamedTuple):
    """The signed updates snapshot in force changed; its references are the offers. None: no snapshot is active any more."""

    content_id: bytes | None


@event_kind(48, state_class=UPDATES, category=Category.OBSERVATION, sensitivity="name, open, open, digest")
class CurrentVersionSeen(NamedTuple):
    """A release runs that this store did not install, such as the one the machine came with.

    Attributes:
        subject: what runs.
        version: version, for people.
        sequence: its sequence; 0 where it is not known.
        sha256: SHA-256 of its artifact; empty where it is not known.
    """

    subject: str
    version: str
    sequence: int
    sha256: bytes


@event_kind(49, state_class=UPDATES, category=Category.EVICTION, sensitivity="name, open, open")
class CandidateDropped(NamedTuple):
    """A release may no longer be rolled back to.

    Attributes:
        subject: what it was for.
        sequence: its sequence.
        reason: "below_minimum" or "damaged".
    """

    subject: str
    sequence: int
    reason: str


@event_kind(140, state_class=UPDATES, category=Category.LIFECYCLE, sensitivity="name, open, open")
class UpdateMinimumRaised(NamedTuple):
    """The lowest sequence that may run was raised to what the witness, a backup, an anchor or the agent knows.

    Attributes:
        subject: what it is for: "agent".
        minimum_sequence: lowest sequence of the subject that may still run.
        origin: "witness", "backup", "anchor", or "memory" of an earlier stay.
    """

    subject: str
    minimum_sequence: int
    origin: str
