"""Paths into a state: from CLASS/KEY/FIELD to a value, and from a value to its path and the LSN that last set it.

Rules this file keeps:

- Every value has one path, the shortest: peers/node-1/latency_us, snapshots/routes/active, routes/node-1/interactive/score. What is
  printed is such a path, percent-encoded, and leads back to the value it was printed for.
- A field of the class comes before a key of the same name; such a key has the name of its collection before it: peers/peers/version.
- A route's key is two parts, destination and channel; a destination alone selects all of its channels.
- A path that leads nowhere says what there is instead, the nearest first.

Example::

    place = find(Place(("peers",), view.peers), parse_path("node-17/latency_us"))
    place.value, place.lsn
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, get_type_hints
from urllib.parse import quote, unquote

from rap_journal.errors import MisuseError, NoSuchRecord
from rap_projections.cluster_view import ClusterView
from rap_projections.documents import Version
from rap_projections.stored_document import StoredDocument
from rap_tools.values import document_reference, key_text

COLLECTIONS = {
    "peers": "peers",
    "routes": "routes",
    "snapshots": "scopes",
    "services": "services",
    "updates": "subjects",
    "telemetry": "hints",
}
"""The mapping of each class that a path's KEY is looked up in; the other classes are one object each."""

_FIELDS = {name: kind._fields for name, kind in get_type_hints(ClusterView).items() if hasattr(kind, "_fields")}
"""The fields of each class, which come before keys of the same name."""

NEAREST_MAX = 5
NAMES_SHOWN_MAX = 10
_HIDDEN = ("provenance", "lsn")


class NoSuchPath(NoSuchRecord):
    """Raised when a path leads nowhere.

    Attributes:
        up_to: the part of it that leads somewhere, as a path; empty where none does.
        nearest: paths with a name that is like the wrong one, the nearest first.
    """

    def __init__(self, message: str, *, up_to: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(message, reason="no_such_path")
        self.up_to = up_to
        self.nearest = nearest


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


_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")


def parse_path(text: str) -> tuple[str, ...]:
    """The parts of CLASS/KEY/FIELD, percent-decoded. Raises `MisuseError` for an empty part, or for what is not UTF-8."""
    if broken := _BAD_ESCAPE.search(text):
        raise MisuseError(
            f"{text!r:.80} is not percent-encoded: {broken[0]!r} stands for no byte; nothing was read. A percent sign itself is %25.",
            reason="bad_path",
        )
    try:
        parts = tuple(unquote(part, errors="strict") for part in text.strip("/").split("/"))
    except UnicodeDecodeError as error:
        raise MisuseError(f"{text!r:.80} is not percent-encoded UTF-8; nothing was read.", reason="bad_path") from error
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
        # A key that holds slashes may be written as it is.
        lengths = range(1, len(rest) + 1)
        step = next(
            ((found, length) for length in lengths if (found := _child(place, "/".join(rest[:length]))) is not None), None
        )
        if step is None:
            raise no_such_path(place.path, rest[0], _names(place))
        place, rest = step[0], rest[step[1] :]
    return place


def children(place: Place) -> Iterator[Place]:
    """The places right below `place`, by their shortest paths; none where it is a single value."""
    value = place.value
    if isinstance(value, StoredDocument):
        for name, part in document_reference(value).items():
            yield Place((*place.path, name), part, place.lsn)
    elif hasattr(value, "_fields"):
        collection = _collection_of(place)
        for name in value._fields:
            if name not in _HIDDEN:
                field = _field(place, name)
                yield from children(field) if name == collection and field.value else (field,)
    elif isinstance(value, Mapping):
        yield from (_entry(place, key, item) for key, item in value.items())
    elif isinstance(value, list | tuple) and any(hasattr(item, "_fields") for item in value):
        for index, item in enumerate(value):
            yield Place((*place.path, str(index)), item, _own_lsn(item, place.lsn))


def leaves(place: Place) -> Iterator[Place]:
    """Every single value at and below `place`. An empty collection is a single value, and so is a version."""
    is_single = True
    for child in () if isinstance(place.value, Version) else children(place):
        is_single = False
        yield from leaves(child)
    if is_single:
        yield place


def no_such_path(path: tuple[str, ...], name: str, names: Sequence[str]) -> NoSuchPath:
    """What to say where `names` stand below `path`, and `name` does not."""
    like = [other for other in names if other.startswith(name)]
    near = list(dict.fromkeys([*like, *get_close_matches(name, names, NEAREST_MAX)]))[:NEAREST_MAX]
    if near:
        there = f"The nearest: {', '.join(near)}."
    elif names:
        more = len(names) - NAMES_SHOWN_MAX
        there = f"There is {', '.join(names[:NAMES_SHOWN_MAX])}{f' and {more} more' if more > 0 else ''}."
    else:
        there = "It is a single value." if path else "There is nothing."
    nearest = tuple([path_text((*path, other)) for other in near])
    return NoSuchPath(
        f"there is no {path_text((*path, name))} in this state; nothing was shown. {there}",
        up_to=path_text(path),
        nearest=nearest,
    )


def _child(place: Place, name: str) -> Place | None:
    """The place of this name right below `place`, where it has one, by whichever of its names."""
    value = place.value
    if isinstance(value, Mapping):
        key = name if name in value else next((key for key in value if key_text(key) == name), None)
        return _entry(place, key, value[key]) if key is not None else None
    if name in getattr(value, "_fields", ()) and name not in _HIDDEN:
        return _field(place, name)
    collection = _collection_of(place)
    if collection is None:
        return next((child for child in children(place) if child.path[-1] == name), None)
    entries = _field(place, collection)
    return _child(entries, name) or _flat(entries, getattr(value, collection), name)


def _flat(field: Place, entries: Mapping[Any, Any], name: str) -> Place | None:
    """A route whose destination and channel were given as one part, percent-encoded."""
    route = entries.get(name) if hasattr(entries.get(name), "channel") else None
    return find(field, (route.destination, route.channel)) if route is not None else None


def _field(place: Place, name: str) -> Place:
    value = getattr(place.value, name)
    provenance: Mapping[str, int] = getattr(place.value, "provenance", {})
    if place.path == ("routes",) and name == COLLECTIONS["routes"]:
        nested: dict[str, dict[str, Any]] = {}
        for route in value.values():
            nested.setdefault(route.destination, {})[route.channel] = route
        value = nested
    return Place((*place.path, name), value, provenance.get(name, _own_lsn(place.value, place.lsn)))


def _entry(place: Place, key: Any, item: Any) -> Place:
    """An entry of a mapping. One of a class's collection stands right below the class, unless a field has its name."""
    path, name = place.path, key_text(key)
    if len(path) == 2 and COLLECTIONS.get(path[0]) == path[1] and name not in _FIELDS[path[0]]:
        path = path[:1]
    return Place((*path, name), item, _own_lsn(item, place.lsn))


def _collection_of(place: Place) -> str | None:
    """The field that holds the collection of a class, where `place` is that class."""
    name = COLLECTIONS.get(place.path[0]) if len(place.path) == 1 else None
    return name if name is not None and name in getattr(place.value, "_fields", ()) else None


def _own_lsn(value: Any, otherwise: int | None) -> int | None:
    """The LSN that a value carries in a field of that name."""
    own = getattr(value, "lsn", None) if hasattr(value, "_fields") else None
    return own if isinstance(own, int) else otherwise


def _names(place: Place) -> list[str]:
    return [child.path[len(place.path)] for child in children(place)]
