"""Removing documents that nothing names any more (journal, 17).

Rules this file keeps:

- A document stays while any kept checkpoint or any kept event names its file: the history can still be shown.
- Marking errs on the side of keeping: whatever looks like a file id counts as one.
- Only sealed, signed documents are swept. Private keys and certificates are the identity's own business.

Example::

    removed = remove_unnamed_documents(journal, state, spared=stored_since_opening)
"""

from collections.abc import Iterable, Iterator, Set
from typing import Any

from rap_journal.checkpoints import list_checkpoints, load_checkpoint
from rap_journal.errors import StateStoreError
from rap_journal.inventory import take_inventory
from rap_journal.journal import Journal
from rap_journal.layout import document_name
from rap_journal.sealed_store import FILE_ID_BYTES, list_documents
from rap_journal.values import ClassSpec
from rap_journal.walk import Walk, records_of
from rap_projections.event_kinds import SNAPSHOTS, TRUST, UPDATES
from rap_projections.folding import FoldedState

SWEPT = (TRUST, SNAPSHOTS, UPDATES)


def remove_unnamed_documents(journal: Journal, state: FoldedState, *, spared: Set[bytes]) -> int:
    """Remove the files of signed documents that neither state, kept checkpoints nor kept events name; returns how many.

    `spared` are file ids that this opening stored: the event that names one may still be on its way. When a checkpoint cannot be read,
    nothing is removed, since it may name any of them. Raises `OSError`.
    """
    present = {(spec, file_id) for spec in SWEPT for file_id in list_documents(journal.folders, spec)}
    if not present:
        return 0
    try:
        named = {*spared, *_named(journal, state)}
    except StateStoreError:
        return 0
    unnamed = sorted((spec.number, file_id, spec) for spec, file_id in present if file_id not in named)
    for _number, file_id, spec in unnamed:
        journal.folders.classes[spec.number].unlink(document_name(file_id))
    for spec in {spec for _number, _file_id, spec in unnamed}:
        journal.folders.classes[spec.number].sync()
    return len(unnamed)


def file_ids_in(value: Any) -> Iterator[bytes]:
    """Everything in a nested value that has the length of a file id."""
    if isinstance(value, bytes):
        if len(value) == FILE_ID_BYTES:
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from file_ids_in(item)


def _named(journal: Journal, state: FoldedState) -> Iterable[bytes]:
    for spec in SWEPT:
        yield from file_ids_in(state.value(spec.number))
        yield from _named_in_checkpoints(journal, spec)
    folder = journal.folders.journal
    for segment in Walk(folder, take_inventory(folder, journal.keys.marker.journal_id), 0):
        for _frame, records in records_of(segment, journal.keys.ring):
            for record in records:
                yield from file_ids_in(record.body)


def _named_in_checkpoints(journal: Journal, spec: ClassSpec) -> Iterator[bytes]:
    folder, keys = journal.folders.classes[spec.number], journal.keys
    for lsn in list_checkpoints(folder):
        loaded = load_checkpoint(folder, spec, lsn, keys.ring, keys.marker.journal_id, fold_set=journal.setup.fold_set)
        yield from file_ids_in(loaded.content.value)
