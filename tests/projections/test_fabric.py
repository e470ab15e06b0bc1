"""The Fabric issues what passes, the same bytes for the same seed, and what must not pass when asked to."""

import hashlib
import time

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import Audience, DocumentType, RevocationKind, Scope, Version
from rap_projections.refusals import BadSignature, Expired, UnknownSigner, WrongCluster, WrongScope
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_peer, make_reference, make_route, make_service
from rap_projections.testing.issuing import tampered
from rap_projections.verification import Recipient, verify_snapshot
from tests.projections.documents_support import CLUSTER, NODE, NOW_S, payload_of, refused


def test_same_seed_gives_the_same_bytes_and_another_seed_other_keys() -> None:
    one, same, other = Fabric(CLUSTER), Fabric(CLUSTER), Fabric(CLUSTER, seed=1)
    assert one.bootstrap == same.bootstrap
    assert one.peers(["node-1"]) == same.peers(["node-1"])
    assert one.next_bundle() == same.next_bundle()
    assert set(one.root_fingerprints).isdisjoint(other.root_fingerprints)
    assert set(one.root_fingerprints).isdisjoint(Fabric("us-east-1").root_fingerprints)


def test_fingerprint_is_that_of_the_first_bundle_for_good() -> None:
    fabric = Fabric(CLUSTER)
    fingerprint = hashlib.sha256(fabric.bootstrap).hexdigest()
    fabric.next_bundle()
    assert fabric.fingerprint == fingerprint
    assert fabric.verified_bundle().bundle.version == 2


def test_versions_rise_by_themselves_per_scope_and_after_a_given_one() -> None:
    fabric = Fabric(CLUSTER)
    trust = fabric.trust()

    def version_of(data: bytes) -> Version:
        return verify_snapshot(data, trust, trusted_s=NOW_S, recipient=NODE).snapshot.version

    assert [version_of(fabric.peers([])) for _ in range(3)] == [(1, 1), (1, 2), (1, 3)]
    assert version_of(fabric.routes([])) == (1, 1)
    assert version_of(fabric.peers([], version=10)) == (1, 10)
    assert version_of(fabric.peers([])) == (1, 11)
    assert version_of(fabric.peers([], version=2)) == (1, 2)
    assert version_of(fabric.peers([])) == (1, 12)


def test_bare_ids_and_full_entries_may_be_mixed_in_any_order() -> None:
    fabric = Fabric(CLUSTER)
    trust = fabric.trust()
    for data, body in (
        (fabric.peers(["node-2", make_peer("node-1")]), (make_peer("node-1"), make_peer("node-2"))),
        (fabric.routes([("node-3", ["node-2"]), make_route("node-1")]), (make_route("node-1"), make_route("node-3", ["node-2"]))),
        (fabric.services(["b", make_service("a")]), (make_service("a"), make_service("b"))),
        (fabric.updates(["svc", make_reference("agent", 4)]), (make_reference("agent", 4), make_reference("svc"))),
    ):
        assert verify_snapshot(data, trust, trusted_s=NOW_S, recipient=NODE).snapshot.body == body


def test_audience_may_be_a_list_of_nodes() -> None:
    fabric = Fabric(CLUSTER)
    data = fabric.peers([], audience=["node-2", "node-1"])
    verified = verify_snapshot(data, fabric.trust(), trusted_s=NOW_S, recipient=Recipient("node-2"))
    assert verified.snapshot.audience == Audience(False, nodes=("node-1", "node-2"))


def test_wrong_documents_are_asked_for_by_keyword() -> None:
    fabric = Fabric(CLUSTER)
    trust = fabric.trust()
    for data, kind in (
        (fabric.peers([], sign_with="stranger"), UnknownSigner),
        (fabric.peers([], sign_with=Fabric(CLUSTER, seed=9).key("peers")), UnknownSigner),
        (tampered(fabric.peers([])), BadSignature),
        (fabric.peers([], cluster_id="us-east-1"), WrongCluster),
        (fabric.peers([], claimed_scope="routes"), WrongScope),
        (fabric.peers([], expires_at_s=NOW_S), Expired),
    ):
        assert isinstance(refused(verify_snapshot, data, trust, trusted_s=NOW_S, recipient=NODE, scope=Scope.PEERS), kind)


def test_equal_version_with_other_content_differs_in_content_id_only_there() -> None:
    fabric = Fabric(CLUSTER)
    one, other = fabric.peers(["node-1"], version=3), fabric.peers(["node-2"], version=3)
    assert fabric.content_id(one) != fabric.content_id(other)
    assert fabric.content_id(one) == fabric.content_id(fabric.peers(["node-1"], version=3, sign_with="spare"))


def test_bundle_with_changes_is_not_remembered_but_the_next_bundle_is() -> None:
    fabric = Fabric(CLUSTER)
    fabric.bundle(7, requires_head=True)
    assert (fabric.draft.version, fabric.draft.requires_head) == (1, False)
    fabric.next_bundle(requires_head=True)
    assert (fabric.draft.version, fabric.draft.requires_head, len(fabric.bundles)) == (2, True, 2)


def test_generation_starts_versions_anew() -> None:
    fabric = Fabric(CLUSTER)
    fabric.peers([], version=9)
    fabric.raise_generation(Scope.PEERS)
    data = fabric.peers([])
    assert verify_snapshot(data, fabric.trust(), trusted_s=NOW_S, recipient=NODE).snapshot.version == Version(2, 1)


def test_long_chain_with_every_kind_of_change_verifies() -> None:
    fabric = Fabric(CLUSTER)
    for number in range(20):
        fabric.revoke(RevocationKind.IDENTITY, f"node:node-{number}")
    fabric.next_bundle(roots=("root-2", "root-3", "root-4"))
    fabric.revoke_key("root-1")
    fabric.raise_generation("routes")
    assert fabric.verified_bundle().bundle.version == 24


def test_cluster_id_must_be_one() -> None:
    with pytest.raises(MisuseError):
        Fabric("Not-A-Cluster")


def test_ten_thousand_peers_are_issued_and_verified_within_seconds() -> None:
    """About 0.2 s on an ordinary machine; the bound is loose, against an accident of quadratic cost."""
    fabric = Fabric(CLUSTER)
    start = time.process_time()
    base = fabric.peers(f"node-{number:05}" for number in range(10_000))
    verified = verify_snapshot(base, fabric.trust(), trusted_s=NOW_S, recipient=NODE)
    body = verified.snapshot.body
    increment = fabric.increment(base, tuple(body)[1:])  # type: ignore[arg-type] # the body of peers is a tuple of them
    assert time.process_time() - start < 5
    assert len(payload_of(base)) < 1 << 20
    assert len(payload_of(increment, DocumentType.INCREMENT)) < 300
