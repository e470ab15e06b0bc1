"""Entries of snapshots made from as little as an id, for tests that do not care about the rest.

Rules this file keeps: the same arguments give the same entry, and every entry fits the schema.

Example::

    fabric.updates([make_reference("agent", sequence=7)])
"""

import hashlib
from collections.abc import Sequence

from rap_projections.documents import ArtifactReference, PeerEntry, RouteCandidate, ServiceAssignment


def make_peer(node_id: str) -> PeerEntry:
    """A peer with one endpoint and one certificate fingerprint, both made from its id."""
    return PeerEntry(node_id, (f"quic://{node_id}.example:4433",), (hashlib.sha256(node_id.encode()).digest(),), ())


def make_route(destination: str, relays: Sequence[str] = (), channel: str = "interactive", cost: int = 100) -> RouteCandidate:
    """A route candidate whose id tells destination, channel and relays."""
    return RouteCandidate("_".join((destination, channel, *relays)), destination, channel, tuple(relays), cost, False)


def make_service(service_id: str) -> ServiceAssignment:
    """A workload that is to run, with no references."""
    return ServiceAssignment(service_id, "container", "1.0.0", "running", (), (), (), ())


def make_reference(subject: str, sequence: int = 1, content: bytes = b"artifact") -> ArtifactReference:
    """A reference to `content` as the artifact of `subject`."""
    digest, location = hashlib.sha256(content).digest(), f"https://artifacts.example/{subject}/{sequence}"
    return ArtifactReference(subject, f"1.0.{sequence}", sequence, digest, len(content), location, "stable", 0)
