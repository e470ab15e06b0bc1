"""Checkpoints: each valid alone, bound to its place, verified before anything older goes."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from rap_journal.checkpoints import (
    EMPTY_ANCHOR,
    START,
    Anchor,
    BadCheckpoint,
    ClassContent,
    encode_checkpoint,
    list_checkpoints,
    load_checkpoint,
    load_newest,
    write_set,
)
from rap_journal.errors import DamageError
from rap_journal.filesystem import read_whole
from rap_journal.fold_sets import FoldSet
from rap_journal.folders import JournalFolders
from rap_journal.layout import checkpoint_name
from rap_journal.payload import StrictHead
from rap_journal.sealed_files import SealedHeader, encode_sealed_file, install_file
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.testing import MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.testing.memory_handles import MemoryFile
from rap_journal.values import ClassSpec
from tests.journal.segment_kit import flip
from tests.journal.workbench import HEALTH, IDENTITY, JOURNAL_ID, PATH, PEERS, SPECS, TRUST, new_journal, open_journal, tree

FOLDS = FoldSet(1)
RING = KeyRing(JOURNAL_ID, {1: b"k" * 32}, 1)
ANCHOR = Anchor(41, 3, b"d" * 16)
HEAD = StrictHead(40, b"h" * 16, 7)


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def folders(filesystem: MemoryFileSystem) -> Iterator[JournalFolders]:
    root = filesystem.open_root(PATH, create=True)
    folders = JournalFolders.create(root, SPECS)
    root.sync()
    yield folders
    folders.close()


def contents(value: Any = "value") -> dict[int, ClassContent]:
    return {
        spec.number: ClassContent(HEAD if spec in (IDENTITY, TRUST) else StrictHead(), 99, [spec.name, value]) for spec in SPECS
    }


def write(folders: JournalFolders, anchor: Anchor = ANCHOR, *, fold_set: FoldSet = FOLDS, value: Any = "value") -> int:
    return write_set(
        folders, SPECS, anchor, contents(value),
        journal_id=JOURNAL_ID, fold_set=fold_set, keys=RING, randomness=SeededRandomness(1),
    )  # fmt: skip


def load(
    folders: JournalFolders, *, fold_set: FoldSet = FOLDS, lsn_max: int | None = None
) -> tuple[dict[int, int], list[BadCheckpoint]]:
    """LSN of the checkpoint loaded for each class, and what could not be used."""
    loaded, bad = load_newest(folders, RING, JOURNAL_ID, SPECS, fold_set=fold_set, lsn_max=lsn_max)
    return {number: checkpoint.anchor.lsn for number, checkpoint in loaded.items()}, bad


def all_at(lsn: int) -> dict[int, int]:
    return dict.fromkeys((spec.number for spec in SPECS), lsn)


def test_a_set_reads_back_with_anchor_head_time_and_value(folders: JournalFolders) -> None:
    byte_count = write(folders)
    loaded, bad = load_newest(folders, RING, JOURNAL_ID, SPECS, fold_set=FoldSet(1))
    assert bad == []
    assert {number: checkpoint.anchor for number, checkpoint in loaded.items()} == dict.fromkeys(all_at(41), ANCHOR)
    assert {number: checkpoint.content for number, checkpoint in loaded.items()} == contents()
    sizes = [len(read_whole(folder, checkpoint_name(41), 1 << 20)) for folder in folders.classes.values()]
    assert byte_count == sum(sizes)


def test_a_class_without_strict_records_keeps_no_head(folders: JournalFolders) -> None:
    write(folders)
    loaded = load_checkpoint(folders.classes[PEERS.number], PEERS, 41, RING, JOURNAL_ID, fold_set=FoldSet(1))
    assert loaded.content.head == StrictHead()


def test_the_newest_usable_checkpoint_of_each_class_is_loaded(folders: JournalFolders) -> None:
    write(folders, EMPTY_ANCHOR)
    write(folders)
    write(folders, ANCHOR._replace(lsn=60))
    assert load(folders) == (all_at(60), [])
    assert load(folders, lsn_max=59) == (all_at(41), [])
    assert load(folders, lsn_max=40) == (all_at(0), [])
    assert [list_checkpoints(folder) for folder in folders.classes.values()] == [[0, 41, 60]] * 4


def test_a_damaged_one_is_passed_over_and_named(folders: JournalFolders) -> None:
    write(folders, EMPTY_ANCHOR)
    write(folders)
    name = checkpoint_name(41)
    folder = folders.classes[HEALTH.number]
    data = flip(read_whole(folder, name, 1 << 20), 130)
    with folder.open(name, writable=True) as file:
        file.write_at(0, data)
    assert load(folders) == (all_at(41) | {HEALTH.number: 0}, [BadCheckpoint(f"health/{name}", "health", "bad_digest", True)])


def test_an_unreadable_one_is_passed_over_and_named(filesystem: MemoryFileSystem, folders: JournalFolders) -> None:
    write(folders)
    filesystem.fail("read", f"health/{checkpoint_name(41)}", errno.EIO)
    lsns, bad = load(folders)
    assert HEALTH.number not in lsns
    assert bad == [BadCheckpoint(f"health/{checkpoint_name(41)}", "health", "unreadable")]


def test_one_that_was_made_by_other_folds_is_passed_over(folders: JournalFolders) -> None:
    write(folders, EMPTY_ANCHOR, fold_set=FoldSet(2))
    write(folders, fold_set=FoldSet(1))
    lsns, bad = load(folders, fold_set=FoldSet(2))
    assert lsns == all_at(0)
    assert {each.reason for each in bad} == {"other_folds"}


def test_a_class_whose_folder_is_missing_is_passed_over_by_writer_and_reader(folders: JournalFolders) -> None:
    del folders.classes[TRUST.number]
    write(folders)
    assert load(folders) == ({number: 41 for number in all_at(41) if number != TRUST.number}, [])


@pytest.mark.parametrize(
    ("spec", "lsn", "journal_id"),
    [(TRUST, 41, JOURNAL_ID), (IDENTITY, 42, JOURNAL_ID), (IDENTITY, 41, b"another-journal.")],
    ids=["another class", "another LSN", "another journal"],
)
def test_a_checkpoint_in_another_place_is_foreign(folders: JournalFolders, spec: ClassSpec, lsn: int, journal_id: bytes) -> None:
    content = contents()[IDENTITY.number]
    data = encode_checkpoint(IDENTITY, ANCHOR, content, journal_id=JOURNAL_ID, fold_version=1, keys=RING, salt=b"s" * 32)
    folder = folders.classes[spec.number]
    install_file(folders.temporary, folder, checkpoint_name(lsn), data)
    with pytest.raises(DamageError) as caught:
        load_checkpoint(folder, spec, lsn, RING, journal_id, fold_set=FoldSet(1))
    assert caught.value.reason == "foreign"


def test_a_checkpoint_sealed_with_another_key_does_not_unseal(folders: JournalFolders) -> None:
    write(folders)
    other = KeyRing(JOURNAL_ID, {1: b"x" * 32}, 1)
    with pytest.raises(SealBroken):
        load_checkpoint(folders.classes[HEALTH.number], HEALTH, 41, other, JOURNAL_ID, fold_set=FoldSet(1))


def test_each_file_is_installed_then_read_back_past_the_cache(filesystem: MemoryFileSystem, folders: JournalFolders) -> None:
    filesystem.operations.clear()
    write(folders)
    names = [operation.name for operation in filesystem.operations]
    assert names == ["create", "write", "sync", "rename", "sync_directory"] * len(SPECS)


def test_a_disk_that_gives_back_other_bytes_than_were_written_is_caught_before_anything_older_goes(
    folders: JournalFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_at = MemoryFile.read_at
    monkeypatch.setattr(MemoryFile, "read_at", lambda self, offset, length: flip(read_at(self, offset, length), 100))
    with pytest.raises(DamageError) as caught:
        write(folders)
    assert caught.value.reason == "read_back"


def test_a_crash_at_any_operation_leaves_whole_checkpoints_only(filesystem: MemoryFileSystem, folders: JournalFolders) -> None:
    write(folders, EMPTY_ANCHOR)
    for survived in range(5 * len(SPECS)):
        second = filesystem.image()
        second.crash_after(survived)
        again = JournalFolders.open(second.open_root(PATH), SPECS, may_repair=False)
        with pytest.raises(SimulatedCrash):
            write(again)
        left = JournalFolders.open(second.crash().open_root(PATH), SPECS, may_repair=False)
        done = survived // 5
        assert load(left) == ({spec.number: 41 if index < done else 0 for index, spec in enumerate(SPECS)}, [])


def test_the_floor_and_the_two_newest_sets_are_kept() -> None:
    filesystem, opened = new_journal()
    lsns = []
    for number in range(5):
        opened.append(HEALTH, [number])
        lsns.append(opened.checkpoint())
    assert lsns == [1, 2, 3, 4, 5]
    for spec in SPECS:
        kept = sorted(name for name in tree(filesystem) if name.startswith(f"{spec.name}/checkpoint-"))
        assert kept == [f"{spec.name}/{checkpoint_name(lsn)}" for lsn in (0, 4, 5)]


def test_replay_from_any_kept_checkpoint_gives_the_same_state() -> None:
    filesystem, opened = new_journal()
    for number in range(4):
        opened.append(HEALTH, ["h", number])
        opened.append(IDENTITY, ["i", number])
        opened.checkpoint()
    opened.append(PEERS, ["last"])
    opened.journal.close()
    for gone in ((), (8,), (8, 6)):
        second = filesystem.image()
        root = second.open_root(PATH)
        for spec in SPECS:
            for lsn in gone:
                with root.directory(spec.name) as folder:
                    folder.unlink(checkpoint_name(lsn))
        again = open_journal(second)
        assert again.journal.report.is_clean
        assert again.journal.report.checkpoint_lsn == {0: 8, 1: 6, 2: 0}[len(gone)]
        assert again.ledger.state == opened.ledger.state


@pytest.mark.parametrize(
    "content",
    [b"", b"\x82\xf6\x00", b"\x83\x05\x00\x80", b"\x83\xf6\x00\xd8\x40\x40"],
    ids=["nothing", "too few", "no head", "a tag"],
)
def test_one_that_unseals_to_something_else_is_passed_over(folders: JournalFolders, content: bytes) -> None:
    write(folders, EMPTY_ANCHOR)
    header = SealedHeader(Purpose.CHECKPOINT, HEALTH.number, JOURNAL_ID, 41, 1, b"c" * 16, 1)
    data = encode_sealed_file(checkpoint_name(41), header, content, RING, b"s" * 32)
    with folders.classes[HEALTH.number].create(checkpoint_name(41)) as file:
        file.write_at(0, data)
    assert load(folders) == (all_at(0), [BadCheckpoint(f"health/{checkpoint_name(41)}", "health", "bad_content", True)])


def test_a_class_without_a_usable_checkpoint_starts_from_nothing_where_the_journal_reaches_back(folders: JournalFolders) -> None:
    write(folders)
    folder = folders.classes[HEALTH.number]
    folder.unlink(checkpoint_name(41))
    nothing_there = BadCheckpoint("health", "health", "no_checkpoint")
    for reaches_back, expected in ((False, None), (True, START)):
        loaded, bad = load_newest(folders, RING, JOURNAL_ID, SPECS, fold_set=FoldSet(1), reaches_back=reaches_back)
        assert (loaded.get(HEALTH.number), bad) == (expected, [nothing_there])
        assert loaded[PEERS.number].anchor == ANCHOR
