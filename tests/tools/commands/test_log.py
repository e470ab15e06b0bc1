"""`rap-state log`: the right events in the right order, with cursors that go on where an earlier call ended."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rap_projections.cluster import ClusterState
from tests.tools.command import PEERS, Disk, Terminal, activate_all, last_lsn, lsn_of, make_store, new_disk, observe


def lsns(disk: Disk, *arguments: str, sealed: bool = False) -> list[int]:
    """LSNs of the events a call shows."""
    found = disk.rap_state("log", "-o", "ndjson", *arguments, sealed=sealed).lines()
    return [line["lsn"] for line in found if line["type"] == "record"]


def test_every_lsn_is_shown_once_and_in_order(lab: Disk) -> None:
    assert lsns(lab) == list(range(1, last_lsn(lab) + 1))


def test_a_line_has_lsn_time_kind_and_summary(lab: Disk) -> None:
    lsn, width = lsn_of(lab, "DegradedEntered"), len(f"@{last_lsn(lab)}..@{last_lsn(lab)}")
    start = f"@{lsn}".ljust(width)
    assert lab.rap_state("log", "-k", "DegradedEntered").out == (
        f"{start}  2026-01-01T00:02:00.000Z  DegradedEntered     reason=no control plane  safe_until_us=2026-01-01T01:02:00.000000Z\n"
    )


def test_a_batch_of_observations_is_one_line_for_people(lab: Disk) -> None:
    first = lsn_of(lab, "PeersObserved")
    lines = [line for line in lab.rap_state("log").out.splitlines() if "PeersObserved" in line]
    about = "8 observations of 8 peers, 10.000 to 16.000 ms, 1 failed (timeout)"
    assert lines[0] == f"@{first}..@{first + 7}  2026-01-01T00:00:00.000Z  PeersObserved       {about}"
    assert len(lines) == 2


@pytest.mark.parametrize("asked", [("-v",), ("-k", "PeersObserved"), ("-k", "70"), ("-v", "-r")])
def test_a_batch_is_taken_apart_where_its_rows_are_asked_for(lab: Disk, asked: tuple[str, ...]) -> None:
    lines = [line for line in lab.rap_state("log", *asked).out.splitlines() if "PeersObserved" in line]
    assert len(lines) == 16
    assert sum(line.endswith("PeersObserved       node-2  12.000 ms") for line in lines) == 1


def test_a_batch_is_taken_apart_for_programs_and_a_filter_by_class_leaves_it_whole(lab: Disk) -> None:
    assert len(lab.rap_state("log", "--class", "peers", "--category", "observation").out.splitlines()) == 2
    assert len(lab.rap_state("log", "--class", "peers", "--category", "observation", "-o", "ndjson").lines()) == 18


def test_lines_are_counted_as_they_are_shown(lab: Disk) -> None:
    lines = lab.rap_state("log").out.splitlines()
    for count in (1, 4, 6, len(lines)):
        assert lab.rap_state("log", "-n", str(count)).out.splitlines() == lines[-count:]
        assert lab.rap_state("log", "-n", str(count), "-r").out.splitlines() == lines[: -count - 1 : -1]


def test_a_part_of_a_batch_that_was_asked_for_is_summed_up_by_itself(lab: Disk) -> None:
    first = lsn_of(lab, "PeersObserved")
    (line,) = lab.rap_state("log", "-S", f"@{first + 1}", "-U", f"@{first + 3}").out.splitlines()
    assert line.startswith(f"@{first + 1}..@{first + 3} ")
    assert line.endswith("3 observations of 3 peers, 11.000 to 13.000 ms")
    (row,) = lab.rap_state("log", "-S", f"@{first + 1}", "-U", f"@{first + 1}").out.splitlines()
    assert row.endswith("node-1  11.000 ms")


def test_what_does_not_fit_the_terminal_stands_below(lab: Disk) -> None:
    lsn = lsn_of(lab, "DegradedEntered")
    narrow = lab.rap_state("log", "-k", "DegradedEntered", "--no-color", stream=Terminal(), environment={"COLUMNS": "80"}).out
    assert narrow.splitlines() == [
        f"@{lsn}       2026-01-01T00:02:00.000Z  DegradedEntered",
        "    reason=no control plane  safe_until_us=2026-01-01T01:02:00.000000Z",
    ]
    wide = lab.rap_state("log", "-k", "DegradedEntered", "--no-color", stream=Terminal(), environment={"COLUMNS": "200"}).out
    assert wide == lab.rap_state("log", "-k", "DegradedEntered").out


def test_observations_are_one_event_per_row_with_the_names_of_the_peers(lab: Disk) -> None:
    found = lab.rap_state("log", "-o", "ndjson", "-k", "PeersObserved").lines()[1:-1]
    first = lsn_of(lab, "PeersObserved")
    assert [line["lsn"] for line in found[:8]] == list(range(first, first + 8))
    assert [line["fields"]["peer"] for line in found] == [*PEERS, *PEERS]
    assert [line["fields"]["rtt_us"] for line in found[:8]] == [10_000, 11_000, 12_000, 13_000, 14_000, 15_000, 16_000, None]
    assert found[7]["fields"]["failure"] == "timeout"
    assert [found[0]["time"], found[8]["time"]] == ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:01:00.000000Z"]


def test_the_newest_few_and_the_newest_first(lab: Disk) -> None:
    last = last_lsn(lab)
    assert lsns(lab, "-n", "3") == [last - 2, last - 1, last]
    assert lsns(lab, "-n", "3", "-r") == [last, last - 1, last - 2]
    assert lsns(lab, "-r") == list(range(last, 0, -1))
    assert lsns(lab, "-n", "100000") == list(range(1, last + 1))


@pytest.mark.parametrize("name", ["DegradedEntered", "degraded-entered", "degraded_entered", "DEGRADEDENTERED", "61"])
def test_a_kind_may_be_spelled_in_several_ways(lab: Disk, name: str) -> None:
    assert lsns(lab, "-k", name) == [lsn_of(lab, "DegradedEntered")]


def test_kinds_classes_and_categories_narrow_down(lab: Disk) -> None:
    both = sorted([lsn_of(lab, "DegradedEntered"), lsn_of(lab, "Note")])
    assert lsns(lab, "-k", "DegradedEntered", "-k", "Note") == both
    assert lsns(lab, "-k", "DegradedEntered,Note") == both
    assert lsns(lab, "--category", "note") == [lsn_of(lab, "Note")]
    assert lsns(lab, "--class", "services") == [lsn_of(lab, "AssignmentsApplied")]
    assert lsns(lab, "--class", "services", "--class", "updates") == sorted(
        [lsn_of(lab, "AssignmentsApplied"), lsn_of(lab, "OffersApplied")]
    )
    assert lsns(lab, "--class", "health", "-k", "Note", "--category", "note", "-n", "1") == [lsn_of(lab, "Note")]


def test_since_and_until_take_any_selector(lab: Disk) -> None:
    note, last = lsn_of(lab, "Note"), last_lsn(lab)
    assert lsns(lab, "-S", "@5", "-U", "@7") == [5, 6, 7]
    assert lsns(lab, "-S", f"lab@{note}") == list(range(note, last + 1))
    assert lsns(lab, "-S", "HEAD~1") == [last - 1, last]
    second_round = lsn_of(lab, "PeersObserved", 1)
    assert lsns(lab, "-S", "2026-01-01T00:01:00Z")[0] == second_round
    assert lsns(lab, "-U", "2026-01-01T00:00:30Z")[-1] == second_round - 1
    assert lsns(lab, "-S", "end-30s")[0] == lsn_of(lab, "CheckpointWritten")
    assert lsns(lab, "-S", "checkpoint:-1")[0] == lsn_of(lab, "CheckpointWritten") - 1
    assert lsns(lab, "-S", "active:updates", "-n", "100000")[0] == lsn_of(lab, "SnapshotActivated", 4)
    assert lsns(lab, "-S", "boot:0") == list(range(1, last + 1))


def test_a_cursor_goes_on_behind_what_was_looked_at(lab: Disk) -> None:
    end = lab.rap_state("log", "-U", "@5", "-k", "Note", "-o", "ndjson").lines()[-1]
    assert (end["cursor"], end["record_count"], end["exit_code"]) == ("lab@5", 0, 1)
    assert lsns(lab, "--after", end["cursor"]) == list(range(6, last_lsn(lab) + 1))
    nothing = lab.rap_state("log", "--after", "HEAD", "-o", "ndjson")
    assert (nothing.code, nothing.lines()[-1]["record_count"]) == (0, 0)


@pytest.mark.parametrize(
    "asked", [("-k", "RestoreMarked"), ("--category", "eviction"), ("--class", "telemetry"), ("-S", "end+1h")]
)
def test_nothing_that_fits_is_a_negative_answer(lab: Disk, asked: tuple[str, ...]) -> None:
    result = lab.rap_state("log", *asked)
    assert (result.code, result.out, result.err) == (1, "", "rap-state: no event matches\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-S", "@100000"), 3),
        (("-S", "active:routes~7"), 3),
        (("-S", "other@3"), 3),
        (("-S", "yesterday"), 2),
        (("-k", "nonsense"), 2),
        (("-f", "-r"), 2),
        (("-f", "-U", "HEAD"), 2),
        (("-c", "Upper"), 2),
        (("-c", "north"), 3),
    ],
)
def test_what_cannot_be_shown_has_its_exit_code(lab: Disk, arguments: tuple[str, ...], code: int) -> None:
    assert lab.rap_state("log", *arguments).code == code


def test_a_time_shown_twice_lists_the_places(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    with disk.open(create=True) as store:
        cluster = store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
        for step in (60, -90, 60, 60):
            cluster.note("x")
            cluster.flush()
            disk.clock.advance(seconds=60)
            disk.clock.step_wall(seconds=step)
    result = disk.rap_state("state", "health/notes", "--at", "2026-01-01T00:01:45Z", "-o", "json")
    assert result.code == 2
    candidates = result.error()["candidates"]
    assert len(candidates) == 2
    assert all(disk.rap_state("show", candidate).code == 0 for candidate in candidates)
    assert disk.rap_state("log", "-S", "2026-01-01T00:01:45Z").code == 2


def test_the_object_says_what_it_is(lab: Disk) -> None:
    found = lab.rap_state("log", "-n", "1", "-o", "json").json()
    assert found | {"records": []} == {
        "format": "rap-state-log",
        "format_version": 1,
        "cluster": "lab",
        "horizon": last_lsn(lab),
        "is_sealed": False,
        "first_lsn": 1,
        "records": [],
        "record_count": 1,
        "cursor": f"lab@{last_lsn(lab)}",
        "exit_code": 0,
    }


def test_the_agents_own_journal_has_a_log_too(lab: Disk) -> None:
    kinds = [line["kind"] for line in lab.rap_state("log", "--agent", "-o", "ndjson").lines()[1:-1]]
    assert kinds == ["AgentInstalled", "Opened", "ClusterJoined", "Closed"]


def test_without_the_key_frames_are_shown(lab: Disk) -> None:
    result = lab.rap_state("log", "-o", "ndjson", sealed=True)
    header, *frames, end = result.lines()
    assert (result.code, header["is_sealed"], end["exit_code"]) == (0, True, 0)
    assert {line["type"] for line in frames} == {"frame"}
    assert {(line["kind"], line["time"], line["fields"]) for line in frames} == {("(sealed)",) * 3}
    assert (frames[0]["first_lsn"], frames[-1]["last_lsn"]) == (1, last_lsn(lab))
    assert "(sealed)" in lab.rap_state("log", "-n", "1", sealed=True).out


def test_without_the_key_only_what_frames_tell_can_be_asked_for(lab: Disk) -> None:
    frames = lab.rap_state("log", "--class", "services", "-o", "ndjson", sealed=True).lines()[1:-1]
    assert all("services" in line["classes"] for line in frames) and frames
    for sealed in (("-k", "Note"), ("--category", "note"), ("-S", "now-1h"), ("-S", "boot:0"), ("-S", "active:routes")):
        assert lab.rap_state("log", *sealed, sealed=True).code == 11
    assert lab.rap_state("log", "-S", "HEAD", sealed=True).code == 0


def append(disk: Disk, work: Callable[[ClusterState], object]) -> None:
    with disk.open(seed=7) as store:
        work(store.cluster("lab"))


def follow(disk: Disk, *arguments: str, steps: Sequence[Callable[[], object]], sealed: bool = False) -> list[dict[str, object]]:
    """Follow the log while `steps` happen, one at each look, then interrupt."""
    waiting = iter(steps)

    def pause(seconds: float) -> None:
        step = next(waiting, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    result = disk.rap_state("log", "-f", "-o", "ndjson", *arguments, pause=pause, sealed=sealed)
    assert result.code == 0
    return result.lines()


def test_following_goes_on_with_what_is_new(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    before = last_lsn(disk)
    steps = [
        lambda: append(disk, lambda cluster: cluster.note("one")),
        lambda: None,
        lambda: append(disk, lambda cluster: observe(cluster, 3)),
    ]
    found = follow(disk, "-n", "2", steps=steps)
    assert [line["lsn"] for line in found if line["type"] == "record"] == list(range(before - 1, last_lsn(disk) + 1))
    assert found[-1] == {"type": "end", "record_count": len(found) - 2, "cursor": f"lab@{last_lsn(disk)}", "exit_code": 0}


def test_following_starts_with_the_newest_ten_or_where_it_is_told(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    assert len(follow(disk, steps=[])) == 12
    assert len(follow(disk, "-S", "HEAD~2", steps=[])) == 5
    assert (
        len(follow(disk, "--after", "HEAD", steps=[lambda: append(disk, lambda cluster: cluster.note("one"))], sealed=True)) > 2
    )


def test_following_filters_what_is_new(tmp_path: Path) -> None:
    disk = make_store(tmp_path)

    def more(cluster: ClusterState) -> None:
        cluster.note("two")
        cluster.health.enter_degraded("disk")
        cluster.flush()

    steps = [lambda: append(disk, more)]
    found = follow(disk, "-k", "Note", "-n", "1", steps=steps)
    assert [line["fields"] for line in found[1:-1]] == [{"text": "looking into it"}, {"text": "two"}]


def test_of_several_clusters_a_selector_names_one(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    other = new_disk(tmp_path / "x").fabric.__class__("other")
    with disk.open(seed=9) as store:
        activate_all(store.join("other", bundle=other.bootstrap, expect=other.fingerprint), other)
    assert disk.rap_state("log").code == 2
    assert disk.rap_state("log", "-S", "other@3", "-n", "1", "-o", "json").json()["cluster"] == "other"
    assert disk.rap_state("log", "-S", "other@3", "-c", "lab").code == 2
    assert "other" in disk.rap_state("log").err


def test_a_count_of_none_is_refused_in_words(lab: Disk) -> None:
    result = lab.rap_state("log", "-n", "0")
    assert result.code == 2
    assert "'0' is not a whole number of 1 or more" in result.err


def test_people_are_told_that_nothing_matches(lab: Disk) -> None:
    result = lab.rap_state("log", "--category", "eviction")
    assert (result.code, result.out, result.err) == (1, "", "rap-state: no event matches\n")
