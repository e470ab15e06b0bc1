"""The journal's own kinds, and the note."""

import pytest

from rap_journal.errors import MisuseError
from rap_journal.records import Category
from rap_journal.values import Durability
from rap_projections.event_kinds import kind_numbered
from rap_projections.lifecycle import NOTE_LENGTH_MAX, Note, decide_note


def test_a_note_is_kept_as_written() -> None:
    assert decide_note("before the change") == (Note("before the change"),)


@pytest.mark.parametrize("text", ["", "x" * (NOTE_LENGTH_MAX + 1)])
def test_an_empty_or_long_note_is_refused(text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        decide_note(text)
    assert caught.value.reason == "note_length"


def test_kinds_1_to_8_have_the_numbers_names_and_categories_of_the_format() -> None:
    kinds = [kind_numbered(number, 1) for number in range(1, 9)]
    assert [(kind.name, kind.state_class.name if kind.state_class else None, kind.category) for kind in kinds if kind] == [
        ("PolicyInForce", "health", Category.LIFECYCLE),
        ("RecoveryDone", "health", Category.LIFECYCLE),
        ("Note", "health", Category.NOTE),
        ("HistoryRetired", "health", Category.EVICTION),
        ("ClassReset", None, Category.LIFECYCLE),
        ("CheckpointWritten", "health", Category.LIFECYCLE),
        ("Opened", "agent", Category.LIFECYCLE),
        ("Closed", "agent", Category.LIFECYCLE),
    ]


def test_history_is_retired_durably_before_anything_goes() -> None:
    kind = kind_numbered(4, 1)
    assert kind and kind.durability is Durability.SYNC
