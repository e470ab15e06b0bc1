"""One cluster's state, as the agent sees it.

Rules this file keeps:

- It opens, wires the calls together and hands them out; what each call means stands in its own file.
- What an opening verifies, resets and makes up for stands in `cluster_opening`.

Example::

    cluster = store.cluster("eu-west-1")
    cluster.peers.observe("node-17", rtt_ms=12.5)
    cluster.status()
"""

import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Unpack

from rap_journal.errors import MisuseError
from rap_journal.markers import ProviderKind
from rap_journal.recovery_report import RecoveryReport
from rap_projections import head_expiry, health_decisions, peers, routes, snapshot_decisions, telemetry, update_decisions
from rap_projections.arguments import require, require_optional
from rap_projections.backup_source import LiveSource, known_floors
from rap_projections.bundle_calls import Bundles
from rap_projections.checkpointing import WrittenCheckpoint
from rap_projections.cluster_context import ClusterContext
from rap_projections.cluster_opening import Opening
from rap_projections.cluster_view import ClusterView, view_of
from rap_projections.derivation import Derivation
from rap_projections.doubts import Doubts, heed
from rap_projections.event_kinds import HEALTH, PEERS, ROUTES, SERVICES, SNAPSHOTS, TELEMETRY, UPDATES, Event
from rap_projections.health_calls import Health
from rap_projections.housekeeper import Ticking
from rap_projections.identity_calls import Identity
from rap_projections.identity_review import review_identity
from rap_projections.journaled_state import JournaledState
from rap_projections.known_floors import KnownFloors
from rap_projections.lifecycle import decide_note
from rap_projections.maintenance import Maintenance
from rap_projections.node_time import Now
from rap_projections.operations import Allowed, Operation, require_allowed
from rap_projections.orphaned_keys import remove_orphaned_keys
from rap_projections.peer_calls import Peers
from rap_projections.policy import EffectivePolicy, Policy
from rap_projections.receipts import Context, Receipt, because
from rap_projections.resetting import Resets
from rap_projections.restore_calls import Restores
from rap_projections.restore_decisions import RestoreRequest
from rap_projections.route_calls import Routes
from rap_projections.service_calls import Services
from rap_projections.snapshot_calls import Activation, AfterActivation, Snapshots
from rap_projections.status import live_status
from rap_projections.subscriptions import Delivered, Subscription
from rap_projections.telemetry_calls import Hints, Telemetry
from rap_projections.trust_calls import Trust
from rap_projections.update_calls import Updates
from rap_projections.witness_floors import never_lower, witness_floors
from rap_projections.workload import Resolver, Workload


class ClusterState:
    """One cluster. Thread-safe; handles stay valid over `reopen`."""

    peers: Peers
    routes: Routes
    snapshots: Snapshots
    services: Services
    identity: Identity
    trust: Trust
    updates: Updates
    health: Health
    telemetry: Telemetry
    hints: Hints

    def __init__(self, cluster_id: str, core: JournaledState, policy: Policy, protection: str, doubts: Doubts) -> None:
        self._doubts = doubts
        self._context = ClusterContext(cluster_id, core, policy)
        self._core = core
        self._protection = protection
        self._derivation = Derivation(self._context)
        self._maintenance = Maintenance(self._context)
        self.peers = Peers(self._context)
        self.routes = Routes(self._context)
        self.snapshots = Snapshots(self._context, AfterActivation(self._derivation.derive))
        self.services = Services(self._context)
        self.identity = Identity(self._context)
        self.trust = Trust(self._context, Bundles(self._context, self._follow_bundle))
        self.updates = Updates(self._context)
        self.health = Health(self._context)
        self.telemetry = Telemetry(self._context)
        self.hints = Hints(self._context)
        self._restores = Restores(self._context)
        self._resets = Resets(self._context)
        self._reopening = threading.Lock()
        core.floors_of = lambda state: never_lower(witness_floors(state), core.journal.recovered_floors)
        core.trusted_s = lambda state, instant: self._context.trusted_s(state, instant, core.boot_id)
        core.on_committed = self._context.note_committed

    @property
    def id(self) -> str:
        """The cluster's id."""
        return self._context.cluster_id

    @property
    def recovery(self) -> RecoveryReport:
        """What the last opening found and did (spec 8)."""
        return self._core.journal.report

    @property
    def policy(self) -> EffectivePolicy:
        """The limits in force: the stricter of the operator's and the signed ones."""
        return self._context.policy

    def open(self) -> None:
        """Recover, verify again, and make up for what a crash left undone. Called by the store."""
        self._context.fail_closed_reason = None
        self._core.open()
        self._context.start()
        Opening(self._context, self._derivation, self._doubts).run()
        self._maintenance.opened()

    def sweep(self) -> None:
        """Remove what a crash left and nothing names. Called by the store, before anybody has this cluster. Raises `OSError`."""
        if self._context.fail_closed_reason is None:
            remove_orphaned_keys(self._core)

    def reopen(self) -> None:
        """Recover in process after a failed write. Handles stay valid; observations that were not durable yet are gone.

        Raises what opening raises, and may then be called again; `MisuseError` once the store was closed or the cluster left.
        """
        with self._reopening, self._maintenance.paused():
            self._core.close(to_reopen=True)
            self.open()
            self._core.subscriptions.advance(self._core.journal.durable_lsn)

    def restore_request(self) -> RestoreRequest:
        """What a restored, rolled back or copied node asks its control plane, which answers with a ticket (trust, 19).

        Raises `MisuseError` where the state is not in doubt, `FailClosed`.
        """
        return self._restores.request()

    def validate_restore(self, ticket: bytes, *, source: str = "control-plane", **context: Unpack[Context]) -> Receipt:
        """Verify the ticket that answers `restore_request`, and take up high-risk work again. The same ticket again is ``changed=False``.

        Raises a `RefusedError` (recorded; nothing changed) where it is not signed by a threshold of roots, past its end, demands a newer
        bundle, or names anything else than what was asked, the opening included: after another opening ask again. `MisuseError` where the
        state is not in doubt; `FailClosed`, `NoSpace`, `OutcomeUnknown`, `Poisoned`.
        """
        return self._restores.validate(ticket, source=source, **context)

    def reset(
        self, what: str, *, bundle: bytes | None = None, expect: str | list[str] | None = None, **context: Unpack[Context]
    ) -> Receipt:
        """Start "identity" or "trust" anew: the only way out for a cluster that fails closed, and for an identity that is lost or revoked.

        The bytes go to quarantine, floors stay, and the cluster is opened again. Identity has to be requested and enrolled again; for
        trust, `bundle` and `expect` are needed as for a join, and the bundle may not be older than any accepted before. Asking again is
        ``changed=False``.

        Raises `MisuseError` where nothing is damaged or an argument is missing, a `RefusedError` for the bundle, `FailClosed` where the
        journal was tampered with, `NoSpace`, `OutcomeUnknown`, `Poisoned`, and what opening raises.
        """
        require("what", what, str)
        require_optional("bundle", bundle, bytes)
        require_optional("expect", expect, str, list)
        self._core.origin(context)
        if what == "identity" and bundle is None and expect is None:
            receipt = self._resets.identity(**context)
        elif what == "trust" and bundle is not None and expect is not None:
            receipt = self._resets.trust(bundle=bundle, expect=expect, **context)
        else:
            raise MisuseError(
                'reset takes "identity", or "trust" with bundle and expect; nothing was done.',
                cluster=self.id,
                reason="reset_what",
            )
        if receipt.changed:
            self.reopen()
        return receipt

    def require(self, operation: Operation) -> None:
        """Raise `NotValidated` after a restore, and `NotAllowed` otherwise, unless `allows` says yes."""
        require_allowed(operation, self.allows(operation), self.id)

    def backup_source(self) -> LiveSource:
        """This cluster, as a backup reads it."""
        return LiveSource(self._context)

    def known_floors(self) -> KnownFloors:
        """The highest floors that state and witness know."""
        return known_floors(self._context)

    def heed_doubts(self) -> None:
        """Mark the state as not validated where the anchor tells of a doubt; the store calls it. Raises what writing raises."""
        heed(self._context, self._doubts)

    def close(self) -> None:
        """Commit what waits and close; a cleanly closed journal recovers without replaying a tail twice."""
        self._core.subscriptions.cancel_all()
        with self._maintenance.paused():
            self._context.pay_quietly()
            self._core.close()
        self.updates.forget()

    def view(self, *, digest: bool = False) -> ClusterView:
        """An immutable view of all classes at the last durable LSN; with `digest`, carrying the digest of the whole state."""
        require("digest", digest, bool)
        with self._core.lock:
            return view_of(self.id, self._core.state, with_digest=digest)

    def digest(self) -> str:
        """SHA-256, in hex, of the whole durable state."""
        return self._core.digest()

    def status(self) -> dict[str, Any]:
        """The fields of spec section 12, safe to send: no secret and no topology."""
        return live_status(self._context, self.recovery, self._protection, self._maintenance.status(), self._doubts.anchor_state)

    def allows(self, operation: Operation) -> Allowed:
        """The one gate for high-risk work: `.ok`, `.reason`, `.until`.

        Time that was not paid for is written down first, durably: where that fails the answer is no.
        """
        require("operation", operation, Operation)
        return self._context.ask(operation)

    def workload(self, service_id: str, *, resolver: Resolver | None = None) -> Workload:
        """The five calls that workload `service_id` has; `resolver` is the agent's way to secrets. Every call checks the assignment."""
        changed = {"AssignmentsApplied", "ServiceRemoved"}
        return Workload(self._context, service_id, lambda callback: self.subscribe(callback, kinds=changed), resolver)

    def activation(self, scope: str, *, source: str = "agent") -> Activation:
        """The six steps of an activation one by one, as a context manager."""
        return Activation(self.snapshots, scope, source)

    def activate(self, document: bytes, *, source: str = "agent", **context: Unpack[Context]) -> Receipt:
        """`snapshots.activate`: all six steps at once."""
        return self.snapshots.activate(document, source=source, **context)

    def because(self, receipt: Receipt, *, actor: str | None = None, trace_id: str | None = None) -> AbstractContextManager[None]:
        """Let every call of a block follow from `receipt`. Raises `MisuseError` where the block begins."""
        return because(self.id, cause=receipt, actor=actor, trace_id=trace_id)

    def note(self, text: str, **context: Unpack[Context]) -> Receipt:
        """Leave a remark in the history, for whoever replays it. Raises `MisuseError` for one that is too long or not printable."""
        return self._context.execute("notes", lambda now: decide_note(text), context)

    def expire(self, **context: Unpack[Context]) -> Receipt:
        """Do what time asks for: expire observations, routes, hints and pending documents, choose routes anew, judge contacts (spec 7)."""
        cluster = self._context
        receipts = [cluster.execute(subject, decide, context) for subject, decide in self._due()]
        receipts.append(self.routes.review(**context))
        changed = [receipt for receipt in receipts if receipt.changed]
        lsn = max((receipt.lsn for receipt in changed if receipt.lsn is not None), default=None)
        return Receipt(lsn, all(receipt.durable for receipt in receipts), bool(changed))

    def next_deadline(self) -> int | None:
        """Node time, in microseconds, at which `expire` should be called next even if nothing happens; None for never."""
        state, policy = self._core.state, self._context.policy
        with self._core.lock:
            due = (
                peers.next_deadline(state[PEERS], policy),
                routes.next_deadline(state[ROUTES]),
                telemetry.next_deadline(state[TELEMETRY]),
                snapshot_decisions.next_deadline(state.view(SNAPSHOTS), policy),
                update_decisions.next_deadline(state.view(UPDATES), policy),
                health_decisions.next_deadline(state.view(HEALTH), policy),
                head_expiry.next_deadline(self._context, self._core.now()),
            )
        return min((at for at in due if at is not None), default=None)

    def node_time_us(self) -> int:
        """Node time now, in microseconds: the clock of expiries and deadlines."""
        return self._core.node_us()

    def flush(self) -> Receipt:
        """Commit everything that waits: the barrier between queued and durable.

        The receipt's `lsn` is that of the last record then; with nothing waiting it is ``changed=False``. It takes no cause, for it
        writes no event of its own. Raises `NoSpace`, `OutcomeUnknown`, `Poisoned`.
        """
        return self._core.flush()

    def checkpoint(self) -> WrittenCheckpoint:
        """Write a checkpoint set at the last durable LSN, retire history the policy no longer keeps, and keep within the disk budget.

        Nobody has to call it: in the background one is written whenever the policy says so.

        Raises `FailClosed` where the cluster does: a checkpoint of a damaged state would hide the damage. Raises what writing raises.
        """
        return self._maintenance.checkpoint()

    def subscribe(
        self, callback: Callable[[Delivered], None], *, kinds: Collection[str] | None = None, after: int | None = None
    ) -> Subscription:
        """Call `callback` for every event, in order and at least once, on a thread of its own; `kinds` names event kinds to be told of.

        `after`: LSN already seen, such as the cursor of an earlier subscription; None for "from now on". Raises `HistoryGone` where
        events behind it are not kept any more, `CursorDiverged` where it is beyond the last one, `MisuseError` for an unknown kind.
        """
        require_optional("after", after, int)
        core = self._core
        core.require_open()
        durable_lsn = core.journal.durable_lsn
        start = durable_lsn if after is None else after
        subscription = Subscription(callback, kinds, after=start, catch_up=core.history_after, is_behind=start < durable_lsn)
        core.require_history(start)
        core.subscriptions.add(subscription)
        # What was committed between looking and being added was offered to nobody.
        subscription.advance(core.journal.durable_lsn)
        subscription.start()
        return subscription

    @property
    def is_writable(self) -> bool:
        """False where the journal was tampered with, or holds records of a later release: then it can only be read."""
        return self._core.journal.is_writable

    @property
    def format_level(self) -> int:
        """The level at which the cluster's journal is written."""
        return self._core.journal.format_level

    def name_provider(self, kind: ProviderKind) -> None:
        """Let the marker name this kind of key provider; `StoreKeys` calls it. Where the journal is not open, it keeps its name."""
        if self._core.is_open:
            self._core.journal.name_provider(kind)

    def rotate_data_key(self) -> int:
        """Make a new data key; `StoreKeys` calls it. Returns its generation. Raises what writing raises."""
        self._core.require_open()
        return self._core.journal.rotate_data_key()

    def raise_level(self, level: int) -> None:
        """Write at this level from now on; `NodeStore.commit_format` calls it. Raises what writing raises."""
        self._core.require_open()
        self._core.journal.raise_level(level)

    def tick(self) -> None:
        """Called by the housekeeper: commit batches that waited long enough, bring an idle witness up to date, pay for the time, scrub."""
        self._core.tick()
        if self._core.is_open and self._context.fail_closed_reason is None:
            self._context.pay_uptime()
            self._derivation.catch_up()
            self._maintenance.tick()

    @property
    def upkeep(self) -> Ticking:
        """What takes long and can wait: the thread for upkeep ticks it."""
        return self._maintenance.due

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for time to pass."""
        core, journal = self._core, self._core.journal
        if not core.is_open or journal.is_poisoned or not journal.is_writable:
            return True
        waits = journal.has_waiting or core.is_waiting or len(self._context.buffer)
        return journal.witnessed_lsn >= journal.durable_lsn and not waits

    def _follow_bundle(self, receipt: Receipt) -> None:
        """A new bundle may revoke this node, and ends documents that other classes go by."""
        review_identity(self._context, cause=receipt)
        self._derivation.derive_all(receipt)

    def _due(self) -> list[tuple[str, Callable[[Now], tuple[Event, ...]]]]:
        cluster = self._context
        state, policy = cluster.state, cluster.policy
        return [
            ("peers", lambda now: peers.decide_expiry(state[PEERS], now, policy)),
            ("routes", lambda now: routes.decide_expiry(state[ROUTES], now)),
            (
                "telemetry",
                lambda now: (
                    *telemetry.decide_expiry(state[TELEMETRY], now),
                    *telemetry.decide_eviction(state[TELEMETRY], policy),
                ),
            ),
            ("snapshots", lambda now: snapshot_decisions.decide_stale_dropped(state.view(SNAPSHOTS), now, policy)),
            ("snapshots", lambda now: snapshot_decisions.decide_trimmed(state.view(SNAPSHOTS), policy)),
            ("updates", lambda now: update_decisions.decide_stale_dropped(state.view(UPDATES), now, policy)),
            ("health", lambda now: health_decisions.decide_degraded(state.view(HEALTH), now, policy)),
            ("health", lambda now: head_expiry.decide_head_expiry(cluster, now)),
            ("health", lambda now: health_decisions.decide_services_summary(state.view(HEALTH), *state.view(SERVICES).counts())),
            ("uptime", cluster.decide_uptime),
        ]
