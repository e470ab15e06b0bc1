"""One look at a whole journal: in which order it goes, what the parts say of each other, and that no bad part hides another."""

import errno
from collections.abc import Callable

import pytest

from rap_journal.filesystem import Directory
from rap_journal.format import WITNESS_SLOT_BYTES
from rap_journal.journal_verifier import JournalVerifier
from rap_journal.layout import JOURNAL, QUARANTINE, TEMPORARY
from rap_journal.markers import MarkerKind
from rap_journal.payload import StrictHead
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.verify_files import Findings
from rap_journal.verify_report import JournalSummary, Severity
from rap_journal.witness import SealedPart, WitnessWriter, open_slot, read_witness
from tests.journal.segment_kit import of_later_format
from tests.journal.sound_journal import KEYS, SHAPE, Files, append_some, frames_of, reopened, sound_files
from tests.journal.workbench import (
    IDENTITY,
    JOURNAL_ID,
    PATH,
    PEERS,
    STORE_ID,
    FixedProvider,
    new_journal,
    plant,
    segments_in,
    tree,
)

Found = list[tuple[str, int, str, Severity]]


def run(
    files: Files | MemoryFileSystem,
    *,
    live: bool = False,
    keys: FixedProvider | None = None,
    kind: MarkerKind | None = None,
    cluster: str | None = None,
    store_id: bytes | None = None,
) -> tuple[JournalSummary, Found]:
    filesystem = files if isinstance(files, MemoryFileSystem) else plant(files)
    findings = Findings()
    verifier = JournalVerifier(filesystem.open_root(PATH), SHAPE, findings, live=live, keys=keys, store_id=store_id)
    return verifier.run(kind, cluster), [finding[:4] for finding in findings]


def found(files: Files | MemoryFileSystem, *, live: bool = False, keys: FixedProvider | None = None) -> Found:
    return run(files, live=live, keys=keys)[1]


def content(name: str, files: Files | None = None) -> bytes:
    data = (files or sound_files())[name]
    assert data is not None
    return data


# Order.


class Spy:
    """A folder that notes which files below it are read, in order."""

    def __init__(self, inner: Directory, read: list[str]) -> None:
        self._inner = inner
        self._read = read
        self.name = inner.name
        self.names = inner.names
        self.status = inner.status

    def directory(self, name: str) -> "Spy":
        return Spy(self._inner.directory(name), self._read)

    def open(self, name: str) -> object:
        self._read.append(f"{self.name}/{name}".lstrip("/"))
        return self._inner.open(name)

    def __enter__(self) -> "Spy":
        return self

    def __exit__(self, *_error: object) -> None:
        self._inner.close()


@pytest.mark.parametrize("live", [False, True])
def test_checkpoints_are_read_before_the_witness_and_the_witness_before_the_segments(*, live: bool) -> None:
    read: list[str] = []
    root = Spy(plant(sound_files()).open_root(PATH), read)
    JournalVerifier(root, SHAPE, Findings(), live=live, keys=None).run(None, None)  # type: ignore[arg-type]  # what a reader may use
    kinds = ["checkpoint" if "checkpoint-" in name else name.partition("/")[0] for name in read]
    last_checkpoint = max(index for index, kind in enumerate(kinds) if kind == "checkpoint")
    witness = [index for index, kind in enumerate(kinds) if kind == "WITNESS"]
    segments = [index for index, name in enumerate(read) if name in segments_in(sound_files())]
    assert last_checkpoint < min(witness) and max(witness) < min(segments)


# A sound journal.


@pytest.mark.parametrize("keys", [None, KEYS])
def test_a_sound_journal_is_summarised_and_has_no_findings(keys: FixedProvider | None) -> None:
    summary, findings = run(sound_files(), keys=keys, kind=MarkerKind.CLUSTER, cluster="eu-1", store_id=STORE_ID)
    segments = segments_in(sound_files())
    frames = [frame for name in segments for frame in frames_of(content(name))]
    assert findings == []
    assert summary == JournalSummary("", "eu-1", 1, frames[-1].last_lsn, len(segments), len(frames))


# Whose journal it is.


@pytest.mark.parametrize(
    ("kind", "cluster", "store_id", "reasons"),
    [
        (MarkerKind.AGENT, "", None, ["misplaced"]),
        (MarkerKind.CLUSTER, "eu-2", None, ["misplaced"]),
        (MarkerKind.CLUSTER, "eu-1", b"another store!!!", ["other_store"]),
        (MarkerKind.AGENT, "eu-1", b"another store!!!", ["misplaced", "other_store"]),
        (None, None, STORE_ID, []),
    ],
)
def test_a_journal_is_of_the_kind_cluster_and_store_that_its_place_says(
    kind: MarkerKind | None, cluster: str | None, store_id: bytes | None, reasons: list[str]
) -> None:
    _summary, findings = run(sound_files(), kind=kind, cluster=cluster, store_id=store_id)
    assert findings == [("MARKER", 0, reason, Severity.DAMAGE) for reason in reasons]


def test_without_a_marker_the_keys_say_whose_journal_it_is() -> None:
    files = {name: data for name, data in sound_files().items() if name != "MARKER"}
    summary, findings = run(files)
    assert findings == [("MARKER", 0, "missing", Severity.DAMAGE)]
    assert (summary.cluster, summary.frame_count) == ("", run(sound_files())[0].frame_count)


def test_where_nothing_says_whose_journal_it_is_its_segments_are_not_judged() -> None:
    gone = ("MARKER", "identity/keys-00000001", "trust/keys-00000001")
    summary, findings = run({name: data for name, data in sound_files().items() if name not in gone})
    assert (JOURNAL, 0, "unknown_journal", Severity.DAMAGE) in findings
    assert summary == JournalSummary("", "")


# What the witness says of the segments.


def twice_written(word: str) -> tuple[Files, int]:
    """The sound journal with one strict frame more, and that frame's LSN."""
    filesystem, opened = reopened(sound_files())
    opened.append(IDENTITY, [word])
    lsn = opened.journal.durable_lsn
    opened.journal.close()
    return tree(filesystem), lsn


def test_a_witness_that_names_another_digest_at_an_lsn_diverges() -> None:
    one, _lsn = twice_written("one")
    other, _lsn = twice_written("other")
    findings = found({**one, "WITNESS": content("WITNESS", other)})
    assert {reason for _file, _offset, reason, _severity in findings} == {"diverged"}
    assert {offset for _file, offset, _reason, _severity in findings} <= {0, WITNESS_SLOT_BYTES}


def resealed_witness(heads_of: Callable[[SealedPart], tuple[tuple[int, StrictHead], ...]]) -> Files:
    """The sound journal, whose newer slot was sealed again with other strict heads by somebody who has the key."""
    filesystem, opened = reopened(sound_files())
    ring, root = opened.journal.keys.ring, filesystem.open_root(PATH)
    opened.journal.close()
    newest = read_witness(root).newest
    assert newest is not None
    part = open_slot(newest, ring)
    for _slot in range(2):
        with root.open("WITNESS", writable=True) as file:
            writer = WitnessWriter(file, JOURNAL_ID, ring, SeededRandomness("witness"), read_witness(root).newest)
            writer.write(newest.point, SealedPart(heads_of(part), part.floors))
    return tree(filesystem)


def test_with_keys_every_strict_record_that_the_witness_names_must_have_been_read() -> None:
    def another_digest(part: SealedPart) -> tuple[tuple[int, StrictHead], ...]:
        (number, head), *rest = part.heads
        return ((number, head._replace(digest=b"another record.."[:16])), *rest)

    files = resealed_witness(another_digest)
    assert found(files) == []
    assert found(files, keys=KEYS) == [("WITNESS", offset, "strict_head", Severity.DAMAGE) for offset in (0, WITNESS_SLOT_BYTES)]


def test_a_head_of_zeros_names_no_record() -> None:
    files = resealed_witness(lambda part: tuple((number, head._replace(digest=bytes(16))) for number, head in part.heads))
    assert found(files, keys=KEYS) == []


def test_a_strict_record_that_is_known_to_be_lost_is_told_once() -> None:
    one, lsn = twice_written("one")
    name = segments_in(one)[-1]
    data = bytearray(content(name, one))
    frame = next(frame for frame in frames_of(bytes(data)) if frame.last_lsn == lsn)
    data[frame.end - 1] ^= 1
    assert found({**one, name: bytes(data)}, keys=KEYS) == [(name, frame.offset, "bad_digest", Severity.DAMAGE)]


@pytest.mark.parametrize("slot", [0, 1])
def test_one_bad_slot_of_a_closed_journal_is_damage(slot: int) -> None:
    data = bytearray(content("WITNESS"))
    data[slot * WITNESS_SLOT_BYTES + 300] ^= 1
    findings = found({**sound_files(), "WITNESS": bytes(data)})
    assert findings == [("WITNESS", slot * WITNESS_SLOT_BYTES, "bad_slot", Severity.DAMAGE)]


def test_the_slot_that_a_crash_tears_is_torn_only_while_the_journal_is_open_and_ahead() -> None:
    filesystem, opened = reopened(sound_files())
    opened.append(IDENTITY, ["strict"])
    files = tree(filesystem)
    data = content("WITNESS", files)
    newest = max((0, 1), key=lambda index: int.from_bytes(data[4096 * index + 48 : 4096 * index + 56], "little"))
    for slot, reason, severity in ((newest, "torn_slot", Severity.TORN), (1 - newest, "bad_slot", Severity.DAMAGE)):
        torn = data[: slot * 4096] + bytes(4096) + data[(slot + 1) * 4096 :]
        assert found({**files, "WITNESS": torn}) == [("WITNESS", slot * 4096, reason, severity)]


def test_two_bad_slots_are_damage_each() -> None:
    assert found({**sound_files(), "WITNESS": bytes(8192)}) == [
        ("WITNESS", 0, "bad_slot", Severity.DAMAGE),
        ("WITNESS", WITNESS_SLOT_BYTES, "bad_slot", Severity.DAMAGE),
    ]


# What the checkpoints say of the segments and of each other.


def checkpointed(word: str) -> tuple[Files, int]:
    """A journal with a checkpoint set at its end."""
    filesystem, opened = new_journal()
    for number in range(6):
        opened.append(PEERS, [number, word])
    lsn = opened.checkpoint()
    opened.journal.close()
    return tree(filesystem), lsn


def test_a_checkpoint_of_another_history_is_found_by_the_digest_at_its_lsn() -> None:
    one, lsn = checkpointed("one")
    other, _lsn = checkpointed("other")
    for folder, severity in (("peers", Severity.CACHE_DAMAGE), ("trust", Severity.DAMAGE)):
        name = f"{folder}/checkpoint-{lsn:016d}"
        assert found({**one, name: content(name, other)}) == [(name, 48, "other_history", severity)]


def test_an_incomplete_set_is_harmless_and_nothing_beside_a_writer() -> None:
    one, lsn = checkpointed("one")
    name = f"health/checkpoint-{lsn:016d}"
    rest = {path: data for path, data in one.items() if path != name}
    assert found(rest) == [(name, 0, "incomplete_set", Severity.HARMLESS)]
    assert found(rest, live=True) == []


def test_a_class_whose_newest_checkpoint_is_older_than_the_oldest_record_kept_misses_records() -> None:
    filesystem, opened = new_journal()
    append_some(opened, 0, 10)
    lsn = opened.checkpoint()
    append_some(opened, 10, 5)
    opened.journal.close()
    files = tree(filesystem)
    retired = [name for name in segments_in(files) if all(frame.last_lsn <= lsn for frame in frames_of(content(name, files)))]
    assert retired
    dropped = {name for name in files if name.endswith(f"checkpoint-{0:016d}")} | set(retired)
    sound = {name: data for name, data in files.items() if name not in dropped}
    assert found(sound) == []
    older = f"peers/checkpoint-{0:016d}"
    back = {name: data for name, data in sound.items() if not name.startswith("peers/checkpoint-")}
    assert ("peers", 0, "missing_records", Severity.CACHE_DAMAGE) in found({**back, older: files[older]})
    findings = Findings()
    root = plant({**back, older: files[older]}).open_root(PATH)
    JournalVerifier(root, SHAPE, findings, live=False, keys=None).run(None, None)
    (missing,) = [finding for finding in findings if finding.reason == "missing_records"]
    assert (missing.first_lsn, missing.last_lsn) == (1, lsn)


def test_what_a_later_release_wrote_is_named_and_nothing_is_compared_with_it() -> None:
    name = segments_in(sound_files())[-1]
    offset = frames_of(content(name))[-1].offset
    files = {**sound_files(), name: of_later_format(content(name), offset)}
    summary, findings = run(files)
    assert findings == [(name, offset, "frame_version", Severity.UNKNOWN_FORMAT)]
    assert summary.frame_count == 0


# Everything else in the folder.


def test_names_that_belong_nowhere_are_reported_where_they_stand() -> None:
    strangers = ["core", f"{JOURNAL}/notes", f"{QUARANTINE}/core"]
    files = {**sound_files(), **dict.fromkeys(strangers, b"what is this")}
    assert found(files) == sorted((name, 0, "unexpected", Severity.CACHE_DAMAGE) for name in strangers)


def test_what_a_killed_process_left_is_harmless_and_nothing_beside_a_writer() -> None:
    files = {**sound_files(), f"{JOURNAL}/next": b"half a header", f"{TEMPORARY}/half": b"half a file"}
    leftovers = [(f"{JOURNAL}/next", 0, "leftover", Severity.HARMLESS), (TEMPORARY, 0, "leftover", Severity.HARMLESS)]
    assert found(files) == leftovers
    assert found(files, live=True) == []


@pytest.mark.parametrize(
    ("folder", "severity"),
    [
        (JOURNAL, Severity.DAMAGE),
        ("trust", Severity.DAMAGE),
        ("peers", Severity.CACHE_DAMAGE),
        (QUARANTINE, Severity.CACHE_DAMAGE),
        (TEMPORARY, Severity.CACHE_DAMAGE),
    ],
)
def test_a_missing_folder_is_as_grave_as_what_it_held(folder: str, severity: Severity) -> None:
    files = {name: data for name, data in sound_files().items() if name != folder and not name.startswith(f"{folder}/")}
    findings = found(files)
    assert (folder, 0, "missing", severity) in findings
    assert max(finding[3] for finding in findings) is severity


# Keys.


def test_a_key_that_does_not_fit_leaves_seals_shut_and_the_bytes_judged() -> None:
    rotten = {**sound_files(), "peers/checkpoint-0000000000000000": b"rot"}
    findings = found(rotten, keys=FixedProvider(b"another key" + bytes(21)))
    assert findings == [
        ("identity/keys-00000001", 0, "wrong_key", Severity.UNAVAILABLE),
        ("peers/checkpoint-0000000000000000", 0, "too_short", Severity.CACHE_DAMAGE),
    ]


# No bad part hides another.


def test_every_part_is_damaged_at_once_and_every_one_is_told() -> None:
    first = segments_in(sound_files())[0]
    segment = bytearray(content(first))
    segment[frames_of(bytes(segment))[0].offset + 20] ^= 1
    rotten = {
        "MARKER": b"rot", "WITNESS": b"rot", "identity/keys-00000001": b"rot", "trust/checkpoint-0000000000000000": b"rot",
        "peers/checkpoint-0000000000000000": b"rot", f"{JOURNAL}/spare": b"rot", f"{QUARANTINE}/core": b"rot", first: bytes(segment),
    }  # fmt: skip
    assert {file for file, _offset, _reason, _severity in found({**sound_files(), **rotten})} >= set(rotten)


def test_a_disk_that_cannot_read_one_file_is_told_and_the_rest_is_judged() -> None:
    name = segments_in(sound_files())[1]
    for unreadable in ("MARKER", "WITNESS", "trust/keys-00000001", "peers/checkpoint-0000000000000000", name):
        filesystem = plant({**sound_files(), "health/checkpoint-0000000000000000": b"rot"})
        filesystem.fail("read", unreadable, errno.EIO, times=None)
        findings = found(filesystem)
        assert ("health/checkpoint-0000000000000000", 0, "too_short", Severity.DAMAGE) in findings
        # Without its header nobody can say where a segment belongs: then none is judged.
        place = JOURNAL if unreadable == name else unreadable
        assert (place, 0, "unreadable", Severity.UNREADABLE) in findings
