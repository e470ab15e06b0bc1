"""An anchor in memory: the stand-in for a TPM's counter.

Example::

    anchor = MemoryAnchor()
    anchor.raise_to(anchor.read() + 1)
"""

from rap_journal.errors import MisuseError
from rap_projections.key_providers.anchors import STEPS_MAX


class MemoryAnchor:
    """A number that only rises, for as long as the test lasts (`rap_projections.key_providers.anchors.Anchor`)."""

    def __init__(self, number: int = 0) -> None:
        self._number = number

    def read(self) -> int:
        """The number now."""
        return self._number

    def raise_to(self, number: int) -> None:
        """Let it be `number` at least. Raises `MisuseError` for more than `STEPS_MAX` steps at once."""
        if number - self._number > STEPS_MAX:
            raise MisuseError(
                f"the anchor would rise by {number - self._number}, and at most {STEPS_MAX} at once; nothing was changed.",
                reason="anchor_steps",
            )
        self._number = max(self._number, number)
