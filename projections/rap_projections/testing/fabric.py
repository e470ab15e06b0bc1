"""The issuing side of a cluster in small: bundles, snapshots, heads and all other documents, signed with keys that a seed makes.

Rules this file keeps:

- The same seed and the same calls give the same bytes. No clock is read: `issued_at_s` is what the issuer believes, and may be set.
- Versions rise by themselves; a version that is given is used, so that rollback and equivocation can be made.
- What is issued by default passes every rule. Wrong documents are asked for by keyword: `sign_with`, `cluster_id`, `claimed_scope`,
  `version`, `expires_at_s`; and `sign` signs any payload at all.

Example::

    fabric = Fabric("eu-west-1")
    document = fabric.peers(["node-1", "node-2"])
    forged = fabric.peers(["node-3"], sign_with="stranger")
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from rap_journal.values import ClusterId
from rap_projections.bundle_schema import DELEGATED, revocation_digest, write_bundle
from rap_projections.bundle_verification import verify_bootstrap, verify_bundles
from rap_projections.cose import ED25519
from rap_projections.document_schema import (
    read_snapshot,
    write_artifact,
    write_head,
    write_increment,
    write_restore_ticket,
    write_snapshot,
)
from rap_projections.documents import (
    CAUTIOUS_POLICY,
    CLUSTER_WIDE,
    Artifact,
    ArtifactReference,
    Audience,
    Body,
    Bundle,
    DocumentType,
    Head,
    HeadEntry,
    Increment,
    PeerEntry,
    RestoreTicket,
    RestoreVerdict,
    Revocation,
    RevocationKind,
    RoleMembers,
    RootKey,
    RouteCandidate,
    Scope,
    ScopeRule,
    ServiceAssignment,
    SigningKey,
    SnapshotPayload,
    TrustAnchor,
    Usage,
    UsageThreshold,
    Version,
)
from rap_projections.signed_document import FORMS, Claims, open_document
from rap_projections.testing.authorities import CertificateAuthority
from rap_projections.testing.certifying import DAY_S, CertificateIssuer
from rap_projections.testing.entries import make_peer, make_reference, make_route, make_service
from rap_projections.testing.issuing import IssuerKey, issuer_key, sign_document
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verified import VerifiedBundle

DEFAULT_TIME_S = 1_800_000_000
"""2027-01-15T08:00:00Z: when documents are issued unless a test says otherwise."""

EVERYONE = Audience(True)
Signers = str | IssuerKey | Sequence[str | IssuerKey]


class _Issued(NamedTuple):
    version: Version
    content_id: bytes
    size: int


class Fabric(CertificateIssuer):
    """The issuer of one cluster.

    Attributes:
        cluster_id: the cluster it issues for.
        issued_at_s: the issuer's time, whole seconds since 1970: documents are issued now, end 30 days later (heads one day).
        draft: what the bundle in force says. `next_bundle` replaces it.
        bundles: every bundle issued by `next_bundle`, the bootstrap first.
        authority: the cluster's authority for node certificates, which the bundle names as trust anchor.
    """

    def __init__(
        self,
        cluster_id: str,
        seed: int = 0,
        issued_at_s: int = DEFAULT_TIME_S,
        *,
        roots: Sequence[str] = ("root-1", "root-2", "root-3"),
        root_threshold: int = 2,
        roles: dict[str, Sequence[str]] | None = None,
        **settings: Any,
    ) -> None:
        """An issuer whose keys come from `seed`; `settings` are further fields of its first `Bundle`."""
        super().__init__(ClusterId(cluster_id), seed, issued_at_s)
        self._root_names = tuple(roots)
        members = tuple(RoleMembers(role, tuple(sorted(nodes))) for role, nodes in sorted((roles or {}).items()))
        self.draft = self._first_bundle(root_threshold)._replace(roles=members, **settings)
        self.bundles = [self.bundle()]
        self._issued: dict[Scope, _Issued] = {}
        self._counters: dict[str, int] = {}

    def key(self, name: str) -> IssuerKey:
        """The key called `name`: "root-1" to "root-3", a scope, "head", "artifact", "spare" (all scopes), or any other for a stranger."""
        return _key(self.cluster_id, self._seed, name)

    @property
    def bootstrap(self) -> bytes:
        """The first bundle."""
        return self.bundles[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bootstrap in hex: what an operator passes on out of band."""
        return hashlib.sha256(self.bootstrap).hexdigest()

    @property
    def root_fingerprints(self) -> tuple[str, ...]:
        """Kids of the present root keys in hex, sorted."""
        return tuple(root.kid.hex() for root in self.draft.roots)

    def verified_bundle(self) -> VerifiedBundle:
        """The newest bundle, verified along the chain from the bootstrap, with trusted time at the bootstrap's issue."""
        first = verify_bootstrap(self.bootstrap, cluster_id=self.cluster_id, expect=self.fingerprint, trusted_s=None)
        newer = verify_bundles(self.bundles[1:], first, trusted_s=0)
        return newer[-1] if newer else first

    def trust(self) -> TrustInForce:
        """The trust of the newest bundle."""
        return TrustInForce.of(self.verified_bundle())

    def bundle(self, version: int | None = None, *, sign_with: Signers | None = None, **changes: Any) -> bytes:
        """A bundle like the one in force but for `changes` (fields of `Bundle`); nothing is remembered of it."""
        bundle = self.draft._replace(version=self.draft.version if version is None else version, **changes)
        signers = self._root_names if sign_with is None else sign_with
        return self.sign(DocumentType.BUNDLE, CLUSTER_WIDE, write_bundle(bundle), sign_with=signers)

    def next_bundle(self, *, roots: Sequence[str] | None = None, **changes: Any) -> bytes:
        """The next bundle, with `changes`, which is in force from now on; signed by all roots before and after it."""
        before = self._root_names
        self._root_names = tuple(roots) if roots is not None else before
        keys = {"roots": self._roots()} if roots is not None else {}
        self.draft = self.draft._replace(version=self.draft.version + 1, issued_at_s=self.issued_at_s, **keys | changes)
        self.bundles.append(self.bundle(sign_with=tuple(dict.fromkeys(before + self._root_names))))
        return self.bundles[-1]

    def revoke(
        self,
        kind: RevocationKind,
        subject: bytes | str,
        *,
        except_content_ids: Iterable[bytes] = (),
        not_after_s: int | None = None,
    ) -> bytes:
        """The next bundle, with one revocation more."""
        entry = Revocation(kind, subject, tuple(sorted(except_content_ids)), not_after_s)
        return self.next_bundle(revocations=tuple(sorted((*self.draft.revocations, entry), key=lambda item: item[:2])))

    def revoke_key(self, name: str, **options: Any) -> bytes:
        """The next bundle, in which the key called `name` is revoked."""
        return self.revoke(RevocationKind.KID, self.key(name).kid, **options)

    def raise_generation(self, scope: Scope | str) -> bytes:
        """The next bundle, in which `scope` is in its next generation; versions of that scope start at 1 again."""
        rules = tuple(
            rule._replace(generation=rule.generation + 1, minimum_version=0) if rule.scope == scope else rule
            for rule in self.draft.scopes
        )
        self._counters.pop(Scope(scope).value, None)
        return self.next_bundle(scopes=rules)

    def snapshot(
        self,
        scope: Scope | str,
        body: Body,
        *,
        version: int | Version | None = None,
        audience: Audience | Sequence[str] = EVERYONE,
        issued_at_s: int | None = None,
        refresh_after_s: int | None = None,
        expires_at_s: int | None = None,
        minimum: Version | None = None,
        **signing: Any,
    ) -> bytes:
        """A snapshot. `version` is the next one unless given; `signing` is what `sign` takes."""
        scope = Scope(scope)
        issued, number = self.issued_at_s if issued_at_s is None else issued_at_s, self._version(scope, version)
        ends = issued + 30 * DAY_S if expires_at_s is None else expires_at_s
        refresh = min(issued + DAY_S, ends) if refresh_after_s is None else refresh_after_s
        for_whom = audience if isinstance(audience, Audience) else Audience(False, nodes=tuple(sorted(audience)))
        lowest = Version(number.generation, 1) if minimum is None else minimum
        payload = write_snapshot(SnapshotPayload(scope, number, issued, refresh, ends, for_whom, lowest, body))
        document = self.sign(DocumentType.SNAPSHOT, scope.value, payload, **signing)
        known = self._issued.get(scope)
        if known is None or number >= known.version:
            self._issued[scope] = _Issued(number, self.content_id(document), len(payload))
        return document

    def peers(self, peers: Iterable[PeerEntry | str], **options: Any) -> bytes:
        """A peer directory; a bare id becomes a peer with one endpoint and one fingerprint."""
        entries = (peer if isinstance(peer, PeerEntry) else make_peer(peer) for peer in peers)
        return self.snapshot(Scope.PEERS, tuple(sorted(entries)), **options)

    def routes(self, routes: Iterable[RouteCandidate | tuple[str, Sequence[str]]], **options: Any) -> bytes:
        """A route snapshot; a bare (destination, relays) becomes a candidate of the channel "interactive"."""
        entries = (route if isinstance(route, RouteCandidate) else make_route(*route) for route in routes)
        return self.snapshot(Scope.ROUTES, tuple(sorted(entries)), **options)

    def services(self, services: Iterable[ServiceAssignment | str], **options: Any) -> bytes:
        """A service snapshot; a bare id becomes a workload that is to run."""
        entries = (service if isinstance(service, ServiceAssignment) else make_service(service) for service in services)
        return self.snapshot(Scope.SERVICES, tuple(sorted(entries)), **options)

    def updates(self, references: Iterable[ArtifactReference | str], **options: Any) -> bytes:
        """An update snapshot; a bare subject becomes a reference with sequence 1."""
        entries = (ref if isinstance(ref, ArtifactReference) else make_reference(ref) for ref in references)
        return self.snapshot(Scope.UPDATES, tuple(sorted(entries)), **options)

    def policy(self, *, snapshot: dict[str, Any] | None = None, **fields: Any) -> bytes:
        """A policy: the cautious one but for `fields`; `snapshot` is what the method of that name takes."""
        return self.snapshot(Scope.POLICY, CAUTIOUS_POLICY._replace(**fields), **snapshot or {})

    def increment(self, base: bytes, body: Body, **options: Any) -> bytes:
        """The increment from the snapshot document `base` to one with this `body`, everything else being as `snapshot` makes it."""
        document = open_document(base, DocumentType.SNAPSHOT)
        scope = Scope(document.claims.scope)
        result = self.snapshot(scope, body, **options)
        after = read_snapshot(open_document(result, DocumentType.SNAPSHOT).envelope.payload, scope)
        before: set[Any] = set(read_snapshot(document.envelope.payload, scope).body)
        entries: Any = after.body
        changed = tuple(entry for entry in entries if entry not in before)
        removed = tuple(sorted({entry[0] for entry in before} - {entry[0] for entry in entries}))
        increment = Increment(*after[:-1], self.content_id(base), self.content_id(result), changed, removed)
        return self.sign(DocumentType.INCREMENT, scope.value, write_increment(increment))

    def head(self, *, expires_at_s: int | None = None, sign_with: Signers | None = None, **changes: Any) -> bytes:
        """A head that lists the newest snapshot issued per scope, valid for a day."""
        issued = sorted(self._issued.items(), key=lambda item: item[0].value)
        entries = tuple(HeadEntry(scope, *latest) for scope, latest in issued)
        ends = self.issued_at_s + DAY_S if expires_at_s is None else expires_at_s
        head = Head(self._count("head"), self.issued_at_s, ends, self.draft.version, entries)._replace(**changes)
        return self.sign(DocumentType.HEAD, CLUSTER_WIDE, write_head(head), sign_with=sign_with)

    def artifact(
        self, reference: ArtifactReference | str, *, audience: Audience = EVERYONE, expires_at_s: int | None = None
    ) -> bytes:
        """A signed reference to one artifact."""
        ends = self.issued_at_s + 30 * DAY_S if expires_at_s is None else expires_at_s
        named = reference if isinstance(reference, ArtifactReference) else make_reference(reference)
        payload = write_artifact(Artifact(self.issued_at_s, ends, audience, named))
        return self.sign(DocumentType.ARTIFACT, Scope.UPDATES.value, payload)

    def restore_ticket(self, *, sign_with: Signers | None = None, **fields: Any) -> bytes:
        """A restore ticket, valid for an hour; `fields` are those of `RestoreTicket`, all zero bytes unless given."""
        ticket = RestoreTicket(
            journal_id=bytes(16),
            node_id="node-1",
            membership_id="membership-1",
            nonce=bytes(32),
            incarnation=bytes(16),
            backup_digest=bytes(32),
            identity_key_sha256=bytes(32),
            minimum_bundle_version=self.draft.version,
            floors=(),
            revocation_digest=revocation_digest(self.draft),
            issued_at_s=self.issued_at_s,
            expires_at_s=self.issued_at_s + 3600,
            verdict=RestoreVerdict.ACCEPT,
        )._replace(**fields)
        return self.sign(DocumentType.RESTORE_TICKET, CLUSTER_WIDE, write_restore_ticket(ticket), sign_with=sign_with)

    def trusting(self, *authorities: CertificateAuthority) -> bytes:
        """The next bundle, which names these authorities for connections between nodes, and no others."""
        anchors = [TrustAnchor(hashlib.sha256(it.certificate).digest(), it.certificate) for it in authorities]
        return self.next_bundle(trust_anchors=tuple(sorted(anchors)))

    def sign(
        self,
        document_type: DocumentType | str,
        scope: str,
        payload: bytes,
        *,
        sign_with: Signers | None = None,
        cluster_id: str | None = None,
        claimed_scope: str | None = None,
        algorithm: int = ED25519,
    ) -> bytes:
        """Any payload as a document of this type and scope, signed by the keys named, or by those that may.

        `cluster_id` and `claimed_scope` are what header and signature claim instead of the truth.
        """
        kind = DocumentType(document_type)
        claims = Claims(kind.value, cluster_id or self.cluster_id, claimed_scope or scope)
        signers = self._default_signers(kind, scope) if sign_with is None else sign_with
        names = [signers] if isinstance(signers, (str, IssuerKey)) else list(signers)
        keys = [self.key(name) if isinstance(name, str) else name for name in names]
        return sign_document(claims, payload, keys, algorithm=algorithm)

    def content_id(self, document: bytes) -> bytes:
        """The content id of a snapshot document, 32 bytes."""
        return open_document(document, DocumentType.SNAPSHOT).content_id()

    def _version(self, scope: Scope, version: int | Version | None) -> Version:
        if isinstance(version, Version):
            return version
        generation = next(rule.generation for rule in self.draft.scopes if rule.scope is scope)
        if version is None:
            return Version(generation, self._count(scope.value))
        self._counters[scope.value] = max(version, self._counters.get(scope.value, 0))
        return Version(generation, version)

    def _count(self, counter: str) -> int:
        self._counters[counter] = self._counters.get(counter, 0) + 1
        return self._counters[counter]

    def _default_signers(self, kind: DocumentType, scope: str) -> Signers:
        if kind in (DocumentType.BUNDLE, DocumentType.RESTORE_TICKET):
            return self._root_names
        return kind.value if kind in (DocumentType.HEAD, DocumentType.ARTIFACT) else scope

    def _roots(self) -> tuple[RootKey, ...]:
        keys = [self.key(name) for name in self._root_names]
        return tuple(sorted(RootKey(key.kid, key.public_key) for key in keys))

    def _first_bundle(self, root_threshold: int) -> Bundle:
        usages = {kind: tuple(Usage(kind.value, scope) for scope in sorted(FORMS[kind].scopes)) for kind in DELEGATED}
        everyday = {"head": usages[DocumentType.HEAD], "artifact": usages[DocumentType.ARTIFACT]}
        scoped = sorted(usages[DocumentType.INCREMENT] + usages[DocumentType.SNAPSHOT])
        everyday |= {scope.value: tuple(usage for usage in scoped if usage.scope == scope.value) for scope in Scope}
        everyday["spare"] = usages[DocumentType.SNAPSHOT]
        keys = sorted(SigningKey(key.kid, key.public_key, may) for name, may in everyday.items() for key in [self.key(name)])
        every_usage = sorted(usage for kind in DELEGATED for usage in usages[kind])
        certificate = self.authority.certificate
        return Bundle(
            version=1,
            issued_at_s=self.issued_at_s,
            expires_at_s=self.issued_at_s + 365 * DAY_S,
            roots=self._roots(),
            root_threshold=root_threshold,
            keys=tuple(keys),
            thresholds=tuple(UsageThreshold(usage, 1) for usage in every_usage),
            scopes=tuple(ScopeRule(scope, 1, 0) for scope in sorted(Scope, key=lambda scope: scope.value)),
            revocations=(),
            platform_roots=(),
            trust_anchors=(TrustAnchor(hashlib.sha256(certificate).digest(), certificate),),
            requires_head=False,
            clock_step_s_max=30 * DAY_S,
            roles=(),
        )


@cache
def _key(cluster_id: str, seed: int, name: str) -> IssuerKey:
    return issuer_key(cluster_id, seed, name)
