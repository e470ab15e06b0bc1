"""The events of the snapshots class: kinds 30 to 39, and 120 to 129 because those are all taken.

Rules this file keeps:

- What is staged is only bytes: its event claims nothing about what they say. What is activated was verified.
- The first eleven fields of an event that makes a document active are the document's own facts, in one order.
- A document of up to 64 KiB rides along in the event that activates it, so that it can be written on a full disk and repaired.

What the events do to the state is in `snapshots`, when they may be written in `snapshot_decisions`.

Example::

    SnapshotPendingDropped("routes", file_id, "stale")
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_projections.documents import Version
from rap_projections.event_kinds import SNAPSHOTS, event_kind
from rap_projections.lifecycle import Setting
from rap_projections.stored_document import StoredDocument


@event_kind(30, state_class=SNAPSHOTS, category=Category.OBSERVATION, sensitivity="open, open, name, document")
class SnapshotStaged(NamedTuple):
    """Bytes that claim to be a document of this scope were written aside. Nothing about them is believed yet.

    Attributes:
        scope: the scope they are offered for.
        form: "snapshot" or "increment".
        source: who offered them.
        stored: where they are kept; never inline.
    """

    scope: str
    form: str
    source: str
    stored: StoredDocument


class SnapshotFacts(NamedTuple):
    """What a verified document says about itself; the first fields of the events that make one active.

    Attributes:
        scope: its scope.
        version: (generation, version).
        content_id: its content id.
        issued_at_s: when it was issued, seconds since 1970.
        refresh_after_s: when a newer one should be fetched, seconds since 1970.
        expires_at_s: when it expires, seconds since 1970.
        minimum: oldest version of the scope that may still be used.
        audience: whom it is for: "everyone", "node", or "role:" and the role.
        signer_kids: the keys that signed it, sorted.
        verified_at_s: trusted time of the verification, seconds since 1970.
        bundle_version: version of the bundle it was verified under.
    """

    scope: str
    version: Version
    content_id: bytes
    issued_at_s: int
    refresh_after_s: int
    expires_at_s: int
    minimum: Version
    audience: str
    signer_kids: tuple[bytes, ...]
    verified_at_s: int
    bundle_version: int


_FACTS = "open, open, digest, open, open, open, open, name, digest, open, open"


@event_kind(31, state_class=SNAPSHOTS, category=Category.DECISION, sensitivity=f"{_FACTS}, document, open, open")
class SnapshotActivated(NamedTuple):
    """A verified document is the active one of its scope.

    The first eleven fields are those of `SnapshotFacts`.

    Attributes:
        stored: where it is kept.
        previous_max: how many previous documents of the scope are kept from now on.
        limits: the limits in force at this moment that a signed policy can speak about, by name.
    """

    scope: str
    version: Version
    content_id: bytes
    issued_at_s: int
    refresh_after_s: int
    expires_at_s: int
    minimum: Version
    audience: str
    signer_kids: tuple[bytes, ...]
    verified_at_s: int
    bundle_version: int
    stored: StoredDocument
    previous_max: int
    limits: tuple[Setting, ...]


@event_kind(32, state_class=SNAPSHOTS, category=Category.EVICTION, sensitivity="open, digest, open")
class SnapshotPendingDropped(NamedTuple):
    """The pending document of a scope was given up.

    Attributes:
        scope: its scope.
        file_id: name of its sealed file.
        reason: "replaced", "refused", "stale", "damaged" or "active_already".
    """

    scope: str
    file_id: bytes
    reason: str


@event_kind(33, state_class=SNAPSHOTS, category=Category.REFUSAL, sensitivity="name, open, open, open, open, digest")
class SnapshotRefused(NamedTuple):
    """A document was refused; the active one stays as it is.

    Attributes:
        source: who offered it.
        scope: the scope it was offered for.
        reason: stable word of the refusal.
        rule: stable word of the rule it broke.
        times: how many since the last event of the same source, scope and reason.
        digest: SHA-256 of the bytes refused last.
    """

    source: str
    scope: str
    reason: str
    rule: str
    times: int
    digest: bytes


@event_kind(34, state_class=SNAPSHOTS, category=Category.EVICTION, sensitivity="open, digest, digest, open")
class PreviousDropped(NamedTuple):
    """A previous document is no longer kept.

    Attributes:
        scope: its scope.
        content_id: its content id.
        file_id: name of its sealed file.
        reason: "limit", "damaged", or the word of the refusal under the trust in force, such as "revoked".
    """

    scope: str
    content_id: bytes
    file_id: bytes
    reason: str


@event_kind(35, state_class=SNAPSHOTS, category=Category.DECISION, sensitivity="open, open, digest")
class AppliedReported(NamedTuple):
    """The affected components run by this document: the "applied version" of the scope.

    Attributes:
        scope: its scope.
        version: (generation, version).
        content_id: its content id.
    """

    scope: str
    version: Version
    content_id: bytes


@event_kind(36, state_class=SNAPSHOTS, category=Category.REFUSAL, sensitivity="open, open, digest, digest, digest")
class EquivocationSeen(NamedTuple):
    """Two documents of one version both verify and say different things; the second was refused.

    Attributes:
        scope: their scope.
        version: their (generation, version).
        known_content_id: content id accepted before.
        other_content_id: content id of the refused one.
        evidence_file_id: name of the sealed file that keeps the refused one.
    """

    scope: str
    version: Version
    known_content_id: bytes
    other_content_id: bytes
    evidence_file_id: bytes


@event_kind(37, state_class=SNAPSHOTS, category=Category.DECISION, sensitivity="open, open, digest, digest, open")
class SnapshotFellBack(NamedTuple):
    """A previous document serves again, because the active one cannot. The floor stays where it is.

    Attributes:
        scope: its scope.
        version: (generation, version) of the document that serves now.
        content_id: its content id.
        given_up_content_id: content id of the document that was active; empty where none was.
        reason: "damaged", or the word of the refusal under the trust in force, such as "revoked".
    """

    scope: str
    version: Version
    content_id: bytes
    given_up_content_id: bytes
    reason: str


@event_kind(38, state_class=SNAPSHOTS, category=Category.DECISION, sensitivity=f"{_FACTS}, document, open, open, digest")
class IncrementApplied(NamedTuple):
    """A verified increment was applied to the active document, and its result is active.

    The first eleven fields are those of `SnapshotFacts`, of the result.

    Attributes:
        stored: where the increment is kept.
        previous_max: how many previous documents of the scope are kept from now on.
        limits: the limits in force at this moment that a signed policy can speak about, by name.
        base_content_id: content id of the document it was applied to.
    """

    scope: str
    version: Version
    content_id: bytes
    issued_at_s: int
    refresh_after_s: int
    expires_at_s: int
    minimum: Version
    audience: str
    signer_kids: tuple[bytes, ...]
    verified_at_s: int
    bundle_version: int
    stored: StoredDocument
    previous_max: int
    limits: tuple[Setting, ...]
    base_content_id: bytes


@event_kind(
    39, state_class=SNAPSHOTS, category=Category.DECISION, sensitivity="open, digest, open, open, open, open, digest, document"
)
class HeadApplied(NamedTuple):
    """A verified head is the newest statement of what is current.

    Attributes:
        version: version of the head.
        content_id: its content id.
        issued_at_s: when it was issued, seconds since 1970.
        expires_at_s: when it expires, seconds since 1970.
        bundle_version: the bundle it names as current.
        entries: per scope (scope, (generation, version), content id, size in bytes).
        signer_kids: the keys that signed it, sorted.
        stored: where it is kept.
    """

    version: int
    content_id: bytes
    issued_at_s: int
    expires_at_s: int
    bundle_version: int
    entries: tuple[tuple[str, Version, bytes, int], ...]
    signer_kids: tuple[bytes, ...]
    stored: StoredDocument


@event_kind(120, state_class=SNAPSHOTS, category=Category.LIFECYCLE, sensitivity="open, open, digest, open")
class SnapshotFloorRaised(NamedTuple):
    """The floor of a scope was raised to what the witness, a backup, an anchor, a ticket or the agent knows.

    Attributes:
        scope: the scope.
        version: lowest (generation, version) that may become active.
        content_id: content id of that document; empty where it is not known.
        origin: "witness", "backup", "anchor", "ticket", "memory" of an earlier stay, or "reset".
    """

    scope: str
    version: Version
    content_id: bytes
    origin: str


@event_kind(121, state_class=SNAPSHOTS, category=Category.DECISION, sensitivity="open, digest, open")
class SnapshotWithdrawn(NamedTuple):
    """The active document of a scope may no longer be used, and no previous one may serve: the scope has none.

    Attributes:
        scope: its scope.
        content_id: content id of the document that was active.
        reason: "damaged", or the word of the refusal under the trust in force, such as "revoked".
    """

    scope: str
    content_id: bytes
    reason: str
