"""A record as text for people: what it is, its time and place, its fields, and its rows below each other.

Rules this file keeps:

- Nothing of an event is left out: a column in which all rows are alike is told once, above them.
- Of the rows of a large batch of observations those around the one that was asked for are shown, unless all are wanted; how many there are
  is always said.

Example::

    print_record(text, RecordText("lab", entry, line, causes, rows), all_rows=False)
"""

from typing import Any, NamedTuple

from rap_tools.event_entries import Entry
from rap_tools.event_rows import Rows, fields_beside_rows
from rap_tools.frame_reading import FrameLine
from rap_tools.log_lines import lsn_range
from rap_tools.opening import SEALED
from rap_tools.printable import counted
from rap_tools.quantities import span_us_text
from rap_tools.text_output import Piece, TextWriter
from rap_tools.times import rfc3339
from rap_tools.values import value_lines, value_text

ROWS_AROUND = 5
"""So many rows before the one that was asked for, and behind it, are shown of a large batch."""

ROWS_SHOWN_MAX = 20
"""A batch of no more rows is shown whole."""

_LAST_COLUMNS = ("alternatives",)
"""Columns of long texts stand behind the others."""

_OWN_COLUMNS = ("lsn", "destination", "candidate_id", "path", "peer", *_LAST_COLUMNS)
"""Columns that say what a row is about: they stay, even where all rows are alike."""

_HEADERS = {"node_us": "node time", "review_us": "look again at", "rtt_us": "round trip"}


class RecordText(NamedTuple):
    """What is shown of a record: its cluster, the event, its frame, its causes (LSN, kind, summary each) and its rows."""

    cluster: str
    entry: Entry
    frame: FrameLine
    causes: list[tuple[int, str, str]]
    rows: Rows


def print_record(text: TextWriter, shown: RecordText, *, all_rows: bool) -> None:
    """Show one record."""
    entry = shown.entry
    text.line(
        (f"{shown.cluster}@{entry.lsn}", "bold cyan"), "  ", (entry.kind_name, "bold"), f"  {entry.class_name}, {entry.category}"
    )
    text.pairs(_about(shown))
    rows, same = _without_what_is_the_same(shown.rows)
    fields = fields_beside_rows(entry) | same
    lines = [
        (name if at == 0 else "", line) for name, value in fields.items() for at, line in enumerate(value_lines(name, value))
    ]
    if lines:
        text.line("")
        text.pairs(lines, indent=4)
    if len(rows) > (entry.row is not None):
        text.line("")
        _print_rows(text, entry, rows, all_rows=all_rows)


def print_sealed(text: TextWriter, cluster: str, line: FrameLine) -> None:
    """Show what can be told of a record without the key: its frame."""
    text.line((f"{cluster}{lsn_range(line.first_lsn, line.last_lsn)}", "bold cyan"), f"  {SEALED}")
    classes = ", ".join(line.state_classes)
    text.pairs([("kind", SEALED), ("time", SEALED), ("classes", classes), ("fields", SEALED), _place(line)])


def way_text(candidate_id: str, path: list[str] | None) -> str:
    """A way: direct, or by its relays; the candidate's id where its path is not known any more."""
    if path is None:
        return candidate_id
    return f"via {', '.join(path)}" if path else "direct"


def _about(shown: RecordText) -> list[tuple[str, Piece]]:
    entry, record, line = shown.entry, shown.entry.record, shown.frame
    pairs: list[tuple[str, Piece]] = [
        ("time", rfc3339(entry.wall_us)),
        ("node time", rfc3339(entry.row.node_us if entry.row else record.node_us)),
        ("boot", f"{record.boot_id.hex()}, {span_us_text(record.boot_us // 1_000_000 * 1_000_000)} after it began"),
        ("actor", record.actor),
    ]
    if record.trace_id:
        pairs.append(("trace id", record.trace_id))
    for index, (lsn, kind, about) in enumerate(shown.causes):
        pairs.append(("cause" if index == 0 else "", f"@{lsn}  {kind}  {about}"))
    if record.link:
        previous = f"after @{record.link.previous_lsn}" if record.link.previous_lsn else "the first"
        pairs.append(("strict", f"number {record.link.ordinal} of its class, {previous}"))
    if record.rows > 1:
        whole = lsn_range(record.lsn, record.lsn + record.rows - 1)
        pairs.append(("row", f"{entry.lsn - record.lsn + 1} of {record.rows}, of the record {whole}"))
    return [*pairs, _place(line)]


def _place(line: FrameLine) -> tuple[str, str]:
    size = counted(line.byte_count, "byte")
    return ("frame", f"{lsn_range(line.first_lsn, line.last_lsn)} in segment {line.segment} at byte {line.offset}, {size}")


def _without_what_is_the_same(rows: Rows) -> tuple[Rows, dict[str, Any]]:
    """The rows without the columns in which all of them are alike, and these columns' values; a single row is left as it is."""
    if len(rows) < 2:
        return rows, {}
    same = {
        name: value for name, value in rows[0].items() if name not in _OWN_COLUMNS and all(row.get(name) == value for row in rows)
    }
    return [{name: value for name, value in row.items() if name not in same} for row in rows], same


def _print_rows(text: TextWriter, entry: Entry, rows: Rows, *, all_rows: bool) -> None:
    at = entry.lsn - entry.record.lsn if entry.row is not None else None
    window = range(len(rows))
    if at is not None and len(rows) > ROWS_SHOWN_MAX and not all_rows:
        window = window[max(0, at - ROWS_AROUND) : at + ROWS_AROUND + 1]
    # The candidate's id stands for a way only where its hops are not known.
    names = [name for name in rows[0] if name != "candidate_id" or "path" not in rows[0]]
    names.sort(key=lambda name: name in _LAST_COLUMNS)
    header = [*([""] if at is not None else []), *[_HEADERS.get(name, name) for name in names]]
    table: list[list[Piece]] = [[(name, "dim") for name in header]]
    for index in window:
        mark = [] if at is None else [">" if index == at else ""]
        table.append([*mark, *[_cell(name, rows[index]) for name in names]])
    text.columns(table, indent=4)
    if len(window) < len(rows):
        text.line(f"    {len(window)} of {len(rows)} rows; -v shows all")


def _cell(name: str, row: dict[str, Any]) -> str:
    value = row[name]
    if name == "path":
        return way_text(row.get("candidate_id", ""), value)
    if name == "alternatives":
        return "; ".join(way_text(other["candidate_id"], other["path"]) for other in value) or "none"
    return value_text(name, value)
