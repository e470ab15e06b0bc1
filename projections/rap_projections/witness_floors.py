"""The floors that the witness keeps beside the journal, so that neither can be rolled back without the other (trust, 15).

Rules this file keeps:

- What the witness says never falls: what it said when the journal was opened is part of everything it says afterwards.
- The floor is the maximum of what journal and witness know; what the journal lacks is written into it at opening.
- The lowest signed sequence of the agent's releases is a floor like that of a scope, under the name "agent". Those of workloads are not: there
  may be thousands, and a slot of the witness has 4 KiB. They last as long as the updates class, or the snapshot that states them.
- A bundle in force that is older than the floor is a rollback, and stays one at every opening.

Example::

    core.floors_of = lambda state: never_lower(witness_floors(state), core.journal.recovered_floors)
    events = decide_raised(state, core.journal.recovered_floors)
"""

from collections.abc import Iterable
from typing import Any

from rap_projections import snapshot_decisions, trust_decisions, update_decisions
from rap_projections.documents import CLUSTER_WIDE, Version
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, TRUST, UPDATES, Event
from rap_projections.folding import FoldedState
from rap_projections.health_events import UptimeDebited
from rap_projections.trust import RestoreState
from rap_projections.updates import AGENT_SUBJECT


def witness_floors(state: FoldedState) -> Any:
    """What a state knows: bundle version and id, revocations, restore state, per scope, of the head and of the agent the highest version,
    time used up."""
    trust, health, snapshots = state.view(TRUST), state.view(HEALTH), state.view(SNAPSHOTS)
    head = snapshots.head_floor
    scopes = [[name, *scope.floor.version, scope.floor.content_id] for name, scope in snapshots.scopes.items()]
    minimum = state.view(UPDATES).subject(AGENT_SUBJECT).minimum_sequence
    if minimum:
        scopes.append([AGENT_SUBJECT, 0, minimum, b""])
    return [
        [trust.floor.version.version, trust.floor.content_id],
        [trust.revocations.digest, trust.revocations.entries],
        trust.restore_state.value,
        sorted(scopes),
        [*head.version, head.content_id],
        [trust.trusted_s(health.uptime.used_s), health.uptime.used_s, health.deadline.uptime_s],
    ]


def never_lower(floors: Any, before: Any) -> Any:
    """`floors`, raised to what the witness said `before`; None where it said nothing."""
    if before is None:
        return floors
    bundle, revocations, restore, scopes, head, (trusted_s, used_s, deadline_s) = floors
    known_bundle, known_revocations, _restore, known_scopes, known_head, (_trusted_s, known_used_s, _deadline_s) = before
    if known_bundle[0] > bundle[0]:
        bundle, revocations = known_bundle, known_revocations
    highest: dict[str, list[Any]] = {name: rest for name, *rest in known_scopes}
    for name, *rest in scopes:
        highest[name] = _higher(rest, highest.get(name, rest))
    return [
        list(bundle),
        list(revocations),
        restore,
        [[name, *rest] for name, rest in sorted(highest.items())],
        _higher(list(head), list(known_head)),
        [trusted_s, max(used_s, known_used_s), deadline_s],
    ]


def decide_raised(state: FoldedState, floors: Any) -> tuple[Event, ...]:
    """Write down what the witness knows and the state does not; nothing where it knows as much."""
    (bundle_version, bundle_id), (digest, entries), _restore, scopes, head, (_trusted_s, used_s, _deadline_s) = floors
    trust, uptime = state.view(TRUST), state.view(HEALTH).uptime
    events: list[Event] = []
    if bundle_version >= trust.floor.version.version:
        # A newer bundle may have dropped revocations that are past: an older witness knows more of them, and does not know better.
        events += trust_decisions.decide_floor_raised(
            trust, bundle_version=bundle_version, bundle_content_id=bundle_id, revocation_digest=digest, revocation_count=entries,
            origin="witness",
        )  # fmt: skip
    events += decide_versions_raised(state, (*scopes, (CLUSTER_WIDE, *head)), "witness")
    if used_s > uptime.used_s:
        events.append(UptimeDebited(used_s, uptime.boot_id, uptime.covered_boot_us))
    return tuple(events)


def decide_versions_raised(state: FoldedState, floors: Iterable[Any], origin: str) -> list[Event]:
    """Raise the floors of scopes, of the head ("cluster") and of the agent's releases ("agent"), each [name, generation, version, id]."""
    events: list[Event] = []
    for name, generation, version, content_id in floors:
        if name == AGENT_SUBJECT:
            events += update_decisions.decide_minimum_raised(state.view(UPDATES), name, version, origin=origin)
        else:
            events += snapshot_decisions.decide_floor_raised(
                state.view(SNAPSHOTS), scope=name, version=Version(generation, version), content_id=content_id, origin=origin
            )
    return events


def is_rolled_back(state: FoldedState, floors: Any) -> bool:
    """Whether the bundle in force is older than the witness, or another one of its version. After a restore the ticket decides."""
    trust = state.view(TRUST)
    if floors is None or trust.bundle is None or trust.restore_state is not RestoreState.NORMAL:
        return False
    (version, content_id), *_rest = floors
    known = (trust.bundle.version, trust.bundle.content_id)
    return bool(version > known[0] or (version == known[0] and content_id not in (b"", known[1])))


def _higher(floor: list[Any], other: list[Any]) -> list[Any]:
    """The higher of two floors [generation, version, content id]; the first of two at the same version."""
    return other if other[:2] > floor[:2] else floor
