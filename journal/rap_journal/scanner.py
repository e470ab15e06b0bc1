"""Reading a segment's bytes: which frames stand there, where they end, and what the end looks like.

Rules this file keeps:

- It is fed bytes and answers with values; it opens no file and takes no key.
- It reports what it sees and judges nothing: `recovery_plan` decides what a remnant means.
- Every frame continues the one before: LSN, digest and last strict LSN, so that swapped or repeated frames end the scan.
- A frame of a later format is no torn frame: where one begins, `FormatTooNew` is raised, so that nobody cuts it.

Example::

    scan = scan_segment(data, header, Chain(0, header_chain_digest(data), 0))
    scan.frames[-1].header.last_lsn
"""

from enum import IntEnum
from typing import NamedTuple

from rap_journal.errors import FormatTooNew
from rap_journal.format import FRAME_MAGIC, SEGMENT_HEADER_BYTES
from rap_journal.frames import Frame, FrameHeader, read_frame, read_header
from rap_journal.layout import JOURNAL, segment_name
from rap_journal.limits import ALIGNMENT, FRAME_BYTES_MAX
from rap_journal.segments import SegmentHeader


class Remnant(IntEnum):
    """What stands behind the last frame that continues the chain."""

    NOTHING = 0
    """The file ends there, or only zeros follow: the clean end."""
    SHORT = 1
    """Non-zero bytes within one maximum frame, as a torn write leaves them."""
    LONG = 2
    """Non-zero bytes farther than one maximum frame: no single write leaves that."""
    LATER_FRAME = 3
    """A frame of this segment and epoch with a higher LSN verifies farther on."""


class Chain(NamedTuple):
    """What the next frame must continue: its LSN less one, the digest before it and the last strict LSN before it."""

    last_lsn: int
    digest: bytes
    last_strict_lsn: int

    def after(self, frame: Frame) -> "Chain":
        """The chain when `frame` has been read."""
        last_lsn = frame.header.last_lsn
        return Chain(last_lsn, frame.digest, last_lsn if frame.header.is_strict else self.last_strict_lsn)


class Scan(NamedTuple):
    """What a segment holds.

    Attributes:
        frames: the frames from the start of the scan, in order, each continuing the one before.
        chain: what the next frame would have to continue.
        end: offset behind the last frame.
        reason: why no frame stands at `end` (a stable word); "end" at the clean end.
        remnant: what stands behind `end`.
        remnant_bytes: length from `end` to the later frame, else to the last non-zero byte.
        torn_header: the frame header at `end`, where that much is readable.
        resume: the first later frame that verifies on its own, if any.
    """

    frames: list[Frame]
    chain: Chain
    end: int
    reason: str
    remnant: Remnant
    remnant_bytes: int
    torn_header: FrameHeader | None
    resume: Frame | None


def start_of(header: SegmentHeader, header_digest: bytes) -> Chain:
    """The chain that a segment's first frame must continue."""
    return Chain(header.first_lsn - 1, header_digest, header.last_strict_lsn)


def scan_segment(
    data: bytes, header: SegmentHeader, start: Chain, *, offset: int = SEGMENT_HEADER_BYTES, valid_bytes: int | None = None
) -> Scan:
    """Read frames from `offset` on, up to `valid_bytes` where a successor names the valid length (what lies beyond is stale).

    Raises `FormatTooNew` where a frame of a later format stands, whole or torn.
    """
    if valid_bytes is not None:
        data = data[:valid_bytes]
    frames = []
    chain = start
    while True:
        frame = _read_frame(data, header, offset)
        if isinstance(frame, str):
            reason = frame
            break
        if not continues(frame, chain):
            reason = "broken_chain"
            break
        frames.append(frame)
        chain = chain.after(frame)
        offset = frame.end
    return _describe_end(data, header, frames, chain, offset, reason)


def continues(frame: Frame, chain: Chain) -> bool:
    """Whether `frame` is the one that follows on `chain`."""
    header = frame.header
    return (
        header.first_lsn == chain.last_lsn + 1
        and header.predecessor == chain.digest
        and header.last_strict_lsn == chain.last_strict_lsn
    )


def _describe_end(data: bytes, header: SegmentHeader, frames: list[Frame], chain: Chain, end: int, reason: str) -> Scan:
    resume = _find_later_frame(data, header, chain, end)
    if resume is not None:
        # Looked for first, since there may be many: the rest is then not gone through once more for each.
        remnant, remnant_bytes = Remnant.LATER_FRAME, resume.offset - end
    else:
        remnant_bytes = len(data[end:].rstrip(b"\0"))
        if not remnant_bytes:
            return Scan(frames, chain, end, "end", Remnant.NOTHING, 0, None, None)
        remnant = Remnant.LONG if remnant_bytes > FRAME_BYTES_MAX else Remnant.SHORT
    torn = read_header(data, end, header.salt, header.epoch)
    return Scan(frames, chain, end, reason, remnant, remnant_bytes, torn if isinstance(torn, FrameHeader) else None, resume)


def _find_later_frame(data: bytes, header: SegmentHeader, chain: Chain, end: int) -> Frame | None:
    """The first frame behind `end` that verifies by itself and is newer than the chain.

    The salt and the epoch tie it to this segment; its own digest tells that it is whole. The header at `end` itself is tried too:
    a frame that verifies and does not continue the chain shows that something before it is gone.
    """
    offset = data.find(FRAME_MAGIC, end)
    while offset >= 0:
        if offset % ALIGNMENT == 0:
            frame = _read_frame(data, header, offset)
            if isinstance(frame, Frame) and frame.header.first_lsn > chain.last_lsn:
                return frame
        offset = data.find(FRAME_MAGIC, offset + 1)
    return None


def _read_frame(data: bytes, header: SegmentHeader, offset: int) -> Frame | str:
    """`read_frame`, but what a later release wrote is neither a frame nor a torn one: its header check is right, and keyed."""
    frame = read_frame(data, offset, header.salt, header.epoch)
    if frame in _LATER_FORMAT:
        file = f"{JOURNAL}/{segment_name(header.number, header.epoch)}"
        raise FormatTooNew(
            f"{file} holds a frame of a later format at byte {offset}; nothing was judged or cut. Use a later release.",
            file=file,
            offset=offset,
            reason="frame_version",
        )
    return frame


_LATER_FORMAT = ("unknown_version", "unknown_flag")
