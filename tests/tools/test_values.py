"""State as plain values and as text: nothing is lost but the bytes of documents, and a number says what it is."""

from array import array
from types import MappingProxyType
from typing import NamedTuple

import pytest

from rap_projections.documents import Scope, Version
from rap_projections.peer_observations import FailureReason
from rap_projections.stored_document import StoredDocument
from rap_tools.values import LINE_WIDTH_MAX, key_text, plain, value_lines, value_text


class Branch(NamedTuple):
    size: int
    provenance: dict[str, int]


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
    assert plain({"node-7": Branch(3, {"size": 31})}) == {"node-7": {"size": 3}}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("on", True, "yes"),
        ("reported", None, "-"),
        ("notes", [], "none"),
        ("path", [], "direct"),
        ("last_success_path", [], "direct"),
        ("pressure", {}, "none"),
        ("text", "", "-"),
        ("latency_us", 152_490, "152.490 ms"),
        ("peer_count", 7, "7"),
        ("causes", [4207, 4208], "@4207, @4208"),
        ("causes", [[4207, 4208], [4207]], "[@4207, @4208], [@4207]"),
        ("x", [["a", 1], ["b", False]], "[a, 1], [b, no]"),
        ("x", [["a", "b", "c"], []], "[a, b, c], []"),
        ("x", {"size": 3, "at_lsn": 7}, "size=3 bytes, at_lsn=@7"),
        ("version", {"generation": 1, "version": 4}, "1.4"),
        ("settings", [["a", 1], ["offline_s_max", 3600], ["c", False]], "a=1, offline_s_max=1h, c=no"),
        ("limits", [["a", "b", "c"]], "[a, b, c]"),
    ],
)
def test_values_for_people(name: str, value: object, text: str) -> None:
    assert value_text(name, value) == text


def test_a_list_that_is_too_long_has_a_line_for_each_item() -> None:
    items = ["x" * 30, "y" * 30]
    assert value_lines("root_kids", items) == [", ".join(items)]
    assert len(value_lines("root_kids", items)[0]) <= LINE_WIDTH_MAX
    assert value_lines("root_kids", [*items, "z" * 30]) == [*items, "z" * 30]
    assert value_lines("text", "x" * 200) == ["x" * 200]


@pytest.mark.parametrize(("key", "text"), [(b"\x01\xff", "01ff"), (Scope.ROUTES, "routes"), (("a", b"\x0b"), "a/0b"), (7, "7")])
def test_a_key_is_text_as_paths_show_it(key: object, text: str) -> None:
    assert key_text(key) == text
