"""Records of events made by hand, and the entries that the log makes of them."""

from typing import Any

from rap_journal.records import Record
from rap_projections.columns import pack
from rap_projections.event_kinds import Event, kind_of
from rap_projections.peer_observations import FAILED, PeersObserved
from rap_tools.event_entries import Entry, entries_of
from rap_tools.peer_names import PeerNames

WALL_US = 1_800_000_000_000_000
OBSERVED = PeersObserved(900, 1, pack("H", [3, 4]), pack("I", [12_500, FAILED]), b"\0\x02", pack("I", [0, 50]), 8)


def record_of(event: Event, *, rows: int = 1, **changes: Any) -> Record:
    kind = kind_of(event)
    number = kind.state_class.number if kind.state_class else 1
    record = Record(
        7,
        kind.number,
        kind.version,
        kind.category,
        number,
        rows,
        WALL_US,
        5,
        1000,
        bytes(16),
        (3,),
        "t-1",
        "agent",
        None,
        tuple(event),
    )
    return record._replace(**changes)


def entries(event: Event, *, rows: int = 1, **changes: Any) -> list[Entry]:
    return list(entries_of(record_of(event, rows=rows, **changes), PeerNames(None)))


def observed(*rtts_us: int | None) -> list[Entry]:
    """The rows of one record that saw peers 0, 1, 2, ...; None for a time-out."""
    numbers = pack("H", list(range(len(rtts_us))))
    columns = pack("I", [FAILED if rtt_us is None else rtt_us for rtt_us in rtts_us])
    failures = bytes(2 if rtt_us is None else 0 for rtt_us in rtts_us)
    return entries(PeersObserved(900, 1, numbers, columns, failures, b"", 8), rows=len(rtts_us))
