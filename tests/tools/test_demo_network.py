"""The clusters of the demonstration: rows of a trace, and what their issuers sign."""

from itertools import islice

import pytest

from rap_journal.errors import MisuseError
from rap_projections.document_schema import read_snapshot
from rap_projections.documents import DocumentType, RouteCandidate, Scope
from rap_projections.signed_document import open_document
from rap_tools.demo_network import SLICES_MIN, DemoNetwork
from tests.shared_data import shared_data

ISSUED_AT_S = 1_800_000_000


def candidates(document: bytes) -> list[RouteCandidate]:
    payload = open_document(document, DocumentType.SNAPSHOT).envelope.payload
    return [entry for entry in read_snapshot(payload, Scope.ROUTES).body if isinstance(entry, RouteCandidate)]


def test_two_clusters_are_two_rows_of_the_model() -> None:
    network = DemoNetwork.open(None, slices=12, seed=1)
    assert [(cluster.id, cluster.node, cluster.name) for cluster in network.clusters] == [
        ("eu-west-1", 0, "eu-west-1-node-0"),
        ("us-east-1", 3, "us-east-1-node-0"),
    ]
    first, second = [next(network.rows(cluster)) for cluster in network.clusters]
    assert len(first) == len(second) == 95
    assert first != second


def test_two_clusters_of_the_measured_network_take_98_observations_a_slice() -> None:
    network = DemoNetwork.open(str(shared_data("net-latency", "seattle")), slices=60, seed=1)
    assert [cluster.id for cluster in network.clusters] == ["seattle-a", "seattle-b"]
    for cluster in network.clusters:
        row = next(network.rows(cluster))
        assert len(row) == 98
        assert {entry[0] for entry in row} == set(network.peers(cluster))


def test_a_failed_probe_is_a_timeout() -> None:
    network = DemoNetwork.open(None, slices=60, seed=1)
    rows = [entry for row in islice(network.rows(network.clusters[0]), 60) for entry in row]
    assert {entry[2:] for entry in rows if entry[1] is None} == {("timeout",)}
    assert all(len(entry) == 2 for entry in rows if entry[1] is not None)


def test_the_same_issuer_signs_the_same_documents_again() -> None:
    issuers = []
    for _ in range(2):
        network = DemoNetwork.open(None, slices=12, seed=1)
        issuers.append(network.issuer(network.clusters[0], ISSUED_AT_S))
    assert issuers[0] == issuers[1]
    assert {at: len(documents) for at, documents in issuers[0].documents.items()} == {0: 5, 6: 1}


def test_every_peer_has_a_direct_way_and_two_over_relays_and_halfway_other_relays() -> None:
    network = DemoNetwork.open(None, slices=12, seed=1)
    issuer = network.issuer(network.clusters[0], ISSUED_AT_S)
    start, halfway = candidates(issuer.published_at(0)[2]), candidates(issuer.published_at(6)[0])
    for peer in network.peers(network.clusters[0]):
        ways = [candidate.path for candidate in start if candidate.destination == peer]
        assert sorted(map(len, ways)) == [0, 1, 1]
        assert (peer,) not in ways
    assert {way.path for way in start} & {way.path for way in halfway} == {()}


def test_too_few_slices_are_refused_before_anything_is_made() -> None:
    with pytest.raises(MisuseError, match=f"needs {SLICES_MIN} slices"):
        DemoNetwork.open(None, slices=SLICES_MIN - 1, seed=1)


def test_a_trace_with_fewer_slices_than_asked_for_is_gone_round_again() -> None:
    network = DemoNetwork.open(str(shared_data("net-latency", "planetlab")), slices=7, seed=1)
    assert (network.slices, network.trace.slices, network.trace.node_count) == (7, 3, 490)
    rows = list(islice(network.rows(network.clusters[1]), network.slices))
    assert rows == [*rows[:3], *rows[:3], rows[0]]
    assert rows[0] != rows[1] != rows[2]
