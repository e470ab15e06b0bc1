"""Resetting identity or trust: the way out for a cluster that fails closed (spec 8; trust, 19).

Rules this file keeps:

- It is asked for, never done by itself: identity starts as it does at a fresh join, without a key; trust starts from a bundle that is
  pinned out of band once more.
- No floor falls: the bundle may not be older than any that was accepted, and floors, trusted time and "not validated" are carried over
  in the frame that resets.
- The bytes that are given up go to quarantine before that frame, and from their folder behind it. Killed anywhere, the cluster still
  fails closed, or is reset.
- Where nothing is wrong there is nothing to reset. A journal that was tampered with cannot be written: leaving and joining again is the
  way then, and the floors are remembered.

Example::

    cluster.reset("trust", bundle=bundle, expect=sha256_hex)
    cluster.reset("identity")
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Unpack

from rap_journal.errors import FailClosed, MisuseError, StateStoreError
from rap_journal.layout import document_name
from rap_journal.quarantine import PUT_AWAY, Piece, keep
from rap_journal.sealed_store import list_documents
from rap_journal.values import ClassSpec
from rap_projections.backup_source import known_floors
from rap_projections.bundle_verification import verify_bootstrap
from rap_projections.cluster_building import NONCE_BYTES, check_not_below
from rap_projections.cluster_context import ClusterContext
from rap_projections.cluster_opening import found_by
from rap_projections.event_kinds import HEALTH, IDENTITY, TRUST, Event
from rap_projections.identity import Enrollment, IdentityView
from rap_projections.journaled_state import Decide
from rap_projections.known_floors import NORMAL, KnownFloors
from rap_projections.lifecycle import ClassReset, RecoveryDone
from rap_projections.node_time import Now
from rap_projections.receipts import UNCHANGED, Context, Receipt
from rap_projections.trust import TrustView
from rap_projections.trust_decisions import NewBundle, decide_bundles, decide_instants, decide_pin
from rap_projections.trust_events import RestoreMarked, SignedInstantSeen, TrustFloorRaised
from rap_projections.verified import VerifiedBundle

REASON = "operator"
_ENDED = (Enrollment.LOST, Enrollment.REVOKED)


class Resets:
    """How identity and trust are reset."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def identity(self, **context: Unpack[Context]) -> Receipt:
        """Start identity anew, without a key; see `ClusterState.reset`."""
        cluster = self._context
        reason, view = cluster.fail_closed_reason or "", self._identity
        self._require_writable(reason)
        if not reason.startswith(IDENTITY.name) and view.enrollment not in _ENDED:
            if view.enrollment is Enrollment.NONE:
                return UNCHANGED
            raise _not_needed(cluster.cluster_id, IDENTITY)
        with cluster.authority:
            given_up = list_documents(cluster.core.journal.folders, IDENTITY)
            self._put_away(IDENTITY, given_up)
            receipt = cluster.execute("identity", lambda now: self._resets(IDENTITY), context)
            self._remove(IDENTITY, given_up)
        return receipt

    def trust(self, *, bundle: bytes, expect: str | list[str], **context: Unpack[Context]) -> Receipt:
        """Start trust anew from a bundle that is pinned once more; see `ClusterState.reset`."""
        cluster = self._context
        reason = cluster.fail_closed_reason or ""
        self._require_writable(reason)
        verified = verify_bootstrap(bundle, cluster_id=cluster.cluster_id, expect=expect, trusted_s=None)
        if not reason.startswith(TRUST.name):
            pinned = self._trust.bootstrap
            if not reason and pinned is not None and pinned.fingerprint == hashlib.sha256(bundle).digest():
                return UNCHANGED
            raise _not_needed(cluster.cluster_id, TRUST)
        floors = known_floors(cluster)
        check_not_below(verified, floors)
        with cluster.authority:
            given_up = self._damaged(TRUST)
            self._put_away(TRUST, given_up)
            stored = cluster.shelf.store(TRUST, bundle)
            new = NewBundle(verified.bundle, verified.content_id, stored)
            nonce = cluster.core.random_bytes(NONCE_BYTES)
            receipt = cluster.execute("trust", lambda now: self._begin_trust(verified, new, floors, nonce, now), context)
            self._remove(TRUST, given_up)
        return receipt

    def _begin_trust(
        self, verified: VerifiedBundle, new: NewBundle, floors: KnownFloors, nonce: bytes, now: Now
    ) -> tuple[Event, ...]:
        """The frame that ends the old trust and begins the new one, on top of the old floors."""
        empty, old = TrustView(), self._trust
        used_s = self._context.state.view(HEALTH).used_s(now, self._context.core.boot_id)
        events: list[Event] = [*self._context.decide_uptime(now), *self._resets(TRUST)]
        events += decide_pin(empty, fingerprint=hashlib.sha256(verified.data).digest(), method="sha256")
        if floors.bundle[0]:
            # Ahead of the bundle, whose own revocations are the ones in force.
            events.append(TrustFloorRaised(*floors.bundle, *floors.revocations, "reset"))
        events += decide_bundles(empty, [new], now)
        revoked = {entry.subject for entry in verified.bundle.revocations}
        kept = {kid: seen for kid, seen in old.instants.items() if kid not in revoked}
        events += [SignedInstantSeen(kid, *seen) for kid, seen in sorted(kept.items())]
        carried = old._replace(instants=kept)
        signed_s = max(verified.bundle.issued_at_s, floors.time[0])
        events += decide_instants(carried, kids=verified.signers, signed_s=signed_s, uptime_s=used_s, clock_step_s_max=signed_s)
        if floors.restore != NORMAL:
            was = old.restore
            events.append(
                RestoreMarked(was.reason, was.backup_digest, was.nonce) if was else RestoreMarked("rollback", b"", nonce)
            )
        return tuple(events)

    def _resets(self, spec: ClassSpec) -> tuple[Event, ...]:
        """The end of the old state; each loss by its range, so that no later opening takes it for news."""
        core = self._context.core
        losses = [loss for loss in core.journal.report.losses if loss.state_class == spec.number]
        fresh = [loss for loss in losses if (loss.state_class, loss.first_lsn, loss.last_lsn) not in core.resets_seen]
        resets = [ClassReset(spec.number, loss.first_lsn, loss.last_lsn, REASON) for loss in fresh]
        return tuple(resets or [ClassReset(spec.number, 0, 0, REASON)])

    def _require_writable(self, reason: str) -> None:
        if not self._context.core.journal.is_writable:
            raise FailClosed(
                f"the journal of cluster {self._context.cluster_id} was tampered with and cannot be written ({reason}); nothing was done. "
                "Keep a copy of its folder, leave the cluster and join it again: its floors are remembered.",
                cluster=self._context.cluster_id,
                reason="tampered",
            )

    def _damaged(self, spec: ClassSpec) -> list[bytes]:
        """Documents of a class that cannot be read."""
        core = self._context.core
        damaged = []
        for file_id in list_documents(core.journal.folders, spec):
            try:
                core.load(spec, file_id)
            except (StateStoreError, OSError):
                damaged.append(file_id)
        return damaged

    def _put_away(self, spec: ClassSpec, file_ids: Sequence[bytes]) -> None:
        """Keep the bytes of these files in quarantine, and tell of it; what an opening found, and could not tell yet, goes first."""
        cluster, journal = self._context, self._context.core.journal
        for event in found_by(journal.report):
            cluster.execute("recovery", _always(event), durable=True)
        for file_id in file_ids:
            with journal.folders.classes[spec.number].open(document_name(file_id)) as file:
                data = file.read_at(0, file.size())
            piece = Piece(journal.keys.marker.journal_id, 0, 0, spec.number, journal.durable_lsn, PUT_AWAY, data)
            keep(journal.folders.quarantine, journal.folders.temporary, piece, journal.setup.quarantine_bytes_max)
            sha256 = hashlib.sha256(data).digest()
            put_away = RecoveryDone(0, spec.number, journal.durable_lsn, len(data), "reset", REASON, "put_away", "none", sha256)
            cluster.execute("recovery", _always(put_away), durable=True)

    def _remove(self, spec: ClassSpec, file_ids: Collection[bytes]) -> None:
        folder = self._context.core.journal.folders.classes[spec.number]
        for file_id in file_ids:
            if folder.status(document_name(file_id)) is not None:
                folder.unlink(document_name(file_id))
        if file_ids:
            folder.sync()

    @property
    def _identity(self) -> IdentityView:
        view: IdentityView = self._context.state.view(IDENTITY)
        return view

    @property
    def _trust(self) -> TrustView:
        view: TrustView = self._context.state.view(TRUST)
        return view


def _always(event: Event) -> Decide:
    return lambda now: (event,)


def _not_needed(cluster_id: str, spec: ClassSpec) -> MisuseError:
    return MisuseError(
        f"{spec.name} of cluster {cluster_id} is not damaged, so that there is nothing to reset; nothing was changed.",
        cluster=cluster_id,
        state_class=spec.name,
        reason="not_needed",
    )
