"""`rap-state state`: what stood where, when, and who set it."""

from pathlib import Path

import pytest

from rap_projections import History
from rap_projections.keys import FileKeyProvider
from tests.tools.command import CLUSTER, Disk, last_lsn, lsn_of, make_store
from tests.tools.test_frame_reading import flip, frame_of


def value(disk: Disk, path: str, *arguments: str) -> object:
    return disk.rap_state("state", path, *arguments, "-o", "json").json()["value"]


def test_a_single_value_has_its_provenance(lab: Disk) -> None:
    last_round = lsn_of(lab, "PeersObserved", 1)
    found = lab.rap_state("state", "peers/node-3/latency_us", "-o", "json").json()
    assert found == {
        "format": "rap-state-value",
        "format_version": 1,
        "cluster": "lab",
        "horizon": last_lsn(lab),
        "lsn": last_lsn(lab),
        "node_time": "2026-01-01T00:02:00.000000Z",
        "path": "peers/node-3/latency_us",
        "value": 13_125,
        "provenance": {"peers/node-3/latency_us": last_round + 3},
        "missing": [],
    }
    assert lab.rap_state("state", "peers/node-3/latency_us").out.split() == [
        "peers/node-3/latency_us",
        "13125",
        f"@{last_round + 3}",
    ]


def test_the_state_at_an_earlier_moment_is_that_of_then(lab: Disk) -> None:
    assert value(lab, "health/partition_flags") == ["west"]
    assert value(lab, "health/partition_flags", "--at", f"@{lsn_of(lab, 'PartitionFlagged') - 1}") == []
    assert value(lab, "peers/node-0/latency_us", "--at", "2026-01-01T00:00:30Z") == 10_000
    assert value(lab, "peers/node-0/latency_us", "--at", "end-90s") == 10_000
    assert value(lab, "services", "--at", "@0") == {"services": {}, "content_id": None, "refusals": []}


def test_every_moment_shows_what_the_history_shows(lab: Disk) -> None:
    with History.open(lab.root, keys=FileKeyProvider(lab.key_file)) as history:
        for lsn in range(0, last_lsn(lab) + 1, 7):
            view = history.cluster(CLUSTER).at(lsn=lsn)
            found = lab.rap_state("state", "routes", "--at", f"@{lsn}", "-o", "json").json()
            assert found["value"]["candidate_count"] == view.routes.candidate_count
            assert set(found["value"]["routes"]) == set(view.routes.routes)


@pytest.mark.parametrize(
    "path", ["identity", "trust", "snapshots", "updates", "services", "health", "peers", "routes", "telemetry"]
)
def test_each_class_can_be_shown_whole_in_either_form(lab: Disk, path: str) -> None:
    result = lab.rap_state("state", path, "-o", "json")
    assert result.code == 0
    assert set(result.json()["provenance"]) == {line.split()[0] for line in lab.rap_state("state", path).out.splitlines()}


@pytest.mark.parametrize("path", ["routes/node-3/interactive/score", "routes/node-3%2Finteractive/score"])
def test_a_key_with_a_slash_may_be_written_either_way(lab: Disk, path: str) -> None:
    found = lab.rap_state("state", path, "-o", "json").json()
    assert found["path"] == "routes/node-3%2Finteractive/score"
    assert isinstance(found["value"], int)


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("peers/node-99/latency_us", 3, "node-7"),
        ("peers/node-7/latency", 3, "latency_us"),
        ("nonsense", 2, "identity, trust"),
        ("peers//x", 2, "empty part"),
        ("agent", 2, "classes"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_there_is(lab: Disk, path: str, code: int, named: str) -> None:
    result = lab.rap_state("state", path)
    assert (result.code, result.out) == (code, "")
    assert named in result.err


def test_a_wrong_path_suggests_the_part_of_it_that_is_right(lab: Disk) -> None:
    assert lab.rap_state("state", "peers/node-7/latency").err.splitlines()[-1].endswith("state peers/node-7")


def test_state_is_sealed_without_the_key(lab: Disk) -> None:
    result = lab.rap_state("state", "health", sealed=True)
    assert (result.code, result.out) == (11, "")
    assert result.err.splitlines()[-1] == f"try: rap-state -D {lab.root} state health --key-file FILE"


def test_no_document_bytes_and_no_key_are_shown(lab: Disk) -> None:
    shown = "".join(lab.rap_state("state", path, "-o", form).out for path in ("snapshots", "trust") for form in ("json", "text"))
    assert lab.fabric.bootstrap.hex()[:200] not in shown
    assert lab.key_file.read_bytes().hex() not in shown


def test_state_over_records_that_are_missing_is_shown_with_a_warning(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    line = frame_of(disk, lsn_of(disk, "PeersObserved"))
    moment = f"@{line.last_lsn + 1}"
    flip(disk, line)
    result = disk.rap_state("state", "peers/node-0/observation_count", "--at", moment)
    assert result.code == 7
    assert f"@{line.first_lsn}..@{line.last_lsn} missing" in result.err
    assert disk.rap_state("state", "peers/node-0/observation_count", "--at", moment, "-o", "json").json()["missing"]
    # A checkpoint that covers the gap makes the present state right again.
    assert disk.rap_state("state", "peers/node-0/observation_count").code == 0
