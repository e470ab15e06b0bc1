"""The machine under the file system in memory: counting, failing as planned, running out of space, and dying."""

import errno
from typing import Any

import pytest

from rap_journal.testing import Operation, SimulatedCrash
from rap_journal.testing.memory_inodes import BLOCK_BYTES, DirectoryInode, Entry, FileInode
from rap_journal.testing.memory_machine import Fault, MemoryMachine, disk_full
from rap_journal.testing.survival import NameChange


@pytest.fixture
def machine() -> MemoryMachine:
    return MemoryMachine(capacity_bytes=None, used_blocks=0, pending=[], sequence=0)


def fault(operation: str = "*", path: str = "*", *, after: int = 0, times: int | None = 1) -> Fault:
    return Fault(operation, path, errno.EIO, after, times, 0)


def strikes(planned: Fault, count: int, operation: str = "write", path: str = "a") -> list[bool]:
    return [planned.strikes(operation, path) for _ in range(count)]


# Planned failures.


@pytest.mark.parametrize(
    ("after", "times", "expected"),
    [
        (0, 1, [True, False, False, False]),
        (0, 2, [True, True, False, False]),
        (2, 1, [False, False, True, False]),
        (1, None, [False, True, True, True]),
        (0, 0, [False, False, False, False]),
    ],
)
def test_a_failure_strikes_after_some_and_for_some_times(after: int, times: int | None, expected: list[bool]) -> None:
    assert strikes(fault(after=after, times=times), 4) == expected


def test_only_what_matches_both_patterns_is_counted() -> None:
    planned = fault("sync*", "*/journal/*", after=1)
    assert not planned.strikes("write", "clusters/lab/journal/1")
    assert not planned.strikes("sync", "clusters/lab/WITNESS")
    assert not planned.strikes("sync", "clusters/lab/journal/1"), "the one that comes before"
    assert planned.strikes("sync_directory", "clusters/lab/journal/sub"), "a star matches separators too"


def test_patterns_tell_upper_case_from_lower() -> None:
    assert not fault("*", "marker").strikes("open", "MARKER")


def test_the_first_failure_that_strikes_is_raised_and_the_next_one_waits(machine: MemoryMachine) -> None:
    machine.faults += [Fault("write", "*", errno.EIO, 0, 1, 0), Fault("write", "*", errno.ENOSPC, 0, 1, 0)]
    for number in (errno.EIO, errno.ENOSPC):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
            machine.begin("write", "a")
        assert (caught.value.errno, caught.value.filename) == (number, "a")
    machine.begin("write", "a")


def test_before_a_failure_is_raised_the_operation_has_its_say(machine: MemoryMachine) -> None:
    told: list[Any] = []
    planned = fault("sync")
    machine.faults.append(planned)
    with pytest.raises(OSError, match="planned failure of sync"):
        machine.begin("sync", "a", changes=True, on_fault=told.append)
    machine.begin("sync", "a", changes=True, on_fault=told.append)
    assert told == [planned]


# The end of the process.


def test_the_process_ends_in_place_of_the_operation_after_the_last_one_left(machine: MemoryMachine) -> None:
    machine.operations_left = 2
    for name in ("create", "write"):
        machine.begin(name, "a", changes=True)
        machine.log(name, "a")
        machine.begin("read", "a")
    with pytest.raises(SimulatedCrash):
        machine.begin("sync", "a", changes=True)
    with pytest.raises(SimulatedCrash):
        machine.begin("read", "a")
    assert machine.is_dead
    assert [operation.name for operation in machine.operations] == ["create", "write"]


def test_an_operation_that_fails_as_planned_is_none_of_those_left(machine: MemoryMachine) -> None:
    machine.operations_left = 1
    machine.faults.append(fault())
    with pytest.raises(OSError, match="planned"):
        machine.begin("write", "a", changes=True)
    machine.begin("write", "a", changes=True)


def test_a_dead_process_meets_no_planned_failure_any_more(machine: MemoryMachine) -> None:
    machine.faults.append(fault())
    machine.is_dead = True
    with pytest.raises(SimulatedCrash):
        machine.begin("write", "a")
    assert machine.faults[0].strikes("write", "a")


def test_nobody_catches_a_simulated_crash_by_accident() -> None:
    assert not issubclass(SimulatedCrash, Exception)


# The log.


def test_what_happened_is_logged_in_order_from_one(machine: MemoryMachine) -> None:
    machine.log("write", "a", 10, 7)
    machine.log("rename", "a", new_path="b")
    assert machine.operations == [Operation(1, "write", "a", 10, 7), Operation(2, "rename", "a", new_path="b")]


def test_the_numbers_go_on_from_those_of_the_machine_before() -> None:
    machine = MemoryMachine(None, 0, [], sequence=41)
    machine.log("sync", "a")
    assert machine.operations == [Operation(42, "sync", "a")]


# Names.


def test_a_change_of_names_is_seen_at_once_logged_and_waits_for_a_sync(machine: MemoryMachine) -> None:
    folder, file = DirectoryInode(), FileInode()
    machine.change_names("create", "a", None, Entry(folder, "a", file))
    machine.change_names("rename", "a", Entry(folder, "a", file), Entry(folder, "b", file), "b")
    assert (folder.volatile, folder.durable) == ({"b": file}, {})
    assert [change.what for change in machine.pending] == [NameChange(1, "create", "a", None), NameChange(2, "rename", "a", "b")]
    assert [operation.new_path for operation in machine.operations] == [None, "b"]


# Space.


def test_space_is_taken_by_the_block_and_refused_where_there_is_none() -> None:
    machine = MemoryMachine(2 * BLOCK_BYTES + 100, used_blocks=1, pending=[], sequence=0)
    assert machine.free_blocks() == 1, "a part of a block is none"
    machine.take_block("a")
    with pytest.raises(OSError, match="full") as caught:
        machine.take_block("b")
    assert (caught.value.errno, caught.value.filename, machine.used_blocks) == (errno.ENOSPC, "b", 2)
    machine.capacity_bytes = None
    machine.take_block("b")


def test_a_disk_that_was_made_smaller_than_what_it_holds_has_less_than_nothing_free() -> None:
    machine = MemoryMachine(BLOCK_BYTES, used_blocks=5, pending=[], sequence=0)
    assert machine.free_blocks() == -4
    assert machine.write(FileInode(), 0, memoryview(b"x")) == 0


def test_a_write_takes_what_fits_and_a_cut_gives_it_back(machine: MemoryMachine) -> None:
    file = FileInode()
    machine.capacity_bytes = 2 * BLOCK_BYTES
    assert machine.write(file, 0, memoryview(bytes(3 * BLOCK_BYTES))) == 2 * BLOCK_BYTES
    assert machine.used_blocks == 2
    assert machine.write(file, 0, memoryview(b"over what is there")) == 18
    machine.truncate(file, 1)
    assert machine.used_blocks == 1


def test_a_file_without_a_name_keeps_its_space_until_its_last_handle_is_closed(machine: MemoryMachine) -> None:
    folder, file = DirectoryInode(), FileInode()
    machine.take_block("a")
    machine.change_names("create", "a", None, Entry(folder, "a", file))
    machine.write(file, 0, memoryview(b"x"))
    file.handles = 2
    machine.change_names("unlink", "a", Entry(folder, "a", file), None)
    machine.close(file)
    assert machine.used_blocks == 2
    machine.close(file)
    assert machine.used_blocks == 0


def test_a_file_that_is_replaced_gives_its_space_back_and_the_renamed_one_does_not(machine: MemoryMachine) -> None:
    folder, old, new = DirectoryInode(), FileInode(), FileInode()
    for name, inode in (("old", old), ("new", new)):
        machine.take_block(name)
        machine.change_names("create", name, None, Entry(folder, name, inode))
    machine.change_names("rename", "new", Entry(folder, "new", new), Entry(folder, "old", new), "old")
    assert (machine.used_blocks, old.is_linked, new.is_linked) == (1, False, True)


def test_closing_after_a_crash_frees_nothing(machine: MemoryMachine) -> None:
    file = FileInode()
    file.handles, file.is_linked, machine.used_blocks, machine.is_dead = 1, False, 1, True
    machine.close(file)
    assert (file.handles, machine.used_blocks) == (1, 1)


def test_a_full_disk_is_told_with_the_path() -> None:
    assert (disk_full("a").errno, disk_full("a").filename) == (errno.ENOSPC, "a")
