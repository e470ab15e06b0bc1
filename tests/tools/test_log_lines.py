"""Lines of the log: one for each event or batch, in columns; and the same events as objects."""

import io
import json

import pytest

from rap_projections.health_events import DegradedEntered
from rap_projections.routes import RoutesExpired
from rap_tools.exit_codes import ExitCode
from rap_tools.frame_reading import FrameLine
from rap_tools.json_output import JsonWriter, head
from rap_tools.log_lines import ObjectLines, TextLines, frame_object, lsn_range
from rap_tools.log_reading import Absent, Batch, Item
from rap_tools.text_output import TextWriter
from tests.tools.event_kit import entries, observed

FRAME = FrameLine("00000001-00000001", 512, 296, 3, 9, True, ("trust",))
DEGRADED = entries(DegradedEntered("no contact", 5))[0]
ABOUT = "reason=no contact  safe_until_us=1970-01-01T00:00:00.000005Z"
BATCH = Batch(tuple(observed(12_500, None, 800)))


def text(*items: Item, width: int | None = None, color: bool = False) -> str:
    stream = io.StringIO()
    lines = TextLines(TextWriter(stream, color=color), 6070, width)
    for item in items:
        lines.show(item)
    lines.end(ExitCode.DONE, "lab@9")
    return stream.getvalue()


def test_events_and_batches_stand_in_the_same_columns() -> None:
    assert text(DEGRADED, BATCH, BATCH.rows[1]) == (
        f"@7            2027-01-15T08:00:00.000Z  DegradedEntered     {ABOUT}\n"
        "@7..@9        2027-01-15T07:59:59.999Z  PeersObserved       3 observations of 3 peers, 0.800 to 12.500 ms, 1 failed (timeout)\n"
        "@8            2027-01-15T07:59:59.999Z  PeersObserved       #1  timeout\n"
    )


def test_a_frame_that_is_sealed_has_its_size_and_its_classes() -> None:
    assert text(FRAME, FRAME._replace(is_strict=False, byte_count=1)) == (
        "@3..@9        (sealed)                  (sealed)            trust, strict, 296 bytes\n"
        "@3..@9        (sealed)                  (sealed)            trust, 1 byte\n"
    )


def test_what_is_absent_is_said() -> None:
    assert text(Absent(3, 9)) == "-- @3..@9 not in the journal: damaged, or given up by a recovery --\n"


def test_off_a_terminal_a_line_is_one_line_however_long() -> None:
    assert text(entries(RoutesExpired(["x" * 60], ["y"], 5, 1))[0]).count("\n") == 1


@pytest.mark.parametrize("width", [67, 80, 118])
def test_on_a_terminal_what_does_not_fit_stands_below(width: int) -> None:
    assert text(DEGRADED, width=width) == f"@7            2027-01-15T08:00:00.000Z  DegradedEntered\n    {ABOUT}\n"


def test_on_a_narrow_terminal_it_stands_on_as_many_lines_as_it_takes() -> None:
    shown = text(DEGRADED, width=40).splitlines()[1:]
    assert shown == ["    reason=no contact", "    safe_until_us=1970-01-01T00:00:00.000005Z"]


def test_on_a_wide_terminal_a_line_is_one_line() -> None:
    assert text(DEGRADED, width=len(text(DEGRADED)) - 1) == text(DEGRADED)


def test_a_decision_is_bold_and_an_lsn_is_coloured() -> None:
    shown = text(DEGRADED, color=True)
    assert "\x1b[36m@7          \x1b[0m" in shown
    assert "\x1b[1mDegradedEntered   \x1b[0m" in shown


def objects(*items: Item) -> list[dict[str, object]]:
    stream = io.StringIO()
    writer = JsonWriter(stream, lines=True)
    writer.begin(head("rap-state-log", "lab", 9), type="record")
    lines = ObjectLines(writer)
    for item in items:
        lines.show(item)
    lines.end(ExitCode.CACHE_DAMAGE, "lab@9")
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_programs_get_each_event_each_frame_and_each_gap() -> None:
    header, event, frame, gap, end = objects(DEGRADED, FRAME, Absent(3, 9))
    assert header["type"] == "header"
    assert event == {"type": "record", **DEGRADED.as_object()}
    assert frame == {"type": "frame", **frame_object(FRAME)}
    assert gap == {"type": "absent", "first_lsn": 3, "last_lsn": 9}
    assert end == {"type": "end", "record_count": 3, "cursor": "lab@9", "exit_code": 7}


def test_programs_get_each_row_of_a_batch() -> None:
    rows = objects(BATCH)[1:-1]
    assert rows == [{"type": "record", **row.as_object()} for row in BATCH.rows]


def test_a_sealed_frame_says_that_it_is() -> None:
    assert frame_object(FRAME) == {
        "first_lsn": 3, "last_lsn": 9, "time": "(sealed)", "classes": ["trust"], "kind": "(sealed)", "is_strict": True,
        "byte_count": 296, "segment": "00000001-00000001", "offset": 512, "fields": "(sealed)",
    }  # fmt: skip


def test_a_run_of_one_lsn_is_that_lsn() -> None:
    assert (lsn_range(3, 3), lsn_range(3, 9)) == ("@3", "@3..@9")
