"""Whether what opens a store is of the types that opening takes.

Rules this file keeps:

- Looked at before a file is: a slip costs nothing, and never leaves half a store behind.
- Doors to the world (keys, clock, file system) are known by what they can do, since anybody may write one.

Example::

    require_opening(root=root, keys=keys, policy=policy, create=create, wait_s=wait_s)
"""

from pathlib import PurePath
from typing import Any

from rap_journal.errors import MisuseError
from rap_journal.sealing import SecretBytes
from rap_projections.arguments import require, require_able, require_callable, require_optional
from rap_projections.policy import Policy

_BY_TYPE: dict[str, tuple[type, ...]] = {
    "root": (str, PurePath), "path": (str, PurePath), "create": (bool,), "background": (bool,), "wait_s": (int, float),
    "private_keys": (bool,),
}  # fmt: skip
_OPTIONAL: dict[str, tuple[type, ...]] = {
    "policy": (Policy,), "recipient": (bytes,), "expect": (str,), "survivor": (str, PurePath),
}  # fmt: skip
_DOORS = {"clock": ("boot_id", "now"), "filesystem": ("open_root", "read_file"), "anchor": ("read", "raise_to")}


def require_opening(**arguments: Any) -> None:
    """Raise `MisuseError` for the first argument, by its name in the call, that is of no type it may have."""
    for name, value in arguments.items():
        if name in _BY_TYPE:
            require(name, value, *_BY_TYPE[name])
        elif name in _OPTIONAL:
            require_optional(name, value, *_OPTIONAL[name])
        elif name in _DOORS:
            if value is not None:
                require_able(name, value, *_DOORS[name])
        elif name == "recovery":
            _require_secret(name, value)
        elif name in {"keys", "survivor_keys"}:
            if name == "keys" or value is not None:
                require_able(name, value, "kind", "key_encryption_key")
        else:
            assert name == "randomness", name
            require_callable(name, value)
    for name in ("root", "path", "survivor"):
        if "\0" in str(arguments.get(name, "")):
            raise MisuseError(f"{name} is no path: there is a zero byte in it; nothing was done.", reason=f"bad_{name}")
    if not 0 <= arguments.get("wait_s", 0) < float("inf"):
        raise MisuseError("wait_s is a number of seconds from 0; nothing was done.", reason="bad_wait_s")


def _require_secret(name: str, value: SecretBytes | None) -> None:
    """`require`, for secret bytes or None: no frame of an error has them by themselves."""
    if value is not None and not isinstance(value.reveal(), bytes):
        raise MisuseError(f"{name} cannot be of type {type(value.reveal()).__name__}; nothing was done.", reason=f"bad_{name}")
