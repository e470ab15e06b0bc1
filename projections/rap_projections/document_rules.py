"""The single rules for a document under the bundle in force, each a function that answers or raises its own refusal.

Rules this file keeps:

- A rule knows nothing of the others; their order is kept by `verification`.
- Every key that claims to have signed must be one that may, and every signature must verify: there are no spare signatures.
- A key counts once, however often it signed.

Example::

    check_time(header.expires_at_s, trusted_s)      # raises Expired
"""

from collections.abc import Mapping

from rap_projections.document_schema import SnapshotHeader
from rap_projections.documents import Audience, Floor, Scope, Usage
from rap_projections.refusals import (
    BelowMinimum,
    Equivocation,
    Expired,
    HeadMismatch,
    HeadRequired,
    NotForThisNode,
    Revoked,
    Rollback,
    ThresholdNotMet,
    WrongGeneration,
)
from rap_projections.signed_document import SignedDocument
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verified import VerifiedHead


def authenticate(document: SignedDocument, trust: TrustInForce) -> tuple[bytes, ...]:
    """Kids of the keys that signed, sorted, if they may, are enough, and every signature verifies."""
    keys = signer_keys(document, trust)
    check_threshold(document, trust, keys)
    check_signatures(document, keys)
    return tuple(sorted(keys))


def signer_keys(document: SignedDocument, trust: TrustInForce) -> dict[bytes, bytes]:
    """Kid to public key of every key that claims to have signed; each must be one that may."""
    usage, content_id = _usage(document), document.content_id()
    if trust.is_content_revoked(content_id):
        raise Revoked("what it says is revoked")
    return {signature.kid: trust.signer_key(signature.kid, usage, content_id) for signature in document.signatures}


def check_threshold(document: SignedDocument, trust: TrustInForce, keys: Mapping[bytes, bytes]) -> None:
    """Raise `ThresholdNotMet` if fewer different keys signed than the bundle demands for this usage."""
    threshold = trust.threshold(_usage(document))
    if len(keys) < threshold:
        raise ThresholdNotMet(f"{len(keys)} of {threshold} keys have signed it")


def check_signatures(document: SignedDocument, keys: Mapping[bytes, bytes]) -> None:
    """Raise `BadSignature` unless every signature verifies."""
    for signature in document.signatures:
        document.verify(signature, keys[signature.kid])


def check_generation(header: SnapshotHeader, trust: TrustInForce, scope: Scope) -> None:
    """Raise `WrongGeneration` or `BelowMinimum` unless the version is one that the bundle lets be used."""
    minimum = trust.minimum(scope)
    if header.version.generation != minimum.generation:
        raise WrongGeneration(f"its generation is {header.version.generation}, the bundle sets {minimum.generation}")
    if header.version < minimum:
        raise BelowMinimum(f"its version is {header.version.version}, the bundle's minimum is {minimum.version}")


def is_at_floor(header: SnapshotHeader, content_id: bytes, floor: Floor) -> bool:
    """True for what was accepted before, once more. Raises `Rollback` or `Equivocation`."""
    if header.version < floor.version:
        raise Rollback(
            f"its version is {_text(header)}, and {floor.version.generation}.{floor.version.version} was accepted before"
        )
    if header.version == floor.version and content_id != floor.content_id:
        raise Equivocation(
            f"another document of version {_text(header)} was accepted before",
            known_content_id=floor.content_id,
            other_content_id=content_id,
        )
    return header.version == floor.version


def check_head(
    content_id: bytes,
    payload_bytes: int,
    header: SnapshotHeader,
    scope: Scope,
    trust: TrustInForce,
    head: VerifiedHead | None,
    trusted_s: int,
) -> None:
    """Raise `HeadRequired` without an unexpired head, and `HeadMismatch` unless it lists exactly this content for the scope."""
    if head is None or head.cluster_id != trust.cluster_id or head.head.expires_at_s <= trusted_s:
        raise HeadRequired("the bundle demands an unexpired head beside it")
    if head.head.bundle_version > trust.version:
        raise HeadMismatch(f"the head demands bundle {head.head.bundle_version}, and {trust.version} is in force")
    listed = next((entry for entry in head.head.entries if entry.scope is scope), None)
    if listed is None or listed[1:] != (header.version, content_id, payload_bytes):
        raise HeadMismatch("the head lists another document for its scope, or none")


def check_time(expires_at_s: int, trusted_s: int) -> None:
    """Raise `Expired` when trusted time has reached the end of validity. Both in whole seconds since 1970."""
    if expires_at_s <= trusted_s:
        raise Expired("its validity has ended")


def check_audience(audience: Audience, node_id: str, roles: frozenset[str]) -> None:
    """Raise `NotForThisNode` unless the audience names this node or a role that it has."""
    if not (audience.everyone or node_id in audience.nodes or audience.role in roles):
        raise NotForThisNode("its audience does not name this node or a role of it")


def _usage(document: SignedDocument) -> Usage:
    return Usage(document.claims.document_type, document.claims.scope)


def _text(header: SnapshotHeader) -> str:
    return f"{header.version.generation}.{header.version.version}"
