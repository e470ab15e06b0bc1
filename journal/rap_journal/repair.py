"""Recovery, second half: making the folder of a journal fit to go on.

Rules this file keeps (FORMAT.md, "Recovery", has the reasons):

- Order: quarantine copy, durable; then the header of the next segment, which is the cut; then truncation. Killed anywhere and run
  again, the result is the same.
- Bytes that have no copy in quarantine yet, for want of space, are not truncated: they wait in place, beyond the valid end.
- The last frame may be valid in the page cache only. It is written again and synced before anything is built on it.
- A failing disk is never a reason to cut more.
- A marker is durable before anything is written that it stands for. One that is behind the segments was put there by somebody, or
  its writing was never synced: it is written again.
- What is kept twice, marker and key files, is written again from its whole copy.
- A damaged checkpoint goes to quarantine and from its folder: it serves nobody, and would be found again at every opening.

Example::

    repair_closed(folders, inventory, quarantine_bytes_max=1 << 24)
    ready = prepare(folders, examined, witnessed_lsn, quarantine_bytes_max=1 << 24)
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from rap_journal.checkpoints import BadCheckpoint
from rap_journal.filesystem import Directory, read_whole
from rap_journal.folders import JournalFolders
from rap_journal.inventory import Inventory, SegmentFile
from rap_journal.key_files import key_file_bytes
from rap_journal.key_generations import copies_to_repair, drop_unnamed
from rap_journal.layout import MARKER, WITNESS, keys_name
from rap_journal.limits import CHECKPOINT_BYTES_MAX
from rap_journal.markers import Marker, read_marker, sealed_marker, write_marker
from rap_journal.quarantine import PUT_AWAY, Piece, keep
from rap_journal.recovery import Examined
from rap_journal.recovery_plan import Verdict
from rap_journal.recovery_report import Finding, RecoveryReport
from rap_journal.scanner import Chain, Remnant
from rap_journal.sealed_files import install_file
from rap_journal.sealing import KeyRing
from rap_journal.segments import Cut, Predecessor, SegmentHeader
from rap_journal.space import is_no_space
from rap_journal.values import ClassSpec
from rap_journal.walk import WalkEnd
from rap_journal.witness import WitnessFile


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


def repair_marker(
    folders: JournalFolders, marker: Marker, ring: KeyRing, key_folders: Sequence[str], inventory: Inventory, witness: WitnessFile
) -> tuple[Marker, tuple[Finding, ...]]:
    """Write the marker again where segments and witness are ahead of it, and drop key files that nothing names.

    Returns the marker that holds, under whose generation `ring` seals from now on, and what was found.
    """
    newer = _at_least(marker, ring, inventory, witness)
    ring.use(newer.key_generation)
    try:
        if newer != marker:
            write_marker(folders.root, folders.temporary, newer)
        drop_unnamed(folders, key_folders, newer.key_generation, inventory, witness)
    except OSError as error:
        # What the journal holds counts all the same, and the next opening tries again.
        if not is_no_space(error):
            raise
    return newer, (_MARKER_BEHIND,) if newer != marker else ()


def repair_copies(root: Directory, folders: JournalFolders, key_folders: Sequence[str]) -> tuple[Finding, ...]:
    """Write marker and key files again where one of their two copies is damaged, or behind; what was found, in words."""
    repaired: list[tuple[str, str]] = []
    read = read_marker(root)
    try:
        if read.bad_blocks:
            repaired.append((MARKER, "damaged_copy"))
            write_marker(root, folders.temporary, read.marker)
        for folder, whole, reason in copies_to_repair(root, key_folders):
            name = keys_name(whole.key_generation)
            repaired.append((f"{folder}/{name}", reason))
            with root.directory(folder) as into:
                install_file(folders.temporary, into, name, key_file_bytes(whole))
    except OSError as error:
        # The other copy serves, and the next opening tries again.
        if not is_no_space(error):
            raise
    done = "it is written again from the other copy as soon as there is space."
    advice = {
        "damaged_copy": "Check the disk.",
        "copies_differ": "If key slots were being changed, look whether the change is there.",
    }
    return tuple(Finding(Verdict.GAP, file, 0, 0, 0, 0, 0, (), reason, done, advice[reason]) for file, reason in repaired)


def put_away_checkpoints(
    folders: JournalFolders, bad: Sequence[BadCheckpoint], specs: Sequence[ClassSpec], report: RecoveryReport, journal_id: bytes, *,
    quarantine_bytes_max: int,
) -> RecoveryReport:  # fmt: skip
    """Move damaged checkpoints into quarantine; returns the report, with the digests of the pieces. One without room there stays in place."""
    of_class = {spec.name: spec.number for spec in specs}
    for checkpoint in bad:
        if checkpoint.is_damaged:
            number, name = of_class[checkpoint.state_class], checkpoint.file.rpartition("/")[2]
            data = read_whole(folders.classes[number], name, CHECKPOINT_BYTES_MAX)
            if _keep(folders, Piece(journal_id, 0, 0, number, report.last_lsn, PUT_AWAY, data), quarantine_bytes_max):
                folders.classes[number].unlink(name)
                folders.classes[number].sync()
                kept: dict[str, Any] = {
                    "byte_count": len(data),
                    "quarantine_sha256": hashlib.sha256(data).digest(),
                    "action": "put_away",
                }
                report = report._replace(
                    findings=tuple(it._replace(**kept) if it.file == checkpoint.file else it for it in report.findings)
                )
    return report


def doubts_about(witness: WitnessFile, last_lsn: int) -> tuple[Finding, ...]:
    """What a bad slot means: a crash while it was written, if the journal goes beyond the other one; else nobody knows."""
    slot = witness.newest
    if not witness.bad_slots or slot is None or last_lsn > slot.point.lsn:
        return ()
    return (
        Finding(
            Verdict.GAP, WITNESS, 0, 0, 0, 0, 0, (), "bad_slot", "floors may be lost: the state counts as restored, not validated.",
            "Have the control plane validate this node.",
        ),
    )  # fmt: skip


def _at_least(marker: Marker, ring: KeyRing, inventory: Inventory, witness: WitnessFile) -> Marker:
    """`marker`, but never behind what segments and witness name: a marker is durable before anything is written that it stands for."""
    headers = [file.header for file in inventory.chain]
    level = max([marker.format_level, *(header.format_level for header in headers)])
    named = {header.key_generation for header in headers} | {slot.key_generation for slot in witness.slots}
    generation = max({marker.key_generation} | (named & ring.generations))
    if (level, generation) == (marker.format_level, marker.key_generation):
        return marker
    serial, key_check = marker.serial + 1, ring.check_value(generation)
    return sealed_marker(marker._replace(format_level=level, key_generation=generation, key_check=key_check, serial=serial), ring)


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


_MARKER_BEHIND = Finding(
    Verdict.GAP, MARKER, 0, 0, 0, 0, 0, (), "marker_behind", "an older marker stood there; it is written again as the segments have it.",
    "Find out who replaced it.",
)  # fmt: skip
"""Segments or witness name a later level or key generation than the marker, which was durable before they were written."""
