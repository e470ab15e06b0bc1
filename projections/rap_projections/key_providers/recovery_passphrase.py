"""The key from a passphrase that people keep: the way back in when every other provider is gone.

Rules this file keeps:

- The passphrase is asked for each time it is needed, and never kept. A `bytearray` is overwritten after use; `bytes` cannot be.
- What asks for it may know it, so a provider is neither pickled nor copied.
- Its key is another one in every slot, made by scrypt from the slot's salt, with the bounds of `rap_journal.passphrase_kdf`.
- A passphrase that is too short is not taken for a new slot.

Example::

    store.keys.add_slot(RecoveryPassphraseProvider(ask))
    NodeStore.open(root, keys=RecoveryPassphraseProvider(ask))
"""

from collections.abc import Callable

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.markers import ProviderKind
from rap_journal.passphrase_kdf import PASSPHRASE_BYTES_MAX, PASSPHRASE_BYTES_MIN, Kdf, derive_key
from rap_journal.sealing import SecretHolder
from rap_projections.arguments import require_callable, require_optional


class RecoveryPassphraseProvider(SecretHolder):
    """A passphrase; status says ``protection=recovery_passphrase``.

    Args:
        ask: gives the passphrase, 16 to 1024 bytes, and is called once for every slot that is tried or made. Each journal of a store
            (one per cluster, and the agent's) has slots of its own.
        kdf: scrypt's parameters for new slots.

    Raises `MisuseError` for an `ask` that cannot be called and for parameters outside the bounds.
    """

    kind = ProviderKind.RECOVERY_PASSPHRASE
    holds_private_keys = False

    def __init__(self, ask: Callable[[], bytes | bytearray], kdf: Kdf | None = None) -> None:
        require_callable("ask", ask)
        require_optional("kdf", kdf, Kdf)
        self._ask = ask
        self.kdf = kdf or Kdf()
        if not self.kdf.is_within_bounds:
            raise MisuseError(f"{self.kdf} is outside the bounds for scrypt; nothing was done.", reason="kdf_bounds")

    def __repr__(self) -> str:
        return "RecoveryPassphraseProvider()"

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """There is nothing to make: the passphrase is what the person who is asked knows."""

    def key_encryption_key(self) -> bytes:
        """There is none without a slot: it is `slot_key` that is asked."""
        raise MisuseError("a passphrase has a key for each slot and none for all; nothing was done.", reason="no_single_key")

    def slot_key(self, salt: bytes, kdf: Kdf) -> bytes:
        """The 32 bytes for one slot.

        Raises `KeyUnavailable` where no passphrase of a sensible length is given, or memory is short, and `MisuseError` for one that is
        neither bytes nor a bytearray.
        """
        passphrase = self._ask()
        try:
            given = type(passphrase).__name__
            is_bytes = isinstance(passphrase, bytes | bytearray)
            if is_bytes and PASSPHRASE_BYTES_MIN <= len(passphrase) <= PASSPHRASE_BYTES_MAX:
                return derive_key(passphrase, salt, kdf)
        finally:
            if isinstance(passphrase, bytearray):
                passphrase[:] = bytes(len(passphrase))
            # No frame of the errors below has it.
            del passphrase
        if not is_bytes:
            raise MisuseError(
                f"`ask` gave a passphrase of type {given}; nothing was opened or changed. Let it give bytes: those that were meant when the "
                "slot was made.",
                reason="bad_passphrase",
            )
        raise KeyUnavailable(
            f"a recovery passphrase has {PASSPHRASE_BYTES_MIN} to {PASSPHRASE_BYTES_MAX} bytes; nothing was opened or changed. "
            "Give the one that was written down.",
            reason="passphrase_length",
        )
