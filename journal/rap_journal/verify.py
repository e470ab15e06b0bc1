"""Verification: is every stored byte what was written? Of one journal, or of a whole store, with or without keys, beside a writer or alone.

Rules this file keeps:

- Nothing is changed and no lock is taken. No key is needed; with keys, seals are opened too, and tampering shows.
- In a cleanly closed store any changed bit is found, in whatever file, and so is any file that is missing, shortened, swapped or renamed.
  Not judged: the text in LOCK and what stands under ``tmp/``, both of which mean nothing.
- Beside a live writer nothing past a horizon is judged, and what is found counts only if a second look, later, finds it again:
  files come, go and grow meanwhile, but damage stays.
- One journal's damage never hides another's.

How grave damage is, in exit codes (the worst wins; `verify_report.Severity`):

6   torn tail: the last write of a crash, for which nothing vouches; the same for a witness slot, when the journal is ahead of the
    other slot and its last segment was still open.
7   caches only: files of the folders of cache classes, frames that hold records of cache classes only, and what no state depends on:
    the spare, quarantine, bytes behind a valid end, strangers among the files.
8   everything else: files of strict and sync classes, marker, witness, keys, segment headers, and frames that hold or may hold records
    of such classes. The class mask in a frame's header counts only where the header check is right and the header accounts for all LSNs
    that are missing: a mask that is itself damaged says nothing. Sync classes count with the strict ones, since a lost flag (degraded,
    offline) changes what the node may do. A doubt is resolved towards 8.
9, 11, 12   not judged: a later format; no key, or not a file the store would open; an error of the operating system.

Example::

    report = verify_store(root, Shapes(CLUSTER_SHAPE, AGENT_SHAPE))
    for finding in report.findings:
        print(finding.sentence())
"""

from typing import NamedTuple

from rap_journal.checkpoints import Anchor
from rap_journal.errors import DamageError, MisuseError
from rap_journal.filesystem import Directory
from rap_journal.format import WITNESS_SLOT_BYTES
from rap_journal.key_files import KeyFile, KeyProvider, open_keys
from rap_journal.layout import (
    AGENT,
    CLUSTERS,
    JOIN_PREFIX,
    JOURNAL,
    LOCK,
    MARKER,
    QUARANTINE,
    SPARE,
    TEMPORARY,
    WITNESS,
    keys_name,
    parse_checkpoint_name,
    parse_segment_name,
)
from rap_journal.markers import Marker, MarkerKind
from rap_journal.sealing import KeyRing
from rap_journal.values import ClassSpec, ClusterId
from rap_journal.verify_files import (
    REREADS,
    Findings,
    JournalShape,
    Look,
    check_class_folder,
    check_key_files,
    check_marker,
    check_quarantine,
    check_spare,
    check_witness,
    damage_to,
    path_of,
)
from rap_journal.verify_report import JournalSummary, Severity, VerifyReport
from rap_journal.verify_segments import Expected, Place, SegmentsSeen, check_segments
from rap_journal.witness import Slot, WitnessFile

_NEXT = "next"


class Shapes(NamedTuple):
    """What the journals of a store are expected to hold."""

    cluster: JournalShape
    agent: JournalShape


def verify_journal(root: Directory, shape: JournalShape, *, live: bool, keys: KeyProvider | None = None) -> VerifyReport:
    """Verify the journal in `root`.

    Args:
        root: the journal's folder, which holds its MARKER.
        shape: its classes, and where its key files lie.
        live: whether a writer may be at work; then nothing is judged that it may be changing.
        keys: opens the seals, too, where given.

    Raises nothing about what is stored: whatever cannot be read is a finding.
    """
    findings, summary = _look_at_journal(root, shape, live=live, keys=keys)
    if live and any(finding.severity for finding in findings):
        again, summary = _look_at_journal(root, shape, live=live, keys=keys)
        findings = _in_both(findings, again)
    return VerifyReport(tuple(findings), (summary,), live, keys is not None)


def verify_store(root: Directory, shapes: Shapes, *, live: bool | None = None, keys: KeyProvider | None = None) -> VerifyReport:
    """Verify a whole store: its marker, the agent's journal and that of every cluster, each by itself.

    Args:
        root: the store's root.
        shapes: what the journals hold.
        live: whether a writer may be at work; None asks the lock, before and after.
        keys: opens the seals, too, where given.
    """
    if live is not None:
        return _verify_store(root, shapes, live=live, keys=keys)
    if root.lock_holder(LOCK) is None:
        report = _verify_store(root, shapes, live=False, keys=keys)
        if root.lock_holder(LOCK) is None:
            return report
    # A writer is there, or came meanwhile: then what looked like a torn tail may have been its frame in the making.
    return _verify_store(root, shapes, live=True, keys=keys)


def _verify_store(root: Directory, shapes: Shapes, *, live: bool, keys: KeyProvider | None) -> VerifyReport:
    findings, journals = _look_at_store(root, shapes, live=live, keys=keys)
    if live and any(finding.severity for finding in findings):
        again, journals = _look_at_store(root, shapes, live=live, keys=keys)
        findings = _in_both(findings, again)
    return VerifyReport(tuple(findings), tuple(journals), live, keys is not None)


def _in_both(first: Findings, second: Findings) -> Findings:
    """The findings of the second look that stand where the first look had some: LSNs may have moved on, damage stays in its place."""
    places = {finding[:3] for finding in first}
    return Findings(finding for finding in second if finding[:3] in places)


def _look_at_store(
    root: Directory, shapes: Shapes, *, live: bool, keys: KeyProvider | None
) -> tuple[Findings, list[JournalSummary]]:
    findings = Findings()
    marker = check_marker(root, findings)
    if marker is not None and marker.kind is not MarkerKind.STORE:
        findings.add(MARKER, "misplaced", Severity.DAMAGE)
    store_id = marker.journal_id if marker is not None else None
    for name in root.names():
        if name not in (MARKER, LOCK, AGENT, CLUSTERS, TEMPORARY):
            findings.add(name, "unexpected", Severity.CACHE_DAMAGE)
    journals: list[JournalSummary] = []
    with findings.noting(AGENT, Severity.DAMAGE), root.directory(AGENT) as agent:
        journals.append(
            _Verifier(agent, shapes.agent, findings, live=live, keys=keys, store_id=store_id).run(MarkerKind.AGENT, "")
        )
    with findings.noting(CLUSTERS, Severity.DAMAGE), root.directory(CLUSTERS) as clusters:
        for name in clusters.names():
            path = path_of(clusters, name)
            if name.startswith(JOIN_PREFIX):
                findings.add(path, "unfinished_join", Severity.HARMLESS)
            elif not _is_cluster_id(name):
                findings.add(path, "unexpected", Severity.CACHE_DAMAGE)
            else:
                with findings.noting(path, Severity.DAMAGE, may_vanish=live), clusters.directory(name) as cluster:
                    verifier = _Verifier(cluster, shapes.cluster, findings, live=live, keys=keys, store_id=store_id)
                    journals.append(verifier.run(MarkerKind.CLUSTER, name))
    return findings, journals


def _look_at_journal(
    root: Directory, shape: JournalShape, *, live: bool, keys: KeyProvider | None
) -> tuple[Findings, JournalSummary]:
    findings = Findings()
    return findings, _Verifier(root, shape, findings, live=live, keys=keys).run(None, None)


class _Verifier:
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

    def run(self, kind: MarkerKind | None, cluster: str | None) -> JournalSummary:
        """Look at everything. The order matters beside a live writer: checkpoints, then witness, then segments, so that whatever
        the former name is in the latter."""
        marker = check_marker(self._root, self._findings)
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
            self._judge(seen, witness)
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
        return KeyRing(marker.journal_id, opened, marker.key_generation) if marker.key_generation in opened else None

    def _check_journal_folder(self, look: Look, witness: WitnessFile | None) -> SegmentsSeen | None:
        slots = _own_slots(witness, look)
        points = [slot.point.lsn for slot in slots]
        anchors = [anchor.lsn for anchors in self._anchors.values() for anchor in anchors]
        # Beside a live writer a checkpoint vouches for nothing that the witness, read after it, does not.
        expected = Expected(max(points if look.live else points + anchors, default=0), frozenset(points + anchors))
        path = path_of(self._root, JOURNAL)
        with self._findings.noting(path, Severity.DAMAGE), self._root.directory(JOURNAL) as folder:
            for name in folder.names():
                if name == _NEXT and not look.live:
                    self._findings.add(path_of(folder, name), "leftover", Severity.HARMLESS)
                elif parse_segment_name(name) is None and name not in (SPARE, _NEXT):
                    self._findings.add(path_of(folder, name), "unexpected", Severity.CACHE_DAMAGE)
            check_spare(folder, look)
            if look.journal_id is None:
                raise DamageError(f"{path} was not judged: nothing says whose it is", file=path, reason="unknown_journal")
            for again in range(REREADS):
                try:
                    return check_segments(folder, look, expected, self._history_floor)
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
                lsns = [lsn for name in folder.names() if (lsn := parse_checkpoint_name(name)) is not None]
                floor = max(floor, min(lsns, default=0))
        return floor

    def _judge(self, seen: SegmentsSeen, witness: WitnessFile | None) -> None:
        """Compare what witness and checkpoints say with what the segments hold."""
        path = path_of(self._root, WITNESS)
        for slot in witness.slots if witness is not None else ():
            point = slot.point
            place = Place(point.digest, point.segment, point.offset)
            if _is_shown(point.lsn, seen) and place not in seen.places.get(point.lsn, ()):
                self._findings.add(path, "diverged", Severity.DAMAGE, offset=_offset_of(slot))
        if witness is not None and witness.bad_slots:
            self._judge_bad_slots(seen, witness, path)
        for spec in self._shape.specs:
            for anchor in self._anchors.get(spec.name, ()):
                self._judge_anchor(spec, anchor, seen)
            newest = max((anchor.lsn for anchor in self._anchors.get(spec.name, ())), default=None)
            if newest is not None and seen.first_lsn > newest + 1:
                lsns = newest + 1, seen.first_lsn - 1
                self._findings.add(
                    path_of(self._root, spec.name), "missing_records", damage_to(spec), classes=(spec.name,), lsns=lsns
                )

    def _judge_bad_slots(self, seen: SegmentsSeen, witness: WitnessFile, path: str) -> None:
        if witness.newest is None:
            self._findings.add(path, "bad_slot", Severity.DAMAGE)
            self._findings.add(path, "bad_slot", Severity.DAMAGE, offset=WITNESS_SLOT_BYTES)
            return
        offset = WITNESS_SLOT_BYTES - _offset_of(witness.newest)
        # A crash tears the slot that is being written, and then the journal is ahead of the other one. A clean close cuts the last
        # segment to its length just before it writes the witness: from then on a slot that does not verify is no tear.
        if seen.last_lsn > witness.newest.point.lsn and not seen.is_cut_to_length:
            self._findings.add(path, "torn_slot", Severity.TORN, offset=offset)
        else:
            self._findings.add(path, "bad_slot", Severity.DAMAGE, offset=offset)

    def _judge_anchor(self, spec: ClassSpec, anchor: Anchor, seen: SegmentsSeen) -> None:
        digests = {place.digest for place in seen.places.get(anchor.lsn, ())}
        if _is_shown(anchor.lsn, seen) and anchor.digest not in digests:
            path = path_of(self._root, f"{spec.name}/checkpoint-{anchor.lsn:016d}")
            self._findings.add(path, "other_history", damage_to(spec), offset=48, classes=(spec.name,))

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
    is_kept = seen.first_lsn - 1 <= lsn <= seen.last_lsn
    return is_kept and not any(first <= lsn <= last for first, last in seen.lost)


def _offset_of(slot: Slot) -> int:
    return (slot.sequence & 1) * WITNESS_SLOT_BYTES


def _is_cluster_id(name: str) -> bool:
    try:
        ClusterId(name)
    except MisuseError:
        return False
    return True


__all__ = ["JournalShape", "Shapes", "verify_journal", "verify_store"]
