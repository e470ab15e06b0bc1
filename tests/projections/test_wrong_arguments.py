"""Every public call, every argument: a value of a type that it was not made for is the caller's mistake and changes nothing.

`CALLS` has one right call of everything there is to call. Each of its arguments in turn is replaced by values of other types. Whatever
comes out is an error of the store; where it is the caller's mistake, no byte on disk is another one than before; and of something
that fits nowhere, the message names the argument.
"""

import inspect
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_type_hints

import pytest

from rap_journal.errors import MisuseError, StateStoreError
from rap_projections import ClusterState, History, NodeStore, Operation, Policy
from rap_projections.agent_state import AgentState
from rap_projections.history import ClusterHistory
from rap_projections.snapshot_calls import Activation
from rap_projections.store_keys import StoreKeys
from rap_projections.testing.memory_store import ROOT, MemoryKeyProvider
from rap_projections.workload import Workload
from tests.projections.store_kit import Ready, files, furnished

WRONG: tuple[Any, ...] = (object(), None, 7, b"x", "x")
CONTEXT = {"cause": 1, "actor": "boss", "trace_id": "t-1"}

INNER: dict[str, set[str]] = {
    "ClusterState": {"backup_source", "close", "known_floors", "name_provider", "open", "raise_level", "rotate_data_key", "sweep", "tick"},
    "AgentState": {"backup_seed", "close", "execute", "name_provider", "open", "raise_level", "rotate_data_key"},
    "NodeStore": {"tick"},
    "Snapshots": {"commit", "drop_pending", "stage", "verify"},
    "ClusterHistory": {"close", "documents", "ledger", "load", "refresh", "state_at", "store"},
}  # fmt: skip
"""What is called by the store itself, or by the command, and by nobody else."""


class Call(NamedTuple):
    """A call that is right: how to get what it is a method of, its name, and its arguments."""

    owner: Callable[[Ready], Any]
    name: str
    arguments: Callable[[Ready], dict[str, Any]]


def _on(path: str) -> Callable[[Ready], Any]:
    def owner(it: Ready) -> Any:
        found: Any = it.cluster
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
        return found

    return owner


def _history(it: Ready) -> History:
    it.cluster.flush()
    return History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem)


def _opening(it: Ready) -> dict[str, Any]:
    it.kit.store.close()
    doors = {"clock": it.kit.clock, "filesystem": it.kit.filesystem, "randomness": bytes}
    return {"root": ROOT, "keys": it.kit.keys, "policy": Policy(), "create": False, "wait_s": 0, "background": False, **doors}


def _restoring(it: Ready) -> dict[str, Any]:
    it.kit.store.backup("/backup")
    doors = {"clock": it.kit.clock, "filesystem": it.kit.filesystem, "randomness": it.kit._randomness}
    return {
        "path": "/backup", "root": "/new", "keys": it.kit.keys, "recovery": None, "expect": None, "survivor": None, "survivor_keys": None,
        "policy": Policy(),
        "background": False, **doors,
    }  # fmt: skip


def _staged(it: Ready) -> Activation:
    step = it.cluster.activation("routes")
    step.stage(it.fabric.routes([("node-1", [])]))
    step.verify()
    return step


def _route(it: Ready) -> Any:
    return it.cluster.routes.best("node-1", channel="interactive")


CALLS = [
    Call(_on(""), "activate", lambda it: {"document": it.fabric.peers(["node-1"]), "source": "config", **CONTEXT}),
    Call(_on(""), "activation", lambda it: {"scope": "routes", "source": "config"}),
    Call(_on(""), "allows", lambda it: {"operation": Operation.RESOLVE_SECRET}),
    Call(_on(""), "because", lambda it: {"receipt": it.cluster.note("x"), "actor": "boss", "trace_id": "t-1"}),
    Call(_on(""), "expire", lambda it: dict(CONTEXT)),
    Call(_on(""), "note", lambda it: {"text": "x", **CONTEXT}),
    Call(_on(""), "require", lambda it: {"operation": Operation.RESOLVE_SECRET}),
    Call(
        _on(""), "reset", lambda it: {"what": "trust", "bundle": it.fabric.bootstrap, "expect": it.fabric.fingerprint, **CONTEXT}
    ),
    Call(_on(""), "subscribe", lambda it: {"callback": print, "kinds": {"RoutesSelected"}, "after": 1}),
    Call(_on(""), "validate_restore", lambda it: {"ticket": b"ticket", "source": "control-plane", **CONTEXT}),
    Call(_on(""), "view", lambda it: {"digest": True}),
    Call(_on(""), "workload", lambda it: {"service_id": "svc-a", "resolver": lambda service, reference: "value"}),
    Call(_on("peers"), "get", lambda it: {"peer": "node-1"}),
    Call(
        _on("peers"), "observe", lambda it: {"peer": "node-1", "rtt_ms": None, "failure": "timeout", "durable": False, **CONTEXT}
    ),
    Call(_on("peers"), "observe_many", lambda it: {"rows": [("node-1", 1.0)], "durable": False, **CONTEXT}),
    Call(_on("routes"), "best", lambda it: {"destination": "node-1", "channel": "interactive"}),
    Call(_on("routes"), "alternatives", lambda it: {"route": _route(it)}),
    Call(_on("routes"), "result", lambda it: {"route": _route(it), "ok": False, "reason": "timeout", **CONTEXT}),
    Call(_on("routes"), "review", lambda it: {"everything": True, **CONTEXT}),
    Call(_on("snapshots"), "activate", lambda it: {"document": it.fabric.peers(["node-1"]), "source": "config", **CONTEXT}),
    Call(_on("snapshots"), "activate_all", lambda it: {"documents": [it.fabric.peers(["node-1"])], "source": "x", **CONTEXT}),
    Call(_on("snapshots"), "check", lambda it: {"document": it.fabric.peers(["node-1"]), "scope": "peers"}),
    Call(_on("snapshots"), "scope", lambda it: {"scope": "peers"}),
    Call(_on("snapshots"), "take_head", lambda it: {"document": it.fabric.head(), "source": "config", **CONTEXT}),
    Call(lambda it: it.cluster.activation("routes"), "stage", lambda it: {"document": it.fabric.routes([("node-1", [])])}),
    Call(_staged, "commit", lambda it: dict(CONTEXT)),
    Call(
        _on("services"),
        "report",
        lambda it: {"service_id": "svc-a", "state": "running", "version": "1.0.1", "detail": "up", **CONTEXT},
    ),
    Call(_on("services"), "command", lambda it: {"service_id": "svc-a", "command": "restart", **CONTEXT}),
    Call(_on("identity"), "request", lambda it: {"node_id": "node-1", "membership_id": "m-1", **CONTEXT}),
    Call(_on("identity"), "enroll", lambda it: {"certificate": b"certificate", "source": "control-plane", **CONTEXT}),
    Call(_on("identity"), "renew", lambda it: dict(CONTEXT)),
    Call(_on("identity"), "confirm", lambda it: dict(CONTEXT)),
    Call(_on("identity"), "ssl_context", lambda it: {"purpose": ssl.Purpose.SERVER_AUTH}),
    Call(_on("trust"), "update", lambda it: {"bundles": it.fabric.next_bundle(), "documents": (), "source": "config", **CONTEXT}),
    Call(
        _on("trust"),
        "verify_peer",
        lambda it: {"chain": [b"x"], "node_id": "node-1", "purpose": ssl.Purpose.SERVER_AUTH, "source": "peer", **CONTEXT},
    ),
    Call(_on("updates"), "stage", lambda it: {"reference": it.fabric.artifact("agent"), "source": "config", **CONTEXT}),
    Call(_on("updates"), "subject", lambda it: {"subject": "agent"}),
    Call(_on("updates"), "verify_artifact", lambda it: {"subject": "agent", "artifact": b"bytes", **CONTEXT}),
    Call(_on("updates"), "activate", lambda it: {"subject": "agent", **CONTEXT}),
    Call(_on("updates"), "confirm", lambda it: {"subject": "agent", **CONTEXT}),
    Call(_on("updates"), "roll_back", lambda it: {"subject": "agent", "reason": "broken", **CONTEXT}),
    Call(_on("health"), "contact", lambda it: {"party": "control-plane", "ok": True, **CONTEXT}),
    Call(_on("health"), "pressure", lambda it: {"disk": 500, "memory": 500, "cpu": 500, **CONTEXT}),
    Call(_on("health"), "partition", lambda it: {"flag": "no-quorum", "on": True, **CONTEXT}),
    Call(_on("health"), "enter_degraded", lambda it: {"reason": "disk-failing", "safe_until_us": 1, **CONTEXT}),
    Call(_on("health"), "leave_degraded", lambda it: {"reason": "disk-failing", **CONTEXT}),
    Call(_on("health"), "heartbeat_sent", lambda it: {"beat": it.cluster.health.heartbeat(), **CONTEXT}),
    Call(_on("telemetry"), "record", lambda it: {"topic": "relay", "text": "queue length 12", **CONTEXT}),
    Call(_on("telemetry"), "drain", lambda it: {"count_max": 10, "bytes_max": 1000}),
    Call(_on("telemetry"), "ack", lambda it: {"through": 1, **CONTEXT}),
    Call(_on("hints"), "put", lambda it: {"key": "relay", "value": "node-2", "ttl_s": 60, **CONTEXT}),
    Call(_on("hints"), "get", lambda it: {"key": "last-relay"}),
    Call(
        lambda it: it.cluster.workload("svc-a"),
        "report",
        lambda it: {"state": "running", "version": "1.0.2", "detail": "", "command": None, "outcome": "done"},
    ),
    Call(lambda it: it.cluster.workload("svc-a"), "secret", lambda it: {"reference": "password:x"}),
    Call(
        lambda it: it.cluster.workload("svc-a"),
        "wait_config",
        lambda it: {"after": it.cluster.workload("svc-b").config(), "timeout_s": 0},
    ),
    Call(lambda it: it.kit.store, "cluster", lambda it: {"cluster_id": "lab"}),
    Call(lambda it: it.kit.store, "join", lambda it: {"cluster_id": "other", "bundle": b"x", "expect": "0" * 64}),
    Call(lambda it: it.kit.store, "leave", lambda it: {"cluster_id": "lab", "reason": "moved"}),
    Call(lambda it: it.kit.store, "backup", lambda it: {"path": "/backup", "recipient": bytes(32), "private_keys": False}),
    Call(lambda it: NodeStore, "open", _opening),
    Call(lambda it: NodeStore, "restore", _restoring),
    Call(lambda it: it.kit.store.agent, "diagnostic", lambda it: {"code": "disk-slow", "text": "x", "cluster": "lab", **CONTEXT}),
    Call(lambda it: it.kit.store.agent, "flag", lambda it: {"name": "fast", "on": True, **CONTEXT}),
    Call(
        lambda it: it.kit.store.agent,
        "update_engine",
        lambda it: {"name": "apt", "version": "2.7", "state": "ready", **CONTEXT},
    ),
    Call(lambda it: it.kit.store.keys, "add_slot", lambda it: {"provider": MemoryKeyProvider(b"o" * 32)}),
    Call(lambda it: it.kit.store.keys, "remove_slot", lambda it: {"which": "memory"}),
    Call(lambda it: it.kit.store.keys, "rotate_data_keys", lambda it: {"others": [MemoryKeyProvider(b"o" * 32)]}),
    Call(lambda it: History, "open", lambda it: {"root": ROOT, "keys": it.kit.keys, "filesystem": it.kit.filesystem}),
    Call(_history, "cluster", lambda it: {"cluster_id": "lab"}),
    Call(lambda it: _history(it).cluster("lab"), "at", lambda it: {"lsn": 3, "time": None, "digest": True}),
    Call(lambda it: _history(it).cluster("lab"), "lsn_at", lambda it: {"time": datetime(2026, 6, 1, tzinfo=UTC)}),
    Call(lambda it: _history(it).cluster("lab"), "records", lambda it: {"after": 0, "until": 3}),
]


def _names(call: Call) -> list[str]:
    it = furnished()
    owner = call.owner(it)
    return [type(owner).__name__ if not isinstance(owner, type) else owner.__name__, *call.arguments(it)]


def _use(made: Any) -> None:
    """Do what a caller does next with what was returned: some calls look at what they were given only then."""
    with ExitStack() as stack:
        if isinstance(made, NodeStore):
            made.close()
        elif inspect.isgenerator(made):
            list(made)
        elif hasattr(made, "__enter__"):
            stack.enter_context(made)


def _outcome(call: Callable[..., Any], arguments: dict[str, Any]) -> Exception | None:
    try:
        _use(call(**arguments))
    except (StateStoreError, OSError) as error:
        return error
    return None


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_no_argument_of_another_type_brings_out_anything_but_an_error_of_the_store_or_changes_anything(call: Call) -> None:
    for name in _names(call)[1:]:
        it = None
        for wrong in WRONG:
            if it is None:
                it = furnished()
                owner, arguments = call.owner(it), call.arguments(it)
                before = files(it.kit.filesystem)
            error = _outcome(getattr(owner, call.name), arguments | {name: wrong})
            if isinstance(error, MisuseError):
                assert files(it.kit.filesystem) == before, (name, wrong)
            else:
                # Something was done: what comes next begins with a store of its own.
                it = None
            if type(wrong) is object:
                assert isinstance(error, MisuseError), (name, error)
                assert name in str(error) or name.replace("_", " ") in str(error)
            # That a file is not there is said as the system says it, and so document the calls that take paths.
            assert not isinstance(error, OSError) or name in {"path", "root", "survivor", "filesystem"}, (name, wrong)


def test_every_public_call_with_arguments_is_among_them() -> None:
    owners = [NodeStore, ClusterState, AgentState, StoreKeys, Workload, Activation, History, ClusterHistory]
    owners += [kind for kind in get_type_hints(ClusterState).values() if inspect.isclass(kind)]
    there = {
        (owner.__name__, name)
        for owner in owners
        for name, call in inspect.getmembers(owner, callable)
        if not name.startswith("_") and len(inspect.signature(call).parameters) > ("self" in inspect.signature(call).parameters)
        if name not in INNER.get(owner.__name__, ())
    }
    assert there - {(_names(call)[0], call.name) for call in CALLS} == set()


def takes_words(call: Call) -> bool:
    """Whether the call takes cause, actor and trace id, and so any word at all as far as Python is concerned."""
    function = getattr(call.owner(furnished()), call.name)
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(function).parameters.values())


@pytest.mark.parametrize("call", [call for call in CALLS if takes_words(call)], ids=lambda call: call.name)
def test_a_misspelt_argument_is_a_mistake_and_not_passed_over(call: Call) -> None:
    """Mutation: without the check, ``observe(..., durabel=True)`` is taken, and nothing is durable."""
    it = furnished()
    owner, arguments = call.owner(it), call.arguments(it)
    before = files(it.kit.filesystem)
    with pytest.raises(MisuseError, match="there is no argument 'durabel'"):
        _use(getattr(owner, call.name)(**arguments, durabel=True))
    assert files(it.kit.filesystem) == before
