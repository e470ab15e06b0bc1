"""The calls about whom this node trusts in its cluster: newer bundles, and peers.

Rules this file keeps:

- Bundles come into force here and nowhere else; nothing local decides what they say (spec 2).
- A peer is judged by the bundle in force and by trusted time; what it showed is kept nowhere.
- A refused certificate is recorded as one event per interval and reason, whoever keeps offering it (trust, 12).

Example::

    cluster.trust.update(bundle)
    peer = cluster.trust.verify_peer([tls.getpeercert(binary_form=True)], node_id="node-17")
"""

import hashlib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Unpack

from rap_journal.errors import NoSpace
from rap_projections.arguments import require, require_all, require_optional
from rap_projections.bundle_calls import Bundles
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH, TRUST, Event
from rap_projections.node_time import Now
from rap_projections.peer_certificates import BOTH_SIDES, VerifiedPeer, verify_peer_chain
from rap_projections.receipts import Context, Receipt, check_word
from rap_projections.refusals import RefusedError
from rap_projections.trust import TrustView
from rap_projections.trust_decisions import decide_refused

DEFAULT_SOURCE = "agent"

PEER = "peer"
"""What a refused peer's certificate was for, in its event."""


class Trust:
    """What `cluster.trust` is."""

    def __init__(self, context: ClusterContext, bundles: Bundles) -> None:
        self._context = context
        self._bundles = bundles

    def update(
        self,
        bundles: bytes | Sequence[bytes],
        *,
        documents: Sequence[bytes] = (),
        source: str = DEFAULT_SOURCE,
        **context: Unpack[Context],
    ) -> Receipt:
        """Bring newer bundles into force: one, or several without gaps, oldest first (trust, 9).

        `documents` are snapshots signed anew for the last of them; they become active in the same frame. Active documents that the
        new bundle lets no longer count end in it, too. Bundles in force already are ``changed=False``.

        Raises a `RefusedError` (recorded; nothing changed), `MisuseError`, `FailClosed`, `NoSpace`, `OutcomeUnknown`, `Poisoned`.
        """
        return self._bundles.update(bundles, documents=documents, source=source, **context)

    def verify_peer(
        self,
        chain: bytes | Sequence[bytes],
        *,
        node_id: str | None = None,
        purpose: ssl.Purpose | None = None,
        source: str = PEER,
        **context: Unpack[Context],
    ) -> VerifiedPeer:
        """Who showed `chain`: certificates (DER), the peer's own first, or that one alone.

        Args:
            chain: at most 4 certificates of at most 16 KiB.
            node_id: the node it must be; None for any node of this cluster, and then `VerifiedPeer.node_id` says which.
            purpose: the side that the peer takes: SERVER_AUTH where it answers, CLIENT_AUTH where it opens connections; None for both.
            source: who brought it, for the record.

        Raises the `RefusedError` of the rule that was broken, which is recorded: see `verify_peer_chain`; `FailClosed`; `MisuseError`
        for what is no chain; `OutcomeUnknown`, `Poisoned` where the refusal could not be recorded.
        """
        check_word("source", source)
        require_optional("node_id", node_id, str)
        require_optional("purpose", purpose, ssl.Purpose)
        shown = _shown(chain)
        cluster = self._context
        cluster.core.origin(context)
        trust = cluster.require_trust()
        # So that no reboot gives back the time by which peers are judged. A full disk keeps nobody from judging them.
        cluster.pay_quietly()
        now = cluster.core.now()
        try:
            return verify_peer_chain(
                shown,
                trust,
                trusted_s=now.trusted_s,
                seconds_left=cluster.state.view(HEALTH).seconds_left(now, cluster.core.boot_id),
                node_id=node_id,
                purposes=BOTH_SIDES if purpose is None else (purpose,),
            )
        except RefusedError as refusal:
            refusal.concerning(cluster=cluster.cluster_id)
            self._record(refusal, shown[0] if shown else b"", source, context)
            raise

    def _record(self, refusal: RefusedError, certificate: bytes, source: str, context: Context) -> None:
        reason, digest = refusal.reason or refusal.rule, hashlib.sha256(certificate).digest() if certificate else b""

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            view: TrustView = self._context.state.view(TRUST)
            return decide_refused(
                view, source=source, scope=PEER, reason=reason, times=times, digest=digest, now=now, policy=self._context.policy
            )

        with suppress(NoSpace):
            self._context.coalesce("trust/refused", ("trust", source, PEER, reason), decide, context)


def _shown(chain: bytes | Sequence[bytes]) -> tuple[bytes, ...]:
    require("chain", chain, bytes, list, tuple)
    shown = (chain,) if isinstance(chain, bytes) else tuple(chain)
    require_all("chain", shown, bytes)
    return shown
