"""The calls about who this node is in its cluster: asking for a certificate, taking it, renewing and using it.

Rules this file keeps:

- The private key is made here, sealed into the identity folder and synced before any event names it; nothing returns it.
- Asking again for the same gives the same signing request, also to two threads that ask at once.
- A renewal makes a second key beside the one in use. Until `confirm` the old one is used; behind it, the old one is wiped, once the
  event that says so is durable. A crash in between leaves the wiping to the next opening.
- Whether a node may enroll is the cluster's to decide (spec 2): what is kept is a certificate that one of its authorities issued.

Example::

    request = cluster.identity.request(node_id="node-17", membership_id="m-1")
    cluster.identity.enroll(certificate=answer_of_the_control_plane(request))
"""

import hashlib
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Unpack

from rap_journal.errors import KeyLost, MisuseError, NoSpace
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import IDENTITY, Event
from rap_projections.identity import Certificate, Enrollment, IdentityView, Key
from rap_projections.identity_decisions import (
    decide_confirm,
    decide_install,
    decide_refused,
    decide_renew,
    decide_request,
    decide_revocation_checked,
)
from rap_projections.identity_keys import ALGORITHM, SEALED, kept_request, make_key, private_key_of, wipe_key
from rap_projections.identity_status import IdentityStatus, identity_status
from rap_projections.identity_use import Signer, identity_in_use, node_context
from rap_projections.node_time import Now
from rap_projections.own_certificate import read_own_certificate
from rap_projections.receipts import UNCHANGED, Context, Receipt, check_word
from rap_projections.refusals import RefusedError
from rap_projections.stored_document import StoredDocument
from rap_projections.tls_contexts import NodeContext

_UNMADE = Key(SEALED + "0", ALGORITHM, bytes(32), bytes(32))
"""Stands for a key when only the rest of a request is judged."""

_NOT_STORED = StoredDocument(b"", 0, b"")
"""Stands for the place of a certificate that is only judged."""


class Identity:
    """What `cluster.identity` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context
        self._asking = threading.Lock()

    def request(self, *, node_id: str, membership_id: str, **context: Unpack[Context]) -> bytes:
        """A certificate signing request (PKCS #10, DER) for this node; its ECDSA P-256 key is durable before this returns.

        The same ids again give the same request; other ids, before a certificate came, another one, and the key of the first is wiped.
        Raises `MisuseError` for malformed ids or past the first enrollment, `FailClosed`, `StorageError`,
        `DamageError` when the sealed key cannot be read any more.
        """
        self._context.core.origin(context)
        with self._asking:
            self._context.require_open()
            known = self._view
            if known.enrollment is Enrollment.REQUESTED and (known.node_id, known.membership_id) == (node_id, membership_id):
                assert known.key is not None, "a requested identity has a key"
                return kept_request(self._context, known.key)

            def decide(key: Key) -> tuple[Event, ...]:
                return decide_request(self._view, node_id=node_id, membership_id=membership_id, key=key)

            return self._make(node_id, decide, context)

    def renew(self, **context: Unpack[Context]) -> bytes:
        """A certificate signing request (PKCS #10, DER) for a second key, durable before this returns; the identity in use stays so.

        Asked again before `confirm` it gives the same request, unless its key was revoked meanwhile. `enroll` takes the certificate that
        answers it. Raises `MisuseError` where the node is not enrolled, and otherwise what `request` raises.
        """
        self._context.core.origin(context)
        with self._asking:
            self._context.require_open()
            known, trust = self._view, self._context.require_trust()
            if known.next_key is not None and not trust.is_key_revoked(known.next_key.key_sha256):
                # A second key that is lost, or revoked, costs the identity nothing: another one takes its place.
                with suppress(KeyLost):
                    return kept_request(self._context, known.next_key)
            return self._make(known.node_id, lambda key: decide_renew(self._view, key=key), context)

    def _make(self, node_id: str, decide: Callable[[Key], tuple[Event, ...]], context: Context) -> bytes:
        """Make a key, record it as `decide` says, and wipe the one it takes the place of."""
        # Asked before a key is made or stored: what is refused leaves no file behind, and no malformed id reaches the request.
        decide(_UNMADE)
        before, made = self._view, make_key(self._context, node_id)
        self._context.execute("identity", lambda now: decide(made.key), context)
        for replaced in (before.key, before.next_key):
            wipe_key(self._context, replaced)
        return made.request

    def enroll(self, *, certificate: bytes, source: str = "control-plane", **context: Unpack[Context]) -> Receipt:
        """Keep the certificate (DER) that answers the request, durably. The one that is kept already is ``changed=False``.

        That of a renewal waits beside the one in use until `confirm`. Raises a `RefusedError`, which is recorded, where it is not this
        node's, not for the requested key, not issued by the cluster, revoked, for no side of a connection, or past its end;
        `MisuseError` where none was requested; `FailClosed`, `StorageError`.
        """
        check_word("source", source)
        require("certificate", certificate, bytes)
        self._context.core.origin(context)
        with self._asking:
            kept = self._judged(certificate, source, context)
            if kept is None:
                return UNCHANGED
            stored = kept._replace(stored=self._context.shelf.store(IDENTITY, certificate))

            def decide(now: Now) -> tuple[Event, ...]:
                first = self._view.enrollment is Enrollment.REQUESTED
                return (*decide_install(self._view, stored, now), *(self._good(now) if first else ()))

            return self._context.execute("identity", decide, context)

    def confirm(self, **context: Unpack[Context]) -> Receipt:
        """The cluster was seen to accept the renewed certificate: it is the one in use from now on, and the old key is wiped.

        Without a renewal under way nothing changes. Raises a `RefusedError`, which is recorded, where the renewed certificate was revoked
        or passed its end meanwhile; `DamageError` where its key cannot be read, and then the old one stays; `MisuseError` where it is not
        there yet; `FailClosed`, `StorageError`.
        """
        self._context.core.origin(context)
        with self._asking:
            self._context.require_open()
            if self._view.next_certificate is not None:
                self._check_renewed(context)

            def decide(now: Now) -> tuple[Event, ...]:
                confirmed = decide_confirm(self._view, now)
                return (*confirmed, *self._good(now)) if confirmed else ()

            old = self._view.key
            receipt = self._context.execute("identity", decide, context)
            # The event that lets go of the old key is durable: from here on an opening would wipe it as well.
            wipe_key(self._context, old)
            return receipt

    def status(self) -> IdentityStatus:
        """How far enrollment has come, and what the identity amounts to now. Safe to send."""
        context = self._context
        with context.core.lock:
            return identity_status(self._view, context.core.now().trusted_s, context.fail_closed_reason)

    def signer(self) -> Signer:
        """What signs with the private key in use and never shows it. Each signature asks whether the identity may be used.

        Raises `MisuseError` where there is no certificate yet, `FailClosed`.
        """
        return Signer(identity_in_use(self._context))

    def ssl_context(self, *, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> NodeContext:
        """An `ssl.SSLContext` for TLS 1.3 with both sides authenticated: SERVER_AUTH to open connections, CLIENT_AUTH to answer them.

        Behind each handshake hand the peer's certificate to `cluster.trust.verify_peer`: the handshake judges neither who the peer is, nor
        what is revoked, nor the time. A context is bound to the certificate in use and to the authorities of the bundle in force: make a
        new one after `confirm` and after a new bundle. Raises what `Signer.sign` raises, and `StorageError` (reason
        "unsupported_platform") where the system has no sealed files in memory; each new session of the context raises what `sign` does.
        """
        return node_context(self._context, purpose)

    def _judged(self, certificate: bytes, source: str, context: Context) -> Certificate | None:
        """The certificate, if it may be kept; None where it is kept already."""
        cluster, view = self._context, self._view
        trust = cluster.require_trust()
        if view.key is None:
            raise MisuseError(
                "no identity was requested; nothing was changed. Call request first.",
                state_class="identity",
                reason="not_requested",
            )
        subject = "renew" if view.enrollment is Enrollment.RENEWING else "enroll"
        try:
            facts = read_own_certificate(certificate, trust, node_id=view.node_id, membership_id=view.membership_id)
            judged = Certificate(facts, _NOT_STORED)
            return judged if decide_install(view, judged, cluster.core.now()) else None
        except RefusedError as refusal:
            self._record(refusal, certificate, subject, source, context)
            raise

    def _check_renewed(self, context: Context) -> None:
        """The certificate that waits still passes, and its key is there: the old key is let go of for nothing less."""
        view = self._view
        assert view.next_certificate is not None and view.next_key is not None, "there is something to confirm"
        certificate = self._context.shelf.load(IDENTITY, view.next_certificate.stored)
        try:
            read_own_certificate(
                certificate, self._context.require_trust(), node_id=view.node_id, membership_id=view.membership_id
            )
            decide_confirm(view, self._context.core.now())
        except RefusedError as refusal:
            self._record(refusal, certificate, "confirm", "agent", context)
            raise
        private_key_of(self._context, view.next_key)

    def _good(self, now: Now) -> tuple[Event, ...]:
        """The certificate that comes into use was just looked up among the revocations."""
        digest = self._context.require_trust().revocation_digest()
        return decide_revocation_checked(self._view._replace(revocation=None), status="good", revocation_digest=digest, now=now)

    def _record(self, refusal: RefusedError, certificate: bytes, subject: str, source: str, context: Context) -> None:
        refusal.concerning(cluster=self._context.cluster_id)
        reason, digest = refusal.reason or refusal.rule, hashlib.sha256(certificate).digest()

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            return decide_refused(
                self._view, source=source, subject=subject, reason=reason, times=times, digest=digest, now=now,
                policy=self._context.policy,
            )  # fmt: skip

        with suppress(NoSpace):
            self._context.coalesce("identity/refused", ("identity", source, subject, reason), decide, context)

    @property
    def _view(self) -> IdentityView:
        view: IdentityView = self._context.state.view(IDENTITY)
        return view
