"""Who a peer is, asked of a cluster: by the bundle in force and trusted time, refusals recorded and nothing else changed."""

import hashlib
import ssl
from typing import Any

import pytest

from rap_journal.errors import FailClosed, MisuseError
from rap_projections.documents import RevocationKind
from rap_projections.node_time import Validity
from rap_projections.peer_certificates import VerifiedPeer
from rap_projections.refusals import (
    Expired,
    Malformed,
    RefusedError,
    Revoked,
    TimeUncertain,
    TooLarge,
    UnknownSigner,
    UnsupportedKey,
    WrongCluster,
    WrongName,
    WrongPeer,
    WrongPurpose,
)
from rap_projections.testing import Fabric, memory_store
from rap_projections.testing.authorities import CLIENT
from rap_projections.trust_events import TrustRefused
from tests.projections.store_kit import CLUSTER, Ready, fill, ready, written


def ask(it: Ready, chain: Any, **options: Any) -> VerifiedPeer:
    return it.cluster.trust.verify_peer(chain, **options)


def test_a_peer_is_told_and_nothing_is_written() -> None:
    it = ready()
    before = it.cluster.digest(), it.cluster.view().lsn
    chain = it.fabric.peer("node-2").chain
    peer = ask(it, chain, node_id="node-2")
    assert (peer.node_id, peer.cluster_id, peer.validity) == ("node-2", CLUSTER, Validity.VALID)
    assert ask(it, chain[0]) == peer
    assert (it.cluster.digest(), it.cluster.view().lsn) == before


def test_the_side_that_is_asked_for_is_the_one_that_counts_and_without_one_both_do() -> None:
    """Mutation: without handing the purpose on."""
    it = ready()
    chain = it.fabric.peer("node-2", purposes=[CLIENT]).chain
    assert ask(it, chain, purpose=ssl.Purpose.CLIENT_AUTH).node_id == "node-2"
    for purpose in (ssl.Purpose.SERVER_AUTH, None):
        with pytest.raises(WrongPurpose):
            ask(it, chain, purpose=purpose)


REFUSED: dict[str, tuple[type[RefusedError], Any]] = {
    "too many": (TooLarge, lambda fabric: fabric.peer("node-2").chain * 5),
    "no certificate": (Malformed, lambda fabric: [b"junk"]),
    "nothing": (Malformed, lambda fabric: []),
    "no name": (WrongName, lambda fabric: fabric.peer("node-2", uris=()).chain),
    "of another cluster": (WrongCluster, lambda fabric: Fabric("other").peer("node-2").chain),
    "of an impostor": (UnknownSigner, lambda fabric: Fabric(CLUSTER, seed=1).peer("node-2").chain),
    "for no side": (WrongPurpose, lambda fabric: fabric.peer("node-2", purposes=()).chain),
    "past its end": (Expired, lambda fabric: fabric.peer("node-2", expires_at_s=fabric.issued_at_s).chain),
    "of another node": (WrongPeer, lambda fabric: fabric.peer("node-3").chain),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_refusal_is_recorded_and_changes_nothing_else(wrong: str) -> None:
    """Mutation: without recording it."""
    it = ready()
    kind, make = REFUSED[wrong]
    chain = make(it.fabric)
    before, lsn = it.cluster.view().trust, it.cluster.view().lsn
    with pytest.raises(RefusedError) as caught:
        ask(it, chain, node_id="node-2", source="gateway", actor="listener")
    assert type(caught.value) is kind and caught.value.cluster == CLUSTER
    (record,) = written(it, lsn)
    digest = hashlib.sha256(chain[0]).digest() if chain else b""
    assert TrustRefused._make(record.body) == TrustRefused("gateway", "peer", kind.word, 1, digest)
    assert record.actor == "listener"
    after = it.cluster.view().trust
    assert after._replace(refusals=(), provenance=before.provenance) == before
    assert it.cluster.status()["trust"]["refusal_count"] == 1


def test_a_flood_of_wrong_certificates_is_one_event_per_interval_and_counted() -> None:
    it = ready()
    junk = [bytes([number]) for number in range(50)]
    lsn = it.cluster.view().lsn
    for data in junk:
        with pytest.raises(Malformed):
            ask(it, [data])
    assert it.cluster.view().lsn == lsn + 1
    it.kit.clock.advance(seconds=it.cluster.policy.refusal_interval_s)
    with pytest.raises(Malformed):
        ask(it, [b"last"])
    (refusal,) = it.cluster.view().trust.refusals
    assert (refusal.times, refusal.digest) == (51, hashlib.sha256(b"last").digest())


def test_a_refusal_stands_although_there_is_no_space_to_record_it() -> None:
    it = ready()
    fill(it)
    lsn = it.cluster.view().lsn
    with pytest.raises(Malformed):
        ask(it, [b"junk"])
    assert it.cluster.view().lsn == lsn


def test_trusted_time_is_the_nodes_and_not_the_wall_clocks() -> None:
    """Mutation: with the wall clock for trusted time."""
    it = ready()
    chain = it.fabric.peer("node-2", expires_at_s=it.fabric.issued_at_s + 600).chain
    it.kit.clock.step_wall(seconds=10 * 365 * 86_400)
    assert ask(it, chain).validity is Validity.VALID
    it.kit.clock.step_wall(seconds=-20 * 365 * 86_400)
    it.kit.clock.advance(seconds=601)
    with pytest.raises(Expired):
        ask(it, chain)


def test_what_has_not_begun_is_uncertain_until_the_deadline() -> None:
    """Mutation: without the deadline of health."""
    it = ready()
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy())
    chain = it.fabric.peer("node-2", starts_at_s=it.fabric.issued_at_s + 10 * 86_400).chain
    assert ask(it, chain).validity is Validity.UNCERTAIN
    it.kit.clock.advance(seconds=86_401)
    with pytest.raises(TimeUncertain):
        ask(it, chain)


def test_what_the_bundle_revokes_is_refused() -> None:
    maker = Fabric(CLUSTER)
    fingerprint = hashlib.sha256(maker.peer("node-2").certificate).digest()
    maker.revoke(RevocationKind.CERTIFICATE, fingerprint)
    fabric = Fabric(CLUSTER, revocations=maker.draft.revocations)
    it = Ready(memory_store(), fabric)
    it.kit.join(fabric)
    with pytest.raises(Revoked):
        ask(it, fabric.peer("node-2").chain)


def test_a_cluster_that_fails_closed_knows_nobody_and_records_nothing() -> None:
    it = ready()
    it.cluster._context.fail_closed("trust_damaged")
    lsn = it.cluster.view().lsn
    for chain in (it.fabric.peer("node-2").chain, [b"junk"]):
        with pytest.raises(FailClosed):
            ask(it, chain)
    assert it.cluster.view().lsn == lsn


def test_what_is_no_chain_of_bytes_is_a_mistake_of_the_caller() -> None:
    it = ready()
    lsn = it.cluster.view().lsn
    with pytest.raises(MisuseError) as caught:
        ask(it, [None])
    assert (caught.value.reason, it.cluster.view().lsn) == ("bad_chain", lsn)


def test_an_unsupported_key_has_a_word_of_its_own() -> None:
    assert (UnsupportedKey.word, UnsupportedKey.rule) == ("unsupported_key", "structure")
