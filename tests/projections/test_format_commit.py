"""One format level for a whole store: the store's marker first, every journal tried, and each opening in step again.

That a release before refuses what was committed, and every crash, is in `test_release`."""

import pytest

from rap_journal.errors import NoSpace, Poisoned
from rap_projections.format_commit import commit_format, keep_in_step


class Folders:
    """The store's marker."""

    def __init__(self, level: int, raised: list[str], failure: Exception | None = None) -> None:
        self._level = level
        self._raised = raised
        self._failure = failure

    def level(self) -> int:
        return self._level

    def raise_level(self, level: int) -> None:
        if self._failure is not None:
            raise self._failure
        self._raised.append(f"store {level}")
        self._level = max(self._level, level)


class Journal:
    """A journal with a level of its own."""

    def __init__(
        self, name: str, raised: list[str], *, level: int = 1, is_writable: bool = True, failure: Exception | None = None
    ) -> None:
        self.name = name
        self.format_level = level
        self.is_writable = is_writable
        self._raised = raised
        self._failure = failure

    def raise_level(self, level: int) -> None:
        if self._failure is not None:
            raise self._failure
        self._raised.append(f"{self.name} {level}")
        self.format_level = max(self.format_level, level)


NO_SPACE, POISONED = NoSpace("full", reason="no_space"), Poisoned("poisoned", reason="poisoned")


def test_the_stores_marker_comes_first_and_then_every_journal() -> None:
    raised: list[str] = []
    commit_format(Folders(1, raised), [Journal("agent", raised), Journal("lab", raised)], 2)  # type: ignore[arg-type]  # its part
    assert raised == ["store 2", "agent 2", "lab 2"]


def test_where_the_stores_marker_cannot_be_written_no_journal_is_touched() -> None:
    raised: list[str] = []
    with pytest.raises(NoSpace):
        commit_format(Folders(1, raised, NO_SPACE), [Journal("agent", raised)], 2)  # type: ignore[arg-type]  # its part
    assert raised == []


def test_every_journal_is_tried_and_the_first_error_is_raised() -> None:
    raised: list[str] = []
    journals = [
        Journal("agent", raised, failure=POISONED), Journal("lab", raised), Journal("eu", raised, failure=NO_SPACE),
        Journal("us", raised, failure=OSError("broken")),
    ]  # fmt: skip
    with pytest.raises(Poisoned) as caught:
        commit_format(Folders(1, raised), journals, 2)  # type: ignore[arg-type]  # its part
    assert caught.value is POISONED
    assert raised == ["store 2", "lab 2"]


@pytest.mark.parametrize(("store", "journal"), [(2, 1), (1, 2), (2, 2), (1, 1)])
def test_an_opening_brings_store_and_journal_to_the_higher_of_their_levels(store: int, journal: int) -> None:
    raised: list[str] = []
    folders, opened = Folders(store, raised), Journal("lab", raised, level=journal)
    keep_in_step(folders, opened)  # type: ignore[arg-type]  # its part
    assert folders.level() == opened.format_level == max(store, journal)


def test_a_journal_that_cannot_be_written_to_is_left_alone() -> None:
    raised: list[str] = []
    keep_in_step(Folders(2, raised), Journal("lab", raised, is_writable=False))  # type: ignore[arg-type]  # its part
    assert raised == []


def test_without_space_an_opening_leaves_it_to_the_next_one() -> None:
    raised: list[str] = []
    keep_in_step(Folders(2, raised), Journal("lab", raised, failure=NO_SPACE))  # type: ignore[arg-type]  # its part
    keep_in_step(Folders(1, raised, NO_SPACE), Journal("lab", raised, level=2))  # type: ignore[arg-type]  # its part
    assert raised == ["lab 1"]


def test_any_other_error_is_the_openings_to_meet() -> None:
    with pytest.raises(Poisoned):
        keep_in_step(Folders(2, []), Journal("lab", [], failure=POISONED))  # type: ignore[arg-type]  # its part
