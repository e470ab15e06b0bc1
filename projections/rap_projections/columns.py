"""Columns of unsigned integers as little-endian bytes: the same on every machine, and one byte string where CBOR would hold thousands of items.

Rules this file keeps:

- A width is named by its type code: H, I and Q are 2, 4 and 8 bytes.
- Packing and unpacking are inverse; a length that is no multiple of the width is a ValueError, as is a number too large for it.

Example::

    assert unpack("H", pack("H", [1, 65_535])).tolist() == [1, 65_535]
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, TypeAlias, TypeVar

Width = Literal["H", "I", "Q"]
Column: TypeAlias = "array[int]"
Item = TypeVar("Item")

# The sizes are the platform's choice; this file would be wrong where they differ.
assert [array(code).itemsize for code in "HIQ"] == [2, 4, 8]

_FOREIGN = sys.byteorder == "big"


def pack(width: Width, values: Iterable[int]) -> bytes:
    """The bytes of `values`. Raises ValueError or OverflowError for a number that does not fit `width`."""
    column = array(width, values)
    if _FOREIGN:
        column.byteswap()
    return column.tobytes()


def unpack(width: Width, data: bytes) -> Column:
    """The column whose bytes are `data`. Raises ValueError for a length that is no multiple of the width."""
    column = array(width)
    column.frombytes(data)
    if _FOREIGN:
        column.byteswap()
    return column


def zeros(count: int) -> Column:
    """A column of `count` zeros, 8 bytes each."""
    return array("Q", bytes(8 * count))


def regroup(flat: Sequence[Item], counts: Column) -> Iterator[tuple[Item, ...]]:
    """The groups of `flat`, of these lengths: the inverse of chaining them. Raises ValueError where they do not fill it exactly."""
    if sum(counts) != len(flat):
        raise ValueError(f"groups of {sum(counts)} items cut from {len(flat)}")
    items = iter(flat)
    return (tuple(islice(items, count)) for count in counts)
