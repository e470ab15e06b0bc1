"""Whether a bundle may be trusted: the pinned first one, and each next one by the one before. Pure code.

Rules this file keeps (trust, 9 and 10):

- The first bundle is the one whose SHA-256 or root fingerprints somebody gave out of band; nothing else starts a cluster's trust.
- The next one has the next number, is signed by a threshold of its predecessor's roots and by a threshold of its own, and each
  key counts once. Signatures by other keys are neither counted nor looked at.
- Generations, minimums and revocations only grow. A revocation leaves when the bundle that omits it was issued after its end;
  that of a root key never leaves. This depends on the documents alone, so the kept chain verifies the same at every opening.
- The end of validity is judged for the last bundle of a chain only.

Example::

    first = verify_bootstrap(data, cluster_id="eu-west-1", expect=sha256_hex, trusted_s=now.trusted_s)
    newer = verify_bundles([second, third], first, trusted_s=now.trusted_s)
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence

from rap_journal.errors import MisuseError
from rap_projections.arguments import require
from rap_projections.bundle_schema import read_bundle
from rap_projections.documents import CLUSTER_WIDE, Bundle, DocumentType, Revocation, RevocationKind
from rap_projections.refusals import (
    Equivocation,
    Expired,
    RefusedError,
    RevocationDropped,
    Revoked,
    Rollback,
    ThresholdNotMet,
    UnknownSigner,
    VersionGap,
    WrongFingerprint,
)
from rap_projections.signed_document import SignedDocument, open_document
from rap_projections.trust_in_force import trusted_roots
from rap_projections.verified import MINT, VerifiedBundle

BUNDLES_PER_CALL_MAX = 64
"""Most bundles that one call catches up through."""

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


def verify_bootstrap(data: bytes, *, cluster_id: str, expect: str | Collection[str], trusted_s: int | None) -> VerifiedBundle:
    """The first bundle of a cluster, which somebody vouched for out of band.

    Args:
        data: the bundle as received; it may have any version.
        cluster_id: the cluster it must be for.
        expect: SHA-256 of `data` in hex; or fingerprints (kids in hex) of root keys: each of them must be a root of the bundle
            and must have signed it. Give at least as many as the cluster's root threshold.
        trusted_s: low end of trusted time, whole seconds since 1970; None when later bundles follow.

    Raises a `RefusedError`; `MisuseError` when `expect` is no SHA-256 in hex.
    """
    require("bundle", data, bytes)
    require("expect", expect, str, list, tuple, set, frozenset)
    pins = _pins(expect)
    try:
        document = _open(data, cluster_id)
        if isinstance(expect, str) and hashlib.sha256(data).digest() not in pins:
            raise WrongFingerprint("its SHA-256 is not the one expected")
        bundle = read_bundle(document.envelope.payload)
        signers = verify_roots(document, trusted_roots(bundle), bundle.root_threshold)
        if not isinstance(expect, str) and not pins <= set(signers):
            raise WrongFingerprint("not every expected root key has signed it")
        _check_time(bundle, trusted_s)
    except RefusedError as refusal:
        refusal.concerning(cluster=cluster_id, document_type=DocumentType.BUNDLE.value)
        raise
    roots = frozenset(root.kid for root in bundle.roots)
    return _verified(data, document, bundle, signers=signers, trust_version=bundle.version, roots_ever=roots)


def verify_next_bundle(data: bytes, current: VerifiedBundle, *, trusted_s: int | None) -> VerifiedBundle:
    """The successor of `current`, or `current` once more (then `unchanged`).

    Args:
        data: the bundle as received.
        current: the bundle in force.
        trusted_s: low end of trusted time, whole seconds since 1970; None when later bundles follow, so that its end of validity
            is not judged.

    Raises a `RefusedError`.
    """
    try:
        document = _open(data, current.cluster_id)
        content_id = document.content_id()
        if any(entry.kind is RevocationKind.BUNDLE and entry.subject == content_id for entry in current.bundle.revocations):
            raise Revoked("it is itself revoked")
        signers = verify_roots(document, trusted_roots(current.bundle), current.bundle.root_threshold)
        bundle = read_bundle(document.envelope.payload)
        verify_roots(document, trusted_roots(bundle), bundle.root_threshold)
        unchanged = _check_version(bundle, content_id, current)
        _check_scopes(bundle, current.bundle)
        _check_revocations(bundle, current)
        _check_time(bundle, trusted_s)
    except RefusedError as refusal:
        refusal.concerning(cluster=current.cluster_id, document_type=DocumentType.BUNDLE.value)
        raise
    roots = current.roots_ever | {root.kid for root in bundle.roots}
    version = current.bundle.version
    return _verified(data, document, bundle, signers=signers, trust_version=version, roots_ever=roots, unchanged=unchanged)


def verify_bundles(documents: Sequence[bytes], current: VerifiedBundle, *, trusted_s: int) -> tuple[VerifiedBundle, ...]:
    """Catch up through up to 64 bundles, oldest first; only the last must be unexpired. Those already in force are left out.

    Raises a `RefusedError` for the first that is refused; then none of them counts.
    """
    if len(documents) > BUNDLES_PER_CALL_MAX:
        raise MisuseError(
            f"{len(documents)} bundles in one call, more than {BUNDLES_PER_CALL_MAX}; none was looked at. Hand over fewer at a time.",
            cluster=current.cluster_id,
            reason="too_many",
        )
    newer: list[VerifiedBundle] = []
    for index, data in enumerate(documents):
        is_last = index == len(documents) - 1
        verified = verify_next_bundle(data, newer[-1] if newer else current, trusted_s=trusted_s if is_last else None)
        if not verified.unchanged:
            newer.append(verified)
    return tuple(newer)


def verify_roots(document: SignedDocument, roots: Mapping[bytes, bytes], threshold: int) -> tuple[bytes, ...]:
    """Which of the `roots` signed the document, sorted by kid.

    Raises `UnknownSigner` if none did, `ThresholdNotMet` if fewer than `threshold` different ones did, `BadSignature` if one of
    their signatures does not verify.
    """
    signatures = [signature for signature in document.signatures if signature.kid in roots]
    kids = sorted({signature.kid for signature in signatures})
    if not kids:
        raise UnknownSigner("no trusted root key has signed it")
    if len(kids) < threshold:
        raise ThresholdNotMet(f"{len(kids)} of {threshold} root keys have signed it")
    for signature in signatures:
        document.verify(signature, roots[signature.kid])
    return tuple(kids)


def _pins(expect: str | Collection[str]) -> set[bytes]:
    texts = [expect] if isinstance(expect, str) else list(expect)
    for text in texts:
        require("expect", text, str)
    if not texts or not all(_HEX_SHA256.fullmatch(text.lower()) for text in texts):
        raise MisuseError("no SHA-256 in hex to expect; nothing was done. Give 64 hexadecimal digits.", reason="bad_fingerprint")
    return {bytes.fromhex(text) for text in texts}


def _open(data: bytes, cluster_id: str) -> SignedDocument:
    document = open_document(data, DocumentType.BUNDLE)
    document.check_claims(cluster_id, (CLUSTER_WIDE,))
    return document


def _check_version(bundle: Bundle, content_id: bytes, current: VerifiedBundle) -> bool:
    """True for the current bundle once more."""
    if bundle.version < current.bundle.version:
        raise Rollback(f"its version is {bundle.version}, and {current.bundle.version} is in force")
    if bundle.version > current.bundle.version + 1:
        raise VersionGap(f"its version is {bundle.version}, and {current.bundle.version} is in force")
    if bundle.version == current.bundle.version and content_id != current.content_id:
        raise Equivocation(
            f"another bundle of version {bundle.version} is in force",
            known_content_id=current.content_id,
            other_content_id=content_id,
        )
    return bundle.version == current.bundle.version


def _check_scopes(bundle: Bundle, before: Bundle) -> None:
    for rule, old in zip(bundle.scopes, before.scopes, strict=True):
        if (rule.generation, rule.minimum_version) < (old.generation, old.minimum_version):
            raise Rollback(f"it lowers the generation or minimum of scope {rule.scope.value}")


def _check_revocations(bundle: Bundle, current: VerifiedBundle) -> None:
    kept = {(entry.kind, entry.subject): entry for entry in bundle.revocations}
    for old in current.bundle.revocations:
        is_root = old.kind is RevocationKind.KID and old.subject in current.roots_ever
        new = kept.get((old.kind, old.subject))
        if new is None:
            is_past = old.not_after_s is not None and old.not_after_s <= bundle.issued_at_s
            if is_root or not is_past:
                raise RevocationDropped("a revocation that is not past, or of a root key, is missing from it")
        elif _is_weaker(new, old):
            raise RevocationDropped("a revocation has become weaker")


def _is_weaker(new: Revocation, old: Revocation) -> bool:
    if not set(new.except_content_ids) <= set(old.except_content_ids):
        return True
    return new.not_after_s is not None and (old.not_after_s is None or new.not_after_s < old.not_after_s)


def _check_time(bundle: Bundle, trusted_s: int | None) -> None:
    if trusted_s is not None and bundle.expires_at_s <= trusted_s:
        raise Expired("its validity has ended")


def _verified(
    data: bytes,
    document: SignedDocument,
    bundle: Bundle,
    *,
    signers: tuple[bytes, ...],
    trust_version: int,
    roots_ever: frozenset[bytes],
    unchanged: bool = False,
) -> VerifiedBundle:
    return VerifiedBundle(
        mint=MINT,
        data=data,
        cluster_id=document.claims.cluster_id,
        scope=CLUSTER_WIDE,
        content_id=document.content_id(),
        signers=signers,
        trust_version=trust_version,
        unchanged=unchanged,
        bundle=bundle,
        roots_ever=roots_ever,
    )
