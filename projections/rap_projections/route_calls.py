"""The calls about routes: the best one, what became of it, and choosing anew.

Rules this file keeps:

- No route is handed out that leads to a revoked node or over one.
- Looking a route up decides nothing and writes nothing; routes are chosen when something changed.
- After a failure was told, the failed candidate is not handed out again as long as there is a better one.

Example::

    route = cluster.routes.best("node-42", channel="interactive")
    if route is not None:
        cluster.routes.result(route, ok=False, reason="timeout")
"""

from contextlib import suppress
from typing import Unpack

from rap_journal.errors import NoSpace
from rap_projections import routes
from rap_projections.arguments import require, require_optional
from rap_projections.cluster_context import ClusterContext
from rap_projections.documents import RouteCandidate
from rap_projections.event_kinds import PEERS, ROUTES, Event
from rap_projections.node_time import Now
from rap_projections.receipts import Context, Receipt
from rap_projections.route_selection import SelectedRoute, touches


class Routes:
    """What `cluster.routes` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def best(self, destination: str, *, channel: str = "default") -> SelectedRoute | None:
        """The route in use for a destination and channel class, or None. ``.alternatives`` are ids of the next best, best first."""
        context = self._context
        try:
            found = routes.best(context.state[ROUTES], destination, channel, context.core.node_us())
        except TypeError:
            _require_names(destination, channel)
            raise
        if found is None:
            _require_names(destination, channel)
        elif (revoked := context.revoked_nodes) and touches(destination, found.path, revoked):
            # Chosen before, and not chosen anew yet for lack of space.
            return None
        return found

    def alternatives(self, route: SelectedRoute) -> tuple[RouteCandidate, ...]:
        """The next best ways to its destination, best first, as they were signed: for whoever cannot wait for another choice.

        Those that are not permitted any more are left out.
        """
        require("route", route, SelectedRoute)
        context = self._context
        with context.core.lock:
            known = context.state[ROUTES].by_id
            found = [known[candidate_id] for candidate_id in route.alternatives if candidate_id in known]
        return tuple([it for it in found if not touches(it.destination, it.path, context.revoked_nodes)])

    def result(self, route: SelectedRoute, *, ok: bool, reason: str | None = None, **context: Unpack[Context]) -> Receipt:
        """Tell what using a route came to. A failure lowers its candidate for a while, and the choice is made anew before this returns.

        Raises `MisuseError` for a reason that is no failure word.
        """

        require("route", route, SelectedRoute)
        require("ok", ok, bool)
        require_optional("reason", reason, str)

        def decide(now: Now) -> tuple[Event, ...]:
            return routes.decide_result(self._context.state[ROUTES], route.candidate_id, ok=ok, reason=reason)

        receipt = self._context.execute("routes", decide, context, durable=not ok)
        if receipt.changed and not ok:
            with suppress(NoSpace):
                # Whoever saw a route fail asks for the next one at once. Without space the choice waits, as every cache does.
                self._choose(self._context.take_touched(), context, durable=True)
        return receipt

    def review(self, *, everything: bool = False, **context: Unpack[Context]) -> Receipt:
        """Choose again where observations, results or time ask for it; with `everything`, for every destination."""
        require("everything", everything, bool)
        return self._choose(None if everything else self._context.take_touched(), context)

    def _choose(self, touched: set[int] | None, context: Context, *, durable: bool = False) -> Receipt:
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            state = cluster.state
            return routes.decide_routes(state[ROUTES], state[PEERS], cluster.policy, now, touched, revoked=cluster.revoked_nodes)

        return cluster.execute("routes", decide, context, durable=durable)


def _require_names(destination: str, channel: str) -> None:
    """Asked where nothing was found, and not before: a route is looked up before every connection."""
    require("destination", destination, str)
    require("channel", channel, str)
