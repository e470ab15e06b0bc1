"""`rap-state verify`: sound is 0, and each kind of damage has the exit code of the interface; no key is needed."""

import hashlib
from pathlib import Path

import pytest

from rap_tools.commands.verify import MEANINGS
from rap_tools.exit_codes import ExitCode
from tests.tools.command import Disk, all_bytes, lsn_of, make_store
from tests.tools.test_frame_reading import flip, frame_of

CLUSTER = Path("clusters") / "lab"
UNSEEN = "missing documents and missing clusters are not seen then"


def change(path: Path, offset: int = -1) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_sound_store_is_sound_with_the_key_and_without(lab: Disk, sealed: bool) -> None:
    result = lab.rap_state("verify", "-o", "json", sealed=sealed)
    found = result.json()
    assert result.code == 0
    assert (found["format"], found["is_sound"], found["is_unsealed"], found["findings"]) == (
        "rap-state-verify",
        True,
        not sealed,
        [],
    )
    assert [journal["folder"] for journal in found["journals"]] == ["agent", "clusters/lab"]


@pytest.mark.parametrize(
    ("victim", "code"),
    [
        ("peers/checkpoint-*", 7),
        ("routes/checkpoint-*", 7),
        ("trust/checkpoint-*", 8),
        ("snapshots/document-*", 8),
        ("identity/keys-*", 8),
        ("WITNESS", 8),
        ("MARKER", 8),
        ("health/checkpoint-*", 8),
    ],
)
def test_damage_has_the_exit_code_of_its_class(tmp_path: Path, victim: str, code: int) -> None:
    disk = make_store(tmp_path)
    change(min((disk.root / CLUSTER).glob(victim)), 100)
    result = disk.rap_state("verify", "-o", "json", sealed=True)
    assert result.code == code
    assert result.json()["exit_code"] == code
    assert result.json()["findings"][0]["file"].startswith("clusters/lab/")


@pytest.mark.parametrize(("kind", "code"), [("PeersObserved", 7), ("BundleActivated", 8), ("DegradedEntered", 8)])
def test_damage_to_a_frame_has_the_exit_code_of_what_is_in_it(tmp_path: Path, kind: str, code: int) -> None:
    disk = make_store(tmp_path)
    lsn = lsn_of(disk, kind)
    flip(disk, frame_of(disk, lsn))
    result = disk.rap_state("verify", "-o", "json", sealed=True)
    assert result.code == code
    assert any(
        finding["first_lsn"] and finding["first_lsn"] <= lsn <= finding["last_lsn"] for finding in result.json()["findings"]
    )


def test_a_torn_tail_is_6(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with max((disk.root / CLUSTER / "journal").glob("0*")).open("ab") as file:
        file.write(b"RAPF torn off by a crash")
    result = disk.rap_state("verify")
    assert result.code == 6
    assert "torn" in result.out


def test_a_later_format_is_9(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    path = disk.root / CLUSTER / "MARKER"
    block = bytearray(path.read_bytes()[:480])
    block[8] = 99
    path.write_bytes((bytes(block) + hashlib.sha256(block).digest()) * 2)
    assert disk.rap_state("verify", "-c", "lab").code == 9
    assert disk.rap_state("status").code == 9


def test_one_file_or_folder_can_be_looked_at(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    change(min((disk.root / CLUSTER / "peers").glob("checkpoint-*")), 100)
    assert disk.rap_state("verify").code == 7
    assert disk.rap_state("verify", "clusters/lab/peers").code == 7
    assert disk.rap_state("verify", str(disk.root / CLUSTER / "peers")).code == 7
    assert disk.rap_state("verify", "clusters/lab/routes").code == 0
    assert disk.rap_state("verify", "clusters/lab/journal").code == 0
    assert disk.rap_state("verify", "agent").code == 0
    assert disk.rap_state("verify", "clusters/lab/peers/checkpoint-0").code == 3
    assert disk.rap_state("verify", "/etc/passwd").code == 2
    assert disk.rap_state("verify", "..").code in (2, 3)


def test_of_one_file_nothing_else_is_told(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    for name in ("peers", "routes"):
        change(min((disk.root / CLUSTER / name).glob("checkpoint-*")), 100)
    result = disk.rap_state("verify", "clusters/lab/peers")
    assert result.out.splitlines() == [
        "clusters/lab/peers/checkpoint-0000000000000000 at byte 0: bad_digest of peers: damage to caches only; they are rebuilt",
        "clusters/lab/peers: 1 finding (seals were opened).",
        f"exit 7: {MEANINGS[ExitCode.CACHE_DAMAGE][0]}. Next: {MEANINGS[ExitCode.CACHE_DAMAGE][1]}.",
    ]
    found = disk.rap_state("verify", "clusters/lab/peers", "-o", "json").json()
    assert ([finding["file"] for finding in found["findings"]], found["journals"]) == (
        ["clusters/lab/peers/checkpoint-0000000000000000"], [],
    )  # fmt: skip
    assert disk.rap_state("verify", "clusters/lab/trust").out.splitlines()[0] == "clusters/lab/trust: sound (seals were opened)."
    assert len(disk.rap_state("verify", "clusters/lab", "-o", "json").json()["journals"]) == 1


@pytest.mark.parametrize(
    ("sealed", "seals"), [(False, "seals were opened"), (True, f"without a key, seals stay closed; {UNSEEN}")]
)
def test_the_last_line_says_what_the_exit_code_means_and_what_to_do(lab: Disk, sealed: bool, seals: str) -> None:
    lines = lab.rap_state("verify", sealed=sealed).out.splitlines()
    assert lines[-2:] == [
        f"sound ({seals}).",
        "exit 0: every byte that was looked at is what was written. Next: nothing needs to be done.",
    ]
    assert [line.split("  ")[0] for line in lines[:-2]] == ["agent", "clusters/lab"]


def test_the_meaning_is_in_the_object_too(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    change(disk.root / CLUSTER / "WITNESS", 100)
    found = disk.rap_state("verify", "-o", "json").json()
    assert found["meaning"].startswith("damage to more than caches")
    assert found["next"].startswith("keep a copy of the folder")
    assert disk.rap_state("verify").out.splitlines()[-1] == f"exit 8: {found['meaning']}. Next: {found['next']}."


def test_a_key_file_that_is_not_there_is_an_error_and_nothing_is_verified(lab: Disk, tmp_path: Path) -> None:
    result = lab.rap_state("verify", "--key-file", str(tmp_path / "typo"))
    assert (result.code, result.out) == (11, "")
    assert result.err.splitlines() == [
        f"rap-state: there is no key file {tmp_path}/typo; nothing was opened. Check --key-file or RAP_STATE_KEY_FILE.",
        f"try: rap-state -D {lab.root} verify --key-file {lab.key_file}",
    ]


def test_a_key_that_does_not_fit_opens_nothing_and_that_is_said(lab: Disk, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(bytes(32))
    other.chmod(0o600)
    result = lab.rap_state("verify", "--key-file", str(other))
    assert result.code == 11
    assert result.out.splitlines()[-2] == f"2 findings (seals stay closed: the key does not open all of them; {UNSEEN})."
    found = lab.rap_state("verify", "--key-file", str(other), "-o", "json").json()
    assert (found["is_unsealed"], {finding["reason"] for finding in found["findings"]}) == (False, {"wrong_key"})


def test_the_folder_of_the_agent_that_was_put_aside_is_known(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    change(disk.root / "agent" / "MARKER", 100)
    change(disk.root / "agent" / "MARKER", 612)
    disk.open(seed=3).close()
    result = disk.rap_state("verify")
    assert (result.code, result.out.splitlines()[2:4]) == (
        0, ["agent-damaged at byte 0: set_aside: harmless", "sound (seals were opened)."],
    )  # fmt: skip


def test_lines_are_findings(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    change(min((disk.root / CLUSTER / "peers").glob("checkpoint-*")), 100)
    header, *findings, end = disk.rap_state("verify", "-o", "ndjson").lines()
    assert header["type"] == "header"
    assert {finding["type"] for finding in findings} == {"finding"}
    assert set(findings[0]) == {
        "type",
        "file",
        "offset",
        "reason",
        "severity",
        "exit_code",
        "state_classes",
        "first_lsn",
        "last_lsn",
    }
    assert end == {"type": "end", "record_count": len(findings), "cursor": None, "exit_code": 7}


def test_nothing_is_changed_and_no_lock_is_taken(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    before = all_bytes(disk.root)
    assert disk.rap_state("verify").code == 0
    assert all_bytes(disk.root) == before


def test_a_live_writer_raises_no_alarm(tmp_path: Path) -> None:
    disk = make_store(tmp_path)
    with disk.open(seed=4) as store:
        store.cluster("lab").note("busy")
        store.cluster("lab").flush()
        result = disk.rap_state("verify")
    assert result.code == 0
    assert "A writer is at work" in result.out
