"""The COSE profile of this store's documents: which type is which structure, what its headers say, and what its signature covers.

Rules this file keeps:

- The protected header of every signature is exactly {alg, kid, typ, claims}; every unprotected header, and the body's own
  protected header in a COSE_Sign, is empty. Claims are [document type, cluster id, scope].
- The signature also covers ``["rap/v1", document type, cluster id, scope]`` as external data, so that a signature made for
  anything else never fits, whatever its bytes.
- Size is checked before structure, structure before claims, and claims before any key, so that a document of another cluster is
  told from a forged one (trust, 8).
- A document is identified by what it says, not by who signed it: see `content_id`.

Example::

    document = open_document(data, DocumentType.SNAPSHOT)
    document.check_claims("eu-west-1", ("routes",))
"""

import hashlib
import re
from typing import NamedTuple

from rap_journal.deterministic_cbor import encode, encode_arrays
from rap_projections.cose import (
    ALG,
    ED25519,
    KID,
    SIGN1_TAG,
    SIGN_TAG,
    TYP,
    Envelope,
    HeaderRules,
    Signature,
    check_algorithm,
    check_size,
    parse_envelope,
    verify_signature,
)
from rap_projections.documents import CLUSTER_WIDE, DocumentType, Scope
from rap_projections.refusals import Malformed, RefusedError, UnsupportedFormat, WrongCluster, WrongDocumentType, WrongScope

FORMAT = "rap/v1"
"""First item of the external data: the format of all documents of this release."""

CLAIMS = -65537
"""Label of the claims, from the range for private use."""

KID_BYTES = 32
_RULES = HeaderRules(protected=frozenset({ALG, KID, TYP, CLAIMS}))
_MEDIA_TYPE = re.compile(r"application/vnd\.rap\.([a-z]+(?:-[a-z]+)*)\.v([1-9][0-9]{0,3})\+cose")
_CLAIM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class DocumentForm(NamedTuple):
    """What is fixed for a document type: its COSE tag, the largest size of its bytes, and the scopes it exists in."""

    tag: int
    bytes_max: int
    scopes: tuple[str, ...]


_SCOPES = tuple(scope.value for scope in Scope)

FORMS: dict[DocumentType, DocumentForm] = {
    DocumentType.BUNDLE: DocumentForm(SIGN_TAG, 256 << 10, (CLUSTER_WIDE,)),
    DocumentType.RESTORE_TICKET: DocumentForm(SIGN_TAG, 16 << 10, (CLUSTER_WIDE,)),
    DocumentType.HEAD: DocumentForm(SIGN1_TAG, 16 << 10, (CLUSTER_WIDE,)),
    DocumentType.SNAPSHOT: DocumentForm(SIGN1_TAG, 4 << 20, _SCOPES),
    DocumentType.INCREMENT: DocumentForm(SIGN1_TAG, 1 << 20, tuple(scope for scope in _SCOPES if scope != Scope.POLICY.value)),
    DocumentType.ARTIFACT: DocumentForm(SIGN1_TAG, 16 << 10, (Scope.UPDATES.value,)),
}
"""The six document types (trust, 1 and 7)."""


class Claims(NamedTuple):
    """What a document says it is: type, cluster and scope, as text that was checked for its characters only."""

    document_type: str
    cluster_id: str
    scope: str


class DocumentSignature(NamedTuple):
    """One signature: the kid of its key, its claims, its media type, and the COSE parts."""

    kid: bytes
    claims: Claims
    media_type: str
    cose: Signature


class SignedDocument(NamedTuple):
    """A document whose structure is right. Nothing in it is verified yet."""

    document_type: DocumentType
    envelope: Envelope
    signatures: tuple[DocumentSignature, ...]

    @property
    def claims(self) -> Claims:
        """The claims of the first signature; `check_claims` holds the others to the same."""
        return self.signatures[0].claims

    def check_claims(self, cluster_id: str, scopes: tuple[str, ...]) -> None:
        """Raise `WrongDocumentType`, `UnsupportedFormat`, `WrongCluster` or `WrongScope` unless every signature claims this type,
        this cluster, and one same scope out of `scopes`.
        """
        for signature in self.signatures:
            _check_media_type(signature.media_type, self.document_type)
            claims = signature.claims
            if claims.document_type != self.document_type.value:
                raise WrongDocumentType(f"it is a {claims.document_type}")
            if claims.cluster_id != cluster_id:
                raise WrongCluster(f"it is for cluster {claims.cluster_id}")
            if claims.scope not in scopes or claims.scope != self.claims.scope:
                raise WrongScope(f"it is for scope {claims.scope}")

    def content_id(self) -> bytes:
        """The identity of what it says."""
        return content_id(self.claims, self.envelope.payload)

    def verify(self, signature: DocumentSignature, public_key: bytes) -> None:
        """Raise `BadSignature` unless `signature` verifies under `public_key`."""
        verify_signature(self.envelope, signature.cose, public_key, external_aad=external_aad(signature.claims))


def check_document_size(data: bytes, document_type: DocumentType) -> None:
    """Raise `TooLarge` for more bytes than a document of this type may have."""
    check_size(data, FORMS[document_type].bytes_max)


def open_document(data: bytes, document_type: DocumentType) -> SignedDocument:
    """The parts of a document of this type. Raises `TooLarge`, `Malformed` or `UnsupportedAlgorithm`."""
    form = FORMS[document_type]
    envelope = parse_envelope(data, form.tag, rules=_RULES, size_max=form.bytes_max)
    return SignedDocument(document_type, envelope, tuple(map(_read_signature, envelope.signatures)))


def claims_to_be(data: bytes, document_type: DocumentType) -> bool:
    """Whether `data` has the form of a document of this type and says that it is one. Nothing about it is believed."""
    try:
        return open_document(data, document_type).claims.document_type == document_type.value
    except RefusedError:
        return False


def media_type(document_type: str) -> str:
    """The value of the header `typ` for a document type."""
    return f"application/vnd.rap.{document_type}.v1+cose"


def external_aad(claims: Claims) -> bytes:
    """What a signature covers beside headers and payload: deterministic CBOR of ``["rap/v1", *claims]``."""
    return encode_arrays([FORMAT, *claims])


def content_id(claims: Claims, payload: bytes) -> bytes:
    """SHA-256 of deterministic CBOR of ``[document type, cluster id, scope, payload as byte string]`` (trust, 4)."""
    return hashlib.sha256(encode_arrays([*claims, payload])).digest()


def protected_header(kid: bytes, claims: Claims, *, algorithm: int = ED25519) -> bytes:
    """The protected header of a signature by the key `kid`, as whoever issues documents writes it."""
    return encode({ALG: algorithm, KID: kid, TYP: media_type(claims.document_type), CLAIMS: list(claims)})


def _read_signature(signature: Signature) -> DocumentSignature:
    header = signature.header
    if set(header) != {ALG, KID, TYP, CLAIMS}:
        raise Malformed("a protected header has not exactly alg, kid, typ and claims")
    check_algorithm(signature)
    kid, typ, claims = header[KID], header[TYP], header[CLAIMS]
    if type(kid) is not bytes or len(kid) != KID_BYTES:
        raise Malformed("a kid is not 32 bytes")
    if type(typ) is not str or type(claims) not in (list, tuple) or len(claims) != 3:
        raise Malformed("typ is not text, or the claims are not three")
    if not all(type(claim) is str and _CLAIM.fullmatch(claim) for claim in claims):
        raise Malformed("a claim is not 1 to 63 of a-z, 0-9 and inner hyphens")
    return DocumentSignature(kid, Claims(*claims), typ, signature)


def _check_media_type(found: str, document_type: DocumentType) -> None:
    if found == media_type(document_type.value):
        return
    match = _MEDIA_TYPE.fullmatch(found)
    if match and match[2] != "1":
        raise UnsupportedFormat(f"it is of format {match[2]}, this release reads format 1")
    raise WrongDocumentType(f"its typ names {'a ' + match[1] if match else 'no type of document'}")
