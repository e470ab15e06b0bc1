"""The events of the health class: kinds 60 to 69. The journal's own, kinds 1 to 6, are in `lifecycle`.

Rules this file keeps:

- Flags, reasons and deadlines are durable when the call returns. Contacts, pressure, heartbeats and summaries are batched.
- Times to come are node time, time used up is seconds of uptime; neither is wall time.

What the events do to the state is in `health`, when they may be written in `health_decisions`.

Example::

    DegradedEntered("no_contact", safe_until_us=now.node_us + 3600 * 1_000_000)
"""

from typing import NamedTuple

from rap_journal.records import Category
from rap_journal.values import Durability
from rap_projections.event_kinds import HEALTH, event_kind


@event_kind(60, state_class=HEALTH, category=Category.OBSERVATION, sensitivity="open, open", durability=Durability.CACHE)
class ContactObserved(NamedTuple):
    """A contact was tried.

    Attributes:
        party: "control-plane", "config" or "storage".
        ok: whether it answered.
    """

    party: str
    ok: bool


@event_kind(61, state_class=HEALTH, category=Category.DECISION, sensitivity="text, open")
class DegradedEntered(NamedTuple):
    """The cluster is degraded for one more reason, or a reason's time got shorter.

    Attributes:
        reason: why, in at most 64 characters.
        safe_until_us: node time until which work may go on for this reason.
    """

    reason: str
    safe_until_us: int


@event_kind(62, state_class=HEALTH, category=Category.DECISION, sensitivity="text")
class DegradedLeft(NamedTuple):
    """A reason no longer holds. No time is given back."""

    reason: str


@event_kind(63, state_class=HEALTH, category=Category.OBSERVATION, sensitivity="open, digest", durability=Durability.CACHE)
class HeartbeatSent(NamedTuple):
    """A heartbeat left.

    Attributes:
        at_lsn: the LSN whose state it reported.
        digest: SHA-256 of what was sent.
    """

    at_lsn: int
    digest: bytes


@event_kind(64, state_class=HEALTH, category=Category.OBSERVATION, sensitivity="open, open", durability=Durability.CACHE)
class PressureObserved(NamedTuple):
    """How full a local resource is.

    Attributes:
        resource: a short word, such as "disk" or "memory".
        permille: 0 to 1000.
    """

    resource: str
    permille: int


@event_kind(65, state_class=HEALTH, category=Category.DECISION, sensitivity="open, open")
class PartitionFlagged(NamedTuple):
    """A partition flag was set or cleared. It says what this node sees and promotes nothing.

    Attributes:
        flag: a short word.
        on: whether it is set.
    """

    flag: str
    on: bool


@event_kind(66, state_class=HEALTH, category=Category.DECISION, sensitivity="open, open, open, open")
class DeadlineRenewed(NamedTuple):
    """A verified document or contact with a strictly newer signed instant renewed the safe-operation deadline.

    Attributes:
        signed_s: the signed instant, seconds since 1970.
        budget_s: seconds of operation it allows.
        deadline_uptime_s: uptime at which they are used up.
        basis: "head", "bundle", "snapshot", "ticket" or "contact": what carried the instant.
    """

    signed_s: int
    budget_s: int
    deadline_uptime_s: int
    basis: str


@event_kind(67, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="open, digest, open")
class UptimeDebited(NamedTuple):
    """Time was used up, a little in advance, so that a reboot cannot give it back.

    Attributes:
        uptime_s: seconds used up over all boots, those paid in advance included.
        boot_id: 16 bytes naming the boot.
        covered_boot_us: boot time up to which this boot is paid for.
    """

    uptime_s: int
    boot_id: bytes
    covered_boot_us: int


@event_kind(
    68, state_class=HEALTH, category=Category.OBSERVATION, sensitivity="open, open, open, open", durability=Durability.CACHE
)
class ServicesSummarised(NamedTuple):
    """How many assigned workloads run, failed, are stopped, or said nothing yet."""

    running: int
    failed: int
    stopped: int
    silent: int


@event_kind(69, state_class=HEALTH, category=Category.EVICTION, sensitivity="open, open, open")
class QuarantineEvicted(NamedTuple):
    """Quarantined bytes were deleted to keep within the limit.

    Attributes:
        evicted_count: entries deleted.
        entry_count: entries left.
        byte_count: bytes left.
    """

    evicted_count: int
    entry_count: int
    byte_count: int
