"""`rap-state show @LSN`: records with all their fields.

Under `-o json` an object of format `rap-state-records`. Each of its `records` is an event as `rap_tools.event_entries` describes, and:
`node_us`, `boot_us`, `boot_id`; `record_lsn` and `row_count` (a row of observations shares its record); `rows`, what the event holds in
columns, row by row, as `rap_tools.event_rows` describes; `strict` (`ordinal` among the strict records of its class and `previous_lsn`,
or null); `causes_shown` (each with `lsn`, `kind`, `summary`); `frame` (where it stands). Without the key only `frame` is known, and
`is_sealed` is true.

Rules this file keeps: the bytes of a document are never shown; `document` fields say where it is.

Example::

    rap-state show @1234 -c lab
"""

from typing import Any

from rap_journal.errors import DamageError, HistoryGone, NoSuchRecord
from rap_projections.history import ClusterHistory
from rap_tools.event_entries import Entry, entries_of
from rap_tools.event_rows import EventRows
from rap_tools.event_summary import summary
from rap_tools.frame_reading import FrameLine, FrameReader
from rap_tools.history_timeline import HistoryTimeline
from rap_tools.json_output import head
from rap_tools.log_lines import frame_object
from rap_tools.opening import AGENT_NAME, SEALED, StoreReading
from rap_tools.peer_names import PeerNames
from rap_tools.record_lines import RecordText, print_record, print_sealed
from rap_tools.selector_places import Places
from rap_tools.selector_syntax import Selector, parse_selector
from rap_tools.session import Session
from rap_tools.text_output import TextWriter


class _Shown:
    """What the records are looked up in."""

    def __init__(self, store: StoreReading, session: Session, selectors: list[Selector]) -> None:
        is_agent = session.options.agent
        self.cluster = AGENT_NAME if is_agent else store.choose(session.cluster, [selector.cluster for selector in selectors])
        self.frames: FrameReader = store.agent_frames() if is_agent else store.frames(self.cluster)
        self.history: ClusterHistory | None = None
        if store.has_keys:
            self.history = store.agent_history() if is_agent else store.history(self.cluster)
        self.names = PeerNames(None if is_agent else self.history)
        self.rows = EventRows(None if is_agent else self.history)
        self.places = Places(HistoryTimeline(self.cluster, self.history, self.frames, lambda: session.clock.now().wall_us))

    @property
    def horizon_lsn(self) -> int:
        """LSN of the last durable record."""
        return (self.history or self.frames).horizon.lsn

    def entry(self, lsn: int) -> Entry | None:
        """The event with this LSN, or None where there is none or it is sealed."""
        records = self.history.records(after=lsn - 1, until=lsn) if self.history is not None else iter(())
        return next((entry for record in records for entry in entries_of(record, self.names) if entry.lsn == lsn), None)

    def frame(self, lsn: int) -> FrameLine | None:
        """The frame with this LSN, or None where there is none."""
        line = next(self.frames.frames(lsn - 1), None)
        return line if line is not None and line.first_lsn <= lsn else None


def run(session: Session) -> int:
    """Show the records."""
    selectors = [parse_selector(text) for text in session.options.selectors]
    with session.open_store() as store:
        shown = _Shown(store, session, selectors)
        found = [_find(shown, selector) for selector in selectors]
        if session.is_text:
            text = session.text()
            for index, (line, entry) in enumerate(found):
                if index:
                    text.line("")
                _print(text, shown, line, entry, all_rows=session.options.verbose)
            return 0
        writer = session.json()
        writer.begin(head("rap-state-records", shown.cluster, shown.horizon_lsn), type="record", items="records")
        for line, entry in found:
            writer.item(_object(shown, line, entry))
        writer.end(0)
        return 0


def _find(shown: _Shown, selector: Selector) -> tuple[FrameLine, Entry | None]:
    lsn = shown.places.span(selector).last
    line, entry = shown.frame(lsn), shown.entry(lsn) if lsn else None
    if line is not None and (entry is not None or shown.history is None):
        return line, entry
    first = next(shown.frames.frames(), None)
    if lsn == 0:
        raise NoSuchRecord(
            f"{selector.text} is the place before the first record of {shown.cluster}.",
            cluster=shown.cluster,
            lsn=0,
            reason="before_first",
        )
    if first is None or lsn < first.first_lsn:
        oldest = first.first_lsn if first else shown.horizon_lsn + 1
        raise HistoryGone(
            f"record @{lsn} of {shown.cluster} is not kept any more; the oldest is @{oldest}.",
            oldest_lsn=oldest,
            cluster=shown.cluster,
            lsn=lsn,
        )
    raise DamageError(
        f"record @{lsn} of {shown.cluster} is not in the journal: damaged, or given up by a recovery.",
        cluster=shown.cluster,
        lsn=lsn,
        reason="absent",
    )


def _object(shown: _Shown, line: FrameLine, entry: Entry | None) -> dict[str, Any]:
    frame = frame_object(line)
    place = {name: frame[name] for name in ("segment", "offset", "byte_count", "first_lsn", "last_lsn", "is_strict", "classes")}
    if entry is None:
        return {"is_sealed": True, "time": SEALED, "kind": SEALED, "fields": SEALED, "frame": place}
    record = entry.record
    return {
        **entry.as_object(),
        "is_sealed": False,
        "node_us": record.node_us,
        "boot_us": record.boot_us,
        "boot_id": record.boot_id.hex(),
        "record_lsn": record.lsn,
        "row_count": record.rows,
        "rows": shown.rows.of(entry),
        "strict": {"ordinal": record.link.ordinal, "previous_lsn": record.link.previous_lsn} if record.link else None,
        "causes_shown": [{"lsn": lsn, "kind": name, "summary": about} for lsn, name, about in _causes(shown, entry)],
        "frame": place,
    }


def _causes(shown: _Shown, entry: Entry) -> list[tuple[int, str, str]]:
    found = [(lsn, shown.entry(lsn)) for lsn in entry.record.causes]
    return [(lsn, cause.kind_name, summary(cause)) if cause else (lsn, "", "not kept any more") for lsn, cause in found]


def _print(text: TextWriter, shown: _Shown, line: FrameLine, entry: Entry | None, *, all_rows: bool) -> None:
    if entry is None:
        print_sealed(text, shown.cluster, line)
        return
    record = RecordText(shown.cluster, entry, line, _causes(shown, entry), shown.rows.of(entry))
    print_record(text, record, all_rows=all_rows)
