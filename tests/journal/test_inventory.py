"""Which segments make the chain, and what else lies in the folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rap_journal.errors import FormatTooNew, UnsafeFile
from rap_journal.filesystem import Directory
from rap_journal.inventory import Inventory, take_inventory
from rap_journal.limits import SEGMENT_BYTES_MAX
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import MemoryFileSystem
from tests.journal.segment_kit import Made, Piece, flip, make_chain, make_segment, put
from tests.journal.test_segments import resealed
from tests.journal.workbench import JOURNAL_ID


@pytest.fixture
def folder() -> Iterator[Directory]:
    with MemoryFileSystem().open_root("/store", create=True) as root:
        yield root.create_directory("journal")


def names(inventory: Inventory) -> list[str]:
    return [segment.name for segment in inventory.chain]


def strays(inventory: Inventory) -> list[tuple[str, str]]:
    return [(stray.name, stray.reason) for stray in inventory.strays]


def take(folder: Directory) -> Inventory:
    return take_inventory(folder, JOURNAL_ID)


def test_an_empty_folder_has_no_chain(folder: Directory) -> None:
    assert take(folder) == Inventory((), ())
    assert take(folder).number_max == 0


def test_segments_are_listed_oldest_first_with_header_and_size(folder: Directory) -> None:
    made = make_chain([2, 0, 1])
    written = [put(folder, segment) for segment in made]
    inventory = take(folder)
    assert names(inventory) == written
    assert [segment.header for segment in inventory.chain] == [segment.header for segment in made]
    assert [segment.size for segment in inventory.chain] == [len(segment.data) for segment in made]
    assert inventory.strays == () and inventory.number_max == 3


def test_other_names_are_not_looked_at(folder: Directory) -> None:
    for name in ("spare", "next", "00000001-00000001.bak", "note"):
        with folder.create(name) as file:
            file.write_at(0, b"whatever")
    assert take(folder) == Inventory((), ())


def test_a_segment_of_another_journal_is_foreign_and_no_damage(folder: Directory) -> None:
    put(folder, make_segment([Piece()]))
    other = put(folder, make_segment([Piece()], number=2, journal_id=b"another-journal."))
    inventory = take(folder)
    assert strays(inventory) == [(other, "foreign")]
    assert inventory.damaged() == () and inventory.unreadable_after_chain() == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "short_header"), (bytes(512), "bad_magic"), (None, "bad_header_digest")],
    ids=["empty", "zeros", "flipped"],
)
def test_a_segment_with_a_damaged_header_is_a_stray_that_may_have_held_records(
    folder: Directory, data: bytes | None, reason: str
) -> None:
    made = make_chain([1, 1])
    put(folder, made[0])
    name = put(folder, made[1], flip(made[1].data, 100) if data is None else data)
    inventory = take(folder)
    assert strays(inventory) == [(name, reason)]
    assert [stray.name for stray in inventory.unreadable_after_chain()] == [name]
    assert inventory.number_max == 2


def test_a_damaged_header_below_the_newest_segment_leaves_a_hole_in_the_chain(folder: Directory) -> None:
    made = make_chain([1, 1, 1])
    for index, segment in enumerate(made):
        put(folder, segment, flip(segment.data, 100) if index == 1 else None)
    inventory = take(folder)
    assert [segment.header.number for segment in inventory.chain] == [1, 3]
    assert strays(inventory) == [("00000002-00000001", "bad_header_digest")]
    assert inventory.unreadable_after_chain() == ()


def test_a_missing_segment_leaves_a_hole_in_the_chain(folder: Directory) -> None:
    made = make_chain([1, 1, 1, 1])
    for segment in (made[0], made[3]):
        put(folder, segment)
    assert [segment.header.number for segment in take(folder).chain] == [1, 4]


@pytest.mark.parametrize("name", ["00000009-00000001", "00000001-00000009", "000000001-00000001"])
def test_a_copy_under_another_name_is_misnamed_and_vouches_for_nothing(folder: Directory, name: str) -> None:
    made = make_segment([Piece()])
    put(folder, made)
    put(folder, made, name=name)
    inventory = take(folder)
    assert names(inventory) == ["00000001-00000001"]
    assert strays(inventory) == [(name, "misnamed")]
    assert len(inventory.damaged()) == 1 and inventory.unreadable_after_chain() == ()


def test_a_segment_that_nobody_names_is_stale(folder: Directory) -> None:
    first, second = make_chain([1, 1])
    third = make_segment([Piece()], number=3, epoch=2, first_lsn=2, predecessor=first.predecessor())
    for made in (first, second, third):
        put(folder, made)
    inventory = take(folder)
    assert names(inventory) == ["00000001-00000001", "00000003-00000002"]
    assert strays(inventory) == [("00000002-00000001", "stale")]
    assert inventory.damaged() == ()


def test_a_segment_of_another_history_of_the_same_journal_is_not_taken_for_the_predecessor(folder: Directory) -> None:
    def history(seed: str) -> list[Made]:
        return make_chain([2, 2, 1], seed=seed)

    ours, theirs = history("ours"), history("theirs")
    for made in (ours[0], theirs[1], ours[2]):
        put(folder, made)
    inventory = take(folder)
    assert names(inventory) == ["00000001-00000001", "00000003-00000001"]
    assert strays(inventory) == [("00000002-00000001", "stale")]


def test_a_made_up_number_does_not_drive_the_numbering_out_of_the_names(folder: Directory) -> None:
    put(folder, make_segment([Piece()]))
    put(folder, make_segment([Piece()]), b"garbage", name="999999999999-00000001")
    inventory = take(folder)
    assert inventory.number_max == 1
    assert inventory.unreadable_after_chain() == ()
    assert len(inventory.damaged()) == 1


def test_a_segment_of_a_later_format_is_not_passed_over(folder: Directory) -> None:
    made = make_segment([])
    put(folder, made, resealed(made.data, 8, b"\x02\x00"))
    with pytest.raises(FormatTooNew):
        take(folder)


def test_a_folder_with_the_name_of_a_segment_is_unsafe(folder: Directory) -> None:
    folder.create_directory("00000001-00000001")
    with pytest.raises(UnsafeFile):
        take(folder)


def test_no_more_of_a_segment_is_read_than_a_segment_may_hold(tmp_path: Path) -> None:
    with OsFileSystem().open_root(str(tmp_path / "store"), create=True) as folder:
        name = put(folder, make_segment([Piece()]))
        with folder.open(name, writable=True) as file:
            file.truncate(SEGMENT_BYTES_MAX + 1)
        assert take(folder).chain[0].size == SEGMENT_BYTES_MAX
