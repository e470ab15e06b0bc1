"""The documents that were refused lately, by digest, so that the same bad bytes cost no signature a second time.

Rules this file keeps (trust, 12):

- Only refusals that the bytes and the trust in force alone decide are kept: what time, floors, heads, roles or the caller's
  expectation may turn is judged anew each time.
- What is refused as one type of document says nothing of it as another: the right document at the wrong call is right at its own.
- Under another trust everything is forgotten.
- The cache is bounded; the oldest entry gives way.

Example::

    cache.raise_known(DocumentType.SNAPSHOT, data)          # RefusedError, or nothing
    try:
        verify_snapshot(data, ...)
    except RefusedError as refusal:
        cache.remember(DocumentType.SNAPSHOT, data, refusal)
"""

import hashlib
import threading

from rap_projections.documents import DocumentType
from rap_projections.refusals import (
    BadSchema,
    BadSignature,
    Malformed,
    RefusedError,
    Revoked,
    ThresholdNotMet,
    UnknownSigner,
    UnsupportedAlgorithm,
    UnsupportedFormat,
    WrongCluster,
    WrongUsage,
)

ENTRIES_MAX = 256
"""Refusals kept."""

_LASTING = (
    BadSchema, BadSignature, Malformed, Revoked, ThresholdNotMet, UnknownSigner, UnsupportedAlgorithm, UnsupportedFormat,
    WrongCluster, WrongUsage,
)  # fmt: skip


class NegativeCache:
    """Refusals that would be the same again. Thread-safe."""

    def __init__(self) -> None:
        self._refusals: dict[tuple[DocumentType, bytes], RefusedError] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._refusals)

    def raise_known(self, asked: DocumentType, data: bytes) -> None:
        """Refuse `data`, which is asked to be a document of this type, as it was refused before, if it was."""
        with self._lock:
            known = self._refusals.get((asked, hashlib.sha256(data).digest()))
        if known is not None:
            # An error of its own, so that no traceback grows from call to call.
            raise type(known)(
                known.what, cluster=known.cluster, document_type=known.document_type, scope=known.scope, place=known.place
            )

    def remember(self, asked: DocumentType, data: bytes, refusal: RefusedError) -> None:
        """Keep a refusal, if it will not change while this trust is in force."""
        if type(refusal) in _LASTING:
            with self._lock:
                while len(self._refusals) >= ENTRIES_MAX:
                    del self._refusals[next(iter(self._refusals))]
                self._refusals[asked, hashlib.sha256(data).digest()] = refusal

    def clear(self) -> None:
        """Another trust is in force."""
        with self._lock:
            self._refusals.clear()
