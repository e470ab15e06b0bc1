"""The demonstration as a whole: a node that is killed for real, and digests that are compared for real."""

import argparse
import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_tools import demo, demo_course
from rap_tools.demo_messages import Acknowledged, Message, Order
from rap_tools.demo_network import DemoNetwork
from rap_tools.demo_proof import ACKNOWLEDGED, AT_THE_END, FOUND, RECOVERED, KilledReading, read_killed
from rap_tools.demo_run import KillPlan, Transcript, WriterFailed
from tests.shared_data import shared_data

SLICES = 9
PEERS = 95


def options(root: Path, **changes: Any) -> argparse.Namespace:
    given = {"trace": None, "slices": SLICES, "seed": 7, "live": False, "root": str(root), "output": "json"}
    return argparse.Namespace(**given | changes)


def change(transcript: Transcript, cluster: str, changed: Callable[[Acknowledged], Acknowledged]) -> Transcript:
    """The transcript, but for the last acknowledgement of `cluster`."""
    last = transcript.acknowledged(cluster)[-1]
    return transcript._replace(messages=tuple([changed(last) if said is last else said for said in transcript.messages]))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """Exit code and document of one run."""
    folder = tmp_path_factory.mktemp("demo")
    exit_code = demo.run(options(folder / "node", out_file=str(folder / "result.json")))
    return exit_code, json.loads((folder / "result.json").read_text())


def test_a_node_that_was_killed_comes_back_with_equal_digests(shown: tuple[int, dict[str, Any]]) -> None:
    exit_code, document = shown
    assert exit_code == 0
    assert (document["ok"], document["problems"], document["verify_exit_code"]) == (True, [], 0)
    assert document["killed_with"] == -signal.SIGKILL
    moments = [ACKNOWLEDGED, FOUND, RECOVERED, AT_THE_END]
    for cluster in document["clusters"]:
        assert [each["moment"] for each in cluster["comparisons"]] == moments
        assert all(each["equal"] and len(set(each["digests"].values())) == 1 for each in cluster["comparisons"])
        acknowledged, found, recovered, end = cluster["comparisons"]
        assert set(acknowledged["digests"]) == {"writer", "killed_files", "checkpoint", "floor"}
        assert acknowledged["lsn"] <= found["lsn"] <= recovered["lsn"] < end["lsn"] <= cluster["horizon"]


def test_whom_to_trust_changes_at_the_end(shown: tuple[int, dict[str, Any]]) -> None:
    _exit_code, document = shown
    assert [step["is_right"] for step in document["trust"]] == [True] * 4
    assert [step["answer"] for step in document["trust"]][1::2] == ["refused: rollback", "refused: revoked"]


def test_every_slice_of_both_clusters_is_acknowledged_and_folded_again(shown: tuple[int, dict[str, Any]]) -> None:
    clusters = shown[1]["clusters"]
    assert [cluster["cluster"] for cluster in clusters] == ["eu-west-1", "us-east-1"]
    for cluster in clusters:
        assert cluster["observations"] == SLICES * PEERS
        slices = [each["moment"] for each in cluster["acknowledged_states"]]
        assert slices == [f"acknowledged, slice {at}" for at in range(SLICES)]
        assert all(each["equal"] for each in cluster["acknowledged_states"])
        assert len({each["lsn"] for each in cluster["acknowledged_states"]}) == SLICES


def test_the_result_tells_what_the_kill_interrupted_and_what_recovery_did(shown: tuple[int, dict[str, Any]]) -> None:
    document = shown[1]
    assert document["store_open_ms"] > 0
    for cluster in document["clusters"]:
        kill = cluster["interruption"]
        assert kill["unacknowledged_records"] == kill["found_lsn"] - kill["acknowledged_lsn"] >= 0
        assert 0 < kill["checkpoint_lsn"] <= kill["acknowledged_lsn"]
        assert kill["replayed_records"] == kill["found_lsn"] - kill["checkpoint_lsn"]
        assert cluster["checkpoint_lsn"] == kill["checkpoint_lsn"]
        assert cluster["events_per_s"] > 0
        assert cluster["frames"] > SLICES
    assert any(cluster["interruption"]["under_way"] for cluster in document["clusters"])


def test_routes_are_shown_with_score_path_and_alternatives(shown: tuple[int, dict[str, Any]]) -> None:
    for cluster in shown[1]["clusters"]:
        assert len(cluster["routes"]) == 5
        for route in cluster["routes"]:
            assert 0 < route["score_ms"] < 70_000
            ways = [route["path"], *route["alternatives"]]
            assert len(ways) == 3
            assert "direct" in ways


def test_the_store_is_kept_with_its_key_outside_of_it(shown: tuple[int, dict[str, Any]]) -> None:
    document = shown[1]
    root, key_file = Path(document["root"]), Path(document["key_file"])
    assert key_file.parent == root.parent
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert {path.name for path in root.joinpath("clusters").iterdir()} == {"eu-west-1", "us-east-1"}
    assert document["disk_bytes"] > 0
    assert [command.split()[-1] for command in document["commands"]] == [str(root), "20", str(root)]


def test_a_digest_that_the_writer_did_not_say_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conduct = demo_course.conduct

    def lying(*arguments: Any) -> Any:
        evidence = conduct(*arguments)
        first = change(evidence.first, "us-east-1", lambda said: said._replace(digest="00" * 32))
        return evidence._replace(first=first)

    monkeypatch.setattr(demo_course, "conduct", lying)
    assert demo.run(options(tmp_path / "node")) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["problems"][0].startswith("us-east-1: acknowledged before the kill, LSN ")
    assert "writer 000000000000, killed_files " in document["problems"][0]
    assert all(each["equal"] for each in document["clusters"][0]["comparisons"])


def test_acknowledged_records_that_a_disk_loses_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def losing(root: Path, keys: Any, first: Transcript, network: DemoNetwork) -> dict[str, KilledReading]:
        found = read_killed(root, keys, first, network)
        segment = max(path for path in (root / "clusters/us-east-1/journal").iterdir() if path.name != "spare")
        bytes_kept = segment.read_bytes().rstrip(b"\0")
        segment.write_bytes(bytes_kept[: len(bytes_kept) * 3 // 4])
        return found

    # Late, so that the newest segment holds slices that were acknowledged.
    monkeypatch.setattr(demo_course, "plan_kill", lambda network: KillPlan("us-east-1", SLICES - 2, 0.5))
    monkeypatch.setattr(demo_course, "read_killed", losing)
    assert demo.run(options(tmp_path / "node")) == 1
    document = json.loads(capsys.readouterr().out)
    untouched, cut = document["clusters"]
    assert all(each["equal"] for each in untouched["comparisons"])
    assert (cut["comparisons"][0]["moment"], cut["comparisons"][0]["equal"]) == (ACKNOWLEDGED, False)
    assert all(problem.startswith("us-east-1: ") for problem in document["problems"])
    assert any(
        "us-east-1: acknowledged before the kill, LSN " in problem and "digests differ" in problem
        for problem in document["problems"]
    )


def test_a_writer_that_was_not_killed_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_course, "plan_kill", lambda network: ("eu-west-1", SLICES + 1, 0.5))
    assert demo.run(options(tmp_path / "node")) == 1
    assert "the first writer was to be killed and ended with status 0." in json.loads(capsys.readouterr().out)["problems"]


def test_tables_are_plain_text_off_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(options(tmp_path / "node", output="text", slices=6)) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "\x1b" not in printed.out
    assert "All digests are equal" in printed.out
    assert "6 slices used. Seed: 7." in printed.out
    assert f"The store is kept: {tmp_path / 'node'}" in printed.out
    assert f"status -D {tmp_path / 'node'}\n" in printed.out
    words = " ".join(printed.out.split())
    assert words.count("checkpoint = folded from the newest checkpoint, floor = from the oldest kept one.") == 2
    assert words.count("killed files = read before recovery") == 2
    assert words.count("score = the estimate that ways are ranked by") == 2
    assert words.count("LSN = number of an event") == 1
    assert words.count("Recovery of the whole store") == 1
    assert "survives in the page cache" in words
    assert "elsewhere" not in words


def test_lines_of_json_end_with_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(options(tmp_path / "node", output="ndjson", slices=6)) == 0
    header, document, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert (header["type"], header["format"], header["format_version"]) == ("header", "rap-state-demo", 1)
    assert document["ok"] is True
    assert (end["type"], end["record_count"], end["exit_code"]) == ("end", 1, 0)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(MisuseError, match="is there already; nothing was done"):
        demo.run(options(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_rich_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(MisuseError, match=r"pip install 'rap-node-state\[tools\]'"):
        demo.run(options(tmp_path / "node", output="text"))
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_is_an_error_and_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(order: Order, listen: Callable[[Message], None], kill: Any = None) -> Transcript:
        raise WriterFailed("there is no space.", 12)

    monkeypatch.setattr(demo_course, "run_writer", full)
    assert demo.run(options(tmp_path / "node")) == 12
    complaint = json.loads(capsys.readouterr().err)
    assert (complaint["format"], complaint["exit_code"]) == ("rap-state-error", 12)
    assert complaint["message"] == f"there is no space. The store is kept: {tmp_path / 'node'}"


def test_the_module_runs_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["-D", str(tmp_path / "node"), "-o", "json", "--slices", "6", "--seed", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 3
    assert demo.main(["-D", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("rap-state: ")


def test_a_trace_with_few_slices_is_gone_round_again_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "short"
    trace.mkdir()
    for number in (1, 2):
        lines = [" ".join(str(0 if at == to else 9 * number + at + to) for to in range(7)) for at in range(7)]
        trace.joinpath(f"Short_{number}.txt").write_text("\n".join(lines) + "\n")
    assert demo.run(options(tmp_path / "node", trace=str(trace), output="text")) == 0
    assert f"7 nodes, 2 slices; {SLICES} slices used, going round the trace's 2 again. Seed: 7." in capsys.readouterr().out
    assert demo.run(options(tmp_path / "again", trace=str(trace))) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["slices"], document["trace_slices"]) == (SLICES, 2)


@pytest.mark.slow
def test_the_measured_network_survives_a_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = str(shared_data("net-latency", "seattle"))
    assert demo.run(options(tmp_path / "node", trace=trace, slices=60)) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(cluster["cluster"], cluster["observations"]) for cluster in document["clusters"]] == [
        ("seattle-a", 60 * 98),
        ("seattle-b", 60 * 98),
    ]
