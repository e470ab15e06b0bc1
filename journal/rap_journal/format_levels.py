"""Format levels: which record kinds and body versions a journal holds, and which of them a release knows.

Rules this file keeps:

- A release reads every level up to the one it knows, and goes on writing at the level that the marker names, until `commit_format`.
- A new store is made at the level of the release before, so that an update can be taken back.
- A level beyond the one that is known stops whoever meets it, before anything is changed.

Example::

    require_known(marker.format_level, LEVELS, "MARKER")
"""

from typing import NamedTuple

from rap_journal.errors import FormatTooNew
from rap_journal.format import FORMAT_LEVEL, FORMAT_LEVEL_BEFORE
from rap_journal.inventory import Inventory


class FormatLevels(NamedTuple):
    """The levels of one release.

    Attributes:
        known: the highest level it reads, and writes once that was committed.
        made: the level of a new store: that of the release before.
    """

    known: int
    made: int


LEVELS = FormatLevels(FORMAT_LEVEL, FORMAT_LEVEL_BEFORE)
"""The levels of this release."""


def require_known(level: int, levels: FormatLevels, file: str) -> None:
    """Raise `FormatTooNew` where `level`, which `file` names, is beyond what this release knows."""
    if level > levels.known:
        raise FormatTooNew(
            f"{file} is of format level {level}, and this release knows levels up to {levels.known}; nothing was changed. "
            "Use the release that wrote it, or a later one.",
            file=file,
            reason="format_level",
        )


def require_known_segments(inventory: Inventory, levels: FormatLevels, folder: str) -> int:
    """The highest level of the segments in `folder`, 0 where there are none. Raises `FormatTooNew` for one that is not known."""
    for file in inventory.chain:
        require_known(file.header.format_level, levels, f"{folder}/{file.name}")
    return max((file.header.format_level for file in inventory.chain), default=0)
