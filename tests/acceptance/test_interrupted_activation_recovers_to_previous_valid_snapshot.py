"""Specification, section 13: interrupted activation recovers to previous valid snapshot."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX
from rap_journal.testing import EverythingSurvives, NothingSurvives, RandomSurvival, SeededRandomness, SimulatedCrash, Survival
from rap_projections.documents import Floor, Scope, Version
from rap_projections.policy import Policy
from rap_projections.refusals import Equivocation, Rollback
from rap_projections.testing import Fabric
from tests.projections.store_kit import CLUSTER, Ready, crashed_at_every_operation, flip_bit, frames, furnished, names, ready

OLD = [f"node-{number}" for number in range(4)]
NEW = [f"node-{number}" for number in range(2, 9)]

ISSUER = Fabric(CLUSTER)
FIRST, SECOND, THIRD = ISSUER.peers(OLD), ISSUER.peers(NEW), ISSUER.peers(["node-9"])
ID = {document: ISSUER.content_id(document) for document in (FIRST, SECOND, THIRD)}

SURVIVALS: dict[str, Callable[[int], Survival]] = {
    "nothing survives": lambda at: NothingSurvives(),
    "everything survives": lambda at: EverythingSurvives(),
    "some survives": lambda at: RandomSurvival(SeededRandomness(at)),
    "some else survives": lambda at: RandomSurvival(SeededRandomness(1000 + at)),
}


def active_once() -> Ready:
    it = ready()
    it.cluster.activate(FIRST)
    return it


def require_one_of_them(it: Ready) -> bytes:
    """Check that the recovered cluster runs by one document and by nothing else; returns its content id."""
    cluster = it.cluster
    status, scope, view = cluster.status(), cluster.snapshots.scope("peers"), cluster.view()
    assert (status["fail_closed"], cluster.recovery.is_damage, scope.fallen_back, scope.withdrawn_reason) == (
        None,
        False,
        False,
        "",
    )
    assert scope.active is not None and scope.applied is not None
    content_id = scope.active.facts.content_id
    version = Version(1, 1) if content_id == ID[FIRST] else Version(1, 2)
    assert content_id in (ID[FIRST], ID[SECOND])
    # Pointer, floor, what the components run by, and the cache made of it: all tell of the same document.
    assert scope.floor == Floor(version, content_id)
    assert scope.applied == (version, content_id)
    assert (view.peers.content_id, sorted(view.peers.peers)) == (content_id, OLD if content_id == ID[FIRST] else NEW)
    assert [held.facts.content_id for held in scope.previous] == ([] if content_id == ID[FIRST] else [ID[FIRST]])
    assert ISSUER.content_id(cluster._core.shelf.documents(content_id)[0]) == content_id
    return content_id


@pytest.mark.parametrize("survival", SURVIVALS)
def test_interrupted_activation_recovers_to_previous_valid_snapshot(survival: str) -> None:
    outcomes = []
    sweep = crashed_at_every_operation(active_once, lambda it: it.cluster.activate(SECOND), survival=SURVIVALS[survival])
    for crash in sweep:
        crash.it.kit.open()
        outcomes.append(require_one_of_them(crash.it))
        # What was acknowledged is there whatever the disk forgot.
        assert not crash.finished or outcomes[-1] == ID[SECOND]
        # The cluster goes on from where it is: the same document again, and then the next one.
        assert crash.it.cluster.activate(SECOND).changed is (outcomes[-1] == ID[FIRST])
        assert require_one_of_them(crash.it) == ID[SECOND]
        assert crash.it.cluster.activate(THIRD).changed
    assert set(outcomes) == {ID[FIRST], ID[SECOND]}
    assert len(outcomes) > 15
    if survival in ("nothing survives", "everything survives"):
        first = outcomes.index(ID[SECOND])
        assert outcomes == [ID[FIRST]] * first + [ID[SECOND]] * (len(outcomes) - first)


@pytest.mark.parametrize("survival", ["nothing survives", "some survives"])
def test_no_floor_falls_whenever_an_activation_is_interrupted(survival: str) -> None:
    forged = Fabric(CLUSTER)
    forged.peers([])
    other_second = forged.peers(["node-66"])
    for crash in crashed_at_every_operation(active_once, lambda it: it.cluster.activate(SECOND), survival=SURVIVALS[survival]):
        crash.it.kit.open()
        content_id = require_one_of_them(crash.it)
        if content_id == ID[SECOND]:
            with pytest.raises(Rollback):
                crash.it.cluster.activate(FIRST)
            with pytest.raises(Equivocation):
                crash.it.cluster.activate(other_second)
        else:
            assert not crash.it.cluster.activate(FIRST).changed
        assert require_one_of_them(crash.it) == content_id


def test_the_very_first_activation_is_whole_or_absent() -> None:
    outcomes = []
    for crash in crashed_at_every_operation(ready, lambda it: it.cluster.activate(FIRST)):
        crash.it.kit.open()
        scope, peers = crash.it.cluster.snapshots.scope("peers"), crash.it.cluster.view().peers
        is_there = scope.active is not None
        assert (bool(peers.peers), scope.floor.version, scope.applied is not None) == (
            is_there,
            Version(1, 1) if is_there else Version(0, 0),
            is_there,
        )
        outcomes.append(is_there)
    first = outcomes.index(True)
    assert outcomes == [False] * first + [True] * (len(outcomes) - first)


def documents(it: Ready) -> set[str]:
    """Names of the document files of the snapshots class."""
    return {path.rpartition("/")[2] for path in names(it.kit.filesystem, f"clusters/{CLUSTER}/snapshots", part="document-")}


def staged(it: Ready) -> None:
    """The six steps one by one."""
    with it.cluster.activation("peers") as step:
        step.stage(SECOND)
        step.verify()
        step.commit()


@pytest.mark.parametrize("survival", SURVIVALS)
def test_an_activation_in_steps_leaves_at_most_a_pending_document(survival: str) -> None:
    pending = []
    for crash in crashed_at_every_operation(active_once, staged, survival=SURVIVALS[survival]):
        crash.it.kit.open()
        content_id = require_one_of_them(crash.it)
        held = crash.it.cluster.snapshots.scope("peers").pending
        assert held is None or content_id == ID[FIRST]
        pending.append(held is not None)
        crash.it.cluster.activate(SECOND)
        assert crash.it.cluster.snapshots.scope("peers").pending is None
        assert require_one_of_them(crash.it) == ID[SECOND]
    assert True in pending and not pending[0] and not pending[-1]


def test_of_several_documents_activated_together_those_before_the_crash_are_active_in_their_order() -> None:
    def issued(it: Ready) -> list[bytes]:
        fabric = it.fabric
        return [
            fabric.policy(fallback_allowed=True),
            fabric.peers(OLD),
            fabric.routes([("node-1", [])]),
            fabric.services(["svc-a"]),
        ]

    scopes = [Scope.POLICY, Scope.PEERS, Scope.ROUTES, Scope.SERVICES]
    counts = []
    for crash in crashed_at_every_operation(ready, lambda it: it.cluster.snapshots.activate_all(issued(it))):
        crash.it.kit.open()
        view = crash.it.cluster.view()
        active = [view.snapshots.scope(scope.value).active is not None for scope in scopes]
        counts.append(sum(active))
        assert active == [True] * counts[-1] + [False] * (4 - counts[-1])
        assert crash.it.cluster.policy.fallback_allowed is active[0]
        assert (len(view.peers.peers), len(view.services.services)) == (4 * active[1], active[3])
        assert (crash.it.cluster.routes.best("node-1", channel="interactive") is not None) is active[2]
    assert sorted(counts) == counts and set(counts) == {0, 1, 2, 3, 4}


def test_what_a_crash_left_behind_in_the_temporary_folder_is_wiped() -> None:
    for crash in crashed_at_every_operation(
        active_once, lambda it: it.cluster.activate(SECOND), survival=SURVIVALS["everything survives"]
    ):
        crash.it.kit.open()
        assert names(crash.it.kit.filesystem, f"clusters/{CLUSTER}/tmp") == []


def test_a_document_that_no_event_names_goes_when_history_is_retired() -> None:
    def prepare() -> Ready:
        it = ready(policy=Policy(history_all_h=0))
        it.cluster.activate(FIRST)
        return it

    unnamed = []
    sweep = crashed_at_every_operation(prepare, lambda it: it.cluster.activate(SECOND), survival=SURVIVALS["everything survives"])
    for crash in sweep:
        cluster = crash.it.kit.open().cluster(CLUSTER)
        scope = cluster.snapshots.scope("peers")
        held = {f"document-{it.stored.file_id.hex()}" for it in (scope.active, *scope.previous) if it}
        before = documents(crash.it)
        for text in ("one", "two", "three"):
            cluster.note(text)
            cluster.checkpoint()
        assert documents(crash.it) == held
        unnamed.append(len(before - held))
    assert set(unnamed) == {0, 1}


def interrupted_at(first: int) -> Ready:
    """A store whose activation ended before operation number `first`, on a disk where only some of the unsynced is left."""
    it = active_once()
    it.kit.filesystem.crash_after(first)
    with suppress(SimulatedCrash):
        it.cluster.activate(SECOND)
    it.kit.filesystem = it.kit.filesystem.crash(RandomSurvival(SeededRandomness(first)))
    it.kit.clock.reboot()
    return it


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 24, 2))
def test_a_recovery_that_is_interrupted_too_comes_to_one_of_the_same_two_ends(first: int) -> None:
    known = interrupted_at(first)
    known.kit.open()
    end = require_one_of_them(known)
    ends = set()
    sweep = crashed_at_every_operation(
        lambda: interrupted_at(first), lambda it: it.kit.open(), survival=SURVIVALS["some survives"]
    )
    for crash in sweep:
        crash.it.kit.open()
        ends.add(require_one_of_them(crash.it))
    # What only the page cache held may go with the second crash; the activation never appears from nowhere.
    assert ends <= {end, ID[FIRST]}


def damaged(it: Ready, scope: str, *, copy_too: bool) -> bytes:
    """Let the stored bytes of a scope's active document rot, in its file or also in the event, and open again; returns its content id."""
    active = it.cluster.snapshots.scope(scope).active
    assert active is not None
    (path,) = names(it.kit.filesystem, f"clusters/{CLUSTER}/snapshots", part=active.stored.file_id.hex())
    (frame,) = [frame for frame in frames(it.kit.filesystem) if frame.first_lsn <= active.lsn <= frame.last_lsn]
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    flip_bit(it.kit.filesystem, path)
    if copy_too:
        flip_bit(it.kit.filesystem, frame.path, frame.end - 100)
    it.kit.open()
    return active.facts.content_id


def test_the_copy_in_the_event_stands_in_for_a_damaged_file() -> None:
    it = furnished()
    before = it.cluster.view()
    content_id = damaged(it, "routes", copy_too=False)
    after = it.cluster.view()
    assert (after.snapshots, after.routes, it.cluster.status()["fail_closed"]) == (before.snapshots, before.routes, None)
    assert it.cluster.status()["store"]["last_recovery"]["action"] == "repaired"
    assert it.fabric.content_id(it.cluster._core.shelf.documents(content_id)[0]) == content_id


def test_an_active_document_lost_with_its_copy_is_not_in_force_and_its_floor_is_still_known() -> None:
    it = ready()
    # The first document of a key also states its share of trusted time: then trust is lost with the frame, and the cluster fails closed.
    for document in (it.fabric.policy(fallback_allowed=False), it.fabric.routes([]), it.fabric.routes([("node-1", [])])):
        it.cluster.activate(document)
    older = it.fabric.routes([("node-2", [])], version=2)
    content_id = damaged(it, "routes", copy_too=True)
    scope = it.cluster.snapshots.scope("routes")
    assert scope.active is None and scope.floor == Floor(Version(1, 2), content_id)
    assert it.cluster.routes.best("node-2", channel="interactive") is None
    with pytest.raises(Equivocation):
        it.cluster.activate(older)
    assert it.cluster.activate(it.fabric.routes([("node-2", [])], version=3)).changed
    assert it.cluster.routes.best("node-2", channel="interactive") is not None


def test_a_large_active_document_that_rots_gives_way_to_the_previous_one_where_policy_allows_it() -> None:
    for is_allowed in (True, False):
        it = ready()
        it.cluster.activate(it.fabric.policy(fallback_allowed=is_allowed))
        small, large = it.fabric.peers(OLD), it.fabric.peers([f"node-{number}" for number in range(900)])
        assert len(large) > INLINE_DOCUMENT_BYTES_MAX
        it.cluster.activate(small)
        it.cluster.activate(large)
        damaged(it, "peers", copy_too=False)
        scope, peers = it.cluster.snapshots.scope("peers"), sorted(it.cluster.view().peers.peers)
        assert scope.floor == Floor(Version(1, 2), it.fabric.content_id(large))
        if is_allowed:
            assert scope.active is not None and scope.active.facts.content_id == it.fabric.content_id(small)
            assert (scope.fallen_back, peers) == (True, OLD)
        else:
            assert (scope.active, scope.fallen_back, scope.withdrawn_reason, peers) == (None, False, "damaged", [])
        # Whichever it is: the same bytes, fetched again, are in force again.
        assert it.cluster.activate(large).changed
        assert not it.cluster.snapshots.scope("peers").fallen_back and len(it.cluster.view().peers.peers) == 900
