"""What the tests of the command stand on: calling it in this process, and a store on disk whose history is always the same.

`make_store` writes a cluster's history by a clock that the test drives, so that LSNs and times are known.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rap_journal.clock import Clock
from rap_journal.testing import ManualClock, SeededRandomness
from rap_projections import History, NodeStore, Policy
from rap_projections.cluster import ClusterState
from rap_projections.event_kinds import event_of
from rap_projections.keys import FileKeyProvider
from rap_projections.testing import Fabric
from rap_tools.main import run_command

CLUSTER = "lab"
PEERS = tuple(f"node-{number}" for number in range(8))
ISSUED_AT = "2027-01-15T08:00:00Z"
"""When `Fabric` issues its documents unless told otherwise."""

NODE_TIME = "2026-01-01T00:00:00Z"
"""When the clock of the tests starts."""


class Result(NamedTuple):
    """What a call of the command came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The object on standard output."""
        return json.loads(self.out)

    def lines(self) -> list[dict[str, Any]]:
        """The objects on standard output, a line each."""
        return [json.loads(line) for line in self.out.splitlines()]

    def error(self) -> Any:
        """The error object on standard error."""
        return json.loads(self.err)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class BytesBehindText(io.TextIOWrapper):
    """A stream of text that bytes can be written to as well, as standard output is."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8")


class Disk(NamedTuple):
    """A store on disk, its key, and the clock by which it was written."""

    root: Path
    key_file: Path
    clock: ManualClock
    fabric: Fabric

    def rap_state(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        stream: io.StringIO | None = None,
        pause: Callable[[float], object] = lambda seconds: None,
        sealed: bool = False,
    ) -> Result:
        """Call the command on this store; `sealed`: without its key."""
        around = {
            "RAP_STATE_DIR": str(self.root),
            **({} if sealed else {"RAP_STATE_KEY_FILE": str(self.key_file)}),
            **(environment or {}),
        }
        return rap_state(*arguments, environment=around, stream=stream, clock=self.clock, pause=pause)

    def open(self, *, create: bool = False, seed: int = 1) -> NodeStore:
        """Open the store for writing."""
        return NodeStore.open(
            self.root, keys=FileKeyProvider(self.key_file), clock=self.clock, randomness=SeededRandomness(seed), background=False,
            create=create, policy=Policy(),
        )  # fmt: skip


def rap_state(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stream: io.StringIO | None = None,
    clock: Clock | None = None,
    pause: Callable[[float], object] = lambda seconds: None,
) -> Result:
    """Call the command in this process."""
    out, errors = stream if stream is not None else io.StringIO(), io.StringIO()
    code = run_command(arguments, environment=environment or {}, stream=out, errors=errors, clock=clock, pause=pause)
    return Result(code, out.getvalue(), errors.getvalue())


def new_disk(folder: Path) -> Disk:
    """Where a store will be, and its clock."""
    return Disk(folder / "node", folder / "node.key", ManualClock(), Fabric(CLUSTER))


def make_store(folder: Path) -> Disk:
    """A store with one cluster: five documents, two rounds of observations a minute apart, a checkpoint, and some decisions."""
    disk = new_disk(folder)
    with disk.open(create=True) as store:
        cluster = store.join(CLUSTER, bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
        activate_all(cluster, disk.fabric)
        for round_number in range(2):
            observe(cluster, round_number)
            disk.clock.advance(seconds=60)
        cluster.checkpoint()
        reason = cluster.health.enter_degraded("no control plane")
        cluster.health.partition("west", on=True, cause=reason, actor="operator", trace_id="trace-7")
        cluster.note("looking into it")
        cluster.flush()
    return disk


def activate_all(cluster: ClusterState, fabric: Fabric) -> None:
    """Activate a document of every scope."""
    cluster.activate(fabric.policy())
    cluster.activate(fabric.peers(PEERS))
    cluster.activate(fabric.routes([(peer, ()) for peer in PEERS]))
    cluster.activate(fabric.services(["svc-a"]))
    cluster.activate(fabric.updates(["agent"]))


def observe(cluster: ClusterState, round_number: int) -> None:
    """See every peer once; the last one does not answer."""
    cluster.peers.observe_many([(peer, 10.0 + index + round_number) for index, peer in enumerate(PEERS[:-1])])
    cluster.peers.observe(PEERS[-1], rtt_ms=None, failure="timeout")
    cluster.flush()


def all_bytes(root: Path) -> dict[str, bytes]:
    """Every file below `root` with its content."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def lsn_of(disk: Disk, kind: str, index: int = 0) -> int:
    """LSN of an event of this kind: the first one, or the one with this index."""
    with History.open(disk.root, keys=FileKeyProvider(disk.key_file)) as history:
        records = [record for record in history.cluster(CLUSTER).records() if type(event_of(record)).__name__ == kind]
    return records[index].lsn


def last_lsn(disk: Disk) -> int:
    """LSN of the last durable record."""
    with History.open(disk.root, keys=FileKeyProvider(disk.key_file)) as history:
        return history.cluster(CLUSTER).horizon.lsn


def lab_document(folder: Path, *arguments: str) -> bytes:
    """What `fabric` issues for the cluster, by way of a file named after its kind."""
    path = folder / arguments[0]
    time = () if "--issued-at" in arguments else ("--issued-at", ISSUED_AT)
    assert rap_state("fabric", *arguments, *time, "-c", CLUSTER, "-O", str(path)).code == 0
    return path.read_bytes()
