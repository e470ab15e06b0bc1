"""Segments made by hand: frames of chosen sizes behind a chosen header, in memory or in a folder."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from rap_journal.filesystem import Directory
from rap_journal.format import FRAME_CHECKED_BYTES, FRAME_HEADER_BYTES
from rap_journal.frames import FrameCodec
from rap_journal.layout import segment_name
from rap_journal.payload import encode_payload
from rap_journal.scanner import Chain, start_of
from rap_journal.sealing import KeyRing
from rap_journal.segments import (
    Cut,
    Predecessor,
    SegmentHeader,
    encode_segment_header,
    header_chain_digest,
    header_key_context,
)
from rap_journal.testing import SeededRandomness
from rap_journal.values import Epoch, SegmentNumber
from tests.journal.workbench import HEALTH, JOURNAL_ID, record_of

RING = KeyRing(JOURNAL_ID, {1: b"k" * 32}, 1)


class Piece(NamedTuple):
    """A frame to be made: how many records, whether strict, and how long their bodies are."""

    record_count: int = 1
    strict: bool = False
    body_bytes: int = 20
    class_mask: int = 1 << HEALTH.number


class Made(NamedTuple):
    """A segment: its header, all its bytes, where each frame begins, and the chain behind the last."""

    header: SegmentHeader
    data: bytes
    offsets: list[int]
    chain: Chain

    @property
    def salt(self) -> bytes:
        return self.header.salt

    def frame(self, index: int) -> bytes:
        """The bytes of one frame."""
        return self.data[self.offsets[index] : [*self.offsets, len(self.data)][index + 1]]

    def predecessor(self, valid_bytes: int | None = None) -> Predecessor:
        """What the next segment's header says of this one."""
        length = len(self.data) if valid_bytes is None else valid_bytes
        return Predecessor(
            self.header.number, self.header.incarnation, self.header.epoch, self.chain.last_lsn, length, self.chain.digest
        )


def make_segment(
    pieces: Sequence[Piece],
    *,
    number: int = 1,
    epoch: int = 1,
    first_lsn: int = 1,
    last_strict_lsn: int = 0,
    predecessor: Predecessor | None = None,
    cut: Cut | None = None,
    seed: str = "segment",
    journal_id: bytes = JOURNAL_ID,
) -> Made:
    """A segment that holds frames as in `pieces`."""
    randomness = SeededRandomness(f"{seed}/{number}/{epoch}")
    header = SegmentHeader(
        journal_id=journal_id,
        cluster="eu-1",
        number=SegmentNumber(number),
        epoch=Epoch(epoch),
        key_generation=1,
        incarnation=randomness(16),
        first_lsn=first_lsn,
        salt=randomness(32),
        last_strict_lsn=last_strict_lsn,
        predecessor=predecessor or Predecessor(),
        cut=cut or Cut(),
    )
    data = encode_segment_header(header)
    codec = FrameCodec(header.salt, epoch, RING.segment_cipher(1, header.salt, header_key_context(data)), randomness)
    chain = start_of(header, header_chain_digest(data))
    offsets = []
    for piece in pieces:
        lsn = chain.last_lsn + 1
        records = [
            record_of(HEALTH, [lsn + index, randomness(piece.body_bytes)], lsn=lsn + index) for index in range(piece.record_count)
        ]
        frame, digest = codec.encode(
            encode_payload(records),
            first_lsn=lsn,
            record_count=piece.record_count,
            class_mask=piece.class_mask,
            strict=piece.strict,
            last_strict_lsn=chain.last_strict_lsn,
            predecessor=chain.digest,
        )
        offsets.append(len(data))
        data += frame
        last_lsn = chain.last_lsn + piece.record_count
        chain = Chain(last_lsn, digest, last_lsn if piece.strict else chain.last_strict_lsn)
    return Made(header, data, offsets, chain)


def make_chain(counts: Sequence[int], **settings: Any) -> list[Made]:
    """Closed segments that follow on each other, with so many frames of one record each."""
    made: list[Made] = []
    for index, count in enumerate(counts):
        before = made[-1] if made else None
        made.append(
            make_segment(
                [Piece()] * count,
                number=index + 1,
                first_lsn=before.chain.last_lsn + 1 if before else 1,
                last_strict_lsn=before.chain.last_strict_lsn if before else 0,
                predecessor=before.predecessor() if before else None,
                **settings,
            )
        )
    return made


def put(folder: Directory, made: Made, data: bytes | None = None, name: str | None = None) -> str:
    """Write a segment (or other bytes in its place) into `folder`; returns its name."""
    name = name or segment_name(made.header.number, made.header.epoch)
    with folder.create(name) as file:
        file.write_at(0, made.data if data is None else data)
        file.sync()
    folder.sync()
    return name


def flip(data: bytes, offset: int, bit: int = 0) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[offset] ^= 1 << bit
    return bytes(changed)


def of_later_format(segment: bytes, offset: int, place: int = 4, value: int = 2) -> bytes:
    """`segment` with one byte of a frame's header changed, by default its version, and a header check that is right."""
    head = bytearray(segment[offset : offset + FRAME_CHECKED_BYTES])
    head[place] = value
    check = hashlib.blake2b(head, key=segment[152:184], digest_size=8).digest()
    return segment[:offset] + head + check + segment[offset + FRAME_HEADER_BYTES :]
