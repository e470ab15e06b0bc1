"""Files and folders of the disk in memory: what a process sees, what the last sync left, and what a power cut makes of both."""

from collections.abc import Collection, Mapping, Sequence

import pytest

from rap_journal.testing import EverythingSurvives, NothingSurvives
from rap_journal.testing.memory_inodes import (
    BLOCK_BYTES,
    Change,
    DirectoryInode,
    Entry,
    FileInode,
    Inode,
    Tables,
    commit,
    survivor,
)
from rap_journal.testing.survival import SECTOR_BYTES, Fate, NameChange, SurvivingFile, UnsyncedFile

S = SECTOR_BYTES


class Chosen:
    """A survival of one's own."""

    def __init__(self, size: int = 0, fates: Mapping[int, Fate] | None = None, names: Collection[int] = ()) -> None:
        self._file = SurvivingFile(size, fates or {})
        self._names = names

    def names(self, changes: Sequence[NameChange]) -> Collection[int]:
        return self._names

    def content(self, file: UnsyncedFile) -> SurvivingFile:
        return self._file


# Files: content and size.


def test_a_new_file_or_folder_has_a_name_and_no_handle_and_takes_one_block_of_four_kibibytes() -> None:
    file, folder = FileInode(), DirectoryInode()
    assert (file.is_linked, file.handles, file.lock, folder.is_linked) == (True, 0, None, True)
    assert (file.block_count(), folder.block_count(), BLOCK_BYTES) == (1, 1, 4096)


def test_a_write_is_seen_and_not_durable_until_it_is_synced() -> None:
    file = FileInode()
    file.write(0, b"abc")
    assert (bytes(file.volatile), bytes(file.durable)) == (b"abc", b"")
    file.sync()
    assert bytes(file.durable) == b"abc"


def test_a_write_behind_the_end_leaves_zeros_and_an_empty_one_leaves_nothing() -> None:
    file = FileInode(b"ab")
    file.write(5, b"z")
    file.write(99, b"")
    assert bytes(file.volatile) == b"ab\0\0\0z"


def test_a_cut_and_an_extension_are_synced_like_content() -> None:
    file = FileInode(b"abcdef")
    file.truncate(2)
    file.truncate(4)
    assert (bytes(file.volatile), bytes(file.durable)) == (b"ab\0\0", b"abcdef")
    file.sync()
    assert bytes(file.durable) == b"ab\0\0"


def test_what_no_sync_has_confirmed_is_told_by_the_sector() -> None:
    file = FileInode(bytes(4 * S))
    assert file.unsynced("/a") is None
    file.write(S - 1, b"xy")
    assert file.unsynced("/a") == UnsyncedFile("/a", 4 * S, 4 * S, (0, 1))
    file.truncate(3 * S + 1)
    assert file.unsynced("/a") == UnsyncedFile("/a", 4 * S, 3 * S + 1, (0, 1, 3))
    file.truncate(9 * S)
    assert file.unsynced("/a") == UnsyncedFile("/a", 4 * S, 9 * S, (0, 1, 3)), "zeros that were never written have no sectors"
    file.sync()
    assert file.unsynced("/a") is None


def test_a_failed_sync_loses_what_it_should_have_written_and_the_next_one_succeeds_without_it() -> None:
    file = FileInode(b"o" * 2 * S)
    file.write(0, b"n" * S)
    file.fail_sync()
    file.sync()
    assert bytes(file.durable) == b"o" * 2 * S
    assert bytes(file.volatile) == b"n" * S + b"o" * S, "the page cache still shows it"
    file.forget_cache()
    assert bytes(file.volatile) == b"o" * 2 * S


def test_a_sector_that_is_written_again_after_a_failed_sync_is_no_longer_lost() -> None:
    file = FileInode(b"o" * 2 * S)
    file.write(0, b"n" * 2 * S)
    file.fail_sync()
    file.write(0, b"m")
    file.sync()
    file.forget_cache()
    assert bytes(file.volatile) == b"m" + b"n" * (S - 1) + b"o" * S


def test_forgetting_the_cache_does_not_make_a_file_longer_than_it_is() -> None:
    file = FileInode(b"o" * 2 * S)
    file.write(0, b"n" * 2 * S)
    file.fail_sync()
    file.truncate(S + 10)
    file.forget_cache()
    assert bytes(file.volatile) == b"o" * S + b"n" * 10, "the cut sector was touched again, and is not lost"


# Files: space.


@pytest.mark.parametrize(
    ("offset", "length", "free_blocks", "fitting"),
    [
        (0, BLOCK_BYTES, 1, BLOCK_BYTES),
        (0, BLOCK_BYTES + 1, 1, BLOCK_BYTES),
        (0, BLOCK_BYTES, 0, 0),
        (BLOCK_BYTES - 10, 20, 1, 10),
        (BLOCK_BYTES - 10, 20, 2, 20),
        (5 * BLOCK_BYTES + 7, 100, 0, 0),
    ],
)
def test_what_fits_ends_at_the_block_for_which_there_is_no_space(
    offset: int, length: int, free_blocks: int, fitting: int
) -> None:
    assert FileInode().bytes_that_fit(offset, length, free_blocks) == fitting


def test_blocks_that_are_there_need_no_space_and_a_hole_takes_none() -> None:
    file = FileInode(bytes(2 * BLOCK_BYTES))
    assert file.block_count() == 3
    assert file.bytes_that_fit(0, 2 * BLOCK_BYTES, 0) == 2 * BLOCK_BYTES
    file.truncate(10 * BLOCK_BYTES)
    assert file.block_count() == 3
    file.write(5 * BLOCK_BYTES, b"x")
    assert file.block_count() == 4
    file.truncate(BLOCK_BYTES + 1)
    assert file.block_count() == 3
    file.truncate(0)
    assert file.block_count() == 1


# Files: survival.


def overwritten() -> FileInode:
    """Three durable sectors, overwritten and one longer."""
    file = FileInode(b"o" * 3 * S)
    file.write(0, b"n" * 4 * S)
    return file


def test_a_file_with_nothing_unsynced_survives_as_it_is() -> None:
    assert bytes(FileInode(b"abc").survivor("/a", Chosen(0)).durable) == b"abc"


@pytest.mark.parametrize(
    ("size", "fates", "content"),
    [
        (3 * S, {}, b"o" * 3 * S),
        (4 * S, {}, b"o" * 3 * S + bytes(S)),
        (4 * S, {0: "new", 3: "new"}, b"n" * S + b"o" * 2 * S + b"n" * S),
        (3 * S, {1: "zero", 2: b"garbage"}, b"o" * S + bytes(S) + b"garbage".ljust(S, b"\0")),
        (S + 5, {0: "old", 1: "new", 3: "new"}, b"o" * S + b"n" * 5),
        (S + 3, {1: b"x" * S}, b"o" * S + b"xxx"),
    ],
    ids=["old", "new size alone", "two sectors", "zero and garbage", "in between", "cut garbage"],
)
def test_a_survivor_is_put_together_sector_by_sector(size: int, fates: Mapping[int, Fate], content: bytes) -> None:
    survived = overwritten().survivor("/a", Chosen(size, fates))
    assert bytes(survived.durable) == bytes(survived.volatile) == content
    assert survived.unsynced("/a") is None


def test_a_sector_lost_by_a_failed_sync_does_not_survive_as_new() -> None:
    file = overwritten()
    file.fail_sync()
    file.sync()
    assert bytes(file.survivor("/a", EverythingSurvives()).durable) == b"o" * 3 * S + bytes(S)


# Folders.


def made(directory: DirectoryInode, name: str, inode: Inode, sequence: int) -> Change:
    directory.volatile[name] = inode
    return Change(NameChange(sequence, "create", name, None), None, Entry(directory, name, inode))


def moved(source: DirectoryInode, name: str, target: DirectoryInode, new_name: str, sequence: int) -> Change:
    inode = source.volatile.pop(name)
    target.volatile[new_name] = inode
    what = NameChange(sequence, "rename", name, new_name)
    return Change(what, Entry(source, name, inode), Entry(target, new_name, inode))


def test_a_folder_contains_itself_and_all_below_it() -> None:
    top, inner, other = DirectoryInode(), DirectoryInode(), DirectoryInode()
    top.volatile["inner"] = inner
    inner.volatile["file"] = file = FileInode(bytes(BLOCK_BYTES))
    assert top.contains(top) and top.contains(inner) and not top.contains(other) and not inner.contains(top)
    assert list(top.files()) == [file]
    assert top.block_count() == 1 + 1 + 2


def test_a_sync_of_a_folder_makes_its_changes_durable_and_no_others() -> None:
    one, other = DirectoryInode(), DirectoryInode()
    first, second = made(one, "a", FileInode(), 1), made(other, "b", FileInode(), 2)
    assert commit([first, second], one) == [second]
    assert (set(one.durable), set(other.durable)) == ({"a"}, set())


def test_a_committed_rename_takes_the_older_changes_of_both_folders_along() -> None:
    one, other, third = DirectoryInode(), DirectoryInode(), DirectoryInode()
    pending = [made(other, "older", FileInode(), 1), made(third, "elsewhere", FileInode(), 2), made(one, "file", FileInode(), 3)]
    pending.append(moved(one, "file", other, "file", 4))
    pending.append(made(other, "newer", FileInode(), 5))
    left = commit(pending, one)
    assert [change.what.sequence for change in left] == [2, 5]
    assert (set(one.durable), set(other.durable)) == (set(), {"older", "file"})


def test_a_change_does_not_remove_what_took_its_name_meanwhile() -> None:
    folder, old, new = DirectoryInode(), FileInode(b"old"), FileInode(b"new")
    folder.durable["a"] = new
    Change(NameChange(1, "unlink", "a", None), Entry(folder, "a", old), None).apply(Tables(copied=False))
    assert folder.durable == {"a": new}


def test_copied_tables_leave_the_durable_ones_alone() -> None:
    folder, file = DirectoryInode(), FileInode()
    change = Change(NameChange(1, "create", "a", None), None, Entry(folder, "a", file))
    tables = Tables(copied=True)
    change.apply(tables)
    assert (tables[folder], folder.durable) == ({"a": file}, {})
    change.apply(Tables(copied=False))
    assert folder.durable == {"a": file}


# What a power cut leaves of a tree.


def test_of_names_survives_what_was_chosen_and_what_hangs_on_a_lost_one_is_lost() -> None:
    top = DirectoryInode()
    pending = [made(top, "a", FileInode(b"1"), 1), made(top, "x", FileInode(b"2"), 2)]
    pending.append(moved(top, "a", top, "b", 3))
    assert sorted(survivor(top, pending, Chosen(names=[1, 2, 3])).durable) == ["b", "x"]
    assert sorted(survivor(top, pending, Chosen(names=[1, 2])).durable) == ["a", "x"]
    assert sorted(survivor(top, pending, Chosen(names=[2, 3])).durable) == ["x"], "a rename of a file that was never made"


def test_a_survivor_shares_nothing_with_the_tree_it_came_from() -> None:
    top, inner = DirectoryInode(), DirectoryInode()
    top.volatile["inner"] = top.durable["inner"] = inner
    inner.volatile["file"] = inner.durable["file"] = FileInode(b"abc")
    copy = survivor(top, [], NothingSurvives())
    copied = copy.volatile["inner"]
    assert isinstance(copied, DirectoryInode) and copied.volatile.keys() == copied.durable.keys() == {"file"}
    copied.volatile.clear()
    assert set(inner.volatile) == {"file"}


def test_a_survival_is_asked_by_the_path_from_the_top() -> None:
    asked: list[str] = []

    class Asking(NothingSurvives):
        def content(self, file: UnsyncedFile) -> SurvivingFile:
            asked.append(file.path)
            return super().content(file)

    top, inner = DirectoryInode(), DirectoryInode()
    top.durable["store"] = inner
    inner.durable["b"], inner.durable["a"] = overwritten(), overwritten()
    survivor(top, [], Asking())
    assert asked == ["/store/a", "/store/b"]
