"""State as plain values and as paths: nothing is lost but the bytes of documents, and each value knows who set it."""

from array import array
from types import MappingProxyType
from typing import NamedTuple

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import Scope, Version
from rap_projections.peer_observations import FailureReason
from rap_projections.stored_document import StoredDocument
from rap_tools.values import NoSuchPath, Place, children, find, leaves, parse_path, path_text, plain, value_text


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
    peers={"node-7": Branch(3, Leaf("x", 5, 40), {"size": 31, "leaf": 32}), "a/b": Branch(4, None, {"size": 33})},
    by_kid={b"\x01\xff": Leaf("k", 1, 12)},
    notes=(Leaf("first", 1, 7), Leaf("second", 2, 9)),
    tags=("a", "b"),
    version=2,
    provenance={"peers": 33, "version": 21},
)
START = Place(("peers",), TREE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x00\xff", "00ff"),
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (Version(1, 4), {"generation": 1, "version": 4}),
        (Scope.ROUTES, "routes"),
        (FailureReason.TIMEOUT, "timeout"),
        (MappingProxyType({b"\x01": 1, "x": None}), {"01": 1, "x": None}),
        (array("I", [1, 2]), [1, 2]),
        ((True, ("a",)), [True, ["a"]]),
        (StoredDocument(b"\x0a", 812, b"secret bytes"), {"file": "0a", "size": 812, "has_copy_in_event": True}),
        (StoredDocument(b"", 3, b""), {"file": None, "size": 3, "has_copy_in_event": False}),
    ],
)
def test_values_become_what_json_has(value: object, shown: object) -> None:
    assert plain(value) == shown


def test_provenance_is_not_a_field() -> None:
    assert plain(TREE)["peers"]["node-7"] == {"size": 3, "leaf": {"name": "x", "at_us": 5, "lsn": 40}}


@pytest.mark.parametrize(
    ("path", "value", "lsn"),
    [
        ("node-7/size", 3, 31),
        ("peers/node-7/size", 3, 31),
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
    assert found["peers/peers/a%2Fb/size"] == 33
    assert found["peers/notes/0/name"] == 7
    assert found["peers/tags"] is None
    assert not any(path.endswith(("provenance", "lsn")) for path in found)


def test_each_leaf_is_found_by_its_path() -> None:
    for leaf in leaves(START):
        assert find(START, parse_path(path_text(leaf.path))[1:]).value == leaf.value


def test_a_kept_document_has_no_bytes_below_it() -> None:
    stored = StoredDocument(b"\x0a", 812, b"secret bytes")
    assert [place.value for place in children(Place(("x",), stored, 4))] == ["0a", 812, True]


@pytest.mark.parametrize("text", ["", "/", "peers//x"])
def test_a_path_with_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(MisuseError):
        parse_path(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (None, "-"),
        ([], "none"),
        ({}, "none"),
        ("", "-"),
        ([["a", 1], ["b", False]], "[a, 1], [b, no]"),
        ([[4207, 4208], [4207]], "[4207, 4208], [4207]"),
        ([["a", "b", "c"]], "[a, b, c]"),
        ({"x": [1, 2]}, "x=1, 2"),
    ],
)
def test_values_for_people(value: object, text: str) -> None:
    assert value_text(value) == text


def test_only_declared_pairs_are_names_and_values() -> None:
    assert value_text([["a", 1], ["b", False]], has_pairs=True) == "a=1, b=no"
    assert value_text([["a", "b", "c"]], has_pairs=True) == "[a, b, c]"
