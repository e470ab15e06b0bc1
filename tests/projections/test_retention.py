"""What is kept and what gives way: the tables, row by row."""

import itertools
from typing import Any

import pytest

from rap_projections.policy import EffectivePolicy, Policy, effective
from rap_projections.retention import (
    DAY_US,
    HOUR_US,
    PIN_BEFORE_US,
    STEPS,
    STONES_MAX,
    LedgerFile,
    SetMade,
    Usage,
    decide_floor,
    ledger_files_to_go,
    next_to_give_way,
    oldest_to_go,
    pinned_from_us,
    sets_to_keep,
)
from rap_projections.upkeep import Incident

NOW_US = 1000 * DAY_US


def limits(**changes: Any) -> EffectivePolicy:
    return effective(Policy(**changes), None)


def ago(hours: float) -> int:
    return NOW_US - int(hours * HOUR_US)


def made(*hours: float) -> list[SetMade]:
    """Sets made so many hours ago, at LSN 10, 20, 30, …"""
    return [SetMade(10 * number, ago(each)) for number, each in enumerate(hours, 1)]


def incident(hours: float, last: float | None = None) -> Incident:
    return Incident(ago(hours), ago(hours if last is None else last), 1)


# The floor.


@pytest.mark.parametrize("is_newest", [True, False])
@pytest.mark.parametrize("is_old", [True, False])
@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_set_may_be_the_floor_if_it_is_old_and_not_the_newest_and_nothing_before_it_is_pinned(
    is_newest: bool, is_old: bool, is_pinned: bool
) -> None:
    age_h = 80 if is_old else 71
    sets = made(200, age_h) if is_newest else made(200, age_h, 1)
    incidents = [incident(age_h + 0.4)] if is_pinned else [incident(age_h - 0.5)]
    floor = decide_floor(sets, incidents, NOW_US, limits())
    assert floor == (20 if is_old and not is_newest and not is_pinned else None)


def test_the_newest_set_that_may_be_is_taken() -> None:
    assert decide_floor(made(200, 120, 100, 72, 71.9, 1), [], NOW_US, limits()) == 40


@pytest.mark.parametrize("count", range(3))
def test_with_too_few_sets_the_floor_stays(count: int) -> None:
    assert decide_floor(made(*[200.0] * count), [], NOW_US, limits(history_all_h=0)) is None


def test_the_floor_stops_at_the_beginning_of_a_pinned_range_to_the_microsecond() -> None:
    pin = incident(100)
    sets = [SetMade(10, ago(200)), SetMade(20, pin.first_us - PIN_BEFORE_US), SetMade(30, ago(73)), SetMade(40, ago(1))]
    assert decide_floor(sets, [pin], NOW_US, limits()) == 20
    sets[1] = SetMade(20, pin.first_us - PIN_BEFORE_US + 1)
    assert decide_floor(sets, [pin], NOW_US, limits()) is None


def test_a_pin_ends_after_its_days_counted_from_the_last_incident_in_it() -> None:
    last_us = NOW_US - 14 * DAY_US
    over, running = Incident(last_us - HOUR_US, last_us, 1), Incident(last_us - HOUR_US, last_us + 1, 1)
    assert pinned_from_us([over], NOW_US, limits()) is None
    assert pinned_from_us([running], NOW_US, limits()) == running.first_us - PIN_BEFORE_US
    assert pinned_from_us([running], NOW_US, limits(incident_days=0)) is None


def test_of_several_pins_the_earliest_counts() -> None:
    pins = [incident(400, last=399), incident(100), incident(90)]
    assert pinned_from_us(pins, NOW_US, limits()) == pins[1].first_us - PIN_BEFORE_US


# The sets.


def test_the_oldest_and_the_two_newest_sets_always_stay() -> None:
    for count in range(6):
        sets = made(*[5.0] * count)
        assert sets_to_keep(sets, limits()) == {each.lsn for each in (*sets[:1], *sets[-2:])}


def test_with_sets_every_hour_the_floor_still_moves_and_history_is_little_longer_than_the_policy_says() -> None:
    policy, sets, floors = limits(), [SetMade(0, 0)], []
    for hour in range(1, 400):
        now_us = hour * HOUR_US
        sets.append(SetMade(hour, now_us))
        kept = sets_to_keep(sets, policy)
        sets = [each for each in sets if each.lsn in kept]
        assert len(sets) <= STONES_MAX + 3
        floor = decide_floor(sets, [], now_us, policy)
        if floor is not None:
            sets = [each for each in sets if each.lsn >= floor]
            floors.append(floor)
        if hour > 100:
            assert 72 <= hour - sets[0].lsn <= 72 + 19
    assert floors == sorted(set(floors)) and len(floors) > 10


def test_however_long_history_is_pinned_there_are_few_sets() -> None:
    policy, sets = limits(history_all_h=1), [SetMade(0, 0)]
    for hour in range(1, 3000):
        sets.append(SetMade(hour, hour * HOUR_US))
        kept = sets_to_keep(sets, policy)
        sets = [each for each in sets if each.lsn in kept]
        assert len(sets) <= STONES_MAX + 4 and sets[0].lsn == 0


# The ledger.


@pytest.mark.parametrize(
    ("ages_days", "bytes_max", "expected"),
    [
        ([], 100, 0),
        ([40, 31, 29], 100, 2),
        ([40, None, 31, None, 29], 100, 3),
        ([None, None, 29], 100, 0),
        ([29, 28, 27], 25, 1),
        ([29, 28, 27], 10, 2),
        ([29, 28, 27], 0, 3),
        ([40, 28, 27], 20, 1),
        ([30, 29], 100, 1),
    ],
)
def test_ledger_files_go_by_age_and_by_bytes(ages_days: list[int | None], bytes_max: int, expected: int) -> None:
    files = [LedgerFile(10 * n, 10, None if days is None else NOW_US - days * DAY_US) for n, days in enumerate(ages_days, 1)]
    assert ledger_files_to_go(files, NOW_US, limits(ledger_bytes_max=bytes_max)) == expected


@pytest.mark.parametrize(("bytes_max", "expected"), [(100, 0), (60, 0), (59, 1), (50, 1), (49, 2), (30, 2), (29, 3), (0, 3)])
def test_as_many_of_the_oldest_go_as_must(bytes_max: int, expected: int) -> None:
    assert oldest_to_go([10, 20, 30], bytes_max) == expected


# Giving way.

ALL = Usage(1000, 1, 1, 1, 1, 1)


def test_what_gives_way_goes_in_order_telemetry_first_quarantine_last() -> None:
    tried: list[str] = []
    while (step := next_to_give_way(ALL, 999, tried)) is not None:
        tried.append(step)
    assert tuple(tried) == STEPS == ("telemetry", "cache_checkpoints", "history", "ledger", "quarantine")


@pytest.mark.parametrize("has", list(itertools.product((0, 5), repeat=5)))
def test_what_has_nothing_to_give_is_passed_over(has: tuple[int, ...]) -> None:
    expected = next((step for step, some in zip(STEPS, has, strict=True) if some), None)
    assert next_to_give_way(Usage(1000, *has), 999, []) == expected


def test_within_the_budget_nothing_gives_way() -> None:
    assert next_to_give_way(ALL, 1000, []) is None
