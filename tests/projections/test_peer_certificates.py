"""Who a peer is: the rules beyond the path to an authority, and the value that only they make."""

import copy
import dataclasses
import hashlib
import pickle
import ssl
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import RevocationKind
from rap_projections.node_time import Validity
from rap_projections.peer_certificates import BOTH_SIDES, VerifiedPeer, verify_peer_chain
from rap_projections.refusals import (
    Expired,
    NotForThisNode,
    RefusedError,
    Revoked,
    TimeUncertain,
    UnknownSigner,
    WrongPeer,
    WrongPurpose,
)
from rap_projections.testing import Fabric
from rap_projections.testing.authorities import BOTH, CLIENT, SERVER, certificate_authority

FABRIC = Fabric("eu-west-1")
TRUST = FABRIC.trust()
NOW_S = FABRIC.issued_at_s
PEER = FABRIC.peer("node-17")


def verify(chain: Any = PEER.chain, **changed: Any) -> VerifiedPeer:
    values: dict[str, Any] = {"trusted_s": NOW_S, "seconds_left": 60, "node_id": "node-17"} | changed
    return verify_peer_chain(chain, values.pop("trust", TRUST), **values)


def refused(chain: Any = PEER.chain, **changed: Any) -> type[RefusedError]:
    with pytest.raises(RefusedError) as caught:
        verify(chain, **changed)
    assert "certificate" in str(caught.value) and "node-17" not in str(caught.value)
    return type(caught.value)


def test_a_peer_is_named_with_all_that_its_certificate_says_of_it() -> None:
    peer = verify()
    assert (peer.cluster_id, peer.node_id, peer.validity, peer.trust_version) == ("eu-west-1", "node-17", Validity.VALID, 1)
    assert peer.fingerprint == hashlib.sha256(PEER.certificate).digest()
    assert peer.anchor_sha256 == hashlib.sha256(FABRIC.authority.certificate).digest()
    assert peer.not_after_s == NOW_S + 90 * 86_400


def test_any_node_of_the_cluster_is_taken_where_none_was_named_and_told_by_name() -> None:
    assert verify(node_id=None).node_id == "node-17"


@pytest.mark.parametrize("other", ["node-1", "node-18", "NODE-17", ""])
def test_another_node_than_the_one_that_was_asked_for_is_refused(other: str) -> None:
    """Mutation: without comparing the node, or with a comparison of beginnings."""
    assert refused(node_id=other) is WrongPeer


@pytest.mark.parametrize(
    ("has", "asked", "passes"),
    [
        (BOTH, BOTH_SIDES, True), ([SERVER], (ssl.Purpose.SERVER_AUTH,), True), ([CLIENT], (ssl.Purpose.CLIENT_AUTH,), True),
        ([SERVER], (ssl.Purpose.CLIENT_AUTH,), False), ([CLIENT], (ssl.Purpose.SERVER_AUTH,), False), ([SERVER], BOTH_SIDES, False),
        ([CLIENT], BOTH_SIDES, False), ((), (ssl.Purpose.CLIENT_AUTH,), False), ((), BOTH_SIDES, False),
    ],
)  # fmt: skip
def test_a_certificate_is_for_every_side_that_was_asked_for(has: Any, asked: Any, passes: bool) -> None:
    """Mutation: without the check of the extended key usage; with any of the sides enough."""
    chain = FABRIC.peer("node-17", purposes=has).chain
    if passes:
        assert verify(chain, purposes=asked).node_id == "node-17"
    else:
        assert refused(chain, purposes=asked) is WrongPurpose


START_S, END_S = NOW_S - 86_400, NOW_S + 90 * 86_400


@pytest.mark.parametrize(("trusted_s", "validity"), [(START_S, Validity.VALID), (END_S - 1, Validity.VALID)])
def test_a_certificate_is_valid_from_its_start_until_before_its_end(trusted_s: int, validity: Validity) -> None:
    assert verify(trusted_s=trusted_s).validity is validity


def test_past_its_end_in_trusted_time_a_certificate_is_refused() -> None:
    """Mutation: without the check of the end; with one second more."""
    assert refused(trusted_s=END_S) is Expired


def test_before_its_start_a_certificate_is_uncertain_until_the_deadline_and_refused_behind_it() -> None:
    """Mutation: without the check of the start; without that of the deadline."""
    assert verify(trusted_s=START_S - 1, seconds_left=1).validity is Validity.UNCERTAIN
    assert refused(trusted_s=START_S - 1, seconds_left=0) is TimeUncertain
    assert verify(seconds_left=0).validity is Validity.VALID


def test_a_node_that_knows_no_time_is_certain_of_nobody() -> None:
    assert verify(trusted_s=0).validity is Validity.UNCERTAIN


def test_an_authority_past_its_end_vouches_for_nobody_any_more() -> None:
    """Mutation: with the time of the node's own certificate alone."""
    fabric = Fabric("eu-west-1")
    short = certificate_authority("eu-west-1", 4, fabric.issued_at_s, days=10)
    fabric.trusting(short)
    chain = fabric.peer("node-17", authorities=[short]).chain[:1]
    assert verify(chain, trust=fabric.trust()).validity is Validity.VALID
    assert refused(chain, trust=fabric.trust(), trusted_s=NOW_S + 9 * 86_400) is Expired


def test_an_authority_that_begins_later_makes_it_uncertain() -> None:
    fabric = Fabric("eu-west-1")
    later = certificate_authority("eu-west-1", 4, fabric.issued_at_s + 5 * 86_400)
    fabric.trusting(later)
    chain = fabric.peer("node-17", authorities=[later]).chain[:1]
    assert verify(chain, trust=fabric.trust()).validity is Validity.UNCERTAIN


def test_the_first_rule_that_is_broken_refuses() -> None:
    """The order of the rules: keys, then time, then whose it is."""
    stranger = Fabric("eu-west-1", seed=1).peer("node-17", purposes=())
    assert refused(stranger.chain, trusted_s=END_S, node_id="node-1") is UnknownSigner
    aimless = FABRIC.peer("node-17", purposes=())
    assert refused(aimless.chain, trusted_s=END_S, node_id="node-1") is WrongPurpose
    assert refused(trusted_s=END_S, node_id="node-1") is Expired
    fabric = Fabric("eu-west-1")
    fabric.revoke(RevocationKind.CERTIFICATE, hashlib.sha256(aimless.certificate).digest())
    assert refused(aimless.chain, trust=fabric.trust()) is Revoked


def test_a_verified_peer_is_made_by_verification_alone() -> None:
    """Mutation: drop the check of `mint`."""
    peer = verify()
    fields = {field.name: getattr(peer, field.name) for field in dataclasses.fields(peer)}
    with pytest.raises(MisuseError, match="made by verification alone"):
        VerifiedPeer(mint=object(), **fields)
    with pytest.raises(dataclasses.FrozenInstanceError):
        peer.node_id = "node-1"  # type: ignore[misc]  # the point of the test
    for leave in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(MisuseError, match="cannot be copied"):
            leave(peer)


def test_its_representation_says_who_and_no_digest() -> None:
    shown = repr(verify())
    assert shown.startswith("VerifiedPeer(cluster_id='eu-west-1', node_id='node-17', not_after_s=")
    assert "x" not in shown.replace("expires", "").partition("node_id")[0] and "b'" not in shown


def test_refusals_of_certificates_have_words_of_their_own() -> None:
    assert {kind.word for kind in (WrongPeer, NotForThisNode, WrongPurpose, TimeUncertain)} == {
        "wrong_peer", "not_for_this_node", "wrong_purpose", "time_uncertain",
    }  # fmt: skip
