"""Looking for a secret in what should not hold it, in every spelling in which one leaks.

Spellings: the bytes themselves, as hexadecimal, base64, base64url and base32 at every alignment, UTF-16 in both orders, reversed, as CBOR,
percent-encoded, as a list of decimal numbers, and escaped as Python, JSON and the shell print bytes.

Example::

    canary = Canary({"key": key})
    assert canary.found_in(report.encode()) == []
"""

import base64
import json
import string
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from traceback import TracebackException
from types import ModuleType
from typing import Any
from urllib.parse import quote_from_bytes

import cbor2

SECRET_BYTES_MIN = 12
"""A shorter secret would be found by chance."""

_UNRESERVED = (string.ascii_letters + string.digits + "-._~").encode()


def spellings(secret: bytes) -> dict[str, bytes]:
    """Every spelling of a secret, by its name. Those that depend on letter case are in lower and in upper case."""
    assert len(secret) >= SECRET_BYTES_MIN, "a canary is long enough not to be found by chance"
    hexadecimal = secret.hex()
    every_byte = "".join(f"%{byte:02X}" for byte in secret)
    found = {
        "raw": secret,
        "reversed": secret[::-1],
        "hex": hexadecimal.encode(),
        "HEX": hexadecimal.upper().encode(),
        "hex with colons": secret.hex(":").encode(),
        "HEX with colons": secret.hex(":").upper().encode(),
        "hex with spaces": secret.hex(" ").encode(),
        "reversed hex": secret[::-1].hex().encode(),
        "CBOR": cbor2.dumps(secret),
        "percent": quote_from_bytes(secret, safe="").encode(),
        "percent, every byte": every_byte.encode(),
        "percent, every byte, lower case": every_byte.lower().encode(),
        "decimal list": ", ".join(map(str, secret)).encode(),
        "decimal list, close": ",".join(map(str, secret)).encode(),
        "decimal list, spaces": " ".join(map(str, secret)).encode(),
        "escaped by Python": repr(secret)[2:-1].encode(),
        "escaped, every byte": "".join(f"\\x{byte:02x}" for byte in secret).encode(),
        "escaped by JSON": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
        "Latin-1 as UTF-8": secret.decode("latin-1").encode(),
        "UTF-16 LE": secret.decode("latin-1").encode("utf-16-le"),
        "UTF-16 BE": secret.decode("latin-1").encode("utf-16-be"),
        "hex, UTF-16 LE": hexadecimal.encode("utf-16-le"),
        "hex, UTF-16 BE": hexadecimal.encode("utf-16-be"),
    }
    for name, encode, bits, period in (
        ("base64", base64.b64encode, 6, 3),
        ("base64url", base64.urlsafe_b64encode, 6, 3),
        ("base32", base64.b32encode, 5, 5),
    ):
        found |= {f"{name}, {at} bytes in": _aligned(encode(bytes(at) + secret), at, len(secret), bits) for at in range(period)}
    found |= {f"{name}, lower case": text.lower() for name, text in found.items() if name.startswith("base32")}
    return found


def _aligned(encoded: bytes, before: int, length: int, bits: int) -> bytes:
    """The characters that the secret alone decides, wherever it stands in what was encoded."""
    return encoded[-(-before * 8 // bits) : (before + length) * 8 // bits]


class Canary:
    """Secrets by name, ready to be looked for."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self.names = tuple(secrets)
        self._spellings = {
            (name, spelling): text for name, secret in secrets.items() for spelling, text in spellings(secret).items()
        }

    def found_in(self, content: bytes | str) -> list[str]:
        """Which secret is found in `content`, in which spelling: "key: base64, 0 bytes in"."""
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        return [f"{name}: {spelling}" for (name, spelling), text in self._spellings.items() if text in data]

    def found_in_files(self, root: Path) -> list[str]:
        """Which secret is found in the content or the name of any file below `root`."""
        found = []
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            content = path.read_bytes() if path.is_file() else b""
            found += [f"{name}: {what}" for what in self.found_in(name) + self.found_in(content)]
        return found

    def found_in_shown(self, values: Iterable[Any]) -> list[str]:
        """Which secret is shown by ``repr`` or ``str`` of one of `values`."""
        return [f"{type(value).__qualname__}: {what}" for value in values for what in self.found_in(f"{value!r}\n{value}")]


def reachable(*roots: object) -> Iterator[Any]:
    """Every value of the packages' own types that can be reached from `roots`: through attributes, slots, containers and closures."""
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, (type, ModuleType, str, bytes, int, float)):
            continue
        seen.add(id(value))
        waiting += _parts(value)
        if type(value).__module__.startswith(("rap_journal", "rap_projections", "rap_tools")):
            yield value


def shown_with_locals(error: BaseException) -> str:
    """What a collector of errors sends: the traceback with the local variables of every frame, for each error behind `error` as well.

    The outermost frame is left out: it is that of the test, which made the secret.
    """
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    behind: list[BaseException] = [error]
    for one in behind:
        behind += [other for other in (one.__cause__, one.__context__) if other is not None and other not in behind]
    return "\n".join(line for one in behind for line in TracebackException.from_exception(one, capture_locals=True).format())


def holders(secrets: Iterable[bytes], *roots: object) -> list[Any]:
    """Every such value that holds one of `secrets` itself, in an attribute or in a container that is one."""
    wanted = frozenset(secrets)

    def holds(part: Any) -> bool:
        inner = (
            part.values() if isinstance(part, Mapping) else part if isinstance(part, (list, tuple, set, frozenset)) else [part]
        )
        return any(isinstance(each, bytes | bytearray) and bytes(each) in wanted for each in inner)

    return [value for value in reachable(*roots) if any(holds(part) for part in _parts(value))]


def _parts(value: Any) -> list[Any]:
    parts: list[Any] = list(getattr(value, "__dict__", {}).values())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            parts.append(getattr(value, mangled, None))
    if isinstance(value, Mapping):
        parts += [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts += value
    for cell in getattr(value, "__closure__", None) or ():
        parts.append(cell.cell_contents)
    parts.append(getattr(value, "__self__", None))
    return parts
