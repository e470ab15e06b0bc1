"""`rap-state keys`: who may open the store and what lacks a way in, in three forms, and never a key."""

import base64
import json
import re
from pathlib import Path

import pytest

from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider, RecoveryPassphraseProvider
from rap_projections.testing import Fabric, MemoryAnchor
from tests.tools.command import Disk, all_bytes, make_store, rap_state


def second_key(folder: Path) -> FileKeyProvider:
    """Another key file."""
    path = folder / "second.key"
    path.write_bytes(b"second key, of thirty-two bytes!")
    path.chmod(0o600)
    return FileKeyProvider(path)


def test_the_object_says_what_it_is_and_names_every_journal(lab: Disk) -> None:
    result = lab.rap_state("keys", "-o", "json")
    found = result.json()
    assert result.code == 0
    assert {name: found[name] for name in ("format", "format_version", "cluster", "horizon", "key_provider", "given", "is_live")} == {
        "format": "rap-state-keys", "format_version": 1, "cluster": None, "horizon": None, "key_provider": "file", "given": "file",
        "is_live": False,
    }  # fmt: skip
    assert [journal["journal"] for journal in found["journals"]] == ["agent", "lab"]
    assert (found["lacking"], found["exit_code"], found["record_count"]) == ({}, 0, 2)
    for journal in found["journals"]:
        (generation,) = journal["generations"]
        assert (generation["generation"], generation["is_current"], generation["is_authentic"]) == (1, True, True)
        assert [(slot["provider"], slot["opens"]) for slot in generation["slots"]] == [("file", True)]
        assert generation["written_at"].endswith("Z")


def test_lines_have_a_header_a_journal_each_and_an_end(lab: Disk) -> None:
    lines = lab.rap_state("keys", "-o", "ndjson").lines()
    assert [line["type"] for line in lines] == ["header", "journal", "journal", "end"]
    assert (lines[0]["format"], lines[-1]["exit_code"], lines[-1]["record_count"]) == ("rap-state-keys", 0, 2)


def test_without_a_key_the_slots_are_shown_and_what_only_a_key_tells_is_not(lab: Disk) -> None:
    result = lab.rap_state("keys", "-o", "json", sealed=True)
    found = result.json()
    assert (result.code, found["given"], found["anchor"]) == (0, None, "(sealed)")
    assert {slot["opens"] for journal in found["journals"] for slot in journal["generations"][0]["slots"]} == {None}
    assert lab.rap_state("keys", sealed=True).code == 0


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
def test_no_key_is_shown_in_any_form(lab: Disk, form: str) -> None:
    out = lab.rap_state("keys", "-o", form).out
    key = lab.key_file.read_bytes()
    content = (lab.root / "clusters/lab/identity/keys-00000001").read_bytes()
    salt, wrapped, check = content[80:112], content[112:160], content[32:48]
    assert salt[:8].hex() in out
    for secret in (key, wrapped, salt[8:], check):
        assert secret.hex() not in out
        assert base64.b64encode(secret).decode() not in out
    assert str(lab.key_file) not in out


def test_a_cluster_that_was_joined_later_lacks_a_slot_and_that_is_exit_code_1(tmp_path: Path) -> None:
    disk, other = make_store(tmp_path), Fabric("other")
    with disk.open(seed=2) as store:
        store.keys.add_slot(RecoveryPassphraseProvider(lambda: bytearray(b"seven words that nobody would ever guess")))
        store.join("other", bundle=other.bootstrap, expect=other.fingerprint)
    result = disk.rap_state("keys", "-o", "json")
    assert (result.code, result.json()["lacking"]) == (1, {"other": ["recovery_passphrase"]})
    assert disk.rap_state("keys", "-c", "lab").code == 0
    assert disk.rap_state("keys", "-c", "other", "-o", "json").json()["lacking"] == {"other": ["recovery_passphrase"]}
    assert "  lacking       other: lacks a slot for recovery passphrase\n" in disk.rap_state("keys").out


def test_one_cluster_is_shown_alone_and_one_that_is_not_there_is_exit_code_3(lab: Disk) -> None:
    found = lab.rap_state("keys", "-c", "lab", "-o", "json").json()
    assert ([journal["journal"] for journal in found["journals"]], found["cluster"]) == (["lab"], "lab")
    assert lab.rap_state("keys", "-c", "nope").code == 3


def test_a_key_that_opens_nothing_is_exit_code_11_and_the_slots_are_shown_all_the_same(lab: Disk, tmp_path: Path) -> None:
    result = lab.rap_state("keys", "--key-file", str(second_key(tmp_path).path), "-o", "json")
    journal = result.json()["journals"][1]
    assert (result.code, journal["exit_code"], journal["error"]["error"]) == (11, 11, "KeyUnavailable")
    assert [slot["opens"] for slot in journal["generations"][0]["slots"]] == [False]
    assert result.json()["anchor"] is None
    assert lab.rap_state("keys", "--key-file", str(tmp_path / "absent.key")).code == 11


@pytest.mark.parametrize("folder", ["clusters/lab/identity", "agent/agent"])
def test_a_damaged_copy_of_a_key_file_is_exit_code_8(tmp_path: Path, folder: str) -> None:
    disk = make_store(tmp_path)
    path = disk.root / folder / "keys-00000001"
    path.write_bytes(path.read_bytes()[:-1])
    for sealed in (False, True):
        result = disk.rap_state("keys", "-o", "json", sealed=sealed)
        assert result.code == 8
        damaged = [journal["journal"] for journal in result.json()["journals"] if journal["exit_code"]]
        assert damaged == ["lab" if "lab" in folder else "agent"]


def test_a_store_with_an_anchor_shows_what_was_written_for_it(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    keys = FileKeyProvider(disk.key_file)
    with NodeStore.open(disk.root, keys=keys, clock=disk.clock, background=False, anchor=MemoryAnchor()) as store:
        assert store.keys.provision_anchor() == 1
    found = disk.rap_state("keys", "-o", "json").json()["anchor"]
    assert (found["state"], found["written"], found["seen"], found["doubtful"]) == ("current", 1, 1, [])
    line = re.compile(r"^  anchor +in step since 2026-01-01T00:02:00.000000Z; floors written for number 1,", re.MULTILINE)
    assert all(line.search(disk.rap_state(command).out) for command in ("keys", "status"))


def test_nothing_is_changed_beside_a_live_writer(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=4):
        before = all_bytes(disk.root)
        result = disk.rap_state("keys", "-o", "json")
        assert (result.code, result.json()["is_live"]) == (0, True)
        assert all_bytes(disk.root) == before


def test_a_folder_that_is_no_store_is_exit_code_3(tmp_path: Path) -> None:
    result = rap_state("keys", "-D", str(tmp_path), "-o", "json")
    assert (result.code, json.loads(result.err)["error"]) == (3, "NoSuchStore")
