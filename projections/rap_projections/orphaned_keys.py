"""Wiping sealed private keys that a crash left: those put out of use, and those that nothing names.

Rules this file keeps:

- A key that history names and the state does not was put out of use by an event: of a renewal that was confirmed, or of a request made
  anew. The crash came between that event and the wipe, which is done again. What cannot be read names nothing, and so loses nothing.
- A key that nothing names was never of use: the crash came before the event. It stays while the state, any kept checkpoint or any kept
  event cannot be asked, and goes when a store is opened, before anybody can make a key: one that is just being made is no orphan.
- Whatever an opening found to be wrong puts that off: what is damaged now may be repaired, and a private key cannot be made again.

Example::

    finish_wiping(core)
    removed = remove_orphaned_keys(core)
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rap_journal.checkpoints import list_checkpoints, load_checkpoint
from rap_journal.errors import StateStoreError
from rap_journal.inventory import take_inventory
from rap_journal.journal import Journal
from rap_journal.layout import document_name
from rap_journal.sealed_files import read_sealed_file
from rap_journal.sealed_store import FILE_ID_BYTES, list_documents
from rap_journal.sealing import Purpose
from rap_journal.walk import Walk, records_of
from rap_projections.event_kinds import IDENTITY
from rap_projections.journaled_state import JournaledState

_FILE_ID = re.compile(rf"[0-9a-f]{{{2 * FILE_ID_BYTES}}}")
"""A reference to a key holds the name of its file in hex."""


def finish_wiping(core: JournaledState) -> int:
    """Wipe the sealed keys of a freshly opened cluster that an event put out of use; returns how many. Raises `OSError` where that fails.

    The caller knows that the state of the class is whole: nothing here may be done where the cluster fails closed.
    """
    wiped = core.finish_wipes(IDENTITY)
    unnamed = _sealed_keys(core.journal) - set(_names_in(core.state.value(IDENTITY.number)))
    if unnamed:
        named: set[bytes] = set()
        with suppress(StateStoreError):
            for found in _history_names(core.journal):
                named |= found
        for file_id in sorted(unnamed & named):
            core.wipe(IDENTITY, file_id)
            wiped += 1
    return wiped


def remove_orphaned_keys(core: JournaledState) -> int:
    """Wipe the sealed keys of a freshly opened cluster that nothing names; returns how many. Raises `OSError` where that fails."""
    journal = core.journal
    if not journal.is_writable or not journal.report.is_clean or IDENTITY.number not in journal.folders.classes:
        return 0
    try:
        # Most openings end here: there is no key, or the state names the one there is.
        unnamed = _sealed_keys(journal) - set(_names_in(core.state.value(IDENTITY.number)))
        unnamed -= _named_elsewhere(journal) if unnamed else set()
    except StateStoreError:
        return 0
    for file_id in sorted(unnamed):
        core.wipe(IDENTITY, file_id)
    return len(unnamed)


def _sealed_keys(journal: Journal) -> set[bytes]:
    """File ids of the private keys; a file that cannot be read is none that may go."""
    keys, folder = set(), journal.folders.classes[IDENTITY.number]
    for file_id in list_documents(journal.folders, IDENTITY):
        with suppress(StateStoreError, OSError):
            if read_sealed_file(folder, document_name(file_id)).header.purpose is Purpose.IDENTITY:
                keys.add(file_id)
    return keys


def _named_elsewhere(journal: Journal) -> set[bytes]:
    """What kept checkpoints and events name. Raises a `StateStoreError` where one of them cannot be asked."""
    keys, folders, named = journal.keys, journal.folders, set()
    for found in _history_names(journal):
        named |= found
    inventory = take_inventory(folders.journal, keys.marker.journal_id)
    walk = Walk(folders.journal, inventory, 0)
    for _segment in walk:
        pass
    if inventory.strays or any(gap.first_lsn > journal.report.checkpoint_lsn for gap in walk.gaps):
        raise StateStoreError("not every record can be read", reason="incomplete")
    return named


def _history_names(journal: Journal) -> Iterator[set[bytes]]:
    """What each record of the class, and each of its kept checkpoints, names. Raises a `StateStoreError` at one that cannot be read."""
    keys, folders = journal.keys, journal.folders
    for segment in Walk(folders.journal, take_inventory(folders.journal, keys.marker.journal_id), 0):
        own = [frame for frame in segment.frames if frame.header.class_mask >> IDENTITY.number & 1]
        for _frame, records in records_of(segment._replace(frames=own), keys.ring):
            yield from (set(_names_in(record.body)) for record in records)
    for lsn in list_checkpoints(folders.classes[IDENTITY.number]):
        loaded = load_checkpoint(
            folders.classes[IDENTITY.number], IDENTITY, lsn, keys.ring, keys.marker.journal_id, fold_set=journal.setup.fold_set
        )
        yield set(_names_in(loaded.content.value))


def _names_in(value: Any) -> Iterator[bytes]:
    """Everything in a nested value that may be the name of a file."""
    if isinstance(value, bytes) and len(value) == FILE_ID_BYTES:
        yield value
    elif isinstance(value, str):
        yield from (bytes.fromhex(found) for found in _FILE_ID.findall(value))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names_in(item)
