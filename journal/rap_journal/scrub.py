"""The background scrub: everything at rest in a journal's folder is read again, a little at a time, to find rot while copies remain.

Rules this file keeps:

- A step reads about as many bytes as it is given and takes no lock. What a writer may be changing is left out: the active segment.
- Digests of stored bytes are what is compared: no seal is opened. What bytes mean is for verification.
- A file that is gone by the time it is opened was retired, dropped or replaced: that is no damage.
- Repairing is the owner's: findings say what is wrong; marker, key files and witness have a second copy.

Example::

    scrub = Scrub(folders, SHAPE, marker)
    while not scrub.step(1 << 20): ...
    scrub.found
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from rap_journal.errors import StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.folders import JournalFolders
from rap_journal.format import SEALED_DIGEST_BYTES, SEALED_HEADER_BYTES, SEALED_MAGIC, SEGMENT_HEADER_BYTES
from rap_journal.frames import Frame, read_frame, read_header
from rap_journal.inventory import SegmentFile, take_inventory
from rap_journal.key_files import read_key_file
from rap_journal.key_generations import list_generations
from rap_journal.layout import MARKER, WITNESS, keys_name, parse_checkpoint_name, parse_document_name
from rap_journal.ledger import list_ledger
from rap_journal.limits import FRAME_BYTES_MAX
from rap_journal.markers import Marker, read_marker
from rap_journal.scanner import Chain, continues, start_of
from rap_journal.segments import Predecessor
from rap_journal.verify_files import REREADS, JournalShape
from rap_journal.witness import read_witness

CHUNK_BYTES = 256 << 10
"""So much of a sealed file is read at once."""

SMALL_BYTES = 8 << 10
"""What reading marker, witness or a key file counts for."""

WINDOW_BYTES = FRAME_BYTES_MAX + CHUNK_BYTES
"""So much of a segment is read at once: the frame that begins it ends in it."""


class ScrubFinding(NamedTuple):
    """A file that is not what was written.

    Attributes:
        file: name, relative to the journal's folder.
        offset: byte from which on something is wrong; 0 where the whole file is concerned.
        reason: stable word.
        class_mask: classes that may have lost something, bit n for class n; 0 where that is unknown, or none has.
    """

    file: str
    offset: int
    reason: str
    class_mask: int = 0


class Scrub:
    """One look at everything at rest, in steps."""

    def __init__(self, folders: JournalFolders, shape: JournalShape, marker: Marker) -> None:
        self._folders = folders
        self._shape = shape
        self._marker = marker
        self._reading = self._read_all()
        generations = {marker.key_generation} | list_generations(folders.root, shape.key_folders)
        self._judges: dict[str, Callable[[], str | None]] = {MARKER: self._marker_fault, WITNESS: self._witness_fault}
        self._judges |= {
            f"{folder}/{keys_name(generation)}": partial(self._key_fault, folder, generation)
            for generation in sorted(generations)
            for folder in shape.key_folders
        }
        self.found: list[ScrubFinding] = []
        self.file_count = 0
        self.byte_count = 0

    def step(self, bytes_max: int) -> bool:
        """Read on, until `bytes_max` bytes were read, or a chunk more; True once everything was looked at."""
        until = self.byte_count + bytes_max
        for byte_count in self._reading:
            self.byte_count += byte_count
            if self.byte_count >= until:
                return False
        return True

    def has_copy(self, file: str) -> bool:
        """Whether what stands in `file` is kept twice."""
        return file in self._judges

    def fault_of(self, file: str) -> str | None:
        """What is wrong with a file that is kept twice, or keeps it from being read: a stable word; None where all is well."""
        try:
            return self._judges[file]()
        except FileNotFoundError:
            return "missing"
        except StateStoreError as error:
            return error.reason or "damaged"
        except OSError:
            return "unreadable"

    def _read_all(self) -> Iterator[int]:
        """Reads file after file, and gives the bytes read each time something was."""
        yield from self._read_small()
        for spec in self._shape.specs:
            folder = self._folders.classes.get(spec.number)
            if folder is not None:
                for name in folder.names():
                    if parse_checkpoint_name(name) is not None or parse_document_name(name) is not None:
                        yield from self._sealed(folder, f"{spec.name}/{name}", name, 1 << spec.number)
        journal = self._folders.journal
        for span in list_ledger(journal):
            yield from self._sealed(journal, f"journal/{span.name}", span.name, 0)
        inventory = take_inventory(journal, self._marker.journal_id)
        for stray in inventory.damaged():
            self._find(f"journal/{stray.name}", 0, stray.reason)
        for file, successor in pairwise(inventory.chain):
            self.file_count += 1
            if successor.header.predecessor.number == file.header.number:
                with suppress(FileNotFoundError):
                    yield from self._segment(file, successor.header.predecessor)

    def _read_small(self) -> Iterator[int]:
        """Marker, witness and key files: what has two copies."""
        for path in self._judges:
            self.file_count += 1
            reason = self.fault_of(path)
            if reason is not None:
                self._find(path, 0, reason)
            yield SMALL_BYTES

    def _marker_fault(self) -> str | None:
        return "bad_block" if read_marker(self._folders.root).bad_blocks else None

    def _witness_fault(self) -> str | None:
        """A slot may be on its way to the disk at this moment: it is read again before it is judged."""
        for _again in range(REREADS):
            if not read_witness(self._folders.root).bad_slots:
                return None
        return "bad_slot"

    def _key_fault(self, folder_name: str, generation: int) -> str | None:
        with self._folders.root.directory(folder_name) as folder:
            file = read_key_file(folder, keys_name(generation))
        is_current = generation == self._marker.key_generation
        is_right = file.key_generation == generation and (not is_current or file.key_check == self._marker.key_check)
        return None if is_right else "other_key"

    def _sealed(self, folder: Directory, path: str, name: str, class_mask: int) -> Iterator[int]:
        """A sealed file: its digest is over all that is stored."""
        self.file_count += 1
        try:
            with folder.open(name) as file:
                size = file.size()
                body_bytes = size - SEALED_DIGEST_BYTES
                if body_bytes < SEALED_HEADER_BYTES:
                    self._find(path, 0, "too_short", class_mask)
                    return
                digest = hashlib.sha256()
                is_ours = file.read_at(0, len(SEALED_MAGIC)) == SEALED_MAGIC
                file.forget_cache()
                for offset in range(0, body_bytes, CHUNK_BYTES):
                    data = file.read_at(offset, min(CHUNK_BYTES, body_bytes - offset))
                    digest.update(data)
                    yield len(data)
                is_whole = is_ours and digest.digest() == file.read_at(body_bytes, SEALED_DIGEST_BYTES)
                # Opened before it was wiped, a file is overwritten under the eyes of who reads it; its name went before that.
                if not is_whole and folder.status(name) is not None:
                    self._find(path, 0, "bad_digest", class_mask)
        except FileNotFoundError:
            return
        except OSError:
            self._find(path, 0, "unreadable", class_mask)

    def _segment(self, file: SegmentFile, end: Predecessor) -> Iterator[int]:
        """A closed segment: its frames follow on each other, up to where the successor says that it ends."""
        path = f"journal/{file.name}"
        chain, offset = start_of(file.header, file.header_digest), SEGMENT_HEADER_BYTES
        while offset < end.valid_bytes:
            try:
                data = self._window(file.name, offset, end.valid_bytes)
            except FileNotFoundError:
                raise
            except OSError:
                self._find(path, offset, "unreadable")
                return
            if not data:
                break
            chain, read_bytes, reason = _follow(data, file, chain, is_last=offset + len(data) >= end.valid_bytes)
            yield len(data)
            offset += read_bytes
            if reason is not None:
                header = read_header(data, read_bytes, file.header.salt, file.header.epoch)
                self._find(path, offset, reason, 0 if isinstance(header, str) else header.class_mask)
                return
        if (offset, chain.last_lsn, chain.digest) != (end.valid_bytes, end.last_lsn, end.digest):
            self._find(path, offset, "successor_disagrees")

    def _window(self, name: str, offset: int, valid_bytes: int) -> bytes:
        with self._folders.journal.open(name) as handle:
            handle.forget_cache()
            return handle.read_at(offset, min(WINDOW_BYTES, valid_bytes - offset))

    def _find(self, file: str, offset: int, reason: str, class_mask: int = 0) -> None:
        self.found.append(ScrubFinding(file, offset, reason, class_mask))


def _follow(data: bytes, file: SegmentFile, chain: Chain, *, is_last: bool) -> tuple[Chain, int, str | None]:
    """Follow the frames that are whole in `data`; the chain behind them, their bytes, and what stands in the way of the next."""
    offset = 0
    while offset < len(data):
        frame = read_frame(data, offset, file.header.salt, file.header.epoch)
        if not isinstance(frame, Frame):
            # The next window begins with it, and tells whether it is only cut off by this one's end.
            is_cut_off = offset > 0 and not is_last and frame in ("short_header", "short_frame")
            return chain, offset, None if is_cut_off else frame
        if not continues(frame, chain):
            return chain, offset, "broken_chain"
        chain, offset = chain.after(frame), frame.end
    return chain, offset, None
