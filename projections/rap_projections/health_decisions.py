"""When a cluster enters and leaves degraded mode, how its time runs out, and what else is recorded about its health.

Rules this file keeps:

- Every function is pure: the view and the values of the command in, the events that follow out. What is already so gives no event.
- No call gives time back but `decide_deadline_renewed`, and that one only for a signed instant newer than all before.
- Degraded mode has an end, by the policy in force; who enters may ask for an earlier one, never for a later one.

Example::

    events = decide_enter_degraded(view(state), "disk_failing", safe_until_us=None, now=now, policy=policy)
"""

import hashlib
import re
from collections.abc import Mapping

from rap_journal.deterministic_cbor import encode_arrays
from rap_journal.errors import MisuseError
from rap_projections.arguments import require, require_optional
from rap_projections.event_kinds import Event
from rap_projections.health import HEAD_EXPIRED, SNAPSHOT_LOST, STATE_LOST, HealthView
from rap_projections.health_events import (
    ContactObserved,
    DeadlineRenewed,
    DegradedEntered,
    DegradedLeft,
    HeartbeatSent,
    PartitionFlagged,
    PressureObserved,
    ServicesSummarised,
    UptimeDebited,
)
from rap_projections.lifecycle import PolicyInForce
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy

PARTIES = ("control-plane", "config", "storage")
"""Whom a node keeps in contact with."""

NO_CONTACT = "no-contact"
"""The reason under which a cluster is degraded that no party has answered for the policy's time."""

REASON_LENGTH_MAX = 64
"""Characters of a reason of degraded mode."""

REASONS_MAX = 64
"""Reasons of degraded mode, and partition flags, that hold at one time; the store's own reasons come on top."""

ADVANCE_S = 60
"""Seconds of uptime that are paid in advance (trust, 16)."""

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_SECOND_US = 1_000_000


def decide_contact(party: str, *, ok: bool) -> tuple[Event, ...]:
    """Record that a contact was tried. Raises `MisuseError` for an unknown party."""
    if party not in PARTIES:
        raise _misuse(f"{party!r:.80} is no party. Use {', '.join(PARTIES)}.", "party")
    return (ContactObserved(party, ok),)


def decide_enter_degraded(
    health: HealthView, reason: str, *, safe_until_us: int | None, now: Now, policy: EffectivePolicy
) -> tuple[Event, ...]:
    """Enter degraded mode for one more reason, or shorten the time of a reason that holds.

    The end is the earliest of `safe_until_us` (node time), the policy's longest stay, and what holds already. Asking for a later end
    than that changes nothing. Raises `MisuseError` for a reason that is not 1 to 64 printable characters, and for one more than 64.
    """
    require_optional("safe_until_us", safe_until_us, int)
    require("reason", reason, str)
    if not (1 <= len(reason) <= REASON_LENGTH_MAX and reason.isprintable()):
        raise _misuse(f"a reason is 1 to {REASON_LENGTH_MAX} printable characters.", "reason")
    known = health.degraded.get(reason)
    if known is None and reason not in (HEAD_EXPIRED, NO_CONTACT, SNAPSHOT_LOST) and len(health.degraded) >= REASONS_MAX:
        raise _misuse(f"{len(health.degraded)} reasons hold already; leave some of them first.", "too_many_reasons")
    latest_us = known.safe_until_us if known else now.node_us + policy.degraded_s_max * _SECOND_US
    end_us = latest_us if safe_until_us is None else min(safe_until_us, latest_us)
    if known and end_us == known.safe_until_us:
        return ()
    return (DegradedEntered(reason, end_us),)


def decide_leave_degraded(health: HealthView, reason: str) -> tuple[Event, ...]:
    """Leave a reason that no longer holds; one that does not hold gives no event.

    Raises `MisuseError` for "health-state-lost", which only a newer signed instant ends, "snapshot-lost", which a document does, and
    "head-expired", which a head does.
    """
    require("reason", reason, str)
    if reason == STATE_LOST:
        raise _misuse(f"{STATE_LOST} ends with the next signed instant, not by a call.", "reason")
    if reason == SNAPSHOT_LOST:
        raise _misuse(f"{SNAPSHOT_LOST} ends when every scope has a document again, not by a call.", "reason")
    if reason == HEAD_EXPIRED:
        raise _misuse(f"{HEAD_EXPIRED} ends with the next head, not by a call.", "reason")
    return (DegradedLeft(reason),) if reason in health.degraded else ()


def decide_degraded(health: HealthView, now: Now, policy: EffectivePolicy) -> tuple[Event, ...]:
    """Enter or leave the reason "no-contact", as the contacts and the policy's time of silence say.

    A party that was tried and never answered counts as silent; before the first attempt nothing is known, and nothing follows.
    """
    last_us = max((contact.ok_us for contact in health.contacts.values()), default=now.node_us)
    if now.node_us - last_us >= policy.contact_silence_s * _SECOND_US:
        return decide_enter_degraded(health, NO_CONTACT, safe_until_us=None, now=now, policy=policy)
    return decide_leave_degraded(health, NO_CONTACT)


def next_deadline(health: HealthView, policy: EffectivePolicy) -> int | None:
    """Node time, in microseconds, at which the contacts have been silent for too long; None before the first, and once they have."""
    if not health.contacts or NO_CONTACT in health.degraded:
        return None
    return max(contact.ok_us for contact in health.contacts.values()) + policy.contact_silence_s * _SECOND_US


def decide_deadline_renewed(
    health: HealthView,
    *,
    signed_s: int,
    newest_instant_s: int,
    trusted_s: int,
    uptime_s: int,
    basis: str,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    """Renew the safe-operation deadline for a verified, signed instant; nothing unless it is newer than all before.

    Args:
        health: the state.
        signed_s: the instant, as far as it may move trusted time.
        newest_instant_s: the newest signed instant that the trust class knew before this one, so that a lost health class cannot be
            refilled with an old one.
        trusted_s: low end of trusted time before this instant. An instant that renewed the deadline and is beyond it was shown by a key
            that is revoked since, and counts no longer.
        uptime_s: seconds used up by now.
        basis: head, bundle, snapshot, ticket or contact.
        policy: the limits in force.
    """
    renewed_s = health.deadline.signed_s
    if signed_s <= max(newest_instant_s, renewed_s if renewed_s <= trusted_s else 0):
        return ()
    budget_s = policy.offline_s_max
    renewed = DeadlineRenewed(signed_s, budget_s, uptime_s + budget_s, basis)
    # The lost reading goes first, so that its limit is not carried on.
    return (DegradedLeft(STATE_LOST), renewed) if STATE_LOST in health.degraded else (renewed,)


def decide_uptime(health: HealthView, now: Now, boot_id: bytes) -> tuple[Event, ...]:
    """Pay for the time this boot has run, and 60 s in advance; nothing while what was paid lasts.

    The event says what is paid in all. So where a command and the housekeeper come to pay in the same moment, each in a frame that does
    not see the other's, the same event twice in a row pays once; leaving it to the other's frame, which may find no room, could pay never.
    """
    paid = health.uptime
    covered_us = paid.covered_boot_us if boot_id == paid.boot_id else 0
    if boot_id == paid.boot_id and now.boot_us < covered_us:
        return ()
    due_s = max(0, now.boot_us - covered_us) // _SECOND_US + ADVANCE_S
    return (UptimeDebited(paid.used_s + due_s, boot_id, covered_us + due_s * _SECOND_US),)


def decide_heartbeat_sent(health: HealthView, *, at_lsn: int, digest: bytes) -> tuple[Event, ...]:
    """Record that a heartbeat left. The same one again gives no event."""
    is_known = health.heartbeat is not None and health.heartbeat[:2] == (at_lsn, digest)
    return () if is_known else (HeartbeatSent(at_lsn, digest),)


def decide_pressure(health: HealthView, permille: Mapping[str, int]) -> tuple[Event, ...]:
    """Record how full resources are, by name; those that did not change give no event. Raises `MisuseError` outside 0 to 1000."""
    for resource, value in permille.items():
        _check_word("resource", resource)
        _check_permille(resource, value)
    known = {resource: pressure.permille for resource, pressure in health.pressure.items()}
    return tuple([PressureObserved(name, value) for name, value in sorted(permille.items()) if known.get(name) != value])


def _check_permille(resource: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1000:
        shown = value if isinstance(value, int | float) else type(value).__name__
        raise _misuse(f"{resource} is how full it is in thousandths, a whole number from 0 to 1000, not {shown}.", "permille")


def decide_partition(health: HealthView, flag: str, *, on: bool) -> tuple[Event, ...]:
    """Set or clear a partition flag; what is so already gives no event. Raises `MisuseError` for a bad word, and for one more than 64."""
    _check_word("flag", flag)
    if on and flag not in health.partition_flags and len(health.partition_flags) >= REASONS_MAX:
        raise _misuse(f"{len(health.partition_flags)} flags are set already; clear some of them first.", "too_many_flags")
    return () if (flag in health.partition_flags) is on else (PartitionFlagged(flag, on),)


def decide_services_summary(health: HealthView, running: int, failed: int, stopped: int, silent: int) -> tuple[Event, ...]:
    """Record how many workloads are in which state; the same count again gives no event, nor do none at all before any was counted."""
    summary = ServicesSummarised(running, failed, stopped, silent)
    before = health.services[:4] if health.services is not None else (0, 0, 0, 0)
    return () if before == summary else (summary,)


def decide_policy(
    health: HealthView, policy: EffectivePolicy, *, build: str, signed_content_id: bytes | None
) -> tuple[Event, ...]:
    """Record the limits that later decisions go by; the same limits, build and signed policy again give no event."""
    settings = policy.to_value()
    digest = hashlib.sha256(encode_arrays(settings)).digest()
    event = PolicyInForce(digest, build, settings, signed_content_id)
    return () if health.policy is not None and health.policy[:4] == event else (event,)


def _check_word(what: str, word: object) -> None:
    if not (isinstance(word, str) and _WORD.fullmatch(word)):
        raise _misuse(f"{what} {word!r:.80} is not 1 to 64 of a-z, 0-9, _ and -, a letter first.", what)


def _misuse(what: str, reason: str) -> MisuseError:
    return MisuseError(f"{what} Nothing was changed.", state_class="health", reason=reason)
