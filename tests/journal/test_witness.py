"""The witness: two slots written in turn, of which one is always whole."""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from rap_journal.errors import DamageError, FormatTooNew, MisuseError
from rap_journal.filesystem import Directory, read_whole
from rap_journal.format import WITNESS_SLOT_BYTES
from rap_journal.layout import WITNESS
from rap_journal.payload import StrictHead
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.testing import MemoryFileSystem, RandomSurvival, SeededRandomness, SimulatedCrash
from rap_journal.witness import SealedPart, Slot, WitnessPoint, WitnessWriter, open_slot, read_witness, require_slot

JOURNAL_ID = b"j" * 16
RING = KeyRing(JOURNAL_ID, {1: b"k" * 32}, 1)
HEADS = ((1, StrictHead(7, b"h" * 16, 3)), (2, StrictHead(9, b"g" * 16, 1)))
FLOORS = [1, "scope", None, [b"x", -1]]


def point(lsn: int) -> WitnessPoint:
    return WitnessPoint(b"i" * 16, lsn, b"d" * 16, 4, 512 + lsn, 2, max(0, lsn - 1))


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> Iterator[Directory]:
    with filesystem.open_root("/store", create=True) as root:
        with root.create(WITNESS) as file:
            file.write_at(0, bytes(2 * WITNESS_SLOT_BYTES))
            file.sync()
        root.sync()
        yield root


def writer_of(root: Directory, newest: Slot | None = None) -> WitnessWriter:
    return WitnessWriter(root.open(WITNESS, writable=True), JOURNAL_ID, RING, SeededRandomness(1), newest)


def write(root: Directory, *lsns: int, floors: Any = FLOORS) -> None:
    """Write the witness once for each LSN."""
    writer = writer_of(root, read_witness(root).newest)
    for lsn in lsns:
        writer.write(point(lsn), SealedPart(HEADS, floors))
    writer.close()


def overwrite(root: Directory, offset: int, data: bytes) -> None:
    with root.open(WITNESS, writable=True) as file:
        file.write_at(offset, data)
        file.sync()


def newest(root: Directory) -> Slot:
    slot = read_witness(root).newest
    assert slot is not None
    return slot


def test_what_was_written_reads_back_in_the_open_and_under_the_seal(root: Directory) -> None:
    write(root, 10)
    slot = newest(root)
    assert (slot.point, slot.journal_id, slot.sequence, slot.key_generation) == (point(10), JOURNAL_ID, 1, 1)
    assert open_slot(slot, RING) == SealedPart(HEADS, FLOORS)


def test_slots_are_written_in_turn_and_the_newer_one_holds(root: Directory) -> None:
    write(root, 10, 11, 12)
    witness = read_witness(root)
    assert [(slot.sequence, slot.point.lsn) for slot in witness.slots] == [(3, 12), (2, 11)]
    assert witness.bad_slots == 0
    data = read_whole(root, WITNESS, 1 << 20)
    assert data[:WITNESS_SLOT_BYTES] == witness.slots[1].stored
    assert data[WITNESS_SLOT_BYTES:] == witness.slots[0].stored


def test_a_new_opening_goes_on_with_the_sequence(root: Directory) -> None:
    write(root, 10)
    write(root, 11)
    assert [slot.sequence for slot in read_witness(root).slots] == [2, 1]


def test_every_flipped_bit_of_a_slot_leaves_the_other_one(root: Directory) -> None:
    write(root, 10, 11)
    whole = read_whole(root, WITNESS, 1 << 20)
    body_end = 152 + 150
    places = [*range(body_end), *range(body_end, 4080, 97), *range(4080, 4096)]
    for place in places:
        for base, left in ((0, 10), (WITNESS_SLOT_BYTES, 11)):
            offset = base + place
            overwrite(root, offset, bytes([whole[offset] ^ 1 << place % 8]))
            witness = read_witness(root)
            assert (len(witness.slots), witness.bad_slots) == (1, 1), offset
            assert newest(root).point.lsn == (10 if base == 0 else 11)
            assert left == newest(root).point.lsn
            overwrite(root, offset, whole[offset : offset + 1])


def test_a_file_of_any_length_is_read_for_what_is_whole_in_it(root: Directory) -> None:
    write(root, 10, 11)
    for length, slots in ((0, 0), (4095, 0), (4096, 1), (8191, 1)):
        with root.open(WITNESS, writable=True) as file:
            file.truncate(length)
        assert len(read_witness(root).slots) == slots
        with root.open(WITNESS, writable=True) as file:
            file.truncate(0)
            file.write_at(0, bytes(8192))
        write(root, 10, 11)


def test_a_slot_in_the_other_slots_place_is_not_taken(root: Directory) -> None:
    write(root, 10, 11)
    data = read_whole(root, WITNESS, 1 << 20)
    overwrite(root, 0, data[WITNESS_SLOT_BYTES:] + data[:WITNESS_SLOT_BYTES])
    assert read_witness(root).slots == ()


def test_bytes_behind_the_second_slot_make_it_bad(root: Directory) -> None:
    write(root, 10, 11)
    overwrite(root, 2 * WITNESS_SLOT_BYTES, b"more")
    assert [slot.point.lsn for slot in read_witness(root).slots] == [11]


def test_a_slot_of_a_later_format_is_not_passed_over(root: Directory) -> None:
    """Mutation: a slot of a later format is read as one of this format."""
    write(root, 10)
    block = bytearray(newest(root).stored)
    block[8] = 2
    block[4080:] = hashlib.sha256(block[:4080]).digest()[:16]
    overwrite(root, WITNESS_SLOT_BYTES, bytes(block))
    with pytest.raises(FormatTooNew) as caught:
        read_witness(root)
    assert caught.value.file == WITNESS


@pytest.mark.parametrize("place", [16, 56, 64, 80, 104, 120, 160])
def test_a_changed_slot_with_a_right_digest_is_tampering(root: Directory, place: int) -> None:
    write(root, 10)
    block = bytearray(newest(root).stored)
    block[place] ^= 1
    block[4080:] = hashlib.sha256(block[:4080]).digest()[:16]
    overwrite(root, WITNESS_SLOT_BYTES, bytes(block))
    with pytest.raises(SealBroken):
        open_slot(newest(root), RING)


def test_zeros_are_no_slot(root: Directory) -> None:
    """Mutation: without any slot, go on with none."""
    assert read_witness(root).slots == ()
    with pytest.raises(DamageError) as caught:
        require_slot(read_witness(root), JOURNAL_ID, WITNESS)
    assert caught.value.reason == "no_witness"


def test_a_witness_of_another_journal_is_foreign(root: Directory) -> None:
    """Mutation: the newest slot is believed, whichever journal it is of."""
    write(root, 10)
    with pytest.raises(DamageError) as caught:
        require_slot(read_witness(root), b"other journal id", WITNESS)
    assert caught.value.reason == "foreign"


def test_floors_that_do_not_fit_are_refused_and_nothing_is_written(root: Directory) -> None:
    write(root, 10)
    before = read_whole(root, WITNESS, 1 << 20)
    with pytest.raises(MisuseError) as caught:
        write(root, 11, floors=[bytes(4096)])
    assert caught.value.reason == "floors_too_large"
    assert read_whole(root, WITNESS, 1 << 20) == before


def test_a_write_is_synced_before_it_returns(filesystem: MemoryFileSystem, root: Directory) -> None:
    write(root, 10)
    left = filesystem.crash().open_root("/store")
    assert newest(left).point.lsn == 10


def test_a_power_cut_at_any_write_leaves_a_whole_slot_with_the_last_or_the_new_point(
    filesystem: MemoryFileSystem, root: Directory
) -> None:
    write(root, 10, 11)
    writer = writer_of(root, newest(root))
    filesystem.crash_after(3)
    with pytest.raises(SimulatedCrash):
        writer.write(point(12), SealedPart(HEADS, FLOORS))
    seen = set()
    for seed in range(200):
        left = filesystem.image(RandomSurvival(SeededRandomness(seed))).open_root("/store")
        seen.add(newest(left).point.lsn)
    assert seen == {11, 12}


def test_a_slot_that_only_the_page_cache_holds_is_made_durable_before_the_other_is_overwritten() -> None:
    # The process was killed between write and sync; the next one read the slot from the page cache and relies on it.
    filesystem = MemoryFileSystem()
    root = filesystem.open_root("/store", create=True)
    with root.create(WITNESS) as file:
        file.write_at(0, bytes(2 * WITNESS_SLOT_BYTES))
        file.sync()
    root.sync()
    write(root, 10, 11)
    filesystem.crash_after(3)
    writer = writer_of(root, newest(root))
    with pytest.raises(SimulatedCrash):
        writer.write(point(12), SealedPart(HEADS, FLOORS))
    second = filesystem.kill()
    root = second.open_root("/store")
    assert newest(root).point.lsn == 12
    for survived in range(4):
        writer = writer_of(root, newest(root))
        image = second.image
        second.crash_after(survived)
        with suppress(SimulatedCrash):
            writer.write(point(13), SealedPart(HEADS, FLOORS))
        for seed in range(100):
            left = image(RandomSurvival(SeededRandomness(seed))).open_root("/store")
            assert newest(left).point.lsn >= 11, "a slot is whole at any time"
        second = second.kill()
        root = second.open_root("/store")


def test_a_failed_sync_leaves_the_point_before_and_a_writer_that_does_not_count_it(
    filesystem: MemoryFileSystem, root: Directory
) -> None:
    write(root, 10, 11)
    filesystem.fail("sync", WITNESS, errno.EIO, after=1)
    writer = writer_of(root, newest(root))
    with pytest.raises(OSError, match="planned"):
        writer.write(point(12), SealedPart(HEADS, FLOORS))
    assert newest(filesystem.image().open_root("/store")).point.lsn == 11


def sealed_slot(root: Directory, body: bytes) -> Slot:
    """The newest slot, with `body` under its seal."""
    slot = newest(root)
    salt = slot.stored[120:152]
    header = slot.stored[:12] + (len(body) + 16).to_bytes(4, "little") + slot.stored[16:152]
    return slot._replace(stored=header + RING.seal(Purpose.WITNESS, 1, salt, header, body))


@pytest.mark.parametrize(
    "body",
    [b"", b"\x80", b"\x82\x80", b"\x82\x81\x01\x80", b"\x82\x80\xd8\x40\x40", b"\x9f\x80\x80\xff", b"\x81" * 40 + b"\x80"],
    ids=["nothing", "too few", "cut off", "no heads", "a tag", "an indefinite length", "too deep"],
)
def test_a_sealed_part_that_is_none_is_damage(root: Directory, body: bytes) -> None:
    """Mutation: what was unsealed is taken whatever its shape is."""
    write(root, 1)
    with pytest.raises(DamageError) as caught:
        open_slot(sealed_slot(root, body), RING)
    assert (caught.value.file, caught.value.reason) == (WITNESS, "bad_content")
