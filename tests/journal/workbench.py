"""A small journal to break: four classes, a projection that remembers, and the steps between making one and opening it again."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from rap_journal.batches import Ticket
from rap_journal.checkpoints import Anchor, ClassContent
from rap_journal.errors import KeyLost, KeyUnavailable, NoSpace
from rap_journal.filesystem import Directory, FileSystem, read_whole
from rap_journal.fold_sets import FoldSet
from rap_journal.inventory import take_inventory
from rap_journal.journal import Journal, load_base, write_checkpoint_set
from rap_journal.layout import JOURNAL, SPARE, parse_segment_name
from rap_journal.limits import SEGMENT_BYTES_MAX
from rap_journal.markers import Marker, MarkerKind, ProviderKind
from rap_journal.payload import StrictHeads
from rap_journal.reader import JournalReader
from rap_journal.records import Record
from rap_journal.testing import MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.unlocking import Setup
from rap_journal.values import ClassSpec, Durability
from rap_journal.walk import Walk, records_of
from rap_journal.witness import read_witness

IDENTITY = ClassSpec(1, "identity", Durability.STRICT)
TRUST = ClassSpec(2, "trust", Durability.STRICT)
HEALTH = ClassSpec(6, "health", Durability.SYNC)
PEERS = ClassSpec(7, "peers", Durability.CACHE)
SPECS = (IDENTITY, TRUST, HEALTH, PEERS)

JOURNAL_ID = b"journal-of-tests"
STORE_ID = b"store-of-tests!!"
PATH = "/store"
BOOT_ID = b"boot-of-tests..."

State = dict[int, list[tuple[int, Any]]]
"""What `Ledger` folds to: LSN and body of every record, by class."""


class FixedProvider:
    """A key provider that answers from memory, or not at all."""

    kind = ProviderKind.MEMORY

    def __init__(self, key: bytes = b"k" * 32, failure: KeyUnavailable | KeyLost | None = None) -> None:
        self.key = key
        self.failure = failure

    def key_encryption_key(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        return self.key


class Ledger:
    """Projections that fold to the list of what they were given, so that two states can be compared record by record."""

    def __init__(self) -> None:
        self.state: State = {spec.number: [] for spec in SPECS}
        self.restored: dict[int, Any] = {}
        self.node_us = 0
        self.frames: list[tuple[int, ...]] = []
        self.told: list[int] = []
        self.riding: list[Record] = []
        self.given_back: list[Record] = []

    def restore(self, state_class: int, value: Any) -> None:
        self.restored[state_class] = value
        self.state[state_class] = [(lsn, body) for lsn, body in value or []]

    def apply(self, records: Sequence[Record]) -> None:
        assert records, "nothing was to be applied"
        for record in records:
            self.state[record.state_class].append((record.lsn, plain(record.body)))
            self.node_us = max(self.node_us, record.node_us)
        self.frames.append(tuple(record.lsn for record in records))

    def floors(self) -> Any:
        return [len(self.state[TRUST.number])]

    def waiting(self, rows_max: int) -> Sequence[Record]:
        taken: list[Record] = []
        while self.riding and self.riding[0].rows <= rows_max:
            taken.append(self.riding.pop(0))
            rows_max -= taken[-1].rows
        return taken

    def give_back(self, records: Sequence[Record]) -> None:
        self.given_back += records
        self.riding[:0] = records

    def committed(self, records: Sequence[Record]) -> None:
        self.told += [record.lsn for record in records]

    def bodies(self) -> list[Any]:
        """Bodies of all records, in the order of their LSNs."""
        return [body for _lsn, body in sorted(pair for pairs in self.state.values() for pair in pairs)]

    def lsns(self) -> list[int]:
        return sorted(lsn for pairs in self.state.values() for lsn, _body in pairs)


def plain(value: Any) -> Any:
    """Tuples and lists alike, as both stand for a CBOR array."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def record_of(spec: ClassSpec, body: Any, **changes: Any) -> Record:
    """A record of `spec` that is yet to be written."""
    node_us = changes.get("node_us", 1_000_000)
    blank = Record(0, 10, 1, 0, spec.number, 1, 1_767_000_000_000_000, node_us, node_us, BOOT_ID, (), None, "tester", None, body)
    return blank._replace(**changes)


def setup_of(**changes: Any) -> Setup:
    """A setup with the smallest segments, and randomness that repeats."""
    plain_setup = Setup(SPECS, ("identity", "trust"), FixedProvider(), SeededRandomness(1), FoldSet(1), segment_bytes_max=4096)
    return plain_setup._replace(**changes)


def create_journal(filesystem: FileSystem, path: str = PATH, setup: Setup | None = None, journal_id: bytes = JOURNAL_ID) -> None:
    """Make an empty journal under `path`."""
    marker = Marker(MarkerKind.CLUSTER, ProviderKind.MEMORY, journal_id, STORE_ID, "eu-1")
    root = filesystem.open_root(path, create=True)
    Journal.create(root, marker, setup or setup_of(), {spec.number: [] for spec in SPECS}, [0], 0)


class Opened(NamedTuple):
    """An open journal, and what its records were folded to."""

    journal: Journal
    ledger: Ledger

    def append(self, spec: ClassSpec, *bodies: Any, **changes: Any) -> Ticket:
        """Write records of one class in one frame and wait for it; strict and privileged as the class has it."""
        ticket = self.submit(spec, *bodies, **changes)
        self.journal.wait(ticket)
        return ticket

    def submit(self, spec: ClassSpec, *bodies: Any, **changes: Any) -> Ticket:
        records = [record_of(spec, body, **changes) for body in bodies]
        strict = spec.durability is Durability.STRICT
        return self.journal.submit(records, strict=strict, privileged=spec.durability is not Durability.CACHE)

    def checkpoint(self) -> int:
        """Write a checkpoint set of what is folded now; returns its LSN."""
        lsn = self.journal.seal_active()
        slot = read_witness(self.journal.folders.root).newest
        assert slot is not None and slot.point.lsn == lsn
        heads = self._heads()
        contents = {
            spec.number: ClassContent(heads[spec.number], self.ledger.node_us, self.ledger.state[spec.number]) for spec in SPECS
        }
        write_checkpoint_set(self.journal, Anchor(lsn, slot.point.epoch, slot.point.digest), contents)
        return lsn

    def _heads(self) -> StrictHeads:
        """The strict heads as the checkpoints and the segments behind them give them."""
        journal = self.journal
        inventory = take_inventory(journal.folders.journal, JOURNAL_ID)
        loaded = load_base(journal.folders, journal.keys, journal.setup, inventory).checkpoints
        heads = StrictHeads((number, checkpoint.content.head) for number, checkpoint in loaded.items())
        for segment in Walk(journal.folders.journal, inventory, 0):
            for _frame, records in records_of(segment, journal.keys.ring):
                for record in records:
                    if record.link is not None and record.lsn > loaded[record.state_class].anchor.lsn:
                        heads.follow(record)
        return heads


def open_journal(filesystem: FileSystem, path: str = PATH, setup: Setup | None = None) -> Opened:
    """Recover the journal under `path`."""
    ledger = Ledger()
    journal = Journal.open(filesystem.open_root(path), setup or setup_of(randomness=SeededRandomness(2)), ledger)
    return Opened(journal, ledger)


def new_journal(filesystem: FileSystem | None = None, setup: Setup | None = None) -> tuple[Any, Opened]:
    """A file system (in memory, where none is given) and an empty open journal in it."""
    filesystem = filesystem or MemoryFileSystem()
    create_journal(filesystem, setup=setup)
    return filesystem, open_journal(filesystem, setup=setup)


def closed_behind_an_empty_segment() -> MemoryFileSystem:
    """A journal of two records whose witness names the digest of an empty segment's header."""
    filesystem, opened = new_journal()
    opened.append(IDENTITY, ["i1"])
    opened.append(HEALTH, ["h2"])
    # The next segment was made and the process died before its first frame; then the witness follows, without another record.
    for survived in range(40):
        second = filesystem.image()
        second.crash_after(survived)
        with suppress(SimulatedCrash):
            open_journal(second).append(HEALTH, [b"x" * 100])
        left = second.crash()
        open_journal(left).journal.close()
        final = open_journal(left)
        assert final.journal.report.is_clean
        if final.ledger.lsns() == [1, 2, 3]:
            break
        assert final.ledger.lsns() == [1, 2]
        if len(segments_in(tree(left))) == 2:
            return left
    raise AssertionError("no crash left an empty segment behind")


def read_all(filesystem: FileSystem, path: str = PATH) -> list[Any]:
    """Bodies of all records that a reader sees in a journal at rest."""
    with JournalReader.open(filesystem.open_root(path), setup_of(), live=False) as reader:
        return [plain(record.body) for _frame, records in reader.records() for record in records]


def tree(filesystem: FileSystem, path: str = PATH) -> dict[str, bytes | None]:
    """Every file below `path` with its bytes; folders as None."""
    found: dict[str, bytes | None] = {}

    def visit(directory: Directory) -> None:
        for name in directory.names():
            status = directory.status(name)
            assert status is not None
            full = f"{directory.name}/{name}".lstrip("/")
            if status.kind == "directory":
                found[full] = None
                with directory.directory(name) as inner:
                    visit(inner)
            else:
                found[full] = read_whole(directory, name, SEGMENT_BYTES_MAX)

    with filesystem.open_root(path) as root:
        visit(root)
    return found


def plant(files: Mapping[str, bytes | None], path: str = PATH) -> MemoryFileSystem:
    """A fresh file system in memory that holds `files`, all synced."""
    filesystem = MemoryFileSystem()
    root = filesystem.open_root(path, create=True)
    folders: dict[str, Any] = {"": root}
    for name, content in sorted(files.items()):
        above, _, last = name.rpartition("/")
        if content is None:
            folders[name] = folders[above].create_directory(last)
        else:
            with folders[above].create(last) as file:
                file.write_at(0, content)
                file.sync()
    for folder in folders.values():
        folder.sync()
    filesystem.operations.clear()
    return filesystem


def segments_in(files: Mapping[str, bytes | None]) -> list[str]:
    """Paths of the segments among `files`, oldest first."""
    prefix = f"{JOURNAL}/"
    return sorted(name for name in files if name.startswith(prefix) and parse_segment_name(name.removeprefix(prefix)))


def without_spare(files: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    return {name: content for name, content in files.items() if name != f"{JOURNAL}/{SPARE}"}


def fill_up(filesystem: MemoryFileSystem) -> None:
    """Let the disk be full from now on."""
    filesystem.capacity_bytes = filesystem.used_bytes


def write_until_full(opened: Opened, spec: Any = PEERS) -> int:
    """Append ordinary records until there is no space; returns how many there were."""
    for count in range(1000):
        try:
            opened.append(spec, ["filling", count, bytes(range(200))])
        except NoSpace:
            return count
    raise AssertionError("the disk never filled up")
