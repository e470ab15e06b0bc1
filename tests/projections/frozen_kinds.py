"""The event kinds of a module as lines of text, to be compared with lines that stand in a test: what they say is on disks.

A line is ``number.version Name category durability: field, field``, and each field carries its sensitivity where that is not "open".

Example::

    assert kinds_of(trust_events) == unwrapped(FROZEN)
"""

import re
from types import ModuleType
from typing import Any, get_args, get_type_hints

from rap_projections.event_kinds import EventKind, all_kinds


def kinds_in(module: ModuleType) -> list[EventKind]:
    """The kinds that `module` defines, by number and version."""
    return [kind for kind in all_kinds() if kind.type.__module__ == module.__name__]


def kinds_of(module: ModuleType) -> list[str]:
    """A line for each kind that `module` defines."""
    return [_line(kind) for kind in kinds_in(module)]


def unwrapped(text: str) -> list[str]:
    """The lines of a text in which a line that begins with spaces goes on with the one before."""
    return re.sub(r"\n +", " ", text.strip()).splitlines()


def hints_in(module: ModuleType) -> dict[str, set[Any]]:
    """Kind and field, as "Kind.field", with every type that the field's annotation is made of."""
    return {f"{kind.name}.{name}": _parts(hint) for kind in kinds_in(module) for name, hint in get_type_hints(kind.type).items()}


def _line(kind: EventKind) -> str:
    fields = ", ".join(name if level == "open" else f"{name} ({level})" for name, level in kind.sensitivity.items())
    return f"{kind.number}.{kind.version} {kind.name} {kind.category.name.lower()} {kind.durability.name.lower()}: {fields}"


def _parts(hint: Any) -> set[Any]:
    return {hint} | {part for argument in get_args(hint) for part in _parts(argument)}
