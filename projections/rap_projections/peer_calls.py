"""The calls about peers: observing them, and looking one up.

Rules this file keeps: observations are hints; they are batched, and visible once their frame is synced.

Example::

    cluster.peers.observe("node-17", rtt_ms=12.5)
    cluster.peers.observe_many([("node-17", 12.5), ("node-18", None, "timeout")])
"""

from collections.abc import Iterable
from typing import Any

from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import PEERS
from rap_projections.peer_state import PeerFacts, facts


class Peers:
    """What `cluster.peers` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def observe(self, peer: str, *, rtt_ms: float | None = None, failure: str | None = None) -> bool:
        """Note one round trip, or its failure.

        Args:
            peer: id of a peer in the signed directory; strangers are counted and ignored.
            rtt_ms: round-trip time in milliseconds, 0 to 4,294,000; None when there was no answer.
            failure: why there was none, such as "timeout"; see `FailureReason`.

        Returns whether it was kept. It is durable and visible after at most 100 ms, or after `cluster.flush()`.
        Raises `MisuseError` for a value out of range or an unknown failure word.
        """
        context = self._context
        node_us = context.core.node_us()
        kept = context.with_buffer(lambda buffer: buffer.observe(peer, node_us, rtt_ms=rtt_ms, failure=failure))
        context.core.machine.wake()
        return bool(kept)

    def observe_many(self, rows: Iterable[tuple[Any, ...]]) -> int:
        """Note many round trips at once: rows of (peer, rtt_ms) or (peer, None, failure).

        Returns how many were kept; the rest are of strangers. A frame's worth of rows is committed at once by the caller's thread.
        Raises `MisuseError`, with nothing kept, when one row is wrong; `NoSpace`, `OutcomeUnknown` or `Poisoned` from the commit.
        """
        context = self._context
        node_us = context.core.node_us()
        kept = context.with_buffer(lambda buffer: buffer.observe_many(rows, node_us))
        if len(context.buffer) >= RECORDS_PER_FRAME_MAX:
            context.core.flush()
        else:
            context.core.machine.wake()
        return kept

    def get(self, peer: str) -> PeerFacts | None:
        """What is known of a peer, or None for a stranger."""
        require("peer", peer, str)
        with self._context.core.lock:
            return facts(self._context.state[PEERS], peer)

    @property
    def strangers(self) -> int:
        """Observations of ids that the signed directory does not name, since the store was opened."""
        return self._context.buffer.strangers
