"""State and events as plain values that JSON has, and as paths with the LSN that last set each.

Rules this file keeps:

- The bytes of a document are never shown: what stands for a kept document is where it is and how large.
- Byte strings become lower-case hex. Integers that a double cannot hold become texts.
- Mappings and named tuples become objects, in their own order; `provenance` is not shown among the fields but told of each place.

Example::

    plain(Version(1, 4)) == {"generation": 1, "version": 4}
    place = find(Place(("peers",), view.peers), ["node-17", "latency_us"])
    place.value, place.lsn
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from rap_journal.errors import MisuseError, NoSuchRecord
from rap_projections.stored_document import StoredDocument

EXACT_IN_DOUBLE = 1 << 53
"""Larger integers are not exact in programs whose numbers are doubles (RFC 8259, section 6)."""

COLLECTIONS = {
    "peers": "peers",
    "routes": "routes",
    "snapshots": "scopes",
    "services": "services",
    "updates": "subjects",
    "telemetry": "hints",
}
"""The mapping of each class that a path's KEY is looked up in; the other classes are one object each."""

PAIRS = frozenset({"class_digests", "limits", "settings"})
"""Fields that hold pairs of a name and its value; a list of two of any other field is just that."""

NAMES_SHOWN_MAX = 8


def plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if isinstance(value, int):
        return value if -EXACT_IN_DOUBLE <= value <= EXACT_IN_DOUBLE else str(value)
    if isinstance(value, str | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, StoredDocument):
        return document_reference(value)
    if hasattr(value, "_fields"):
        return {name: plain(getattr(value, name)) for name in value._fields if name != "provenance"}
    if isinstance(value, Mapping):
        return {key_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | array):
        return [plain(item) for item in value]
    return str(value)


def value_text(value: Any, *, has_pairs: bool = False) -> str:
    """A plain value for people: yes and no, lists by commas; `has_pairs`: it is a list of pairs, shown as name=value."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{name}={value_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_part_text(part, has_pairs) if isinstance(part, list) else value_text(part) for part in value) or "none"
    return str(value) or "-"


def _part_text(parts: list[Any], is_pair: bool) -> str:
    if is_pair and len(parts) == 2 and not isinstance(parts[0], list):
        return f"{parts[0]}={value_text(parts[1])}"
    return f"[{value_text(parts) if parts else ''}]"


def document_reference(stored: StoredDocument) -> dict[str, Any]:
    """Where a kept document is: its file (None where the event alone holds it), its size, and whether the event has a copy."""
    return {"file": stored.file_id.hex() or None, "size": stored.size, "has_copy_in_event": bool(stored.inline)}


def key_text(key: Any) -> str:
    """A key of a mapping, as paths and objects show it."""
    if isinstance(key, bytes):
        return key.hex()
    if isinstance(key, Enum):
        return str(plain(key))
    if isinstance(key, tuple):
        return "/".join(key_text(part) for part in key)
    return str(key)


class NoSuchPath(NoSuchRecord):
    """Raised when a path leads nowhere; `up_to` is the part of it that leads somewhere."""

    def __init__(self, message: str, *, up_to: str) -> None:
        super().__init__(message, reason="no_such_path")
        self.up_to = up_to


class Place(NamedTuple):
    """A value in a state.

    Attributes:
        path: class, key and field, decoded.
        value: what stands there.
        lsn: LSN of the record that last set it, or None where that is not known.
    """

    path: tuple[str, ...]
    value: Any
    lsn: int | None = None


def parse_path(text: str) -> tuple[str, ...]:
    """The parts of CLASS/KEY/FIELD, percent-decoded. Raises `MisuseError` for an empty part."""
    parts = tuple(unquote(part, errors="strict") for part in text.strip("/").split("/"))
    if not all(parts):
        raise MisuseError(f"{text!r:.80} has an empty part; nothing was read. A path is CLASS/KEY/FIELD.", reason="bad_path")
    return parts


def path_text(path: Sequence[str]) -> str:
    """A path as it is written on the command line: percent-encoded, joined by slashes."""
    return "/".join(quote(part, safe=":@+") for part in path)


def find(start: Place, parts: Sequence[str]) -> Place:
    """The place that `parts` lead to from `start`. Raises `NoSuchPath`, naming what there is instead."""
    place, rest = start, list(parts)
    while rest:
        # A key that holds slashes, such as a route's "node-42/interactive", may be written as it is.
        lengths = range(1, len(rest) + 1)
        step = next(
            ((found, length) for length in lengths if (found := _child(place, "/".join(rest[:length]))) is not None), None
        )
        if step is None:
            raise _no_such(place, rest[0])
        place, rest = step[0], rest[step[1] :]
    return place


def children(place: Place) -> Iterator[Place]:
    """The places right below `place`; none where it is a single value."""
    value = place.value
    if isinstance(value, StoredDocument):
        for name, part in document_reference(value).items():
            yield Place((*place.path, name), part, place.lsn)
    elif hasattr(value, "_fields"):
        own = _own_lsn(value, place.lsn)
        provenance: Mapping[str, int] = getattr(value, "provenance", {})
        for name in value._fields:
            if name not in ("provenance", "lsn"):
                yield Place((*place.path, name), getattr(value, name), provenance.get(name, own))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield Place((*place.path, key_text(key)), item, _own_lsn(item, place.lsn))
    elif isinstance(value, list | tuple) and any(hasattr(item, "_fields") for item in value):
        for index, item in enumerate(value):
            yield Place((*place.path, str(index)), item, _own_lsn(item, place.lsn))


def leaves(place: Place) -> Iterator[Place]:
    """Every single value at and below `place`. An empty collection is a single value."""
    is_single = True
    for child in children(place):
        is_single = False
        yield from leaves(child)
    if is_single:
        yield place


def _child(place: Place, name: str) -> Place | None:
    value = place.value
    if isinstance(value, Mapping):
        return _entry(place, value, name)
    found = next((child for child in children(place) if child.path[-1] == name), None)
    if found is None and len(place.path) == 1 and (collection := COLLECTIONS.get(place.path[0])):
        return _entry(place, getattr(value, collection), name)
    return found


def _entry(place: Place, mapping: Mapping[Any, Any], name: str) -> Place | None:
    key = name if name in mapping else next((key for key in mapping if key_text(key) == name), None)
    if key is None:
        return None
    item = mapping[key]
    return Place((*place.path, name), item, _own_lsn(item, place.lsn))


def _own_lsn(value: Any, otherwise: int | None) -> int | None:
    """The LSN that a value carries in a field of that name."""
    own = getattr(value, "lsn", None) if hasattr(value, "_fields") else None
    return own if isinstance(own, int) else otherwise


def _no_such(place: Place, name: str) -> NoSuchPath:
    names = [child.path[-1] for child in islice(children(place), 1000)]
    if len(place.path) == 1 and (collection := COLLECTIONS.get(place.path[0])):
        names += [key_text(key) for key in islice(getattr(place.value, collection), 1000)]
    near = get_close_matches(name, names, NAMES_SHOWN_MAX) or names[:NAMES_SHOWN_MAX]
    there = f"There is {', '.join(near)}{', …' if len(names) > len(near) else ''}." if near else "It is a single value."
    return NoSuchPath(f"{path_text((*place.path, name))} is not in this state. {there}", up_to=path_text(place.path))
