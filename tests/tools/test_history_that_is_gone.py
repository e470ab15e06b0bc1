"""Where the history begins late, because older events were retired: what lies before is gone, and said to be."""

import pytest

from rap_journal.testing import SeededRandomness
from rap_projections import NodeStore, Policy
from rap_projections.keys import FileKeyProvider
from tests.tools.command import Disk, activate_all, last_lsn, new_disk, observe


@pytest.fixture(scope="module")
def retired(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """Six rounds, two hours apart, of which a policy of one hour keeps the last."""
    disk = new_disk(tmp_path_factory.mktemp("retired"))
    with NodeStore.open(
        disk.root, keys=FileKeyProvider(disk.key_file), clock=disk.clock, randomness=SeededRandomness(1), background=False, create=True,
        policy=Policy(segment_bytes_max=8192, history_all_h=1),
    ) as store:  # fmt: skip
        cluster = store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
        activate_all(cluster, disk.fabric)
        for round_number in range(6):
            observe(cluster, round_number)
            cluster.checkpoint()
            disk.clock.advance(seconds=7200)
    return disk


def first_kept(disk: Disk) -> int:
    first: int = disk.rap_state("log", "-o", "json").json()["first_lsn"]
    return first


def floor(disk: Disk) -> int:
    oldest: int = disk.rap_state("status", "-o", "json").json()["journal"]["oldest_lsn"]
    return oldest


def test_the_log_begins_with_the_oldest_record_that_is_kept(retired: Disk) -> None:
    first = first_kept(retired)
    assert first > 1
    shown = [line["lsn"] for line in retired.rap_state("log", "-o", "ndjson").lines()[1:-1]]
    assert shown == list(range(first, last_lsn(retired) + 1))
    assert [line["lsn"] for line in retired.rap_state("log", "-r", "-o", "ndjson").lines()[1:-1]] == shown[::-1]


def test_rows_are_named_although_the_directory_was_applied_long_ago(retired: Disk) -> None:
    rows = retired.rap_state("log", "-k", "PeersObserved", "-o", "ndjson").lines()[1:-1]
    assert {row["fields"]["peer"] for row in rows} == {f"node-{number}" for number in range(8)}


@pytest.mark.parametrize(
    "command",
    [
        ("log", "-S", "@1"),
        ("log", "-U", "@2"),
        ("log", "--after", "lab@1"),
        ("show", "@1"),
        ("state", "health", "--at", "@1"),
        ("state", "health", "--at", "2026-01-01T00:30:00Z"),
        ("state", "health", "--at", "checkpoint:1", "--at", "@0"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_lies_before_is_gone(retired: Disk, command: tuple[str, ...], form: str) -> None:
    result = retired.rap_state(*command, "-o", form)
    assert (result.code, result.out) == (4, "")
    assert "@" in result.err


def test_the_command_that_is_suggested_works(retired: Disk) -> None:
    words = retired.rap_state("state", "health", "--at", "@1").err.splitlines()[-1].split()
    assert retired.rap_state(*words[words.index("state") :]).code == 0


def test_a_time_before_the_oldest_record_shows_all_that_is_kept(retired: Disk) -> None:
    found = retired.rap_state("log", "-S", "2026-01-01T00:00:00Z", "-o", "ndjson").lines()
    assert found[1]["lsn"] == first_kept(retired)


def test_states_can_be_shown_from_the_floor_on(retired: Disk) -> None:
    assert floor(retired) < first_kept(retired)
    assert retired.rap_state("state", "health", "--at", f"@{floor(retired)}").code == 0
    assert retired.rap_state("state", "health", "--at", "checkpoint:1").code == 0


def test_a_shortened_history_is_sound(retired: Disk) -> None:
    assert retired.rap_state("verify").code == 0
    assert retired.rap_state("status").code == 0
