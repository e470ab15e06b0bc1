"""`rap-state show`: a record with all its fields, its causes and its place; sealed where there is no key."""

import pytest

from tests.tools.command import PEERS, Disk, last_lsn, lsn_of


def shown(disk: Disk, *selectors: str, sealed: bool = False) -> list[dict[str, object]]:
    found: list[dict[str, object]] = disk.rap_state("show", *selectors, "-o", "json", sealed=sealed).json()["records"]
    return found


def test_a_record_has_all_its_fields_its_causes_and_its_place(lab: Disk) -> None:
    lsn, cause = lsn_of(lab, "PartitionFlagged"), lsn_of(lab, "DegradedEntered")
    (record,) = shown(lab, f"@{lsn}")
    assert record["fields"] == {"flag": "west", "on": True}
    assert (record["actor"], record["trace_id"], record["causes"]) == ("operator", "trace-7", [cause])
    assert record["causes_shown"] == [
        {"lsn": cause, "kind": "DegradedEntered", "summary": "reason=no control plane  safe_until_us=2026-01-01T01:02:00.000000Z"}
    ]
    assert (record["record_lsn"], record["row_count"], record["rows"]) == (lsn, 1, [])
    assert (record["strict"], record["is_sealed"]) == (None, False)
    frame = record["frame"]
    assert isinstance(frame, dict)
    assert frame["first_lsn"] <= lsn <= frame["last_lsn"]


def test_text_shows_the_same(lab: Disk) -> None:
    lsn, cause = lsn_of(lab, "PartitionFlagged"), lsn_of(lab, "DegradedEntered")
    out = lab.rap_state("show", f"@{lsn}").out
    assert out.splitlines()[0] == f"lab@{lsn}  PartitionFlagged  health, decision"
    for part in ("flag  west", "on    yes", "trace-7", "operator", f"@{cause}  DegradedEntered"):
        assert part in out


def test_a_row_is_shown_with_the_record_it_stands_in(lab: Disk) -> None:
    first = lsn_of(lab, "PeersObserved")
    (row,) = shown(lab, f"@{first + 2}")
    assert (row["lsn"], row["record_lsn"]) == (first + 2, first)
    assert row["fields"] == {"peer": "node-2", "number": 2, "rtt_us": 12_000, "failure": None, "node_us": 1_767_225_600_000_000}
    assert row["row_count"] == 8
    rows = row["rows"]
    assert isinstance(rows, list)
    assert [each["lsn"] for each in rows] == list(range(first, first + 8))
    assert rows[7] == {
        "lsn": first + 7, "peer": "node-7", "number": 7, "rtt_us": None, "failure": "timeout", "node_us": 1_767_225_600_000_000,
    }  # fmt: skip


def test_text_marks_the_row_among_those_around_it(lab: Disk) -> None:
    first = lsn_of(lab, "PeersObserved")
    out = lab.rap_state("show", f"@{first}").out
    assert f"  row        1 of 8, of the record @{first}..@{first + 7}\n" in out
    table = out[out.index("       lsn ") :].splitlines()
    assert [line.split() for line in table] == [
        ["lsn", "peer", "number", "round", "trip", "failure"],
        [">", f"@{first}", "node-0", "0", "10.000", "ms", "-"],
        *[[f"@{first + at}", f"node-{at}", str(at), f"{10 + at}.000", "ms", "-"] for at in range(1, 7)],
        [f"@{first + 7}", "node-7", "7", "-", "timeout"],
    ]


def test_chosen_routes_are_shown_row_by_row_with_their_ways(lab: Disk) -> None:
    lsn = lsn_of(lab, "RoutesSelected")
    (record,) = shown(lab, f"@{lsn}")
    rows = record["rows"]
    assert isinstance(rows, list)
    assert [row["destination"] for row in rows] == list(PEERS)
    assert rows[0] == {
        "destination": "node-0", "channel": "interactive", "candidate_id": "node-0_interactive", "path": [], "score": 510_000,
        "review_us": rows[0]["review_us"], "alternatives": [], "causes": [],
    }  # fmt: skip
    out = lab.rap_state("show", f"@{lsn}").out
    assert "    channel      interactive\n" in out
    assert "    destination  path    alternatives\n    node-0       direct  none\n" in out


def test_a_strict_record_names_the_one_before_it_in_its_class(lab: Disk) -> None:
    second = lsn_of(lab, "BundleActivated")
    (record,) = shown(lab, f"@{second}")
    assert record["strict"] == {"ordinal": 2, "previous_lsn": lsn_of(lab, "TrustPinned")}


def test_a_document_is_a_reference(lab: Disk) -> None:
    (record,) = shown(lab, f"@{lsn_of(lab, 'SnapshotActivated', 1)}")
    fields = record["fields"]
    assert isinstance(fields, dict)
    assert fields["stored"].keys() == {"file", "size", "has_copy_in_event"}
    assert fields["stored"]["size"] == len(lab.fabric.peers([f"node-{number}" for number in range(8)], version=1))


def test_several_selectors_show_several_records(lab: Disk) -> None:
    assert [record["lsn"] for record in shown(lab, "@3", "HEAD", "@3")] == [3, last_lsn(lab), 3]


def test_without_the_key_only_the_frame_is_shown(lab: Disk) -> None:
    lsn = lsn_of(lab, "Note")
    (record,) = shown(lab, f"@{lsn}", sealed=True)
    assert {name: record[name] for name in ("kind", "time", "fields", "is_sealed")} == {
        "kind": "(sealed)", "time": "(sealed)", "fields": "(sealed)", "is_sealed": True,
    }  # fmt: skip
    assert "looking into it" not in lab.rap_state("show", f"@{lsn}", sealed=True).out
    assert "(sealed)" in lab.rap_state("show", f"@{lsn}", sealed=True).out


@pytest.mark.parametrize(("selector", "code"), [("@0", 3), ("@99999", 3), ("checkpoint:1", 3), ("17", 2), ("active:routes~5", 3)])
def test_what_is_no_record_has_its_exit_code(lab: Disk, selector: str, code: int) -> None:
    assert lab.rap_state("show", selector).code == code


def test_the_agents_records_are_shown_on_request(lab: Disk) -> None:
    assert "AgentInstalled" in lab.rap_state("show", "@1", "--agent").out
