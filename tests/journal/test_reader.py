"""Readers beside a writer and without one: what they see, what they never judge, and that they change nothing."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from rap_journal.checkpoints import START
from rap_journal.errors import DamageError, FormatTooNew, HistoryGone, KeyUnavailable, NoSuchRecord
from rap_journal.layout import WITNESS, checkpoint_name
from rap_journal.reader import Horizon, JournalReader
from rap_journal.sealing import SealBroken
from rap_journal.testing import MemoryFileSystem, SimulatedCrash
from rap_journal.testing.memory_handles import MemoryDirectory
from tests.journal.segment_kit import flip, of_later_format
from tests.journal.test_recovery import content, cut_within, forge_frame, frames_of, journal_of, rot, without
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    PATH,
    PEERS,
    SPECS,
    FixedProvider,
    Opened,
    new_journal,
    open_journal,
    plain,
    plant,
    read_all,
    segments_in,
    setup_of,
    tree,
)


@pytest.fixture
def beside() -> tuple[MemoryFileSystem, Opened]:
    """A file system and the writer that has a journal open in it."""
    return new_journal()


def reader_of(filesystem: MemoryFileSystem, *, live: bool) -> JournalReader:
    return JournalReader.open(filesystem.open_root(PATH), setup_of(), live=live)


def lsns(reader: JournalReader, after_lsn: int = 0, until_lsn: int | None = None) -> list[int]:
    return [record.lsn for _frame, records in reader.records(after_lsn, until_lsn) for record in records]


def test_a_journal_at_rest_is_read_to_its_end() -> None:
    filesystem = plant(journal_of([(IDENTITY, "i1"), (HEALTH, "h2"), (PEERS, "p3")]))
    with reader_of(filesystem, live=False) as reader:
        assert reader.horizon == Horizon(3, 0, False)
        assert lsns(reader) == [1, 2, 3]
    assert read_all(filesystem) == [["i1"], ["h2"], ["p3"]]


def test_an_empty_journal_has_nothing_to_read() -> None:
    with reader_of(plant(journal_of([])), live=False) as reader:
        assert reader.horizon == Horizon(0, 0, False)
        assert lsns(reader) == []


def test_records_are_given_frame_by_frame_between_the_lsns_asked_for(beside: tuple[MemoryFileSystem, Opened]) -> None:
    filesystem, opened = beside
    opened.append(HEALTH, ["h1"], ["h2"])
    opened.append(HEALTH, ["h3"], ["h4"])
    opened.append(HEALTH, ["h5"])
    opened.journal.close()
    with reader_of(filesystem, live=False) as reader:
        assert lsns(reader, 2) == [3, 4, 5]
        assert lsns(reader, 3) == [3, 4, 5], "a frame comes whole"
        assert lsns(reader, 0, 2) == [1, 2]
        assert lsns(reader, 0, 3) == [1, 2, 3, 4]
        assert lsns(reader, 5) == [] and lsns(reader, 0, 0) == []


def test_reading_over_many_segments_and_from_the_middle() -> None:
    filesystem, opened = new_journal()
    for number in range(30):
        opened.append(HEALTH, [number, bytes(range(256)) * 2])
    opened.journal.close()
    assert len(segments_in(tree(filesystem))) > 3
    with reader_of(filesystem, live=False) as reader:
        for after in range(31):
            assert lsns(reader, after) == list(range(after + 1, 31))


# Beside a writer


def test_beside_a_writer_the_horizon_is_the_witness_or_the_frame_before_the_last(beside: tuple[MemoryFileSystem, Opened]) -> None:
    filesystem, opened = beside
    opened.append(HEALTH, ["h1"])
    opened.append(HEALTH, ["h2"])
    opened.append(HEALTH, ["h3"])
    with reader_of(filesystem, live=True) as reader:
        # The witness is at LSN 1; the frame of LSN 3 may be in the page cache only.
        assert reader.horizon == Horizon(2, 0, True)
        assert lsns(reader) == [1, 2]
        opened.append(IDENTITY, ["i4"])
        assert lsns(reader) == [1, 2], "the horizon stands still"
        reader.refresh(live=True)
        assert reader.horizon.lsn == 4 and lsns(reader) == [1, 2, 3, 4]


def test_a_frame_that_is_being_written_is_never_called_damage_nor_shown(beside: tuple[MemoryFileSystem, Opened]) -> None:
    filesystem, opened = beside
    opened.append(IDENTITY, ["i1"])
    opened.append(HEALTH, ["h2"])
    whole = tree(filesystem)
    name, frame = frames_of(whole)[-1]
    for length in range(frame.end - frame.offset):
        half = content(whole, name)[: frame.offset + length].ljust(4096, b"\0")
        with reader_of(plant(whole | {name: half}), live=True) as reader:
            assert lsns(reader) == [1]


def test_a_reader_takes_no_lock_and_changes_nothing(beside: tuple[MemoryFileSystem, Opened]) -> None:
    filesystem, opened = beside
    opened.append(HEALTH, ["h1"])
    opened.append(IDENTITY, ["i2"])
    filesystem.operations.clear()
    for live in (True, False):
        with reader_of(filesystem, live=live) as reader:
            assert lsns(reader)
            reader.checkpoint_before(HEALTH, 1)
    assert filesystem.operations == []


def test_segments_that_are_retired_meanwhile_are_still_read(beside: tuple[MemoryFileSystem, Opened]) -> None:
    filesystem, opened = beside
    for number in range(20):
        opened.append(HEALTH, [number, bytes(range(256)) * 2])
    opened.journal.close()
    with reader_of(filesystem, live=False) as reader:
        folder = filesystem.open_root(PATH).directory("journal")
        for name in folder.names():
            folder.unlink(name)
        assert lsns(reader) == list(range(1, 21))


@pytest.mark.parametrize("step", ["listing", "holding"])
def test_a_segment_that_is_retired_between_its_listing_and_its_opening_is_no_damage(
    beside: tuple[MemoryFileSystem, Opened], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    filesystem, opened = beside
    opened.append(HEALTH, ["h1"])
    opened.checkpoint()
    opened.append(HEALTH, ["h2"])
    opened.journal.close()
    folder = filesystem.open_root(PATH).directory("journal")
    oldest = "00000001-00000001"
    open_file, opened_times = MemoryDirectory.open, []

    def retiring(self: MemoryDirectory, name: str, *, writable: bool = False) -> Any:
        if name == oldest:
            opened_times.append(name)
            if len(opened_times) == (1 if step == "listing" else 2):
                folder.unlink(oldest)
        return open_file(self, name, writable=writable)

    monkeypatch.setattr(MemoryDirectory, "open", retiring)
    with reader_of(filesystem, live=True) as reader:
        assert [segment.name for segment in reader.inventory.chain] == ["00000002-00000001"]
        assert lsns(reader, 1) == [2]


def test_a_refreshed_reader_lets_go_of_what_was_retired_and_takes_up_what_is_new(beside: tuple[MemoryFileSystem, Opened]) -> None:
    filesystem, opened = beside
    opened.append(HEALTH, ["h1"])
    opened.checkpoint()
    with reader_of(filesystem, live=True) as reader:
        opened.append(HEALTH, ["h2"])
        filesystem.open_root(PATH).directory("journal").unlink("00000001-00000001")
        reader.refresh(live=True)
        assert [segment.name for segment in reader.inventory.chain] == ["00000002-00000001"]
        assert lsns(reader, 1) == [2]


def test_a_reader_beside_every_step_of_a_writer_sees_a_prefix_of_what_was_acknowledged() -> None:
    filesystem, opened = new_journal()
    done: list[Any] = []
    for number in range(12):
        spec = (HEALTH, IDENTITY, PEERS)[number % 3]
        body = [spec.name, number, bytes(range(200)) * 3]
        opened.append(spec, body)
        done.append(plain(body))
        with reader_of(filesystem, live=True) as reader:
            seen = [plain(record.body) for _frame, records in reader.records() for record in records]
            assert seen == done[: len(seen)]
            assert len(seen) >= len(done) - 1


def test_after_any_crash_a_reader_sees_what_recovery_will_find() -> None:
    for survived in range(60):
        filesystem, opened = new_journal()
        filesystem.crash_after(survived)
        try:
            for number in range(6):
                opened.append((HEALTH, IDENTITY)[number % 2], [number, bytes(range(256)) * 3])
            opened.journal.close()
        except SimulatedCrash:
            pass
        left = filesystem.crash()
        assert read_all(left) == open_journal(left).ledger.bodies()


# Without a writer: the tail is judged by looking, and nothing is cut


def test_a_torn_tail_is_left_alone_and_not_shown() -> None:
    files = cut_within(journal_of([(IDENTITY, "i1"), (HEALTH, "h2")], close=False), 2)
    filesystem = plant(files)
    assert read_all(filesystem) == [["i1"]]
    assert tree(filesystem) == files


@pytest.mark.parametrize("live", [False, True])
def test_a_frame_of_a_later_format_is_raised(*, live: bool) -> None:
    files = journal_of([(IDENTITY, "i1"), (HEALTH, "h2")], close=False)
    name, frame = frames_of(files)[-1]
    filesystem = plant(files | {name: of_later_format(content(files, name), frame.offset)})
    with pytest.raises(FormatTooNew):
        reader_of(filesystem, live=live)


def test_a_gap_is_passed_over() -> None:
    files = rot(journal_of([(HEALTH, "h1"), (HEALTH, "h2"), (HEALTH, "h3")]), 2)
    assert read_all(plant(files)) == [["h1"], ["h3"]]


def test_a_frame_that_was_tampered_with_is_raised() -> None:
    files = forge_frame(journal_of([(HEALTH, "h1"), (HEALTH, "h2")], close=False), 2)
    with reader_of(plant(files), live=False) as reader, pytest.raises(SealBroken):
        list(reader.records())


# Checkpoints


@pytest.fixture
def checkpointed() -> Iterator[JournalReader]:
    filesystem, opened = new_journal()
    for number in range(4):
        opened.append(HEALTH, [number])
        opened.checkpoint()
    opened.append(HEALTH, ["last"])
    opened.journal.close()
    with reader_of(filesystem, live=False) as reader:
        yield reader


@pytest.mark.parametrize(("lsn", "expected"), [(0, 0), (1, 0), (2, 0), (3, 3), (4, 4), (5, 4)])
def test_the_newest_checkpoint_at_or_before_an_lsn_is_given(checkpointed: JournalReader, lsn: int, expected: int) -> None:
    assert checkpointed.checkpoint_before(HEALTH, lsn).anchor.lsn == expected


def test_an_lsn_beyond_the_horizon_is_no_record(checkpointed: JournalReader) -> None:
    with pytest.raises(NoSuchRecord) as caught:
        checkpointed.checkpoint_before(HEALTH, 6)
    assert (caught.value.lsn, caught.value.cluster) == (6, "eu-1")


def test_an_lsn_before_the_oldest_checkpoint_is_gone_with_the_floor_named() -> None:
    filesystem, opened = new_journal()
    for number in range(3):
        opened.append(HEALTH, [number])
        opened.checkpoint()
    opened.journal.close()
    files = without(tree(filesystem), *(f"{spec.name}/{checkpoint_name(0)}" for spec in SPECS))
    with reader_of(plant(files), live=False) as reader:
        assert reader.horizon.oldest_lsn == 2
        with pytest.raises(HistoryGone) as caught:
            reader.checkpoint_before(HEALTH, 1)
        assert caught.value.oldest_lsn == 2
        since = next(records[0] for _frame, records in reader.records(2))
        assert caught.value.oldest_wall_us == since.wall_us == 1_767_000_000_000_000
        assert "back to LSN 2, 2025-12-29T09:20:00+00:00." in str(caught.value)


def without_the_first_segment(reader: JournalReader) -> JournalReader:
    reader.folders.journal.unlink(f"{1:08d}-{1:08d}")
    reader.refresh(live=False)
    return reader


def test_while_the_first_record_is_there_no_checkpoint_is_needed(checkpointed: JournalReader) -> None:
    folder = checkpointed.folders.classes[PEERS.number]
    for name in folder.names():
        folder.unlink(name)
    assert checkpointed.checkpoint_before(PEERS, 5) == START
    assert checkpointed.checkpoint_before(HEALTH, 5).anchor.lsn == 4
    checkpointed.refresh(live=False)
    assert checkpointed.horizon.oldest_lsn == 0


def test_where_history_reaches_and_a_class_has_no_whole_checkpoint_that_is_damage(checkpointed: JournalReader) -> None:
    without_the_first_segment(checkpointed)
    folder = checkpointed.folders.classes[PEERS.number]
    for lsn in (0, 3, 4):
        with folder.open(checkpoint_name(lsn), writable=True) as file:
            file.write_at(140, b"rot")
    with pytest.raises(DamageError) as caught:
        checkpointed.checkpoint_before(PEERS, 5)
    assert (caught.value.state_class, caught.value.lsn, caught.value.reason) == ("peers", 5, "bad_digest")
    assert checkpointed.checkpoint_before(HEALTH, 5).anchor.lsn == 4


def test_a_class_folder_that_is_empty_is_damage_and_no_history_that_went(checkpointed: JournalReader) -> None:
    folder = checkpointed.folders.classes[PEERS.number]
    for name in folder.names():
        folder.unlink(name)
    without_the_first_segment(checkpointed)
    with pytest.raises(DamageError) as caught:
        checkpointed.checkpoint_before(PEERS, 5)
    assert (caught.value.state_class, caught.value.reason) == ("peers", "missing")


def test_a_wall_clock_that_says_nonsense_is_quoted_as_it_is() -> None:
    filesystem, opened = new_journal()
    for number in range(3):
        opened.append(HEALTH, [number], wall_us=2**62)
        opened.checkpoint()
    opened.journal.close()
    files = without(tree(filesystem), *(f"{spec.name}/{checkpoint_name(0)}" for spec in SPECS))
    with reader_of(plant(files), live=False) as reader, pytest.raises(HistoryGone, match=f"{2**62} microseconds since 1970"):
        reader.checkpoint_before(HEALTH, 1)


def test_a_damaged_or_dropped_checkpoint_gives_way_to_an_older_one(checkpointed: JournalReader) -> None:
    folder = checkpointed.folders.classes[HEALTH.number]
    with folder.open(checkpoint_name(4), writable=True) as file:
        file.write_at(140, b"rot")
    assert checkpointed.checkpoint_before(HEALTH, 5).anchor.lsn == 3


def test_a_checkpoint_that_the_writer_drops_between_listing_and_reading_gives_way(
    checkpointed: JournalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = MemoryDirectory.open

    def dropping(self: MemoryDirectory, name: str, *, writable: bool = False) -> Any:
        if name == checkpoint_name(4):
            raise FileNotFoundError(errno.ENOENT, "dropped meanwhile", name)
        return open_file(self, name, writable=writable)

    monkeypatch.setattr(MemoryDirectory, "open", dropping)
    assert checkpointed.checkpoint_before(HEALTH, 5).anchor.lsn == 3


# What cannot be opened


def test_a_reader_that_cannot_open_closes_what_it_had_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    files = journal_of([(HEALTH, "h1")])
    broken = flip(flip(content(files, WITNESS), 60), 4096 + 60)
    filesystem = plant(files | {WITNESS: broken})
    opened: list[Any] = []
    made = MemoryDirectory.__init__

    def watching(self: MemoryDirectory, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        opened.append(self)

    monkeypatch.setattr(MemoryDirectory, "__init__", watching)
    with pytest.raises(DamageError):
        reader_of(filesystem, live=False)
    assert opened
    for directory in opened:
        with pytest.raises(OSError, match="closed"):
            directory.names()


def test_without_the_right_key_nothing_is_shown() -> None:
    filesystem = plant(journal_of([(HEALTH, "h1")]))
    with pytest.raises(KeyUnavailable):
        JournalReader.open(filesystem.open_root(PATH), setup_of(provider=FixedProvider(b"x" * 32)), live=False)
