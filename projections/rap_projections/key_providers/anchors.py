"""The door to anchors: a number outside the store's root that only rises, so that a whole root put back from an older copy shows.

Rules this file keeps:

- A floor is written for the number that comes next, then the anchor is raised: at opening, c and c + 1 are accepted, and what is lower
  is a rollback (trust, 15).
- Nothing lowers an anchor. One that is made anew starts at least where the old one stood, or says so.

Example::

    write_floors(anchor.read() + 1)
    anchor.raise_to(anchor.read() + 1)
"""

from typing import Protocol, runtime_checkable

STEPS_MAX = 16
"""Most steps that one call raises an anchor by: a counter in hardware wears, and a wrong number must not use it up."""


NUMBER_MAX = 2**62
"""The highest number that counts as an answer; no counter comes near it."""


class Anchor(Protocol):
    """A number that only rises. One that raises anything else than it says, or answers with no number, does not answer."""

    def read(self) -> int:
        """The number now, from 0 to `NUMBER_MAX`. Raises `KeyUnavailable` when it cannot be asked, `KeyLost` when there is none any more."""
        ...

    def raise_to(self, number: int) -> None:
        """Let it be `number` at least; it never falls.

        Raises `MisuseError` for more than `STEPS_MAX` steps at once, and what `read` raises; some steps may be done then.
        """
        ...


@runtime_checkable
class ProvisioningAnchor(Anchor, Protocol):
    """An anchor that has to be made once."""

    def provision(self) -> None:
        """Make it if it is not there. Raises `KeyUnavailable`."""
        ...
