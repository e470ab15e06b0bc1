"""Versions of folds: an older checkpoint is brought up step by step, or passed over; at LSN 0 every one can be used."""

from typing import Any

import pytest

from rap_journal.checkpoints import EMPTY_ANCHOR, Anchor, ClassContent, is_set_known_at, load_checkpoint, load_newest, write_set
from rap_journal.errors import DamageError
from rap_journal.filesystem import Directory
from rap_journal.fold_sets import FoldSet, Upcast
from rap_journal.folders import JournalFolders
from rap_journal.payload import StrictHead
from rap_journal.sealed_files import read_sealed_file
from rap_journal.sealing import KeyRing
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from tests.journal.workbench import HEALTH, JOURNAL_ID, PEERS, SPECS

RING = KeyRing(JOURNAL_ID, {1: b"d" * 32}, 1)
FIRST = FoldSet(1)


def doubled(value: Any) -> Any:
    return [value, value]


def counted(value: Any) -> Any:
    return [len(value), value]


PEERS_CHANGED = FoldSet(2, {spec.number: 1 for spec in SPECS} | {PEERS.number: 2})
WITH_A_WAY = PEERS_CHANGED._replace(upcasts={(PEERS.number, 1): Upcast(2, doubled)})


@pytest.fixture
def folders() -> JournalFolders:
    root: Directory = MemoryFileSystem().open_root("/store", create=True)
    return JournalFolders.create(root, SPECS)


def write(folders: JournalFolders, lsn: int, fold_set: FoldSet, value: Any = "value") -> None:
    anchor = Anchor(lsn, 1, b"c" * 16) if lsn else EMPTY_ANCHOR
    contents = {spec.number: ClassContent(StrictHead(), 5, value) for spec in SPECS}
    write_set(
        folders, SPECS, anchor, contents, journal_id=JOURNAL_ID, fold_set=fold_set, keys=RING, randomness=SeededRandomness(lsn)
    )


def newest(folders: JournalFolders, fold_set: FoldSet) -> dict[str, tuple[int, Any]]:
    loaded, _bad = load_newest(folders, RING, JOURNAL_ID, SPECS, fold_set=fold_set)
    names = {spec.number: spec.name for spec in SPECS}
    return {names[number]: (each.anchor.lsn, each.content.value) for number, each in loaded.items()}


def test_a_checkpoint_names_the_set_in_which_the_folds_of_its_class_last_changed(folders: JournalFolders) -> None:
    write(folders, 7, PEERS_CHANGED)
    versions = {
        spec.name: read_sealed_file(folders.classes[spec.number], "checkpoint-0000000000000007").header.fold_set for spec in SPECS
    }
    assert versions == {"identity": 1, "trust": 1, "health": 1, "peers": 2}


def test_a_change_to_one_class_leaves_the_checkpoints_of_all_others_in_use(folders: JournalFolders) -> None:
    write(folders, 0, FIRST, None)
    write(folders, 7, FIRST)
    assert newest(folders, PEERS_CHANGED) == {
        "identity": (7, "value"),
        "trust": (7, "value"),
        "health": (7, "value"),
        "peers": (0, None),
    }


def test_an_older_value_is_brought_up_where_there_is_a_way(folders: JournalFolders) -> None:
    write(folders, 7, FIRST)
    assert newest(folders, WITH_A_WAY)["peers"] == (7, ["value", "value"])
    assert newest(folders, WITH_A_WAY)["health"] == (7, "value")


def test_several_steps_are_taken_in_their_order(folders: JournalFolders) -> None:
    steps = {(PEERS.number, 1): Upcast(4, doubled), (PEERS.number, 4): Upcast(9, counted)}
    write(folders, 7, FIRST)
    assert newest(folders, FoldSet(9, {spec.number: 1 for spec in SPECS} | {PEERS.number: 9}, steps))["peers"] == (
        7,
        [2, ["value", "value"]],
    )


def test_a_checkpoint_of_later_folds_is_passed_over_but_not_at_lsn_0(folders: JournalFolders) -> None:
    write(folders, 0, WITH_A_WAY, "whatever an empty class is there")
    write(folders, 3, FIRST, "of this release")
    write(folders, 7, WITH_A_WAY)
    assert newest(folders, FIRST)["peers"] == (3, "of this release")
    loaded = load_checkpoint(folders.classes[PEERS.number], PEERS, 0, RING, JOURNAL_ID, fold_set=FIRST)
    assert loaded.content == ClassContent(StrictHead(), 5, None)


def test_without_a_way_the_error_names_the_version(folders: JournalFolders) -> None:
    write(folders, 7, FIRST)
    folder = folders.classes[PEERS.number]
    with pytest.raises(DamageError, match="folds of version 1") as caught:
        load_checkpoint(folder, PEERS, 7, RING, JOURNAL_ID, fold_set=PEERS_CHANGED)
    assert caught.value.reason == "other_folds"


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError, IndexError])
def test_a_value_that_a_step_cannot_take_is_damage(folders: JournalFolders, error: type[Exception]) -> None:
    def step(value: Any) -> Any:
        raise error("not what it should be")

    write(folders, 7, FIRST)
    broken = PEERS_CHANGED._replace(upcasts={(PEERS.number, 1): Upcast(2, step)})
    with pytest.raises(DamageError) as caught:
        load_checkpoint(folders.classes[PEERS.number], PEERS, 7, RING, JOURNAL_ID, fold_set=broken)
    assert caught.value.reason == "upcast"


def test_a_way_that_ends_half_way_is_none() -> None:
    half = FoldSet(9, {}, {(HEALTH.number, 1): Upcast(4, doubled)})
    assert not half.can_bring_up(HEALTH.number, 1)
    assert half.can_bring_up(HEALTH.number, 9)
    with pytest.raises(DamageError, match="folds of version 4"):
        half.brought_up(HEALTH.number, 1, "value")


def test_whether_the_release_before_could_go_on_from_a_set(folders: JournalFolders) -> None:
    release = WITH_A_WAY._replace(of_level={1: 1, 2: 2})
    write(folders, 0, release)
    write(folders, 5, FIRST)
    write(folders, 7, release)
    known = {
        (lsn, level): is_set_known_at(folders, SPECS, lsn, fold_set=release, level=level) for lsn in (0, 5, 7) for level in (1, 2)
    }
    assert known == {(0, 1): True, (5, 1): True, (7, 1): False, (0, 2): True, (5, 2): True, (7, 2): True}
