"""`rap-state backup`: one file, beside a live agent or without one, and whom it is for."""

import stat
from pathlib import Path

import pytest

from rap_journal.backup_files import decode_backup, public_recovery_key, unseal_backup
from rap_projections.backup_content import read_content
from tests.tools.command import Disk, all_bytes, make_store, rap_state


def test_the_file_holds_the_cluster_and_the_store_is_left_alone(lab: Disk, tmp_path: Path) -> None:
    before, target, key = all_bytes(lab.root), tmp_path / "b", tmp_path / "recovery.key"
    result = lab.rap_state("backup", "-O", str(target), "--new-recovery-key", str(key), "-o", "json")
    assert (result.code, result.err) == (0, "")
    assert all_bytes(lab.root) == before
    assert [stat.S_IMODE(path.stat().st_mode) for path in (target, key)] == [0o600, 0o600]
    file = decode_backup(target.read_bytes(), "b")
    assert result.json()["recipient"] == public_recovery_key(key.read_bytes()).hex() == file.recipient.hex()
    assert result.json()["sha256"] == file.sha256.hex()
    (saved,) = read_content(unseal_backup(file, key.read_bytes())).clusters
    assert (saved.cluster_id, len(saved.snapshots) > 0, saved.lsn) == (
        "lab",
        True,
        lab.rap_state("status", "-o", "json").json()["horizon"],
    )
    assert key.read_bytes().hex() not in result.out and lab.key_file.read_bytes().hex() not in result.out


def test_it_is_taken_beside_a_live_agent_and_is_the_same_store_s(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=5) as store:
        result = disk.rap_state("backup", "-O", str(tmp_path / "b"), "-o", "json")
        assert result.code == 0
        assert result.json()["fingerprint"] == store.report()["backup_fingerprint"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("-O", "{root}/b"), ("-O", "{there}"), ("-O", "{new}", "--recipient", "xy"), ("-O", "{new}", "--recipient", "00" * 32),
     ("-O", "{new}", "--recipient", "00" * 32, "--new-recovery-key", "{key}"), ("-O", "{new}", "--new-recovery-key", "{there}"),
     ("-O", "{new}", "--new-recovery-key", "{root}/key"), ("-O", "{there}", "--new-recovery-key", "{key}")],
    ids=["no file", "inside the store", "taken", "no hex", "a weak key", "two", "a key that is there", "a key inside the store",
         "a new key for a file that is taken"],
)  # fmt: skip
def test_a_call_that_cannot_be_right_writes_nothing(lab: Disk, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Mutation: the private recovery key was written into the store itself, and stayed behind where no backup was made."""
    there = tmp_path / "there"
    there.write_bytes(b"mine")
    places = {"root": lab.root, "there": there, "new": tmp_path / "new", "key": tmp_path / "key"}
    result = lab.rap_state("backup", *[argument.format(**places) for argument in arguments])
    assert (result.code, result.out) == (2, "")
    assert there.read_bytes() == b"mine" and not (tmp_path / "new").exists() and not (tmp_path / "key").exists()
    assert not (lab.root / "key").exists() and not (lab.root / "b").exists()


def test_the_next_command_of_a_store_without_a_key_file_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It told of a key file that there is none of, and a store could be made or restored with a key file alone."""
    (tmp_path / "credentials").mkdir(mode=0o700)
    (tmp_path / "credentials" / "rap.key").write_bytes(bytes(range(32)))
    (tmp_path / "credentials" / "rap.key").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    around = {"RAP_STATE_KEY_PROVIDER": "systemd_credential", "RAP_STATE_CREDENTIAL": "rap.key"}
    made = rap_state("init", "-D", str(tmp_path / "node"), "-o", "json", environment=around)
    assert (made.code, made.json()["changed"], made.json()["key_file"]) == (0, True, None)
    assert rap_state("init", "-D", str(tmp_path / "node"), "-o", "json", environment=around).json()["changed"] is False
    place = str(tmp_path / "b")
    taken = rap_state("backup", "-D", str(tmp_path / "node"), "-O", place, "-o", "json", environment=around)
    assert taken.json()["next"] == [f"RAP_STATE_KEY_PROVIDER=systemd_credential rap-state restore {place} -D NEW_ROOT"]
    done = rap_state("restore", place, "-D", str(tmp_path / "new"), "-o", "json", environment=around)
    assert (done.code, done.json()["key_file"], done.err) == (0, None, "")
    assert rap_state("keys", "-D", str(tmp_path / "new"), environment={"RAP_STATE_CREDENTIAL": "rap.key"}).code == 0
