"""The key in the key store of the operating system, by the library `keyring` (extra `keystore`).

Rules this file keeps:

- A closed list says which backends protect what they keep: Secret Service, Keychain, the vault of Windows (DPAPI). A backend is
  refused by its class: null, fail, files in plain text, and a chain that has any such link.
- A store that is locked, does not answer or lacks the entry is `KeyUnavailable`: it may be another user's store, or the names mistyped.
- Backends let through whatever their libraries raise, whose texts are not ours: errors name the type of a failure and no more.

Example::

    store = NodeStore.open(root, keys=OsKeyStoreProvider("rap-node", "node-17"), create=True)
"""

import base64
from collections.abc import Callable
from typing import Any

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.markers import ProviderKind
from rap_projections.arguments import require
from rap_projections.key_providers.door import KEY_BYTES, checked_key
from rap_projections.key_providers.extras import load_extra

TRUSTED_BACKENDS = frozenset(
    {
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.libsecret.Keyring",
        "keyring.backends.macOS.Keyring",
        "keyring.backends.Windows.WinVaultKeyring",
    }
)
"""Classes of backends that keep a secret encrypted under what the user or the machine has to unlock."""

_CHAIN = "keyring.backends.chainer.ChainerBackend"
_NONE = "keyring.backends.fail.Keyring"


class OsKeyStoreProvider:
    """An entry in the operating system's key store; status says ``protection=os_key_store``.

    Args:
        service: name of the service under which the entry is kept.
        user: name of the entry.

    Raises `MisuseError` for an empty name and for what is no text.
    """

    kind = ProviderKind.OS_KEY_STORE
    holds_private_keys = False

    def __init__(self, service: str, user: str) -> None:
        require("service", service, str)
        require("user", user, str)
        if not service or not user:
            raise MisuseError("an entry of the key store has a service and a user; nothing was done.", reason="key_store_entry")
        self._service = service
        self._user = user

    def __repr__(self) -> str:
        return f"OsKeyStoreProvider({self._service!r}, {self._user!r})"

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """Make the entry with a random key if it is not there. Raises `KeyUnavailable`."""
        try:
            self.key_encryption_key()
        except KeyUnavailable as error:
            if error.reason != "no_key_store_entry":
                raise
            self._asking(lambda backend: backend.set_password(self._service, self._user, _written(randomness(KEY_BYTES))))
            self.key_encryption_key()

    def key_encryption_key(self) -> bytes:
        """The 32 bytes. Raises `KeyUnavailable`, also without the entry and for one that is no key."""
        return checked_key(self._read(), f"entry {self._user} of {self._service} in the key store")

    def _read(self) -> bytes:
        key: bytes | None = self._asking(lambda backend: _decoded(backend.get_password(self._service, self._user)))
        if key is None:
            raise KeyUnavailable(
                f"the key store has no entry {self._user} of {self._service}; nothing was opened. Check both names and the user whose key "
                "store it is. If the entry is gone, put its copy back, or open the store by another key slot.",
                reason="no_key_store_entry",
            )
        return key

    def _asking(self, step: Callable[[Any], Any]) -> Any:
        """What `step` gets of the backend. Raises `KeyUnavailable`."""
        library = load_extra("keyring")
        failure = unsafe = None
        try:
            backend = library.get_keyring()
            unsafe = untrusted(backend)
            if unsafe is None:
                return step(backend)
        except Exception as error:  # noqa: BLE001  # backends let through whatever their libraries raise
            failure = type(error).__name__
        if failure is not None:
            # Out here, so that it has no other error behind it: the frames of that one may hold a key.
            raise KeyUnavailable(
                f"the key store of this system does not answer ({failure}); nothing was opened. Unlock it, and try again.",
                reason="key_store",
            )
        if unsafe == _NONE:
            # The library looked once, when it was loaded, and does not look again.
            raise KeyUnavailable(
                "no key store of this system answers; nothing was opened. Start it (a Secret Service wants a D-Bus session), then start this "
                "program again.",
                reason="no_key_store",
            )
        raise KeyUnavailable(
            f"the backend {unsafe} does not protect what it keeps, and was not asked. Configure Secret Service, Keychain or the Windows "
            "vault for the library keyring, or use another key provider.",
            reason="unsafe_backend",
        )


def _written(key: bytes) -> str:
    """A key as an entry has it."""
    return base64.b64encode(key).decode()


def _decoded(text: object) -> bytes | None:
    """The bytes of an entry; none for one that is not written like a key, and None where there is no entry."""
    try:
        return None if text is None else base64.b64decode(str(text), validate=True)
    except ValueError:
        return b""


def untrusted(backend: object) -> str | None:
    """The class of the backend, or of the link of a chain, that is not to be trusted with a key; None where all are."""
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if name != _CHAIN:
        return None if name in TRUSTED_BACKENDS else name
    links = list(getattr(backend, "backends", ()))
    if not links:
        return name
    return next((found for link in links if (found := untrusted(link)) is not None), None)
