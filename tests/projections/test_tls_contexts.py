"""TLS between two nodes over a real pair of sockets: who the peer is, is asked behind the handshake; keys are in no file."""

import hashlib
import pickle
import socket
import ssl
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rap_journal.errors import FailClosed, StorageError
from rap_projections.documents import RevocationKind
from rap_projections.peer_certificates import VerifiedPeer
from rap_projections.refusals import NotAllowed, Revoked, WrongPeer
from rap_projections.testing import Fabric
from rap_projections.testing.authorities import PeerIdentity, certificate_authority
from rap_projections.tls_contexts import tls_context
from tests.projections.identity_kit import NODE, renewed_certificate, take, working
from tests.projections.store_kit import CLUSTER, ready
from tests.projections.tls_kit import TO_CLIENTS, TO_SERVERS, answered, second

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sealed files in memory are Linux's")


def shown_by(tls: ssl.SSLSocket) -> bytes:
    """The certificate of the other side."""
    certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def test_two_nodes_prove_to_each_other_who_they_are() -> None:
    node = working()
    other = second(node.fabric)
    with answered(other.cluster) as (connection, outcome):
        context = node.cluster.identity.ssl_context(purpose=ssl.Purpose.SERVER_AUTH)
        with context.wrap_socket(connection) as tls:
            peer = node.cluster.trust.verify_peer([shown_by(tls)], node_id="node-2", purpose=ssl.Purpose.SERVER_AUTH)
            tls.sendall(b"ping")
            assert tls.recv(100) == b"pong:ping"
            assert tls.version() == "TLSv1.3"
    assert peer.node_id == "node-2"
    (seen,) = outcome
    assert isinstance(seen, VerifiedPeer)
    assert (seen.node_id, seen.fingerprint.hex()) == (NODE, node.cluster.identity.status().certificate_fingerprint)


def test_a_peer_that_is_somebody_else_is_refused_behind_the_handshake() -> None:
    """Mutation: none; the handshake alone takes every node of the cluster, which is why verify_peer follows it."""
    node = working()
    other = second(node.fabric, "node-3")
    with answered(other.cluster) as (connection, _outcome), node.cluster.identity.ssl_context().wrap_socket(connection) as tls:
        shown = [shown_by(tls)]
        with pytest.raises(WrongPeer):
            node.cluster.trust.verify_peer(shown, node_id="node-2", purpose=TO_SERVERS)


def test_a_peer_that_the_bundle_revokes_is_refused_behind_the_handshake() -> None:
    node = working()
    other = second(node.fabric)
    take(node, (RevocationKind.IDENTITY, "node:node-2"))
    with answered(other.cluster) as (connection, _outcome), node.cluster.identity.ssl_context().wrap_socket(connection) as tls:
        shown = [shown_by(tls)]
        with pytest.raises(Revoked):
            node.cluster.trust.verify_peer(shown, purpose=TO_SERVERS)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> list[str]:
    """The reasons for which either side breaks a handshake off; none where it comes about."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    broken = []
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                broken.append(error.reason)
    return broken


def pem(peer: PeerIdentity) -> bytes:
    key = peer.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ssl.DER_cert_to_PEM_cert(peer.certificate).encode() + key


def plain(peer: PeerIdentity, purpose: ssl.Purpose, anchors: list[bytes]) -> ssl.SSLContext:
    return tls_context(pem(peer), anchors, purpose, lambda: None)


def pair(fabric: Fabric) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    anchors = [fabric.authority.certificate]
    return plain(fabric.peer("a"), TO_SERVERS, anchors), plain(fabric.peer("b"), TO_CLIENTS, anchors)


def test_a_handshake_comes_about_whatever_the_wall_clock_says() -> None:
    """Mutation: with the wall clock asked; the certificates of these two begin in years, or ended long ago."""
    for issued_at_s in (100_000_000, 4_000_000_000):
        assert handshake(*pair(Fabric(CLUSTER, issued_at_s=issued_at_s))) == []


def test_a_side_that_another_authority_vouches_for_breaks_the_handshake() -> None:
    """Mutation: without the request for a certificate, or without the authorities of the bundle alone."""
    fabric, foreign = Fabric(CLUSTER), Fabric("other")
    client, server = pair(fabric)
    anchors = [fabric.authority.certificate]
    assert "CERTIFICATE_VERIFY_FAILED" in handshake(plain(foreign.peer("a"), TO_SERVERS, anchors), server)
    assert "CERTIFICATE_VERIFY_FAILED" in handshake(client, plain(foreign.peer("b"), TO_CLIENTS, anchors))


def test_a_client_without_a_certificate_breaks_the_handshake() -> None:
    """Mutation: with a certificate that may be missing."""
    fabric = Fabric(CLUSTER)
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.verify_mode = ssl.CERT_NONE
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in handshake(nobody, pair(fabric)[1])


def test_an_older_version_of_tls_breaks_the_handshake() -> None:
    """Mutation: without the lowest version."""
    client, server = pair(Fabric(CLUSTER))
    for context in (client, server):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    old = plain(Fabric(CLUSTER).peer("a"), TO_SERVERS, [Fabric(CLUSTER).authority.certificate])
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    assert handshake(old, server) != []


def test_an_authority_is_trusted_as_it_stands_whoever_signed_its_certificate() -> None:
    """Mutation: without partial chains an authority that another one signed is no anchor."""
    fabric = Fabric(CLUSTER)
    top = certificate_authority(CLUSTER, 9, fabric.issued_at_s)
    middle = fabric.intermediate("middle", authority=top)
    anchors = [middle.certificate]
    sides = [
        plain(fabric.peer(name, authorities=[middle]), purpose, anchors)
        for name, purpose in (("a", TO_SERVERS), ("b", TO_CLIENTS))
    ]
    assert handshake(*sides) == []


def test_no_session_is_resumed() -> None:
    """Mutation: with tickets, a peer that was revoked meanwhile comes back without showing its certificate."""
    client, server = pair(Fabric(CLUSTER))
    assert server.num_tickets == 0
    assert client.options & ssl.OP_NO_TICKET and server.options & ssl.OP_NO_TICKET


def test_every_new_session_asks_whether_it_may_begin() -> None:
    """Mutation: with the question at the making of the context alone."""
    node = working()
    context = node.cluster.identity.ssl_context()
    here, there = socket.socketpair()
    with here, there:
        node.cluster._context.fail_closed("trust_damaged")
        with pytest.raises(FailClosed):
            context.wrap_socket(here, do_handshake_on_connect=False)
        with pytest.raises(FailClosed):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
        with pytest.raises(FailClosed):
            node.cluster.identity.ssl_context()


def test_a_context_of_a_certificate_that_was_replaced_begins_no_session() -> None:
    node = working()
    context = node.cluster.identity.ssl_context()
    node.cluster.identity.enroll(certificate=renewed_certificate(node))
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    node.cluster.identity.confirm()
    with pytest.raises(NotAllowed) as caught:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    assert caught.value.reason == "renewed"
    node.cluster.identity.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def test_a_bundle_without_authorities_gives_no_context() -> None:
    """Mutation: without asking for an authority, a context is made that takes nobody, and says nothing of it."""
    node = working()
    node.fabric.trusting()
    node.cluster._context.take_trust(node.fabric.verified_bundle())
    with pytest.raises(NotAllowed) as caught:
        node.cluster.identity.ssl_context()
    assert caught.value.reason == "no_authority"


def test_an_authority_that_the_bundle_revokes_is_not_taken_into_a_context() -> None:
    """Mutation: with all authorities of the bundle."""
    node = working()
    spare = certificate_authority(CLUSTER, 6, node.fabric.issued_at_s)
    node.fabric.trusting(node.fabric.authority, spare)
    take(node, (RevocationKind.CERTIFICATE, hashlib.sha256(spare.certificate).digest()))
    context = node.cluster.identity.ssl_context()
    assert context.get_ca_certs(binary_form=True) == [node.fabric.authority.certificate]


def test_an_identity_that_is_barred_gives_no_context() -> None:
    """Mutation: with the question at the beginning of a session alone, the key of a revoked identity is read for nothing."""
    node = working()
    take(node, (RevocationKind.IDENTITY, f"node:{NODE}"))
    with pytest.raises(NotAllowed) as caught:
        node.cluster.identity.ssl_context()
    assert caught.value.reason == "identity_revoked"


def test_without_an_identity_there_is_no_context() -> None:
    with pytest.raises(Exception, match="no certificate"):
        ready().cluster.identity.ssl_context()


def test_the_key_is_in_no_file_and_no_descriptor_is_left() -> None:
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    node = working()
    context = node.cluster.identity.ssl_context()
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before
    assert repr(context) == "<NodeContext, key redacted>"
    with pytest.raises(TypeError):
        pickle.dumps(context)


def test_a_system_without_files_in_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    node = working()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(StorageError) as caught:
        node.cluster.identity.ssl_context()
    assert caught.value.reason == "unsupported_platform"
    monkeypatch.undo()
    assert node.cluster.identity.signer().sign(b"x")
