"""The kinds of field a signed payload is made of: each reads a decoded CBOR value into a typed one, and writes it back.

Rules this file keeps:

- What is read is checked completely; the same field, written, gives the same bytes.
- Text is ASCII from a small set of characters, with a form of its own per kind of name: there is no free text, and no byte
  string but those of a fixed length and certificates (spec 5: no place for a credential).
- Collections that are sets are sorted by their id and hold each id once. Sequences, where order means something, say so.
- Records are maps with the keys 0, 1, 2 … in the order of the named tuple's fields, none missing and none more.

Example::

    peer = record(PeerEntry, id=NAME, endpoints=sorted_set(ENDPOINT, 0, 8))
    peer.read({0: "node-1", 1: []})       # PeerEntry(id="node-1", ...), or BadSchema with the place
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar, cast

from rap_projections.refusals import BadSchema

T = TypeVar("T")
Named = TypeVar("Named", bound=tuple[Any, ...])

COUNT_MAX = 2**53 - 1
"""Largest version, sequence or size: exact in every language's numbers."""

GENERATION_MAX = 2**32 - 1
TIME_MAX_S = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""

SPAN_MAX_S = 315_360_000
"""Longest duration: 3650 days."""


class Field(NamedTuple, Generic[T]):
    """How one kind of field is read (raising `BadSchema`) and written."""

    read: Callable[[Any], T]
    write: Callable[[T], Any]


def text(pattern: str, what: str) -> Field[str]:
    """ASCII text that `pattern` matches as a whole; `what` names it in refusals."""
    matches = re.compile(pattern, re.ASCII).fullmatch

    def read(value: Any) -> str:
        if type(value) is str and matches(value):
            return value
        raise BadSchema(f"not {what}")

    return Field(read, _same)


def integer(low: int, high: int) -> Field[int]:
    """An integer from `low` to `high`."""

    def read(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise BadSchema(f"not an integer from {low} to {high}")

    return Field(read, _same)


def octets(low: int, high: int) -> Field[bytes]:
    """A byte string of `low` to `high` bytes."""

    def read(value: Any) -> bytes:
        if type(value) is bytes and low <= len(value) <= high:
            return value
        raise BadSchema(f"not a byte string of {low if low == high else f'{low} to {high}'} bytes")

    return Field(read, _same)


def boolean() -> Field[bool]:
    """True or false."""

    def read(value: Any) -> bool:
        if type(value) is bool:
            return value
        raise BadSchema("neither true nor false")

    return Field(read, _same)


def optional(field: Field[T]) -> Field[T | None]:
    """`field`, or null."""
    return Field(
        lambda value: None if value is None else field.read(value),
        lambda value: None if value is None else field.write(value),
    )


def member(kind: type[Enum], base: Field[Any]) -> Field[Any]:
    """A member of an enumeration, by its value."""
    members: dict[Any, Enum] = {item.value: item for item in kind}

    def read(value: Any) -> Enum:
        found = members.get(base.read(value))
        if found is None:
            raise BadSchema("a value that this format does not know")
        return found

    return Field(read, lambda item: item.value)


def sequence(field: Field[T], low: int, high: int, *, unique: bool = False) -> Field[tuple[T, ...]]:
    """An array of `low` to `high` items whose order means something; with `unique`, none occurs twice."""

    def read(value: Any) -> tuple[T, ...]:
        items = _array(value, field, low, high)
        if unique and len(set(items)) != len(items):
            raise BadSchema("an item occurs twice")
        return items

    return Field(read, lambda items: [field.write(item) for item in items])


def sorted_set(field: Field[T], low: int, high: int, *, key: Callable[[T], Any] | None = None) -> Field[tuple[T, ...]]:
    """An array of `low` to `high` items, rising strictly by `key` (by the item itself if None)."""

    def read(value: Any) -> tuple[T, ...]:
        items = _array(value, field, low, high)
        keys: list[Any] = list(map(key, items)) if key else list(items)
        for index in range(1, len(keys)):
            if not keys[index - 1] < keys[index]:
                raise BadSchema("items that do not rise by id, or one id twice", place=f"[{index}]")
        return items

    return Field(read, lambda items: [field.write(item) for item in items])


def record(make: type[Named], *fixed: Any, **fields: Field[Any]) -> Field[Named]:
    """A map with one integer key per field of the named tuple `make`, in order from 0.

    The first fields of `make` are the `fixed` values, which are not in the map: the scope, which the document's header names.
    """
    readers = [(key, name, field.read) for key, (name, field) in enumerate(fields.items())]
    writers = [field.write for field in fields.values()]
    build: Callable[..., Named] = make
    names: tuple[str, ...] = cast(Any, make)._fields
    assert names[len(fixed) :] == tuple(fields), f"the fields of {make} are others"

    def read(value: Any) -> Named:
        return build(*fixed, *_values(value, readers))

    def write(item: Named) -> dict[int, Any]:
        return {key: part_of(part) for key, (part_of, part) in enumerate(zip(writers, item[len(fixed) :], strict=True))}

    return Field(read, write)


def pair(make: type[Named], *fields: Field[Any]) -> Field[Named]:
    """A short array with one item per field of the named tuple `make`."""
    build: Callable[..., Named] = make

    def read(value: Any) -> Named:
        if type(value) not in (list, tuple) or len(value) != len(fields):
            raise BadSchema(f"not an array of {len(fields)}")
        return build(*(field.read(item) for field, item in zip(fields, value, strict=True)))

    return Field(read, lambda item: [field.write(part) for field, part in zip(fields, item, strict=True)])


def checked(field: Field[T], check: Callable[[T], str | None]) -> Field[T]:
    """`field`, refused when `check` answers with what is wrong."""

    def read(value: Any) -> T:
        item = field.read(value)
        wrong = check(item)
        if wrong:
            raise BadSchema(wrong)
        return item

    return Field(read, field.write)


def _values(value: Any, readers: list[tuple[int, str, Callable[[Any], Any]]]) -> list[Any]:
    if type(value) is not dict or len(value) != len(readers) or not all(key in value for key, _, _ in readers):
        raise BadSchema(f"not a map with exactly the keys 0 to {len(readers) - 1}")
    values: list[Any] = []
    name = ""
    try:
        for key, name, read in readers:  # noqa: B007 - `name` is what the handler below reports
            values.append(read(value[key]))
    except BadSchema as refusal:
        refusal.place = _join(name, refusal.place)
        raise
    return values


def _array(value: Any, field: Field[T], low: int, high: int) -> tuple[T, ...]:
    if type(value) not in (list, tuple) or not low <= len(value) <= high:
        raise BadSchema(f"not an array of {low} to {high} items")
    items: list[T] = []
    read = field.read
    try:
        for item in value:
            items.append(read(item))  # noqa: PERF401 - the handler below counts the items that were read
    except BadSchema as refusal:
        refusal.place = _join(f"[{len(items)}]", refusal.place)
        raise
    return tuple(items)


def _join(outer: str, inner: str | None) -> str:
    if not inner:
        return outer
    return outer + inner if inner.startswith("[") else f"{outer}.{inner}"


def _same(value: Any) -> Any:
    return value


NAME = text(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", "a name: 1 to 64 of a-z, 0-9 and inner . _ -")
"""An id: of a node, membership, role, route, service, channel, rollout."""

WORD = text(r"[a-z](?:[a-z0-9_]{0,30}[a-z0-9])?", "a word: 1 to 32 of a-z, 0-9 and inner _, a letter first")
"""A word of a vocabulary that the agent defines: an operation, a desired state."""

VERSION_TEXT = text(r"[0-9A-Za-z](?:[0-9A-Za-z.+_-]{0,62}[0-9A-Za-z])?", "a version: 1 to 64 letters, digits and inner . + _ -")

ENDPOINT = text(
    r"[a-z][a-z0-9]{0,15}://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:]{2,39}\]):[1-9][0-9]{0,4}",
    "an endpoint: protocol://host:port",
)
"""Where a node may be reached. It has no place for a user, a password, a path or a query."""

LOCATION = text(
    r"https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?(?:/[0-9A-Za-z][0-9A-Za-z._+-]{0,127}){1,16}",
    "a location: https://host/path",
)
"""Where an artifact may be fetched. It has no place for a user, a password or a query."""


def reference(*kinds: str) -> Field[str]:
    """A typed reference ``kind:id`` of one of the `kinds`."""
    return text(rf"(?:{'|'.join(kinds)}):[a-z0-9](?:[a-z0-9._-]{{0,62}}[a-z0-9])?", f"a reference {' or '.join(kinds)}:id")


DIGEST = octets(32, 32)
"""A SHA-256 digest: a content id, a kid, a fingerprint."""

RANDOM_ID = octets(16, 16)
VERSION_NUMBER = integer(1, COUNT_MAX)
GENERATION = integer(1, GENERATION_MAX)
TIME_S = integer(0, TIME_MAX_S)
SPAN_S = integer(0, SPAN_MAX_S)
YES_NO = boolean()
