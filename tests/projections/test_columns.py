"""Columns of integers as bytes."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_projections.columns import Width, pack, regroup, unpack, zeros


@pytest.mark.parametrize(
    ("width", "packed"), [("H", "0100fffe"), ("I", "01000000fffe0000"), ("Q", "0100000000000000fffe000000000000")]
)
def test_columns_are_little_endian_on_every_machine(width: Width, packed: str) -> None:
    assert pack(width, [1, 0xFEFF]).hex() == packed
    assert unpack(width, bytes.fromhex(packed)).tolist() == [1, 0xFEFF]


@given(st.lists(st.integers(0, (1 << 64) - 1)))
def test_unpacking_gives_back_what_was_packed(values: list[int]) -> None:
    assert unpack("Q", pack("Q", values)).tolist() == values


def test_a_number_too_large_for_its_width_is_not_packed() -> None:
    with pytest.raises(OverflowError):
        pack("H", [1 << 16])


def test_half_a_number_is_not_unpacked() -> None:
    with pytest.raises(ValueError, match="length"):
        unpack("I", bytes(6))


def test_zeros_are_eight_bytes_each() -> None:
    assert zeros(3) == array("Q", [0, 0, 0])


def test_regrouping_undoes_chaining() -> None:
    assert list(regroup(("a", "b", "c"), unpack("H", pack("H", [2, 0, 1])))) == [("a", "b"), (), ("c",)]


@pytest.mark.parametrize("counts", [[1], [3], [1, 2]])
def test_groups_that_do_not_fill_the_column_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="groups of"):
        regroup(("a", "b"), unpack("H", pack("H", counts)))
