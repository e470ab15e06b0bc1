"""The one line that says what an event is about.

Rules this file keeps:

- It is short, and made of the fields themselves; digests are cut, documents are sizes, long lists are counts.
- What a summary leaves out is in `show`.

Example::

    assert summary(entry) == "node-17  12.500 ms"
"""

from typing import Any

from rap_projections.hints import HintPut
from rap_projections.peer_observations import failure_reason
from rap_projections.routes import RouteEnd, RouteResult, RoutesExpired, RoutesSelected
from rap_projections.snapshot_events import IncrementApplied, SnapshotActivated
from rap_projections.stored_document import StoredDocument
from rap_projections.telemetry import TelemetryRecorded
from rap_tools.event_entries import Entry, Row
from rap_tools.printable import shortened
from rap_tools.times import rfc3339_s
from rap_tools.values import plain

TEXT_SHOWN_MAX = 60
DIGEST_SHOWN = 8
ITEMS_SHOWN_MAX = 3
SUMMARY_MAX = 120


def summary(entry: Entry) -> str:
    """What the entry is about, in one line."""
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
        return shortened(f"version {entry.record.version}, unknown to this release", TEXT_SHOWN_MAX)
    if "peers" in fields and "numbers" in fields:
        return f"{_items(fields['peers'])} (numbering @{fields['numbering_lsn']})"
    if isinstance(event, SnapshotActivated | IncrementApplied):
        version = ".".join(map(str, event.version))
        return f"{event.scope} {version}, {event.stored.size} bytes, expires {rfc3339_s(event.expires_at_s)}"
    return shortened("  ".join(f"{name}={_short(name, getattr(event, name))}" for name in event._fields), SUMMARY_MAX)


def _row(row: Row) -> str:
    if row.rtt_us is None:
        return f"{row.peer}  {row.failure}"
    return f"{row.peer}  {row.rtt_us // 1000}.{row.rtt_us % 1000:03d} ms"


def _routes(event: RoutesSelected | RoutesExpired) -> str:
    routes = [f"{destination}/{channel}" for destination, channel in zip(event.destinations, event.channels, strict=False)]
    if isinstance(event, RoutesExpired):
        known = event.reason in RouteEnd.__members__.values()
        return f"{_items(routes)}  reason={RouteEnd(event.reason).name.lower() if known else event.reason}"
    chosen = [f"{route} by {candidate}" for route, candidate in zip(routes, event.candidate_ids, strict=False)]
    return _items(chosen)


def _items(items: list[str]) -> str:
    if len(items) <= ITEMS_SHOWN_MAX:
        return ", ".join(items) or "none"
    return f"{', '.join(items[:ITEMS_SHOWN_MAX])} and {len(items) - ITEMS_SHOWN_MAX} more"


def _short(name: str, value: Any) -> str:
    """A field in a few characters."""
    if isinstance(value, bytes):
        return value.hex()[:DIGEST_SHOWN] or "-"
    if isinstance(value, StoredDocument):
        return f"{value.size}B"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int) and name.endswith("_at_s"):
        return rfc3339_s(value)
    if hasattr(value, "_fields"):
        return ".".join(_short("", part) for part in value)
    if isinstance(value, list | tuple):
        is_simple = len(value) <= ITEMS_SHOWN_MAX and all(isinstance(item, str | int) for item in value)
        return ",".join(map(str, value)) if is_simple and value else str(len(value))
    return shortened(str(plain(value)), TEXT_SHOWN_MAX) or "-"
