"""The key as a credential that systemd hands to the service: decrypted by TPM or host key, in memory that is never swapped out.

Rules this file keeps:

- The folder comes from $CREDENTIALS_DIRECTORY, an absolute and normal path, and belongs to this user or to root.
- The key is never made here: only an administrator can encrypt a credential. Every error says with which command.
- It is never called lost: systemd keeps it outside of what this process sees, and a unit that lacks a line looks the same.

Sources: systemd.exec(5), "Credentials"; systemd-creds(1); systemd's `credential_name_valid`.

Example::

    # head -c 32 /dev/urandom | systemd-creds encrypt --name=rap.key - /etc/credstore.encrypted/rap.key
    # [Service] LoadCredentialEncrypted=rap.key
    store = NodeStore.open(root, keys=SystemdCredentialProvider("rap.key"), create=True)
"""

import posixpath
import re
from collections.abc import Callable

from rap_journal.errors import KeyUnavailable, MisuseError, UnsafeFile
from rap_journal.markers import ProviderKind
from rap_journal.os_surroundings import environment_variable, read_credential
from rap_projections.arguments import require
from rap_projections.key_providers.door import KEY_BYTES, checked_key

DIRECTORY_VARIABLE = "CREDENTIALS_DIRECTORY"

_NAME = re.compile(r"(?!\.{1,2}$)[!-.0-9;-~]{1,255}")
"""A file name and a name for a descriptor: printable ASCII without slash, colon and space."""


class SystemdCredentialProvider:
    """A credential of the unit; status says ``protection=systemd_credential``.

    Args:
        name: name of the credential, as in ``LoadCredentialEncrypted=``. It holds 32 random bytes.

    Raises `MisuseError` for a name that systemd would not take.
    """

    kind = ProviderKind.SYSTEMD_CREDENTIAL
    holds_private_keys = False

    def __init__(self, name: str) -> None:
        require("name", name, str)
        if not _NAME.fullmatch(name):
            raise MisuseError(
                "a name of a credential has 1 to 255 printable ASCII characters without slash, colon and space; this one is none, and "
                "nothing was done.",
                reason="credential_name",
            )
        self._name = name

    def __repr__(self) -> str:
        return f"SystemdCredentialProvider({self._name!r})"

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """The credential must be there: it is never made here. Raises `KeyUnavailable`, with the command that makes it."""
        self.key_encryption_key()

    def key_encryption_key(self) -> bytes:
        """The 32 bytes. Raises `KeyUnavailable` without the credential and for another length, `UnsafeFile`."""
        return checked_key(self._read(), f"credential {self._name}")

    def _read(self) -> bytes:
        directory = environment_variable(DIRECTORY_VARIABLE)
        if directory is None:
            raise self._unavailable(f"the service manager gave this process no credentials (${DIRECTORY_VARIABLE} is not set)")
        if not directory.startswith("/") or posixpath.normpath(directory) != directory:
            raise KeyUnavailable(
                f"${DIRECTORY_VARIABLE} is not an absolute, normal path; nothing was opened. Start the agent by its unit.",
                reason="credential",
            )
        try:
            return read_credential(directory, self._name, KEY_BYTES + 1)
        except UnsafeFile:
            raise
        except OSError as error:
            raise self._unavailable(f"credential {self._name} cannot be read ({error.strerror})") from error

    def _unavailable(self, what: str) -> KeyUnavailable:
        name = self._name
        return KeyUnavailable(
            f"{what}; nothing was opened. Let the unit say LoadCredentialEncrypted={name}; where there is no such credential yet, make it: "
            f"head -c 32 /dev/urandom | systemd-creds encrypt --name={name} - /etc/credstore.encrypted/{name}",
            reason="credential",
        )
