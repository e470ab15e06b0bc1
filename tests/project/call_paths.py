"""Finds what a call in the spec map stands for, without an instance: by the annotations that callers and type checkers go by.

Rules this file keeps:

- A name counts as present when its class has it, as method, property or annotated attribute; attributes that only a
  constructor sets have no type to go on from, and count as absent.
- What follows a dot is looked up in the return type of a method or property; `[]` behind a name stands for the values of a mapping,
  or for the items of another collection.
"""

import functools
import importlib
import inspect
import types
import typing
from typing import Any


class Unresolved(LookupError):
    """Raised when a path names something that does not exist."""


def resolve_place(path: str) -> Any:
    """The object at `module:Name.attribute`, or the module where no name follows."""
    module, _, names = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Unresolved(f"{path}: there is no module {error.name}") from error
    for name in filter(None, names.split(".")):
        if not hasattr(found, name):
            raise Unresolved(f"{path}: there is no {name}")
        found = getattr(found, name)
    return found


def require_member(owner: type, names: list[str]) -> None:
    """Follow `names` from the class `owner`; raises `Unresolved` at the first that is not there."""
    for name in names[:-1]:
        owner = member_type(owner, name)
    _member(owner, names[-1])


def member_type(owner: type, name: str) -> type:
    """The class of the attribute `name` of `owner`, or of what the method of that name returns; with `[]`, of what that holds."""
    plain = name.removesuffix("[]")
    hint, place = _hint(owner, plain), f"{owner.__name__}.{plain}"
    if plain == name:
        return _plain_class(hint, place)
    held = [argument for argument in typing.get_args(_without_none(hint)) if argument is not ...]
    if not held:
        raise Unresolved(f"{place} is no collection: its annotation is {hint!r}")
    return _plain_class(held[-1], place)


def _hint(owner: type, name: str) -> Any:
    """The annotation of an attribute, or of what a method returns."""
    member = _member(owner, name)
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    getter = getattr(member, "fget", None) or (member.func if isinstance(member, functools.cached_property) else member)
    if inspect.isfunction(getter):
        return typing.get_type_hints(getter).get("return")
    return typing.get_type_hints(owner).get(name)


def public_names(owner: type) -> set[str]:
    """Every name of `owner` that a caller may use."""
    annotated = {name for base in owner.__mro__ for name in inspect.get_annotations(base)}
    return {name for name in annotated | set(dir(owner)) if not name.startswith("_")}


def _member(owner: type, name: str) -> Any:
    if name not in public_names(owner):
        raise Unresolved(f"{owner.__name__} has no {name}")
    return inspect.getattr_static(owner, name, None)


def _without_none(hint: Any) -> Any:
    """The one alternative that is not None, where there is one."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        alternatives = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        return alternatives[0] if len(alternatives) == 1 else hint
    return hint


def _plain_class(hint: Any, place: str) -> type:
    hint = _without_none(hint)
    hint = typing.get_origin(hint) or hint
    if not isinstance(hint, type) or hint is type(None):
        raise Unresolved(f"{place} has no class to go on from: its annotation is {hint!r}")
    return hint
