"""Golden bodies of event kinds: samples that the types of the fields make, and the file that keeps what was written once.

A body in the file is never changed: it is what some release wrote. A kind, or a version of one, that has none yet gets its bodies by

    python -m tests.golden.make_golden --events tests/golden/events.json

Example::

    entries = read_entries(FILE)
    FILE.write_text(laid_out_entries([*entries, *missing_entries(entries)]))
"""

import hashlib
import json
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from rap_journal.deterministic_cbor import encode
from rap_projections.event_kinds import Event, EventKind, all_kinds
from rap_projections.events import EVENT_MODULES

FILE = Path(__file__).parent / "events.json"
FORMAT = "rap-events-golden"
SAMPLES = ("full", "sparse")
"""Every optional value there and two of everything that may be several; or nothing that can be left out, and the largest numbers."""

NUMBER_MAX = (1 << 63) - 1

assert EVENT_MODULES, "importing them registers all kinds"


def sample_of(kind: EventKind, sample: str) -> Event:
    """One event of a kind; the same on every machine and at any time."""
    hints = get_type_hints(kind.type)
    event: Event = kind.type._make([_value(hints[name], f"{kind.name}.{name}", sample) for name in kind.type._fields])
    return event


def missing_entries(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries for the kinds and versions that have none yet."""
    known = {(entry["kind"], entry["version"], entry["sample"]) for entry in entries}
    return [
        _entry(kind, sample) for kind in all_kinds() for sample in SAMPLES if (kind.number, kind.version, sample) not in known
    ]


def read_entries(file: Path) -> list[dict[str, Any]]:
    """The entries of a golden file; none where there is no file."""
    if not file.exists():
        return []
    content = json.loads(file.read_text(encoding="utf-8"))
    assert (content["format"], content["format_version"]) == (FORMAT, 1)
    entries: list[dict[str, Any]] = content["events"]
    return entries


def laid_out_entries(entries: Sequence[dict[str, Any]]) -> str:
    """The text of a golden file: one line per entry, by kind."""
    ordered = sorted(entries, key=lambda entry: (entry["kind"], entry["version"], SAMPLES.index(entry["sample"])))
    lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in ordered)
    return f'{{"format": "{FORMAT}", "format_version": 1, "events": [\n{lines}\n]}}\n'


def plain(value: Any) -> Any:
    """What JSON can hold; byte strings as h'00ff', arrays of either kind as arrays."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _entry(kind: EventKind, sample: str) -> dict[str, Any]:
    event = sample_of(kind, sample)
    fields = {name: plain(value) for name, value in zip(kind.type._fields, event, strict=True)}
    head = {"kind": kind.number, "version": kind.version, "name": kind.name, "sample": sample}
    return {**head, "fields": fields, "body": encode(tuple(event)).hex()}


def _value(hint: Any, path: str, sample: str) -> Any:
    """A value of a field's type; `path` makes it another one than its neighbours'."""
    origin, arguments = get_origin(hint), get_args(hint)
    digest = hashlib.sha256(path.encode()).digest()
    is_full = sample == "full"
    if origin is types.UnionType:
        kinds = [argument for argument in arguments if argument is not type(None)]
        return _value(kinds[0], path, sample) if is_full or len(kinds) == len(arguments) else None
    if origin is Sequence or (origin is tuple and arguments[-1] is Ellipsis):
        return tuple(_value(arguments[0], f"{path}.{number}", sample) for number in range(2 if is_full else 0))
    if origin is tuple:
        return tuple(_value(argument, f"{path}.{number}", sample) for number, argument in enumerate(arguments))
    if hint is bool:
        return is_full
    if hint is int:
        return int.from_bytes(digest[:3], "big") if is_full else NUMBER_MAX
    if hint is str:
        return path if is_full else "é"
    if hint is bytes:
        return digest if is_full else b""
    hints = get_type_hints(hint)
    return hint._make([_value(hints[name], f"{path}.{name}", sample) for name in hint._fields])
