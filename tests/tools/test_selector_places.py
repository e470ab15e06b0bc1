"""A selector finds its place in a history, says so where there is none, and never guesses where there are several."""

from collections.abc import Iterator, Sequence

import pytest

from rap_journal.errors import HistoryGone, MisuseError, NoSuchRecord
from rap_tools.selector_places import AmbiguousSelector, Places, Span, Stamp
from rap_tools.selector_syntax import parse_selector
from rap_tools.times import rfc3339

SECOND = 1_000_000
START = 1_800_000_000 * SECOND


class Story:
    """A timeline told by a test: records a second apart, unless the clock is set or the machine reboots."""

    cluster = "lab"

    def __init__(self, *, oldest_lsn: int = 0, first_lsn: int = 1) -> None:
        self.oldest_lsn = oldest_lsn
        self._stamps: list[Stamp] = []
        self._lsn, self._wall, self._boot, self._boots = first_lsn, START, 0, 1
        self.checkpoint_lsns: Sequence[int] = (0,)
        self.activation_lsns: dict[str, list[int]] = {}

    @property
    def horizon_lsn(self) -> int:
        return self._stamps[-1].last_lsn if self._stamps else 0

    def records(self, count: int, *, rows: int = 1) -> "Story":
        for _ in range(count):
            boot_id = bytes([self._boots]) * 16
            self._stamps.append(Stamp(self._lsn, self._lsn + rows - 1, self._wall, self._boot, boot_id))
            self._lsn += rows
            self._wall += SECOND
            self._boot += SECOND
        return self

    def set_clock(self, seconds: float) -> "Story":
        self._wall += round(seconds * SECOND)
        return self

    def reboot(self) -> "Story":
        self._boots, self._boot = self._boots + 1, 0
        return self

    def shuffle_last(self) -> "Story":
        """The last record was made a little before the one in front of it."""
        last = self._stamps[-1]
        self._stamps[-1] = last._replace(wall_us=last.wall_us - 1_100_000, boot_us=last.boot_us - 1_100_000)
        return self

    def now_us(self) -> int:
        return START + 100 * SECOND

    def stamps(self) -> Iterator[Stamp]:
        return iter(self._stamps)

    def checkpoints(self) -> Sequence[int]:
        return self.checkpoint_lsns

    def activations(self, scope: str) -> Sequence[int]:
        return self.activation_lsns.get(scope, [])


def span(story: Story, text: str) -> Span:
    return Places(story).span(parse_selector(text))


def moment(story: Story, text: str) -> int:
    return Places(story).moment(parse_selector(text))


def at(seconds: float) -> str:
    return rfc3339(START + round(seconds * SECOND))


@pytest.mark.parametrize(
    ("text", "lsn"), [("@1", 1), ("@10", 10), ("lab@7", 7), ("HEAD", 10), ("HEAD~3", 7), ("HEAD~10", 0), ("@0", 0)]
)
def test_an_lsn_is_the_place_itself(text: str, lsn: int) -> None:
    assert span(Story().records(10), text) == Span(lsn, lsn)


@pytest.mark.parametrize("text", ["@11", "HEAD~11"])
def test_an_lsn_that_never_was_selects_nothing(text: str) -> None:
    with pytest.raises(NoSuchRecord, match="lab"):
        span(Story().records(10), text)


def test_another_clusters_selector_is_refused() -> None:
    with pytest.raises(MisuseError, match="another cluster than lab"):
        span(Story().records(10), "other@3")


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (0, Span(1, 1)),
        (4, Span(5, 5)),
        (4.5, Span(6, 5)),
        (9, Span(10, 10)),
        (99, Span(11, 10)),
        (-1, Span(1, 0)),
    ],
)
def test_a_time_is_the_last_record_not_after_it_and_the_first_not_before_it(seconds: float, found: Span) -> None:
    assert span(Story().records(10), at(seconds)) == found


def test_a_time_within_a_columnar_record_takes_all_its_rows() -> None:
    assert span(Story().records(3, rows=4), at(1)) == Span(5, 8)


def test_now_and_end_are_reckoned_from_now_and_from_the_last_record() -> None:
    story = Story().records(10)
    assert moment(story, "now-95s") == 6
    assert moment(story, "end-4s") == 6
    assert moment(story, "end") == 10


def test_a_time_that_the_clock_showed_twice_lists_both_places() -> None:
    story = Story().records(10).set_clock(-5).records(10)
    with pytest.raises(AmbiguousSelector) as caught:
        span(story, at(7))
    assert caught.value.candidates == ("lab@8", "lab@13")
    assert caught.value.exit_code == 2
    assert at(7)[:23] in str(caught.value)


@pytest.mark.parametrize(("seconds", "last"), [(3, 4), (12, 18), (14, 20)])
def test_beside_the_doubled_hours_a_time_is_one_place(seconds: int, last: int) -> None:
    assert span(Story().records(10).set_clock(-5).records(10), at(seconds)).last == last


def test_a_clock_set_forward_makes_no_time_ambiguous() -> None:
    story = Story().records(10).set_clock(3600).records(10)
    assert span(story, at(1800)) == Span(11, 10)


def test_a_clock_set_back_over_a_reboot_counts_as_well() -> None:
    with pytest.raises(AmbiguousSelector):
        span(Story().records(10).reboot().set_clock(-5).records(10), at(7))


def test_records_slightly_out_of_order_make_no_time_ambiguous() -> None:
    story = Story().records(5).shuffle_last()
    assert span(story, at(2.95)).last == 3
    assert span(story, at(3)).last == 5


def test_three_places_are_three_candidates() -> None:
    story = Story().records(10).set_clock(-9).records(10).set_clock(-9).records(10)
    with pytest.raises(AmbiguousSelector) as caught:
        span(story, at(4.5))
    assert len(caught.value.candidates) == 3


def test_a_boot_is_all_its_records() -> None:
    story = Story().records(4).reboot().records(3).reboot().records(2)
    found = {text: span(story, text) for text in ("boot:0", "boot:-1", "boot:-2", "boot:1", "boot:3")}
    assert found == {
        "boot:0": Span(8, 9), "boot:-1": Span(5, 7), "boot:-2": Span(1, 4), "boot:1": Span(1, 4), "boot:3": Span(8, 9),
    }  # fmt: skip


def test_a_checkpoint_is_counted_from_either_end() -> None:
    story = Story().records(20)
    story.checkpoint_lsns = (0, 5, 15)
    found = [moment(story, text) for text in ("checkpoint:-1", "checkpoint:-2", "checkpoint:-3", "checkpoint:1", "checkpoint:3")]
    assert found == [15, 5, 0, 0, 15]


def test_an_activation_is_counted_back_from_the_one_in_force() -> None:
    story = Story().records(20)
    story.activation_lsns = {"routes": [3, 9, 14]}
    assert [moment(story, text) for text in ("active:routes", "active:routes~1", "active:routes~2")] == [14, 9, 3]


@pytest.mark.parametrize("text", ["boot:-3", "boot:4", "checkpoint:-2", "checkpoint:2", "active:routes", "active:peers~1"])
def test_more_than_there_are_selects_nothing(text: str) -> None:
    with pytest.raises(NoSuchRecord):
        span(Story().records(4).reboot().records(3).reboot().records(2), text)


def test_a_moment_before_the_floor_is_gone() -> None:
    story = Story(oldest_lsn=100, first_lsn=90).records(30)
    with pytest.raises(HistoryGone) as caught:
        moment(story, "@99")
    assert caught.value.oldest_lsn == 100
    assert moment(story, "@100") == 100


def test_a_moment_before_the_first_record_is_none_or_gone() -> None:
    with pytest.raises(NoSuchRecord, match="no record is that old"):
        moment(Story().records(5), at(-1))
    with pytest.raises(HistoryGone):
        moment(Story(oldest_lsn=100, first_lsn=90).records(30), at(-1))


def test_an_empty_history_has_no_end() -> None:
    with pytest.raises(NoSuchRecord, match="there is no record"):
        span(Story(), "end-5min")
    assert moment(Story(), "HEAD") == 0
