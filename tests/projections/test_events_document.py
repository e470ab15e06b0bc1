"""EVENTS.md and the registry say the same, row by row and both ways."""

import collections.abc
import re
import types
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import pytest

from rap_journal.values import Durability
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES, SENSITIVITIES, EventKind, all_kinds
from rap_projections.events import EVENT_MODULES
from rap_projections.stored_document import StoredDocument

DOCUMENT = (Path(__file__).parents[2] / "projections" / "EVENTS.md").read_text(encoding="utf-8")
HEADER = "| kind | version | name | category | durability | field | type | sensitivity | meaning |"
DURABILITY = {Durability.CACHE: "batched", Durability.SYNC: "durable", Durability.STRICT: "strict"}


class Row(NamedTuple):
    """One row: of a kind, or of a field of the kind above it."""

    title: str
    kind: str
    field: tuple[str, str, str]
    meaning: str


def written_rows() -> list[Row]:
    """The rows of all tables of kinds, each with the heading it stands under and the kind it belongs to."""
    rows: list[Row] = []
    title, kind, inside = "", "", False
    for line in DOCUMENT.splitlines():
        if line.startswith("#"):
            title, inside = line.lstrip("# "), False
        elif line == HEADER:
            inside = True
        elif inside and line.startswith("| ") and not line.startswith("|---"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            assert len(cells) == 9, line
            kind = " ".join(cells[:5]) if cells[0] else kind
            rows.append(Row(title, kind, (cells[5], cells[6], cells[7]), cells[8]))
    return rows


def registered_rows() -> list[tuple[str, str, tuple[str, str, str]]]:
    """The same rows without their meaning, from the registry."""
    rows = []
    for kind in all_kinds():
        title = kind.state_class.name if kind.state_class else "Any class"
        words = f"{kind.number} {kind.version} {kind.name} {kind.category.name.lower()} {DURABILITY[kind.durability]}"
        rows.append((title, words, ("", "", "")))
        hints = get_type_hints(kind.type)
        rows += [(title, words, (name, written_type(hints[name]), level)) for name, level in kind.sensitivity.items()]
    return rows


def written_type(hint: Any) -> str:
    """A field's type as the tables write it."""
    simple = {int: "int", str: "text", bytes: "bytes", bool: "bool", type(None): "null"}
    if hint in simple:
        return simple[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return " / ".join(map(written_type, arguments))
    if origin is collections.abc.Sequence or (origin is tuple and arguments[-1] is Ellipsis):
        return f"[* {written_type(arguments[0])}]"
    if origin is tuple:
        return "[" + ", ".join(map(written_type, arguments)) + "]"
    return str(hint.__name__)


def test_every_registered_kind_and_field_has_its_row_and_every_row_its_kind_and_field() -> None:
    written, registered = [row[:3] for row in written_rows()], registered_rows()
    assert [row for row in registered if row not in written] == []
    assert [row for row in written if row not in registered] == []


def test_the_fields_of_a_kind_stand_in_the_order_of_the_body() -> None:
    by_kind: dict[str, list[str]] = {}
    for row in written_rows():
        by_kind.setdefault(row.kind.split()[2], []).append(row.field[0])
    assert by_kind == {kind.name: ["", *kind.type._fields] for kind in all_kinds()}


def test_no_row_stands_twice() -> None:
    rows = [row[:3] for row in written_rows()]
    assert len(rows) == len(set(rows))


def test_within_a_table_kinds_stand_in_the_order_of_their_numbers() -> None:
    for title in {row.title for row in written_rows()}:
        numbers = [int(row.kind.split()[0]) for row in written_rows() if row.title == title]
        assert numbers == sorted(numbers)


def test_every_row_says_what_it_means() -> None:
    assert [row for row in written_rows() if not row.meaning.endswith(".") or len(row.meaning) < 5] == []


def test_the_legend_lists_the_sensitivities_and_no_others() -> None:
    legend = DOCUMENT.partition("### Sensitivity")[2].partition("### Nested")[0]
    assert tuple(re.findall(r"^\| (\w+) \|", legend, re.MULTILINE)[1:]) == SENSITIVITIES


def test_the_nested_document_is_described_in_its_order() -> None:
    (line,) = [line for line in DOCUMENT.splitlines() if line.startswith("| `StoredDocument` |")]
    assert tuple(re.findall(r"`(\w+)`: ", line)) == StoredDocument._fields


@pytest.mark.parametrize("kind", list(all_kinds()), ids=lambda kind: f"{kind.number}-{kind.name}")
def test_a_number_lies_in_the_range_of_its_class(kind: EventKind) -> None:
    ranges = {
        "identity": [(10, 19)], "trust": [(20, 29)], "snapshots": [(30, 39), (120, 129)], "updates": [(40, 49), (140, 149)],
        "services": [(50, 59)],
        "health": [(1, 9), (60, 69), (130, 139)],
        "peers": [(70, 79)], "routes": [(80, 89)], "telemetry": [(90, 99)], "agent": [(1, 9), (100, 119)],
    }  # fmt: skip
    allowed = ranges[kind.state_class.name] if kind.state_class else [(1, 9)]
    assert any(low <= kind.number <= high for low, high in allowed)


def test_every_module_with_kinds_is_registered_through_events() -> None:
    named = {module.__name__ for module in EVENT_MODULES}
    # What the peers class observes has a module of its own, which `peers` imports.
    assert {kind.type.__module__ for kind in all_kinds()} - named <= {"rap_projections.peer_observations"}


def test_every_class_has_kinds() -> None:
    assert {kind.state_class for kind in all_kinds() if kind.state_class} == {*CLUSTER_CLASSES, *AGENT_CLASSES}
