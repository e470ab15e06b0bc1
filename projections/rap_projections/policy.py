"""The operator's limits, and what is in force where a signed policy speaks too.

Rules this file keeps:

- Every limit has a unit in its name, a default and a range; what is outside is refused with field, value and range.
- Where operator and signed policy both speak, the stricter wins: the smaller maximum, an allowance only if both give it, the
  operations that both list. Nothing local widens what is signed (architecture, section 4).
- Without a signed policy the cautious defaults of `CAUTIOUS_POLICY` stand in for it.
- Values are integers, booleans and lists of short words, so that the policy in force is an event that reads the same everywhere.

Example::

    policy = Policy.from_toml("peers_max = 500")
    assert effective(policy, None).peers_max == 500
    assert not effective(policy, None).fallback_allowed
"""

import difflib
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, NamedTuple, Self, get_type_hints

from rap_journal.errors import MisuseError
from rap_projections.documents import CAUTIOUS_POLICY, SignedPolicy
from rap_projections.lifecycle import Setting

HIGH_RISK_OPERATIONS = ("activate_update", "new_session", "resolve_secret", "start_service")
"""What a cluster in doubt must not do (trust, 19), sorted; what an operator allows unless the policy says otherwise."""

BACK_UP_KEYS = "back_up_keys"
"""Putting private keys into a backup: high-risk too, and never allowed unless operator and signed policy both name it (spec 11)."""

_OPERATIONS = tuple(sorted((*HIGH_RISK_OPERATIONS, BACK_UP_KEYS)))

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
YEAR_S = 366 * 86_400


class Range(NamedTuple):
    """Smallest and largest value of a limit, both allowed."""

    low: int
    high: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The operator's limits. Raises `MisuseError` for a value of the wrong type or outside its range.

    Attributes:
        segment_bytes_max: size at which a segment of the journal is rolled.
        disk_bytes_max: disk budget of one cluster, caches and history included. Over it telemetry gives way, then checkpoints of caches,
            history, the ledger and quarantine; what is strict never does, so it may stay exceeded.
        checkpoint_interval_events: events after which a checkpoint set is due.
        checkpoint_interval_bytes: bytes of journal after which one is due.
        checkpoint_interval_h: hours after which one is due, where anything happened: history is retired when one is written.
        history_all_h: hours for which all events are kept.
        ledger_days: days for which decisions, refusals, evictions and lifecycle events are kept; 0 keeps none of those that all events lose.
        ledger_bytes_max: bytes that these may take once all events are gone; the oldest go first.
        incident_days: days for which all events from the half hour before an incident on are kept: entering degraded mode, failing
            closed, a recovery that found something.
        scrub_interval_h: hours from one background look at everything at rest to the next; 0 for never.
        scrub_bytes_per_s: how fast that reads, at most.
        anchor_interval_h: hours after which floors that rose are written for the anchor, and it is raised: what was put back from a copy
            shows unless the copy is younger than the last raise.
        anchor_floors_max: floors that rose after which that is done sooner, though never twice within ten minutes.
        artifact_bytes_max: bytes of one update's artifact, which is held in memory from hashing to installing.
        batch_delay_ms: longest wait of a batched event for its frame.
        quarantine_bytes_max: bytes kept in the quarantine of one cluster.
        previous_snapshots_max: previous documents kept per scope.
        pending_age_s_max: age at which a pending document or update is dropped.
        refusal_interval_s: shortest time between two refusal events of the same source, subject and reason, and between two events that say
            that a workload was granted the same secret.
        contact_silence_s: time without any successful contact after which the node counts as cut off.
        peers_max: peers in the cache.
        failures_per_peer_max: recent failures kept per peer.
        observation_age_s_max: age at which an observation of a peer is dropped.
        routes_max: routes in the cache.
        alternatives_max: alternatives kept per route.
        route_age_s_max: age at which a route is dropped.
        route_switch_permille: how much better, in thousandths, a route must score before it replaces the chosen one.
        telemetry_bytes_max: bytes of telemetry waiting to be sent.
        hints_max: number of hints.
        hint_bytes_max: bytes of one hint.
        degraded_s_max: longest stay in degraded mode.
        offline_s_max: longest time without a newer signed instant.
        fallback_allowed: whether a previous document may serve for a damaged one.
        shortcut_allowed: whether routes may take signed shortcuts.
        high_risk_operations: the high-risk operations that are allowed at all. "back_up_keys" is among them only where it is named.
    """

    segment_bytes_max: Annotated[int, Range(4 * KIB, GIB)] = 16 * MIB
    disk_bytes_max: Annotated[int, Range(64 * KIB, 1 << 50)] = GIB
    checkpoint_interval_events: Annotated[int, Range(1, 1 << 40)] = 100_000
    checkpoint_interval_bytes: Annotated[int, Range(4 * KIB, 1 << 40)] = 64 * MIB
    checkpoint_interval_h: Annotated[int, Range(1, 24 * 366)] = 24
    history_all_h: Annotated[int, Range(0, 24 * 366)] = 72
    ledger_days: Annotated[int, Range(0, 3660)] = 30
    ledger_bytes_max: Annotated[int, Range(0, 1 << 40)] = 64 * MIB
    incident_days: Annotated[int, Range(0, 366)] = 14
    scrub_interval_h: Annotated[int, Range(0, 24 * 366)] = 24 * 7
    scrub_bytes_per_s: Annotated[int, Range(KIB, GIB)] = MIB
    anchor_interval_h: Annotated[int, Range(1, 24 * 366)] = 6
    anchor_floors_max: Annotated[int, Range(1, 1_000_000)] = 32
    artifact_bytes_max: Annotated[int, Range(0, 1 << 40)] = GIB
    batch_delay_ms: Annotated[int, Range(0, 10_000)] = 100
    quarantine_bytes_max: Annotated[int, Range(0, 1 << 40)] = 16 * MIB
    previous_snapshots_max: Annotated[int, Range(0, 16)] = 3
    pending_age_s_max: Annotated[int, Range(1, YEAR_S)] = 3600
    refusal_interval_s: Annotated[int, Range(1, 86_400)] = 60
    contact_silence_s: Annotated[int, Range(1, YEAR_S)] = 300
    peers_max: Annotated[int, Range(0, 1_000_000)] = 10_000
    failures_per_peer_max: Annotated[int, Range(0, 64)] = 8
    observation_age_s_max: Annotated[int, Range(0, YEAR_S)] = 3600
    routes_max: Annotated[int, Range(0, 1_000_000)] = 10_000
    alternatives_max: Annotated[int, Range(0, 16)] = 3
    route_age_s_max: Annotated[int, Range(0, YEAR_S)] = 900
    route_switch_permille: Annotated[int, Range(0, 1000)] = 100
    telemetry_bytes_max: Annotated[int, Range(0, GIB)] = 4 * MIB
    hints_max: Annotated[int, Range(0, 1_000_000)] = 1000
    hint_bytes_max: Annotated[int, Range(1, 64 * KIB)] = 4 * KIB
    degraded_s_max: Annotated[int, Range(0, YEAR_S)] = 86_400
    offline_s_max: Annotated[int, Range(0, YEAR_S)] = 7 * 86_400
    fallback_allowed: bool = True
    shortcut_allowed: bool = True
    high_risk_operations: tuple[str, ...] = HIGH_RISK_OPERATIONS

    def __post_init__(self) -> None:
        for name, allowed in _ranges().items():
            _check(name, getattr(self, name), allowed)
        self._check_operations()

    def _check_operations(self) -> None:
        named: object = self.high_risk_operations
        if not isinstance(named, tuple) or any(name not in _OPERATIONS for name in named):
            known = ", ".join(_OPERATIONS)
            raise MisuseError(
                f"policy field high_risk_operations is {_shown(named)}; nothing was changed. It is a tuple of some of: {known}.",
                reason="policy_value",
            )

    @classmethod
    def from_toml(cls, text: bytes | str) -> Self:
        """The policy a TOML document states; what it leaves out has its default.

        Raises `MisuseError` for what is not TOML, for an unknown name (naming the nearest known one) and for a value out of range.
        """
        given = _parsed(text)
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise MisuseError(_unknown(name, known), reason="policy_unknown")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return cls(**values)

    def to_value(self) -> tuple[Setting, ...]:
        """All limits as (name, value), sorted by name: what `PolicyInForce` carries."""
        return tuple(sorted((field.name, getattr(self, field.name)) for field in fields(self)))


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectivePolicy(Policy):
    """The limits in force: made by `effective`, so that a decision cannot be handed the operator's wishes alone."""

    def signed_part(self) -> tuple[Setting, ...]:
        """The limits a signed policy can speak about, as (name, value) sorted by name: what an activation records."""
        return tuple(setting for setting in self.to_value() if setting[0] in SignedPolicy._fields)


def effective(policy: Policy, signed: SignedPolicy | None) -> EffectivePolicy:
    """The stricter of the operator's limits and the signed policy; the cautious defaults stand in for a missing one."""
    limits: dict[str, Any] = {field.name: getattr(policy, field.name) for field in fields(policy)}
    for name, value in (signed or CAUTIOUS_POLICY)._asdict().items():
        limits[name] = _stricter(limits[name], value)
    return EffectivePolicy(**limits)


def _stricter(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, bool):
        return ours and theirs
    if isinstance(ours, tuple):
        return tuple(sorted(set(ours) & set(theirs)))
    return min(ours, theirs)


@cache
def _ranges() -> dict[str, Range | None]:
    """The range of each integer limit by name, and None for each boolean one."""
    hints = get_type_hints(Policy, include_extras=True)
    return {
        name: next(iter(getattr(hint, "__metadata__", ())), None)
        for name, hint in hints.items()
        if name != "high_risk_operations"
    }


def _check(name: str, value: object, allowed: Range | None) -> None:
    if allowed is None:
        if type(value) is bool:
            return
        wanted = "true or false"
    else:
        if type(value) is int and allowed.low <= value <= allowed.high:
            return
        wanted = f"a whole number from {allowed.low} to {allowed.high}"
    raise MisuseError(f"policy field {name} is {_shown(value)}; nothing was changed. It takes {wanted}.", reason="policy_value")


def _parsed(text: bytes | str) -> dict[str, Any]:
    fault = "it is not UTF-8"
    try:
        return tomllib.loads(text.decode() if isinstance(text, bytes) else text)
    except tomllib.TOMLDecodeError as error:
        fault = str(error)
    except UnicodeDecodeError:
        pass
    # Raised out here, so that nothing leads to those errors: they carry the text, and a file given by mistake may be a key.
    raise MisuseError(f"the policy is not TOML: {fault}; nothing was changed.", reason="policy_toml")


def _shown(value: object) -> str:
    """A number as it is; of anything else the type alone, since a text in the wrong place may be a secret."""
    return str(value) if isinstance(value, (bool, int, float)) else f"a {type(value).__name__} that does not fit"


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"the policy has no field {name!r:.80}; nothing was changed. The nearest is {near[0]!r}."
