"""What follows from the active documents in the other classes: policy, directory, route candidates, assignments, offers.

Rules this file keeps:

- Every step is repeatable: what is applied already gives no event. So the same code runs behind an activation and at every
  opening, where it makes up for a crash in between.
- What is active is durable, so a lack of space for what follows from it is not the activation's failure: the cautious part, the policy in
  force, holds at once, and the rest is made up for at the next tick that finds space, or at the next opening.
- A document is reported as applied last of all: while it is not, the choice of routes that follows from it is made (again).
- Each class decides by itself; what crosses over is the content id and what the document says.

Example::

    Derivation(context).derive(Scope.PEERS, receipt)
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rap_journal.errors import NoSpace
from rap_projections import health_decisions, peers, routes, service_decisions, snapshot_decisions, update_decisions
from rap_projections.cluster_context import ClusterContext
from rap_projections.documents import Scope, Version
from rap_projections.event_kinds import HEALTH, PEERS, ROUTES, SERVICES, SNAPSHOTS, UPDATES, Event
from rap_projections.node_time import Now
from rap_projections.receipts import Context, Receipt
from rap_projections.snapshot_loss import decide_snapshots_back

NO_VERSION = Version(0, 0)


class Derivation:
    """Applies active documents to the classes that depend on them."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context
        self._behind: set[Scope] = set()

    def derive(self, scope: Scope, cause: Receipt | None = None) -> None:
        """Bring what depends on `scope` up to its active document, and report the document as applied; where there is space for that."""
        self._behind.add(scope)
        with suppress(NoSpace):
            self._derive(scope, {"cause": cause} if cause is not None else {})
            self._behind.discard(scope)

    def catch_up(self) -> None:
        """Try again what found no space."""
        if self._behind:
            # Nothing may be activated between reading what is active and applying it.
            with self._context.authority:
                for scope in Scope:
                    if scope in self._behind:
                        self.derive(scope)

    def _derive(self, scope: Scope, context: Context) -> None:
        if scope is Scope.POLICY:
            self._apply_policy(context)
        elif scope is Scope.PEERS:
            self._apply_directory(context)
        elif scope is Scope.ROUTES:
            self._apply_candidates(context)
        elif scope is Scope.SERVICES:
            self._apply_assignments(context)
        else:
            self._apply_offers(context)
        self._judge_loss(context)
        self._report_applied(scope, context)

    def derive_all(self, cause: Receipt | None = None) -> None:
        """Make up for whatever was not applied yet, after a crash or a change of trust. Nothing is written where nothing is missing."""
        for scope in Scope:
            self.derive(scope, cause)
        if routes.touch_any(self._context.state[ROUTES], self._context.revoked_nodes):
            with suppress(NoSpace):
                # Without space the routes stay in the cache until they expire or are looked at again; `best` gives none of them.
                self._select_routes({"cause": cause} if cause is not None else {})

    def _active(self, scope: Scope) -> tuple[bytes | None, Version, Any]:
        active = self._context.state.view(SNAPSHOTS).scope(scope).active
        if active is None:
            return None, NO_VERSION, ()
        return active.facts.content_id, active.facts.version, self._context.shelf.snapshot(active.facts.content_id).body

    def _apply_policy(self, context: Context) -> None:
        cluster = self._context
        cluster.load_policy()
        active = cluster.state.view(SNAPSHOTS).scope(Scope.POLICY).active
        content_id = active.facts.content_id if active else None

        def decide(now: Now) -> Sequence[Event]:
            health = cluster.state.view(HEALTH)
            return health_decisions.decide_policy(
                health, cluster.policy, build=cluster.core.machine.build, signed_content_id=content_id
            )

        if cluster.execute("health", decide, context).changed or not self._is_reported(Scope.POLICY):
            # Other limits may mean other evictions and other routes.
            cluster.execute("peers", lambda now: peers.decide_eviction(cluster.state[PEERS], cluster.policy), context)
            self._select_routes(context)

    def _apply_directory(self, context: Context) -> None:
        cluster = self._context
        state = cluster.state[PEERS]
        if state.directory.content_id == self._content_id(Scope.PEERS) and state.directory.peers_max == cluster.policy.peers_max:
            self._make_up_for_routes(Scope.PEERS, context)
            return
        content_id, version, entries = self._active(Scope.PEERS)

        def decide(now: Now) -> Sequence[Event]:
            return peers.decide_directory(cluster.state[PEERS], content_id, version, entries, cluster.policy)

        if cluster.execute("peers", decide, context, durable=True).changed:
            self._select_routes(context)

    def _apply_candidates(self, context: Context) -> None:
        cluster = self._context
        if cluster.state[ROUTES].content_id == self._content_id(Scope.ROUTES):
            self._make_up_for_routes(Scope.ROUTES, context)
            return
        content_id, version, _entries = self._active(Scope.ROUTES)

        def decide(now: Now) -> Sequence[Event]:
            return routes.decide_candidates(cluster.state[ROUTES], content_id, version)

        if cluster.execute("routes", decide, context, durable=True).changed:
            self._select_routes(context)

    def _make_up_for_routes(self, scope: Scope, context: Context) -> None:
        """A crash may have come between what `scope` brought and the choice of routes that follows from it."""
        if not self._is_reported(scope):
            self._select_routes(context)

    def _select_routes(self, context: Context) -> None:
        cluster = self._context
        cluster.take_touched()

        def decide(now: Now) -> Sequence[Event]:
            return routes.decide_routes(
                cluster.state[ROUTES], cluster.state[PEERS], cluster.policy, now, revoked=cluster.revoked_nodes
            )

        cluster.execute("routes", decide, context, durable=True)

    def _apply_assignments(self, context: Context) -> None:
        cluster = self._context
        if cluster.state.view(SERVICES).content_id == self._content_id(Scope.SERVICES):
            return
        content_id, _version, assignments = self._active(Scope.SERVICES)

        def decide(now: Now) -> Sequence[Event]:
            return service_decisions.decide_assignments(
                cluster.state.view(SERVICES), content_id=content_id, assignments=assignments
            )

        cluster.execute("services", decide, context)

    def _apply_offers(self, context: Context) -> None:
        cluster = self._context
        if cluster.state.view(UPDATES).offers_content_id == self._content_id(Scope.UPDATES):
            return
        content_id, _version, offers = self._active(Scope.UPDATES)

        def decide(now: Now) -> Sequence[Event]:
            return update_decisions.decide_offers(cluster.state.view(UPDATES), content_id=content_id, offers=offers)

        cluster.execute("updates", decide, context)

    def _judge_loss(self, context: Context) -> None:
        cluster = self._context
        cluster.execute(
            "health", lambda now: decide_snapshots_back(cluster.state.view(HEALTH), cluster.state.view(SNAPSHOTS)), context
        )

    def _report_applied(self, scope: Scope, context: Context) -> None:
        """The sixth step of spec section 4: the version by which the affected components run."""
        cluster = self._context

        def decide(now: Now) -> Sequence[Event]:
            snapshots = cluster.state.view(SNAPSHOTS)
            content_id = self._content_id(scope)
            return snapshot_decisions.decide_applied(snapshots, scope=scope, content_id=content_id) if content_id else ()

        cluster.execute(f"snapshots/{scope.value}", decide, context)

    def _is_reported(self, scope: Scope) -> bool:
        """Whether everything that follows from the active document was done; so it is where there is none."""
        held = self._context.state.view(SNAPSHOTS).scope(scope)
        return held.active is None or (held.applied is not None and held.applied.content_id == held.active.facts.content_id)

    def _content_id(self, scope: Scope) -> bytes | None:
        active = self._context.state.view(SNAPSHOTS).scope(scope).active
        return active.facts.content_id if active else None
