"""Sealed files: whole under their name or not there, and unsealed only where they belong."""

import hashlib
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal import sealed_files
from rap_journal.errors import DamageError, FormatTooNew, MisuseError
from rap_journal.filesystem import Directory
from rap_journal.limits import CHECKPOINT_BYTES_MAX
from rap_journal.sealed_files import (
    SealedFile,
    SealedHeader,
    decode_sealed_file,
    encode_sealed_file,
    install_file,
    read_sealed_file,
    salt_of,
    unseal_file,
)
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.testing import MemoryFileSystem, SimulatedCrash

JOURNAL_ID = b"j" * 16
RING = KeyRing(JOURNAL_ID, {1: b"k" * 32, 2: b"l" * 32}, 2)
SALT = b"s" * 32
NAME = "checkpoint-0000000000000041"
HEADER = SealedHeader(Purpose.CHECKPOINT, 7, JOURNAL_ID, 41, 3, b"d" * 16, 5)


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def root(filesystem: MemoryFileSystem) -> Iterator[Directory]:
    with filesystem.open_root("/store", create=True) as root:
        for name in ("tmp", "peers"):
            root.create_directory(name).close()
        root.sync()
        yield root


def encode(content: bytes, name: str = NAME) -> bytes:
    return encode_sealed_file(name, HEADER, content, RING, SALT)


def resealed(data: bytes, offset: int, value: bytes) -> bytes:
    """`data` with bytes changed and its digest made right again."""
    changed = data[:offset] + value + data[offset + len(value) : -32]
    return changed + hashlib.sha256(changed).digest()


def decode(data: bytes, name: str = NAME) -> SealedFile:
    return decode_sealed_file(name, data, f"peers/{name}")


@given(st.binary(max_size=3000))
def test_any_content_reads_back(content: bytes) -> None:
    file = decode(encode(content))
    assert unseal_file(file, RING) == content
    assert file.header == HEADER._replace(key_generation=2, flags=file.header.flags, content_bytes=len(content))
    assert salt_of(file) == SALT


def test_content_is_compressed_where_that_is_smaller() -> None:
    assert len(encode(bytes(100_000))) < 1000
    assert decode(encode(bytes(100_000))).header.flags == 1
    assert decode(encode(b"short")).header.flags == 0
    assert unseal_file(decode(encode(bytes(100_000))), RING) == bytes(100_000)


def test_every_flipped_bit_is_found_without_a_key() -> None:
    """Mutation: without the digest nothing but the seal notices rot, and only who has the key."""
    data = encode(b"content")
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamageError) as caught:
            decode(bytes(changed))
        assert (caught.value.reason, caught.value.file) == ("bad_digest", f"peers/{NAME}")


def test_every_shorter_part_of_a_file_is_damage() -> None:
    """Mutation: the length is not looked at before the header is read."""
    data = encode(b"content")
    for length in range(len(data)):
        with pytest.raises(DamageError) as caught:
            decode(data[:length])
        assert caught.value.reason == ("too_short" if length < 176 else "bad_digest")


@pytest.mark.parametrize(
    ("offset", "value", "error", "reason"),
    [
        (0, b"X", DamageError, "bad_magic"),
        (8, b"\x02", FormatTooNew, "sealed_version"),
        (10, b"\x09", FormatTooNew, "sealed_version"),
        (44, b"\x02", FormatTooNew, "sealed_version"),
        (68, b"\x01", FormatTooNew, "sealed_version"),
        (120, b"\x01", FormatTooNew, "sealed_version"),
        (72, b"\xff", DamageError, "bad_length"),
        (80, b"\xff" * 8, DamageError, "bad_length"),
    ],
)
def test_a_header_with_a_right_digest_is_judged_by_its_values(
    offset: int, value: bytes, error: type[Exception], reason: str
) -> None:
    """Mutation: whatever has a right digest is read as a sealed file of this format."""
    with pytest.raises(error) as caught:
        decode(resealed(encode(b"content"), offset, value))
    assert getattr(caught.value, "reason", None) == reason


@pytest.mark.parametrize("offset", [11, 16, 32, 40, 48, 64, 80, 88, 128])
def test_a_changed_file_with_a_right_digest_is_tampering(offset: int) -> None:
    data = encode(b"content")
    file = decode(resealed(data, offset, bytes([data[offset] ^ 1])))
    with pytest.raises(SealBroken):
        unseal_file(file, RING)


def test_a_file_that_was_renamed_does_not_unseal() -> None:
    data = encode(b"content")
    with pytest.raises(SealBroken):
        unseal_file(decode(data, "checkpoint-0000000000000042"), RING)


@pytest.mark.parametrize("body", [b"no zlib stream", zlib.compress(bytes(100)) + b"more", zlib.compress(bytes(100))[:-1]])
def test_a_sealed_body_that_is_not_exactly_one_stream_is_refused(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: whatever comes out of the decompressor is taken, whole or not."""
    with monkeypatch.context() as patched:
        patched.setattr("rap_journal.sealed_files.zlib.compress", lambda _content, _level: body)
        data = encode(bytes(100))
    assert decode(data).header.flags == 1
    with pytest.raises(SealBroken):
        unseal_file(decode(data), RING)


def test_more_content_than_can_be_read_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_files, "_CONTENT_BYTES_MAX", 100)
    assert unseal_file(decode(encode(bytes(100))), RING) == bytes(100)
    with pytest.raises(MisuseError) as caught:
        encode(bytes(101))
    assert (caught.value.reason, caught.value.file) == ("too_large", NAME)


def test_what_may_be_written_fits_into_what_is_read() -> None:
    assert sealed_files._CONTENT_BYTES_MAX + 128 + 16 + 32 == CHECKPOINT_BYTES_MAX


def test_an_oversized_file_is_damage_before_it_is_read(root: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: the size is looked at when the bytes are in memory."""
    monkeypatch.setattr(sealed_files, "CHECKPOINT_BYTES_MAX", 100)
    with root.directory("tmp") as temporary, root.directory("peers") as folder:
        install_file(temporary, folder, NAME, bytes(101))
        with pytest.raises(DamageError) as caught:
            read_sealed_file(folder, NAME)
    assert caught.value.reason == "too_large"


def test_a_missing_file_is_not_found(root: Directory) -> None:
    with root.directory("peers") as folder, pytest.raises(FileNotFoundError):
        read_sealed_file(folder, NAME)


def test_a_file_is_installed_by_content_sync_then_rename_then_folder_sync(filesystem: MemoryFileSystem, root: Directory) -> None:
    filesystem.operations.clear()
    with root.directory("tmp") as temporary, root.directory("peers") as folder:
        install_file(temporary, folder, NAME, encode(b"content"))
    part = f"tmp/peers-{NAME}"
    assert [(operation.name, operation.path, operation.new_path) for operation in filesystem.operations] == [
        ("create", part, None),
        ("write", part, None),
        ("sync", part, None),
        ("rename", part, f"peers/{NAME}"),
        ("sync_directory", "peers", None),
    ]


def test_a_crash_at_any_operation_leaves_the_old_file_or_the_new_one(filesystem: MemoryFileSystem, root: Directory) -> None:
    with root.directory("tmp") as temporary, root.directory("peers") as folder:
        install_file(temporary, folder, NAME, encode(b"old"))
    seen = []
    for survived in range(5):
        second = filesystem.image()
        second.crash_after(survived)
        again = second.open_root("/store")
        with pytest.raises(SimulatedCrash):
            install_file(again.directory("tmp"), again.directory("peers"), NAME, encode(b"new"))
        with second.crash().open_root("/store") as left, left.directory("peers") as folder:
            seen.append(unseal_file(read_sealed_file(folder, NAME), RING))
    assert seen == [b"old"] * 5
    with root.directory("tmp") as temporary, root.directory("peers") as folder:
        install_file(temporary, folder, NAME, encode(b"new"))
        assert unseal_file(read_sealed_file(folder, NAME), RING) == b"new"


def test_a_part_that_a_crash_left_behind_is_replaced(root: Directory) -> None:
    with root.directory("tmp") as temporary, root.directory("peers") as folder:
        temporary.create(f"peers-{NAME}").close()
        install_file(temporary, folder, NAME, encode(b"content"))
        assert temporary.names() == []
        assert unseal_file(read_sealed_file(folder, NAME), RING) == b"content"
