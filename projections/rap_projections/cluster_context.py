"""What the calls of one cluster share: its state, the policy in force, the trust in force, and whether it fails closed.

Rules this file keeps:

- Policy and trust are derived from the state, and derived anew whenever an event may have changed them.
- Whoever needs trust asks for it here, and is refused where the cluster fails closed.
- Changes of authority (bundles, heads, activations) take their turn: what was verified under one bundle is not activated under another.
- Observations wait in one buffer, behind a lock of their own, so that observing never waits for the disk.

Example::

    trust = context.require_trust()
    limits = context.policy
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from rap_journal.clock import Instant
from rap_journal.errors import DamageError, FailClosed, OutcomeUnknown, StateStoreError
from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_journal.records import Record
from rap_journal.sealing import SealBroken
from rap_journal.values import ClassSpec
from rap_projections.bundle_verification import verify_bootstrap, verify_bundles
from rap_projections.document_shelf import DocumentShelf
from rap_projections.documents import Floor, Scope, SignedPolicy
from rap_projections.event_kinds import HEALTH, IDENTITY, PEERS, SNAPSHOTS, TRUST, Event, kind_of_type
from rap_projections.folding import FoldedState
from rap_projections.health_decisions import decide_uptime
from rap_projections.increments import verify_kept
from rap_projections.journaled_state import Decide, JournaledState
from rap_projections.negative_cache import NegativeCache
from rap_projections.node_time import Now
from rap_projections.operations import Allowed, Operation, decide_allowed
from rap_projections.peer_observations import Noted, ObservationBuffer, PeersObserved
from rap_projections.policy import EffectivePolicy, Policy, effective
from rap_projections.receipts import UNCHANGED, Context, Receipt
from rap_projections.refusal_log import Unsaid
from rap_projections.refusals import NotAllowed, NotValidated, RefusedError
from rap_projections.snapshots import HeldSnapshot
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import TrustView
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import Recipient, verify_head
from rap_projections.verified import VerifiedBundle, VerifiedHead

_OBSERVED = kind_of_type(PeersObserved).number


class _Awaited:
    """A caller who wants to know the LSN of a row: the `row`-th that was kept since the buffer was made."""

    __slots__ = ("lsn", "row")

    def __init__(self, row: int) -> None:
        self.row = row
        self.lsn: int | None = None


class ClusterContext:
    """One cluster, as its calls see it."""

    def __init__(self, cluster_id: str, core: JournaledState, policy: Policy) -> None:
        self.cluster_id = cluster_id
        self.core = core
        self.operator_policy = policy
        self.policy: EffectivePolicy = effective(policy, None)
        self.fail_closed_reason: str | None = None
        self._touched_peers: set[int] = set()
        self._bundle: VerifiedBundle | None = None
        self._trust: TrustInForce | None = None
        self._head: VerifiedHead | None = None
        self.authority = threading.RLock()
        self.refused = NegativeCache()
        self._buffer_lock = threading.Lock()
        self._unsaid = Unsaid()
        self._rows_committed = 0
        self._awaited: list[_Awaited] = []
        self.buffer: ObservationBuffer

    @property
    def state(self) -> FoldedState:
        """The durable, visible state."""
        return self.core.state

    @property
    def shelf(self) -> DocumentShelf:
        """The cluster's documents."""
        return self.core.shelf

    def start(self) -> None:
        """Take a freshly opened state into use."""
        with self._buffer_lock:
            self.buffer = ObservationBuffer(self.state[PEERS], failures_max=self.policy.failures_per_peer_max)
            self._rows_committed = 0
            self._awaited.clear()
        self.core.ride_along(self._drain, lambda: self.buffer.oldest_us)

    def execute(
        self,
        subject: str | None,
        decide: Decide,
        context: Context | None = None,
        *,
        durable: bool = False,
        may_use_reserve: bool = True,
    ) -> Receipt:
        """`JournaledState.execute`."""
        return self.core.execute(subject, decide, context, durable=durable, may_use_reserve=may_use_reserve)

    def coalesce(
        self,
        subject: str,
        key: Hashable,
        decide: Callable[[Now, int], Sequence[Event]],
        context: Context | None = None,
    ) -> Receipt:
        """Decide about something that may happen any number of times, and never take the space reserve for it (trust, 12).

        `decide` is told how often `key` happened since the last event, this time included, and says whether one is due. Raises what
        `execute` raises; what was not written then is counted on.
        """
        times = 0

        def counted(now: Now) -> Sequence[Event]:
            nonlocal times
            times = self._unsaid.times(key) + 1
            events = decide(now, times)
            self._unsaid.add(key)
            return events

        receipt = self.core.execute(subject, counted, context, may_use_reserve=False)
        if receipt.changed:
            with self.core.lock:
                self._unsaid.said(key, times)
        return receipt

    def note_committed(self, records: Sequence[Record]) -> None:
        """Remember whose routes may have changed."""
        for record in records:
            if record.kind == _OBSERVED:
                with self._buffer_lock:
                    self._touched_peers.update(PeersObserved._make(record.body).number_column())
                    self._tell_lsns(record)

    def take_touched(self) -> set[int]:
        """The peers observed since the last call."""
        with self._buffer_lock:
            touched, self._touched_peers = self._touched_peers, set()
        return touched

    def observe(self, rows: Iterable[tuple[Any, ...]], context: Context, *, durable: bool) -> Receipt:
        """Keep observations; with `durable`, or once they fill a frame, commit them.

        Raises `MisuseError` with nothing kept; `NoSpace` with the rows still waiting, `OutcomeUnknown` or `Poisoned` from the commit.
        """
        core = self.core
        origin, node_us = core.origin(context), core.node_us()
        with self._buffer_lock:
            buffer = self.buffer
            kept = buffer.observe_many(rows, node_us, origin)
            if not kept:
                return UNCHANGED
            awaited = None
            if durable or len(buffer) >= RECORDS_PER_FRAME_MAX:
                awaited = _Awaited(buffer.accepted)
                self._awaited.append(awaited)
        if awaited is None:
            core.machine.wake()
            return Receipt(None, False, True)
        return Receipt(self._lsn_of(awaited), True, True)

    def _lsn_of(self, awaited: _Awaited) -> int:
        """Commit what waits and return the LSN of the row that is awaited."""
        try:
            self.core.flush()
        finally:
            with self._buffer_lock, suppress(ValueError):
                self._awaited.remove(awaited)
        if awaited.lsn is None:
            raise OutcomeUnknown(
                f"{self.cluster_id} was opened again before these observations were known to be on disk; whether they are is unknown. "
                "Repeat the call.",
                cluster=self.cluster_id,
                reason="reopened",
            )
        return awaited.lsn

    def _tell_lsns(self, record: Record) -> None:
        """Rows are committed in the order in which they were kept."""
        before, self._rows_committed = self._rows_committed, self._rows_committed + record.rows
        for awaited in self._awaited:
            if before < awaited.row <= self._rows_committed:
                awaited.lsn = record.lsn + (awaited.row - before) - 1

    def fail_closed(self, reason: str) -> None:
        """From now on everything that needs trust raises `FailClosed`."""
        self.fail_closed_reason = self.fail_closed_reason or reason
        self._trust = None

    def require_open(self) -> None:
        """Raise `FailClosed` where identity, trust or signatures are damaged, `FormatTooNew` where a later release wrote on."""
        if self.fail_closed_reason is not None:
            if self.core.journal.unknown is not None:
                # What is written there may have revoked what is trusted here.
                self.core.journal.require_writable()
            raise FailClosed(
                f"cluster {self.cluster_id} fails closed ({self.fail_closed_reason}); nothing was done. "
                "Look at `rap-state status`; resetting or restoring the damaged class is the way out.",
                cluster=self.cluster_id,
                reason=self.fail_closed_reason,
            )

    def require_trust(self) -> TrustInForce:
        """The trust in force. Raises `FailClosed`."""
        self.require_open()
        if self._trust is None:
            raise FailClosed(
                f"cluster {self.cluster_id} has no bundle in force; nothing was done.",
                cluster=self.cluster_id,
                reason="no_bundle",
            )
        return self._trust

    @property
    def revoked_nodes(self) -> frozenset[str]:
        """Ids of the nodes that the bundle in force revokes; none where no bundle is in force."""
        return self._trust.revoked_nodes if self._trust is not None else frozenset()

    def load_trust(self) -> None:
        """Verify the kept chain of bundles again, from the pinned bootstrap on, and take the last one into force.

        A bundle that is past its end stays in force: activations judge time themselves. Raises a `RefusedError` or `DamageError`.
        """
        trust: TrustView = self.state.view(TRUST)
        if trust.bootstrap is None or not trust.chain:
            return
        chain = [self.shelf.load(TRUST, kept.stored) for kept in trust.chain]
        verified = self._bootstrap(chain[0], trust)
        for data in chain[1:]:
            newer = verify_bundles([data], verified, trusted_s=0)
            verified = newer[-1] if newer else verified
        self.take_trust(verified)

    def take_trust(self, bundle: VerifiedBundle) -> None:
        """Let `bundle` be the trust in force, and judge the newest head by it."""
        self._bundle, self._trust = bundle, TrustInForce.of(bundle)
        self.refused.clear()
        self.load_head()

    def require_bundle(self) -> VerifiedBundle:
        """The bundle in force. Raises `FailClosed`."""
        self.require_trust()
        assert self._bundle is not None
        return self._bundle

    @property
    def head(self) -> VerifiedHead | None:
        """The newest head, if the trust in force lets it count. Whether it has expired is for whoever relies on it."""
        return self._head

    @property
    def demands_head(self) -> bool:
        """Whether the bundle in force lets nothing be activated without an unexpired head."""
        return self._trust is not None and self._trust.requires_head

    def load_head(self) -> None:
        """Verify the kept head again; one that cannot be read, or no longer counts, is as good as none (trust, 6)."""
        held = self.state.view(SNAPSHOTS).head
        self._head = None
        if held is not None and self._trust is not None:
            with suppress(RefusedError, DamageError, SealBroken, OSError):
                self._head = verify_head(self.shelf.load(SNAPSHOTS, held.stored), self._trust, trusted_s=0)

    def load_policy(self) -> None:
        """Derive the effective policy from the operator's limits and the signed policy in force."""
        signed = self.active_body(Scope.POLICY)
        self.policy = effective(self.operator_policy, signed if isinstance(signed, SignedPolicy) else None)
        if hasattr(self, "buffer"):
            with self._buffer_lock:
                self.buffer.limit_failures(self.policy.failures_per_peer_max)

    def active_body(self, scope: Scope) -> object:
        """What the active document of `scope` says, or None."""
        active = self.state.view(SNAPSHOTS).scope(scope).active
        return self.shelf.snapshot(active.facts.content_id).body if active is not None else None

    def flaw(self, held: HeldSnapshot, trust: TrustInForce) -> str:
        """Why a kept document may not be used under `trust`: the refusal's word, or "damaged"; empty when it may. Its time is not judged."""
        try:
            full, *increments = [self.shelf.load(SNAPSHOTS, part) for part in (held.stored, *held.increments)]
            verified = verify_kept(full, increments, trust, recipient=self.recipient(trust), scope=Scope(held.facts.scope))
        except RefusedError as refusal:
            return refusal.word
        except (DamageError, SealBroken, OSError):
            return "damaged"
        if verified.content_id != held.facts.content_id:
            return "damaged"
        self.shelf.remember(verified.content_id, verified.snapshot)
        return ""

    def is_readable(self, stored: StoredDocument) -> bool:
        """Whether the bytes of a document that waits can be read."""
        try:
            self.shelf.load(SNAPSHOTS, stored)
        except (DamageError, SealBroken, OSError):
            return False
        return True

    def recipient(self, trust: TrustInForce | None = None) -> Recipient:
        """This node and its roles under `trust`, or under the trust in force, as an audience names them."""
        node_id = self.state.view(IDENTITY).node_id
        trust = trust or self._trust
        return Recipient(node_id, trust.roles_of(node_id) if trust is not None and node_id else frozenset())

    def floors(self) -> dict[Scope, Floor]:
        """Per scope what was accepted before."""
        scopes = self.state.view(SNAPSHOTS).scopes
        return {Scope(name): scope.floor for name, scope in scopes.items()}

    def trusted_s(self, state: FoldedState, instant: Instant, boot_id: bytes) -> int:
        """Low end of trusted time, seconds since 1970."""
        trust: TrustView = state.view(TRUST)
        return trust.trusted_s(state.view(HEALTH).used_s(instant, boot_id))

    def pay_uptime(self) -> Receipt:
        """Write down the time this boot has used, and a minute in advance, so that a reboot gives none of it back (trust, 16)."""
        return self.execute("uptime", self.decide_uptime)

    def pay_due(self) -> None:
        """`pay_uptime`, where what was paid has run out or was paid by another boot. Raises what writing raises."""
        paid = self.state.view(HEALTH).uptime
        if paid.boot_id != self.core.boot_id or self.core.machine.clock.now().boot_us >= paid.covered_boot_us:
            self.pay_uptime()

    def pay_quietly(self) -> None:
        """`pay_due`, where the cluster is sound and has room for it."""
        if self.core.is_open and self.fail_closed_reason is None:
            with suppress(StateStoreError, OSError):
                self.pay_due()

    def decide_uptime(self, now: Now) -> tuple[Event, ...]:
        """What `pay_uptime` writes; nothing while what was paid lasts."""
        return decide_uptime(self.state.view(HEALTH), now, self.core.boot_id)

    def ask(self, operation: Operation) -> Allowed:
        """The one gate for high-risk work.

        Time that was not paid for is written down first, durably: where that fails the answer is no.
        """
        if self.fail_closed_reason is None:
            try:
                self.pay_due()
            except (StateStoreError, OSError):
                return Allowed(False, "storage", None)
        with self.core.lock:
            return self.allowed(operation, self.core.now())

    def require_allowed(self, operation: Operation, what: str, state_class: ClassSpec) -> None:
        """Raise `FailClosed`, `NotValidated` or `NotAllowed` where `operation` may not go ahead now; `what` is for the message."""
        self.core.require_open()
        self.require_open()
        gate = self.ask(operation)
        if not gate.ok:
            kind = NotValidated if gate.reason == "not_validated" else NotAllowed
            raise kind(
                f"{what} in cluster {self.cluster_id} is not allowed now ({gate.reason}); nothing was done.",
                cluster=self.cluster_id,
                state_class=state_class.name,
                reason=gate.reason,
            )

    def allowed(self, operation: Operation, now: Now) -> Allowed:
        """The one gate, without paying for the time; the caller holds the state's lock."""
        return decide_allowed(operation, self.state, self.policy, now, self.core.boot_id, self.fail_closed_reason)

    def _bootstrap(self, data: bytes, trust: TrustView) -> VerifiedBundle:
        assert trust.bootstrap is not None
        return verify_bootstrap(data, cluster_id=self.cluster_id, expect=trust.bootstrap.fingerprint.hex(), trusted_s=None)

    def _drain(self) -> Sequence[Noted]:
        with self._buffer_lock:
            return self.buffer.take() if len(self.buffer) else ()
