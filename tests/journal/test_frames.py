"""A frame: what is written reads back, and nothing that differs from it in a single bit does."""

import hashlib
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import MisuseError
from rap_journal.format import (
    FLAG_COMPRESSED,
    FLAG_STRICT,
    FRAME_CHECKED_BYTES,
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    FRAME_OVERHEAD_BYTES,
    TAG_BYTES,
)
from rap_journal.frames import Frame, FrameCodec, frame_digest, read_frame, read_header
from rap_journal.limits import FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX
from rap_journal.sealing import SealBroken
from rap_journal.testing import SeededRandomness

SALT = b"s" * 32
EPOCH = 3
CIPHER = AESGCM(b"k" * 32)
NOISE = SeededRandomness("noise")


def encode(payload: bytes, *, strict: bool = False, first_lsn: int = 1, record_count: int = 1) -> bytes:
    """The bytes of one frame."""
    codec = FrameCodec(SALT, EPOCH, CIPHER, SeededRandomness(1))
    data, digest = codec.encode(
        payload,
        first_lsn=first_lsn,
        record_count=record_count,
        class_mask=0b10,
        strict=strict,
        last_strict_lsn=0,
        predecessor=b"p" * 16,
    )
    assert data[-16:] == digest
    return data


def open_frame(data: bytes, offset: int = 0) -> bytes:
    """The payload of the frame at `offset`."""
    frame = read_frame(data, offset, SALT, EPOCH)
    assert isinstance(frame, Frame), frame
    return FrameCodec(SALT, EPOCH, CIPHER, SeededRandomness(1)).open(data, frame)


def forge(data: bytes, salt: bytes = SALT, **changes: int | bytes) -> bytes:
    """`data` with header fields changed, and check and digest made right again: what an attacker without the key can do."""
    names = (
        "magic", "version", "flags", "class_mask", "stored_bytes", "payload_bytes", "first_lsn", "record_count", "epoch", "nonce",
        "reserved", "last_strict_lsn", "predecessor", "check",
    )  # fmt: skip
    fields = dict(zip(names, FRAME_HEADER.unpack_from(data), strict=True)) | changes
    head = FRAME_HEADER.pack(*(fields[name] for name in names))[:FRAME_CHECKED_BYTES]
    head += hashlib.blake2b(head, key=salt, digest_size=8).digest()
    stored = data[FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + FRAME_HEADER.unpack_from(data)[4]]
    return head + data[FRAME_HEADER_BYTES:-16] + frame_digest(head, stored)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 255, 256, 4096])
def test_a_payload_reads_back_and_the_frame_ends_on_a_multiple_of_eight(length: int) -> None:
    payload = NOISE(length)
    data = encode(payload)
    assert len(data) % 8 == 0
    assert open_frame(data) == payload


@given(st.binary(max_size=2000), st.booleans(), st.integers(0, 5).map(lambda n: 8 * n))
def test_any_payload_reads_back_at_any_place(payload: bytes, strict: bool, offset: int) -> None:
    data = bytes(offset) + encode(payload, strict=strict) + b"behind"
    frame = read_frame(data, offset, SALT, EPOCH)
    assert isinstance(frame, Frame)
    assert frame.header.is_strict == strict
    assert frame.end == len(data) - len(b"behind")
    assert open_frame(data, offset) == payload


def test_a_header_says_what_was_written() -> None:
    data = encode(b"payload", strict=True, first_lsn=41, record_count=2)
    header = read_header(data, 0, SALT, EPOCH)
    assert not isinstance(header, str)
    assert (header.first_lsn, header.last_lsn, header.record_count) == (41, 42, 2)
    assert (header.class_mask, header.epoch, header.last_strict_lsn, header.predecessor) == (0b10, EPOCH, 0, b"p" * 16)
    assert (header.flags, header.payload_bytes, header.stored_bytes) == (FLAG_STRICT, 7, 7 + TAG_BYTES)
    assert header.frame_bytes == len(data)


def test_a_payload_is_compressed_from_1024_bytes_on_and_only_where_that_is_smaller() -> None:
    def flags(payload: bytes) -> int:
        header = read_header(encode(payload), 0, SALT, EPOCH)
        assert not isinstance(header, str)
        return header.flags

    assert flags(b"x" * 1023) == 0
    assert flags(b"x" * 1024) == FLAG_COMPRESSED
    assert flags(b"x" * 8192) == flags(b"x" * 8193) == FLAG_COMPRESSED
    assert flags(NOISE(5000)) == 0
    assert len(encode(b"x" * 100_000)) < 1000


def test_every_flipped_bit_of_a_frame_is_found_without_a_key() -> None:
    data = encode(b"three records or so", strict=True)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert isinstance(read_frame(bytes(changed), 0, SALT, EPOCH), str), bit


def test_every_shorter_part_of_a_frame_is_told_from_a_frame() -> None:
    data = encode(b"three records or so")
    reasons = [read_frame(data[:length], 0, SALT, EPOCH) for length in range(len(data))]
    assert reasons == ["short_header"] * FRAME_HEADER_BYTES + ["short_frame"] * (len(data) - FRAME_HEADER_BYTES)


def test_zeros_are_never_a_frame() -> None:
    assert read_frame(bytes(4096), 0, SALT, EPOCH) == "bad_magic"


def test_a_frame_of_another_segment_does_not_pass_its_header_check() -> None:
    assert read_frame(encode(b"payload"), 0, b"t" * 32, EPOCH) == "bad_header_check"


def test_a_frame_of_another_epoch_is_told_by_its_epoch() -> None:
    assert read_frame(encode(b"payload"), 0, SALT, EPOCH + 1) == "wrong_epoch"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"magic": b"RAP\xf5"}, "bad_magic"),
        ({"version": 2}, "unknown_version"),
        ({"flags": 4}, "unknown_flag"),
        ({"reserved": 1}, "unknown_flag"),
        ({"epoch": 0}, "wrong_epoch"),
        ({"stored_bytes": TAG_BYTES - 1}, "bad_length"),
        ({"stored_bytes": FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES + 1}, "bad_length"),
        ({"stored_bytes": 2**32 - 1}, "bad_length"),
        ({"payload_bytes": PAYLOAD_BYTES_MAX + 1}, "bad_length"),
        ({"record_count": 0}, "bad_count"),
        ({"record_count": 4097}, "bad_count"),
        ({"first_lsn": 0}, "bad_count"),
        ({"stored_bytes": 1000}, "short_frame"),
    ],
    ids=str,
)
def test_a_header_with_a_right_check_and_a_value_out_of_range_is_no_frame(changes: dict[str, Any], reason: str) -> None:
    assert read_frame(forge(encode(b"payload"), **changes), 0, SALT, EPOCH) == reason


def test_the_header_check_comes_before_everything_it_protects() -> None:
    data = bytearray(encode(b"payload"))
    data[8:12] = b"\xff\xff\xff\x7f"
    assert read_frame(bytes(data), 0, SALT, EPOCH) == "bad_header_check"


def test_padding_that_is_not_zero_is_no_frame_even_though_no_digest_covers_it() -> None:
    data = bytearray(encode(b"1234567"))
    assert len(b"1234567") + TAG_BYTES == 23
    assert data[FRAME_HEADER_BYTES + 23] == 0
    data[FRAME_HEADER_BYTES + 23] = 1
    assert read_frame(bytes(data), 0, SALT, EPOCH) == "bad_padding"


def test_a_changed_header_with_a_right_digest_is_tampering() -> None:
    forged = forge(encode(b"payload"), first_lsn=7)
    frame = read_frame(forged, 0, SALT, EPOCH)
    assert isinstance(frame, Frame)
    with pytest.raises(SealBroken) as caught:
        FrameCodec(SALT, EPOCH, CIPHER, SeededRandomness(1)).open(forged, frame)
    assert (caught.value.lsn, caught.value.reason) == (7, "seal_broken")


def test_a_payload_cannot_imitate_a_frame() -> None:
    inner = encode(b"inner")
    data = encode(inner)
    assert data.find(FRAME_MAGIC, 1) == -1


def sealed_as(content: bytes, flags: int, payload_bytes: int) -> tuple[bytes, Frame]:
    """A frame that was sealed with the key, by a writer with a bug."""
    head = FRAME_HEADER.pack(
        FRAME_MAGIC, 1, flags, 2, len(content) + TAG_BYTES, payload_bytes, 1, 1, EPOCH, b"n" * 12, 0, 0, b"p" * 16, b""
    )[:FRAME_CHECKED_BYTES]
    head += hashlib.blake2b(head, key=SALT, digest_size=8).digest()
    stored = CIPHER.encrypt(b"n" * 12, content, head)
    data = head + stored + bytes(-len(stored) & 7) + frame_digest(head, stored)
    frame = read_frame(data, 0, SALT, EPOCH)
    assert isinstance(frame, Frame)
    return data, frame


@pytest.mark.parametrize(
    ("content", "flags", "payload_bytes", "reason"),
    [
        (b"five!", 0, 4, "payload_length"),
        (b"no zlib stream", FLAG_COMPRESSED, 14, "compression"),
        (zlib.compress(b"x" * 5000), FLAG_COMPRESSED, 4999, "payload_length"),
        (zlib.compress(b"x" * 5000), FLAG_COMPRESSED, 5001, "payload_length"),
        (zlib.compress(b"x" * 5000) + b"more", FLAG_COMPRESSED, 5000, "compression"),
        (zlib.compress(b"x" * 5000)[:-1], FLAG_COMPRESSED, 5000, "compression"),
        (zlib.compress(bytes(100 << 20)), FLAG_COMPRESSED, 100, "compression"),
    ],
    ids=["length", "no stream", "too long", "too short", "more behind", "cut off", "bomb"],
)
def test_a_payload_that_does_not_unpack_to_its_length_is_refused(
    content: bytes, flags: int, payload_bytes: int, reason: str
) -> None:
    data, frame = sealed_as(content, flags, payload_bytes)
    with pytest.raises(SealBroken) as caught:
        FrameCodec(SALT, EPOCH, CIPHER, SeededRandomness(1)).open(data, frame)
    assert caught.value.reason == reason


def test_the_largest_frame_is_written_and_read_and_one_byte_more_is_refused() -> None:
    largest = FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES - TAG_BYTES
    data = encode(NOISE(largest))
    assert len(data) == FRAME_BYTES_MAX
    assert isinstance(read_frame(data, 0, SALT, EPOCH), Frame)
    with pytest.raises(MisuseError) as caught:
        encode(NOISE(largest + 1))
    assert caught.value.reason == "frame_too_large"


def test_a_payload_that_compresses_well_is_refused_above_its_own_limit() -> None:
    assert open_frame(encode(bytes(PAYLOAD_BYTES_MAX))) == bytes(PAYLOAD_BYTES_MAX)
    with pytest.raises(MisuseError):
        encode(bytes(PAYLOAD_BYTES_MAX + 1))
