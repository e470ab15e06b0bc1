"""The log can be read from either end, and tells of what is absent."""

from collections.abc import Iterator

import pytest

from rap_projections.lifecycle import Note
from rap_tools.frame_reading import FrameLine
from rap_tools.log_reading import Absent, Batch, Item, LogFilter, backward, collapsed, newest
from tests.tools.event_kit import entries, observed


class Frames:
    """A log of frames of three LSNs each, of which some are absent."""

    def __init__(self, last: int, *, absent: tuple[int, ...] = ()) -> None:
        self.horizon_lsn = last
        self._firsts = [first for first in range(1, last, 3) if first not in absent]
        self._absent = absent
        self.reads: list[tuple[int, int]] = []

    def forward(self, first: int, last: int) -> Iterator[Item]:
        self.reads.append((first, last))
        for start in range(1, self.horizon_lsn, 3):
            if start + 2 >= first and start <= last:
                yield Absent(start, start + 2) if start in self._absent else FrameLine("s", 0, 10, start, start + 2, False, ())

    def refresh(self, *, live: bool) -> None:
        raise AssertionError


def firsts(items: Iterator[Item] | list[Item]) -> list[int]:
    return [item.first_lsn for item in items if isinstance(item, FrameLine | Absent)]


@pytest.mark.parametrize("last", [3, 300, 30_000])
def test_backward_is_forward_the_other_way_round(last: int) -> None:
    source = Frames(last)
    assert firsts(backward(source, 1, last)) == firsts(source.forward(1, last))[::-1]


def test_the_newest_few_are_found_without_reading_all() -> None:
    source = Frames(300_000)
    assert firsts(newest(source, 1, 300_000, 2)) == [299_995, 299_998]
    assert source.reads == [(295_905, 300_000)]


def test_what_is_absent_comes_on_top_of_the_newest() -> None:
    assert firsts(newest(Frames(30, absent=(25,)), 1, 30, 2)) == [22, 25, 28]


def test_fewer_than_asked_for_is_all_there_is() -> None:
    assert len(newest(Frames(9), 1, 9, 50)) == 3
    assert newest(Frames(9), 10, 9, 50) == []


def test_an_open_filter_lets_everything_pass() -> None:
    assert LogFilter().is_open
    assert not LogFilter(kinds=frozenset({1})).is_open
    line = FrameLine("s", 0, 10, 1, 3, False, ("peers", "routes"))
    assert LogFilter().accepts_frame(line)
    assert LogFilter(classes=frozenset({"routes"})).accepts_frame(line)
    assert not LogFilter(classes=frozenset({"trust"})).accepts_frame(line)


NOTE = entries(Note("x"))[0]
FIRST, SECOND = (
    observed(1000, 2000, 3000),
    [row._replace(lsn=row.lsn + 3, record=row.record._replace(lsn=10)) for row in observed(4000, 5000)],
)


def told(*items: Item, but: tuple[int, ...] = ()) -> list[Item]:
    return list(collapsed(iter(items), but=but))


def test_rows_of_one_record_are_one_batch_and_records_stay_apart() -> None:
    assert told(NOTE, *FIRST, *SECOND, NOTE) == [NOTE, Batch(tuple(FIRST)), Batch(tuple(SECOND)), NOTE]


def test_a_batch_has_its_rows_from_the_oldest_on_whichever_way_the_log_is_read() -> None:
    (batch,) = told(*reversed(FIRST))
    assert batch == Batch(tuple(FIRST))
    assert (batch.first_lsn, batch.last_lsn) == (7, 9)


def test_a_single_row_and_what_is_no_row_stay_as_they_are() -> None:
    frame = FrameLine("s", 0, 10, 1, 3, False, ())
    assert told(FIRST[1], NOTE, NOTE, frame, Absent(4, 5)) == [FIRST[1], NOTE, NOTE, frame, Absent(4, 5)]


def test_rows_of_a_kind_that_is_asked_for_stay_as_they_are() -> None:
    assert told(*FIRST, NOTE, but=(70,)) == [*FIRST, NOTE]


def test_the_newest_few_are_counted_in_batches() -> None:
    class Rows(Frames):
        def forward(self, first: int, last: int) -> Iterator[Item]:
            yield from [NOTE._replace(lsn=6), *FIRST, *SECOND]

    assert newest(Rows(11), 1, 11, 2, collapsed) == [Batch(tuple(FIRST)), Batch(tuple(SECOND))]
    assert newest(Rows(11), 1, 11, 2) == SECOND
