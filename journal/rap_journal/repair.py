"""Recovery, second half: making the folder of a journal fit to go on.

Rules this file keeps (FORMAT.md, "Recovery", has the reasons):

- Order: quarantine copy, durable; then the header of the next segment, which is the cut; then truncation. Killed anywhere and run
  again, the result is the same.
- Bytes that have no copy in quarantine yet, for want of space, are not truncated: they wait in place, beyond the valid end.
- The last frame may be valid in the page cache only. It is written again and synced before anything is built on it.
- A failing disk is never a reason to cut more.
- What is kept twice, marker and key file, is written again from its whole copy.

Example::

    repair_closed(folders, inventory, quarantine_bytes_max=1 << 24)
    ready = prepare(folders, examined, witnessed_lsn, quarantine_bytes_max=1 << 24)
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from rap_journal.errors import DamageError
from rap_journal.filesystem import Directory
from rap_journal.folders import JournalFolders
from rap_journal.inventory import Inventory, SegmentFile
from rap_journal.key_files import KeyFile, key_file_bytes, read_key_file
from rap_journal.layout import MARKER, keys_name
from rap_journal.markers import read_marker, write_marker
from rap_journal.quarantine import Piece, keep
from rap_journal.recovery import Examined
from rap_journal.recovery_plan import Verdict
from rap_journal.recovery_report import Finding, RecoveryReport
from rap_journal.scanner import Chain, Remnant
from rap_journal.sealed_files import install_file
from rap_journal.segments import Cut, Predecessor, SegmentHeader
from rap_journal.space import is_no_space
from rap_journal.walk import WalkEnd


class Ready(NamedTuple):
    """Where writing goes on.

    Attributes:
        leftover: name of the predecessor's file, where it is longer than its valid length and may be truncated.
    """

    report: RecoveryReport
    chain: Chain
    predecessor: Predecessor
    cut: Cut
    leftover: str | None


def prepare(folders: JournalFolders, examined: Examined, witnessed_lsn: int, *, quarantine_bytes_max: int) -> Ready:
    """Make the directory fit to go on. Raises `OSError` when the disk fails."""
    end, report = examined.end, examined.report
    cut = Cut(0, examined.verdict, bytes(32), examined.cut_mask)
    if end.file is None or end.scan is None:
        return Ready(report, examined.chain, Predecessor(), cut, None)
    header = end.file.header
    predecessor = Predecessor(header.number, header.incarnation, header.epoch, end.chain.last_lsn, end.scan.end, end.chain.digest)
    leftover = end.file.name if end.file.size > end.scan.end else None
    if end.scan.remnant is not Remnant.NOTHING:
        torn = end.data[end.scan.end : end.scan.end + end.scan.remnant_bytes]
        piece = Piece(examined.journal_id, header.number, header.epoch, end.scan.end, end.chain.last_lsn, examined.verdict, torn)
        if _keep(folders, piece, quarantine_bytes_max):
            report = _said_of(report, header.number, end.scan.end, quarantine_sha256=hashlib.sha256(torn).digest())
        else:
            leftover = None
            done, advice = "it is cut; its bytes wait in place until there is space for quarantine.", "Free space."
            report = _said_of(report, header.number, end.scan.end, done=done, advice=advice)
        cut = Cut(len(torn), examined.verdict, hashlib.sha256(torn).digest(), examined.cut_mask)
    if end.scan.frames and end.chain.last_lsn > witnessed_lsn:
        _rewrite_last_frame(folders, end)
        report = report._replace(rewrote_last_frame=True)
    return Ready(report, examined.chain, predecessor, cut, leftover)


def repair_closed(folders: JournalFolders, inventory: Inventory, *, quarantine_bytes_max: int) -> int:
    """Cut every closed segment down to the length its successor names; repeated at every opening. Returns how many were cut."""
    count = 0
    for file, successor in zip(inventory.chain, inventory.chain[1:], strict=False):
        before = successor.header.predecessor
        is_longer = before.number == file.header.number and file.size > before.valid_bytes
        if is_longer and _has_copy(folders, file, successor.header, quarantine_bytes_max):
            with folders.journal.open(file.name, writable=True) as handle:
                handle.truncate(before.valid_bytes)
                handle.sync()
            count += 1
    return count


def repair_copies(root: Directory, folders: JournalFolders, key_folders: Sequence[str]) -> tuple[Finding, ...]:
    """Write the marker and the key file again where one of their two copies is damaged; what was found, in words."""
    repaired = []
    read = read_marker(root)
    try:
        if read.bad_blocks:
            repaired.append(MARKER)
            write_marker(root, folders.temporary, read.marker)
        name = keys_name(read.marker.key_generation)
        copies = {folder: _read_key_copy(root, folder, name) for folder in key_folders if root.status(folder) is not None}
        whole = next((copy for copy in copies.values() if copy is not None), None)
        for folder, copy in copies.items():
            if copy is None and whole is not None:
                repaired.append(f"{folder}/{name}")
                with root.directory(folder) as into:
                    install_file(folders.temporary, into, name, key_file_bytes(whole))
    except OSError as error:
        # The other copy serves, and the next opening tries again.
        if not is_no_space(error):
            raise
    done, advice = "it is written again from the other copy as soon as there is space.", "Check the disk."
    return tuple(Finding(Verdict.GAP, file, 0, 0, 0, 0, 0, (), "damaged_copy", done, advice) for file in repaired)


def _read_key_copy(root: Directory, folder: str, name: str) -> KeyFile | None:
    try:
        with root.directory(folder) as opened:
            return read_key_file(opened, name)
    except (DamageError, FileNotFoundError):
        return None


def _has_copy(folders: JournalFolders, file: SegmentFile, successor: SegmentHeader, bytes_max: int) -> bool:
    """Whether what was cut from `file` is in quarantine, or nothing was cut; a copy that had no space then is made now."""
    before, cut = successor.predecessor, successor.cut
    with folders.journal.open(file.name) as handle:
        data = handle.read_at(before.valid_bytes, min(cut.cut_bytes, file.size))
    if not data or hashlib.sha256(data).digest() != cut.sha256:
        return True
    piece = Piece(successor.journal_id, before.number, before.epoch, before.valid_bytes, before.last_lsn, cut.label, data)
    return _keep(folders, piece, bytes_max)


def _keep(folders: JournalFolders, piece: Piece, bytes_max: int) -> bool:
    """Keep `piece` in quarantine; False where there is no space."""
    try:
        keep(folders.quarantine, folders.temporary, piece, bytes_max)
    except OSError as error:
        if not is_no_space(error):
            raise
        return False
    return True


def _said_of(report: RecoveryReport, segment: int, offset: int, **changes: Any) -> RecoveryReport:
    """The report, with this said of what was found at that place."""
    findings = [
        finding._replace(**changes) if (finding.segment, finding.offset) == (segment, offset) else finding
        for finding in report.findings
    ]
    return report._replace(findings=tuple(findings))


def _rewrite_last_frame(folders: JournalFolders, end: WalkEnd) -> None:
    assert end.file is not None and end.scan is not None
    frame = end.scan.frames[-1]
    with folders.journal.open(end.file.name, writable=True) as file:
        file.write_at(frame.offset, end.data[frame.offset : frame.end])
        file.sync()
