"""One document on its way through the rules that say whether it is authentic, and what is known of it so far.

Rules this file keeps (trust, 8):

- In the order of `RULES`: size before parsing, what it claims to be before who signed it, enough keys that may before any signature.
- The payload is not looked at.

Example::

    case = DocumentCase(data, trust, DocumentType.SNAPSHOT, scope)
    for check in (case.check_size, case.check_structure, case.check_claims, case.check_keys, case.check_threshold, case.check_signature):
        check()
"""

from rap_projections.document_rules import check_signatures, check_threshold, signer_keys
from rap_projections.documents import DocumentType, Scope
from rap_projections.signed_document import FORMS, SignedDocument, check_document_size, open_document
from rap_projections.trust_in_force import TrustInForce


class DocumentCase:
    """A document of a scope, by the bytes received. Each check raises the `RefusedError` of its rule, and needs those before it.

    Args:
        data: the document as received.
        trust: the trust in force.
        document_type: what it must be.
        expected_scope: the scope it must be of; None takes whichever it claims.
    """

    def __init__(self, data: bytes, trust: TrustInForce, document_type: DocumentType, expected_scope: Scope | None) -> None:
        self.data, self.trust, self.document_type, self.expected_scope = data, trust, document_type, expected_scope
        self.document: SignedDocument
        self.scope: Scope
        self.keys: dict[bytes, bytes]

    def check_size(self) -> None:
        """Raise `TooLarge`."""
        check_document_size(self.data, self.document_type)

    def check_structure(self) -> None:
        """Raise `Malformed` or `UnsupportedAlgorithm`."""
        self.document = open_document(self.data, self.document_type)

    def check_claims(self) -> None:
        """Raise what says that it is another document, another cluster's or another scope's."""
        expected = (self.expected_scope.value,) if self.expected_scope else FORMS[self.document_type].scopes
        self.document.check_claims(self.trust.cluster_id, expected)
        self.scope = Scope(self.document.claims.scope)

    def check_keys(self) -> None:
        """Raise `UnknownSigner`, `WrongUsage` or `Revoked`."""
        self.keys = signer_keys(self.document, self.trust)

    def check_threshold(self) -> None:
        """Raise `ThresholdNotMet`."""
        check_threshold(self.document, self.trust, self.keys)

    def check_signature(self) -> None:
        """Raise `BadSignature`."""
        check_signatures(self.document, self.keys)
