"""Walking CBOR item by item without building values: for bytes that nothing vouches for yet (RFC 8949).

Rules this file keeps:

- Lengths and integers are in their shortest form and definite; tags and floats are never interpreted, they are refused.
- Nothing is allocated by a length that the bytes do not back, and nesting is bounded.

Example::

    items = CborItems(data)
    assert items.tag() == 18 and items.array() == 4
    protected = items.byte_string()
    items.end()
"""

from rap_projections.refusals import Malformed

DEPTH_MAX = 8

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 20, 21, 22


class CborItems:
    """A place in `data`, moved forward by each call; every call raises `Malformed` for what it does not expect."""

    __slots__ = ("_data", "offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    def tag(self) -> int | None:
        """The number of a tag that starts here, or None when none does."""
        if self.offset < len(self._data) and self._data[self.offset] >> 5 == _TAG:
            return self._head()[1]
        return None

    def array(self) -> int:
        """Enter an array: how many items it has."""
        return self._expect(_ARRAY, "an array")

    def byte_string(self) -> bytes:
        """A byte string."""
        return self._take(self._expect(_BYTES, "a byte string"))

    def map_labels(self) -> tuple[int | str, ...]:
        """Pass over a map: its labels, integers or text, in order; each occurs once."""
        labels: list[int | str] = []
        for _ in range(self._expect(_MAP, "a map")):
            labels.append(self._label())
            self.skip()
        if len(set(labels)) != len(labels):
            raise Malformed("a header names a label twice")
        return tuple(labels)

    def skip(self, depth: int = 1) -> None:
        """Pass over one item of any kind but tags, floats and undefined."""
        if depth > DEPTH_MAX:
            raise Malformed(f"items nested deeper than {DEPTH_MAX}")
        major, argument = self._head()
        if major in (_BYTES, _TEXT):
            self._take(argument)
        elif major in (_ARRAY, _MAP):
            for _ in range(argument * (2 if major == _MAP else 1)):
                self.skip(depth + 1)
        elif major == _TAG or (major == _SIMPLE and argument not in (_FALSE, _TRUE, _NULL)):
            raise Malformed("a tag, float or simple value where none may stand")

    def end(self) -> None:
        """Nothing follows."""
        if self.offset != len(self._data):
            raise Malformed("bytes follow the end of the document")

    def _label(self) -> int | str:
        major, argument = self._head()
        if major == _UINT:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major != _TEXT:
            raise Malformed("a header label that is neither integer nor text")
        try:
            return self._take(argument).decode()
        except UnicodeDecodeError as error:
            raise Malformed("a header label that is not UTF-8") from error

    def _expect(self, major: int, name: str) -> int:
        found, argument = self._head()
        if found != major:
            raise Malformed(f"another item where {name} must stand")
        return argument

    def _head(self) -> tuple[int, int]:
        """Major type and argument of the item that starts here."""
        initial = self._take(1)[0]
        major, short = initial >> 5, initial & 31
        if short < 24:
            return major, short
        if short > 27 or major == _SIMPLE:
            raise Malformed("an indefinite length, a float or a reserved value")
        size = 1 << (short - 24)
        argument = int.from_bytes(self._take(size), "big")
        if argument < (24, 1 << 8, 1 << 16, 1 << 32)[short - 24]:
            raise Malformed("an integer or length that is not in its shortest form")
        return major, argument

    def _take(self, count: int) -> bytes:
        end = self.offset + count
        if end > len(self._data):
            raise Malformed("the bytes end within an item")
        taken = self._data[self.offset : end]
        self.offset = end
        return taken
