"""Everything in a journal's folder but its segments, each kind of file judged for itself."""

import errno
import hashlib
from collections.abc import Callable

import pytest

from rap_journal.errors import (
    DamageError,
    FormatTooNew,
    KeyLost,
    KeyTampered,
    KeyUnavailable,
    NoSpace,
    StateStoreError,
    UnsafeFile,
)
from rap_journal.filesystem import Directory
from rap_journal.format import SEGMENT_HEADER_BYTES, WITNESS_SLOT_BYTES
from rap_journal.format_levels import FormatLevels
from rap_journal.key_files import make_key_file
from rap_journal.layout import JOURNAL, QUARANTINE, SPARE
from rap_journal.markers import Marker, MarkerKind, ProviderKind, encode_marker
from rap_journal.sealed_files import SealedHeader, encode_sealed_file
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.testing import SeededRandomness
from rap_journal.verify_files import (
    Findings,
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
from rap_journal.verify_report import Severity, VerifyFinding
from rap_journal.witness import SealedPart, WitnessPoint, WitnessWriter
from tests.journal.sound_journal import SHAPE, Patient, sound_files
from tests.journal.watched_directory import WatchedDirectory
from tests.journal.workbench import JOURNAL_ID, PEERS, SPECS, STORE_ID, FixedProvider, segments_in

CHECKPOINT = "checkpoint-0000000000000000"
RING = KeyRing(JOURNAL_ID, {1: b"k" * 32}, 1)
DAMAGED = DamageError("rot", reason="bad_digest", offset=48)


@pytest.fixture
def patient() -> Patient:
    return Patient()


def look_at(*, live: bool = False, journal_id: bytes | None = JOURNAL_ID, ring: KeyRing | None = None) -> Look:
    return Look(SHAPE, journal_id, live, ring, Findings())


def brief(findings: Findings) -> list[tuple[str, int, str, Severity]]:
    return [finding[:4] for finding in findings]


def write(patient: Patient, name: str, data: bytes) -> None:
    """Make `data` what the file holds, behind everybody's back."""
    folder, _, last = name.rpartition("/")
    with patient.root.directory(folder) if folder else patient.root.directory("journal") as directory:
        where = directory if folder else patient.root
        if where.status(last) is not None:
            where.unlink(last)
        with where.create(last) as file:
            file.write_at(0, data)


def content(name: str) -> bytes:
    data = sound_files()[name]
    assert data is not None
    return data


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


# Findings.


def test_the_same_finding_twice_counts_once_and_all_come_sorted() -> None:
    findings = Findings([VerifyFinding("b", 0, "r", Severity.TORN)])
    for _again in range(2):
        findings.add("b", "r", Severity.TORN)
        findings.add("a", "z", Severity.DAMAGE, offset=9, classes=["trust"], lsns=(1, 2))
        findings.add("a", "b", Severity.DAMAGE, offset=9)
    assert list(findings) == [
        VerifyFinding("a", 9, "b", Severity.DAMAGE),
        VerifyFinding("a", 9, "z", Severity.DAMAGE, ("trust",), 1, 2),
        VerifyFinding("b", 0, "r", Severity.TORN),
    ]


@pytest.mark.parametrize(
    ("error", "reason", "offset", "severity"),
    [
        (DAMAGED, "bad_digest", 48, Severity.CACHE_DAMAGE),
        (DamageError("no word for it"), "damaged", 0, Severity.CACHE_DAMAGE),
        (FileNotFoundError(errno.ENOENT, "gone"), "missing", 0, Severity.CACHE_DAMAGE),
        (FormatTooNew("later", reason="marker_version"), "marker_version", 0, Severity.UNKNOWN_FORMAT),
        (SealBroken("tampered", reason="seal_broken"), "seal_broken", 0, Severity.DAMAGE),
        (KeyTampered("tampered", reason="key_check"), "key_check", 0, Severity.DAMAGE),
        (KeyUnavailable("no answer", reason="no_answer"), "no_answer", 0, Severity.UNAVAILABLE),
        (KeyLost("gone", reason="wrong_key"), "wrong_key", 0, Severity.UNAVAILABLE),
        (UnsafeFile("a link", reason="link"), "link", 0, Severity.UNAVAILABLE),
        (PermissionError(errno.EACCES, "denied"), "unreadable", 0, Severity.UNAVAILABLE),
        (OSError(errno.EIO, "broken"), "unreadable", 0, Severity.UNREADABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_a_finding_as_grave_as_it_is(
    error: StateStoreError | OSError, reason: str, offset: int, severity: Severity
) -> None:
    findings = Findings()
    with findings.noting("file", Severity.CACHE_DAMAGE, ("peers",)):
        raise error
    assert list(findings) == [VerifyFinding("file", offset, reason, severity, ("peers",))]


def test_damaged_bytes_are_as_grave_as_the_caller_says() -> None:
    for damage in (Severity.CACHE_DAMAGE, Severity.DAMAGE):
        findings = Findings()
        findings.add_error(DAMAGED, "file", damage)
        assert brief(findings) == [("file", 48, "bad_digest", damage)]


def test_what_may_vanish_may_be_missing_and_nothing_else() -> None:
    findings = Findings()
    with findings.noting("file", Severity.DAMAGE, may_vanish=True):
        raise FileNotFoundError(errno.ENOENT, "gone")
    assert list(findings) == []
    with findings.noting("file", Severity.DAMAGE, may_vanish=True):
        raise NoSpace("full", reason="no_space")
    assert brief(findings) == [("file", 0, "no_space", Severity.DAMAGE)]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_bug_or_an_interrupt_is_no_finding(error: BaseException) -> None:
    findings = Findings()
    with pytest.raises(type(error)), findings.noting("file", Severity.DAMAGE):
        raise error
    assert list(findings) == []


def test_only_damage_to_caches_is_no_more_than_that() -> None:
    assert {spec.name: damage_to(spec) for spec in SPECS} == {
        "identity": Severity.DAMAGE,
        "trust": Severity.DAMAGE,
        "health": Severity.DAMAGE,
        "peers": Severity.CACHE_DAMAGE,
    }


def test_paths_are_relative_to_the_root(patient: Patient) -> None:
    assert path_of(patient.root, "MARKER") == "MARKER"
    assert path_of(patient.root.directory("trust"), CHECKPOINT) == f"trust/{CHECKPOINT}"


# The marker.

MARKER = Marker(MarkerKind.CLUSTER, ProviderKind.MEMORY, JOURNAL_ID, STORE_ID, "eu-1", 1)


@pytest.mark.parametrize(
    ("data", "expected", "is_read"),
    [
        (encode_marker(MARKER), [], True),
        (flipped(encode_marker(MARKER), 20), [(0, "bad_block")], True),
        (flipped(encode_marker(MARKER), 512 + 20), [(512, "bad_block")], True),
        (encode_marker(MARKER)[:512] + encode_marker(MARKER._replace(serial=2))[512:], [(512, "blocks_differ")], True),
        (encode_marker(MARKER) + b"\0", [(1024, "bad_length")], True),
        (encode_marker(MARKER)[:-1], [(512, "bad_block"), (1023, "bad_length")], True),
        (bytes(1024), [(0, "bad_block"), (0, "no_marker"), (512, "bad_block")], False),
        (b"", [(0, "bad_block"), (0, "bad_length"), (0, "no_marker"), (512, "bad_block")], False),
    ],
    ids=["sound", "first block", "second block", "differ", "longer", "shorter", "zeros", "empty"],
)
def test_every_bit_of_a_marker_counts_and_one_block_is_enough(
    patient: Patient, data: bytes, expected: list[tuple[int, str]], *, is_read: bool
) -> None:
    write(patient, "MARKER", data)
    findings = Findings()
    assert (check_marker(patient.root, findings) is not None) is is_read
    assert brief(findings) == [("MARKER", offset, reason, Severity.DAMAGE) for offset, reason in expected]


def test_a_marker_of_a_level_that_is_not_known_is_named_and_not_believed(patient: Patient) -> None:
    write(patient, "MARKER", encode_marker(MARKER._replace(format_level=2)))
    findings = Findings()
    assert check_marker(patient.root, findings, FormatLevels(known=1, made=1)) is None
    assert brief(findings) == [("MARKER", 0, "format_level", Severity.UNKNOWN_FORMAT)]
    known = Findings()
    assert check_marker(patient.root, known, FormatLevels(known=2, made=1)) is not None
    assert list(known) == []


# The witness.


def slots(first: bytes | None = None, second: bytes | None = None) -> bytes:
    data = content("WITNESS")
    return (first if first is not None else data[:WITNESS_SLOT_BYTES]) + (
        second if second is not None else data[WITNESS_SLOT_BYTES:]
    )


def test_a_sound_witness_has_two_slots_and_no_finding(patient: Patient) -> None:
    look = look_at(ring=None)
    witness = check_witness(patient.root, look)
    assert witness is not None and (len(witness.slots), witness.bad_slots) == (2, 0)
    assert list(look.findings) == []


def test_bad_slots_are_counted_and_not_judged(patient: Patient) -> None:
    write(patient, "WITNESS", slots(first=bytes(WITNESS_SLOT_BYTES)))
    look = look_at()
    witness = check_witness(patient.root, look)
    assert witness is not None and witness.bad_slots == 1
    assert list(look.findings) == []


def test_a_witness_of_another_length_is_damage(patient: Patient) -> None:
    for data, offset in ((slots() + b"\0", 8192), (slots()[:-1], 8191)):
        write(patient, "WITNESS", data)
        look = look_at()
        check_witness(patient.root, look)
        assert brief(look.findings) == [("WITNESS", offset, "bad_length", Severity.DAMAGE)]


def test_slots_of_another_journal_are_foreign_each(patient: Patient) -> None:
    look = look_at(journal_id=b"another journal!")
    check_witness(patient.root, look)
    assert brief(look.findings) == [("WITNESS", at, "foreign", Severity.DAMAGE) for at in (0, WITNESS_SLOT_BYTES)]
    unknown = look_at(journal_id=None)
    check_witness(patient.root, unknown)
    assert list(unknown.findings) == []


def written_witness(*points: tuple[int, int], ring: KeyRing = RING) -> Patient:
    """A witness whose slots were written one after the other, each with an LSN and an epoch."""
    patient = Patient()
    write(patient, "WITNESS", b"")
    with patient.root.open("WITNESS", writable=True) as file:
        writer = WitnessWriter(file, JOURNAL_ID, ring, SeededRandomness("witness"))
        for lsn, epoch in points:
            writer.write(WitnessPoint(bytes(16), lsn, bytes(16), 1, 512, epoch, 0), SealedPart())
    return patient


@pytest.mark.parametrize(
    ("newer", "falls"), [((9, 3), False), ((8, 2), False), ((9, 1), True), ((7, 2), True), ((7, 3), True), ((8, 1), True)]
)
def test_a_witness_only_ever_moves_forward(newer: tuple[int, int], *, falls: bool) -> None:
    look = look_at()
    check_witness(written_witness((8, 2), newer).root, look)
    assert brief(look.findings) == ([("WITNESS", 0, "fell_back", Severity.DAMAGE)] if falls else [])


def test_one_slot_alone_cannot_have_fallen_back() -> None:
    look = look_at()
    witness = check_witness(written_witness((8, 2)).root, look)
    assert witness is not None and len(witness.slots) == 1
    assert [finding.reason for finding in look.findings] == []


def test_with_keys_a_slot_that_does_not_unseal_is_tampering() -> None:
    patient = written_witness((8, 2), (9, 2))
    sound, other = look_at(ring=RING), look_at(ring=KeyRing(JOURNAL_ID, {1: b"x" * 32}, 1))
    check_witness(patient.root, sound)
    check_witness(patient.root, other)
    assert list(sound.findings) == []
    assert brief(other.findings) == [("WITNESS", 0, "seal_broken", Severity.DAMAGE)]


def test_a_missing_witness_is_damage(patient: Patient) -> None:
    patient.root.unlink("WITNESS")
    look = look_at()
    assert check_witness(patient.root, look) is None
    assert brief(look.findings) == [("WITNESS", 0, "missing", Severity.DAMAGE)]


def test_beside_a_writer_a_slot_that_is_being_written_is_read_again(patient: Patient) -> None:
    sound = slots()
    write(patient, "WITNESS", slots(second=b"\x55" * WITNESS_SLOT_BYTES))
    steps = iter(range(1000))

    def finish_the_slot() -> None:
        if next(steps) == 40:
            patient.overwrite("WITNESS", 0, sound)

    look = look_at(live=True)
    witness = check_witness(WatchedDirectory(patient.root, finish_the_slot), look)  # type: ignore[arg-type]  # what a reader may use
    assert witness is not None and witness.bad_slots == 0


# Key files.


def keys_found(patient: Patient, marker: Marker | None = None) -> tuple[list[int], list[tuple[str, int, str, Severity]]]:
    findings = Findings()
    good = check_key_files(patient.root, SHAPE, marker or check_marker(patient.root, findings), findings)
    return sorted(good), brief(findings)


def test_two_whole_copies_of_the_keys_have_no_finding(patient: Patient) -> None:
    assert keys_found(patient) == ([1], [])


@pytest.mark.parametrize("folder", ["identity", "trust"])
def test_one_bad_copy_is_damage_and_the_other_serves(patient: Patient, folder: str) -> None:
    name = f"{folder}/keys-00000001"
    write(patient, name, flipped(content(name), 100))
    assert keys_found(patient) == ([1], [(name, 0, "bad_digest", Severity.DAMAGE)])
    write(patient, name, b"short")
    assert keys_found(patient) == ([1], [(name, 0, "too_short", Severity.DAMAGE)])
    patient.root.directory(folder).unlink("keys-00000001")
    assert keys_found(patient) == ([1], [(name, 0, "missing", Severity.DAMAGE)])


def test_a_generation_under_the_name_of_another_is_misnamed_and_not_used(patient: Patient) -> None:
    for folder in ("identity", "trust"):
        write(patient, f"{folder}/keys-00000002", content("trust/keys-00000001"))
    assert keys_found(patient) == (
        [1],
        [(f"{folder}/keys-00000002", 0, "misnamed", Severity.DAMAGE) for folder in ("identity", "trust")],
    )


def test_keys_of_another_journal_are_foreign_and_not_used(patient: Patient) -> None:
    marker = check_marker(patient.root, Findings())
    assert marker is not None
    generations, found = keys_found(patient, marker._replace(journal_id=b"another journal!"))
    assert generations == []
    assert [finding[2] for finding in found] == ["foreign", "foreign"]


def test_keys_that_are_not_those_the_marker_names_are_named(patient: Patient) -> None:
    marker = check_marker(patient.root, Findings())
    assert marker is not None
    _generations, found = keys_found(patient, marker._replace(key_check=b"another check..."))
    assert [finding[2] for finding in found] == ["other_key", "other_key"]


def test_two_copies_that_are_whole_and_differ_are_named(patient: Patient) -> None:
    name = "trust/keys-00000001"
    write(patient, name, make_key_file(FixedProvider(), JOURNAL_ID, 1, b"k" * 32, SeededRandomness("another")))
    _generations, found = keys_found(patient)
    assert (name, 0, "copies_differ", Severity.DAMAGE) in found


# Class folders.


def folder_of(patient: Patient, name: str, look: Look) -> list[int]:
    spec = next(spec for spec in SPECS if spec.name == name)
    return [anchor.lsn for anchor in check_class_folder(patient.root.directory(name), spec, look)]


def test_sound_class_folders_give_where_their_checkpoints_stand(patient: Patient) -> None:
    for spec in SPECS:
        look = look_at()
        lsns = folder_of(patient, spec.name, look)
        assert lsns == sorted(lsns) and lsns[0] == 0 and len(lsns) == 2
        assert list(look.findings) == []


@pytest.mark.parametrize(("folder", "severity"), [("peers", Severity.CACHE_DAMAGE), ("health", Severity.DAMAGE)])
def test_damage_in_a_class_folder_is_as_grave_as_the_class(patient: Patient, folder: str, severity: Severity) -> None:
    name = f"{folder}/{CHECKPOINT}"
    write(patient, name, flipped(content(name), 60))
    look = look_at()
    (newest,) = folder_of(patient, folder, look)
    assert newest > 0
    assert list(look.findings) == [VerifyFinding(name, 0, "bad_digest", severity, (folder,))]


def test_a_class_without_a_valid_checkpoint_is_damaged(patient: Patient) -> None:
    directory = patient.root.directory("peers")
    for name in directory.names():
        directory.unlink(name)
    look = look_at()
    assert folder_of(patient, "peers", look) == []
    assert list(look.findings) == [VerifyFinding("peers", 0, "no_checkpoint", Severity.CACHE_DAMAGE, ("peers",))]


def test_a_file_of_another_class_or_journal_is_foreign(patient: Patient) -> None:
    write(patient, f"peers/{CHECKPOINT}", content(f"health/{CHECKPOINT}"))
    look = look_at()
    folder_of(patient, "peers", look)
    assert brief(look.findings) == [(f"peers/{CHECKPOINT}", 0, "foreign", Severity.CACHE_DAMAGE)]
    other = look_at(journal_id=b"another journal!")
    assert folder_of(patient, "trust", other) == []
    assert {finding.reason for finding in other.findings} == {"foreign", "no_checkpoint"}
    unknown = look_at(journal_id=None)
    assert len(folder_of(patient, "trust", unknown)) == 2
    assert list(unknown.findings) == []


def test_a_file_under_another_ones_name_is_misnamed(patient: Patient) -> None:
    document = next(name for name in sound_files() if name.startswith("trust/document-"))
    misnamed = {
        "trust/checkpoint-0000000000000009": content(f"trust/{CHECKPOINT}"),
        "trust/document-" + "0" * 32: content(document),
        "trust/document-" + "1" * 32: content(f"trust/{CHECKPOINT}"),
    }
    for name, data in misnamed.items():
        write(patient, name, data)
    look = look_at()
    folder_of(patient, "trust", look)
    assert {(finding.file, finding.reason) for finding in look.findings if finding.file in misnamed} >= {
        ("trust/checkpoint-0000000000000009", "misnamed"),
        ("trust/document-" + "0" * 32, "misnamed"),
    }
    assert {finding.file for finding in look.findings} == set(misnamed)


def test_a_document_that_is_being_wiped_means_nothing(patient: Patient) -> None:
    write(patient, "identity/wiping-" + "0" * 32, b"half overwritten")
    look = look_at()
    folder_of(patient, "identity", look)
    assert brief(look.findings) == []


def test_key_files_belong_into_two_folders_and_strangers_into_none(patient: Patient) -> None:
    write(patient, "peers/keys-00000001", b"")
    write(patient, "trust/notes.txt", b"")
    for folder, name in (("peers", "keys-00000001"), ("trust", "notes.txt")):
        look = look_at()
        folder_of(patient, folder, look)
        assert brief(look.findings) == [(f"{folder}/{name}", 0, "unexpected", Severity.CACHE_DAMAGE)]


def test_with_keys_a_checkpoint_that_unseals_to_something_else_is_damage(patient: Patient) -> None:
    header = SealedHeader(Purpose.CHECKPOINT, PEERS.number, JOURNAL_ID, 7)
    name = "checkpoint-0000000000000007"
    for sealed in (b"\x83\x82\x01\x02\x05\x80", b"\x83\x01\x02\x03", b"\x82\x01\x02", b"\xff", b"\x83\xf6\x61a\x80"):
        write(patient, f"peers/{name}", encode_sealed_file(name, header, sealed, RING, b"s" * 32))
        look = look_at(ring=RING)
        folder_of(patient, "peers", look)
        assert (f"peers/{name}", "bad_content") in {(finding.file, finding.reason) for finding in look.findings}
    write(patient, f"peers/{name}", encode_sealed_file(name, header, b"\x83\xf6\x05\x80", RING, b"s" * 32))
    look = look_at(ring=RING)
    assert 7 in folder_of(patient, "peers", look)
    assert f"peers/{name}" not in {finding.file for finding in look.findings}


def test_a_file_that_goes_beside_a_writer_is_nobodys_loss(patient: Patient) -> None:
    for live, expected in ((True, []), (False, [(f"peers/{CHECKPOINT}", 0, "missing", Severity.CACHE_DAMAGE)])):
        one = Patient()

        def unlink(one: Patient = one) -> None:
            folder = one.root.directory("peers")
            if folder.status(CHECKPOINT) is not None:
                folder.unlink(CHECKPOINT)

        look = look_at(live=live)
        folder = AfterListing(one.root.directory("peers"), unlink)
        assert len(check_class_folder(folder, PEERS, look)) == 1  # type: ignore[arg-type]  # it offers what is used
        assert brief(look.findings) == expected


class AfterListing:
    """A folder in which something happens once it was listed."""

    def __init__(self, inner: Directory, then: Callable[[], None]) -> None:
        self._inner = inner
        self._then = then
        self.name = inner.name
        self.open = inner.open

    def names(self) -> list[str]:
        names = self._inner.names()
        self._then()
        return names


# Ledger, quarantine and the spare.


def test_the_ledger_gives_where_its_files_end_and_damage_to_it_costs_no_state(patient: Patient) -> None:
    (name,) = [name for name in sound_files() if "ledger-" in name]
    folder, look = patient.root.directory(JOURNAL), look_at()
    ((path, anchor),) = check_ledger(folder, look)
    assert (path, anchor.lsn) == (name, int(name.rpartition("-")[2]))
    assert list(look.findings) == []
    sealed = look_at(ring=RING)
    assert check_ledger(folder, sealed) == []
    assert brief(sealed.findings) == [(name, 0, "seal_broken", Severity.DAMAGE)], "it is not this ring that sealed it"
    write(patient, name, flipped(content(name), 60))
    assert check_ledger(folder, look) == []
    assert brief(look.findings) == [(name, 0, "bad_digest", Severity.CACHE_DAMAGE)]


def quarantine_found(patient: Patient, *, journal_id: bytes | None = JOURNAL_ID) -> list[tuple[str, str]]:
    look = look_at(journal_id=journal_id)
    check_quarantine(patient.root.directory(QUARANTINE), look)
    assert {finding.severity for finding in look.findings} <= {Severity.CACHE_DAMAGE}
    return [(finding.file, finding.reason) for finding in look.findings]


def test_quarantine_is_judged_piece_by_piece(patient: Patient) -> None:
    (piece,) = [name for name in sound_files() if name.startswith(f"{QUARANTINE}/")]
    assert quarantine_found(patient) == []
    assert quarantine_found(patient, journal_id=None) == []
    assert quarantine_found(patient, journal_id=b"another journal!") == [(piece, "foreign")]
    write(patient, f"{QUARANTINE}/core", b"dump")
    assert quarantine_found(patient) == [(f"{QUARANTINE}/core", "unexpected")]
    patient.root.directory(QUARANTINE).unlink("core")
    write(patient, piece, flipped(content(piece), 130))
    assert quarantine_found(patient) == [(piece, "bad_piece")]


def test_a_key_file_stands_in_quarantine_only_where_it_is_one_of_the_key_folders(patient: Patient) -> None:
    write(patient, f"{QUARANTINE}/keys-00000001", b"judged elsewhere")
    assert quarantine_found(patient) == [(f"{QUARANTINE}/keys-00000001", "unexpected")]
    look = look_at()._replace(shape=SHAPE._replace(key_folders=("agent", QUARANTINE)))
    check_quarantine(patient.root.directory(QUARANTINE), look)
    assert list(look.findings) == []


def test_a_piece_larger_than_anything_kept_is_not_read(patient: Patient) -> None:
    (piece,) = [name for name in sound_files() if name.startswith(f"{QUARANTINE}/")]
    with patient.root.directory(QUARANTINE) as folder:
        status = folder.status(piece.rpartition("/")[2])
        assert status is not None
        huge = Sized(folder, status._replace(size=(2 << 30) + 1))
        look = look_at()
        check_quarantine(huge, look)  # type: ignore[arg-type]  # it offers what is used, and reading is not
        assert brief(look.findings) == [(piece, 0, "too_large", Severity.CACHE_DAMAGE)]


class Sized:
    """A folder whose files claim a size, and which nobody may read."""

    def __init__(self, inner: Directory, status: object) -> None:
        self.name = inner.name
        self.names = inner.names
        self.status = lambda _name: status


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (bytes(9000), []),
        (bytes(8999) + b"\x01", [(8999, "not_zero", Severity.CACHE_DAMAGE)]),
        (b"\x01" + bytes(8999), [(0, "not_zero", Severity.CACHE_DAMAGE)]),
        ("header", [(0, "leftover", Severity.HARMLESS)]),
        ("header and more", [(0, "not_zero", Severity.CACHE_DAMAGE)]),
    ],
    ids=["empty", "zeros", "a late bit", "an early bit", "a whole header", "a header and more"],
)
def test_the_spare_is_zeros_or_a_whole_header_before_them(
    patient: Patient, data: bytes | str, expected: list[tuple[int, str, Severity]]
) -> None:
    header = content(segments_in(sound_files())[0])[:SEGMENT_HEADER_BYTES]
    if isinstance(data, str):
        data = header + bytes(1000) + (b"\x01" if data == "header and more" else b"")
    write(patient, f"{JOURNAL}/{SPARE}", data)
    look, live = look_at(), look_at(live=True)
    check_spare(patient.root.directory(JOURNAL), look)
    check_spare(patient.root.directory(JOURNAL), live)
    assert brief(look.findings) == [(f"{JOURNAL}/{SPARE}", *finding) for finding in expected]
    assert brief(live.findings) == [finding for finding in brief(look.findings) if finding[3] is not Severity.HARMLESS]


def test_beside_a_writer_a_header_that_is_being_put_into_the_spare_is_read_again(patient: Patient) -> None:
    write(patient, f"{JOURNAL}/{SPARE}", b"\x01" * 100 + bytes(9000))
    steps = iter(range(1000))

    def finish() -> None:
        if next(steps) == 4:
            patient.overwrite(f"{JOURNAL}/{SPARE}", 0, bytes(100))

    look = look_at(live=True)
    check_spare(WatchedDirectory(patient.root.directory(JOURNAL), finish), look)  # type: ignore[arg-type]  # what a reader may use
    assert list(look.findings) == []


def test_the_spare_may_be_missing(patient: Patient) -> None:
    patient.root.directory(JOURNAL).unlink(SPARE)
    look = look_at()
    check_spare(patient.root.directory(JOURNAL), look)
    assert list(look.findings) == []


def test_later_formats_are_named_and_not_judged(patient: Patient) -> None:
    name = f"trust/{CHECKPOINT}"
    data = content(name)[:8] + b"\x02" + content(name)[9:-32]
    write(patient, name, data + hashlib.sha256(data).digest())
    look = look_at()
    folder_of(patient, "trust", look)
    (finding,) = look.findings
    assert (finding.file, finding.severity) == (name, Severity.UNKNOWN_FORMAT)
