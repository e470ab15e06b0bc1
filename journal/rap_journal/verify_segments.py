"""Verification of the segments of a journal: every header, every frame, every byte between and behind them.

Rules this file keeps:

- A closed segment must end exactly where its successor says; what lies beyond is zero, or the very bytes that a recovery cut.
- The last segment ends at its clean end, or in a torn tail where nothing vouches for more: the table of `recovery_plan` decides.
- Beside a live writer a horizon is fixed first, from what was on disk before: the judged bytes are read after that, so that all
  that was durable is in them, and nothing past the horizon is judged.
- Damage to frames whose headers can be read, and name caches only, is damage to caches; else it may have been anything.

Example::

    seen = check_segments(folder, look, Expected(vouched_lsn, wanted), history_floor)
    seen.places[witness_lsn]
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rap_journal.errors import DamageError, KeyUnavailable
from rap_journal.filesystem import Directory
from rap_journal.format import SEGMENT_HEADER_BYTES
from rap_journal.format_levels import require_known_segments
from rap_journal.frames import Frame, FrameHeader, read_header
from rap_journal.inventory import Inventory, SegmentFile, take_inventory
from rap_journal.limits import FRAME_BYTES_MAX, SEGMENT_BYTES_MAX
from rap_journal.payload import StrictHead, StrictHeads
from rap_journal.records import Record
from rap_journal.recovery_plan import TailFacts, TornFrame, Verdict, judge_tail
from rap_journal.scanner import Chain, Remnant, Scan, scan_segment, start_of
from rap_journal.sealing import SealBroken
from rap_journal.segments import SegmentHeader
from rap_journal.values import Durability
from rap_journal.verify_files import Look, path_of
from rap_journal.verify_report import Severity
from rap_journal.walk import SegmentRead, records_of


class Place(NamedTuple):
    """Where the chain has a digest: behind a frame, or behind the header of a segment that has none yet."""

    digest: bytes
    segment: int
    offset: int


class Expected(NamedTuple):
    """What the rest of the journal says about its segments.

    Attributes:
        vouched_lsn: witness or checkpoints say that every record up to here is durable; beside a live writer, the witness alone.
        wanted: LSNs whose places are asked for.
    """

    vouched_lsn: int
    wanted: frozenset[int]


class SegmentsSeen(NamedTuple):
    """What the segments hold.

    Attributes:
        first_lsn: LSN at which they begin; 0 where there are none.
        shown_lsn: lowest LSN of which every digest that the chain had there can be seen.
        last_lsn: LSN up to which they were judged.
        end_lsn: LSN of the last frame that was seen, judged or not.
        lost: ranges of LSNs that are missing, whether that is news or was recorded by a recovery.
        places: the wanted LSNs that a frame, or a segment's header, ends at.
        heads: every strict record's head, by class, where seals were opened.
        is_cut_to_length: whether the last segment ends with its last frame, as after a clean close.
        segment_count, frame_count: how many were judged.
        format_level, key_generation: the highest that a segment names; 0 where there are none.
    """

    first_lsn: int
    shown_lsn: int
    last_lsn: int
    end_lsn: int
    lost: tuple[tuple[int, int], ...]
    places: dict[int, set[Place]]
    heads: frozenset[tuple[int, StrictHead]]
    is_cut_to_length: bool
    segment_count: int
    frame_count: int
    format_level: int
    key_generation: int


def check_segments(folder: Directory, look: Look, expected: Expected, history_floor: Callable[[], int]) -> SegmentsSeen:
    """Check all segments in `folder`; `history_floor` is asked after they have been listed, since it only rises.

    Raises `FormatTooNew`, and `OSError` where the folder or a header cannot be read (`FileNotFoundError` where one was retired meanwhile).
    """
    assert look.journal_id is not None
    inventory = take_inventory(folder, look.journal_id)
    require_known_segments(inventory, look.shape.levels, folder.name)
    floor = history_floor()
    _note_strays(folder, look, inventory)
    horizon = _fix_horizon(folder, inventory, expected.vouched_lsn) if look.live else None
    reading = _Reading(folder, look, expected, floor, horizon)
    for index, file in enumerate(inventory.chain):
        reading.check(file, inventory.chain[index + 1] if index + 1 < len(inventory.chain) else None)
    if not inventory.chain and expected.vouched_lsn:
        look.findings.add(folder.name, "tail_missing", Severity.DAMAGE, lsns=(1, expected.vouched_lsn))
    return reading.seen(inventory)


class _Reading:
    """One pass over the chain, segment by segment."""

    def __init__(self, folder: Directory, look: Look, expected: Expected, floor: int, horizon: int | None) -> None:
        self._folder = folder
        self._look = look
        self._expected = expected
        self._floor = floor
        self._horizon = horizon
        self._cache_mask = sum(1 << spec.number for spec in look.shape.specs if spec.durability is Durability.CACHE)
        self._names = {spec.number: spec.name for spec in look.shape.specs}
        self._strict = StrictFollower()
        self._chain: Chain | None = None
        self._before: SegmentFile | None = None
        self._lost: list[tuple[int, int]] = []
        self._places: dict[int, set[Place]] = {}
        self._is_cut_to_length = False
        self._frame_count = 0

    def check(self, file: SegmentFile, successor: SegmentFile | None) -> None:
        """Check one segment against the one before it and the one behind. Raises `FormatTooNew`: then no other is judged either."""
        self._check_link(file)
        path = path_of(self._folder, file.name)
        self._chain = Chain(file.header.first_lsn - 1, file.header_digest, file.header.last_strict_lsn)
        before = file.header.predecessor
        self._note_place(before.last_lsn, Place(before.digest, before.number, before.valid_bytes))
        self._note_place(file.header.first_lsn - 1, Place(file.header_digest, file.header.number, SEGMENT_HEADER_BYTES))
        data = None
        with self._look.findings.noting(path, Severity.DAMAGE, may_vanish=False):
            data = self._read(file, path)
        if data is not None:
            after = successor.header.predecessor if successor is not None else None
            if after is not None and (after.number, after.epoch) == (file.header.number, file.header.epoch):
                assert successor is not None
                self._check_closed(file, path, data, successor.header)
            else:
                self._check_open(file, path, data, is_last=successor is None)
        self._before = file

    def seen(self, inventory: Inventory) -> SegmentsSeen:
        """What this pass saw."""
        last_lsn = self._chain.last_lsn if self._chain else 0
        oldest = inventory.chain[0].header if inventory.chain else None
        return SegmentsSeen(
            oldest.first_lsn if oldest else 0,
            _shown_lsn(oldest) if oldest else 0,
            last_lsn if self._horizon is None else min(last_lsn, self._horizon),
            last_lsn,
            tuple(self._lost),
            self._places,
            frozenset(self._strict.seen),
            self._is_cut_to_length,
            len(inventory.chain),
            self._frame_count,
            max((file.header.format_level for file in inventory.chain), default=0),
            max((file.header.key_generation for file in inventory.chain), default=0),
        )

    def _check_link(self, file: SegmentFile) -> None:
        """Is anything missing between the segment before and this one?"""
        header, before, path = file.header, self._before, path_of(self._folder, file.name)
        last_lsn = self._floor if self._chain is None else self._chain.last_lsn
        missing = (last_lsn + 1, header.first_lsn - 1)
        if before is None:
            if header.first_lsn > self._floor + 1:
                self._lose(missing)
                self._look.findings.add(path, "missing_records", Severity.DAMAGE, lsns=missing)
            return
        claimed = header.predecessor
        if (claimed.number, claimed.epoch) != (before.header.number, before.header.epoch):
            self._lose(missing)
            severity = Severity.DAMAGE
            if header.first_lsn <= self._floor + 1:
                severity = Severity.HARMLESS
                self._strict.forget()
            lsns = missing if missing[1] >= missing[0] else (0, 0)
            self._look.findings.add(path, "missing_segment", severity, lsns=lsns)
        elif header.first_lsn > claimed.last_lsn + 1:
            # A recovery gave these up, and its verdict stands in this header; whatever it cost was dealt with then.
            given_up = (claimed.last_lsn + 1, header.first_lsn - 1)
            self._lose(given_up)
            if header.cut.label:
                self._strict.forget()
                self._look.findings.add(path, "given_up", Severity.HARMLESS, lsns=given_up)
            else:
                self._look.findings.add(path, "missing_records", Severity.DAMAGE, lsns=given_up)
        if header.first_lsn <= last_lsn:
            self._look.findings.add(path, "other_history", Severity.DAMAGE, lsns=(header.first_lsn, last_lsn))

    def _read(self, file: SegmentFile, path: str) -> bytes:
        with self._folder.open(file.name) as handle:
            size = handle.size()
            if size > SEGMENT_BYTES_MAX + 2 * FRAME_BYTES_MAX:
                raise DamageError(f"{path} is larger than a segment can be", file=path, reason="too_large")
            return handle.read_at(0, size)

    def _check_closed(self, file: SegmentFile, path: str, data: bytes, successor: SegmentHeader) -> None:
        """A segment with a successor ends where that says, and what is behind is zero or was cut."""
        claimed, findings = successor.predecessor, self._look.findings
        scan = self._scan(file, path, data[: claimed.valid_bytes])
        if scan.chain.last_lsn < claimed.last_lsn:
            reason = scan.reason if scan.remnant is not Remnant.NOTHING else "missing_frames"
            self._note_gap(path, data[: claimed.valid_bytes], file.header, scan, claimed.last_lsn, reason)
        else:
            gave_up = successor.first_lsn > claimed.last_lsn + 1
            agrees = (
                scan.end == claimed.valid_bytes
                and (scan.chain.last_lsn, scan.chain.digest) == (claimed.last_lsn, claimed.digest)
                and (gave_up or scan.chain.last_strict_lsn == successor.last_strict_lsn)
                and claimed.incarnation == file.header.incarnation
            )
            if not agrees:
                findings.add(path, "successor_disagrees", Severity.DAMAGE, offset=scan.end)
        rest = data[claimed.valid_bytes :]
        was_cut = hashlib.sha256(rest[: successor.cut.cut_bytes]).digest() == successor.cut.sha256
        if any(rest[successor.cut.cut_bytes if was_cut else 0 :]):
            findings.add(path, "stale_bytes", Severity.CACHE_DAMAGE, offset=claimed.valid_bytes)
        self._chain = Chain(claimed.last_lsn, claimed.digest, successor.last_strict_lsn)

    def _check_open(self, file: SegmentFile, path: str, data: bytes, *, is_last: bool) -> None:
        """The last segment, or one whose successor is missing."""
        scan = self._scan(file, path, data)
        self._chain = scan.chain
        self._is_cut_to_length = is_last and scan.end == len(data)
        if self._horizon is not None:
            if scan.chain.last_lsn < self._horizon and is_last:
                self._note_gap(path, data, file.header, scan, self._horizon, scan.reason)
        elif is_last:
            self._judge_end(file, path, data, scan)
        elif scan.remnant is not Remnant.NOTHING:
            self._look.findings.add(path, scan.reason, Severity.DAMAGE, offset=scan.end)

    def _judge_end(self, file: SegmentFile, path: str, data: bytes, scan: Scan) -> None:
        torn, vouched_lsn = scan.torn_header, self._expected.vouched_lsn
        kind = TornFrame.UNREADABLE if torn is None else TornFrame.STRICT if torn.is_strict else TornFrame.OTHER
        verdict = judge_tail(TailFacts(scan.remnant, vouched_lsn > scan.chain.last_lsn, kind, True))
        if verdict in (Verdict.TORN_TAIL, Verdict.TORN_OR_ROTTEN):
            classes = self._classes(torn.class_mask) if torn is not None else ()
            self._look.findings.add(path, verdict.name.lower(), Severity.TORN, offset=scan.end, classes=classes)
        elif verdict is not Verdict.CLEAN:
            reason = scan.reason if verdict is Verdict.TAIL_DAMAGED else verdict.name.lower()
            self._note_gap(path, data, file.header, scan, vouched_lsn, reason)

    def _scan(self, file: SegmentFile, path: str, data: bytes) -> Scan:
        """Read all frames, note every gap between them, and return the scan that reached the end."""
        header = file.header
        scan = scan_segment(data, header, start_of(header, file.header_digest))
        self._take(file, data, scan.frames)
        while scan.remnant is Remnant.LATER_FRAME and scan.resume is not None:
            if self._horizon is not None and scan.chain.last_lsn >= self._horizon:
                break
            resume = scan.resume.header
            self._note_gap(path, data, header, scan, resume.first_lsn - 1, scan.reason)
            chain = Chain(resume.first_lsn - 1, resume.predecessor, resume.last_strict_lsn)
            scan = scan_segment(data, header, chain, offset=scan.resume.offset)
            self._take(file, data, scan.frames)
        return scan

    def _note_gap(self, path: str, data: bytes, header: SegmentHeader, scan: Scan, last_lsn: int, reason: str) -> None:
        """Frames that were durable do not stand at the end of `scan`; LSNs up to `last_lsn` are gone."""
        lsns = (scan.chain.last_lsn + 1, last_lsn)
        mask = mask_of_headers(data, header, scan.end, *lsns)
        if lsns[1] < lsns[0]:
            lsns = (0, 0)
        else:
            self._lose(lsns)
        is_cache = mask is not None and not mask & ~self._cache_mask
        severity = Severity.CACHE_DAMAGE if is_cache else Severity.DAMAGE
        classes = () if mask is None else self._classes(mask)
        self._look.findings.add(path, reason, severity, offset=scan.end, classes=classes, lsns=lsns)

    def _take(self, file: SegmentFile, data: bytes, frames: Sequence[Frame]) -> None:
        """Count frames up to the horizon, note where they end, and open them where there are keys."""
        if self._horizon is not None:
            frames = [frame for frame in frames if frame.header.last_lsn <= self._horizon]
        self._frame_count += len(frames)
        for frame in frames:
            self._note_place(frame.header.last_lsn, Place(frame.digest, file.header.number, frame.end))
        if self._look.ring is None:
            return
        path, findings = path_of(self._folder, file.name), self._look.findings
        try:
            for frame, records in records_of(SegmentRead(file, data, list(frames)), self._look.ring):
                for reason in (disagreement(frame.header, records), self._strict.follow(records)):
                    if reason:
                        findings.add(path, reason, Severity.DAMAGE, offset=frame.offset)
        except (SealBroken, DamageError) as error:
            # Stored bytes are right and what they seal is not: no accident does that.
            offset = next((frame.offset for frame in frames if frame.header.first_lsn == error.lsn), 0)
            findings.add(path, error.reason or "seal_broken", Severity.DAMAGE, offset=offset)
        except KeyUnavailable as error:
            findings.add_error(error, path, Severity.DAMAGE)

    def _note_place(self, lsn: int, place: Place) -> None:
        if lsn in self._expected.wanted:
            self._places.setdefault(lsn, set()).add(place)

    def _lose(self, lsns: tuple[int, int]) -> None:
        if lsns[0] <= lsns[1]:
            self._lost.append(lsns)

    def _classes(self, mask: int) -> tuple[str, ...]:
        return tuple(name for number, name in sorted(self._names.items()) if mask >> number & 1)


class StrictFollower:
    """Follows the strict chains record by record, from wherever the kept segments begin."""

    def __init__(self) -> None:
        self._heads = StrictHeads()
        self._known: set[int] = set()
        self.seen: set[tuple[int, StrictHead]] = set()

    def forget(self) -> None:
        """Records are missing from here on, and rightly so: the next one of each class is taken as it comes."""
        self._known.clear()

    def follow(self, records: Sequence[Record]) -> str | None:
        """A stable word when one of `records` does not continue its class's chain."""
        reason = None
        for record in records:
            if record.link is None:
                continue
            number = record.state_class
            if number not in self._known:
                # What came before the first one kept was retired; the checkpoint that allowed it vouches for that.
                lsn, digest, ordinal = record.link
                self._heads = StrictHeads([*self._heads.items(), (number, StrictHead(lsn, digest, ordinal - 1))])
                self._known.add(number)
            if not self._heads.follow(record):
                reason = "broken_strict_chain"
            self.seen.add((number, self._heads[number]))
        return reason


def _shown_lsn(oldest: SegmentHeader) -> int:
    """The end of the segment before the oldest is shown by its digest in the oldest's header, unless it was empty.

    An empty one has its header's digest, and the segments before it had others at the same LSN.
    """
    was_empty = oldest.predecessor.valid_bytes <= SEGMENT_HEADER_BYTES
    return oldest.first_lsn if was_empty else oldest.first_lsn - 1


def mask_of_headers(data: bytes, header: SegmentHeader, offset: int, first_lsn: int, last_lsn: int) -> int | None:
    """The classes of damaged frames, if their headers can be read one after the other and account for all of these LSNs."""
    mask, next_lsn = 0, first_lsn
    while next_lsn <= last_lsn:
        found = read_header(data, offset, header.salt, header.epoch)
        if not isinstance(found, FrameHeader) or found.first_lsn != next_lsn:
            return None
        mask |= found.class_mask
        next_lsn, offset = found.last_lsn + 1, offset + found.frame_bytes
    return mask if next_lsn == last_lsn + 1 and mask else None


def disagreement(header: FrameHeader, records: Sequence[Record]) -> str | None:
    """A stable word when a frame's records are not what its readable header says."""
    mask = 0
    for record in records:
        mask |= 1 << record.state_class
    if mask != header.class_mask or sum(record.rows for record in records) != header.record_count:
        return "header_disagrees"
    if any((record.link is not None) != header.is_strict for record in records):
        return "mixed_frame"
    return None


def _fix_horizon(folder: Directory, inventory: Inventory, witnessed_lsn: int) -> int:
    """What was durable before now: the witness's LSN, or all before the last valid frame, since frames are synced one by one."""
    if not inventory.chain:
        return witnessed_lsn
    file = inventory.chain[-1]
    with folder.open(file.name) as handle:
        data = handle.read_at(0, file.size)
    frames = scan_segment(data, file.header, start_of(file.header, file.header_digest)).frames
    before_last = frames[-1].header.first_lsn - 1 if frames else file.header.first_lsn - 1
    return max(witnessed_lsn, before_last)


def _note_strays(folder: Directory, look: Look, inventory: Inventory) -> None:
    oldest = inventory.chain[0].header.number if inventory.chain else 0
    for stray in inventory.strays:
        severity = Severity.DAMAGE
        if stray.reason == "stale" and stray.number < oldest:
            severity = Severity.HARMLESS
        elif stray.reason in ("stale", "foreign"):
            severity = Severity.CACHE_DAMAGE
        look.findings.add(path_of(folder, stray.name), stray.reason, severity)
