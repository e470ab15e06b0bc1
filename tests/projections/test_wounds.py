"""Every wound of the list comes to what it says, on a disk, at the first opening and at the next, and no other cluster notices."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rap_journal.errors import FailClosed, MisuseError, NoSuchStore, StateStoreError, StoreBusy
from rap_journal.os_filesystem import OsFileSystem
from rap_projections import ClusterState, ClusterView, NodeStore, Operation
from rap_projections.event_kinds import CLUSTER_CLASSES, event_of
from rap_projections.identity import IdentityView
from rap_projections.keys import FileKeyProvider
from rap_projections.lifecycle import ClassReset
from rap_projections.store_verification import verify_whole_store
from rap_projections.testing import WOUNDS, Fabric, ManualClock, Outcome, Wound, furnish, memory_store, wound, wounded_store
from rap_projections.trust import RestoreState
from tests.projections.store_kit import files

CLUSTER, OTHER = "lab", "other"
CLASS_NAMES = {spec.number: spec.name for spec in CLUSTER_CLASSES}


class Sound(NamedTuple):
    """A store on a disk with two furnished clusters, closed in order, and what its clusters were."""

    root: Path
    keys: FileKeyProvider
    clock: ManualClock
    view: ClusterView
    other_digest: str

    def copy(self, place: Path) -> Path:
        """Another store like it."""
        return shutil.copytree(self.root, place)

    def open(self, root: Path) -> NodeStore:
        return NodeStore.open(root, keys=self.keys, clock=self.clock, background=False)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder, clock = tmp_path_factory.mktemp("wounds"), ManualClock()
    keys = FileKeyProvider(folder / "node.key")
    with NodeStore.open(folder / "sound", keys=keys, clock=clock, create=True, background=False) as store:
        view = furnish(store, Fabric(CLUSTER)).view()
        other_digest = furnish(store, Fabric(OTHER)).digest()
    return Sound(folder / "sound", keys, clock, view, other_digest)


def verify(root: Path, keys: FileKeyProvider | None = None) -> int:
    with OsFileSystem().open_root(str(root)) as opened:
        return verify_whole_store(opened, keys=keys).exit_code


def resets(cluster: ClusterState) -> tuple[str, ...]:
    """Names of the classes that were reset, by the events that say so."""
    events = [event_of(record) for record in cluster._core.history_after(0)]
    return tuple(sorted({CLASS_NAMES[event.class_number] for event in events if isinstance(event, ClassReset)}))


def outcome_of(store: NodeStore, view: ClusterView) -> tuple[Outcome, str | None, tuple[str, ...]]:
    """What the cluster is, why, and what begins anew."""
    if CLUSTER in store.unopened:
        with pytest.raises(StateStoreError) as caught:
            store.cluster(CLUSTER)
        return Outcome.UNOPENED, caught.value.reason, ()
    cluster = store.cluster(CLUSTER)
    reason = cluster.status()["fail_closed"]
    allowed = cluster.allows(Operation.RESOLVE_SECRET)
    if reason is not None:
        with pytest.raises(FailClosed):
            cluster.activate(b"")
        assert allowed[:2] == (False, "fail_closed")
        return Outcome.FAIL_CLOSED, reason, ()
    if cluster.view().trust.restore_state is not RestoreState.NORMAL:
        assert allowed[:2] == (False, "not_validated")
        return Outcome.NOT_VALIDATED, None, ()
    if resets(cluster):
        return Outcome.RESET, None, resets(cluster)
    # A recovery that found something is noted, and it is health that notes it.
    unnoted = {"lsn": 0, "node_us": 0, "health": None}
    assert cluster.view()._replace(**unnoted) == view._replace(**unnoted)  # type: ignore[arg-type]  # fields that are not compared
    assert allowed.ok
    return Outcome.UNHARMED, None, ()


def verdict_of(store: NodeStore) -> str | None:
    """What the cluster's recovery calls what it found."""
    if CLUSTER in store.unopened:
        return None
    verdicts = {finding.verdict.name.lower() for finding in store.cluster(CLUSTER).recovery.findings}
    assert len(verdicts) <= 1
    return verdicts.pop() if verdicts else None


@pytest.mark.parametrize("name", WOUNDS)
def test_a_wound_comes_to_what_it_says(sound: Sound, tmp_path: Path, name: str) -> None:
    root = sound.copy(tmp_path / "store")
    expected = wound(root, name, cluster=CLUSTER)
    assert expected == WOUNDS[name]
    assert (verify(root), verify(root, sound.keys)) == (expected.verify_sealed_exit_code, expected.verify_exit_code)
    for opening in range(2):
        with sound.open(root) as store:
            assert outcome_of(store, sound.view) == (expected.outcome, expected.reason, expected.resets)
            if opening == 0:
                assert verdict_of(store) == expected.verdict
            assert store.cluster(OTHER).digest() == sound.other_digest


@pytest.mark.parametrize("name", WOUNDS)
def test_a_wound_in_memory_comes_to_the_same(name: str) -> None:
    fabric = Fabric(CLUSTER)
    wounded = wounded_store(name, fabric=fabric)
    assert wounded.expected == WOUNDS[name]
    kit = memory_store()
    view = furnish(kit.store, Fabric(CLUSTER)).view()
    found = outcome_of(wounded.store, view._replace(identity=_identity_of(wounded.store, view)))
    assert found == (wounded.expected.outcome, wounded.expected.reason, wounded.expected.resets)
    assert verdict_of(wounded.store) == wounded.expected.verdict


def _identity_of(store: NodeStore, view: ClusterView) -> IdentityView:
    """The identity as it is, since its key is random; where there is one, its node is the right one."""
    if CLUSTER in store.unopened:
        return view.identity
    return store.cluster(CLUSTER).view().identity


def test_a_cluster_that_was_rolled_back_is_at_an_earlier_moment(sound: Sound, tmp_path: Path) -> None:
    root = sound.copy(tmp_path / "store")
    wound(root, "rolled-back", cluster=CLUSTER)
    with sound.open(root) as store:
        recovery = store.cluster(CLUSTER).recovery
    assert (recovery.verdict.name, recovery.witness_doubtful) == ("CLEAN", True)
    assert recovery.last_lsn < sound.view.lsn


def test_the_wounds_are_a_closed_list() -> None:
    assert list(WOUNDS) == [
        "torn-tail", "torn-or-rotten", "rotten-frame", "rotten-strict-frame", "identity-flip", "trust-flip", "snapshot-flip", "cache-flip",
        "document-flip", "key-flip", "witness-flip", "witness-torn", "witness-lost", "marker-flip", "marker-lost", "shortened-journal",
        "missing-segment", "rolled-back", "foreign-segment", "stale-checkpoint", "missing-class-folder", "missing-cluster",
        "missing-checkpoints", "agent-flip",
    ]  # fmt: skip
    with pytest.raises(TypeError):
        WOUNDS["another"] = WOUNDS["torn-tail"]  # type: ignore[index]  # what is tried is what must not be possible


@pytest.mark.parametrize("expected", WOUNDS.values(), ids=lambda expected: expected.name)
def test_every_wound_says_in_sentences_what_to_expect(expected: Wound) -> None:
    assert expected.expectation.endswith(".") and "\n" not in expected.expectation
    assert bool(expected.resets) == (expected.outcome is Outcome.RESET)
    assert (expected.reason is not None) == (expected.outcome in (Outcome.FAIL_CLOSED, Outcome.UNOPENED))
    assert list(expected.resets) == sorted(expected.resets)


def test_every_outcome_has_a_wound() -> None:
    assert {expected.outcome for expected in WOUNDS.values()} == set(Outcome)


def test_the_same_wound_on_the_same_store_gives_the_same_bytes(sound: Sound, tmp_path: Path) -> None:
    for name in WOUNDS:
        roots = [sound.copy(tmp_path / f"{name}-{number}") for number in (1, 2)]
        contents = []
        for root in roots:
            wound(root, name, cluster=CLUSTER)
            contents.append({path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()})
        assert contents[0] == contents[1], name


def test_a_wound_changes_nothing_of_another_cluster(sound: Sound, tmp_path: Path) -> None:
    def others(root: Path) -> dict[Path, bytes]:
        return {path.relative_to(root): path.read_bytes() for path in (root / "clusters" / OTHER).rglob("*") if path.is_file()}

    for name in WOUNDS:
        root = sound.copy(tmp_path / name)
        wound(root, name, cluster=CLUSTER)
        assert others(root) == others(sound.root), name


@pytest.fixture
def refused(sound: Sound, tmp_path: Path) -> Iterator[Path]:
    """A store that must be the same afterwards."""
    root = sound.copy(tmp_path / "store")
    yield root
    assert verify(root, sound.keys) == 0


def test_an_unknown_wound_is_refused_by_naming_all_that_there_are(refused: Path) -> None:
    with pytest.raises(MisuseError, match=r"torn-tail, .*, agent-flip") as caught:
        wound(refused, "broken-heart", cluster=CLUSTER)
    assert caught.value.reason == "unknown_wound"


@pytest.mark.parametrize("cluster", [None, "nowhere", ".join-lab"])
def test_of_several_clusters_one_must_be_named(refused: Path, cluster: str | None) -> None:
    with pytest.raises(MisuseError, match="lab, other") as caught:
        wound(refused, "trust-flip", cluster=cluster)
    assert caught.value.reason == "which_cluster"


def test_a_store_that_is_open_is_not_hurt(sound: Sound, refused: Path) -> None:
    with sound.open(refused), pytest.raises(StoreBusy):
        wound(refused, "trust-flip", cluster=CLUSTER)


def test_a_folder_without_a_store_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    for place in ("empty", "nothing"):
        with pytest.raises(NoSuchStore) as caught:
            wound(tmp_path / place, "trust-flip")
        assert caught.value.reason == "no_store"


@pytest.mark.parametrize("name", ["rotten-frame", "stale-checkpoint"])
def test_what_a_store_has_not_got_cannot_be_hurt(name: str) -> None:
    kit = memory_store()
    kit.join(Fabric(CLUSTER))
    kit.store.close()
    before = files(kit.filesystem)
    with pytest.raises(MisuseError) as caught:
        wound("/node", name, filesystem=kit.filesystem)
    assert (caught.value.reason, caught.value.cluster) == ("nothing_to_hurt", CLUSTER)
    assert files(kit.filesystem) == before


def test_a_memory_store_that_is_refused_a_wound_is_open_again() -> None:
    kit = memory_store()
    kit.join(Fabric(CLUSTER))
    with pytest.raises(MisuseError):
        kit.wound("broken-heart")
    kit.store.cluster(CLUSTER).note("goes on")
    assert kit.wound("torn-tail").outcome is Outcome.UNHARMED
    assert kit.store.cluster(CLUSTER).recovery.verdict.name == "TORN_TAIL"
