"""Providers of the key-encryption key: who may open a store.

Rules this file keeps:

- The key lives outside the store's root, so that a copy of the root alone opens nothing.
- A missing key is never made anew for a store that exists: what it sealed would be lost silently.
- A representation never shows the key.

Other providers (systemd credential, kernel keyring, TPM 2, key store of the operating system) implement the same protocol.

Example::

    store = NodeStore.open(root, keys=FileKeyProvider("/etc/rap/node.key"), create=True)
"""

from collections.abc import Callable
from pathlib import PurePath
from typing import Protocol

from rap_journal.errors import KeyLost, KeyTampered, KeyUnavailable, MisuseError, UnsafeFile
from rap_journal.key_files import KeyProvider
from rap_journal.markers import ProviderKind
from rap_journal.os_filesystem import read_private_file, real_path, write_private_file

KEY_BYTES = 32


class ProvisioningKeyProvider(KeyProvider, Protocol):
    """A provider that can make the key when a store is made."""

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """See to it that the key exists, making it if need be. Called only while a store is being made."""
        ...


class FileKeyProvider:
    """A key in a file of mode 0600 outside the store's root; status says ``protection=file``.

    Args:
        path: the file; its folder must exist. It holds 32 random bytes.
    """

    kind = ProviderKind.FILE

    def __init__(self, path: str | PurePath) -> None:
        self._path = str(path)

    def __repr__(self) -> str:
        return f"FileKeyProvider({self._path!r})"

    @property
    def path(self) -> str:
        """Where the key is."""
        return self._path

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """Make the file with a random key if it is not there. Raises `KeyUnavailable` when it cannot be written."""
        try:
            write_private_file(self._path, randomness(KEY_BYTES))
        except FileExistsError:
            return
        except OSError as error:
            raise KeyUnavailable(
                f"the key file {self._path} cannot be made ({error.strerror}); nothing was made.", reason="key_file"
            ) from error

    def key_encryption_key(self) -> bytes:
        """The 32 bytes. Raises `KeyLost` without the file, `KeyUnavailable` when it cannot be read, `KeyTampered` for another length."""
        try:
            key = read_private_file(self._path, KEY_BYTES + 1)
        except FileNotFoundError as error:
            raise KeyLost(
                f"the key file {self._path} is gone; the store was left alone. Restore the file, or enroll anew.",
                reason="key_file",
            ) from error
        except UnsafeFile:
            raise
        except OSError as error:
            raise KeyUnavailable(
                f"the key file {self._path} cannot be read ({error.strerror}); try again.", reason="key_file"
            ) from error
        if len(key) != KEY_BYTES:
            raise KeyTampered(
                f"the key file {self._path} does not hold {KEY_BYTES} bytes; nothing was opened.", reason="key_file"
            )
        return key


def require_outside(root: str, provider: KeyProvider) -> None:
    """Raise `MisuseError` when a file provider's key lies within the store's root: a copy of the root would hold its own key."""
    if isinstance(provider, FileKeyProvider) and PurePath(real_path(provider.path)).is_relative_to(real_path(root)):
        raise MisuseError(
            f"the key file lies inside the store's root {root}; nothing was done. Keep it elsewhere.", reason="key_inside_root"
        )
