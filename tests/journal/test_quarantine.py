"""Quarantine: what was cut is kept exactly, once, durably, and within bounds."""

import errno
import hashlib

import pytest

from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.filesystem import Directory, read_whole
from rap_journal.quarantine import Piece, keep, read_piece
from rap_journal.testing import MemoryFileSystem, SeededRandomness, SimulatedCrash

PIECE = Piece(b"j" * 16, 7, 3, 1024, 41, 2, b"torn bytes")
NAME = "00000007-00001024-"
BOUND = 1 << 20


class Folders:
    """A quarantine folder and a folder for temporary files."""

    def __init__(self, filesystem: MemoryFileSystem) -> None:
        self.root = filesystem.open_root("/store", create=True)
        for name in ("quarantine", "tmp"):
            if self.root.status(name) is None:
                self.root.create_directory(name).close()
        self.root.sync()
        self.quarantine: Directory = self.root.directory("quarantine")
        self.temporary: Directory = self.root.directory("tmp")

    def keep(self, piece: Piece, bytes_max: int = BOUND) -> str:
        return keep(self.quarantine, self.temporary, piece, bytes_max)


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def folders(filesystem: MemoryFileSystem) -> Folders:
    return Folders(filesystem)


def test_a_piece_is_named_by_where_it_stood_and_what_it_is_and_reads_back(folders: Folders) -> None:
    name = folders.keep(PIECE)
    assert name.startswith(NAME) and len(name) == len(NAME) + 16
    assert read_piece(folders.quarantine, name) == PIECE
    assert read_whole(folders.quarantine, name, BOUND).endswith(b"torn bytes")


@pytest.mark.parametrize("data", [b"", b"x", bytes(100_000)], ids=["nothing", "a byte", "zeros"])
def test_a_piece_of_any_length_reads_back(folders: Folders, data: bytes) -> None:
    piece = PIECE._replace(data=data)
    assert read_piece(folders.quarantine, folders.keep(piece)) == piece


def test_keeping_the_same_piece_twice_changes_nothing(folders: Folders) -> None:
    assert folders.keep(PIECE) == folders.keep(PIECE)
    assert len(folders.quarantine.names()) == 1
    assert folders.temporary.names() == []


def test_other_bytes_from_the_same_place_are_kept_beside(folders: Folders) -> None:
    assert folders.keep(PIECE) != folders.keep(PIECE._replace(data=b"other bytes"))
    assert len(folders.quarantine.names()) == 2


def test_a_piece_is_durable_on_return(filesystem: MemoryFileSystem, folders: Folders) -> None:
    name = folders.keep(PIECE)
    assert read_piece(Folders(filesystem.crash()).quarantine, name) == PIECE


def test_a_piece_whose_name_was_not_synced_by_the_process_that_was_killed_is_durable_after_the_next_keep(
    filesystem: MemoryFileSystem, folders: Folders
) -> None:
    # create, write, sync, rename happen; the sync of the folder does not.
    filesystem.crash_after(4)
    with pytest.raises(SimulatedCrash):
        folders.keep(PIECE)
    second = filesystem.kill()
    root = second.open_root("/store")
    name = keep(root.directory("quarantine"), root.directory("tmp"), PIECE, BOUND)
    left = second.crash().open_root("/store").directory("quarantine")
    assert read_piece(left, name) == PIECE


def test_a_crash_while_keeping_leaves_the_whole_piece_or_none(filesystem: MemoryFileSystem, folders: Folders) -> None:
    for survived in range(5):
        second = filesystem.image()
        again = Folders(second)
        second.crash_after(survived)
        with pytest.raises(SimulatedCrash):
            again.keep(PIECE)
        left = Folders(second.crash()).quarantine
        assert [read_piece(left, name) for name in left.names()] == []


def test_every_flipped_bit_of_a_kept_piece_is_found(folders: Folders) -> None:
    name = folders.keep(PIECE)
    data = read_whole(folders.quarantine, name, BOUND)
    for place in range(len(data)):
        with folders.quarantine.open(name, writable=True) as file:
            file.write_at(place, bytes([data[place] ^ 1 << place % 8]))
        with pytest.raises(DamageError) as caught:
            read_piece(folders.quarantine, name)
        assert caught.value.reason == "bad_piece"
        with folders.quarantine.open(name, writable=True) as file:
            file.write_at(place, data[place : place + 1])


def test_a_piece_under_another_name_is_not_what_was_kept(folders: Folders) -> None:
    name = folders.keep(PIECE)
    other = name.replace("00001024", "00002048")
    folders.quarantine.rename(name, other)
    with pytest.raises(DamageError):
        read_piece(folders.quarantine, other)


def test_the_oldest_pieces_give_way_and_the_newest_stays(folders: Folders) -> None:
    pieces = [PIECE._replace(segment=segment, data=bytes(1000)) for segment in (1, 2, 3)]
    names = [folders.keep(piece, bytes_max=2500) for piece in pieces]
    assert folders.quarantine.names() == names[1:]
    assert folders.keep(pieces[0], bytes_max=0) == names[0]
    assert folders.quarantine.names() == [names[0]]


@pytest.mark.parametrize("bytes_max", [0, 159, 160, 161, 1000, 5127])
def test_of_a_piece_larger_than_the_bound_the_beginning_is_kept_with_length_and_digest_of_the_whole(
    folders: Folders, bytes_max: int
) -> None:
    data = SeededRandomness("large")(5000)
    older, piece = folders.keep(PIECE), PIECE._replace(segment=8, data=data)
    name = folders.keep(piece, bytes_max)
    assert folders.quarantine.names() == [name] != [older]
    file = read_whole(folders.quarantine, name, BOUND)
    assert len(file) == max(160, bytes_max)
    kept_bytes = len(file) - 160
    assert read_piece(folders.quarantine, name) == piece._replace(data=data[:kept_bytes], left_out_bytes=5000 - kept_bytes)
    assert (file[56:64], file[72:104]) == ((5000).to_bytes(8, "little"), hashlib.sha256(data).digest())
    assert folders.keep(piece, bytes_max) == name
    assert read_whole(folders.quarantine, name, BOUND) == file


def test_a_piece_that_just_fits_is_kept_whole(folders: Folders) -> None:
    piece = PIECE._replace(data=bytes(5000))
    assert read_piece(folders.quarantine, folders.keep(piece, bytes_max=5128)) == piece


def test_every_flipped_bit_of_a_beginning_is_found(folders: Folders) -> None:
    name = folders.keep(PIECE._replace(data=bytes(range(100))), bytes_max=200)
    data = read_whole(folders.quarantine, name, BOUND)
    assert len(data) == 200
    for place in range(len(data)):
        with folders.quarantine.open(name, writable=True) as file:
            file.write_at(place, bytes([data[place] ^ 1 << place % 8]))
        with pytest.raises(DamageError):
            read_piece(folders.quarantine, name)
        with folders.quarantine.open(name, writable=True) as file:
            file.write_at(place, data[place : place + 1])
    with folders.quarantine.open(name, writable=True) as file:
        file.truncate(199)
    with pytest.raises(DamageError):
        read_piece(folders.quarantine, name)


def test_other_files_in_the_folder_are_left_alone(folders: Folders) -> None:
    folders.quarantine.create("note").close()
    folders.keep(PIECE, bytes_max=0)
    assert "note" in folders.quarantine.names()


def test_a_full_disk_is_the_callers_to_judge_and_leaves_no_piece(filesystem: MemoryFileSystem, folders: Folders) -> None:
    filesystem.capacity_bytes = filesystem.used_bytes
    with pytest.raises(OSError, match="full") as caught:
        folders.keep(PIECE)
    assert caught.value.errno == errno.ENOSPC
    assert folders.quarantine.names() == []


@pytest.mark.parametrize(
    ("offset", "error"), [(0, DamageError), (8, FormatTooNew), (12, FormatTooNew), (44, DamageError)], ids=str
)
def test_a_piece_of_another_magic_is_damage_and_of_a_later_version_left_alone(
    folders: Folders, offset: int, error: type[Exception]
) -> None:
    name = folders.keep(PIECE)
    data = bytearray(read_whole(folders.quarantine, name, BOUND))
    data[offset] ^= 0x80
    data[104:128] = hashlib.sha256(data[:104]).digest()[:24]
    with folders.quarantine.open(name, writable=True) as file:
        file.write_at(0, bytes(data))
    with pytest.raises(error):
        read_piece(folders.quarantine, name)
