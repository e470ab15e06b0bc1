"""Leaving a cluster and joining it again: what the store remembers is where it goes on from."""

import hashlib

import pytest

from rap_projections import Operation
from rap_projections.known_floors import NOTHING_KNOWN
from rap_projections.refusals import Equivocation, Rollback
from rap_projections.testing import Fabric
from tests.projections.restore_kit import enrolled, restore, restored
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, crashed_at_every_operation, furnished, names, write_file


def left() -> Ready:
    """A store that went through two bundles and left the cluster."""
    it = furnished()
    it.cluster.trust.update(it.fabric.next_bundle())
    it.kit.store.leave(CLUSTER, reason="moved")
    return it


def rejoin(it: Ready, bundle: bytes | None = None) -> None:
    data = it.fabric.bundles[-1] if bundle is None else bundle
    it.kit.store.join(CLUSTER, bundle=data, expect=hashlib.sha256(data).hexdigest())


def test_leaving_removes_the_folder_and_remembers_the_floors() -> None:
    it = left()
    assert names(it.kit.filesystem, FOLDER) == []
    floors = it.kit.store.agent.view().clusters[CLUSTER].floors
    assert floors.bundle[0] == 2 and len(floors.scopes) == 5
    it.kit.kill()
    assert it.kit.store.agent.view().clusters[CLUSTER].floors == floors


def test_an_older_bundle_is_not_joined_again() -> None:
    """Mutation: a join that does not ask what is remembered, or asks for less."""
    it = left()
    with pytest.raises(Rollback):
        rejoin(it, it.fabric.bootstrap)
    with pytest.raises(Equivocation):
        rejoin(it, Fabric(CLUSTER, seed=3).next_bundle())
    assert it.kit.store.clusters() == () and names(it.kit.filesystem, FOLDER) == []


def test_an_older_document_is_not_activated_after_joining_again() -> None:
    """Fails when the remembered floors of scopes are not written into the new journal."""
    it = furnished()
    old = it.fabric.routes([("node-1", [])])
    it.cluster.activate(it.fabric.routes([("node-2", [])]))
    it.kit.store.leave(CLUSTER, reason="moved")
    rejoin(it)
    with pytest.raises(Rollback):
        it.cluster.activate(old)
    floors = it.cluster.known_floors()
    assert {name: version for name, _generation, version, _said in floors.scopes}["routes"] == 3


def test_trusted_time_does_not_fall_by_leaving() -> None:
    """Fails when the remembered time is not taken for the first instant."""
    it = furnished()
    it.fabric.issued_at_s += 900
    it.cluster.activate(it.fabric.routes([("node-1", [])]))
    trusted_s = it.cluster.status()["trusted_time_s"]
    it.kit.store.leave(CLUSTER, reason="moved")
    rejoin(it)
    assert it.cluster.status()["trusted_time_s"] >= trusted_s


def test_a_state_in_doubt_stays_in_doubt_over_leaving() -> None:
    """Fails when "not validated" is not remembered: leaving would be a way around the ticket."""
    other = restored()
    other.store.leave(CLUSTER, reason="moved")
    fabric = other.it.fabric
    cluster = other.store.join(CLUSTER, bundle=fabric.bootstrap, expect=fabric.fingerprint)
    assert cluster.allows(Operation.START_SERVICE)[:2] == (False, "not_validated")
    assert cluster.restore_request().reason == "left"


def test_a_cluster_that_cannot_be_opened_is_left_with_the_floors_of_its_witness() -> None:
    """Fails when the witness of an unopened cluster is not read."""
    it = furnished()
    it.kit.store.close()
    for path in names(it.kit.filesystem, f"{FOLDER}/journal/"):
        write_file(it.kit.filesystem, path, bytes(16))
    write_file(it.kit.filesystem, f"{FOLDER}/snapshots/checkpoint-0000000000000000", b"")
    it.kit.open()
    it.kit.store.leave(CLUSTER, reason="damaged")
    assert len(it.kit.store.agent.view().clusters[CLUSTER].floors.scopes) == 5


def test_where_nothing_can_be_read_nothing_is_remembered_but_that() -> None:
    it = furnished()
    it.kit.store.close()
    write_file(it.kit.filesystem, f"{FOLDER}/MARKER", bytes(1024))
    it.kit.open()
    it.kit.store.leave(CLUSTER, reason="damaged")
    assert it.kit.store.agent.view().clusters[CLUSTER].floors == NOTHING_KNOWN._replace(restore="restored-not-validated")


def test_a_backup_remembers_clusters_that_were_left() -> None:
    """Fails when a backup does not hold them: a restore would forget their floors."""
    it = left()
    floors = it.kit.store.agent.view().clusters[CLUSTER].floors
    it.kit.store.backup("/backup")
    store = restore(it)
    assert store.agent.view().clusters[CLUSTER].floors == floors
    assert store.agent.view().joined() == ()
    with pytest.raises(Rollback):
        store.join(CLUSTER, bundle=it.fabric.bootstrap, expect=it.fabric.fingerprint)


def test_a_power_cut_while_joining_again_forgets_no_floor() -> None:
    for crash in crashed_at_every_operation(left, rejoin):
        store = crash.it.kit.open()
        if not store.clusters():
            rejoin(crash.it)
        assert crash.it.cluster.known_floors().bundle[0] == 2
        assert len(crash.it.cluster.known_floors().scopes) == 5


def test_a_whole_root_that_was_put_back_cannot_be_told_but_incarnations_differ() -> None:
    it = enrolled()
    copy = it.kit.filesystem.image()
    first = it.kit.store.report()
    it.kit.store.close()
    it.kit.filesystem = copy
    second = it.kit.open().report()
    assert first["whole_root_rollback"] == second["whole_root_rollback"] == "cannot_tell"
    assert first["incarnation"] != second["incarnation"]
