"""A segment's header: which journal, which place in it, whose turn, what came before, and what a recovery cut.

Rules this file keeps:

- A segment gets its name only after its header is on disk, so a named segment without a valid header is damage, never a crash.
- The header names its predecessor's valid end; bytes beyond that are stale and never judged.

Header, 512 bytes::

    offset  size  name                   meaning
         0     8  magic                  "RAPSEG01"
         8     2  version                1
        10     2  format_level           level of the records written into it
        12     4  header_bytes           512
        16    16  journal_id             random, made at join
        32    64  cluster                cluster id, zero-padded UTF-8
        96     8  number                 segment number, from 1
       104     4  epoch                  writer's turn, from 1
       108     4  key_generation         generation of the data key
       112    16  incarnation            random per opening
       128    16  predecessor_incarnation
       144     8  first_lsn              LSN of the segment's first record
       152    32  salt                   for the segment key and the header checks of its frames
       184     8  predecessor_last_lsn   0 for the first segment
       192     8  predecessor_bytes      valid length of the predecessor
       200    16  predecessor_digest     digest of its last frame (of its header, if it has none)
       216     8  cut_bytes              bytes that a recovery cut behind the valid end, 0 if none
       224     2  cut_label              number of the recovery verdict
       226     2  cut_class_mask         classes that may have lost records by the cut, as a bit mask
       228     4  predecessor_epoch
       232    32  cut_sha256             of the bytes cut
       264     8  last_strict_lsn        LSN of the last strict record before this segment
       272     8  predecessor_number     0 for the first segment
       280   200  reserved               zeros
       480    32  digest                 SHA-256 of bytes 0 to 479
"""

import hashlib
from typing import NamedTuple

from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.format import (
    DIGEST_BYTES,
    FORMAT_LEVEL,
    FORMAT_VERSION,
    SEGMENT_DIGESTED_BYTES,
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAGIC,
)
from rap_journal.values import Epoch, SegmentNumber


class Predecessor(NamedTuple):
    """Which segment came before, and where it ended."""

    number: int = 0
    incarnation: bytes = bytes(16)
    epoch: int = 0
    last_lsn: int = 0
    valid_bytes: int = 0
    digest: bytes = bytes(16)


class Cut(NamedTuple):
    """What a recovery cut from the predecessor: length, verdict number, SHA-256 of the bytes, and whose records may have gone."""

    cut_bytes: int = 0
    label: int = 0
    sha256: bytes = bytes(32)
    class_mask: int = 0


class SegmentHeader(NamedTuple):
    """A segment's header, checked."""

    journal_id: bytes
    cluster: str
    number: SegmentNumber
    epoch: Epoch
    key_generation: int
    incarnation: bytes
    first_lsn: int
    salt: bytes
    last_strict_lsn: int
    predecessor: Predecessor = Predecessor()
    cut: Cut = Cut()
    format_level: int = FORMAT_LEVEL


def encode_segment_header(header: SegmentHeader) -> bytes:
    """The 512 bytes of `header`."""
    before, cut = header.predecessor, header.cut
    packed = SEGMENT_HEADER.pack(
        SEGMENT_MAGIC, FORMAT_VERSION, header.format_level, SEGMENT_HEADER_BYTES, header.journal_id, header.cluster.encode(),
        header.number, header.epoch, header.key_generation, header.incarnation, before.incarnation, header.first_lsn, header.salt,
        before.last_lsn, before.valid_bytes, before.digest, cut.cut_bytes, cut.label, cut.class_mask, before.epoch, cut.sha256,
        header.last_strict_lsn, before.number, b"", b"",
    )[:SEGMENT_DIGESTED_BYTES]  # fmt: skip
    return packed + hashlib.sha256(packed).digest()


def decode_segment_header(data: bytes, file: str) -> SegmentHeader:
    """The header at the start of `data`; raises `DamageError`, or `FormatTooNew` for a later version. `file` is for messages."""
    if len(data) < SEGMENT_HEADER_BYTES:
        raise _damage(file, "short_header")
    fields = SEGMENT_HEADER.unpack_from(data)
    (
        magic, version, level, header_bytes, journal_id, cluster, number, epoch, generation, incarnation, before_incarnation, first_lsn,
        salt, before_lsn, before_bytes, before_digest, cut_bytes, cut_label, cut_mask, before_epoch, cut_sha256, last_strict, before_number,
        reserved, digest,
    ) = fields  # fmt: skip
    if magic != SEGMENT_MAGIC:
        raise _damage(file, "bad_magic")
    if hashlib.sha256(data[:SEGMENT_DIGESTED_BYTES]).digest() != digest:
        raise _damage(file, "bad_header_digest")
    if version != FORMAT_VERSION or header_bytes != SEGMENT_HEADER_BYTES or any(reserved):
        raise FormatTooNew(
            f"{file} has segment format {version}; it was left alone. Use a later release.", file=file, reason="segment_version"
        )
    return SegmentHeader(
        journal_id, cluster.rstrip(b"\0").decode("utf-8", "replace"), SegmentNumber(number), Epoch(epoch), generation, incarnation,
        first_lsn, salt, last_strict,
        Predecessor(before_number, before_incarnation, before_epoch, before_lsn, before_bytes, before_digest),
        Cut(cut_bytes, cut_label, cut_sha256, cut_mask), level,
    )  # fmt: skip


def header_key_context(encoded: bytes) -> bytes:
    """Digest of a segment's whole header, which its key is derived with: another header, another key."""
    return hashlib.sha256(encoded[:SEGMENT_HEADER_BYTES]).digest()


def header_chain_digest(encoded: bytes) -> bytes:
    """What the first frame of a segment names as its predecessor: the header's digest, first half."""
    return header_key_context(encoded)[:DIGEST_BYTES]


def _damage(file: str, reason: str) -> DamageError:
    return DamageError(f"{file} has no valid segment header ({reason}); it was left alone.", file=file, offset=0, reason=reason)
