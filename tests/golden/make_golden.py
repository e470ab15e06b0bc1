"""Makes the golden files of the journal's format 1: one cluster's folder as a crash left it, after recovery, and with a second data key.

They were made once and are kept for good: every later release must read them. Making them again is for a new format, in a folder of
its own, or for trying out what a change would do:

    python -m tests.golden.make_golden FOLDER [--overwrite]

With `--events FILE` it adds golden bodies of event kinds that have none yet (`golden_events`); bodies that are there stay as they are.

Everything that varies is fixed: keys, randomness, clock. (Another zlib may compress to other bytes.)
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rap_journal.checkpoints import Anchor, ClassContent
from rap_journal.filesystem import Directory
from rap_journal.fold_sets import FoldSet
from rap_journal.inventory import take_inventory
from rap_journal.journal import Journal, load_base, write_checkpoint_set
from rap_journal.ledger import keep_in_ledger
from rap_journal.markers import Marker, MarkerKind, ProviderKind
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.payload import StrictHeads
from rap_journal.records import Category, Record
from rap_journal.sealed_store import store_document
from rap_journal.sealing import Purpose
from rap_journal.testing import ManualClock, SeededRandomness
from rap_journal.unlocking import Setup
from rap_journal.values import ClassSpec, Durability
from rap_journal.verify import JournalShape, verify_journal
from rap_journal.verify_report import VerifyReport
from rap_journal.witness import read_witness
from tests.golden.golden_events import laid_out_entries, missing_entries, read_entries
from tests.journal.independent_reader import IndependentReader, plain

KEY_ENCRYPTION_KEY = bytes(range(0x80, 0xA0))
JOURNAL_ID = bytes.fromhex("676f6c64656e206a6f75726e616c2031")
STORE_ID = bytes.fromhex("676f6c64656e2073746f726520202031")
FOLD_SET = FoldSet(1)
LINE_LENGTH_MAX = 480
KIND = 1000
"""Ignorable kinds, so that these files can be opened by any release, whatever its own kinds mean."""

IDENTITY = ClassSpec(1, "identity", Durability.STRICT)
TRUST = ClassSpec(2, "trust", Durability.STRICT)
SNAPSHOTS = ClassSpec(3, "snapshots", Durability.STRICT)
SERVICES = ClassSpec(5, "services", Durability.SYNC)
HEALTH = ClassSpec(6, "health", Durability.SYNC)
PEERS = ClassSpec(7, "peers", Durability.CACHE)
TELEMETRY = ClassSpec(9, "telemetry", Durability.CACHE)
SPECS = (
    IDENTITY,
    TRUST,
    SNAPSHOTS,
    ClassSpec(4, "updates", Durability.STRICT),
    SERVICES,
    HEALTH,
    PEERS,
    ClassSpec(8, "routes", Durability.CACHE),
    TELEMETRY,
)
SHAPE = JournalShape(SPECS, ("identity", "trust"))


class GoldenProvider:
    """The key-encryption key that the README of the golden files names."""

    kind = ProviderKind.MEMORY

    def key_encryption_key(self) -> bytes:
        return KEY_ENCRYPTION_KEY


class Bodies:
    """Projections whose state is the list of bodies, by class."""

    def __init__(self) -> None:
        self.values: dict[int, list[Any]] = {spec.number: [] for spec in SPECS}
        self.heads = StrictHeads()
        self.node_us = 0

    def restore(self, state_class: int, value: Any) -> None:
        self.values[state_class] = list(value or [])

    def apply(self, records: Sequence[Record]) -> None:
        for record in records:
            self.values[record.state_class].append([record.lsn, record.body])
            self.node_us = record.node_us
            if record.link is not None:
                self.heads.follow(record)

    def floors(self) -> Any:
        return [len(self.values[TRUST.number]), ["peers", 1, 2]]

    def waiting(self, rows_max: int) -> list[Record]:
        return []

    def give_back(self, records: Sequence[Record]) -> None:
        pass

    def committed(self, records: Sequence[Record]) -> None:
        pass


class Writer:
    """One opening of the golden cluster."""

    def __init__(self, root: Directory, setup: Setup, clock: ManualClock) -> None:
        self.projections = Bodies()
        self.journal = Journal.open(root, setup, self.projections)
        self._clock = clock
        journal, heads = self.journal, self.projections.heads
        inventory = take_inventory(journal.folders.journal, JOURNAL_ID)
        for number, loaded in load_base(journal.folders, journal.keys, setup, inventory).checkpoints.items():
            # Chains go on from the checkpoint where nothing behind it belongs to the class.
            if heads[number].lsn < loaded.content.head.lsn:
                heads.move(number, loaded.content.head)

    def write(self, spec: ClassSpec, *bodies: Any, **changes: Any) -> None:
        """One frame of records of one class."""
        records = [self._record(spec, body, **changes) for body in bodies]
        strict = spec.durability is Durability.STRICT
        self.journal.wait(self.journal.submit(records, strict=strict, privileged=spec.durability is not Durability.CACHE))

    def checkpoint(self) -> None:
        lsn = self.journal.seal_active()
        slot = read_witness(self.journal.folders.root).newest
        assert slot is not None
        heads, node_us = self.projections.heads, self.projections.node_us
        contents = {
            spec.number: ClassContent(heads[spec.number], node_us, self.projections.values[spec.number]) for spec in SPECS
        }
        write_checkpoint_set(self.journal, Anchor(lsn, slot.point.epoch, slot.point.digest), contents)

    def _record(self, spec: ClassSpec, body: Any, **changes: Any) -> Record:
        now = self._clock.advance(seconds=0.001)
        node_us = now.wall_us - 1_767_225_600_000_000
        blank = Record(
            0, KIND + spec.number, 1, Category.DECISION, spec.number, 1, now.wall_us, now.boot_us, node_us, self._clock.boot_id(), (), None,
            "agent", None, body,
        )  # fmt: skip
        return blank._replace(**changes)


def make(place: Path) -> dict[str, VerifyReport]:
    """Make the folders `torn`, `closed` and `rotated` below `place`; returns what verification says of them."""
    clock = ManualClock()
    randomness = SeededRandomness("golden format 1")
    setup = Setup(SPECS, SHAPE.key_folders, GoldenProvider(), randomness, FOLD_SET, segment_bytes_max=4096)
    marker = Marker(MarkerKind.CLUSTER, ProviderKind.MEMORY, JOURNAL_ID, STORE_ID, "eu-west-1")
    filesystem = OsFileSystem()
    root = filesystem.open_root(str(place / "closed"), create=True)
    Journal.create(root, marker, setup, {spec.number: [] for spec in SPECS}, [0, []], 0)
    first_life(Writer(filesystem.open_root(str(place / "closed")), setup, clock))
    tear_last_frame(place / "closed" / "journal")
    shutil.copytree(place / "closed", place / "torn")
    clock.reboot(down_seconds=60)
    second_life(Writer(filesystem.open_root(str(place / "closed")), setup, clock), randomness)
    shutil.copytree(place / "closed", place / "rotated")
    clock.reboot(down_seconds=60)
    third_life(Writer(filesystem.open_root(str(place / "rotated")), setup, clock))
    return {
        state: verify_journal(filesystem.open_root(str(place / state)), SHAPE, live=False, keys=GoldenProvider())
        for state in ("torn", "closed", "rotated")
    }


def first_life(writer: Writer) -> None:
    """Every feature of a frame and of a record; the process dies in its last write."""
    writer.write(IDENTITY, ["node-17", "request", b"\x00\xff", None, True])
    writer.write(TRUST, ["bundle", 1], ["instant", 1767225600], causes=(1,), trace_id="trace-1", actor="operator")
    writer.write(PEERS, ["node-18", 12500], ["node-19", -1, [1, [2, [3]]]], category=Category.OBSERVATION)
    writer.write(PEERS, [[1, 2, 3], [12500, 13000, 12750]], rows=3, category=Category.OBSERVATION, actor="prober")
    writer.write(HEALTH, ["degraded", "x" * 1200], category=Category.DECISION)
    for number in range(7):
        writer.write(TELEMETRY, ["sample", number, "x" * 40], category=Category.NOTE)
    writer.write(SNAPSHOTS, ["activated", "peers", 1, 1], causes=(2, 3))
    for number in range(9):
        writer.write(PEERS, [f"node-{number}", 10_000 + number], category=Category.OBSERVATION)
    writer.write(SERVICES, ["svc-a", "assigned"])
    writer.write(TELEMETRY, ["this record was being written when the power went", "y" * 60], category=Category.NOTE)
    writer.journal.folders.close()


def second_life(writer: Writer, randomness: SeededRandomness) -> None:
    """Recovery, documents, a checkpoint set, a few more frames, the ledger of a retiring that went no further, a clean close."""
    journal = writer.journal
    for spec, purpose, content in (
        (SNAPSHOTS, Purpose.DOCUMENT, b"a signed document, as received " * 4),
        (IDENTITY, Purpose.IDENTITY, bytes(range(32))),
    ):
        store_document(
            journal.folders, spec, content, journal_id=JOURNAL_ID, keys=journal.keys.ring, randomness=randomness, purpose=purpose
        )
    writer.write(HEALTH, ["recovered"], category=Category.LIFECYCLE)
    writer.write(IDENTITY, ["node-17", "enrolled"], causes=(1,))
    writer.checkpoint()
    writer.write(PEERS, ["node-18", 12600], category=Category.OBSERVATION)
    writer.write(TRUST, ["bundle", 2])
    inventory = take_inventory(journal.folders.journal, JOURNAL_ID)
    keep_in_ledger(
        journal.folders, JOURNAL_ID, journal.keys.ring, inventory, last_lsn=inventory.chain[1].header.predecessor.last_lsn,
        randomness=SeededRandomness("golden ledger"),
    )  # fmt: skip
    journal.close()


def third_life(writer: Writer) -> None:
    """A new data key: what was written before it, and after it; a checkpoint set under it, a clean close."""
    writer.write(TRUST, ["bundle", 3])
    writer.journal.rotate_data_key()
    writer.write(HEALTH, ["sealed under the second generation"])
    writer.write(TRUST, ["bundle", 4])
    writer.checkpoint()
    writer.journal.close()


def tear_last_frame(folder: Path) -> None:
    """Put zeros over the second half of the last frame, as if its last sectors had not been written."""
    newest = max(path for path in folder.iterdir() if path.name[0].isdigit())
    data = bytearray(newest.read_bytes())
    end = len(data.rstrip(b"\0"))
    data[end - 90 : end] = bytes(90)
    newest.write_bytes(data)


def expected_of(place: Path, reports: dict[str, VerifyReport]) -> dict[str, Any]:
    """What a reader must find: by the reader that was written from the page alone; the tests compare the engine with it."""
    states = {}
    for state, report in reports.items():
        files = read_files(place / state)
        states[state] = {
            "verify": {
                "exit_code": report.exit_code,
                "findings": [plain([*finding[:3], finding.severity.name]) for finding in report.findings],
            },
            **IndependentReader(files, KEY_ENCRYPTION_KEY).describe(),
        }
    return {
        "format": "rap-journal-golden",
        "format_version": 1,
        "key_encryption_key": plain(KEY_ENCRYPTION_KEY),
        "states": states,
    }


def read_files(folder: Path) -> dict[str, bytes]:
    """Path and bytes of every file below `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def laid_out(value: Any, indent: str = "") -> str:
    """JSON in which whatever fits stands on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= LINE_LENGTH_MAX or not isinstance(value, dict | list):
        return line
    inner = indent + " "
    if isinstance(value, list):
        items, ends = [laid_out(item, inner) for item in value], "[]"
    else:
        items, ends = [f"{json.dumps(key)}: {laid_out(item, inner)}" for key, item in value.items()], "{}"
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{ends[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the golden files of journal format 1.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--events", type=Path, metavar="FILE", help="add golden bodies of event kinds that have none yet")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there: older releases' nodes may hold such bytes"
    )
    arguments = parser.parse_args()
    if arguments.events is not None:
        entries = read_entries(arguments.events)
        arguments.events.write_text(laid_out_entries([*entries, *missing_entries(entries)]), encoding="utf-8")
    if arguments.folder is None:
        return
    target: Path = arguments.folder
    if (target / "expected.json").exists() and not arguments.overwrite:
        parser.error(f"{target} holds golden files, which are kept for good; give another folder, or --overwrite")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        expected = expected_of(place, make(place))
        target.mkdir(parents=True, exist_ok=True)
        for state in expected["states"]:
            shutil.rmtree(target / state, ignore_errors=True)
            shutil.copytree(place / state, target / state)
        (target / "expected.json").write_text(laid_out(expected) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
