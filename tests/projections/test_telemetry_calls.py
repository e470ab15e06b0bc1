"""The calls about telemetry and hints: queued, bounded, and given out until they are acknowledged or their time is over."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.policy import Policy
from rap_projections.receipts import UNCHANGED, Receipt
from rap_projections.telemetry import RECORD_OVERHEAD_BYTES
from tests.projections.store_kit import Ready, ready, written

QUEUED = Receipt(None, False, True)


@pytest.fixture
def it() -> Ready:
    return ready()


def texts(it: Ready, **limits: int) -> list[str]:
    return [record.text for record in it.cluster.telemetry.drain(**limits)]


# Telemetry.


def test_a_record_is_queued_and_given_out_once_it_is_durable(it: Ready) -> None:
    assert it.cluster.telemetry.record("relay", "queue length 12") == QUEUED
    assert texts(it) == []
    it.cluster.flush()
    (record,) = it.cluster.telemetry.drain()
    assert (record.topic, record.text) == ("relay", "queue length 12")


def test_the_same_text_twice_is_two_records_since_what_waits_makes_no_difference(it: Ready) -> None:
    for _twice in range(2):
        assert it.cluster.telemetry.record("relay", "up") == QUEUED
    it.cluster.flush()
    assert texts(it) == ["up", "up"]


def test_records_stay_until_they_are_acknowledged_up_to_a_sequence(it: Ready) -> None:
    for text in ("first", "second", "third"):
        it.cluster.telemetry.record("relay", text)
    it.cluster.flush()
    drained = it.cluster.telemetry.drain()
    assert texts(it) == ["first", "second", "third"]
    assert it.cluster.telemetry.ack(drained[1].sequence) == QUEUED
    it.cluster.flush()
    assert texts(it) == ["third"]
    assert it.cluster.telemetry.ack(drained[1].sequence) == UNCHANGED


def test_as_many_are_given_out_as_were_asked_for_oldest_first(it: Ready) -> None:
    for text in ("first", "second", "third"):
        it.cluster.telemetry.record("r", text)
    it.cluster.flush()
    assert texts(it, count_max=2) == ["first", "second"]
    assert texts(it, bytes_max=RECORD_OVERHEAD_BYTES + len("rfirst")) == ["first"]


@pytest.mark.parametrize("through", [-1, 2])
def test_what_was_never_given_out_cannot_be_acknowledged(it: Ready, through: int) -> None:
    it.cluster.telemetry.record("relay", "up")
    it.cluster.flush()
    (record,) = it.cluster.telemetry.drain()
    with pytest.raises(MisuseError):
        it.cluster.telemetry.ack(record.sequence + through if through > 0 else through)
    assert texts(it) == ["up"]


def test_a_full_buffer_lets_the_oldest_give_way() -> None:
    it = ready(policy=Policy(telemetry_bytes_max=2 * (RECORD_OVERHEAD_BYTES + 2)))
    for text in "abc":
        it.cluster.telemetry.record("r", text)
        it.cluster.flush()
    assert texts(it) == ["b", "c"]


def test_a_refused_record_queues_nothing(it: Ready) -> None:
    before = len(written(it))
    with pytest.raises(MisuseError):
        it.cluster.telemetry.record("", "no topic")
    it.cluster.flush()
    assert len(written(it)) == before


def test_who_asked_and_why_is_written_with_it(it: Ready) -> None:
    it.cluster.telemetry.record("relay", "up", actor="relay-supervisor", trace_id="t-1", cause=1)
    it.cluster.flush()
    record = written(it)[-1]
    assert (record.actor, record.trace_id, record.causes) == ("relay-supervisor", "t-1", (1,))


# Hints.


def test_a_hint_is_remembered_until_its_time_is_over(it: Ready) -> None:
    assert it.cluster.hints.put("last-relay", "relay-3", ttl_s=60) == QUEUED
    assert it.cluster.hints.get("last-relay") is None
    it.cluster.flush()
    assert it.cluster.hints.get("last-relay") == "relay-3"
    it.kit.clock.advance(seconds=59)
    assert it.cluster.hints.get("last-relay") == "relay-3"
    it.kit.clock.advance(seconds=1)
    assert it.cluster.hints.get("last-relay") is None


def test_an_unknown_hint_is_none(it: Ready) -> None:
    assert it.cluster.hints.get("nothing") is None


def test_a_hint_put_again_has_its_new_value_and_its_new_life(it: Ready) -> None:
    it.cluster.hints.put("last-relay", "relay-3", ttl_s=60)
    it.cluster.hints.put("last-relay", "relay-4", ttl_s=600)
    it.cluster.flush()
    it.kit.clock.advance(seconds=61)
    assert it.cluster.hints.get("last-relay") == "relay-4"


@pytest.mark.parametrize(("key", "value", "ttl_s"), [("", "v", 60), ("k", "v", 0), ("k", "v", -1), ("k", "v" * 100_000, 60)])
def test_what_is_no_hint_is_refused_and_nothing_is_queued(it: Ready, key: str, value: str, ttl_s: float) -> None:
    before = len(written(it))
    with pytest.raises(MisuseError):
        it.cluster.hints.put(key, value, ttl_s=ttl_s)
    it.cluster.flush()
    assert len(written(it)) == before
