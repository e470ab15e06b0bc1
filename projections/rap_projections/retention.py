"""How much history is kept, and what gives way when space is short: facts in, decisions out.

Rules this file keeps:

- Everything here is pure: what is on disk comes in as values, what is to be done goes out as values.
- The floor moves only to a checkpoint set that is there, never to the newest, and never past the beginning of a pinned range.
- A doubt is resolved towards keeping, but for the disk budget: over it, things give way in a fixed order, whatever pins them.

The floor, by the set in question (``-`` stands for any)::

    newest   old enough   pinned from before it   may be the floor
    yes      -            -                       no
    no       no           -                       no
    no       yes          yes                     no
    no       yes          no                      yes, the newest of them

Example::

    floor_lsn = decide_floor(sets, incidents, now_us, policy)
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from rap_projections.policy import EffectivePolicy
from rap_projections.upkeep import Incident

HOUR_US = 3600 * 1_000_000
DAY_US = 24 * HOUR_US

PIN_BEFORE_US = 30 * 60 * 1_000_000
"""How long before an incident all events are kept (journal, 17)."""

STONES_MAX = 8
"""Sets kept between the floor and the two newest, for the floor to move to."""

STEPS = ("telemetry", "cache_checkpoints", "history", "ledger", "quarantine")
"""What gives way when space is short, first things first (journal, 20). The ledger is history, and goes after what it stands for."""


class SetMade(NamedTuple):
    """A checkpoint set: its LSN, and the node time of the last record it holds."""

    lsn: int
    node_us: int


class LedgerFile(NamedTuple):
    """A ledger file: last LSN it stands for, bytes, node time of the newest record it stands for (None where it cannot be read)."""

    last_lsn: int
    byte_count: int
    node_us: int | None


class Usage(NamedTuple):
    """What a cluster's folder takes, in bytes.

    Attributes:
        disk: all files.
        telemetry: what waits to be sent, and older checkpoints of the class.
        cache_checkpoints: older checkpoints of the other cache classes.
        history: sets and segments below the newest set.
        ledger: ledger files.
        quarantine: pieces in quarantine.
    """

    disk: int
    telemetry: int
    cache_checkpoints: int
    history: int
    ledger: int
    quarantine: int


def pinned_from_us(incidents: Iterable[Incident], now_us: int, policy: EffectivePolicy) -> int | None:
    """Node time from which on all events are kept because of incidents; None where nothing is pinned."""
    kept_us = policy.incident_days * DAY_US
    return min((each.first_us - PIN_BEFORE_US for each in incidents if now_us - each.last_us < kept_us), default=None)


def decide_floor(sets: Sequence[SetMade], incidents: Iterable[Incident], now_us: int, policy: EffectivePolicy) -> int | None:
    """LSN to which the history floor moves, or None where it stays. `sets`: those there are, oldest first, the floor's among them."""
    pinned_us = pinned_from_us(incidents, now_us, policy)
    may_be = [
        made.lsn
        for made in sets[1:-1]
        if now_us - made.node_us >= policy.history_all_h * HOUR_US and (pinned_us is None or made.node_us <= pinned_us)
    ]
    return may_be[-1] if may_be else None


def sets_to_keep(sets: Sequence[SetMade], policy: EffectivePolicy) -> frozenset[int]:
    """LSNs of the sets that stay: the oldest, the two newest, and a few in even distances between them.

    Without these the floor could never move where sets are written more often than history is long: it moves to a set that is old
    enough, and the second newest never is.
    """
    if not sets:
        return frozenset()
    distance_us = max(policy.history_all_h * HOUR_US // 4, (sets[-1].node_us - sets[0].node_us) // STONES_MAX, 1)
    kept = [sets[0]]
    for made in sets[1:-2]:
        if made.node_us - kept[-1].node_us >= distance_us:
            kept.append(made)
    return frozenset(made.lsn for made in (*kept, *sets[-2:]))


def ledger_files_to_go(files: Sequence[LedgerFile], now_us: int, policy: EffectivePolicy) -> int:
    """How many of the oldest ledger files go, by age and by bytes. One that cannot be read is as old as the next one that can."""
    kept_us = policy.ledger_days * DAY_US
    too_old = [index for index, file in enumerate(files) if file.node_us is not None and now_us - file.node_us >= kept_us]
    count = too_old[-1] + 1 if too_old else 0
    return max(count, oldest_to_go([file.byte_count for file in files], policy.ledger_bytes_max))


def oldest_to_go(sizes: Sequence[int], bytes_max: int) -> int:
    """How many of the oldest go, so that what stays takes at most `bytes_max`."""
    total = sum(sizes)
    for count, size in enumerate(sizes):
        if total <= bytes_max:
            return count
        total -= size
    return len(sizes)


def next_to_give_way(usage: Usage, disk_bytes_max: int, tried: Collection[str]) -> str | None:
    """The step that is next where more is used than `disk_bytes_max`; None where enough is free, or nothing is left to give."""
    if usage.disk <= disk_bytes_max:
        return None
    return next((step for step in STEPS if step not in tried and getattr(usage, step) > 0), None)
