"""Hints: bounded texts with an end."""

import math
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_projections import telemetry
from rap_projections.event_kinds import TELEMETRY, kind_numbered
from rap_projections.hints import (
    Hint,
    HintPut,
    HintsEvicted,
    HintsExpired,
    decide_eviction,
    decide_expiry,
    decide_put,
    get,
    hints_from,
    hints_value,
    next_deadline,
)
from rap_projections.policy import YEAR_S, Policy
from tests.projections.class_log import SECOND, ClassLog, at

NOW = at(1000 * SECOND)
POLICY = Policy(hints_max=3)


def put(log: ClassLog, key: str, value: str = "v", *, ttl_s: float = 60, policy: Policy = POLICY) -> None:
    log.append(*decide_put(log.state.hints, key, value, ttl_s=ttl_s, policy=policy, now=NOW))


@pytest.mark.parametrize(("number", "event"), [(95, HintPut), (96, HintsExpired), (97, HintsEvicted)])
def test_the_kinds_have_their_numbers(number: int, event: type) -> None:
    kind = kind_numbered(number, 1)
    assert kind is not None
    assert (kind.type, kind.state_class) == (event, TELEMETRY)


def test_a_hint_is_given_out_until_it_expires() -> None:
    log = ClassLog(telemetry)
    put(log, "relay", "node-17", ttl_s=1.5)
    assert log.state.hints == {"relay": Hint("node-17", 1_001_500_000, 1)}
    assert get(log.state.hints, "relay", 1_001_499_999) == "node-17"
    assert get(log.state.hints, "relay", 1_001_500_000) is None
    assert get(log.state.hints, "other", 0) is None


def test_a_hint_put_again_is_replaced() -> None:
    log = ClassLog(telemetry)
    put(log, "relay", "node-17")
    put(log, "relay", "node-18", ttl_s=5)
    assert log.state.hints == {"relay": Hint("node-18", 1005 * SECOND, 2)}


def test_without_room_the_hint_that_expires_first_gives_way() -> None:
    log = ClassLog(telemetry)
    for key, ttl_s in (("a", 30), ("b", 10), ("c", 20)):
        put(log, key, ttl_s=ttl_s)
    events = decide_put(log.state.hints, "d", "v", ttl_s=5, policy=POLICY, now=NOW)
    assert events == (HintsEvicted(("b",), 3), HintPut("d", "v", 1005 * SECOND, 3))
    log.append(*events)
    assert sorted(log.state.hints) == ["a", "c", "d"]
    assert len(decide_put(log.state.hints, "a", "w", ttl_s=5, policy=POLICY, now=NOW)) == 1, "a has its place"


def test_hints_queued_at_once_hold_the_limit_too() -> None:
    log = ClassLog(telemetry)
    events = [HintPut(key, "v", expires_us, 2) for key, expires_us in (("a", 9), ("b", 5), ("c", 7), ("d", 7))]
    log.append(*events)
    assert sorted(log.state.hints) == ["a", "d"], "b expires first; of c and d the first by key gives way"


def test_a_limit_that_fell_evicts_what_expires_first() -> None:
    log = ClassLog(telemetry)
    for key, ttl_s in (("a", 30), ("b", 10), ("c", 20)):
        put(log, key, ttl_s=ttl_s)
    assert decide_eviction(log.state.hints, POLICY) == ()
    assert decide_eviction(log.state.hints, Policy(hints_max=1)) == (HintsEvicted(("b", "c"), 1),)
    assert decide_eviction(log.state.hints, Policy(hints_max=0)) == (HintsEvicted(("b", "c", "a"), 0),)


def test_expired_hints_are_forgotten_unless_put_again_meanwhile() -> None:
    log = ClassLog(telemetry)
    for key in "ab":
        put(log, key, ttl_s=10)
    put(log, "c", ttl_s=11)
    assert next_deadline(log.state.hints) == 1010 * SECOND
    assert decide_expiry(log.state.hints, at(1010 * SECOND - 1)) == ()
    events = decide_expiry(log.state.hints, at(1010 * SECOND))
    assert events == (HintsExpired(("a", "b"), 1010 * SECOND),)
    put(log, "b", ttl_s=60)
    log.append(*events)
    assert sorted(log.state.hints) == ["b", "c"]


def test_without_hints_there_is_no_deadline() -> None:
    assert next_deadline({}) is None


@pytest.mark.parametrize(
    ("key", "value", "ttl_s", "policy", "reason"),
    [
        ("", "v", 1, POLICY, "hint_key"),
        ("k" * 129, "v", 1, POLICY, "hint_key"),
        ("new\nline", "v", 1, POLICY, "hint_key"),
        ("\ud800", "v", 1, POLICY, "hint_key"),
        (b"key", "v", 1, POLICY, "hint_key"),
        ("k", "v" * 1025, 1, POLICY, "hint_value"),
        ("k", "\udfff", 1, POLICY, "hint_value"),
        ("k", 7, 1, POLICY, "hint_value"),
        ("k", "v", 0, POLICY, "hint_ttl"),
        ("k", "v", -1, POLICY, "hint_ttl"),
        ("k", "v", math.nan, POLICY, "hint_ttl"),
        ("k", "v", YEAR_S + 1, POLICY, "hint_ttl"),
        ("k", "v", "60", POLICY, "hint_ttl"),
        ("k", "é" * 8, 1, Policy(hint_bytes_max=16), "hint_size"),
        ("k", "v", 1, Policy(hints_max=0), "no_hints"),
    ],
)
def test_what_is_no_hint_is_refused(key: Any, value: Any, ttl_s: Any, policy: Policy, reason: str) -> None:
    with pytest.raises(MisuseError, match="nothing was kept") as caught:
        decide_put({}, key, value, ttl_s=ttl_s, policy=policy, now=NOW)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("key", "value"), [("k" * 128, "v" * 1024), ("ключ", "é" * 1000), ("k", "")])
def test_the_largest_and_smallest_hints_are_kept(key: str, value: str) -> None:
    log = ClassLog(telemetry)
    put(log, key, value, ttl_s=YEAR_S)
    assert get(log.state.hints, key, NOW.node_us) == value


def test_the_value_reads_back_by_key() -> None:
    hints = {"b": Hint("2", 20, 2), "a": Hint("1", 10, 5)}
    assert hints_value(hints) == (("a", "1", 10, 5), ("b", "2", 20, 2))
    assert hints_from(hints_value(hints)) == hints
