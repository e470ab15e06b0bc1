"""The snapshots class: the signed documents in force, those before them, and those not yet accepted.

Rules this file keeps:

- A document is active because of a `SnapshotActivated` or `IncrementApplied` event and nothing else: one record is the active pointer,
  so an activation is whole or absent (spec 4, step 4).
- A pending document is a state of its own. Whatever becomes of it, the active one stays as it is.
- The floor of a scope only rises, also over fall-backs and withdrawals.
- Of previous documents those with the highest versions are kept, as many as the event that added one says.
- The limits in force at an activation are kept with it, so that a damaged policy does not decide about itself (trust, 11).
- The second copy of a small document is kept for as long as the document is active.

Example::

    state = empty()
    FOLDS[SnapshotActivated](state, activated, record, documents)
    assert view(state).scopes["routes"].active.facts.content_id == activated.content_id
"""

from collections.abc import Mapping
from typing import NamedTuple

from rap_journal.records import Record
from rap_projections.class_state import NOTHING, folds, shape, with_entry
from rap_projections.documents import CLUSTER_WIDE, Floor, Version
from rap_projections.lifecycle import Setting
from rap_projections.refusal_log import Refusal, noted
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
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import higher

EVIDENCE_MAX = 8
"""Equivocations kept per scope. Part of the folds' meaning."""

NO_FLOOR = Floor(Version(0, 0), b"")


class HeldSnapshot(NamedTuple):
    """A verified document that is kept.

    Attributes:
        facts: what it says about itself.
        stored: where the full document is.
        increments: where the increments are that lead from the full document to this content, in order; at most 16.
        limits: the limits in force when it was activated, by name.
        since_us: node time of the activation.
        lsn: LSN of the activation.
    """

    facts: SnapshotFacts
    stored: StoredDocument
    increments: tuple[StoredDocument, ...]
    limits: tuple[Setting, ...]
    since_us: int
    lsn: int


class PendingSnapshot(NamedTuple):
    """Bytes that wait to be verified; fields as in `SnapshotStaged`, the node time of staging and the LSN."""

    form: str
    source: str
    stored: StoredDocument
    since_us: int
    lsn: int


class AppliedVersion(NamedTuple):
    """The document by which the affected components run."""

    version: Version
    content_id: bytes


class SnapshotEquivocation(NamedTuple):
    """Evidence of two truths for one version: fields as in `EquivocationSeen`, and the LSN of that event."""

    version: Version
    known_content_id: bytes
    other_content_id: bytes
    evidence_file_id: bytes
    lsn: int


class ScopeView(NamedTuple):
    """One scope.

    Attributes:
        active: the document in force.
        previous: the documents before it, highest version first.
        pending: what waits to be verified.
        floor: the highest version ever accepted, and what it said.
        minimum: the oldest version that may still be used, as the documents accepted so far say.
        applied: what the affected components run by.
        fallen_back: whether `active` is a previous document that serves again; high-risk work is barred then.
        withdrawn_reason: why the scope has no active document any more; empty otherwise.
        equivocations: evidence of double documents, newest last, at most 8.
        provenance: LSN that last changed each field.
    """

    active: HeldSnapshot | None = None
    previous: tuple[HeldSnapshot, ...] = ()
    pending: PendingSnapshot | None = None
    floor: Floor = NO_FLOOR
    minimum: Version = NO_FLOOR.version
    applied: AppliedVersion | None = None
    fallen_back: bool = False
    withdrawn_reason: str = ""
    equivocations: tuple[SnapshotEquivocation, ...] = ()
    provenance: Mapping[str, int] = NOTHING

    def succeeded(self, content_id: bytes) -> tuple[HeldSnapshot, ...]:
        """The previous documents once one with this content id is active, highest version first, before any limit."""
        older = (self.active, *self.previous) if self.active else self.previous
        kept = [held for held in older if held.facts.content_id != content_id]
        return tuple(sorted(kept, key=lambda held: held.facts.version, reverse=True))


class HeldHead(NamedTuple):
    """The newest head; fields as in `HeadApplied`."""

    version: int
    content_id: bytes
    issued_at_s: int
    expires_at_s: int
    bundle_version: int
    entries: tuple[tuple[str, Version, bytes, int], ...]
    signer_kids: tuple[bytes, ...]
    stored: StoredDocument


class SnapshotsView(NamedTuple):
    """All scopes of a cluster.

    Attributes:
        scopes: each scope that any event has named, by name.
        head: the newest head.
        head_floor: the highest head ever accepted; its generation is 0.
        refusals: recent refusals, newest last.
        provenance: LSN that last changed each field.
    """

    scopes: Mapping[str, ScopeView] = NOTHING
    head: HeldHead | None = None
    head_floor: Floor = NO_FLOOR
    refusals: tuple[Refusal, ...] = ()
    provenance: Mapping[str, int] = NOTHING

    def scope(self, scope: str) -> ScopeView:
        """The scope of this name, as it is or as it starts."""
        return self.scopes.get(scope, ScopeView())


def _staged(before: SnapshotsView, event: SnapshotStaged, record: Record) -> SnapshotsView:
    pending = PendingSnapshot(event.form, event.source, StoredDocument._make(event.stored), record.node_us, record.lsn)
    return _with_scope(before, event.scope, before.scope(event.scope)._replace(pending=pending))


def _activated(before: SnapshotsView, event: SnapshotActivated, record: Record) -> SnapshotsView:
    return _made_active(before, event, StoredDocument._make(event.stored), (), record)


def _increment_applied(before: SnapshotsView, event: IncrementApplied, record: Record) -> SnapshotsView:
    base = before.scope(event.scope).active
    if base is None or base.facts.content_id != event.base_content_id:
        return before
    return _made_active(before, event, base.stored, (*base.increments, StoredDocument._make(event.stored)), record)


def _made_active(
    before: SnapshotsView,
    event: SnapshotActivated | IncrementApplied,
    stored: StoredDocument,
    increments: tuple[StoredDocument, ...],
    record: Record,
) -> SnapshotsView:
    scope = before.scope(event.scope)
    facts = _facts(event)
    limits = tuple((name, tuple(value) if isinstance(value, (list, tuple)) else value) for name, value in event.limits)
    is_pending = scope.pending is not None and scope.pending.stored.file_id == event.stored[0]
    after = scope._replace(
        active=HeldSnapshot(facts, stored, increments, limits, record.node_us, record.lsn),
        previous=tuple(_without_copies(held) for held in scope.succeeded(facts.content_id)[: event.previous_max]),
        pending=None if is_pending else scope.pending,
        floor=higher(scope.floor, Floor(facts.version, facts.content_id)),
        minimum=max(scope.minimum, facts.minimum),
        fallen_back=False,
        withdrawn_reason="",
    )
    return _with_scope(before, event.scope, after)


def _pending_dropped(before: SnapshotsView, event: SnapshotPendingDropped, record: Record) -> SnapshotsView:
    return _with_scope(before, event.scope, before.scope(event.scope)._replace(pending=None))


def _refused(before: SnapshotsView, event: SnapshotRefused, record: Record) -> SnapshotsView:
    refusal = Refusal(
        event.source, event.scope, event.reason, event.times, event.digest, record.node_us, record.node_us, record.lsn
    )
    return before._replace(refusals=noted(before.refusals, refusal))


def _previous_dropped(before: SnapshotsView, event: PreviousDropped, record: Record) -> SnapshotsView:
    scope = before.scope(event.scope)
    kept = tuple(held for held in scope.previous if held.facts.content_id != event.content_id)
    return _with_scope(before, event.scope, scope._replace(previous=kept))


def _applied(before: SnapshotsView, event: AppliedReported, record: Record) -> SnapshotsView:
    applied = AppliedVersion(Version._make(event.version), event.content_id)
    return _with_scope(before, event.scope, before.scope(event.scope)._replace(applied=applied))


def _equivocated(before: SnapshotsView, event: EquivocationSeen, record: Record) -> SnapshotsView:
    scope = before.scope(event.scope)
    seen = SnapshotEquivocation(
        Version._make(event.version), event.known_content_id, event.other_content_id, event.evidence_file_id, record.lsn
    )
    return _with_scope(before, event.scope, scope._replace(equivocations=(*scope.equivocations, seen)[-EVIDENCE_MAX:]))


def _fell_back(before: SnapshotsView, event: SnapshotFellBack, record: Record) -> SnapshotsView:
    scope = before.scope(event.scope)
    serving = next((held for held in scope.previous if held.facts.content_id == event.content_id), None)
    kept = tuple(held for held in scope.previous if held is not serving)
    return _with_scope(
        before, event.scope, scope._replace(active=serving, previous=kept, fallen_back=serving is not None, withdrawn_reason="")
    )


def _withdrawn(before: SnapshotsView, event: SnapshotWithdrawn, record: Record) -> SnapshotsView:
    scope = before.scope(event.scope)
    return _with_scope(before, event.scope, scope._replace(active=None, fallen_back=False, withdrawn_reason=event.reason))


def _head_applied(before: SnapshotsView, event: HeadApplied, record: Record) -> SnapshotsView:
    entries = tuple((scope, Version._make(version), content_id, size) for scope, version, content_id, size in event.entries)
    head = HeldHead._make(event)._replace(
        entries=entries, signer_kids=tuple(event.signer_kids), stored=StoredDocument._make(event.stored)
    )
    return before._replace(head=head, head_floor=higher(before.head_floor, Floor(Version(0, event.version), event.content_id)))


def _floor_raised(before: SnapshotsView, event: SnapshotFloorRaised, record: Record) -> SnapshotsView:
    other = Floor(Version._make(event.version), event.content_id)
    if event.scope == CLUSTER_WIDE:
        return before._replace(head_floor=higher(before.head_floor, other))
    scope = before.scope(event.scope)
    return _with_scope(before, event.scope, scope._replace(floor=higher(scope.floor, other)))


def _facts(event: SnapshotActivated | IncrementApplied) -> SnapshotFacts:
    facts = SnapshotFacts._make(event[: len(SnapshotFacts._fields)])
    return facts._replace(
        version=Version._make(facts.version), minimum=Version._make(facts.minimum), signer_kids=tuple(facts.signer_kids)
    )


def _without_copies(held: HeldSnapshot) -> HeldSnapshot:
    return held._replace(
        stored=held.stored.without_inline(), increments=tuple(increment.without_inline() for increment in held.increments)
    )


def _with_scope(before: SnapshotsView, scope: str, after: ScopeView) -> SnapshotsView:
    return before._replace(scopes=with_entry(before.scopes, scope, after))


FOLDS = folds(
    {
        SnapshotStaged: _staged,
        SnapshotActivated: _activated,
        SnapshotPendingDropped: _pending_dropped,
        SnapshotRefused: _refused,
        PreviousDropped: _previous_dropped,
        AppliedReported: _applied,
        EquivocationSeen: _equivocated,
        SnapshotFellBack: _fell_back,
        IncrementApplied: _increment_applied,
        HeadApplied: _head_applied,
        SnapshotFloorRaised: _floor_raised,
        SnapshotWithdrawn: _withdrawn,
    },
    after_reset=SnapshotsView(),
)
empty, to_value, from_value, view = shape(SnapshotsView())
