"""Golden bodies: what a release wrote is read, field by field, by every later one."""

import json
from typing import Any, get_type_hints

import pytest

from rap_journal.deterministic_cbor import decode, encode
from rap_journal.payload import decode_payload, encode_payload
from rap_journal.records import Record
from rap_projections.event_kinds import all_kinds, event_of, kind_numbered
from tests.golden import make_golden
from tests.golden.golden_events import FILE, SAMPLES, laid_out_entries, missing_entries, plain, read_entries, sample_of

ENTRIES = read_entries(FILE)


def name_of(entry: dict[str, Any]) -> str:
    return f"{entry['kind']}v{entry['version']} {entry['name']}, {entry['sample']}"


def test_every_kind_and_version_has_its_golden_bodies() -> None:
    missing = [name_of(entry) for entry in missing_entries(ENTRIES)]
    assert missing == [], "make them with: python -m tests.golden.make_golden --events tests/golden/events.json"


def test_every_golden_body_is_of_a_kind_that_is_still_known() -> None:
    known = {(kind.number, kind.version, sample) for kind in all_kinds() for sample in SAMPLES}
    listed = [(entry["kind"], entry["version"], entry["sample"]) for entry in ENTRIES]
    assert sorted(set(listed) - known) == []
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_a_golden_body_is_read_field_by_field(entry: dict[str, Any]) -> None:
    kind = kind_numbered(entry["kind"], entry["version"])
    assert kind is not None
    body = bytes.fromhex(entry["body"])
    value = decode(body)
    assert len(value) == len(kind.type._fields) == len(entry["fields"])
    event = kind.type._make(value)
    assert {name: plain(getattr(event, name)) for name in kind.type._fields} == entry["fields"]
    assert list(entry["fields"]) == list(kind.type._fields)
    assert encode(tuple(event)) == body


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_a_golden_body_comes_back_from_a_frame_as_its_event(entry: dict[str, Any]) -> None:
    written = decode(bytes.fromhex(entry["body"]))
    state_class = kind_numbered(entry["kind"], entry["version"]).state_class
    number = state_class.number if state_class is not None else 6
    record = Record(1, entry["kind"], entry["version"], 1, number, 1, 0, 0, 0, b"b" * 16, (), None, "agent", None, written)
    (read,) = decode_payload(encode_payload([record]), 1)
    event = event_of(read)
    assert event is not None
    assert type(event).__name__ == entry["name"]
    assert plain(event) == list(entry["fields"].values())


@pytest.mark.parametrize("kind", list(all_kinds()), ids=lambda kind: kind.name)
def test_a_full_sample_leaves_nothing_out_and_tells_fields_apart(kind: Any) -> None:
    event = sample_of(kind, "full")
    texts = [value for value in event if isinstance(value, str | bytes)]
    assert None not in event
    assert len(texts) == len(set(texts))
    assert len(get_type_hints(kind.type)) == len(event)


def test_the_file_is_laid_out_as_it_is_made() -> None:
    assert FILE.read_text(encoding="utf-8") == laid_out_entries(ENTRIES)


def test_making_golden_bodies_adds_what_is_missing_and_keeps_what_is_there(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.json"
    odd = {**ENTRIES[0], "body": "80"}
    file.write_text(laid_out_entries([odd, *ENTRIES[3:]]), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["make_golden", "--events", str(file)])
    make_golden.main()
    assert read_entries(file) == [odd, *ENTRIES[1:]]
    assert json.loads(file.read_text(encoding="utf-8"))["format"] == "rap-events-golden"
