"""What goes into a frame: batches, observations that ride along, and what is left out where there is little room."""

import pytest

from rap_journal.errors import NoSpace
from rap_journal.limits import FRAME_BYTES_MAX, RECORDS_PER_FRAME_MAX
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    PEERS,
    Opened,
    create_journal,
    fill_up,
    open_journal,
    record_of,
    write_until_full,
)


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    filesystem.operations.clear()
    return filesystem


@pytest.fixture
def opened(filesystem: MemoryFileSystem) -> Opened:
    return open_journal(filesystem)


def test_observations_ride_in_a_frame_that_is_written_anyway_but_never_in_a_strict_one(opened: Opened) -> None:
    opened.ledger.riding += [record_of(PEERS, ["riding", 1])]
    opened.append(IDENTITY, ["strict"])
    opened.append(HEALTH, ["health"])
    assert opened.ledger.frames == [(1,), (2, 3)]
    assert opened.ledger.bodies() == [["strict"], ["health"], ["riding", 1]]


def test_flushing_writes_observations_that_no_frame_carried(opened: Opened) -> None:
    opened.ledger.riding += [record_of(PEERS, [number], rows=RECORDS_PER_FRAME_MAX) for number in range(3)]
    opened.journal.flush()
    assert opened.ledger.frames == [(1,), (4097,), (8193,)]
    opened.journal.flush()
    assert opened.journal.frames_written == 3


def test_observations_that_would_make_the_frame_too_large_wait_for_the_next(opened: Opened) -> None:
    third = bytes(FRAME_BYTES_MAX // 3)
    opened.ledger.riding += [record_of(PEERS, [number, third]) for number in range(4)]
    opened.append(HEALTH, ["health"])
    assert opened.ledger.frames == [(1, 2, 3)]
    assert [record.body[0] for record in opened.ledger.riding] == [2, 3]
    opened.journal.flush()
    assert [body[0] for body in opened.ledger.bodies()] == ["health", 0, 1, 2, 3]
    assert not opened.journal.is_poisoned


def test_a_full_batch_of_heavy_trace_ids_still_fits_its_frame(opened: Opened) -> None:
    noise = SeededRandomness("trace")
    texts = ["".join(chr(0x4E00 + value) for value in noise(64)) for _ in range(3000)]
    calls = [
        opened.submit(HEALTH, [n], trace_id=text, actor=text[::-1], causes=tuple(range(2**60, 2**60 + 20)))
        for n, text in enumerate(texts)
    ]
    opened.journal.flush()
    assert calls[-1].last_lsn == 3000
    assert not opened.journal.is_poisoned


# Little room


def test_observations_that_ride_along_never_use_the_reserve_nor_keep_a_privileged_record_out(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    riding = [record_of(PEERS, ["riding", number, bytes(range(200))]) for number in range(20)]
    opened.ledger.riding += riding
    opened.append(HEALTH, ["degraded"])
    assert opened.ledger.riding == riding, "they were given back in their order"
    assert opened.ledger.bodies()[-1] == ["degraded"]
    filesystem.capacity_bytes = None
    opened.append(HEALTH, ["well"])
    assert [body[:2] for body in opened.ledger.bodies()[-20:]] == [["riding", number] for number in range(20)]


def test_a_cache_record_in_the_same_frame_is_refused_and_the_privileged_one_written_when_space_is_short(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(PEERS, ["first"])
    fill_up(filesystem)
    write_until_full(opened)
    cache = opened.submit(PEERS, ["cache", bytes(range(200))])
    urgent = opened.submit(HEALTH, ["urgent"])
    opened.journal.wait(urgent)
    with pytest.raises(NoSpace):
        opened.journal.wait(cache)
    assert opened.ledger.bodies()[-1] == ["urgent"]


def test_with_room_a_cache_record_and_a_privileged_one_share_a_frame(opened: Opened) -> None:
    cache = opened.submit(PEERS, ["cache"])
    urgent = opened.submit(HEALTH, ["urgent"])
    opened.journal.wait(urgent)
    assert (cache.last_lsn, urgent.last_lsn, opened.journal.frames_written) == (1, 2, 1)


def test_a_frame_that_finds_no_room_at_all_leaves_lsns_heads_and_observations_as_they_were(
    filesystem: MemoryFileSystem, opened: Opened
) -> None:
    opened.append(IDENTITY, ["first"])
    fill_up(filesystem)
    filled = write_until_full(opened)
    opened.ledger.riding += [record_of(PEERS, ["riding", 1])]
    with pytest.raises(NoSpace):
        opened.journal.flush()
    assert [record.body for record in opened.ledger.riding] == [["riding", 1]]
    filesystem.capacity_bytes = None
    opened.journal.flush()
    opened.append(IDENTITY, ["second"])
    assert opened.ledger.frames[-2:] == [(filled + 2,), (filled + 3,)]
    # Each strict record names the one before it in its class: reading back checks the chain.
    assert opened.ledger.bodies()[-1] == ["second"] and opened.ledger.bodies() == open_journal(filesystem.kill()).ledger.bodies()
