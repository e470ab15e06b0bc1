"""Every call that an agent or a workload has, with arguments drawn at random.

Example::

    drive = RandomCalls(7, CALLS)
"""

from typing import Any

from rap_projections import Operation
from rap_projections.documents import Scope
from rap_projections.testing.entries import make_reference
from rap_projections.workload import Workload
from tests.projections.random_calls import NAMES, SERVICES, Call, RandomCalls
from tests.projections.store_kit import CLUSTER

SCOPES = tuple(scope.value for scope in Scope)
PARTIES = ("control-plane", "config", "storage")
CONTENT = b"the artifact's bytes"


def workload(it: RandomCalls) -> Workload:
    """One of the workloads."""
    return it.cluster.workload(it.text(*SERVICES), resolver=lambda service, reference: "value")


def report_of_workload(it: RandomCalls) -> object:
    """A report that answers the newest command."""
    mine = workload(it)
    waiting = mine.commands()
    return mine.report(
        state=it.text("running", "failed", "starting"), version=it.text("", "1.0"), detail=it.text("", "warm"),
        command=waiting[-1] if waiting else None, outcome=it.text("done", "failed", "ignored"),
    )  # fmt: skip


def result(it: RandomCalls) -> object:
    """What became of the best route."""
    route = it.cluster.routes.best(it.text(*NAMES), channel="interactive")
    return it.cluster.routes.result(
        it.absurd() if route is None else route, ok=it.flag(), reason=it.text("timeout", "refused"), **it.context()
    )


def activation(it: RandomCalls) -> object:
    """The six steps, one by one."""
    with it.cluster.activation(it.text(*SCOPES), source=it.text("mirror")) as step:
        step.stage(it.document())
        step.verify()
        return step.commit(**it.context())


def rows(it: RandomCalls) -> Any:
    """Observations: answers, losses, and now and then neither."""
    if it.random.random() < 0.05:
        return [it.absurd()]
    answered = [(it.text(*NAMES), it.number(0, 500)) for _row in range(it.random.randrange(30))]
    lost = [(it.text(*NAMES), None, it.text("timeout", "refused")) for _row in range(it.random.randrange(10))]
    return [*answered, *lost]


def artifact(it: RandomCalls) -> Any:
    """A signed reference to an artifact, or something else."""
    signed = it.fabric.artifact(make_reference("agent", it.random.randrange(1, 9), CONTENT))
    return signed if it.random.random() < 0.7 else it.absurd()


CALLS: dict[str, Call] = {
    "activate": lambda it: it.cluster.activate(it.document(), source=it.text("mirror"), **it.context()),
    "activate_all": lambda it: it.cluster.snapshots.activate_all([it.document(), it.document()]),
    "activation": activation,
    "allows": lambda it: it.cluster.allows(it.random.choice([*Operation, it.absurd()])),
    "check": lambda it: it.cluster.snapshots.check(it.document(), scope=it.text("peers", "routes")),
    "checkpoint": lambda it: it.cluster.checkpoint(),
    "digest": lambda it: it.cluster.digest(),
    "expire": lambda it: it.cluster.expire(**it.context()),
    "flush": lambda it: it.cluster.flush(),
    "health.contact": lambda it: it.cluster.health.contact(it.text(*PARTIES), ok=it.flag(), **it.context()),
    "health.degraded": lambda it: it.cluster.health.enter_degraded(
        it.text("disk", f"reason {it.random.randrange(100)}"), safe_until_us=it.random.choice([None, it.whole(0, 2**50)]), **it.context()
    ),
    "health.heartbeat": lambda it: it.cluster.health.heartbeat_sent(it.cluster.health.heartbeat(), **it.context()),
    "health.leave": lambda it: it.cluster.health.leave_degraded(it.text("disk", "no-contact"), **it.context()),
    "health.partition": lambda it: it.cluster.health.partition(
        it.text("storage", f"flag-{it.random.randrange(100)}"), on=it.flag(), **it.context()
    ),
    "health.pressure": lambda it: it.cluster.health.pressure(disk=it.whole(0, 1000), memory=it.whole(0, 1000), **it.context()),
    "hints.get": lambda it: it.cluster.hints.get(it.text("a", "b")),
    "hints.put": lambda it: it.cluster.hints.put(
        it.text("a", f"key-{it.random.randrange(20)}"), it.text("v", "w" * 60), ttl_s=it.number(1, 500), **it.context()
    ),
    "identity.enroll": lambda it: it.cluster.identity.enroll(certificate=it.certificate(), source=it.text("mirror"), **it.context()),
    "identity.request": lambda it: it.cluster.identity.request(node_id=it.text("node-1"), membership_id=it.text("m-1")),
    "identity.status": lambda it: it.cluster.identity.status(),
    "next_deadline": lambda it: it.cluster.next_deadline(),
    "note": lambda it: it.cluster.note(it.text("a remark", "another"), **it.context()),
    "peers.get": lambda it: it.cluster.peers.get(it.text(*NAMES)),
    "peers.observe": lambda it: it.cluster.peers.observe(it.text(*NAMES), rtt_ms=it.number(0, 900)),
    "peers.observe a loss": lambda it: it.cluster.peers.observe(it.text(*NAMES), failure=it.text("timeout", "refused")),
    "peers.observe_many": lambda it: it.cluster.peers.observe_many(rows(it)),
    "routes.best": lambda it: it.cluster.routes.best(it.text(*NAMES), channel=it.text("interactive", "default")),
    "routes.result": result,
    "routes.review": lambda it: it.cluster.routes.review(everything=it.flag(), **it.context()),
    "services.assigned": lambda it: it.cluster.services.assigned(),
    "services.command": lambda it: it.cluster.services.command(it.text(*SERVICES), it.text("start", "stop"), **it.context()),
    "services.report": lambda it: it.cluster.services.report(
        it.text(*SERVICES), state=it.text("running", "failed"), version=it.text("", "1.0"), detail=it.text(""), **it.context()
    ),
    "snapshots.scope": lambda it: it.cluster.snapshots.scope(it.text(*SCOPES)),
    "snapshots.take_head": lambda it: it.cluster.snapshots.take_head(
        it.random.choice([it.fabric.head(), it.fabric.head(), it.absurd()]), **it.context()
    ),
    "status": lambda it: it.cluster.status(),
    "store.cluster": lambda it: it.kit.store.cluster(it.text(CLUSTER)),
    "store.join": lambda it: it.kit.store.join(
        it.text("other", "x y"), bundle=it.random.choice([it.foreign.bootstrap, it.absurd()]), expect=it.text(it.foreign.fingerprint)
    ),
    "store.leave": lambda it: it.kit.store.leave(it.text("other", "nobody"), reason=it.text("test")),
    "store.report": lambda it: it.kit.store.report(),
    "subscribe": lambda it: it.cluster.subscribe(lambda delivered: None, after=it.random.choice([None, it.absurd()])).cancel(),
    "sweep": lambda it: it.cluster.sweep(),
    "telemetry.ack": lambda it: it.cluster.telemetry.ack(it.whole(0, 50), **it.context()),
    "telemetry.drain": lambda it: it.cluster.telemetry.drain(count_max=it.whole(0, 10), bytes_max=it.whole(0, 2000)),
    "telemetry.record": lambda it: it.cluster.telemetry.record(it.text("relay"), it.text("a line", "z" * 300), **it.context()),
    "tick": lambda it: it.cluster.tick(),
    "trust.update": lambda it: it.cluster.trust.update(it.newer_bundles(), source=it.text("mirror"), **it.context()),
    "updates.activate": lambda it: it.cluster.updates.activate(it.text("agent"), **it.context()),
    "updates.confirm": lambda it: it.cluster.updates.confirm(it.text("agent"), **it.context()),
    "updates.roll_back": lambda it: it.cluster.updates.roll_back(it.text("agent"), reason=it.text("broken"), **it.context()),
    "updates.stage": lambda it: it.cluster.updates.stage(artifact(it), source=it.text("mirror"), **it.context()),
    "updates.subject": lambda it: it.cluster.updates.subject(it.text("agent")),
    "updates.verify": lambda it: it.cluster.updates.verify_artifact(
        it.text("agent"), it.random.choice([CONTENT, CONTENT, b"bytes", it.absurd()]), **it.context()
    ),
    "view": lambda it: it.cluster.view(),
    "workload.commands": lambda it: workload(it).commands(),
    "workload.config": lambda it: workload(it).config(),
    "workload.report": report_of_workload,
    "workload.secret": lambda it: workload(it).secret(it.text("secret:db", "secret:db", "secret:other")),
    "workload.wait_config": lambda it: workload(it).wait_config(after=workload(it).config(), timeout_s=0),
}  # fmt: skip
