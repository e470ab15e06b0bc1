"""Unlocking a journal: its marker, its folders and its keys, before anything in it was read.

Rules this file keeps:

- Nothing is changed but what may be repaired of the folders themselves; what cannot be unlocked is left as it is, and closed.
- A marker of a later release is refused before any key is asked for.

Example::

    unlocked = unlock(directory, setup)
    journal = Journal.recover(unlocked, setup, projections)
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rap_journal.filesystem import Directory
from rap_journal.fold_sets import FoldSet
from rap_journal.folders import JournalFolders
from rap_journal.format_levels import LEVELS, FormatLevels, require_known
from rap_journal.key_files import KeyProvider
from rap_journal.key_generations import open_key_ring
from rap_journal.layout import MARKER
from rap_journal.limits import BATCH_DELAY_MS, QUARANTINE_BYTES_MAX, SEGMENT_BYTES_DEFAULT
from rap_journal.markers import Marker, read_marker
from rap_journal.sealing import KeyRing
from rap_journal.values import ClassSpec


class Setup(NamedTuple):
    """What a journal is opened with.

    Attributes:
        specs: the state classes, strictest first.
        key_folders: class folders that hold a copy of the key file.
        provider: holder of the key-encryption key.
        randomness: gives n random bytes.
        fold_set: versions of the folds, and the ways from older ones.
        segment_bytes_max: size at which a segment is rolled.
        quarantine_bytes_max: bound of the quarantine folder.
        batch_delay_ms: longest wait of a queued record.
        levels: format levels that are known.
    """

    specs: Sequence[ClassSpec]
    key_folders: Sequence[str]
    provider: KeyProvider
    randomness: Callable[[int], bytes]
    fold_set: FoldSet
    segment_bytes_max: int = SEGMENT_BYTES_DEFAULT
    quarantine_bytes_max: int = QUARANTINE_BYTES_MAX
    batch_delay_ms: int = BATCH_DELAY_MS
    levels: FormatLevels = LEVELS


class Keys(NamedTuple):
    """A journal's identity and its open key ring."""

    marker: Marker
    ring: KeyRing


class Unlocked(NamedTuple):
    """A journal whose folders and keys are open, before anything in it was read: its documents can be loaded."""

    root: Directory
    folders: JournalFolders
    keys: Keys


def unlock(root: Directory, setup: Setup) -> Unlocked:
    """Read the marker, open folders and keys. `root` is closed with the journal, and where this fails.

    Raises `DamageError` (no marker, no key file), `FormatTooNew`, `KeyUnavailable`, `KeyLost`, `KeyTampered`, `UnsafeFile`, `OSError`.
    """
    opened: Directory | JournalFolders = root
    try:
        keys = read_keys(root, setup)
        opened = folders = JournalFolders.open(root, setup.specs, may_repair=True)
        return Unlocked(root, folders, keys)
    except BaseException:
        opened.close()
        raise


def read_keys(root: Directory, setup: Setup) -> Keys:
    """The marker in `root`, and the keys that go with it. Raises like `unlock`."""
    marker = read_marker(root).marker
    require_known(marker.format_level, setup.levels, f"{root.name}/{MARKER}")
    return Keys(marker, open_key_ring(root, setup.key_folders, setup.provider, marker))
