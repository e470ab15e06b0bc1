"""journal/FORMAT.md says what the code does, and the golden files of every format stay readable."""

import inspect
import itertools
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from rap_journal import format as format_module
from rap_journal import key_files, layout, limits, markers, quarantine, sealed_files, segments, witness
from rap_journal.format import FORMAT_LEVEL, FORMAT_VERSION
from rap_journal.frames import FrameCodec
from rap_journal.journal import Journal
from rap_journal.payload import StrictHeads, decode_payload, encode_payload
from rap_journal.reader import JournalReader
from rap_journal.records import Record
from rap_journal.recovery_plan import TailFacts, TornFrame, Verdict, judge_tail
from rap_journal.scanner import Remnant
from rap_journal.sealing import KeyRing, hkdf, key_check_value
from rap_journal.segments import SegmentHeader, encode_segment_header, header_chain_digest, header_key_context
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.values import Durability, Epoch, SegmentNumber
from rap_journal.verify import verify_journal
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES
from tests.golden import make_golden
from tests.golden.make_golden import FOLD_SET, KEY_ENCRYPTION_KEY, SHAPE, SPECS, Bodies, GoldenProvider
from tests.journal.independent_reader import IndependentReader, plain
from tests.journal.workbench import PATH, plant, setup_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "journal" / "FORMAT.md").read_text(encoding="utf-8")
GOLDEN = ROOT / "tests" / "golden" / "format-1"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
STATES = sorted(EXPECTED["states"])

STRUCTURES = {name: value for name, value in vars(format_module).items() if isinstance(value, struct.Struct)}
DOCUMENTED_IN = {
    "FRAME_HEADER": format_module,
    "SEGMENT_HEADER": segments,
    "WITNESS_HEADER": witness,
    "MARKER_BLOCK": markers,
    "KEYS_HEADER": key_files,
    "SEALED_HEADER": sealed_files,
    "QUARANTINE_HEADER": quarantine,
}


def table_after(mark: str) -> list[list[str]]:
    """The cells of the table behind a comment of the page, without its head."""
    lines = PAGE[PAGE.index(f"<!-- {mark} -->") :].splitlines()[1:]
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def fields_of(structure: struct.Struct) -> list[tuple[int, int]]:
    """Offset and size of every field of a structure."""
    fields, offset = [], 0
    for count, code in re.findall(r"(\d*)([sBHIQ])", structure.format):
        size = int(count or 1) if code == "s" else struct.calcsize(f"<{code}")
        for _ in range(1 if code == "s" else int(count or 1)):
            fields.append((offset, size))
            offset += size
    return fields


# Byte tables.


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_byte_table_has_the_fields_of_its_structure(name: str) -> None:
    rows = [(int(row[0]), int(row[1])) for row in table_after(f"bytes: {name}") if row[0].isdigit() and row[1].isdigit()]
    inside = [row for row in rows if row[0] < STRUCTURES[name].size]
    assert inside == fields_of(STRUCTURES[name])


@pytest.mark.parametrize("name", DOCUMENTED_IN)
def test_the_table_in_the_module_has_the_same_fields(name: str) -> None:
    table = re.findall(r"^ +(\d+) +(\d+)  \w", inspect.getdoc(DOCUMENTED_IN[name]) or "", re.MULTILINE)
    size = STRUCTURES[name].size
    fields = [(int(offset), int(length)) for offset, length in table if int(offset) < size]
    assert fields[: len(fields_of(STRUCTURES[name]))] == fields_of(STRUCTURES[name])


def test_what_follows_a_header_starts_where_it_ends() -> None:
    for name, structure in STRUCTURES.items():
        for row in table_after(f"bytes: {name}"):
            if row[0].isdigit() and not row[1].isdigit():
                assert int(row[0]) == structure.size, (name, row)


def test_magic_bytes_are_those_of_the_code() -> None:
    magics = (
        ("SEGMENT_HEADER", format_module.SEGMENT_MAGIC),
        ("WITNESS_HEADER", format_module.WITNESS_MAGIC),
        ("MARKER_BLOCK", format_module.MARKER_MAGIC),
        ("KEYS_HEADER", format_module.KEYS_MAGIC),
        ("SEALED_HEADER", format_module.SEALED_MAGIC),
        ("QUARANTINE_HEADER", format_module.QUARANTINE_MAGIC),
    )
    for name, magic in magics:
        assert table_after(f"bytes: {name}")[0][3] == f"`{magic.decode()}`"
    assert table_after("bytes: FRAME_HEADER")[0][3].startswith(f"`{format_module.FRAME_MAGIC.hex(' ').upper()}`")


# Other tables.


def test_every_limit_is_quoted_as_it_is() -> None:
    quoted = {row[0].strip("`"): int(row[1]) for row in table_after("limits")}
    assert quoted == {name: value for name, value in vars(limits).items() if name.isupper()}


def test_numbers_in_the_text_follow_from_the_limits() -> None:
    assert limits.FRAME_BYTES_MAX - format_module.FRAME_OVERHEAD_BYTES == 1_048_480
    assert limits.CHECKPOINT_BYTES_MAX - 176 == 268_435_280
    assert format_module.WITNESS_BODY_BYTES_MAX == 3912
    for number in ("1 048 480", "4 194 304", "268 435 280", "3912"):
        assert number in PAGE


def test_the_names_of_files_are_those_of_the_layout() -> None:
    patterns = re.findall(r"^\| `([^`|]*\[[^`|]*)` \|", PAGE, re.MULTILINE)
    names = [
        layout.segment_name(SegmentNumber(7), Epoch(2)),
        layout.ledger_name(17, 1234),
        layout.checkpoint_name(1234),
        layout.document_name(bytes(range(16))),
        layout.wiping_name(bytes(range(16))),
        layout.keys_name(1),
        layout.quarantine_name(3, 2280, bytes(range(32))),
    ]
    assert len(patterns) == len(names)
    for pattern, name in zip(patterns, names, strict=True):
        assert re.fullmatch(pattern, name), name


def test_the_classes_are_those_of_the_projections() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (\w+) \| \| (\d+) \| `(\w+)`[^|]* \| (\w+) \|$", PAGE, re.MULTILINE)
    cells = [row[:3] for row in rows] + [row[3:] for row in rows]
    listed = {int(number): (name, Durability[durability.upper()]) for number, name, durability in cells}
    assert listed == {spec.number: (spec.name, spec.durability) for spec in (*CLUSTER_CLASSES, *AGENT_CLASSES)}


ANY = "any"
REMNANTS = {
    "nothing": Remnant.NOTHING,
    "short": Remnant.SHORT,
    "long": Remnant.LONG,
    "later frame": Remnant.LATER_FRAME,
}


def test_the_decision_table_is_total_and_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\d) \| ([A-Z_]+) \| (\w+) \| ([\w ]+) \| (\w+) \| ([\w, ]+) \|", PAGE, re.MULTILINE)
    for agrees, remnant, vouched, torn in itertools.product((True, False), REMNANTS, (True, False), TornFrame):
        matching = [
            (int(number), verdict)
            for number, verdict, its_witness, its_remnant, its_vouched, its_torn in rows
            if its_witness in (ANY, "agrees" if agrees else "differs")
            and its_remnant in (ANY, remnant)
            and its_vouched in (ANY, "yes" if vouched else "no")
            and (its_torn == ANY or torn.name.lower() in its_torn.split(", "))
        ]
        verdict = judge_tail(TailFacts(REMNANTS[remnant], vouched, torn, agrees))
        assert matching == [(verdict.value, verdict.name)], (agrees, remnant, vouched, torn)
    assert {int(row[0]) for row in rows} == {verdict.value for verdict in Verdict}


def test_the_version_history_ends_with_the_present_format() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| [\d.]+ \|", PAGE, re.MULTILINE)
    assert (int(rows[-1][0]), int(rows[-1][1])) == (FORMAT_VERSION, FORMAT_LEVEL)


def test_every_reference_to_a_section_leads_somewhere() -> None:
    headings = {int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)}
    assert headings == set(range(1, len(headings) + 1))
    assert {int(number) for number in re.findall(r"section (\d+)", PAGE) if int(number) < 70} <= headings | {4}
    anchors = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert anchors == {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


# The worked example.

EXAMPLE = PAGE[PAGE.index("<!-- example -->") : PAGE.index("## 22.")]


def hex_lines(block: str) -> bytes:
    """The bytes of a listing, whose offsets must be right."""
    data = b""
    start = None
    for line in block.strip().splitlines():
        found = re.match(r" *(\d+)  ((?:[0-9a-f]{2} ?)+|00 × (?P<zeros>\d+))(?:  |$)", line)
        assert found, line
        start = int(found[1]) if start is None else start
        assert int(found[1]) == start + len(data), line
        data += bytes(int(found["zeros"])) if found["zeros"] else bytes.fromhex(found[2])
    return data


def example_value(name: str) -> list[bytes]:
    row = next(line for line in EXAMPLE.splitlines() if line.startswith(f"| {name}"))
    return [bytes.fromhex(value) for value in re.findall(r"`([0-9a-f]+)`", row)]


def example_listings() -> list[bytes]:
    return [hex_lines(block) for block in re.findall(r"```text\n( +\d+  .*?)```", EXAMPLE, re.DOTALL)]


def example_payloads() -> list[bytes]:
    return [hex_lines(block) for block in re.findall(r"```payload\n(.*?)```", EXAMPLE, re.DOTALL)]


def example_records() -> list[list[Record]]:
    """The records that the page shows in diagnostic notation."""
    boot_id = bytes(range(0xE0, 0xF0))
    wall_us, boot_us, node_us = 1_767_225_600_000_000, 600_000_000, 5_000_000

    def record(lsn: int, kind: int, category: int, state_class: int, after_us: int, body: list[Any], **changes: Any) -> Record:
        times = wall_us + after_us, boot_us + after_us, node_us + after_us
        blank = Record(lsn, kind, 1, category, state_class, 1, *times, boot_id, (), None, "agent", None, body)
        return blank._replace(**changes)

    strict = StrictHeads().link_next(record(1, 1001, 1, 1, 0, ["eu-1", 7]))
    caused = record(2, 1002, 0, 7, 250, ["node-17", 12500], causes=(1,), trace_id="t-1")
    columnar = record(3, 1003, 0, 7, 300, [[1, 2, 3], [12500, 13000, 12750]], rows=3, actor="probe")
    return [[strict], [caused, columnar]]


def test_the_payloads_of_the_example_are_those_the_encoder_makes() -> None:
    assert example_payloads() == [encode_payload(records) for records in example_records()]
    assert [decode_payload(payload, lsn) for payload, lsn in zip(example_payloads(), (1, 2), strict=True)] == example_records()


def test_the_keys_of_the_example_are_those_that_are_derived() -> None:
    (journal_id,), (data_key,), (salt,) = example_value("journal_id"), example_value("data key"), example_value("salt")
    purpose_key = hkdf(data_key, journal_id, b"rap/v1 segment")
    assert example_value('purpose key "segment"') == [purpose_key]
    assert example_value("key check value") == [key_check_value(data_key, journal_id)]
    assert example_value("segment key") == [hkdf(purpose_key, salt, header_key_context(example_listings()[0]))]


def test_the_bytes_of_the_example_are_those_the_encoder_writes() -> None:
    (journal_id,), (data_key,), (salt,) = example_value("journal_id"), example_value("data key"), example_value("salt")
    (incarnation,), nonces = example_value("incarnation"), iter(example_value("nonces"))
    header = encode_segment_header(SegmentHeader(journal_id, "eu-1", SegmentNumber(1), Epoch(1), 1, incarnation, 1, salt, 0))
    cipher = KeyRing(journal_id, {1: data_key}, 1).segment_cipher(1, salt, header_key_context(header))
    codec = FrameCodec(salt, 1, cipher, lambda _length: next(nonces))
    listings = example_listings()
    assert listings[0] == header
    predecessor, lsn, last_strict_lsn = header_chain_digest(header), 1, 0
    for listing, records in zip(listings[1:], example_records(), strict=True):
        count = sum(record.rows for record in records)
        strict = records[0].link is not None
        encoded, predecessor = codec.encode(
            encode_payload(records), first_lsn=lsn, record_count=count, class_mask=1 << records[0].state_class, strict=strict,
            last_strict_lsn=last_strict_lsn, predecessor=predecessor,
        )  # fmt: skip
        assert listing == encoded
        lsn, last_strict_lsn = lsn + count, lsn + count - 1 if strict else last_strict_lsn
    assert (
        f"start at {sum(map(len, listings))} with LSN {lsn}, last_strict_lsn {last_strict_lsn} and predecessor `{predecessor.hex()}`"
        in EXAMPLE
    )


def test_the_strict_head_of_the_example_is_the_one_that_is_computed() -> None:
    heads = StrictHeads()
    heads.follow(example_records()[0][0])
    assert f"[1, h'{heads[1].digest.hex()}', 1]" in EXAMPLE


# Golden files.


def golden_files(state: str) -> dict[str, bytes | None]:
    """A golden folder, with the empty folders that git does not keep."""
    found: dict[str, bytes | None] = dict(make_golden.read_files(GOLDEN / state))
    folders = ("journal", "quarantine", "tmp", *(spec.name for spec in SPECS))
    return {**dict.fromkeys(folders), **found}


def golden_filesystem(state: str) -> MemoryFileSystem:
    return plant(golden_files(state))


def golden_setup() -> Any:
    return setup_of(
        specs=SPECS,
        key_folders=SHAPE.key_folders,
        provider=GoldenProvider(),
        randomness=SeededRandomness("later"),
        fold_set=FOLD_SET,
    )


def expected_records(state: str) -> list[dict[str, Any]]:
    return [
        record for segment in EXPECTED["states"][state]["segments"] for frame in segment["frames"] for record in frame["records"]
    ]


def as_expected(record: Record) -> dict[str, Any]:
    names = ("lsn", "kind", "version", "category", "rows", "wall_us", "boot_us", "node_us", "trace_id", "actor")
    return {
        **{name: getattr(record, name) for name in names},
        "class": record.state_class,
        "boot_id": plain(record.boot_id),
        "causes": list(record.causes),
        "strict_link": plain(record.link),
        "body": plain(record.body),
    }


@pytest.mark.parametrize("state", STATES)
def test_a_reader_written_from_the_page_alone_reads_the_golden_files(state: str) -> None:
    files = {name: data for name, data in golden_files(state).items() if data is not None}
    found = IndependentReader(files, KEY_ENCRYPTION_KEY).describe()
    expected = {name: value for name, value in EXPECTED["states"][state].items() if name != "verify"}
    assert json.loads(json.dumps(found)) == expected


@pytest.mark.parametrize("state", STATES)
def test_the_engine_reads_every_record_of_the_golden_files(state: str) -> None:
    with JournalReader.open(golden_filesystem(state).open_root(PATH), golden_setup(), live=False) as reader:
        found = [as_expected(record) for _frame, records in reader.records() for record in records]
        assert reader.horizon.lsn == EXPECTED["states"][state]["segments"][-1]["frames"][-1]["first_lsn"]
    assert found == expected_records(state)


@pytest.mark.parametrize("state", STATES)
def test_verification_says_of_the_golden_files_what_it_always_said(state: str) -> None:
    report = verify_journal(golden_filesystem(state).open_root(PATH), SHAPE, live=False, keys=GoldenProvider())
    expected = EXPECTED["states"][state]["verify"]
    assert report.exit_code == expected["exit_code"]
    assert [[*finding[:3], finding.severity.name] for finding in report.findings] == expected["findings"]


@pytest.mark.parametrize(
    ("state", "verdict"), [("closed", Verdict.CLEAN), ("rotated", Verdict.CLEAN), ("torn", Verdict.TORN_OR_ROTTEN)]
)
def test_the_golden_journal_opens_with_its_state_and_takes_more_records(state: str, verdict: Verdict) -> None:
    filesystem, bodies = golden_filesystem(state), Bodies()
    journal = Journal.open(filesystem.open_root(PATH), golden_setup(), bodies)
    assert journal.report.verdict is verdict
    folded = sorted((lsn, plain(body)) for values in bodies.values.values() for lsn, body in values)
    assert folded == [(record["lsn"], record["body"]) for record in expected_records(state)]
    journal.close()
    after = verify_journal(filesystem.open_root(PATH), SHAPE, live=False, keys=GoldenProvider())
    assert after.exit_code in (0, 6)


def test_golden_files_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) <= 200_000


def test_making_golden_files_refuses_to_overwrite(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = (GOLDEN / "expected.json").read_bytes()
    monkeypatch.setattr("sys.argv", ["make_golden", str(GOLDEN)])
    with pytest.raises(SystemExit) as stopped:
        make_golden.main()
    assert stopped.value.code == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (GOLDEN / "expected.json").read_bytes() == before


def test_making_golden_files_again_gives_the_same_bytes_and_verdicts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = make_golden.make(tmp_path / "one"), make_golden.make(tmp_path / "two")
    assert one == two
    assert make_golden.read_files(tmp_path / "one") == make_golden.read_files(tmp_path / "two")
