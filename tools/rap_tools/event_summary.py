"""The one line that says what an event is about.

Rules this file keeps:

- It is short, and made of the fields themselves; digests are cut, documents are sizes, long lists are counts.
- What a summary leaves out is in `show`.

Example::

    assert summary(entry) == "node-17  12.500 ms"
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rap_projections.hints import HintPut
from rap_projections.peer_observations import failure_reason
from rap_projections.routes import RouteResult, RoutesExpired, RoutesSelected
from rap_projections.snapshot_events import IncrementApplied, SnapshotActivated
from rap_projections.stored_document import StoredDocument
from rap_projections.telemetry import TelemetryRecorded
from rap_tools.event_entries import Entry, Row, route_end_word
from rap_tools.printable import counted, shortened
from rap_tools.quantities import quantity_text
from rap_tools.times import rfc3339_s
from rap_tools.values import plain

TEXT_SHOWN_MAX = 60
DIGEST_SHOWN = 8
ITEMS_SHOWN_MAX = 3
ITEMS_WIDTH_MAX = 80
SUMMARY_MAX = 120


def summary(entry: Entry) -> str:
    """What the entry is about, in one line."""
    return shortened(_about(entry), SUMMARY_MAX)


def _about(entry: Entry) -> str:
    if entry.row is not None:
        return _row(entry.row)
    event = entry.event
    if isinstance(event, RoutesSelected | RoutesExpired):
        return _routes(event)
    if isinstance(event, RouteResult):
        return f"{event.candidate_id} {'ok' if event.ok else failure_reason(event.reason).word}"
    if isinstance(event, TelemetryRecorded):
        return f"{event.topic}, {len(event.text)} characters"
    if isinstance(event, HintPut):
        return f"{event.key}, {len(event.value)} characters"
    fields = entry.fields()
    if entry.kind is None:
        return f"version {entry.record.version}, unknown to this release"
    if "peers" in fields and "numbers" in fields:
        return f"{_items(fields['peers'])} (numbering @{fields['numbering_lsn']})"
    if isinstance(event, SnapshotActivated | IncrementApplied):
        version = ".".join(map(str, event.version))
        return f"{event.scope} {version}, {event.stored.size} bytes, expires {rfc3339_s(event.expires_at_s)}"
    return "  ".join(f"{name}={_short(name, getattr(event, name))}" for name in event._fields)


def _row(row: Row) -> str:
    if row.rtt_us is None:
        return f"{row.peer}  {row.failure}"
    return f"{row.peer}  {_ms(row.rtt_us)} ms"


def _ms(span_us: int) -> str:
    return f"{span_us // 1000}.{span_us % 1000:03d}"


def _routes(event: RoutesSelected | RoutesExpired) -> str:
    routes = [f"{destination}/{channel}" for destination, channel in zip(event.destinations, event.channels, strict=False)]
    if isinstance(event, RoutesSelected):
        return f"{counted(len(routes), 'route')}: {_items(routes)}"
    why = route_end_word(event.reason).replace("_", " ")
    return f"{counted(len(routes), 'route')} ended ({why}): {_items(routes)}"


def batch_summary(rows: Sequence[Row]) -> str:
    """What a batch of observations comes to: how many of how many peers, from the quickest to the slowest, and what failed."""
    peers = len({row.number for row in rows})
    answered = sorted(row.rtt_us for row in rows if row.rtt_us is not None)
    text = f"{counted(len(rows), 'observation')} of {counted(peers, 'peer')}"
    if answered:
        text += f", {_ms(answered[0])} to {_ms(answered[-1])} ms"
    failures = Counter(str(row.failure) for row in rows if row.rtt_us is None)
    if failures:
        counts = sorted(failures.items(), key=lambda item: (-item[1], item[0]))
        reasons = [f"{count} {reason}" if len(counts) > 1 else reason for reason, count in counts]
        text += f", {failures.total()} failed ({', '.join(reasons)})"
    return text


def _items(items: list[str]) -> str:
    """The first few, and how many more there are: as many as there is room for, and one at least."""
    count = min(len(items), ITEMS_SHOWN_MAX)
    while count > 1 and len(", ".join(items[:count])) > ITEMS_WIDTH_MAX:
        count -= 1
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return f"{', '.join(items[:count])}{more}" if items else "none"


def _short(name: str, value: Any) -> str:
    """A field in a few characters."""
    if isinstance(value, bytes):
        return value.hex()[:DIGEST_SHOWN] or "-"
    if isinstance(value, StoredDocument):
        return f"{value.size}B"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return quantity_text(name, value) or str(value)
    if hasattr(value, "_fields"):
        return ".".join(_short("", part) for part in value)
    if isinstance(value, list | tuple):
        is_simple = len(value) <= ITEMS_SHOWN_MAX and all(isinstance(item, str | int) for item in value)
        return ",".join(map(str, value)) if is_simple and value else str(len(value))
    return shortened(str(plain(value)), TEXT_SHOWN_MAX) or "-"
