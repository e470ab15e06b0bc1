"""What `rap-state` exits with, and which of several outcomes wins.

Rules this file keeps:

- The numbers are an interface: scripts and monitoring go by them, and none is ever given another meaning.
- The worst of several outcomes wins, in the order of `WORST_FIRST`.
- Of damage the more cautious reading counts: 7 only where nothing but a cache class can be concerned.

Example::

    sys.exit(worst([ExitCode.DONE, exit_code_of(error)]))
"""

from collections.abc import Iterable
from enum import IntEnum

from rap_journal.errors import DamageError, StateStoreError

CACHE_CLASSES = ("peers", "routes", "telemetry")
"""Classes that are rebuilt when they are damaged."""


class ExitCode(IntEnum):
    """The exit codes of the command."""

    DONE = 0
    """Done, clean, true."""
    NEGATIVE = 1
    """A negative answer: differs, no match, false."""
    USAGE = 2
    """Wrong usage, or a selector that fits several places."""
    NO_SUCH = 3
    """No such store, cluster, key or LSN."""
    HISTORY_GONE = 4
    """The history before this point is gone."""
    BUSY = 5
    """Another writer holds the store."""
    TORN_TAIL = 6
    """A torn tail and nothing else: the next opening recovers it."""
    CACHE_DAMAGE = 7
    """Damage, to cache classes only."""
    FAIL_CLOSED = 8
    """Identity, trust, an active snapshot or a signature is damaged or rolled back."""
    UNKNOWN_FORMAT = 9
    """An unknown format, or one of a newer version."""
    DIVERGED = 10
    """A replay diverged from the recorded digest."""
    NO_ACCESS = 11
    """Permission denied, or a key is not at hand."""
    DISK = 12
    """An error of the disk, or no space."""
    BUG = 70
    """A bug in this program."""


WORST_FIRST = (
    ExitCode.BUG,
    ExitCode.FAIL_CLOSED,
    ExitCode.DISK,
    ExitCode.NO_ACCESS,
    ExitCode.UNKNOWN_FORMAT,
    ExitCode.DIVERGED,
    ExitCode.CACHE_DAMAGE,
    ExitCode.TORN_TAIL,
    ExitCode.BUSY,
    ExitCode.HISTORY_GONE,
    ExitCode.NO_SUCH,
    ExitCode.USAGE,
    ExitCode.NEGATIVE,
    ExitCode.DONE,
)


def worst(codes: Iterable[int]) -> ExitCode:
    """The code that wins; `DONE` of none."""
    return min(map(ExitCode, codes), key=WORST_FIRST.index, default=ExitCode.DONE)


def exit_code_of(error: BaseException) -> ExitCode:
    """The code for an error that ended a command."""
    if isinstance(error, DamageError) and error.exit_code == ExitCode.CACHE_DAMAGE:
        return ExitCode.CACHE_DAMAGE if error.state_class in CACHE_CLASSES else ExitCode.FAIL_CLOSED
    if isinstance(error, StateStoreError):
        return ExitCode(error.exit_code)
    if isinstance(error, PermissionError):
        return ExitCode.NO_ACCESS
    if isinstance(error, OSError):
        return ExitCode.DISK
    return ExitCode.BUG
