"""A number says what it is by the name of its field, exactly, and the lists of times know every field of state and events."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from rap_projections.agent import AgentView
from rap_projections.cluster_view import ClusterView
from rap_projections.event_kinds import all_kinds
from rap_tools.event_entries import Row
from rap_tools.event_rows import COLUMNS
from rap_tools.quantities import TIMES_S, TIMES_US, quantity_text, span_us_text

SPANS = {
    "after_us", "budget_s", "covered_boot_us", "deadline_uptime_s", "latency_us", "penalty_us", "rtt_us", "uptime_s", "used_s",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("at_us", 1_800_000_000_000_001, "2027-01-15T08:00:00.000001Z"),
        ("last_success_us", 0, "never"),
        ("expires_at_s", 1_800_000_000, "2027-01-15T08:00:00Z"),
        ("signed_s", 0, "never"),
        ("safe_until_us", 1_800_000_000_000_000, "2027-01-15T08:00:00.000000Z"),
        ("latency_us", 152_490, "152.490 ms"),
        ("latency_us", 7, "0.007 ms"),
        ("score", 80_642, "80.642 ms"),
        ("covered_boot_us", 11_487_123_456, "3h 11min 27.123456s"),
        ("uptime_s", 86_400, "1d"),
        ("uptime_s", 0, "0s"),
        ("degraded_s_max", 3600, "1h"),
        ("batch_delay_ms", 100, "100 ms"),
        ("history_all_h", 72, "72 h"),
        ("incident_days", 14, "14 days"),
        ("packet_loss_ppm", 1466, "1466 ppm"),
        ("route_switch_permille", 100, "100 ‰"),
        ("reliability", 748, "748 of 1000"),
        ("size", 1, "1 byte"),
        ("disk_bytes_max", 1024, "1024 bytes"),
        ("at_lsn", 2103, "@2103"),
        ("floor_lsn", 0, "none"),
        ("causes", 17, "@17"),
        ("peer_count", 7, None),
        ("failures_max", 8, None),
        ("version", 3, None),
    ],
)
def test_the_name_of_a_field_says_what_its_number_is(name: str, number: int, text: str | None) -> None:
    assert quantity_text(name, number) == text


@pytest.mark.parametrize(
    ("span_us", "text"),
    [
        (0, "0s"), (1, "0.001 ms"), (999_999, "999.999 ms"), (1_000_000, "1s"), (1_500_000, "1.5s"), (59_000_001, "59.000001s"),
        (60_000_000, "1min"), (90_061_000_000, "1d 1h 1min 1s"), (3_600_000_000, "1h"), (-90_000_000, "-1min 30s"),
    ],
)  # fmt: skip
def test_spans_are_shown_exactly(span_us: int, text: str) -> None:
    assert span_us_text(span_us) == text


def fields_of(kind: Any, seen: set[Any]) -> Iterator[str]:
    """Names of the fields of a named tuple, and of those within it."""
    for argument in get_args(kind):
        yield from fields_of(argument, seen)
    if hasattr(kind, "_fields") and kind not in seen:
        seen.add(kind)
        for name, hint in get_type_hints(kind).items():
            yield name
            yield from fields_of(hint, seen)


def test_every_field_with_a_unit_of_time_is_known_as_a_time_or_as_a_span() -> None:
    seen: set[Any] = set()
    names = {
        name for kind in (ClusterView, AgentView, Row, *[kind.type for kind in all_kinds()]) for name in fields_of(kind, seen)
    }
    timed = {name for name in names if name.endswith(("_us", "_s")) and not name.endswith(("_until_us", "_at_s"))}
    assert timed - TIMES_US - TIMES_S == SPANS
    # The trusted time is a field of the status alone.
    assert (TIMES_US | TIMES_S) - names == {"trusted_time_s"}


def test_columns_are_those_of_their_events() -> None:
    assert all(set(columns) - {"peers"} <= set(kind._fields) for kind, columns in COLUMNS.items())  # type: ignore[attr-defined]  # named tuples
