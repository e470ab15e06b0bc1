"""Status and report: what is safe to show and to send (spec 12).

Rules this file keeps:

- An allow-list: every field is named here; nothing is copied wholesale.
- No raw secret, no key reference, no endpoint and no peer's name: sizes, versions, times and states only.
- The shape is versioned; fields are added, never changed.

Example::

    document = cluster_status("eu-west-1", state, now, boot_id, horizon=1234, fail_closed=None, protection="file")
"""

from collections.abc import Mapping
from typing import Any

from rap_journal.recovery_report import RecoveryReport
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH, IDENTITY, PEERS, ROUTES, SNAPSHOTS, TELEMETRY, TRUST, UPDATES
from rap_projections.folding import FoldedState
from rap_projections.health import HealthView
from rap_projections.identity import IdentityView
from rap_projections.identity_status import identity_status
from rap_projections.node_time import Now
from rap_projections.snapshots import ScopeView
from rap_projections.trust import TrustView

STATUS_FORMAT = "rap-state-status"
STATUS_VERSION = 1


def cluster_status(
    cluster_id: str, state: FoldedState, now: Now, boot_id: bytes, *, horizon: int, fail_closed: str | None, protection: str
) -> dict[str, Any]:
    """The fields of spec section 12 for one cluster. `horizon`: last durable LSN."""
    health: HealthView = state.view(HEALTH)
    trust, snapshots, updates = state.view(TRUST), state.view(SNAPSHOTS), state.view(UPDATES)
    return {
        "format": STATUS_FORMAT,
        "format_version": STATUS_VERSION,
        "cluster": cluster_id,
        "horizon": horizon,
        "trusted_time_s": now.trusted_s,
        "fail_closed": fail_closed,
        "identity": _identity_status(state.view(IDENTITY), now, fail_closed, protection),
        "trust": {
            "bundle_version": trust.bundle.version if trust.bundle else None,
            "bundle_expires_at_s": trust.bundle.expires_at_s if trust.bundle else None,
            "restore_state": trust.restore_state.value,
            "revocation_count": trust.revocations.entries,
            "head_expires_at_s": snapshots.head.expires_at_s if snapshots.head else None,
            "enforcement_delay_s": _enforcement_delay_s(trust, health, now, boot_id),
            "refusal_count": sum(refusal.times for refusal in trust.refusals),
        },
        "snapshots": {name: _scope_status(scope, now) for name, scope in sorted(snapshots.scopes.items())},
        "peer_count": len(state[PEERS].directory.number_of),
        "route_count": len(state[ROUTES].selected),
        "telemetry_waiting": len(state[TELEMETRY].waiting),
        "degraded": {
            "is_degraded": bool(health.degraded),
            "reasons": sorted(health.degraded),
            "partition_flags": list(health.partition_flags),
            # None: no signed instant has set a deadline yet. 0: it has passed.
            "seconds_left": health.seconds_left(now, boot_id) if _has_deadline(health) else None,
        },
        "updates": {
            subject: {"current": entry.current.version if entry.current else None, "has_pending": entry.pending is not None}
            for subject, entry in sorted(updates.subjects.items())
        },
        "store": _store_status(health),
    }


def recovery_status(report: RecoveryReport) -> dict[str, Any]:
    """The last opening's recovery, for people and programs."""
    return {
        "verdict": report.verdict.name.lower(),
        "is_damage": report.is_damage,
        "checkpoint_lsn": report.checkpoint_lsn,
        "last_lsn": report.last_lsn,
        "replayed_records": report.record_count,
        "rewrote_last_frame": report.rewrote_last_frame,
        "findings": [finding.sentence() for finding in report.findings],
    }


def live_status(
    context: ClusterContext, report: RecoveryReport, protection: str, upkeep: Mapping[str, Any], anchor: str
) -> dict[str, Any]:
    """Status of an open cluster, with what only the writer knows: what its `upkeep` does, and what the `anchor`'s answer means."""
    core = context.core
    with core.lock:
        document = cluster_status(
            context.cluster_id, context.state, core.now(), core.boot_id,
            horizon=core.journal.durable_lsn, fail_closed=context.fail_closed_reason, protection=protection,
        )  # fmt: skip
    document["writer"] = {
        "durable_lsn": core.journal.durable_lsn,
        "witnessed_lsn": core.journal.witnessed_lsn,
        "frames_written": core.journal.frames_written,
        "is_poisoned": core.journal.is_poisoned,
        "is_writable": core.journal.is_writable,
        "format_level": {"written": core.journal.format_level, "known": core.levels.known},
        **upkeep,
    }
    document["recovery"] = recovery_status(report)
    document["anchor"] = anchor
    return document


def _enforcement_delay_s(trust: TrustView, health: HealthView, now: Now, boot_id: bytes) -> int | None:
    """For how long this node may go on doing what a revocation issued now forbids, if it hears of nothing from now on (trust, 10).

    Seconds until the bundle in force ends or the safe-operation deadline passes, whichever is first; None without a bundle.
    """
    if trust.bundle is None:
        return None
    left_s = max(0, trust.bundle.expires_at_s - now.trusted_s)
    return min(left_s, health.seconds_left(now, boot_id)) if _has_deadline(health) else left_s


def _identity_status(view: IdentityView, now: Now, fail_closed: str | None, protection: str) -> dict[str, Any]:
    identity = identity_status(view, now.trusted_s, fail_closed)
    return {
        "enrollment": identity.enrollment.value,
        "protection": protection,
        "state": identity.state.value,
        "certificate_expires_at_s": identity.certificate_expires_at_s,
        "revocation": identity.revocation,
        "renewal": identity.renewal,
    }


def _has_deadline(health: HealthView) -> bool:
    return health.deadline.signed_s > 0 or health.safe_until_us is not None


def _scope_status(scope: ScopeView, now: Now) -> dict[str, Any]:
    active = scope.active
    facts = active.facts if active else None
    return {
        "active_version": list(facts.version) if facts else None,
        "applied_version": list(scope.applied.version) if scope.applied else None,
        "refresh_after_s": facts.refresh_after_s if facts else None,
        "expires_at_s": facts.expires_at_s if facts else None,
        "is_refresh_due": facts is not None and facts.refresh_after_s <= now.trusted_s,
        "is_expired": facts is not None and facts.expires_at_s <= now.trusted_s,
        "has_pending": scope.pending is not None,
        "previous_count": len(scope.previous),
        "is_fallen_back": scope.fallen_back,
        "withdrawn_reason": scope.withdrawn_reason or None,
    }


def _store_status(health: HealthView) -> dict[str, Any]:
    last = health.recoveries[-1] if health.recoveries else None
    return {
        "recovery_count": health.recovery_count,
        "last_recovery": {"verdict": last.verdict, "lsn": last.lsn, "action": last.action} if last else None,
        "history_floor_lsn": health.history.floor_lsn,
        "checkpoint_lsn": health.checkpoint.at_lsn if health.checkpoint else None,
        "quarantine_bytes": health.quarantine.byte_count,
        "ledger_gone_lsn": health.upkeep.ledger_gone_lsn,
        "gave_way": {step: entry._asdict() for step, entry in sorted(health.upkeep.gave_way.items())},
        "damage": [
            {"file": file, "reason": entry.reason, "at_us": entry.at_us} for file, entry in sorted(health.upkeep.damage.items())
        ],
        "last_scrub": health.upkeep.last_scrub._asdict() if health.upkeep.last_scrub else None,
    }
