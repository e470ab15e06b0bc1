"""Entries made from as little as an id: the same again, and they fit the schema."""

import hashlib
from typing import Any

import pytest

from rap_projections.documents import Scope
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_peer, make_reference, make_route, make_service
from rap_projections.verification import verify_snapshot
from rap_projections.verified import VerifiedSnapshot
from tests.projections.documents_support import CLUSTER, NODE, NOW_S


def verify(fabric: Fabric, data: bytes) -> VerifiedSnapshot:
    return verify_snapshot(data, fabric.trust(), trusted_s=NOW_S, recipient=NODE)


@pytest.mark.parametrize(
    ("scope", "entries"),
    [
        (Scope.PEERS, (make_peer("node-1"), make_peer("node-2"))),
        (Scope.ROUTES, (make_route("node-1"), make_route("node-1", ("node-2", "node-3")), make_route("node-1", (), "bulk", 7))),
        (Scope.SERVICES, (make_service("svc-a"), make_service("svc-b"))),
        (Scope.UPDATES, (make_reference("agent"), make_reference("svc-a", 7, b"other"))),
    ],
    ids=lambda value: value.value if isinstance(value, Scope) else "",
)
def test_every_entry_fits_the_schema_and_comes_back_as_it_was(scope: Scope, entries: tuple[Any, ...]) -> None:
    fabric = Fabric(CLUSTER)
    body = tuple(sorted(entries))
    assert verify(fabric, fabric.snapshot(scope, body)).snapshot.body == body


def test_the_same_arguments_give_the_same_entry_and_another_id_another_one() -> None:
    for make in (make_peer, make_route, make_service, make_reference):
        assert make("a") == make("a")
        assert make("a") != make("b")


def test_a_peer_has_one_endpoint_and_one_fingerprint_of_its_own() -> None:
    peer = make_peer("node-1")
    assert peer.endpoints == ("quic://node-1.example:4433",)
    assert peer.certificate_fingerprints == (hashlib.sha256(b"node-1").digest(),)
    assert peer.roles == ()


def test_the_id_of_a_route_tells_destination_channel_and_relays() -> None:
    assert make_route("a", ("b", "c"), "bulk").id == "a_bulk_b_c"
    assert make_route("a") == ("a_interactive", "a", "interactive", (), 100, False)


def test_a_service_is_to_run_and_refers_to_nothing() -> None:
    assert make_service("svc-a") == ("svc-a", "container", "1.0.0", "running", (), (), (), ())


def test_a_reference_is_to_the_bytes_it_is_given() -> None:
    reference = make_reference("agent", 7, b"bytes")
    assert (reference.sequence, reference.sha256, reference.size) == (7, hashlib.sha256(b"bytes").digest(), 5)
    assert (reference.version, reference.minimum_sequence) == ("1.0.7", 0)
