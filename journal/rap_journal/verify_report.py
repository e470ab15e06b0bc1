"""What verification found: one value per finding, how grave it is, and the exit code that follows.

Rules this file keeps:

- Findings are sorted by file, offset and reason, so that two runs over the same bytes give the same report.
- A finding says what stands where; it holds no payload and no secret.
- The gravest finding decides the exit code.

Example::

    for finding in report.findings:
        print(finding.sentence())
    sys.exit(report.exit_code)
"""

from enum import IntEnum
from typing import NamedTuple


class Severity(IntEnum):
    """How grave a finding is, mildest first; the order is that of "the worst of several results wins"."""

    HARMLESS = 0
    """Left over, or recorded as lost long ago; nothing is to be done."""
    TORN = 1
    """A last write that a crash cut short. The next opening cuts it, and loses nothing that was vouched for."""
    CACHE_DAMAGE = 2
    """Bytes differ from those written, and only caches can have lost something: they are rebuilt."""
    UNKNOWN_FORMAT = 3
    """Written by a later release; not judged."""
    UNAVAILABLE = 4
    """Not judged: a key is missing, or a file or folder is not one that the store would open (link, owner, mode)."""
    UNREADABLE = 5
    """Not judged: the operating system could not read it."""
    DAMAGE = 6
    """Bytes differ from those written, and more than a cache may be concerned."""

    @property
    def exit_code(self) -> int:
        """What a command that found this, and nothing graver, exits with."""
        return _EXIT_CODES[self]


_EXIT_CODES = (0, 6, 7, 9, 11, 12, 8)
_MEANINGS = (
    "harmless",
    "torn by a crash; the next opening cuts it",
    "damage to caches only; they are rebuilt",
    "of a later format; not judged",
    "not judged: no access",
    "not judged: unreadable",
    "damage",
)


class VerifyFinding(NamedTuple):
    """One thing that is not as it was written.

    Attributes:
        file: name of the file or folder, relative to the root.
        offset: byte in it from which on something is wrong; 0 where the whole file is concerned.
        reason: stable word, such as ``"bad_digest"``.
        severity: how grave it is.
        state_classes: names of the classes that may have lost something; empty where that is unknown.
        first_lsn, last_lsn: LSNs that may be lost; 0 and 0 where none is.
    """

    file: str
    offset: int
    reason: str
    severity: Severity
    state_classes: tuple[str, ...] = ()
    first_lsn: int = 0
    last_lsn: int = 0

    def sentence(self) -> str:
        """The finding in one line."""
        lsns = f", LSN {self.first_lsn} to {self.last_lsn}" if self.first_lsn else ""
        classes = f" of {', '.join(self.state_classes)}" if self.state_classes else ""
        return f"{self.file} at byte {self.offset}: {self.reason}{classes}{lsns}: {_MEANINGS[self.severity]}"


class JournalSummary(NamedTuple):
    """What was looked at in one journal.

    Attributes:
        folder: the journal's folder, relative to the root.
        cluster: cluster id, empty for the agent or where the marker is damaged.
        first_lsn: LSN at which the kept segments begin; 0 where there are none.
        last_lsn: LSN up to which they were judged; beside a live writer the horizon.
        segment_count, frame_count: how many were judged.
    """

    folder: str
    cluster: str
    first_lsn: int = 0
    last_lsn: int = 0
    segment_count: int = 0
    frame_count: int = 0


class VerifyReport(NamedTuple):
    """The outcome of a verification.

    Attributes:
        findings: sorted; empty where all is as it was written.
        journals: one summary per journal, in the order of their folders.
        is_live: whether a writer was at work, so that nothing past the horizon was judged.
        is_unsealed: whether keys were at hand, so that seals were opened as well.
    """

    findings: tuple[VerifyFinding, ...]
    journals: tuple[JournalSummary, ...]
    is_live: bool
    is_unsealed: bool

    @property
    def exit_code(self) -> int:
        """That of the gravest finding; 0 where there is none, or only harmless ones."""
        return max((finding.severity for finding in self.findings), default=Severity.HARMLESS).exit_code

    @property
    def is_sound(self) -> bool:
        """Whether nothing but harmless things was found."""
        return self.exit_code == 0
