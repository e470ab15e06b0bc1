"""The routes class (kinds 80 to 89): which signed candidate is in use for each destination and channel.

Rules this file keeps:

- The cache can be made again from the signed snapshot, the peer cache and new results; it permits nothing by itself (spec 4).
- `decide_routes` looks again at what a change touches: routes that lead over a touched peer, routes whose review is due, and
  destinations without a route. What it decides is what looking at everything would decide.
- A route that stays, with a score within 10 % of the recorded one, is not recorded again.
- A failure in use lowers its candidate for a while; see `route_selection`.
- Everything is bounded: routes by `routes_max`, alternatives and age by the policy. Limits that shape state travel in the events.

What must look at everything again (`touched=None`): another policy, another peer directory.

Example::

    events = decide_routes(state, peers_state, policy, now, touched=set(observed.number_column()))
    ...
    best(state, "node-42", "interactive", now.node_us)
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from rap_journal.records import Category, Record
from rap_projections.documents import Documents, Version
from rap_projections.event_kinds import ROUTES, Event, event_kind
from rap_projections.lifecycle import ClassReset
from rap_projections.node_time import Now
from rap_projections.peer_observations import failure_code
from rap_projections.peer_state import PeersState, facts
from rap_projections.policy import Policy
from rap_projections.route_selection import CandidateResult, SelectedRoute, select, touches
from rap_projections.route_state import Key, RoutesState, from_value, to_value, view

__all__ = [
    "FOLDS", "CandidatesApplied", "RouteEnd", "RouteResult", "RoutesEvicted", "RoutesExpired", "RoutesSelected", "RoutesState",
    "best", "decide_candidates", "decide_eviction", "decide_expiry", "decide_result", "decide_routes", "empty", "from_value",
    "next_deadline", "to_value", "touch_any", "view",
]  # fmt: skip

RESCORE_PERMILLE = 100
"""A score is recorded again when it has moved by more than this many thousandths."""

PENALTY_US = 30_000_000
"""For this long a failure in use lowers its candidate, unless its hops are seen to answer."""

ROUTES_PER_EVENT_MAX = 512
"""Routes in one event."""

NAMES_PER_EVENT_MAX = 3072
"""Names and causes in one event of choices, which has room for one route more: so many of 64 characters fit into one frame."""


class RouteEnd(IntEnum):
    """Why a route is not in use any more. The numbers are on disk: they are never given another meaning."""

    AGE = 1
    NOT_PERMITTED = 2


@event_kind(80, state_class=ROUTES, category=Category.DECISION, sensitivity="digest, open, open")
class CandidatesApplied(NamedTuple):
    """The signed route candidates in force changed. The same ones may be applied again: that changes nothing.

    Attributes:
        content_id: content id of the active routes snapshot, or None when none is active any more.
        generation: its generation; 0 without a snapshot.
        version: its version; 0 without a snapshot.
    """

    content_id: bytes | None
    generation: int
    version: int


@event_kind(
    81, state_class=ROUTES, category=Category.DECISION, sensitivity="open, name, open, name, open, open, open, name, open, open"
)
class RoutesSelected(NamedTuple):
    """Routes were chosen, or their scores or alternatives changed. One item per route in each column.

    Attributes:
        applied_lsn: LSN of the record that made the candidates they were chosen from.
        destinations: ids of the nodes they lead to.
        channels: channel classes they are for.
        candidate_ids: ids of the chosen candidates.
        scores: estimates in microseconds; lower is better.
        expires_us: node time at which all of them stop being valid.
        review_us: node times at which to choose again even if nothing is seen.
        alternatives: ids of the next best candidates, best first.
        causes: LSNs of the observations and results each choice rests on, ascending.
        routes_max: routes the cache may hold.
    """

    applied_lsn: int
    destinations: Sequence[str]
    channels: Sequence[str]
    candidate_ids: Sequence[str]
    scores: Sequence[int]
    expires_us: int
    review_us: Sequence[int]
    alternatives: Sequence[Sequence[str]]
    causes: Sequence[Sequence[int]]
    routes_max: int


@event_kind(82, state_class=ROUTES, category=Category.EVICTION, sensitivity="name, open, open, open")
class RoutesExpired(NamedTuple):
    """Routes are not in use any more.

    Attributes:
        destinations: ids of the nodes they led to.
        channels: channel classes they were for.
        cutoff_us: node time; a route that is too old was valid until it or before.
        reason: number of the `RouteEnd`.
    """

    destinations: Sequence[str]
    channels: Sequence[str]
    cutoff_us: int
    reason: int


@event_kind(83, state_class=ROUTES, category=Category.OBSERVATION, sensitivity="name, open, open, open")
class RouteResult(NamedTuple):
    """Using a candidate succeeded or failed, at the record's node time.

    Attributes:
        candidate_id: id of the candidate.
        ok: whether it succeeded.
        reason: code of the `FailureReason`; 0 for a success.
        penalty_us: for how long a failure lowers the candidate, microseconds.
    """

    candidate_id: str
    ok: bool
    reason: int
    penalty_us: int


@event_kind(84, state_class=ROUTES, category=Category.EVICTION, sensitivity="name, open, open")
class RoutesEvicted(NamedTuple):
    """Routes leave the cache because the limit fell: those that expire first, and of them the worst.

    Attributes:
        destinations: ids of the nodes they led to.
        channels: channel classes they were for.
        routes_max: the limit.
    """

    destinations: Sequence[str]
    channels: Sequence[str]
    routes_max: int


def empty() -> RoutesState:
    """No candidates, no routes."""
    return RoutesState()


def best(state: RoutesState, destination: str, channel: str, node_us: int | None = None) -> SelectedRoute | None:
    """The route in use, or None; with `node_us`, also None once it has expired at that node time."""
    route = state.selected.get((destination, channel))
    if route is None or (node_us is not None and route.expires_us <= node_us):
        return None
    return route


def decide_candidates(state: RoutesState, content_id: bytes | None, version: Version) -> tuple[Event, ...]:
    """Make this verified snapshot (None: no snapshot) the source of candidates; nothing where it is already."""
    if (state.content_id, state.version) == (content_id, version):
        return ()
    return (CandidatesApplied(content_id, version.generation, version.version),)


def decide_routes(
    state: RoutesState,
    peers: PeersState,
    limits: Policy,
    now: Now,
    touched: Collection[int] | None = None,
    *,
    revoked: Collection[str] = (),
) -> tuple[Event, ...]:
    """Choose again where something changed; nothing where all routes stand.

    Args:
        state: the routes class.
        peers: the peers class.
        limits: policy in force.
        now: the time of the choice.
        touched: numbers of the peers that were observed since the last call; None to look at every route.
        revoked: ids of nodes that no route may touch.
    """
    lookup = cache(lambda peer: facts(peers, peer))
    room = limits.routes_max - len(state.selected)
    chosen: list[SelectedRoute] = []
    ended: list[Key] = []
    for key in sorted(_to_look_at(state, peers, now, touched)):
        current = state.selected.get(key)
        if current is None and room <= 0:
            continue
        used = current.candidate_id if current else None
        route = select(*key, state.candidates[key], lookup, limits, now, results=state.results, current=used, revoked=revoked)
        if route is None:
            ended += [key] if current else []
        elif current is None or _differs(current, route, now):
            room -= current is None
            chosen.append(route)
    return (*_expirations(ended, now.node_us, RouteEnd.NOT_PERMITTED), *_selections(state, chosen, limits))


def touch_any(state: RoutesState, nodes: Collection[str]) -> bool:
    """Whether a route in use, or an alternative to one, leads to one of `nodes` or over one."""
    ids = (it for route in state.selected.values() for it in (route.candidate_id, *route.alternatives)) if nodes else ()
    kept = (state.by_id[candidate_id] for candidate_id in ids if candidate_id in state.by_id)
    return any(touches(candidate.destination, candidate.path, nodes) for candidate in kept)


def decide_result(state: RoutesState, candidate_id: str, *, ok: bool, reason: str | None = None) -> tuple[Event, ...]:
    """Note what using a candidate came to; nothing for one that is not permitted any more.

    Raises `MisuseError` for a reason that is no failure word.
    """
    code = 0 if ok else failure_code(reason)
    return (RouteResult(candidate_id, ok, code, PENALTY_US),) if candidate_id in state.by_id else ()


def decide_expiry(state: RoutesState, now: Now) -> tuple[Event, ...]:
    """Take routes out of use that have expired (spec 7)."""
    expired = [(route.destination, route.channel) for route in state.due_at(now.node_us) if route.expires_us <= now.node_us]
    return _expirations(sorted(expired), now.node_us, RouteEnd.AGE)


def decide_eviction(state: RoutesState, limits: Policy) -> tuple[Event, ...]:
    """Take routes out of use where there are more than the policy allows: those that expire first, and of them the worst."""
    excess = len(state.selected) - limits.routes_max
    if excess <= 0:
        return ()
    ranked = sorted(state.selected, key=lambda key: (state.selected[key].expires_us, -state.selected[key].score, key))
    return tuple([RoutesEvicted(*_columns(chunk), limits.routes_max) for chunk in _chunks(sorted(ranked[:excess]))])


def next_deadline(state: RoutesState) -> int | None:
    """Node time at which `decide_routes` should be asked next even if nothing was observed, in microseconds; None for never.

    No route expires earlier.
    """
    return state.due[0][0] if state.due else None


def _fold_candidates(state: RoutesState, event: CandidatesApplied, record: Record, documents: Documents) -> None:
    # The scope of the snapshot was checked when it was activated: its body is the candidates.
    body: Any = () if event.content_id is None else documents.snapshot(event.content_id).body
    before = state.candidates
    state.content_id, state.version, state.applied_lsn = event.content_id, Version(event.generation, event.version), record.lsn
    known = state.by_id
    state.permit(body)
    state.results = {name: result for name, result in state.results.items() if name in state.by_id}
    for key, route in sorted(state.selected.items()):
        if state.by_id.get(route.candidate_id) != known[route.candidate_id]:
            state.drop(key)
        elif state.candidates[key] != before[key]:
            kept = tuple([name for name in route.alternatives if name in state.by_id])
            state.use(route._replace(alternatives=kept, review_us=0))


def _fold_selected(state: RoutesState, event: RoutesSelected, record: Record, documents: Documents) -> None:
    # Candidates may have changed since the choice: what still fits is used, and looked at again at once.
    reviews = event.review_us if event.applied_lsn == state.applied_lsn else [0] * len(event.review_us)
    columns = (event.destinations, event.channels, event.candidate_ids, event.scores, reviews, event.alternatives, event.causes)
    for destination, channel, name, score, review_us, alternatives, causes in zip(*columns, strict=True):
        candidate = state.by_id.get(name)
        key = (destination, channel)
        if candidate is None or (candidate.destination, candidate.channel) != key:
            continue
        if key in state.selected or len(state.selected) < event.routes_max:
            others = tuple([other for other in alternatives if other in state.by_id])
            chosen = (candidate.path, score, event.expires_us, review_us, others, tuple(causes), record.lsn)
            state.use(SelectedRoute(destination, channel, name, *chosen))


def _fold_expired(state: RoutesState, event: RoutesExpired, record: Record, documents: Documents) -> None:
    for key in zip(event.destinations, event.channels, strict=True):
        route = state.selected.get(key)
        if route and (event.reason != RouteEnd.AGE or route.expires_us <= event.cutoff_us):
            state.drop(key)


def _fold_evicted(state: RoutesState, event: RoutesEvicted, record: Record, documents: Documents) -> None:
    for key in zip(event.destinations, event.channels, strict=True):
        state.drop(key)


def _fold_result(state: RoutesState, event: RouteResult, record: Record, documents: Documents) -> None:
    candidate = state.by_id.get(event.candidate_id)
    if candidate is None:
        return
    before = state.results.get(candidate.id, CandidateResult())
    if event.ok:
        after = before._replace(success_us=record.node_us, success_lsn=record.lsn, penalty_until_us=0)
    else:
        until_us = record.node_us + event.penalty_us
        after = before._replace(
            failure_us=record.node_us, failure_lsn=record.lsn, failure_code=event.reason, penalty_until_us=until_us
        )
    state.results[candidate.id] = after
    route = state.selected.get((candidate.destination, candidate.channel))
    if route and after.penalty_until_us != before.penalty_until_us:
        state.use(route._replace(review_us=0))


def _fold_reset(state: RoutesState, event: ClassReset, record: Record, documents: Documents) -> None:
    state.clear()


FOLDS: dict[type, Callable[[RoutesState, Any, Record, Documents], None]] = {
    CandidatesApplied: _fold_candidates,
    RoutesSelected: _fold_selected,
    RoutesExpired: _fold_expired,
    RouteResult: _fold_result,
    RoutesEvicted: _fold_evicted,
    ClassReset: _fold_reset,
}
"""How each event changes the state. Frozen per kind and version."""


def _to_look_at(state: RoutesState, peers: PeersState, now: Now, touched: Collection[int] | None) -> Iterable[Key]:
    if touched is None:
        return state.candidates
    ids = peers.directory.ids
    keys = {(route.destination, route.channel) for route in state.due_at(now.node_us)}
    return keys.union(state.missing, *[state.keys_through(ids[number]) for number in touched if number < len(ids)])


def _differs(current: SelectedRoute, route: SelectedRoute, now: Now) -> bool:
    if current.review_us <= now.node_us or (current.candidate_id, current.alternatives) != (
        route.candidate_id,
        route.alternatives,
    ):
        return True
    if route.expires_us < current.expires_us:
        # The policy allows less time than when it was chosen.
        return True
    return abs(route.score - current.score) * 1000 > current.score * RESCORE_PERMILLE


def _selections(state: RoutesState, routes: list[SelectedRoute], limits: Policy) -> Iterator[RoutesSelected]:
    for chunk in _chunks_of_choices(routes):
        destinations, channels, names, _, scores, expires, reviews, alternatives, causes, _ = zip(*chunk, strict=True)
        yield RoutesSelected(
            state.applied_lsn, destinations, channels, names, scores, expires[0], reviews, alternatives, causes, limits.routes_max
        )


def _chunks_of_choices(routes: list[SelectedRoute]) -> Iterator[list[SelectedRoute]]:
    start = name_count = 0
    for end, route in enumerate(routes, 1):
        name_count += 3 + len(route.alternatives) + len(route.causes)
        if end == len(routes) or end - start == ROUTES_PER_EVENT_MAX or name_count >= NAMES_PER_EVENT_MAX:
            yield routes[start:end]
            start, name_count = end, 0


def _expirations(keys: list[Key], cutoff_us: int, reason: RouteEnd) -> tuple[RoutesExpired, ...]:
    return tuple([RoutesExpired(*_columns(chunk), cutoff_us, reason.value) for chunk in _chunks(keys)])


def _columns(keys: Iterable[Key]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    destinations, channels = zip(*keys, strict=True)
    return destinations, channels


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + ROUTES_PER_EVENT_MAX] for start in range(0, len(items), ROUTES_PER_EVENT_MAX))
