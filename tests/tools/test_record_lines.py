"""A record as text: its fields, and its rows below each other, with what all rows share told once."""

import io

import pytest

from rap_projections.health_events import DegradedEntered
from rap_projections.lifecycle import PolicyInForce
from rap_projections.routes import RoutesExpired, RoutesSelected
from rap_tools.event_entries import Entry
from rap_tools.event_rows import EventRows
from rap_tools.frame_reading import FrameLine
from rap_tools.record_lines import RecordText, print_record, print_sealed, way_text
from rap_tools.text_output import TextWriter
from tests.tools.event_kit import entries, observed

FRAME = FrameLine("00000001-00000001", 512, 296, 1, 9, False, ("health", "routes"))
SELECTED = RoutesSelected(
    1, ["node-a", "node-bb"], ["bulk", "bulk"], ["r1", "r2"], [12_500, 8_000], 0, [5, 5], [["r3"], []], [[7], [7, 8]], 10
)


def printed(entry: Entry, *, causes: list[tuple[int, str, str]] | None = None, all_rows: bool = False) -> list[str]:
    stream = io.StringIO()
    shown = RecordText("lab", entry, FRAME, causes or [], EventRows(None).of(entry))
    print_record(TextWriter(stream, color=False), shown, all_rows=all_rows)
    return stream.getvalue().splitlines()


def test_a_record_is_its_head_its_place_and_its_fields() -> None:
    lines = printed(entries(DegradedEntered("no contact", 5))[0], causes=[(3, "Note", "text=x"), (2, "", "not kept any more")])
    assert lines == [
        "lab@7  DegradedEntered  health, decision",
        "  time       2027-01-15T08:00:00.000000Z",
        "  node time  1970-01-01T00:00:00.001000Z",
        f"  boot       {bytes(16).hex()}, 0s after it began",
        "  actor      agent",
        "  trace id   t-1",
        "  cause      @3  Note  text=x",
        "             @2    not kept any more",
        "  frame      @1..@9 in segment 00000001-00000001 at byte 512, 296 bytes",
        "",
        "    reason         no contact",
        "    safe_until_us  1970-01-01T00:00:00.000005Z",
    ]


def test_chosen_routes_are_rows_and_what_they_share_is_a_field() -> None:
    lines = printed(entries(SELECTED)[0])
    assert lines[lines.index("") + 1 :] == [
        "    applied_lsn  @1",
        "    expires_us   never",
        "    routes_max   10",
        "    channel      bulk",
        "    review_us    1970-01-01T00:00:00.000005Z",
        "",
        "    destination  path  score      causes  alternatives",
        "    node-a       r1    12.500 ms  @7      r3",
        "    node-bb      r2    8.000 ms   @7, @8  none",
    ]


def test_a_single_route_shares_nothing() -> None:
    assert printed(entries(RoutesExpired(["node-a"], ["bulk"], 5, 1))[0])[-2:] == [
        "    destination  channel",
        "    node-a       bulk",
    ]


@pytest.mark.parametrize(("path", "text"), [([], "direct"), (["a"], "via a"), (["a", "b"], "via a, b"), (None, "r-1")])
def test_a_way_is_its_relays_or_its_candidate(path: list[str] | None, text: str) -> None:
    assert way_text("r-1", path) == text


def test_of_a_large_batch_the_rows_around_the_one_asked_for_are_shown() -> None:
    batch = observed(*[1000 * (number + 1) for number in range(30)])
    lines = printed(batch[12])
    assert "  row        13 of 30, of the record @7..@36" in lines
    table = lines[lines.index("", lines.index("") + 1) + 1 :]
    assert [line.split()[:2] for line in table[1:-1]] == [
        [">", "@19"] if at == 12 else [f"@{at + 7}", f"#{at}"] for at in range(7, 18)
    ]
    assert table[-1] == "    11 of 30 rows; -v shows all"
    assert [line.split()[0] for line in printed(batch[0])[-8:]] == ["lsn", ">", "@8", "@9", "@10", "@11", "@12", "6"]
    assert printed(batch[29])[-2].split()[:2] == [">", "@36"]


def test_a_small_batch_is_shown_whole_and_so_is_a_large_one_on_request() -> None:
    assert len([line for line in printed(observed(*[1000] * 20)[3]) if " #" in line]) == 21
    assert len([line for line in printed(observed(*[1000] * 30)[3], all_rows=True) if " #" in line]) == 31


def test_a_batch_of_one_row_has_no_table() -> None:
    assert printed(observed(12_500)[0])[-5:] == [
        "    peer     #0",
        "    number   0",
        "    rtt_us   12.500 ms",
        "    failure  -",
        "    node_us  1970-01-01T00:00:00.000900Z",
    ]


def test_a_long_list_has_a_line_for_each_item() -> None:
    settings = tuple((f"limit_number_{number}", number) for number in range(9))
    lines = printed(entries(PolicyInForce(b"\x01", "0.1.0", settings, None))[0])
    assert lines[-11:] == [
        "    build              0.1.0",
        "    settings           limit_number_0=0",
        *[f"                       limit_number_{number}={number}" for number in range(1, 9)],
        "    signed_content_id  -",
    ]


def test_hostile_text_is_escaped_in_rows_too() -> None:
    lines = printed(entries(RoutesExpired(["\x1b[2J"], ["bulk"], 5, 1))[0])
    assert lines[-1].split() == [r"\x1b[2J", "bulk"]


def test_without_the_key_the_frame_is_all() -> None:
    stream = io.StringIO()
    print_sealed(TextWriter(stream, color=False), "lab", FRAME)
    assert stream.getvalue().splitlines() == [
        "lab@1..@9  (sealed)",
        "  kind     (sealed)",
        "  time     (sealed)",
        "  classes  health, routes",
        "  fields   (sealed)",
        "  frame    @1..@9 in segment 00000001-00000001 at byte 512, 296 bytes",
    ]
