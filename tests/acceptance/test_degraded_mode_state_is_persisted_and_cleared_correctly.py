"""Specification, section 13: degraded-mode state is persisted and cleared correctly."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import Operation
from rap_projections.event_kinds import HEALTH
from rap_projections.health import STATE_LOST
from tests.projections.store_kit import FOLDER, Ready, crashed_at_every_operation, flip_bit, frames, names, ready

REASON = "control-plane-unreachable"


def permitted() -> Ready:
    """A cluster in good health, whose signed policy lets it work on for a day, and for an hour in degraded mode."""
    it = ready()
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy(high_risk_operations=("new_session",), degraded_s_max=3600))
    assert it.cluster.allows(Operation.NEW_SESSION).ok
    return it


def told(it: Ready) -> tuple[list[str], list[str], list[str]]:
    """The reasons of degraded mode as status, heartbeat and view tell them."""
    status = it.cluster.status()["degraded"]
    assert status["is_degraded"] is bool(status["reasons"])
    return status["reasons"], it.cluster.health.heartbeat().document["degraded"], sorted(it.cluster.view().health.degraded)


def seconds_left(it: Ready) -> int:
    seconds: int = it.cluster.status()["degraded"]["seconds_left"]
    return seconds


def test_degraded_mode_state_is_persisted_and_cleared_correctly() -> None:
    it = permitted()
    assert told(it) == ([], [], [])
    receipt = it.cluster.health.enter_degraded(REASON)
    assert (receipt.durable, receipt.changed) == (True, True)
    entered_us = it.cluster.view().health.degraded[REASON].since_us
    for _reboot in range(3):
        it.kit.power_cut()
        assert told(it) == ([REASON],) * 3
        assert it.cluster.view().health.degraded[REASON].since_us == entered_us
        assert it.kit.store.report()["clusters"]["lab"]["degraded"]["reasons"] == [REASON]
    assert it.cluster.health.leave_degraded(REASON).durable
    for _reboot in range(3):
        it.kit.power_cut()
        assert told(it) == ([], [], [])


def test_entering_interrupted_at_any_operation_is_whole_or_absent_and_durable_once_it_returned() -> None:
    outcomes = []
    for crash in crashed_at_every_operation(permitted, lambda it: it.cluster.health.enter_degraded(REASON)):
        crash.it.kit.open()
        reasons, *others = told(crash.it)
        assert all(other == reasons for other in others)
        outcomes.append(reasons)
        assert not crash.finished or reasons == [REASON]
    first = outcomes.index([REASON])
    assert outcomes == [[]] * first + [[REASON]] * (len(outcomes) - first)
    assert first > 0


def test_leaving_interrupted_at_any_operation_is_whole_or_absent_and_durable_once_it_returned() -> None:
    def degraded() -> Ready:
        it = permitted()
        it.cluster.health.enter_degraded(REASON)
        return it

    outcomes = []
    for crash in crashed_at_every_operation(degraded, lambda it: it.cluster.health.leave_degraded(REASON)):
        crash.it.kit.open()
        outcomes.append(told(crash.it)[0])
        assert not crash.finished or outcomes[-1] == []
    first = outcomes.index([])
    assert outcomes == [[REASON]] * first + [[]] * (len(outcomes) - first)
    assert first > 0


def test_each_reason_is_left_by_itself() -> None:
    it = permitted()
    for reason in ("disk-failing", REASON, "storage-unreachable"):
        it.cluster.health.enter_degraded(reason)
    assert told(it)[0] == [REASON, "disk-failing", "storage-unreachable"]
    it.cluster.health.leave_degraded(REASON)
    it.kit.power_cut()
    assert told(it)[0] == ["disk-failing", "storage-unreachable"]
    it.cluster.health.leave_degraded("storage-unreachable")
    it.cluster.health.leave_degraded("disk-failing")
    it.kit.power_cut()
    assert told(it) == ([], [], [])


def test_entering_again_and_leaving_what_does_not_hold_write_nothing() -> None:
    it = permitted()
    it.cluster.health.enter_degraded(REASON)
    before = it.cluster.digest(), it.cluster._core.journal.durable_lsn
    assert not it.cluster.health.enter_degraded(REASON).changed
    assert not it.cluster.health.leave_degraded("disk-failing").changed
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before


@pytest.mark.parametrize("reason", ["", "x" * 65, "two\nlines"])
def test_a_reason_that_is_none_is_refused_and_changes_nothing(reason: str) -> None:
    it = permitted()
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.cluster.health.enter_degraded(reason)
    assert it.cluster.digest() == before


def test_neither_leaving_nor_entering_again_nor_rebooting_gives_time_back() -> None:
    it = permitted()
    assert seconds_left(it) == 86_400
    it.cluster.health.enter_degraded(REASON)
    assert seconds_left(it) == 3600
    it.kit.clock.advance(seconds=1000)
    it.cluster.health.leave_degraded(REASON)
    it.cluster.health.enter_degraded(REASON)
    assert seconds_left(it) == 2600
    it.kit.power_cut()
    assert 2500 <= seconds_left(it) <= 2600
    it.kit.clock.advance(seconds=2600)
    assert seconds_left(it) == 0
    assert it.cluster.allows(Operation.NEW_SESSION)[:2] == (False, "deadline")
    for _reboot in range(2):
        it.kit.power_cut()
        assert it.cluster.allows(Operation.NEW_SESSION)[:2] == (False, "deadline")


def test_a_caller_may_shorten_the_time_and_never_lengthen_it() -> None:
    it = permitted()
    now_us = it.cluster.node_time_us()
    it.cluster.health.enter_degraded(REASON, safe_until_us=now_us + 90_000_000_000)
    assert seconds_left(it) == 3600
    it.cluster.health.enter_degraded(REASON, safe_until_us=now_us + 60_000_000)
    assert seconds_left(it) == 60
    assert not it.cluster.health.enter_degraded(REASON, safe_until_us=now_us + 600_000_000).changed
    it.kit.kill()
    assert seconds_left(it) == 60


def test_a_newer_signed_document_renews_the_time_once_the_reason_was_left() -> None:
    it = permitted()
    it.cluster.health.enter_degraded(REASON)
    it.kit.clock.advance(seconds=1800)
    it.cluster.health.leave_degraded(REASON)
    it.fabric.issued_at_s += 1800
    it.cluster.activate(it.fabric.peers(["node-1"]))
    assert seconds_left(it) == 86_400
    it.kit.power_cut()
    assert 86_300 <= seconds_left(it) <= 86_400


def test_silence_enters_degraded_mode_and_the_first_answer_leaves_it() -> None:
    it = permitted()
    it.cluster.health.contact("control-plane", ok=True)
    it.cluster.flush()
    it.kit.clock.advance(seconds=299)
    it.cluster.health.contact("control-plane", ok=False)
    it.cluster.flush()
    it.cluster.expire()
    assert told(it)[0] == []
    it.kit.clock.advance(seconds=1)
    it.cluster.expire()
    assert told(it)[0] == ["no-contact"]
    it.kit.power_cut()
    assert told(it)[0] == ["no-contact"]
    it.cluster.health.contact("storage", ok=True)
    it.cluster.flush()
    it.cluster.expire()
    it.kit.power_cut()
    assert told(it) == ([], [], [])


def test_partition_flags_are_persisted_cleared_and_promote_nothing() -> None:
    it = permitted()
    assert it.cluster.health.partition("site-b", on=True).durable
    assert it.cluster.health.partition("site-a", on=True).durable
    it.kit.power_cut()
    assert it.cluster.status()["degraded"]["partition_flags"] == ["site-a", "site-b"]
    assert told(it)[0] == [] and it.cluster.allows(Operation.NEW_SESSION).ok
    it.cluster.health.partition("site-a", on=False)
    it.kit.power_cut()
    assert it.cluster.health.heartbeat().document["partition_flags"] == ["site-b"]


def test_degraded_state_is_in_the_first_heartbeat_that_gets_through() -> None:
    it = permitted()
    it.cluster.health.enter_degraded(REASON)
    it.kit.power_cut()
    beat = it.cluster.health.heartbeat()
    assert beat.document["degraded"] == [REASON]
    it.cluster.health.heartbeat_sent(beat)
    it.cluster.flush()
    sent = it.cluster.view().health.heartbeat
    assert sent is not None and sent[:2] == (beat.at_lsn, beat.digest)


def test_a_checkpoint_keeps_degraded_state() -> None:
    it = permitted()
    it.cluster.health.enter_degraded(REASON)
    before = it.cluster.view().health.degraded
    it.cluster.checkpoint()
    it.kit.power_cut()
    assert it.cluster.recovery.checkpoint_lsn > 0
    assert it.cluster.view().health.degraded == before


def test_a_lost_health_state_is_read_as_degraded_until_something_newer_is_signed() -> None:
    it = permitted()
    it.cluster.checkpoint()
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    # A record that the class would be folded again from goes with its checkpoints.
    first = next(frame for frame in frames(it.kit.filesystem) if frame.class_mask == 1 << HEALTH.number)
    flip_bit(it.kit.filesystem, first.path, first.end - 1)
    for path in names(it.kit.filesystem, f"{FOLDER}/health", part="checkpoint-"):
        flip_bit(it.kit.filesystem, path)
    it.kit.open()
    for _reboot in range(2):
        assert told(it)[0] == [STATE_LOST]
        assert (seconds_left(it), it.cluster.status()["fail_closed"]) == (0, None)
        assert it.cluster.allows(Operation.NEW_SESSION)[:2] == (False, "deadline")
        with pytest.raises(MisuseError):
            it.cluster.health.leave_degraded(STATE_LOST)
        # The same instant again is nothing newer.
        it.cluster.activate(it.fabric.peers(["node-1"]))
        assert told(it)[0] == [STATE_LOST]
        it.kit.power_cut()
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.peers(["node-2"]))
    it.kit.power_cut()
    assert told(it) == ([], [], [])
    assert it.cluster.allows(Operation.NEW_SESSION).ok
