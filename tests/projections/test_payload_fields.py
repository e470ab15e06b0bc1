"""Fields of payloads: what each takes, what it refuses, and the place it names."""

from typing import Any, NamedTuple

import pytest

from rap_projections.payload_fields import (
    DIGEST,
    ENDPOINT,
    LOCATION,
    NAME,
    VERSION_TEXT,
    WORD,
    YES_NO,
    Field,
    boolean,
    checked,
    integer,
    octets,
    optional,
    pair,
    record,
    reference,
    sequence,
    sorted_set,
)
from rap_projections.refusals import BadSchema
from tests.projections.documents_support import refused

NUMBER = integer(0, 9)


class Box(NamedTuple):
    id: str
    numbers: tuple[int, ...]


BOX = record(Box, id=NAME, numbers=sorted_set(NUMBER, 0, 3))


class Scoped(NamedTuple):
    scope: str
    box: Box


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (NUMBER, [0, 9], [-1, 10, True, False, 1.0, "1", None]),
        (octets(1, 2), [b"a", b"ab"], [b"", b"abc", "a", None]),
        (DIGEST, [bytes(32)], [bytes(31), bytes(33), "0" * 32]),
        (YES_NO, [True, False], [0, 1, None, "true"]),
        (optional(boolean()), [True, None], [0, ""]),
        (
            NAME,
            ["a", "0", "node-1", "a.b_c-d", "a" * 64],
            ["", "a" * 65, "-a", "a-", "A", "a b", "a\n", "é", "а", "a/b", "a:b", b"a", 1],
        ),
        (WORD, ["run", "resolve_secret", "a" * 32], ["", "1run", "run_", "RUN", "a-b", "a" * 33]),
        (VERSION_TEXT, ["1", "1.2.3-rc.1+build_7", "V2"], ["", "1.", "-1", "1 2", "1/2", "1" * 65]),
        (
            ENDPOINT,
            ["quic://host:1", "udp://10.0.0.1:65535", "tls://[2001:db8::1]:443", "wss://a.b-c.example:99999"],
            [
                "host:1",
                "quic://host",
                "quic://host:0",
                "quic://host:01",
                "quic://host:1/",
                "quic://host:1?x=1",
                "quic://user@host:1",
                "quic://user:pw@host:1",
                "quic://-host:1",
                "QUIC://host:1",
                "quic://[::1:1",
                "quic://ho st:1",
            ],
        ),
        (
            LOCATION,
            ["https://a.example/x", "https://a.example:8443/x/y-1.2.tar.gz"],
            [
                "http://a.example/x",
                "https://a.example",
                "https://a.example/",
                "https://u:p@a.example/x",
                "https://a.example/x?token=1",
                "https://a.example/x#y",
                "https://a.example/../x",
                "https://a.example//x",
                "https://a.example/%2e%2e",
            ],
        ),
        (reference("secret", "config"), ["secret:a", "config:b-1"], ["a", "secret:", ":a", "token:a", "secret:A", "secret:a:b"]),
    ],
)
def test_field_takes_what_it_says_and_nothing_else(field: Field[Any], good: list[Any], bad: list[Any]) -> None:
    """Mutation: a field takes another type, or what is out of its bounds."""
    for value in good:
        assert field.write(field.read(value)) == value
    for value in bad:
        assert isinstance(refused(field.read, value), BadSchema), value


def test_sorted_set_rises_strictly_and_keeps_its_bounds() -> None:
    """Mutation: allow equal neighbours, or drop the comparison."""
    field = sorted_set(NUMBER, 1, 3)
    assert field.read([1, 5, 9]) == (1, 5, 9)
    wrong: tuple[Any, ...] = ([], [1, 1], [2, 1], [1, 2, 3, 4], (1, 2, 2), {}, None, "12")
    for bad in wrong:
        assert isinstance(refused(field.read, bad), BadSchema)
    assert refused(field.read, [1, 3, 3]).place == "[2]"


def test_sequence_keeps_its_order_and_may_demand_each_item_once() -> None:
    """Mutation: an item may stand twice where each is to stand once."""
    assert sequence(NUMBER, 0, 3).read([3, 1, 3]) == (3, 1, 3)
    assert isinstance(refused(sequence(NUMBER, 0, 3, unique=True).read, [3, 1, 3]), BadSchema)
    assert isinstance(refused(sequence(NUMBER, 0, 3).read, [1, 2, 3, 4]), BadSchema)


def test_record_has_exactly_its_keys() -> None:
    """Mutation: let a missing key or one too many pass."""
    assert BOX.read({0: "a", 1: [1, 2]}) == Box("a", (1, 2))
    assert BOX.write(Box("a", (1, 2))) == {0: "a", 1: [1, 2]}
    for bad in ({}, {0: "a"}, {0: "a", 1: [], 2: 0}, {0: "a", 2: []}, {"0": "a", "1": []}, [["a"], []], None):
        assert isinstance(refused(BOX.read, bad), BadSchema), bad


def test_fixed_fields_of_a_record_are_not_in_the_map() -> None:
    field = record(Scoped, "peers", box=BOX)
    assert field.read({0: {0: "a", 1: []}}) == Scoped("peers", Box("a", ()))
    assert field.write(Scoped("peers", Box("a", ()))) == {0: {0: "a", 1: []}}


def test_refusal_names_the_place_from_the_outside_in() -> None:
    field = record(Scoped, "peers", box=BOX)
    assert refused(field.read, {0: {0: "a", 1: [1, 77]}}).place == "box.numbers[1]"
    assert refused(sequence(BOX, 0, 9).read, [{0: "a", 1: []}, {0: "!", 1: []}]).place == "[1].id"
    assert refused(field.read, 7).place is None


def test_pair_is_an_array_of_exactly_its_fields() -> None:
    """Mutation: the number of fields is not looked at."""
    field = pair(Box, NAME, sequence(NUMBER, 0, 1))
    assert field.read(["a", [1]]) == Box("a", (1,))
    assert field.write(Box("a", (1,))) == ["a", [1]]
    for bad in ([], ["a"], ["a", [], 0], {0: "a", 1: []}, "ab"):
        assert isinstance(refused(field.read, bad), BadSchema)


def test_checked_field_says_what_is_wrong() -> None:
    """Mutation: what the check of a field says is passed over."""
    field = checked(NUMBER, lambda value: "seven" if value == 7 else None)
    assert field.read(6) == 6
    assert refused(field.read, 7).what == "seven"
