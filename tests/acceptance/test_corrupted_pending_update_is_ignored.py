"""Specification, section 13: corrupted pending update is ignored."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from rap_journal.testing import EverythingSurvives, MemoryFileSystem
from rap_projections.event_kinds import event_of
from rap_projections.peer_state import PeersView
from rap_projections.refusals import RefusedError
from rap_projections.services import ServicesView
from rap_projections.snapshot_events import SnapshotPendingDropped
from rap_projections.snapshots import HeldSnapshot
from rap_projections.updates import UpdatesView
from tests.projections.store_kit import (
    FOLDER,
    Ready,
    crashed_at_every_operation,
    files,
    flip_bit,
    folder,
    furnished,
    names,
    write_file,
)


def with_pending(scope: str = "updates") -> tuple[Ready, bytes, str]:
    """A store in which a newer document of a scope was staged, and nobody verified it: the document, and the path of its file."""
    it = furnished()
    newer = it.fabric.updates(["agent", "relay"]) if scope == "updates" else it.fabric.peers(["node-7"])
    it.cluster.activation(scope).stage(newer)
    pending = it.cluster.snapshots.scope(scope).pending
    assert pending is not None
    (path,) = names(it.kit.filesystem, f"{FOLDER}/snapshots", part=pending.stored.file_id.hex())
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    return it, newer, path


def drop(disk: MemoryFileSystem, path: str) -> None:
    folder(disk, path.rpartition("/")[0]).unlink(path.rpartition("/")[2])


def swap(disk: MemoryFileSystem, path: str) -> None:
    """Let the file hold what another document's file holds."""
    other = next(name for name in names(disk, f"{FOLDER}/snapshots", part="document-") if name != path)
    write_file(disk, path, files(disk, other)[other])


CORRUPTIONS: dict[str, Callable[[MemoryFileSystem, str], object]] = {
    "a bit of its header": lambda disk, path: flip_bit(disk, path, 1),
    "a bit of its middle": lambda disk, path: flip_bit(disk, path, 300),
    "its last bit": lambda disk, path: flip_bit(disk, path, -1),
    "cut in half": lambda disk, path: write_file(disk, path, files(disk, path)[path][:200]),
    "grown": lambda disk, path: write_file(disk, path, files(disk, path)[path] + bytes(512)),
    "empty": lambda disk, path: write_file(disk, path, b""),
    "zeros": lambda disk, path: write_file(disk, path, bytes(len(files(disk, path)[path]))),
    "gone": drop,
    "another document": swap,
}


class InForce(NamedTuple):
    """What a cluster runs by."""

    active: HeldSnapshot | None
    peers: PeersView
    candidates: bytes | None
    updates: UpdatesView
    services: ServicesView


def require_ignored(it: Ready, before: InForce, scope: str) -> None:
    """Nothing is pending, what was active is active, and the cluster works."""
    assert it.cluster.snapshots.scope(scope).pending is None
    assert in_force(it, scope) == before
    assert (it.cluster.status()["fail_closed"], it.cluster.status()["snapshots"][scope]["has_pending"]) == (None, False)


def in_force(it: Ready, scope: str) -> InForce:
    view = it.cluster.view()
    return InForce(view.snapshots.scope(scope).active, view.peers, view.routes.content_id, view.updates, view.services)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("scope", ["updates", "peers"])
def test_corrupted_pending_update_is_ignored(scope: str, corruption: str) -> None:
    it, newer, path = with_pending(scope)
    sound = it.kit.filesystem.image(EverythingSurvives())
    it.kit.open()
    before, lsn = in_force(it, scope), it.cluster._core.journal.durable_lsn
    assert it.cluster.snapshots.scope(scope).pending is not None
    it.kit.filesystem = sound
    CORRUPTIONS[corruption](it.kit.filesystem, path)
    it.kit.open()
    require_ignored(it, before, scope)
    # It is told in the history, once, and not again at the next opening.
    dropped = [event_of(record) for record in it.cluster._core.history_after(lsn)]
    assert dropped == [SnapshotPendingDropped(scope, bytes.fromhex(path.partition("document-")[2]), "damaged")]
    it.kit.kill()
    require_ignored(it, before, scope)
    assert it.cluster._core.journal.durable_lsn == lsn + 1
    # The same update, fetched again, is activated.
    assert it.cluster.activate(newer).changed


def test_a_sound_pending_update_survives_a_restart_and_is_not_active() -> None:
    it, newer, _path = with_pending()
    it.kit.open()
    before = it.cluster.snapshots.scope("updates")
    assert before.pending is not None and before.active is not None
    assert before.active.facts.version.version == 1
    with it.cluster.activation("updates") as step:
        step.stage(newer)
        step.verify()
        assert step.commit().changed
    after = it.cluster.snapshots.scope("updates")
    assert after.pending is None and after.active is not None and after.active.facts.version.version == 2


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\xff" * 5000, b"not a document", bytes(range(256)) * 300])
def test_what_arrives_corrupted_is_refused_dropped_and_changes_nothing(garbage: bytes) -> None:
    it = furnished()
    before = in_force(it, "updates")
    with it.cluster.activation("updates", source="config-storage") as step:
        step.stage(garbage)
        assert it.cluster.snapshots.scope("updates").pending is not None
        with pytest.raises(RefusedError):
            step.verify()
    require_ignored(it, before, "updates")
    (refusal,) = it.cluster.view().snapshots.refusals
    assert refusal.source == "config-storage"
    it.kit.power_cut()
    require_ignored(it, before, "updates")


def test_an_update_that_nobody_comes_back_to_is_dropped_after_the_time_of_the_policy() -> None:
    it, _newer, _path = with_pending()
    it.kit.open()
    before = in_force(it, "updates")
    it.kit.clock.advance(seconds=3599)
    it.cluster.expire()
    assert it.cluster.snapshots.scope("updates").pending is not None
    it.kit.clock.advance(seconds=1)
    it.cluster.expire()
    assert it.cluster.snapshots.scope("updates").pending is None
    # What was seen of the peers is as old by now, and goes too.
    assert in_force(it, "updates")._replace(peers=before.peers) == before


def test_staging_interrupted_at_any_operation_leaves_the_active_update_alone() -> None:
    def work(it: Ready) -> None:
        it.cluster.activation("updates").stage(it.fabric.updates(["agent", "relay"]))

    pending = []
    expected = in_force(furnished(), "updates")
    for crash in crashed_at_every_operation(furnished, work):
        crash.it.kit.open()
        held = crash.it.cluster.snapshots.scope("updates")
        assert in_force(crash.it, "updates") == expected
        pending.append(held.pending is not None)
    first = pending.index(True)
    assert pending == [False] * first + [True] * (len(pending) - first)


@pytest.mark.slow
def test_any_byte_of_a_pending_update_may_be_wrong() -> None:
    it, _newer, path = with_pending()
    sound = it.kit.filesystem
    size = len(files(sound, path)[path])
    it.kit.filesystem = sound.image(EverythingSurvives())
    it.kit.open()
    before = in_force(it, "updates")
    for offset in range(size):
        it.kit.filesystem = sound.image(EverythingSurvives())
        flip_bit(it.kit.filesystem, path, offset)
        it.kit.open()
        require_ignored(it, before, "updates")
    assert size > 400
