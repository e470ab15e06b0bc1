"""Two nodes and a pair of sockets between them.

Example::

    with answered(other.cluster) as (connection, outcome):
        ...
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rap_projections import ClusterState
from rap_projections.refusals import RefusedError
from rap_projections.testing import Fabric, memory_store
from tests.projections.identity_kit import permit
from tests.projections.store_kit import CLUSTER, Ready

TO_SERVERS, TO_CLIENTS = ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH


def second(fabric: Fabric, node_id: str = "node-2") -> Ready:
    """Another node of the same cluster, in a store of its own."""
    it = Ready(memory_store(seed=2), Fabric(CLUSTER))
    it.kit.join(it.fabric)
    request = it.cluster.identity.request(node_id=node_id, membership_id="m-2")
    it.cluster.identity.enroll(certificate=fabric.certificate(request))
    permit(it)
    return it


def answer(cluster: ClusterState, end: socket.socket, outcome: list[Any]) -> None:
    """The answering side: handshake, then who it is, then one message back."""
    with suppress(OSError), end:
        try:
            with cluster.identity.ssl_context(purpose=TO_CLIENTS).wrap_socket(end, server_side=True) as tls:
                certificate = tls.getpeercert(binary_form=True)
                assert certificate is not None
                outcome.append(cluster.trust.verify_peer([certificate], purpose=TO_CLIENTS))
                tls.sendall(b"pong:" + tls.recv(100))
        except (RefusedError, ssl.SSLError) as error:
            outcome.append(error)


@contextmanager
def answered(cluster: ClusterState) -> Iterator[tuple[socket.socket, list[Any]]]:
    """One end of a pair of sockets whose other end `cluster` answers, and what became of that."""
    here, there = socket.socketpair()
    outcome: list[Any] = []
    thread = threading.Thread(target=answer, args=(cluster, there, outcome))
    with here:
        here.settimeout(20)
        there.settimeout(20)
        thread.start()
        yield here, outcome
    thread.join()
