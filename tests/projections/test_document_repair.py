"""Kept documents that are missing or damaged: written again where there is a second copy, told of and given up where there is none."""

from collections.abc import Callable

import pytest

from rap_projections import Operation
from rap_projections.event_kinds import event_of
from rap_projections.health import SNAPSHOT_LOST
from rap_projections.identity_events import IdentityRepaired
from rap_projections.lifecycle import ClassReset, RecoveryDone
from rap_projections.named_documents import Use, named_documents
from rap_projections.snapshot_events import PreviousDropped, SnapshotFellBack, SnapshotWithdrawn
from rap_projections.testing import Fabric, furnish, memory_store
from rap_projections.trust_events import TrustRepaired
from tests.projections.store_kit import FOLDER, Ready, crashed_at_every_operation, files, folder, ready, write_file, written

MANY = [f"node-{number:05}" for number in range(900)]
"""A directory of so many peers is too large for a second copy."""


def furnished() -> Ready:
    kit, fabric = memory_store(), Fabric("lab")
    furnish(kit.store, fabric)
    return Ready(kit, fabric)


def with_large_directory(*, fallback: bool) -> Ready:
    it = ready()
    it.cluster.activate(it.fabric.policy(fallback_allowed=fallback))
    it.cluster.activate(it.fabric.peers(["node-1"]))
    it.cluster.activate(it.fabric.peers(MANY))
    return it


def paths(it: Ready, use: Use, *, class_name: str = "", inline: bool | None = None) -> list[str]:
    named = named_documents(it.cluster._core.state)
    return [
        f"{FOLDER}/{each.file}"
        for each in named
        if each.use is use and each.spec.name.startswith(class_name) and inline in (None, bool(each.stored.inline))
    ]


def remove(it: Ready, path: str) -> None:
    parent, _, name = path.rpartition("/")
    directory = folder(it.kit.filesystem, parent)
    directory.unlink(name)
    directory.sync()


def rot(it: Ready, path: str) -> None:
    write_file(it.kit.filesystem, path, b"rot" * 100)


def events(it: Ready, *kinds: type) -> list[object]:
    return [event for event in map(event_of, written(it)) if isinstance(event, kinds)]


def reopened(it: Ready, hurt: Callable[[], object]) -> None:
    it.kit.store.close()
    hurt()
    it.kit.open()


@pytest.mark.parametrize("hurt", [remove, rot])
@pytest.mark.parametrize("class_name", ["identity", "trust", "snapshots"])
def test_a_document_with_a_second_copy_is_written_again_under_its_name_and_told(
    class_name: str, hurt: Callable[[Ready, str], None]
) -> None:
    it = furnished()
    path = paths(it, Use.ACTIVE, class_name=class_name)[0]
    named = next(each for each in named_documents(it.cluster._core.state) if path.endswith(each.file))
    before = it.cluster._core.load(named.spec, named.stored.file_id)
    reopened(it, lambda: hurt(it, path))
    assert path in files(it.kit.filesystem)
    core = it.cluster._core
    assert core.load(named.spec, named.stored.file_id) == before
    (told,) = events(it, RecoveryDone)
    assert isinstance(told, RecoveryDone)
    assert (told.reason, told.action) == ("missing" if hurt is remove else "bad_digest", "repaired")
    in_class = {
        "identity": IdentityRepaired("event", named.stored.file_id),
        "trust": TrustRepaired("event", named.stored.file_id),
    }
    assert events(it, IdentityRepaired, TrustRepaired) == [in_class[name] for name in (class_name,) if name in in_class]
    assert it.cluster.status()["store"]["last_recovery"]["action"] == "repaired"
    it.kit.kill()
    assert it.cluster.recovery.is_clean and len(events(it, RecoveryDone)) == 1


def test_two_files_of_one_name_are_sealed_under_two_keys() -> None:
    it = furnished()
    path = paths(it, Use.ACTIVE, class_name="trust")[0]
    before = files(it.kit.filesystem)[path]
    reopened(it, lambda: remove(it, path))
    after = files(it.kit.filesystem)[path]
    assert before[88:104] == after[88:104] and before[104:120] != after[104:120]
    assert before[128:] != after[128:]


@pytest.mark.parametrize("hurt", [remove, rot])
def test_an_active_document_without_a_second_copy_gives_way_to_the_previous_one_where_policy_allows(
    hurt: Callable[[Ready, str], None],
) -> None:
    it = with_large_directory(fallback=True)
    (path,) = paths(it, Use.ACTIVE, class_name="snapshots", inline=False)
    reopened(it, lambda: hurt(it, path))
    assert len(events(it, SnapshotFellBack)) == 1 and events(it, SnapshotWithdrawn) == []
    status = it.cluster.status()
    assert (status["snapshots"]["peers"]["is_fallen_back"], status["degraded"]["reasons"]) == (True, [])
    assert (status["store"]["recovery_count"], status["store"]["last_recovery"]["action"]) == (1, "lost")


@pytest.mark.parametrize("hurt", [remove, rot])
def test_an_active_document_that_is_lost_degrades_the_cluster_until_it_is_there_again(hurt: Callable[[Ready, str], None]) -> None:
    it = with_large_directory(fallback=False)
    (path,) = paths(it, Use.ACTIVE, class_name="snapshots", inline=False)
    reopened(it, lambda: hurt(it, path))
    status = it.cluster.status()
    assert (status["snapshots"]["peers"]["active_version"], status["snapshots"]["peers"]["withdrawn_reason"]) == (None, "damaged")
    assert (status["degraded"]["is_degraded"], status["degraded"]["reasons"]) == (True, [SNAPSHOT_LOST])
    assert status["store"]["recovery_count"] == 1
    assert it.cluster.recovery.is_damage and not it.cluster.allows(Operation.RESOLVE_SECRET).ok
    it.kit.kill()
    assert it.cluster.status()["degraded"]["reasons"] == [SNAPSHOT_LOST]
    it.cluster.activate(it.fabric.peers(["node-1"]))
    assert it.cluster.status()["degraded"]["reasons"] == []


def test_a_previous_document_that_is_lost_is_given_up() -> None:
    it = furnished()
    (path,) = paths(it, Use.PREVIOUS)
    reopened(it, lambda: remove(it, path))
    assert it.cluster.status()["snapshots"]["peers"]["previous_count"] == 0
    (dropped,) = events(it, PreviousDropped)
    assert isinstance(dropped, PreviousDropped) and dropped.reason == "damaged"
    it.kit.kill()
    assert it.cluster.recovery.is_clean


def test_a_loss_is_told_wherever_the_opening_is_killed() -> None:
    def prepare() -> Ready:
        it = with_large_directory(fallback=False)
        (path,) = paths(it, Use.ACTIVE, class_name="snapshots", inline=False)
        it.kit.store.close()
        remove(it, path)
        return it

    for crash in crashed_at_every_operation(prepare, lambda it: it.kit.open()):
        crash.it.kit.open()
        status = crash.it.cluster.status()
        assert status["degraded"]["reasons"] == [SNAPSHOT_LOST], crash.at
        assert status["store"]["recovery_count"] >= 1, crash.at
        assert len(events(crash.it, SnapshotWithdrawn)) == 1, crash.at


def test_a_cluster_whose_snapshots_begin_anew_is_degraded() -> None:
    it = furnished()
    it.kit.wound("snapshot-flip")
    status = it.cluster.status()
    assert status["degraded"]["reasons"] == [SNAPSHOT_LOST]
    assert len(events(it, ClassReset)) == 1
    for document in (it.fabric.policy(), it.fabric.peers(["node-1"]), it.fabric.routes([]), it.fabric.services([])):
        it.cluster.activate(document)
        assert it.cluster.status()["degraded"]["reasons"] == [SNAPSHOT_LOST]
    it.cluster.activate(it.fabric.updates(["agent"]))
    assert it.cluster.status()["degraded"]["reasons"] == []


def test_on_a_full_disk_the_copy_in_the_event_serves() -> None:
    it = furnished()
    path = paths(it, Use.ACTIVE, class_name="trust")[0]
    it.kit.store.close()
    remove(it, path)
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    it.kit.open()
    assert it.cluster.status()["fail_closed"] is None and path not in files(it.kit.filesystem)
    assert "until there is space" in it.cluster.recovery.findings[0].done
    it.kit.filesystem.capacity_bytes = None
    it.kit.kill()
    assert path in files(it.kit.filesystem)
