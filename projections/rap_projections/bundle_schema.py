"""The payload of a bundle: bytes to the typed `Bundle` and back, and what must agree within one.

Rules this file keeps:

- Every key is canonical, of large order and named by its kid; a root key is never an everyday key as well.
- Every usage that a key lists has a threshold, and no usage has one that no key lists.
- Every scope has its rule; every certificate is one DER certificate under its own digest.

Example::

    bundle = read_bundle(payload)
    assert write_bundle(bundle) == payload
"""

import hashlib
from typing import Any

from cryptography import x509

from rap_journal.deterministic_cbor import encode
from rap_projections.document_schema import ENTRIES_MAX, SCOPE, decode_payload
from rap_projections.documents import (
    Bundle,
    DocumentType,
    PlatformRoot,
    Revocation,
    RevocationKind,
    RoleMembers,
    RootKey,
    ScopeRule,
    SigningKey,
    TrustAnchor,
    Usage,
    UsageThreshold,
)
from rap_projections.ed25519_keys import PUBLIC_KEY_BYTES, check_public_key, key_id
from rap_projections.payload_fields import (
    COUNT_MAX,
    DIGEST,
    GENERATION,
    NAME,
    SPAN_S,
    TIME_S,
    VERSION_NUMBER,
    YES_NO,
    Field,
    checked,
    integer,
    member,
    octets,
    optional,
    pair,
    record,
    reference,
    sorted_set,
    text,
)
from rap_projections.refusals import BadSchema
from rap_projections.signed_document import FORMS

ROOTS_MAX = 16
KEYS_MAX = 64
REVOCATIONS_MAX = 2048
CERTIFICATE_BYTES_MAX = 4096

DELEGATED = (DocumentType.HEAD, DocumentType.SNAPSHOT, DocumentType.INCREMENT, DocumentType.ARTIFACT)
"""What everyday keys may sign. Bundles and restore tickets are signed by roots, and by nothing else."""


def _check_usage(usage: Usage) -> str | None:
    allowed = any(usage.document_type == kind.value and usage.scope in FORMS[kind].scopes for kind in DELEGATED)
    return None if allowed else "a usage that no everyday key may have"


def _check_key(key: RootKey | SigningKey) -> str | None:
    check_public_key(key.public_key)
    return None if key.kid == key_id(key.public_key) else "a kid that is not the SHA-256 of its key"


def _check_revocation(revocation: Revocation) -> str | None:
    is_identity = revocation.kind is RevocationKind.IDENTITY
    (_IDENTITY if is_identity else DIGEST).read(revocation.subject)
    if revocation.except_content_ids and revocation.kind is not RevocationKind.KID:
        return "exceptions from the revocation of something other than a key"
    return None


def _check_anchor(anchor: TrustAnchor) -> str | None:
    if hashlib.sha256(anchor.certificate).digest() != anchor.sha256:
        return "a certificate under another digest than its own"
    try:
        x509.load_der_x509_certificate(anchor.certificate)
    except ValueError:
        return "bytes that are no DER certificate"
    return None


def _read_subject(value: Any) -> bytes | str:
    if type(value) in (bytes, str):
        subject: bytes | str = value
        return subject
    raise BadSchema("neither a digest nor a reference")


_IDENTITY = reference("node", "membership")
_CLAIM_WORD = text(r"[a-z](?:[a-z-]{0,30}[a-z])?", "a document type or scope")
_SUBJECT: Field[bytes | str] = Field(_read_subject, lambda subject: subject)
_PUBLIC_KEY = octets(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)

USAGE = checked(pair(Usage, _CLAIM_WORD, _CLAIM_WORD), _check_usage)
ROOT_KEY = checked(record(RootKey, kid=DIGEST, public_key=_PUBLIC_KEY), _check_key)
SIGNING_KEY = checked(
    record(SigningKey, kid=DIGEST, public_key=_PUBLIC_KEY, usages=sorted_set(USAGE, 1, 24)),
    _check_key,
)
REVOCATION = checked(
    record(
        Revocation,
        kind=member(RevocationKind, integer(0, 23)),
        subject=_SUBJECT,
        except_content_ids=sorted_set(DIGEST, 0, 64),
        not_after_s=optional(TIME_S),
    ),
    _check_revocation,
)
ANCHOR = checked(record(TrustAnchor, sha256=DIGEST, certificate=octets(1, CERTIFICATE_BYTES_MAX)), _check_anchor)

_BUNDLE = record(
    Bundle,
    version=VERSION_NUMBER,
    issued_at_s=TIME_S,
    expires_at_s=TIME_S,
    roots=sorted_set(ROOT_KEY, 1, ROOTS_MAX, key=lambda key: key.kid),
    root_threshold=integer(1, ROOTS_MAX),
    keys=sorted_set(SIGNING_KEY, 0, KEYS_MAX, key=lambda key: key.kid),
    thresholds=sorted_set(
        record(UsageThreshold, usage=USAGE, threshold=integer(1, ROOTS_MAX)), 0, KEYS_MAX, key=lambda item: item.usage
    ),
    scopes=sorted_set(
        record(ScopeRule, scope=SCOPE, generation=GENERATION, minimum_version=integer(0, COUNT_MAX)),
        5,
        5,
        key=lambda rule: rule.scope.value,
    ),
    revocations=sorted_set(REVOCATION, 0, REVOCATIONS_MAX, key=lambda entry: (entry.kind, entry.subject)),
    platform_roots=sorted_set(record(PlatformRoot, id=NAME, sha256=DIGEST), 0, 16, key=lambda root: root.id),
    trust_anchors=sorted_set(ANCHOR, 0, 16, key=lambda anchor: anchor.sha256),
    requires_head=YES_NO,
    clock_step_s_max=SPAN_S,
    roles=sorted_set(
        record(RoleMembers, role=NAME, nodes=sorted_set(NAME, 0, ENTRIES_MAX)), 0, 256, key=lambda entry: entry.role
    ),
)


def _check_bundle(bundle: Bundle) -> str | None:
    listed = {usage for key in bundle.keys for usage in key.usages}
    if listed != {item.usage for item in bundle.thresholds}:
        return "usages and thresholds that do not go together"
    if not {root.kid for root in bundle.roots}.isdisjoint(key.kid for key in bundle.keys):
        return "a root key that is an everyday key as well"
    if bundle.root_threshold > len(bundle.roots):
        return "a root threshold above the number of roots"
    if bundle.expires_at_s < bundle.issued_at_s:
        return "it ends before it was issued"
    return None


BUNDLE = checked(_BUNDLE, _check_bundle)


def read_bundle(payload: bytes) -> Bundle:
    """What a bundle says. Raises `BadSchema`."""
    return BUNDLE.read(decode_payload(payload))


def write_bundle(bundle: Bundle) -> bytes:
    """The payload of a bundle."""
    return encode(BUNDLE.write(bundle))


def revocation_digest(bundle: Bundle) -> bytes:
    """SHA-256 of deterministic CBOR of the bundle's revocations: what floors and restore tickets compare."""
    return hashlib.sha256(encode([REVOCATION.write(entry) for entry in bundle.revocations])).digest()
