"""Group commit: who leads, who waits, what everybody is told when a write fails or finds no room."""

import errno
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rap_journal.errors import MisuseError, NoSpace, OutcomeUnknown, Poisoned, StateStoreError
from rap_journal.layout import SPARE, WITNESS
from rap_journal.records import Record
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.witness import open_slot, read_witness
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    PATH,
    PEERS,
    TRUST,
    Opened,
    create_journal,
    fill_up,
    open_journal,
    record_of,
    segments_in,
    tree,
    write_until_full,
)

SEGMENT = "*/0*-0*"
"""Pattern of the paths of segments."""

PATIENCE_S = 20
"""How long a test waits for a thread before it fails; no test waits that long when all is well."""


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    filesystem.operations.clear()
    return filesystem


@pytest.fixture
def opened(filesystem: MemoryFileSystem) -> Opened:
    return open_journal(filesystem)


class Call(threading.Thread):
    """A call in a thread of its own, and what came of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def result(self) -> BaseException | None:
        """What it raised, once it is over."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), "the call never returned"
        return self.error


class Gate:
    """Holds the leader of a journal up in `apply`, after the frame was synced, until it is opened."""

    def __init__(self, opened: Opened) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()
        self.failure: BaseException | None = None
        self._apply = opened.ledger.apply
        opened.ledger.apply = self._hold  # type: ignore[method-assign]  # the ledger of one test

    def _hold(self, records: Sequence[Record]) -> None:
        self.reached.set()
        assert self.released.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure
        self._apply(records)


def operations(filesystem: MemoryFileSystem) -> list[tuple[str, str]]:
    return [(operation.name, operation.path) for operation in filesystem.operations]


def reopened(filesystem: MemoryFileSystem) -> Opened:
    """What recovery finds after the process died and the machine lived on."""
    return open_journal(filesystem.kill())


# One writer


def test_a_lone_writer_is_never_delayed_and_gets_a_frame_of_its_own(opened: Opened) -> None:
    for number in range(5):
        opened.append(HEALTH, [number])
        assert opened.journal.frames_written == number + 1
        assert opened.ledger.lsns() == list(range(1, number + 2))


def test_records_are_durable_before_they_are_visible_and_visible_before_anybody_is_told(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    seen: list[str] = []
    apply, committed = opened.ledger.apply, opened.ledger.committed

    def watching_apply(records: Sequence[Record]) -> None:
        left = open_journal(filesystem.image())
        assert left.ledger.lsns() == [record.lsn for record in records]
        seen.append("apply")
        apply(records)

    def watching_committed(records: Sequence[Record]) -> None:
        assert opened.ledger.lsns() == [record.lsn for record in records]
        seen.append("committed")
        committed(records)

    opened.ledger.apply = watching_apply  # type: ignore[method-assign]  # the ledger of one test
    opened.ledger.committed = watching_committed  # type: ignore[method-assign]  # as above
    opened.append(IDENTITY, [1], [2])
    assert seen == ["apply", "committed"]


def test_a_strict_frame_is_witnessed_before_it_is_acknowledged(filesystem: MemoryFileSystem, opened: Opened) -> None:
    opened.append(HEALTH, [1])
    filesystem.operations.clear()
    opened.append(IDENTITY, [2])
    segment = "journal/00000001-00000001"
    assert operations(filesystem) == [("write", segment), ("sync", segment), ("write", WITNESS), ("sync", WITNESS)]
    slot = read_witness(filesystem.image().open_root(PATH)).newest
    assert slot is not None
    assert (slot.point.lsn, slot.point.last_strict_lsn, slot.point.epoch) == (2, 2, 1)
    heads = dict(open_slot(slot, opened.journal.keys.ring).heads)
    assert [(number, head.lsn, head.record_count) for number, head in heads.items()] == [(IDENTITY.number, 2, 1)]


def test_a_frame_that_is_not_strict_costs_one_write_and_one_sync(filesystem: MemoryFileSystem, opened: Opened) -> None:
    opened.append(HEALTH, [1])
    filesystem.operations.clear()
    opened.append(HEALTH, [2])
    assert [name for name, _path in operations(filesystem)] == ["write", "sync"]


def test_the_first_frame_of_a_segment_is_witnessed_so_that_the_segment_would_be_missed(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    while len(segments_in(tree(filesystem))) < 3:
        opened.append(HEALTH, [bytes(range(256)) * 3])
        slot = read_witness(filesystem.open_root(PATH)).newest
        assert slot is not None
        newest = segments_in(tree(filesystem))[-1]
        assert newest.startswith(f"journal/{slot.point.segment:08d}-")


def test_floors_are_those_after_the_frame_was_applied(filesystem: MemoryFileSystem, opened: Opened) -> None:
    opened.append(TRUST, [1], [2])
    slot = read_witness(filesystem.open_root(PATH)).newest
    assert slot is not None
    assert open_slot(slot, opened.journal.keys.ring).floors == [2]


def test_a_ticket_knows_the_lsn_of_its_last_record(opened: Opened) -> None:
    first = opened.submit(HEALTH, [1], [2])
    second = opened.submit(HEALTH, [3])
    opened.journal.flush()
    assert (first.last_lsn, second.last_lsn) == (2, 3)
    assert opened.append(IDENTITY, [4]).last_lsn == 4


def test_a_record_of_many_rows_moves_the_lsn_by_as_many(opened: Opened) -> None:
    ticket = opened.append(PEERS, [1], [2], rows=100)
    assert ticket.last_lsn == 101
    assert opened.journal.durable_lsn == 200
    assert opened.append(HEALTH, [3]).last_lsn == 201


# Several at once


def test_whoever_comes_while_a_frame_is_written_shares_the_next_one(opened: Opened) -> None:
    gate = Gate(opened)
    first = Call(lambda: opened.append(HEALTH, ["first"]))
    assert gate.reached.wait(PATIENCE_S)
    tickets = [opened.submit(HEALTH, ["later", number]) for number in range(5)]
    waiters = [Call(lambda ticket=ticket: opened.journal.wait(ticket)) for ticket in tickets]  # type: ignore[misc]  # bound per ticket
    assert opened.ledger.lsns() == []
    gate.released.set()
    assert [call.result() for call in (first, *waiters)] == [None] * 6
    assert opened.journal.frames_written == 2
    assert opened.ledger.frames == [(1,), (2, 3, 4, 5, 6)]


def test_strict_and_other_records_that_wait_are_written_in_their_order_in_frames_of_their_own(opened: Opened) -> None:
    gate = Gate(opened)
    first = Call(lambda: opened.append(HEALTH, ["first"]))
    assert gate.reached.wait(PATIENCE_S)
    for spec, body in ((HEALTH, "a"), (IDENTITY, "b"), (TRUST, "c"), (PEERS, "d"), (HEALTH, "e")):
        opened.submit(spec, [body])
    gate.released.set()
    assert first.result() is None
    opened.journal.flush()
    assert opened.ledger.frames == [(1,), (2,), (3, 4), (5, 6)]


def test_many_threads_each_see_their_own_record_durable_and_all_are_there(opened: Opened, filesystem: MemoryFileSystem) -> None:
    def work(name: int) -> None:
        for number in range(20):
            ticket = opened.append(IDENTITY if number % 5 == 0 else HEALTH, [name, number])
            assert ticket.last_lsn in opened.ledger.lsns()

    calls = [Call(lambda name=name: work(name)) for name in range(8)]  # type: ignore[misc]  # bound per thread
    assert [call.result() for call in calls] == [None] * 8
    assert opened.ledger.lsns() == list(range(1, 161))
    assert opened.journal.frames_written <= 160
    for name in range(8):
        assert [body for body in opened.ledger.bodies() if body[0] == name] == [[name, number] for number in range(20)]
    assert reopened(filesystem).ledger.state == opened.ledger.state


def test_flushing_does_not_wait_for_those_who_come_after_it(opened: Opened) -> None:
    coming = [True]

    def committed(records: Sequence[Record]) -> None:
        # With every frame, somebody comes with the next record.
        if coming[0] and len(opened.ledger.frames) < 50:
            opened.submit(HEALTH, ["more"])

    opened.ledger.committed = committed  # type: ignore[method-assign]  # the ledger of one test
    opened.submit(HEALTH, ["one"])
    opened.journal.flush()
    assert opened.journal.frames_written == 1
    coming[0] = False


# Failures


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_a_failed_write_or_sync_of_a_frame_is_final(
    filesystem: MemoryFileSystem, opened: Opened, operation: str, number: int
) -> None:
    opened.append(HEALTH, [1])
    filesystem.fail(operation, SEGMENT, number)
    with pytest.raises(OutcomeUnknown) as caught:
        opened.append(HEALTH, [2])
    assert isinstance(caught.value.__cause__, OSError)
    assert (caught.value.lsn, caught.value.cluster, caught.value.action) == (2, "eu-1", "reopen")
    assert opened.journal.is_poisoned
    filesystem.operations.clear()
    for call in (lambda: opened.append(HEALTH, [3]), opened.journal.flush, opened.journal.seal_active):
        with pytest.raises(Poisoned):
            call()
    opened.journal.close()
    assert filesystem.operations == [], "nothing is retried on that file"
    assert opened.ledger.bodies() == [[1]]


def test_after_a_failed_sync_recovery_decides_and_writing_goes_on_in_a_new_segment(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(HEALTH, [1])
    filesystem.fail("sync", SEGMENT, errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.append(HEALTH, [2])
    opened.journal.close()
    again = open_journal(filesystem)
    # The page cache still shows the frame, the disk does not hold it: recovery writes it again.
    assert again.journal.report.rewrote_last_frame
    assert again.ledger.bodies() == [[1], [2]]
    assert open_journal(filesystem.image()).ledger.bodies() == [[1], [2]]
    again.append(HEALTH, [3])
    assert len(segments_in(tree(filesystem))) == 2
    assert open_journal(filesystem.crash()).ledger.bodies() == [[1], [2], [3]]


def test_a_second_failure_while_recovery_rewrites_the_last_frame_is_a_storage_error_and_never_a_cut(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(HEALTH, [1])
    filesystem.fail("sync", SEGMENT, errno.EIO, times=2)
    with pytest.raises(OutcomeUnknown):
        opened.append(HEALTH, [2])
    opened.journal.close()
    with pytest.raises(OSError, match="planned"):
        open_journal(filesystem)
    again = open_journal(filesystem)
    assert again.ledger.bodies() == [[1], [2]]
    assert again.journal.report.is_clean


def test_a_frame_that_never_reached_the_disk_is_gone_when_the_machine_dies_and_nobody_was_told_otherwise(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(HEALTH, [1])
    filesystem.fail("sync", SEGMENT, errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.append(HEALTH, [2])
    again = open_journal(filesystem.crash())
    assert again.ledger.bodies() == [[1]]
    assert again.journal.report.is_clean


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_witness_write_poisons_though_the_frame_is_durable(
    filesystem: MemoryFileSystem, opened: Opened, operation: str
) -> None:
    opened.append(IDENTITY, [1])
    filesystem.fail(operation, WITNESS, errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.append(IDENTITY, [2])
    assert opened.journal.is_poisoned
    assert open_journal(filesystem.crash()).ledger.bodies() == [[1], [2]]


def test_what_is_visible_before_it_is_witnessed_survives_a_power_cut_and_nobody_was_told_of_it_yet(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(IDENTITY, [1])
    floors, survived = opened.ledger.floors, []

    def watching_floors() -> Any:
        # Asked for between memory and witness.
        assert (opened.ledger.bodies(), opened.ledger.told) == ([[1], [2]], [1])
        survived.append(open_journal(filesystem.image()).ledger.bodies())
        return floors()

    opened.ledger.floors = watching_floors  # type: ignore[method-assign]  # the ledger of one test
    opened.append(IDENTITY, [2])
    assert survived == [[[1], [2]]]
    assert opened.ledger.told == [1, 2]


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("end", ["reopen", "kill", "crash"])
def test_after_a_failed_witness_what_is_visible_is_what_recovery_brings_back_and_no_subscriber_was_told(
    filesystem: MemoryFileSystem, opened: Opened, operation: str, end: str
) -> None:
    opened.append(IDENTITY, [1])
    filesystem.fail(operation, WITNESS, errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.append(IDENTITY, [2])
    visible = opened.ledger.bodies()
    assert (visible, opened.ledger.told) == ([[1], [2]], [1])
    with pytest.raises(Poisoned):
        opened.append(IDENTITY, [3])
    opened.journal.close()
    again = open_journal(filesystem if end == "reopen" else getattr(filesystem, end)())
    assert again.ledger.bodies() == visible
    assert again.journal.report.is_clean


def test_a_failed_folder_sync_while_rolling_poisons(filesystem: MemoryFileSystem, opened: Opened) -> None:
    opened.append(HEALTH, [bytes(3000)])
    filesystem.fail("sync_directory", "journal", errno.EIO)
    opened.append(HEALTH, [SeededRandomness("fits")(1000)])
    with pytest.raises(OutcomeUnknown):
        opened.append(HEALTH, [SeededRandomness("does not")(3000)])
    written = opened.ledger.bodies()
    again = open_journal(filesystem.crash())
    assert again.ledger.bodies() == written
    assert again.journal.report.is_clean
    again.append(HEALTH, ["on"])


def test_those_who_wait_behind_a_failed_frame_are_told_that_nothing_was_done(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    gate = Gate(opened)
    gate.failure = RuntimeError("a fold failed")
    first = Call(lambda: opened.append(HEALTH, ["first"]))
    assert gate.reached.wait(PATIENCE_S)
    tickets = [opened.submit(HEALTH, ["behind"]), opened.submit(IDENTITY, ["behind, strict"])]
    waiters = [Call(lambda ticket=ticket: opened.journal.wait(ticket)) for ticket in tickets]  # type: ignore[misc]  # bound per ticket
    gate.released.set()
    assert [type(call.result()) for call in (first, *waiters)] == [OutcomeUnknown, Poisoned, Poisoned]
    assert reopened(filesystem).ledger.bodies() == [["first"]]


def test_an_interrupt_between_write_and_apply_poisons_and_reaches_whoever_led(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    gate = Gate(opened)
    gate.failure = KeyboardInterrupt()
    first = Call(lambda: opened.append(HEALTH, ["first"]))
    assert gate.reached.wait(PATIENCE_S)
    behind = opened.submit(HEALTH, ["behind"])
    gate.released.set()
    assert isinstance(first.result(), KeyboardInterrupt)
    assert opened.journal.is_poisoned
    with pytest.raises(Poisoned):
        opened.journal.wait(behind)
    with pytest.raises(Poisoned):
        opened.append(HEALTH, ["after"])
    assert reopened(filesystem).ledger.bodies() == [["first"]]


def test_an_interrupted_leader_leaves_the_others_of_its_frame_with_an_unknown_outcome(opened: Opened) -> None:
    tickets = [opened.submit(HEALTH, [number]) for number in range(2)]
    gate = Gate(opened)
    gate.failure = KeyboardInterrupt()
    gate.released.set()
    with pytest.raises(KeyboardInterrupt):
        opened.journal.wait(tickets[0])
    with pytest.raises(OutcomeUnknown):
        opened.journal.wait(tickets[1])


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("a fold failed")], ids=["memory", "fold"])
def test_a_failing_fold_poisons_and_the_record_is_durable(
    filesystem: MemoryFileSystem, opened: Opened, failure: Exception
) -> None:
    gate = Gate(opened)
    gate.failure = failure
    gate.released.set()
    with pytest.raises(OutcomeUnknown) as caught:
        opened.append(HEALTH, [1])
    assert caught.value.__cause__ is failure
    assert open_journal(filesystem.crash()).ledger.bodies() == [[1]]


def test_a_witness_that_cannot_be_written_when_idle_poisons_with_a_documented_error(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(HEALTH, [1])
    opened.append(HEALTH, [2])
    filesystem.fail("sync", WITNESS, errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.journal.tick(10**9)
    assert opened.journal.is_poisoned


# No room


def test_a_record_without_room_changes_nothing_and_writing_resumes_with_space(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    before, state, lsn = tree(filesystem), opened.ledger.bodies(), opened.journal.durable_lsn
    with pytest.raises(NoSpace) as caught:
        opened.append(PEERS, ["refused", bytes(500)])
    assert (caught.value.cluster, caught.value.action) == ("eu-1", "retry")
    assert (tree(filesystem), opened.ledger.bodies(), opened.journal.durable_lsn) == (before, state, lsn)
    assert not opened.journal.is_poisoned
    filesystem.capacity_bytes = None
    assert opened.append(PEERS, ["resumed", bytes(range(256)) * 2]).last_lsn == lsn + 1
    opened.journal.close()
    assert open_journal(filesystem).ledger.bodies()[-1][0] == "resumed"


def test_strict_and_sync_records_are_written_on_a_full_disk_where_caches_are_not(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    for number in range(4):
        opened.append(HEALTH, ["degraded", number])
        opened.append(IDENTITY, ["revoked", number])
        with pytest.raises(NoSpace):
            opened.append(PEERS, ["refused", bytes(range(200))])
    assert open_journal(filesystem.crash()).ledger.state == opened.ledger.state


def test_flushing_says_that_something_had_no_room_after_it_tried_everything(filesystem: MemoryFileSystem, opened: Opened) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    opened.submit(PEERS, ["cache", bytes(range(200))])
    strict = opened.submit(IDENTITY, ["strict"])
    with pytest.raises(NoSpace):
        opened.journal.flush()
    assert strict.batch.done and strict.batch.error is None
    assert not opened.journal.is_poisoned


def test_closing_on_a_full_disk_seals_and_witnesses_what_was_written_and_says_what_was_not(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    lsn = opened.journal.durable_lsn
    opened.ledger.riding += [record_of(PEERS, ["riding", bytes(range(200))])]
    with pytest.raises(NoSpace):
        opened.journal.close()
    slot = read_witness(filesystem.open_root(PATH)).newest
    assert slot is not None and slot.point.lsn == lsn
    again = open_journal(filesystem)
    assert again.journal.report.is_clean and again.ledger.state == opened.ledger.state


def test_sealing_on_a_full_disk_goes_on_without_the_observations(filesystem: MemoryFileSystem, opened: Opened) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    opened.ledger.riding += [record_of(PEERS, ["riding", bytes(range(200))])]
    assert opened.journal.seal_active() == opened.journal.durable_lsn == opened.journal.witnessed_lsn
    assert len(opened.ledger.riding) == 1


def test_on_a_full_disk_without_a_spare_the_active_segment_is_not_sealed_and_what_matters_can_be_written(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    filesystem.open_root(PATH).directory("journal").unlink(SPARE)
    fill_up(filesystem)
    for _ in range(3):
        with pytest.raises(NoSpace):
            opened.journal.seal_active()
    opened.append(HEALTH, ["degraded"])
    filesystem.capacity_bytes = None
    assert opened.journal.seal_active() == 2
    assert f"journal/{SPARE}" in tree(filesystem)


def test_the_first_privileged_record_of_an_opening_on_a_full_disk_takes_the_spare(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    opened.journal.close()
    fill_up(filesystem)
    again = open_journal(filesystem)
    with pytest.raises(NoSpace):
        again.append(PEERS, ["refused"])
    again.append(HEALTH, ["degraded"])
    assert f"journal/{SPARE}" not in tree(filesystem)
    assert open_journal(filesystem.crash()).ledger.bodies() == [["first"], ["degraded"]]


# Ticking, sealing, closing


def test_a_queued_record_waits_for_its_frame_at_most_as_long_as_the_setup_says(opened: Opened) -> None:
    opened.submit(PEERS, [1], node_us=1_000_000)
    opened.journal.tick(1_000_000 + 99_999)
    assert opened.journal.frames_written == 0
    opened.journal.tick(1_000_000 + 100_000)
    assert opened.ledger.bodies() == [[1]]


def test_the_witness_follows_after_50_quiet_milliseconds(opened: Opened) -> None:
    opened.append(HEALTH, [1], node_us=1_000_000)
    opened.append(HEALTH, [2], node_us=2_000_000)
    assert opened.journal.witnessed_lsn == 1
    opened.journal.tick(2_049_999)
    assert opened.journal.witnessed_lsn == 1
    opened.journal.tick(2_050_000)
    assert opened.journal.witnessed_lsn == 2


def test_quiet_is_counted_from_the_newest_record_of_a_frame(opened: Opened) -> None:
    opened.append(HEALTH, [0], node_us=1_000_000)
    opened.ledger.riding.append(record_of(PEERS, ["older"], node_us=1_000_000))
    opened.append(HEALTH, [1], node_us=5_000_000)
    opened.journal.tick(5_049_999)
    assert opened.journal.witnessed_lsn == 1


def test_sealing_commits_what_waits_and_says_where_it_ends_though_others_write_on(
    opened: Opened, filesystem: MemoryFileSystem
) -> None:
    opened.submit(PEERS, [1])
    assert opened.journal.seal_active() == 1
    assert opened.journal.witnessed_lsn == 1
    opened.append(HEALTH, [2])
    assert len(segments_in(tree(filesystem))) == 2


def test_after_closing_nothing_is_taken_and_who_waits_is_told(opened: Opened) -> None:
    opened.journal.close()
    with pytest.raises(MisuseError) as caught:
        opened.submit(HEALTH, [1])
    assert caught.value.reason == "closed"
    with pytest.raises(MisuseError):
        opened.journal.flush()


def test_a_record_that_is_queued_while_the_journal_closes_is_written_or_refused(
    opened: Opened, filesystem: MemoryFileSystem
) -> None:
    gate = Gate(opened)
    first = Call(lambda: opened.append(HEALTH, ["first"]))
    assert gate.reached.wait(PATIENCE_S)
    closing = Call(opened.journal.close)
    late = opened.submit(HEALTH, ["late"])
    gate.released.set()
    assert first.result() is None and closing.result() is None
    outcome: StateStoreError | None = None
    try:
        opened.journal.wait(late)
    except StateStoreError as error:
        outcome = error
    bodies = open_journal(filesystem).ledger.bodies()
    assert (outcome is None) == (["late"] in bodies)
    assert outcome is None or outcome.reason == "closed"
