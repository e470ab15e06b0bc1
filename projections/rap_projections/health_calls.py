"""The calls about health: contacts, pressure, partition flags, degraded mode and heartbeats.

Rules this file keeps: entering and leaving degraded mode and flags are durable when the call returns; the rest is batched.

Example::

    cluster.health.contact("control-plane", ok=False)
    cluster.health.enter_degraded("disk-failing")
    beat = cluster.health.heartbeat()
    send(beat.document)
    cluster.health.heartbeat_sent(beat)
"""

import hashlib
from typing import Any, NamedTuple, Unpack

from rap_journal.deterministic_cbor import encode
from rap_projections import health_decisions as decisions
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH, SNAPSHOTS
from rap_projections.health import HealthView
from rap_projections.journaled_state import Decide
from rap_projections.receipts import Context, Receipt


class Heartbeat(NamedTuple):
    """What a heartbeat carries: the LSN it reports, and a document of safe metadata (spec 4, 12)."""

    at_lsn: int
    document: dict[str, Any]
    digest: bytes


class Health:
    """What `cluster.health` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def contact(self, party: str, *, ok: bool, **context: Unpack[Context]) -> Receipt:
        """Note that a contact with "control-plane", "config" or "storage" was tried. Raises `MisuseError` for another party."""
        # What was tried before makes no difference to what is tried now.
        return self._context.execute(None, lambda now: decisions.decide_contact(party, ok=ok), context)

    def pressure(
        self, *, disk: int | None = None, memory: int | None = None, cpu: int | None = None, **context: Unpack[Context]
    ) -> Receipt:
        """Note how full local resources are, in thousandths (0 to 1000). Raises `MisuseError` outside that."""
        given = {name: value for name, value in (("disk", disk), ("memory", memory), ("cpu", cpu)) if value is not None}
        return self._execute(lambda now: decisions.decide_pressure(self.view, given), context)

    def partition(self, flag: str, *, on: bool, **context: Unpack[Context]) -> Receipt:
        """Set or clear a partition flag. It says what this node sees and promotes nothing."""
        return self._execute(lambda now: decisions.decide_partition(self.view, flag, on=on), context)

    def enter_degraded(self, reason: str, *, safe_until_us: int | None = None, **context: Unpack[Context]) -> Receipt:
        """Enter degraded mode for one more reason.

        `safe_until_us`: node time, in microseconds, until which it is safe to go on; it can only shorten what the policy gives.
        Raises `MisuseError` for a reason that is no short word.
        """
        return self._execute(
            lambda now: decisions.decide_enter_degraded(
                self.view, reason, safe_until_us=safe_until_us, now=now, policy=self._context.policy
            ),
            context,
        )

    def leave_degraded(self, reason: str, **context: Unpack[Context]) -> Receipt:
        """Leave one reason of degraded mode. No time is given back."""
        return self._execute(lambda now: decisions.decide_leave_degraded(self.view, reason), context)

    def heartbeat(self) -> Heartbeat:
        """What to tell the control plane now: degraded reasons, flags, contacts, pressure, applied versions. Writes nothing."""
        cluster = self._context
        with cluster.core.lock:
            view, snapshots, lsn = self.view, cluster.state.view(SNAPSHOTS), cluster.state.lsn
        applied = {name: list(scope.applied.version) for name, scope in sorted(snapshots.scopes.items()) if scope.applied}
        document: dict[str, Any] = {
            "cluster": cluster.cluster_id,
            "lsn": lsn,
            "degraded": sorted(view.degraded),
            "partition_flags": list(view.partition_flags),
            "pressure_permille": {name: pressure.permille for name, pressure in sorted(view.pressure.items())},
            "applied": applied,
            "fail_closed": cluster.fail_closed_reason,
        }
        digest = hashlib.sha256(encode(document)).digest()
        return Heartbeat(lsn, document, digest)

    def heartbeat_sent(self, beat: Heartbeat, **context: Unpack[Context]) -> Receipt:
        """The heartbeat was accepted by the control plane."""
        require("beat", beat, Heartbeat)
        return self._execute(
            lambda now: decisions.decide_heartbeat_sent(self.view, at_lsn=beat.at_lsn, digest=beat.digest), context
        )

    @property
    def view(self) -> HealthView:
        """Everything known about the cluster's health on this node."""
        view: HealthView = self._context.state.view(HEALTH)
        return view

    def _execute(self, decide: Decide, context: Context) -> Receipt:
        return self._context.execute("health", decide, context)
