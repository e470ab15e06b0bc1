"""A store from which any one file or folder is missing, or in which one file is empty: it is found, told, and mended where it can be.

Every file and folder of a store with two clusters goes in turn. One cluster ran for a while and has two checkpoint sets; the other is young
and has only those at LSN 0, and a document that is too large for a second copy. The tables below say what is allowed to be otherwise, and why.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any, NamedTuple

import pytest

from rap_journal.errors import StateStoreError
from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.trees import remove_tree
from rap_journal.verify_report import VerifyReport
from rap_projections import ClusterState, ClusterView, NodeStore
from rap_projections.store_verification import verify_whole_store
from rap_projections.testing import Fabric, MemoryKeyProvider, MemoryStore, furnish, memory_store
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import files, folder, write_file

OLD, YOUNG = "old", "young"
Table = dict[str, str]

NOT_FOUND: dict[str, Table] = {
    "removed": {
        "LOCK": "it is made again by whoever takes the lock, and says nothing while nobody holds it",
        "*/journal/spare": "zeros, made again",
        "*/*/journal/spare": "the same",
        "clusters/old/*/checkpoint-*": "another checkpoint of the class serves, and a crash leaves the same",
    },
    "emptied": {
        "LOCK": "empty is what it is after a clean close",
        "*/journal/spare": "zeros, however many; made again",
        "*/*/journal/spare": "the same",
    },
    "folder": {"tmp": "nothing in it means anything; made again"},
}
"""What verification with the key does not mind."""

REFUSED: Table = {
    "MARKER": "nothing says whose store it is",
    "clusters": "all clusters are gone, and an empty folder in its place would look like a store that never had one",
}
"""Without these no store is opened, and nothing is touched."""

UNOPENED: Table = {
    "clusters/*": "the cluster is gone",
    "clusters/*/MARKER": "nothing says whose folder it is",
    "clusters/*/WITNESS": "nothing says what was durable, and floors may be lost",
    "clusters/*/journal": "every record is gone",
}
"""Without these a cluster is not opened."""

FAILS_CLOSED: Table = {
    "clusters/young/identity/checkpoint-*": "what does not read back of identity fails closed until it is reset (spec 8, step 7)",
    "clusters/young/trust/checkpoint-*": "the same of trust",
    "clusters/*/identity": "the same, and the private key is gone",
    "clusters/*/trust": "the same",
    "clusters/*/identity/document-*": "the private key, of which there is one copy",
    "clusters/*/journal/*-*": "a segment with records of trust behind the checkpoints",
}
"""What may cost a cluster more than a cache: then it fails closed, and says so."""

LOSES: Table = {
    "clusters/*/snapshots/document-*": "a previous document has no second copy, nor has a large one",
    "clusters/*/snapshots": "the same",
}
"""What may cost the state something, and must be told."""

STAYS: dict[str, Table] = {
    "removed": {"*/journal/*-*": "history is gone", "*/*/journal/*-*": "the same"},
    "emptied": {
        "*/journal/*-*": "history is gone",
        "*/*/journal/*-*": "the same",
        "clusters/*/snapshots/document-*": "one without a second copy lies there until it is swept",
        "clusters/*/*/checkpoint-*": "one that no opening asks for is the scrub's to find",
    },
    "folder": {},
}
"""Damage that an opening does not end."""


class Sound(NamedTuple):
    """A store that was closed in order, and what it was."""

    kit: MemoryStore
    views: dict[str, ClusterView]
    files: list[str]
    folders: list[str]


@pytest.fixture(scope="module")
def sound() -> Sound:
    kit = memory_store()
    furnish(kit.store, Fabric(OLD))
    young = Fabric(YOUNG)
    cluster = kit.join(young)
    cluster.identity.enroll(certificate=young.certificate(cluster.identity.request(node_id="node-1", membership_id="m-1")))
    for document in (young.policy(), young.peers(["node-1"]), young.routes([("node-1", [])]), young.services(["svc-a"])):
        cluster.activate(document)
    directory = young.peers([f"node-{number:05}" for number in range(900)])
    assert len(directory) > INLINE_DOCUMENT_BYTES_MAX
    cluster.activate(directory)
    for each in kit.store.clusters():
        each.flush()
    views = {each.id: each.view() for each in kit.store.clusters()}
    kit.store.close()
    return Sound(kit, views, sorted(files(kit.filesystem)), sorted(folders_of(kit.filesystem)))


def folders_of(filesystem: MemoryFileSystem, path: str = "") -> Iterator[str]:
    directory = folder(filesystem, path)
    for name in directory.names():
        status = directory.status(name)
        if status is not None and status.kind == "directory":
            inner = f"{path}/{name}" if path else name
            yield inner
            yield from folders_of(filesystem, inner)


def remove_file(filesystem: MemoryFileSystem, path: str) -> None:
    parent, _, name = path.rpartition("/")
    directory = folder(filesystem, parent)
    directory.unlink(name)
    directory.sync()


def empty_file(filesystem: MemoryFileSystem, path: str) -> None:
    write_file(filesystem, path, b"")


def remove_folder(filesystem: MemoryFileSystem, path: str) -> None:
    parent, _, name = path.rpartition("/")
    directory = folder(filesystem, parent)
    remove_tree(directory, name)
    directory.sync()


HURTS: dict[str, tuple[Callable[[MemoryFileSystem, str], None], Callable[[Sound], list[str]]]] = {
    "removed": (remove_file, lambda sound: sound.files),
    "emptied": (empty_file, lambda sound: sound.files),
    "folder": (remove_folder, lambda sound: sound.folders),
}


class Case:
    """The store with one thing gone."""

    def __init__(self, sound: Sound, hurt: str, path: str) -> None:
        self.sound, self.hurt, self.path = sound, hurt, path
        self.filesystem = sound.kit.filesystem.image()
        self.randomness = SeededRandomness(99)
        HURTS[hurt][0](self.filesystem, path)

    def verify(self) -> VerifyReport:
        return verify_whole_store(self.filesystem.open_root(ROOT), keys=MemoryKeyProvider())

    def open(self) -> NodeStore:
        return NodeStore.open(
            ROOT, keys=MemoryKeyProvider(), clock=self.sound.kit.clock, filesystem=self.filesystem, randomness=self.randomness,
            background=False,
        )  # fmt: skip

    def problems(self) -> list[str]:
        """Everything that is not as it should be, in words."""
        return [f"{self.hurt} {self.path}: {problem}" for problem in self._problems()]

    def _problems(self) -> Iterator[str]:
        is_found = self.verify().exit_code in (7, 8, 9)
        if is_found == is_listed(self.path, NOT_FOUND[self.hurt]):
            yield "verification finds it" if is_found else "verification misses it"
        before = files(self.filesystem)
        try:
            store = self.open()
        except StateStoreError as error:
            if (
                not is_listed(self.path, REFUSED)
                or not (error.action and error.file)
                or files(self.filesystem) != before | {"LOCK": b""}
            ):
                yield f"the store is refused: {error!r}"
            return
        with store:
            if is_listed(self.path, REFUSED):
                yield "the store opens"
            for name in self.sound.views:
                yield from self._problems_of(store, name)
                is_agents = self.path.startswith("agent") and self.path != "agent/tmp"
            if is_agents and is_found and not store.agent.view().diagnostics:
                yield "the agent does not tell"
            is_healed = not store.unopened and all(cluster.status()["fail_closed"] is None for cluster in store.clusters())
        yield from self._problems_of_second_opening(is_healed=is_healed)

    def _problems_of(self, store: NodeStore, name: str) -> Iterator[str]:
        is_hurt = f"{self.path}/".startswith(f"clusters/{name}/")
        if name in store.unopened:
            if not (is_hurt and is_listed(self.path, UNOPENED) and isinstance(store.unopened[name], StateStoreError)):
                yield f"{name} is not opened: {store.unopened[name]!r}"
            return
        if is_hurt and is_listed(self.path, UNOPENED):
            yield f"{name} is opened"
        cluster = store.cluster(name)
        status = cluster.status()
        if status["fail_closed"] is not None:
            if not (is_hurt and is_listed(self.path, FAILS_CLOSED)):
                yield f"{name} fails closed: {status['fail_closed']}"
            return
        is_told = status["store"]["recovery_count"] > 0 and status["store"]["last_recovery"] is not None
        if cluster.recovery.findings and not is_told:
            yield f"{name} has findings that no event tells: {cluster.recovery.findings}"
        if not is_same(cluster, self.sound.views[name]):
            if not (is_hurt and is_listed(self.path, LOSES)):
                yield f"{name} is not what it was: {different(cluster, self.sound.views[name])}"
            elif not is_told or not tells_of_loss(status, self.sound.views[name]):
                yield f"{name} lost something, and status does not tell"

    def _problems_of_second_opening(self, *, is_healed: bool) -> Iterator[str]:
        stays = is_listed(self.path, STAYS[self.hurt])
        report = self.verify()
        if is_healed and not stays and report.exit_code:
            yield f"it is not healed: {report.findings}"
        with self.open() as store:
            for cluster in store.clusters():
                if is_healed and not stays and not cluster.recovery.is_clean:
                    yield f"the second opening of {cluster.id} finds {cluster.recovery.findings}"


def is_listed(path: str, table: Table) -> bool:
    """Whether a pattern fits `path`, name by name."""
    names = path.split("/")
    patterns = [pattern.split("/") for pattern in table]
    return any(len(each) == len(names) and all(map(fnmatch, names, each)) for each in patterns)


def compared(view: ClusterView) -> dict[str, Any]:
    """The classes of a view, but for health, which notes what is told, and for when a file was written again."""
    fields = view._asdict()
    for name in ("lsn", "node_us", "health", "digest"):
        fields.pop(name, None)
    for name in ("identity", "trust"):
        fields[name] = fields[name]._replace(repaired_lsn=0, provenance={})
    return fields


def is_same(cluster: ClusterState, before: ClusterView) -> bool:
    return compared(cluster.view()) == compared(before)


def different(cluster: ClusterState, before: ClusterView) -> list[str]:
    after, known = compared(cluster.view()), compared(before)
    return [name for name in known if known[name] != after[name]]


def tells_of_loss(status: dict[str, Any], before: ClusterView) -> bool:
    """Whether status says of every scope that lost something what became of it."""
    for name, scope in before.snapshots.scopes.items():
        now = status["snapshots"][name]
        is_fewer = now["previous_count"] < len(scope.previous)
        is_other = now["active_version"] != (list(scope.active.facts.version) if scope.active else None)
        if is_other and not now["is_fallen_back"] and "snapshot-lost" not in status["degraded"]["reasons"]:
            return False
        if (is_other or is_fewer) and not status["store"]["recovery_count"]:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("hurt", HURTS)
def test_whatever_is_gone_is_found_and_told_and_mended_where_it_can_be(sound: Sound, hurt: str) -> None:
    problems = [problem for path in HURTS[hurt][1](sound) for problem in Case(sound, hurt, path).problems()]
    assert problems == []


def test_every_exception_is_about_something_that_is_there(sound: Sound) -> None:
    tables = [REFUSED, UNOPENED, FAILS_CLOSED, LOSES, *NOT_FOUND.values(), *STAYS.values()]
    paths = [*sound.files, *sound.folders]
    unused = [pattern for table in tables for pattern in table if not any(is_listed(path, {pattern: ""}) for path in paths)]
    assert unused == []
