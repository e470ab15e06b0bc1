"""Writing frames: room first, order of operations, rolling, the reserve and the spare on a full disk."""

import errno

import pytest

from rap_journal.errors import NoSpace
from rap_journal.inventory import Inventory, take_inventory
from rap_journal.layout import SPARE
from rap_journal.limits import PREPARE_BYTES, RESERVE_BYTES
from rap_journal.payload import encode_payload
from rap_journal.scanner import Chain
from rap_journal.segment_writer import Place, SegmentWriter, WriterIdentity
from rap_journal.segments import Cut, Predecessor
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.testing.memory_handles import MemoryDirectory
from rap_journal.values import Epoch
from rap_journal.walk import Walk, records_of
from tests.journal.segment_kit import RING, make_segment, put
from tests.journal.workbench import HEALTH, JOURNAL_ID, record_of

NOISE = SeededRandomness("noise")


class Bench:
    """A writer in a folder in memory."""

    def __init__(self, segment_bytes_max: int = 4096) -> None:
        self.filesystem = MemoryFileSystem()
        self.folder: MemoryDirectory = self.filesystem.open_root("/store", create=True)
        self.writer = self.open(segment_bytes_max)

    def open(
        self,
        segment_bytes_max: int = 4096,
        predecessor: Predecessor | None = None,
        cut: Cut | None = None,
        leftover: str | None = None,
    ) -> SegmentWriter:
        before = predecessor or Predecessor()
        return SegmentWriter(
            self.folder,
            WriterIdentity(JOURNAL_ID, "eu-1", b"i" * 16, Epoch(1 + before.epoch)),
            RING,
            SeededRandomness("writer"),
            segment_bytes_max=segment_bytes_max,
            next_number=1 + before.number,
            predecessor=before,
            cut=cut or Cut(),
            chain=Chain(before.last_lsn, before.digest, 0),
            leftover=leftover,
        )

    def write(self, body_bytes: int = 100, *, privileged: bool = False, strict: bool = False) -> Place:
        """Write one record that does not compress."""
        lsn = self.writer.chain.last_lsn + 1
        payload = encode_payload([record_of(HEALTH, [lsn, NOISE(body_bytes)], lsn=lsn)])
        self.writer.make_room(len(payload), privileged=privileged)
        return self.writer.write(payload, record_count=1, class_mask=1 << HEALTH.number, strict=strict)

    def write_until_full(self, body_bytes: int = 100, *, privileged: bool) -> int:
        """Write until there is no space; returns how many records that were."""
        count = 0
        while True:
            try:
                self.write(body_bytes, privileged=privileged)
            except NoSpace:
                return count
            count += 1

    def inventory(self) -> Inventory:
        return take_inventory(self.folder, JOURNAL_ID)

    def read(self) -> list[int]:
        """LSNs of all records on disk; no gap may be between them."""
        walk = Walk(self.folder, self.inventory(), 0)
        lsns = [record.lsn for segment in walk for _frame, records in records_of(segment, RING) for record in records]
        assert walk.gaps == []
        return lsns

    def operations(self) -> list[tuple[str, str]]:
        return [(operation.name, operation.path) for operation in self.filesystem.operations]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_made_before_the_first_frame_asks_for_room(bench: Bench) -> None:
    assert bench.folder.names() == []
    assert bench.writer.place == Place(0, 0, Chain(0, bytes(16), 0))


def test_the_first_frame_comes_after_header_sync_name_and_folder_sync(bench: Bench) -> None:
    bench.filesystem.operations.clear()
    bench.write()
    names = bench.operations()
    expected = [
        ("create", "next"),
        ("write", "next"),
        ("sync", "next"),
        ("write", "next"),
        ("sync", "next"),
        ("rename", "next"),
        ("sync_directory", ""),
        ("create", "spare"),
        ("write", "spare"),
        ("sync", "spare"),
        ("sync_directory", ""),
        ("write", "00000001-00000001"),
        ("sync", "00000001-00000001"),
    ]
    assert names == expected
    assert bench.folder.names() == ["00000001-00000001", SPARE]


def test_an_ordinary_frame_is_one_write_into_prepared_zeros_and_one_sync(bench: Bench) -> None:
    bench.write()
    bench.filesystem.operations.clear()
    size = len(bench.folder.open("00000001-00000001").read_at(0, 1 << 20))
    bench.write()
    assert bench.operations() == [("write", "00000001-00000001"), ("sync", "00000001-00000001")]
    assert len(bench.folder.open("00000001-00000001").read_at(0, 1 << 20)) == size


def test_frames_read_back_in_order_over_rolls_and_the_place_is_where_the_last_one_ends(bench: Bench) -> None:
    places = [bench.write(600) for _ in range(12)]
    assert bench.read() == list(range(1, 13))
    assert [place.chain.last_lsn for place in places] == list(range(1, 13))
    assert places[-1] == bench.writer.place
    assert places[-1].segment == 4
    chain = bench.inventory().chain
    assert [segment.header.number for segment in chain] == [1, 2, 3, 4]
    assert [segment.header.predecessor.number for segment in chain] == [0, 1, 2, 3]


def test_a_closed_segment_is_truncated_to_what_it_holds_after_its_successor_is_named(bench: Bench) -> None:
    for _ in range(5):
        bench.write(600)
    assert [path for name, path in bench.operations() if name == "truncate"] == ["00000001-00000001"]
    before, after = bench.inventory().chain
    assert before.size == after.header.predecessor.valid_bytes
    names = bench.operations()
    assert names.index(("truncate", "00000001-00000001")) > len(names) - 1 - names[::-1].index(("rename", "next"))


def test_a_segment_is_never_larger_than_its_limit_unless_one_frame_needs_it(bench: Bench) -> None:
    bench.write(6000)
    bench.write(100)
    sizes = [segment.size for segment in bench.inventory().chain]
    assert sizes[0] > 6000 and sizes[1] == 4096
    assert bench.read() == [1, 2]


def test_a_large_segment_is_prepared_in_steps_ahead_of_the_writer() -> None:
    bench = Bench(1 << 20)
    sizes = set()
    for _ in range(12):
        place = bench.write(50_000)
        size = bench.inventory().chain[0].size
        sizes.add(size)
        assert size >= place.offset + RESERVE_BYTES
    assert sizes == {PREPARE_BYTES, 2 * PREPARE_BYTES, 3 * PREPARE_BYTES}


def test_zeros_are_synced_before_a_frame_is_written_into_them() -> None:
    bench = Bench(1 << 20)
    for _ in range(3):
        bench.write(50_000)
    bench.filesystem.operations.clear()
    bench.write(50_000)
    name = "00000001-00000001"
    assert bench.operations() == [("write", name)] * 4 + [("sync", name), ("write", name), ("sync", name)]


def test_a_sealed_segment_is_truncated_synced_and_left_for_a_new_one(bench: Bench) -> None:
    place = bench.write()
    bench.writer.seal()
    assert bench.inventory().chain[0].size == place.offset
    assert bench.writer.place == place
    bench.writer.seal()
    bench.write()
    assert bench.read() == [1, 2]
    assert len(bench.inventory().chain) == 2


def test_a_sealed_segment_is_durable(bench: Bench) -> None:
    place = bench.write()
    bench.writer.seal()
    left = bench.filesystem.crash().open_root("/store")
    assert take_inventory(left, JOURNAL_ID).chain[0].size == place.offset


def test_the_first_segment_names_the_predecessor_and_the_cut_and_the_leftover_is_cut_after_that() -> None:
    bench = Bench()
    made = make_segment([], number=5, epoch=3, first_lsn=41)
    name = put(bench.folder, made, made.data + b"torn bytes" + bytes(100))
    cut = Cut(10, 2, b"c" * 32, 64)
    bench.writer = bench.open(predecessor=made.predecessor(), cut=cut, leftover=name)
    bench.filesystem.operations.clear()
    bench.write()
    before, after = bench.inventory().chain
    assert (after.header.predecessor, after.header.cut) == (made.predecessor(), cut)
    assert before.size == len(made.data)
    names = bench.operations()
    assert names.index(("truncate", name)) > names.index(("sync_directory", ""))
    for _ in range(6):
        bench.write(600)
    assert [segment.header.cut.cut_bytes for segment in bench.inventory().chain] == [0, 10, 0, 0]


def test_a_spare_stands_by_and_is_all_zero(bench: Bench) -> None:
    bench.write()
    assert bench.folder.open(SPARE).read_at(0, 1 << 20) == bytes(4096)


def test_a_spare_that_a_crash_left_with_a_header_is_zeroed_in_place(bench: Bench) -> None:
    bench.writer.ensure_spare()
    with bench.folder.open(SPARE, writable=True) as file:
        file.write_at(0, b"header")
    bench.filesystem.operations.clear()
    bench.writer.ensure_spare()
    assert bench.operations() == [("write", SPARE), ("sync", SPARE)]
    assert bench.folder.open(SPARE).read_at(0, 1 << 20) == bytes(4096)


def fill_up(bench: Bench) -> None:
    """Let the disk be full from now on."""
    bench.filesystem.capacity_bytes = bench.filesystem.used_bytes


def test_ordinary_frames_stop_before_the_reserve_and_before_the_spare(bench: Bench) -> None:
    bench.write()
    fill_up(bench)
    assert bench.write_until_full(200, privileged=False) > 0
    assert bench.writer.place.offset <= 4096 - 1024
    assert SPARE in bench.folder.names()
    assert len(bench.inventory().chain) == 1


def test_privileged_frames_use_the_reserve_and_then_the_spare_of_a_full_disk(bench: Bench) -> None:
    bench.write()
    fill_up(bench)
    bench.write_until_full(200, privileged=False)
    offset = bench.writer.place.offset
    bench.write(200, privileged=True)
    assert bench.writer.place.offset > offset and len(bench.inventory().chain) == 1
    assert bench.write_until_full(200, privileged=True) >= 9
    assert len(bench.inventory().chain) == 2
    assert SPARE not in bench.folder.names()
    assert bench.read() == list(range(1, bench.writer.chain.last_lsn + 1))


def test_a_spare_in_use_is_for_privileged_frames_alone_until_another_one_stands_by(bench: Bench) -> None:
    bench.write()
    fill_up(bench)
    bench.write_until_full(200, privileged=False)
    while len(bench.inventory().chain) == 1:
        bench.write(200, privileged=True)
    with pytest.raises(NoSpace, match="spare segment"):
        bench.write(10)
    bench.filesystem.capacity_bytes = None
    bench.write(10)
    assert SPARE in bench.folder.names()


def test_64_kib_of_a_strict_document_can_be_written_on_a_full_disk_with_default_sizes() -> None:
    bench = Bench(16 << 20)
    bench.write()
    fill_up(bench)
    bench.write_until_full(1000, privileged=False)
    bench.write(64 << 10, privileged=True)
    assert bench.write_until_full(64 << 10, privileged=True) >= 2
    assert SPARE not in bench.folder.names()
    assert bench.read() == list(range(1, bench.writer.chain.last_lsn + 1))


def test_frames_are_written_again_as_soon_as_there_is_space(bench: Bench) -> None:
    bench.write()
    fill_up(bench)
    count = bench.write_until_full(200, privileged=False)
    bench.filesystem.capacity_bytes = None
    bench.write(200)
    assert bench.read() == list(range(1, count + 3))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_no_room_for_the_next_segment_changes_nothing(operation: str, number: int) -> None:
    bench = Bench()
    bench.write(3000)
    before, place = bench.folder.open("00000001-00000001").read_at(0, 1 << 20), bench.writer.place
    bench.filesystem.fail(operation, "next", number, times=None)
    with pytest.raises(NoSpace) as caught:
        bench.write(600)
    assert (caught.value.cluster, caught.value.reason) == ("eu-1", "no_space")
    assert bench.writer.place == place
    assert bench.folder.open("00000001-00000001").read_at(0, 1 << 20) == before
    assert bench.folder.names() == ["00000001-00000001", SPARE]
    bench.filesystem.heal()
    bench.write(600)
    assert bench.read() == [1, 2]


def test_no_room_while_extending_the_active_segment_changes_nothing() -> None:
    bench = Bench(1 << 20)
    for _ in range(3):
        bench.write(50_000)
    fill_up(bench)
    place = bench.writer.place
    with pytest.raises(NoSpace):
        bench.write(50_000)
    assert bench.writer.place == place
    bench.filesystem.capacity_bytes = None
    bench.write(50_000)
    assert bench.read() == [1, 2, 3, 4]


def test_an_error_that_is_not_about_space_is_raised_as_it_is(bench: Bench) -> None:
    bench.write(3000)
    bench.filesystem.fail("create", "next", errno.EIO)
    with pytest.raises(OSError, match="planned") as caught:
        bench.write(600)
    assert caught.value.errno == errno.EIO


def test_no_space_for_a_spare_does_not_hinder_the_segment(bench: Bench) -> None:
    bench.filesystem.fail("create", SPARE, errno.ENOSPC, times=None)
    bench.write()
    assert bench.folder.names() == ["00000001-00000001"]
    with pytest.raises(NoSpace):
        bench.writer.ensure_spare()


def test_the_spare_is_made_at_the_next_roll_when_there_was_no_space_before(bench: Bench) -> None:
    bench.filesystem.fail("create", SPARE, errno.ENOSPC)
    for _ in range(5):
        bench.write(600)
    assert SPARE in bench.folder.names()


def test_a_writer_that_is_given_up_closes_its_file_and_changes_nothing(bench: Bench) -> None:
    bench.write()
    bench.filesystem.operations.clear()
    bench.writer.abandon()
    bench.writer.abandon()
    assert bench.operations() == []
