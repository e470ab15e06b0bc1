"""Two ways of doing one thing, timed in turn: a call of the store, and the least that the machine must do for the same bytes.

Rules this file keeps:

- Both are called alternately, so that what else the machine does meets both alike.
- The ratio is made per block of neighbouring calls, median by median; the figure is the median of the blocks, beside their quartiles.
- Nothing here judges: a figure is printed beside its target, and a slow machine fails no build.

Example::

    def bench_append_256_bytes_durable(comparison):
        comparison.run(lambda: append(record), lambda: raw.append(frame), unit="us", calls=3000, ratio_max=1.4)
"""

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any, NamedTuple

from pytest_benchmark.fixture import BenchmarkFixture

BLOCKS = 25
"""Ratios that make up one figure, where there are enough calls for that many."""

UNITS = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}


class Target(NamedTuple):
    """What is aimed at; None where nothing is."""

    ratio_max: float | None = None
    seconds_max: float | None = None
    per_second_min: float | None = None


class Figure(NamedTuple):
    """What one comparison found.

    Attributes:
        name: name of the benchmark.
        unit: unit in which times are shown.
        ours_s: median time of one step of the store, seconds.
        raw_s: median time of one step of the baseline, seconds.
        ratio: median ratio of both.
        quartiles: first and third quartile of the ratio.
        things: how many events or calls one step handles.
        target: what is aimed at.
    """

    name: str
    unit: str
    ours_s: float
    raw_s: float
    ratio: float
    quartiles: tuple[float, float]
    things: int
    target: Target

    @property
    def per_second(self) -> float:
        """Events or calls per second."""
        return self.things / self.ours_s

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        aims = (
            self.target.ratio_max is None or self.ratio <= self.target.ratio_max,
            self.target.seconds_max is None or self.ours_s <= self.target.seconds_max,
            self.target.per_second_min is None or self.per_second >= self.target.per_second_min,
        )
        return all(aims) if any(aim is not None for aim in self.target) else None


class Comparison:
    """What a benchmark gets: `run` times it. Without measuring, each way is gone once."""

    def __init__(self, benchmark: BenchmarkFixture, name: str, figures: list[Figure]) -> None:
        self._benchmark = benchmark
        self._name = name
        self._figures = figures

    @property
    def is_measured(self) -> bool:
        """Whether times are taken; else one small round is enough."""
        return bool(self._benchmark.enabled)

    def run(
        self,
        ours: Callable[[], Any],
        raw: Callable[[], Any],
        *,
        unit: str,
        rounds: int,
        warmup: int = 0,
        repeats: int = 1,
        things: int = 1,
        between: Callable[[], Any] | None = None,
        **target: float,
    ) -> None:
        """Time `ours` against `raw`.

        Args:
            ours, raw: one step each, called alternately.
            unit: a key of `UNITS`, for the table.
            rounds: how often each is called and timed.
            warmup: calls of each beforehand, which do not count.
            repeats: how often a step does its work inside, where once is too short to be timed; times are shown of one.
            things: events or calls that the work of one step handles, for the rate.
            between: called untimed before each step of ours.
            target: fields of `Target`.
        """
        raw_s: list[float] = []

        def before() -> None:
            start = time.perf_counter()
            raw()
            raw_s.append(time.perf_counter() - start)
            if between is not None:
                between()

        self._benchmark.pedantic(ours, setup=before, rounds=rounds, warmup_rounds=warmup)
        if self.is_measured:
            ours_s = list(self._benchmark.stats.stats.data)
            self._note(_figure(self._name, unit, ours_s, raw_s[-len(ours_s) :], repeats, things, Target(**target)))

    def _note(self, figure: Figure) -> None:
        self._figures.append(figure)
        self._benchmark.extra_info.update(
            raw_median_s=figure.raw_s,
            ours_median_s=figure.ours_s,
            ratio_median=figure.ratio,
            ratio_quartiles=list(figure.quartiles),
            per_second=figure.per_second,
            target={name: aim for name, aim in figure.target._asdict().items() if aim is not None},
            target_met=figure.is_met,
        )


def _figure(name: str, unit: str, ours_s: list[float], raw_s: list[float], repeats: int, things: int, target: Target) -> Figure:
    size = max(1, len(ours_s) // BLOCKS)
    starts = range(0, len(ours_s) - size + 1, size)
    ratios = [median(ours_s[start : start + size]) / median(raw_s[start : start + size]) for start in starts]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Figure(name, unit, median(ours_s) / repeats, median(raw_s) / repeats, median(ratios), (low, high), things, target)


def table(figures: list[Figure]) -> list[str]:
    """The figures as lines of text, one comparison a line."""
    head = ("benchmark", "store", "raw", "ratio", "quartiles", "per second", "target", "")
    rows = [head, *map(_row, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_line(row, widths) for row in rows]


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, *cells = row
    return "  ".join(
        [name.ljust(widths[0]), *[cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]]
    ).rstrip()


def _row(figure: Figure) -> tuple[str, ...]:
    factor, target = UNITS[figure.unit], figure.target
    aims = [
        f"ratio <= {target.ratio_max:g}" if target.ratio_max is not None else "",
        f"<= {target.seconds_max * factor:g} {figure.unit}" if target.seconds_max is not None else "",
        f">= {target.per_second_min:,.0f}/s" if target.per_second_min is not None else "",
    ]
    return (
        figure.name.removeprefix("bench_").replace("_", " "),
        f"{figure.ours_s * factor:,.2f} {figure.unit}",
        f"{figure.raw_s * factor:,.2f} {figure.unit}",
        f"{figure.ratio:,.2f}",
        f"{figure.quartiles[0]:,.2f} - {figure.quartiles[1]:,.2f}",
        f"{figure.per_second:,.0f}",
        ", ".join(filter(None, aims)),
        {True: "met", False: "missed", None: ""}[figure.is_met],
    )
