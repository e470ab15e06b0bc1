"""State and events as plain values that JSON has, and as text for people.

Rules this file keeps:

- The bytes of a document are never shown: what stands for a kept document is where it is and how large.
- Byte strings become lower-case hex. Integers that a double cannot hold become texts.
- Mappings and named tuples become objects, in their own order; `provenance` is not shown among the fields but told of each place.
- Text says what a number is: a time, a span, a size; see `quantities`. Nothing is left out of it, and no value is cut.

Example::

    plain(Version(1, 4)) == {"generation": 1, "version": 4}
    value_text("version", plain(Version(1, 4))) == "1.4"
    value_text("latency_us", 152_490) == "152.490 ms"
"""

from array import array
from collections.abc import Mapping
from enum import Enum
from typing import Any

from rap_projections.stored_document import StoredDocument
from rap_tools.quantities import quantity_text

EXACT_IN_DOUBLE = 1 << 53
"""Larger integers are not exact in programs whose numbers are doubles (RFC 8259, section 6)."""

PAIRS = frozenset({"class_digests", "limits", "settings"})
"""Fields that hold pairs of a name and its value; a list of two of any other field is just that."""

_EMPTY = {"path": "direct", "last_success_path": "direct"}
"""What an empty list means, where it is more than the absence of something."""

LINE_WIDTH_MAX = 72
"""A list whose text is longer is shown with a line for each of its items."""


def plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if isinstance(value, int):
        return value if -EXACT_IN_DOUBLE <= value <= EXACT_IN_DOUBLE else str(value)
    if isinstance(value, str | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, StoredDocument):
        return document_reference(value)
    if hasattr(value, "_fields"):
        return {name: plain(getattr(value, name)) for name in value._fields if name != "provenance"}
    if isinstance(value, Mapping):
        return {key_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | array):
        return [plain(item) for item in value]
    return str(value)


def value_text(name: str, value: Any) -> str:
    """A plain value for people, on one line. `name`: of the field that holds it, which says what a number is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return quantity_text(name, value) or str(value)
    if isinstance(value, dict):
        return _object_text(value)
    if isinstance(value, list):
        return ", ".join(value_lines(name, value, width=0))
    return str(value) or "-"


def value_lines(name: str, value: Any, *, width: int = LINE_WIDTH_MAX) -> list[str]:
    """The same on one line, or with a line for each item of a list whose text is longer than `width` characters."""
    if not isinstance(value, list):
        return [value_text(name, value)]
    items = [_part_text(name, part) if isinstance(part, list) else value_text(name, part) for part in value]
    text = ", ".join(items) or _EMPTY.get(name, "none")
    return items if len(text) > width and items else [text]


def _object_text(fields: dict[str, Any]) -> str:
    if fields.keys() == {"generation", "version"}:
        return f"{fields['generation']}.{fields['version']}"
    return ", ".join(f"{name}={value_text(name, part)}" for name, part in fields.items()) or "none"


def _part_text(name: str, parts: list[Any]) -> str:
    if name in PAIRS and len(parts) == 2 and not isinstance(parts[0], list):
        return f"{parts[0]}={value_text(str(parts[0]), parts[1])}"
    return f"[{value_text(name, parts) if parts else ''}]"


def document_reference(stored: StoredDocument) -> dict[str, Any]:
    """Where a kept document is: its file (None where the event alone holds it), its size, and whether the event has a copy."""
    return {"file": stored.file_id.hex() or None, "size": stored.size, "has_copy_in_event": bool(stored.inline)}


def key_text(key: Any) -> str:
    """A key of a mapping, as paths and objects show it."""
    if isinstance(key, bytes):
        return key.hex()
    if isinstance(key, Enum):
        return str(plain(key))
    if isinstance(key, tuple):
        return "/".join(key_text(part) for part in key)
    return str(key)
