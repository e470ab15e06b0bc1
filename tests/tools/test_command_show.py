"""`rap-state show`: a record with all its fields, its causes and its place; sealed where there is no key."""

import pytest

from tests.tools.command import Disk, last_lsn, lsn_of


def shown(disk: Disk, *selectors: str, sealed: bool = False) -> list[dict[str, object]]:
    found: list[dict[str, object]] = disk.rap_state("show", *selectors, "-o", "json", sealed=sealed).json()["records"]
    return found


def test_a_record_has_all_its_fields_its_causes_and_its_place(lab: Disk) -> None:
    lsn, cause = lsn_of(lab, "PartitionFlagged"), lsn_of(lab, "DegradedEntered")
    (record,) = shown(lab, f"@{lsn}")
    assert record["fields"] == {"flag": "west", "on": True}
    assert (record["actor"], record["trace_id"], record["causes"]) == ("operator", "trace-7", [cause])
    assert record["causes_shown"] == [
        {"lsn": cause, "kind": "DegradedEntered", "summary": "reason=no control plane  safe_until_us=1767229320000000"}
    ]
    assert (record["record_lsn"], record["rows"], record["strict"], record["is_sealed"]) == (lsn, 1, None, False)
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
    assert "row 3 of " in lab.rap_state("show", f"@{first + 2}").out


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
