"""What the file system in memory forgets and keeps as a whole: power cuts, dead processes, planned failures, a full disk."""

import errno
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

import pytest

from rap_journal.errors import StoreBusy
from rap_journal.filesystem import read_whole
from rap_journal.testing import (
    EverythingSurvives,
    MemoryFileSystem,
    NothingSurvives,
    RandomSurvival,
    SeededRandomness,
    SimulatedCrash,
)
from rap_journal.testing.memory_handles import MemoryDirectory
from rap_journal.testing.survival import SECTOR_BYTES, NameChange, SurvivingFile, UnsyncedFile

SECTOR = SECTOR_BYTES
BLOCK = 4096


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> MemoryDirectory:
    return filesystem.open_root("/store", create=True)


def put(directory: MemoryDirectory, name: str, content: bytes) -> None:
    """Make file `name` with `content`, durably."""
    with directory.create(name) as file:
        file.write_at(0, content)
        file.sync()
    directory.sync()


def files(filesystem: MemoryFileSystem) -> dict[str, bytes]:
    """Content of every file directly below the root."""
    root = filesystem.open_root("/store")
    return {name: read_whole(root, name, 1 << 20) for name in root.names()}


def random_survivors(filesystem: MemoryFileSystem, count: int = 200) -> list[dict[str, bytes]]:
    return [files(filesystem.image(RandomSurvival(SeededRandomness(seed)))) for seed in range(count)]


def fails_with(number: int, call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what is compared
        call()
    assert caught.value.errno == number


# A power cut when nothing survives


def test_unsynced_content_is_lost_and_synced_content_stays(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"synced")
    with root.open("a", writable=True) as file:
        file.write_at(0, b"UNSYNCED")
    assert files(filesystem) == {"a": b"UNSYNCED"}
    assert files(filesystem.crash()) == {"a": b"synced"}


def test_a_file_whose_folder_was_not_synced_is_lost_with_its_synced_content(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    with root.create("a") as file:
        file.write_at(0, b"synced")
        file.sync()
    assert files(filesystem.crash()) == {}


def test_a_file_whose_folder_was_synced_and_content_was_not_is_empty(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create("a") as file:
        file.write_at(0, b"unsynced")
    root.sync()
    assert files(filesystem.crash()) == {"a": b""}


def test_an_unsynced_rename_reverts(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "MARKER", b"old")
    put(root, "tmp-1", b"new")
    root.rename("tmp-1", "MARKER")
    assert files(filesystem) == {"MARKER": b"new"}
    assert files(filesystem.image()) == {"MARKER": b"old", "tmp-1": b"new"}
    root.sync()
    assert files(filesystem.crash()) == {"MARKER": b"new"}


def test_an_unsynced_rename_of_unsynced_content_leaves_the_old_file(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "MARKER", b"old")
    with root.create("tmp-1") as file:
        file.write_at(0, b"new")
        root.rename("tmp-1", "MARKER")
        assert files(filesystem.image()) == {"MARKER": b"old"}
        root.sync()
        assert files(filesystem.image()) == {"MARKER": b""}, "a rename before the content sync destroys the file"
        file.sync()
    assert files(filesystem.crash()) == {"MARKER": b"new"}


def test_an_unlinked_file_comes_back_until_its_folder_is_synced(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    root.unlink("a")
    assert files(filesystem) == {}
    assert files(filesystem.image()) == {"a": b"content"}
    root.sync()
    assert files(filesystem.crash()) == {}


def test_a_truncated_tail_comes_back_until_it_is_synced(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"x" * 3000)
    with root.open("a", writable=True) as file:
        file.truncate(1000)
        assert files(filesystem.image()) == {"a": b"x" * 3000}
        file.truncate(3000)
        assert files(filesystem.image()) == {"a": b"x" * 3000}
        file.sync()
    assert files(filesystem.crash()) == {"a": b"x" * 1000 + bytes(2000)}


def test_a_folder_that_was_made_and_filled_is_lost_with_all_that_was_synced_in_it(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    with root.create_directory("d") as directory:
        put(directory, "a", b"content")
        assert filesystem.image().open_root("/store").names() == []
        root.sync()
        survivor = filesystem.crash().open_root("/store").directory("d")
    assert read_whole(survivor, "a", 100) == b"content"


def test_a_removed_folder_comes_back_with_what_was_durable_in_it(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create_directory("d") as directory:
        put(directory, "a", b"content")
        root.sync()
        directory.unlink("a")
        root.remove_directory("d")
    survivor = filesystem.image().open_root("/store").directory("d")
    assert read_whole(survivor, "a", 100) == b"content"
    root.sync()
    assert filesystem.crash().open_root("/store").names() == []


def test_a_renamed_folder_takes_its_content_along(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create_directory(".join-lab") as directory:
        put(directory, "MARKER", b"1")
    root.sync()
    root.rename(".join-lab", "lab")
    assert filesystem.image().open_root("/store").names() == [".join-lab"]
    root.sync()
    after = filesystem.crash().open_root("/store")
    assert after.names() == ["lab"]
    assert read_whole(after.directory("lab"), "MARKER", 10) == b"1"


@pytest.mark.parametrize("synced", ["source", "target"])
def test_a_rename_across_folders_is_durable_in_both_once_either_is_synced(
    filesystem: MemoryFileSystem, root: MemoryDirectory, synced: str
) -> None:
    with root.create_directory("tmp") as source, root.create_directory("trust") as target:
        root.sync()
        put(source, "part", b"content")
        source.rename("part", "document", target)
        before = filesystem.image().open_root("/store")
        assert (before.directory("tmp").names(), before.directory("trust").names()) == (["part"], [])
        (source if synced == "source" else target).sync()
    after = filesystem.crash().open_root("/store")
    assert (after.directory("tmp").names(), after.directory("trust").names()) == ([], ["document"])


def test_a_synced_rename_takes_older_changes_of_both_folders_along_and_no_others(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    with root.create_directory("a") as a, root.create_directory("b") as b, root.create_directory("c") as c:
        root.sync()
        b.create("older").close()
        c.create("elsewhere").close()
        a.create("moved").close()
        a.rename("moved", "older", b)
        b.create("newer").close()
        a.sync()
    after = filesystem.crash().open_root("/store")
    assert [after.directory(name).names() for name in "abc"] == [[], ["older"], []]


def test_the_root_itself_is_durable_when_it_is_made(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    assert filesystem.crash().open_root("/store").names() == []


def test_a_survivor_is_a_disk_of_its_own(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    image = filesystem.image()
    with image.open_root("/store") as other, other.open("a", writable=True) as file:
        file.write_at(0, b"CHANGED")
        other.unlink("a")
        other.sync()
    assert files(filesystem) == {"a": b"content"}
    assert files(filesystem.image()) == {"a": b"content"}


def test_what_survived_a_crash_is_durable_in_the_next_one(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create("a") as file:
        file.write_at(0, b"lucky")
    first = filesystem.crash(EverythingSurvives())
    assert files(first) == {"a": b"lucky"}
    assert files(first.crash(NothingSurvives())) == {"a": b"lucky"}


# A power cut when some of it survives


def test_everything_survives_a_lucky_power_cut(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"old")
    put(root, "b", b"x" * 2000)
    with root.open("a", writable=True) as a, root.open("b", writable=True) as b:
        a.write_at(1000, b"new")
        b.truncate(10)
    root.rename("b", "c")
    assert (
        files(filesystem.image(EverythingSurvives())) == files(filesystem) == {"a": b"old" + bytes(997) + b"new", "c": b"x" * 10}
    )


def test_the_same_seed_leaves_the_same_disk(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create("a") as file:
        file.write_at(0, bytes(range(256)) * 40)
        root.create("b").close()
    assert random_survivors(filesystem, 20) == random_survivors(filesystem, 20)
    assert len({str(each) for each in random_survivors(filesystem)}) > 10


def test_random_sectors_of_new_bytes_are_new_absent_zero_or_garbage(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    root.create("a").close()
    root.sync()
    with root.open("a", writable=True) as file:
        file.write_at(0, b"n" * SECTOR * 4)
    found = [each["a"] for each in random_survivors(filesystem)]
    assert {len(each) for each in found} == {0, SECTOR * 4}
    sectors = {each[at : at + SECTOR] for each in found for at in range(0, len(each), SECTOR)}
    assert {b"n" * SECTOR, bytes(SECTOR)} < sectors
    assert all(sector in (b"n" * SECTOR, bytes(SECTOR)) or len(set(sector)) > 100 for sector in sectors)
    assert b"n" * SECTOR + bytes(SECTOR * 3) in found, "a prefix of the write is among the outcomes"


def test_random_sectors_that_were_overwritten_are_old_or_new(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"o" * SECTOR * 3)
    with root.open("a", writable=True) as file:
        file.write_at(0, b"n" * SECTOR * 3)
    found = {each["a"] for each in random_survivors(filesystem)}
    expected = {b"".join((a * SECTOR, b * SECTOR, c * SECTOR)) for a in (b"o", b"n") for b in (b"o", b"n") for c in (b"o", b"n")}
    assert found == expected


def test_overwritten_sectors_may_hold_anything_where_the_device_tears_them(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    put(root, "a", b"o" * SECTOR)
    with root.open("a", writable=True) as file:
        file.write_at(0, b"n" * SECTOR)
    images = [filesystem.image(RandomSurvival(SeededRandomness(seed), atomic_sectors=False)) for seed in range(100)]
    found = {files(image)["a"] for image in images}
    assert {b"o" * SECTOR, b"n" * SECTOR, bytes(SECTOR)} < found


def test_random_name_changes_survive_as_prefix_or_subset(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    for name in "abc":
        root.create(name).close()
    found = {"".join(each) for each in random_survivors(filesystem)}
    assert found == {"", "a", "b", "c", "ab", "ac", "bc", "abc"}


def test_a_file_never_has_two_names_after_a_power_cut(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "x", b"victim")
    with root.create("a") as file:
        file.write_at(0, b"content")
        file.sync()
    root.rename("a", "b")
    root.rename("b", "x")
    found = {tuple(sorted(each.items())) for each in random_survivors(filesystem)}
    victim = ("x", b"victim")
    assert found == {(victim,), (("a", b"content"), victim), (("b", b"content"), victim), (("x", b"content"),)}


def test_a_survival_of_ones_own_steers_the_crash_to_the_sector(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    seen: list[object] = []

    class Steered:
        def names(self, changes: Sequence[NameChange]) -> Collection[int]:
            seen.extend(changes)
            return {changes[0].sequence}

        def content(self, file: UnsyncedFile) -> SurvivingFile:
            seen.append(file)
            return SurvivingFile(SECTOR * 3 + 10, {0: "old", 1: "zero", 2: b"garbage", 3: "new"})

    put(root, "a", b"o" * SECTOR * 2)
    with root.open("a", writable=True) as file:
        file.write_at(0, b"n" * SECTOR * 4)
    root.create("b").close()
    root.unlink("a")
    after = files(filesystem.crash(Steered()))
    assert after == {"a": b"o" * SECTOR + bytes(SECTOR) + b"garbage".ljust(SECTOR, b"\0") + b"n" * 10, "b": b""}
    assert seen == [
        NameChange(7, "create", "b", None),
        NameChange(8, "unlink", "a", None),
        UnsyncedFile("/store/a", SECTOR * 2, SECTOR * 4, (0, 1, 2, 3)),
    ]


# The end of the process


def test_a_killed_process_loses_nothing_but_its_handles_and_locks(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"old")
    root.lock("LOCK", "me")
    with root.open("a", writable=True) as file:
        file.write_at(0, b"new")
        root.create("b").close()
        after = filesystem.kill()
        with pytest.raises(SimulatedCrash):
            file.sync()
    again = after.open_root("/store")
    assert again.names() == ["LOCK", "a", "b"]
    assert again.lock_holder("LOCK") is None
    again.lock("LOCK", "the next").release()
    assert read_whole(again, "a", 100) == b"new"
    assert files(after.image()) == {"a": b"old"}, "what was not synced before the kill is still not durable"
    with again.open("a", writable=True) as file:
        file.sync()
    assert files(after.crash()) == {"a": b"new"}


def test_a_crash_drops_locks(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    root.lock("LOCK", "me")
    with pytest.raises(StoreBusy):
        root.lock("LOCK", "another")
    root.sync()
    again = filesystem.crash().open_root("/store")
    assert again.lock_holder("LOCK") is None
    again.lock("LOCK", "the next").release()


def steps(filesystem: MemoryFileSystem) -> None:
    root = filesystem.open_root("/store", create=True)
    with root.create("a") as file:
        file.write_at(0, b"content")
        file.sync()
    root.rename("a", "b")
    root.sync()


def test_the_process_can_be_ended_before_any_of_its_operations() -> None:
    whole = MemoryFileSystem()
    steps(whole)
    names = [operation.name for operation in whole.operations]
    assert names == ["create_directory", "create", "write", "sync", "rename", "sync_directory"]
    for count in range(len(names)):
        filesystem = MemoryFileSystem()
        filesystem.crash_after(count)
        with pytest.raises(SimulatedCrash):
            steps(filesystem)
        assert [operation.name for operation in filesystem.operations] == names[:count]
        with pytest.raises(SimulatedCrash):
            filesystem.open_root("/store", create=True)
    filesystem = MemoryFileSystem()
    filesystem.crash_after(len(names))
    steps(filesystem)
    assert files(filesystem.crash()) == {"b": b"content"}


def test_operations_that_change_nothing_are_not_counted(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    filesystem.operations.clear()
    filesystem.crash_after(1)
    with root.open("a") as file:
        file.read_at(0, 10)
        file.size()
        file.forget_cache()
    root.names()
    root.status("a")
    root.lock_holder("LOCK")
    filesystem.open_root("/store").close()
    assert filesystem.operations == []
    root.sync()
    with pytest.raises(SimulatedCrash):
        root.sync()


def test_a_simulated_crash_is_not_caught_as_an_exception(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    assert not issubclass(SimulatedCrash, Exception)
    filesystem.crash_after(0)
    with pytest.raises(SimulatedCrash), suppress(Exception):
        root.create("a")


# Planned failures


def test_a_planned_failure_strikes_after_and_for_as_often_as_it_says(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    filesystem.fail("create", "a*", errno.EMFILE, after=1, times=2)
    root.create("a1").close()
    root.create("b").close()
    for _ in range(2):
        fails_with(errno.EMFILE, lambda: root.create("a2"))
    root.create("a2").close()
    assert root.names() == ["a1", "a2", "b"]


def test_a_file_system_can_turn_read_only_and_heal(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    for operation in ("create*", "write", "truncate", "rename", "unlink", "remove_directory", "lock"):
        filesystem.fail(operation, "*", errno.EROFS, times=None)
    with root.open("a", writable=True) as file:
        for call in (
            lambda: file.write_at(0, b"x"),
            lambda: file.truncate(0),
            lambda: root.create("b"),
            lambda: root.unlink("a"),
        ):
            fails_with(errno.EROFS, call)
        assert file.read_at(0, 10) == b"content"
        filesystem.heal()
        file.write_at(0, b"C")
    assert files(filesystem) == {"a": b"Content"}


def test_a_planned_failure_has_the_python_type_of_its_errno(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"content")
    filesystem.fail("open", "a", errno.EACCES)
    with pytest.raises(PermissionError) as caught:
        root.open("a")
    assert caught.value.filename == "a"


def test_a_failed_write_changes_nothing_or_the_part_that_was_planned(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", b"0123456789")
    with root.open("a", writable=True) as file:
        filesystem.fail("write", "a", errno.EIO)
        fails_with(errno.EIO, lambda: file.write_at(0, b"abcdef"))
        assert file.read_at(0, 20) == b"0123456789"
        filesystem.fail("write", "a", errno.EIO, partial_bytes=3)
        fails_with(errno.EIO, lambda: file.write_at(0, b"abcdef"))
        assert file.read_at(0, 20) == b"abc3456789"


def test_after_a_failed_sync_the_next_one_succeeds_and_the_disk_keeps_the_old_bytes(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    put(root, "a", b"o" * SECTOR * 2)
    with root.open("a", writable=True) as file:
        filesystem.fail("sync", "a", errno.EIO)
        file.write_at(0, b"n" * SECTOR)
        fails_with(errno.EIO, file.sync)
        assert file.read_at(0, 1) == b"n"
        file.sync()
        assert file.read_at(0, 1) == b"n", "the page cache shows the new bytes"
        for survival in (NothingSurvives(), EverythingSurvives()):
            assert files(filesystem.image(survival)) == {"a": b"o" * SECTOR * 2}
        killed = filesystem.kill()
    assert files(killed) == {"a": b"n" * SECTOR + b"o" * SECTOR}
    with killed.open_root("/store").open("a") as file:
        file.forget_cache()
        assert file.read_at(0, SECTOR * 2) == b"o" * SECTOR * 2


def test_bytes_lost_by_a_failed_sync_are_durable_once_written_again_and_synced(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    put(root, "a", b"o" * SECTOR)
    with root.open("a", writable=True) as file:
        filesystem.fail("sync", "a", errno.EIO)
        file.write_at(0, b"n" * SECTOR)
        fails_with(errno.EIO, file.sync)
        file.write_at(0, b"n" * SECTOR)
        file.sync()
    assert files(filesystem.crash()) == {"a": b"n" * SECTOR}


def test_a_file_that_grew_before_its_failed_sync_reads_as_zeros_there(
    filesystem: MemoryFileSystem, root: MemoryDirectory
) -> None:
    put(root, "a", b"old")
    with root.open("a", writable=True) as file:
        filesystem.fail("sync", "a", errno.EIO)
        file.write_at(SECTOR, b"new")
        fails_with(errno.EIO, file.sync)
        assert files(filesystem.image()) == {"a": b"old"}
        file.sync()
        file.forget_cache()
        assert file.read_at(0, 1000) == b"old" + bytes(SECTOR)
    assert files(filesystem.crash()) == {"a": b"old" + bytes(SECTOR)}


def test_a_failed_folder_sync_leaves_its_changes_waiting(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    filesystem.fail("sync_directory", "", errno.EIO)
    root.create("a").close()
    fails_with(errno.EIO, root.sync)
    assert files(filesystem.image()) == {}
    root.sync()
    assert files(filesystem.crash()) == {"a": b""}


# A full disk


def test_space_is_counted_in_blocks_and_freed(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    assert filesystem.used_bytes == BLOCK
    with root.create("a") as file:
        assert filesystem.used_bytes == 2 * BLOCK
        file.write_at(BLOCK - 1, b"xy")
        assert filesystem.used_bytes == 4 * BLOCK
        file.truncate(100 * BLOCK)
        assert filesystem.used_bytes == 4 * BLOCK, "a hole takes no space"
        file.truncate(1)
        assert filesystem.used_bytes == 3 * BLOCK
        root.unlink("a")
        assert filesystem.used_bytes == 3 * BLOCK, "an open file keeps its space"
    assert filesystem.used_bytes == BLOCK
    root.create_directory("d").close()
    root.remove_directory("d")
    assert filesystem.used_bytes == BLOCK


def test_a_full_disk_takes_what_fits_and_then_nothing_new(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    with root.create("a") as file:
        filesystem.capacity_bytes = filesystem.used_bytes + 2 * BLOCK
        fails_with(errno.ENOSPC, lambda: file.write_at(10, b"x" * 3 * BLOCK))
        assert file.size() == 2 * BLOCK
        file.write_at(0, b"y" * 2 * BLOCK)
        fails_with(errno.ENOSPC, lambda: root.create("b"))
        fails_with(errno.ENOSPC, lambda: root.create_directory("d"))
        filesystem.capacity_bytes = None
        file.write_at(0, b"z" * 3 * BLOCK)
    assert root.names() == ["a"]


def test_replacing_a_file_frees_the_old_one(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", bytes(BLOCK))
    put(root, "b", bytes(BLOCK))
    root.rename("b", "a")
    assert filesystem.used_bytes == 3 * BLOCK


def test_space_and_capacity_carry_over_a_crash(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    put(root, "a", bytes(BLOCK))
    filesystem.capacity_bytes = 10 * BLOCK
    with root.create("b") as file:
        file.write_at(0, b"x")
        root.unlink("b")
        killed = filesystem.kill()
    assert (killed.used_bytes, killed.capacity_bytes) == (3 * BLOCK, 10 * BLOCK)
    assert (killed.crash().used_bytes, killed.crash().capacity_bytes) == (3 * BLOCK, 10 * BLOCK)


# Threads


def test_threads_of_one_process_do_not_disturb_each_other(filesystem: MemoryFileSystem, root: MemoryDirectory) -> None:
    def work(name: str) -> None:
        with root.create(name) as file:
            for index in range(200):
                file.write_at(index, name.encode())
                file.sync()
        root.sync()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(filesystem.crash()) == {name: name.encode() * 200 for name in "abcd"}
    assert [operation.sequence for operation in filesystem.operations] == list(range(1, 4 * 402 + 2))
