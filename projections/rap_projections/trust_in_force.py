"""The trust in force, ready to be asked: who may sign what, what is revoked, and which generation each scope is in.

Rules this file keeps:

- It is made of a verified bundle and of nothing else, and never changes: under another bundle another trust is in force.
- A revoked root signs nothing; a revoked everyday key signs only the documents that its revocation excepts (trust, 10).
- Platform roots are data: no question here is answered by them (trust, 2).

Example::

    trust = TrustInForce.of(verified_bundle)
    key = trust.signer_key(kid, Usage("snapshot", "routes"), content_id)      # or UnknownSigner, WrongUsage, Revoked
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from rap_journal.values import ClusterId
from rap_projections.bundle_schema import revocation_digest
from rap_projections.documents import Bundle, Revocation, RevocationKind, Scope, SigningKey, TrustAnchor, Usage, Version
from rap_projections.refusals import Revoked, UnknownSigner, WrongUsage
from rap_projections.verified import VerifiedBundle


@dataclass(frozen=True, slots=True)
class TrustInForce:
    """What one bundle sets, by question.

    Attributes:
        cluster_id: the cluster it is the trust of.
        bundle: the bundle in force.
        content_id: its content id, 32 bytes.
        roots: kid to public key of the roots that are not revoked.
    """

    cluster_id: ClusterId
    bundle: Bundle = field(repr=False)
    content_id: bytes = field(repr=False)
    roots: Mapping[bytes, bytes] = field(repr=False)
    _keys: Mapping[bytes, SigningKey] = field(repr=False)
    _thresholds: Mapping[Usage, int] = field(repr=False)
    _minimums: Mapping[Scope, Version] = field(repr=False)
    _revocations: Mapping[tuple[RevocationKind, bytes | str], Revocation] = field(repr=False)
    _roles: Mapping[str, frozenset[str]] = field(repr=False)
    revoked_nodes: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, verified: VerifiedBundle) -> Self:
        """The trust that a verified bundle puts in force."""
        bundle = verified.bundle
        return cls(
            cluster_id=ClusterId(verified.cluster_id),
            bundle=bundle,
            content_id=verified.content_id,
            roots=MappingProxyType(trusted_roots(bundle)),
            _keys=MappingProxyType({key.kid: key for key in bundle.keys}),
            _thresholds=MappingProxyType({item.usage: item.threshold for item in bundle.thresholds}),
            _minimums=MappingProxyType({rule.scope: Version(rule.generation, rule.minimum_version) for rule in bundle.scopes}),
            _revocations=MappingProxyType({(entry.kind, entry.subject): entry for entry in bundle.revocations}),
            _roles=MappingProxyType({entry.role: frozenset(entry.nodes) for entry in bundle.roles}),
            revoked_nodes=frozenset(_revoked_nodes(bundle)),
        )

    @property
    def version(self) -> int:
        """Version of the bundle in force."""
        return self.bundle.version

    @property
    def root_threshold(self) -> int:
        """How many roots must sign the next bundle, and a restore ticket."""
        return self.bundle.root_threshold

    @property
    def requires_head(self) -> bool:
        """Whether an activation must match an unexpired head."""
        return self.bundle.requires_head

    @property
    def clock_step_s_max(self) -> int:
        """By how many seconds one signed instant may move trusted time forward."""
        return self.bundle.clock_step_s_max

    @property
    def trust_anchors(self) -> tuple[TrustAnchor, ...]:
        """Certificate authorities for connections between nodes, those not revoked."""
        return tuple(anchor for anchor in self.bundle.trust_anchors if not self.is_certificate_revoked(anchor.sha256))

    def signer_key(self, kid: bytes, usage: Usage, content_id: bytes) -> bytes:
        """The public key `kid`, if it may sign this content for this usage. Raises `UnknownSigner`, `WrongUsage` or `Revoked`."""
        key = self._keys.get(kid)
        if key is None:
            raise UnknownSigner(f"its key is not in bundle {self.version}")
        if usage not in key.usages:
            raise WrongUsage(f"its key is in bundle {self.version} for other documents only")
        if self.is_signer_revoked(kid, content_id):
            raise Revoked("its key is revoked")
        return key.public_key

    def threshold(self, usage: Usage) -> int:
        """How many different keys must sign for a usage; raises `UnknownSigner` for one that no key has."""
        threshold = self._thresholds.get(usage)
        if threshold is None:
            raise UnknownSigner(f"bundle {self.version} has no key for it")
        return threshold

    def minimum(self, scope: Scope) -> Version:
        """The generation that `scope` is in, and the lowest version of it that may be used."""
        return self._minimums[scope]

    def is_signer_revoked(self, kid: bytes, content_id: bytes) -> bool:
        """Whether what the key `kid` signed is void, for the document with this content id."""
        entry = self._revocations.get((RevocationKind.KID, kid))
        return entry is not None and content_id not in entry.except_content_ids

    def is_content_revoked(self, content_id: bytes) -> bool:
        """Whether the document with this content id is revoked, a bundle included."""
        return any((kind, content_id) in self._revocations for kind in (RevocationKind.CONTENT, RevocationKind.BUNDLE))

    def is_certificate_revoked(self, sha256: bytes) -> bool:
        """Whether the certificate whose DER bytes have this SHA-256 is revoked."""
        return (RevocationKind.CERTIFICATE, sha256) in self._revocations

    def is_key_revoked(self, key_sha256: bytes) -> bool:
        """Whether the key of a certificate is revoked, by the SHA-256 of its SubjectPublicKeyInfo. What a revocation excepts are documents."""
        return (RevocationKind.KID, key_sha256) in self._revocations

    def is_identity_revoked(self, *, node_id: str, membership_id: str | None = None) -> bool:
        """Whether a node is revoked, as such or in this membership."""
        names = [f"node:{node_id}"] + ([f"membership:{membership_id}"] if membership_id else [])
        return any((RevocationKind.IDENTITY, name) in self._revocations for name in names)

    def roles_of(self, node_id: str) -> frozenset[str]:
        """The roles the bundle gives a node: an audience may name one of them."""
        return frozenset(role for role, nodes in self._roles.items() if node_id in nodes)

    def revocation_digest(self) -> bytes:
        """Digest of all revocations, 32 bytes: what floors and restore tickets compare."""
        return revocation_digest(self.bundle)


def _revoked_nodes(bundle: Bundle) -> Iterator[str]:
    for entry in bundle.revocations:
        if entry.kind is RevocationKind.IDENTITY and isinstance(entry.subject, str):
            kind, _, name = entry.subject.partition(":")
            if kind == "node":
                yield name


def trusted_roots(bundle: Bundle) -> dict[bytes, bytes]:
    """Kid to public key of the roots of a bundle that it does not itself revoke."""
    revoked = {entry.subject for entry in bundle.revocations if entry.kind is RevocationKind.KID}
    return {root.kid: root.public_key for root in bundle.roots if root.kid not in revoked}
