"""The door to key providers: what the store asks of whoever holds its key-encryption key (trust, 18).

Rules this file keeps:

- The key lives outside the store's root, so that a copy of the root alone opens nothing.
- A missing key is never made anew for a store that exists: what it sealed would be lost silently.
- An agent may enroll anew on `KeyLost` alone, which costs the whole store. So a provider says that only where it knows that the one copy
  is gone: never of a name, such as a path, under which nothing was found or something that is no key, for a name may be mistyped.
  That is `KeyUnavailable`, and so is everything else that may be better the next time.
- Whether a key is the right one the store finds out, not its provider: `KeyTampered` is about what lies in the store.
- A representation never shows a key, and no error does: neither its text nor the local variables of the frames that it passed, which
  collectors of errors send along. Who asks for a key hands it on unnamed, and who refuses one lets go of it first.

Python cannot promise that memory is wiped: keys are bytes that the interpreter may have copied. Buffers that this project fills
itself are overwritten after use, see `wiped`.

Example::

    with wiped(bytearray(secret)) as buffer:
        use(buffer)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rap_journal.errors import KeyUnavailable
from rap_journal.key_files import KeyProvider

KEY_BYTES = 32
"""Length of a key-encryption key."""


class ProvisioningKeyProvider(KeyProvider, Protocol):
    """A provider that a store can be made with."""

    @property
    def holds_private_keys(self) -> bool:
        """Whether the private keys of identities are made and used inside the provider. Where not, they are sealed in the store.

        False for every provider of this release.
        """
        ...

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """See to it that the key exists, making it if need be and never in the place of another. Called only while a store is being made.

        Raises `KeyUnavailable` where it does not, and the operator has to make it.
        """
        ...


def checked_key(key: bytes | bytearray, where: str) -> bytes:
    """`key`, if it has the right length; `where` names its place in the message. Raises `KeyUnavailable`."""
    if len(key) != KEY_BYTES:
        del key
        raise KeyUnavailable(
            f"{where} does not hold {KEY_BYTES} bytes, so it is no key; nothing was opened. Check the name, or put the right key back.",
            reason="key_length",
        )
    return bytes(key)


@contextmanager
def wiped(buffer: bytearray) -> Iterator[bytearray]:
    """Lend out a buffer, and overwrite it with zeros afterwards."""
    try:
        yield buffer
    finally:
        buffer[:] = bytes(len(buffer))
