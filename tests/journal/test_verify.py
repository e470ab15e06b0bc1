"""Verification: what it finds, how grave it calls it, and what it leaves alone."""

import errno
import hashlib
from pathlib import Path

import pytest

from rap_journal.checkpoints import Anchor, ClassContent
from rap_journal.errors import KeyUnavailable
from rap_journal.format import FRAME_HEADER_BYTES, MARKER_DIGESTED_BYTES, SEGMENT_DIGESTED_BYTES, SEGMENT_HEADER_BYTES
from rap_journal.journal import write_checkpoint_set
from rap_journal.layout import JOURNAL, QUARANTINE, SPARE, TEMPORARY
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import MemoryFileSystem
from rap_journal.verify import verify_journal
from rap_journal.verify_report import Severity, VerifyFinding, VerifyReport
from tests.journal.segment_kit import of_later_format
from tests.journal.sound_journal import (
    KEYS,
    SHAPE,
    Files,
    Patient,
    append_some,
    found_in,
    frames_of,
    reopened,
    sound_files,
    tear_last_frame,
    verify_files,
)
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    PEERS,
    SPECS,
    FixedProvider,
    closed_behind_an_empty_segment,
    create_journal,
    new_journal,
    open_journal,
    segments_in,
    tree,
)


def reasons(report: VerifyReport) -> list[tuple[str, int, str]]:
    return [(finding.file, finding.offset, finding.reason) for finding in report.findings]


def content(files: Files, name: str) -> bytes:
    data = files[name]
    assert data is not None
    return data


def without(files: Files, *names: str) -> Files:
    return {name: data for name, data in files.items() if name not in names}


def copied(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


# Sound journals.


@pytest.mark.parametrize("keys", [None, KEYS])
@pytest.mark.parametrize("live", [False, True])
def test_a_cleanly_closed_journal_has_no_findings(*, live: bool, keys: FixedProvider | None) -> None:
    report = verify_files(sound_files(), live=live, keys=keys)
    assert report.findings == ()
    assert (report.exit_code, report.is_sound, report.is_live, report.is_unsealed) == (0, True, live, keys is not None)
    (summary,) = report.journals
    frame_count = sum(len(frames_of(content(sound_files(), name))) for name in segments_in(sound_files()))
    assert (summary.cluster, summary.first_lsn, summary.frame_count) == ("eu-1", 1, frame_count)


def test_a_journal_that_was_just_made_has_no_findings() -> None:
    filesystem, opened = new_journal()
    opened.journal.close()
    report = verify_files(tree(filesystem), keys=KEYS)
    assert report.findings == ()
    assert report.journals[0].segment_count == 0


def test_a_journal_whose_process_died_between_two_writes_has_no_findings() -> None:
    filesystem, opened = new_journal()
    append_some(opened, 0, 20)
    assert verify_files(tree(filesystem), keys=KEYS).findings == ()


def test_a_journal_that_was_recovered_and_closed_has_no_findings() -> None:
    filesystem, opened = reopened(sound_files())
    opened.journal.close()
    assert verify_files(tree(filesystem), keys=KEYS).findings == ()


# Torn tails and torn slots: exit code 6.


def torn_files() -> dict[str, bytes | None]:
    """The last frame was being written when the power went."""
    filesystem, opened = reopened(sound_files())
    opened.append(IDENTITY, ["witnessed"])
    opened.append(PEERS, ["torn" * 50])
    return tear_last_frame(tree(filesystem))


def test_a_torn_last_frame_is_a_torn_tail() -> None:
    files = torn_files()
    report = verify_files(files)
    name = segments_in(files)[-1]
    assert reasons(report) == [(name, frames_of(content(files, name))[-1].end, "torn_or_rotten")]
    assert report.findings[0].state_classes == ("peers",)
    assert (report.exit_code, report.is_sound) == (6, False)


def test_a_torn_tail_and_damage_are_damage() -> None:
    files = torn_files()
    files["peers/checkpoint-0000000000000000"] = b"rot"
    assert verify_files(files).exit_code == 7


def test_a_torn_witness_slot_is_torn_when_the_journal_is_ahead_of_the_other_one() -> None:
    filesystem, opened = reopened(sound_files())
    opened.append(IDENTITY, ["strict"])
    files = tree(filesystem)
    witness = content(files, "WITNESS")
    newest = max((0, 1), key=lambda index: int.from_bytes(witness[4096 * index + 48 : 4096 * index + 56], "little"))
    files["WITNESS"] = copied(witness, 4096 * newest + 512, b"\x11" * 512)
    report = verify_files(files)
    assert (reasons(report), report.exit_code) == ([("WITNESS", 4096 * newest, "torn_slot")], 6)
    both = verify_files({**files, "WITNESS": bytes(8192)})
    assert reasons(both) == [("WITNESS", 0, "bad_slot"), ("WITNESS", 4096, "bad_slot")]
    assert both.exit_code == 8


# Damage to frames: caches only, or more.


def wounded(offsets: list[int], name: str, files: Files | None = None) -> VerifyReport:
    files = dict(files or sound_files())
    data = bytearray(content(files, name))
    for offset in offsets:
        data[offset] ^= 0x10
    files[name] = bytes(data)
    return verify_files(files)


def test_rot_in_the_body_of_a_cache_frame_names_class_and_lsns() -> None:
    name = segments_in(sound_files())[0]
    frame = next(frame for frame in frames_of(content(sound_files(), name)) if frame.is_cache)
    report = wounded([frame.offset + FRAME_HEADER_BYTES], name)
    assert report.findings == (
        VerifyFinding(name, frame.offset, "bad_digest", Severity.CACHE_DAMAGE, ("peers",), frame.first_lsn, frame.last_lsn),
    )


def test_rot_in_neighbouring_cache_frames_is_still_damage_to_caches() -> None:
    filesystem, opened = new_journal()
    for number in range(4):
        opened.append(PEERS, [number])
    opened.append(HEALTH, ["behind them"])
    opened.journal.close()
    files = tree(filesystem)
    name = segments_in(files)[0]
    frames = frames_of(content(files, name))
    report = wounded([frame.end - 3 for frame in frames[1:3]], name, files)
    assert [(finding.first_lsn, finding.last_lsn, finding.severity) for finding in report.findings] == [
        (2, 3, Severity.CACHE_DAMAGE)
    ]
    with_health = wounded([frames[3].end - 3, frames[4].end - 3], name, files)
    assert [(finding.state_classes, finding.severity) for finding in with_health.findings] == [
        (("health", "peers"), Severity.DAMAGE)
    ]


def test_rot_in_the_header_of_a_cache_frame_may_have_been_anything() -> None:
    name = segments_in(sound_files())[0]
    frame = next(frame for frame in frames_of(content(sound_files(), name)) if frame.is_cache)
    report = wounded([frame.offset + 6], name)
    assert [(finding.reason, finding.state_classes, finding.severity) for finding in report.findings] == [
        ("bad_header_check", (), Severity.DAMAGE)
    ]


def test_the_last_frame_of_a_closed_journal_is_never_called_torn() -> None:
    files = sound_files()
    name = segments_in(files)[-1]
    frame = frames_of(content(files, name))[-1]
    report = wounded([frame.end - 1], name)
    assert [finding.offset for finding in found_in(report, name)] == [frame.offset]
    assert report.exit_code in (7, 8)


def test_frames_that_the_witness_vouches_for_are_missed() -> None:
    files = dict(sound_files())
    name = segments_in(files)[-1]
    frames = frames_of(content(files, name))
    files[name] = content(files, name)[: frames[-2].offset]
    report = verify_files(files)
    assert reasons(report) == [(name, frames[-2].offset, "tail_missing")]
    assert (report.findings[0].first_lsn, report.findings[0].last_lsn) == (frames[-2].first_lsn, frames[-1].last_lsn)


def test_an_older_copy_of_the_last_segment_is_missed_too() -> None:
    filesystem, opened = reopened(sound_files())
    opened.append(PEERS, ["kept by the copy"])
    old = tree(filesystem)
    opened.append(IDENTITY, ["not in the copy"])
    opened.journal.close()
    name = segments_in(old)[-1]
    report = verify_files({**tree(filesystem), name: old[name]})
    assert [finding.reason for finding in report.findings] == ["tail_missing"]
    assert report.exit_code == 8


def test_a_journal_with_another_history_of_the_same_length_has_diverged() -> None:
    def write_on(word: str) -> Files:
        filesystem, opened = reopened(sound_files())
        opened.append(IDENTITY, [word])
        opened.journal.close()
        return tree(filesystem)

    one, other = write_on("one"), write_on("two")
    report = verify_files({**one, "WITNESS": other["WITNESS"]})
    assert [finding.reason for finding in report.findings] == ["diverged"]
    assert report.exit_code == 8


# Bytes behind the end of closed segments.


def test_what_stands_behind_a_valid_end_is_zero_or_was_cut() -> None:
    files = dict(sound_files())
    second = segments_in(files)[1]
    (piece,) = [content(files, name) for name in files if name.startswith(f"{QUARANTINE}/")]
    cut = piece[128:]
    assert verify_files({**files, second: content(files, second) + cut + bytes(100)}).findings == ()
    for stale in (cut[:-1] + bytes([cut[-1] ^ 1]), b"\x01", cut + b"\x01"):
        report = verify_files({**files, second: content(files, second) + stale})
        assert reasons(report) == [(second, len(content(files, second)), "stale_bytes")]
        assert report.exit_code == 7


def test_what_a_roll_left_half_done_is_harmless() -> None:
    files = dict(sound_files())
    files[f"{JOURNAL}/next"] = bytes(100)
    files[f"{JOURNAL}/{SPARE}"] = content(files, segments_in(files)[-1])[:512] + bytes(1000)
    files[f"{TEMPORARY}/peers-checkpoint"] = b"half a file"
    report = verify_files(files)
    assert reasons(report) == [
        (f"{JOURNAL}/next", 0, "leftover"),
        (f"{JOURNAL}/{SPARE}", 0, "leftover"),
        (TEMPORARY, 0, "leftover"),
    ]
    assert (report.exit_code, report.is_sound) == (0, True)
    assert verify_files(files, live=True).findings == ()


# Files that do not belong.


@pytest.mark.parametrize(
    "name", ["notes.txt", f"{JOURNAL}/00000001", "peers/checkpoint-1", "trust/.swp", f"{QUARANTINE}/core", "peers/keys-00000001"]
)
def test_a_stranger_among_the_files_is_reported(name: str) -> None:
    report = verify_files({**sound_files(), name: b"what is this"})
    assert (reasons(report), report.exit_code) == ([(name, 0, "unexpected")], 7)


def test_files_of_another_journal_are_foreign() -> None:
    fresh = MemoryFileSystem()
    create_journal(fresh, journal_id=b"another journal!")
    opened = open_journal(fresh)
    append_some(opened, 0, 3)
    opened.journal.close()
    other = tree(fresh)
    foreign_segment = {f"{JOURNAL}/00000099-00000099": other[segments_in(other)[0]]}
    assert reasons(verify_files({**sound_files(), **foreign_segment})) == [(f"{JOURNAL}/00000099-00000099", 0, "foreign")]
    for name in ("WITNESS", "trust/keys-00000001", "trust/checkpoint-0000000000000000", "peers/checkpoint-0000000000000000"):
        report = verify_files({**sound_files(), name: other[name]})
        assert {finding.reason for finding in found_in(report, name)} == {"foreign"}, name
        assert report.exit_code == (7 if name.startswith("peers") else 8)
    assert verify_files({**sound_files(), "MARKER": other["MARKER"]}).exit_code == 8


def test_a_checkpoint_of_another_history_is_reported() -> None:
    """Same journal, same LSN, other frames: the digest of the chain tells."""
    filesystem, opened = new_journal()
    append_some(opened, 0, 10)
    lsn = opened.checkpoint()
    opened.journal.close()
    one = tree(filesystem)
    filesystem, opened = new_journal()
    for number in range(lsn):
        opened.append(PEERS, [number, "other"])
    assert opened.checkpoint() == lsn
    opened.journal.close()
    name = f"peers/checkpoint-{lsn:016d}"
    report = verify_files({**one, name: tree(filesystem)[name]})
    assert (reasons(report), report.exit_code) == ([(name, 48, "other_history")], 7)


@pytest.mark.parametrize("live", [False, True])
def test_a_checkpoint_at_the_end_of_a_retired_segment_is_sound_though_an_empty_one_behind_it_went_too(*, live: bool) -> None:
    """At such a place the chain has three digests: of the last frame, and of two segment headers; only two can still be seen."""
    filesystem = closed_behind_an_empty_segment()
    opened = open_journal(filesystem)
    oldest = content(tree(filesystem), segments_in(tree(filesystem))[0])
    end = frames_of(oldest)[-1].end
    heads = opened._heads()
    contents = {spec.number: ClassContent(heads[spec.number], 0, opened.ledger.state[spec.number]) for spec in SPECS}
    write_checkpoint_set(opened.journal, Anchor(2, 1, oldest[end - 16 : end]), contents)
    opened.append(IDENTITY, ["i3"])
    opened.checkpoint()
    opened.append(HEALTH, ["h4"])
    opened.journal.close()
    files = tree(filesystem)
    first, empty, *kept = segments_in(files)
    assert len(content(files, empty)) >= SEGMENT_HEADER_BYTES and frames_of(content(files, empty)) == [] and kept
    lowest = {name for name in files if name.endswith("checkpoint-0000000000000000")}
    half, retired = without(files, first, *lowest), without(files, first, empty, *lowest)
    for shown in (files, half, retired):
        report = verify_files(shown, keys=KEYS, live=live)
        assert (reasons(report), report.exit_code) == ([], 0)
    _filesystem, again = reopened(retired)
    assert again.journal.report.is_clean
    assert again.ledger.bodies() == [["i1"], ["h2"], ["i3"], ["h4"]]


# What cannot be judged: exit codes 9, 11, 12.


def later_format(name: str, data: bytes) -> bytes:
    """The file with version 2, and a digest that is right."""
    changed = copied(data, 8, b"\x02")
    if name == "MARKER":
        block = copied(data[:MARKER_DIGESTED_BYTES], 8, b"\x02")
        return (block + hashlib.sha256(block).digest()) * 2
    if name == "WITNESS":
        slots = [copied(data[at : at + 4080], 8, b"\x02") for at in (0, 4096)]
        return b"".join(slot + hashlib.sha256(slot).digest()[:16] for slot in slots)
    if name.startswith(JOURNAL):
        head = changed[:SEGMENT_DIGESTED_BYTES]
        return head + hashlib.sha256(head).digest() + data[512:]
    return changed[:-32] + hashlib.sha256(changed[:-32]).digest()


@pytest.mark.parametrize(
    "name", ["MARKER", "WITNESS", "trust/keys-00000001", "trust/checkpoint-0000000000000000", segments_in(sound_files())[-1]]
)
def test_a_later_format_is_named_and_not_judged(name: str) -> None:
    files = {**sound_files(), name: later_format(name, content(sound_files(), name))}
    report = verify_files(files)
    finding = next(finding for finding in report.findings if finding.severity is Severity.UNKNOWN_FORMAT)
    assert finding.reason.endswith("_version")
    assert all(finding.severity is not Severity.CACHE_DAMAGE for finding in report.findings)
    if name.startswith("trust/checkpoint"):
        assert report.exit_code == 9


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("index", [0, -1])
def test_a_frame_of_a_later_format_is_named_and_not_judged(index: int, *, live: bool) -> None:
    name = segments_in(sound_files())[index]
    data = content(sound_files(), name)
    offset = frames_of(data)[index].offset
    report = verify_files({**sound_files(), name: of_later_format(data, offset)}, live=live)
    assert reasons(report) == [(name, offset, "frame_version")]
    assert report.exit_code == 9


def test_a_file_that_cannot_be_read_is_not_judged_and_hides_nothing() -> None:
    patient = Patient({**sound_files(), "trust/keys-00000001": b"rot"})
    patient.filesystem.fail("read", "peers/checkpoint-0000000000000000", errno.EIO)
    report = patient.verify()
    assert reasons(report) == [("peers/checkpoint-0000000000000000", 0, "unreadable"), ("trust/keys-00000001", 0, "too_short")]
    assert [finding.severity.exit_code for finding in report.findings] == [12, 8]
    assert report.exit_code == 8


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    place = unpack(tmp_path / "journal", sound_files())
    checkpoint = place / "peers" / "checkpoint-0000000000000000"
    checkpoint.rename(tmp_path / "elsewhere")
    checkpoint.symlink_to(tmp_path / "elsewhere")
    report = verify_journal(OsFileSystem().open_root(str(place)), SHAPE, live=False)
    assert reasons(report) == [("peers/checkpoint-0000000000000000", 0, "link")]
    assert report.exit_code == 11


def unpack(place: Path, files: Files) -> Path:
    """Write `files` below `place`, with the modes the store gives them."""
    place.mkdir(mode=0o700)
    for name, data in sorted(files.items()):
        path = place / name
        if data is None:
            path.mkdir(mode=0o700)
        else:
            path.touch(mode=0o600)
            path.write_bytes(data)
    return place


def test_a_journal_on_a_real_disk_is_sound(tmp_path: Path) -> None:
    place = unpack(tmp_path / "journal", sound_files())
    assert verify_journal(OsFileSystem().open_root(str(place)), SHAPE, live=False, keys=KEYS).findings == ()


# With keys.


def reseal_last_frame(files: Files, change: int) -> dict[str, bytes | None]:
    """Change a sealed byte of the last frame and put every digest right that needs no key: the frame's, and both slots'."""
    name = segments_in(files)[-1]
    data = bytearray(content(files, name))
    frame = frames_of(bytes(data))[-1]
    header = data[frame.offset : frame.offset + FRAME_HEADER_BYTES]
    stored_bytes = int.from_bytes(header[8:12], "little")
    start = frame.offset + FRAME_HEADER_BYTES
    data[start + change] ^= 1
    digest = hashlib.sha256(header + data[start : start + stored_bytes]).digest()[:16]
    old = bytes(data[frame.end - 16 : frame.end])
    data[frame.end - 16 : frame.end] = digest
    witness = content(files, "WITNESS").replace(old, digest)
    slots = [witness[at : at + 4080] for at in (0, 4096)]
    witness = b"".join(slot + hashlib.sha256(slot).digest()[:16] for slot in slots)
    return {**files, name: bytes(data), "WITNESS": witness}


def test_bytes_changed_together_with_their_digests_show_once_seals_are_opened() -> None:
    files = reseal_last_frame(sound_files(), 5)
    assert verify_files(files).findings == ()
    name = segments_in(files)[-1]
    report = verify_files(files, keys=KEYS)
    assert (name, frames_of(content(files, name))[-1].offset, "seal_broken") in reasons(report)
    assert ("WITNESS", 0, "seal_broken") in reasons(report) or ("WITNESS", 4096, "seal_broken") in reasons(report)
    assert report.exit_code == 8


def test_a_checkpoint_changed_together_with_its_digest_is_tampering_in_a_cache_class_too() -> None:
    name = "peers/checkpoint-0000000000000000"
    data = content(sound_files(), name)
    changed = copied(data, 130, bytes([data[130] ^ 1]))[:-32]
    files = {**sound_files(), name: changed + hashlib.sha256(changed).digest()}
    assert verify_files(files).findings == ()
    assert (reasons(verify_files(files, keys=KEYS)), verify_files(files, keys=KEYS).exit_code) == ([(name, 0, "seal_broken")], 8)


def test_without_the_right_key_stored_bytes_are_still_verified() -> None:
    other = FixedProvider(b"another key" + bytes(21))
    report = verify_files(sound_files(), keys=other)
    assert reasons(report) == [("identity/keys-00000001", 0, "wrong_key")]
    assert report.exit_code == 11
    failing = FixedProvider(failure=KeyUnavailable("the key store does not answer", reason="no_answer"))
    report = verify_files({**sound_files(), "trust/keys-00000001": b""}, keys=failing)
    assert reasons(report) == [("identity/keys-00000001", 0, "no_answer"), ("trust/keys-00000001", 0, "too_short")]
    assert report.exit_code == 8
