"""Updates and the way back: what is written goes by the marker, and folds may change without a state being lost.

The next release is a pretended one: it knows format level 2, and the folds of one class have another version.
"""

import errno
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from rap_journal.errors import FormatTooNew, MisuseError, NoSpace
from rap_journal.fold_sets import Upcast
from rap_journal.format_levels import LEVELS, FormatLevels
from rap_journal.journal import Journal
from rap_journal.markers import read_marker
from rap_journal.records import FIRST_IGNORABLE_KIND, Record
from rap_journal.testing import SimulatedCrash
from rap_journal.values import ClassSpec, Durability
from rap_projections import ClusterState, Operation
from rap_projections.class_table import AGENT_FOLDS, CLUSTER_FOLDS, FOLD_SETS_OF_LEVELS
from rap_projections.event_kinds import HEALTH, PEERS, ROUTES, TRUST, all_kinds, event_of
from rap_projections.folding import ClassFolds, diverged
from rap_projections.history import History
from rap_projections.lifecycle import CheckpointWritten, Note
from rap_projections.policy import Policy
from rap_projections.release import RELEASE, Release
from rap_projections.store_folders import agent_setup, cluster_setup
from rap_projections.subscriptions import Delivered
from rap_projections.testing import Fabric
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, files, folder, furnished, names, ready, written

LEVEL_2 = RELEASE._replace(levels=FormatLevels(known=2, made=1))


# The release as it is.


def test_every_kind_is_of_a_level_that_this_release_knows() -> None:
    assert {kind.name: kind.level for kind in all_kinds() if not 1 <= kind.level <= LEVELS.known} == {}


def test_every_level_has_its_fold_set_and_the_last_one_that_of_this_release() -> None:
    assert sorted(FOLD_SETS_OF_LEVELS) == list(range(1, LEVELS.known + 1))
    assert FOLD_SETS_OF_LEVELS[LEVELS.known] == max(RELEASE.cluster_folds.number, RELEASE.agent_folds.number)


@pytest.mark.parametrize("folds", [*CLUSTER_FOLDS, *AGENT_FOLDS], ids=lambda folds: folds.spec.name)
def test_a_class_that_is_no_cache_can_be_brought_up_from_every_version_it_had(folds: ClassFolds) -> None:
    versions = {1, *folds.upcasts, *(step.to_version for step in folds.upcasts.values()), folds.fold_version}
    assert max(versions) == folds.fold_version
    if folds.spec.durability is not Durability.CACHE:
        fold_set = RELEASE.agent_folds if folds in AGENT_FOLDS else RELEASE.cluster_folds
        assert all(fold_set.can_bring_up(folds.spec.number, version) for version in versions)


# Committing the format.


def levels_on_disk(it: Ready) -> dict[str, int]:
    """Format level of every marker."""
    places = {"store": "", "agent": "agent", "cluster": FOLDER}
    return {name: read_marker(folder(it.kit.filesystem, path)).marker.format_level for name, path in places.items()}


def upgraded(it: Ready, release: Release = LEVEL_2) -> Ready:
    """The store opened by another release."""
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    it.kit.release = release
    it.kit.open()
    return it


def everywhere(level: int) -> dict[str, int]:
    return {"store": level, "agent": level, "cluster": level}


def test_a_new_store_is_made_at_the_level_of_the_release_before() -> None:
    it = Ready(type(ready().kit)(release=LEVEL_2), Fabric(CLUSTER))
    it.kit.join(it.fabric)
    assert levels_on_disk(it) == everywhere(1)
    assert it.kit.store.report()["format_level"] == {"written": 1, "known": 2}


def test_an_update_goes_on_at_the_old_level_and_can_be_taken_back() -> None:
    it = upgraded(furnished())
    it.cluster.note("written by the next release")
    it.cluster.checkpoint()
    it.cluster.flush()
    digest = it.cluster.digest()
    assert levels_on_disk(it) == everywhere(1)
    upgraded(it, RELEASE)
    assert (it.kit.store.unopened, it.cluster.digest()) == ({}, digest)
    it.cluster.note("and by this one again")


def test_committing_raises_every_marker_and_is_told_in_report_and_status() -> None:
    it = upgraded(furnished())
    other = Fabric("other")
    it.kit.join(other)
    assert it.kit.store.commit_format() == 2
    assert levels_on_disk(it) == everywhere(2)
    assert it.kit.store.report()["format_level"] == {"written": 2, "known": 2}
    assert it.cluster.status()["writer"]["format_level"] == {"written": 2, "known": 2}
    assert it.kit.store.cluster("other").format_level == 2
    before = files(it.kit.filesystem)
    assert it.kit.store.commit_format() == 2
    assert files(it.kit.filesystem) == before


def test_what_is_joined_after_committing_is_at_that_level() -> None:
    it = upgraded(ready())
    it.kit.store.commit_format()
    assert it.kit.join(Fabric("later")).format_level == 2


def test_after_committing_the_release_before_refuses_the_store_and_changes_nothing() -> None:
    it = upgraded(furnished())
    it.kit.store.commit_format()
    it.kit.store.close()
    before = files(it.kit.filesystem)
    it.kit.release = RELEASE
    with pytest.raises(FormatTooNew, match="format level 2, and this release knows levels up to 1") as caught:
        it.kit.open()
    assert caught.value.reason == "format_level"
    after = files(it.kit.filesystem)
    assert {name: after[name] for name in before if name != "LOCK"} == {name: before[name] for name in before if name != "LOCK"}


def test_a_crash_at_any_operation_of_committing_is_made_up_for_by_the_next_opening() -> None:
    store_first = True
    for at in range(1000):
        it = upgraded(ready())
        digest = it.cluster.digest()
        it.kit.filesystem.crash_after(at)
        finished = False
        with suppress(SimulatedCrash):
            it.kit.store.commit_format()
            finished = True
        it.kit.filesystem = it.kit.filesystem.crash()
        it.kit.clock.reboot()
        found = levels_on_disk(it)
        store_first = store_first and found["store"] >= max(found.values())
        it.kit.open()
        assert levels_on_disk(it) in (everywhere(1), everywhere(2))
        assert (it.cluster.digest(), it.kit.store.unopened) == (digest, {})
        assert it.kit.store.commit_format() == 2
        assert levels_on_disk(it) == everywhere(2)
        if finished:
            break
    assert store_first
    assert at > 10


def test_without_space_committing_can_be_repeated() -> None:
    it = upgraded(ready())
    it.kit.filesystem.fail("create", f"{FOLDER}/tmp/*", errno.ENOSPC)
    with pytest.raises(NoSpace):
        it.kit.store.commit_format()
    assert levels_on_disk(it) == {"store": 2, "agent": 2, "cluster": 1}
    it.kit.filesystem.heal()
    it.cluster.note("nothing is poisoned")
    it.kit.store.commit_format()
    assert levels_on_disk(it) == everywhere(2)


def test_a_store_marker_that_was_put_back_is_raised_to_what_its_journals_say() -> None:
    it = upgraded(ready())
    old = files(it.kit.filesystem)["MARKER"]
    it.kit.store.commit_format()
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    with folder(it.kit.filesystem, "").open("MARKER", writable=True) as file:
        file.write_at(0, old)
        file.sync()
    it.kit.open()
    assert levels_on_disk(it) == everywhere(2)


def test_a_closed_store_commits_nothing() -> None:
    it = ready()
    it.kit.store.close()
    with pytest.raises(MisuseError):
        it.kit.store.commit_format()


# Records of a later release.


class Silent:
    """Projections that fold nothing, so that a record of any kind can be written behind the store's back."""

    def __init__(self) -> None:
        self.kept_floors: Any = None

    def restore(self, state_class: int, value: Any) -> None: ...

    def apply(self, records: Sequence[Record]) -> None: ...

    def floors(self) -> Any:
        return self.kept_floors

    def waiting(self, rows_max: int) -> list[Record]:
        return []

    def give_back(self, records: Sequence[Record]) -> None: ...

    def committed(self, records: Sequence[Record]) -> None: ...


def written_by_a_later_release(it: Ready, kind: int, *, where: str = FOLDER, spec: ClassSpec = HEALTH) -> None:
    """Close the store, write a record of `kind`, and open the store again."""
    it.kit.store.close()
    keys, randomness = it.kit.keys, it.kit._randomness
    setup = cluster_setup(keys, randomness, Policy()) if where == FOLDER else agent_setup(keys, randomness)
    projections = Silent()
    journal = Journal.open(folder(it.kit.filesystem, where), setup, projections)
    projections.kept_floors = journal.recovered_floors
    now = it.kit.clock.now()
    record = Record(
        0, kind, 1, 1, spec.number, 1, now.wall_us, now.boot_us, journal.node_us, b"b" * 16, (), None, "later", None, ["?", 1]
    )  # fmt: skip
    journal.wait(journal.submit([record], strict=False, privileged=True))
    journal.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    it.kit.open()


def reads(cluster: ClusterState) -> tuple[object, ...]:
    """What can be asked of a cluster without trust."""
    return (
        cluster.digest(),
        cluster.view().lsn,
        cluster.routes.best("node-2"),
        cluster.status()["peer_count"],
        cluster.identity.status(),
    )


def test_an_ignorable_kind_of_a_later_release_is_kept_and_skipped() -> None:
    it = furnished()
    peers = it.cluster.view().peers
    written_by_a_later_release(it, FIRST_IGNORABLE_KIND + 900)
    lsn = it.cluster.status()["horizon"]
    it.cluster.note("behind it")
    live = it.cluster.digest()
    assert it.cluster.checkpoint().digest == live
    it.kit.power_cut()
    assert (it.cluster.view().peers, it.cluster.status()["fail_closed"]) == (peers, None)
    kept = [record for record in written(it) if record.kind == FIRST_IGNORABLE_KIND + 900]
    assert [(record.lsn, list(record.body)) for record in kept] == [(lsn, ["?", 1])]
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        assert [record.lsn for record in history.cluster(CLUSTER).records() if event_of(record) is None] == [lsn]


def test_a_critical_kind_of_a_later_release_leaves_the_cluster_open_for_reading() -> None:
    it = furnished()
    before = reads(it.cluster)
    horizon = it.cluster.status()["horizon"]
    written_by_a_later_release(it, FIRST_IGNORABLE_KIND - 1)
    cluster = it.cluster
    assert it.kit.store.unopened == {}
    assert reads(cluster) == before
    status = cluster.status()
    assert (status["fail_closed"], status["writer"]["is_writable"], status["horizon"]) == ("format_too_new", False, horizon + 1)
    document = it.fabric.peers(["node-1"])
    disk = files(it.kit.filesystem, FOLDER)
    for write in (
        lambda: cluster.note("x"),
        lambda: cluster.activate(document),
        lambda: cluster.services.report("svc-a", state="failed", version="1.0.0"),
        lambda: cluster.hints.put("k", "v", ttl_s=5),
        lambda: cluster.health.enter_degraded("x"),
        lambda: cluster.identity.request(node_id="n", membership_id="m"),
        cluster.checkpoint,
        cluster.flush,
    ):
        with pytest.raises(FormatTooNew, match=f"record {horizon + 1} is of kind 999 version 1") as caught:
            write()
        assert (caught.value.cluster, caught.value.lsn, caught.value.exit_code) == (CLUSTER, horizon + 1, 9)
    it.kit.store.tick()
    assert all(cluster.allows(operation).ok is False for operation in Operation)
    assert cluster.next_deadline() is not None
    assert files(it.kit.filesystem, FOLDER) == disk
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        assert history.cluster(CLUSTER).at(lsn=horizon, digest=True).digest == before[0]
        with pytest.raises(FormatTooNew):
            history.cluster(CLUSTER).at()
    it.kit.store.close()
    assert files(it.kit.filesystem, FOLDER) == disk


def test_events_up_to_an_unknown_kind_are_still_told_to_subscribers() -> None:
    it = ready()
    it.cluster.note("told")
    horizon = it.cluster.status()["horizon"]
    written_by_a_later_release(it, FIRST_IGNORABLE_KIND - 1)
    told: list[Delivered] = []
    subscription = it.cluster.subscribe(told.append, after=horizon - 1)
    assert subscription.wait_idle()
    assert [delivered.name for delivered in told] == ["Note"]
    subscription.cancel()


def test_other_clusters_and_the_agent_go_on_beside_a_cluster_of_a_later_release() -> None:
    it = ready()
    other = Fabric("other")
    it.kit.join(other)
    written_by_a_later_release(it, FIRST_IGNORABLE_KIND - 1)
    it.kit.store.cluster("other").note("goes on")
    assert it.kit.store.agent.flag("x", on=True).changed
    it.kit.store.leave(CLUSTER, reason="downgraded")
    assert [cluster.id for cluster in it.kit.store.clusters()] == ["other"]


def test_an_agents_journal_of_a_later_release_is_read_and_left_alone() -> None:
    it = ready()
    install_id = it.kit.store.agent.view().install_id
    written_by_a_later_release(it, FIRST_IGNORABLE_KIND - 1, where="agent", spec=AGENT_FOLDS[0].spec)
    agent = it.kit.store.agent
    assert (agent.view().install_id, agent.is_writable, agent.is_too_new) == (install_id, False, True)
    disk = files(it.kit.filesystem, "agent/")
    with pytest.raises(FormatTooNew):
        agent.flag("x", on=True)
    it.cluster.note("the cluster goes on")
    it.kit.store.tick()
    it.kit.store.close()
    assert files(it.kit.filesystem, "agent/") == disk


def test_an_event_of_a_level_that_is_not_committed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    it = upgraded(ready())
    kind = next(kind for kind in all_kinds() if kind.type is Note)
    later = kind._replace(level=2)
    monkeypatch.setattr("rap_projections.submitting.kind_of", lambda event: later if isinstance(event, Note) else kind)
    lsn = it.cluster.view().lsn
    with pytest.raises(MisuseError, match="level 2") as caught:
        it.cluster.note("too early")
    assert (caught.value.reason, it.cluster.view().lsn) == ("format_level", lsn)
    it.kit.store.commit_format()
    assert it.cluster.note("in time").lsn == lsn + 1


# Folds that change.


def with_folds(spec: ClassSpec, **changes: Any) -> Release:
    """The next release, in which the folds of one class differ, from set 2 on."""
    cluster = tuple(folds._replace(fold_version=2, **changes) if folds.spec == spec else folds for folds in RELEASE.cluster)
    return LEVEL_2._replace(cluster=cluster)


def marked(value: Any) -> Any:
    return ["second", value]


def of_shape_2(folds: ClassFolds) -> dict[str, Any]:
    """The same folds with another shape of their checkpoint value."""
    return {
        "to_value": lambda state: marked(folds.to_value(state)),
        "from_value": lambda value: folds.from_value(value[1]),
    }


def folds_of(spec: ClassSpec) -> ClassFolds:
    return next(folds for folds in CLUSTER_FOLDS if folds.spec == spec)


def with_shape_2(spec: ClassSpec, *, upcasts: Mapping[int, Upcast]) -> Release:
    return with_folds(spec, **of_shape_2(folds_of(spec)), upcasts=upcasts)


WAY = {1: Upcast(2, marked)}


@pytest.mark.parametrize("spec", [TRUST, HEALTH, PEERS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("has_checkpoint", [False, True], ids=["lsn 0 only", "a later set"])
def test_older_checkpoints_are_brought_up_and_nothing_is_lost(spec: ClassSpec, has_checkpoint: bool) -> None:
    it = furnished()
    if has_checkpoint:
        it.cluster.checkpoint()
        it.cluster.note("after the set")
    before = it.cluster.view()
    upgraded(it, with_shape_2(spec, upcasts=WAY))
    after = it.cluster.view()
    assert (after.trust, after.health, after.peers, after.routes) == (before.trust, before.health, before.peers, before.routes)
    assert (it.cluster.recovery.is_clean, it.cluster.status()["fail_closed"]) == (True, None)
    it.cluster.note("something new")
    live = it.cluster.digest()
    assert it.cluster.checkpoint().digest == live
    upgraded(it, it.kit.release)
    assert it.cluster.recovery.is_clean


@pytest.mark.parametrize("spec", [HEALTH, ROUTES], ids=lambda spec: spec.name)
def test_without_a_way_the_class_is_folded_again_from_lsn_0(spec: ClassSpec) -> None:
    it = furnished()
    it.cluster.checkpoint()
    before = it.cluster.view()
    upgraded(it, with_shape_2(spec, upcasts={}))
    after = it.cluster.view()
    assert (after.health.notes, after.routes, after.peers) == (before.health.notes, before.routes, before.peers)
    assert it.cluster.recovery.is_clean


def test_without_a_way_and_without_lsn_0_a_cache_starts_anew() -> None:
    it = retired()
    upgraded(it, with_shape_2(PEERS, upcasts={}))
    assert it.cluster.status()["fail_closed"] is None
    assert [loss.state_class for loss in it.cluster.recovery.losses] == [PEERS.number]
    peers = it.cluster.view().peers.peers
    assert {name: peer.latency_us for name, peer in peers.items()} == {"node-1": None, "node-2": None}


def retired() -> Ready:
    """A store whose history floor is above LSN 0."""
    it = furnished(policy=Policy(history_all_h=0))
    for number in range(4):
        it.cluster.note(f"note {number}")
        it.cluster.checkpoint()
    assert lowest_set(it) > 0
    return it


def lowest_set(it: Ready) -> int:
    return min(int(name.rpartition("-")[2]) for name in names(it.kit.filesystem, f"{FOLDER}/trust/", part="checkpoint-"))


def test_until_the_level_is_committed_the_floor_stays_where_the_release_before_can_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FOLD_SETS_OF_LEVELS, 2, 2)
    it = furnished(policy=Policy(history_all_h=0))
    it.cluster.note("by this release")
    own = it.cluster.checkpoint().lsn
    upgraded(it, with_shape_2(TRUST, upcasts=WAY))
    for number in range(5):
        it.cluster.note(f"by the next one, {number}")
        it.cluster.checkpoint()
    floor = lowest_set(it)
    notes = it.cluster.view().health.notes
    back = upgraded(it, RELEASE)
    assert (back.cluster.status()["fail_closed"], back.cluster.view().health.notes) == (None, notes)
    assert back.cluster.recovery.checkpoint_lsn == own >= floor
    upgraded(it, with_shape_2(TRUST, upcasts=WAY))
    it.kit.store.commit_format()
    for number in range(3):
        it.cluster.note(f"committed, {number}")
        it.cluster.checkpoint()
    assert lowest_set(it) > floor


def test_digests_are_compared_only_under_one_set_of_folds() -> None:
    it = furnished()
    lsn = it.cluster.checkpoint().lsn
    it.cluster.flush()
    (recorded,) = [event for event in map(event_of, written(it, lsn)) if isinstance(event, CheckpointWritten)]
    state = it.cluster._core.state

    def compare(release: Release, digests: Sequence[tuple[int, bytes]]) -> tuple[int, ...] | None:
        with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem, release=release) as history:
            state = history.cluster(CLUSTER).state_at(recorded.at_lsn)
            return diverged(state, release.cluster_folds, recorded.fold_set, digests)

    assert state.lsn > recorded.at_lsn
    assert compare(RELEASE, recorded.class_digests) == ()
    assert compare(with_shape_2(PEERS, upcasts=WAY), recorded.class_digests) is None
    wrong = [(number, b"x" * 32 if number == PEERS.number else digest) for number, digest in recorded.class_digests]
    assert compare(RELEASE, wrong) == (PEERS.number,)


def test_the_event_of_a_set_names_the_set_of_folds() -> None:
    it = upgraded(furnished(), with_shape_2(PEERS, upcasts=WAY))
    it.cluster.note("new")
    lsn = it.cluster.checkpoint().lsn
    it.cluster.flush()
    assert [event.fold_set for event in map(event_of, written(it, lsn)) if isinstance(event, CheckpointWritten)] == [2]


def test_a_value_that_a_way_cannot_take_costs_a_longer_replay_and_no_state() -> None:
    def broken(value: Any) -> Any:
        if value != folds_of(HEALTH).to_value(folds_of(HEALTH).empty()):
            raise ValueError("not this one")
        return marked(value)

    it = furnished()
    it.cluster.note("kept")
    it.cluster.checkpoint()
    before = it.cluster.view().health.notes
    upgraded(it, with_shape_2(HEALTH, upcasts={1: Upcast(2, broken)}))
    assert it.cluster.view().health.notes == before
    assert [finding.reason for finding in it.cluster.recovery.findings] == ["upcast"]
