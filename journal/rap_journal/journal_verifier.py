"""One look at one journal's folder: everything in it, in the order that a live writer demands, and what the parts say of each other.

Rules this file keeps:

- Checkpoints are read before the witness and the witness before the segments, so that whatever the former name is in the latter.
- Whatever witness and checkpoints name is compared with the chain: LSN, digest, place, and with keys the heads of the strict classes.
- Every error is a finding: a damaged part never hides the others.

Example::

    summary = JournalVerifier(folder, shape, findings, live=False, keys=None).run(MarkerKind.CLUSTER, "eu-1")
"""

from contextlib import suppress

from rap_journal.checkpoints import Anchor
from rap_journal.errors import DamageError, FormatTooNew, KeyUnavailable
from rap_journal.filesystem import Directory
from rap_journal.format import WITNESS_SLOT_BYTES
from rap_journal.key_files import KeyFile, KeyProvider, open_keys
from rap_journal.layout import (
    JOURNAL,
    MARKER,
    NEXT,
    QUARANTINE,
    SPARE,
    TEMPORARY,
    WITNESS,
    checkpoint_name,
    keys_name,
    parse_checkpoint_name,
    parse_ledger_name,
    parse_segment_name,
)
from rap_journal.markers import Marker, MarkerKind, require_authentic
from rap_journal.sealing import KeyRing, SealBroken
from rap_journal.values import ClassSpec
from rap_journal.verify_files import (
    REREADS,
    Findings,
    JournalShape,
    Look,
    check_class_folder,
    check_key_files,
    check_ledger,
    check_marker,
    check_quarantine,
    check_spare,
    check_witness,
    damage_to,
    path_of,
)
from rap_journal.verify_report import JournalSummary, Severity
from rap_journal.verify_segments import Expected, Place, SegmentsSeen, check_segments
from rap_journal.witness import Slot, WitnessFile, open_slot


class JournalVerifier:
    """One look at one journal."""

    def __init__(
        self,
        root: Directory,
        shape: JournalShape,
        findings: Findings,
        *,
        live: bool,
        keys: KeyProvider | None,
        store_id: bytes | None = None,
    ) -> None:
        self._root = root
        self._shape = shape
        self._findings = findings
        self._live = live
        self._keys = keys
        self._store_id = store_id
        self._anchors: dict[str, list[Anchor]] = {}
        self._listed: dict[str, set[int]] = {}
        self._ledger_ends: list[tuple[str, Anchor]] = []

    def run(self, kind: MarkerKind | None, cluster: str | None) -> JournalSummary:
        """Look at everything. The order matters beside a live writer: checkpoints, then witness, then segments, so that whatever
        the former name is in the latter."""
        marker = check_marker(self._root, self._findings, self._shape.levels)
        if marker is not None:
            self._check_identity(marker, kind, cluster)
        key_files = check_key_files(self._root, self._shape, marker, self._findings)
        ring = self._open_ring(marker, key_files)
        look = Look(self._shape, _journal_id(marker, key_files), self._live, ring, self._findings)
        for spec in self._shape.specs:
            path = path_of(self._root, spec.name)
            with self._findings.noting(path, damage_to(spec), (spec.name,)), self._root.directory(spec.name) as folder:
                self._anchors[spec.name] = check_class_folder(folder, spec, look)
        witness = check_witness(self._root, look)
        seen = self._check_journal_folder(look, witness)
        if seen is not None:
            self._judge(seen, witness, _own_slots(witness, look), ring)
            self._judge_marker(marker, seen, _own_slots(witness, look))
        self._check_other_names(look)
        name = marker.cluster if marker is not None else ""
        if seen is None:
            return JournalSummary(self._root.name, name)
        return JournalSummary(self._root.name, name, seen.first_lsn, seen.last_lsn, seen.segment_count, seen.frame_count)

    def _check_identity(self, marker: Marker, kind: MarkerKind | None, cluster: str | None) -> None:
        path = path_of(self._root, MARKER)
        if marker.kind is MarkerKind.STORE or kind not in (None, marker.kind) or cluster not in (None, marker.cluster):
            self._findings.add(path, "misplaced", Severity.DAMAGE)
        if self._store_id not in (None, marker.store_id):
            self._findings.add(path, "other_store", Severity.DAMAGE)

    def _open_ring(self, marker: Marker | None, key_files: dict[int, KeyFile]) -> KeyRing | None:
        """All generations that the keys at hand open; None without keys, or where the current generation stays shut."""
        if self._keys is None or marker is None:
            return None
        opened: dict[int, bytes] = {}
        for generation, file in key_files.items():
            path = path_of(self._root, f"{self._shape.key_folders[0]}/{keys_name(generation)}")
            with self._findings.noting(path, Severity.DAMAGE):
                opened[generation] = open_keys(file, self._keys)
        if marker.key_generation not in opened:
            return None
        ring = KeyRing(marker.journal_id, opened, marker.key_generation)
        path = path_of(self._root, MARKER)
        with self._findings.noting(path, Severity.DAMAGE):
            require_authentic(marker, ring, path)
        return ring

    def _check_journal_folder(self, look: Look, witness: WitnessFile | None) -> SegmentsSeen | None:
        slots = _own_slots(witness, look)
        points = [slot.point.lsn for slot in slots]
        anchors = [anchor.lsn for anchors in self._anchors.values() for anchor in anchors]
        path = path_of(self._root, JOURNAL)
        with self._findings.noting(path, Severity.DAMAGE), self._root.directory(JOURNAL) as folder:
            self._ledger_ends = check_ledger(folder, look)
            wanted = frozenset([*points, *anchors, *(end.lsn for _path, end in self._ledger_ends)])
            # Beside a live writer a checkpoint vouches for nothing that the witness, read after it, does not.
            expected = Expected(max(points if look.live else points + anchors, default=0), wanted)
            for name in folder.names():
                if name == NEXT and not look.live:
                    self._findings.add(path_of(folder, name), "leftover", Severity.HARMLESS)
                elif parse_segment_name(name) is None and parse_ledger_name(name) is None and name not in (SPARE, NEXT):
                    self._findings.add(path_of(folder, name), "unexpected", Severity.CACHE_DAMAGE)
            check_spare(folder, look)
            if look.journal_id is None:
                raise DamageError(f"{path} was not judged: nothing says whose it is", file=path, reason="unknown_journal")
            for again in range(REREADS):
                try:
                    return check_segments(folder, look, expected, self._history_floor)
                except FormatTooNew as error:
                    # What a later release wrote cannot be compared with what witness and checkpoints say.
                    name = (error.file or "").rpartition("/")[2]
                    self._findings.add_error(error, path_of(folder, name), Severity.DAMAGE)
                    return None
                except FileNotFoundError:
                    # A live writer retires segments; a new list shows which are left.
                    if not look.live or again == REREADS - 1:
                        raise
        return None

    def _history_floor(self) -> int:
        """LSN of the oldest checkpoint set that is kept whole, by the names that stand there now."""
        floor = 0
        for spec in self._shape.specs:
            path = path_of(self._root, spec.name)
            with self._findings.noting(path, damage_to(spec), (spec.name,)), self._root.directory(spec.name) as folder:
                lsns = {lsn for name in folder.names() if (lsn := parse_checkpoint_name(name)) is not None}
                floor = max(floor, min(lsns, default=0))
                self._listed[spec.name] = lsns
        return floor

    def _judge(self, seen: SegmentsSeen, witness: WitnessFile | None, slots: list[Slot], ring: KeyRing | None) -> None:
        """Compare what witness and checkpoints say with what the segments hold."""
        path = path_of(self._root, WITNESS)
        for slot in slots:
            point = slot.point
            place = Place(point.digest, point.segment, point.offset)
            if _is_shown(point.lsn, seen) and place not in seen.places.get(point.lsn, ()):
                self._findings.add(path, "diverged", Severity.DAMAGE, offset=_offset_of(slot))
            if ring is not None:
                self._judge_heads(slot, ring, seen, path)
        if witness is not None and witness.bad_slots:
            self._judge_bad_slots(seen, witness, path)
        for spec in self._shape.specs:
            for anchor in self._anchors.get(spec.name, ()):
                self._judge_anchor(spec, anchor, seen)
            self._judge_sets(spec)
            self._judge_reach(spec, seen)
        for ledger_path, end in self._ledger_ends:
            if _is_shown(end.lsn, seen) and end.digest not in {place.digest for place in seen.places.get(end.lsn, ())}:
                self._findings.add(ledger_path, "other_history", Severity.CACHE_DAMAGE, offset=48)

    def _judge_marker(self, marker: Marker | None, seen: SegmentsSeen, slots: list[Slot]) -> None:
        """A marker is durable before anything is written at its level, or under its generation."""
        generation = max([seen.key_generation, *(slot.key_generation for slot in slots)])
        if marker is not None and (seen.format_level > marker.format_level or generation > marker.key_generation):
            self._findings.add(path_of(self._root, MARKER), "marker_behind", Severity.DAMAGE)

    def _judge_heads(self, slot: Slot, ring: KeyRing, seen: SegmentsSeen, path: str) -> None:
        """Every strict record that the witness names must have been read, where it is kept. A head of zeros names none."""
        with suppress(SealBroken, KeyUnavailable):
            for head in open_slot(slot, ring).heads:
                if (
                    any(head[1].digest)
                    and _is_shown(head[1].lsn, seen)
                    and head[1].lsn >= seen.first_lsn
                    and head not in seen.heads
                ):
                    self._findings.add(path, "strict_head", Severity.DAMAGE, offset=_offset_of(slot), lsns=(head[1].lsn,) * 2)

    def _judge_bad_slots(self, seen: SegmentsSeen, witness: WitnessFile, path: str) -> None:
        if witness.newest is None:
            self._findings.add(path, "bad_slot", Severity.DAMAGE)
            self._findings.add(path, "bad_slot", Severity.DAMAGE, offset=WITNESS_SLOT_BYTES)
            return
        offset = WITNESS_SLOT_BYTES - _offset_of(witness.newest)
        # A crash tears the slot that is being written, and then the journal is ahead of the other one. A clean close cuts the last
        # segment to its length just before it writes the witness: from then on a slot that does not verify is no tear.
        if seen.end_lsn > witness.newest.point.lsn and not seen.is_cut_to_length:
            self._findings.add(path, "torn_slot", Severity.TORN, offset=offset)
        else:
            self._findings.add(path, "bad_slot", Severity.DAMAGE, offset=offset)

    def _judge_anchor(self, spec: ClassSpec, anchor: Anchor, seen: SegmentsSeen) -> None:
        digests = {place.digest for place in seen.places.get(anchor.lsn, ())}
        if _is_shown(anchor.lsn, seen) and anchor.digest not in digests:
            path = path_of(self._root, f"{spec.name}/{checkpoint_name(anchor.lsn)}")
            self._findings.add(path, "other_history", damage_to(spec), offset=48, classes=(spec.name,))

    def _judge_sets(self, spec: ClassSpec) -> None:
        """A crash while a set is written, or dropped, leaves it incomplete; nothing is lost by that."""
        own = self._listed.get(spec.name, set())
        others = {anchor.lsn for anchors in self._anchors.values() for anchor in anchors}
        for lsn in sorted(others - own) if own and not self._live else ():
            path = path_of(self._root, f"{spec.name}/{checkpoint_name(lsn)}")
            self._findings.add(path, "incomplete_set", Severity.HARMLESS, classes=(spec.name,))

    def _judge_reach(self, spec: ClassSpec, seen: SegmentsSeen) -> None:
        """The kept segments must begin at the newest checkpoint of the class, or before."""
        newest = max((anchor.lsn for anchor in self._anchors.get(spec.name, ())), default=None)
        if newest is None:
            return
        if self._live:
            # Since its checkpoints were read, newer ones may have let the segments behind them go.
            newest = max({newest, *self._listed.get(spec.name, ())})
        if seen.first_lsn > newest + 1:
            lsns = newest + 1, seen.first_lsn - 1
            path = path_of(self._root, spec.name)
            self._findings.add(path, "missing_records", damage_to(spec), classes=(spec.name,), lsns=lsns)

    def _check_other_names(self, look: Look) -> None:
        own = {MARKER, WITNESS, JOURNAL, QUARANTINE, TEMPORARY, *(spec.name for spec in self._shape.specs)}
        for name in self._root.names():
            if name not in own:
                self._findings.add(path_of(self._root, name), "unexpected", Severity.CACHE_DAMAGE)
        quarantine, temporary = path_of(self._root, QUARANTINE), path_of(self._root, TEMPORARY)
        with self._findings.noting(quarantine, Severity.CACHE_DAMAGE), self._root.directory(QUARANTINE) as folder:
            check_quarantine(folder, look)
        with self._findings.noting(temporary, Severity.CACHE_DAMAGE), self._root.directory(TEMPORARY) as folder:
            if not look.live and folder.names():
                self._findings.add(temporary, "leftover", Severity.HARMLESS)


def _journal_id(marker: Marker | None, key_files: dict[int, KeyFile]) -> bytes | None:
    """Whose journal this is: the marker says, and where it is damaged, the key files."""
    if marker is not None:
        return marker.journal_id
    return next((file.journal_id for file in key_files.values()), None)


def _own_slots(witness: WitnessFile | None, look: Look) -> list[Slot]:
    return [slot for slot in witness.slots if slot.journal_id == look.journal_id] if witness is not None else []


def _is_shown(lsn: int, seen: SegmentsSeen) -> bool:
    """Whether the segments judged have a place for `lsn`: it was neither retired nor lost, nor lies past the end."""
    if lsn == 0:
        return False
    is_kept = seen.shown_lsn <= lsn <= seen.last_lsn
    return is_kept and not any(first <= lsn <= last for first, last in seen.lost)


def _offset_of(slot: Slot) -> int:
    return (slot.sequence & 1) * WITNESS_SLOT_BYTES
