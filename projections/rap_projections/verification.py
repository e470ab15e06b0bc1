"""Whether a document may be trusted under the bundle in force. Pure code: bytes, trust and trusted time in, a verified value out.

Rules this file keeps (trust, 8):

- The order is size, structure, claims, keys, threshold, signature, floor, head, time, audience, schema. The first rule broken is
  the one reported, so that a document for somebody else is told from a forged one, and nothing is parsed that is not signed.
- One reference time per call. Past the end of validity is what trusted time says; when a document was issued refuses nothing,
  because this node's time may be behind.
- No floor moves here, and nothing is remembered: activation does both, in one frame.
- What passes has a type of its own (`verified`); what does not raises a `RefusedError`.

Bundles, on which all of this stands, are verified in `bundle_verification`.

Example::

    trust = TrustInForce.of(verified_bundle)
    me = Recipient("node-17", trust.roles_of("node-17"))
    snapshot = verify_snapshot(data, trust, trusted_s=now.trusted_s, recipient=me, floors=floors)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.errors import MisuseError
from rap_projections.bundle_verification import verify_roots
from rap_projections.document_case import DocumentCase
from rap_projections.document_rules import (
    authenticate,
    check_audience,
    check_generation,
    check_head,
    check_time,
    is_at_floor,
)
from rap_projections.document_schema import (
    SNAPSHOTS,
    SnapshotHeader,
    decode_payload,
    read_artifact,
    read_head,
    read_header,
    read_increment,
    read_restore_ticket,
)
from rap_projections.documents import DocumentType, Floor, Scope, SnapshotPayload
from rap_projections.refusals import AUTHENTICITY, RULES, RefusedError
from rap_projections.rule_report import CheckReport, report_of
from rap_projections.signed_document import FORMS, SignedDocument, open_document
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verified import (
    MINT,
    VerifiedArtifact,
    VerifiedHead,
    VerifiedIncrement,
    VerifiedRestoreTicket,
    VerifiedResult,
    VerifiedSnapshot,
)


class Recipient(NamedTuple):
    """Who asks: this node, and the roles it has now (`TrustInForce.roles_of`)."""

    node_id: str
    roles: frozenset[str] = frozenset()


NO_FLOORS: Mapping[Scope, Floor] = MappingProxyType({})
"""The floors of a cluster that has accepted nothing yet."""


def verify_snapshot(
    data: bytes,
    trust: TrustInForce,
    *,
    trusted_s: int,
    recipient: Recipient,
    floors: Mapping[Scope, Floor] = NO_FLOORS,
    head: VerifiedHead | None = None,
    scope: Scope | None = None,
) -> VerifiedSnapshot:
    """The snapshot in `data`, if every rule lets it be activated on this node now.

    Args:
        data: the document as received.
        trust: the trust in force; it names the cluster.
        trusted_s: low end of trusted time, whole seconds since 1970.
        recipient: this node and its roles.
        floors: per scope what was accepted before; a scope that is missing has accepted nothing.
        head: the newest verified head, if there is one; needed where the bundle requires it.
        scope: the scope it must be of; None takes whichever it claims.

    Raises the `RefusedError` of the first rule that it breaks.
    """
    case = _SnapshotCase(data, trust, trusted_s, recipient, floors, head, scope)
    with _named(trust, DocumentType.SNAPSHOT, case):
        for _, check in _SNAPSHOT_RULES:
            check(case)
    return case.verified()


def require_one_for_a_scope(documents: Sequence[VerifiedSnapshot | VerifiedResult]) -> None:
    """Raise `MisuseError` where two contents of a scope come at once: the second was not judged by the floor that the first sets."""
    scopes = [scope for scope, _content_id in {(it.snapshot.scope, it.content_id) for it in documents}]
    twice = [scope.value for scope in scopes if scopes.count(scope) > 1]
    if twice:
        raise MisuseError(
            f"two documents are of scope {min(twice)}; nothing was activated. Hand over the newest of each scope.",
            reason="two_of_a_scope",
        )


def verify_kept_snapshot(
    data: bytes, trust: TrustInForce, *, trusted_s: int, recipient: Recipient, scope: Scope
) -> VerifiedSnapshot:
    """A snapshot that was accepted before, judged again: at opening, after a change of trust, and before a fallback to it.

    Every rule applies but two: it may be older than the floor, which it does not move, and no head need list it. Generation and
    minimum of the bundle in force do apply. Raises a `RefusedError`.
    """
    case = _SnapshotCase(data, trust, trusted_s, recipient, NO_FLOORS, None, scope, is_kept=True)
    with _named(trust, DocumentType.SNAPSHOT, case):
        for _, check in _SNAPSHOT_RULES:
            check(case)
    return case.verified()


def check_snapshot(
    data: bytes,
    trust: TrustInForce,
    *,
    trusted_s: int,
    recipient: Recipient,
    floors: Mapping[Scope, Floor] = NO_FLOORS,
    head: VerifiedHead | None = None,
    scope: Scope | None = None,
) -> CheckReport:
    """What every rule says about `data`; takes what `verify_snapshot` takes and never raises a `RefusedError`.

    After the signature the rules do not depend on each other, so each is tried although another failed.
    """
    case = _SnapshotCase(data, trust, trusted_s, recipient, floors, head, scope)
    checks = [(rule, partial(check, case)) for rule, check in _SNAPSHOT_RULES]
    return report_of(checks, case.verified, lambda: _named(trust, DocumentType.SNAPSHOT, case))


def verify_head(data: bytes, trust: TrustInForce, *, trusted_s: int) -> VerifiedHead:
    """The head in `data`, if it is signed by a key for heads and unexpired. Raises a `RefusedError`."""
    with _named(trust, DocumentType.HEAD):
        document = _open(data, trust, DocumentType.HEAD)
        signers = authenticate(document, trust)
        head = read_head(document.envelope.payload)
        check_time(head.expires_at_s, trusted_s)
    return VerifiedHead(mint=MINT, head=head, **_common(data, document, trust, signers))


def verify_increment(data: bytes, trust: TrustInForce, *, trusted_s: int, recipient: Recipient) -> VerifiedIncrement:
    """The increment in `data`, if it is signed by a key for its scope, in the scope's generation, unexpired and for this node.

    Whether it starts from the active document, and whether its result passes every rule, is for whoever applies it. Raises a
    `RefusedError`.
    """
    with _named(trust, DocumentType.INCREMENT):
        document = _open(data, trust, DocumentType.INCREMENT)
        signers = authenticate(document, trust)
        scope = Scope(document.claims.scope)
        header = read_header(decode_payload(document.envelope.payload))
        check_generation(header, trust, scope)
        check_time(header.expires_at_s, trusted_s)
        check_audience(header.audience, *recipient)
        increment = read_increment(document.envelope.payload, scope)
    return VerifiedIncrement(mint=MINT, increment=increment, **_common(data, document, trust, signers))


def authentic_increment(data: bytes, trust: TrustInForce) -> VerifiedIncrement:
    """An increment that was accepted before and is a step on the way to the document in use: only its signature is judged again.

    Raises a `RefusedError`.
    """
    with _named(trust, DocumentType.INCREMENT):
        document = _open(data, trust, DocumentType.INCREMENT)
        signers = authenticate(document, trust)
        increment = read_increment(document.envelope.payload, Scope(document.claims.scope))
    return VerifiedIncrement(mint=MINT, increment=increment, **_common(data, document, trust, signers))


def authentic_snapshot(data: bytes, trust: TrustInForce, *, scope: Scope) -> VerifiedSnapshot:
    """A full document that was accepted before and on which increments stand: only its signature is judged again.

    Raises a `RefusedError`.
    """
    case = _SnapshotCase(data, trust, 0, Recipient(""), NO_FLOORS, None, scope, is_kept=True)
    with _named(trust, DocumentType.SNAPSHOT, case):
        for rule, check in _SNAPSHOT_RULES:
            if rule in AUTHENTICITY or rule == "schema":
                check(case)
    return case.verified()


def verify_artifact(data: bytes, trust: TrustInForce, *, trusted_s: int, recipient: Recipient) -> VerifiedArtifact:
    """The artifact reference in `data`, if it is signed by a key for artifacts, unexpired and for this node.

    Raises a `RefusedError`.
    """
    with _named(trust, DocumentType.ARTIFACT):
        document = _open(data, trust, DocumentType.ARTIFACT)
        signers = authenticate(document, trust)
        artifact = read_artifact(document.envelope.payload)
        check_time(artifact.expires_at_s, trusted_s)
        check_audience(artifact.audience, *recipient)
    return VerifiedArtifact(mint=MINT, artifact=artifact, **_common(data, document, trust, signers))


def verify_restore_ticket(data: bytes, trust: TrustInForce, *, trusted_s: int) -> VerifiedRestoreTicket:
    """The restore ticket in `data`, if a threshold of roots signed it and it is unexpired. Raises a `RefusedError`."""
    with _named(trust, DocumentType.RESTORE_TICKET):
        document = _open(data, trust, DocumentType.RESTORE_TICKET)
        signers = verify_roots(document, trust.roots, trust.root_threshold)
        ticket = read_restore_ticket(document.envelope.payload)
        check_time(ticket.expires_at_s, trusted_s)
    return VerifiedRestoreTicket(mint=MINT, ticket=ticket, **_common(data, document, trust, signers))


class _SnapshotCase(DocumentCase):
    """One snapshot on its way through the rules, and what is known of it so far."""

    def __init__(
        self,
        data: bytes,
        trust: TrustInForce,
        trusted_s: int,
        recipient: Recipient,
        floors: Mapping[Scope, Floor],
        head: VerifiedHead | None,
        scope: Scope | None,
        *,
        is_kept: bool = False,
    ) -> None:
        super().__init__(data, trust, DocumentType.SNAPSHOT, scope)
        self.trusted_s, self.recipient, self.floors, self.head = trusted_s, recipient, floors, head
        self.is_kept = self.unchanged = is_kept
        self.snapshot: SnapshotPayload
        self._read: tuple[Any, SnapshotHeader] | None = None

    @property
    def read(self) -> tuple[Any, SnapshotHeader]:
        """The decoded payload and its header, when the first rule after the signature asks for them, and never before."""
        if self._read is None:
            value = decode_payload(self.document.envelope.payload)
            self._read = value, read_header(value)
        return self._read

    @property
    def header(self) -> SnapshotHeader:
        """What the rules need of the payload."""
        return self.read[1]

    def check_floor(self) -> None:
        check_generation(self.header, self.trust, self.scope)
        floor = self.floors.get(self.scope)
        if floor is not None:
            self.unchanged = is_at_floor(self.header, self.document.content_id(), floor)

    def check_head(self) -> None:
        if self.trust.requires_head and not self.is_kept:
            payload_bytes = len(self.document.envelope.payload)
            check_head(self.document.content_id(), payload_bytes, self.header, self.scope, self.trust, self.head, self.trusted_s)

    def check_time(self) -> None:
        check_time(self.header.expires_at_s, self.trusted_s)

    def check_audience(self) -> None:
        check_audience(self.header.audience, *self.recipient)

    def check_schema(self) -> None:
        self.snapshot = SNAPSHOTS[self.scope].read(self.read[0])

    def verified(self) -> VerifiedSnapshot:
        """The value that says that every rule passed."""
        common = _common(self.data, self.document, self.trust, tuple(sorted(self.keys)))
        return VerifiedSnapshot(mint=MINT, snapshot=self.snapshot, **common | {"unchanged": self.unchanged})


_SNAPSHOT_RULES: tuple[tuple[str, Callable[[_SnapshotCase], None]], ...] = (
    ("size", _SnapshotCase.check_size),
    ("structure", _SnapshotCase.check_structure),
    ("claims", _SnapshotCase.check_claims),
    ("keys", _SnapshotCase.check_keys),
    ("threshold", _SnapshotCase.check_threshold),
    ("signature", _SnapshotCase.check_signature),
    ("floor", _SnapshotCase.check_floor),
    ("head", _SnapshotCase.check_head),
    ("time", _SnapshotCase.check_time),
    ("audience", _SnapshotCase.check_audience),
    ("schema", _SnapshotCase.check_schema),
)
assert tuple(rule for rule, _ in _SNAPSHOT_RULES) == RULES


@contextmanager
def _named(trust: TrustInForce, document_type: DocumentType, case: _SnapshotCase | None = None) -> Iterator[None]:
    """Add to a refusal which document it is about."""
    try:
        yield
    except RefusedError as refusal:
        scope = getattr(case, "scope", None) or getattr(case, "expected_scope", None)
        refusal.concerning(cluster=trust.cluster_id, document_type=document_type.value, scope=scope.value if scope else None)
        raise


def _open(data: bytes, trust: TrustInForce, document_type: DocumentType) -> SignedDocument:
    document = open_document(data, document_type)
    document.check_claims(trust.cluster_id, FORMS[document_type].scopes)
    return document


def _common(data: bytes, document: SignedDocument, trust: TrustInForce, signers: tuple[bytes, ...]) -> dict[str, Any]:
    return {
        "data": data,
        "cluster_id": document.claims.cluster_id,
        "scope": document.claims.scope,
        "content_id": document.content_id(),
        "signers": signers,
        "trust_version": trust.version,
        "unchanged": False,
    }
