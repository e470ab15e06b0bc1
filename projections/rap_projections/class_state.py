"""The shape every strict and sync class shares: one immutable view, folds that replace it, and the value a checkpoint keeps.

Rules this file keeps:

- A class's whole state is one named tuple, its view. A step of a fold is a pure function from view to view, so a reader may keep
  any view it was given, and taking one costs nothing.
- Provenance is derived, never written by hand: a field's LSN is that of the event that last gave it another value. Entries of a
  mapping that have a `provenance` field of their own get one the same way.
- A class reset makes the same state whatever came before it, so that a replay that still has the lost past and one that has not
  agree. What must outlive a reset (floors, time used up) is written after it, in events of its own and in the same batch.
- The checkpoint value is made of arrays, in one order, and read back by the types of the view: a value that does not fit raises
  `DamageError`.

Example::

    class SeenView(NamedTuple):
        times: int = 0
        provenance: Mapping[str, int] = NOTHING

    FOLDS = folds({Seen: lambda before, event, record: before._replace(times=before.times + 1)}, after_reset=SeenView())
    empty, to_value, from_value, view = shape(SeenView())

    state = empty()
    FOLDS[Seen](state, Seen(), record, documents)
    assert view(state).provenance == {"times": record.lsn}
"""

import types
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from rap_journal.errors import DamageError
from rap_journal.records import Record
from rap_projections.documents import Documents
from rap_projections.event_kinds import Event
from rap_projections.lifecycle import ClassReset

View = TypeVar("View", bound=tuple[Any, ...])
Entry = TypeVar("Entry")
Key = TypeVar("Key", str, bytes)

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""The empty mapping, which is also the default of every mapping field of a view."""


class ClassState(Generic[View]):
    """The current view of one class. The fold owns it; everybody else takes `view`, which never changes."""

    __slots__ = ("view",)

    def __init__(self, view: View) -> None:
        self.view = view


Step = Callable[[Any, Any, Record], Any]
"""One step: (view, event, record) -> view. Pure; integers only; frozen per (kind, version)."""

DocumentStep = Callable[[Any, Any, Record, Documents], Any]
"""A step that also looks at the documents its event names."""

Fold = Callable[[ClassState[View], Any, Record, Documents], None]
"""One step applied: (state, event, record, documents), which replaces `state.view`."""


class Shape(NamedTuple, Generic[View]):
    """The functions every class module has: its first state, and the ways to a checkpoint value, back, and to its view."""

    empty: Callable[[], ClassState[View]]
    to_value: Callable[[ClassState[View]], Any]
    from_value: Callable[[Any], ClassState[View]]
    view: Callable[[ClassState[View]], View]


def shape(first: View) -> Shape[View]:
    """The functions of the class whose state starts as `first`; `from_value` raises `DamageError` for what is no such state."""
    return Shape(
        empty=lambda: ClassState(first),
        to_value=lambda state: packed(state.view),
        from_value=lambda value: ClassState(unpacked(type(first), value)),
        view=lambda state: state.view,
    )


def folds(
    steps: Mapping[type, Step], *, after_reset: View, reading_documents: Mapping[type, DocumentStep] = NOTHING
) -> dict[type, Fold[View]]:
    """The folds of a class from its steps; `after_reset` is the view a class reset leaves."""

    def plain(step: Step) -> Fold[View]:
        def fold(state: ClassState[View], event: Event, record: Record, documents: Documents) -> None:
            state.view = stamped(state.view, step(state.view, event, record), record.lsn)

        return fold

    def reading(step: DocumentStep) -> Fold[View]:
        def fold(state: ClassState[View], event: Event, record: Record, documents: Documents) -> None:
            state.view = stamped(state.view, step(state.view, event, record, documents), record.lsn)

        return fold

    def reset(state: ClassState[View], event: Event, record: Record, documents: Documents) -> None:
        state.view = _all_from(after_reset, record.lsn)

    made = {kind: plain(step) for kind, step in steps.items()} | {kind: reading(step) for kind, step in reading_documents.items()}
    return {**made, ClassReset: reset}


def with_entry(mapping: Mapping[Key, Entry], key: Key, entry: Entry) -> Mapping[Key, Entry]:
    """`mapping` with `entry` at `key`."""
    return MappingProxyType({**mapping, key: entry})


def without(mapping: Mapping[Key, Entry], *keys: Key) -> Mapping[Key, Entry]:
    """`mapping` less `keys`; keys that are not there are ignored."""
    return MappingProxyType({key: entry for key, entry in mapping.items() if key not in keys})


def stamped(before: View, after: View, lsn: int) -> View:
    """`after`, with `lsn` as the provenance of every field in which it differs from `before`, and of every such field of its entries."""
    fields: list[Any] = []
    noted = dict(_provenance(before))
    for name, old, new in zip(_fields(after), before, after, strict=True):
        # Every mapping of a view is a proxy: asking for that is much sooner answered than asking for a `Mapping`.
        is_changed_mapping = new is not old and isinstance(new, MappingProxyType) and name != "provenance"
        field = _stamped_entries(old, new, lsn) if is_changed_mapping else new
        if field is not old and name != "provenance" and field != old:
            noted[name] = lsn
        fields.append(MappingProxyType(noted) if name == "provenance" else field)
    return _made_like(after, fields)


def packed(value: Any) -> Any:
    """`value` as arrays of integers, texts, byte strings and booleans; mappings as pairs sorted by key."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return tuple([packed(item) for item in value])
    if isinstance(value, Mapping):
        return tuple([(key, packed(value[key])) for key in sorted(value)])
    return value


def unpacked(kind: type[Entry], value: Any) -> Entry:
    """The `kind` that `packed` made `value` of. Raises `DamageError` when it does not fit."""
    try:
        return cast(Entry, _reader(cast(Hashable, kind))(value))
    except (TypeError, ValueError) as error:
        raise DamageError(
            f"a checkpoint does not hold a {kind.__name__}; nothing was taken from it. Recovery goes on with an older one.",
            reason="checkpoint_shape",
        ) from error


def _fields(view: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = view._fields
    return names


def _provenance(view: Any) -> Mapping[str, int]:
    provenance: Mapping[str, int] = view.provenance
    return provenance


def _made_like(view: View, fields: list[Any]) -> View:
    named: Any = type(view)
    made: View = named._make(fields)
    return made


def _with_provenance(view: View, fields: Mapping[str, Any], provenance: Mapping[str, int]) -> View:
    named: Any = view
    replaced: View = named._replace(**fields, provenance=MappingProxyType(provenance))
    return replaced


def _stamped_entries(old: Mapping[Any, Any], new: Mapping[Any, Any], lsn: int) -> Mapping[Any, Any]:
    return MappingProxyType({key: _stamped_entry(old.get(key), entry, lsn) for key, entry in new.items()})


def _stamped_entry(old: Any, new: Any, lsn: int) -> Any:
    if new is old or "provenance" not in getattr(new, "_fields", ()):
        return new
    return _all_from(new, lsn) if old is None else stamped(old, new, lsn)


def _all_from(view: View, lsn: int) -> View:
    names = [name for name in _fields(view) if name != "provenance"]
    fields = {name: _stamped_entries(NOTHING, field, lsn) for name in names if isinstance(field := getattr(view, name), Mapping)}
    return _with_provenance(view, fields, dict.fromkeys(names, lsn))


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """A function that reads one packed value of type `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return _union_reader([_reader(argument) for argument in arguments])
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is not None:
        key, entry = map(_reader, arguments)
        return lambda value: MappingProxyType({key(k): entry(v) for k, v in _array(value)})
    if issubclass(kind, tuple):
        return _view_reader(kind)
    if issubclass(kind, Enum):
        return cast(Callable[[Any], Any], kind)
    return lambda value: _exactly(kind, value)


def _union_reader(readers: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        for reader in readers:
            with suppress(TypeError, ValueError):
                return reader(value)
        raise TypeError("none of the types allowed here")

    return read


def _tuple_reader(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    readers = [_reader(argument) for argument in arguments if argument is not Ellipsis]
    if len(readers) < len(arguments):
        return lambda value: tuple([readers[0](item) for item in _array(value)])
    return lambda value: tuple([reader(item) for reader, item in zip(readers, _array(value), strict=True)])


def _view_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = [_reader(hints[name]) for name in kind._fields]
    return lambda value: kind._make([reader(item) for reader, item in zip(readers, _array(value), strict=True)])


def _array(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise TypeError("not an array")
    return value


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"not {kind.__name__}")
    return value
