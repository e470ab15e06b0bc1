"""Of two floors the higher counts, part by part."""

from typing import Any

import pytest

from rap_journal.errors import DamageError
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors, higher_floors, read_floors

ONE = KnownFloors(
    (3, b"b3"), (b"r3", 2), "normal", (("peers", 1, 5, b"p5"), ("routes", 1, 2, b"r2")), (0, 4, b"h4"), (1000, 50, 90)
)


def test_what_is_read_is_what_was_kept() -> None:
    assert read_floors([list(part) if isinstance(part, tuple) else part for part in ONE]) == ONE
    assert read_floors(None) == NOTHING_KNOWN


@pytest.mark.parametrize("value", [[], [1], "floors", [list(part) if isinstance(part, tuple) else part for part in ONE][:5]])
def test_what_is_no_floors_is_damage(value: object) -> None:
    with pytest.raises(DamageError):
        read_floors(value)


def test_nothing_known_changes_nothing() -> None:
    assert higher_floors(ONE, NOTHING_KNOWN) == higher_floors(ONE, ONE) == ONE
    assert higher_floors(NOTHING_KNOWN, ONE) == ONE._replace(time=(1000, 50, 0))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (ONE._replace(bundle=(4, b"b4"), revocations=(b"r4", 1)), {"bundle": (4, b"b4"), "revocations": (b"r4", 1)}),
        (ONE._replace(bundle=(2, b"b2"), revocations=(b"r2", 9)), {}),
        (ONE._replace(bundle=(3, b"other")), {}),
        (ONE._replace(scopes=(("peers", 2, 1, b"n"),)), {"scopes": (("peers", 2, 1, b"n"), ("routes", 1, 2, b"r2"))}),
        (ONE._replace(scopes=(("peers", 1, 4, b"o"),)), {}),
        (ONE._replace(head=(0, 5, b"h5")), {"head": (0, 5, b"h5")}),
        (ONE._replace(time=(2000, 10, 10)), {"time": (2000, 50, 90)}),
        (ONE._replace(restore="restored-not-validated"), {"restore": "restored-not-validated"}),
    ],
    ids=[
        "newer bundle",
        "older bundle",
        "same version",
        "newer generation",
        "older version",
        "newer head",
        "later time",
        "in doubt",
    ],
)
def test_each_part_is_the_higher_one(other: KnownFloors, expected: dict[str, Any]) -> None:
    """Fails, for its part, when the first is taken whatever the other says, and when the other is."""
    assert higher_floors(ONE, other) == ONE._replace(**expected)


def test_a_content_id_that_is_not_known_gives_way_to_one_that_is() -> None:
    vague = ONE._replace(bundle=(3, b""), scopes=(("peers", 1, 5, b""), ("routes", 1, 2, b"")), head=(0, 4, b""))
    assert higher_floors(vague, ONE) == ONE
