"""How the log is shown: aligned lines for people, objects for programs.

Rules this file keeps:

- One line per event, or per batch of rows; off a terminal it is never wrapped, so that lines can be counted and searched.
- A refusal, an eviction and what is absent can be seen at a glance.

Example::

    lines = TextLines(text, horizon_lsn=6070)
    lines.show(entry)
"""

from textwrap import wrap
from typing import Any, Protocol

from rap_tools.event_entries import Entry
from rap_tools.event_summary import batch_summary, summary
from rap_tools.exit_codes import ExitCode
from rap_tools.frame_reading import FrameLine
from rap_tools.json_output import JsonWriter
from rap_tools.log_reading import Absent, Batch, Item
from rap_tools.opening import SEALED
from rap_tools.printable import counted
from rap_tools.text_output import TextWriter
from rap_tools.times import rfc3339

_TIME_WIDTH, _KIND_WIDTH = 24, 18
"""A time with milliseconds; most kinds."""

_STYLES = {"refusal": "red", "eviction": "yellow", "lifecycle": "green", "note": "magenta", "decision": "bold"}


class Lines(Protocol):
    """A way to show the log."""

    def show(self, item: Item) -> None:
        """Show one item."""
        ...

    def flush(self) -> None:
        """Let a reader see everything up to here."""
        ...

    def end(self, exit_code: ExitCode, cursor: str) -> None:
        """Finish."""
        ...


class TextLines:
    """For people: LSN, wall time in UTC, kind, what it is about. A batch stands on one line, at the time of its record.

    Args:
        text: where the lines go.
        horizon_lsn: the last LSN there is, by which the first column has its width.
        width: columns of the terminal; a line that is longer goes on below, indented. None: whatever its length, it is one line.
    """

    def __init__(self, text: TextWriter, horizon_lsn: int, width: int | None = None) -> None:
        self._text = text
        self._lsn_width = len(lsn_range(horizon_lsn - 1, horizon_lsn))
        self._width = width
        self.flush = text.flush

    def show(self, item: Item) -> None:
        """Show one item."""
        if isinstance(item, Absent):
            gone = f"-- {lsn_range(item.first_lsn, item.last_lsn)} not in the journal: damaged, or given up by a recovery --"
            self._text.line((gone, "red"))
        elif isinstance(item, FrameLine):
            strict = ", strict" if item.is_strict else ""
            about = f"{','.join(item.state_classes)}{strict}, {counted(item.byte_count, 'byte')}"
            self._line(lsn_range(item.first_lsn, item.last_lsn), SEALED, SEALED, "", about)
        elif isinstance(item, Batch):
            first = item.rows[0]
            rows = [row.row for row in item.rows if row.row is not None]
            self._show(first, lsn_range(item.first_lsn, item.last_lsn), batch_summary(rows))
        else:
            self._show(item, f"@{item.lsn}", summary(item))

    def end(self, exit_code: ExitCode, cursor: str) -> None:
        """There is nothing to add."""

    def _show(self, entry: Entry, lsns: str, about: str) -> None:
        self._line(lsns, rfc3339(entry.wall_us, digits=3), entry.kind_name, _STYLES.get(entry.category, ""), about)

    def _line(self, lsns: str, when: str, kind: str, style: str, about: str) -> None:
        start = f"{lsns:<{self._lsn_width}}"
        middle = f"  {when:<{_TIME_WIDTH}}  "
        fits = self._width is None or len(start + middle) + max(_KIND_WIDTH, len(kind)) + 2 + len(about) <= self._width
        if fits:
            self._text.line((start, "cyan"), middle, (f"{kind:<{_KIND_WIDTH}}", style), f"  {about}")
        else:
            self._text.line((start, "cyan"), middle, (kind, style))
            for line in wrap(about, max(20, (self._width or 0) - 4), break_on_hyphens=False, break_long_words=False):
                self._text.line("    ", line)


class ObjectLines:
    """For programs: each event as `event_entries` describes it; a frame, and what is absent, with its range of LSNs."""

    def __init__(self, writer: JsonWriter) -> None:
        self._writer = writer
        self.flush = writer.flush

    def show(self, item: Item) -> None:
        """Write one item."""
        if isinstance(item, Absent):
            self._writer.item({"first_lsn": item.first_lsn, "last_lsn": item.last_lsn}, type="absent")
        elif isinstance(item, FrameLine):
            self._writer.item(frame_object(item), type="frame")
        else:
            for entry in item.rows if isinstance(item, Batch) else (item,):
                self._writer.item(entry.as_object(payloads=False))

    def end(self, exit_code: ExitCode, cursor: str) -> None:
        """Close the list."""
        self._writer.end(exit_code, cursor=cursor)


def frame_object(line: FrameLine) -> dict[str, Any]:
    """A frame of which only the header could be read."""
    return {
        "first_lsn": line.first_lsn,
        "last_lsn": line.last_lsn,
        "time": SEALED,
        "classes": list(line.state_classes),
        "kind": SEALED,
        "is_strict": line.is_strict,
        "byte_count": line.byte_count,
        "segment": line.segment,
        "offset": line.offset,
        "fields": SEALED,
    }


def lsn_range(first: int, last: int) -> str:
    """One LSN or a run of them."""
    return f"@{first}" if first == last else f"@{first}..@{last}"
