"""What a restored cluster's journal begins with: trust and time, identity, the documents in force.

Rules this file keeps:

- Time goes on where the backup knew it to be; the uptime of the new machine so far is not the old node's.
- An identity whose private key is not in the backup is lost: it names what was, and the node has to enroll anew. One that is revoked
  stays revoked, by what the backup says and by what its bundle says.
- A document that does not verify under the restored trust is left out, and so is a certificate; both can be had again.

Example::

    restore_trust(core, saved, verified_bundles, floors)
    RestoredIdentity(core, saved.identity, trust).write()
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from rap_journal.errors import DamageError
from rap_journal.sealing import Purpose
from rap_projections import identity_decisions, snapshot_decisions
from rap_projections.backup_content import SavedCluster, SavedIdentity, SavedScope
from rap_projections.documents import Scope, SignedPolicy, SnapshotPayload
from rap_projections.event_kinds import IDENTITY, SNAPSHOTS, TRUST, Event
from rap_projections.health_events import UptimeDebited
from rap_projections.identity import Certificate, Enrollment, IdentityView, Key
from rap_projections.identity_keys import SEALED
from rap_projections.increments import apply_increment, repeated_result, verify_kept
from rap_projections.journaled_state import JournaledState
from rap_projections.known_floors import KnownFloors
from rap_projections.node_time import Now
from rap_projections.own_certificate import read_own_certificate
from rap_projections.policy import EffectivePolicy, Policy, effective
from rap_projections.refusals import RefusedError
from rap_projections.trust import TrustView
from rap_projections.trust_decisions import NewBundle, decide_bundles, decide_pin
from rap_projections.trust_events import SignedInstantSeen
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import Recipient, authentic_increment, authentic_snapshot, verify_head
from rap_projections.verified import VerifiedBundle

ABSENT_KEY = "backup:absent"
"""Reference of a private key that was not in the backup."""

IdentityStep = Callable[[IdentityView, Now], Sequence[Event]]

_POLICY_FIRST = sorted(Scope, key=lambda scope: (scope is not Scope.POLICY, scope.value))


def restore_trust(core: JournaledState, saved: SavedCluster, bundles: Sequence[VerifiedBundle], floors: KnownFloors) -> None:
    """Write the pin, the verified bundles, trusted time and time used up."""
    new = [NewBundle(it.bundle, it.content_id, core.shelf.store(TRUST, it.data)) for it in bundles]
    trusted_s, used_s, _deadline_s = floors.time
    instants = [SignedInstantSeen(*instant) for instant in saved.instants]
    if trusted_s > max((it.signed_s + max(0, used_s - it.uptime_s) for it in instants), default=0):
        # What survived knows of a later time than the backup, and no longer of the key that stated it.
        instants += [SignedInstantSeen(kid, trusted_s, used_s) for kid in bundles[-1].signers]

    def decide(now: Now) -> tuple[Event, ...]:
        trust: TrustView = core.state.view(TRUST)
        pinned = decide_pin(trust, fingerprint=saved.fingerprint, method=saved.method)
        paid = UptimeDebited(used_s, core.boot_id, now.boot_us)
        return (paid, *pinned, *decide_bundles(trust, new, now), *instants)

    core.execute("trust", decide)


class RestoredIdentity:
    """Writes who the node is."""

    def __init__(self, core: JournaledState, saved: SavedIdentity, trust: TrustInForce) -> None:
        self._core = core
        self._saved = saved
        self._trust = trust

    def write(self) -> None:
        """All that is known of the identity, and what became of it."""
        saved, decisions = self._saved, identity_decisions
        key = Key(self._reference(), *saved.key)
        certificate = self._certificate()
        self._step(
            lambda view, now: decisions.decide_request(view, node_id=saved.node_id, membership_id=saved.membership_id, key=key)
        )
        if certificate is not None:
            kept = certificate
            self._step(lambda view, now: decisions.decide_install(view, kept, now))
        if self._is_revoked():
            content_id, reason = self._trust.content_id, "revoked_before"
            self._step(
                lambda view, now: decisions.decide_revoked(view, fingerprint=b"", reason=reason, source_content_id=content_id)
            )
        if not saved.secret:
            self._step(lambda view, now: decisions.decide_lost(view, key_reference=key.reference, reason="not_in_backup"))

    def _step(self, decide: IdentityStep) -> None:
        core = self._core
        core.execute("identity", lambda now: decide(core.state.view(IDENTITY), now))

    def _reference(self) -> str:
        if not self._saved.secret:
            return ABSENT_KEY
        return SEALED + self._core.store(IDENTITY, self._saved.secret, purpose=Purpose.IDENTITY).hex()

    def _certificate(self) -> Certificate | None:
        saved = self._saved
        if not saved.certificate:
            return None
        try:
            facts = read_own_certificate(saved.certificate, self._trust, node_id=saved.node_id, membership_id=saved.membership_id)
        except RefusedError:
            return None
        if facts.key_sha256 != saved.key.key_sha256:
            return None
        return Certificate(facts, self._core.shelf.store(IDENTITY, saved.certificate))

    def _is_revoked(self) -> bool:
        saved = self._saved
        named = self._trust.is_identity_revoked(node_id=saved.node_id, membership_id=saved.membership_id)
        return named or saved.enrollment == Enrollment.REVOKED.value


class RestoredDocuments:
    """Writes the documents in force."""

    def __init__(self, core: JournaledState, saved: SavedCluster, trust: TrustInForce, policy: Policy) -> None:
        self._core = core
        self._saved = {scope.scope: scope for scope in saved.snapshots}
        self._head = saved.head
        self._trust = trust
        self._operator = policy
        self._policy: EffectivePolicy = effective(policy, None)
        node_id = saved.identity.node_id if saved.identity is not None else ""
        self._recipient = Recipient(node_id, trust.roles_of(node_id) if node_id else frozenset())

    def write(self) -> None:
        """Every document that verifies: the policy first, since the limits in force go with each of the others."""
        for scope in _POLICY_FIRST:
            if scope.value in self._saved:
                with suppress(RefusedError, DamageError):
                    self._write_scope(scope, self._saved[scope.value])
        if self._head:
            with suppress(RefusedError):
                self._write_head(self._head)

    def _write_scope(self, scope: Scope, saved: SavedScope) -> None:
        full, *increments = saved.documents
        verify_kept(full, increments, self._trust, recipient=self._recipient, scope=scope)
        core, snapshot = self._core, authentic_snapshot(full, self._trust, scope=scope)
        stored = core.shelf.store(SNAPSHOTS, full)
        core.execute(
            "snapshots",
            lambda now: snapshot_decisions.decide_activation(core.state.view(SNAPSHOTS), snapshot, stored, now, self._policy),
        )
        payload, at = snapshot.snapshot, snapshot.content_id
        for increment in increments:
            payload, at = self._write_increment(increment, payload, at)
        if isinstance(payload.body, SignedPolicy):
            self._policy = effective(self._operator, payload.body)

    def _write_increment(self, data: bytes, base: SnapshotPayload, base_content_id: bytes) -> tuple[SnapshotPayload, bytes]:
        core, verified = self._core, authentic_increment(data, self._trust)
        result = repeated_result(verified, apply_increment(base, verified.increment))
        stored = core.shelf.store(SNAPSHOTS, data)
        core.execute(
            "snapshots",
            lambda now: snapshot_decisions.decide_increment(
                core.state.view(SNAPSHOTS), result, stored, now, self._policy, base_content_id=base_content_id
            ),
        )
        return result.snapshot, result.content_id

    def _write_head(self, data: bytes) -> None:
        core, head = self._core, verify_head(data, self._trust, trusted_s=0)
        stored = core.shelf.store(SNAPSHOTS, data)
        core.execute(
            "snapshots",
            lambda now: snapshot_decisions.decide_head(
                core.state.view(SNAPSHOTS), head.head, stored, now, content_id=head.content_id, signer_kids=head.signers
            ),
        )
