"""What a writing call answers, and the origin that holds for it: its own words, else those of the block around it."""

from contextvars import copy_context
from typing import Any

import pytest

from rap_journal.errors import MisuseError
from rap_projections.receipts import (
    CAUSES_MAX,
    LSN_MAX,
    NO_ORIGIN,
    TEXT_LENGTH_MAX,
    UNCHANGED,
    Origin,
    Receipt,
    because,
    check_word,
    origin_of,
)
from tests.projections.store_kit import ready, written


def test_the_answer_for_what_was_so_already_is_durable_and_names_no_event() -> None:
    assert Receipt(None, durable=True, changed=False) == UNCHANGED


def test_without_a_context_and_outside_any_block_nothing_is_said() -> None:
    assert origin_of({}, "a") == Origin((), None, None, "a")
    assert Origin() == NO_ORIGIN


@pytest.mark.parametrize("cause", [7, Receipt(7, durable=True, changed=True)])
def test_a_cause_is_an_lsn_or_the_receipt_that_has_one(cause: Receipt | int) -> None:
    assert origin_of({"cause": cause}, "a").causes == (7,)


@pytest.mark.parametrize("cause", [None, UNCHANGED, Receipt(None, durable=False, changed=True)])
def test_a_receipt_without_an_lsn_causes_nothing(cause: Receipt | None) -> None:
    assert origin_of({"cause": cause, "actor": "x"}, "a") == Origin((), "x", None, "a")


@pytest.mark.parametrize("cause", [0, -1, LSN_MAX + 1, True, 1.0, "7", Receipt(0, durable=True, changed=True)])
def test_what_is_no_lsn_is_no_cause(cause: Any) -> None:
    with pytest.raises(MisuseError) as caught:
        origin_of({"cause": cause}, "a")
    assert caught.value.reason == "bad_cause"


def test_the_highest_lsn_is_one() -> None:
    assert origin_of({"cause": LSN_MAX}, "a").causes == (LSN_MAX,)


def test_a_block_says_what_its_calls_do_not_say_themselves() -> None:
    with because("a", cause=1, actor="boss", trace_id="t-1"):
        assert origin_of({}, "a") == Origin((1,), "boss", "t-1", "a")
        assert origin_of({"actor": "clerk"}, "a") == Origin((1,), "clerk", "t-1", "a")
        assert origin_of({"cause": 2, "trace_id": "t-2"}, "a") == Origin((1, 2), "boss", "t-2", "a")
    assert origin_of({}, "a") == Origin(journal="a")


def test_blocks_add_up_and_the_same_cause_counts_once_as_the_newest() -> None:
    with because("a", cause=1), because("a", cause=2):
        assert origin_of({"cause": 1}, "a").causes == (2, 1)
        assert origin_of({"cause": 3}, "a").causes == (1, 2, 3)


def test_a_cause_of_one_journal_is_none_in_another_but_the_words_hold() -> None:
    with because("a", cause=1, actor="boss", trace_id="t-1"):
        assert origin_of({}, "b") == Origin((), "boss", "t-1", "b")
        with because("b", cause=9):
            assert origin_of({}, "b").causes == (9,)
            assert origin_of({}, "a").causes == ()
        assert origin_of({}, "a").causes == (1,)


def test_of_too_many_causes_the_newest_are_kept() -> None:
    def nested(lsn: int) -> tuple[int, ...]:
        if lsn > CAUSES_MAX + 3:
            return origin_of({}, "a").causes
        with because("a", cause=lsn):
            return nested(lsn + 1)

    assert nested(1) == tuple(range(4, CAUSES_MAX + 4))


def test_a_block_ends_with_an_error_too_and_one_that_is_misused_never_begins() -> None:
    with pytest.raises(KeyError), because("a", cause=1):
        raise KeyError
    with pytest.raises(MisuseError), because("a", actor=""):
        pytest.fail("the block began")
    assert origin_of({}, "a").causes == ()


def test_a_task_begun_in_a_block_keeps_its_origin() -> None:
    with because("a", cause=1):
        task = copy_context()
    assert task.run(origin_of, {}, "a").causes == (1,)
    assert origin_of({}, "a").causes == ()


@pytest.mark.parametrize("text", ["a", "ein Wort", "ü" * TEXT_LENGTH_MAX])
def test_a_word_is_taken(text: str) -> None:
    check_word("actor", text)
    assert origin_of({"actor": text, "trace_id": text}, "lab")[1:3] == (text, text)


@pytest.mark.parametrize("text", ["", "a" * (TEXT_LENGTH_MAX + 1), "a\nb", "\x1b[2J", "\u202e", b"a", 1, None])
def test_what_is_no_word_is_refused_by_the_name_the_caller_knows(text: object) -> None:
    with pytest.raises(MisuseError, match=r"^actor is not 1 to 64 printable characters; nothing was done") as caught:
        check_word("actor", text)
    assert caught.value.reason == "bad_actor"


def test_a_bad_trace_id_is_named_as_one() -> None:
    with pytest.raises(MisuseError) as caught:
        origin_of({"trace_id": "\0"}, "a")
    assert caught.value.reason == "bad_trace_id"


def test_what_a_block_says_is_in_the_journal() -> None:
    it = ready()
    first = it.cluster.note("first")
    with it.cluster.because(first, actor="boss", trace_id="t-1"):
        second = it.cluster.note("second")
    record = written(it, after=first.lsn or 0)[0]
    assert (record.lsn, record.causes, record.actor, record.trace_id) == (second.lsn, (first.lsn,), "boss", "t-1")
