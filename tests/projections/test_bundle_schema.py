"""The payload of a bundle: keys that are fit, usages with thresholds, and everything that must agree within one."""

import hashlib
from typing import Any

import pytest

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.bundle_schema import read_bundle, revocation_digest, write_bundle
from rap_projections.documents import (
    Bundle,
    PlatformRoot,
    Revocation,
    RevocationKind,
    RoleMembers,
    Scope,
    TrustAnchor,
    Usage,
    UsageThreshold,
)
from rap_projections.refusals import BadSchema
from rap_projections.testing import Fabric
from tests.projections.documents_support import refused

FABRIC = Fabric("eu-west-1", roles={"edge": ["node-2", "node-1"]})
DRAFT = FABRIC.draft
REVOKED = (
    Revocation(RevocationKind.KID, bytes(32), (b"\x01" * 32, b"\x02" * 32), None),
    Revocation(RevocationKind.CERTIFICATE, bytes(32), (), 5),
    Revocation(RevocationKind.IDENTITY, "membership:m-1", (), None),
    Revocation(RevocationKind.IDENTITY, "node:node-1", (), None),
    Revocation(RevocationKind.BUNDLE, bytes(32), (), None),
    Revocation(RevocationKind.CONTENT, bytes(32), (), None),
)


def test_full_bundle_is_read_back_and_written_as_the_same_bytes() -> None:
    full = DRAFT._replace(revocations=REVOKED, platform_roots=(PlatformRoot("platform-1", bytes(32)),))
    payload = write_bundle(full)
    assert read_bundle(payload) == full
    assert write_bundle(read_bundle(payload)) == payload
    assert DRAFT.roles == (RoleMembers("edge", ("node-1", "node-2")),)
    assert all(0 <= key < 24 for key in decode(payload))


def with_root(**fields: Any) -> Bundle:
    return DRAFT._replace(roots=(DRAFT.roots[0]._replace(**fields), *DRAFT.roots[1:]))


def weak_root() -> Bundle:
    key = (1).to_bytes(32, "little")
    roots = [DRAFT.roots[1], DRAFT.roots[2], DRAFT.roots[0]._replace(kid=hashlib.sha256(key).digest(), public_key=key)]
    return DRAFT._replace(roots=tuple(sorted(roots)))


def a_key(*usages: Usage) -> Bundle:
    keys = (DRAFT.keys[0]._replace(usages=usages), *DRAFT.keys[1:])
    listed = sorted({usage for key in keys for usage in key.usages})
    return DRAFT._replace(keys=keys, thresholds=tuple(UsageThreshold(usage, 1) for usage in listed))


def anchored(certificate: bytes) -> Bundle:
    return DRAFT._replace(trust_anchors=(TrustAnchor(hashlib.sha256(certificate).digest(), certificate),))


ANCHOR = DRAFT.trust_anchors[0].certificate


@pytest.mark.parametrize(
    ("bundle", "words"),
    [
        (with_root(public_key=bytes([255] * 32)), "canonical"),
        (weak_root(), "small order"),
        (with_root(public_key=DRAFT.roots[1].public_key), "not the SHA-256"),
        (with_root(kid=bytes(32)), "not the SHA-256"),
        (DRAFT._replace(roots=DRAFT.roots[::-1]), "rise"),
        (DRAFT._replace(roots=(DRAFT.roots[0], DRAFT.roots[0])), "rise"),
        (DRAFT._replace(roots=()), "1 to 16 items"),
        (DRAFT._replace(root_threshold=0), "root_threshold"),
        (DRAFT._replace(root_threshold=4), "above the number of roots"),
        (DRAFT._replace(keys=DRAFT.keys[::-1]), "rise"),
        (DRAFT._replace(thresholds=DRAFT.thresholds[1:]), "do not go together"),
        (DRAFT._replace(keys=()), "do not go together"),
        (DRAFT._replace(scopes=DRAFT.scopes[1:]), "5 to 5 items"),
        (DRAFT._replace(scopes=(DRAFT.scopes[0], *DRAFT.scopes[:4])), "rise"),
        (DRAFT._replace(expires_at_s=1), "ends before it was issued"),
        (DRAFT._replace(version=0), "version"),
        (a_key(Usage("bundle", "cluster")), "no everyday key"),
        (a_key(Usage("restore-ticket", "cluster")), "no everyday key"),
        (a_key(Usage("snapshot", "cluster")), "no everyday key"),
        (a_key(Usage("increment", "policy")), "no everyday key"),
        (a_key(Usage("artifact", "peers")), "no everyday key"),
        (a_key(Usage("Snapshot", "peers")), "document type or scope"),
        (a_key(), "usages"),
        (anchored(b"no certificate"), "no DER certificate"),
        (anchored(ANCHOR + b"\0"), "no DER certificate"),
        (DRAFT._replace(trust_anchors=(TrustAnchor(bytes(32), ANCHOR),)), "another digest"),
        (DRAFT._replace(revocations=REVOKED[::-1]), "rise"),
        (DRAFT._replace(revocations=(REVOKED[0], REVOKED[0])), "rise"),
        (DRAFT._replace(revocations=(Revocation(RevocationKind.KID, "node:x", (), None),)), "32 bytes"),
        (DRAFT._replace(revocations=(Revocation(RevocationKind.IDENTITY, bytes(32), (), None),)), "node or membership"),
        (DRAFT._replace(revocations=(Revocation(RevocationKind.IDENTITY, "svc:x", (), None),)), "node or membership"),
        (DRAFT._replace(revocations=(Revocation(RevocationKind.CONTENT, bytes(32), (bytes(32),), None),)), "exceptions"),
        (DRAFT._replace(roles=(RoleMembers("edge", ("b", "a")),)), "rise"),
        (DRAFT._replace(clock_step_s_max=-1), "clock_step_s_max"),
        (DRAFT._replace(requires_head=1), "neither true nor false"),  # type: ignore[arg-type] # what a faulty issuer would write
    ],
)
def test_bundle_that_does_not_agree_with_itself_is_refused(bundle: Bundle, words: str) -> None:
    """Mutation: drop the check that the words name."""
    refusal = refused(read_bundle, write_bundle(bundle))
    assert isinstance(refusal, BadSchema)
    assert words in str(refusal)


def test_root_key_is_never_an_everyday_key() -> None:
    """Mutation: drop the check that roots and keys are disjoint."""
    root = FABRIC.key("root-1")
    both = DRAFT.keys[0]._replace(kid=root.kid, public_key=root.public_key)
    bundle = DRAFT._replace(keys=tuple(sorted((both, *DRAFT.keys[1:]))))
    listed = sorted({usage for key in bundle.keys for usage in key.usages})
    bundle = bundle._replace(thresholds=tuple(UsageThreshold(usage, 1) for usage in listed))
    assert "everyday key as well" in str(refused(read_bundle, write_bundle(bundle)))


def test_unknown_kind_of_revocation_and_subject_of_another_type_are_refused() -> None:
    value = decode(write_bundle(DRAFT))
    for revocation in ({0: 5, 1: bytes(32), 2: [], 3: None}, {0: 0, 1: 7, 2: [], 3: None}, {0: 0, 1: bytes(32), 2: []}):
        assert isinstance(refused(read_bundle, encode(value | {8: [revocation]})), BadSchema)


def test_revocation_digest_is_of_the_revocations_alone() -> None:
    first = DRAFT._replace(revocations=REVOKED)
    assert revocation_digest(first) == revocation_digest(first._replace(version=9))
    assert revocation_digest(first) != revocation_digest(DRAFT)
    assert revocation_digest(DRAFT) == hashlib.sha256(b"\x80").digest()


def test_scopes_of_a_bundle_are_all_five_in_order() -> None:
    assert [rule.scope for rule in DRAFT.scopes] == sorted(Scope)


def test_subject_of_a_revocation_that_is_neither_bytes_nor_text_is_told_so() -> None:
    """Mutation: without the check, a number would be compared with a digest."""
    payload = decode(write_bundle(DRAFT._replace(revocations=REVOKED[:1])))
    payload[8][0][1] = 7
    with pytest.raises(BadSchema, match="neither a digest nor a reference"):
        read_bundle(encode(payload))
