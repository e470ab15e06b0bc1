"""One cluster's state, as the agent sees it.

Rules this file keeps:

- It opens, wires the calls together and hands them out; what each call means stands in its own file.
- Opening decides nothing about trust by itself: kept bundles and active documents are verified again, and damage to identity or
  trust fails closed, which still leaves diagnostics and reports.

Example::

    cluster = store.cluster("eu-west-1")
    cluster.peers.observe("node-17", rtt_ms=12.5)
    cluster.status()
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Unpack

from rap_journal.errors import DamageError
from rap_journal.recovery_report import ClassLoss, RecoveryReport
from rap_journal.sealing import SealBroken
from rap_projections import health_decisions, peers, routes, snapshot_decisions, telemetry, trust_decisions, update_decisions
from rap_projections.checkpointing import WrittenCheckpoint, retire, write_checkpoint
from rap_projections.cluster_context import ClusterContext
from rap_projections.cluster_view import ClusterView, view_of
from rap_projections.derivation import Derivation
from rap_projections.documents import CLUSTER_WIDE, Scope, Version
from rap_projections.event_kinds import (
    CLUSTER_CLASSES,
    HEALTH,
    IDENTITY,
    PEERS,
    ROUTES,
    SNAPSHOTS,
    TELEMETRY,
    TRUST,
    UPDATES,
    Event,
)
from rap_projections.health_calls import Health
from rap_projections.health_events import UptimeDebited
from rap_projections.journaled_state import JournaledState
from rap_projections.lifecycle import ClassReset, Note, RecoveryDone
from rap_projections.node_time import Now
from rap_projections.operations import Allowed, Operation, decide_allowed
from rap_projections.peer_calls import Peers
from rap_projections.policy import EffectivePolicy, Policy
from rap_projections.receipts import Context, Receipt, because
from rap_projections.refusals import RefusedError
from rap_projections.route_calls import Routes
from rap_projections.service_calls import Services
from rap_projections.snapshot_calls import Activation, AfterActivation, Snapshots
from rap_projections.status import live_status
from rap_projections.subscriptions import Delivered, Subscription
from rap_projections.telemetry_calls import Hints, Telemetry

_BY_NUMBER = {spec.number: spec for spec in CLUSTER_CLASSES}
_FATAL = (IDENTITY.number, TRUST.number)


class ClusterState:
    """One cluster. Thread-safe; handles stay valid over `reopen`."""

    peers: Peers
    routes: Routes
    snapshots: Snapshots
    services: Services
    health: Health
    telemetry: Telemetry
    hints: Hints

    def __init__(self, cluster_id: str, core: JournaledState, policy: Policy, protection: str) -> None:
        self._context = ClusterContext(cluster_id, core, policy)
        self._core = core
        self._protection = protection
        self._derivation = Derivation(self._context)
        self.peers = Peers(self._context)
        self.routes = Routes(self._context)
        self.snapshots = Snapshots(self._context, AfterActivation(self._derivation.derive))
        self.services = Services(self._context)
        self.health = Health(self._context)
        self.telemetry = Telemetry(self._context)
        self.hints = Hints(self._context)
        core.floors_of = witness_floors
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
        context, core = self._context, self._core
        context.fail_closed_reason = None
        core.open()
        context.start()
        if not core.journal.is_writable:
            context.fail_closed("tampered")
        losses = [loss for loss in core.journal.report.losses if (loss.state_class, loss.first_lsn, loss.last_lsn) not in core.resets_seen]
        self._judge_losses(losses)
        self._verify_trust()
        if context.fail_closed_reason is None:
            self._record_recovery(losses)
            self._raise_floors()
            self._withdraw_unsound()
            self._derivation.derive_all()

    def reopen(self) -> None:
        """Recover in process after a failed write. Handles stay valid. Raises what opening raises."""
        self._core.journal.close()
        self.open()

    def close(self) -> None:
        """Commit what waits and close; a cleanly closed journal recovers without replaying a tail twice."""
        self._core.subscriptions.cancel_all()
        self._core.journal.close()

    def view(self, *, digest: bool = False) -> ClusterView:
        """An immutable view of all classes at the last durable LSN; with `digest`, carrying the digest of the whole state."""
        with self._core.lock:
            return view_of(self.id, self._core.state, with_digest=digest)

    def digest(self) -> str:
        """SHA-256, in hex, of the whole durable state."""
        return self._core.digest()

    def status(self) -> dict[str, Any]:
        """The fields of spec section 12, safe to send: no secret and no topology."""
        return live_status(self._context, self.recovery, self._protection)

    def allows(self, operation: Operation) -> Allowed:
        """The one gate for high-risk work: `.ok`, `.reason`, `.seconds_left`."""
        context = self._context
        with self._core.lock:
            return decide_allowed(
                operation, self._core.state, context.policy, self._core.now(), self._core.boot_id, context.fail_closed_reason
            )

    def activation(self, scope: str, *, source: str = "agent") -> Activation:
        """The six steps of an activation one by one, as a context manager."""
        return Activation(self.snapshots, scope, source)

    def activate(self, document: bytes, *, source: str = "agent", **context: Unpack[Context]) -> Receipt:
        """`snapshots.activate`: all six steps at once."""
        return self.snapshots.activate(document, source=source, **context)

    def because(self, receipt: Receipt, *, actor: str | None = None, trace_id: str | None = None) -> AbstractContextManager[None]:
        """Let every call of a block follow from `receipt`."""
        return because(cause=receipt, actor=actor, trace_id=trace_id)

    def note(self, text: str, **context: Unpack[Context]) -> Receipt:
        """Leave a remark in the history, for whoever replays it. Raises `MisuseError` for one that is too long or not printable."""
        checked = Note(text)
        return self._context.execute("notes", lambda now: (checked,), context)

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
            )
        return min((at for at in due if at is not None), default=None)

    def node_time_us(self) -> int:
        """Node time now, in microseconds: the clock of expiries and deadlines."""
        return self._core.node_us()

    def flush(self) -> None:
        """Commit everything that waits: the barrier between queued and durable. Raises `NoSpace`, `OutcomeUnknown`, `Poisoned`."""
        self._core.journal.flush()

    def checkpoint(self) -> WrittenCheckpoint:
        """Write a checkpoint set at the last durable LSN, and retire history the policy no longer keeps."""
        written = write_checkpoint(self._core)
        retire(self._core, self._context.policy, self._core.now())
        return written

    def subscribe(
        self, callback: Callable[[Delivered], None], *, kinds: Collection[str] | None = None, after: int | None = None
    ) -> Subscription:
        """Call `callback` for every event from now on, in order, on a thread of its own; `kinds` names event kinds to be told of.

        `after`: LSN already seen; None for "from now on".
        """
        subscription = Subscription(callback, kinds, self._core.journal.durable_lsn if after is None else after)
        self._core.subscriptions.add(subscription)
        subscription.start()
        return subscription

    def tick(self) -> None:
        """Called by the housekeeper: commit batches that waited long enough, bring an idle witness up to date."""
        self._core.tick()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for time to pass."""
        journal = self._core.journal
        behind = journal.is_writable and not journal.is_poisoned and journal.witnessed_lsn < journal.durable_lsn
        return not behind and not len(self._context.buffer) and not self._core.is_waiting

    def _due(self) -> list[tuple[str, Callable[[Now], tuple[Event, ...]]]]:
        cluster = self._context
        state, policy = cluster.state, cluster.policy
        boot_id = self._core.boot_id
        return [
            ("peers", lambda now: peers.decide_expiry(state[PEERS], now, policy)),
            ("routes", lambda now: routes.decide_expiry(state[ROUTES], now)),
            ("telemetry", lambda now: (*telemetry.decide_expiry(state[TELEMETRY], now), *telemetry.decide_eviction(state[TELEMETRY], policy))),
            ("snapshots", lambda now: snapshot_decisions.decide_stale_dropped(state.view(SNAPSHOTS), now, policy)),
            ("updates", lambda now: update_decisions.decide_stale_dropped(state.view(UPDATES), now, policy)),
            ("health", lambda now: health_decisions.decide_degraded(state.view(HEALTH), now, policy)),
            ("uptime", lambda now: health_decisions.decide_uptime(state.view(HEALTH), now, boot_id)),
        ]

    def _judge_losses(self, losses: list[ClassLoss]) -> None:
        """Losing identity or trust fails closed; what else is lost is reset."""
        for loss in losses:
            if loss.state_class in _FATAL:
                self._context.fail_closed(f"{_BY_NUMBER[loss.state_class].name}_damaged")

    def _verify_trust(self) -> None:
        """Every kept bundle is verified again, from the bootstrap on."""
        try:
            self._context.load_trust()
        except (RefusedError, DamageError, SealBroken, OSError):
            self._context.fail_closed("trust_damaged")

    def _record_recovery(self, losses: list[ClassLoss]) -> None:
        """Write down what recovery found, and reset the classes that lost something."""
        report = self.recovery
        resets = [ClassReset(loss.state_class, loss.first_lsn, loss.last_lsn, loss.reason) for loss in _resettable(losses)]
        events = [
            RecoveryDone(
                finding.segment, finding.offset, max(0, finding.first_lsn - 1), finding.byte_count, finding.verdict.name.lower(),
                finding.reason, "cut" if finding.byte_count else "reported", "check_disk" if report.is_damage else "none", None,
            )
            for finding in report.findings
        ]  # fmt: skip
        if HEALTH.name in report.cautious and not any(reset.class_number == HEALTH.number for reset in resets):
            resets.append(ClassReset(HEALTH.number, 0, 0, "torn_or_rotten"))
        for event in (*resets, *events):
            self._context.execute("recovery", self._with_uptime(event), durable=True)

    def _with_uptime(self, event: Event) -> Callable[[Now], tuple[Event, ...]]:
        """A reset of health must not stop trusted time: what trust knows of the time used up is written right behind it."""

        def decide(now: Now) -> tuple[Event, ...]:
            if not isinstance(event, ClassReset) or event.class_number != HEALTH.number:
                return (event,)
            instants = self._core.state.view(TRUST).instants.values()
            used_s = max((seen.uptime_s for seen in instants), default=0)
            return (event, UptimeDebited(used_s, self._core.boot_id, now.boot_us))

        return decide

    def _raise_floors(self) -> None:
        """The floor is the maximum of what journal and witness know (trust, 15)."""
        floors = self._core.journal.recovered_floors
        if floors is None:
            return
        (bundle_version, bundle_id), (revocations, entries), _restore, scopes, head, _time = floors
        raised = [(name, Version(generation, version), content_id) for name, generation, version, content_id in scopes]
        raised.append((CLUSTER_WIDE, Version(*head[:2]), head[2]))

        def decide(now: Now) -> tuple[Event, ...]:
            trust, snapshots = self._core.state.view(TRUST), self._core.state.view(SNAPSHOTS)
            events = trust_decisions.decide_floor_raised(
                trust, bundle_version=bundle_version, bundle_content_id=bundle_id, revocation_digest=revocations,
                revocation_count=entries, origin="witness",
            )  # fmt: skip
            for name, version, content_id in raised:
                events += snapshot_decisions.decide_floor_raised(
                    snapshots, scope=name, version=version, content_id=content_id, origin="witness"
                )
            return events

        self._context.execute("floors", decide)

    def _withdraw_unsound(self) -> None:
        """Active documents whose bytes are gone or damaged give way to a previous one, or to none (spec 8, step 3)."""
        cluster = self._context
        for scope in Scope:
            held = cluster.state.view(SNAPSHOTS).scope(scope)
            if held.active is None or cluster.is_sound(held.active):
                continue
            usable = {previous.facts.content_id for previous in held.previous if cluster.is_sound(previous)}
            self._fall_back(scope, usable)

    def _fall_back(self, scope: Scope, usable: Collection[bytes]) -> None:
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            snapshots = cluster.state.view(SNAPSHOTS)
            return snapshot_decisions.decide_fall_back(
                snapshots, scope=scope, reason="damaged", usable=usable, now=now, policy=cluster.policy
            )

        cluster.execute(f"snapshots/{scope.value}", decide)


def witness_floors(state: Any) -> Any:
    """What the witness keeps: bundle version and id, revocations, restore state, per scope the highest version accepted, time used up."""
    trust, health = state.view(TRUST), state.view(HEALTH)
    scopes = state.view(SNAPSHOTS).scopes
    head = state.view(SNAPSHOTS).head_floor
    return [
        [trust.floor.version.version, trust.floor.content_id],
        [trust.revocations.digest, trust.revocations.entries],
        trust.restore_state.value,
        [[name, *scope.floor.version, scope.floor.content_id] for name, scope in sorted(scopes.items())],
        [*head.version, head.content_id],
        [trust.trusted_s(health.uptime.used_s), health.uptime.used_s, health.deadline.uptime_s],
    ]


def _resettable(losses: list[ClassLoss]) -> list[ClassLoss]:
    return [loss for loss in losses if loss.state_class not in _FATAL]

