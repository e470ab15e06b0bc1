"""Records become entries: one per LSN, with every field by name, and no document's bytes."""

import json

from rap_journal.records import Category
from rap_projections.columns import pack
from rap_projections.event_kinds import all_kinds
from rap_projections.health_events import DegradedEntered
from rap_projections.peers import PeersExpired
from rap_projections.snapshot_events import SnapshotStaged
from rap_projections.stored_document import StoredDocument
from tests.tools.event_kit import OBSERVED, WALL_US, entries


def test_an_event_is_an_object_with_its_fields_by_name() -> None:
    (entry,) = entries(DegradedEntered("no contact", 5))
    assert entry.as_object() == {
        "lsn": 7,
        "time": "2027-01-15T08:00:00.000000Z",
        "class": "health",
        "kind": "DegradedEntered",
        "kind_number": 61,
        "version": 1,
        "category": "decision",
        "actor": "agent",
        "trace_id": "t-1",
        "causes": [3],
        "fields": {"reason": "no contact", "safe_until_us": 5},
    }


def test_each_row_has_its_own_lsn_and_its_own_time() -> None:
    answered, failed = entries(OBSERVED, rows=2)
    assert (answered.lsn, answered.wall_us) == (7, WALL_US - 100)
    assert (failed.lsn, failed.wall_us) == (8, WALL_US - 50)
    assert answered.fields() == {"peer": "#3", "number": 3, "rtt_us": 12_500, "failure": None, "node_us": 900}
    assert failed.fields() == {"peer": "#4", "number": 4, "rtt_us": None, "failure": "timeout", "node_us": 950}


def test_a_kind_of_a_later_release_is_shown_as_it_stands() -> None:
    (entry,) = entries(DegradedEntered("x", 5), kind=1999, version=3, body=["x", b"\x01"], state_class=14, category=9)
    found = entry.as_object()
    assert (found["kind"], found["class"], found["category"]) == ("kind-1999", "class-14", "category-9")
    assert found["fields"] == {"body": ["x", "01"]}


def test_the_bytes_of_a_document_are_not_shown() -> None:
    (entry,) = entries(SnapshotStaged("peers", "snapshot", "agent", StoredDocument(b"\x0a", 6, b"canary")))
    shown = json.dumps(entry.as_object())
    assert entry.fields()["stored"] == {"file": "0a", "size": 6, "has_copy_in_event": True}
    assert "canary" not in shown
    assert b"canary".hex() not in shown


def test_peers_of_an_expiry_are_named() -> None:
    (entry,) = entries(PeersExpired(1, pack("I", [3, 9]), 5))
    assert entry.fields() == {"numbering_lsn": 1, "numbers": [3, 9], "cutoff_us": 5, "peers": ["#3", "#9"]}


def test_every_category_has_a_name() -> None:
    for category in Category:
        assert entries(DegradedEntered("x", 5), category=category)[0].category == category.name.lower()


def test_every_kind_that_is_registered_has_a_class_with_a_name() -> None:
    for kind in all_kinds():
        if kind.state_class is not None:
            assert not entries(DegradedEntered("x", 5), state_class=kind.state_class.number)[0].class_name.startswith("class-")
