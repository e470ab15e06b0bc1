"""What a bundle in force answers: who may sign what, what is revoked, and which roles a node has."""

import pytest

from rap_projections.bundle_schema import revocation_digest
from rap_projections.documents import RevocationKind, Scope, Usage, Version
from rap_projections.refusals import Revoked, UnknownSigner, WrongUsage
from rap_projections.testing import Fabric
from rap_projections.trust_in_force import TrustInForce, trusted_roots
from tests.projections.documents_support import CLUSTER, refused

PEERS = Usage("snapshot", "peers")


def fabric() -> Fabric:
    return Fabric(CLUSTER, roles={"core": ["node-1"], "edge": ["node-1", "node-2"]})


def test_trust_answers_with_what_the_bundle_says() -> None:
    issuer = fabric()
    trust = issuer.trust()
    assert (trust.cluster_id, trust.version, trust.root_threshold, trust.requires_head) == (CLUSTER, 1, 2, False)
    assert trust.clock_step_s_max == 30 * 86_400
    assert trust.content_id == issuer.verified_bundle().content_id
    assert trust.roots == {issuer.key(name).kid: issuer.key(name).public_key for name in ("root-1", "root-2", "root-3")}
    assert trust.minimum(Scope.PEERS) == Version(1, 0)
    assert trust.threshold(PEERS) == 1
    assert trust.revocation_digest() == revocation_digest(issuer.draft)
    assert [anchor.certificate for anchor in trust.trust_anchors] == [issuer.authority.certificate]


def test_signer_gets_its_key_for_its_own_usage_only() -> None:
    """Mutation: drop the check of the usage, or look the key up among the roots as well."""
    issuer = fabric()
    trust, peers = issuer.trust(), issuer.key("peers")
    assert trust.signer_key(peers.kid, PEERS, b"") == peers.public_key
    assert isinstance(refused(trust.signer_key, peers.kid, Usage("snapshot", "routes"), b""), WrongUsage)
    assert isinstance(refused(trust.signer_key, peers.kid, Usage("head", "cluster"), b""), WrongUsage)
    assert isinstance(refused(trust.signer_key, issuer.key("stranger").kid, PEERS, b""), UnknownSigner)
    assert isinstance(refused(trust.signer_key, issuer.key("root-1").kid, PEERS, b""), UnknownSigner)


def test_usage_that_no_key_has_has_no_threshold() -> None:
    assert isinstance(refused(fabric().trust().threshold, Usage("bundle", "cluster")), UnknownSigner)


def test_revoked_signer_keeps_the_excepted_documents_only() -> None:
    """Mutation: ignore revocations, or their exceptions."""
    issuer = fabric()
    kept, other = b"\x01" * 32, b"\x02" * 32
    issuer.revoke_key("peers", except_content_ids=[kept])
    trust, kid = issuer.trust(), issuer.key("peers").kid
    assert trust.signer_key(kid, PEERS, kept) == issuer.key("peers").public_key
    assert isinstance(refused(trust.signer_key, kid, PEERS, other), Revoked)
    assert (trust.is_signer_revoked(kid, kept), trust.is_signer_revoked(kid, other)) == (False, True)


def test_revoked_root_is_none_of_the_roots() -> None:
    """Mutation: leave revoked roots in."""
    issuer = fabric()
    issuer.revoke_key("root-1")
    names = {name for name in ("root-1", "root-2", "root-3") if issuer.key(name).kid in issuer.trust().roots}
    assert names == {"root-2", "root-3"}
    assert len(trusted_roots(issuer.draft)) == 2


def test_contents_certificates_and_identities_can_be_revoked() -> None:
    issuer = fabric()
    anchor = issuer.draft.trust_anchors[0].sha256
    for kind, subject in (
        (RevocationKind.CONTENT, b"\x01" * 32),
        (RevocationKind.BUNDLE, b"\x02" * 32),
        (RevocationKind.CERTIFICATE, anchor),
        (RevocationKind.IDENTITY, "node:node-7"),
        (RevocationKind.IDENTITY, "membership:m-8"),
    ):
        issuer.revoke(kind, subject)
    trust = issuer.trust()
    assert [trust.is_content_revoked(bytes([number]) * 32) for number in (1, 2, 3)] == [True, True, False]
    assert trust.is_certificate_revoked(anchor) and trust.trust_anchors == ()
    assert trust.is_identity_revoked(node_id="node-7")
    assert trust.is_identity_revoked(node_id="node-1", membership_id="m-8")
    assert not trust.is_identity_revoked(node_id="node-1", membership_id="m-1")
    assert not trust.is_identity_revoked(node_id="node-1")


def test_roles_are_those_the_bundle_lists() -> None:
    trust = fabric().trust()
    assert trust.roles_of("node-1") == {"core", "edge"}
    assert trust.roles_of("node-2") == {"edge"}
    assert trust.roles_of("node-3") == frozenset()


def test_trust_in_force_cannot_be_changed() -> None:
    trust = fabric().trust()
    with pytest.raises(TypeError):
        trust.roots[b""] = b""  # type: ignore[index] # the point of the test
    with pytest.raises(AttributeError):
        trust.content_id = b""  # type: ignore[misc] # the point of the test


def test_trust_in_force_is_made_of_a_verified_bundle() -> None:
    verified = fabric().verified_bundle()
    assert TrustInForce.of(verified) == fabric().trust()
    assert (TrustInForce.of(verified).bundle, TrustInForce.of(verified).cluster_id) == (verified.bundle, verified.cluster_id)
