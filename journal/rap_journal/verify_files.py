"""Verification of everything in a journal's folder but its segments: marker, witness, keys, sealed files, ledger, quarantine, names.

Rules this file keeps:

- Nothing is changed, and no key is needed: digests are over stored bytes. With keys, seals are opened as well.
- One bad file never hides another: every file is judged for itself, and an error is a finding.
- A file that is gone by the time it is opened is nobody's loss beside a live writer, which renames and removes whole files.

Example::

    marker = check_marker(root, findings)
    check_class_folder(folder, spec, look)
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from rap_journal.checkpoints import Anchor
from rap_journal.deterministic_cbor import MalformedCbor, decode_own
from rap_journal.errors import (
    DamageError,
    FormatTooNew,
    KeyLost,
    KeyTampered,
    KeyUnavailable,
    StateStoreError,
    UnsafeFile,
)
from rap_journal.filesystem import Directory, read_whole
from rap_journal.format import MARKER_BLOCK_BYTES, MARKER_DIGESTED_BYTES, SEGMENT_HEADER_BYTES, WITNESS_SLOT_BYTES
from rap_journal.format_levels import LEVELS, FormatLevels, require_known
from rap_journal.key_files import KeyFile, check_slots, read_key_file
from rap_journal.layout import (
    MARKER,
    QUARANTINE,
    SPARE,
    WITNESS,
    keys_name,
    parse_checkpoint_name,
    parse_document_name,
    parse_keys_name,
    parse_quarantine_name,
    parse_wiping_name,
)
from rap_journal.ledger import check_ledger_file, list_ledger, open_ledger
from rap_journal.markers import Marker, read_marker
from rap_journal.quarantine import read_piece
from rap_journal.sealed_files import SealedFile, read_sealed_file, salt_of, unseal_file
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.segments import decode_segment_header
from rap_journal.values import ClassSpec, Durability
from rap_journal.verify_report import Severity, VerifyFinding
from rap_journal.witness import WitnessFile, open_slot, read_witness

REREADS = 8
"""How often something that a live writer may be writing at this moment is read before it is judged."""

_KEYS_BYTES_MIN = 256
_PIECE_BYTES_MAX = 2 << 30
_STEP_BYTES = 1 << 20


class JournalShape(NamedTuple):
    """What a journal's folder is expected to hold.

    Attributes:
        specs: its state classes.
        key_folders: names of the folders that each hold a copy of the key file.
        levels: format levels that are known.
    """

    specs: Sequence[ClassSpec]
    key_folders: Sequence[str]
    levels: FormatLevels = LEVELS


class Findings:
    """Collects findings; the same one twice counts once."""

    def __init__(self, found: Iterable[VerifyFinding] = ()) -> None:
        self._found = set(found)

    def __iter__(self) -> Iterator[VerifyFinding]:
        return iter(sorted(self._found))

    def add(
        self,
        file: str,
        reason: str,
        severity: Severity,
        *,
        offset: int = 0,
        classes: Sequence[str] = (),
        lsns: tuple[int, int] = (0, 0),
    ) -> None:
        """Note one finding."""
        self._found.add(VerifyFinding(file, offset, reason, severity, tuple(classes), *lsns))

    def add_error(self, error: StateStoreError | OSError, file: str, damage: Severity, classes: Sequence[str] = ()) -> None:
        """Note that `file` could not be read or did not verify; `damage` is what that means where its bytes are to blame."""
        if isinstance(error, StateStoreError):
            reason, offset = error.reason or "damaged", error.offset or 0
        else:
            reason, offset = ("missing" if isinstance(error, FileNotFoundError) else "unreadable"), 0
        self.add(file, reason, _severity_of(error, damage), offset=offset, classes=classes)

    def noting(self, file: str, damage: Severity, classes: Sequence[str] = (), *, may_vanish: bool = False) -> "Noting":
        """A context in which an error becomes a finding about `file`; with `may_vanish`, its absence is none."""
        return Noting(self, file, damage, classes, may_vanish=may_vanish)


class Noting:
    """See `Findings.noting`. A class, so that a type checker sees that it may swallow an error."""

    def __init__(self, findings: Findings, file: str, damage: Severity, classes: Sequence[str], *, may_vanish: bool) -> None:
        self._findings = findings
        self._file = file
        self._damage = damage
        self._classes = classes
        self._may_vanish = may_vanish

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(error, StateStoreError | OSError):
            return False
        if not (self._may_vanish and isinstance(error, FileNotFoundError)):
            self._findings.add_error(error, self._file, self._damage, self._classes)
        return True


class Look(NamedTuple):
    """What every check of one journal is handed.

    Attributes:
        shape: what is expected.
        journal_id: whose files these must be; None where neither marker nor witness says.
        live: whether a writer may be at work.
        ring: opens seals, where keys were given.
        findings: what was found so far.
    """

    shape: JournalShape
    journal_id: bytes | None
    live: bool
    ring: KeyRing | None
    findings: Findings


def path_of(folder: Directory, name: str) -> str:
    """The path of `name`, relative to the root."""
    return f"{folder.name}/{name}" if folder.name else name


def damage_to(spec: ClassSpec) -> Severity:
    """How grave damage to a class is: only caches are rebuilt without a thought; a sync class may have held a degraded flag."""
    return Severity.CACHE_DAMAGE if spec.durability is Durability.CACHE else Severity.DAMAGE


def check_marker(root: Directory, findings: Findings, levels: FormatLevels = LEVELS) -> Marker | None:
    """Check both blocks of a marker and return what it says, or None where neither block does, or its level is not known."""
    path = path_of(root, MARKER)
    with findings.noting(path, Severity.DAMAGE):
        data = read_whole(root, MARKER, 2 * MARKER_BLOCK_BYTES)
        blocks = data[:MARKER_BLOCK_BYTES], data[MARKER_BLOCK_BYTES : 2 * MARKER_BLOCK_BYTES]
        if len(data) != 2 * MARKER_BLOCK_BYTES:
            findings.add(path, "bad_length", Severity.DAMAGE, offset=min(len(data), 2 * MARKER_BLOCK_BYTES))
        bad = [hashlib.sha256(block[:MARKER_DIGESTED_BYTES]).digest() != block[MARKER_DIGESTED_BYTES:] for block in blocks]
        for index in range(2):
            if bad[index]:
                findings.add(path, "bad_block", Severity.DAMAGE, offset=index * MARKER_BLOCK_BYTES)
        if not any(bad) and blocks[0] != blocks[1]:
            findings.add(path, "blocks_differ", Severity.DAMAGE, offset=MARKER_BLOCK_BYTES)
        marker = read_marker(root).marker
        require_known(marker.format_level, levels, path)
        return marker
    return None


def check_witness(root: Directory, look: Look) -> WitnessFile | None:
    """Read both slots; slots that do not verify are only counted here, since what they mean depends on the journal's end."""
    path = path_of(root, WITNESS)
    with look.findings.noting(path, Severity.DAMAGE):
        witness = read_witness(root)
        for _again in range(REREADS if look.live else 0):
            if not witness.bad_slots:
                break
            witness = read_witness(root)
        status = root.status(WITNESS)
        if status is not None and status.size != 2 * WITNESS_SLOT_BYTES:
            look.findings.add(path, "bad_length", Severity.DAMAGE, offset=min(status.size, 2 * WITNESS_SLOT_BYTES))
        for slot in witness.slots:
            offset = (slot.sequence & 1) * WITNESS_SLOT_BYTES
            if look.journal_id is not None and slot.journal_id != look.journal_id:
                look.findings.add(path, "foreign", Severity.DAMAGE, offset=offset)
            if look.ring is not None:
                with look.findings.noting(path, Severity.DAMAGE):
                    open_slot(slot, look.ring)
        points = [slot.point for slot in witness.slots]
        if len(points) == 2 and (points[0].lsn < points[1].lsn or points[0].epoch < points[1].epoch):
            look.findings.add(path, "fell_back", Severity.DAMAGE)
        return witness
    return None


def check_key_files(root: Directory, shape: JournalShape, marker: Marker | None, findings: Findings) -> dict[int, KeyFile]:
    """Check all copies of all key files; returns a whole one of every generation."""
    good: dict[int, KeyFile] = {}
    for folder_name in shape.key_folders:
        wanted = set() if marker is None else {keys_name(marker.key_generation)}
        with findings.noting(path_of(root, folder_name), Severity.DAMAGE), root.directory(folder_name) as folder:
            for name in sorted(wanted | {name for name in folder.names() if parse_keys_name(name) is not None}):
                with findings.noting(path_of(folder, name), Severity.DAMAGE):
                    _check_key_file(folder, name, marker, good, findings)
    return good


def check_class_folder(folder: Directory, spec: ClassSpec, look: Look) -> list[Anchor]:
    """Check every checkpoint and document of a class; returns where in the journal its valid checkpoints stand, oldest first."""
    anchors: list[Anchor] = []
    damage, findings = damage_to(spec), look.findings
    for name in folder.names():
        path = path_of(folder, name)
        is_sealed = parse_checkpoint_name(name) is not None or parse_document_name(name) is not None
        if is_sealed:
            with findings.noting(path, damage, (spec.name,), may_vanish=look.live):
                header = _check_sealed_file(folder, name, spec, look).header
                if header.purpose is Purpose.CHECKPOINT:
                    anchors.append(Anchor(header.lsn, header.epoch, header.chain_digest))
        elif parse_wiping_name(name) is not None:
            # What stands in it is on its way to zeros and means nothing: the next opening removes it.
            continue
        elif parse_keys_name(name) is None or spec.name not in look.shape.key_folders:
            findings.add(path, "unexpected", Severity.CACHE_DAMAGE)
    if not anchors:
        findings.add(folder.name, "no_checkpoint", damage, classes=(spec.name,))
    return anchors


def check_ledger(folder: Directory, look: Look) -> list[tuple[str, Anchor]]:
    """Check every ledger file in the folder of segments; returns the valid ones' paths, and where in the journal they end, oldest first."""
    ends: list[tuple[str, Anchor]] = []
    for span in list_ledger(folder):
        path = path_of(folder, span.name)
        with look.findings.noting(path, Severity.CACHE_DAMAGE, may_vanish=look.live):
            file = check_ledger_file(folder, span, look.journal_id)
            if look.ring is not None:
                open_ledger(file, span, look.ring)
            ends.append((path, Anchor(file.header.lsn, file.header.epoch, file.header.chain_digest)))
    return ends


def check_quarantine(folder: Directory, look: Look) -> None:
    """Check the pieces that recoveries kept."""
    for name in folder.names():
        path = path_of(folder, name)
        if parse_keys_name(name) is not None and QUARANTINE in look.shape.key_folders:
            continue
        if parse_quarantine_name(name) is None:
            look.findings.add(path, "unexpected", Severity.CACHE_DAMAGE)
            continue
        with look.findings.noting(path, Severity.CACHE_DAMAGE, may_vanish=look.live):
            status = folder.status(name)
            if status is not None and status.size > _PIECE_BYTES_MAX:
                raise DamageError(f"{path} is larger than anything that is kept there", file=path, reason="too_large")
            if look.journal_id not in (None, read_piece(folder, name).journal_id):
                look.findings.add(path, "foreign", Severity.CACHE_DAMAGE)


def check_spare(folder: Directory, look: Look) -> None:
    """The spare is all zeros; a crash, or a live writer at this moment, may have left a whole segment header in it."""
    path = path_of(folder, SPARE)
    with look.findings.noting(path, Severity.CACHE_DAMAGE, may_vanish=True):
        offset = _first_nonzero(folder, SPARE)
        for _again in range(REREADS if look.live else 0):
            if offset is None:
                return
            offset = _first_nonzero(folder, SPARE)
        if offset is None:
            return
        if offset < SEGMENT_HEADER_BYTES and _holds_only_a_header(folder, SPARE):
            if not look.live:
                look.findings.add(path, "leftover", Severity.HARMLESS)
            return
        look.findings.add(path, "not_zero", Severity.CACHE_DAMAGE, offset=offset)


def _severity_of(error: StateStoreError | OSError, damage: Severity) -> Severity:
    if isinstance(error, FormatTooNew):
        return Severity.UNKNOWN_FORMAT
    if isinstance(error, SealBroken | KeyTampered):
        return Severity.DAMAGE
    if isinstance(error, KeyUnavailable | KeyLost | UnsafeFile | PermissionError):
        return Severity.UNAVAILABLE
    if isinstance(error, StateStoreError | FileNotFoundError):
        return damage
    return Severity.UNREADABLE


def _check_key_file(folder: Directory, name: str, marker: Marker | None, good: dict[int, KeyFile], findings: Findings) -> None:
    path = path_of(folder, name)
    status = folder.status(name)
    if status is not None and status.size < _KEYS_BYTES_MIN:
        raise DamageError(f"{path} is too short for a key file", file=path, reason="too_short")
    file = read_key_file(folder, name)
    generation = parse_keys_name(name)
    assert generation is not None
    if file.key_generation != generation:
        findings.add(path, "misnamed", Severity.DAMAGE)
        return
    if marker is not None and file.journal_id != marker.journal_id:
        findings.add(path, "foreign", Severity.DAMAGE)
        return
    if marker is not None and generation == marker.key_generation and file.key_check != marker.key_check:
        findings.add(path, "other_key", Severity.DAMAGE)
    check_slots(file)
    other = good.setdefault(generation, file)
    if other != file:
        # Adding or removing a slot writes one copy after the other; the next opening makes them alike.
        is_step = file.key_check == other.key_check and not (
            set(file.slots) - set(other.slots) and set(other.slots) - set(file.slots)
        )
        is_step = is_step and len(file.slots) != len(other.slots)
        findings.add(path, "copies_differ", Severity.HARMLESS if is_step else Severity.DAMAGE)


def _check_sealed_file(folder: Directory, name: str, spec: ClassSpec, look: Look) -> SealedFile:
    file = read_sealed_file(folder, name)
    header, path = file.header, path_of(folder, name)
    if header.state_class != spec.number or look.journal_id not in (None, header.journal_id):
        raise DamageError(f"{path} belongs to another journal or class", file=path, reason="foreign")
    if header.purpose is Purpose.CHECKPOINT:
        is_named = parse_checkpoint_name(name) == header.lsn
    else:
        is_named = parse_document_name(name) == salt_of(file)[:16]
    if not is_named:
        raise DamageError(f"{path} is another file than its name says", file=path, reason="misnamed")
    if look.ring is not None:
        content = unseal_file(file, look.ring)
        if header.purpose is Purpose.CHECKPOINT:
            _check_checkpoint_content(content, path)
    return file


def _check_checkpoint_content(content: bytes, path: str) -> None:
    try:
        head, node_us, _value = decode_own(content)
        is_right = (head is None or len(head) == 3) and isinstance(node_us, int)
    except (MalformedCbor, TypeError, ValueError):
        is_right = False
    if not is_right:
        raise DamageError(f"{path} unseals to something that is no checkpoint", file=path, reason="bad_content")


def _first_nonzero(folder: Directory, name: str) -> int | None:
    with folder.open(name) as file:
        for start in range(0, file.size(), _STEP_BYTES):
            data = file.read_at(start, _STEP_BYTES)
            if any(data):
                return start + len(data) - len(data.lstrip(b"\0"))
    return None


def _holds_only_a_header(folder: Directory, name: str) -> bool:
    with folder.open(name) as file:
        head = file.read_at(0, SEGMENT_HEADER_BYTES)
        rest_is_zero = not any(file.read_at(SEGMENT_HEADER_BYTES, file.size()))
    try:
        decode_segment_header(head, name)
    except StateStoreError:
        return False
    return rest_is_zero
