"""The calls by which a restored node is accepted by its cluster again (trust, 19).

Rules this file keeps:

- Asking changes nothing. A ticket that is refused is recorded, bounded, and changes nothing.
- What a ticket decides stands in one frame: the verdict, raised floors, and, where a new identity is wanted, the end of the old one.
- The same ticket again is no error and changes nothing.

Example::

    request = cluster.restore_request()
    cluster.validate_restore(ticket_of_the_control_plane(request.to_bytes()))
"""

import hashlib
from contextlib import suppress
from typing import Unpack

from rap_journal.errors import DamageError, NoSpace
from rap_journal.sealing import SealBroken
from rap_projections import trust_decisions
from rap_projections.arguments import require
from rap_projections.bundle_schema import read_bundle, revocation_digest
from rap_projections.cluster_context import ClusterContext
from rap_projections.deadline_renewal import renew_deadline
from rap_projections.documents import DocumentType, RestoreVerdict
from rap_projections.event_kinds import HEALTH, IDENTITY, SNAPSHOTS, TRUST, Event
from rap_projections.identity import IdentityView
from rap_projections.node_time import Now
from rap_projections.receipts import UNCHANGED, Context, Receipt, check_word
from rap_projections.refusals import RefusedError, Revoked
from rap_projections.restore_decisions import RestoreRequest, check_ticket, decide_validated, is_answered, request_of
from rap_projections.signed_document import open_document
from rap_projections.trust import TrustView
from rap_projections.verification import verify_restore_ticket
from rap_projections.verified import VerifiedRestoreTicket


class Restores:
    """How a restored state is validated."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def request(self) -> RestoreRequest:
        """See `ClusterState.restore_request`."""
        cluster, core = self._context, self._context.core
        cluster.require_open()
        with core.lock:
            identity: IdentityView = cluster.state.view(IDENTITY)
            journal = core.journal
            return request_of(
                cluster.cluster_id,
                journal.keys.marker.journal_id,
                journal.incarnation,
                self._trust,
                identity,
                cluster.state.view(SNAPSHOTS),
            )

    def validate(self, data: bytes, *, source: str, **context: Unpack[Context]) -> Receipt:
        """See `ClusterState.validate_restore`."""
        check_word("source", source)
        require("ticket", data, bytes)
        cluster = self._context
        cluster.core.origin(context)
        with cluster.authority:
            try:
                trust = cluster.require_trust()
                verified = verify_restore_ticket(data, trust, trusted_s=cluster.core.now().trusted_s)
                if is_answered(self._trust, verified.ticket):
                    return UNCHANGED
                digest = self._revocation_digest(verified.ticket.minimum_bundle_version)
                check_ticket(verified.ticket, self.request(), bundle_version=trust.version, revocation_digest=digest)
                self._check_identity(verified)
                return self._commit(verified, context)
            except RefusedError as refusal:
                refusal.concerning(cluster=cluster.cluster_id, document_type=DocumentType.RESTORE_TICKET.value)
                with suppress(NoSpace):
                    self._record(refusal, data, source, context)
                raise

    def _check_identity(self, verified: VerifiedRestoreTicket) -> None:
        """What is revoked is not accepted again, whatever a ticket says (spec 11)."""
        ticket, trust = verified.ticket, self._context.require_trust()
        if ticket.verdict is not RestoreVerdict.ACCEPT:
            return
        identity: IdentityView = self._context.state.view(IDENTITY)
        held = identity.certificate
        if trust.is_identity_revoked(node_id=ticket.node_id, membership_id=ticket.membership_id) or (
            held is not None and trust.is_certificate_revoked(held.facts.fingerprint)
        ):
            raise Revoked("the identity that it accepts is revoked")

    def _revocation_digest(self, version: int) -> bytes | None:
        """Digest of the revocations of a bundle of the chain; None where it is not there."""
        for kept in self._trust.chain:
            if kept.version == version:
                with suppress(DamageError, SealBroken, OSError):
                    document = open_document(self._context.shelf.load(TRUST, kept.stored), DocumentType.BUNDLE)
                    return revocation_digest(read_bundle(document.envelope.payload))
        return None

    def _commit(self, verified: VerifiedRestoreTicket, context: Context) -> Receipt:
        cluster, state, ticket = self._context, self._context.state, verified.ticket
        clock_step_s_max, before = cluster.require_trust().clock_step_s_max, state.view(TRUST)

        def decide(now: Now) -> tuple[Event, ...]:
            trust: TrustView = state.view(TRUST)
            used_s = state.view(HEALTH).used_s(now, cluster.core.boot_id)
            events = list(decide_validated(trust, state.view(SNAPSHOTS), ticket, content_id=verified.content_id))
            events += trust_decisions.decide_instants(
                trust, kids=verified.signers, signed_s=ticket.issued_at_s, uptime_s=used_s, clock_step_s_max=clock_step_s_max
            )
            return (*cluster.decide_uptime(now), *events)

        receipt = cluster.execute("trust", decide, context)
        renew_deadline(cluster, ticket.issued_at_s, before, "ticket", receipt)
        return receipt

    def _record(self, refusal: RefusedError, data: bytes, source: str, context: Context) -> None:
        cluster, digest = self._context, hashlib.sha256(data).digest()
        scope, reason = DocumentType.RESTORE_TICKET.value, refusal.reason or refusal.rule

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            return trust_decisions.decide_refused(
                self._trust, source=source, scope=scope, reason=reason, times=times, digest=digest, now=now, policy=cluster.policy
            )

        cluster.coalesce("trust/refused", ("trust", source, scope, reason), decide, context)

    @property
    def _trust(self) -> TrustView:
        view: TrustView = self._context.state.view(TRUST)
        return view
