"""The calls about assigned workloads.

Example::

    for service in cluster.services.assigned(): ...
    cluster.services.report("svc-a", state="running", version="1.4.2")
"""

from typing import Unpack

from rap_projections import service_decisions as decisions
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import SERVICES, Event
from rap_projections.node_time import Now
from rap_projections.receipts import Context, Receipt
from rap_projections.services import ServiceView


class Services:
    """What `cluster.services` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def assigned(self) -> tuple[ServiceView, ...]:
        """The workloads this node is to run, by id: assignment, last report, waiting commands."""
        services = self._context.state.view(SERVICES).services
        return tuple(services[name] for name in sorted(services))

    def report(self, service_id: str, *, state: str, version: str = "", detail: str = "", **context: Unpack[Context]) -> Receipt:
        """Keep what a workload reports of itself. Raises `NotAllowed` where it is not assigned, `MisuseError` for a bad word."""

        def decide(now: Now) -> tuple[Event, ...]:
            view = self._context.state.view(SERVICES)
            return decisions.decide_report(view, service_id, state=state, version=version, detail=detail)

        return self._context.execute(f"services/{service_id}", decide, context)

    def command(self, service_id: str, command: str, **context: Unpack[Context]) -> Receipt:
        """Tell an assigned workload to start, stop, restart or reload. Raises `NotAllowed`, `MisuseError`."""

        def decide(now: Now) -> tuple[Event, ...]:
            return decisions.decide_command(self._context.state.view(SERVICES), service_id, command)

        return self._context.execute(f"services/{service_id}", decide, context)
