"""The signed documents of a cluster, found by content id: on disk, inline in events, and parsed in memory.

Rules this file keeps:

- A document is stored, sealed and synced before any event names it.
- What a fold reads was verified before its event was written; reading it again verifies nothing.
- What increments lead to is kept as the full document and the increments, in order, all as received.
- A lost file is served from the copy inside the event, where there is one.

Example::

    stored = shelf.store(SNAPSHOTS, document)
    shelf.snapshot(content_id).body
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from rap_journal.errors import DamageError, NoSpace, StateStoreError
from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX
from rap_journal.records import Record
from rap_journal.values import ClassSpec
from rap_projections.document_schema import read_increment, read_snapshot
from rap_projections.documents import DocumentType, Increment, Scope, SnapshotPayload
from rap_projections.event_kinds import SNAPSHOTS, kind_of_type
from rap_projections.increments import apply_increment
from rap_projections.signed_document import open_document
from rap_projections.snapshot_events import IncrementApplied, SnapshotActivated
from rap_projections.snapshots import SnapshotsView
from rap_projections.stored_document import StoredDocument, stored_document

PARSED_MAX = 16
"""Parsed documents kept in memory: five scopes, active and previous, and some to spare."""

_ACTIVATED_KIND = kind_of_type(SnapshotActivated).number
_INCREMENT_KIND = kind_of_type(IncrementApplied).number

Parts = tuple[StoredDocument, ...]
"""Where a full document is, and the increments that lead on from it, in order."""


class DocumentFiles(Protocol):
    """Where sealed documents are kept."""

    def store(self, spec: ClassSpec, content: bytes) -> bytes:
        """Keep `content` durably and return its file id. Raises `NoSpace`."""
        ...

    def load(self, spec: ClassSpec, file_id: bytes) -> bytes:
        """The content of a file. Raises `FileNotFoundError`, `DamageError` or `SealBroken`."""
        ...


class DocumentShelf:
    """Finds documents by content id."""

    def __init__(self, files: DocumentFiles, snapshots: Callable[[], SnapshotsView]) -> None:
        self._files = files
        self._snapshots = snapshots
        self._parsed: dict[bytes, SnapshotPayload] = {}
        self._named: dict[bytes, Parts] = {}

    def snapshot(self, content_id: bytes) -> SnapshotPayload:
        """What a snapshot says. Raises `DamageError` when neither its file nor a copy can be read."""
        payload = self._parsed.get(content_id)
        if payload is None:
            full, *increments = self.documents(content_id)
            payload = parse_snapshot(full)
            for data in increments:
                payload = apply_increment(payload, parse_increment(data))
            self.remember(content_id, payload)
        return payload

    def documents(self, content_id: bytes) -> tuple[bytes, ...]:
        """A kept snapshot, as received: the full document, and the increments that lead to this content, in order.

        Raises `DamageError` when one of them is nowhere any more.
        """
        return tuple([self.load(SNAPSHOTS, part) for part in self._find(content_id)])

    def remember(self, content_id: bytes, payload: SnapshotPayload) -> None:
        """Keep a parsed snapshot, which was just verified, so that it need not be read again."""
        while len(self._parsed) >= PARSED_MAX:
            del self._parsed[next(iter(self._parsed))]
        self._parsed[content_id] = payload

    def note(self, records: Sequence[Record]) -> None:
        """Remember where the documents of activations are, so that later events can name them by content id."""
        for record in records:
            if record.kind == _ACTIVATED_KIND:
                activated = SnapshotActivated._make(record.body)
                self._name(activated.content_id, (StoredDocument._make(activated.stored),))
            elif record.kind == _INCREMENT_KIND:
                applied = IncrementApplied._make(record.body)
                base = self._parts(applied.base_content_id) or ()
                self._name(applied.content_id, (*base, StoredDocument._make(applied.stored)))

    def store(self, spec: ClassSpec, content: bytes) -> StoredDocument:
        """Keep a document. On a full disk a small one is kept in its event alone; a larger one raises `NoSpace`."""
        try:
            file_id = self._files.store(spec, content)
        except NoSpace:
            if len(content) > INLINE_DOCUMENT_BYTES_MAX:
                raise
            file_id = b""
        return stored_document(content, file_id=file_id)

    def load(self, spec: ClassSpec, stored: StoredDocument) -> bytes:
        """A document as received. Raises `DamageError` when neither its file nor a copy can be read."""
        try:
            if stored.file_id:
                return self._files.load(spec, stored.file_id)
        except (StateStoreError, OSError) as error:
            if not stored.inline:
                raise DamageError(
                    f"a {spec.name} document cannot be read; fetch it again.", state_class=spec.name, reason="document_lost"
                ) from error
        if stored.inline or not stored.size:
            return stored.inline
        raise DamageError(f"a {spec.name} document is nowhere; fetch it again.", state_class=spec.name, reason="document_lost")

    def _name(self, content_id: bytes, parts: Parts) -> None:
        while len(self._named) >= PARSED_MAX:
            del self._named[next(iter(self._named))]
        self._named[content_id] = parts

    def _find(self, content_id: bytes) -> Parts:
        parts = self._parts(content_id)
        if parts is None:
            raise DamageError(
                "an event names a document that no activation brought", state_class="snapshots", reason="unknown_document"
            )
        return parts

    def _parts(self, content_id: bytes) -> Parts | None:
        for scope in self._snapshots().scopes.values():
            for held in (scope.active, *scope.previous):
                if held is not None and held.facts.content_id == content_id:
                    return (held.stored, *held.increments)
        return self._named.get(content_id)


def parse_snapshot(data: bytes) -> SnapshotPayload:
    """What a snapshot says, without asking whether it may be trusted: for bytes that were verified when they were stored."""
    document = open_document(data, DocumentType.SNAPSHOT)
    return read_snapshot(document.envelope.payload, Scope(document.claims.scope))


def parse_increment(data: bytes) -> Increment:
    """What an increment says, without asking whether it may be trusted."""
    document = open_document(data, DocumentType.INCREMENT)
    return read_increment(document.envelope.payload, Scope(document.claims.scope))
