"""The shared shape of the strict and sync classes: provenance, resets, and the checkpoint value."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

import pytest

from rap_journal.deterministic_cbor import decode, encode_arrays
from rap_journal.errors import DamageError
from rap_journal.records import Category, Record
from rap_projections.class_state import NOTHING, ClassState, folds, packed, shape, unpacked, with_entry, without
from rap_projections.lifecycle import ClassReset
from tests.projections.class_log import Bodies


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


class Box(NamedTuple):
    width: int
    height: int
    provenance: Mapping[str, int] = NOTHING


class Everything(NamedTuple):
    number: int = 0
    text: str = ""
    data: bytes | None = None
    colour: Colour = Colour.RED
    pair: tuple[int, str] = (0, "")
    settings: tuple[tuple[str, int | bool | tuple[str, ...]], ...] = ()
    boxes: Mapping[str, Box] = NOTHING
    by_key: Mapping[bytes, int] = NOTHING
    provenance: Mapping[str, int] = NOTHING


class Changed(NamedTuple):
    after: Everything


FULL = Everything(
    7, "seven", b"7", Colour.BLUE, (1, "one"), (("a", 1), ("b", True), ("c", ("x", "y"))),
    MappingProxyType({"b": Box(1, 2, MappingProxyType({"width": 3})), "a": Box(3, 4)}), MappingProxyType({b"k": 1}),
    MappingProxyType({"number": 9}),
)  # fmt: skip

FOLDS = folds({Changed: lambda before, event, record: event.after._replace(provenance=before.provenance)}, after_reset=FULL)


def record(lsn: int) -> Record:
    return Record(lsn, 1, 1, Category.DECISION, 1, 1, 0, 0, 0, b"", (), None, "", None, ())


def change(state: ClassState[Everything], after: Everything, lsn: int) -> None:
    FOLDS[Changed](state, Changed(after), record(lsn), Bodies({}))


def test_a_changed_field_has_the_lsn_of_its_event_and_the_others_keep_theirs() -> None:
    state = ClassState(Everything())
    change(state, Everything(number=1), 5)
    change(state, Everything(number=1, text="x"), 6)
    assert state.view.provenance == {"number": 5, "text": 6}


def test_a_field_set_to_the_value_it_has_keeps_its_lsn() -> None:
    state = ClassState(Everything())
    change(state, Everything(number=1), 5)
    change(state, Everything(number=1), 6)
    assert state.view.provenance == {"number": 5}


def test_an_entry_has_provenance_of_its_own() -> None:
    state = ClassState(Everything())
    first = with_entry(NOTHING, "a", Box(1, 1))
    change(state, Everything(boxes=first), 5)
    second = with_entry(with_entry(state.view.boxes, "a", state.view.boxes["a"]._replace(height=2)), "b", Box(0, 0))
    change(state, Everything(boxes=second), 6)
    assert state.view.boxes["a"].provenance == {"width": 5, "height": 6}
    assert state.view.boxes["b"].provenance == {"width": 6, "height": 6}
    assert state.view.provenance == {"boxes": 6}


def test_an_entry_built_afresh_with_the_same_values_keeps_its_provenance() -> None:
    state = ClassState(Everything())
    change(state, Everything(boxes=with_entry(NOTHING, "a", Box(1, 1))), 5)
    change(state, Everything(boxes=with_entry(NOTHING, "a", Box(1, 1))), 6)
    assert state.view.boxes["a"].provenance == {"width": 5, "height": 5}
    assert state.view.provenance == {"boxes": 5}


def test_a_reset_leaves_the_same_state_whatever_came_before() -> None:
    empty, used = ClassState(Everything()), ClassState(Everything())
    change(used, Everything(number=1, text="x"), 5)
    for state in (empty, used):
        FOLDS[ClassReset](state, ClassReset(1, 2, 4, "gap"), record(9), Bodies({}))
    assert empty.view == used.view
    assert set(empty.view.provenance.values()) == {9} and empty.view.boxes["a"].provenance == {"width": 9, "height": 9}


def test_a_view_that_was_handed_out_never_changes() -> None:
    state = ClassState(Everything())
    before = state.view
    change(state, Everything(boxes=with_entry(before.boxes, "a", Box(1, 1))), 5)
    assert before == Everything() and state.view is not before
    with pytest.raises(TypeError):
        state.view.boxes["b"] = Box(0, 0)  # type: ignore[index]  # the point of the test is that this is refused


def test_a_value_reads_back_as_the_view_it_was_made_of() -> None:
    stored = encode_arrays(packed(FULL))
    assert unpacked(Everything, decode(stored)) == FULL
    assert encode_arrays(packed(unpacked(Everything, decode(stored)))) == stored


def test_a_mapping_is_packed_in_the_order_of_its_keys() -> None:
    assert packed(FULL)[6] == (("a", (3, 4, ())), ("b", (1, 2, (("width", 3),))))


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        *[(0, "1"), (0, True), (1, b""), (2, 1), (3, "green"), (4, (1,)), (4, (1, "a", 2))],
        *[(5, (("a", b""),)), (6, 5), (6, (("a",),)), (7, (("a", 1),))],
    ],
)
def test_a_value_of_another_shape_is_damage(place: int, wrong: object) -> None:
    value = list(packed(FULL))
    value[place] = wrong
    with pytest.raises(DamageError, match="does not hold a Everything") as caught:
        unpacked(Everything, tuple(value))
    assert caught.value.reason == "checkpoint_shape"


def test_a_value_with_a_field_too_few_is_damage() -> None:
    with pytest.raises(DamageError):
        unpacked(Everything, packed(FULL)[:-1])


def test_a_shape_makes_reads_and_shows_states() -> None:
    empty, to_value, from_value, view = shape(Everything(number=3))
    assert view(empty()).number == 3
    assert view(from_value(to_value(ClassState(FULL)))) == FULL


def test_without_leaves_out_keys_and_ignores_strange_ones() -> None:
    assert without(FULL.boxes, "a", "z") == {"b": FULL.boxes["b"]}
