"""What the signed documents say, as typed values.

Rules this file keeps:

- Only meaning stands here: bytes, signatures and rules are in `cose`, `document_schema` and `verification`.
- Every collection is a tuple sorted by id, as in the document itself (DOCUMENTS.md).
- Times are whole seconds since 1970-01-01T00:00:00Z, as signed.
- There is no field for a credential: resources and secrets are references (spec 5).
"""

from enum import Enum, IntEnum
from typing import NamedTuple, Protocol


class DocumentType(str, Enum):
    """The six document types of format 1."""

    BUNDLE = "bundle"
    RESTORE_TICKET = "restore-ticket"
    HEAD = "head"
    SNAPSHOT = "snapshot"
    INCREMENT = "increment"
    ARTIFACT = "artifact"


CLUSTER_WIDE = "cluster"
"""The scope of documents that concern a cluster as a whole: bundle, restore ticket and head."""


class Scope(str, Enum):
    """The five scopes of format 1."""

    POLICY = "policy"
    PEERS = "peers"
    ROUTES = "routes"
    SERVICES = "services"
    UPDATES = "updates"


class Version(NamedTuple):
    """Position of a document in its scope: generation first, then version. The generation is set by the bundle alone."""

    generation: int
    version: int


class Audience(NamedTuple):
    """Whom a document is for: every member, the listed nodes, or the bearers of a role."""

    everyone: bool
    nodes: tuple[str, ...] = ()
    role: str | None = None


class PeerEntry(NamedTuple):
    """One member of the signed peer directory."""

    id: str
    endpoints: tuple[str, ...]
    certificate_fingerprints: tuple[bytes, ...]
    roles: tuple[str, ...]


class RouteCandidate(NamedTuple):
    """One permitted way to a destination. `path` lists the relays in order; empty means direct. `cost` is a signed preference, 0 to 10**6."""

    id: str
    destination: str
    channel: str
    path: tuple[str, ...]
    cost: int
    shortcut: bool


class ServiceAssignment(NamedTuple):
    """One workload this node is to run."""

    id: str
    kind: str
    version: str
    desired_state: str
    policy_refs: tuple[str, ...]
    resource_refs: tuple[str, ...]
    connector_refs: tuple[str, ...]
    vpn_connection_refs: tuple[str, ...]


class ArtifactReference(NamedTuple):
    """A signed reference to what may be installed as `subject` (the agent or a workload)."""

    subject: str
    version: str
    sequence: int
    sha256: bytes
    size: int
    location: str
    rollout: str
    minimum_sequence: int


class SignedPolicy(NamedTuple):
    """What the cluster allows this node. Missing policy means the values of `CAUTIOUS_POLICY`."""

    fallback_allowed: bool
    degraded_s_max: int
    offline_s_max: int
    high_risk_operations: tuple[str, ...]
    shortcut_allowed: bool
    previous_snapshots_max: int
    peers_max: int
    observation_age_s_max: int
    routes_max: int
    route_age_s_max: int
    alternatives_max: int


CAUTIOUS_POLICY = SignedPolicy(
    fallback_allowed=False,
    degraded_s_max=3600,
    offline_s_max=86_400,
    high_risk_operations=(),
    shortcut_allowed=False,
    previous_snapshots_max=3,
    peers_max=10_000,
    observation_age_s_max=3600,
    routes_max=10_000,
    route_age_s_max=900,
    alternatives_max=3,
)
"""In force until a signed policy is active (architecture, section 4)."""

Body = (
    tuple[PeerEntry, ...]
    | tuple[RouteCandidate, ...]
    | tuple[ServiceAssignment, ...]
    | tuple[ArtifactReference, ...]
    | SignedPolicy
)


class SnapshotPayload(NamedTuple):
    """What a snapshot says."""

    scope: Scope
    version: Version
    issued_at_s: int
    refresh_after_s: int
    expires_at_s: int
    audience: Audience
    minimum: Version
    """The oldest version of this scope that may still be used, for fallback (trust, 11)."""
    body: Body


class Increment(NamedTuple):
    """What changes from one snapshot to another of the same scope: the complete header of the result, its identity, and the way there."""

    scope: Scope
    version: Version
    issued_at_s: int
    refresh_after_s: int
    expires_at_s: int
    audience: Audience
    minimum: Version
    base_content_id: bytes
    result_content_id: bytes
    changed: Body
    """Entries that are new or replace the entry with their id, sorted by id."""
    removed: tuple[str, ...]
    """Ids of entries that are gone, sorted."""


class HeadEntry(NamedTuple):
    """The newest document of one scope. `size` is that of its payload, in bytes."""

    scope: Scope
    version: Version
    content_id: bytes
    size: int


class Head(NamedTuple):
    """What is newest in a cluster, signed often and valid briefly: against freezing and mixing (trust, 6)."""

    version: int
    issued_at_s: int
    expires_at_s: int
    bundle_version: int
    entries: tuple[HeadEntry, ...]


class Artifact(NamedTuple):
    """One signed reference to an artifact, beside or ahead of the `updates` snapshot (trust, 13)."""

    issued_at_s: int
    expires_at_s: int
    audience: Audience
    reference: ArtifactReference


class Usage(NamedTuple):
    """What a key may sign: a document type and a scope, both as in the document's header."""

    document_type: str
    scope: str


class UsageThreshold(NamedTuple):
    """How many different keys must sign for a usage. A COSE_Sign1 carries one signature, so more than 1 closes the usage."""

    usage: Usage
    threshold: int


class SigningKey(NamedTuple):
    """A key for everyday documents. `kid` is the SHA-256 of the 32-byte Ed25519 public key."""

    kid: bytes
    public_key: bytes
    usages: tuple[Usage, ...]


class RootKey(NamedTuple):
    """A key that signs bundles and restore tickets, and nothing else."""

    kid: bytes
    public_key: bytes


class ScopeRule(NamedTuple):
    """What the bundle sets for a scope: its generation, and the lowest version of that generation that may be used."""

    scope: Scope
    generation: int
    minimum_version: int


class RevocationKind(IntEnum):
    """What a revocation names."""

    KID = 0
    """A key, by kid."""
    CERTIFICATE = 1
    """A node's or anchor's certificate, by the SHA-256 of its DER bytes."""
    IDENTITY = 2
    """A node or a membership, by typed reference: ``node:<id>`` or ``membership:<id>``."""
    BUNDLE = 3
    """A bundle, by content id."""
    CONTENT = 4
    """A document, by content id."""


class Revocation(NamedTuple):
    """One thing that is no longer trusted. In force for as long as a bundle lists it.

    Attributes:
        kind: see `RevocationKind`.
        subject: 32 bytes, or for an identity a typed reference.
        except_content_ids: for a kid, the documents it signed that stay trusted; empty means none.
        not_after_s: when the subject would have ended anyway: from then on a bundle may omit the entry. None means never.
    """

    kind: RevocationKind
    subject: bytes | str
    except_content_ids: tuple[bytes, ...]
    not_after_s: int | None


class PlatformRoot(NamedTuple):
    """A reference to a platform root: data only; nothing it signs is accepted in format 1 (trust, 2)."""

    id: str
    sha256: bytes


class TrustAnchor(NamedTuple):
    """A certificate authority for connections between nodes: SHA-256 of the certificate, and the certificate as DER."""

    sha256: bytes
    certificate: bytes


class RoleMembers(NamedTuple):
    """Which nodes bear a role that audiences may name."""

    role: str
    nodes: tuple[str, ...]


class Bundle(NamedTuple):
    """The trust of a cluster: who may sign what, what is revoked, and the generation of every scope.

    Attributes:
        version: 1, 2, 3 … without gaps; each is signed by the roots of its predecessor and by its own.
        root_threshold: how many roots must sign the next bundle, and a restore ticket.
        thresholds: one per usage that a key lists.
        scopes: one rule for each of the five scopes.
        requires_head: whether an activation must match an unexpired head (trust, 6).
        clock_step_s_max: by how much one signed instant may move trusted time forward, in seconds (trust, 16).
    """

    version: int
    issued_at_s: int
    expires_at_s: int
    roots: tuple[RootKey, ...]
    root_threshold: int
    keys: tuple[SigningKey, ...]
    thresholds: tuple[UsageThreshold, ...]
    scopes: tuple[ScopeRule, ...]
    revocations: tuple[Revocation, ...]
    platform_roots: tuple[PlatformRoot, ...]
    trust_anchors: tuple[TrustAnchor, ...]
    requires_head: bool
    clock_step_s_max: int
    roles: tuple[RoleMembers, ...]


class Floor(NamedTuple):
    """The highest version of a scope (or of the bundle, with generation 0) ever accepted, and what it said."""

    version: Version
    content_id: bytes


class ScopeFloor(NamedTuple):
    """A floor, with the scope it belongs to, as a restore ticket states it."""

    scope: Scope
    version: Version
    content_id: bytes


class RestoreVerdict(IntEnum):
    """What the control plane decided about a restored node."""

    ACCEPT = 0
    """The node goes on with its identity."""
    REENROLL = 1
    """The node must ask for a new identity first."""


class RestoreTicket(NamedTuple):
    """The control plane's answer to one restore request, signed by a threshold of roots (trust, 19).

    Attributes:
        nonce: 32 bytes of the request; used once.
        incarnation: 16 bytes naming the opening that asked.
        backup_digest: SHA-256 of the backup that was restored.
        identity_key_sha256: SHA-256 of the identity's public key (SubjectPublicKeyInfo).
        minimum_bundle_version: the ticket counts only under this bundle or a later one.
        revocation_digest: digest of the revocations of that bundle, see `bundle_schema.revocation_digest`.
    """

    journal_id: bytes
    node_id: str
    membership_id: str
    nonce: bytes
    incarnation: bytes
    backup_digest: bytes
    identity_key_sha256: bytes
    minimum_bundle_version: int
    floors: tuple[ScopeFloor, ...]
    revocation_digest: bytes
    issued_at_s: int
    expires_at_s: int
    verdict: RestoreVerdict


class Documents(Protocol):
    """The content-addressed documents a fold may look at."""

    def snapshot(self, content_id: bytes) -> SnapshotPayload:
        """What the snapshot with this content id says. It was verified before any event named it."""
        ...
