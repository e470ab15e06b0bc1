"""The tables of the demonstration: what they say, in plain text off a terminal, and a bar that moves on one."""

import io
from pathlib import Path

import pytest

from rap_tools.demo_messages import Acknowledged, Begun
from rap_tools.demo_proof import CHECKPOINT, FLOOR, KILLED, WRITER
from rap_tools.demo_result import BestRoute, ClusterResult, Comparison, DemoResult, Interruption
from rap_tools.demo_tables import WIDTH_OFF_TERMINAL, Meter, live_line, print_tables
from tests.tools.command import Terminal

SAME, OTHER = "ab" * 32, "cd" * 32
ACKNOWLEDGED = Comparison("acknowledged before the kill", 900, dict.fromkeys((WRITER, KILLED, CHECKPOINT, FLOOR), SAME))
END = Comparison("at the end", 1234, dict.fromkeys((WRITER, CHECKPOINT, FLOOR), SAME))
KILL = Interruption(900, 950, "slice 9, 95 rows", "torn_tail", 1040, True, 400, 550, 12, ())
ROUTE = BestRoute("node-7", "via node-1", 62.84, ("direct", "via node-2"))
CLUSTER = ClusterResult("lab", "node-0", 1234, 1140, 4000.4, 80, 0.456, 400, KILL, (ACKNOWLEDGED, END), (END, END), (ROUTE,))
RESULT = DemoResult(
    Path("/n"), Path("/n.key"), 4096, "a trace", 12, 7, -9, 80.04, 0, 4.56, (CLUSTER,), ("rap-state status -D /n",), 12
)


def printed(result: DemoResult, stream: io.StringIO | None = None, *, is_plain: bool = True) -> str:
    stream = stream or io.StringIO()
    print_tables(result, stream, is_plain=is_plain)
    return stream.getvalue()


def row(text: str, name: str) -> list[str]:
    """The cells of the row that begins with `name`."""
    line = next(line for line in text.splitlines() if line.strip().startswith(name))
    return line.strip().removeprefix(name).split()


def test_every_fact_has_its_row() -> None:
    text = printed(RESULT)
    for name, cell in (
        ("this node is", "node-0"), ("observations acknowledged", "1,140"), ("events written (last LSN)", "1,234"),
        ("events per second, store's time only", "4,000"), ("durable commits (frames)", "80"), ("ms per durable commit", "0.46"),
        ("last checkpoint at LSN", "400"), ("events behind it", "834"), ("last acknowledged LSN", "900"),
        ("records on disk beyond it", "50"), ("bytes cut", "1,040"), ("last frame written again", "yes"),
        ("recovered from checkpoint at LSN", "400"), ("records replayed behind it", "550"),
    ):  # fmt: skip
        assert row(text, name) == [cell], name
    assert row(text, "SIGKILL fell into") == ["slice", "9,", "95", "rows"]
    assert row(text, "end of the journal") == ["torn", "tail"]


def test_digests_stand_by_where_they_come_from() -> None:
    text = printed(RESULT)
    assert row(text, "acknowledged before the kill") == ["900", *[SAME[:10]] * 4, "yes"]
    assert row(text, "at the end") == ["1,234", *[SAME[:10]] * 3, "yes"]
    assert row(text, "2 others") == ["2", "of", "2"]
    assert row(text, "node-7") == ["62.8", "via", "node-1", "direct;", "via", "node-2"]


def test_the_conclusion_says_in_a_line_each_that_nothing_acknowledged_is_lost_and_both_folds_agree() -> None:
    lines = printed(RESULT).splitlines()
    at = lines.index("All digests are equal, and verification of every stored byte found it sound:")
    assert lines[at + 1 : at + 3] == [
        f"  lab at LSN 900: acknowledged before the kill {SAME[:10]} = after recovery {SAME[:10]}",
        f"  lab at LSN 1,234: from checkpoint {SAME[:10]} = from the history floor {SAME[:10]}",
    ]
    unkilled = printed(RESULT._replace(clusters=(CLUSTER._replace(interruption=None, comparisons=(END,)),)))
    assert "before the kill" not in unkilled and "from checkpoint" in unkilled


def test_a_digest_that_differs_is_a_no_and_the_conclusion_says_it() -> None:
    bad = END._replace(digests=END.digests | {FLOOR: OTHER})
    text = printed(RESULT._replace(clusters=(CLUSTER._replace(comparisons=(bad,), acknowledged_states=(bad, END)),)))
    assert row(text, "at the end")[-1] == "NO"
    assert row(text, "2 others") == ["1", "of", "2"]
    assert "NOT SHOWN: lab: at the end, LSN 1234: digests differ" in text
    assert "All digests are equal" not in text


def test_the_introduction_and_the_conclusion_name_trace_clock_store_and_commands() -> None:
    lines = printed(RESULT).splitlines()
    assert lines[:2] == [
        "Trace: a trace; 12 slices used. Seed: 7.",
        "Clock: virtual. Each slice stands for 60 s, by which the writer's clock was moved on; 12 minutes of history took 4.6 s.",
    ]
    assert lines[-4:] == [
        "The store is kept: /n (4 KiB on disk)",
        "Its key lies outside: /n.key",
        "Look around:",
        "  rap-state status -D /n",
    ]


def test_a_trace_that_was_gone_round_again_says_so() -> None:
    assert "12 slices used, going round the trace's 5 again." in printed(RESULT._replace(trace_slices=5))


def test_live_has_no_kill_in_it() -> None:
    quiet = CLUSTER._replace(interruption=None, comparisons=(END,), acknowledged_states=())
    text = printed(RESULT._replace(killed_with=None, store_open_ms=None, clusters=(quiet,)))
    assert "Clock: the machine's. One slice a second, until it was interrupted." in text
    assert "SIGKILL" not in text
    assert "killed files" not in text
    assert "Recovery of the whole store" not in text


def test_off_a_terminal_there_is_no_colour_and_a_width_of_its_own() -> None:
    text = printed(RESULT, is_plain=False)
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines() if line.startswith(" ")) <= WIDTH_OFF_TERMINAL


def test_on_a_terminal_there_is_colour_unless_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in printed(RESULT, Terminal(), is_plain=False)
    assert "\x1b[" not in printed(RESULT, Terminal(), is_plain=True)


def test_names_are_taken_for_text_and_never_steer() -> None:
    hostile = "[bold]x\x1b[2J"
    text = printed(RESULT._replace(source=hostile, clusters=(CLUSTER._replace(routes=(ROUTE._replace(destination="[red]n"),)),)))
    assert r"[bold]x\x1b[2J" in text
    assert "[red]n" in text


def test_a_meter_that_nobody_sees_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter.on_terminal(4, is_plain=False) as meter:
        meter.say("writing")
        meter.listen(Begun("lab", 1, 95))
    assert capsys.readouterr() == ("", "")


def test_a_meter_moves_with_what_is_acknowledged() -> None:
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(file=io.StringIO()), auto_refresh=False)
    with Meter(progress, 4) as meter:
        meter.say("writing, to be killed")
        meter.listen(Begun("lab", 1, 95))
        for slice_index in range(3):
            meter.listen(Acknowledged("lab", slice_index, 1, "ab", 1, 1, 0.1, 1))
    (task,) = progress.tasks
    assert (task.description, task.completed, task.total) == ("writing, to be killed", 3, 4)


def test_off_a_terminal_each_slice_of_live_is_a_line() -> None:
    stream = io.StringIO()
    with live_line(stream, is_plain=False) as tell:
        tell("slice 1: [lab]")
        tell("slice 2")
    assert stream.getvalue() == "slice 1: [lab]\nslice 2\n"
