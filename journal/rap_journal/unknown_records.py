"""Folding a journal that holds records of a later release: up to the first frame that is not understood, and no further.

Rules this file keeps:

- A frame counts as a whole or not at all: where its second record is not understood, its first one is not folded either.
- What follows on it may rest on it, and is not folded; it stays where it is.

Example::

    fold = FoldWhatIsKnown(projections, restore)
    examined = fold.through(lambda fold: examine(folders, inventory, keys, base, slot, sealed, specs, "eu-1", fold))
    fold.unknown
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from rap_journal.errors import FormatTooNew
from rap_journal.records import Record

Outcome = TypeVar("Outcome")


class _Folding(Protocol):
    def apply(self, records: list[Record]) -> None: ...


class FoldWhatIsKnown:
    """Folds records until the projections raise `FormatTooNew`.

    Attributes:
        unknown: what they raised, None where all was known.
        last_lsn: LSN before the frame that was not understood; None where all was.
    """

    def __init__(self, projections: _Folding, restore: Callable[[], None]) -> None:
        """`restore` puts the projections back to where replay starts."""
        self._projections = projections
        self._restore = restore
        self.unknown: FormatTooNew | None = None
        self.last_lsn: int | None = None

    def through(self, read: Callable[[Callable[[list[Record]], None]], Outcome]) -> Outcome:
        """What `read` returns once it has handed all frames to the fold it is given."""
        self._restore()
        outcome = read(self._fold)
        if self.unknown is None:
            return outcome
        # Half of a frame may be in the projections. Starting over costs a second reading, once, after a downgrade.
        self._restore()
        return read(self._fold)

    def _fold(self, records: list[Record]) -> None:
        if self.last_lsn is not None and records[0].lsn > self.last_lsn:
            return
        try:
            self._projections.apply(records)
        except FormatTooNew as error:
            self.unknown, self.last_lsn = error, records[0].lsn - 1
