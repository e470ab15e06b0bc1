"""The engine's front door: making, opening, closing, opening again, and who is let in with which key."""

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rap_journal.errors import (
    DamageError,
    FailClosed,
    FormatTooNew,
    UnsafeFile,
)
from rap_journal.filesystem import FileSystem
from rap_journal.journal import Journal
from rap_journal.layout import MARKER, WITNESS
from rap_journal.markers import Marker, MarkerKind, ProviderKind
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.recovery_plan import Verdict
from rap_journal.sealing import SealBroken
from rap_journal.segments import decode_segment_header
from rap_journal.testing import MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.testing.memory_handles import MemoryDirectory
from rap_journal.unlocking import Setup
from rap_journal.witness import read_witness
from tests.journal.test_recovery import content, forge_frame, journal_of, opened_from, without
from tests.journal.test_segments import resealed
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    JOURNAL_ID,
    PATH,
    PEERS,
    SPECS,
    STORE_ID,
    TRUST,
    Ledger,
    create_journal,
    new_journal,
    open_journal,
    plant,
    read_all,
    record_of,
    segments_in,
    setup_of,
    tree,
)


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileSystem, str]:
    """A file system, and where in it to put a journal."""
    if request.param == "disk":
        return OsFileSystem(), str(tmp_path / "store")
    return MemoryFileSystem(), PATH


def write_some(filesystem: FileSystem, path: str) -> Ledger:
    """A life of a few segments and a checkpoint, closed cleanly; returns what was folded."""
    create_journal(filesystem, path)
    opened = open_journal(filesystem, path)
    for number in range(8):
        opened.append((HEALTH, IDENTITY, PEERS, TRUST)[number % 4], [number, SeededRandomness(number)(300)])
        if number == 4:
            opened.checkpoint()
    opened.journal.close()
    return opened.ledger


# Making


def test_a_new_journal_opens_empty_and_clean(place: tuple[FileSystem, str]) -> None:
    create_journal(*place)
    opened = open_journal(*place)
    report = opened.journal.report
    assert (report.verdict, report.is_clean, report.last_lsn, report.checkpoint_lsn) == (Verdict.CLEAN, True, 0, 0)
    assert opened.ledger.restored == {spec.number: [] for spec in SPECS}
    assert opened.journal.recovered_floors == [0]
    assert (opened.journal.durable_lsn, opened.journal.witnessed_lsn, opened.journal.is_writable) == (0, 0, True)
    opened.journal.close()


def test_a_new_journal_holds_its_folders_keys_witness_checkpoints_and_marker() -> None:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    files = tree(filesystem)
    assert sorted(files) == sorted(
        [MARKER, WITNESS, "journal", "quarantine", "tmp"]
        + [spec.name for spec in SPECS]
        + [f"{spec.name}/checkpoint-{0:016d}" for spec in SPECS]
        + ["identity/keys-00000001", "trust/keys-00000001"]
    )
    assert files["identity/keys-00000001"] == files["trust/keys-00000001"]


def test_everything_in_a_new_journal_is_durable_before_its_marker_is_named() -> None:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    names = [(operation.name, operation.new_path) for operation in filesystem.operations]
    assert names[-3:] == [("rename", MARKER), ("sync_directory", None), ("sync_directory", None)]
    assert open_journal(filesystem.crash()).journal.report.is_clean


def test_a_crash_while_making_leaves_a_whole_journal_or_one_without_a_marker() -> None:
    whole = MemoryFileSystem()
    create_journal(whole)
    for survived in range(2, len(whole.operations)):
        filesystem = MemoryFileSystem()
        filesystem.open_root(PATH, create=True)
        filesystem.crash_after(survived)
        try:
            create_journal(filesystem)
        except SimulatedCrash:
            left = filesystem.crash()
            if left.open_root(PATH).status(MARKER) is None:
                with pytest.raises(FileNotFoundError):
                    open_journal(left)
                continue
        assert open_journal(filesystem.crash()).journal.report.is_clean


# Opening and closing


def test_a_clean_opening_appends_nothing_and_leaves_every_byte_as_it_was(place: tuple[FileSystem, str]) -> None:
    written = write_some(*place)
    before = tree(*place)
    for _opening in range(2):
        opened = open_journal(*place)
        assert opened.journal.report.is_clean
        assert opened.ledger.state == written.state
        opened.journal.close()
        assert tree(*place) == before


def test_a_clean_opening_does_not_even_write() -> None:
    filesystem = MemoryFileSystem()
    write_some(filesystem, PATH)
    filesystem.operations.clear()
    open_journal(filesystem).journal.close()
    assert filesystem.operations == []


def test_state_floors_and_node_time_come_back(place: tuple[FileSystem, str]) -> None:
    create_journal(*place)
    opened = open_journal(*place)
    opened.append(TRUST, [1], node_us=5_000_000)
    opened.append(HEALTH, [2], node_us=7_000_000)
    opened.journal.close()
    again = open_journal(*place)
    assert again.ledger.state == opened.ledger.state
    assert again.journal.recovered_floors == [1]
    assert again.journal.node_us == 7_000_000
    assert (again.journal.report.frame_count, again.journal.report.record_count) == (2, 2)
    again.journal.close()


def test_every_opening_that_appends_has_an_epoch_an_incarnation_and_a_segment_of_its_own() -> None:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    for number in range(3):
        open_journal(filesystem).journal.close()
        opened = open_journal(filesystem, setup=setup_of(randomness=SeededRandomness(f"opening {number}")))
        opened.append(HEALTH, [number])
        opened.journal.close()
    headers = [decode_segment_header(content(tree(filesystem), name), name) for name in segments_in(tree(filesystem))]
    assert [header.number for header in headers] == [1, 2, 3]
    assert [header.epoch for header in headers] == sorted({header.epoch for header in headers})
    assert len({header.incarnation for header in headers}) == 3
    assert [header.predecessor.incarnation for header in headers[1:]] == [header.incarnation for header in headers[:-1]]
    assert [header.predecessor.number for header in headers] == [0, 1, 2]


def test_the_epoch_rises_also_over_openings_whose_segments_are_gone() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, [1])
    opened.journal.close()
    slot = read_witness(filesystem.open_root(PATH)).newest
    assert slot is not None and slot.point.epoch == 1
    files = tree(filesystem)
    second, again = opened_from(without(files, *segments_in(files)))
    again.append(HEALTH, [2])
    (name,) = segments_in(tree(second))
    assert name == "journal/00000002-00000002"


def test_temporary_files_are_wiped_when_opening() -> None:
    filesystem = plant({**journal_of([(HEALTH, "h1")]), "tmp/left-over": b"half a document"})
    open_journal(filesystem)
    assert not any(name.startswith("tmp/") for name in tree(filesystem))


def test_closing_commits_what_waits_seals_and_witnesses() -> None:
    filesystem, opened = new_journal()
    opened.submit(PEERS, ["queued"])
    opened.submit(IDENTITY, ["queued, strict"])
    opened.journal.close()
    again = open_journal(filesystem)
    assert again.ledger.bodies() == [["queued"], ["queued, strict"]]
    assert again.journal.report.is_clean and again.journal.witnessed_lsn == 2


def test_a_closed_journal_takes_nothing_more(place: tuple[FileSystem, str]) -> None:
    write_some(*place)
    opened = open_journal(*place)
    opened.journal.close()
    with pytest.raises(Exception, match="closed"):
        opened.append(HEALTH, [1])


def test_a_journal_with_a_full_disk_opens_and_says_so_only_when_it_is_written_to() -> None:
    filesystem = plant(journal_of([(HEALTH, "h1")]))
    filesystem.capacity_bytes = filesystem.used_bytes
    opened = open_journal(filesystem)
    assert opened.journal.report.is_clean
    opened.append(HEALTH, ["the spare was there"])


# Whatever is written, in whatever batches and segments, live state and replayed state are the same


steps = st.one_of(
    st.tuples(st.sampled_from(SPECS), st.integers(1, 5), st.integers(0, 1500), st.booleans()),
    st.sampled_from(["flush", "checkpoint", "seal", "close", "tick", "ride"]),
)


@settings(max_examples=60)
@given(st.lists(steps, max_size=25), st.sampled_from([4096, 5000, 16384, 1 << 20]))
def test_live_state_and_replayed_state_are_the_same_for_any_segment_size_and_batch_split(
    script: list[Any], segment_bytes_max: int
) -> None:
    def setup(seed: object) -> Setup:
        return setup_of(randomness=SeededRandomness(str(seed)), segment_bytes_max=segment_bytes_max)

    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    opened = open_journal(filesystem, setup=setup("first"))
    for number, step in enumerate(script):
        match step:
            case "flush":
                opened.journal.flush()
            case "checkpoint":
                opened.checkpoint()
            case "seal":
                opened.journal.seal_active()
            case "tick":
                opened.journal.tick(10**9)
            case "ride":
                opened.ledger.riding.append(record_of(PEERS, [number, "riding"]))
            case "close":
                opened.journal.close()
                again = open_journal(filesystem, setup=setup(number))
                assert again.ledger.state == opened.ledger.state
                again.ledger.riding += opened.ledger.riding
                opened = again
            case (spec, record_count, body_bytes, is_awaited):
                bodies = [[number, index, SeededRandomness(number)(body_bytes)] for index in range(record_count)]
                ticket = opened.submit(spec, *bodies)
                if is_awaited:
                    opened.journal.wait(ticket)
    opened.journal.close()
    final = open_journal(filesystem)
    assert final.journal.report.is_clean
    assert final.ledger.state == opened.ledger.state
    bodies = opened.ledger.bodies()
    assert len(bodies) == final.journal.durable_lsn
    assert read_all(filesystem) == bodies


# What is not let in, and what is closed then


REFUSED: dict[str, tuple[Callable[[dict[str, bytes | None]], dict[str, bytes | None]], type[Exception]]] = {
    "no marker": (lambda files: without(files, MARKER), FileNotFoundError),
    "no whole marker": (lambda files: files | {MARKER: bytes(1024)}, DamageError),
    "no witness": (lambda files: without(files, WITNESS), FileNotFoundError),
    "no whole witness": (lambda files: files | {WITNESS: bytes(8192)}, DamageError),
    "no folder of segments": (lambda files: {n: d for n, d in files.items() if not n.startswith("journal")}, FileNotFoundError),
    "no key file": (lambda files: without(files, "identity/keys-00000001", "trust/keys-00000001"), DamageError),
    "a segment of a later format": (
        lambda files: files | {"journal/00000001-00000001": resealed(content(files, "journal/00000001-00000001")[:512], 8, b"\x02\x00")},
        FormatTooNew,
    ),
    "a folder in the place of a segment": (
        lambda files: without(files, "journal/00000001-00000001") | {"journal/00000001-00000001": None},
        UnsafeFile,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wound", "error"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_opened_is_refused_changes_nothing_and_leaves_no_handle_open(
    wound: Callable[[dict[str, bytes | None]], dict[str, bytes | None]], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem = plant(wound(journal_of([(IDENTITY, "i1")])))
    before = tree(filesystem)
    handles: list[Any] = []
    made = MemoryDirectory.__init__

    def watching(self: MemoryDirectory, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        handles.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryDirectory, "__init__", watching)
        with pytest.raises(error):
            open_journal(filesystem)
    for handle in handles:
        with pytest.raises(OSError, match="closed"):
            handle.names()
    assert tree(filesystem) == before


def test_a_witness_of_another_journal_is_refused() -> None:
    other = MemoryFileSystem()
    create_journal(other, journal_id=b"another-journal.")
    files = journal_of([(IDENTITY, "i1")]) | {WITNESS: tree(other)[WITNESS]}
    with pytest.raises(DamageError) as caught:
        open_journal(plant(files))
    assert caught.value.reason == "foreign"


def test_a_witness_that_was_tampered_with_is_refused() -> None:
    files = journal_of([(IDENTITY, "i1")])
    data = bytearray(content(files, WITNESS))
    for base in (0, 4096):
        data[base + 160] ^= 1
        data[base + 4080 : base + 4096] = hashlib.sha256(data[base : base + 4080]).digest()[:16]
    with pytest.raises(SealBroken):
        open_journal(plant(files | {WITNESS: bytes(data)}))


@pytest.mark.parametrize("name", ["names", "read", "open"])
def test_a_failing_disk_is_a_storage_error_and_the_next_opening_is_whole(name: str) -> None:
    filesystem = plant(journal_of([(IDENTITY, "i1"), (HEALTH, "h2")]))
    filesystem.fail(name, "*journal*", errno.EIO)
    with pytest.raises(OSError, match="planned"):
        open_journal(filesystem)
    again = open_journal(filesystem)
    assert again.journal.report.is_clean and again.ledger.bodies() == [["i1"], ["h2"]]


# A journal that was tampered with


def test_a_journal_that_was_tampered_with_opens_for_reading_only() -> None:
    _filesystem, opened = opened_from(forge_frame(journal_of([(HEALTH, "h1"), (HEALTH, "h2")]), 2))
    journal = opened.journal
    assert not journal.is_writable and not journal.is_poisoned
    assert (journal.frames_written, journal.witnessed_lsn, journal.durable_lsn) == (0, 0, 2)
    calls: list[Callable[[], object]] = [
        lambda: opened.append(HEALTH, [1]),
        journal.flush,
        journal.seal_active,
        lambda: journal.tick(10**9),
    ]
    for call in calls:
        with pytest.raises(FailClosed) as caught:
            call()
        assert (caught.value.reason, caught.value.cluster, caught.value.action) == ("tampered", "eu-1", "operator")
    journal.close()


# Without a cluster


def test_the_agents_journal_has_no_cluster_and_works_the_same(place: tuple[FileSystem, str]) -> None:
    filesystem, path = place
    marker = Marker(MarkerKind.AGENT, ProviderKind.MEMORY, JOURNAL_ID, STORE_ID)
    setup = setup_of(key_folders=("health",), specs=(HEALTH,))
    Journal.create(filesystem.open_root(path, create=True), marker, setup, {HEALTH.number: []}, None, 0)
    ledger = Ledger()
    journal = Journal.open(filesystem.open_root(path), setup, ledger)
    journal.wait(journal.submit([record_of(HEALTH, [1])], strict=False, privileged=True))
    journal.close()
    again = Ledger()
    journal = Journal.open(filesystem.open_root(path), setup, again)
    assert again.bodies() == [[1]] and journal.report.cluster == ""
    journal.close()
