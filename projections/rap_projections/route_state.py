"""The state of the routes class: what it holds, how it is shown, and how a checkpoint keeps it.

Rules this file keeps:

- Candidates are the signed ones, selections and results are this node's. Nothing here permits a way that was not signed.
- What can be computed from the rest (which routes a peer is part of, which routes are due) is derived and never kept.
- The value is the whole state with its provenance, in arrays and packed columns: equal states have equal values.

What the events do to the state is in `routes`.

Example::

    assert to_value(from_value(value)) == value
    view(state).routes["node-42/interactive"].last_success_path
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

from sortedcontainers import SortedList

from rap_journal.errors import DamageError
from rap_projections.columns import pack, regroup, unpack
from rap_projections.documents import RouteCandidate, Version
from rap_projections.event_kinds import ROUTES
from rap_projections.peer_directory import NO_VERSION
from rap_projections.peer_observations import FailureReason, failure_reason
from rap_projections.route_selection import CandidateResult, SelectedRoute

Key = tuple[str, str]
"""What a route is for: destination and channel."""


class RoutesState:
    """The routes class.

    Attributes:
        content_id: the active routes snapshot, or None without one.
        version: its version.
        applied_lsn: LSN of the record that made it the active one.
        candidates: signed candidates by destination and channel, each by id; replaced whole, never changed.
        by_id: the same by candidate id.
        results: what using a candidate came to, by its id.
        selected: the route in use by destination and channel.
        missing: what has candidates and no route in use; derived.
        due: (review_us, key) of every route in use, ascending; derived.
    """

    __slots__ = (
        "content_id", "version", "applied_lsn", "candidates", "by_id", "results", "selected", "missing", "due", "_keys_of_peer",
    )  # fmt: skip

    def __init__(self) -> None:
        """Nothing is permitted."""
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.content_id: bytes | None = None
        self.version = NO_VERSION
        self.applied_lsn = 0
        self.results: dict[str, CandidateResult] = {}
        self.selected: dict[Key, SelectedRoute] = {}
        self.due: Any = SortedList()
        self.permit(())

    def permit(self, candidates: Iterable[RouteCandidate]) -> None:
        """Make these the candidates; routes in use are left as they are."""
        grouped: dict[Key, list[RouteCandidate]] = {}
        ordered = sorted(candidates, key=lambda candidate: candidate.id)
        for candidate in ordered:
            grouped.setdefault((candidate.destination, candidate.channel), []).append(candidate)
        self.by_id: Mapping[str, RouteCandidate] = {candidate.id: candidate for candidate in ordered}
        self.candidates: Mapping[Key, tuple[RouteCandidate, ...]] = {key: tuple(group) for key, group in grouped.items()}
        self.missing = self.candidates.keys() - self.selected.keys()
        self._keys_of_peer: dict[str, set[Key]] | None = None

    def use(self, route: SelectedRoute) -> None:
        """Put `route` into use."""
        key = (route.destination, route.channel)
        self.drop(key)
        self.selected[key] = route
        self.due.add((route.review_us, key))
        self.missing.discard(key)

    def drop(self, key: Key) -> None:
        """Take the route for `key` out of use, if there is one."""
        route = self.selected.pop(key, None)
        if route is not None:
            self.due.remove((route.review_us, key))
            if key in self.candidates:
                self.missing.add(key)

    def keys_through(self, peer: str) -> Iterable[Key]:
        """What has a candidate that leads over or to `peer`."""
        if self._keys_of_peer is None:
            self._keys_of_peer = {}
            for key, group in self.candidates.items():
                for hop in {key[0], *chain.from_iterable(candidate.path for candidate in group)}:
                    self._keys_of_peer.setdefault(hop, set()).add(key)
        return self._keys_of_peer.get(peer, ())

    def due_at(self, node_us: int) -> Iterator[SelectedRoute]:
        """Routes in use that are to be looked at again at this node time."""
        for review_us, key in self.due:
            if review_us > node_us:
                return
            yield self.selected[key]


class RouteFailure(NamedTuple):
    """A failure in use: node time in microseconds, why, and of which candidate."""

    at_us: int
    reason: FailureReason
    candidate_id: str


class RouteView(NamedTuple):
    """The route in use for a destination and channel.

    Attributes:
        destination: id of the node it leads to.
        channel: channel class it is for.
        candidate_id: id of the signed candidate.
        path: relays in order; empty means direct.
        shortcut: whether the candidate is a signed shortcut.
        score: estimate in microseconds, penalties included; lower is better.
        expires_us: node time at which it stops being valid.
        alternatives: ids of the next best candidates, best first.
        last_success_us: node time of the last success on any candidate for it, or None.
        last_success_path: path of that candidate, or None.
        last_failure: last failure on any candidate for it, or None.
        causes: LSNs of the observations and results the choice rests on.
        provenance: LSN that last set each field, by name of the field.
    """

    destination: str
    channel: str
    candidate_id: str
    path: tuple[str, ...]
    shortcut: bool
    score: int
    expires_us: int
    alternatives: tuple[str, ...]
    last_success_us: int | None
    last_success_path: tuple[str, ...] | None
    last_failure: RouteFailure | None
    causes: tuple[int, ...]
    provenance: Mapping[str, int]


class RoutesView(NamedTuple):
    """The route cache at one moment: active snapshot, its version, number of candidates, and routes by "destination/channel"."""

    content_id: bytes | None
    version: Version
    candidate_count: int
    routes: Mapping[str, RouteView]


def view(state: RoutesState) -> RoutesView:
    """The state as it is now, immutable; each route's view is made when it is asked for."""
    routes = _FrozenRoutes(state.candidates, dict(state.results), dict(state.selected))
    return RoutesView(state.content_id, state.version, len(state.by_id), routes)


class _FrozenRoutes(Mapping[str, RouteView]):
    """Views of routes that nobody changes any more."""

    __slots__ = ("_candidates", "_results", "_selected")

    def __init__(
        self,
        candidates: Mapping[Key, tuple[RouteCandidate, ...]],
        results: Mapping[str, CandidateResult],
        selected: Mapping[Key, SelectedRoute],
    ) -> None:
        self._candidates = candidates
        self._results = results
        self._selected = selected

    def __getitem__(self, name: str) -> RouteView:
        destination, _, channel = name.rpartition("/")
        key = (destination, channel)
        return _route_view(self._selected[key], self._candidates[key], self._results)

    def __iter__(self) -> Iterator[str]:
        return (f"{destination}/{channel}" for destination, channel in sorted(self._selected))

    def __len__(self) -> int:
        return len(self._selected)


def _route_view(route: SelectedRoute, group: Iterable[RouteCandidate], results: Mapping[str, CandidateResult]) -> RouteView:
    candidates = {candidate.id: candidate for candidate in group}
    used = [(result, name) for name in candidates if (result := results.get(name))]
    success, success_id = max(used, key=lambda pair: pair[0].success_lsn, default=(CandidateResult(), ""))
    failure, failure_id = max(used, key=lambda pair: pair[0].failure_lsn, default=(CandidateResult(), ""))
    chosen = ("candidate_id", "path", "shortcut", "score", "expires_us", "alternatives", "causes")
    return RouteView(
        route.destination, route.channel, route.candidate_id, route.path, candidates[route.candidate_id].shortcut, route.score,
        route.expires_us, route.alternatives,
        success.success_us or None,
        candidates[success_id].path if success.success_us else None,
        RouteFailure(failure.failure_us, failure_reason(failure.failure_code), failure_id) if failure.failure_us else None,
        route.causes,
        MappingProxyType({
            **dict.fromkeys(chosen, route.lsn),
            "last_success_us": success.success_lsn, "last_success_path": success.success_lsn, "last_failure": failure.failure_lsn,
        }),
    )  # fmt: skip


def to_value(state: RoutesState) -> tuple[Any, ...]:
    """The whole state as arrays and packed columns."""
    candidates = list(state.by_id.values())
    paths = [candidate.path for candidate in candidates]
    return (
        state.content_id, tuple(state.version), state.applied_lsn,
        (
            tuple([candidate.id for candidate in candidates]),
            tuple([candidate.destination for candidate in candidates]),
            tuple([candidate.channel for candidate in candidates]),
            pack("I", map(len, paths)), tuple(chain.from_iterable(paths)),
            pack("I", [candidate.cost for candidate in candidates]),
            bytes([candidate.shortcut for candidate in candidates]),
        ),
        tuple([(name, *state.results[name]) for name in sorted(state.results)]),
        _selected_value([state.selected[key] for key in sorted(state.selected)]),
    )  # fmt: skip


def from_value(value: Any) -> RoutesState:
    """The inverse of `to_value`. Raises `DamageError` for a value of another shape."""
    state = RoutesState()
    try:
        state.content_id, version, state.applied_lsn, candidates, results, selected = value
        state.version = Version(*version)
        ids, destinations, channels, path_counts, paths, costs, shortcuts = candidates
        columns = (
            ids,
            destinations,
            channels,
            list(regroup(paths, unpack("I", path_counts))),
            unpack("I", costs),
            map(bool, shortcuts),
        )
        listed = [RouteCandidate(*row) for row in zip(*columns, strict=True)]
        state.results = {name: CandidateResult._make(result) for name, *result in results}
        state.permit(listed)
        state.selected = {(route.destination, route.channel): route for route in _selected_from(selected, state.by_id)}
        state.due = SortedList([(route.review_us, key) for key, route in state.selected.items()])
        state.missing -= state.selected.keys()
    except (TypeError, ValueError, KeyError) as error:
        raise DamageError(
            "a checkpoint does not hold the routes class; nothing was taken from it. Recovery goes on with an older one.",
            state_class=ROUTES.name,
            reason="checkpoint_shape",
        ) from error
    return state


def _selected_value(routes: list[SelectedRoute]) -> tuple[Any, ...]:
    # Destination, channel and path are those of the candidate.
    _, _, ids, _, scores, expires, reviews, alternatives, causes, lsns = zip(*routes, strict=True) if routes else [()] * 10
    return (
        ids, pack("Q", scores), pack("Q", expires), pack("Q", reviews),
        pack("I", map(len, alternatives)), tuple(chain.from_iterable(alternatives)),
        pack("I", map(len, causes)), pack("Q", chain.from_iterable(causes)),
        pack("Q", lsns),
    )  # fmt: skip


def _selected_from(value: Any, by_id: Mapping[str, RouteCandidate]) -> Iterator[SelectedRoute]:
    ids, scores, expires, reviews, alternative_counts, alternatives, cause_counts, causes, lsns = value
    columns = (
        unpack("Q", scores), unpack("Q", expires), unpack("Q", reviews),
        list(regroup(alternatives, unpack("I", alternative_counts))),
        list(regroup(unpack("Q", causes), unpack("I", cause_counts))),
        unpack("Q", lsns),
    )  # fmt: skip
    for name, *rest in zip(ids, *columns, strict=True):
        candidate = by_id[name]
        yield SelectedRoute(candidate.destination, candidate.channel, name, candidate.path, *rest)
