"""The columnar event of observations, and the buffer that collects its rows."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import MisuseError
from rap_projections.documents import Version
from rap_projections.peer_directory import EMPTY, Directory
from rap_projections.peer_observations import (
    FAILED,
    FailureReason,
    ObservationBuffer,
    PeersObserved,
    failure_code,
    failure_reason,
)
from rap_projections.testing.entries import make_peer


class Source:
    """Something that has a directory, which a test may replace."""

    def __init__(self, names: str | list[str] = "abc") -> None:
        self.directory = self.listing(names, EMPTY, lsn=1)

    @staticmethod
    def listing(names: str | list[str], after: Directory, *, lsn: int) -> Directory:
        return after.succeeded_by(b"1", Version(1, lsn), map(make_peer, names), peers_max=1 << 20, lsn=lsn)


def rows_of(*events: PeersObserved) -> list[tuple[int, int, int, int]]:
    return [row for event in events for row in event.rows()]


def test_rows_are_packed_as_the_event_says() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    assert buffer.observe("c", 1000, rtt_ms=12.5)
    assert buffer.observe("a", 1007, failure="refused")
    assert buffer.drain() == (
        PeersObserved(
            node_us=1000,
            numbering_lsn=1,
            numbers=bytes.fromhex("0200 0000"),
            rtt_us=bytes.fromhex("d4300000 ffffffff"),
            failures=bytes.fromhex("00 03"),
            after_us=bytes.fromhex("00000000 07000000"),
            failures_max=8,
        ),
    )


def test_columns_that_hold_only_zeros_are_left_empty() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    assert buffer.observe_many([("a", 1.0), ("b", 2)], 1000) == 2
    (event,) = buffer.drain()
    assert (event.failures, event.after_us, event.row_count) == (b"", b"", 2)
    assert rows_of(event) == [(0, 1000, 0, 1000), (1, 2000, 0, 1000)]


def test_a_drained_buffer_is_empty() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    buffer.observe("a", 1, rtt_ms=1.0)
    assert len(buffer) == 1
    buffer.drain()
    assert len(buffer) == 0
    assert buffer.drain() == ()


def test_a_loss_without_a_word_is_lost() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    buffer.observe_many([("a", None), ("b", None, None), ("c", None, "timeout")], 5)
    assert rows_of(*buffer.drain()) == [(0, FAILED, 1, 5), (1, FAILED, 1, 5), (2, FAILED, 2, 5)]


def test_strangers_are_counted_and_ignored() -> None:
    buffer = ObservationBuffer(Source("ab"), failures_max=8)
    assert not buffer.observe("x", 1, rtt_ms=1.0)
    assert buffer.observe_many([("y", 1.0), ("a", 1.0), ("z", None, "reset")], 1) == 1
    assert buffer.strangers == 3
    assert rows_of(*buffer.drain()) == [(0, 1000, 0, 1)]


@pytest.mark.parametrize(
    "row",
    [
        ("a", -0.001),
        ("a", math.nan),
        ("a", math.inf),
        ("a", 4_294_000.001),
        ("a", "12"),
        ("a", None, "tired"),
        ("a", None, 3),
        ("a", None, ["timeout"]),
        ("a", 1.0, "timeout"),
        (["a"], 1.0),
        ("a",),
        ("a", 1.0, None, 4),
        None,
    ],
)
def test_a_batch_with_a_wrong_row_is_refused_whole(row: Any) -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    with pytest.raises(MisuseError) as caught:
        buffer.observe_many([("b", 1.0), ("stranger", 1.0), row, ("c", 1.0)], 1)
    assert caught.value.reason in ("observation_row", "failure_word")
    assert (len(buffer), buffer.strangers, buffer.drain()) == (0, 0, ())


def test_the_refusal_of_a_batch_says_which_row_is_wrong() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    with pytest.raises(MisuseError, match=r"^row 2 of the observations .* nothing of the call was kept"):
        buffer.observe_many([("b", 1.0), ("stranger", 1.0), ("a", math.nan)], 1)


@pytest.mark.parametrize(("rtt_ms", "rtt_us"), [(0, 1), (0.0004, 1), (0.0015, 2), (1, 1000), (4_294_000, 4_294_000_000)])
def test_round_trips_are_kept_in_whole_microseconds_and_at_least_one(rtt_ms: float, rtt_us: int) -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    buffer.observe("a", 1, rtt_ms=rtt_ms)
    assert rows_of(*buffer.drain()) == [(0, rtt_us, 0, 1)]


def test_events_have_at_most_4096_rows() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    for tick in range(3):
        buffer.observe_many([("a", 1.0)] * 3000, 100 + tick)
    events = buffer.drain()
    assert [event.row_count for event in events] == [4096, 4096, 808]
    assert [event.node_us for event in events] == [100, 101, 102]
    assert [row[3] for row in rows_of(*events)] == [100] * 3000 + [101] * 3000 + [102] * 3000


def test_peer_numbers_above_65535_take_four_bytes() -> None:
    buffer = ObservationBuffer(Source([f"{number:05}" for number in range(65_537)]), failures_max=8)
    buffer.observe("65535", 1, rtt_ms=1)
    buffer.limit_failures(8)
    buffer.observe("65536", 1, rtt_ms=1)
    narrow, wide = buffer.drain()
    assert (narrow.numbers.hex(), wide.numbers.hex()) == ("ffff", "00000100")
    assert rows_of(narrow, wide) == [(65_535, 1000, 0, 1), (65_536, 1000, 0, 1)]


def test_rows_before_and_after_a_new_directory_are_in_events_of_their_own() -> None:
    source = Source("ab")
    buffer = ObservationBuffer(source, failures_max=8)
    buffer.observe("b", 10, rtt_ms=1)
    source.directory = source.listing("xb", source.directory, lsn=7)
    buffer.observe_many([("a", 1.0), ("x", 2.0)], 20)
    before, after = buffer.drain()
    assert (before.numbering_lsn, rows_of(before)) == (1, [(1, 1000, 0, 10)])
    assert (after.numbering_lsn, rows_of(after)) == (7, [(0, 2000, 0, 20)])
    assert buffer.strangers == 1


def test_rows_under_another_limit_of_failures_are_in_events_of_their_own() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    buffer.observe("a", 10, rtt_ms=1)
    buffer.limit_failures(2)
    buffer.observe("a", 10, rtt_ms=1)
    assert [event.failures_max for event in buffer.drain()] == [8, 2]


def test_a_full_buffer_drops_new_rows_and_counts_them() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8, rows_max=3)
    assert buffer.observe_many([("a", 1.0), ("b", None)], 1) == 2
    assert buffer.observe_many([("c", 1.0), ("a", None, "reset"), ("b", None, "reset")], 1) == 1
    assert not buffer.observe("a", 1, rtt_ms=1)
    assert (len(buffer), buffer.overflowed) == (3, 3)
    assert rows_of(*buffer.drain()) == [(0, 1000, 0, 1), (1, FAILED, 1, 1), (2, 1000, 0, 1)]
    assert buffer.observe("a", 1, rtt_ms=1)
    assert rows_of(*buffer.drain()) == [(0, 1000, 0, 1)]


def test_time_within_a_buffer_never_falls_and_starts_at_one() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    for node_us in (0, 50, 40):
        buffer.observe("a", node_us, rtt_ms=1)
    assert [row[3] for row in rows_of(*buffer.drain())] == [1, 50, 50]


def test_rows_more_than_71_minutes_apart_are_in_events_of_their_own() -> None:
    buffer = ObservationBuffer(Source(), failures_max=8)
    for node_us in (1, 1 << 32, (1 << 32) + 1):
        buffer.observe("a", node_us, rtt_ms=1)
    events = buffer.drain()
    assert [(event.node_us, event.after_us.hex()) for event in events] == [(1, "00000000ffffffff"), ((1 << 32) + 1, "")]


@pytest.mark.parametrize(
    "change",
    [{"numbers": b"\0\0\0"}, {"numbers": b"\0\0\0\0"}, {"failures": b"\1\1"}, {"after_us": bytes(8)}, {"rtt_us": bytes(5)}],
)
def test_columns_that_do_not_fit_one_another_are_refused_before_the_first_row(change: dict[str, Any]) -> None:
    event = PeersObserved(1, 1, bytes(6), bytes(12), bytes(3), bytes(12), 8)
    assert len(rows_of(event)) == 3
    with pytest.raises(ValueError, match="bytes"):
        event._replace(**change).rows()


def test_failure_codes_are_stable() -> None:
    assert {reason.word: reason.value for reason in FailureReason} == {
        "lost": 1, "timeout": 2, "refused": 3, "unreachable": 4, "reset": 5, "certificate": 6, "protocol": 7, "overloaded": 8,
        "unresolved": 9, "local": 10,
    }  # fmt: skip
    assert all(failure_code(reason.word) == reason.value for reason in FailureReason)


def test_a_failure_code_of_a_later_release_reads_as_lost() -> None:
    assert [failure_reason(code) for code in (2, 200)] == [FailureReason.TIMEOUT, FailureReason.LOST]


def test_an_unknown_failure_word_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(MisuseError, match=r"'tired' is no failure reason.*timeout, refused"):
        failure_code("tired")


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcx"),
        st.one_of(st.none(), st.floats(0, 4_294_000)),
        st.integers(0, 10),
    ),
    max_size=40,
)


@given(ROWS)
def test_observing_one_by_one_and_many_at_once_give_the_same_rows(rows: list[tuple[str, float | None, int]]) -> None:
    one, many = ObservationBuffer(Source(), failures_max=8), ObservationBuffer(Source(), failures_max=8)
    node_us = 1
    for peer, rtt_ms, pause_us in rows:
        node_us += pause_us
        one.observe(peer, node_us, rtt_ms=rtt_ms)
        many.observe_many([(peer, rtt_ms)], node_us)
    assert (one.drain(), one.strangers) == (many.drain(), many.strangers)
