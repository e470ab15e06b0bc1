"""Increments: what changes from one snapshot to the next of its scope, and whether the outcome may be trusted. Pure code.

Rules this file keeps (trust, 7):

- An increment states the complete header of its result and the result's content id. What applying it gives must be exactly that.
- The result passes every check that a full document passes: floor, head, time, audience, schema. Its authenticity is that of the
  increment together with that of the full document it stands on; both are judged under the trust in force.
- A kept document is the full one and its increments in order. All of them must verify, or none of it counts.

Example::

    result = verify_offered(data, trust, active_of, trusted_s=now.trusted_s, recipient=me, floors=floors)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from rap_projections.document_rules import check_audience, check_generation, check_head, check_time, is_at_floor
from rap_projections.document_schema import header_of, read_snapshot, write_snapshot
from rap_projections.documents import Body, DocumentType, Floor, Increment, Scope, SnapshotPayload
from rap_projections.refusals import RefusedError, Revoked, WrongBase, WrongScope
from rap_projections.signed_document import Claims, content_id
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import (
    NO_FLOORS,
    Recipient,
    authentic_increment,
    authentic_snapshot,
    verify_increment,
    verify_kept_snapshot,
)
from rap_projections.verified import MINT, VerifiedHead, VerifiedIncrement, VerifiedResult, VerifiedSnapshot


class Base(NamedTuple):
    """The active document of a scope: what it says, and its content id."""

    snapshot: SnapshotPayload
    content_id: bytes


ActiveOf = Callable[[Scope], Base | None]
"""Gives the active document of a scope, which was verified when it was activated; None where there is none."""


def apply_increment(base: SnapshotPayload, increment: Increment) -> SnapshotPayload:
    """What `base` says once `increment` was applied. Nothing is judged, but that it removes only what is there.

    Raises `WrongBase` for an id that is removed and was not there.
    """
    entries = {entry[0]: entry for entry in cast(tuple[Any, ...], base.body)}
    for gone in increment.removed:
        if entries.pop(gone, None) is None:
            raise WrongBase("it removes an entry that its base does not have", scope=increment.scope.value)
    entries.update((entry[0], entry) for entry in cast(tuple[Any, ...], increment.changed))
    body = cast(Body, tuple(entries[key] for key in sorted(entries)))
    return SnapshotPayload(increment.scope, *header_of(increment), body)


def verify_offered(
    data: bytes,
    trust: TrustInForce,
    active_of: ActiveOf,
    *,
    trusted_s: int,
    recipient: Recipient,
    floors: Mapping[Scope, Floor] = NO_FLOORS,
    head: VerifiedHead | None = None,
    scope: Scope | None = None,
) -> VerifiedResult:
    """What the increment in `data` makes of the active document of its scope; of one that was applied before, that document.

    Takes what `verify_snapshot` takes. Raises what `verify_increment` and `verify_result` raise, and `WrongScope`.
    """
    verified = verify_increment(data, trust, trusted_s=trusted_s, recipient=recipient)
    if scope is not None and verified.increment.scope is not scope:
        raise WrongScope(f"it is for scope {verified.scope}", scope=scope.value)
    base = base_for(verified.increment, active_of)
    if verified.increment.result_content_id == base.content_id:
        return repeated_result(verified, base.snapshot)
    return verify_result(
        verified, base.snapshot, base.content_id, trust, trusted_s=trusted_s, recipient=recipient, floors=floors, head=head
    )


def base_for(increment: Increment, active_of: ActiveOf) -> Base:
    """The active document of the increment's scope. Raises `WrongBase` where there is none."""
    base = active_of(increment.scope)
    if base is None:
        raise WrongBase("its scope has no active document to start from", scope=increment.scope.value)
    return base


def verify_result(
    verified: VerifiedIncrement,
    base: SnapshotPayload,
    base_content_id: bytes,
    trust: TrustInForce,
    *,
    trusted_s: int,
    recipient: Recipient,
    floors: Mapping[Scope, Floor] = NO_FLOORS,
    head: VerifiedHead | None = None,
) -> VerifiedResult:
    """What a verified increment makes of the active document, if every rule lets the result be activated on this node now.

    Args:
        verified: the increment.
        base: what the active document says, which was verified when it was activated.
        base_content_id: its content id.
        trust, trusted_s, recipient, floors, head: as `verify_snapshot` takes them.

    Raises `WrongBase` where the increment starts from another document or leads elsewhere than it says, and the `RefusedError`
    of the first rule that the result breaks.
    """
    with naming(verified.cluster_id, verified.increment.scope):
        payload, outcome = result_of(verified, base, base_content_id, trust)
        header, result_id = header_of(payload), verified.increment.result_content_id
        floor = floors.get(payload.scope)
        unchanged = floor is not None and is_at_floor(header, result_id, floor)
        if trust.requires_head:
            check_head(result_id, len(outcome), header, payload.scope, trust, head, trusted_s)
        check_time(header.expires_at_s, trusted_s)
        check_audience(header.audience, *recipient)
    return _minted(verified, payload, unchanged=unchanged)


def repeated_result(verified: VerifiedIncrement, active: SnapshotPayload) -> VerifiedResult:
    """The result of an increment that leads to the active document, whose content is `active`: it was applied before."""
    return _minted(verified, active, unchanged=True)


def verify_kept(
    data: bytes, increments: Sequence[bytes], trust: TrustInForce, *, recipient: Recipient, scope: Scope
) -> VerifiedSnapshot | VerifiedResult:
    """A document that was accepted before, full one and increments, judged again under `trust`; its time is not judged.

    Generation, minimum and audience are judged of what they lead to, not of the steps on the way. Raises a `RefusedError`.
    """
    if not increments:
        return verify_kept_snapshot(data, trust, trusted_s=0, recipient=recipient, scope=scope)
    base = authentic_snapshot(data, trust, scope=scope)
    verified: VerifiedResult | None = None
    payload, at = base.snapshot, base.content_id
    for step in increments:
        increment = authentic_increment(step, trust)
        with naming(increment.cluster_id, scope):
            payload, _outcome = result_of(increment, payload, at, trust)
        at = increment.increment.result_content_id
        verified = _minted(increment, payload, unchanged=True)
    assert verified is not None
    with naming(increment.cluster_id, scope):
        check_generation(header_of(payload), trust, scope)
        check_audience(payload.audience, *recipient)
    return verified


@contextmanager
def naming(cluster_id: str, scope: Scope | None) -> Iterator[None]:
    """Add to a refusal which increment it is about."""
    try:
        yield
    except RefusedError as refusal:
        name = scope.value if scope is not None else None
        refusal.concerning(cluster=cluster_id, document_type=DocumentType.INCREMENT.value, scope=name)
        raise


def result_of(
    verified: VerifiedIncrement, base: SnapshotPayload, base_content_id: bytes, trust: TrustInForce
) -> tuple[SnapshotPayload, bytes]:
    """What the increment leads to, read again through the schema, and the payload's bytes; not judged otherwise.

    Raises `WrongBase`, `Revoked`, `BadSchema`.
    """
    increment = verified.increment
    if increment.base_content_id != base_content_id:
        raise WrongBase("the active document is not the one it starts from")
    outcome = write_snapshot(apply_increment(base, increment))
    claims = Claims(DocumentType.SNAPSHOT.value, verified.cluster_id, increment.scope.value)
    if content_id(claims, outcome) != increment.result_content_id:
        raise WrongBase("applied, it does not give the content that it promises")
    if trust.is_content_revoked(increment.result_content_id):
        raise Revoked("what it leads to is revoked")
    return read_snapshot(outcome, increment.scope), outcome


def _minted(verified: VerifiedIncrement, payload: SnapshotPayload, *, unchanged: bool) -> VerifiedResult:
    return VerifiedResult(
        mint=MINT,
        data=verified.data,
        cluster_id=verified.cluster_id,
        scope=verified.scope,
        content_id=verified.increment.result_content_id,
        signers=verified.signers,
        trust_version=verified.trust_version,
        unchanged=unchanged,
        snapshot=payload,
        base_content_id=verified.increment.base_content_id,
    )
