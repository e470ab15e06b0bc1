"""Paths into a state: each value has one, the shortest, which leads back to it and knows who set it."""

from typing import NamedTuple

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import Version
from rap_projections.stored_document import StoredDocument
from rap_tools.state_paths import NoSuchPath, Place, children, find, leaves, no_such_path, parse_path, path_text


class Leaf(NamedTuple):
    name: str
    at_us: int
    lsn: int


class Branch(NamedTuple):
    size: int
    leaf: Leaf | None
    provenance: dict[str, int]


class Tree(NamedTuple):
    peers: dict[str, Branch]
    by_kid: dict[bytes, Leaf]
    notes: tuple[Leaf, ...]
    tags: tuple[str, ...]
    version: int
    provenance: dict[str, int]


TREE = Tree(
    peers={
        "node-7": Branch(3, Leaf("x", 5, 40), {"size": 31, "leaf": 32}),
        "a/b": Branch(4, None, {"size": 33}),
        "version": Branch(9, None, {"size": 51}),
    },
    by_kid={b"\x01\xff": Leaf("k", 1, 12)},
    notes=(Leaf("first", 1, 7), Leaf("second", 2, 9)),
    tags=("a", "b"),
    version=2,
    provenance={"peers": 33, "version": 21},
)
START = Place(("peers",), TREE)


class Route(NamedTuple):
    destination: str
    channel: str
    score: int
    provenance: dict[str, int]


class Routes(NamedTuple):
    content_id: bytes
    routes: dict[str, Route]


ROUTES = Place(
    ("routes",),
    Routes(
        b"\x01",
        {
            f"{destination}/{channel}": Route(destination, channel, score, {"score": 40 + score - 1})
            for destination, channel, score in (("node-9", "bulk", 4), ("node-9", "interactive", 5), ("node-4", "bulk", 6))
        },
    ),
)


@pytest.mark.parametrize(
    ("path", "value", "lsn"),
    [
        ("node-7/size", 3, 31),
        ("peers/node-7/size", 3, 31),
        ("peers/version/size", 9, 51),
        ("node-7/leaf/at_us", 5, 40),
        ("a%2Fb/size", 4, 33),
        ("a/b/size", 4, 33),
        ("by_kid/01ff/name", "k", 12),
        ("notes/1/name", "second", 9),
        ("version", 2, 21),
        ("tags", ("a", "b"), None),
    ],
)
def test_a_path_leads_to_a_value_and_the_lsn_that_set_it(path: str, value: object, lsn: int | None) -> None:
    place = find(START, parse_path(path))
    assert (place.value, place.lsn) == (value, lsn)


@pytest.mark.parametrize(
    ("path", "named"), [("node-8", "node-7"), ("node-7/sice", "size"), ("version/x", "single value"), ("zzz", "by_kid")]
)
def test_a_path_that_leads_nowhere_names_what_is_there(path: str, named: str) -> None:
    with pytest.raises(NoSuchPath, match=named) as caught:
        find(START, parse_path(path))
    assert caught.value.exit_code == 3


def test_every_single_value_is_a_leaf_with_its_path() -> None:
    found = {path_text(leaf.path): leaf.lsn for leaf in leaves(START)}
    assert found["peers/a%2Fb/size"] == 33
    assert found["peers/peers/version/size"] == 51
    assert found["peers/notes/0/name"] == 7
    assert found["peers/tags"] is None
    assert not any(path.endswith(("provenance", "lsn")) for path in found)


def test_each_leaf_is_found_by_its_path() -> None:
    for leaf in leaves(START):
        assert find(START, parse_path(path_text(leaf.path))[1:]).value == leaf.value


def test_a_version_is_a_single_value_that_has_parts() -> None:
    place = Place(("trust", "floor"), Version(1, 4), 7)
    assert list(leaves(place)) == [place]
    assert find(place, ["generation"]) == Place(("trust", "floor", "generation"), 1, 7)


def test_an_empty_collection_is_told_of() -> None:
    first = next(leaves(START._replace(value=TREE._replace(peers={}))))
    assert (path_text(first.path), first.value) == ("peers/peers", {})


@pytest.mark.parametrize("path", ["node-9", "node-9/interactive", "node-9%2Finteractive", "routes/node-9/interactive"])
def test_a_route_is_found_by_destination_and_channel_however_it_is_written(path: str) -> None:
    found = find(ROUTES, parse_path(path))
    if path == "node-9":
        assert found.path == ("routes", "node-9")
        assert [path_text(place.path) for place in children(found)] == ["routes/node-9/bulk", "routes/node-9/interactive"]
    else:
        assert (path_text(found.path), found.value.score, found.lsn) == ("routes/node-9/interactive", 5, None)
        assert find(found, ["score"]) == Place(("routes", "node-9", "interactive", "score"), 5, 44)


def test_routes_are_printed_by_destination_and_channel() -> None:
    assert [path_text(place.path) for place in children(ROUTES)][1:] == ["routes/node-9", "routes/node-4"]
    assert "routes/node-9/bulk/score" in [path_text(leaf.path) for leaf in leaves(ROUTES)]


@pytest.mark.parametrize(
    ("path", "nearest", "up_to"),
    [
        ("node-9/interactiv", ("routes/node-9/interactive",), "routes/node-9"),
        ("node-99", ("routes/node-9", "routes/node-4"), "routes"),
        ("qqq", (), "routes"),
    ],
)
def test_the_nearest_names_are_paths(path: str, nearest: tuple[str, ...], up_to: str) -> None:
    with pytest.raises(NoSuchPath) as caught:
        find(ROUTES, parse_path(path))
    assert (caught.value.nearest, caught.value.up_to) == (nearest, up_to)


def test_what_there_is_is_counted_where_it_is_too_much() -> None:
    error = no_such_path(("peers",), "zzz", [f"node-{number}" for number in range(12)])
    assert str(error).startswith("there is no peers/zzz in this state; nothing was shown. There is node-0, node-1, ")
    assert str(error).endswith("node-9 and 2 more.")


def test_what_begins_alike_is_near() -> None:
    error = no_such_path(("peers",), "eu", ["us-1", "eu-west-1-node-7", "eu-west-1-node-8"])
    assert error.nearest == ("peers/eu-west-1-node-7", "peers/eu-west-1-node-8")


def test_a_path_of_any_text_leads_back_to_it() -> None:
    for name in ("a/b", "ü", "100%", "a b", "x:y@z+w"):
        assert parse_path(path_text(("peers", name))) == ("peers", name)


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(MisuseError, match="UTF-8"):
        parse_path("peers/%ff")


def test_a_kept_document_has_no_bytes_below_it() -> None:
    stored = StoredDocument(b"\x0a", 812, b"secret bytes")
    assert [place.value for place in children(Place(("x",), stored, 4))] == ["0a", 812, True]


@pytest.mark.parametrize("text", ["", "/", "peers//x"])
def test_a_path_with_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(MisuseError):
        parse_path(text)
