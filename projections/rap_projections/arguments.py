"""Whether what a caller gave is of a type that the call was made for.

Rules this file keeps:

- Type checkers find such slips first; at run time they are the caller's mistake like any other, and come out as `MisuseError`.
- A boolean is no number here, though Python takes it for one.

Example::

    require("document", document, bytes)
"""

from rap_journal.errors import MisuseError


def require(name: str, value: object, *kinds: type) -> None:
    """Raise `MisuseError` unless `value`, which the caller knows as `name`, is of one of `kinds`."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise MisuseError(f"{name} cannot be of type {type(value).__name__}; nothing was done.", reason=f"bad_{name}")


def require_optional(name: str, value: object, *kinds: type) -> None:
    """`require`, where None may be given, too."""
    if value is not None:
        require(name, value, *kinds)


def require_all(name: str, values: object, kind: type) -> None:
    """Raise `MisuseError` unless `values` is a list or tuple, every item of which is of `kind`."""
    require(name, values, list, tuple)
    for value in values:  # type: ignore[attr-defined]  # it is one of the two
        if not isinstance(value, kind):
            raise MisuseError(
                f"an item of {name} cannot be of type {type(value).__name__}; nothing was done.", reason=f"bad_{name}"
            )


def require_able(name: str, value: object, *members: str) -> None:
    """Raise `MisuseError` unless `value`, which stands for something with a door of its own, has all `members`."""
    if isinstance(value, type) or not all(hasattr(value, member) for member in members):
        raise MisuseError(
            f"{name} cannot be of type {type(value).__name__}, which lacks {' or '.join(members)}; nothing was done.",
            reason=f"bad_{name}",
        )


def require_callable(name: str, value: object) -> None:
    """Raise `MisuseError` unless `value` can be called."""
    if not callable(value):
        raise MisuseError(
            f"{name} cannot be of type {type(value).__name__}: it is called; nothing was done.", reason=f"bad_{name}"
        )
