"""What one workload may do with the store, and nothing else (spec 10).

Rules this file keeps:

- The signed assignment is looked at again on every call: a workload that is not assigned any more is refused at once.
- There is no call by which a workload changes roles, snapshots, peers, trust or another cluster; it holds no writer.
- Where the cluster fails closed, a workload gets neither configuration nor commands nor secrets: all of these rest on trust. It can still
  report: what it says of itself needs no trust and gives none, and a node in trouble is the one whose reports are wanted (spec 8, 12).
- A secret is resolved by the agent's resolver, for listed references only; its value is handed through, never kept or logged.

In one process this is a matter of manners: Python code can reach any object it wants to. The boundary that holds is a process of
its own.

Example::

    workload = cluster.workload("svc-a", resolver=resolve)
    workload.config().desired_state
    workload.report(state="running")
"""

import threading
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from rap_projections import service_decisions as decisions
from rap_projections.cluster_context import ClusterContext
from rap_projections.documents import ServiceAssignment
from rap_projections.event_kinds import SERVICES, Event
from rap_projections.node_time import Now
from rap_projections.operations import Operation
from rap_projections.receipts import Receipt
from rap_projections.refusals import NotAllowed
from rap_projections.services import ServiceCommand, ServicesView, ServiceView
from rap_projections.subscriptions import Delivered, Subscription

Resolver = Callable[[str, str], str]
"""The agent's way to a secret: (service id, reference) -> value. It may raise; what it raises reaches the workload."""


class Boundary(NamedTuple):
    """What the cluster lends a workload's view.

    Attributes:
        is_allowed: whether an operation may go ahead now.
        subscribe: told of every change of assignments.
    """

    is_allowed: Callable[[Operation], bool]
    subscribe: Callable[[Callable[[Delivered], None]], Subscription]


class Workload:
    """What `cluster.workload(id)` is: five calls."""

    __slots__ = ("__boundary", "__context", "__id", "__resolver")

    def __init__(self, context: ClusterContext, service_id: str, boundary: Boundary, resolver: Resolver | None) -> None:
        self.__context = context
        self.__id = service_id
        self.__boundary = boundary
        self.__resolver = resolver

    def config(self) -> ServiceAssignment:
        """The signed assignment: kind, version, desired state and references. Raises `NotAllowed` when it is gone, `FailClosed`."""
        return self.__service().assignment

    def wait_config(self, *, after: ServiceAssignment, timeout_s: float) -> ServiceAssignment:
        """The assignment once it differs from `after`, or as it is after `timeout_s` seconds.

        Raises `NotAllowed` when it is gone, `FailClosed`.
        """
        changed = threading.Condition()

        def tell(delivered: Delivered) -> None:
            with changed:
                changed.notify_all()

        subscription = self.__boundary.subscribe(tell)
        try:
            with changed:
                # Assignments change for others too: what counts is whether this one did.
                changed.wait_for(lambda: self.config() != after, timeout_s)
            return self.config()
        finally:
            subscription.cancel()

    def report(
        self, *, state: str, version: str = "", detail: str = "", command: ServiceCommand | None = None, outcome: str = "done"
    ) -> Receipt:
        """Report state and version; with `command`, also what became of it ("done", "failed" or "ignored").

        Both go into one frame, also where the cluster fails closed. Raises `NotAllowed` when it is not assigned, `MisuseError` for a
        word that is none; then nothing was kept.
        """

        def decide(now: Now) -> tuple[Event, ...]:
            view = self.__view()
            reported = decisions.decide_report(view, self.__id, state=state, version=version, detail=detail)
            taken = decisions.decide_command_taken(view, self.__id, command_lsn=command.lsn, outcome=outcome) if command else ()
            return (*taken, *reported)

        return self.__context.execute(f"services/{self.__id}", decide, {"actor": f"workload:{self.__id}"[:64]})

    def secret(self, reference: str) -> str:
        """The value of a secret that the signed assignment lists, from the agent's resolver; the answer is recorded, the value never.

        Raises `NotAllowed` where the reference is not listed, the cluster does not allow resolving now, or the agent gave no resolver;
        `FailClosed`; `MisuseError` for what is no reference at all, which is not recorded either.
        """
        self.__context.require_open()
        events: list[Event] = []
        is_open = self.__resolver is not None and self.__boundary.is_allowed(Operation.RESOLVE_SECRET)

        def decide(now: Now) -> tuple[Event, ...]:
            events[:] = decisions.decide_secret(self.__view(), self.__id, reference=reference, is_open=is_open)
            return tuple(events)

        self.__context.execute(f"services/{self.__id}", decide, {"actor": f"workload:{self.__id}"[:64]})
        _service, _reference, is_allowed, reason = events[0]
        if not is_allowed or self.__resolver is None:
            self.__refuse("resolve that secret", reason)
        return self.__resolver(self.__id, reference)

    def commands(self) -> tuple[ServiceCommand, ...]:
        """Commands that wait for this workload, oldest first; `report(command=...)` says what became of one.

        Raises `NotAllowed` when it is not assigned, `FailClosed`.
        """
        return self.__service().commands

    def __view(self) -> ServicesView:
        view: ServicesView = self.__context.state.view(SERVICES)
        return view

    def __service(self) -> ServiceView:
        self.__context.require_open()
        service = self.__view().services.get(self.__id)
        if service is None:
            self.__refuse("read its configuration", "not_assigned")
        return service

    def __refuse(self, what: str, reason: str) -> NoReturn:
        raise NotAllowed(
            f"workload {self.__id!r:.80} may not {what} ({reason}); nothing was done. Its signed assignment decides.",
            cluster=self.__context.cluster_id,
            state_class=SERVICES.name,
            reason=reason,
        )
