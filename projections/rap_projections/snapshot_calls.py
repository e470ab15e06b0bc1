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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack

from rap_journal.errors import MisuseError, NoSpace
from rap_projections import snapshot_decisions as decisions
from rap_projections import trust_decisions
from rap_projections.arguments import require, require_all
from rap_projections.cluster_context import ClusterContext
from rap_projections.deadline_renewal import renew_deadline
from rap_projections.documents import DocumentType, Scope
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, TRUST, Event
from rap_projections.head_expiry import decide_head_expiry
from rap_projections.increment_check import check_increment
from rap_projections.increments import Base, verify_offered
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.receipts import UNCHANGED, Context, Receipt, check_word
from rap_projections.refusals import Equivocation, RefusedError
from rap_projections.rule_report import CheckReport
from rap_projections.signed_document import check_document_size, claims_to_be
from rap_projections.snapshots import EVIDENCE_MAX, ScopeView, SnapshotsView
from rap_projections.stored_document import StoredDocument, stored_document
from rap_projections.verification import check_snapshot, require_one_for_a_scope, verify_head, verify_snapshot
from rap_projections.verified import VerifiedHead, VerifiedResult, VerifiedSnapshot

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

        The same content again is ``changed=False``. Raises a `RefusedError` (recorded; nothing changed), `FailClosed`, `StorageError`
        (`NoSpace`, `OutcomeUnknown`, `Poisoned`).
        """
        with self._context.authority:
            verified = self.verify(document, source=source, **context)
            return self.commit(verified, **context)

    def activate_all(
        self, documents: Sequence[bytes], *, source: str = DEFAULT_SOURCE, **context: Unpack[Context]
    ) -> tuple[Receipt, ...]:
        """Verify all, then activate all in the order given: if one is refused, none is activated.

        Raises what `activate` does, and `MisuseError` for two of one scope: the floor that they were verified by is not that of the second.
        """
        require_all("documents", documents, bytes)
        with self._context.authority:
            verified = [self.verify(document, source=source, **context) for document in documents]
            require_one_for_a_scope(verified)
            return tuple([self.commit(snapshot, **context) for snapshot in verified])

    def take_head(self, document: bytes, *, source: str = DEFAULT_SOURCE, **context: Unpack[Context]) -> Receipt:
        """Verify a head, the newest statement of what is current (trust, 6), and go by it from now on.

        Raises a `RefusedError` (recorded; nothing changed), `FailClosed`, `StorageError`.
        """
        cluster = self._context
        check_word("source", source)
        require("document", document, bytes)
        cluster.core.origin(context)
        with cluster.authority, self._recording(DocumentType.HEAD, document, source, context):
            cluster.refused.raise_known(DocumentType.HEAD, document)
            verified = verify_head(document, cluster.require_trust(), trusted_s=cluster.core.now().trusted_s)
            held = cluster.state.view(SNAPSHOTS).head
            if held is not None and held.content_id == verified.content_id:
                return UNCHANGED
            return self._commit_head(verified, context)

    def check(self, document: bytes, *, scope: str | None = None) -> CheckReport:
        """What every rule says about a snapshot or an increment. Changes nothing and records nothing. Raises `FailClosed`."""
        require("document", document, bytes)
        trust, given = self._context.require_trust(), self._given(_scope(scope) if scope is not None else None)
        if claims_to_be(document, DocumentType.INCREMENT):
            return check_increment(document, trust, self._active, **given)
        return check_snapshot(document, trust, **given)

    def scope(self, scope: str) -> ScopeView:
        """Active, previous and pending document of a scope. Raises `MisuseError` for an unknown scope."""
        found: ScopeView = self._context.state.view(SNAPSHOTS).scope(_scope(scope))
        return found

    def verify(
        self, document: bytes, *, source: str, scope: Scope | None = None, **context: Unpack[Context]
    ) -> VerifiedSnapshot | VerifiedResult:
        """The verified snapshot, or what a verified increment makes of the active one; or the refusal, which is recorded."""
        cluster = self._context
        check_word("source", source)
        require("document", document, bytes)
        cluster.core.origin(context)
        with self._recording(DocumentType.SNAPSHOT, document, source, context):
            cluster.refused.raise_known(DocumentType.SNAPSHOT, document)
            trust, given = cluster.require_trust(), self._given(scope)
            if claims_to_be(document, DocumentType.INCREMENT):
                return verify_offered(document, trust, self._active, **given)
            return verify_snapshot(document, trust, **given)

    def _given(self, scope: Scope | None) -> dict[str, Any]:
        """What a document is judged by, beside the trust in force."""
        cluster = self._context
        return {
            "trusted_s": cluster.core.now().trusted_s, "recipient": cluster.recipient(), "floors": cluster.floors(),
            "head": cluster.head, "scope": scope,
        }  # fmt: skip

    def _active(self, scope: Scope) -> Base | None:
        """What an increment of this scope starts from."""
        cluster = self._context
        active = cluster.state.view(SNAPSHOTS).scope(scope).active
        return Base(cluster.shelf.snapshot(active.facts.content_id), active.facts.content_id) if active is not None else None

    def commit(
        self, verified: VerifiedSnapshot | VerifiedResult, stored: StoredDocument | None = None, **context: Unpack[Context]
    ) -> Receipt:
        """Store a verified document and activate it, both durable on return; then derive what follows from it."""
        cluster = self._context
        cluster.core.origin(context)
        with cluster.authority:
            trust = cluster.require_trust()
            if trust.requires_head or verified.trust_version != trust.version:
                # Another head or bundle came since, or the head's end; what it was verified under counts no longer (trust, 6).
                verified = self.verify(verified.data, source=DEFAULT_SOURCE, scope=verified.snapshot.scope, **context)
            scope = verified.snapshot.scope
            active = cluster.state.view(SNAPSHOTS).scope(scope).active
            if active is not None and active.facts.content_id == verified.content_id:
                if stored is not None:
                    self.drop_pending(scope, "active_already", **context)
                return UNCHANGED
            document = stored if stored is not None else cluster.shelf.store(SNAPSHOTS, verified.data)
            return self._activate(verified, document, context)

    def _activate(self, verified: VerifiedSnapshot | VerifiedResult, document: StoredDocument, context: Context) -> Receipt:
        cluster, scope = self._context, verified.snapshot.scope

        def decide(now: Now) -> tuple[Event, ...]:
            activated = _activation(cluster.state.view(SNAPSHOTS), verified, document, now, cluster.policy)
            instants = self._instants(verified.signers, verified.snapshot.issued_at_s, now)
            # The time used up goes first, so that no crash leaves an instant that is measured by time which was not paid for.
            return (*cluster.decide_uptime(now), *instants, *activated) if activated else ()

        cluster.shelf.remember(verified.content_id, verified.snapshot)
        before = cluster.state.view(TRUST)
        receipt = cluster.execute(f"snapshots/{scope.value}", decide, context)
        if receipt.changed:
            if scope is Scope.POLICY:
                # The budget is that of the policy which is in force from now on.
                cluster.load_policy()
            renew_deadline(cluster, verified.snapshot.issued_at_s, before, "snapshot", receipt)
            self._after.derive(scope, receipt)
        return receipt

    def _commit_head(self, verified: VerifiedHead, context: Context) -> Receipt:
        cluster = self._context
        stored = cluster.shelf.store(SNAPSHOTS, verified.data)

        def decide(now: Now) -> tuple[Event, ...]:
            taken = decisions.decide_head(
                cluster.state.view(SNAPSHOTS), verified.head, stored, now, content_id=verified.content_id,
                signer_kids=verified.signers,
            )  # fmt: skip
            return (*cluster.decide_uptime(now), *self._instants(verified.signers, verified.head.issued_at_s, now), *taken)

        before = cluster.state.view(TRUST)
        receipt = cluster.execute("snapshots/head", decide, context)
        cluster.load_head()
        with suppress(NoSpace):
            # Left at the next look otherwise.
            cluster.execute("health", lambda now: decide_head_expiry(cluster, now), {"cause": receipt})
        renew_deadline(cluster, verified.head.issued_at_s, before, "head", receipt)
        return receipt

    def stage(self, scope: Scope, document: bytes, source: str, **context: Unpack[Context]) -> StoredDocument:
        """Write a document aside for its scope (step 1); durable on return.

        Nothing about it is believed yet: it is never carried by its event, and takes neither more bytes than any document may have nor
        the space reserve. Raises `TooLarge`, which is recorded, and `NoSpace`: a full disk takes a document that is verified first.
        """
        cluster = self._context
        check_word("source", source)
        require("document", document, bytes)
        cluster.require_open()
        with self._recording(DocumentType.SNAPSHOT, document, source, context):
            check_document_size(document, DocumentType.SNAPSHOT)
        stored = stored_document(document, file_id=cluster.core.store(SNAPSHOTS, document))
        form = "increment" if claims_to_be(document, DocumentType.INCREMENT) else "snapshot"

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_stage(cluster.state.view(SNAPSHOTS), scope=scope, form=form, source=source, stored=stored)

        cluster.execute(f"snapshots/{scope.value}", decide, context, may_use_reserve=False)
        return stored

    def drop_pending(self, scope: Scope, reason: str, **context: Unpack[Context]) -> Receipt:
        """Give up what waits in a scope."""
        cluster = self._context

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_pending_dropped(cluster.state.view(SNAPSHOTS), scope=scope, reason=reason)

        return cluster.execute(f"snapshots/{scope.value}", decide, context)

    def _instants(self, kids: Sequence[bytes], signed_s: int, now: Now) -> tuple[Event, ...]:
        """The signed instant of a document, as far as it is news (trust, 16)."""
        cluster = self._context
        state = cluster.state
        return trust_decisions.decide_instants(
            state.view(TRUST),
            kids=kids,
            signed_s=signed_s,
            uptime_s=state.view(HEALTH).used_s(now, cluster.core.boot_id),
            clock_step_s_max=cluster.require_trust().clock_step_s_max,
        )

    @contextmanager
    def _recording(self, asked: DocumentType, document: bytes, source: str, context: Context) -> Iterator[None]:
        """Record a refusal, where there is space for that, and let it through."""
        try:
            yield
        except RefusedError as refusal:
            self._context.refused.remember(asked, document, refusal)
            with suppress(NoSpace):
                self._record(refusal, document, source, context)
            raise

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
        file_id = cluster.core.store(SNAPSHOTS, document)

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_equivocation(
                cluster.state.view(SNAPSHOTS), scope=scope, version=known.version, known_content_id=known.content_id,
                other_content_id=refusal.other_content_id, evidence_file_id=file_id,
            )  # fmt: skip

        cluster.execute(f"snapshots/{scope.value}", decide, context)


class Activation:
    """The six steps one by one: a context manager from `cluster.activation(scope)`.

    Leaving the block without `commit` leaves the document pending; it goes when it is replaced or too old.
    """

    def __init__(self, snapshots: Snapshots, scope: str, source: str) -> None:
        self._snapshots = snapshots
        self._scope = _scope(scope)
        check_word("source", source)
        self._source = source
        self._document: bytes | None = None
        self._stored: StoredDocument | None = None
        self._verified: VerifiedSnapshot | VerifiedResult | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def stage(self, document: bytes) -> None:
        """Write the document aside, durably."""
        self._verified = None
        self._stored = self._snapshots.stage(self._scope, document, self._source)
        self._document = document

    def verify(self) -> VerifiedSnapshot | VerifiedResult:
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


def _activation(
    snapshots: SnapshotsView,
    verified: VerifiedSnapshot | VerifiedResult,
    stored: StoredDocument,
    now: Now,
    policy: EffectivePolicy,
) -> tuple[Event, ...]:
    if isinstance(verified, VerifiedResult):
        base = verified.base_content_id
        return decisions.decide_increment(snapshots, verified, stored, now, policy, base_content_id=base)
    return decisions.decide_activation(snapshots, verified, stored, now, policy)


def _scope(name: str) -> Scope:
    try:
        return Scope(name)
    except ValueError:
        names = ", ".join(scope.value for scope in Scope)
        raise MisuseError(f"{name!r:.40} is no scope; nothing was done. Scopes are {names}.", reason="unknown_scope") from None
