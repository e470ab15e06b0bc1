"""A frame: encoding one, and saying of bytes whether they are one. The table of bytes is in `format`.

Rules this file keeps:

- Reading takes no key: everything but the payload is checked on stored bytes (FORMAT.md, "A frame is valid if and only if").
- A length is used only after the header check, which is keyed by the segment's salt: a payload cannot imitate a frame.
- Unsealing is separate, and fails only on tampering, since the digest was checked before.

Example::

    codec = FrameCodec(salt, epoch, cipher, secrets.token_bytes)
    data, digest = codec.encode(payload, first_lsn=1, record_count=1, class_mask=2, strict=False, last_strict_lsn=0, predecessor=bytes(16))
    frame = read_frame(data, 0, salt, epoch)        # or the reason why there is none
"""

import hashlib
import zlib
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rap_journal.errors import MisuseError
from rap_journal.format import (
    DIGEST_BYTES,
    FLAG_COMPRESSED,
    FLAG_STRICT,
    FLAGS_KNOWN,
    FORMAT_VERSION,
    FRAME_CHECKED_BYTES,
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    FRAME_OVERHEAD_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    padding,
)
from rap_journal.limits import FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, RECORDS_PER_FRAME_MAX
from rap_journal.sealing import SealBroken

COMPRESS_FROM_BYTES = 1024
"""A smaller payload, compressed, saves less than a frame's own head and tail take, and takes a tenth of the time of a sync."""

SMALL_WINDOW_BITS = 13
"""Payloads of up to 8 KiB are compressed with a window of that size: setting up the usual 256 KiB takes longer than all the rest."""

_PADDING = [bytes(n) for n in range(8)]


class FrameHeader(NamedTuple):
    """The readable head of a frame whose header check is right."""

    flags: int
    class_mask: int
    stored_bytes: int
    payload_bytes: int
    first_lsn: int
    record_count: int
    epoch: int
    nonce: bytes
    last_strict_lsn: int
    predecessor: bytes

    @property
    def last_lsn(self) -> int:
        """LSN of the frame's last record."""
        return self.first_lsn + self.record_count - 1

    @property
    def frame_bytes(self) -> int:
        """Length of the whole frame, padding and digest included."""
        return FRAME_OVERHEAD_BYTES + self.stored_bytes + padding(self.stored_bytes)

    @property
    def is_strict(self) -> bool:
        """Whether the frame's records are strict ones."""
        return bool(self.flags & FLAG_STRICT)


class Frame(NamedTuple):
    """A frame whose digest is right, and where it stands."""

    offset: int
    header: FrameHeader
    digest: bytes

    @property
    def end(self) -> int:
        """Offset of the byte after the frame."""
        return self.offset + self.header.frame_bytes


class FrameCodec:
    """Encodes the frames of one segment and opens their payloads."""

    def __init__(self, salt: bytes, epoch: int, cipher: AESGCM, randomness: Callable[[int], bytes]) -> None:
        self._check = hashlib.blake2b(key=salt, digest_size=8)
        self._epoch = epoch
        self._cipher = cipher
        self._randomness = randomness

    def encode(
        self,
        payload: bytes,
        *,
        first_lsn: int,
        record_count: int,
        class_mask: int,
        strict: bool,
        last_strict_lsn: int,
        predecessor: bytes,
    ) -> tuple[bytes, bytes]:
        """The frame's bytes and its digest. Raises `MisuseError` when it would be larger than a frame may be."""
        flags = FLAG_STRICT if strict else 0
        content = payload
        if len(payload) >= COMPRESS_FROM_BYTES:
            packed = _compress(payload)
            if len(packed) < len(payload):
                content, flags = packed, flags | FLAG_COMPRESSED
        stored_bytes = len(content) + TAG_BYTES
        if stored_bytes > FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES or len(payload) > PAYLOAD_BYTES_MAX:
            raise MisuseError(
                f"{len(payload)} bytes of records do not fit into one frame of {FRAME_BYTES_MAX} bytes; nothing was written.",
                lsn=first_lsn,
                reason="frame_too_large",
            )
        nonce = self._randomness(NONCE_BYTES)
        head = FRAME_HEADER.pack(
            FRAME_MAGIC, FORMAT_VERSION, flags, class_mask, stored_bytes, len(payload), first_lsn, record_count, self._epoch,
            nonce, 0, last_strict_lsn, predecessor, b"",
        )[:FRAME_CHECKED_BYTES]  # fmt: skip
        check = self._check.copy()
        check.update(head)
        header = head + check.digest()
        stored = self._cipher.encrypt(nonce, content, header)
        digest = frame_digest(header, stored)
        return b"".join((header, stored, _PADDING[-stored_bytes & 7], digest)), digest

    def open(self, data: bytes, frame: Frame) -> bytes:
        """The payload of `frame`, which stands in `data`; raises `SealBroken` when it was tampered with."""
        start = frame.offset + FRAME_HEADER_BYTES
        header = frame.header
        stored = data[start : start + header.stored_bytes]
        try:
            content = self._cipher.decrypt(header.nonce, stored, data[frame.offset : start])
        except InvalidTag:
            raise SealBroken(
                "a frame with the right digest does not unseal", lsn=header.first_lsn, reason="seal_broken"
            ) from None
        if header.flags & FLAG_COMPRESSED:
            content = _decompress(content, header)
        if len(content) != header.payload_bytes:
            raise SealBroken(
                "a frame's payload has not the length its header names", lsn=header.first_lsn, reason="payload_length"
            )
        return content


def frame_digest(header: bytes, stored: bytes) -> bytes:
    """First half of SHA-256 over a frame's header and stored bytes. The header holds the predecessor's digest, so frames chain."""
    state = hashlib.sha256(header)
    state.update(stored)
    return state.digest()[:DIGEST_BYTES]


def read_header(data: bytes, offset: int, salt: bytes, epoch: int) -> FrameHeader | str:
    """The frame header at `offset`, or the reason (a stable word) why there is none."""
    if offset + FRAME_HEADER_BYTES > len(data):
        return "short_header"
    fields = FRAME_HEADER.unpack_from(data, offset)
    (
        magic,
        version,
        flags,
        class_mask,
        stored_bytes,
        payload_bytes,
        first_lsn,
        count,
        its_epoch,
        nonce,
        reserved,
        last_strict,
        predecessor,
        check,
    ) = fields
    if magic != FRAME_MAGIC:
        return "bad_magic"
    if hashlib.blake2b(data[offset : offset + FRAME_CHECKED_BYTES], key=salt, digest_size=8).digest() != check:
        return "bad_header_check"
    if version != FORMAT_VERSION:
        return "unknown_version"
    if flags & ~FLAGS_KNOWN or reserved:
        return "unknown_flag"
    if its_epoch != epoch:
        return "wrong_epoch"
    if not TAG_BYTES <= stored_bytes <= FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES or payload_bytes > PAYLOAD_BYTES_MAX:
        return "bad_length"
    if not 1 <= count <= RECORDS_PER_FRAME_MAX or first_lsn < 1:
        return "bad_count"
    return FrameHeader(
        flags, class_mask, stored_bytes, payload_bytes, first_lsn, count, its_epoch, nonce, last_strict, predecessor
    )


def read_frame(data: bytes, offset: int, salt: bytes, epoch: int) -> Frame | str:
    """The frame at `offset`, or the reason (a stable word) why there is none. Needs no key."""
    header = read_header(data, offset, salt, epoch)
    if isinstance(header, str):
        return header
    start = offset + FRAME_HEADER_BYTES
    end = start + header.stored_bytes
    trailer = end + padding(header.stored_bytes)
    if trailer + DIGEST_BYTES > len(data):
        return "short_frame"
    digest = frame_digest(data[offset:start], data[start:end])
    if digest != data[trailer : trailer + DIGEST_BYTES]:
        return "bad_digest"
    if any(data[end:trailer]):
        return "bad_padding"
    return Frame(offset, header, digest)


def _compress(payload: bytes) -> bytes:
    if len(payload) > 1 << SMALL_WINDOW_BITS:
        return zlib.compress(payload, 1)
    machine = zlib.compressobj(1, wbits=SMALL_WINDOW_BITS, memLevel=6)
    return machine.compress(payload) + machine.flush()


def _decompress(content: bytes, header: FrameHeader) -> bytes:
    machine = zlib.decompressobj()
    try:
        payload = machine.decompress(content, header.payload_bytes + 1)
    except zlib.error:
        raise SealBroken("a frame's payload does not decompress", lsn=header.first_lsn, reason="compression") from None
    if machine.unconsumed_tail or machine.unused_data or not machine.eof:
        raise SealBroken("a frame's payload decompresses to another length", lsn=header.first_lsn, reason="compression")
    return payload
