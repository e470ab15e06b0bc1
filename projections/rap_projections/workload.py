"""What one workload may do with the store, and nothing else (spec 10).

Rules this file keeps:

- The signed assignment is looked at again on every call: a workload that is not assigned any more is refused at once.
- There is no call by which a workload changes roles, snapshots, peers, trust or another cluster; it holds no writer.
- Where the cluster fails closed, a workload gets neither configuration nor commands nor secrets: all of these rest on trust. It can still
  report: what it says of itself needs no trust and gives none, and a node in trouble is the one whose reports are wanted (spec 8, 12).
- A secret is resolved by the agent's resolver, for listed references only; its value is handed through, never kept or logged.
- However often a workload asks, it fills neither the history nor the disk: answers are written once per interval, with their number, new
  reports at most 30 a minute, and nothing a workload causes takes the space reserve.

In one process this is a matter of manners: Python code can reach any object it wants to. The boundary that holds is a process of
its own.

Example::

    workload = cluster.workload("svc-a", resolver=resolve)
    workload.config().desired_state
    workload.report(state="running")
"""

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from rap_journal.errors import NoSpace
from rap_projections import service_decisions as decisions
from rap_projections.arguments import require, require_callable, require_optional
from rap_projections.cluster_context import ClusterContext
from rap_projections.documents import ServiceAssignment
from rap_projections.event_kinds import SERVICES, Event
from rap_projections.node_time import Now
from rap_projections.operations import Operation
from rap_projections.receipts import Context, Receipt
from rap_projections.refusals import NotAllowed, NotValidated, TooOften
from rap_projections.services import ServiceCommand, ServicesView, ServiceView
from rap_projections.subscriptions import Delivered, Subscription

Resolver = Callable[[str, str], str]
"""The agent's way to a secret: (service id, reference) -> value. It may raise; what it raises reaches the workload."""


Subscribe = Callable[[Callable[[Delivered], None]], Subscription]
"""How the cluster lets a workload hear of changed assignments."""

SOURCE = "workload"
"""Who asked for what was refused here, as the refusal says."""


class Workload:
    """What `cluster.workload(id)` is: five calls."""

    __slots__ = ("__context", "__id", "__resolver", "__subscribe")

    def __init__(self, context: ClusterContext, service_id: str, subscribe: Subscribe, resolver: Resolver | None) -> None:
        require("service_id", service_id, str)
        if resolver is not None:
            require_callable("resolver", resolver)
        self.__context = context
        self.__id = service_id
        self.__subscribe = subscribe
        self.__resolver = resolver

    def config(self) -> ServiceAssignment:
        """The signed assignment: kind, version, desired state and references. Raises `NotAllowed` when it is gone, `FailClosed`."""
        return self.__service().assignment

    def wait_config(self, *, after: ServiceAssignment, timeout_s: float) -> ServiceAssignment:
        """The assignment once it differs from `after`, or as it is after `timeout_s` seconds.

        Raises `NotAllowed` when it is gone, `FailClosed`.
        """
        require("after", after, ServiceAssignment)
        require("timeout_s", timeout_s, int, float)
        changed = threading.Condition()

        def tell(delivered: Delivered) -> None:
            with changed:
                changed.notify_all()

        subscription = self.__subscribe(tell)
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

        Both go into one frame, also where the cluster fails closed. Raises `NotAllowed` when it is not assigned, `TooOften` when it said
        something new 30 times in a minute, `MisuseError` for a word that is none, `NoSpace`; then nothing was kept.
        """

        require_optional("command", command, ServiceCommand)
        require("outcome", outcome, str)

        def decide(now: Now) -> tuple[Event, ...]:
            view = self.__view()
            reported = decisions.decide_own_report(view, self.__id, state=state, version=version, detail=detail, now=now)
            taken = decisions.decide_command_taken(view, self.__id, command_lsn=command.lsn, outcome=outcome) if command else ()
            return (*taken, *reported)

        try:
            return self.__context.execute(f"services/{self.__id}", decide, self.__myself(), may_use_reserve=False)
        except TooOften as refusal:
            self.__record(refusal)
            raise

    def secret(self, reference: str) -> str:
        """The value of a secret that the signed assignment lists, from the agent's resolver; the answer is recorded, the value never.

        Raises `NotAllowed` where the reference is not listed, the cluster does not allow resolving now, or the agent gave no resolver;
        `NotValidated`; `FailClosed`; `NoSpace` where the answer cannot be recorded; `MisuseError` for what is no reference at all, which is
        not recorded either.
        """
        context, resolver = self.__context, self.__resolver
        context.require_open()
        decisions.check_reference(reference)
        asked = context.ask(Operation.RESOLVE_SECRET)

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            gate = context.allowed(Operation.RESOLVE_SECRET, now) if asked.ok else asked
            obstacle = "no_resolver" if resolver is None else "" if gate.ok else gate.reason
            return decisions.decide_secret(
                self.__view(), self.__id, reference=reference, obstacle=obstacle, times=times, now=now, policy=context.policy
            )

        try:
            context.coalesce(f"services/{self.__id}", ("secret", self.__id, reference), decide, self.__myself())
        except (NotAllowed, NotValidated) as refusal:
            self.__record(refusal, reference)
            raise
        assert resolver is not None
        return resolver(self.__id, reference)

    def commands(self) -> tuple[ServiceCommand, ...]:
        """Commands that wait for this workload, oldest first; `report(command=...)` says what became of one.

        Raises `NotAllowed` when it is not assigned, `FailClosed`.
        """
        return self.__service().commands

    def __myself(self) -> Context:
        return {"actor": f"workload:{self.__id}"[:64]}

    def __record(self, refusal: NotAllowed | NotValidated, asked: str = "") -> None:
        """Write down that this workload was refused what its assignment does not give; who is not assigned leaves no trace."""
        refusal.cluster = self.__context.cluster_id
        reason = refusal.reason or "not_allowed"
        if reason == "not_assigned":
            return
        digest = hashlib.sha256(asked.encode()).digest() if asked else b""

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            return decisions.decide_refused(
                self.__view(), source=SOURCE, service_id=self.__id, reason=reason, times=times, digest=digest, now=now,
                policy=self.__context.policy,
            )  # fmt: skip

        with suppress(NoSpace):
            self.__context.coalesce("services/refused", (SOURCE, self.__id, reason), decide, self.__myself())

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
