"""The key in a private file: the simplest provider, and the weakest; status says ``protection=file``.

Rules this file keeps:

- The file is 0600, of one owner, one link, outside the store's root. Whoever reads the disk reads the key.
- A file that is not there is `KeyUnavailable`: the path may be mistyped, a disk not mounted, a copy kept elsewhere. This provider cannot
  know that a key is lost.

Example::

    store = NodeStore.open(root, keys=FileKeyProvider("/etc/rap/node.key"), create=True)
"""

from collections.abc import Callable
from pathlib import PurePath

from rap_journal.errors import KeyUnavailable, UnsafeFile
from rap_journal.markers import ProviderKind
from rap_journal.os_surroundings import read_private_file, write_private_file
from rap_projections.arguments import require
from rap_projections.key_providers.door import KEY_BYTES, checked_key


class FileKeyProvider:
    """A key in a file of mode 0600 outside the store's root; status says ``protection=file``.

    Args:
        path: the file; its folder must exist. It holds 32 random bytes.

    Raises `MisuseError` for what is no path.
    """

    kind = ProviderKind.FILE
    holds_private_keys = False

    def __init__(self, path: str | PurePath) -> None:
        require("path", path, str, PurePath)
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
            # Without its traceback, whose frames were given the key.
            raise KeyUnavailable(
                f"the key file {self._path} cannot be made ({error.strerror}); nothing was made.", reason="key_file"
            ) from error.with_traceback(None)

    def key_encryption_key(self) -> bytes:
        """The 32 bytes. Raises `KeyUnavailable` without the file, when it cannot be read, and for another length; `UnsafeFile`."""
        return checked_key(self._read(), f"the key file {self._path}")

    def _read(self) -> bytes:
        try:
            return read_private_file(self._path, KEY_BYTES + 1)
        except FileNotFoundError as error:
            raise KeyUnavailable(
                f"there is no key file {self._path}; nothing was opened. Check the path. If the file is gone, put its copy back, or open the "
                "store by another key slot; a new one, for a slot to be added, is made by `provision`.",
                reason="no_key_file",
            ) from error
        except UnsafeFile:
            raise
        except OSError as error:
            raise KeyUnavailable(
                f"the key file {self._path} cannot be read ({error.strerror}); try again.", reason="key_file"
            ) from error
