"""The demonstration on a terminal, or in a file: a bar while it runs, tables at the end. The only part of it that uses rich.

Rules this file keeps:

- The bar goes to the standard error, and only where that is a terminal. Off a terminal, and where no colour is asked for, there is
  neither colour nor movement.
- Names come from files and documents: nothing in them is taken for markup.

Example::

    with Meter.on_terminal(total=120, is_plain=False) as meter:
        meter.listen(message)
    print_tables(result, sys.stdout, is_plain=False)
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rap_tools.demo_messages import Acknowledged, Message
from rap_tools.demo_network import SLICE_S
from rap_tools.demo_places import is_own_folder
from rap_tools.demo_proof import ACKNOWLEDGED, AT_THE_END, CHECKPOINT, FLOOR, KILLED, WRITER
from rap_tools.demo_result import ClusterResult, Comparison, DemoResult, Interruption
from rap_tools.demo_run import Watcher
from rap_tools.printable import printable

WIDTH_OFF_TERMINAL = 100
DIGEST_LENGTH = 10
SOURCES = {WRITER: "writer", KILLED: "killed files", CHECKPOINT: "checkpoint", FLOOR: "floor"}

FACTS_LEGEND = (
    "LSN = number of an event in its cluster's journal, frame = the events that one durable commit writes together, "
    "checkpoint = the whole state as of an LSN, behind which only the events that follow are replayed."
)
SOURCE_LEGENDS = {
    WRITER: "writer = said by the writer while it lived",
    KILLED: "killed files = read before recovery",
    CHECKPOINT: "checkpoint = folded from the newest checkpoint",
    FLOOR: "floor = from the oldest kept one",
}
ROUTES_LEGEND = (
    "score = the estimate that ways are ranked by (lower is better), direct = without a relay, via NODE = relayed by that node."
)
CLEAN_END = (
    "A SIGKILL usually leaves a clean end: it ends the process, and what that had written survives in the page cache; "
    "power cuts, which take the cache too, are for the crash tests."
)


class Meter(Watcher):
    """A bar that moves with the slices that are durable; nothing at all where nobody would see it."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._task: TaskID | None = progress.add_task("starting", total=total) if progress else None

    @classmethod
    def on_terminal(cls, total: int, *, is_plain: bool) -> Self:
        """A bar on the standard error if that is a terminal, and may move."""
        console = Console(stderr=True)
        columns = (TextColumn("{task.description:<24}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return cls(Progress(*columns, console=console, transient=True) if console.is_terminal and not is_plain else None, total)

    def say(self, what: str) -> None:
        """Name what is being done."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, description=what)

    def listen(self, message: Message) -> None:
        """Take note of what a writer said."""
        if self._progress and self._task is not None and isinstance(message, Acknowledged):
            self._progress.advance(self._task)

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress:
            self._progress.stop()


@contextmanager
def live_line(stream: TextIO, *, is_plain: bool) -> Iterator[Callable[[str], None]]:
    """What goes on, as one line that changes; off a terminal, as a line each time."""
    console = _console(stream, is_plain=is_plain)
    if is_plain or not console.is_terminal:
        yield lambda text: print(text, file=stream, flush=True)
        return
    with console.status(Text("starting")) as status:
        yield lambda text: status.update(Text(text))


def print_tables(result: DemoResult, stream: TextIO, *, is_plain: bool) -> None:
    """Print everything that was found."""
    console = _console(stream, is_plain=is_plain)
    for text in _introduction(result):
        console.print(printable(text), soft_wrap=True)
    console.print(_facts(result))
    _explain(console, FACTS_LEGEND, *_of_the_kill(result))
    for cluster in result.clusters:
        console.print(_digests(cluster))
        _explain(console, f"{', '.join(SOURCE_LEGENDS[source] for source in _sources(cluster))}.")
        console.print(_routes(cluster))
        _explain(console, ROUTES_LEGEND)
    if result.trust:
        console.print(_trust(result))
        console.print()
    for line in _conclusion(result):
        console.print(line, soft_wrap=True)


def _console(stream: TextIO, *, is_plain: bool) -> Console:
    width = None if stream.isatty() else WIDTH_OFF_TERMINAL
    return Console(
        file=stream, color_system=None if is_plain else "auto", width=width, highlight=False, markup=False, emoji=False
    )


def _explain(console: Console, *sentences: str) -> None:
    """What stands under a table, a paragraph per sentence, and a blank line."""
    for sentence in sentences:
        console.print(Text(sentence, style="dim"))
    console.print()


def _introduction(result: DemoResult) -> Iterable[str]:
    again = f", going round the trace's {result.trace_slices} again" if result.slices > result.trace_slices else ""
    yield f"Trace: {result.source}; {result.slices} slices used{again}. Seed: {result.seed}."
    if result.killed_with is None:
        yield "Clock: the machine's. One slice a second, until it was interrupted."
    else:
        yield (
            f"Clock: virtual. Each slice stands for {SLICE_S} s, by which the writer's clock was moved on; "
            f"{result.slices * SLICE_S // 60} minutes of history took {result.took_s:.1f} s."
        )


def _facts(result: DemoResult) -> Table:
    table = _table("What this node wrote, and what the kill did to it" if result.killed_with else "What this node wrote")
    table.add_column("")
    for cluster in result.clusters:
        table.add_column(cluster.cluster, justify="right")
    _add_rows(table, [_written(cluster) for cluster in result.clusters])
    kills = [cluster.interruption for cluster in result.clusters]
    if all(kills):
        table.add_section()
        _add_rows(table, [_interrupted(kill) for kill in kills if kill])
    return table


def _of_the_kill(result: DemoResult) -> Iterable[str]:
    """What is told of a kill for the whole store, since it is no cluster's own."""
    if result.store_open_ms is not None:
        yield f"Recovery of the whole store, all clusters together: {result.store_open_ms:,.1f} ms."
    if result.killed_with is not None:
        yield CLEAN_END


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )


def _add_rows(table: Table, columns: list[dict[str, str]]) -> None:
    for name in columns[0]:
        table.add_row(name, *[column[name] for column in columns])


def _written(cluster: ClusterResult) -> dict[str, str]:
    return {
        "this node is": cluster.node,
        "observations acknowledged": f"{cluster.observations:,}",
        "events written (last LSN)": f"{cluster.horizon:,}",
        "events per second, store's time only": f"{cluster.events_per_s:,.0f}",
        "durable commits (frames)": f"{cluster.frames:,}",
        "ms per durable commit": f"{cluster.frame_ms:.2f}",
        "last checkpoint at LSN": f"{cluster.checkpoint_lsn:,}",
        "events behind it": f"{cluster.horizon - cluster.checkpoint_lsn:,}",
    }


def _interrupted(kill: Interruption) -> dict[str, str]:
    return {
        "SIGKILL fell into": kill.under_way or "nothing in flight here",
        "last acknowledged LSN": f"{kill.acknowledged_lsn:,}",
        "records on disk beyond it": f"{kill.unacknowledged_records:,}",
        "end of the journal": f"{kill.verdict.replace('_', ' ')}",
        "bytes cut": f"{kill.cut_bytes:,}",
        "last frame written again": "yes" if kill.rewrote_last_frame else "no",
        "recovered from checkpoint at LSN": f"{kill.checkpoint_lsn:,}",
        "records replayed behind it": f"{kill.replayed_records:,}",
    }


def _digests(cluster: ClusterResult) -> Table:
    table = _table(f"{cluster.cluster}: digests of the whole state, by where they come from")
    sources = _sources(cluster)
    for name in ("state", "LSN", *[SOURCES[source] for source in sources], "equal"):
        table.add_column(name, justify="right" if name == "LSN" else "left")
    for each in cluster.comparisons:
        digests = [each.digests.get(source, "")[:DIGEST_LENGTH] for source in sources]
        table.add_row(each.moment, f"{each.lsn:,}", *digests, _equal(each.is_equal))
    samples = cluster.acknowledged_states
    if samples:
        count, equal = len(samples), sum(map(_is_equal, samples))
        table.add_row(f"{count} others", *[""] * (1 + len(sources)), _equal(equal == count, f"{equal} of {count}"))
    return table


def _sources(cluster: ClusterResult) -> list[str]:
    """Where this cluster's digests come from, in the order of the columns."""
    compared = {source for each in cluster.comparisons for source in each.digests}
    return [source for source in SOURCES if source in compared]


def _routes(cluster: ClusterResult) -> Table:
    table = _table(f"{cluster.cluster}: some routes in use")
    for name in ("destination", "score, ms", "path", "alternatives, best first"):
        # Folded and not cropped: the end of a name is what tells nodes apart.
        table.add_column(name, justify="right" if name.startswith("score") else "left", overflow="fold")
    for route in cluster.routes:
        table.add_row(route.destination, f"{route.score_ms:,.1f}", route.path, "; ".join(route.alternatives))
    return table


def _trust(result: DemoResult) -> Table:
    table = _table(f"{result.clusters[0].cluster}: whom to trust changes")
    for name in ("offered", "what the store did"):
        table.add_column(name)
    for step in result.trust:
        table.add_row(step.offered, step.answer if step.is_right else Text(step.answer, style="bold red"))
    return table


def _conclusion(result: DemoResult) -> Iterable[Text]:
    problems = result.problems()
    yield from [Text(f"NOT SHOWN: {problem}", style="bold red") for problem in problems]
    if not problems:
        yield Text("All digests are equal, and verification of every stored byte found it sound:", style="green")
        yield from [Text(f"  {line}") for cluster in result.clusters for line in _in_short(cluster)]
    yield Text(f"The store is kept: {result.root} ({result.disk_bytes / 1024:,.0f} KiB on disk)")
    yield Text(f"Its key lies outside: {result.key_file}")
    if is_own_folder(result.root):
        yield Text(f"Each run keeps a folder of its own; this one goes with: rm -r {shlex.quote(str(result.root.parent))}")
    yield Text("Look around:")
    yield from [Text(f"  {command}") for command in result.commands]


def _in_short(cluster: ClusterResult) -> Iterable[str]:
    """What the demonstration is for, in a line each: nothing that was acknowledged is lost, and both ways to a state lead to the same."""
    rows = {each.moment: each for each in cluster.comparisons}
    pairs = (
        (ACKNOWLEDGED, (WRITER, ACKNOWLEDGED), (CHECKPOINT, "after recovery")),
        (AT_THE_END, (CHECKPOINT, "from checkpoint"), (FLOOR, "from the history floor")),
    )
    for moment, (source, name), (other, other_name) in pairs:
        if moment in rows:
            digests = rows[moment].digests
            left, right = f"{name} {digests[source][:DIGEST_LENGTH]}", f"{other_name} {digests[other][:DIGEST_LENGTH]}"
            yield f"{cluster.cluster} at LSN {rows[moment].lsn:,}: {left} = {right}"


def _is_equal(comparison: Comparison) -> bool:
    return comparison.is_equal


def _equal(is_equal: bool, word: str = "") -> Text:
    return Text(word or ("yes" if is_equal else "NO"), style="green" if is_equal else "bold red")
