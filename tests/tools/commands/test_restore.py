"""`rap-state restore`: a new store from a backup, and never over one that is there."""

from pathlib import Path

from rap_projections import NodeStore, Operation
from rap_projections.keys import FileKeyProvider
from tests.tools.command import Disk, all_bytes, rap_state


def backed_up(lab: Disk, tmp_path: Path) -> str:
    result = lab.rap_state("backup", "-O", str(tmp_path / "b"), "--new-recovery-key", str(tmp_path / "r.key"), "-o", "json")
    return str(result.json()["fingerprint"])


def test_another_machine_restores_with_recovery_key_and_fingerprint(lab: Disk, tmp_path: Path) -> None:
    fingerprint = backed_up(lab, tmp_path)
    place = ("-D", str(tmp_path / "new"), "--key-file", str(tmp_path / "new.key"))
    result = rap_state("restore", str(tmp_path / "b"), *place, "--recovery-key", str(tmp_path / "r.key"), "--expect", fingerprint)
    assert (result.code, result.err) == (0, "")
    assert "not validated" in result.out
    with NodeStore.open(tmp_path / "new", keys=FileKeyProvider(tmp_path / "new.key"), background=False) as store:
        assert store.cluster("lab").allows(Operation.RESOLVE_SECRET).reason == "not_validated"
    assert rap_state("verify", "-D", str(tmp_path / "new")).code == 0
    before = all_bytes(tmp_path / "new")
    again = rap_state("restore", str(tmp_path / "b"), *place, "--recovery-key", str(tmp_path / "r.key"), "--expect", fingerprint)
    assert again.code == 2
    assert all_bytes(tmp_path / "new") == before


def test_the_same_key_file_needs_neither(lab: Disk, tmp_path: Path) -> None:
    lab.rap_state("backup", "-O", str(tmp_path / "b"))
    place = ("-D", str(tmp_path / "new"), "--key-file", str(lab.key_file))
    result = rap_state("restore", str(tmp_path / "b"), *place, "--survivor", str(lab.root), "-o", "json")
    assert (result.code, result.json()["clusters"]) == (0, ["lab"])


def test_a_survivor_under_another_key_is_read_with_its_own_key_file_or_the_restore_is_refused(lab: Disk, tmp_path: Path) -> None:
    fingerprint = backed_up(lab, tmp_path)
    arguments = ["restore", str(tmp_path / "b"), "-D", str(tmp_path / "new"), "--key-file", str(tmp_path / "new.key")]
    arguments += ["--recovery-key", str(tmp_path / "r.key"), "--expect", fingerprint, "--survivor", str(lab.root)]
    refused = rap_state(*arguments)
    assert (refused.code, "its floors would not be kept" in refused.err) == (11, True)
    assert rap_state(*arguments, "--survivor-key-file", str(lab.key_file)).code == 0


def test_exit_codes_tell_what_is_wrong(lab: Disk, tmp_path: Path) -> None:
    fingerprint = backed_up(lab, tmp_path)
    data = (tmp_path / "b").read_bytes()
    (tmp_path / "rotten").write_bytes(data[:300] + bytes([data[300] ^ 1]) + data[301:])

    def code(*arguments: str, file: str = "b") -> int:
        place = ("-D", str(tmp_path / "new"), "--key-file", str(tmp_path / "new.key"))
        return rap_state("restore", str(tmp_path / file), *place, *arguments).code

    recovery = ("--recovery-key", str(tmp_path / "r.key"))
    assert code(*recovery, "--expect", "00" * 32) == 1
    assert code(*recovery, "--expect", fingerprint, file="rotten") == 8
    assert code("--recovery-key", str(tmp_path / "absent"), "--expect", fingerprint) == 11
    assert code("--recovery-key", str(lab.key_file), "--expect", fingerprint) == 11
    assert code(*recovery, "--expect", fingerprint, file="missing") == 3
    assert not (tmp_path / "new").exists()


def test_without_its_key_file_it_says_what_would_do_and_makes_nothing(lab: Disk, tmp_path: Path) -> None:
    fingerprint = backed_up(lab, tmp_path)
    place = ("-D", str(tmp_path / "new"), "--key-file", str(tmp_path / "new.key"))
    for some in (), ("--expect", fingerprint), ("--recovery-key", str(tmp_path / "r.key")):
        result = rap_state("restore", str(tmp_path / "b"), *place, *some)
        assert (result.code, result.out) == (11, "") and "--recovery-key and --expect" in result.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("new")) == []


def test_a_backup_for_the_stores_own_key_names_the_command_that_takes_it(lab: Disk, tmp_path: Path) -> None:
    own = lab.rap_state("backup", "-O", str(tmp_path / "own"), "-o", "json").json()["next"][0]
    assert "--recovery-key" not in own and own.endswith("-D NEW_ROOT --key-file THIS_KEY")
