"""Opening a cluster: from a recovered journal to a state that may be used (spec 8).

Rules this file keeps:

- Opening decides nothing about trust by itself: kept bundles, identity and active documents are verified again. Damage to identity or
  trust fails closed, at this opening and at every later one, which still leaves diagnostics and reports.
- What else is damaged is reset, withdrawn or dropped, by events that say so. Nothing is written where nothing is wrong.
- A journal in which a later release wrote on is shown up to there, and nothing in it is judged or written.
- Killed anywhere and run again, it comes to the same end.

Example::

    Opening(context, derivation, doubts).run()
"""

from collections.abc import Callable, Collection
from contextlib import suppress

from rap_journal.errors import DamageError, KeyLost, KeyUnavailable
from rap_journal.recovery_report import ClassLoss, RecoveryReport
from rap_journal.sealing import SealBroken
from rap_projections import snapshot_decisions
from rap_projections.cluster_building import NONCE_BYTES
from rap_projections.cluster_context import ClusterContext
from rap_projections.derivation import Derivation
from rap_projections.document_repair import repair_documents
from rap_projections.documents import Scope
from rap_projections.doubts import Doubts, heed
from rap_projections.event_kinds import CLUSTER_CLASSES, HEALTH, IDENTITY, SNAPSHOTS, TRUST, Event
from rap_projections.failing_closed import write_fail_closed
from rap_projections.giving_way import count_quarantine
from rap_projections.health_events import UptimeDebited
from rap_projections.identity_events import IdentityRepaired
from rap_projections.identity_keys import check_kept_keys
from rap_projections.identity_review import review_identity
from rap_projections.lifecycle import ClassReset, RecoveryDone
from rap_projections.node_time import Now
from rap_projections.orphaned_keys import finish_wiping
from rap_projections.refusals import RefusedError
from rap_projections.snapshot_events import SnapshotWithdrawn
from rap_projections.snapshot_loss import DAMAGED, decide_snapshot_lost
from rap_projections.snapshots import ScopeView
from rap_projections.trust_decisions import decide_restore_marked
from rap_projections.trust_events import TrustRepaired
from rap_projections.witness_floors import decide_raised, is_rolled_back

_NAMES = {spec.number: spec.name for spec in CLUSTER_CLASSES}
_FATAL = (IDENTITY.number, TRUST.number)
_REPAIRED: dict[int, Callable[[str, bytes], Event]] = {IDENTITY.number: IdentityRepaired, TRUST.number: TrustRepaired}

SECOND_COPY = "event"
"""Where the good copy of a document was that is written again."""


class Opening:
    """The steps of one opening, after recovery."""

    def __init__(self, context: ClusterContext, derivation: Derivation, doubts: Doubts) -> None:
        self._context = context
        self._doubts = doubts
        self._core = context.core
        self._derivation = derivation
        self._lost_file_ids: frozenset[bytes] = frozenset()

    def run(self) -> None:
        """Judge, verify, repair. Raises what writing raises."""
        journal, seen = self._core.journal, self._core.resets_seen
        if journal.unknown is not None:
            self._context.fail_closed("format_too_new")
            return
        if not journal.is_writable:
            self._context.fail_closed("tampered")
        losses = [loss for loss in journal.report.losses if (loss.state_class, loss.first_lsn, loss.last_lsn) not in seen]
        self._judge_losses(losses)
        self._judge_from_start()
        self._verify_trust()
        self._verify_identity()
        if self._context.fail_closed_reason is None:
            self._repair_documents()
            self._record_recovery(losses)
            self._raise_floors()
            self._mark_doubtful()
            heed(self._context, self._doubts)
            self._withdraw_unsound()
            review_identity(self._context)
            # What cannot be removed now is tried again at the next opening.
            with suppress(OSError):
                finish_wiping(self._core)
            self._derivation.derive_all()
            count_quarantine(self._core)
        write_fail_closed(self._context)

    def _judge_losses(self, losses: list[ClassLoss]) -> None:
        """Losing identity or trust fails closed; what else is lost is reset."""
        for loss in losses:
            if loss.state_class in _FATAL:
                self._context.fail_closed(f"{_NAMES[loss.state_class]}_damaged")

    def _judge_from_start(self) -> None:
        """Identity and trust without a checkpoint fail closed although every record is there (spec 8, step 7), until they are reset."""
        reset = {number for number, _first_lsn, _last_lsn in self._core.resets_seen}
        for number in self._core.journal.report.from_start:
            if number in _FATAL and number not in reset:
                self._context.fail_closed(f"{_NAMES[number]}_damaged")

    def _verify_trust(self) -> None:
        """Every kept bundle is verified again, from the bootstrap on; none, or an older one than the witness knows, is damage."""
        context = self._context
        try:
            context.load_trust()
        except (RefusedError, DamageError, SealBroken, OSError):
            context.fail_closed("trust_damaged")
        trust = context.state.view(TRUST)
        if trust.bootstrap is None or trust.bundle is None:
            context.fail_closed("trust_damaged")
        if is_rolled_back(context.state, self._core.journal.recovered_floors):
            context.fail_closed("trust_rolled_back")

    def _verify_identity(self) -> None:
        """A private key that is gone or not the requested one is damage, and is not asked for anew behind anybody's back."""
        if self._context.fail_closed_reason is None:
            try:
                check_kept_keys(self._context)
            except DamageError:
                self._context.fail_closed("identity_damaged")
            except (KeyLost, KeyUnavailable):
                # No damage: what is lost was written down, and what is not at hand may be when it is needed.
                return

    def _repair_documents(self) -> None:
        """Documents that are missing or damaged and have a second copy are made whole; all of it is part of the report."""
        documents, journal = repair_documents(self._core), self._core.journal
        self._lost_file_ids = documents.lost_file_ids
        journal.report = journal.report._replace(findings=journal.report.findings + documents.findings)
        for named in documents.repaired:
            told = _REPAIRED.get(named.spec.number)
            if told is not None:
                event = told(SECOND_COPY, named.stored.file_id)
                self._context.execute(named.spec.name, _always(event))

    def _record_recovery(self, losses: list[ClassLoss]) -> None:
        """Write down what recovery found, and reset the classes that lost something."""
        report, broken = self._core.journal.report, self._core.state.broken
        resets = [ClassReset(loss.state_class, loss.first_lsn, loss.last_lsn, loss.reason) for loss in losses]
        resets += [ClassReset(number, 0, 0, error.reason or "damaged") for number, error in sorted(broken.items())]
        if HEALTH.name in report.cautious and not any(reset.class_number == HEALTH.number for reset in resets):
            resets.append(ClassReset(HEALTH.number, 0, 0, "torn_or_rotten"))
        for event in (*resets, *found_by(report)):
            self._context.execute("recovery", self._with_consequences(event), durable=True)

    def _with_consequences(self, event: Event) -> Callable[[Now], tuple[Event, ...]]:
        """A reset of health must not stop trusted time: what trust knows of the time used up is written right behind it. One of snapshots
        leaves no document: the cluster is degraded."""

        def decide(now: Now) -> tuple[Event, ...]:
            reset_class = event.class_number if isinstance(event, ClassReset) else 0
            if reset_class == SNAPSHOTS.number:
                return (*self._decide_lost(now), event)
            if reset_class != HEALTH.number:
                return (event,)
            instants = self._core.state.view(TRUST).instants.values()
            used_s = max((seen.uptime_s for seen in instants), default=0)
            return (event, UptimeDebited(used_s, self._core.boot_id, now.boot_us))

        return decide

    def _decide_lost(self, now: Now) -> tuple[Event, ...]:
        return decide_snapshot_lost(self._core.state.view(HEALTH), now, self._context.policy)

    def _raise_floors(self) -> None:
        """The floor is the maximum of what journal and witness know (trust, 15)."""
        floors = self._core.journal.recovered_floors
        if floors is not None:
            self._context.execute("floors", lambda now: decide_raised(self._core.state, floors))

    def _mark_doubtful(self) -> None:
        """Floors that only a bad slot may have known bar high-risk work until the control plane has validated this node (trust, 15)."""
        core = self._core
        if core.journal.report.witness_doubtful:
            nonce = core.random_bytes(NONCE_BYTES)
            self._context.execute(
                "trust",
                lambda now: decide_restore_marked(
                    core.state.view(TRUST), reason="witness_behind", backup_digest=b"", nonce=nonce
                ),
            )

    def _withdraw_unsound(self) -> None:
        """Documents whose bytes are gone or damaged: a pending one is dropped, an active one gives way to a previous one, or to none."""
        # The policy first, which never falls back: what it says decides whether others may (spec 8).
        self._withdraw_unsound_of(Scope.POLICY)
        self._context.load_policy()
        for scope in Scope:
            if scope is not Scope.POLICY:
                self._withdraw_unsound_of(scope)

    def _withdraw_unsound_of(self, scope: Scope) -> None:
        cluster = self._context
        held: ScopeView = cluster.state.view(SNAPSHOTS).scope(scope)
        if held.pending is not None and not cluster.is_readable(held.pending.stored):
            self._drop_pending(scope)
        for previous in held.previous:
            if any(part.file_id in self._lost_file_ids for part in (previous.stored, *previous.increments)):
                self._drop_previous(scope, previous.facts.content_id)
        if held.active is None:
            return
        trust = cluster.require_trust()
        flaw = cluster.flaw(held.active, trust)
        if flaw:
            usable = {previous.facts.content_id for previous in held.previous if not cluster.flaw(previous, trust)}
            self._fall_back(scope, flaw, usable)

    def _drop_pending(self, scope: Scope) -> None:
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            return snapshot_decisions.decide_pending_dropped(cluster.state.view(SNAPSHOTS), scope=scope, reason="damaged")

        cluster.execute(f"snapshots/{scope.value}", decide)

    def _drop_previous(self, scope: Scope, content_id: bytes) -> None:
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            snapshots = cluster.state.view(SNAPSHOTS)
            return snapshot_decisions.decide_previous_dropped(snapshots, scope=scope, content_id=content_id, reason=DAMAGED)

        cluster.execute(f"snapshots/{scope.value}", decide)

    def _fall_back(self, scope: Scope, flaw: str, usable: Collection[bytes]) -> None:
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            snapshots = cluster.state.view(SNAPSHOTS)
            events = snapshot_decisions.decide_fall_back(
                snapshots, scope=scope, reason=flaw, usable=usable, now=now, policy=cluster.policy
            )
            is_lost = flaw == DAMAGED and any(isinstance(event, SnapshotWithdrawn) for event in events)
            return (*self._decide_lost(now), *events) if is_lost else events

        cluster.execute(f"snapshots/{scope.value}", decide)


def _always(event: Event) -> Callable[[Now], tuple[Event, ...]]:
    return lambda now: (event,)


def found_by(report: RecoveryReport) -> tuple[RecoveryDone, ...]:
    """What a recovery found and did, as the events that tell of it."""
    return tuple(
        RecoveryDone(
            finding.segment, finding.offset, max(0, finding.first_lsn - 1), finding.byte_count, finding.verdict.name.lower(),
            finding.reason, finding.action or ("cut" if finding.byte_count else "reported"), "check_disk" if report.is_damage else "none",
            finding.quarantine_sha256,
        )
        for finding in report.findings
    )  # fmt: skip
