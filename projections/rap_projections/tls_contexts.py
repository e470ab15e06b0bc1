"""Contexts for connections between nodes: TLS 1.3, both sides authenticated, no key in a file on a disk.

Rules this file keeps:

- OpenSSL takes a key by the path of a file alone. It gets one that is in memory, sealed, and wiped as soon as it was read.
- The handshake proves that the peer holds the key of a certificate which an authority of the bundle in force issued. Who the peer is,
  what is revoked, and what time it is, the handshake does not judge: `cluster.trust.verify_peer` does, behind every handshake.
- The wall clock decides nothing: trusted time does, in `verify_peer`.
- No session is resumed, so that what is revoked is found at the next connection. Every new session asks first whether it may be.

Example::

    context = tls_context(pem, [anchor], ssl.Purpose.SERVER_AUTH, may_begin)
    with context.wrap_socket(connection) as tls: ...
"""

import ssl
from collections.abc import Callable, Sequence
from typing import Any

from rap_journal.os_memory_file import memory_file

# Of openssl/x509_vfy.h: the period of a certificate is not compared with the wall clock.
_NO_CHECK_TIME = 0x200000


class NodeContext(ssl.SSLContext):
    """An `ssl.SSLContext` that asks, before each session, whether this identity may begin one."""

    may_begin: Callable[[], None]

    def __repr__(self) -> str:
        return "<NodeContext, key redacted>"

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """`ssl.SSLContext.wrap_socket`, where the identity may be used; raises what `Signer.sign` raises where it may not."""
        self.may_begin()
        return super().wrap_socket(*args, **options)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """`ssl.SSLContext.wrap_bio`, where the identity may be used; raises what `Signer.sign` raises where it may not."""
        self.may_begin()
        return super().wrap_bio(*args, **options)


def tls_context(
    identity_pem: bytes, anchors: Sequence[bytes], purpose: ssl.Purpose, may_begin: Callable[[], None]
) -> NodeContext:
    """A context for connections in which the other side is authenticated for `purpose`.

    Args:
        identity_pem: certificate and private key of this node.
        anchors: certificates (DER) of the authorities whose certificates are taken, at least one.
        purpose: SERVER_AUTH to open connections, CLIENT_AUTH to answer them.
        may_begin: raises where no session may begin.

    Raises `StorageError` on a system without sealed files in memory.
    """
    is_client = purpose is ssl.Purpose.SERVER_AUTH
    context = NodeContext(ssl.PROTOCOL_TLS_CLIENT if is_client else ssl.PROTOCOL_TLS_SERVER)
    context.may_begin = may_begin
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The one name of a node is a URI, which no library compares: verify_peer does.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    # An authority that the bundle names is trusted as it stands, whoever signed its certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.options |= ssl.OP_NO_TICKET
    if not is_client:
        context.num_tickets = 0
    context.load_verify_locations(cadata=b"".join(anchors))
    with memory_file(identity_pem) as path:
        context.load_cert_chain(path)
    return context
