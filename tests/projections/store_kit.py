"""Stores to break: made ready in memory, crashed before every operation, and with bytes changed on their disk.

Example::

    for crash in crashed_at_every_operation(ready, lambda it: it.cluster.note("x")):
        crash.it.kit.open()
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from rap_journal.errors import NoSpace
from rap_journal.filesystem import Directory
from rap_journal.inventory import take_inventory
from rap_journal.markers import read_marker
from rap_journal.records import Record
from rap_journal.testing import ManualClock, MemoryFileSystem, SeededRandomness, SimulatedCrash, Survival
from rap_journal.walk import Walk
from rap_projections import ClusterState, NodeStore
from rap_projections.event_kinds import Event
from rap_projections.health_events import PartitionFlagged
from rap_projections.journaled_state import JournaledState
from rap_projections.policy import Policy
from rap_projections.store_folders import StoreFolders
from rap_projections.store_making import make_store
from rap_projections.testing import Fabric, MemoryKeyProvider, MemoryStore, memory_store
from rap_projections.testing.memory_store import ROOT

CLUSTER = "lab"
FOLDER = f"clusters/{CLUSTER}"


POLICY = Policy(segment_bytes_max=8192, quarantine_bytes_max=10_000, batch_delay_ms=7)
"""An operator's limits that are none of the defaults."""


def store_in(root: Directory, seed: int = 0) -> StoreFolders:
    """The folders of an empty store, made in `root`."""
    keys, clock, randomness = MemoryKeyProvider(), ManualClock(), SeededRandomness(seed)
    make_store(root, keys, clock, randomness)
    return StoreFolders(root, read_marker(root).marker.store_id, keys, POLICY, clock, randomness)


class Ready(NamedTuple):
    """A store with one cluster, and who issues for it."""

    kit: MemoryStore
    fabric: Fabric

    @property
    def cluster(self) -> ClusterState:
        """The cluster, as the store has it open now."""
        return self.kit.store.cluster(self.fabric.cluster_id)


def ready(*, policy: Policy | None = None, seed: int = 0) -> Ready:
    """A store that has joined the cluster "lab" and nothing more."""
    it = Ready(memory_store(policy=policy, seed=seed), Fabric(CLUSTER))
    it.kit.join(it.fabric)
    return it


def furnished(*, policy: Policy | None = None) -> Ready:
    """A store whose cluster has a document in every scope, an observation, a route, a report and a hint, all durable."""
    it = ready(policy=policy)
    cluster, fabric = it.cluster, it.fabric
    permits = fabric.policy(fallback_allowed=True, high_risk_operations=("resolve_secret", "start_service"))
    for document in (
        permits, fabric.peers(["node-1", "node-2"]), fabric.routes([("node-1", []), ("node-1", ["node-2"]), ("node-2", [])]),
        fabric.services(["svc-a", "svc-b"]), fabric.updates(["agent"]),
    ):  # fmt: skip
        cluster.activate(document)
    cluster.peers.observe_many([("node-1", 10.0), ("node-2", 20.0), ("node-2", None, "timeout")])
    cluster.services.report("svc-a", state="running", version="1.0.0")
    cluster.hints.put("last-relay", "node-2", ttl_s=600)
    cluster.telemetry.record("relay", "queue length 12")
    cluster.flush()
    cluster.routes.review(everything=True)
    cluster.flush()
    return it


class Crash(NamedTuple):
    """A store whose process ended before operation number `at` of the work; `finished` says that the work was done before."""

    at: int
    it: Ready
    finished: bool


def crashed_at_every_operation(
    prepare: Callable[[], Ready], work: Callable[[Ready], object], *, survival: Callable[[int], Survival] | None = None
) -> Iterator[Crash]:
    """Let the process end, by a power cut, before every operation of `work` in turn; nothing unsynced survives unless `survival` says so."""
    for at in count():
        it = prepare()
        it.kit.filesystem.crash_after(at)
        finished = True
        try:
            work(it)
        except SimulatedCrash:
            finished = False
        it.kit.filesystem = it.kit.filesystem.crash(survival(at) if survival else None)
        it.kit.clock.reboot()
        yield Crash(at, it, finished)
        if finished:
            return


def written(it: Ready, after: int = 0) -> list[Record]:
    """Every record of the cluster's journal after LSN `after`."""
    return [record for record in it.cluster._core.history_after(after) if record.lsn > after]


def files(filesystem: MemoryFileSystem, prefix: str = "") -> dict[str, bytes]:
    """Content of every file below the store's root whose path starts with `prefix`."""
    return {path: content for path, content in _walk(filesystem.open_root(ROOT), "") if path.startswith(prefix)}


def names(filesystem: MemoryFileSystem, prefix: str = "", *, part: str = "") -> list[str]:
    """Paths of the files that start with `prefix` and have `part` in their name, sorted."""
    return [path for path in sorted(files(filesystem, prefix)) if part in path.rpartition("/")[2]]


def folder(filesystem: MemoryFileSystem, path: str) -> Directory:
    """The folder at `path` below the store's root; the root itself for an empty path."""
    directory: Directory = filesystem.open_root(ROOT)
    for name in filter(None, path.split("/")):
        directory = directory.directory(name)
    return directory


def write_file(filesystem: MemoryFileSystem, path: str, content: bytes) -> None:
    """Make `content` what the file at `path` durably holds."""
    parent, _, name = path.rpartition("/")
    directory = folder(filesystem, parent)
    with directory.open(name, writable=True) if directory.status(name) else directory.create(name) as file:
        file.truncate(len(content))
        file.write_at(0, content)
        file.sync()
    directory.sync()


def destroy(filesystem: MemoryFileSystem, prefix: str, *, part: str = "") -> None:
    """Overwrite every file that starts with `prefix` and has `part` in its name with zeros, durably."""
    for path in names(filesystem, prefix, part=part):
        write_file(filesystem, path, bytes(len(files(filesystem, path)[path])))


def flip_bit(filesystem: MemoryFileSystem, path: str, offset: int = -1) -> None:
    """Change one bit of the byte at `offset` of a file, durably."""
    content = bytearray(files(filesystem, path)[path])
    content[offset] ^= 1
    write_file(filesystem, path, bytes(content))


def fill(it: Ready) -> None:
    """Fill the disk, and the journal up to the reserve, which then is for what matters most alone."""
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    for text in (SeededRandomness(0)(2000).hex(), ""):
        with suppress(NoSpace):
            while True:
                it.cluster.telemetry.record("f", text)
                it.cluster.flush()


class FramePlace(NamedTuple):
    """Where a frame is, and what its header says."""

    path: str
    offset: int
    end: int
    first_lsn: int
    last_lsn: int
    is_strict: bool
    class_mask: int


def frames(filesystem: MemoryFileSystem, cluster: str = CLUSTER) -> list[FramePlace]:
    """All frames of a cluster's journal, in order."""
    home = folder(filesystem, f"clusters/{cluster}")
    journal = home.directory("journal")
    walk = Walk(journal, take_inventory(journal, read_marker(home).marker.journal_id), 0)
    return [
        FramePlace(
            f"clusters/{cluster}/journal/{segment.file.name}", frame.offset, frame.end, frame.header.first_lsn, frame.header.last_lsn,
            frame.header.is_strict, frame.header.class_mask,
        )
        for segment in walk
        for frame in segment.frames
    ]  # fmt: skip


def _walk(directory: Directory, path: str) -> Iterator[tuple[str, bytes]]:
    for name in directory.names():
        status = directory.status(name)
        inner = f"{path}/{name}" if path else name
        if status is not None and status.kind == "directory":
            yield from _walk(directory.directory(name), inner)
        elif status is not None:
            with directory.open(name) as file:
                yield inner, file.read_at(0, status.size)


def stopped(it: Ready) -> MemoryFileSystem:
    """The disk of the store, closed in order."""
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    return it.kit.filesystem


def membership(store: NodeStore) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether the cluster is open, what could not be opened, and what the agent lists."""
    is_open = CLUSTER in [cluster.id for cluster in store.clusters()]
    return is_open, tuple(store.unopened), store.agent.view().joined()


def core_of(it: Ready) -> JournaledState:
    return it.cluster._core


def flag(name: str, *, on: bool = True) -> tuple[Event, ...]:
    return (PartitionFlagged(name, on),)
