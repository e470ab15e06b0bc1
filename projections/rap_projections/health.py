"""The health class: contacts, degraded mode, deadlines, pressure, and how the store itself fares.

Rules this file keeps:

- Time only runs out. Entering, leaving, rebooting and unsigned contact never give any back; a reason's time may get shorter. What
  renews the deadline is a strictly newer signed instant (trust, 17).
- After a class reset the reading is the most cautious one: degraded with reason "health-state-lost", and no time left.
- Policy in force, recoveries, notes, retirements and checkpoints of the journal are folded here; the newest are kept.

Example::

    state = empty()
    FOLDS[DegradedEntered](state, DegradedEntered("no_contact", 7_200_000_000), record, documents)
    assert view(state).degraded["no_contact"].safe_until_us == 7_200_000_000
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.clock import Instant
from rap_journal.records import Record
from rap_projections.class_state import NOTHING, folds, shape, with_entry, without
from rap_projections.health_events import (
    ContactObserved,
    DeadlineRenewed,
    DegradedEntered,
    DegradedLeft,
    HeartbeatSent,
    PartitionFlagged,
    PressureObserved,
    QuarantineEvicted,
    ServicesSummarised,
    UptimeDebited,
)
from rap_projections.lifecycle import CheckpointWritten, HistoryRetired, Note, PolicyInForce, RecoveryDone, Setting
from rap_projections.node_time import Now
from rap_projections.upkeep import STEPS as UPKEEP_STEPS
from rap_projections.upkeep import Upkeep, with_floor, with_incident

STATE_LOST = "health-state-lost"
"""The reason under which a cluster is degraded whose health class was reset."""

SNAPSHOT_LOST = "snapshot-lost"
"""The reason under which a cluster is degraded that lost a signed document to damage, until every scope has one again."""

HEAD_EXPIRED = "head-expired"
"""The reason under which a cluster is degraded whose bundle demands a head, while none that is unexpired counts."""

NOTES_MAX = 32
RECOVERIES_MAX = 16
"""Notes and recoveries kept. Part of the folds' meaning."""


class Heartbeat(NamedTuple):
    """The last heartbeat: the LSN it reported, SHA-256 of what was sent, and the node time."""

    at_lsn: int
    digest: bytes
    at_us: int


class Contact(NamedTuple):
    """Contact with one party: node time of the last answer and of the last failure, 0 where there was none."""

    ok_us: int = 0
    failed_us: int = 0
    provenance: Mapping[str, int] = NOTHING


class Degraded(NamedTuple):
    """One reason of degraded mode: node time since when, and until when work may go on for it."""

    since_us: int
    safe_until_us: int
    provenance: Mapping[str, int] = NOTHING


class Pressure(NamedTuple):
    """How full a resource is, in thousandths, and the node time of the observation."""

    permille: int
    at_us: int


class ServicesSummary(NamedTuple):
    """How many assigned workloads run, failed, are stopped, or said nothing yet, and the node time of the count."""

    running: int
    failed: int
    stopped: int
    silent: int
    at_us: int


class Recovery(NamedTuple):
    """What a recovery did; fields as in `RecoveryDone`, then node time and LSN of the event."""

    segment: int
    offset: int
    kept_lsn: int
    byte_count: int
    verdict: str
    reason: str
    action: str
    next_step: str
    quarantine_sha256: bytes | None
    at_us: int
    lsn: int


class PolicyHeld(NamedTuple):
    """The policy in force; fields as in `PolicyInForce`, and the LSN of the event."""

    digest: bytes
    build: str
    settings: tuple[Setting, ...]
    signed_content_id: bytes | None
    lsn: int

    def budget_s(self, renewed_s: int) -> int:
        """What is left of the budget that a deadline was renewed with: no more than this policy allows."""
        allowed_s = dict(self.settings).get("offline_s_max")
        return min(renewed_s, allowed_s) if isinstance(allowed_s, int) else renewed_s


class NoteHeld(NamedTuple):
    """A remark: its text, who made it, and node time and LSN of the event."""

    text: str
    actor: str
    at_us: int
    lsn: int


class Checkpoint(NamedTuple):
    """The last checkpoint set; fields as in `CheckpointWritten`."""

    at_lsn: int
    fold_set: int
    chain_digest: bytes
    class_digests: tuple[tuple[int, bytes], ...]


class History(NamedTuple):
    """Where the history starts: oldest LSN that can be shown, and the last segment that went; 0 for nothing retired yet."""

    floor_lsn: int = 0
    last_segment: int = 0


class Quarantine(NamedTuple):
    """What the quarantine holds: entries and bytes."""

    entry_count: int = 0
    byte_count: int = 0


class Uptime(NamedTuple):
    """Time used up: seconds over all boots, the boot that is running, and the boot time up to which it is paid for."""

    used_s: int = 0
    boot_id: bytes = b""
    covered_boot_us: int = 0


class Deadline(NamedTuple):
    """The safe-operation deadline.

    Attributes:
        signed_s: the signed instant that renewed it last, seconds since 1970; 0 for never.
        budget_s: seconds of operation that instant allows.
        uptime_s: uptime at which they are used up; 0 for "there is no time left".
    """

    signed_s: int = 0
    budget_s: int = 0
    uptime_s: int = 0


class HealthView(NamedTuple):
    """How the cluster and its store fare on this node.

    Attributes:
        heartbeat: the last one sent.
        contacts: last contact by party: "control-plane", "config", "storage".
        degraded: active reasons of degraded mode.
        partition_flags: flags that are set, sorted.
        safe_until_us: node time until which local limits let work go on; None where nothing limits it. Leaving a reason keeps it.
        deadline: the signed safe-operation deadline.
        uptime: time used up.
        pressure: pressure by resource.
        services: summary of the workloads.
        policy: the policy in force.
        recoveries: recent recoveries of the journal, newest last, at most 16.
        recovery_count: recoveries over the life of the class.
        quarantine: what the quarantine holds.
        history: where the history starts.
        checkpoint: the last checkpoint set.
        notes: recent remarks, newest last, at most 32.
        upkeep: how the journal is kept: incidents that pin history, what gave way, damage, the last scrub.
        provenance: LSN that last changed each field.
    """

    heartbeat: Heartbeat | None = None
    contacts: Mapping[str, Contact] = NOTHING
    degraded: Mapping[str, Degraded] = NOTHING
    partition_flags: tuple[str, ...] = ()
    safe_until_us: int | None = None
    deadline: Deadline = Deadline()
    uptime: Uptime = Uptime()
    pressure: Mapping[str, Pressure] = NOTHING
    services: ServicesSummary | None = None
    policy: PolicyHeld | None = None
    recoveries: tuple[Recovery, ...] = ()
    recovery_count: int = 0
    quarantine: Quarantine = Quarantine()
    history: History = History()
    checkpoint: Checkpoint | None = None
    notes: tuple[NoteHeld, ...] = ()
    upkeep: Upkeep = Upkeep()
    provenance: Mapping[str, int] = NOTHING

    def used_s(self, now: Now | Instant, boot_id: bytes) -> int:
        """Seconds used up by now; what a boot paid in advance counts in full once the machine has rebooted."""
        if boot_id != self.uptime.boot_id:
            return self.uptime.used_s + now.boot_us // 1_000_000
        return self.uptime.used_s - (self.uptime.covered_boot_us - now.boot_us) // 1_000_000

    def seconds_left(self, now: Now, boot_id: bytes) -> int:
        """Seconds until the safe-operation deadline or the end of a local limit, whichever is first; 0 when it has passed.

        A policy that allows less than the deadline was renewed with cuts it.
        """
        renewed_s = self.deadline.budget_s
        cut_s = renewed_s - self.policy.budget_s(renewed_s) if self.policy is not None else 0
        left_s = self.deadline.uptime_s - cut_s - self.used_s(now, boot_id)
        if self.safe_until_us is not None:
            left_s = min(left_s, (self.safe_until_us - now.node_us) // 1_000_000)
        return max(0, left_s)


LOST = HealthView(degraded=MappingProxyType({STATE_LOST: Degraded(0, 0)}), safe_until_us=0)
"""The most cautious reading: what a reset of the class leaves."""


def _contact(before: HealthView, event: ContactObserved, record: Record) -> HealthView:
    known = before.contacts.get(event.party, Contact())
    contact = known._replace(ok_us=record.node_us) if event.ok else known._replace(failed_us=record.node_us)
    return before._replace(contacts=with_entry(before.contacts, event.party, contact))


def _entered(before: HealthView, event: DegradedEntered, record: Record) -> HealthView:
    known = before.degraded.get(event.reason, Degraded(record.node_us, event.safe_until_us))
    reason = known._replace(safe_until_us=min(known.safe_until_us, event.safe_until_us))
    limit = event.safe_until_us if before.safe_until_us is None else min(before.safe_until_us, event.safe_until_us)
    upkeep = before.upkeep
    if event.reason not in before.degraded:
        upkeep = with_incident(upkeep, record.node_us, record.lsn)
    return before._replace(degraded=with_entry(before.degraded, event.reason, reason), safe_until_us=limit, upkeep=upkeep)


def _left(before: HealthView, event: DegradedLeft, record: Record) -> HealthView:
    return before._replace(degraded=without(before.degraded, event.reason))


def _renewed(before: HealthView, event: DeadlineRenewed, record: Record) -> HealthView:
    # What is still wrong keeps its own limit; the limits of reasons that were left end here.
    limits = [reason.safe_until_us for reason in before.degraded.values()]
    deadline = Deadline(event.signed_s, event.budget_s, event.deadline_uptime_s)
    return before._replace(deadline=deadline, safe_until_us=min(limits) if limits else None)


def _debited(before: HealthView, event: UptimeDebited, record: Record) -> HealthView:
    used_s = max(before.uptime.used_s, event.uptime_s)
    return before._replace(uptime=Uptime(used_s, event.boot_id, event.covered_boot_us))


def _heartbeat(before: HealthView, event: HeartbeatSent, record: Record) -> HealthView:
    return before._replace(heartbeat=Heartbeat(*event, record.node_us))


def _pressure(before: HealthView, event: PressureObserved, record: Record) -> HealthView:
    pressure = with_entry(before.pressure, event.resource, Pressure(event.permille, record.node_us))
    return before._replace(pressure=pressure)


def _partition(before: HealthView, event: PartitionFlagged, record: Record) -> HealthView:
    others = [flag for flag in before.partition_flags if flag != event.flag]
    return before._replace(partition_flags=tuple(sorted([*others, event.flag] if event.on else others)))


def _summarised(before: HealthView, event: ServicesSummarised, record: Record) -> HealthView:
    return before._replace(services=ServicesSummary(*event, record.node_us))


def _quarantine_evicted(before: HealthView, event: QuarantineEvicted, record: Record) -> HealthView:
    return before._replace(quarantine=Quarantine(event.entry_count, event.byte_count))


def _policy(before: HealthView, event: PolicyInForce, record: Record) -> HealthView:
    settings = tuple((name, tuple(value) if isinstance(value, (list, tuple)) else value) for name, value in event.settings)
    return before._replace(policy=PolicyHeld(event.digest, event.build, settings, event.signed_content_id, record.lsn))


def _recovered(before: HealthView, event: RecoveryDone, record: Record) -> HealthView:
    recovery = Recovery(*event, record.node_us, record.lsn)
    held = before.quarantine
    if event.quarantine_sha256 is not None:
        held = Quarantine(held.entry_count + 1, held.byte_count + event.byte_count)
    return before._replace(
        recoveries=(*before.recoveries, recovery)[-RECOVERIES_MAX:], recovery_count=before.recovery_count + 1, quarantine=held,
        upkeep=with_incident(before.upkeep, record.node_us, record.lsn),
    )  # fmt: skip


def _noted(before: HealthView, event: Note, record: Record) -> HealthView:
    note = NoteHeld(event.text, record.actor, record.node_us, record.lsn)
    return before._replace(notes=(*before.notes, note)[-NOTES_MAX:])


def _retired(before: HealthView, event: HistoryRetired, record: Record) -> HealthView:
    upkeep = with_floor(before.upkeep, event.floor_lsn)
    return before._replace(history=History(event.floor_lsn, event.last_segment), upkeep=upkeep)


def _checkpoint(before: HealthView, event: CheckpointWritten, record: Record) -> HealthView:
    digests = tuple((number, digest) for number, digest in event.class_digests)
    return before._replace(checkpoint=Checkpoint._make(event)._replace(class_digests=digests))


def _kept_up(step: Callable[[Upkeep, Any, Record], Upkeep]) -> Callable[[HealthView, Any, Record], HealthView]:
    return lambda before, event, record: before._replace(upkeep=step(before.upkeep, event, record))


FOLDS = folds(
    {
        PolicyInForce: _policy,
        RecoveryDone: _recovered,
        Note: _noted,
        HistoryRetired: _retired,
        CheckpointWritten: _checkpoint,
        ContactObserved: _contact,
        DegradedEntered: _entered,
        DegradedLeft: _left,
        HeartbeatSent: _heartbeat,
        PressureObserved: _pressure,
        PartitionFlagged: _partition,
        DeadlineRenewed: _renewed,
        UptimeDebited: _debited,
        ServicesSummarised: _summarised,
        QuarantineEvicted: _quarantine_evicted,
        **{kind: _kept_up(step) for kind, step in UPKEEP_STEPS.items()},
    },
    after_reset=LOST,
)
empty, to_value, from_value, view = shape(HealthView())
