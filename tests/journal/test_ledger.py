"""The ledger tells of records whose segments are gone: exactly, once, bound to its journal, and no crash loses an entry."""

import errno
from itertools import pairwise
from typing import Any

import pytest

from rap_journal import ledger
from rap_journal.errors import DamageError
from rap_journal.inventory import take_inventory
from rap_journal.layout import JOURNAL, checkpoint_name, ledger_name, parse_ledger_name
from rap_journal.ledger import LedgerSpan, keep_in_ledger, list_ledger, read_ledger
from rap_journal.reader import JournalReader
from rap_journal.records import Category, Record
from rap_journal.sealing import SealBroken
from rap_journal.testing import MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.unlocking import unlock
from rap_journal.verify import verify_journal
from rap_journal.verify_report import Severity
from tests.journal.sound_journal import KEYS, SHAPE
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    JOURNAL_ID,
    PATH,
    PEERS,
    Opened,
    new_journal,
    open_journal,
    plain,
    plant,
    segments_in,
    setup_of,
    tree,
)

KEPT = (Category.DECISION, Category.REFUSAL, Category.EVICTION, Category.LIFECYCLE)
ROUNDS = 6


def fill(opened: Opened) -> None:
    """Frames of every category, strict and not, several to a frame, columnar ones among them."""
    for number in range(ROUNDS):
        node_us = 1_000_000 * (number + 1)
        opened.append(IDENTITY, ["decided", number], category=Category.DECISION, node_us=node_us, actor="operator")
        opened.append(PEERS, ["row", number], ["row", -number], rows=3, node_us=node_us)
        for category in (*KEPT, Category.NOTE):
            opened.submit(HEALTH, [category.name, number, "x" * 100], category=category, node_us=node_us, trace_id=f"t-{number}")
        opened.journal.flush()
        opened.journal.seal_active()


def a_journal() -> tuple[MemoryFileSystem, list[Record]]:
    """A journal at rest of several segments, and all its records."""
    filesystem, opened = new_journal(setup=setup_of())
    fill(opened)
    opened.journal.close()
    with reader_of(filesystem) as reader:
        records = [record for _frame, records in reader.records() for record in records]
    return filesystem, records


def reader_of(filesystem: MemoryFileSystem) -> JournalReader:
    return JournalReader.open(filesystem.open_root(PATH), setup_of(), live=False)


def keep(filesystem: MemoryFileSystem, segment_count: int, seed: int = 7) -> tuple[LedgerSpan, ...]:
    """Write the ledger for the oldest so many segments."""
    _root, folders, keys = unlock(filesystem.open_root(PATH), setup_of())
    inventory = take_inventory(folders.journal, JOURNAL_ID)
    try:
        return keep_in_ledger(
            folders, JOURNAL_ID, keys.ring, inventory, last_lsn=inventory.chain[segment_count].header.first_lsn - 1,
            randomness=SeededRandomness(seed),
        )  # fmt: skip
    finally:
        folders.close()


def drop(filesystem: MemoryFileSystem, segment_count: int) -> None:
    """Remove the oldest so many segments, durably."""
    with filesystem.open_root(PATH) as root, root.directory(JOURNAL) as folder:
        for segment in take_inventory(folder, JOURNAL_ID).chain[:segment_count]:
            folder.unlink(segment.name)
        folder.sync()


def told(filesystem: MemoryFileSystem) -> list[Record]:
    """Everything that can still be told: the ledger first, then the segments."""
    with reader_of(filesystem) as reader:
        return [*reader.ledger(), *(record for _frame, records in reader.records() for record in records)]


def as_plain(records: list[Record] | tuple[Record, ...]) -> list[Any]:
    return [plain(tuple(record)) for record in records]


def files_of(filesystem: MemoryFileSystem) -> list[str]:
    return [name for name in tree(filesystem) if parse_ledger_name(name.rpartition("/")[2])]


def rewritten(filesystem: MemoryFileSystem, name: str, new_name: str) -> MemoryFileSystem:
    files = tree(filesystem)
    files[f"{JOURNAL}/{new_name}"] = files.pop(f"{JOURNAL}/{name}")
    return plant(files)


def test_what_stays_is_exactly_as_it_was_and_the_rest_is_gone() -> None:
    filesystem, records = a_journal()
    (span,) = keep(filesystem, 4)
    assert (span.first_lsn, files_of(filesystem)) == (1, [f"{JOURNAL}/{span.name}"])
    drop(filesystem, 4)
    with reader_of(filesystem) as reader:
        found = list(reader.ledger())
        assert reader.first_lsn == span.last_lsn + 1
        kept = [record for _frame, frame in reader.records() for record in frame]
    expected = [record for record in records if record.lsn <= span.last_lsn and record.category in KEPT]
    assert as_plain(found) == as_plain(expected)
    assert {record.category for record in found} == set(KEPT)
    assert as_plain(kept) == as_plain([record for record in records if record.lsn > span.last_lsn])


def test_a_range_of_lsns_can_be_asked_for() -> None:
    filesystem, records = a_journal()
    (span,) = keep(filesystem, 4)
    drop(filesystem, 4)
    lsns = [record.lsn for record in records if record.lsn <= span.last_lsn and record.category in KEPT]
    with reader_of(filesystem) as reader:
        assert [record.lsn for record in reader.ledger(lsns[2], lsns[5])] == lsns[3:6]
        assert list(reader.ledger(lsns[-1])) == []


def test_entries_whose_segments_are_still_there_are_not_told_twice() -> None:
    filesystem, records = a_journal()
    keep(filesystem, 4)
    assert as_plain(told(filesystem)) == as_plain(records)
    drop(filesystem, 2)
    lsns = [record.lsn for record in told(filesystem)]
    assert lsns == sorted(set(lsns))
    with reader_of(filesystem) as reader:
        first_lsn = reader.first_lsn
    assert lsns == [record.lsn for record in records if record.lsn >= first_lsn or record.category in KEPT]


def test_the_next_file_begins_behind_the_last_one() -> None:
    filesystem, _records = a_journal()
    (first,) = keep(filesystem, 2)
    drop(filesystem, 2)
    (second,) = keep(filesystem, 2)
    assert second.first_lsn == first.last_lsn + 1
    # A retiring that was killed among its unlinks: what was written down stays, and only what lies behind it is added.
    drop(filesystem, 1)
    (third,) = keep(filesystem, 2)
    assert (third.first_lsn, len(files_of(filesystem))) == (second.last_lsn + 1, 3)


def test_a_file_for_segments_that_are_all_there_is_made_again() -> None:
    filesystem, records = a_journal()
    (before,) = keep(filesystem, 4)
    filesystem.open_root(PATH).directory(JOURNAL).open(before.name, writable=True).write_at(200, b"rot")
    (after,) = keep(filesystem, 3, seed=8)
    assert files_of(filesystem) == [f"{JOURNAL}/{after.name}"]
    drop(filesystem, 3)
    expected = [record for record in records if record.lsn > after.last_lsn or record.category in KEPT]
    assert as_plain(told(filesystem)) == as_plain(expected)


def test_where_nothing_stays_the_range_is_written_down_all_the_same() -> None:
    filesystem, opened = new_journal()
    opened.append(PEERS, ["seen"])
    opened.journal.seal_active()
    opened.append(PEERS, ["seen"])
    opened.journal.close()
    assert keep(filesystem, 1) == (LedgerSpan(1, 1),)
    with reader_of(filesystem) as reader:
        folder, keys = reader.folders.journal, reader.keys
        assert read_ledger(folder, LedgerSpan(1, 1), JOURNAL_ID, keys.ring).records == ()


def test_many_entries_go_into_several_files_that_follow_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LEDGER_FILE_BYTES", 600)
    filesystem, records = a_journal()
    spans = keep(filesystem, 5)
    assert len(spans) > 3 and spans[0].first_lsn == 1
    assert all(after.first_lsn == before.last_lsn + 1 for before, after in pairwise(spans))
    drop(filesystem, 5)
    expected = [record for record in records if record.lsn > spans[-1].last_lsn or record.category in KEPT]
    assert as_plain(told(filesystem)) == as_plain(expected)


def test_a_file_says_how_old_it_is_and_where_it_ends() -> None:
    filesystem, records = a_journal()
    (span,) = keep(filesystem, 4)
    with reader_of(filesystem) as reader:
        content = read_ledger(reader.folders.journal, span, JOURNAL_ID, reader.keys.ring)
        successor = reader.inventory.chain[4].header
        ends = {frame.header.last_lsn: frame.digest for frame, _records in reader.records()}
    assert content.node_us == max(record.node_us for record in records if record.lsn <= span.last_lsn)
    assert content.anchor.lsn == span.last_lsn == successor.predecessor.last_lsn
    assert content.anchor.digest == successor.predecessor.digest == ends[span.last_lsn]


def test_a_crash_at_any_operation_loses_no_entry() -> None:
    origin, records = a_journal()
    files = tree(origin)
    for survived in range(100):
        filesystem = plant(files)
        filesystem.crash_after(survived)
        try:
            keep(filesystem, 4)
            finished = True
        except SimulatedCrash:
            finished = False
        left = filesystem.crash()
        assert as_plain(told(left)) == as_plain(records)
        (span,) = keep(left, 3, seed=survived)
        assert list_ledger(left.open_root(PATH).directory(JOURNAL)) == [span]
        drop(left, 3)
        expected = [record for record in records if record.lsn > span.last_lsn or record.category in KEPT]
        assert as_plain(told(left)) == as_plain(expected)
        if finished:
            return
    pytest.fail("it never came to its end")


def test_on_a_full_disk_nothing_is_there_afterwards_that_counts() -> None:
    filesystem, records = a_journal()
    filesystem.capacity_bytes = filesystem.used_bytes
    with pytest.raises(OSError, match="full") as caught:
        keep(filesystem, 4)
    assert caught.value.errno == errno.ENOSPC
    assert files_of(filesystem) == [] and as_plain(told(filesystem)) == as_plain(records)


# What it is not.


@pytest.fixture
def kept() -> tuple[MemoryFileSystem, LedgerSpan]:
    filesystem, _records = a_journal()
    (span,) = keep(filesystem, 4)
    drop(filesystem, 4)
    return filesystem, span


def read(filesystem: MemoryFileSystem, span: LedgerSpan) -> None:
    with reader_of(filesystem) as reader:
        read_ledger(reader.folders.journal, span, JOURNAL_ID, reader.keys.ring)


def test_a_renamed_file_is_not_taken_for_another_range(kept: tuple[MemoryFileSystem, LedgerSpan]) -> None:
    filesystem, span = kept
    earlier = LedgerSpan(span.first_lsn + 1, span.last_lsn)
    with pytest.raises(SealBroken):
        read(rewritten(filesystem, span.name, earlier.name), earlier)
    later = LedgerSpan(span.first_lsn, span.last_lsn + 1)
    with pytest.raises(DamageError) as caught:
        read(rewritten(filesystem, span.name, later.name), later)
    assert caught.value.reason == "misnamed"


def test_a_file_of_another_kind_or_journal_is_foreign(kept: tuple[MemoryFileSystem, LedgerSpan]) -> None:
    filesystem, span = kept
    files = tree(filesystem)
    files[f"{JOURNAL}/{span.name}"] = files["peers/checkpoint-0000000000000000"]
    with pytest.raises(DamageError) as caught:
        read(plant(files), span)
    assert caught.value.reason == "foreign"
    with reader_of(filesystem) as reader, pytest.raises(DamageError) as caught:
        read_ledger(reader.folders.journal, span, b"another journal.", reader.keys.ring)
    assert caught.value.reason == "foreign"


def test_verification_finds_a_flipped_bit_a_wrong_name_and_another_history(kept: tuple[MemoryFileSystem, LedgerSpan]) -> None:
    filesystem, span = kept
    path = f"{JOURNAL}/{span.name}"

    def findings(files: dict[str, bytes | None]) -> list[tuple[str, str]]:
        report = verify_journal(plant(files).open_root(PATH), SHAPE, live=False, keys=KEYS)
        return [(finding.file, finding.reason) for finding in report.findings if "ledger" in finding.file]

    files = tree(filesystem)
    assert findings(files) == []
    data = files[path]
    assert data is not None
    assert findings({**files, path: data[:150] + bytes([data[150] ^ 1]) + data[151:]}) == [(path, "bad_digest")]
    longer = f"{JOURNAL}/{ledger_name(span.first_lsn, span.last_lsn + 1)}"
    assert findings({name: content for name, content in files.items() if name != path} | {longer: data}) == [(longer, "misnamed")]
    assert len(segments_in(files)) >= 2


def retired(seed: str) -> dict[str, bytes | None]:
    """The files of a journal that keeps its newest checkpoint set, the segment behind it, and a ledger of what came before."""
    filesystem, opened = new_journal(setup=setup_of(randomness=SeededRandomness(seed)))
    fill(opened)
    opened.checkpoint()
    opened.append(HEALTH, ["behind the set"])
    opened.journal.close()
    count = len(segments_in(tree(filesystem))) - 1
    keep(filesystem, count)
    drop(filesystem, count)
    return {name: content for name, content in tree(filesystem).items() if not name.endswith(checkpoint_name(0))}


def test_a_ledger_that_ends_in_another_history_is_found_without_a_key() -> None:
    one, other = retired("one life"), retired("another life of the same journal")
    (path,) = [name for name in one if "ledger-" in name]
    for files, expected in ((one, []), (one | {path: other[path]}, [(path, 48, "other_history", Severity.CACHE_DAMAGE)])):
        report = verify_journal(plant(files).open_root(PATH), SHAPE, live=False)
        assert [finding[:4] for finding in report.findings] == expected


def test_the_journal_opens_and_goes_on_beside_its_ledger(kept: tuple[MemoryFileSystem, LedgerSpan]) -> None:
    filesystem, _span = kept
    reopened = open_journal(filesystem)
    assert not reopened.journal.report.is_tampered
    reopened.journal.close()
