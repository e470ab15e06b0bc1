"""The call that brings a newer bundle into force, and what must follow from it at once.

Rules this file keeps (trust, 9, 10 and 12):

- Bundles follow one another without gaps; a call may catch up through several. What is refused is recorded, bounded, and changes nothing.
- The bundles and the snapshots that come with them are stored and synced before the frame that names them; that one frame brings them
  into force and ends every document that no longer counts.
- Then memory, then what depends on the documents, then the reports.

Example::

    receipt = cluster.trust.update([second, third], documents=[routes_signed_anew])
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Unpack

from rap_journal.errors import NoSpace
from rap_projections import trust_decisions
from rap_projections.arguments import require, require_all
from rap_projections.bundle_verification import verify_bundles
from rap_projections.cluster_context import ClusterContext
from rap_projections.deadline_renewal import renew_deadline
from rap_projections.documents import DocumentType, Scope, SignedPolicy
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, TRUST, Event
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy, effective
from rap_projections.receipts import UNCHANGED, Context, Receipt, check_word
from rap_projections.refusals import Equivocation, RefusedError
from rap_projections.signed_document import open_document
from rap_projections.trust import EVIDENCE_MAX
from rap_projections.trust_change import SignedAnew, TrustChange, decide_trust_change
from rap_projections.trust_decisions import NewBundle
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import require_one_for_a_scope, verify_snapshot
from rap_projections.verified import VerifiedBundle, VerifiedSnapshot

Derive = Callable[[Receipt], None]


class Bundles:
    """How newer bundles come into force."""

    def __init__(self, context: ClusterContext, derive: Derive) -> None:
        self._context = context
        self._derive = derive

    def update(
        self, bundles: bytes | Sequence[bytes], *, documents: Sequence[bytes] = (), source: str, **context: Unpack[Context]
    ) -> Receipt:
        """Verify newer bundles, and snapshots signed for the last of them, and bring all into force in one frame.

        Args:
            bundles: one, or several without gaps, oldest first; those in force already are passed over.
            documents: snapshots that replace what the new bundle lets no longer count, at most one for a scope.
            source: who offered them, a short word.

        Raises a `RefusedError` (recorded; nothing changed), `MisuseError`, `FailClosed`, `StorageError`.
        """
        check_word("source", source)
        cluster = self._context
        require("bundles", bundles, bytes, list, tuple)
        offered = [bundles] if isinstance(bundles, bytes) else list(bundles)
        require_all("bundles", offered, bytes)
        require_all("documents", documents, bytes)
        cluster.core.origin(context)
        with cluster.authority:
            try:
                newer = self._verify(offered)
                return self._commit(*self._change(newer, documents), newer[-1], context) if newer else UNCHANGED
            except RefusedError as refusal:
                with suppress(NoSpace):
                    self._record(refusal, offered, source, context)
                raise

    def _verify(self, bundles: Sequence[bytes]) -> tuple[VerifiedBundle, ...]:
        cluster = self._context
        current = cluster.require_bundle()
        for data in bundles:
            cluster.refused.raise_known(DocumentType.BUNDLE, data)
        try:
            return verify_bundles(self._unknown(bundles), current, trusted_s=cluster.core.now().trusted_s)
        except RefusedError as refusal:
            if len(bundles) == 1:
                cluster.refused.remember(DocumentType.BUNDLE, bundles[0], refusal)
            raise

    def _unknown(self, bundles: Sequence[bytes]) -> Sequence[bytes]:
        """The bundles from the first on that is not behind this node already; the last one is judged in any case."""
        passed = {kept.content_id for kept in self._context.state.view(TRUST).chain}
        for index, data in enumerate(bundles[:-1]):
            if open_document(data, DocumentType.BUNDLE).content_id() not in passed:
                return bundles[index:]
        return bundles[-1:]

    def _change(self, newer: Sequence[VerifiedBundle], documents: Sequence[bytes]) -> tuple[TrustChange, EffectivePolicy]:
        """Verify what comes with the bundles, store all of it, and see which kept documents count no longer."""
        cluster, trust = self._context, TrustInForce.of(newer[-1])
        verified = [self._verify_document(data, trust) for data in documents]
        require_one_for_a_scope(verified)
        flaws = self._flaws(trust)
        stored = [NewBundle(it.bundle, it.content_id, cluster.shelf.store(TRUST, it.data)) for it in newer]
        anew = [SignedAnew(it, cluster.shelf.store(SNAPSHOTS, it.data)) for it in verified]
        return TrustChange(stored, newer[-1].signers, anew, flaws), self._policy_after(anew, flaws)

    def _verify_document(self, data: bytes, trust: TrustInForce) -> VerifiedSnapshot:
        cluster = self._context
        return verify_snapshot(
            data, trust, trusted_s=cluster.core.now().trusted_s, recipient=cluster.recipient(trust), floors=cluster.floors(),
            head=cluster.head,
        )  # fmt: skip

    def _flaws(self, trust: TrustInForce) -> dict[bytes, str]:
        """Every kept snapshot that counts no longer under `trust`, and the word that says why."""
        scopes = self._context.state.view(SNAPSHOTS).scopes.values()
        kept = [held for scope in scopes for held in (scope.active, *scope.previous) if held is not None]
        flaws = {held.facts.content_id: self._context.flaw(held, trust) for held in kept}
        return {content_id: flaw for content_id, flaw in flaws.items() if flaw}

    def _policy_after(self, anew: Sequence[SignedAnew], flaws: dict[bytes, str]) -> EffectivePolicy:
        """The limits under the new trust: a signed policy that counts no longer allows nothing, its own fallback included."""
        cluster = self._context
        for verified, _stored in anew:
            if isinstance(verified.snapshot.body, SignedPolicy):
                return effective(cluster.operator_policy, verified.snapshot.body)
        active = cluster.state.view(SNAPSHOTS).scope(Scope.POLICY).active
        is_revoked = active is not None and active.facts.content_id in flaws
        return effective(cluster.operator_policy, None) if is_revoked else cluster.policy

    def _commit(self, change: TrustChange, policy: EffectivePolicy, last: VerifiedBundle, context: Context) -> Receipt:
        cluster, state = self._context, self._context.state
        clock_step_s_max, before = cluster.require_trust().clock_step_s_max, state.view(TRUST)

        def decide(now: Now) -> tuple[Event, ...]:
            events = decide_trust_change(
                state.view(TRUST), state.view(SNAPSHOTS), change, now, policy,
                uptime_s=state.view(HEALTH).used_s(now, cluster.core.boot_id), clock_step_s_max=clock_step_s_max,
            )  # fmt: skip
            # The time used up goes first, so that no crash leaves an instant that is measured by time which was not paid for.
            return (*cluster.decide_uptime(now), *events) if events else ()

        for verified, _stored in change.documents:
            cluster.shelf.remember(verified.content_id, verified.snapshot)
        receipt = cluster.execute("trust", decide, context)
        if receipt.changed:
            cluster.take_trust(last)
            cluster.load_policy()
            renew_deadline(cluster, last.bundle.issued_at_s, before, "bundle", receipt)
            self._derive(receipt)
        return receipt

    def _record(self, refusal: RefusedError, bundles: Sequence[bytes], source: str, context: Context) -> None:
        cluster = self._context
        digest = hashlib.sha256(b"".join(bundles)).digest()
        reason = refusal.reason or refusal.rule

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            return trust_decisions.decide_refused(
                cluster.state.view(TRUST), source=source, scope="bundle", reason=reason, times=times, digest=digest,
                now=now, policy=cluster.policy,
            )  # fmt: skip

        cluster.coalesce("trust/refused", ("trust", source, "bundle", reason), decide, context)
        if isinstance(refusal, Equivocation) and refusal.document_type == DocumentType.BUNDLE.value:
            self._keep_evidence(refusal, bundles, context)

    def _keep_evidence(self, refusal: Equivocation, bundles: Sequence[bytes], context: Context) -> None:
        cluster = self._context
        seen = cluster.state.view(TRUST).equivocations
        if len(seen) >= EVIDENCE_MAX or refusal.other_content_id in {it.other_content_id for it in seen}:
            # The first few prove as much as a flood would.
            return
        evidence = next(
            data for data in bundles if open_document(data, DocumentType.BUNDLE).content_id() == refusal.other_content_id
        )
        file_id = cluster.core.store(TRUST, evidence)
        version = cluster.require_trust().version

        def decide(now: Now) -> tuple[Event, ...]:
            return trust_decisions.decide_equivocation(
                cluster.state.view(TRUST), version=version, known_content_id=refusal.known_content_id,
                other_content_id=refusal.other_content_id, evidence_file_id=file_id,
            )  # fmt: skip

        cluster.execute("trust", decide, context)
