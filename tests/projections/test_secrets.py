"""No secret is found where it should not be: on disk, in what objects show of themselves, in errors, and in logs (trust, 20).

The secrets are those of a working store, taken out of its memory: the provider's key, data keys, derived keys and the identity's private
key; and those that somebody plants in documents, configuration, telemetry, a resolver and the environment.
"""

import ast
import copy
import errno
import logging
import pickle
from collections.abc import Iterator
from contextlib import suppress
from traceback import format_exception
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from rap_journal.deterministic_cbor import decode_own
from rap_journal.errors import StateStoreError
from rap_journal.sealing import KeyRing, Purpose
from rap_projections import ClusterState, History
from rap_projections.event_kinds import IDENTITY
from rap_projections.policy import Policy
from rap_projections.refusals import RefusedError
from rap_projections.testing.entries import make_peer, make_service
from rap_projections.testing.furnishing import furnish
from rap_projections.testing.memory_store import ROOT
from rap_projections.testing.wounds import WOUNDS
from tests.canary import Canary, holders, reachable
from tests.conftest import Tally
from tests.project.source_files import FOLDERS, imports_of, python_files, relative, tree_of
from tests.projections.store_kit import Ready, files, ready

PLANTED = {
    "in a document": b"hunter2-in-a-document",
    "in telemetry": b"hunter2-in-telemetry",
    "in a hint": b"hunter2-in-a-hint",
    "from the resolver": b"hunter2-from-the-resolver",
    "in the environment": b"hunter2-in-the-environment",
    "in the configuration": b"hunter2-in-the-configuration",
}


def text(name: str) -> str:
    return PLANTED[name].decode()


def keys_in(store: object) -> dict[str, bytes]:
    """Every data key and derived key that a store holds in memory."""
    rings = [value for value in reachable(store) if isinstance(value, KeyRing)]
    held = {key for ring in rings for key in (*ring._keys.values(), *ring._purposes.values())}
    return {f"key {number}": key for number, key in enumerate(sorted(held))}


def private_key_of(cluster: ClusterState) -> dict[str, bytes]:
    """The private key of the identity: as DER, and the number in it."""
    key = cluster.view().identity.key
    assert key is not None
    sealed = cluster._core.load(IDENTITY, bytes.fromhex(key.reference.removeprefix("sealed:")), purpose=Purpose.IDENTITY)
    secret = bytes(decode_own(sealed)[0])
    number: Any = load_der_private_key(secret, None)
    return {"private key, DER": secret, "private key": number.private_numbers().private_value.to_bytes(32, "big")}


def lived() -> Ready:
    """A store that did everything once, with a secret wherever one can be put."""
    it = ready()
    furnish(it.kit.store, it.fabric)
    it.cluster.telemetry.record("probe", text("in telemetry"))
    it.cluster.hints.put("token", text("in a hint"), ttl_s=600)
    leak = make_service("svc-a")._replace(resource_refs=(f"password:{text('in a document')}",))
    endpoint = make_peer("node-1")._replace(endpoints=(f"quic://user:{text('in a document')}@host.example:4433",))
    for document in (it.fabric.services([leak]), it.fabric.peers([endpoint])):
        with suppress(RefusedError):
            it.cluster.activate(document)
    with suppress(StateStoreError):
        Policy.from_toml(f'peers_max = "{text("in the configuration")}"')
    it.cluster.checkpoint()
    it.cluster.flush()
    return it


def secrets_of(it: Ready) -> dict[str, bytes]:
    held = keys_in(it.kit.store)
    assert len(held) >= 4, "data keys of store and cluster, and keys derived from them"
    return {"provider's key": it.kit.keys.key_encryption_key()} | held | private_key_of(it.cluster) | PLANTED


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Ready:
    monkeypatch.setenv("RAP_STATE_TOKEN", text("in the environment"))
    return lived()


def test_no_secret_is_in_any_file_of_a_store(life: Ready, tally: Tally) -> None:
    """Also after a crash, a reopening and a close in order. Mutation: store an identity's key or a hint without sealing it."""
    canary, found, looked = Canary(secrets_of(life)), [], 0
    life.kit.kill()
    life.cluster.telemetry.record("probe", text("in telemetry"))
    life.kit.store.close()
    for name, content in files(life.kit.filesystem).items():
        looked += 1
        found += [f"{name}: {what}" for what in canary.found_in(name) + canary.found_in(content)]
    assert found == []
    tally("secrets, files of a store", {"looked through": looked, "secrets": len(canary.names)})


PRIVATE_TO_THE_NODE = ("in telemetry", "in a hint")
"""What the agent keeps for itself is shown to whoever asks the store for it: it is state, and no key."""


def test_no_object_of_an_open_store_shows_a_secret(life: Ready, tally: Tally) -> None:
    """Every object of our own types that can be reached. Mutation: drop the repr of a key's holder."""
    canary = Canary({name: secret for name, secret in secrets_of(life).items() if name not in PRIVATE_TO_THE_NODE})
    store, cluster = life.kit.store, life.cluster
    history = History.open(ROOT, keys=life.kit.keys, filesystem=life.kit.filesystem)
    shown = list(reachable(store, cluster, history, cluster.view(), cluster.status(), store.report()))
    shown += [life.kit.keys, *history.cluster(life.fabric.cluster_id).records(), *dict.fromkeys(map(type, shown))]
    assert canary.found_in_shown(shown) == []
    assert len({type(value) for value in shown}) > 100
    tally("secrets, repr and str of objects", {"shown": len(shown), "types": len({type(value) for value in shown})})


def test_every_object_that_holds_a_key_is_neither_pickled_nor_copied(life: Ready) -> None:
    """A pickle of a journal's key ring held all its keys; a copy of a provider in memory held the key of the store."""
    secrets = [secret for name, secret in secrets_of(life).items() if name not in PLANTED]
    found = holders(
        secrets, life.kit.store, life.kit.keys, History.open(ROOT, keys=life.kit.keys, filesystem=life.kit.filesystem)
    )
    assert {type(value).__name__ for value in found} == {"KeyRing", "MemoryKeyProvider"}
    for value in found:
        for leave in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="holds secrets and cannot be copied or pickled"):
                leave(value)


def test_no_report_or_status_shows_what_the_agent_keeps_for_itself(life: Ready) -> None:
    canary = Canary(secrets_of(life))
    store, cluster = life.kit.store, life.cluster
    assert canary.found_in_shown([cluster.status(), store.report(), cluster.recovery]) == []


def test_a_secret_from_the_resolver_is_handed_over_and_kept_nowhere() -> None:
    """Mutation: record the answer, or keep it to answer the same question again."""
    it = ready()
    furnish(it.kit.store, it.fabric)
    it.cluster.activate(it.fabric.services([make_service("svc-a")._replace(resource_refs=("secret:db",))]))
    handle = it.cluster.workload("svc-a", resolver=lambda _service, _reference: text("from the resolver"))
    assert handle.secret("secret:db") == text("from the resolver")
    it.cluster.flush()
    canary = Canary({"from the resolver": PLANTED["from the resolver"]})
    assert canary.found_in(b"\n".join(files(it.kit.filesystem).values())) == []
    assert canary.found_in_shown(reachable(it.kit.store, it.cluster, handle)) == []
    assert canary.found_in_shown(it.cluster._core.history_after(0)) == []


def faults() -> Iterator[tuple[str, str, int]]:
    """Operations that fail, on every kind of file."""
    for operation in ("open", "read", "write", "sync", "create", "rename", "sync_directory"):
        for number in (errno.EIO, errno.ENOSPC, errno.EACCES):
            for path in ("*", "*identity*", "*trust*", "*snapshots*", "*.key*", "*WITNESS*"):
                yield operation, path, number


def errors_of_faults(it: Ready) -> Iterator[BaseException]:
    """What is raised while every kind of operation fails in turn."""
    image = it.kit.filesystem.image
    for operation, path, number in faults():
        it.kit.filesystem = image()
        it.kit.filesystem.fail(operation, path, number, times=None)
        try:
            it.kit.open()
            it.cluster.telemetry.record("probe", text("in telemetry"))
            it.cluster.activate(it.fabric.peers(["node-1"]))
            it.cluster.identity.request(node_id="node-9", membership_id="m-9")
        except (StateStoreError, OSError) as error:
            yield error


def shown_of(error: BaseException) -> str:
    """All that an error shows: traceback, the errors behind it, their attributes, and what is suppressed as well."""
    lines = format_exception(error)
    behind: BaseException | None = error
    while behind is not None:
        lines.append(f"{behind!r} {behind} {vars(behind)!r}")
        behind = behind.__cause__ or behind.__context__
    return "\n".join(lines)


def test_no_error_raised_under_faults_shows_a_secret(life: Ready, tally: Tally) -> None:
    """Mutation: quote bytes in the message of an error about them."""
    canary = Canary(secrets_of(life))
    life.kit.store.close()
    errors = list(errors_of_faults(life))
    assert [what for error in errors for what in canary.found_in(shown_of(error))] == []
    assert len(errors) > 20
    tally("secrets, errors under faults", {"shown": len(errors), "types": len({type(error) for error in errors})})


@pytest.mark.parametrize("name", WOUNDS)
def test_no_error_or_report_about_a_wound_shows_a_secret(name: str) -> None:
    it = lived()
    canary = Canary(secrets_of(it))
    shown = [repr(it.kit.wound(name)), repr(it.kit.store.report())]
    try:
        cluster = it.cluster
        cluster.activate(it.fabric.peers(["node-1"]))
        shown += [repr(cluster.status()), repr(cluster.recovery)]
    except StateStoreError as error:
        shown.append(shown_of(error))
    assert canary.found_in("\n".join(shown)) == []


@pytest.mark.parametrize("setting", ['peers_max = "{}"', 'high_risk_operations = ["{}"]', "peers_max = {}", '"{}'])
def test_a_secret_in_the_configuration_is_not_repeated(setting: str) -> None:
    """Mutation: quote the value in the message."""
    canary = Canary({"secret": PLANTED["in the configuration"]})
    for content in (
        setting.format(text("in the configuration")),
        setting.format(text("in the configuration")).encode() + b"\xff",
    ):
        with pytest.raises(StateStoreError) as caught:
            Policy.from_toml(content)
        assert canary.found_in(shown_of(caught.value)) == []


@pytest.mark.parametrize("document", ["services", "peers"])
def test_a_secret_in_a_document_is_not_repeated_by_its_refusal(document: str) -> None:
    it = ready()
    leak = make_service("svc-a")._replace(resource_refs=(f"password:{text('in a document')}",))
    endpoint = make_peer("node-1")._replace(endpoints=(f"quic://user:{text('in a document')}@host.example:4433",))
    data = it.fabric.services([leak]) if document == "services" else it.fabric.peers([endpoint])
    with pytest.raises(RefusedError) as caught:
        it.cluster.activate(data)
    canary = Canary({"secret": PLANTED["in a document"]})
    assert canary.found_in(shown_of(caught.value)) == []
    assert canary.found_in_shown(it.cluster._core.history_after(0)) == []


def test_nothing_is_logged_in_a_whole_life(caplog: pytest.LogCaptureFixture) -> None:
    """Not by the libraries underneath either. Mutation: log anything."""
    caplog.set_level(logging.NOTSET)
    it = lived()
    it.kit.kill()
    it.kit.store.close()
    assert caplog.records == []


def test_no_module_can_log_or_print_or_warn() -> None:
    """What cannot be logged cannot leak: the core has no logger, and only the command prints. One module filters what the agent logs."""
    forbidden = {"logging", "warnings", "syslog"}
    importing = [
        relative(path)
        for path in python_files(*FOLDERS)
        for found in imports_of(path)
        if found.module.partition(".")[0] in forbidden and path.name != "log_filter.py"
    ]
    printing = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files("rap_journal", "rap_projections")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Name) and node.id == "print"
    ]
    assert (importing, printing) == ([], [])
