"""The buffer of telemetry records, and the class it makes with the hints."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import DamageError, MisuseError
from rap_journal.records import Category
from rap_projections import telemetry
from rap_projections.event_kinds import TELEMETRY, kind_numbered
from rap_projections.hints import Hint, HintPut, HintsEvicted, HintsExpired
from rap_projections.lifecycle import ClassReset
from rap_projections.policy import Policy
from rap_projections.telemetry import (
    RECORD_OVERHEAD_BYTES,
    TelemetryAcknowledged,
    TelemetryDropped,
    TelemetryRecord,
    TelemetryRecorded,
    decide_acknowledge,
    decide_eviction,
    decide_expiry,
    decide_record,
    drain,
    empty,
    from_value,
    next_deadline,
    to_value,
    view,
)
from tests.projections.class_log import SECOND, ClassLog, at

SIZE = RECORD_OVERHEAD_BYTES + 2
"""Bytes of a record with one character of topic and one of text."""

POLICY = Policy(telemetry_bytes_max=3 * SIZE)


def recorded(texts: str, policy: Policy = POLICY) -> ClassLog:
    """A log with one record per letter, the first at 1 s."""
    log = ClassLog(telemetry)
    for second, text in enumerate(texts, 1):
        log.append(*decide_record(log.state, "t", text, policy), node_us=second * SECOND)
    return log


def waiting(log: ClassLog) -> list[tuple[int, str]]:
    return [(record.sequence, record.text) for record in log.state.waiting]


@pytest.mark.parametrize(
    ("number", "event", "category"),
    [
        (90, TelemetryRecorded, Category.OBSERVATION),
        (91, TelemetryAcknowledged, Category.DECISION),
        (92, TelemetryDropped, Category.EVICTION),
    ],
)
def test_the_kinds_have_their_numbers(number: int, event: type, category: Category) -> None:
    kind = kind_numbered(number, 1)
    assert kind is not None
    assert (kind.type, kind.state_class, kind.category) == (event, TELEMETRY, category)


def test_records_wait_in_order_with_sequence_time_and_lsn() -> None:
    assert list(recorded("ab").state.waiting) == [
        TelemetryRecord(1, 1 * SECOND, "t", "a", 1),
        TelemetryRecord(2, 2 * SECOND, "t", "b", 2),
    ]


def test_the_oldest_records_give_way_and_are_counted() -> None:
    log = recorded("abcde")
    assert waiting(log) == [(3, "c"), (4, "d"), (5, "e")]
    assert (log.state.waiting_bytes, log.state.dropped) == (3 * SIZE, 2)


def test_draining_gives_the_oldest_records_and_leaves_them() -> None:
    log = recorded("abc")
    assert [record.text for record in drain(log.state)] == ["a", "b", "c"]
    assert [record.text for record in drain(log.state, count_max=2)] == ["a", "b"]
    assert [record.text for record in drain(log.state, bytes_max=2 * SIZE)] == ["a", "b"]
    assert [record.text for record in drain(log.state, bytes_max=2 * SIZE - 1)] == ["a"]
    assert [record.text for record in drain(log.state, bytes_max=1)] == ["a"], "one record always moves"
    assert drain(log.state, count_max=0) == ()
    assert len(waiting(log)) == 3


def test_acknowledged_records_go_and_the_rest_waits() -> None:
    log = recorded("abc")
    log.append(*decide_acknowledge(log.state, 2))
    assert (waiting(log), log.state.waiting_bytes, log.state.dropped) == ([(3, "c")], SIZE, 0)
    assert decide_acknowledge(log.state, 2) == (), "they are gone already"
    assert decide_acknowledge(log.state, 0) == ()
    log.append(*decide_acknowledge(log.state, 3))
    assert (waiting(log), log.state.waiting_bytes) == ([], 0)
    log.append(*decide_record(log.state, "t", "d", POLICY))
    assert waiting(log) == [(4, "d")]


@pytest.mark.parametrize("through", [-1, 4])
def test_a_sequence_that_no_record_has_had_is_refused(through: int) -> None:
    with pytest.raises(MisuseError) as caught:
        decide_acknowledge(recorded("abc").state, through)
    assert caught.value.reason == "telemetry_sequence"


@pytest.mark.parametrize(
    ("topic", "text", "reason"),
    [
        ("", "x", "telemetry_topic"),
        ("t" * 129, "x", "telemetry_topic"),
        ("a\x1b[31m", "x", "telemetry_topic"),
        (7, "x", "telemetry_topic"),
        ("t", "x" * 4097, "telemetry_text"),
        ("t", b"x", "telemetry_text"),
        ("t", "\ud8ff", "telemetry_text"),
        ("t", "x" * (3 * SIZE - RECORD_OVERHEAD_BYTES), "telemetry_size"),
    ],
)
def test_what_is_no_record_is_refused(topic: Any, text: Any, reason: str) -> None:
    with pytest.raises(MisuseError, match="nothing was kept") as caught:
        decide_record(empty(), topic, text, POLICY)
    assert caught.value.reason == reason


def test_a_record_as_large_as_the_buffer_is_kept_alone() -> None:
    log = recorded("ab")
    text = "x" * (3 * SIZE - RECORD_OVERHEAD_BYTES - 1)
    log.append(*decide_record(log.state, "t", text, POLICY))
    assert waiting(log) == [(3, text)]


def test_a_limit_that_fell_drops_the_oldest_records_and_hints() -> None:
    log = recorded("abc")
    log.append(HintPut("k", "v", 9, 10))
    assert decide_eviction(log.state, POLICY) == ()
    events = decide_eviction(log.state, Policy(telemetry_bytes_max=2 * SIZE - 1, hints_max=0))
    assert events == (TelemetryDropped(2, 2 * SIZE - 1), HintsEvicted(("k",), 0))
    log.append(*events)
    assert (waiting(log), log.state.dropped, log.state.hints) == ([(3, "c")], 2, {})


def test_hints_expire_with_the_class() -> None:
    log = ClassLog(telemetry)
    log.append(HintPut("k", "v", 9, 10))
    assert next_deadline(log.state) == 9
    assert decide_expiry(log.state, at(8)) == ()
    log.append(*decide_expiry(log.state, at(9)))
    assert (log.state.hints, next_deadline(log.state)) == ({}, None)
    log.append(HintsExpired(("k",), 9))


def test_a_view_shows_buffer_and_hints_and_stays_as_it_was_taken() -> None:
    log = recorded("abcd")
    log.append(HintPut("k", "v", 9, 10))
    seen = view(log.state)
    assert seen[:5] == (3, 3 * SIZE, 2, 4, 1)
    assert [record.text for record in seen.records] == ["b", "c", "d"]
    assert (dict(seen.hints), seen.provenance["dropped"]) == ({"k": Hint("v", 9, 5)}, 4)
    log.append(TelemetryAcknowledged(4), HintsEvicted(("k",), 0))
    assert (len(seen.records), dict(seen.hints)) == (3, {"k": Hint("v", 9, 5)})
    assert view(log.state)[:5] == (0, 0, 5, 4, 1)


def test_a_reset_leaves_nothing() -> None:
    log = recorded("abcd")
    log.append(HintPut("k", "v", 9, 10), ClassReset(TELEMETRY.number, 0, 0, "checkpoint_damaged"))
    assert log.value() == to_value(empty())


@given(st.lists(st.one_of(st.text("abé", min_size=0, max_size=90), st.integers(0, 12))), st.integers(0, 5))
def test_the_buffer_is_bounded_dense_and_reads_back_whatever_happens(steps: list[str | int], reload_every: int) -> None:
    log = ClassLog(telemetry)
    for index, step in enumerate(steps):
        if isinstance(step, str):
            log.append(*decide_record(log.state, "topic", step, Policy(telemetry_bytes_max=600)))
        else:
            log.append(*decide_acknowledge(log.state, min(step, log.state.last_sequence)))
        if reload_every and index % reload_every == 0:
            log.reload()
        sequences = [record.sequence for record in log.state.waiting]
        assert sequences == list(range(log.state.last_sequence - len(sequences) + 1, log.state.last_sequence + 1))
        assert log.state.waiting_bytes == sum(record.size for record in log.state.waiting) <= 600


@pytest.mark.parametrize("index", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("wrong", [None, 7, (b"123",), "text"])
def test_a_value_of_another_shape_is_damage(index: int, wrong: Any) -> None:
    value: list[Any] = list(to_value(recorded("ab").state))
    value[index] = wrong
    with pytest.raises(DamageError) as caught:
        from_value(value)
    assert caught.value.facts() == {"state_class": "telemetry", "reason": "checkpoint_shape"}
