"""Each rule for a document by itself, at its border; that `verification` applies all of them, and in which order, is tested there."""

from typing import Any

import pytest

from rap_projections.document_rules import (
    authenticate,
    check_audience,
    check_generation,
    check_head,
    check_signatures,
    check_threshold,
    check_time,
    is_at_floor,
    signer_keys,
)
from rap_projections.document_schema import SnapshotHeader
from rap_projections.documents import (
    Audience,
    DocumentType,
    Floor,
    RevocationKind,
    Scope,
    ScopeRule,
    Usage,
    UsageThreshold,
    Version,
)
from rap_projections.refusals import (
    BadSignature,
    BelowMinimum,
    Equivocation,
    Expired,
    HeadMismatch,
    HeadRequired,
    NotForThisNode,
    Revoked,
    Rollback,
    ThresholdNotMet,
    UnknownSigner,
    WrongGeneration,
    WrongUsage,
)
from rap_projections.signed_document import SignedDocument, open_document
from rap_projections.testing import Fabric
from rap_projections.testing.issuing import tampered
from rap_projections.verification import verify_head
from rap_projections.verified import VerifiedHead
from tests.projections.documents_support import CLUSTER, NOW_S


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(CLUSTER)


def snapshot(data: bytes) -> SignedDocument:
    return open_document(data, DocumentType.SNAPSHOT)


def bundle(data: bytes) -> SignedDocument:
    return open_document(data, DocumentType.BUNDLE)


def header(version: Version) -> SnapshotHeader:
    return SnapshotHeader(version, 100, 500, 1000, Audience(True), Version(1, 0))


# Keys, threshold, signatures.


def test_the_kids_of_those_who_signed_are_given_sorted(fabric: Fabric) -> None:
    document = snapshot(fabric.peers(["a"]))
    assert authenticate(document, fabric.trust()) == (fabric.key("peers").kid,)


def test_who_is_named_and_did_not_sign_is_no_signer(fabric: Fabric) -> None:
    """Mutation: drop the call of `check_signatures` in `authenticate`."""
    with pytest.raises(BadSignature):
        authenticate(snapshot(tampered(fabric.peers(["a"]))), fabric.trust())


def test_every_key_that_claims_to_have_signed_must_be_one_that_may(fabric: Fabric) -> None:
    trust = fabric.trust()
    for signer, refusal in (("stranger", UnknownSigner), ("routes", WrongUsage), ("root-1", UnknownSigner)):
        with pytest.raises(refusal):
            signer_keys(snapshot(fabric.peers(["a"], sign_with=signer)), trust)
    assert signer_keys(snapshot(fabric.peers(["a"], sign_with="spare")), trust) == {
        fabric.key("spare").kid: fabric.key("spare").public_key
    }


def test_revoked_content_is_refused_before_its_key_is_asked_for(fabric: Fabric) -> None:
    """Mutation: drop the check in `signer_keys`."""
    document = snapshot(fabric.peers(["a"], sign_with="stranger"))
    fabric.revoke(RevocationKind.CONTENT, document.content_id())
    with pytest.raises(Revoked):
        signer_keys(document, fabric.trust())


def test_a_revoked_key_may_have_signed_what_is_excepted_alone(fabric: Fabric) -> None:
    excepted, other = snapshot(fabric.peers(["a"])), snapshot(fabric.peers(["b"]))
    fabric.revoke_key("peers", except_content_ids=[excepted.content_id()])
    assert len(signer_keys(excepted, fabric.trust())) == 1
    with pytest.raises(Revoked):
        signer_keys(other, fabric.trust())


def with_threshold(fabric: Fabric, threshold: int) -> Fabric:
    fabric.next_bundle(
        thresholds=tuple(
            UsageThreshold(item.usage, threshold) if item.usage == ("snapshot", "peers") else item
            for item in fabric.draft.thresholds
        )
    )
    return fabric


@pytest.mark.parametrize(
    ("threshold", "keys", "is_met"), [(1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True), (2, 3, True)]
)
def test_as_many_different_keys_as_the_bundle_demands_are_enough(
    fabric: Fabric, threshold: int, keys: int, *, is_met: bool
) -> None:
    """Mutation: drop the check in `check_threshold`."""
    document, trust = snapshot(fabric.peers(["a"])), with_threshold(fabric, threshold).trust()
    signed = {bytes([number]): b"" for number in range(keys)}
    if is_met:
        check_threshold(document, trust, signed)
        return
    with pytest.raises(ThresholdNotMet, match=f"{keys} of {threshold} keys"):
        check_threshold(document, trust, signed)


def test_a_key_counts_once_however_often_it_signed(fabric: Fabric) -> None:
    """Mutation: drop the call of `check_threshold` in `authenticate`."""
    document, trust = snapshot(fabric.peers(["a"])), with_threshold(fabric, 2).trust()
    twice = document._replace(signatures=document.signatures * 2)
    with pytest.raises(ThresholdNotMet, match="1 of 2 keys"):
        authenticate(twice, trust)


def test_there_are_no_spare_signatures_one_bad_among_enough_good_ones_is_refused(fabric: Fabric) -> None:
    good = bundle(fabric.bootstrap)
    keys = {fabric.key(name).kid: fabric.key(name).public_key for name in ("root-1", "root-2", "root-3")}
    check_signatures(good, keys)
    for number in range(3):
        bad = good.signatures[number]
        spoiled = bad._replace(cose=bad.cose._replace(signature=tampered(bad.cose.signature)))
        signatures = (*good.signatures[:number], spoiled, *good.signatures[number + 1 :])
        with pytest.raises(BadSignature):
            check_signatures(good._replace(signatures=signatures), keys)


def test_a_signature_verifies_under_the_key_it_names_and_no_other(fabric: Fabric) -> None:
    document = snapshot(fabric.peers(["a"]))
    with pytest.raises(BadSignature):
        check_signatures(document, {fabric.key("peers").kid: fabric.key("spare").public_key})


# Generation and minimum.


@pytest.mark.parametrize(
    ("version", "refusal"),
    [
        (Version(2, 5), None),
        (Version(2, 6), None),
        (Version(2, 4), BelowMinimum),
        (Version(1, 9), WrongGeneration),
        (Version(3, 5), WrongGeneration),
    ],
)
def test_the_version_is_of_the_generation_and_at_or_above_the_minimum_that_the_bundle_sets(
    fabric: Fabric, version: Version, refusal: type[Exception] | None
) -> None:
    """Mutation: drop a check in `check_generation`."""
    rules = tuple(ScopeRule(rule.scope, 2, 5) if rule.scope is Scope.PEERS else rule for rule in fabric.draft.scopes)
    fabric.next_bundle(scopes=rules)
    if refusal is None:
        check_generation(header(version), fabric.trust(), Scope.PEERS)
        return
    with pytest.raises(refusal):
        check_generation(header(version), fabric.trust(), Scope.PEERS)


# The floor.

FLOOR = Floor(Version(1, 5), b"known")


def test_what_was_accepted_before_is_at_the_floor_and_what_is_newer_is_above_it() -> None:
    assert is_at_floor(header(Version(1, 5)), b"known", FLOOR)
    assert not is_at_floor(header(Version(1, 6)), b"known", FLOOR)
    assert not is_at_floor(header(Version(2, 1)), b"other", FLOOR)


@pytest.mark.parametrize("version", [Version(1, 4), Version(0, 99)])
def test_what_is_below_the_floor_is_rollback_even_with_the_same_content(version: Version) -> None:
    """Mutation: drop the check in `is_at_floor`."""
    for content_id in (b"known", b"other"):
        with pytest.raises(Rollback):
            is_at_floor(header(version), content_id, FLOOR)


def test_another_content_at_the_floor_is_equivocation_and_names_both() -> None:
    """Mutation: drop the check in `is_at_floor`."""
    with pytest.raises(Equivocation) as caught:
        is_at_floor(header(Version(1, 5)), b"other", FLOOR)
    assert (caught.value.known_content_id, caught.value.other_content_id) == (b"known", b"other")


# The head.


def head_of(fabric: Fabric, **options: Any) -> VerifiedHead:
    return verify_head(fabric.head(**options), fabric.trust(), trusted_s=0)


def judge(fabric: Fabric, data: bytes, head: VerifiedHead | None, *, trusted_s: int = NOW_S, scope: Scope = Scope.PEERS) -> None:
    document = snapshot(data)
    version = Version(1, 1)
    payload_bytes = len(document.envelope.payload)
    check_head(document.content_id(), payload_bytes, header(version), scope, fabric.trust(), head, trusted_s)


def test_the_head_must_list_exactly_this_document(fabric: Fabric) -> None:
    """Mutation: drop a check in `check_head`."""
    document = fabric.peers(["a"])
    judge(fabric, document, head_of(fabric))
    with pytest.raises(HeadMismatch):
        judge(fabric, fabric.peers(["b"], version=1), head_of(Fabric(CLUSTER)))
    with pytest.raises(HeadMismatch, match="another document for its scope, or none"):
        judge(fabric, document, head_of(fabric), scope=Scope.ROUTES)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_version_content_and_size_of_the_entry_all_count(fabric: Fabric, part: int) -> None:
    document = fabric.peers(["a"])
    (entry,) = head_of(fabric).head.entries
    wrong = (entry._replace(version=Version(1, 2)), entry._replace(content_id=b"x" * 32), entry._replace(size=entry.size + 1))
    entries = (wrong[part],)
    with pytest.raises(HeadMismatch):
        judge(fabric, document, head_of(fabric, entries=entries))


def test_an_expired_head_counts_as_none(fabric: Fabric) -> None:
    """Mutation: drop the check in `check_head`."""
    document, ends = fabric.peers(["a"]), NOW_S + 10
    head = head_of(fabric, expires_at_s=ends)
    judge(fabric, document, head, trusted_s=ends - 1)
    for late in (ends, ends + 1):
        with pytest.raises(HeadRequired):
            judge(fabric, document, head, trusted_s=late)
    with pytest.raises(HeadRequired):
        judge(fabric, document, None)


def test_the_head_of_another_cluster_counts_as_none(fabric: Fabric) -> None:
    document = fabric.peers(["a"])
    other = Fabric("us-east-1")
    other.peers(["a"])
    with pytest.raises(HeadRequired):
        judge(fabric, document, head_of(other))


def test_a_head_that_demands_a_later_bundle_is_a_mismatch_and_one_of_an_earlier_bundle_is_not(fabric: Fabric) -> None:
    """Mutation: drop a check in `check_head`."""
    document, head = fabric.peers(["a"]), head_of(fabric)
    with pytest.raises(HeadMismatch, match="demands bundle 2, and 1 is in force"):
        judge(fabric, document, head_of(fabric, bundle_version=2))
    fabric.next_bundle()
    judge(fabric, document, head)


# Time and audience.


def test_validity_ends_in_the_second_it_names() -> None:
    """Mutation: drop the check in `check_time`."""
    check_time(1000, 999)
    for trusted_s in (1000, 1001):
        with pytest.raises(Expired):
            check_time(1000, trusted_s)


@pytest.mark.parametrize(
    ("audience", "is_for_it"),
    [
        (Audience(True), True),
        (Audience(False, ("node-1", "node-2")), True),
        (Audience(False, (), "edge"), True),
        (Audience(False, ("node-2",)), False),
        (Audience(False, (), "core"), False),
        (Audience(False), False),
    ],
)
def test_an_audience_names_everyone_this_node_or_a_role_of_it(audience: Audience, *, is_for_it: bool) -> None:
    """Mutation: drop the check in `check_audience`."""
    if is_for_it:
        check_audience(audience, "node-1", frozenset({"edge"}))
        return
    with pytest.raises(NotForThisNode):
        check_audience(audience, "node-1", frozenset({"edge"}))


def test_a_node_without_a_name_is_in_no_list_of_nodes() -> None:
    with pytest.raises(NotForThisNode):
        check_audience(Audience(False, ("node-1",)), "", frozenset())


@pytest.mark.parametrize("kind", [DocumentType.HEAD, DocumentType.ARTIFACT, DocumentType.INCREMENT])
def test_documents_that_are_no_snapshots_are_not_authentic_with_a_signature_that_does_not_verify(kind: DocumentType) -> None:
    """Mutation: without `check_signatures` in `authenticate`."""
    fabric = Fabric(CLUSTER)
    base = fabric.peers(["node-1"])
    made = {
        DocumentType.HEAD: fabric.head,
        DocumentType.ARTIFACT: lambda: fabric.artifact("agent"),
        DocumentType.INCREMENT: lambda: fabric.increment(base, ()),
    }
    data = made[kind]()
    assert authenticate(open_document(data, kind), fabric.trust())
    with pytest.raises(BadSignature):
        authenticate(open_document(tampered(data), kind), fabric.trust())


def test_a_usage_that_no_key_has_is_no_threshold_of_zero() -> None:
    """Mutation: without the check, a missing threshold would be compared, or counted as none."""
    with pytest.raises(UnknownSigner, match="has no key for it"):
        Fabric(CLUSTER).trust().threshold(Usage("snapshot", "secrets"))
