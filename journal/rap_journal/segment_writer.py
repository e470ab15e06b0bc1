"""Writing frames into segments: room first, then one write and one sync.

Rules this file keeps:

- Room is made before a frame is encoded: segments are made zero-filled, extended in synced steps, and rolled at their limit.
- A segment gets its name after its header is synced, and the folder is synced before its first frame is written.
- Ordinary frames leave a reserve of zeros in the active segment and do not touch the spare; privileged ones (sync and strict
  classes) may use both, so that a revocation or a degraded flag can be written on a full disk.
- The predecessor is truncated only after its successor, which names its valid length, is durable.

Not thread-safe: the committer is its only caller.

Example::

    writer.make_room(len(payload), privileged=False)      # NoSpace: nothing happened
    point = writer.write(payload, ...)                    # OSError: the outcome is unknown
"""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from rap_journal.errors import NoSpace
from rap_journal.filesystem import Directory, File
from rap_journal.format import FORMAT_LEVEL_BEFORE, FRAME_OVERHEAD_BYTES, SALT_BYTES, SEGMENT_HEADER_BYTES, TAG_BYTES
from rap_journal.frames import FrameCodec
from rap_journal.layout import NEXT, SPARE, segment_name
from rap_journal.limits import PREPARE_BYTES, RESERVE_BYTES
from rap_journal.scanner import Chain
from rap_journal.sealing import KeyRing
from rap_journal.segments import Cut, Predecessor, SegmentHeader, encode_segment_header, header_chain_digest, header_key_context
from rap_journal.space import is_all_zero, make_zero_filled, no_space_means, write_zeros
from rap_journal.values import Epoch, SegmentNumber

_FRAME_SLACK_BYTES = FRAME_OVERHEAD_BYTES + TAG_BYTES + 8


class WriterIdentity(NamedTuple):
    """What stands in every segment header that this opening writes; the level only ever rises, from one segment to the next."""

    journal_id: bytes
    cluster: str
    incarnation: bytes
    epoch: Epoch
    format_level: int = FORMAT_LEVEL_BEFORE


class Place(NamedTuple):
    """Where a frame ended: segment number, offset behind it, and the chain there."""

    segment: int
    offset: int
    chain: Chain


class SegmentWriter:
    """Writes the frames of one opening. Its first segment is made at the first `make_room`."""

    def __init__(
        self,
        folder: Directory,
        identity: WriterIdentity,
        keys: KeyRing,
        randomness: Callable[[int], bytes],
        *,
        segment_bytes_max: int,
        next_number: int,
        predecessor: Predecessor,
        cut: Cut,
        chain: Chain,
        leftover: str | None = None,
    ) -> None:
        """`leftover` names the predecessor's file where it is longer than its valid length: it is truncated behind the first roll."""
        self._folder = folder
        self._identity = identity
        self._keys = keys
        self._randomness = randomness
        self._limit = segment_bytes_max
        self._reserve = min(RESERVE_BYTES, segment_bytes_max // 4)
        self._next_number = next_number
        self._predecessor = predecessor
        self._cut = cut
        self.chain = chain
        self.written_bytes = 0
        self._file: File | None = None
        self._codec: FrameCodec | None = None
        self._leftover = leftover
        self._number = 0
        self._offset = 0
        self._prepared = 0
        self._lacks_spare = False

    @property
    def place(self) -> Place:
        """Where the last frame ended."""
        return Place(self._number or self._predecessor.number, self._offset or self._predecessor.valid_bytes, self.chain)

    @property
    def has_active(self) -> bool:
        """Whether there is a segment that the next frame may still go into."""
        return self._file is not None

    def make_room(self, payload_bytes: int, *, privileged: bool) -> None:
        """See to it that a frame of `payload_bytes` fits. Raises `NoSpace` with nothing changed, or `OSError` when the disk fails."""
        if self._lacks_spare and not privileged:
            # The active segment was the spare. It is for the privileged alone until another one stands by.
            self.ensure_spare()
            self._lacks_spare = False
        needed = payload_bytes + _FRAME_SLACK_BYTES
        limit = max(self._limit, SEGMENT_HEADER_BYTES + needed + self._reserve)
        if self._file is None or self._offset + needed + (0 if privileged else self._reserve) > limit:
            self._roll(SEGMENT_HEADER_BYTES + needed + self._reserve, privileged=privileged)
        try:
            self._extend(self._offset + needed + self._reserve, limit)
        except NoSpace:
            if not privileged:
                raise
            if self._offset + needed > self._prepared:
                # The reserve is used up, or too small for this frame: the spare is there for that.
                self._roll(SEGMENT_HEADER_BYTES + needed + self._reserve, privileged=True)

    def write(self, payload: bytes, *, record_count: int, class_mask: int, strict: bool) -> Place:
        """Write one frame and sync it. Any exception leaves the outcome unknown: the caller must poison the journal."""
        assert self._file is not None and self._codec is not None, "make_room comes first"
        chain = self.chain
        frame, digest = self._codec.encode(
            payload,
            first_lsn=chain.last_lsn + 1,
            record_count=record_count,
            class_mask=class_mask,
            strict=strict,
            last_strict_lsn=chain.last_strict_lsn,
            predecessor=chain.digest,
        )
        self._file.write_at(self._offset, frame)
        self._file.sync()
        self._offset += len(frame)
        self.written_bytes += len(frame)
        last_lsn = chain.last_lsn + record_count
        self.chain = Chain(last_lsn, digest, last_lsn if strict else chain.last_strict_lsn)
        return Place(self._number, self._offset, self.chain)

    def seal(self) -> None:
        """Close the active segment, truncated to what it holds; the next frame starts a new one."""
        if self._file is not None:
            self._file.truncate(self._offset)
            self._file.sync()
            self.abandon()
            self._predecessor = self._as_predecessor()
            self._cut = Cut()

    def raise_level(self, format_level: int) -> None:
        """Write at this level from the next segment on."""
        assert self._file is None, "the active segment is closed first"
        self._identity = self._identity._replace(format_level=format_level)

    def abandon(self) -> None:
        """Close without touching the disk."""
        file, self._file = self._file, None
        if file is not None:
            # All that counts was synced, or is unknown already.
            with suppress(OSError):
                file.close()

    def ensure_spare(self) -> None:
        """See to it that a spare, all zeros, stands by. Raises `NoSpace` or `OSError`."""
        size = min(PREPARE_BYTES, self._limit)
        status = self._folder.status(SPARE)
        if status is not None and status.size == size:
            with self._folder.open(SPARE, writable=True) as file:
                if not is_all_zero(file):
                    # A crash came between its header and its name. Overwriting takes no new space.
                    write_zeros(file, 0, size)
                    file.sync()
            return
        with no_space_means(self._identity.cluster, "spare segment"):
            make_zero_filled(self._folder, SPARE, size).close()
            self._folder.sync()

    def _roll(self, size_min: int, *, privileged: bool) -> None:
        name, size = self._prepare_file(size_min, privileged=privileged)
        if self._file is not None:
            self._predecessor, self._cut = self._as_predecessor(), Cut()
        old, old_offset = self._file, self._offset
        self._start_segment(name, size)
        self._truncate(old, old_offset)
        if self._folder.status(SPARE) is None:
            with suppress(NoSpace):
                self.ensure_spare()
        self._lacks_spare = name == SPARE and self._folder.status(SPARE) is None

    def _truncate(self, old: File | None, length: int) -> None:
        """Cut what is behind the predecessor's valid end, which the new segment's header names by now."""
        if old is None and self._leftover is not None:
            old, length = self._folder.open(self._leftover, writable=True), self._predecessor.valid_bytes
        self._leftover = None
        if old is not None:
            old.truncate(length)
            old.sync()
            old.close()

    def _prepare_file(self, size_min: int, *, privileged: bool) -> tuple[str, int]:
        """Name and size of a zero-filled file for the next segment: a fresh one, or the spare where there is no room for that."""
        size = max(min(PREPARE_BYTES, self._limit), size_min)
        try:
            with no_space_means(self._identity.cluster, "next segment"):
                make_zero_filled(self._folder, NEXT, size).close()
            return NEXT, size
        except NoSpace:
            spare = self._folder.status(SPARE)
            if not privileged or spare is None or spare.size < size_min - self._reserve:
                raise
            self.ensure_spare()
            return SPARE, spare.size

    def _start_segment(self, name: str, size: int) -> None:
        salt = self._randomness(SALT_BYTES)
        identity = self._identity
        header = SegmentHeader(
            journal_id=identity.journal_id,
            cluster=identity.cluster,
            number=SegmentNumber(self._next_number),
            epoch=identity.epoch,
            key_generation=self._keys.current,
            incarnation=identity.incarnation,
            first_lsn=self.chain.last_lsn + 1,
            salt=salt,
            last_strict_lsn=self.chain.last_strict_lsn,
            predecessor=self._predecessor,
            cut=self._cut,
            format_level=identity.format_level,
        )
        encoded = encode_segment_header(header)
        with self._folder.open(name, writable=True) as file:
            file.write_at(0, encoded)
            file.sync()
        final = segment_name(header.number, header.epoch)
        self._folder.rename(name, final)
        self._folder.sync()
        cipher = self._keys.segment_cipher(header.key_generation, salt, header_key_context(encoded))
        self._file = self._folder.open(final, writable=True)
        self._codec = FrameCodec(salt, header.epoch, cipher, self._randomness)
        self._number, self._next_number = header.number, header.number + 1
        self._offset, self._prepared = SEGMENT_HEADER_BYTES, size
        self.chain = self.chain._replace(digest=header_chain_digest(encoded))

    def _extend(self, wanted: int, limit: int) -> None:
        """Zero-fill ahead, in synced steps, until `wanted` bytes are prepared (or the limit is reached)."""
        while self._prepared < min(wanted, limit):
            assert self._file is not None
            end = min(self._prepared + PREPARE_BYTES, limit)
            with no_space_means(self._identity.cluster, "active segment"):
                write_zeros(self._file, self._prepared, end)
            self._file.sync()
            self._prepared = end

    def _as_predecessor(self) -> Predecessor:
        identity = self._identity
        return Predecessor(
            self._number, identity.incarnation, identity.epoch, self.chain.last_lsn, self._offset, self.chain.digest
        )
