"""An anchor outside the root: what was put back from a copy shows, whatever crash or silence comes between."""

from collections.abc import Callable
from typing import Any

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError, NoSpace
from rap_journal.testing import SimulatedCrash
from rap_projections import NodeStore
from rap_projections.anchor_decisions import REST_US
from rap_projections.key_providers.tpm2 import Tpm2Anchor
from rap_projections.policy import Policy
from rap_projections.store_verification import verify_whole_store
from rap_projections.testing import MemoryAnchor
from rap_projections.testing.memory_store import ROOT
from tests.projections.anchor_kit import (
    ANSWERS,
    DOUBTED,
    NORMAL,
    MoodyAnchor,
    anchor_of,
    anchored,
    in_step,
    note_of,
    put_back,
    raise_floors,
    reopened,
    restore_state,
    tick,
    told,
)
from tests.projections.key_providers.keepers import software_tpm
from tests.projections.store_kit import CLUSTER, Ready, ready

# In step


def test_a_store_without_an_anchor_cannot_tell_and_says_so() -> None:
    it = ready()
    assert told(it.kit.store) == ("none", "cannot_tell")
    assert it.cluster.status()["anchor"] == "none"
    assert it.kit.store.report()["anchor"] == {
        "state": "none", "reason": None, "seen": None, "written": None, "written_at_us": None, "waiting_floors": 0, "doubtful": [],
    }  # fmt: skip


def test_setting_up_writes_a_number_and_raises_the_anchor_to_it_once() -> None:
    it = anchored(MoodyAnchor(40))
    assert (note_of(it).number, note_of(it).reason, anchor_of(it).read()) == (41, "set_up", 41)
    assert it.kit.store.keys.provision_anchor() == 41
    assert anchor_of(it).raises == 1
    assert told(it.kit.store) == ("current", "not_seen")
    assert it.cluster.status()["anchor"] == "current"


def test_floors_that_rose_are_written_and_the_anchor_is_raised_behind_them() -> None:
    it = in_step()
    raise_floors(it)
    assert (note_of(it).number, note_of(it).reason, anchor_of(it).read()) == (3, "floors", 3)
    assert note_of(it).floors[CLUSTER] == it.cluster.known_floors()
    assert note_of(it).floors[CLUSTER].bundle[0] == 2


def test_an_opening_in_step_writes_nothing_about_the_anchor_and_raises_nothing() -> None:
    it = in_step()
    note, raises = note_of(it), anchor_of(it).raises
    store = reopened(it)
    assert (note_of(it), anchor_of(it).raises, told(store)) == (note, raises, ("current", "not_seen"))
    assert restore_state(it) == NORMAL


def test_time_alone_raises_nothing() -> None:
    it = in_step()
    raises = anchor_of(it).raises
    for _ in range(50):
        tick(it, hours=24)
    assert anchor_of(it).raises == raises


def test_floors_that_rise_again_and_again_raise_it_once_in_an_interval() -> None:
    it = in_step()
    raises = anchor_of(it).raises
    for _ in range(24):
        it.cluster.activate(it.fabric.peers(["node-1"]))
        tick(it, hours=1)
    assert anchor_of(it).raises == raises + 4


def test_many_floors_raise_it_sooner_but_never_twice_within_its_rest() -> None:
    it = anchored(policy=Policy(anchor_interval_h=24, anchor_floors_max=2))
    tick(it, hours=24)
    raises, rest_h = anchor_of(it).raises, REST_US / 3_600_000_000
    for count in range(1, 7):
        it.cluster.activate(it.fabric.peers(["node-1"]))
        it.cluster.activate(it.fabric.services([f"svc-{count}"]))
        tick(it, hours=rest_h / 2)
    assert anchor_of(it).raises == raises + 3


def test_closing_raises_it_where_floors_rose_and_it_has_rested() -> None:
    it = in_step()
    it.kit.clock.advance(seconds=3600)
    it.cluster.trust.update(it.fabric.next_bundle())
    store = reopened(it)
    assert (note_of(it).number, anchor_of(it).read(), told(store)[0]) == (3, 3, "current")
    it.cluster.trust.update(it.fabric.next_bundle())
    reopened(it)
    assert anchor_of(it).read() == 3


def test_the_journal_with_its_strict_numbers_verifies_without_a_finding() -> None:
    it = in_step()
    raise_floors(it)
    it.kit.store.close()
    report = verify_whole_store(it.kit.filesystem.open_root(ROOT), keys=it.kit.keys)
    assert report.findings == ()


# Crashes


def crashes_while(work: Callable[[Ready], object]) -> list[tuple[int, int, str]]:
    """Number written, number of the anchor after opening, and restore state, for a crash before every operation of `work`."""
    found = []
    at = 0
    while True:
        it = in_step()
        it.cluster.trust.update(it.fabric.next_bundle())
        it.kit.clock.advance(seconds=7 * 3600)
        it.kit.filesystem.crash_after(at)
        is_done = True
        try:
            work(it)
        except SimulatedCrash:
            is_done = False
        it.kit.filesystem = it.kit.filesystem.crash()
        it.kit.clock.reboot()
        it.kit.open()
        assert told(it.kit.store) == ("current", "not_seen")
        found.append((note_of(it).number, anchor_of(it).read(), restore_state(it)[0]))
        if is_done:
            return found
        at += 1


def test_a_crash_at_any_operation_between_writing_and_raising_is_made_up_for_at_the_next_opening() -> None:
    found = crashes_while(lambda it: it.kit.store.tick())
    assert {state for _number, _anchor, state in found} == {"normal"}
    assert {(number, anchor) for number, anchor, _state in found} == {(2, 2), (3, 3)}
    assert len(found) > 3


def test_a_crash_at_any_operation_of_closing_is_too() -> None:
    found = crashes_while(lambda it: it.kit.store.close())
    assert {(number, anchor) for number, anchor, _state in found} == {(2, 2), (3, 3)}


def test_a_number_whose_raise_never_came_is_raised_at_the_next_opening() -> None:
    it = in_step()
    anchor_of(it).mood = "deaf"
    raise_floors(it)
    assert (note_of(it).number, anchor_of(it).read(), told(it.kit.store)) == (3, 2, ("unavailable", "cannot_tell"))
    it.kit.store.close()
    anchor_of(it).mood = "answers"
    store = it.kit.open()
    assert (note_of(it).number, anchor_of(it).read(), told(store)) == (3, 3, ("current", "not_seen"))
    assert restore_state(it) == NORMAL


# Other anchors, and none


@pytest.mark.parametrize("number", [0, 1])
def test_an_anchor_that_is_far_behind_is_told_and_only_a_deliberate_call_sets_it_up(number: int) -> None:
    it = in_step()
    raise_floors(it)
    raise_floors(it)
    it.kit.store.close()
    it.kit.anchor = MoodyAnchor(number)
    store = it.kit.open()
    assert told(store) == ("behind", "cannot_tell")
    assert restore_state(it) == NORMAL
    raise_floors(it)
    assert anchor_of(it).read() == number
    assert "anchor-behind" in [diagnostic.code for diagnostic in store.agent.view().diagnostics]
    assert store.keys.provision_anchor() == number + 1
    assert told(reopened(it)) == ("current", "not_seen")


def test_another_anchor_that_is_ahead_is_taken_for_a_rollback() -> None:
    it = in_step()
    it.kit.store.close()
    it.kit.anchor = MoodyAnchor(100)
    assert told(it.kit.open()) == ("rolled_back", "seen")
    assert restore_state(it) == DOUBTED


def test_a_counter_that_is_gone_is_told_and_only_a_deliberate_call_sets_it_up() -> None:
    it = in_step()
    it.kit.store.close()
    anchor_of(it).mood = "gone"
    store = it.kit.open()
    assert told(store) == ("lost", "cannot_tell")
    assert restore_state(it) == NORMAL
    anchor_of(it).mood = "answers"
    assert store.keys.provision_anchor() == 3
    assert told(store) == ("current", "not_seen")


def test_a_store_that_never_had_one_is_opened_with_a_fresh_one_and_waits_for_the_deliberate_call() -> None:
    it = ready()
    it.kit.anchor = MoodyAnchor()
    store = reopened(it)
    assert told(store) == ("not_set_up", "cannot_tell")
    assert restore_state(it) == NORMAL
    tick(it, hours=7)
    assert anchor_of(it).read() == 0
    assert store.keys.provision_anchor() == 1
    assert note_of(it).floors[CLUSTER] == it.cluster.known_floors()


def test_a_store_with_clusters_that_knows_no_number_of_a_counter_in_use_is_older_than_it() -> None:
    it = ready()
    it.kit.anchor = MoodyAnchor(5)
    assert told(reopened(it)) == ("rolled_back", "seen")
    assert restore_state(it) == DOUBTED


def test_a_silent_anchor_blocks_nothing_and_decides_nothing() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    anchor_of(it).mood = "silent"
    store = put_back(it, copy)
    assert told(store) == ("unavailable", "cannot_tell")
    assert store.report()["anchor"]["reason"] == "tpm"
    assert it.cluster.status()["anchor"] == "unavailable"
    assert restore_state(it) == NORMAL
    with pytest.raises(KeyUnavailable):
        store.keys.provision_anchor()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RuntimeError("tss2"), "RuntimeError"),
        (ValueError("x"), "ValueError"),
        *[(odd, "no_number") for odd in (-1, 2**70, "7", 3.0, True, None)],
    ],
)
def test_an_anchor_that_raises_or_answers_what_it_should_not_does_not_answer(answer: Any, reason: str) -> None:
    """Mutation: what a driver raises, or a number that is none, keeps the store from being opened, or is taken for a number."""
    it = in_step()
    it.kit.store.close()
    anchor_of(it).answer = answer
    store = it.kit.open()
    assert (*told(store), store.report()["anchor"]["reason"], restore_state(it)) == ("unavailable", "cannot_tell", reason, NORMAL)
    anchor_of(it).answer = ANSWERS
    tick(it, hours=1)
    assert told(store) == ("current", "not_seen")


def test_an_anchor_that_raises_anything_when_it_is_raised_is_asked_again() -> None:
    """Mutation: the housekeeper ends with the driver's error."""
    it = in_step()
    it.cluster.trust.update(it.fabric.next_bundle())
    anchor_of(it).mood = "broken"
    tick(it, hours=7)
    assert (told(it.kit.store)[0], it.kit.store.report()["anchor"]["reason"]) == ("unavailable", "RuntimeError")
    anchor_of(it).mood = "answers"
    tick(it, hours=7)
    assert told(it.kit.store) == ("current", "not_seen")


def test_a_silent_anchor_is_asked_again_after_its_rest_and_what_it_says_then_counts() -> None:
    it = in_step()
    copy = it.kit.filesystem.image()
    raise_floors(it)
    anchor_of(it).mood = "silent"
    put_back(it, copy)
    reads = anchor_of(it).reads
    anchor_of(it).mood = "answers"
    tick(it)
    assert (anchor_of(it).reads, restore_state(it)) == (reads, NORMAL)
    tick(it, hours=1)
    assert told(it.kit.store) == ("rolled_back", "seen")
    assert restore_state(it) == DOUBTED


def test_an_anchor_that_stays_silent_is_told_once_in_the_log() -> None:
    it = in_step()
    anchor_of(it).mood = "silent"
    for _ in range(3):
        store = reopened(it)
        tick(it, hours=1)
    codes = [diagnostic.code for diagnostic in store.agent.view().diagnostics]
    assert codes.count("anchor-unavailable") == 1


def test_setting_up_needs_an_anchor() -> None:
    it = ready()
    with pytest.raises(MisuseError) as caught:
        it.kit.store.keys.provision_anchor()
    assert caught.value.reason == "no_anchor"


def test_what_is_no_anchor_is_refused_before_anything_is_touched() -> None:
    it = ready()
    with pytest.raises(MisuseError, match="anchor"):
        NodeStore.open(ROOT, keys=it.kit.keys, anchor=object())  # type: ignore[arg-type]  # the point of the test


def test_without_room_for_the_event_nothing_is_raised_and_it_is_made_up_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    it = in_step()
    it.cluster.trust.update(it.fabric.next_bundle())

    def no_room(*arguments: object, **more: object) -> tuple[()]:
        raise NoSpace("the disk is full; nothing was changed.")

    with monkeypatch.context() as full:
        full.setattr("rap_projections.anchoring.decide_numbered", no_room)
        tick(it, hours=7)
        assert (note_of(it).number, anchor_of(it).read(), told(it.kit.store)[0]) == (2, 2, "current")
    tick(it)
    assert (note_of(it).number, anchor_of(it).read()) == (3, 3)


# The real thing


def test_the_counter_of_a_tpm_shows_a_root_that_was_put_back() -> None:
    with software_tpm() as tpm:
        it = ready()
        it.kit.store.close()
        it.kit.anchor = Tpm2Anchor(tcti=tpm.tcti)
        store = it.kit.open()
        assert told(store) == ("not_set_up", "cannot_tell")
        first = store.keys.provision_anchor()
        copy = it.kit.filesystem.image()
        raise_floors(it)
        assert (note_of(it).number, it.kit.anchor.read()) == (first + 1, first + 1)
        assert told(put_back(it, copy)) == ("rolled_back", "seen")
        assert restore_state(it) == DOUBTED
        tpm.stop()
        assert told(reopened(it)) == ("unavailable", "cannot_tell")
        tpm.start()
        tick(it, hours=1)
        assert told(it.kit.store) == ("current", "not_seen")
        tpm.clear()
        assert told(reopened(it)) == ("lost", "cannot_tell")
        assert it.kit.store.keys.provision_anchor() > first + 2
        assert told(reopened(it)) == ("current", "not_seen")


def test_the_anchor_in_memory_will_do_without_a_mood() -> None:
    it = anchored(MemoryAnchor())
    tick(it, hours=7)
    assert told(it.kit.store) == ("current", "not_seen")
