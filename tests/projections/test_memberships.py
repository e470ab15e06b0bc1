"""Clusters are joined, opened, reported and left, and none of them concerns another."""

import errno
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from rap_journal.deterministic_cbor import encode_arrays
from rap_journal.errors import DamageError, MisuseError, NoSpace
from rap_journal.limits import FRAME_BYTES_MAX
from rap_journal.trees import remove_tree
from rap_projections import ClusterState, memberships
from rap_projections.agent import AgentView
from rap_projections.anchor_decisions import decide_numbered
from rap_projections.documents import Scope
from rap_projections.known_floors import KnownFloors
from rap_projections.refusals import NoSuchCluster, Rollback, WrongFingerprint
from rap_projections.testing import Fabric, memory_store
from rap_projections.trust import RestoreState
from tests.projections.anchor_kit import in_step, tick
from tests.projections.restore_kit import answer
from tests.projections.store_kit import (
    CLUSTER,
    FOLDER,
    Ready,
    crashed_at_every_operation,
    destroy,
    files,
    folder,
    frames,
    furnished,
    membership,
    names,
    ready,
    stopped,
    write_file,
)

OTHER = Fabric("other")


def test_joining_makes_a_member_with_the_pinned_bundle() -> None:
    it = ready()
    assert membership(it.kit.store) == (True, (), (CLUSTER,))
    trust = it.cluster.view().trust
    assert trust.bootstrap is not None and trust.bootstrap.fingerprint.hex() == it.fabric.fingerprint
    assert (trust.bundle and trust.bundle.version, it.cluster.status()["trusted_time_s"]) == (1, it.fabric.issued_at_s)


def test_joining_again_returns_the_member_and_pins_nothing_anew() -> None:
    it = ready()
    before = it.cluster.digest()
    impostor = Fabric(CLUSTER, seed=1)
    assert it.kit.join(impostor) is it.cluster
    assert it.kit.store.join(CLUSTER, bundle=b"", expect="") is it.cluster
    assert it.cluster.digest() == before


def test_a_bundle_that_is_not_the_expected_one_makes_no_cluster() -> None:
    """Mutation: for a cluster that nobody joined, give none."""
    kit = memory_store()
    before = files(kit.filesystem)
    with pytest.raises(WrongFingerprint):
        kit.store.join(CLUSTER, bundle=Fabric(CLUSTER).bootstrap, expect=OTHER.fingerprint)
    assert files(kit.filesystem) == before
    with pytest.raises(NoSuchCluster):
        kit.store.cluster(CLUSTER)


def test_no_more_clusters_are_joined_than_the_memory_of_floors_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the limit, the floors of all clusters grow past one record, and a store with an anchor opens no more."""
    monkeypatch.setattr(memberships, "CLUSTERS_MAX", 2)
    kit = memory_store()
    for name in ("a", "b"):
        kit.join(Fabric(name))
    kit.store.leave("a", reason="moved")
    before = files(kit.filesystem)
    with pytest.raises(MisuseError, match="c was not joined") as caught:
        kit.join(Fabric("c"))
    assert caught.value.reason == "too_many_clusters"
    assert files(kit.filesystem) == before
    kit.join(Fabric("a"))


def test_the_floors_of_as_many_clusters_as_may_be_joined_have_room_in_one_record() -> None:
    known = KnownFloors(
        (2**63, b"b" * 32), (b"r" * 32, 2**63), RestoreState.NOT_VALIDATED.value,
        (("agent", 0, 2**63, b""), *[(scope.value, 2**63, 2**63, b"s" * 32) for scope in Scope]), (0, 2**63, b"h" * 32), (2**63, 2**63, 2**63),
    )  # fmt: skip
    floors = {f"{number:063}": known for number in range(memberships.CLUSTERS_MAX)}
    (event,) = decide_numbered(AgentView(), 2**63, reason="floors", floors=floors, doubtful=frozenset(floors))
    assert len(encode_arrays(event)) < FRAME_BYTES_MAX - 4096


@pytest.mark.parametrize("cluster_id", ["", "..", "A", "a/b", "-a", "a" * 64, "a.b"])
def test_what_is_no_cluster_id_is_refused_before_anything_is_touched(cluster_id: str) -> None:
    kit = memory_store()
    before = files(kit.filesystem)
    for call in (
        lambda: kit.store.join(cluster_id, bundle=b"", expect=""), lambda: kit.store.cluster(cluster_id),
        lambda: kit.store.leave(cluster_id, reason="bye"),
    ):  # fmt: skip
        with pytest.raises(MisuseError):
            call()
    assert files(kit.filesystem) == before


def test_a_join_interrupted_at_any_operation_leaves_a_member_or_nothing() -> None:
    outcomes = []
    for crash in crashed_at_every_operation(lambda: Ready(memory_store(), Fabric(CLUSTER)), lambda it: it.kit.join(it.fabric)):
        store = crash.it.kit.open()
        outcomes.append(membership(store))
        assert not names(crash.it.kit.filesystem, "clusters/.")
        again = crash.it.kit.join(crash.it.fabric)
        assert (again.status()["trust"]["bundle_version"], again.status()["fail_closed"]) == (1, None)
        assert membership(store) == (True, (), (CLUSTER,))
    first = outcomes.index((True, (), (CLUSTER,)))
    assert outcomes == [(False, (), ())] * first + [(True, (), (CLUSTER,))] * (len(outcomes) - first)
    assert first > 50


def test_a_join_that_finds_no_space_leaves_nothing_and_works_once_there_is_some() -> None:
    free_blocks, joined = 0, False
    while not joined:
        kit = memory_store()
        before = files(kit.filesystem, "clusters")
        kit.filesystem.capacity_bytes = kit.filesystem.used_bytes + free_blocks * 4096
        with suppress(NoSpace):
            kit.join(Fabric(CLUSTER))
            joined = True
        if not joined and CLUSTER not in kit.store.unopened:
            assert files(kit.filesystem, "clusters") == before
        kit.filesystem.capacity_bytes = None
        kit.join(Fabric(CLUSTER)).note("a member")
        assert membership(kit.store) == (True, (), (CLUSTER,))
        free_blocks += 1
    assert free_blocks > 50


def test_two_threads_that_join_get_the_same_member() -> None:
    kit, fabric = memory_store(), Fabric(CLUSTER)
    together = threading.Barrier(2)
    joined: list[ClusterState] = []

    def join() -> None:
        together.wait()
        joined.append(kit.join(fabric))

    threads = [threading.Thread(target=join) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert joined[0] is joined[1]
    assert kit.store.clusters() == (joined[0],)


def test_leaving_removes_the_folder_and_the_agent_remembers_why() -> None:
    """Mutation: leaving what was left is written down once more."""
    it = ready()
    cluster = it.cluster
    assert it.kit.store.leave(CLUSTER, reason="decommissioned").changed
    assert names(it.kit.filesystem, "clusters") == []
    membership_of = it.kit.store.agent.view().clusters[CLUSTER]
    assert membership_of.left_reason == "decommissioned" and membership_of.left_us is not None
    with pytest.raises(MisuseError) as caught:
        cluster.note("nobody is there any more")
    assert caught.value.reason == "closed"
    with pytest.raises(MisuseError):
        cluster.reopen()
    with pytest.raises(NoSuchCluster):
        it.kit.store.leave(CLUSTER, reason="again")


def test_after_leaving_a_cluster_can_be_joined_with_another_bootstrap() -> None:
    it = ready()
    it.kit.store.leave(CLUSTER, reason="moved")
    # Built anew under the same id: its bundles begin above those that this node remembers.
    other = Fabric(CLUSTER, seed=1)
    bundle = other.next_bundle()
    sha256 = hashlib.sha256(bundle).hexdigest()
    trust = it.kit.store.join(CLUSTER, bundle=bundle, expect=sha256).view().trust
    assert trust.bootstrap is not None and trust.bootstrap.fingerprint.hex() == sha256
    assert it.kit.store.agent.view().joined() == (CLUSTER,)


def accepted_much() -> Ready:
    """A member of a cluster that came with its third bundle and second routes, and was a member before."""
    it = ready()
    it.fabric.issued_at_s += 1
    old = it.fabric.routes([("node-1", [])])
    it.cluster.activate(it.fabric.routes([("node-2", [])]))
    for _time in range(2):
        it.cluster.trust.update(it.fabric.next_bundle())
    it.kit.store.leave(CLUSTER, reason="moved")
    join_with(it, 2)
    with pytest.raises(Rollback):
        it.cluster.activate(old)
    return it


def join_with(it: Ready, number: int) -> ClusterState:
    """Join with one of the bundles that there are."""
    bundle = it.fabric.bundles[number]
    return it.kit.store.join(CLUSTER, bundle=bundle, expect=hashlib.sha256(bundle).hexdigest())


@pytest.mark.parametrize("wound", [None, "missing-cluster", "witness-lost", "marker-lost"])
def test_what_was_accepted_in_an_earlier_stay_stays_the_floor_however_often_a_cluster_is_left(wound: str | None) -> None:
    """Mutation: floors that cannot be read take the place of those that are remembered, or joining forgets these."""
    it = accepted_much()
    before = it.cluster.known_floors()
    if wound is not None:
        it.kit.wound(wound)
    it.kit.store.leave(CLUSTER, reason="again")
    for number in range(2):
        with pytest.raises(Rollback):
            join_with(it, number)
    after = join_with(it, 2).known_floors()
    assert (after.bundle, after.scopes) == (before.bundle, before.scopes)


@pytest.mark.parametrize("wound", ["missing-cluster", "witness-lost", "marker-lost"])
def test_a_cluster_that_is_left_with_unreadable_floors_waits_for_a_ticket_when_it_is_joined_again(wound: str) -> None:
    """Mutation: leaving and joining takes the place of asking the cluster, where nobody knows any more what was accepted."""
    it = ready()
    it.kit.wound(wound)
    it.kit.store.leave(CLUSTER, reason="damaged")
    assert it.kit.join(it.fabric).status()["trust"]["restore_state"] == "restored-not-validated"
    it.cluster.validate_restore(it.fabric.restore_ticket(**answer(it.cluster.restore_request())))
    it.kit.store.leave(CLUSTER, reason="sound")
    assert it.kit.join(it.fabric).status()["trust"]["restore_state"] == "normal"


def test_floors_beside_the_number_of_an_anchor_count_where_the_others_cannot_be_read() -> None:
    """Mutation: a bundle below the floor comes into force, and the floor is raised over it afterwards."""
    it = in_step()
    it.cluster.trust.update(it.fabric.next_bundle())
    tick(it, hours=7)
    it.kit.wound("missing-cluster")
    it.kit.store.leave(CLUSTER, reason="gone")
    with pytest.raises(Rollback):
        join_with(it, 0)
    assert join_with(it, 1).known_floors().bundle[0] == 2


def test_a_refused_leave_changes_nothing() -> None:
    it = ready()
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.kit.store.leave(CLUSTER, reason="Not A Word")
    assert (it.cluster.digest(), membership(it.kit.store)) == (before, (True, (), (CLUSTER,)))


def test_a_leave_interrupted_at_any_operation_is_finished_or_never_happened() -> None:
    expected = ready().cluster.digest()
    outcomes = []
    for crash in crashed_at_every_operation(ready, lambda it: it.kit.store.leave(CLUSTER, reason="bye")):
        store = crash.it.kit.open()
        outcomes.append(membership(store))
        if store.clusters():
            assert store.cluster(CLUSTER).digest() == expected
        else:
            assert names(crash.it.kit.filesystem, "clusters") == []
            assert crash.it.kit.join(Fabric(CLUSTER)).status()["fail_closed"] is None
    first = outcomes.index((False, (), ()))
    assert outcomes == [(True, (), (CLUSTER,))] * first + [(False, (), ())] * (len(outcomes) - first)
    assert 0 < first < len(outcomes) - 10


def test_a_cluster_whose_folder_is_gone_is_reported_and_blocks_no_other() -> None:
    it = ready()
    it.kit.join(OTHER)
    filesystem = stopped(it)
    remove_tree(folder(filesystem, "clusters"), CLUSTER)
    store = it.kit.open()
    assert [cluster.id for cluster in store.clusters()] == ["other"]
    error = store.unopened[CLUSTER]
    assert isinstance(error, DamageError) and error.reason == "missing_cluster" and error.cluster == CLUSTER
    assert store.report()["unopened"] == {CLUSTER: "missing_cluster"}
    calls: tuple[Callable[[], object], ...] = (lambda: store.cluster(CLUSTER), lambda: it.kit.join(it.fabric))
    for call in calls:
        with pytest.raises(DamageError) as caught:
            call()
        assert caught.value is error
    store.cluster("other").note("goes on")


def test_a_cluster_that_cannot_be_opened_can_be_left_and_joined_again() -> None:
    it = ready()
    filesystem = stopped(it)
    remove_tree(folder(filesystem, "clusters"), CLUSTER)
    store = it.kit.open()
    assert store.leave(CLUSTER, reason="lost").changed
    assert membership(store) == (False, (), ())
    assert it.kit.join(it.fabric).status()["fail_closed"] is None
    assert membership(store) == (True, (), (CLUSTER,))


@pytest.mark.parametrize("name", ["MARKER", "WITNESS"])
def test_a_cluster_whose_marker_or_witness_is_destroyed_is_reported_and_can_be_left(name: str) -> None:
    it = ready()
    it.kit.join(OTHER)
    filesystem = stopped(it)
    destroy(filesystem, f"{FOLDER}/{name}")
    store = it.kit.open()
    assert membership(store) == (False, (CLUSTER,), (CLUSTER, "other"))
    assert isinstance(store.unopened[CLUSTER], DamageError)
    store.leave(CLUSTER, reason="destroyed")
    assert names(filesystem, FOLDER) == []


@pytest.mark.parametrize("name", ["MARKER", "WITNESS"])
def test_a_cluster_that_lacks_a_file_is_damaged_and_the_error_names_the_file(name: str) -> None:
    it = ready()
    folder(stopped(it), FOLDER).unlink(name)
    error = it.kit.open().unopened[CLUSTER]
    assert isinstance(error, DamageError)
    assert (error.reason, error.cluster, error.file) == ("missing_file", CLUSTER, f"{FOLDER}/{name}")
    assert isinstance(error.__cause__, FileNotFoundError)
    with pytest.raises(DamageError):
        it.kit.store.cluster(CLUSTER)
    assert it.kit.store.leave(CLUSTER, reason="damaged").changed


def test_an_unopened_cluster_is_tried_again_by_joining_once_its_disk_answers() -> None:
    it = ready()
    before = it.cluster.digest()
    filesystem = stopped(it)
    filesystem.fail("read", f"{FOLDER}/WITNESS", errno.EIO)
    store = it.kit.open()
    assert isinstance(store.unopened[CLUSTER], OSError)
    assert it.kit.join(it.fabric).digest() == before
    assert store.unopened == {}


def test_a_folder_under_another_clusters_name_is_not_taken_for_it() -> None:
    """Mutation: the folder's name is believed."""
    it = ready()
    it.kit.join(OTHER)
    filesystem = stopped(it)
    clusters = folder(filesystem, "clusters")
    clusters.rename(CLUSTER, "third")
    clusters.sync()
    store = it.kit.open()
    assert [cluster.id for cluster in store.clusters()] == ["other"]
    reasons = {name: getattr(error, "reason", None) for name, error in store.unopened.items()}
    assert reasons == {CLUSTER: "missing_cluster", "third": "foreign"}
    assert store.agent.view().joined() == (CLUSTER, "other")


def test_a_cluster_of_another_store_is_not_opened() -> None:
    it, stranger = ready(), ready(seed=1)
    mine, theirs = stopped(it), stopped(stranger)
    remove_tree(folder(mine, "clusters"), CLUSTER)
    for path, content in files(theirs, FOLDER).items():
        place = folder(mine, "")
        for name in path.split("/")[:-1]:
            place = place.directory(name) if place.status(name) else place.create_directory(name)
        write_file(mine, path, content)
    assert getattr(it.kit.open().unopened[CLUSTER], "reason", None) == "foreign"


def test_foreign_names_beside_the_clusters_are_left_alone() -> None:
    it = ready()
    filesystem = stopped(it)
    folder(filesystem, "clusters").create_directory("lost+found").close()
    write_file(filesystem, "clusters/README.txt", b"not ours")
    store = it.kit.open()
    assert membership(store) == (True, (), (CLUSTER,))
    assert files(filesystem, "clusters/README.txt") == {"clusters/README.txt": b"not ours"}


def test_leftovers_of_joins_and_temporary_files_are_wiped_at_every_start() -> None:
    it = ready()
    filesystem = stopped(it)
    folder(filesystem, "clusters").create_directory(".join-half").close()
    write_file(filesystem, f"{FOLDER}/tmp/half-a-document", b"secret leftovers")
    it.kit.open()
    assert names(filesystem, f"{FOLDER}/tmp") == []
    assert folder(filesystem, "clusters").names() == [CLUSTER]


def test_a_clean_opening_of_a_cluster_writes_nothing_into_it() -> None:
    it = furnished()
    filesystem = stopped(it)
    before = files(filesystem, FOLDER)
    it.kit.open()
    assert files(filesystem, FOLDER) == before
    assert frames(filesystem)[-1].last_lsn == it.cluster.view().lsn
