"""A summary is one short line that says what an event, or a batch of observations, is about."""

import pytest

from rap_projections.columns import pack
from rap_projections.event_kinds import Event
from rap_projections.health_events import DegradedEntered, UptimeDebited
from rap_projections.hints import HintPut
from rap_projections.peers import PeersExpired
from rap_projections.routes import RouteResult, RoutesExpired, RoutesSelected
from rap_projections.snapshot_events import SnapshotStaged
from rap_projections.stored_document import StoredDocument
from rap_projections.telemetry import TelemetryRecorded
from rap_tools.event_entries import Row
from rap_tools.event_summary import SUMMARY_MAX, batch_summary, summary
from tests.tools.event_kit import OBSERVED, entries, observed


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (DegradedEntered("no contact", 5), "reason=no contact  safe_until_us=1970-01-01T00:00:00.000005Z"),
        (TelemetryRecorded("probe", "canary", 10), "probe, 6 characters"),
        (HintPut("last", "canary", 5, 10), "last, 6 characters"),
        (RouteResult("r-1", False, 2, 5), "r-1 timeout"),
        (RouteResult("r-1", True, 0, 5), "r-1 ok"),
        (
            RoutesSelected(1, ["a", "b"], ["x", "y"], ["r1", "r2"], [1, 2], 5, [1, 2], [[], []], [[], []], 10),
            "2 routes: a/x, b/y",
        ),
        (RoutesExpired(["a"], ["x"], 5, 1), "1 route ended (age): a/x"),
        (RoutesExpired(["a", "b"], ["x", "x"], 5, 9), "2 routes ended (reason 9): a/x, b/x"),
        (PeersExpired(1, pack("I", [3, 9]), 5), "#3, #9 (numbering @1)"),
        (PeersExpired(1, pack("I", [3, 9, 4, 5, 6]), 5), "#3, #9, #4 and 2 more (numbering @1)"),
        (
            UptimeDebited(11_547, bytes(16), 8_005_000_000),
            "uptime_s=3h 12min 27s  boot_id=00000000  covered_boot_us=2h 13min 25s",
        ),
        (
            SnapshotStaged("peers", "snapshot", "agent", StoredDocument(b"\x0a", 6, b"")),
            "scope=peers  form=snapshot  source=agent  stored=6B",
        ),
    ],
)
def test_a_summary_is_short_and_to_the_point(event: Event, text: str) -> None:
    assert summary(entries(event)[0]) == text


def test_names_that_are_too_long_give_way_to_their_count() -> None:
    names = [f"{letter}" * 50 for letter in "abcd"]
    event = RoutesExpired(names, ["x"] * 4, 5, 2)
    assert summary(entries(event)[0]) == f"4 routes ended (not permitted): {names[0]}/x and 3 more"


def test_a_kind_of_a_later_release_says_its_version() -> None:
    (entry,) = entries(DegradedEntered("x", 5), kind=1999, version=3, body=["x", b"\x01"], state_class=14, category=9)
    assert summary(entry) == "version 3, unknown to this release"


def test_the_bytes_of_a_document_are_not_in_a_summary() -> None:
    shown = summary(entries(SnapshotStaged("peers", "snapshot", "agent", StoredDocument(b"\x0a", 6, b"canary")))[0])
    assert "canary" not in shown
    assert b"canary".hex() not in shown


def test_a_batch_is_summed_up_by_its_extremes_and_its_failures() -> None:
    def rows(*rtts_us: int | None) -> str:
        return batch_summary([entry.row for entry in observed(*rtts_us) if entry.row is not None])

    assert rows(12_500, 800, 99_999) == "3 observations of 3 peers, 0.800 to 99.999 ms"
    assert rows(12_500, None) == "2 observations of 2 peers, 12.500 to 12.500 ms, 1 failed (timeout)"
    assert rows(None, None) == "2 observations of 2 peers, 2 failed (timeout)"


def test_failures_of_a_batch_are_counted_by_their_reason_the_most_frequent_first() -> None:
    reasons = ["refused", "timeout", "lost", "timeout"]
    rows = [Row("a", 0, 5_000, None, 0), *[Row("b", 1, None, reason, 0) for reason in reasons]]
    assert batch_summary(rows) == "5 observations of 2 peers, 5.000 to 5.000 ms, 4 failed (2 timeout, 1 lost, 1 refused)"


def test_rows_are_summed_up_as_peer_and_answer() -> None:
    assert [summary(entry) for entry in entries(OBSERVED, rows=2)] == ["#3  12.500 ms", "#4  timeout"]


def test_a_long_summary_is_cut() -> None:
    assert len(summary(entries(DegradedEntered("x" * 64, 5), body=("y" * 500, 5))[0])) <= SUMMARY_MAX
