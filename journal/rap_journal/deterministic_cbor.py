"""CBOR in the one encoding this project writes, and the strict reading of it (RFC 8949, section 4.2.1).

Rules this file keeps:

- What is written is deterministic: shortest integers and lengths, definite lengths, map keys in bytewise order of their encoding.
- What is read is refused unless it is exactly what `encode` would write for the same value, so that one value has one spelling
  and a digest of bytes is a digest of meaning.
- Values are None, bool, int (64-bit, signed), bytes, str, list / tuple and dict with int or str keys. No floats, no tags.
- A tag is refused before its content is looked at: no regular expression, date, big number or shared reference is ever made of
  stored or received bytes, here or in `decode_own`.

`decode` is for bytes from elsewhere. The hot path of the journal reads its own authenticated bytes, for which `decode_own` leaves
out the proof that they are deterministic, and builds arrays only, for which `encode_arrays` leaves out the checks of `encode`.

Example::

    assert decode(encode({2: "b", 1: "a"})) == {1: "a", 2: "b"}
"""

from collections.abc import Callable
from typing import Any, ClassVar, Never

import cbor2

from rap_journal.errors import Action, MisuseError, StateStoreError

DEPTH_MAX = 16
"""So many arrays and maps that hold something may stand one in another."""

SIZE_MAX_DEFAULT = 1 << 20


class MalformedCbor(StateStoreError):
    """Raised when bytes are not the deterministic CBOR of exactly one allowed value.

    Its cause is left out on purpose: messages of the CBOR library may quote a key of the map they fail in.
    """

    action: ClassVar[Action] = "refetch"
    exit_code: ClassVar[int] = 7


def encode(value: Any) -> bytes:
    """Deterministic CBOR of `value`. Raises `MisuseError` for a type, key, integer or text that the rules above leave out."""
    try:
        return cbor2.dumps(value, encoders=_ENCODERS)
    except UnicodeEncodeError:
        raise MisuseError(
            "a text that is not Unicode has no place in the store's CBOR; nothing was encoded", reason="type"
        ) from None


def encode_arrays(value: Any) -> bytes:
    """The same bytes as `encode`, sooner, for a value that is known to hold only arrays, texts, bytes, 64-bit integers, bools and None.

    Nothing is checked: a float or a map would be written as it comes.
    """
    return cbor2.dumps(value)


def decode(data: bytes, *, size_max: int = SIZE_MAX_DEFAULT) -> Any:
    """The value of `data`, which must be deterministic; arrays come as lists and maps as dicts.

    Raises `MalformedCbor` for anything that `encode` would not have written, also for more than `size_max` bytes or `DEPTH_MAX` levels.
    """
    if len(data) > size_max:
        raise MalformedCbor(
            f"{len(data)} bytes of CBOR, more than the {size_max} allowed; they were not read", reason="too_large"
        )
    value = decode_own(data)
    try:
        same = encode(value) == data
    except MisuseError:
        raise MalformedCbor("CBOR holds a type, key or integer that has no place here; it was refused", reason="type") from None
    if not same:
        raise MalformedCbor(
            "CBOR is not in its deterministic encoding, or bytes follow it; it was refused", reason="not_deterministic"
        )
    return value


def decode_own(data: bytes) -> Any:
    """The value of bytes that this store wrote and has authenticated; as fast as plain decoding.

    Not for bytes from elsewhere: other spellings of a value, floats and bytes that follow it are let through. What could cost
    memory or time without bound is refused all the same: tags, indefinite lengths, deep nesting, duplicate keys.
    Raises `MalformedCbor`.
    """
    try:
        return cbor2.loads(
            data, max_depth=DEPTH_MAX, allow_indefinite=False, allow_duplicate_keys=False, semantic_decoders=_NO_TAGS
        )
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error.__cause__, MalformedCbor):
            raise error.__cause__ from None
        raise MalformedCbor("not well-formed CBOR; it was refused", reason="malformed") from None


class _NoTags(dict[int, Any]):
    """Answers the decoder's question for a tag's reader, which it asks before it reads what the tag stands on."""

    def __missing__(self, tag: int) -> Never:
        raise MalformedCbor(f"CBOR tag {tag}, where none is allowed; it was refused", reason="tag")


class _Encoders(dict[type, Callable[[cbor2.CBOREncoder, Any], Any]]):
    """How each allowed type is written; a subclass, such as a named tuple or an IntEnum, like the type it extends."""

    def __missing__(self, kind: type) -> Callable[[cbor2.CBOREncoder, Any], Any]:
        for base in kind.__mro__:
            if base in self:
                self[kind] = self[base]
                return self[base]
        raise MisuseError(f"a value of type {kind.__name__} has no place in the store's CBOR; nothing was encoded", reason="type")


def _encode_int(encoder: cbor2.CBOREncoder, value: int) -> None:
    if not -(1 << 63) <= value < 1 << 63:
        raise MisuseError("an integer beyond 64 bits has no place in the store's CBOR; nothing was encoded", reason="type")
    encoder.encode_int(value)


def _encode_none(encoder: cbor2.CBOREncoder, _value: None) -> None:
    encoder.encode_none()


def _encode_map(encoder: cbor2.CBOREncoder, value: dict[Any, Any]) -> None:
    # The library's own "canonical" sorts by length first (RFC 7049), which differs from bytewise order once integers of
    # two lengths, negative integers and texts share a map. It writes a dict in the order of the dict.
    encoder.encode_map({key: value[key] for key in sorted(value, key=_key_order)})


def _key_order(key: Any) -> tuple[int, int, bytes]:
    """Sorts keys like the bytes of their encoding: by major type, then by number, or by length and text."""
    if isinstance(key, str):
        text = key.encode()
        return 3, len(text), text
    if isinstance(key, int) and not isinstance(key, bool):
        return (0, key, b"") if key >= 0 else (1, -key, b"")
    raise MisuseError(
        "a map key that is neither integer nor text has no place in the store's CBOR; nothing was encoded", reason="type"
    )


_NO_TAGS = _NoTags()
_ENCODERS = _Encoders(
    {
        int: _encode_int,
        str: cbor2.CBOREncoder.encode_string,
        bytes: cbor2.CBOREncoder.encode_bytes,
        bool: cbor2.CBOREncoder.encode_bool,
        type(None): _encode_none,
        list: cbor2.CBOREncoder.encode_array,
        tuple: cbor2.CBOREncoder.encode_array,
        dict: _encode_map,
    }
)
