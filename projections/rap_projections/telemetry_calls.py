"""The calls about telemetry that waits to be sent, and about hints: bounded, and never authority.

Example::

    cluster.telemetry.record("relay", "queue length 12")
    cluster.hints.put("last-relay", "relay-3", ttl_s=600)
"""

from typing import Unpack

from rap_projections import hints, telemetry
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import TELEMETRY, Event
from rap_projections.node_time import Now
from rap_projections.receipts import Context, Receipt


class Telemetry:
    """What `cluster.telemetry` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def record(self, topic: str, text: str, **context: Unpack[Context]) -> Receipt:
        """Queue a line for the control plane; the oldest give way when the buffer is full. Raises `MisuseError`."""

        def decide(now: Now) -> tuple[Event, ...]:
            return telemetry.decide_record(self._context.state[TELEMETRY], topic, text, self._context.policy)

        # What waits already makes no difference to what is queued behind it.
        return self._context.execute(None, decide, context)

    def drain(self, *, count_max: int = 1000, bytes_max: int = 1 << 20) -> tuple[telemetry.TelemetryRecord, ...]:
        """The oldest records that wait; they stay until acknowledged."""
        with self._context.core.lock:
            return telemetry.drain(self._context.state[TELEMETRY], count_max=count_max, bytes_max=bytes_max)

    def ack(self, through: int, **context: Unpack[Context]) -> Receipt:
        """Everything up to sequence `through` was received. Raises `MisuseError` for one never given out."""

        def decide(now: Now) -> tuple[Event, ...]:
            return telemetry.decide_acknowledge(self._context.state[TELEMETRY], through)

        return self._context.execute("telemetry", decide, context)


class Hints:
    """What `cluster.hints` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def put(self, key: str, value: str, *, ttl_s: float, **context: Unpack[Context]) -> Receipt:
        """Remember `value` for `ttl_s` seconds. Raises `MisuseError` for a key, value or life out of range."""

        def decide(now: Now) -> tuple[Event, ...]:
            state = self._context.state[TELEMETRY].hints
            return hints.decide_put(state, key, value, ttl_s=ttl_s, policy=self._context.policy, now=now)

        return self._context.execute("hints", decide, context)

    def get(self, key: str) -> str | None:
        """The value of a hint, or None when it is unknown or its time is over."""
        require("key", key, str)
        return hints.get(self._context.state[TELEMETRY].hints, key, self._context.core.node_us())
