"""Events that hold several of the same thing in columns, turned into rows: an object for each route, peer, class or document.

Rules this file keeps:

- A row holds everything that the columns say of it, by names in the singular; what holds for all rows stays a field of the event.
- A way is told by its hops: the candidates that a choice was made from are looked up as they were when it was made. Where they are not kept
  any more the path is None, and the candidate's id is all there is.
- An event that holds nothing of the kind has no rows.

Rows: of `PeersObserved` `lsn`, `peer`, `number`, `rtt_us`, `failure`, `node_us`; of `RoutesSelected` `destination`, `channel`, `candidate_id`,
`path`, `score`, `review_us`, `alternatives` (each `candidate_id` and `path`), `causes`; of `RoutesExpired` and `RoutesEvicted` `destination`
and `channel`; of `PeersExpired` and `PeersEvicted` `peer` and `number`; of `CheckpointWritten` `class` and `digest`; of `HeadApplied` what the
head lists for each scope.

Example::

    rows = EventRows(history).of(entry)
    rows[0]["destination"], rows[0]["path"], rows[0]["score"]
"""

from collections.abc import Callable, Mapping
from typing import Any

from rap_journal.errors import StateStoreError
from rap_projections.columns import unpack
from rap_projections.event_kinds import ROUTES
from rap_projections.history import ClusterHistory
from rap_projections.lifecycle import CheckpointWritten
from rap_projections.peers import PeersEvicted, PeersExpired
from rap_projections.routes import RoutesEvicted, RoutesExpired, RoutesSelected
from rap_projections.snapshot_events import HeadApplied
from rap_tools.event_entries import CLASS_NAMES, Entry, entries_of
from rap_tools.values import plain

Rows = list[dict[str, Any]]
Paths = Mapping[str, Any]
"""The candidates of a moment by id; each has its path."""

COLUMNS: dict[type, tuple[str, ...]] = {
    RoutesSelected: ("destinations", "channels", "candidate_ids", "scores", "review_us", "alternatives", "causes"),
    RoutesExpired: ("destinations", "channels"),
    RoutesEvicted: ("destinations", "channels"),
    PeersExpired: ("numbers", "peers"),
    PeersEvicted: ("numbers", "peers"),
    CheckpointWritten: ("class_digests",),
    HeadApplied: ("entries",),
}
"""Fields that hold something for each row, by event."""


class EventRows:
    """Turns events of one history into rows. Without a history no path can be looked up."""

    def __init__(self, history: ClusterHistory | None) -> None:
        self._history = history

    def of(self, entry: Entry) -> Rows:
        """The rows of an event, as JSON has them; those of the whole record where the entry is one of its rows."""
        if entry.row is not None:
            return [
                {"lsn": other.lsn, **plain(other.row)} for other in entries_of(entry.record, entry.names) if other.row is not None
            ]
        if isinstance(entry.event, RoutesSelected):
            return _selected(entry.event, self._candidates(entry.event.applied_lsn, entry.lsn))
        make = _MAKERS.get(type(entry.event))
        return make(entry) if make is not None else []

    def _candidates(self, applied_lsn: int, lsn: int) -> Paths:
        """The candidates at `applied_lsn`; those at `lsn` where no state is kept that is as old; none where neither is."""
        if self._history is None:
            return {}
        try:
            oldest_lsn = self._history.horizon.oldest_lsn
            found: Paths = self._history.state_at(applied_lsn if applied_lsn >= oldest_lsn else lsn)[ROUTES].by_id
        except StateStoreError:
            return {}
        return found


def fields_beside_rows(entry: Entry) -> dict[str, Any]:
    """The fields of an event that say something of all its rows."""
    columns = COLUMNS.get(type(entry.event), ()) if entry.row is None else ()
    return {name: value for name, value in entry.fields().items() if name not in columns}


def _selected(event: RoutesSelected, candidates: Paths) -> Rows:
    columns = (
        event.destinations, event.channels, event.candidate_ids, event.scores, event.review_us, event.alternatives, event.causes,
    )  # fmt: skip
    return [
        {
            "destination": destination,
            "channel": channel,
            **_way(name, candidates),
            "score": score,
            "review_us": plain(review_us),
            "alternatives": [_way(other, candidates) for other in alternatives],
            "causes": list(causes),
        }
        for destination, channel, name, score, review_us, alternatives, causes in zip(*columns, strict=False)
    ]


def _way(candidate_id: str, candidates: Paths) -> dict[str, Any]:
    candidate = candidates.get(candidate_id)
    return {"candidate_id": candidate_id, "path": list(candidate.path) if candidate is not None else None}


def _ended(entry: Entry) -> Rows:
    pairs = zip(entry.event.destinations, entry.event.channels, strict=False)
    return [{"destination": destination, "channel": channel} for destination, channel in pairs]


def _peers(entry: Entry) -> Rows:
    event = entry.event
    return [{"peer": entry.names.name(number, event.numbering_lsn), "number": number} for number in unpack("I", event.numbers)]


def _digests(entry: Entry) -> Rows:
    return [
        {"class": CLASS_NAMES.get(number, f"class-{number}"), "digest": bytes(digest).hex()}
        for number, digest in entry.event.class_digests
    ]


def _head(entry: Entry) -> Rows:
    found = plain(entry.event.entries)
    return [each for each in found if isinstance(each, dict)]


_MAKERS: dict[type, Callable[[Entry], Rows]] = {
    RoutesExpired: _ended,
    RoutesEvicted: _ended,
    PeersExpired: _peers,
    PeersEvicted: _peers,
    CheckpointWritten: _digests,
    HeadApplied: _head,
}
