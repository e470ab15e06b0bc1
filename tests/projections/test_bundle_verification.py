"""The chain of bundles: the pinned first one, each next one by the one before, and nothing that shrinks."""

import hashlib
from typing import Any

import pytest

from rap_journal.deterministic_cbor import decode, encode
from rap_journal.errors import MisuseError
from rap_projections.bundle_verification import BUNDLES_PER_CALL_MAX, verify_bootstrap, verify_bundles, verify_next_bundle
from rap_projections.documents import RevocationKind, Scope
from rap_projections.refusals import (
    BadSchema,
    BadSignature,
    Equivocation,
    Expired,
    Malformed,
    RevocationDropped,
    Revoked,
    Rollback,
    ThresholdNotMet,
    TooLarge,
    UnknownSigner,
    VersionGap,
    WrongCluster,
    WrongFingerprint,
)
from rap_projections.testing import Fabric
from rap_projections.testing.issuing import tampered
from rap_projections.verified import VerifiedBundle
from tests.projections.documents_support import CLUSTER, NOW_S, refused


def pinned(data: bytes, fabric: Fabric, expect: Any = None, trusted_s: int | None = NOW_S) -> VerifiedBundle:
    return verify_bootstrap(data, cluster_id=fabric.cluster_id, expect=expect or fabric.fingerprint, trusted_s=trusted_s)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------ the first bundle


def test_bootstrap_with_the_expected_sha256_is_verified() -> None:
    fabric = Fabric(CLUSTER)
    verified = pinned(fabric.bootstrap, fabric)
    assert verified.bundle == fabric.draft
    assert (verified.data, verified.cluster_id, verified.trust_version) == (fabric.bootstrap, CLUSTER, 1)
    assert verified.signers == tuple(sorted(fabric.key(name).kid for name in ("root-1", "root-2", "root-3")))
    assert verified.roots_ever == {root.kid for root in fabric.draft.roots}
    assert pinned(fabric.bootstrap, fabric, fabric.fingerprint.upper()).content_id == verified.content_id


def test_bootstrap_with_another_sha256_is_refused() -> None:
    """Mutation: drop the comparison with the expected SHA-256. The same content, signed otherwise, is other bytes."""
    fabric = Fabric(CLUSTER)
    other = fabric.bundle(sign_with=["root-1", "root-2"])
    assert isinstance(refused(pinned, other, fabric), WrongFingerprint)
    assert isinstance(refused(pinned, fabric.bootstrap, fabric, "00" * 32), WrongFingerprint)


def test_bootstrap_by_root_fingerprints_needs_each_of_them_to_have_signed() -> None:
    """Mutation: let one expected root be enough. An attacker with that one root could set a threshold of 1."""
    fabric = Fabric(CLUSTER)
    assert pinned(fabric.bootstrap, fabric, fabric.root_fingerprints).bundle.version == 1
    assert pinned(fabric.bootstrap, fabric, fabric.root_fingerprints[:2]).bundle.version == 1
    by_two = fabric.bundle(sign_with=["root-1", "root-2"], root_threshold=1)
    assert isinstance(refused(pinned, by_two, fabric, fabric.root_fingerprints), WrongFingerprint)
    stranger = Fabric(CLUSTER, seed=1)
    assert isinstance(refused(pinned, stranger.bootstrap, stranger, fabric.root_fingerprints[:1]), WrongFingerprint)


@pytest.mark.parametrize("expect", ["", "abc", "zz" * 32, [], ["ab"], "00" * 33])
def test_expectation_that_is_no_sha256_is_misuse(expect: Any) -> None:
    fabric = Fabric(CLUSTER)
    with pytest.raises(MisuseError, match="64 hexadecimal digits"):
        verify_bootstrap(fabric.bootstrap, cluster_id=CLUSTER, expect=expect, trusted_s=None)


def test_bootstrap_must_meet_its_own_threshold_with_different_keys() -> None:
    """Mutation: drop the threshold check, or count signatures instead of keys."""
    fabric = Fabric(CLUSTER)
    for signers in (["root-1"], ["root-1", "root-1"], ["root-1", "stranger"], ["root-1", "peers"]):
        data = fabric.bundle(sign_with=signers)
        refusal = refused(pinned, data, fabric, sha256_of(data))
        assert isinstance(refusal, ThresholdNotMet)
        assert "1 of 2" in refusal.what


def test_bootstrap_with_a_signature_that_does_not_verify_is_refused() -> None:
    """Mutation: drop the verification of signatures."""
    fabric = Fabric(CLUSTER)
    data = tampered(fabric.bootstrap)
    assert isinstance(refused(pinned, data, fabric, sha256_of(data)), BadSignature)


def test_bootstrap_of_another_cluster_is_refused_before_its_signature() -> None:
    """Mutation: drop the comparison of the cluster."""
    fabric = Fabric(CLUSTER)
    data = tampered(Fabric("us-east-1").bootstrap)
    refusal = refused(verify_bootstrap, data, cluster_id=CLUSTER, expect=sha256_of(data), trusted_s=NOW_S)
    assert isinstance(refusal, WrongCluster)
    assert refusal.facts()["cluster"] == fabric.cluster_id


def test_bootstrap_is_judged_by_time_only_when_it_is_the_last_bundle() -> None:
    """Mutation: drop the time check. The last second is the one before `expires_at_s`."""
    fabric = Fabric(CLUSTER)
    end = fabric.draft.expires_at_s
    assert pinned(fabric.bootstrap, fabric, trusted_s=end - 1).bundle.version == 1
    assert isinstance(refused(pinned, fabric.bootstrap, fabric, None, end), Expired)
    assert pinned(fabric.bootstrap, fabric, trusted_s=None).bundle.version == 1


def test_bootstrap_size_structure_and_schema_are_checked() -> None:
    fabric = Fabric(CLUSTER)
    for data, kind in (
        (bytes((256 << 10) + 1), TooLarge),
        (fabric.bootstrap + b"\0", Malformed),
        (fabric.peers(["node-1"]), Malformed),
        (fabric.bundle(root_threshold=4), BadSchema),
    ):
        assert isinstance(refused(pinned, data, fabric, sha256_of(data)), kind)


def test_root_that_the_bundle_itself_revokes_does_not_count() -> None:
    """Mutation: count revoked roots of the bundle itself."""
    fabric = Fabric(CLUSTER)
    fabric.revoke_key("root-1")
    data = fabric.bundle(sign_with=["root-1", "root-2"])
    assert isinstance(refused(pinned, data, fabric, sha256_of(data)), ThresholdNotMet)


# ------------------------------------------------------------------ the next bundle


def chain(fabric: Fabric) -> VerifiedBundle:
    return fabric.verified_bundle()


def test_next_bundle_is_verified_by_the_roots_before_it() -> None:
    fabric = Fabric(CLUSTER)
    first = chain(fabric)
    second = verify_next_bundle(fabric.next_bundle(requires_head=True), first, trusted_s=NOW_S)
    assert (second.bundle.version, second.trust_version, second.bundle.requires_head, second.unchanged) == (2, 1, True, False)


def test_roots_are_rotated_with_a_threshold_of_the_old_and_of_the_new() -> None:
    """Mutation: drop the threshold of the current roots, or that of the bundle's own."""
    fabric = Fabric(CLUSTER)
    first = chain(fabric)
    rotated = fabric.next_bundle(roots=("root-3", "root-4", "root-5"))
    second = verify_next_bundle(rotated, first, trusted_s=NOW_S)
    assert len(second.roots_ever) == 5
    only_old = fabric.bundle(sign_with=["root-1", "root-2"])
    assert isinstance(refused(verify_next_bundle, only_old, first, trusted_s=NOW_S), UnknownSigner)
    one_new = fabric.bundle(sign_with=["root-1", "root-2", "root-4"])
    assert isinstance(refused(verify_next_bundle, one_new, first, trusted_s=NOW_S), ThresholdNotMet)
    only_new = fabric.bundle(sign_with=["root-4", "root-5"])
    assert isinstance(refused(verify_next_bundle, only_new, first, trusted_s=NOW_S), UnknownSigner)
    one_old = fabric.bundle(sign_with=["root-3", "root-4", "root-5"])
    assert isinstance(refused(verify_next_bundle, one_old, first, trusted_s=NOW_S), ThresholdNotMet)


def test_threshold_of_the_current_roots_counts_whatever_the_next_bundle_says() -> None:
    """Mutation: take the threshold of the new bundle for the old roots."""
    fabric = Fabric(CLUSTER)
    lowered = fabric.bundle(2, root_threshold=1, sign_with="root-1")
    assert isinstance(refused(verify_next_bundle, lowered, chain(fabric), trusted_s=NOW_S), ThresholdNotMet)


def test_revoked_root_of_the_current_bundle_does_not_sign_the_next() -> None:
    """Mutation: count revoked roots of the current bundle."""
    fabric = Fabric(CLUSTER)
    fabric.revoke_key("root-1")
    current = chain(fabric)
    data = fabric.bundle(3, sign_with=["root-1", "root-2"])
    assert isinstance(refused(verify_next_bundle, data, current, trusted_s=NOW_S), ThresholdNotMet)


def test_spare_signatures_do_not_count_and_do_no_harm_but_those_of_roots_must_verify() -> None:
    fabric = Fabric(CLUSTER)
    current = chain(fabric)
    with_stranger = fabric.bundle(2, sign_with=["root-1", "root-2", "stranger"])
    assert len(verify_next_bundle(tampered(with_stranger), current, trusted_s=NOW_S).signers) == 2
    with_third = fabric.bundle(2, sign_with=["root-1", "root-2", "root-3"])
    assert isinstance(refused(verify_next_bundle, tampered(with_third), current, trusted_s=NOW_S), BadSignature)


def test_version_is_strictly_one_more() -> None:
    """Mutation: let a gap or an older bundle pass."""
    fabric = Fabric(CLUSTER)
    fabric.next_bundle()
    current = chain(fabric)
    assert isinstance(refused(verify_next_bundle, fabric.bundle(4), current, trusted_s=NOW_S), VersionGap)
    assert isinstance(refused(verify_next_bundle, fabric.bundle(1), current, trusted_s=NOW_S), Rollback)


def test_same_bundle_again_is_unchanged_and_another_of_its_version_is_equivocation() -> None:
    """Mutation: compare versions only, or bytes instead of content."""
    fabric = Fabric(CLUSTER)
    current = chain(fabric)
    again = fabric.bundle(sign_with=["root-1", "root-2"])
    assert again != fabric.bootstrap
    assert verify_next_bundle(again, current, trusted_s=NOW_S).unchanged
    other = fabric.bundle(requires_head=True)
    refusal = refused(verify_next_bundle, other, current, trusted_s=NOW_S)
    assert isinstance(refusal, Equivocation)
    assert refusal.known_content_id == current.content_id != refusal.other_content_id
    forged = fabric.bundle(requires_head=True, sign_with=["x", "y"])
    assert isinstance(refused(verify_next_bundle, forged, current, trusted_s=NOW_S), UnknownSigner)


def test_revoked_bundle_is_refused() -> None:
    """Mutation: drop the look at revoked bundles."""
    fabric = Fabric(CLUSTER)
    bad = fabric.bundle(3, clock_step_s_max=1)
    scratch = Fabric(CLUSTER)
    scratch.next_bundle()
    bad_id = verify_next_bundle(bad, chain(scratch), trusted_s=None).content_id
    fabric.revoke(RevocationKind.BUNDLE, bad_id)
    assert isinstance(refused(verify_next_bundle, bad, chain(fabric), trusted_s=NOW_S), Revoked)


@pytest.mark.parametrize("fields", [{"generation": 1}, {"generation": 2, "minimum_version": 4}])
def test_generation_and_minimum_never_fall(fields: dict[str, Any]) -> None:
    """Mutation: drop the comparison of the scopes."""
    fabric = Fabric(CLUSTER)
    rules = tuple(rule._replace(generation=2, minimum_version=5) for rule in fabric.draft.scopes)
    fabric.next_bundle(scopes=rules)
    current = chain(fabric)
    lowered = (rules[0]._replace(**fields), *rules[1:])
    assert isinstance(refused(verify_next_bundle, fabric.bundle(3, scopes=lowered), current, trusted_s=NOW_S), Rollback)
    raised = (rules[0]._replace(generation=3, minimum_version=0), *rules[1:])
    assert verify_next_bundle(fabric.bundle(3, scopes=raised), current, trusted_s=NOW_S).bundle.version == 3


def test_generation_of_a_scope_can_be_raised() -> None:
    fabric = Fabric(CLUSTER)
    fabric.raise_generation(Scope.ROUTES)
    assert fabric.trust().minimum(Scope.ROUTES) == (2, 0)


# ------------------------------------------------------------------ revocations


def test_revocation_that_is_not_past_may_not_be_left_out() -> None:
    """Mutation: drop the look at revocations. "Past" is judged by when the bundle that omits it was issued."""
    fabric = Fabric(CLUSTER)
    end = fabric.issued_at_s + 100
    fabric.revoke_key("peers", not_after_s=end)
    current = chain(fabric)
    early = fabric.bundle(3, revocations=(), issued_at_s=end - 1)
    assert isinstance(refused(verify_next_bundle, early, current, trusted_s=NOW_S), RevocationDropped)
    late = fabric.bundle(3, revocations=(), issued_at_s=end)
    assert verify_next_bundle(late, current, trusted_s=NOW_S).bundle.revocations == ()


def test_revocation_without_an_end_never_leaves() -> None:
    fabric = Fabric(CLUSTER)
    fabric.revoke(RevocationKind.IDENTITY, "node:node-1")
    data = fabric.bundle(3, revocations=(), issued_at_s=fabric.issued_at_s + 10**8, expires_at_s=fabric.issued_at_s + 10**9)
    assert isinstance(refused(verify_next_bundle, data, chain(fabric), trusted_s=NOW_S), RevocationDropped)


def test_revocation_of_a_key_that_was_ever_a_root_never_leaves() -> None:
    """Mutation: look at the present roots only. The root here was rotated out two bundles before."""
    fabric = Fabric(CLUSTER)
    fabric.next_bundle(roots=("root-2", "root-3", "root-4"))
    fabric.revoke_key("root-1", not_after_s=fabric.issued_at_s + 1)
    current = chain(fabric)
    data = fabric.bundle(4, revocations=(), issued_at_s=fabric.issued_at_s + 2)
    assert isinstance(refused(verify_next_bundle, data, current, trusted_s=NOW_S), RevocationDropped)


@pytest.mark.parametrize(
    "weaker",
    [{"except_content_ids": (b"\x01" * 32, b"\x02" * 32)}, {"not_after_s": 10**9}, {"except_content_ids": (b"\x02" * 32,)}],
)
def test_revocation_never_becomes_weaker(weaker: dict[str, Any]) -> None:
    """Mutation: compare the subjects only."""
    fabric = Fabric(CLUSTER)
    fabric.revoke_key("peers", except_content_ids=[b"\x01" * 32], not_after_s=2 * 10**9)
    current = chain(fabric)
    entry = fabric.draft.revocations[0]
    weak = fabric.bundle(3, revocations=(entry._replace(**weaker),))
    assert isinstance(refused(verify_next_bundle, weak, current, trusted_s=NOW_S), RevocationDropped)
    stronger = fabric.bundle(3, revocations=(entry._replace(except_content_ids=(), not_after_s=None),))
    assert verify_next_bundle(stronger, current, trusted_s=NOW_S).bundle.version == 3


# ------------------------------------------------------------------ catching up


def test_catching_up_verifies_each_by_the_one_before_and_judges_the_last_by_time() -> None:
    """Mutation: judge every bundle by time, or none."""
    fabric = Fabric(CLUSTER)
    first = chain(fabric)
    fabric.next_bundle(roots=("root-2", "root-3", "root-4"), expires_at_s=fabric.issued_at_s + 10)
    fabric.next_bundle(roots=("root-3", "root-4", "root-5"), expires_at_s=fabric.issued_at_s + 10**7)
    newer = verify_bundles(fabric.bundles[1:], first, trusted_s=NOW_S)
    assert [verified.bundle.version for verified in newer] == [2, 3]
    assert isinstance(refused(verify_bundles, fabric.bundles[1:2], first, trusted_s=NOW_S), Expired)
    assert isinstance(refused(verify_bundles, fabric.bundles[2:], first, trusted_s=NOW_S), VersionGap)


def test_bundles_already_in_force_are_left_out() -> None:
    fabric = Fabric(CLUSTER)
    first = chain(fabric)
    fabric.next_bundle()
    assert [verified.bundle.version for verified in verify_bundles(fabric.bundles, first, trusted_s=NOW_S)] == [2]
    assert verify_bundles([], first, trusted_s=NOW_S) == ()
    assert verify_bundles([fabric.bootstrap], first, trusted_s=NOW_S) == ()


def test_one_call_catches_up_through_a_bounded_number() -> None:
    """Mutation: drop the bound."""
    fabric = Fabric(CLUSTER)
    with pytest.raises(MisuseError, match="none was looked at"):
        verify_bundles([b""] * (BUNDLES_PER_CALL_MAX + 1), chain(fabric), trusted_s=NOW_S)


def test_order_of_signatures_does_not_matter() -> None:
    fabric = Fabric(CLUSTER)
    body = decode(fabric.bootstrap[2:])
    turned = b"\xd8\x62" + encode([*body[:3], body[3][::-1]])
    assert pinned(turned, fabric, sha256_of(turned)).content_id == chain(fabric).content_id
