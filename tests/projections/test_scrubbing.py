"""The background scrub: slow, bounded, mending what has a second copy, and telling of the rest once."""

import errno
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_projections import scrubbing
from rap_projections.event_kinds import event_of
from rap_projections.policy import Policy
from rap_projections.upkeep_decisions import SCRUB_FIRST_US
from rap_projections.upkeep_events import DamageFound, ScrubDone
from tests.projections.store_kit import FOLDER, Ready, files, flip_bit, furnished, names, written

FIRST_S = SCRUB_FIRST_US // 1_000_000
WEEK_S = 7 * 24 * 3600


def lived(**limits: Any) -> Ready:
    """A furnished store with two checkpoint sets and closed segments, and none that time makes due: they would retire history."""
    it = furnished(policy=Policy(checkpoint_interval_h=24 * 366, **limits))
    for text in ("one", "two"):
        it.cluster.note(text)
        it.cluster.checkpoint()
    it.cluster.note("in the active segment")
    return it


def told(it: Ready) -> tuple[list[DamageFound], list[ScrubDone]]:
    events = [event_of(record) for record in written(it)]
    return (
        [event for event in events if isinstance(event, DamageFound)],
        [event for event in events if isinstance(event, ScrubDone)],
    )


def scrubbed(it: Ready, *, after_s: int = FIRST_S, ticks: int = 200) -> None:
    """Let time pass, and the scrub come to its end."""
    it.kit.clock.advance(seconds=after_s)
    for _ in range(ticks):
        it.kit.store.tick()
        it.kit.clock.advance(seconds=20)


def test_a_sound_store_is_read_once_and_that_is_said() -> None:
    it = lived()
    scrubbed(it)
    damage, done = told(it)
    assert (damage, len(done), list(done[0].standing), done[0].repaired_count) == ([], 1, [], 0)
    sealed = [path for path in names(it.kit.filesystem, FOLDER) if "checkpoint-" in path or "document-" in path]
    assert done[0].file_count >= len(sealed) + 4
    shown = it.cluster.status()["store"]["last_scrub"]
    assert (shown["file_count"], shown["damaged_count"]) == (done[0].file_count, 0) and shown["at_us"] > 0


def test_it_waits_after_an_opening_and_then_from_one_time_to_the_next() -> None:
    it = lived()
    it.kit.clock.advance(seconds=FIRST_S - 1)
    it.kit.store.tick()
    assert told(it)[1] == []
    scrubbed(it, after_s=1)
    assert len(told(it)[1]) == 1
    scrubbed(it, after_s=WEEK_S - 10_000)
    assert len(told(it)[1]) == 1
    scrubbed(it, after_s=10_000)
    assert len(told(it)[1]) == 2
    it.kit.kill()
    scrubbed(it)
    assert len(told(it)[1]) == 2


def test_with_an_interval_of_zero_it_never_runs() -> None:
    it = lived(scrub_interval_h=0)
    scrubbed(it, after_s=10 * WEEK_S)
    assert told(it) == ([], [])


def test_a_tick_reads_no_faster_than_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    it = lived(scrub_bytes_per_s=1024)
    size = sum(len(content) for path, content in files(it.kit.filesystem, FOLDER).items() if "checkpoint-" in path)
    it.kit.clock.advance(seconds=FIRST_S)
    it.kit.store.tick()
    seconds = 0
    while not told(it)[1]:
        it.kit.clock.advance(seconds=1)
        it.kit.store.tick()
        seconds += 1
    assert size // 1024 < seconds < 10 * size // 1024
    assert scrubbing.STEP_BYTES_MAX == 1 << 20


@pytest.mark.parametrize("path", ["MARKER", "trust/keys-00000001", "identity/keys-00000001"])
def test_what_has_a_second_copy_is_written_again(path: str) -> None:
    it = lived()
    before = files(it.kit.filesystem)[f"{FOLDER}/{path}"]
    flip_bit(it.kit.filesystem, f"{FOLDER}/{path}", 40)
    scrubbed(it)
    damage, done = told(it)
    assert [(event.file, event.action) for event in damage] == [(path, "repaired")]
    assert (done[0].repaired_count, list(done[0].standing)) == (1, [])
    assert files(it.kit.filesystem)[f"{FOLDER}/{path}"] == before
    assert it.cluster.status()["store"]["damage"] == []


@pytest.mark.parametrize("slot", [0, 1])
def test_a_rotten_slot_of_the_witness_is_written_again(slot: int) -> None:
    it = lived()
    it.kit.clock.advance(seconds=FIRST_S)
    it.kit.store.tick()
    flip_bit(it.kit.filesystem, f"{FOLDER}/WITNESS", 4096 * slot + 100)
    it.cluster._maintenance.opened()
    scrubbed(it)
    assert {(event.file, event.action) for event in told(it)[0]} <= {("WITNESS", "repaired")}
    it.kit.kill()
    assert it.cluster.recovery.is_clean


def test_damage_without_a_second_copy_is_told_once_and_stands_until_it_is_gone() -> None:
    it = lived()
    path = names(it.kit.filesystem, f"{FOLDER}/peers/", part="checkpoint-")[1]
    flip_bit(it.kit.filesystem, path, 200)
    segment = names(it.kit.filesystem, f"{FOLDER}/journal/", part="00000001-")[0]
    flip_bit(it.kit.filesystem, segment, 700)
    for _ in range(2):
        scrubbed(it, after_s=WEEK_S)
    damage, done = told(it)
    expected = {f"peers/{path.rpartition('/')[2]}", f"journal/{segment.rpartition('/')[2]}"}
    assert {event.file for event in damage} == expected and len(damage) == 2
    assert all(event.action == "reported" for event in damage)
    assert [set(event.standing) for event in done] == [expected, expected]
    assert {entry["file"] for entry in it.cluster.status()["store"]["damage"]} == expected
    flip_bit(it.kit.filesystem, segment, 700)
    scrubbed(it, after_s=WEEK_S)
    assert [entry["file"] for entry in it.cluster.status()["store"]["damage"]] == [f"peers/{path.rpartition('/')[2]}"]


def test_what_could_not_be_told_is_told_later() -> None:
    it = lived()
    path = names(it.kit.filesystem, f"{FOLDER}/peers/", part="checkpoint-")[1]
    flip_bit(it.kit.filesystem, path, 200)
    it.kit.clock.advance(seconds=FIRST_S)
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    for _ in range(5):
        it.kit.clock.advance(seconds=20)
        it.kit.store.tick()
    it.kit.filesystem.heal()
    it.cluster.reopen()
    assert told(it)[0] == []
    scrubbed(it)
    assert [event.file for event in told(it)[0]] == [f"peers/{path.rpartition('/')[2]}"]


def test_a_journal_closed_under_its_hands_is_no_damage() -> None:
    it = lived(scrub_bytes_per_s=4096)
    it.kit.clock.advance(seconds=FIRST_S)
    it.kit.store.tick()
    it.kit.clock.advance(seconds=1)
    it.kit.store.tick()
    it.cluster.reopen()
    scrubbed(it)
    assert told(it)[0] == []
    cluster = it.cluster
    it.kit.store.close()
    with pytest.raises(MisuseError):
        cluster.note("closed")
    cluster.tick()
