"""The bytes on disk, as structures: the code side of FORMAT.md, which says what each field means and why it is there.

Rules this file keeps: all integers are little-endian; every structure's size is checked at import; nothing here judges a value.

Frame, at a multiple of 8 bytes within a segment::

    offset  size  name              meaning
         0     4  magic             F5 52 41 50
         4     1  version           1
         5     1  flags             bit 0 payload compressed, bit 1 strict records
         6     2  class_mask        bit n set: holds a record of class n (a hint)
         8     4  stored_bytes      length of the sealed payload
        12     4  payload_bytes     length of the payload before compression
        16     8  first_lsn         LSN of the first record
        24     4  record_count      how many LSNs the frame takes
        28     4  epoch             as in the segment header
        32    12  nonce             random, for AES-256-GCM
        44     4  reserved          zero
        48     8  last_strict_lsn   LSN of the last strict record before this frame, 0 if none
        56    16  predecessor       digest of the frame before; of the segment header for the first frame
        72     8  header_check      BLAKE2b-64 of bytes 0 to 71, keyed by the segment's salt
        80     n  stored            sealed payload, then zeros to a multiple of 8
      80+p    16  digest            SHA-256 of bytes 0 to 79 and the stored bytes, first half
"""

import struct

FORMAT_VERSION = 1
FORMAT_LEVEL = 1
"""Highest level of record kinds and bodies that this release knows; it is written after `commit_format`."""

FORMAT_LEVEL_BEFORE = 1
"""Level of the release before: new stores are made at it, so that an update can be taken back."""

DIGEST_BYTES = 16
SALT_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

FRAME_MAGIC = b"\xf5RAP"
FRAME_HEADER = struct.Struct("<4sBBHIIQII12sIQ16s8s")
FRAME_HEADER_BYTES = 80
FRAME_CHECKED_BYTES = 72
FRAME_OVERHEAD_BYTES = FRAME_HEADER_BYTES + DIGEST_BYTES
assert FRAME_HEADER.size == FRAME_HEADER_BYTES

FLAG_COMPRESSED = 1
FLAG_STRICT = 2
FLAGS_KNOWN = FLAG_COMPRESSED | FLAG_STRICT

SEGMENT_MAGIC = b"RAPSEG01"
SEGMENT_HEADER = struct.Struct("<8sHHI16s64sQII16s16sQ32sQQ16sQHHI32sQQ200s32s")
SEGMENT_HEADER_BYTES = 512
SEGMENT_DIGESTED_BYTES = 480
assert SEGMENT_HEADER.size == SEGMENT_HEADER_BYTES

WITNESS_MAGIC = b"RAPWIT01"
WITNESS_HEADER = struct.Struct("<8sHHI16s16sQQ16sQQIIQQ32s")
WITNESS_HEADER_BYTES = 152
WITNESS_SLOT_BYTES = 4096
WITNESS_BODY_BYTES_MAX = WITNESS_SLOT_BYTES - WITNESS_HEADER_BYTES - 32
assert WITNESS_HEADER.size == WITNESS_HEADER_BYTES

MARKER_MAGIC = b"RAPMARK1"
MARKER_BLOCK = struct.Struct("<8sHBBI16s16sHHII4s64s16s304s32s32s")
MARKER_BLOCK_BYTES = 512
MARKER_AUTHENTICATED_BYTES = 448
MARKER_DIGESTED_BYTES = 480
assert MARKER_BLOCK.size == MARKER_BLOCK_BYTES

KEYS_MAGIC = b"RAPKEYS1"
KEYS_HEADER = struct.Struct("<8sHHI16s16sI12s")
KEYS_HEADER_BYTES = 64
KEYS_SLOT = struct.Struct("<HHIII32s48s32s")
KEYS_SLOT_BYTES = 128
KEYS_SLOT_COUNT_MAX = 8
assert KEYS_HEADER.size == KEYS_HEADER_BYTES and KEYS_SLOT.size == KEYS_SLOT_BYTES

SEALED_MAGIC = b"RAPSEAL1"
SEALED_HEADER = struct.Struct("<8sHBBI16sQII16sIIQQ32s8s")
SEALED_HEADER_BYTES = 128
SEALED_DIGEST_BYTES = 32
assert SEALED_HEADER.size == SEALED_HEADER_BYTES

QUARANTINE_MAGIC = b"RAPQUAR1"
QUARANTINE_HEADER = struct.Struct("<8sHHI16sQIIQQQ32s24s")
QUARANTINE_HEADER_BYTES = 128
assert QUARANTINE_HEADER.size == QUARANTINE_HEADER_BYTES

BACKUP_MAGIC = b"RAPBACK1"
BACKUP_HEADER = struct.Struct("<8sHHI16sQQQQ32s32s32s32s32s32s")
BACKUP_HEADER_BYTES = 256
BACKUP_SIGNATURE_BYTES = 64
BACKUP_DIGEST_BYTES = 32
FLAG_HOLDS_KEYS = 2
assert BACKUP_HEADER.size == BACKUP_HEADER_BYTES


def padding(length: int) -> int:
    """How many zero bytes follow `length` bytes up to the next multiple of 8."""
    return -length & 7
