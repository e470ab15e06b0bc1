"""Damage to the files of a journal, done as a crash, a bad disk or a careless hand does it: for tests of what is made of it.

Rules this file keeps:

- Nothing is random: the same journal and the same call give the same bytes.
- Everything is durable on return, and nothing but what is named is changed.
- No key is needed: whoever has the disk can do all of this.

Example::

    flip_bit(home.directory("trust"), "checkpoint-0000000000000000")
    tear_tail(home, class_mask=1 << 6, strict=False)
"""

from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rap_journal.errors import MisuseError
from rap_journal.filesystem import Directory
from rap_journal.frames import FrameCodec
from rap_journal.inventory import SegmentFile, take_inventory
from rap_journal.layout import JOURNAL
from rap_journal.markers import read_marker
from rap_journal.walk import Walk

_TORN_PAYLOAD_BYTES = 200


class FramePlace(NamedTuple):
    """Where a frame stands in the folder of segments, and what its header says."""

    segment: str
    offset: int
    end: int
    first_lsn: int
    last_lsn: int
    is_strict: bool
    class_mask: int


def segments_of(home: Directory) -> tuple[SegmentFile, ...]:
    """The segments of the journal in `home` that follow on each other, oldest first."""
    with home.directory(JOURNAL) as folder:
        return take_inventory(folder, read_marker(home).marker.journal_id).chain


def frames_of(home: Directory) -> list[FramePlace]:
    """All frames of the journal in `home`, oldest first."""
    with home.directory(JOURNAL) as folder:
        walk = Walk(folder, take_inventory(folder, read_marker(home).marker.journal_id), 0)
        return [
            FramePlace(
                segment.file.name, frame.offset, frame.end, frame.header.first_lsn, frame.header.last_lsn, frame.header.is_strict,
                frame.header.class_mask,
            )
            for segment in walk
            for frame in segment.frames
        ]  # fmt: skip


def tear_tail(home: Directory, *, class_mask: int, strict: bool) -> None:
    """Leave half a frame behind the last one, as a power cut in the middle of a write does. Its header can be read."""
    with home.directory(JOURNAL) as folder:
        walk = Walk(folder, take_inventory(folder, read_marker(home).marker.journal_id), 0)
        for _segment in walk:
            pass
        file, chain, scan = walk.end.file, walk.end.chain, walk.end.scan
        if file is None or scan is None:
            raise MisuseError("the journal holds no frame yet; nothing was done. Write a record first.", reason="no_frame")
        codec = FrameCodec(file.header.salt, file.header.epoch, AESGCM(bytes(32)), bytes)
        frame, _digest = codec.encode(
            bytes(_TORN_PAYLOAD_BYTES), first_lsn=chain.last_lsn + 1, record_count=1, class_mask=class_mask, strict=strict,
            last_strict_lsn=chain.last_strict_lsn, predecessor=chain.digest,
        )  # fmt: skip
        overwrite(folder, file.name, scan.end, frame[: len(frame) // 2])


def flip_bit(folder: Directory, name: str, offset: int = -1) -> None:
    """Change the lowest bit of the byte at `offset`; one below 0 counts from the end."""
    with folder.open(name, writable=True) as file:
        at = offset if offset >= 0 else file.size() + offset
        (byte,) = file.read_at(at, 1)
        file.write_at(at, bytes([byte ^ 1]))
        file.sync()


def overwrite(folder: Directory, name: str, offset: int, data: bytes) -> None:
    """Put `data` at `offset`, behind the end too."""
    with folder.open(name, writable=True) as file:
        file.write_at(offset, data)
        file.sync()


def cut(folder: Directory, name: str, size: int) -> None:
    """Shorten a file to `size` bytes."""
    with folder.open(name, writable=True) as file:
        file.truncate(size)
        file.sync()


def remove(folder: Directory, name: str) -> None:
    """Remove a file."""
    folder.unlink(name)
    folder.sync()


def put(folder: Directory, name: str, data: bytes) -> None:
    """Make `name` hold `data`, whatever it held before."""
    if folder.status(name) is not None:
        folder.unlink(name)
    with folder.create(name) as file:
        file.write_at(0, data)
        file.sync()
    folder.sync()
