"""Recovery, first half: from the files of a journal to its last state, and to the verdict on its end.

Rules this file keeps (FORMAT.md, "Recovery", has the reasons):

- `examine` reads and judges, and changes nothing: readers and verification use it too. `repair` then makes the folder sane.
- The table in `recovery_plan` decides; this file gathers the facts and words the outcome.
- A class that is not strict loses what may have stood in a gap. A strict class loses what its links, the witness or the frame
  behind the gap prove to be missing. What a class's checkpoint covers costs it nothing.
- A loss keeps its range at every later opening, until a checkpoint covers it, so that a reset of the class can name it.

Example::

    examined = examine(folders, inventory, keys, base, slot, sealed, specs, "eu-1", fold)
    ready = prepare(folders, examined, witnessed_lsn, quarantine_bytes_max=1 << 24)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rap_journal.checkpoints import START, BadCheckpoint, LoadedCheckpoint
from rap_journal.filesystem import Directory
from rap_journal.folders import JournalFolders
from rap_journal.format import DIGEST_BYTES
from rap_journal.inventory import Inventory
from rap_journal.layout import quarantine_name
from rap_journal.payload import StrictHead, StrictHeads
from rap_journal.records import Record
from rap_journal.recovery_plan import TailFacts, TornFrame, Verdict, judge_tail
from rap_journal.recovery_report import ClassLoss, Finding, RecoveryReport
from rap_journal.scanner import Chain, Remnant
from rap_journal.sealing import KeyRing, SealBroken
from rap_journal.values import ClassSpec, Durability
from rap_journal.walk import Gap, SegmentRead, Walk, WalkEnd, records_of
from rap_journal.witness import SealedPart, Slot


class Base(NamedTuple):
    """What replay starts from: the loaded checkpoint of each class, and those that could not be used."""

    checkpoints: Mapping[int, LoadedCheckpoint]
    bad: Sequence[BadCheckpoint]

    @property
    def after_lsn(self) -> int:
        """Every class has a checkpoint at this LSN or later, or none at all."""
        return min((checkpoint.anchor.lsn for checkpoint in self.checkpoints.values()), default=0)

    @property
    def from_start(self) -> tuple[int, ...]:
        """Numbers of the classes that have no usable checkpoint and are folded from the first record on."""
        return tuple(sorted(number for number, loaded in self.checkpoints.items() if loaded is START))


class Examined(NamedTuple):
    """Everything recovery knows once it has read the journal.

    Attributes:
        report: what was found, and what will be done about it.
        verdict: of the tail as it is now; the report's may be that of an earlier recovery, which was killed before it could tell.
        chain: what the next frame continues. Its LSN is past all that was lost, so that no LSN is given twice.
        end: where the last segment's frames end, and what stands behind them.
        heads: the newest strict record known of each class, whether it was read or only the witness names it: a loss that is
            not made good stays in sight.
        cut_mask: classes that may have lost records behind the end, as a bit mask.
    """

    report: RecoveryReport
    verdict: Verdict
    chain: Chain
    end: WalkEnd
    heads: StrictHeads
    node_us: int
    journal_id: bytes
    cut_mask: int


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
    reading = _Reading(base, slot, specs, inventory)
    walk = Walk(folders.journal, inventory, base.after_lsn)
    reading.replay(walk, keys, fold)
    reading.note_gaps(walk.gaps)
    reading.note_bad_files(inventory, folders)
    verdict = reading.judge_end(walk.end, inventory)
    unfinished = reading.note_unfinished_cut(inventory, walk.end, folders.quarantine)
    reading.compare_heads(sealed, walk.gaps)
    chain = walk.end.chain
    if verdict in (Verdict.TAIL_DAMAGED, Verdict.TAIL_MISSING):
        last_strict_lsn = max(chain.last_strict_lsn, slot.point.last_strict_lsn)
        chain = chain._replace(last_lsn=reading.lost_to_lsn, last_strict_lsn=last_strict_lsn)
    report = RecoveryReport(
        cluster, Verdict.DIVERGED if reading.is_tampered else verdict or unfinished, tuple(reading.findings), tuple(reading.losses),
        reading.is_tampered, reading.cautious, base.after_lsn, chain.last_lsn, reading.frame_count, reading.record_count, False,
        from_start=base.from_start,
    )  # fmt: skip
    return Examined(report, verdict, chain, walk.end, reading.heads, reading.node_us, slot.journal_id, reading.cut_mask)


class _Reading:
    """The facts of one examination, gathered step by step."""

    def __init__(self, base: Base, slot: Slot, specs: Sequence[ClassSpec], inventory: Inventory) -> None:
        self._base = base
        self._slot = slot
        self._specs = specs
        self._names = {spec.number: spec.name for spec in specs}
        self._strict = {spec.number for spec in specs if spec.durability is Durability.STRICT}
        self._from = {number: loaded.anchor.lsn for number, loaded in base.checkpoints.items()}
        self._claims = _Claims(base, slot, inventory)
        self.heads = StrictHeads(
            (number, loaded.content.head) for number, loaded in base.checkpoints.items() if loaded.content.head.lsn
        )
        self.node_us = max((loaded.content.node_us for loaded in base.checkpoints.values()), default=0)
        self.findings: list[Finding] = []
        self.losses: list[ClassLoss] = []
        self.cautious: tuple[str, ...] = ()
        self.cut_mask = 0
        self.lost_to_lsn = 0
        self.is_tampered = False
        self.frame_count = 0
        self.record_count = 0

    def replay(self, walk: Walk, keys: KeyRing, fold: Callable[[list[Record]], None]) -> None:
        for segment in walk:
            self._claims.compare(segment)
            if self.is_tampered:
                continue
            try:
                for frame, records in records_of(segment, keys, self._base.after_lsn):
                    self.frame_count += 1
                    self.record_count += frame.header.record_count
                    # Records that a class's own checkpoint holds already are not for it: sets may have been written in part.
                    newer = [record for record in records if record.lsn > self._from.get(record.state_class, 0)]
                    if newer:
                        self._take(newer, fold)
            except SealBroken as error:
                offset = next((frame.offset for frame in segment.frames if frame.header.first_lsn == error.lsn), 0)
                self._diverged(f"journal/{segment.file.name}", segment.file.header.number, offset, "seal_broken")

    def note_gaps(self, gaps: Sequence[Gap]) -> None:
        self._claims.gaps = gaps
        for gap in gaps:
            where = f"journal segment {gap.segment}"
            if gap.is_foreign:
                # The frame behind does verify but follows on another one: somebody put other frames into its place.
                self._diverged(where, gap.segment, gap.offset, gap.reason)
                continue
            classes = [number for number in self._classes_in(gap.class_mask) if gap.last_lsn > self._from.get(number, 0)]
            self.losses += [ClassLoss(number, gap.first_lsn, gap.last_lsn, gap.reason) for number in classes]
            verdict = Verdict(gap.given_up) if gap.given_up in _TELLING else Verdict.GAP
            done, advice = _DONE[verdict]
            lsns = (gap.first_lsn, gap.last_lsn)
            self._find(
                verdict, where, gap.segment, gap.offset, gap.gap_bytes, lsns, self._named(classes), gap.reason, done, advice
            )

    def note_bad_files(self, inventory: Inventory, folders: JournalFolders) -> None:
        for stray in inventory.damaged():
            self._find(Verdict.TAIL_DAMAGED, f"journal/{stray.name}", stray.number, 0, 0, (0, 0), (), stray.reason,
                       "the file was left alone.", "Check the disk.")  # fmt: skip
        for bad in self._base.bad:
            if bad.reason != "other_folds" and bad.file not in folders.missing:
                self._find(Verdict.GAP, bad.file, 0, 0, 0, (0, 0), (bad.state_class,), bad.reason,
                           self._instead_of_checkpoint(bad.state_class), "The next checkpoint replaces it.")  # fmt: skip
        for name in folders.missing:
            self._find(Verdict.GAP, name, 0, 0, 0, (0, 0), (name,), "missing_folder",
                       f"the folder was made again, empty; {self._instead_of_checkpoint(name)}", "Check the disk.")  # fmt: skip
        for spec in self._specs:
            if spec.number not in self._base.checkpoints:
                self.losses.append(ClassLoss(spec.number, 0, 0, "no_checkpoint"))

    def judge_end(self, end: WalkEnd, inventory: Inventory) -> Verdict:
        scan, last_lsn = end.scan, end.chain.last_lsn
        # A segment is named after its header is synced, and its first frame comes after that: a later one vouches for this one.
        is_followed = bool(inventory.unreadable_after_chain())
        all_gone = end.file is None and self._slot.point.segment > 0
        vouched = self._claims.lsn_max > last_lsn or is_followed or all_gone
        torn = TornFrame.UNREADABLE
        if scan is not None and scan.torn_header is not None:
            torn = TornFrame.STRICT if scan.torn_header.is_strict else TornFrame.OTHER
        remnant = scan.remnant if scan else Remnant.NOTHING
        verdict = judge_tail(TailFacts(remnant, vouched, torn, self._claims.agree(last_lsn)))
        # How many records damaged bytes or an unreadable segment held, nobody knows: one, at least.
        at_least = 1 if is_followed or verdict is Verdict.TAIL_DAMAGED else 0
        self.lost_to_lsn = max(self._claims.lsn_max, last_lsn + at_least)
        if verdict is not Verdict.CLEAN:
            self._note_end(verdict, end)
        return verdict

    def note_unfinished_cut(self, inventory: Inventory, end: WalkEnd, quarantine: Directory) -> Verdict:
        """A recovery that was killed between its cut and its first record could tell nobody: its finding is made again."""
        for file in reversed(inventory.chain):
            cut, before = file.header.cut, file.header.predecessor
            if file.header.first_lsn <= end.chain.last_lsn:
                break
            if cut.label in _TELLING:
                verdict = Verdict(cut.label)
                classes = self._named(self._classes_in(cut.class_mask))
                if verdict is Verdict.TORN_OR_ROTTEN:
                    self.cautious = classes
                if verdict in (Verdict.TORN_TAIL, Verdict.TORN_OR_ROTTEN):
                    # LSNs that were given up show as a gap anyway.
                    self._find(verdict, f"journal segment {before.number}", before.number, before.valid_bytes, cut.cut_bytes, (0, 0),
                               classes, "unfinished_cut", *_DONE[verdict])  # fmt: skip
                    if quarantine.status(quarantine_name(before.number, before.valid_bytes, cut.sha256)) is not None:
                        self.findings[-1] = self.findings[-1]._replace(quarantine_sha256=cut.sha256)
                return verdict
        return Verdict.CLEAN

    def compare_heads(self, sealed: SealedPart, gaps: Sequence[Gap]) -> None:
        """Every strict record that the witness knows must have been seen; what it does not know, the frame behind a gap may."""
        for number, head in sealed.heads:
            seen = self.heads[number]
            if seen.lsn < head.lsn:
                self.losses.append(ClassLoss(number, seen.lsn + 1, head.lsn, "behind_witness"))
                self.heads.move(number, head)
            elif seen.lsn == head.lsn and head.is_known and seen != head:
                self._diverged("WITNESS", 0, 0, "strict_head")
        for gap in gaps:
            if gap.strict_lost and gap.last_strict_lsn > self._slot.point.lsn:
                self._charge_strict(gap)

    def _instead_of_checkpoint(self, class_name: str) -> str:
        number = next(spec.number for spec in self._specs if spec.name == class_name)
        loaded = self._base.checkpoints.get(number)
        if loaded is None:
            return "there is no other checkpoint, and the first records are gone: the class lost its state."
        return "it was folded again from the first record on." if loaded is START else "an older checkpoint was used."

    def _take(self, records: list[Record], fold: Callable[[list[Record]], None]) -> None:
        for record in records:
            self.node_us = max(self.node_us, record.node_us)
            if record.link is not None:
                before = self.heads[record.state_class]
                if not self.heads.follow(record):
                    last_lsn = max(record.link.previous_lsn, before.lsn + 1)
                    self.losses.append(ClassLoss(record.state_class, before.lsn + 1, last_lsn, "broken_strict_chain"))
        fold(records)

    def _charge_strict(self, gap: Gap) -> None:
        """A strict record lies in the gap and nobody knows of which class: any that has no later one to prove the contrary."""
        for number in sorted(self._strict):
            head = self.heads[number]
            is_possible = gap.class_mask is None or gap.class_mask >> number & 1
            if is_possible and head.lsn < gap.first_lsn and self._from.get(number, 0) < gap.last_strict_lsn:
                self.losses.append(ClassLoss(number, head.lsn + 1, gap.last_strict_lsn, gap.reason))
                self.heads.move(number, StrictHead(gap.last_strict_lsn, bytes(DIGEST_BYTES), head.record_count))

    def _note_end(self, verdict: Verdict, end: WalkEnd) -> None:
        scan = end.scan
        classes = self._classes_in(self._mask_of_end(verdict, end))
        self.cut_mask = sum(1 << number for number in classes)
        lsns = (0, 0)
        if verdict is Verdict.DIVERGED:
            self.is_tampered = True
        elif verdict is Verdict.TORN_OR_ROTTEN:
            self.cautious = self._named(classes)
        elif verdict in (Verdict.TAIL_DAMAGED, Verdict.TAIL_MISSING):
            lsns = (end.chain.last_lsn + 1, self.lost_to_lsn)
            losing = [number for number in classes if lsns[1] > max(self._from.get(number, 0), end.chain.last_lsn)]
            self.losses += [ClassLoss(number, *lsns, verdict.name.lower()) for number in losing]
        header = end.file.header if end.file else None
        self._find(verdict, f"journal/{end.file.name}" if end.file else "", header.number if header else 0, scan.end if scan else 0,
                   scan.remnant_bytes if scan else 0, lsns, self._named(classes), scan.reason if scan else "no_segment",
                   *_DONE[verdict])  # fmt: skip

    def _mask_of_end(self, verdict: Verdict, end: WalkEnd) -> int | None:
        """The class mask of the frame at the end, if its header can be read and it accounts for all that is lost."""
        torn = end.scan.torn_header if end.scan else None
        if torn is None or torn.first_lsn != end.chain.last_lsn + 1:
            return None
        return torn.class_mask if verdict is not Verdict.TAIL_DAMAGED or torn.last_lsn >= self.lost_to_lsn else None

    def _classes_in(self, mask: int | None) -> list[int]:
        """Classes that are not strict and may be concerned; strict ones prove their losses themselves."""
        return [number for number in self._names if number not in self._strict and (mask is None or mask >> number & 1)]

    def _named(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._names[number] for number in numbers)

    def _diverged(self, file: str, segment: int, offset: int, reason: str) -> None:
        self.is_tampered = True
        self._find(Verdict.DIVERGED, file, segment, offset, 0, (0, 0), (), reason, *_DONE[Verdict.DIVERGED])

    def _find(self, verdict: Verdict, file: str, segment: int, offset: int, byte_count: int, lsns: tuple[int, int],
              classes: tuple[str, ...], reason: str, done: str, advice: str) -> None:  # fmt: skip
        self.findings.append(Finding(verdict, file, segment, offset, byte_count, lsns[0], lsns[1], classes, reason, done, advice))


class _Claims:
    """Who says which digest the chain has at which LSN: the witness and the checkpoints. All must be right."""

    def __init__(self, base: Base, slot: Slot, inventory: Inventory) -> None:
        said = [(slot.point.lsn, slot.point.digest)]
        said += [(loaded.anchor.lsn, loaded.anchor.digest) for loaded in base.checkpoints.values()]
        self._digests: dict[int, set[bytes]] = {}
        for lsn, digest in said:
            self._digests.setdefault(lsn, set()).add(digest)
        self._frames: dict[int, bytes] = {}
        self._headers: dict[int, set[bytes]] = {lsn: set() for lsn in self._digests}
        self._first_lsn: int | None = None
        self.lsn_max = max(self._digests)
        self.gaps: Sequence[Gap] = ()
        self._look_at_headers(inventory)

    def compare(self, segment: SegmentRead) -> None:
        """Note the digests that this segment has at the LSNs in question."""
        if self._first_lsn is None:
            self._first_lsn = segment.file.header.first_lsn
        for frame in segment.frames:
            if frame.header.last_lsn in self._digests:
                self._frames[frame.header.last_lsn] = frame.digest

    def agree(self, last_lsn: int) -> bool:
        """Whether the chain, which ends at `last_lsn`, has the digests it should have, as far as it was read."""
        return all(self._agrees(lsn, digests, last_lsn) for lsn, digests in self._digests.items())

    def _look_at_headers(self, inventory: Inventory) -> None:
        for before, file in zip((None, *inventory.chain), inventory.chain, strict=False):
            first_lsn, predecessor = file.header.first_lsn, file.header.predecessor
            if first_lsn - 1 in self._headers:
                # The witness of a journal that was closed behind an empty segment names the digest of that segment's header.
                self._headers[first_lsn - 1].add(file.header_digest)
            if (
                before is not None
                and before.header.number == predecessor.number
                and before.header.first_lsn <= predecessor.last_lsn
            ):
                self._frames[predecessor.last_lsn] = predecessor.digest

    def _agrees(self, lsn: int, digests: set[bytes], last_lsn: int) -> bool:
        if lsn in self._frames:
            # At the border of two segments there are two digests, and the witness may name one and a checkpoint the other.
            return digests <= {self._frames[lsn], *self._headers[lsn]}
        if len(digests) > 1:
            return False
        is_read = self._first_lsn is not None and self._first_lsn <= lsn <= last_lsn
        return not is_read or any(gap.first_lsn <= lsn <= gap.last_lsn for gap in self.gaps)


_TELLING = frozenset(Verdict) - {Verdict.CLEAN}
"""Verdicts that a recovery writes into the header of the next segment."""

_DONE = {
    Verdict.TORN_TAIL: ("it was cut and kept in quarantine; nothing acknowledged is lost.", ""),
    Verdict.TORN_OR_ROTTEN: ("it was cut and kept in quarantine; whether it was acknowledged cannot be told.", ""),
    Verdict.GAP: ("history goes on behind it.", "Run `rap-state verify` and check the disk."),
    Verdict.TAIL_DAMAGED: ("the bytes are kept in quarantine; the classes named are reset.", "Check the disk."),
    Verdict.TAIL_MISSING: (
        "durable records are gone; the classes named are reset.",
        "Check the disk, and who touched the folder.",
    ),
    Verdict.DIVERGED: ("the cluster fails closed; nothing was changed.", "Find out who replaced files; then reset or restore."),
}
