"""Why an input was refused: one class per reason, each with a stable word for the reason and one for the rule that it broke.

Rules this file keeps:

- A refusal changed nothing. Its message says what was refused, of which cluster and scope, and what to do next; it holds no
  payload, no secret and no digest of either (digests are attributes, for programs).
- `reason` and `rule` are words of the interface: they stand in refusal events, in `check` and in the golden documents. A word is
  never given a second meaning.
- Which rule refuses first is the order of `RULES`: cheap before dear, and "for somebody else" before "badly signed".

Example::

    try:
        verify_snapshot(data, view, trusted_s=now.trusted_s, recipient=me)
    except RefusedError as refusal:
        print(refusal.rule, refusal.reason)        # "floor", "rollback"
"""

from typing import ClassVar

from rap_journal.errors import Action, StateStoreError

RULES = ("size", "structure", "claims", "keys", "threshold", "signature", "floor", "head", "time", "audience", "schema")
"""The rules for a document, in the order in which they are applied (trust, 8)."""

AUTHENTICITY = RULES[: RULES.index("signature") + 1]
"""Those of `RULES` that say who a document is from. The others judge what it says."""

BUNDLE_RULES = ("size", "structure", "claims", "pin", "keys", "threshold", "signature", "schema", "floor", "revocations", "time")
"""The rules for a bundle. Its schema comes before the floor, because who must sign it stands partly in itself (trust, 9)."""


class RefusedError(StateStoreError):
    """Raised when a document or other input failed the trust rules; nothing was changed.

    Attributes:
        rule: the rule it broke, one of `RULES` or `BUNDLE_RULES`.
        reason: stable word for this kind of refusal.
        document_type: what the document was taken for, such as ``"snapshot"``, if known.
        scope: scope of the document, if known.
        place: where in the payload, such as ``"body[3].endpoints"``, for `BadSchema`.
    """

    action: ClassVar[Action] = "refetch"
    exit_code = 1
    rule: ClassVar[str] = "schema"
    word: ClassVar[str] = "refused"
    advice: ClassVar[str] = "Fetch it again."

    def __init__(
        self,
        what: str,
        *,
        cluster: str | None = None,
        document_type: str | None = None,
        scope: str | None = None,
        place: str | None = None,
    ) -> None:
        super().__init__(what, cluster=cluster, reason=self.word)
        self.what = what
        self.document_type = document_type
        self.scope = scope
        self.place = place

    def concerning(self, *, cluster: str | None = None, document_type: str | None = None, scope: str | None = None) -> None:
        """Add facts which the raising function did not know; facts that are set stay as they are."""
        self.cluster = self.cluster or cluster
        self.document_type = self.document_type or document_type
        self.scope = self.scope or scope

    def facts(self) -> dict[str, str | int]:
        """The attributes that are set, by name, the rule included."""
        own = {"rule": self.rule, "document_type": self.document_type, "scope": self.scope, "place": self.place}
        return super().facts() | {name: value for name, value in own.items() if value is not None}

    def __str__(self) -> str:
        subject = " ".join(word for word in (self.scope, self.document_type or "document") if word)
        place = f" at {self.place}" if self.place else ""
        cluster = f" for cluster {self.cluster}" if self.cluster else ""
        return f"{subject}{cluster} refused: {self.what}{place}; nothing was changed. {self.advice}"


class TooLarge(RefusedError):
    """Raised when there are more bytes than a document of this type may have; none of them was parsed."""

    action = "operator"
    rule = "size"
    word = "too_large"
    advice = "The issuer must make it smaller, see the limits in DOCUMENTS.md."


class Malformed(RefusedError):
    """Raised when the bytes are not the strict COSE structure that the document type demands, or no certificate of a node."""

    rule = "structure"
    word = "malformed"


class UnsupportedAlgorithm(RefusedError):
    """Raised when a signature names an algorithm other than Ed25519."""

    action = "operator"
    rule = "structure"
    word = "unsupported_algorithm"
    advice = "The issuer must sign with Ed25519, or this agent must be updated."


class UnsupportedFormat(RefusedError):
    """Raised when a document is of a later format than this release reads."""

    action = "operator"
    rule = "claims"
    word = "unsupported_format"
    advice = "Update the agent."


class WrongDocumentType(RefusedError):
    """Raised when a document is of another type than the call takes, a head where a snapshot is due for example."""

    action = "fix_call"
    rule = "claims"
    word = "wrong_document_type"
    advice = "Hand it to the call for its own type."


class WrongCluster(RefusedError):
    """Raised when a document names another cluster; its signature was not looked at."""

    rule = "claims"
    word = "wrong_cluster"
    advice = "Fetch the document of this cluster."


class WrongScope(RefusedError):
    """Raised when a document names another scope than asked for, or one that its type does not have."""

    rule = "claims"
    word = "wrong_scope"
    advice = "Fetch the document of this scope."


class WrongFingerprint(RefusedError):
    """Raised when a bootstrap bundle is not the one whose fingerprint was given out of band."""

    action = "operator"
    rule = "pin"
    word = "wrong_fingerprint"
    advice = "Compare the fingerprint with the cluster's operator before anything else."


class UnknownSigner(RefusedError):
    """Raised when the signing key is not in the bundle in force."""

    rule = "keys"
    word = "unknown_signer"
    advice = "Fetch the newest bundle, then the document again."


class WrongUsage(RefusedError):
    """Raised when the signing key is in the bundle in force, but not for this document type and scope."""

    action = "operator"
    rule = "keys"
    word = "wrong_usage"
    advice = "The issuer must sign with a key of this scope."


class Revoked(RefusedError):
    """Raised when the signing key or the content itself was revoked."""

    rule = "keys"
    word = "revoked"
    advice = "Fetch the document that replaces it."


class ThresholdNotMet(RefusedError):
    """Raised when fewer different keys signed than the usage demands."""

    rule = "threshold"
    word = "threshold_not_met"
    advice = "Fetch a copy that carries enough signatures."


class BadSignature(RefusedError):
    """Raised when a signature does not verify under the key that it names."""

    rule = "signature"
    word = "bad_signature"


class Rollback(RefusedError):
    """Raised when a version, generation or minimum is lower than one that was accepted before."""

    rule = "floor"
    word = "rollback"
    advice = "Fetch the newest document."


class WrongGeneration(RefusedError):
    """Raised when a document's generation is not the one the bundle in force sets for its scope."""

    rule = "floor"
    word = "wrong_generation"
    advice = "Fetch the newest bundle, then the document again."


class BelowMinimum(RefusedError):
    """Raised when a version is below the minimum that the bundle in force sets for its scope."""

    rule = "floor"
    word = "below_minimum"
    advice = "Fetch the newest document."


class VersionGap(RefusedError):
    """Raised when a bundle is not the successor of the one in force: each must be verified by the one before."""

    rule = "floor"
    word = "version_gap"
    advice = "Fetch the bundles in between and hand them over in order."


class Equivocation(RefusedError):
    """Raised when two documents of one version both verify and say different things.

    Attributes:
        known_content_id: content id accepted before, 32 bytes.
        other_content_id: content id of the refused document, 32 bytes.
    """

    action = "operator"
    rule = "floor"
    word = "equivocation"
    advice = "The issuer signed two truths for one version: keep the evidence and tell its operator."

    def __init__(self, what: str, *, known_content_id: bytes, other_content_id: bytes) -> None:
        super().__init__(what)
        self.known_content_id = known_content_id
        self.other_content_id = other_content_id


class RevocationDropped(RefusedError):
    """Raised when a bundle leaves out a revocation of its predecessor that is not past, or one of a root key."""

    action = "operator"
    rule = "revocations"
    word = "revocation_dropped"
    advice = "The issuer must carry every revocation on."


class HeadRequired(RefusedError):
    """Raised when the bundle demands an unexpired head beside every activation and there is none."""

    rule = "head"
    word = "head_required"
    advice = "Fetch the newest head, then activate again."


class HeadMismatch(RefusedError):
    """Raised when a document is not the one that the head lists for its scope."""

    rule = "head"
    word = "head_mismatch"
    advice = "Fetch the newest head and the document that it lists."


class WrongBase(RefusedError):
    """Raised when an increment does not start from the active document, or does not lead to the content it promises."""

    rule = "floor"
    word = "wrong_base"
    advice = "Fetch the full document."


class Expired(RefusedError):
    """Raised when trusted time is at or past the end of validity."""

    rule = "time"
    word = "expired"
    advice = "Fetch a newer document."


class NotForThisNode(RefusedError):
    """Raised when the audience names neither this node nor a role that it has."""

    rule = "audience"
    word = "not_for_this_node"
    advice = "Fetch the document for this node, or have the issuer give it the role."


class BadSchema(RefusedError):
    """Raised when a signed payload is not what DOCUMENTS.md lets a document of its type say."""

    action = "operator"
    rule = "schema"
    word = "bad_schema"
    advice = "The issuer must follow the schema in DOCUMENTS.md."


class WrongKey(RefusedError):
    """Raised when a certificate is for another key than the one that was requested here."""

    action = "reenroll"
    rule = "keys"
    word = "wrong_key"
    advice = "Have the certificate issued for the pending request."


class UnsupportedKey(RefusedError):
    """Raised when key or signature of a certificate are not ECDSA P-256 with SHA-256."""

    action = "operator"
    rule = "structure"
    word = "unsupported_key"
    advice = "The cluster's authority must issue it for a P-256 key, and sign with one."


class WrongName(RefusedError):
    """Raised when a certificate has not exactly one URI name, or one that is no node's."""

    action = "operator"
    rule = "claims"
    word = "wrong_name"
    advice = "The cluster's authority must issue it with the one name of its node."


class WrongPurpose(RefusedError):
    """Raised when a certificate is not issued for the side of a connection that its owner takes."""

    action = "operator"
    rule = "keys"
    word = "wrong_purpose"
    advice = "The cluster's authority must name client or server authentication in it."


class WrongPeer(RefusedError):
    """Raised when a peer's certificate is that of another node than the one that was asked for."""

    action = "operator"
    rule = "audience"
    word = "wrong_peer"
    advice = "Close the connection; somebody else answers at that place."


class TimeUncertain(RefusedError):
    """Raised when trusted time cannot say that a certificate is valid, and the safe-operation deadline is past."""

    rule = "time"
    word = "time_uncertain"
    advice = "Fetch the newest head, which moves trusted time forward."


class TicketMismatch(RefusedError):
    """Raised when a restore ticket names another value than this node asked with; `field` says which.

    Attributes:
        field: name of the first field that differs.
    """

    action = "reenroll"
    rule = "claims"
    word = "ticket_mismatch"
    advice = "Ask for a ticket with a fresh restore_request()."

    def __init__(self, field: str) -> None:
        super().__init__(f"its {field} is not the one that this node asked with", document_type="restore-ticket")
        self.field = field


class BundleTooOld(RefusedError):
    """Raised when a restore ticket, or this node's own floor, demands a newer bundle than the one in force."""

    rule = "floor"
    word = "bundle_too_old"
    advice = "Bring newer bundles into force with trust.update, then validate again."


class WrongArtifact(RefusedError):
    """Raised when the bytes of an artifact are not those that its signed reference names."""

    rule = "signature"
    word = "wrong_artifact"
    advice = "Fetch the artifact again."


class NotAllowed(StateStoreError):
    """Raised when policy or the present state does not allow an operation now; `allows` tells until when."""

    action: ClassVar[Action] = "operator"
    exit_code = 1


class TooOften(NotAllowed):
    """Raised when a workload reports something new more often than is kept; nothing of it was kept, and it may try again later."""

    action = "retry"


class NotValidated(StateStoreError):
    """Raised by high-risk operations after a restore, until the control plane's ticket was verified (trust, 19)."""

    action = "operator"
    exit_code = 1


class NoSuchCluster(StateStoreError):
    """Raised when this node is not a member of the cluster that was named."""

    action = "fix_call"
    exit_code = 3
