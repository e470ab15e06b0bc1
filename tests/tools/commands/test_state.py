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
    assert lab.rap_state("state", "peers/node-3/latency_us").out.splitlines() == [
        f"lab@{last_lsn(lab)}  2026-01-01T00:02:00.000000Z",
        f"peers/node-3/latency_us  13.125 ms  @{last_round + 3}",
    ]


def test_the_first_line_says_which_state_it_is(lab: Disk) -> None:
    last = last_lsn(lab)
    assert lab.rap_state("state", "health/notes", "--at", "@0").out.splitlines() == [
        f"lab@0  before the first record  (the newest is @{last})",
        "health/notes  none",
    ]
    middle = lsn_of(lab, "PeersObserved") + 2
    head = lab.rap_state("state", "health/notes", "--at", f"@{middle}").out.splitlines()[0]
    assert head == f"lab@{middle}  2026-01-01T00:00:00.000000Z  (the newest is @{last})"


def test_times_spans_versions_and_long_lists_are_for_people(lab: Disk) -> None:
    def shown(path: str) -> list[list[str]]:
        return [line.split() for line in lab.rap_state("state", path).out.splitlines()[1:]]

    assert shown("peers/node-0/last_success_us")[0][1] == "2026-01-01T00:01:00.000000Z"
    assert shown("peers/node-0/config_version")[0][1] == "1.1"
    assert shown("snapshots/peers/active/facts/expires_at_s")[0][1] == "2027-02-14T08:00:00Z"
    settings = shown("health/policy/settings")
    assert settings[0][1:] == ["alternatives_max=3", f"@{lsn_of(lab, 'PolicyInForce', 1)}"]
    assert ["offline_s_max=1d"] in settings


def test_a_destination_selects_all_of_its_channels(lab: Disk) -> None:
    found = lab.rap_state("state", "routes/node-3", "-o", "json").json()
    assert found["path"] == "routes/node-3"
    assert set(found["value"]) == {"interactive"}
    assert set(found["provenance"]) == {f"routes/node-3/interactive/{name}" for name in found["value"]["interactive"]}
    alone = lab.rap_state("state", "routes/node-3/interactive", "-o", "json").json()
    assert (alone["path"], alone["value"]) == ("routes/node-3/interactive", found["value"]["interactive"])


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
    lines = lab.rap_state("state", path).out.splitlines()[1:]
    paths = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert list(result.json()["provenance"]) == paths
    assert all(lab.rap_state("state", path).code == 0 for path in (paths[0], paths[-1]))


@pytest.mark.parametrize(
    "path", ["routes/node-3/interactive/score", "routes/node-3%2Finteractive/score", "routes/routes/node-3/interactive/score"]
)
def test_a_longer_path_leads_to_the_same_value_and_is_told_by_its_shortest(lab: Disk, path: str) -> None:
    found = lab.rap_state("state", path, "-o", "json").json()
    assert found["path"] == "routes/node-3/interactive/score"
    assert isinstance(found["value"], int)


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("peers/node-99/latency_us", 3, "node-7"),
        ("peers/node-7/latency", 3, "latency_us"),
        ("nonsense", 3, "identity, trust"),
        ("peer", 3, "peers"),
        ("routes/node-3/inter", 3, "interactive"),
        ("peers/%ff", 2, "UTF-8"),
        ("peers//x", 2, "empty part"),
        ("agent", 3, "log --agent"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_there_is(lab: Disk, path: str, code: int, named: str) -> None:
    result = lab.rap_state("state", path)
    assert (result.code, result.out) == (code, "")
    assert named in result.err


@pytest.mark.parametrize(
    ("path", "tried"),
    [
        ("peers/node-7/latency", "state peers/node-7/latency_us"),
        ("peers/node-7/zzz", "state peers/node-7"),
        ("peer/node-7", "state peers"),
        ("zzz", "rap-state state --help"),
    ],
)
def test_a_wrong_path_suggests_the_nearest_or_the_part_of_it_that_is_right(lab: Disk, path: str, tried: str) -> None:
    assert lab.rap_state("state", path).err.splitlines()[-1].endswith(tried)


def test_a_wrong_path_of_an_earlier_moment_is_suggested_at_that_moment(lab: Disk) -> None:
    result = lab.rap_state("state", "peers/node-7/latency", "--at", "end-1min", "-o", "json")
    assert result.error()["try"].endswith("state peers/node-7/latency_us --at end-1min")
    assert result.error()["candidates"] == ["peers/node-7/latency_us"]


def test_state_is_sealed_without_the_key_and_the_one_beside_the_store_is_suggested(lab: Disk) -> None:
    result = lab.rap_state("state", "health", sealed=True)
    assert (result.code, result.out) == (11, "")
    assert result.err.splitlines()[-1] == f"try: rap-state -D {lab.root} state health --key-file {lab.key_file}"


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
