"""Walking over a chain of segments: every frame in order, every gap, and the end.

Rules this file keeps:

- One pass: each segment is read once, scanned, handed on, and let go, so that memory holds one segment.
- It changes nothing and judges nothing: gaps and the end are facts, for recovery, readers and verification alike.
- Bytes behind a length that a successor names are stale and are not looked at.

Example::

    walk = Walk(folder, inventory, after_lsn=checkpoint_lsn)
    for segment in walk:
        for frame in segment.frames: ...
    walk.end.chain.last_lsn, walk.gaps
"""

from collections.abc import Iterator
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rap_journal.filesystem import Directory, File
from rap_journal.frames import Frame, FrameCodec
from rap_journal.inventory import Inventory, SegmentFile
from rap_journal.payload import decode_payload
from rap_journal.records import Record
from rap_journal.scanner import Chain, Remnant, Scan, scan_segment, start_of
from rap_journal.sealing import KeyRing
from rap_journal.segments import SegmentHeader, header_key_context


class Gap(NamedTuple):
    """LSNs that are missing in the middle, and where they stood.

    Attributes:
        segment: number of the segment.
        offset: first damaged byte in it.
        gap_bytes: damaged bytes; 0 where whole segments are missing or a recovery gave the LSNs up.
        first_lsn, last_lsn: the LSNs missing. None is missing where the last comes before the first: then the bytes are valid and
            follow on others than those that stand before them.
        last_strict_lsn: LSN of the last strict record before the end of the gap, as the frame behind it tells.
        class_mask: classes of the one damaged frame, where its header can still be read, or those that a recovery noted; None: any.
        reason: stable word.
        given_up: label of the recovery verdict that gave the LSNs up, 0 for bytes that are damaged now.
    """

    segment: int
    offset: int
    gap_bytes: int
    first_lsn: int
    last_lsn: int
    last_strict_lsn: int
    class_mask: int | None
    reason: str
    given_up: int = 0

    @property
    def strict_lost(self) -> bool:
        """Whether a strict record is among the missing ones."""
        return self.last_strict_lsn >= self.first_lsn

    @property
    def is_foreign(self) -> bool:
        """Whether nothing is missing, but other bytes stand in the place of those that were written."""
        return self.last_lsn < self.first_lsn


class SegmentRead(NamedTuple):
    """One segment's bytes and the frames that stand in them."""

    file: SegmentFile
    data: bytes
    frames: list[Frame]


class WalkEnd(NamedTuple):
    """Where the walk ended: the last segment read, the chain there and the last scan (with the remnant)."""

    file: SegmentFile | None
    chain: Chain
    scan: Scan | None
    data: bytes


class Walk:
    """An iteration over the segments that hold records after `after_lsn`; `gaps` and `end` are complete once it is exhausted."""

    def __init__(self, folder: Directory, inventory: Inventory, after_lsn: int, *, files: dict[str, File] | None = None) -> None:
        self._folder = folder
        self._files = files
        self._chain = inventory.chain
        self._start = first_segment_to_read(inventory, after_lsn)
        self._after_lsn = after_lsn
        self.gaps: list[Gap] = []
        self.end = WalkEnd(None, Chain(after_lsn, bytes(16), 0), None, b"")

    def __iter__(self) -> Iterator[SegmentRead]:
        previous: Chain | None = None
        for index in range(self._start, len(self._chain)):
            file = self._chain[index]
            successor = self._chain[index + 1].header if index + 1 < len(self._chain) else None
            self._note_hole(file, previous)
            data = self._read(file, successor)
            frames = self._scan(file, data, successor)
            previous = self.end.chain
            yield SegmentRead(file, data, frames)

    def _read(self, file: SegmentFile, successor: SegmentHeader | None) -> bytes:
        length = file.size
        if successor is not None and successor.predecessor.number == file.header.number:
            length = min(length, successor.predecessor.valid_bytes)
        if self._files is not None:
            return self._files[file.name].read_at(0, length)
        with self._folder.open(file.name) as handle:
            return handle.read_at(0, length)

    def _note_hole(self, file: SegmentFile, previous: Chain | None) -> None:
        """Report LSNs that no segment holds: before the first one read, or between two. LSNs must not come twice either."""
        header = file.header
        last_lsn = self._after_lsn if previous is None else previous.last_lsn
        if header.first_lsn > last_lsn + 1:
            mask, label, reason = None, 0, "missing_records"
            if header.predecessor.last_lsn == last_lsn and header.cut.label:
                mask, label, reason = header.cut.class_mask, header.cut.label, "given_up"
            self.gaps.append(
                Gap(header.number, 0, 0, last_lsn + 1, header.first_lsn - 1, header.last_strict_lsn, mask, reason, label)
            )
        elif previous is not None and header.first_lsn <= last_lsn:
            self.gaps.append(Gap(header.number, 0, 0, header.first_lsn, header.first_lsn - 1, 0, None, "other_history"))

    def _scan(self, file: SegmentFile, data: bytes, successor: SegmentHeader | None) -> list[Frame]:
        header = file.header
        frames: list[Frame] = []
        scan = scan_segment(data, header, start_of(header, file.header_digest))
        frames += scan.frames
        while scan.remnant is Remnant.LATER_FRAME and scan.resume is not None:
            self.gaps.append(_gap_before(scan, header.number, scan.resume))
            resume = scan.resume.header
            chain = Chain(resume.first_lsn - 1, resume.predecessor, resume.last_strict_lsn)
            scan = scan_segment(data, header, chain, offset=scan.resume.offset)
            frames += scan.frames
        chain = scan.chain if successor is None else self._closed_chain(scan, header, successor, len(data))
        self.end = WalkEnd(file, chain, scan, data)
        return frames

    def _closed_chain(self, scan: Scan, header: SegmentHeader, successor: SegmentHeader, length: int) -> Chain:
        """The chain at the end of a closed segment. It must end where its successor says; less than that is a gap up to there."""
        before, number = successor.predecessor, header.number
        if before.number != number:
            return scan.chain
        if scan.chain.last_lsn < before.last_lsn:
            first_lsn, mask = scan.chain.last_lsn + 1, _mask_of_torn(scan, before.last_lsn)
            last_strict_lsn = min(successor.last_strict_lsn, before.last_lsn)
            self.gaps.append(
                Gap(number, scan.end, length - scan.end, first_lsn, before.last_lsn, last_strict_lsn, mask, scan.reason)
            )
            return Chain(before.last_lsn, before.digest, last_strict_lsn)
        if (scan.chain.last_lsn, scan.chain.digest) != (before.last_lsn, before.digest):
            self.gaps.append(Gap(number, scan.end, 0, before.last_lsn + 1, before.last_lsn, 0, None, "other_history"))
        return scan.chain


def first_segment_to_read(inventory: Inventory, after_lsn: int) -> int:
    """Index of the oldest segment of the chain that may hold a record after `after_lsn`."""
    index = 0
    for candidate, segment in enumerate(inventory.chain):
        if segment.header.first_lsn <= after_lsn + 1:
            index = candidate
    return index


def records_of(segment: SegmentRead, keys: KeyRing, after_lsn: int = 0) -> Iterator[tuple[Frame, list[Record]]]:
    """The frames of a segment with their records, from the first frame that holds a record after `after_lsn`.

    Raises `SealBroken` when a frame was tampered with and `KeyUnavailable` when its key generation is not in the ring.
    """
    codec = FrameCodec(
        segment.file.header.salt, segment.file.header.epoch, segment_cipher(segment.file, segment.data, keys), _no_randomness
    )
    for frame in segment.frames:
        if frame.header.last_lsn > after_lsn:
            yield frame, decode_payload(codec.open(segment.data, frame), frame.header.first_lsn)


def segment_cipher(file: SegmentFile, header_bytes: bytes, keys: KeyRing) -> AESGCM:
    """The cipher of a segment on disk; `header_bytes` starts with its header."""
    return keys.segment_cipher(file.header.key_generation, file.header.salt, header_key_context(header_bytes))


def _no_randomness(length: int) -> bytes:
    raise AssertionError("reading needs no randomness")


def _gap_before(scan: Scan, number: int, resume: Frame) -> Gap:
    last_lsn = resume.header.first_lsn - 1
    mask = _mask_of_torn(scan, last_lsn)
    return Gap(
        number,
        scan.end,
        resume.offset - scan.end,
        scan.chain.last_lsn + 1,
        last_lsn,
        resume.header.last_strict_lsn,
        mask,
        scan.reason,
    )


def _mask_of_torn(scan: Scan, last_lsn: int) -> int | None:
    """The class mask of the damaged frame, if its header can be read and it accounts for the whole gap."""
    torn = scan.torn_header
    if torn is not None and torn.first_lsn == scan.chain.last_lsn + 1 and torn.last_lsn == last_lsn:
        return torn.class_mask
    return None
