"""Documents that passed every rule: values of types which only the verification can make.

Rules this file keeps:

- A function that needs authority takes one of these types, so that an unverified document cannot reach it by mistake.
- They cannot be built, copied, changed or unpickled anywhere but in `bundle_verification` and `verification`; a test holds that
  nothing else uses `MINT`.
- A representation shows neither the document nor what it says.

Example::

    def activate(snapshot: VerifiedSnapshot) -> Receipt: ...
"""

from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import NoReturn

from rap_journal.errors import MisuseError
from rap_projections.documents import Artifact, Bundle, Head, Increment, RestoreTicket, SnapshotPayload

MINT = object()
"""What makes a verified value. Only the verification uses it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What all verified documents have in common.

    Attributes:
        data: the document as received.
        cluster_id: the cluster it is for.
        scope: its scope; ``"cluster"`` for a bundle, head or restore ticket.
        content_id: SHA-256 that identifies what it says, 32 bytes.
        signers: kids of the keys that count, sorted.
        trust_version: version of the bundle it was verified under; its own for a bootstrap.
        unchanged: whether it says what was accepted before, for the same version.
    """

    _: KW_ONLY
    mint: InitVar[object]
    data: bytes = field(repr=False)
    cluster_id: str
    scope: str
    content_id: bytes = field(repr=False)
    signers: tuple[bytes, ...] = field(repr=False)
    trust_version: int
    unchanged: bool

    def __post_init__(self, mint: object) -> None:
        """Raise `MisuseError` unless the verification makes the value."""
        if mint is not MINT:
            raise MisuseError(
                f"a {type(self).__name__} is made by verification alone; nothing was done. Verify the document's bytes.",
                reason="not_verified",
            )

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled: bytes from elsewhere must be verified again."""
        raise MisuseError(
            f"a {type(self).__name__} cannot be copied or pickled; nothing was done. Keep its bytes and verify them again.",
            reason="not_verified",
        )


@dataclass(frozen=True, slots=True)
class VerifiedBundle(Verified):
    """A bundle that follows from the cluster's pinned bootstrap.

    Attributes:
        bundle: what it says.
        roots_ever: kids of all root keys since the bootstrap: a revocation of one of them never leaves (trust, 10).
    """

    _: KW_ONLY
    bundle: Bundle = field(repr=False)
    roots_ever: frozenset[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedSnapshot(Verified):
    """A snapshot that may be activated on this node now."""

    _: KW_ONLY
    snapshot: SnapshotPayload = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedHead(Verified):
    """An unexpired head."""

    _: KW_ONLY
    head: Head = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedIncrement(Verified):
    """An increment whose signature, time and audience are right. Its base and its result are still to be judged."""

    _: KW_ONLY
    increment: Increment = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedResult(Verified):
    """What a verified increment makes of the document it starts from. `content_id` is the result's, `data` the increment."""

    _: KW_ONLY
    snapshot: SnapshotPayload = field(repr=False)
    base_content_id: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedArtifact(Verified):
    """A signed reference to an artifact. The artifact's bytes are still to be hashed, its sequence is still to be judged."""

    _: KW_ONLY
    artifact: Artifact = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedRestoreTicket(Verified):
    """A ticket signed by a threshold of roots. Whether it answers this node's request is still to be judged."""

    _: KW_ONLY
    ticket: RestoreTicket = field(repr=False)
