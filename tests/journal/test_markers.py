"""The marker: written twice, and either copy serves."""

import hashlib
from collections.abc import Iterator

import pytest

from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.filesystem import Directory, read_whole
from rap_journal.layout import MARKER
from rap_journal.markers import Marker, MarkerKind, MarkerRead, ProviderKind, encode_marker, read_marker, write_marker
from rap_journal.testing import MemoryFileSystem, SimulatedCrash

CLUSTER = Marker(MarkerKind.CLUSTER, ProviderKind.TPM2, b"j" * 16, b"s" * 16, "eu-west-1", 3, b"c" * 16, 2, 9)
STORE = Marker(MarkerKind.STORE, ProviderKind.FILE, b"s" * 16, b"s" * 16)


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> Iterator[Directory]:
    with filesystem.open_root("/store", create=True) as root:
        root.create_directory("tmp").close()
        root.sync()
        yield root


def write(root: Directory, marker: Marker) -> None:
    with root.directory("tmp") as temporary:
        write_marker(root, temporary, marker)


def plant(root: Directory, data: bytes) -> None:
    """Put `data` in the place of the marker."""
    if root.status(MARKER):
        root.unlink(MARKER)
    with root.create(MARKER) as file:
        file.write_at(0, data)


def resealed(block: bytes, offset: int, value: bytes) -> bytes:
    changed = block[:offset] + value + block[offset + len(value) : 480]
    return changed + hashlib.sha256(changed).digest()


@pytest.mark.parametrize("marker", [CLUSTER, STORE], ids=["cluster", "store"])
def test_a_marker_reads_back(root: Directory, marker: Marker) -> None:
    write(root, marker)
    assert read_marker(root) == MarkerRead(marker, 0)
    assert len(read_whole(root, MARKER, 4096)) == 1024


def test_every_flipped_bit_leaves_the_other_copy_and_is_counted(root: Directory) -> None:
    data = encode_marker(CLUSTER)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        plant(root, bytes(changed))
        assert read_marker(root) == MarkerRead(CLUSTER, 1)


def test_one_copy_alone_serves_and_is_counted(root: Directory) -> None:
    plant(root, encode_marker(CLUSTER)[:512])
    assert read_marker(root) == MarkerRead(CLUSTER, 1)


def test_copies_that_differ_are_counted_and_the_newer_one_holds(root: Directory) -> None:
    newer = CLUSTER._replace(serial=10, format_level=3)
    plant(root, encode_marker(newer)[:512] + encode_marker(CLUSTER)[512:])
    assert read_marker(root) == MarkerRead(newer, 1)


@pytest.mark.parametrize("data", [b"", bytes(1024), encode_marker(CLUSTER)[1:]], ids=["empty", "zeros", "shifted"])
def test_without_a_whole_copy_nobody_knows_whose_folder_it_is(root: Directory, data: bytes) -> None:
    """Mutation: where no copy is whole, go on with none."""
    plant(root, data)
    with pytest.raises(DamageError) as caught:
        read_marker(root)
    assert (caught.value.reason, caught.value.file) == ("no_marker", MARKER)


def test_a_missing_marker_is_not_found(root: Directory) -> None:
    with pytest.raises(FileNotFoundError):
        read_marker(root)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (8, b"\x02"),
        (10, b"\x09"),
        (11, b"\x00"),
        (11, b"\x63"),
        (50, b"\x01"),
        (56, b"\x01"),
        (60, b"\x01"),
        (144, b"\x01"),
        (447, b"\x01"),
    ],
)
def test_a_marker_of_a_later_format_is_left_alone(root: Directory, offset: int, value: bytes) -> None:
    """Mutation: a marker of a later format is read as one of this format."""
    plant(root, resealed(encode_marker(CLUSTER)[:512], offset, value) * 2)
    with pytest.raises(FormatTooNew) as caught:
        read_marker(root)
    assert caught.value.reason == "marker_version"


def test_a_block_with_another_magic_is_no_marker(root: Directory) -> None:
    plant(root, resealed(encode_marker(CLUSTER)[:512], 0, b"XXXX") + encode_marker(CLUSTER)[512:])
    assert read_marker(root) == MarkerRead(CLUSTER, 1)


def test_a_crash_while_rewriting_leaves_the_old_marker_or_the_new_one(filesystem: MemoryFileSystem, root: Directory) -> None:
    write(root, CLUSTER)
    for survived in range(5):
        second = filesystem.image()
        second.crash_after(survived)
        with pytest.raises(SimulatedCrash):
            write(second.open_root("/store"), CLUSTER._replace(serial=10))
        assert read_marker(second.crash().open_root("/store")) == MarkerRead(CLUSTER, 0)


def test_numbers_of_kinds_never_change_since_they_stand_on_disk() -> None:
    assert [(kind.name, int(kind)) for kind in MarkerKind] == [("STORE", 1), ("CLUSTER", 2), ("AGENT", 3)]
    assert [int(kind) for kind in ProviderKind] == [1, 2, 3, 4, 5, 6, 7]
