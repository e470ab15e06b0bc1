"""Hypothesis strategies for events, made from the types of their fields: any body that the format can carry.

Example::

    @given(histories(trust))
    def test_...(events): ...
"""

import types
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from rap_projections import services, updates
from rap_projections.documents import ArtifactReference, Body, ServiceAssignment
from rap_projections.event_kinds import Event
from rap_projections.lifecycle import ClassReset

TEXTS = st.sampled_from(["", "a", "b", "agent", "routes", "svc-a"])
BYTES = st.sampled_from([b"", b"a", b"b"])
NUMBERS = st.integers(0, 6) | st.integers(0, 1 << 62)

BODIES: dict[Any, dict[bytes, Body]] = {
    services: {
        b"": (),
        b"a": (ServiceAssignment("svc-a", "k", "1", "running", (), (), (), ()),),
        b"b": (
            ServiceAssignment("a", "k", "1", "running", (), (), (), ()),
            ServiceAssignment("svc-a", "k", "2", "stopped", (), (), (), ()),
        ),
    },
    updates: {
        b"": (),
        b"a": (ArtifactReference("agent", "1", 3, b"a", 1, "x", "all", 2),),
        b"b": (
            ArtifactReference("agent", "2", 4, b"b", 1, "x", "all", 3),
            ArtifactReference("svc-a", "1", 1, b"a", 1, "x", "all", 0),
        ),
    },
}
"""Documents for the classes whose folds read some."""


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    simple = {str: TEXTS, bytes: BYTES, int: NUMBERS, bool: st.booleans(), type(None): st.none()}
    if hint in simple:
        return simple[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return st.one_of([values(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    return named(hint)


@cache
def named(kind: Any) -> st.SearchStrategy[Any]:
    """Instances of a named tuple."""
    hints = get_type_hints(kind)
    return st.builds(kind, *[values(hints[name]) for name in kind._fields])


@cache
def events_of(module: Any) -> st.SearchStrategy[Event]:
    """Any event that the class folds; resets among them, but not often."""
    kinds = sorted((kind for kind in module.FOLDS if kind is not ClassReset), key=lambda kind: str(kind.__name__))
    often = [named(kind) for kind in kinds]
    return st.one_of(*often, named(ClassReset))


@cache
def histories(module: Any) -> st.SearchStrategy[list[Event]]:
    """Histories of a class, in any order, sensible or not."""
    return st.lists(events_of(module), max_size=25)
