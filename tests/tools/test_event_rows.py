"""Events that hold columns become rows, with the ways looked up as they were, and nothing of the columns left out."""

from pathlib import Path

import pytest

from rap_projections import History
from rap_projections.columns import pack
from rap_projections.documents import HeadEntry, Scope, Version
from rap_projections.event_kinds import Event
from rap_projections.health_events import DegradedEntered
from rap_projections.keys import FileKeyProvider
from rap_projections.lifecycle import CheckpointWritten
from rap_projections.peers import PeersEvicted, PeersExpired
from rap_projections.routes import RoutesEvicted, RoutesExpired, RoutesSelected
from rap_projections.snapshot_events import HeadApplied
from rap_projections.stored_document import StoredDocument
from rap_tools.event_entries import Entry, entries_of
from rap_tools.event_rows import EventRows, fields_beside_rows
from rap_tools.peer_names import PeerNames
from tests.tools.command import Disk, new_disk
from tests.tools.event_kit import OBSERVED, entries

SELECTED = RoutesSelected(1, ["a", "b"], ["x", "y"], ["r1", "r2"], [10, 20], 5, [1, 2], [["r3"], []], [[7], [7, 8]], 10)


@pytest.mark.parametrize(
    ("event", "rows"),
    [
        (RoutesExpired(["a", "b"], ["x", "y"], 5, 1), [{"destination": "a", "channel": "x"}, {"destination": "b", "channel": "y"}]),
        (RoutesEvicted(["a"], ["x"], 5), [{"destination": "a", "channel": "x"}]),
        (PeersExpired(1, pack("I", [3, 9]), 5), [{"peer": "#3", "number": 3}, {"peer": "#9", "number": 9}]),
        (PeersEvicted(1, pack("I", [4]), 5), [{"peer": "#4", "number": 4}]),
        (
            CheckpointWritten(7, 1, b"\x0a", ((1, b"\x01"), (8, b"\x02"), (99, b"\x03"))),
            [{"class": "identity", "digest": "01"}, {"class": "routes", "digest": "02"}, {"class": "class-99", "digest": "03"}],
        ),
        (
            HeadApplied(1, b"\x0a", 5, 6, 1, (HeadEntry(Scope.PEERS, Version(1, 2), b"\x0b", 40),), (), StoredDocument(b"", 3, b"")),
            [{"scope": "peers", "version": {"generation": 1, "version": 2}, "content_id": "0b", "size": 40}],
        ),
        (DegradedEntered("no contact", 5), []),
    ],
)  # fmt: skip
def test_columns_become_rows(event: Event, rows: list[dict[str, object]]) -> None:
    (entry,) = entries(event)
    assert EventRows(None).of(entry) == rows


def test_what_holds_for_all_rows_stays_a_field() -> None:
    assert fields_beside_rows(entries(SELECTED)[0]) == {"applied_lsn": 1, "expires_us": 5, "routes_max": 10}
    assert fields_beside_rows(entries(PeersExpired(1, pack("I", [3]), 5))[0]) == {"numbering_lsn": 1, "cutoff_us": 5}
    assert fields_beside_rows(entries(DegradedEntered("x", 5))[0]) == {"reason": "x", "safe_until_us": 5}


def test_a_row_of_a_batch_has_the_rows_of_its_record() -> None:
    answered, failed = entries(OBSERVED, rows=2)
    rows = [
        {"lsn": 7, "peer": "#3", "number": 3, "rtt_us": 12_500, "failure": None, "node_us": 900},
        {"lsn": 8, "peer": "#4", "number": 4, "rtt_us": None, "failure": "timeout", "node_us": 950},
    ]
    assert EventRows(None).of(answered) == EventRows(None).of(failed) == rows
    assert fields_beside_rows(failed) == failed.fields()


def test_without_a_history_a_way_is_its_candidate() -> None:
    first, second = EventRows(None).of(entries(SELECTED)[0])
    assert first == {
        "destination": "a", "channel": "x", "candidate_id": "r1", "path": None, "score": 10, "review_us": 1,
        "alternatives": [{"candidate_id": "r3", "path": None}], "causes": [7],
    }  # fmt: skip
    assert (second["candidate_id"], second["alternatives"], second["causes"]) == ("r2", [], [7, 8])


@pytest.fixture
def rerouted(tmp_path: Path) -> Disk:
    """A store in which node-b is reached directly at first, and over node-a later."""
    disk = new_disk(tmp_path)
    with disk.open(create=True) as store:
        cluster = store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
        cluster.activate(disk.fabric.peers(["node-a", "node-b"]))
        cluster.activate(disk.fabric.routes([("node-b", ())]))
        cluster.activate(disk.fabric.routes([("node-b", ("node-a",))]))
        cluster.flush()
    return disk


def test_ways_are_those_of_the_candidates_that_the_choice_was_made_from(rerouted: Disk) -> None:
    with History.open(rerouted.root, keys=FileKeyProvider(rerouted.key_file)) as opened:
        history = opened.cluster("lab")
        found: list[Entry] = [entry for record in history.records() for entry in entries_of(record, PeerNames(history))]
        chosen = [EventRows(history).of(entry) for entry in found if entry.kind_name == "RoutesSelected"]
    assert [[row["path"] for row in rows] for rows in chosen] == [[[]], [["node-a"]]]
