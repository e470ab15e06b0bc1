"""A value of a type that no call was made for is the caller's mistake, changes nothing, and comes out as such."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.arguments import require, require_able, require_all, require_callable, require_optional
from tests.projections.store_kit import Ready, furnished


@pytest.mark.parametrize(
    ("value", "kinds"), [("x", (str,)), (7, (int,)), (True, (bool,)), (True, (int, bool)), (1.5, (int, float))]
)
def test_a_value_of_one_of_the_types_passes(value: object, kinds: tuple[type, ...]) -> None:
    require("it", value, *kinds)
    require_optional("it", value, *kinds)
    require_optional("it", None, *kinds)
    for call in (require, require_optional):
        with pytest.raises(MisuseError):
            call("it", object(), *kinds)


@pytest.mark.parametrize(("value", "kinds"), [(True, (int,)), (7, (bool,)), (1.5, (int,)), (None, (str,)), (b"x", (str, int))])
def test_a_value_of_another_type_is_a_misuse_that_names_both(value: object, kinds: tuple[type, ...]) -> None:
    with pytest.raises(MisuseError, match=rf"^it cannot be of type {type(value).__name__}; nothing was done") as caught:
        require("it", value, *kinds)
    assert caught.value.reason == "bad_it"


def test_every_item_of_a_list_is_looked_at() -> None:
    require_all("it", [b"x", b"y"], bytes)
    require_all("it", (), bytes)
    with pytest.raises(MisuseError, match=r"^an item of it cannot be of type str; nothing was done"):
        require_all("it", [b"x", "y"], bytes)
    with pytest.raises(MisuseError, match=r"^it cannot be of type bytes; nothing was done"):
        require_all("it", b"xy", bytes)


def test_a_door_is_known_by_what_it_can_do() -> None:
    require_able("it", "text", "upper", "lower")
    with pytest.raises(MisuseError, match=r"^it cannot be of type str, which lacks upper or boot_id; nothing was done"):
        require_able("it", "text", "upper", "boot_id")
    with pytest.raises(MisuseError, match=r"^it cannot be of type type"):
        require_able("it", str, "upper")


def test_what_is_to_be_called_can_be_called() -> None:
    require_callable("it", print)
    with pytest.raises(MisuseError, match=r"^it cannot be of type int: it is called; nothing was done"):
        require_callable("it", 7)


@pytest.fixture(scope="module")
def shared() -> Ready:
    return furnished()


@pytest.mark.parametrize("count_max", [-1, 0, 2**70])
def test_any_whole_number_of_records_may_be_asked_for(count_max: int, shared: Ready) -> None:
    assert len(shared.cluster.telemetry.drain(count_max=count_max)) == (1 if count_max > 1 else 0)
