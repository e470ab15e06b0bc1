"""A small journal that holds one of everything and was closed cleanly, for verification to look at; and ways to change it."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from rap_journal.filesystem import Directory
from rap_journal.format import FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES
from rap_journal.inventory import take_inventory
from rap_journal.layout import JOURNAL, QUARANTINE, SPARE, parse_ledger_name
from rap_journal.ledger import keep_in_ledger
from rap_journal.scanner import scan_segment, start_of
from rap_journal.sealed_store import store_document
from rap_journal.sealing import Purpose
from rap_journal.segments import decode_segment_header, header_chain_digest
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.values import Durability
from rap_journal.verify import JournalShape, verify_journal
from rap_journal.verify_report import VerifyFinding, VerifyReport
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    JOURNAL_ID,
    PATH,
    PEERS,
    SPECS,
    TRUST,
    FixedProvider,
    Opened,
    new_journal,
    open_journal,
    plant,
    segments_in,
    setup_of,
    tree,
)

SHAPE = JournalShape(SPECS, ("identity", "trust"))
KEYS = FixedProvider()
CACHE_MASK = sum(1 << spec.number for spec in SPECS if spec.durability is Durability.CACHE)

Files = Mapping[str, bytes | None]


def append_some(opened: Opened, start: int, count: int) -> None:
    """Frames of all classes in turn: strict, cache, sync, and a mixed one; every ninth is long enough to be compressed."""
    for number in range(start, start + count):
        spec = (IDENTITY, PEERS, HEALTH, PEERS, TRUST)[number % 5]
        opened.append(spec, [number, "x" * (1500 if number % 9 == 8 else 60)])
        if number % 7 == 0:
            opened.append(PEERS, [number, "a row"], [number, "two rows"], rows=2, causes=(1,), trace_id="trace")


@cache
def sound_files() -> dict[str, bytes | None]:
    """Its files: several segments of two openings, a cut with its piece in quarantine, two checkpoint sets, documents, a ledger, a spare."""
    filesystem, opened = new_journal()
    append_some(opened, 0, 14)
    opened.append(PEERS, ["torn", "y" * 200])
    torn = tear_last_frame(tree(filesystem.kill()))
    filesystem = plant(torn)
    opened = open_journal(filesystem)
    journal = opened.journal
    for spec, purpose in ((TRUST, Purpose.DOCUMENT), (IDENTITY, Purpose.IDENTITY), (PEERS, Purpose.DOCUMENT)):
        store_document(
            journal.folders, spec, b"content " * 8, journal_id=JOURNAL_ID, keys=journal.keys.ring, randomness=SeededRandomness(spec.name),
            purpose=purpose,
        )  # fmt: skip
    append_some(opened, 14, 10)
    opened.checkpoint()
    append_some(opened, 24, 6)
    inventory = take_inventory(journal.folders.journal, JOURNAL_ID)
    last_lsn = inventory.chain[1].header.first_lsn - 1
    randomness = SeededRandomness("ledger")
    keep_in_ledger(journal.folders, JOURNAL_ID, journal.keys.ring, inventory, last_lsn=last_lsn, randomness=randomness)
    journal.close()
    files = tree(filesystem)
    assert len(segments_in(files)) >= 4 and f"{JOURNAL}/{SPARE}" in files
    assert any(name.startswith(f"{QUARANTINE}/") for name in files)
    return files


def tear_last_frame(files: Files) -> dict[str, bytes | None]:
    """The files as a crash during the last write leaves them: the second half of its bytes is not there."""
    name = segments_in(files)[-1]
    data = files[name]
    assert data is not None
    frame = frames_of(data)[-1]
    assert frame.offset > SEGMENT_HEADER_BYTES, "the first frame of a segment is witnessed, and never called torn"
    middle = (frame.offset + frame.end) // 2
    return {**files, name: data[:middle] + bytes(frame.end - middle) + data[frame.end :]}


class FrameSpan(NamedTuple):
    """Where a frame stands, and what it holds."""

    offset: int
    end: int
    class_mask: int
    first_lsn: int
    last_lsn: int

    @property
    def is_cache(self) -> bool:
        return not self.class_mask & ~CACHE_MASK


def frames_of(data: bytes) -> list[FrameSpan]:
    """The frames of a segment."""
    header = decode_segment_header(data, "segment")
    scan = scan_segment(data, header, start_of(header, header_chain_digest(data)))
    return [
        FrameSpan(frame.offset, frame.end, frame.header.class_mask, frame.header.first_lsn, frame.header.last_lsn)
        for frame in scan.frames
    ]


def expected_of(name: str, data: bytes, offset: int) -> tuple[int, int]:
    """Exit code and offset of the finding when the byte at `offset` is not what was written."""
    folder = name.rpartition("/")[0]
    if name == f"{JOURNAL}/{SPARE}":
        return 7, offset
    if folder == JOURNAL and parse_ledger_name(name.rpartition("/")[2]):
        return 7, 0
    if folder == JOURNAL:
        if offset < SEGMENT_HEADER_BYTES:
            return 8, 0
        frame = next(frame for frame in frames_of(data) if frame.offset <= offset < frame.end)
        is_in_header = offset < frame.offset + FRAME_HEADER_BYTES
        return (7 if frame.is_cache and not is_in_header else 8), frame.offset
    if name == "MARKER":
        return 8, offset // 512 * 512
    if name == "WITNESS":
        return 8, offset // 4096 * 4096
    return (7 if folder in (QUARANTINE, "peers") else 8), 0


class Patient:
    """A planted journal whose files can be changed in place and put right again."""

    def __init__(self, files: Files | None = None) -> None:
        self.filesystem: MemoryFileSystem = plant(sound_files() if files is None else files)
        self.root: Directory = self.filesystem.open_root(PATH)

    def overwrite(self, name: str, offset: int, data: bytes) -> None:
        overwrite(self.filesystem, name, offset, data)

    def verify(self, *, live: bool = False, keys: FixedProvider | None = None) -> VerifyReport:
        """Verify, and see to it that nothing was changed."""
        before = len(self.filesystem.operations)
        report = verify_journal(self.root, SHAPE, live=live, keys=keys)
        assert len(self.filesystem.operations) == before, "verification changes nothing"
        assert list(report.findings) == sorted(report.findings)
        return report


def overwrite(filesystem: MemoryFileSystem, name: str, offset: int, data: bytes) -> None:
    """Change bytes of a file behind everybody's back."""
    folder, _, last = name.rpartition("/")
    root = filesystem.open_root(PATH)
    with root.directory(folder) if folder else root as directory, directory.open(last, writable=True) as file:
        file.write_at(offset, data)


def verify_files(files: Files, *, live: bool = False, keys: FixedProvider | None = None) -> VerifyReport:
    """Verify a journal that consists of `files`."""
    return Patient(files).verify(live=live, keys=keys)


def found_in(report: VerifyReport, name: str) -> list[VerifyFinding]:
    return [finding for finding in report.findings if finding.file == name]


def reopened(files: Files) -> tuple[MemoryFileSystem, Opened]:
    """The journal, opened again with randomness of its own."""
    filesystem = plant(files)
    return filesystem, open_journal(filesystem, setup=setup_of(randomness=SeededRandomness("again")))
