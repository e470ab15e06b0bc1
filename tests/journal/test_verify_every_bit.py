"""In a cleanly closed journal no bit can change, and no file shrink, go or move, without verification saying where."""

import re
import sys
from random import Random

import pytest

from rap_journal.layout import JOURNAL, QUARANTINE, SPARE, WITNESS
from tests.journal.sound_journal import KEYS, Files, Patient, expected_of, found_in, frames_of, sound_files, verify_files
from tests.journal.workbench import segments_in

SEED = 20260101
SMALL_BYTES = 512
ZEROS_MIN = 64
"""Length from which a run of zeros says nothing byte by byte."""

FILES = sorted(name for name, content in sound_files().items() if content is not None)
SMALL_FILES = [name for name in FILES if len(sound_files()[name] or b"") <= SMALL_BYTES]


def content(name: str) -> bytes:
    data = sound_files()[name]
    assert data is not None
    return data


def places_worth_trying(name: str) -> list[int]:
    """Every byte of a file, but of a long run of zeros (padding, room for what is to come) its ends and every 61st in between."""
    data, places = content(name), []
    for run in re.finditer(rb"\0{%d,}|.[^\0]*" % ZEROS_MIN, data, re.DOTALL):
        inside = range(run.start(), run.end())
        if run.end() - run.start() >= ZEROS_MIN and not any(run[0]):
            places += [*inside[:8], *inside[8:-8:61], *inside[-8:]]
        else:
            places += inside
    return places


def say(capsys: pytest.CaptureFixture[str], name: str, what: str, tried: int) -> None:
    """Tell what was left out."""
    if tried < len(content(name)):
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {what} of {tried} of {len(content(name))} bytes; the others are zeros among zeros\n")


def check_flip(patient: Patient, name: str, offset: int, bit: int, *, live: bool) -> None:
    """Flip one bit, verify, flip it back."""
    data = content(name)
    exit_code, place = expected_of(name, data, offset)
    patient.overwrite(name, offset, bytes([data[offset] ^ 1 << bit]))
    report = patient.verify(live=live, keys=KEYS if bit == 0 else None)
    patient.overwrite(name, offset, data[offset : offset + 1])
    case = f"seed {SEED}: bit {bit} of byte {offset} of {name}"
    assert report.exit_code == exit_code, f"{case}: {report.findings}"
    assert place in [finding.offset for finding in found_in(report, name)], f"{case}: {report.findings}"


@pytest.mark.parametrize("name", FILES)
def test_a_changed_bit_is_reported_with_file_offset_and_exit_code(name: str) -> None:
    patient, random = Patient(), Random(f"{SEED} {name}")
    for offset in range(random.randrange(40), len(content(name)), 61):
        check_flip(patient, name, offset, random.randrange(8), live=bool(random.randrange(2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_changed_bit_in_any_byte_is_reported(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    patient, random = Patient(), Random(f"{SEED} every byte of {name}")
    places = places_worth_trying(name)
    for offset in places:
        check_flip(patient, name, offset, random.randrange(8), live=bool(offset & 1))
    say(capsys, name, "a bit in each", len(places))


@pytest.mark.slow
def test_any_changed_bit_of_the_witness_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    patient, places = Patient(), places_worth_trying(WITNESS)
    for offset in places:
        for bit in range(8):
            check_flip(patient, WITNESS, offset, bit, live=False)
    say(capsys, WITNESS, "all bits", len(places))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL_FILES)
def test_any_changed_bit_of_a_small_file_is_reported(name: str) -> None:
    patient = Patient()
    for place in range(8 * len(content(name))):
        check_flip(patient, name, place >> 3, place & 7, live=False)


def test_the_files_put_right_again_are_sound() -> None:
    patient = Patient()
    for name in FILES:
        check_flip(patient, name, len(content(name)) // 2, 3, live=False)
    assert patient.verify(keys=KEYS).findings == ()


@pytest.mark.parametrize("name", [name for name in FILES if name != f"{JOURNAL}/{SPARE}"])
def test_a_shortened_file_is_reported(name: str) -> None:
    data = content(name)
    lengths = {0, 1, len(data) // 2, len(data) - 1, *range(7, len(data), max(97, len(data) // 20))}
    if name in segments_in(sound_files()):
        lengths |= {frame.offset for frame in frames_of(data)}
    for length in sorted(lengths):
        report = verify_files({**sound_files(), name: data[:length]})
        expected = {7} if name.startswith((f"{QUARANTINE}/", "peers/")) else {7, 8} if name.startswith(f"{JOURNAL}/") else {8}
        assert report.exit_code in expected, (length, report.findings)
        assert found_in(report, name), (length, report.findings)


@pytest.mark.parametrize("name", FILES)
def test_a_lengthened_file_is_reported_unless_the_addition_says_nothing(name: str) -> None:
    data = content(name)
    assert found_in(verify_files({**sound_files(), name: data + b"\x01"}), name)
    zeros = verify_files({**sound_files(), name: data + b"\0"})
    # Prepared zeros stand behind the frames of any segment that was not closed cleanly, and in the spare.
    assert bool(zeros.findings) == (name not in (*segments_in(sound_files()), f"{JOURNAL}/{SPARE}"))


def without(name: str) -> Files:
    return {path: data for path, data in sound_files().items() if path != name and not path.startswith(f"{name}/")}


UNSEEN_WHEN_MISSING = (f"{JOURNAL}/{SPARE}", f"{JOURNAL}/ledger-", f"{QUARANTINE}/")
SEALED_RECORDS_NAME_IT = "document-"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_reported_if_anything_readable_names_it(name: str) -> None:
    report = verify_files(without(name))
    if name.startswith(UNSEEN_WHEN_MISSING) or SEALED_RECORDS_NAME_IT in name:
        assert report.findings == ()
    elif "checkpoint-" in name:
        assert [finding.reason for finding in report.findings] == ["incomplete_set"]
        assert report.exit_code == 0
    else:
        assert report.exit_code == 8, report.findings


@pytest.mark.parametrize("name", sorted(name for name, data in sound_files().items() if data is None))
def test_a_missing_folder_is_reported(name: str) -> None:
    report = verify_files(without(name))
    assert (name, "missing") in [(finding.file, finding.reason) for finding in report.findings]
    assert report.exit_code == (7 if name in ("peers", QUARANTINE, "tmp") else 8)


def test_a_class_without_any_checkpoint_is_reported() -> None:
    for folder, exit_code in (("peers", 7), ("health", 8), ("trust", 8)):
        files = {name: data for name, data in sound_files().items() if not name.startswith(f"{folder}/checkpoint-")}
        report = verify_files(files)
        assert [(finding.reason, finding.state_classes) for finding in found_in(report, folder)] == [("no_checkpoint", (folder,))]
        assert report.exit_code == exit_code


def pairs_to_swap() -> list[tuple[str, str]]:
    segments = segments_in(sound_files())
    documents = [name for name in FILES if "document-" in name]
    return [
        (segments[0], segments[1]),
        (segments[-2], segments[-1]),
        (documents[0], documents[1]),
        ("identity/checkpoint-0000000000000000", "trust/checkpoint-0000000000000000"),
        ("peers/checkpoint-0000000000000000", "peers/checkpoint-0000000000000040"),
        ("MARKER", "WITNESS"),
    ]


@pytest.mark.parametrize(("one", "other"), pairs_to_swap())
def test_two_swapped_files_are_both_reported(one: str, other: str) -> None:
    report = verify_files({**sound_files(), one: content(other), other: content(one)})
    assert found_in(report, one) and found_in(report, other), report.findings
    assert report.exit_code == (7 if one.startswith("peers/") and other.startswith("peers/") else 8)


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("MARKER", "WITNESS", f"{JOURNAL}/{SPARE}")])
def test_a_renamed_file_is_reported(name: str) -> None:
    renamed = f"{name[:-1]}{'0' if name[-1] != '0' else '1'}"
    report = verify_files({**without(name), renamed: content(name)})
    assert found_in(report, renamed), report.findings
    assert report.exit_code in (7, 8)
