"""The calls about signed snapshots: checking one, and making it active in six steps (spec 4).

Rules this file keeps:

- Verify first, then store and sync, then the frame that activates, then memory, then notification, then "applied version".
- Whatever is refused is recorded, bounded, and changes nothing else; the active document is never touched by a bad one. Where there
  is no space for the record, the refusal stands without it.
- What follows from an activation in other classes is written behind it, and made up for at the next opening if a crash comes between.

Example::

    with cluster.activation("routes") as step:
        step.stage(document)
        step.verify()
        receipt = step.commit()
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self, Unpack

from rap_journal.errors import MisuseError, NoSpace
from rap_projections import health_decisions, trust_decisions
from rap_projections import snapshot_decisions as decisions
from rap_projections.cluster_context import ClusterContext
from rap_projections.documents import Scope
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, TRUST, Event
from rap_projections.node_time import Now
from rap_projections.receipts import UNCHANGED, Context, Receipt, check_word
from rap_projections.refusals import Equivocation, RefusedError
from rap_projections.snapshots import EVIDENCE_MAX, ScopeView
from rap_projections.stored_document import StoredDocument
from rap_projections.verification import CheckReport, check_snapshot, verify_snapshot
from rap_projections.verified import VerifiedSnapshot

DEFAULT_SOURCE = "agent"


class AfterActivation(NamedTuple):
    """What the cluster does behind an activation: derive the other classes from it."""

    derive: Callable[[Scope, Receipt], None]


class Snapshots:
    """What `cluster.snapshots` is."""

    def __init__(self, context: ClusterContext, after: AfterActivation) -> None:
        self._context = context
        self._after = after

    def activate(self, document: bytes, *, source: str = DEFAULT_SOURCE, **context: Unpack[Context]) -> Receipt:
        """Verify a snapshot and make it the active one of its scope.

        The same content again is ``changed=False``. Raises a `RefusedError` (recorded; nothing changed), `FailClosed`, `NoSpace`,
        `OutcomeUnknown`, `Poisoned`.
        """
        verified = self.verify(document, source=source, **context)
        return self.commit(verified, **context)

    def activate_all(
        self, documents: Sequence[bytes], *, source: str = DEFAULT_SOURCE, **context: Unpack[Context]
    ) -> tuple[Receipt, ...]:
        """Verify all, then activate all in the order given: if one is refused, none is activated."""
        verified = [self.verify(document, source=source, **context) for document in documents]
        return tuple([self.commit(snapshot, **context) for snapshot in verified])

    def check(self, document: bytes, *, scope: str | None = None) -> CheckReport:
        """What every rule says about a document. Changes nothing and records nothing. Raises `FailClosed`."""
        cluster = self._context
        return check_snapshot(
            document, cluster.require_trust(), trusted_s=cluster.core.now().trusted_s, recipient=cluster.recipient(),
            floors=cluster.floors(), scope=_scope(scope) if scope is not None else None,
        )  # fmt: skip

    def scope(self, scope: str) -> ScopeView:
        """Active, previous and pending document of a scope. Raises `MisuseError` for an unknown scope."""
        found: ScopeView = self._context.state.view(SNAPSHOTS).scope(_scope(scope))
        return found

    def verify(self, document: bytes, *, source: str, scope: Scope | None = None, **context: Unpack[Context]) -> VerifiedSnapshot:
        """The verified snapshot, or the refusal, which is recorded."""
        cluster = self._context
        check_word("source", source)
        try:
            return verify_snapshot(
                document, cluster.require_trust(), trusted_s=cluster.core.now().trusted_s, recipient=cluster.recipient(),
                floors=cluster.floors(), scope=scope,
            )  # fmt: skip
        except RefusedError as refusal:
            with suppress(NoSpace):
                self._record(refusal, document, source, context)
            raise

    def commit(self, verified: VerifiedSnapshot, stored: StoredDocument | None = None, **context: Unpack[Context]) -> Receipt:
        """Store a verified document and activate it, both durable on return; then derive what follows from it."""
        cluster = self._context
        cluster.require_open()
        scope = verified.snapshot.scope
        active = cluster.state.view(SNAPSHOTS).scope(scope).active
        if active is not None and active.facts.content_id == verified.content_id:
            if stored is not None:
                self.drop_pending(scope, "active_already", **context)
            return UNCHANGED
        document = stored if stored is not None else cluster.shelf.store(SNAPSHOTS, verified.data)

        def decide(now: Now) -> tuple[Event, ...]:
            activated = decisions.decide_activation(cluster.state.view(SNAPSHOTS), verified, document, now, cluster.policy)
            # The time used up goes first, so that no crash leaves an instant that is measured by time which was not paid for.
            return (*cluster.decide_uptime(now), *self._instant(verified, now), *activated) if activated else ()

        cluster.shelf.remember(verified.content_id, verified.snapshot)
        newest_s = max((seen.signed_s for seen in cluster.state.view(TRUST).instants.values()), default=0)
        receipt = cluster.execute(f"snapshots/{scope.value}", decide, context)
        if receipt.changed:
            self._renew_deadline(verified.snapshot.issued_at_s, newest_s, receipt)
            self._after.derive(scope, receipt)
        return receipt

    def stage(self, scope: Scope, document: bytes, source: str, **context: Unpack[Context]) -> StoredDocument:
        """Write a document aside for its scope (step 1); durable on return."""
        cluster = self._context
        check_word("source", source)
        cluster.require_open()
        stored = cluster.shelf.store(SNAPSHOTS, document)

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_stage(
                cluster.state.view(SNAPSHOTS), scope=scope, form="snapshot", source=source, stored=stored
            )

        cluster.execute(f"snapshots/{scope.value}", decide, context)
        return stored

    def drop_pending(self, scope: Scope, reason: str, **context: Unpack[Context]) -> Receipt:
        """Give up what waits in a scope."""
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_pending_dropped(cluster.state.view(SNAPSHOTS), scope=scope, reason=reason)

        return cluster.execute(f"snapshots/{scope.value}", decide, context)

    def _instant(self, verified: VerifiedSnapshot, now: Now) -> tuple[Event, ...]:
        """The signed instant of the document, if it moves trusted time forward (trust, 16)."""
        cluster = self._context
        state = cluster.state
        return trust_decisions.decide_instant(
            state.view(TRUST),
            kid=verified.signers[0],
            signed_s=verified.snapshot.issued_at_s,
            uptime_s=state.view(HEALTH).used_s(now, cluster.core.boot_id),
            clock_step_s_max=cluster.require_trust().clock_step_s_max,
        )

    def _renew_deadline(self, signed_s: int, newest_instant_s: int, cause: Receipt) -> None:
        """A strictly newer signed instant renews the safe-operation deadline (trust, 17)."""
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            health = cluster.state.view(HEALTH)
            renewed = health_decisions.decide_deadline_renewed(
                health, signed_s=signed_s, newest_instant_s=newest_instant_s, uptime_s=health.used_s(now, cluster.core.boot_id),
                basis="snapshot", policy=cluster.policy,
            )  # fmt: skip
            return (*cluster.decide_uptime(now), *renewed) if renewed else ()

        cluster.execute("health", decide, {"cause": cause})

    def _record(self, refusal: RefusedError, document: bytes, source: str, context: Context) -> None:
        cluster = self._context
        digest = hashlib.sha256(document).digest()
        scope, reason = refusal.scope or "unknown", refusal.reason or refusal.rule

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            return decisions.decide_refused(
                cluster.state.view(SNAPSHOTS), source=source, scope=scope, reason=reason, rule=refusal.rule,
                times=times, digest=digest, now=now, policy=cluster.policy,
            )  # fmt: skip

        cluster.coalesce("snapshots/refused", ("snapshots", source, scope, reason), decide, context)
        if isinstance(refusal, Equivocation):
            self._keep_evidence(refusal, document, context)

    def _keep_evidence(self, refusal: Equivocation, document: bytes, context: Context) -> None:
        cluster = self._context
        if refusal.scope not in Scope.__members__.values():
            return
        scope = Scope(refusal.scope)
        known = cluster.state.view(SNAPSHOTS).scope(scope).floor
        kept = {seen.other_content_id for seen in cluster.state.view(SNAPSHOTS).scope(scope).equivocations}
        if refusal.other_content_id in kept or len(kept) >= EVIDENCE_MAX:
            # The first few prove as much as a flood would.
            return
        stored = cluster.shelf.store(SNAPSHOTS, document)

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_equivocation(
                cluster.state.view(SNAPSHOTS), scope=scope, version=known.version, known_content_id=known.content_id,
                other_content_id=refusal.other_content_id, evidence_file_id=stored.file_id,
            )  # fmt: skip

        cluster.execute(f"snapshots/{scope.value}", decide, context)


class Activation:
    """The six steps one by one: a context manager from `cluster.activation(scope)`.

    Leaving the block without `commit` leaves the document pending; it goes when it is replaced or too old.
    """

    def __init__(self, snapshots: Snapshots, scope: str, source: str) -> None:
        self._snapshots = snapshots
        self._scope = _scope(scope)
        self._source = source
        self._document: bytes | None = None
        self._stored: StoredDocument | None = None
        self._verified: VerifiedSnapshot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def stage(self, document: bytes) -> None:
        """Write the document aside, durably."""
        self._verified = None
        self._stored = self._snapshots.stage(self._scope, document, self._source)
        self._document = document

    def verify(self) -> VerifiedSnapshot:
        """Check signature, scope, hash, expiry and version. A refused document is dropped and the refusal raised."""
        if self._document is None:
            raise MisuseError("nothing was staged; nothing was done. Call stage(document) first.", reason="not_staged")
        try:
            self._verified = self._snapshots.verify(self._document, source=self._source, scope=self._scope)
        except RefusedError:
            self._snapshots.drop_pending(self._scope, "refused")
            raise
        return self._verified

    def commit(self, **context: Unpack[Context]) -> Receipt:
        """Make the verified document the active one; durable and witnessed on return."""
        if self._verified is None or self._stored is None:
            raise MisuseError("nothing was verified; nothing was done. Call verify() first.", reason="not_verified")
        return self._snapshots.commit(self._verified, self._stored, **context)


def _scope(name: str) -> Scope:
    try:
        return Scope(name)
    except ValueError:
        names = ", ".join(scope.value for scope in Scope)
        raise MisuseError(f"{name!r:.40} is no scope; nothing was done. Scopes are {names}.", reason="unknown_scope") from None
