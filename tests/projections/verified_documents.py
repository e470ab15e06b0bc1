"""Documents as the decisions of the snapshots class see them, without signatures.

Example::

    decide_activation(view, verified("routes", 2), stored(2), NOW, LIMITS)
"""

from typing import NamedTuple

from rap_projections.documents import Audience, Scope, SnapshotPayload, Version
from rap_projections.stored_document import StoredDocument

EVERYONE = Audience(True)


class Verified(NamedTuple):
    """Stands for a verified snapshot."""

    snapshot: SnapshotPayload
    content_id: bytes
    signers: tuple[bytes, ...] = (b"kid",)
    trust_version: int = 1


def verified(
    scope: str,
    version: int,
    *,
    content_id: bytes = b"",
    minimum: int = 0,
    expires_at_s: int = 1000,
    audience: Audience = EVERYONE,
    signers: tuple[bytes, ...] = (b"kid",),
) -> Verified:
    """A document of generation 1; its content id is its version unless another is given."""
    payload = SnapshotPayload(Scope(scope), Version(1, version), 100, 500, expires_at_s, audience, Version(1, minimum), ())
    return Verified(payload, content_id or content(version), signers)


def content(version: int) -> bytes:
    """The content id of a version."""
    return b"c%d" % version


def stored(version: int) -> StoredDocument:
    """Where that version is kept, with its second copy."""
    return StoredDocument(b"f%d" % version, 10, b"document %d" % version)
