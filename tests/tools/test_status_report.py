"""What `status` knows: the fields of an open cluster, and what is added to them, with the key or without."""

from pathlib import Path

import pytest

from rap_tools.exit_codes import ExitCode
from rap_tools.opening import StoreReading
from rap_tools.status_report import SEALED_FIELDS, ClusterReport, report_agent, report_cluster
from tests.tools.command import Disk, last_lsn, lsn_of, make_store, new_disk

SEALED = "(sealed)"


def reported(disk: Disk, *, sealed: bool = False, key_file: str | None = None) -> ClusterReport:
    with StoreReading.open(str(disk.root), None if sealed else key_file or str(disk.key_file)) as store:
        return report_cluster(store, "lab", disk.clock)


def agent_of(disk: Disk, *, sealed: bool = False) -> dict[str, object]:
    with StoreReading.open(str(disk.root), None if sealed else str(disk.key_file)) as store:
        return report_agent(store)


def test_a_cluster_is_reported_with_its_journal_and_its_soundness(lab: Disk) -> None:
    document, code = reported(lab)
    checkpoint = lsn_of(lab, "CheckpointWritten") - 1
    journal = lab.root / "clusters" / "lab" / "journal"
    segments = [path for path in journal.iterdir() if path.name != "spare"]
    assert code is ExitCode.DONE
    assert document["sound"] == {"is_sound": True, "unsound_scopes": [], "lost_scopes": [], "missing": []}
    assert document["journal"] == {
        "first_lsn": 1,
        "oldest_lsn": 0,
        "checkpoints": [0, checkpoint],
        "replay_count": last_lsn(lab) - checkpoint,
        "segment_count": len(segments),
        "stored_bytes": sum(path.stat().st_size for path in segments),
    }
    assert (document["is_sealed"], document["is_live"], document["error"], document["exit_code"]) == (False, False, None, 0)


def test_the_time_that_is_left_runs_on_while_nobody_writes(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    before = reported(disk).document["trusted_time_s"]
    disk.clock.advance(seconds=50)
    assert reported(disk).document["trusted_time_s"] == before + 50


def test_without_the_key_every_sealed_field_says_so_and_the_frames_tell_the_rest(lab: Disk) -> None:
    document, code = reported(lab, sealed=True)
    assert code is ExitCode.DONE
    assert {document[name] for name in SEALED_FIELDS} == {SEALED}
    assert (document["cluster"], document["horizon"], document["is_sealed"]) == ("lab", last_lsn(lab), True)
    assert document["journal"]["replay_count"] == last_lsn(lab) - lsn_of(lab, "CheckpointWritten") + 1


def test_a_key_that_does_not_fit_is_in_the_report_with_a_command_that_can_be_pasted(lab: Disk, tmp_path: Path) -> None:
    document, code = reported(lab, key_file=str(tmp_path / "typo"))
    assert code is ExitCode.NO_ACCESS
    assert {document[name] for name in SEALED_FIELDS} == {None}
    assert document["error"]["error"] == "KeyUnavailable"
    assert document["error"]["try"] == f"rap-state -D {lab.root} status --key-file {lab.key_file}"
    assert (document["sound"], document["journal"]["first_lsn"]) == (None, 1)


def test_a_journal_that_cannot_be_read_is_an_error_in_the_report(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    (disk.root / "clusters" / "lab" / "WITNESS").unlink()
    document, code = reported(disk)
    assert code is ExitCode.FAIL_CLOSED
    assert (document["horizon"], document["journal"], document["sound"]) == (None, None, None)
    assert document["error"]["facts"]["reason"] == "missing_file"


def test_the_agent_tells_when_it_opened_and_closed_the_store(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    found = agent_of(disk)
    assert {name: found[name] for name in ("opened_at", "closed_at", "is_open", "previous_close_was_clean", "joined")} == {
        "opened_at": "2026-01-01T00:00:00.000000Z",
        "closed_at": "2026-01-01T00:02:00.000000Z",
        "is_open": False,
        "previous_close_was_clean": True,
        "joined": ["lab"],
    }
    assert len(str(found["install_id"])) == 32
    disk.clock.advance(seconds=60)
    with disk.open(seed=5):
        found = agent_of(disk)
    assert (found["opened_at"], found["closed_at"], found["is_open"]) == ("2026-01-01T00:03:00.000000Z", None, True)


def test_the_agent_of_a_new_store_has_joined_nothing(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    disk.open(create=True).close()
    assert (agent_of(disk)["joined"], agent_of(disk)["feature_flags"]) == ([], {})


def test_the_agent_is_sealed_without_the_key(lab: Disk) -> None:
    sealed = agent_of(lab, sealed=True)
    assert sealed.keys() == agent_of(lab).keys()
    assert set(sealed.values()) == {SEALED}


@pytest.mark.parametrize("name", SEALED_FIELDS)
def test_every_sealed_field_is_a_field_of_the_status(lab: Disk, name: str) -> None:
    assert name in reported(lab).document
