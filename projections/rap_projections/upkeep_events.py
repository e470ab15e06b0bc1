"""The events of a journal's upkeep, folded by the health class: kinds 130 to 135, because 60 to 69 are all taken.

Rules this file keeps:

- What the store gives up for want of space or age is written down before it goes.
- Damage is told once for as long as it stands, however often it is looked at.
- Files are named relative to the cluster's folder, so that no event holds the name of a cluster.

What the events do to the state is in `upkeep`.

Example::

    DamageFound("peers/checkpoint-0000000000000041", offset=0, reason="bad_digest", class_mask=1 << 7, action="reported")
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_projections.event_kinds import HEALTH, event_kind


@event_kind(130, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="open")
class FailClosedEntered(NamedTuple):
    """The cluster fails closed from here on, or for another reason than before; `reason` is a short stable word."""

    reason: str


@event_kind(131, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="open")
class FailClosedLeft(NamedTuple):
    """The cluster was opened again and no longer fails closed; `reason` is why it did."""

    reason: str


@event_kind(132, state_class=HEALTH, category=Category.EVICTION, sensitivity="open, open, open, open, open")
class SpaceGaveWay(NamedTuple):
    """Something is given up for want of space; durable before it goes.

    Attributes:
        step: "telemetry", "cache_checkpoints", "history", "ledger" or "quarantine".
        byte_count: bytes that go.
        file_count: files that go.
        disk_bytes: bytes that the cluster's folder took.
        disk_bytes_max: bytes it may take; 0 where the disk was full.
    """

    step: str
    byte_count: int
    file_count: int
    disk_bytes: int
    disk_bytes_max: int


@event_kind(133, state_class=HEALTH, category=Category.EVICTION, sensitivity="open, open, open")
class LedgerShortened(NamedTuple):
    """Ledger files are too old or too many; durable before the first goes.

    Attributes:
        last_lsn: nothing up to this LSN is told any more.
        file_count: files that go.
        byte_count: their bytes.
    """

    last_lsn: int
    file_count: int
    byte_count: int


@event_kind(134, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="name, open, open, open, open")
class DamageFound(NamedTuple):
    """Stored bytes were looked at and are not what was written.

    Attributes:
        file: name of the file, relative to the cluster's folder.
        offset: byte from which on something is wrong; 0 where the whole file is concerned.
        reason: what is wrong, a short stable word.
        class_mask: classes that may have lost something, bit n for class n; 0 where that is unknown, or none has.
        action: "repaired" where a second copy was at hand, else "reported".
    """

    file: str
    offset: int
    reason: str
    class_mask: int
    action: str


@event_kind(135, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="open, open, open, name")
class ScrubDone(NamedTuple):
    """Everything at rest was looked at once.

    Attributes:
        file_count: files looked at.
        byte_count: bytes read.
        repaired_count: files written again from their second copy.
        standing: files that are damaged still, sorted, at most 64.
    """

    file_count: int
    byte_count: int
    repaired_count: int
    standing: tuple[str, ...]
