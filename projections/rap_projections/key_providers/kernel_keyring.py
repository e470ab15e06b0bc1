"""The key in a keyring of the Linux kernel: in memory only, so that a stolen disk opens nothing.

Rules this file keeps:

- The kernel forgets its keyrings at every reboot, and a session's with the session. So the keyring is where a key is delivered at
  boot (by a unit, an administrator, a secrets service) and never its one copy: a key that is not there, has expired or was revoked is
  `KeyUnavailable`, to be loaded again. Nothing is made by provisioning.
- The exception is asked for by name: an `ephemeral` key is made here, at random, for a store that shall not outlive the boot. Of such
  a key there is no other copy, and its absence is `KeyLost`.
- The key is of type "user": every process that possesses it can read it. In the user's keyring those are all processes of the user,
  whatever their session; root can become any user. (Keys of type "logon", "encrypted" and
  "trusted" cannot be read by any process; they could not open the store.)

Example::

    # keyctl padd user rap:node @u < node.key
    store = NodeStore.open(root, keys=KernelKeyringProvider("rap:node"))
"""

import errno
from collections.abc import Callable

from rap_journal.errors import KeyLost, KeyUnavailable, MisuseError, StateStoreError
from rap_journal.kernel_keyring import KEYRINGS, add_key, read_key
from rap_journal.markers import ProviderKind
from rap_projections.arguments import require
from rap_projections.key_providers.door import KEY_BYTES, checked_key, wiped

_ABSENT = {getattr(errno, "ENOKEY", 126): "absent", getattr(errno, "EKEYEXPIRED", 127): "expired",
           getattr(errno, "EKEYREVOKED", 128): "revoked"}  # fmt: skip
"""What the kernel answers where there is no key to be had, and the reason that the error carries. Linux alone has these numbers."""

_SHORT = {"session": "@s", "user": "@u", "user-session": "@us"}


class KernelKeyringProvider:
    """A key in a kernel keyring; status says ``protection=kernel_keyring``.

    Args:
        description: what the key is called, such as ``rap:node``.
        keyring: "user" (all processes of the user, until reboot), "session" or "user-session".
        ephemeral: let a new store's key be made here. It is gone at the next reboot, and the store with it.

    Raises `MisuseError` for another keyring, an unprintable description, and what is no text.
    """

    kind = ProviderKind.KERNEL_KEYRING
    holds_private_keys = False

    def __init__(self, description: str, keyring: str = "user", *, ephemeral: bool = False) -> None:
        require("description", description, str)
        require("keyring", keyring, str)
        if keyring not in KEYRINGS:
            raise MisuseError(f"the keyring is none of {', '.join(KEYRINGS)}; nothing was done.", reason="keyring")
        # A dot in front is kept for the kernel itself.
        if not description.isprintable() or not 1 <= len(description.encode()) <= 255 or description.startswith("."):
            raise MisuseError(
                "a description of a key has 1 to 255 bytes, all printable, and no dot in front; this one is none, and nothing was done.",
                reason="description",
            )
        self._description = description
        self._keyring = keyring
        self._ephemeral = ephemeral

    @property
    def is_ephemeral(self) -> bool:
        """Whether the key may be made here and lost at the next reboot."""
        return self._ephemeral

    def __repr__(self) -> str:
        return f"KernelKeyringProvider({self._description!r}, {self._keyring!r}{', ephemeral=True' if self._ephemeral else ''})"

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """The key must be there, unless it is `ephemeral`: then one is made if need be. Raises `KeyUnavailable`."""
        try:
            self.key_encryption_key()
        except KeyLost:
            with wiped(bytearray(randomness(KEY_BYTES))) as key:
                try:
                    add_key(self._keyring, self._description, key)
                except OSError as error:
                    raise self._failed(error) from error

    def key_encryption_key(self) -> bytes:
        """The 32 bytes. Raises `KeyUnavailable` without the key (`KeyLost` for an ephemeral one), and for another length."""
        where = f"key {self._description} in the {self._keyring} keyring"
        try:
            with wiped(read_key(self._keyring, self._description, KEY_BYTES)) as key:
                return checked_key(key, where)
        except OSError as error:
            if error.errno == errno.EFBIG:
                return checked_key(b"", where)
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StateStoreError:
        where = f"key {self._description} in the {self._keyring} keyring"
        absent = _ABSENT.get(error.errno or 0)
        if absent and self._ephemeral:
            return KeyLost(
                f"{where} is {absent}, and it was the only copy; what it sealed cannot be read again. Make the store anew, and enroll.",
                reason=absent,
            )
        if absent:
            return KeyUnavailable(
                f"{where} is {absent} (the kernel forgets keys at reboot); nothing was opened. Load it again: "
                f"keyctl padd user {self._description} {_SHORT[self._keyring]} < KEY. If no copy is left, enroll anew.",
                reason=absent,
            )
        if error.errno == errno.EACCES:
            return KeyUnavailable(
                f"{where} may not be read by this process; nothing was opened. Load it as the user that the agent runs as, with the "
                "permissions that keyctl gives it.",
                reason="not_permitted",
            )
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return KeyUnavailable(
                f"there is no kernel key service for this process ({error.strerror}); nothing was opened. It takes Linux, and no filter "
                "that forbids its calls: use another key provider here.",
                reason="no_kernel_keyring",
            )
        return KeyUnavailable(
            f"{where} cannot be used ({error.strerror}); nothing was changed. Try again.", reason="kernel_keyring"
        )
