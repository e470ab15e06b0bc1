"""Which files a cluster's state names, and what each of them is for.

Rules this file keeps:

- Pure: a state in, names out. Whether the files are there is for whoever asks: an opening, which mends, or verification, which tells.
- A document that its event alone holds has no file, and is not among them.

Example::

    [named.file for named in named_documents(state) if named.use is Use.ACTIVE]
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from rap_journal.layout import document_name
from rap_journal.values import ClassSpec
from rap_projections.event_kinds import IDENTITY, SNAPSHOTS, TRUST
from rap_projections.folding import FoldedState
from rap_projections.identity import IdentityView
from rap_projections.identity_keys import SEALED
from rap_projections.snapshots import ScopeView, SnapshotsView
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import TrustView


class Use(Enum):
    """What a file is kept for."""

    ACTIVE = "active"
    """Something goes by it now: a bundle, the head, an active document, a certificate."""
    PREVIOUS = "previous"
    """It may serve again if the active one cannot."""
    WAITING = "waiting"
    """It was not verified yet."""
    KEY = "key"
    """A sealed private key; there is no other copy."""
    EVIDENCE = "evidence"
    """It proves that somebody signed two truths; nothing goes by it."""


class NamedDocument(NamedTuple):
    """One file that the state names."""

    spec: ClassSpec
    stored: StoredDocument
    use: Use

    @property
    def file(self) -> str:
        """Its name, relative to the journal's folder."""
        return f"{self.spec.name}/{document_name(self.stored.file_id)}"


def named_documents(state: FoldedState) -> tuple[NamedDocument, ...]:
    """Every file that the state names, once, by its weightiest use; in a stable order."""
    found = (*_of_identity(state.view(IDENTITY)), *_of_trust(state.view(TRUST)), *_of_snapshots(state.view(SNAPSHOTS)))
    weightiest: dict[bytes, NamedDocument] = {}
    for named in found:
        if named.stored.file_id:
            weightiest.setdefault(named.stored.file_id, named)
    return tuple(weightiest.values())


def _of_identity(identity: IdentityView) -> Iterator[NamedDocument]:
    for certificate in (identity.certificate, identity.next_certificate):
        if certificate is not None:
            yield NamedDocument(IDENTITY, certificate.stored, Use.ACTIVE)
    for key in (identity.key, identity.next_key):
        if key is not None and key.reference.startswith(SEALED):
            file_id = bytes.fromhex(key.reference.removeprefix(SEALED))
            yield NamedDocument(IDENTITY, StoredDocument(file_id, 0, b""), Use.KEY)


def _of_trust(trust: TrustView) -> Iterator[NamedDocument]:
    for bundle in trust.chain:
        yield NamedDocument(TRUST, bundle.stored, Use.ACTIVE)
    for seen in trust.equivocations:
        yield NamedDocument(TRUST, StoredDocument(seen.evidence_file_id, 0, b""), Use.EVIDENCE)


def _of_snapshots(snapshots: SnapshotsView) -> Iterator[NamedDocument]:
    if snapshots.head is not None:
        yield NamedDocument(SNAPSHOTS, snapshots.head.stored, Use.ACTIVE)
    for _name, scope in sorted(snapshots.scopes.items()):
        yield from _of_scope(scope)


def _of_scope(scope: ScopeView) -> Iterator[NamedDocument]:
    held = [(scope.active, Use.ACTIVE), *((previous, Use.PREVIOUS) for previous in scope.previous)]
    for document, use in held:
        if document is not None:
            yield from (NamedDocument(SNAPSHOTS, part, use) for part in (document.stored, *document.increments))
    if scope.pending is not None:
        yield NamedDocument(SNAPSHOTS, scope.pending.stored, Use.WAITING)
    for seen in scope.equivocations:
        yield NamedDocument(SNAPSHOTS, StoredDocument(seen.evidence_file_id, 0, b""), Use.EVIDENCE)
