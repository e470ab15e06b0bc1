"""Whether an event's fields are of the types that its class declares.

Rules this file keeps:

- What is written down can be read back: a value of another type would be folded, and then no checkpoint of its class could be read.
- A boolean is no number here, though Python takes it for one.
- A sequence of types that was found right is remembered, so that looking costs next to nothing.

Example::

    require_shape(ServiceReported("svc-a", "running", "1.0", ""))        # or MisuseError
"""

import types
from collections.abc import Sequence
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from rap_journal.errors import MisuseError
from rap_projections.event_kinds import Event

_right: set[tuple[type, ...]] = set()


def require_shape(event: Event) -> None:
    """Raise `MisuseError` where a field of `event` is of another type than declared; what stands in nested arrays is not looked at."""
    shape = (type(event), *map(type, event))
    if shape in _right:
        return
    for name, value, allowed in zip(event._fields, event, _allowed(type(event)), strict=True):  # type: ignore[attr-defined]  # a named tuple
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise MisuseError(
                f"{name} of {type(event).__name__} cannot be of type {type(value).__name__}; nothing was written.",
                reason=f"bad_{name}",
            )
    _right.add(shape)


@cache
def _allowed(event: type) -> tuple[tuple[type, ...], ...]:
    """The types that each field may have."""
    hints = get_type_hints(event)
    return tuple(_types_of(hints[name]) for name in event._fields)  # type: ignore[attr-defined]  # a named tuple


def _types_of(hint: Any) -> tuple[type, ...]:
    origin = get_origin(hint)
    if origin in (types.UnionType, Union):
        return tuple(kind for part in get_args(hint) for kind in _types_of(part))
    if origin in (Sequence, tuple, list) or (isinstance(hint, type) and issubclass(hint, tuple)):
        # An array, whatever Python calls it: on disk they are alike.
        return (tuple, list)
    assert isinstance(hint, type), hint
    return (hint,)
