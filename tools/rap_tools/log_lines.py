"""How the log is shown: aligned lines for people, objects for programs.

Rules this file keeps: one line per event, never wrapped; a refusal, an eviction and what is absent can be seen at a glance.

Example::

    lines = TextLines(text)
    lines.show(entry)
"""

from typing import Any, Protocol

from rap_tools.event_summary import summary
from rap_tools.exit_codes import ExitCode
from rap_tools.frame_reading import FrameLine
from rap_tools.json_output import JsonWriter
from rap_tools.log_reading import Absent, Item
from rap_tools.opening import SEALED
from rap_tools.text_output import TextWriter
from rap_tools.times import rfc3339

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
    """For people: LSN, wall time in UTC, class, kind, what it is about."""

    def __init__(self, text: TextWriter) -> None:
        self._text = text
        self.flush = text.flush

    def show(self, item: Item) -> None:
        """Show one item on one line."""
        if isinstance(item, Absent):
            self._text.line(
                (
                    f"-- {lsn_range(item.first_lsn, item.last_lsn)} not in the journal: damaged, or given up by a recovery --",
                    "red",
                )
            )
        elif isinstance(item, FrameLine):
            size = f"{'strict' if item.is_strict else '':<6}  {item.byte_count} bytes"
            about = f" {SEALED:<24}  {','.join(item.state_classes):<22} {size}  {SEALED}"
            self._text.line((f"{lsn_range(item.first_lsn, item.last_lsn):<16}", "cyan"), about)
        else:
            when = f" {rfc3339(item.wall_us, digits=3)}  {item.class_name:<9}  "
            kind = (f"{item.kind_name:<22}", _STYLES.get(item.category, ""))
            self._text.line((f"@{item.lsn:<8}", "cyan"), when, kind, f"  {summary(item)}")

    def end(self, exit_code: ExitCode, cursor: str) -> None:
        """There is nothing to add."""


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
            self._writer.item(item.as_object(payloads=False))

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
