"""What a restored node asks its cluster, and what a ticket that answers must say. Pure code (trust, 19).

Rules this file keeps:

- A ticket answers one request of one opening of one journal: every field that it names is compared, the nonce and the incarnation among
  them, so that it serves no copy of this node and no later restore.
- It counts only under the bundle it demands, which is at least the newest that this node ever accepted.
- It raises floors and lowers none; one that names a lower floor than ours, or other content for the same version, is refused.
- It does not bring a revoked identity back.

Example::

    request = request_of(cluster_id, journal_id, incarnation, trust, identity, snapshots)
    events = decide_validated(trust, snapshots, ticket, content_id=content_id)
"""

from typing import NamedTuple

from rap_journal.deterministic_cbor import encode
from rap_journal.errors import MisuseError
from rap_projections import snapshot_decisions
from rap_projections.documents import CLUSTER_WIDE, RestoreTicket, RestoreVerdict, Scope, ScopeFloor
from rap_projections.event_kinds import IDENTITY, Event
from rap_projections.identity import IdentityView
from rap_projections.lifecycle import ClassReset
from rap_projections.refusals import BundleTooOld, TicketMismatch
from rap_projections.snapshots import SnapshotsView
from rap_projections.trust import ACCEPT, REENROLL, Restore, RestoreState, TrustView
from rap_projections.trust_events import RestoreValidated

NOBODY = "unenrolled"
"""Stands for node and membership id where no identity was ever requested."""

REQUEST_FORMAT = "rap-restore-request"
REQUEST_VERSION = 1

_COMPARED = ("journal_id", "node_id", "membership_id", "nonce", "incarnation", "backup_digest", "identity_key_sha256")
_NO_DIGEST = bytes(32)


class RestoreRequest(NamedTuple):
    """What a ticket must name, for whoever signs it. It holds no secret; nobody has to believe it.

    Attributes:
        cluster_id: the cluster.
        journal_id: the restored journal, 16 bytes.
        node_id, membership_id: who the node was; "unenrolled" where it never asked for an identity.
        nonce: 32 random bytes of this restore.
        incarnation: 16 random bytes of this opening: after another one, ask again.
        backup_digest: SHA-256 of the backup; zeros where there was none.
        identity_key_sha256: SHA-256 of the identity's public key; zeros without one.
        minimum_bundle_version: the newest bundle that this node ever accepted: the ticket may demand a later one.
        floors: highest version of every scope.
        revocation_digest: of the bundle in force.
        reason: why the state is in doubt: "backup", "witness_behind", "rollback", "copy" or "left".
    """

    cluster_id: str
    journal_id: bytes
    node_id: str
    membership_id: str
    nonce: bytes
    incarnation: bytes
    backup_digest: bytes
    identity_key_sha256: bytes
    minimum_bundle_version: int
    floors: tuple[ScopeFloor, ...]
    revocation_digest: bytes
    reason: str

    def to_bytes(self) -> bytes:
        """The request as deterministic CBOR; DOCUMENTS.md, "Restore request", has the shape."""
        floors = [[floor.scope.value, list(floor.version), floor.content_id] for floor in self.floors]
        return encode([REQUEST_FORMAT, REQUEST_VERSION, *self[:9], floors, *self[10:]])


def request_of(
    cluster_id: str, journal_id: bytes, incarnation: bytes, trust: TrustView, identity: IdentityView, snapshots: SnapshotsView
) -> RestoreRequest:
    """What this node asks. Raises `MisuseError` where its state is not in doubt."""
    restore = pending(trust)
    return RestoreRequest(
        cluster_id=cluster_id,
        journal_id=journal_id,
        node_id=identity.node_id or NOBODY,
        membership_id=identity.membership_id or NOBODY,
        nonce=restore.nonce,
        incarnation=incarnation,
        backup_digest=restore.backup_digest or _NO_DIGEST,
        identity_key_sha256=identity.key.key_sha256 if identity.key is not None else _NO_DIGEST,
        minimum_bundle_version=trust.floor.version.version,
        floors=tuple(
            [ScopeFloor(Scope(name), *scope.floor) for name, scope in sorted(snapshots.scopes.items()) if scope.floor.content_id]
        ),
        revocation_digest=trust.revocations.digest,
        reason=restore.reason,
    )


def pending(trust: TrustView) -> Restore:
    """The restore that waits for its ticket. Raises `MisuseError` where none does."""
    if trust.restore_state is RestoreState.NORMAL or trust.restore is None:
        raise MisuseError(
            "this state is not in doubt, so that there is nothing to validate; nothing was changed.",
            state_class="trust",
            reason="not_restored",
        )
    return trust.restore


def is_answered(trust: TrustView, ticket: RestoreTicket) -> bool:
    """Whether this ticket's nonce was used, so that the ticket changes nothing any more."""
    return trust.restore_state is RestoreState.NORMAL and trust.restore is not None and trust.restore.nonce == ticket.nonce


def check_ticket(ticket: RestoreTicket, asked: RestoreRequest, *, bundle_version: int, revocation_digest: bytes | None) -> None:
    """Raise `TicketMismatch` or `BundleTooOld` unless the ticket answers what was asked.

    `bundle_version`: of the bundle in force. `revocation_digest`: of the revocations of the bundle that the ticket demands; None where
    this node does not have it.
    """
    for field in _COMPARED:
        if getattr(ticket, field) != getattr(asked, field):
            raise TicketMismatch(field)
    if ticket.minimum_bundle_version < asked.minimum_bundle_version:
        raise TicketMismatch("minimum_bundle_version")
    if ticket.minimum_bundle_version > bundle_version:
        demanded = ticket.minimum_bundle_version
        raise BundleTooOld(f"it demands bundle {demanded}, and {bundle_version} is in force", document_type="restore-ticket")
    if ticket.revocation_digest != revocation_digest:
        raise TicketMismatch("revocation_digest")
    ours = {floor.scope: floor for floor in asked.floors}
    for floor in ticket.floors:
        known = ours.get(floor.scope, floor)
        if floor.version < known.version or (floor.version == known.version and floor.content_id != known.content_id):
            raise TicketMismatch("floors")


def decide_validated(
    trust: TrustView, snapshots: SnapshotsView, ticket: RestoreTicket, *, content_id: bytes
) -> tuple[Event, ...]:
    """The cluster accepts this node again, with its identity or without; what the ticket knows of floors is taken over.

    Raises `MisuseError` where the nonce was used already: whoever decides first wins.
    """
    if pending(trust).nonce != ticket.nonce:
        raise TicketMismatch("nonce")
    accepts = ticket.verdict is RestoreVerdict.ACCEPT
    events: list[Event] = [RestoreValidated(ticket.nonce, ACCEPT if accepts else REENROLL, content_id)]
    for floor in ticket.floors:
        assert floor.scope.value != CLUSTER_WIDE
        events += snapshot_decisions.decide_floor_raised(
            snapshots, scope=floor.scope.value, version=floor.version, content_id=floor.content_id, origin="ticket"
        )
    if not accepts:
        events.append(ClassReset(IDENTITY.number, 0, 0, "reenroll"))
    return tuple(events)
