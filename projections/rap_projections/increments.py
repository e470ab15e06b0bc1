"""Increments: what changes from one snapshot to the next of its scope, and whether the outcome may be trusted. Pure code.

Rules this file keeps (trust, 7):

- An increment states the complete header of its result and the result's content id. What applying it gives must be exactly that.
- The result passes every check that a full document passes: floor, head, time, audience, schema. Its authenticity is that of the
  increment together with that of the full document it stands on; both are judged under the trust in force.
- A kept document is the full one and its increments in order. All of them must verify, or none of it counts.

Example::

    increment = verify_increment(data, trust, trusted_s=now.trusted_s, recipient=me)
    result = verify_result(increment, base, base_content_id, trust, trusted_s=now.trusted_s, recipient=me, floors=floors)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from rap_projections.document_rules import check_audience, check_generation, check_head, check_time, is_at_floor
from rap_projections.document_schema import header_of, read_snapshot, write_snapshot
from rap_projections.documents import Body, DocumentType, Floor, Increment, Scope, SnapshotPayload
from rap_projections.refusals import RefusedError, Revoked, WrongBase
from rap_projections.signed_document import Claims, content_id
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import NO_FLOORS, Recipient, authentic_increment, authentic_snapshot, verify_kept_snapshot
from rap_projections.verified import MINT, VerifiedHead, VerifiedIncrement, VerifiedResult, VerifiedSnapshot


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
    with naming(verified):
        payload, outcome = _result(verified, base, base_content_id, trust)
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
        with naming(increment):
            payload, _outcome = _result(increment, payload, at, trust)
        at = increment.increment.result_content_id
        verified = _minted(increment, payload, unchanged=True)
    assert verified is not None
    with naming(increment):
        check_generation(header_of(payload), trust, scope)
        check_audience(payload.audience, *recipient)
    return verified


@contextmanager
def naming(verified: VerifiedIncrement) -> Iterator[None]:
    """Add to a refusal which increment it is about."""
    try:
        yield
    except RefusedError as refusal:
        kind, scope = DocumentType.INCREMENT.value, verified.increment.scope.value
        refusal.concerning(cluster=verified.cluster_id, document_type=kind, scope=scope)
        raise


def _result(
    verified: VerifiedIncrement, base: SnapshotPayload, base_content_id: bytes, trust: TrustInForce
) -> tuple[SnapshotPayload, bytes]:
    """What the increment leads to, read again through the schema, and the payload's bytes."""
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
