"""Recovery: from the files of a journal to its last state, and to a place where writing may go on.

Rules this file keeps (FORMAT.md, "Recovery", has the reasons):

- `examine` reads and judges, and changes nothing: readers and verification use it too.
- `prepare` then makes the directory sane: quarantine copy, rewriting of the last frame, and the facts for the header of the next
  segment, which is the cut. Killed anywhere and run again, the result is the same.
- The table in `recovery_plan` decides; this file gathers the facts and carries the verdict out.

Example::

    examined = examine(folders, inventory, keys, base, slot, sealed, specs, "eu-1", fold)
    ready = prepare(folders, examined, quarantine_bytes_max=1 << 24)
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rap_journal.checkpoints import BadCheckpoint, LoadedCheckpoint
from rap_journal.folders import JournalFolders
from rap_journal.frames import Frame
from rap_journal.inventory import Inventory
from rap_journal.payload import StrictHeads
from rap_journal.quarantine import Piece, keep
from rap_journal.records import Record
from rap_journal.recovery_plan import TailFacts, TornFrame, Verdict, judge_tail
from rap_journal.recovery_report import ClassLoss, Finding, RecoveryReport
from rap_journal.scanner import Chain, Remnant
from rap_journal.sealing import KeyRing, SealBroken
from rap_journal.segments import Cut, Predecessor
from rap_journal.space import is_no_space
from rap_journal.values import ClassSpec, Durability
from rap_journal.walk import Gap, Walk, WalkEnd, records_of
from rap_journal.witness import SealedPart, Slot


class Base(NamedTuple):
    """What replay starts from: the loaded checkpoint of each class, and those that could not be used."""

    checkpoints: Mapping[int, LoadedCheckpoint]
    bad: Sequence[BadCheckpoint]

    @property
    def after_lsn(self) -> int:
        """Every class has a checkpoint at this LSN or later, or none at all."""
        return min((checkpoint.anchor.lsn for checkpoint in self.checkpoints.values()), default=0)


class Examined(NamedTuple):
    """Everything recovery knows once it has read the journal."""

    report: RecoveryReport
    chain: Chain
    end: WalkEnd
    heads: StrictHeads
    node_us: int
    journal_id: bytes


class Ready(NamedTuple):
    """Where writing goes on."""

    report: RecoveryReport
    chain: Chain
    predecessor: Predecessor
    cut: Cut


def examine(
    folders: JournalFolders,
    inventory: Inventory,
    keys: KeyRing,
    base: Base,
    slot: Slot,
    sealed: SealedPart,
    specs: Sequence[ClassSpec],
    cluster: str,
    fold: Callable[[list[Record]], None],
) -> Examined:
    """Read all frames after the checkpoints, hand their records to `fold`, and judge what was found."""
    reading = _Reading(base, slot, specs)
    walk = Walk(folders.journal, inventory, base.after_lsn)
    reading.replay(walk, keys, fold)
    reading.note_gaps(walk.gaps)
    reading.note_bad_files(inventory, base, folders)
    verdict = reading.judge_end(walk.end)
    reading.compare_heads(sealed)
    chain = walk.end.chain
    if verdict in (Verdict.TAIL_DAMAGED, Verdict.TAIL_MISSING):
        chain = chain._replace(last_lsn=max(chain.last_lsn, slot.point.lsn))
    report = RecoveryReport(
        cluster, verdict, tuple(reading.findings), tuple(reading.losses), reading.is_tampered, reading.cautious,
        base.after_lsn, chain.last_lsn, reading.frame_count, reading.record_count, False,
    )  # fmt: skip
    return Examined(report, chain, walk.end, reading.heads, reading.node_us, slot.journal_id)


def prepare(folders: JournalFolders, examined: Examined, witnessed_lsn: int, *, quarantine_bytes_max: int) -> Ready:
    """Make the directory fit to go on. Raises `OSError` when the disk fails: that is never a reason to cut more."""
    end = examined.end
    if end.file is None or end.scan is None:
        return Ready(examined.report, examined.chain, Predecessor(), Cut())
    header = end.file.header
    report = examined.report
    predecessor = Predecessor(header.number, header.incarnation, header.epoch, end.chain.last_lsn, end.scan.end, end.chain.digest)
    cut = Cut()
    if end.scan.remnant is not Remnant.NOTHING:
        torn = end.data[end.scan.end : end.scan.end + end.scan.remnant_bytes]
        piece = Piece(examined.journal_id, header.number, header.epoch, end.scan.end, end.chain.last_lsn, report.verdict, torn)
        try:
            keep(folders.quarantine, folders.temporary, piece, quarantine_bytes_max)
        except OSError as error:
            # On a full disk the bytes wait where they are: the next segment's header makes the cut, truncation comes later.
            if not is_no_space(error):
                raise
        cut = Cut(len(torn), report.verdict, hashlib.sha256(torn).digest())
    if end.scan.frames and end.chain.last_lsn > witnessed_lsn:
        _rewrite_last_frame(folders, end)
        report = report._replace(rewrote_last_frame=True)
    return Ready(report, examined.chain, predecessor, cut)


def truncate_closed(folders: JournalFolders, inventory: Inventory) -> int:
    """Cut every closed segment down to the length its successor names; repeated at every opening. Returns how many were cut."""
    count = 0
    for file, successor in zip(inventory.chain, inventory.chain[1:], strict=False):
        valid_bytes = successor.header.predecessor.valid_bytes
        if successor.header.predecessor.number == file.header.number and file.size > valid_bytes:
            with folders.journal.open(file.name, writable=True) as handle:
                handle.truncate(valid_bytes)
                handle.sync()
            count += 1
    return count


def _rewrite_last_frame(folders: JournalFolders, end: WalkEnd) -> None:
    """The last frame may be valid in the page cache only; the same bytes, written again and synced, make it durable."""
    assert end.file is not None and end.scan is not None
    frame = end.scan.frames[-1]
    with folders.journal.open(end.file.name, writable=True) as file:
        file.write_at(frame.offset, end.data[frame.offset : frame.end])
        file.sync()


class _Reading:
    """The facts of one examination, gathered step by step."""

    def __init__(self, base: Base, slot: Slot, specs: Sequence[ClassSpec]) -> None:
        self._base = base
        self._slot = slot
        self._specs = specs
        self._names = {spec.number: spec.name for spec in specs}
        self._strict = {spec.number for spec in specs if spec.durability is Durability.STRICT}
        self._from = {number: loaded.anchor.lsn for number, loaded in base.checkpoints.items()}
        self._uniform = len(set(self._from.values())) <= 1
        self._witness_digest: bytes | None = None
        self._passed_witness = slot.point.lsn <= base.after_lsn
        self.heads = StrictHeads(
            (number, loaded.content.head) for number, loaded in base.checkpoints.items() if loaded.content.head.lsn
        )
        self.node_us = max((loaded.content.node_us for loaded in base.checkpoints.values()), default=0)
        self.findings: list[Finding] = []
        self.losses: list[ClassLoss] = []
        self.cautious: tuple[str, ...] = ()
        self.is_tampered = False
        self.frame_count = 0
        self.record_count = 0

    def replay(self, walk: Walk, keys: KeyRing, fold: Callable[[list[Record]], None]) -> None:
        for segment in walk:
            self._look_for_witness(segment.frames)
            if self.is_tampered:
                continue
            try:
                for frame, records in records_of(segment, keys, self._base.after_lsn):
                    if frame.header.is_strict:
                        self._follow(records)
                    self.node_us = max(self.node_us, records[-1].node_us)
                    self.frame_count += 1
                    self.record_count += frame.header.record_count
                    fold(records if self._uniform else [r for r in records if r.lsn > self._from.get(r.state_class, 0)])
            except SealBroken as error:
                self.is_tampered = True
                self._find(Verdict.DIVERGED, f"journal/{segment.file.name}", segment.file.header.number, 0, 0, (error.lsn or 0,) * 2, (),
                           "seal_broken", "the cluster fails closed; nothing was changed.", "Find out who changed the file.")  # fmt: skip

    def note_gaps(self, gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            if gap.last_lsn < gap.first_lsn:
                # The frame behind does verify but follows on another one: somebody put other frames into its place.
                self.is_tampered = True
            classes = self._classes_in(gap.class_mask)
            for number in classes:
                self.losses.append(ClassLoss(number, gap.first_lsn, gap.last_lsn, gap.reason))
            self._find(Verdict.GAP, f"journal segment {gap.segment}", gap.segment, gap.offset, gap.gap_bytes, (gap.first_lsn, gap.last_lsn),
                       self._named(classes), gap.reason, "history goes on behind it.",
                       "Run `rap-state verify` and check the disk.")  # fmt: skip

    def note_bad_files(self, inventory: Inventory, base: Base, folders: JournalFolders) -> None:
        for stray in inventory.damaged():
            self._find(Verdict.TAIL_DAMAGED, f"journal/{stray.name}", stray.number, 0, 0, (0, 0), (), stray.reason,
                       "the file was left alone.", "Check the disk.")  # fmt: skip
        for bad in base.bad:
            if bad.reason != "other_folds":
                self._find(Verdict.GAP, bad.file, 0, 0, 0, (0, 0), (bad.state_class,), bad.reason,
                           "an older checkpoint was used.", "The next checkpoint replaces it.")  # fmt: skip
        for name in folders.missing:
            self._find(
                Verdict.GAP, name, 0, 0, 0, (0, 0), (name,), "missing_folder", "it counts as damage.", "Restore the folder."
            )
        for spec in self._specs:
            if spec.number not in base.checkpoints:
                self.losses.append(ClassLoss(spec.number, 0, 0, "no_checkpoint"))

    def judge_end(self, end: WalkEnd) -> Verdict:
        scan, point = end.scan, self._slot.point
        swallowed = any(loss.first_lsn <= point.lsn <= loss.last_lsn for loss in self.losses)
        if self._passed_witness or point.lsn > end.chain.last_lsn or swallowed:
            agrees = True
        else:
            agrees = self._witness_digest == point.digest
        vouched = point.lsn > end.chain.last_lsn
        torn = TornFrame.UNREADABLE
        if scan is not None and scan.torn_header is not None:
            torn = TornFrame.STRICT if scan.torn_header.is_strict else TornFrame.OTHER
        verdict = judge_tail(TailFacts(scan.remnant if scan else Remnant.NOTHING, vouched, torn, agrees))
        if verdict is not Verdict.CLEAN:
            self._note_end(verdict, end)
        return verdict

    def compare_heads(self, sealed: SealedPart) -> None:
        """Every strict record that the witness knows must have been seen."""
        for number, head in sealed.heads:
            seen = self.heads[number]
            if seen.lsn < head.lsn:
                self.losses.append(ClassLoss(number, seen.lsn + 1, head.lsn, "behind_witness"))
            elif seen.lsn == head.lsn and seen != head:
                self.is_tampered = True

    def _note_end(self, verdict: Verdict, end: WalkEnd) -> None:
        scan = end.scan
        mask = scan.torn_header.class_mask if scan and scan.torn_header else None
        classes = self._classes_in(mask)
        done, advice = _DONE[verdict]
        lsns = (0, 0)
        if verdict is Verdict.DIVERGED:
            self.is_tampered = True
        elif verdict is Verdict.TORN_OR_ROTTEN:
            self.cautious = self._named(classes)
        elif verdict in (Verdict.TAIL_DAMAGED, Verdict.TAIL_MISSING):
            lsns = (end.chain.last_lsn + 1, max(self._slot.point.lsn, end.chain.last_lsn))
            self.losses += [ClassLoss(number, *lsns, verdict.name.lower()) for number in classes]
        header = end.file.header if end.file else None
        self._find(verdict, f"journal/{end.file.name}" if end.file else "", header.number if header else 0, scan.end if scan else 0,
                   scan.remnant_bytes if scan else 0, lsns, self._named(classes), scan.reason if scan else "no_segment",
                   done, advice)  # fmt: skip

    def _look_for_witness(self, frames: Sequence[Frame]) -> None:
        if self._passed_witness or self._witness_digest is not None:
            return
        lsn = self._slot.point.lsn
        for frame in frames:
            if frame.header.last_lsn == lsn:
                self._witness_digest = frame.digest

    def _follow(self, records: Sequence[Record]) -> None:
        for record in records:
            if not self.heads.follow(record):
                self.losses.append(
                    ClassLoss(record.state_class, self.heads[record.state_class].lsn, record.lsn - 1, "broken_strict_chain")
                )

    def _classes_in(self, mask: int | None) -> list[int]:
        """Classes that are not strict and may be concerned; strict ones prove their losses themselves."""
        return [number for number in self._names if number not in self._strict and (mask is None or mask >> number & 1)]

    def _named(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._names[number] for number in numbers)

    def _find(self, verdict: Verdict, file: str, segment: int, offset: int, byte_count: int, lsns: tuple[int, int],
              classes: tuple[str, ...], reason: str, done: str, advice: str) -> None:  # fmt: skip
        self.findings.append(Finding(verdict, file, segment, offset, byte_count, lsns[0], lsns[1], classes, reason, done, advice))


_DONE = {
    Verdict.TORN_TAIL: ("it was cut and kept in quarantine; nothing acknowledged is lost.", ""),
    Verdict.TORN_OR_ROTTEN: ("it was cut and kept in quarantine; whether it was acknowledged cannot be told.", ""),
    Verdict.TAIL_DAMAGED: ("the bytes are kept in quarantine; the classes named are reset.", "Check the disk."),
    Verdict.TAIL_MISSING: (
        "durable records are gone; the classes named are reset.",
        "Check the disk, and who touched the folder.",
    ),
    Verdict.DIVERGED: ("the cluster fails closed; nothing was changed.", "Find out who replaced files; then reset or restore."),
}
