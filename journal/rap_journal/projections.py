"""The door to the projections: what a journal asks of whoever folds its records, and knows nothing else of.

Rules this file keeps:

- Calls come from the one thread that leads: after the disk, in the order of the records, a frame at a time.
- The journal hands on bodies as it read them; what they mean is the other side's affair.

Example::

    class Ledger:                                   # of a RecoveringProjections, the one that matters most
        def __init__(self):
            self.lines = []

        def apply(self, records):
            self.lines += [record.body for record in records]
"""

from collections.abc import Sequence
from typing import Any, Protocol

from rap_journal.records import Record


class Projections(Protocol):
    """What the committer asks of the projections; all calls come from the one thread that leads."""

    def apply(self, records: Sequence[Record]) -> None:
        """Fold durable records into memory. An exception poisons the journal."""
        ...

    def floors(self) -> Any:
        """The floors to put into the witness: a CBOR value."""
        ...

    def waiting(self, rows_max: int) -> Sequence[Record]:
        """Records that can ride in a frame about to be written (observations), oldest first, at most `rows_max` rows."""
        ...

    def give_back(self, records: Sequence[Record]) -> None:
        """Take back what `waiting` gave, in its order, because there was no room for it; nothing of it was written."""
        ...

    def committed(self, records: Sequence[Record]) -> None:
        """Told after acknowledgement, for subscriptions. Must not raise."""
        ...


class RecoveringProjections(Projections, Protocol):
    """Projections that can also be restored from checkpoints."""

    def restore(self, state_class: int, value: Any) -> None:
        """Take the value a checkpoint kept; None where a class has no usable checkpoint."""
        ...
