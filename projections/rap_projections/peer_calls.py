"""The calls about peers: observing them, and looking one up.

Rules this file keeps: observations are hints; they are batched, and visible once their frame is synced.

Example::

    cluster.peers.observe("node-17", rtt_ms=12.5)
    cluster.peers.observe_many([("node-17", 12.5), ("node-18", None, "timeout")])
"""

from collections.abc import Iterable
from typing import Any, Unpack

from rap_journal.errors import MisuseError
from rap_projections.arguments import require, require_able
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import PEERS
from rap_projections.peer_observations import RTT_MS_MAX, WRONG_ROW
from rap_projections.peer_state import PeerFacts, facts
from rap_projections.receipts import Context, Receipt


class Peers:
    """What `cluster.peers` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def observe(
        self,
        peer: str,
        *,
        rtt_ms: float | None = None,
        failure: str | None = None,
        durable: bool = False,
        **context: Unpack[Context],
    ) -> Receipt:
        """Note one round trip, or its failure.

        Args:
            peer: id of a peer in the signed directory; strangers are counted and ignored.
            rtt_ms: round-trip time in milliseconds, 0 to 4,294,000; None when there was no answer.
            failure: why there was none, such as "timeout"; see `FailureReason`.
            durable: wait until it is on disk and visible, instead of at most 100 ms later, or after `cluster.flush()`.

        The receipt is ``changed=False`` for a stranger, and where no room was left because the disk is slow: see `strangers` and
        `overflowed`. Raises `MisuseError` for a value out of range or an unknown failure word; `NoSpace`, `OutcomeUnknown` or `Poisoned`
        from a commit.
        """
        require("peer", peer, str)
        try:
            return self.observe_many(((peer, rtt_ms, failure),), durable=durable, **context)
        except MisuseError as error:
            if error.reason != WRONG_ROW:
                raise
            raise MisuseError(
                f"rtt_ms is a number from 0 to {RTT_MS_MAX}, or None for a loss, and a failure goes with a loss only; nothing was kept.",
                cluster=self._context.cluster_id,
                reason=WRONG_ROW,
            ) from None

    def observe_many(self, rows: Iterable[tuple[Any, ...]], *, durable: bool = False, **context: Unpack[Context]) -> Receipt:
        """Note many round trips at once: rows of (peer, rtt_ms) or (peer, None, failure).

        A frame's worth of rows is committed at once by the caller's thread: then the receipt has the LSN of the last of them.
        Raises `MisuseError`, with nothing kept, when one row is wrong; `NoSpace`, with the rows still waiting, `OutcomeUnknown` or
        `Poisoned` from the commit.
        """
        require_able("rows", rows, "__iter__")
        require("durable", durable, bool)
        return self._context.observe(rows, context, durable=durable)

    def get(self, peer: str) -> PeerFacts | None:
        """What is known of a peer, or None for a stranger."""
        require("peer", peer, str)
        with self._context.core.lock:
            return facts(self._context.state[PEERS], peer)

    @property
    def strangers(self) -> int:
        """Observations of ids that the signed directory does not name, since the store was opened."""
        return self._context.buffer.strangers

    @property
    def overflowed(self) -> int:
        """Observations that found no room because 65,536 were waiting for a slow disk, since the store was opened."""
        return self._context.buffer.overflowed
