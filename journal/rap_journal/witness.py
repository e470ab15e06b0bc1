"""The witness: which LSN was durable, which strict records exist, and which floors hold, in two slots written in turn.

Rules this file keeps:

- A slot is one 4 KiB block; the older slot is overwritten, so that a torn write leaves the newer one whole.
- The readable part says what recovery needs without a key: LSN, digest, place. Heads and floors are sealed, and the seal's tag
  authenticates the readable part with them.
- A witness only ever moves forward: sequence, LSN and epoch never fall.
- Before the first write of an opening, the slot that was read is written again and synced: it may be valid in the page cache
  only, and a power cut during the next write would then leave no slot at all.

Slot, 4096 bytes::

    offset  size  name             meaning
         0     8  magic            "RAPWIT01"
         8     2  version          1
        10     2  reserved         0
        12     4  sealed_bytes     length of the sealed body
        16    16  journal_id
        32    16  incarnation      of the opening that wrote it
        48     8  sequence         rises with every write; even in slot 0, odd in slot 1
        56     8  lsn              every record up to here is durable
        64    16  digest           of the frame that ends there
        80     8  segment          number of its segment
        88     8  offset           end of that frame within the segment
        96     4  epoch
       100     4  key_generation
       104     8  last_strict_lsn
       112     8  reserved         0
       120    32  salt
       152     n  sealed body      CBOR [[class, lsn, digest, record_count] ..., floors]
     152+n        zeros
      4080    16  digest           SHA-256 of bytes 0 to 4079, first half
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from rap_journal.deterministic_cbor import MalformedCbor, decode_own, encode
from rap_journal.errors import DamageError, FormatTooNew, MisuseError
from rap_journal.filesystem import Directory, File
from rap_journal.format import (
    DIGEST_BYTES,
    FORMAT_VERSION,
    SALT_BYTES,
    TAG_BYTES,
    WITNESS_BODY_BYTES_MAX,
    WITNESS_HEADER,
    WITNESS_HEADER_BYTES,
    WITNESS_MAGIC,
    WITNESS_SLOT_BYTES,
)
from rap_journal.layout import WITNESS
from rap_journal.payload import StrictHead
from rap_journal.sealing import KeyRing, Purpose

_DIGEST_AT = WITNESS_SLOT_BYTES - DIGEST_BYTES


class WitnessPoint(NamedTuple):
    """What a slot says in the open.

    Attributes:
        lsn: every record up to here is durable.
        digest: digest of the frame that ends there (zeros for an empty journal).
        segment: number of that frame's segment, 0 for an empty journal.
        offset: end of that frame within the segment.
    """

    incarnation: bytes
    lsn: int
    digest: bytes
    segment: int
    offset: int
    epoch: int
    last_strict_lsn: int


class Slot(NamedTuple):
    """A slot whose digest is right; `stored` is its whole block, still sealed."""

    journal_id: bytes
    sequence: int
    key_generation: int
    point: WitnessPoint
    stored: bytes


class SealedPart(NamedTuple):
    """What a slot says under its seal: the head of every strict class, and the floors, whose shape is the trust rules' business."""

    heads: tuple[tuple[int, StrictHead], ...] = ()
    floors: Any = None


class WitnessFile(NamedTuple):
    """Both slots as read: the newer valid one first; `bad_slots` counts blocks that do not verify."""

    slots: tuple[Slot, ...]
    bad_slots: int

    @property
    def newest(self) -> Slot | None:
        """The slot that holds."""
        return self.slots[0] if self.slots else None


def read_witness(directory: Directory) -> WitnessFile:
    """Read both slots. Raises `FileNotFoundError` without the file and `FormatTooNew` for a later version; takes no key."""
    with directory.open(WITNESS) as file:
        data = file.read_at(0, 2 * WITNESS_SLOT_BYTES + 1)
        name = file.name
    blocks = [data[:WITNESS_SLOT_BYTES], data[WITNESS_SLOT_BYTES:]]
    slots = [slot for index, block in enumerate(blocks) if (slot := _decode_slot(block, index, name))]
    slots.sort(key=lambda slot: slot.sequence, reverse=True)
    return WitnessFile(tuple(slots), 2 - len(slots))


def open_slot(slot: Slot, keys: KeyRing) -> SealedPart:
    """The sealed part of `slot`; raises `SealBroken` when the block was tampered with, `DamageError` where it holds something else."""
    header = slot.stored[:WITNESS_HEADER_BYTES]
    sealed_bytes = WITNESS_HEADER.unpack(header)[3]
    sealed = slot.stored[WITNESS_HEADER_BYTES : WITNESS_HEADER_BYTES + sealed_bytes]
    salt = header[-SALT_BYTES:]
    body = keys.unseal(Purpose.WITNESS, slot.key_generation, salt, header, sealed)
    try:
        heads, floors = decode_own(body)
        return SealedPart(tuple((number, StrictHead(*head)) for number, *head in heads), floors)
    except (MalformedCbor, ValueError, TypeError) as error:
        raise DamageError(
            "a slot of the witness unseals to something that is none", file=WITNESS, reason="bad_content"
        ) from error


class WitnessWriter:
    """Writes the two slots in turn. One per opening; not thread-safe: the journal's committer is its only caller."""

    def __init__(
        self, file: File, journal_id: bytes, keys: KeyRing, randomness: Callable[[int], bytes], newest: Slot | None = None
    ) -> None:
        """`newest` is the slot that holds; None in a new file."""
        self._file = file
        self._journal_id = journal_id
        self._keys = keys
        self._randomness = randomness
        self._sequence = newest.sequence if newest else 0
        self._unsure = newest

    def write(self, point: WitnessPoint, sealed_part: SealedPart) -> None:
        """Make `point` the witness, durable on return.

        Raises `OSError`; then the other slot still holds the point before. Raises `MisuseError` for floors that do not fit.
        """
        if self._unsure is not None:
            self._put(self._unsure.sequence, self._unsure.stored)
            self._unsure = None
        sequence = self._sequence + 1
        salt = self._randomness(SALT_BYTES)
        body = encode([[[number, *head] for number, head in sealed_part.heads], sealed_part.floors])
        sealed_bytes = len(body) + TAG_BYTES
        if sealed_bytes > WITNESS_BODY_BYTES_MAX:
            raise MisuseError(
                f"floors of {len(body)} bytes do not fit into a witness slot; nothing was written", reason="floors_too_large"
            )
        header = WITNESS_HEADER.pack(
            WITNESS_MAGIC, FORMAT_VERSION, 0, sealed_bytes, self._journal_id, point.incarnation, sequence, point.lsn, point.digest,
            point.segment, point.offset, point.epoch, self._keys.current, point.last_strict_lsn, 0, salt,
        )  # fmt: skip
        block = header + self._keys.seal(Purpose.WITNESS, self._keys.current, salt, header, body)
        block = block.ljust(_DIGEST_AT, b"\0")
        self._put(sequence, block + hashlib.sha256(block).digest()[:DIGEST_BYTES])
        self._sequence = sequence

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, sequence: int, block: bytes) -> None:
        self._file.write_at((sequence & 1) * WITNESS_SLOT_BYTES, block)
        self._file.sync()


def _decode_slot(block: bytes, index: int, name: str) -> Slot | None:
    if len(block) != WITNESS_SLOT_BYTES or hashlib.sha256(block[:_DIGEST_AT]).digest()[:DIGEST_BYTES] != block[_DIGEST_AT:]:
        return None
    (
        magic, version, reserved, sealed_bytes, journal_id, incarnation, sequence, lsn, digest, segment, offset, epoch, generation,
        last_strict_lsn, also_reserved, _salt,
    ) = WITNESS_HEADER.unpack_from(block)  # fmt: skip
    if magic != WITNESS_MAGIC:
        return None
    if version != FORMAT_VERSION or reserved or also_reserved:
        raise FormatTooNew(
            f"{name} has witness format {version}; it was left alone. Use a later release.", file=name, reason="witness_version"
        )
    if (
        sealed_bytes > WITNESS_BODY_BYTES_MAX
        or any(block[WITNESS_HEADER_BYTES + sealed_bytes : _DIGEST_AT])
        or sequence & 1 != index
    ):
        return None
    point = WitnessPoint(incarnation, lsn, digest, segment, offset, epoch, last_strict_lsn)
    return Slot(journal_id, sequence, generation, point, block)


def require_slot(witness: WitnessFile, journal_id: bytes, name: str) -> Slot:
    """The newest slot, which must be of this journal; raises `DamageError` when no slot verifies or it is foreign."""
    slot = witness.newest
    if slot is None:
        raise DamageError(f"neither slot of {name} verifies; the floors it kept are unknown.", file=name, reason="no_witness")
    if slot.journal_id != journal_id:
        raise DamageError(f"{name} belongs to another journal; it was left alone.", file=name, reason="foreign")
    return slot
