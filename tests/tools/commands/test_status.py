"""`rap-state status`: what spec section 12 asks for, no secret and no topology, and what is wrong with the store."""

import json
from pathlib import Path

import pytest

from rap_projections.testing import Fabric
from tests.tools.command import PEERS, Disk, all_bytes, last_lsn, lsn_of, make_store, new_disk
from tests.tools.test_frame_reading import flip, frame_of

SPEC_FIELDS = {
    "last applied config version": lambda status: status["snapshots"]["peers"]["applied_version"] == [1, 1],
    "snapshot expiry/refresh status": lambda status: status["snapshots"]["peers"]["is_refresh_due"] is False,
    "trust bundle version": lambda status: status["trust"]["bundle_version"] == 1,
    "peer cache size": lambda status: status["peer_count"] == len(PEERS),
    "route cache size": lambda status: status["route_count"] == len(PEERS),
    "degraded-mode state": lambda status: status["degraded"]["reasons"] == ["no control plane"],
    "local store health": lambda status: status["sound"]["is_sound"] is True,
    "last corruption/recovery event": lambda status: status["store"]["last_recovery"] is None,
    "pending update state": lambda status: status["updates"]["agent"]["has_pending"] is False,
}


@pytest.mark.parametrize("bullet", SPEC_FIELDS)
def test_each_bullet_of_section_12_is_in_the_status(lab: Disk, bullet: str) -> None:
    assert SPEC_FIELDS[bullet](lab.rap_state("status", "-o", "json").json())


def test_the_status_is_that_of_an_open_cluster_and_more(lab: Disk, tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=5) as store:
        own = json.loads(json.dumps(store.cluster("lab").status()))
        found = disk.rap_state("status", "-o", "json").json()
    shared = own.keys() & found.keys()
    assert own.keys() - shared == {"writer", "recovery", "anchor"}
    assert {name: found[name] for name in shared} == {name: own[name] for name in shared}
    assert found.keys() - shared == {"is_sealed", "is_live", "sound", "journal", "error", "exit_code", "store_info"}


def test_the_object_says_what_it_is(lab: Disk) -> None:
    found = lab.rap_state("status", "-o", "json").json()
    assert {name: found[name] for name in ("format", "format_version", "cluster", "horizon")} == {
        "format": "rap-state-status", "format_version": 1, "cluster": "lab", "horizon": last_lsn(lab),
    }  # fmt: skip
    assert found["journal"]["checkpoints"] == [0, lsn_of(lab, "CheckpointWritten") - 1]
    assert found["store_info"]["agent"]["joined"] == ["lab"]
    assert found["store_info"]["writer"] is None


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
def test_no_secret_and_no_topology_is_shown(lab: Disk, form: str) -> None:
    out = lab.rap_state("status", "-o", form).out
    key = lab.key_file.read_bytes()
    assert not any(peer in out for peer in PEERS)
    assert "example" not in out
    assert key.hex() not in out
    assert str(lab.key_file) not in out


def test_text_names_what_matters(lab: Disk) -> None:
    out = lab.rap_state("status").out
    for part in (
        "bundle 1, expires 2028-01-15T08:00:00Z",
        "1.1, applied 1.1",
        "8 peers, 8 routes",
        "yes: no control plane",
        "none at work",
    ):
        assert part in out


def test_without_the_key_what_is_sealed_says_so(lab: Disk) -> None:
    result = lab.rap_state("status", "-o", "json", sealed=True)
    found = result.json()
    assert (result.code, found["is_sealed"], found["horizon"]) == (0, True, last_lsn(lab))
    assert {found[name] for name in ("identity", "trust", "snapshots", "peer_count", "degraded", "updates", "store")} == {
        "(sealed)"
    }
    assert found["journal"]["first_lsn"] == 1
    assert lab.rap_state("status", sealed=True).out.count("(sealed)") >= 6


def test_a_key_that_is_named_and_does_not_open_is_no_access(lab: Disk, tmp_path: Path) -> None:
    (tmp_path / "other.key").write_bytes(bytes(32))
    (tmp_path / "other.key").chmod(0o600)
    result = lab.rap_state("status", "--key-file", str(tmp_path / "other.key"), "-o", "json")
    assert result.code == 11
    assert result.json()["error"]["error"] == "KeyUnavailable"
    assert result.json()["journal"]["first_lsn"] == 1
    assert lab.rap_state("status", "--key-file", str(tmp_path / "absent.key")).code == 11


def test_several_clusters_make_a_report_and_one_of_them_a_status(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    other = Fabric("other")
    with disk.open(seed=9) as store:
        store.join("other", bundle=other.bootstrap, expect=other.fingerprint)
    found = disk.rap_state("status", "-o", "json").json()
    assert (found["format"], found["cluster"], sorted(found["clusters"])) == ("rap-state-report", None, ["lab", "other"])
    assert disk.rap_state("status", "-o", "json", "-c", "other").json()["cluster"] == "other"


def test_an_empty_store_has_a_status_too(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    disk.open(create=True).close()
    result = disk.rap_state("status", "-o", "json")
    assert (result.code, result.json()["clusters"]) == (0, {})
    assert disk.rap_state("status").out.splitlines()[-2:] == ["", "no cluster yet: the agent joins clusters"]


def test_a_key_file_that_is_not_there_is_told_with_a_command_that_can_be_pasted(lab: Disk, tmp_path: Path) -> None:
    result = lab.rap_state("status", "--key-file", str(tmp_path / "typo"))
    assert result.code == 11
    assert f"  try      rap-state -D {lab.root} status --key-file {lab.key_file}\n" in result.out


def test_the_first_checkpoint_is_none_and_the_opening_is_told(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    with disk.open(create=True) as store:
        store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
    out = disk.rap_state("status").out
    assert (
        "  sound         nothing is missing since the beginning; there is no checkpoint yet. Every byte: rap-state verify\n"
        in out
    )
    assert "  recovery      no recovery has cut or lost anything\n" in out
    assert "  last opening  2026-01-01T00:00:00Z; closed in order 2026-01-01T00:00:00Z\n" in out


def test_a_torn_tail_is_a_recovery_in_which_nothing_was_lost(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with max((disk.root / "clusters" / "lab" / "journal").glob("0*")).open("ab") as file:
        file.write(b"RAPF torn off by a crash")
    disk.open(seed=3).close()
    last = disk.rap_state("status", "-o", "json").json()["store"]["last_recovery"]
    out = disk.rap_state("status").out
    assert f"  recovery           1 finding, the last: {last['verdict'].replace('_', ' ')} after @{last['lsn']}, cut; " in out


def test_missing_records_of_a_cache_are_named(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=3) as store:
        store.cluster("lab").peers.observe("node-1", rtt_ms=3.0)
        store.cluster("lab").flush()
        store.cluster("lab").note("after it")
        store.cluster("lab").flush()
    lsn = lsn_of(disk, "PeersObserved", -1)
    flip(disk, frame_of(disk, lsn))
    result = disk.rap_state("status", "-o", "json")
    assert result.code == 7
    assert result.json()["fail_closed"] is None
    assert [(gap["first_lsn"], gap["classes"]) for gap in result.json()["sound"]["missing"]] == [(lsn, ["peers"])]
    assert f"@{lsn}" in disk.rap_state("status").out


def test_a_small_bundle_whose_file_is_gone_is_served_from_its_event(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    for path in (disk.root / "clusters" / "lab" / "trust").glob("document-*"):
        path.unlink()
    assert disk.rap_state("status").code == 0


def test_an_active_document_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    large = disk.fabric.peers([f"node-{number:05}" for number in range(900)])
    with disk.open(seed=3) as store:
        store.cluster("lab").activate(large)
    assert disk.rap_state("status").code == 0
    max((disk.root / "clusters" / "lab" / "snapshots").glob("document-*"), key=lambda path: path.stat().st_size).unlink()
    result = disk.rap_state("status", "-o", "json")
    assert result.code == 8


def test_a_lost_strict_record_fails_closed(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=3) as store:
        store.cluster("lab").activate(disk.fabric.routes([]))
        store.cluster("lab").note("after it")
        store.cluster("lab").flush()
    flip(disk, frame_of(disk, lsn_of(disk, "SnapshotActivated", -1)))
    result = disk.rap_state("status", "-o", "json")
    assert result.code == 8
    assert result.json()["sound"]["missing"][0]["classes"] == ["snapshots"]


def test_one_damaged_cluster_hides_no_other(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    other = Fabric("other")
    with disk.open(seed=9) as store:
        store.join("other", bundle=other.bootstrap, expect=other.fingerprint)
    (disk.root / "clusters" / "other" / "MARKER").write_bytes(b"x" * 1024)
    result = disk.rap_state("status", "-o", "json")
    assert result.code == 8
    assert result.json()["clusters"]["lab"]["exit_code"] == 0
    assert result.json()["clusters"]["other"]["error"]["error"] == "DamageError"
    assert "rap-state -D" in disk.rap_state("status").out


def test_a_cluster_that_was_joined_and_is_gone_is_named(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    (disk.root / "clusters" / "lab").rename(tmp_path / "taken")
    result = disk.rap_state("status", "-o", "json")
    assert (result.code, result.json()["store_info"]["missing_clusters"]) == (8, ["lab"])
    assert "joined, and not on disk: lab" in disk.rap_state("status").out


def test_a_document_that_was_lost_counts_until_there_is_one_again(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=3) as store:
        store.cluster("lab").activate(disk.fabric.peers([f"node-{number:05}" for number in range(900)]))
    folder = disk.root / "clusters" / "lab" / "snapshots"
    max(folder.glob("document-*"), key=lambda path: path.stat().st_size).unlink()
    before = disk.rap_state("status", "-o", "json")
    assert (before.code, before.json()["sound"]["unsound_scopes"]) == (8, ["peers"])
    disk.open(seed=4).close()
    lost = disk.rap_state("status", "-o", "json")
    assert (lost.code, lost.json()["sound"]["lost_scopes"], lost.json()["sound"]["is_sound"]) == (8, ["peers"], False)
    assert "snapshot-lost" in lost.json()["degraded"]["reasons"]
    assert "the peers document was lost, and none has taken its place" in disk.rap_state("status").out
    with disk.open(seed=5) as store:
        store.cluster("lab").activate(disk.fabric.peers(PEERS))
    assert disk.rap_state("status").code == 0


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_checkpoint_that_is_gone_is_no_longer_told_once_the_store_was_opened(tmp_path: Path, is_emptied: bool) -> None:
    disk = new_disk(tmp_path)
    with disk.open(create=True) as store:
        store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint).activate(disk.fabric.peers(PEERS))
    (checkpoint,) = (disk.root / "clusters" / "lab" / "snapshots").glob("checkpoint-*")
    if is_emptied:
        checkpoint.write_bytes(b"")
    else:
        checkpoint.unlink()
    assert (disk.rap_state("verify").code, disk.rap_state("verify", sealed=True).code, disk.rap_state("status").code) == (8, 8, 0)
    with disk.open(seed=2) as store:
        assert store.cluster("lab").status()["store"]["recovery_count"] == 1
        assert store.cluster("lab").status()["snapshots"]["peers"]["active_version"] == [1, 1]
    found = disk.rap_state("status", "-o", "json")
    assert (found.code, found.json()["snapshots"]["peers"]["active_version"]) == (0, [1, 1])
    assert found.json()["store"]["recovery_count"] == 1
    assert (disk.rap_state("verify").code, disk.rap_state("verify", sealed=True).code) == (0, 0)


@pytest.mark.parametrize("command", ["status", "verify", "log", "init"])
@pytest.mark.parametrize(("gone", "reason"), [("MARKER", "no_marker"), ("clusters", "missing_folder")])
def test_half_of_a_store_is_damage_and_nothing_recommends_to_make_another(
    tmp_path: Path, command: str, gone: str, reason: str
) -> None:
    disk = make_store(tmp_path)
    if gone == "MARKER":
        (disk.root / gone).unlink()
    else:
        (disk.root / gone).rename(tmp_path / "elsewhere")
    before = all_bytes(disk.root)
    options = ("--key-file", str(disk.key_file)) if command == "init" else ()
    result = disk.rap_state(command, *options, "-o", "json")
    assert result.code == 8
    assert "init" not in result.out + result.err
    assert all_bytes(disk.root) == before
    if gone == "MARKER":
        assert (result.error()["facts"]["reason"], result.error()["facts"]["file"], result.error()["try"]) == (
            reason,
            "MARKER",
            None,
        )


@pytest.mark.parametrize(("sealed", "code"), [(False, 8), (True, 3)])
def test_a_cluster_that_was_joined_and_is_gone_is_damage_where_the_key_tells_of_it(
    tmp_path: Path, sealed: bool, code: int
) -> None:
    disk = make_store(tmp_path)
    (disk.root / "clusters" / "lab").rename(tmp_path / "elsewhere")
    result = disk.rap_state("status", "-c", "lab", "-o", "json", sealed=sealed)
    assert (result.code, result.error()["facts"]["cluster"]) == (code, "lab")
    assert disk.rap_state("status", sealed=sealed).code == (0 if sealed else 8)
    assert disk.rap_state("verify", sealed=sealed).code == (0 if sealed else 8)
