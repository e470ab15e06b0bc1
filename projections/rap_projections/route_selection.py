"""Which of the permitted ways to a destination is best now: a pure function of candidates, peers, limits and time.

Rules this file keeps:

- Only signed candidates are chosen from, and shortcuts only where the policy in force allows them (spec 4, route cache).
- No way leads to a revoked node or over one, whatever a document says that was signed before it was revoked (trust, 10).
- A score is an estimate of microseconds, in integers: lower is better. Equal scores are decided by candidate id.
- What was not seen, or not lately, counts as a cautious default: no better than a poor peer, no worse than a dead one.
- A direct way is judged by what was seen of the destination. A way over relays is judged by its relays: that probes of the
  destination are lost on the direct way says nothing about the way around.
- A choice says until when it stands if nothing more is seen: `review_us`.

Score of a candidate = latency of every hop + loss and unreliability of the judged hops + signed cost + work of the relays
+ the penalty of a recent failure. Latency of a hop is the round trip from this node; what lies between two relays is not known here.

Example::

    route = select("node-42", "interactive", candidates, lambda peer: facts(state, peer), policy, now)
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from rap_projections.documents import RouteCandidate
from rap_projections.node_time import Now
from rap_projections.peer_state import UNKNOWN_RELIABILITY, PeerFacts
from rap_projections.policy import Policy

UNKNOWN_LATENCY_US = 250_000
"""Stands for the round trip to a peer that did not answer lately."""

UNKNOWN_LOSS_PPM = 50_000
"""Stands for the loss of a peer that was not seen lately."""

US_PER_LOSS_PPM = 4
"""A loss of 1 % weighs as much as 40 ms."""

US_PER_UNRELIABILITY = 100
"""Each point of reliability that lacks to 1000 weighs 0.1 ms."""

US_PER_COST = 100
"""One unit of signed cost weighs 0.1 ms."""

US_PER_RELAY = 1_000
"""What a relay itself takes."""

PENALTY_SCORE_US = 60_000_000
"""Added while a failure of the candidate stands: it is then chosen only where nothing else is."""


class CandidateResult(NamedTuple):
    """What using a candidate came to.

    Attributes:
        success_us: node time of the last success; 0 for none.
        success_lsn: LSN that said so.
        failure_us: node time of the last failure; 0 for none.
        failure_lsn: LSN that said so.
        failure_code: code of its `FailureReason`; 0 for none.
        penalty_until_us: node time until which the failure lowers the candidate; 0 for not at all.
    """

    success_us: int = 0
    success_lsn: int = 0
    failure_us: int = 0
    failure_lsn: int = 0
    failure_code: int = 0
    penalty_until_us: int = 0


class SelectedRoute(NamedTuple):
    """The route chosen for a destination and channel.

    Attributes:
        destination: id of the node it leads to.
        channel: channel class it is for.
        candidate_id: id of the signed candidate.
        path: relays in order; empty means direct.
        score: estimate in microseconds, penalties included; lower is better.
        expires_us: node time at which it stops being valid.
        review_us: node time at which the choice should be made again even if nothing is seen until then.
        alternatives: ids of the next best candidates, best first.
        causes: LSNs of the observations and results it rests on, ascending.
        lsn: LSN of the record that chose it; 0 before it is recorded.
    """

    destination: str
    channel: str
    candidate_id: str
    path: tuple[str, ...]
    score: int
    expires_us: int
    review_us: int
    alternatives: tuple[str, ...]
    causes: tuple[int, ...]
    lsn: int = 0

    @property
    def expires_at(self) -> datetime:
        """`expires_us` as a date in UTC: what node time takes for the time of day."""
        return datetime.fromtimestamp(self.expires_us / 1_000_000, UTC)


PeerLookup = Callable[[str], PeerFacts | None]
"""What is known of a peer by id; None for a stranger."""

NO_RESULTS: Mapping[str, CandidateResult] = {}


class _Estimate(NamedTuple):
    """A candidate's score, until when it holds by itself, the LSNs of what was seen of its hops, and of the failure that lowers it."""

    score: int
    candidate: RouteCandidate
    until_us: int
    seen_lsns: tuple[int, ...]
    penalty_lsns: tuple[int, ...]


def select(
    destination: str,
    channel: str,
    candidates: Iterable[RouteCandidate],
    peer_lookup: PeerLookup,
    limits: Policy,
    now: Now,
    *,
    results: Mapping[str, CandidateResult] = NO_RESULTS,
    current: str | None = None,
    revoked: Collection[str] = (),
) -> SelectedRoute | None:
    """The best permitted candidate for `destination` and `channel`, or None where there is none, or routes may have no age.

    Args:
        destination: id of the node to reach.
        channel: channel class.
        candidates: signed candidates; those for another destination or channel are passed over.
        peer_lookup: what is known of a peer.
        limits: policy in force: ages, number of alternatives, shortcuts, how much better a switch must be.
        now: the time of the choice.
        results: what using each candidate came to, by id.
        current: candidate in use; another one replaces it only if it is better by `route_switch_permille`.
        revoked: ids of nodes that no way may touch.
    """
    estimates = sorted(
        [
            (estimate.score, candidate.id, estimate)
            for candidate in candidates
            if candidate.destination == destination and candidate.channel == channel and _is_permitted(candidate, limits, revoked)
            for estimate in [_estimate(candidate, peer_lookup, limits, now, results.get(candidate.id))]
        ]
    )
    if not estimates or not limits.route_age_s_max:
        return None
    order = [estimate for _, _, estimate in estimates]
    _keep_current(order, current, limits.route_switch_permille)
    best = order[0]
    age_us = limits.route_age_s_max * 1_000_000
    return SelectedRoute(
        destination=destination,
        channel=channel,
        candidate_id=best.candidate.id,
        path=best.candidate.path,
        score=best.score,
        expires_us=now.node_us + age_us,
        # At half its age a route is looked at again, so that one in use does not expire between two looks.
        review_us=min(now.node_us + age_us // 2, *[estimate.until_us for estimate in order]),
        alternatives=tuple([estimate.candidate.id for estimate in order[1 : 1 + limits.alternatives_max]]),
        # A failure of another candidate is part of why this one was chosen.
        causes=tuple(sorted({*best.seen_lsns, *[lsn for estimate in order for lsn in estimate.penalty_lsns]})),
    )


def touches(destination: str, path: tuple[str, ...], nodes: Collection[str]) -> bool:
    """Whether a way leads to one of `nodes`, or over one."""
    return destination in nodes or any(hop in nodes for hop in path)


def penalised_until(candidate: RouteCandidate, result: CandidateResult | None, peer_lookup: PeerLookup, now_us: int) -> int:
    """Node time until which the last failure of `candidate` lowers it; 0 where it does not.

    It stands until its time is over, or every judged hop was seen to answer after it.
    """
    if result is None or result.penalty_until_us <= now_us:
        return 0
    seen = [peer_lookup(hop) for hop in _judged(candidate)]
    answered = all(peer is not None and peer.success_us > result.failure_us for peer in seen)
    return 0 if answered else result.penalty_until_us


def _is_permitted(candidate: RouteCandidate, limits: Policy, revoked: Collection[str]) -> bool:
    if candidate.shortcut and not limits.shortcut_allowed:
        return False
    return not (revoked and touches(candidate.destination, candidate.path, revoked))


def _keep_current(order: list[_Estimate], current: str | None, switch_permille: int) -> None:
    """Move the candidate in use to the front, unless the best one is better by enough."""
    place = next((index for index, estimate in enumerate(order) if estimate.candidate.id == current), 0)
    if place and order[0].score * 1000 > order[place].score * (1000 - switch_permille):
        order.insert(0, order.pop(place))


def _judged(candidate: RouteCandidate) -> tuple[str, ...]:
    return candidate.path or (candidate.destination,)


def _estimate(
    candidate: RouteCandidate, peer_lookup: PeerLookup, limits: Policy, now: Now, result: CandidateResult | None
) -> _Estimate:
    age_us = limits.observation_age_s_max * 1_000_000
    cutoff_us = now.node_us - age_us
    score = candidate.cost * US_PER_COST + len(candidate.path) * US_PER_RELAY
    until_us = _FOREVER
    seen_lsns: list[int] = []
    judged = _judged(candidate)
    for hop in (*candidate.path, candidate.destination):
        peer = peer_lookup(hop)
        latency_us, loss_ppm, reliability = UNKNOWN_LATENCY_US, UNKNOWN_LOSS_PPM, UNKNOWN_RELIABILITY
        if peer is not None and peer.observed_us > cutoff_us:
            loss_ppm, reliability = peer.loss_ppm, peer.reliability
            until_us = min(until_us, peer.observed_us + age_us)
            seen_lsns.append(peer.lsn)
            if peer.success_us > cutoff_us:
                latency_us = peer.latency_us
                until_us = min(until_us, peer.success_us + age_us)
        score += latency_us
        if hop in judged:
            score += loss_ppm * US_PER_LOSS_PPM + (1000 - reliability) * US_PER_UNRELIABILITY
    penalty_us = penalised_until(candidate, result, peer_lookup, now.node_us)
    if not penalty_us or result is None:
        return _Estimate(score, candidate, until_us, tuple(seen_lsns), ())
    return _Estimate(score + PENALTY_SCORE_US, candidate, min(until_us, penalty_us), tuple(seen_lsns), (result.failure_lsn,))


_FOREVER = (1 << 63) - 1
