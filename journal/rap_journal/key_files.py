"""The key file: a journal's data key, wrapped by each key provider that may open it, kept in two class folders.

Rules this file keeps:

- A slot wraps the data key with a provider's key; the list of slots is authenticated by the data key itself, so that no slot can
  be added, swapped or weakened by whoever cannot already open the store.
- A wrong provider key and a tampered file are told apart: see `open_keys`.
- The key of a passphrase slot comes from scrypt. A slot whose parameters are outside their bounds is tampering, whoever opens the file.
- Two copies, in different folders: one damaged copy is repaired from the other.

Bytes::

    offset  size  name             meaning
         0     8  magic            "RAPKEYS1"
         8     2  version          1
        10     2  slot_count       1 to 8
        12     4  key_generation
        16    16  journal_id
        32    16  key_check        check value of the data key
        48     4  reserved         0
        52    12  reserved         zeros
        64  128n  slots
                    0  2  provider       ProviderKind
                    2  2  kdf            0 none (the provider's key is random), 1 scrypt
                    4  4  kdf_cost       log2 of scrypt's N, else 0
                    8  4  kdf_block      scrypt's r, else 0
                   12  4  kdf_parallel   scrypt's p, else 0
                   16 32  salt           for wrapping (and scrypt)
                   48 48  wrapped        data key, sealed
                   96 32  reserved       zeros
    64+128n   32  authenticator    HMAC-SHA-256 of everything before, keyed from the data key
    96+128n   32  digest           SHA-256 of everything before
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from rap_journal.errors import DamageError, FormatTooNew, KeyTampered, KeyUnavailable
from rap_journal.filesystem import Directory, read_whole
from rap_journal.format import (
    FORMAT_VERSION,
    KEYS_HEADER,
    KEYS_HEADER_BYTES,
    KEYS_MAGIC,
    KEYS_SLOT,
    KEYS_SLOT_BYTES,
    KEYS_SLOT_COUNT_MAX,
    SALT_BYTES,
)
from rap_journal.markers import ProviderKind
from rap_journal.passphrase_kdf import Kdf
from rap_journal.sealing import DATA_KEY_BYTES, SealBroken, authenticate, key_check_value, unwrap_key, wrap_key

_SCRYPT = 1
_KEYS_BYTES_MIN = KEYS_HEADER_BYTES + KEYS_SLOT_BYTES + 64
_KEYS_BYTES_MAX = KEYS_HEADER_BYTES + KEYS_SLOT_COUNT_MAX * KEYS_SLOT_BYTES + 64


class KeyProvider(Protocol):
    """Whoever holds the key-encryption key (trust, 18)."""

    @property
    def kind(self) -> ProviderKind:
        """Which of the closed set of providers this is."""
        ...

    def key_encryption_key(self) -> bytes:
        """32 secret bytes; raises `KeyUnavailable` (try again) or `KeyLost` (gone)."""
        ...


@runtime_checkable
class PassphraseProvider(KeyProvider, Protocol):
    """A provider whose key is another one for every slot: it comes from a passphrase and the slot's salt."""

    @property
    def kdf(self) -> Kdf:
        """Parameters for a new slot."""
        ...

    def slot_key(self, salt: bytes, kdf: Kdf) -> bytes:
        """32 secret bytes for the slot with this salt and these parameters; raises `KeyUnavailable`."""
        ...


class KeySlot(NamedTuple):
    """One provider's way to the data key. `kdf` is None where the provider's key is random."""

    provider: ProviderKind
    salt: bytes
    wrapped: bytes
    kdf: Kdf | None = None


class KeyFile(NamedTuple):
    """A key file whose digest is right; `authenticated` is what the authenticator covers."""

    key_generation: int
    journal_id: bytes
    key_check: bytes
    slots: tuple[KeySlot, ...]
    authenticated: bytes
    authenticator: bytes


def make_key_file(
    provider: KeyProvider, journal_id: bytes, generation: int, data_key: bytes, randomness: Callable[[int], bytes]
) -> bytes:
    """The bytes of a key file with one slot, for `provider`."""
    return seal_slots(journal_id, generation, data_key, (make_slot(provider, journal_id, generation, data_key, randomness),))


def make_slot(
    provider: KeyProvider, journal_id: bytes, generation: int, data_key: bytes, randomness: Callable[[int], bytes]
) -> KeySlot:
    """A slot by which `provider` opens the data key. Raises what the provider raises."""
    salt = randomness(SALT_BYTES)
    kdf = provider.kdf if isinstance(provider, PassphraseProvider) else None
    key = _slot_key(provider, salt, kdf)
    return KeySlot(provider.kind, salt, wrap_key(key, salt, _place(journal_id, generation, provider.kind), data_key), kdf)


def seal_slots(journal_id: bytes, generation: int, data_key: bytes, slots: Sequence[KeySlot]) -> bytes:
    """The bytes of a key file with these slots, which the data key vouches for."""
    assert 1 <= len(slots) <= KEYS_SLOT_COUNT_MAX, "callers keep to the number of slots"
    check_value = key_check_value(data_key, journal_id)
    content = KEYS_HEADER.pack(KEYS_MAGIC, FORMAT_VERSION, len(slots), generation, journal_id, check_value, 0, b"")
    for slot in slots:
        content += KEYS_SLOT.pack(
            slot.provider, int(slot.kdf is not None), *(slot.kdf or (0, 0, 0)), slot.salt, slot.wrapped, b""
        )
    content += authenticate(data_key, journal_id, content)
    return content + hashlib.sha256(content).digest()


def make_data_key(randomness: Callable[[int], bytes]) -> bytes:
    """A fresh data key."""
    return randomness(DATA_KEY_BYTES)


def read_key_file(directory: Directory, name: str) -> KeyFile:
    """Read and check a key file. Raises `FileNotFoundError`, `DamageError`, `FormatTooNew`; takes no key."""
    data = read_whole(directory, name, _KEYS_BYTES_MAX)
    path = f"{directory.name}/{name}"
    if not _KEYS_BYTES_MIN <= len(data) <= _KEYS_BYTES_MAX or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise DamageError(f"{path} is not the key file that was written; it was left alone.", file=path, reason="bad_digest")
    magic, version, slot_count, generation, journal_id, key_check, zero_1, zero_2 = KEYS_HEADER.unpack_from(data)
    if magic != KEYS_MAGIC or len(data) != KEYS_HEADER_BYTES + slot_count * KEYS_SLOT_BYTES + 64:
        raise DamageError(f"{path} is not a key file; it was left alone.", file=path, reason="bad_magic")
    if version != FORMAT_VERSION or zero_1 or any(zero_2):
        raise FormatTooNew(
            f"{path} has key format {version}; it was left alone. Use a later release.", file=path, reason="keys_version"
        )
    slots = tuple(_decode_slot(data, KEYS_HEADER_BYTES + index * KEYS_SLOT_BYTES, path) for index in range(slot_count))
    return KeyFile(generation, journal_id, key_check, slots, data[:-64], data[-64:-32])


def key_file_bytes(file: KeyFile) -> bytes:
    """The bytes that `file` was read from."""
    content = file.authenticated + file.authenticator
    return content + hashlib.sha256(content).digest()


def check_slots(file: KeyFile) -> None:
    """Raise `KeyTampered` for a passphrase slot whose parameters are outside their bounds; takes no key."""
    for slot in file.slots:
        if slot.kdf is not None and not slot.kdf.is_within_bounds:
            raise KeyTampered(
                f"a passphrase slot has scrypt parameters that this store never writes {tuple(slot.kdf)}; nothing was opened. "
                "Restore the key file from a backup.",
                reason="kdf_bounds",
            )


def open_keys(file: KeyFile, provider: KeyProvider) -> bytes:
    """The data key in `file`.

    Raises `KeyUnavailable` when no slot is for this kind of provider or its key is another one, and `KeyTampered` when a slot opens
    and what it holds is not the key this journal was sealed with, or when a passphrase slot is outside its bounds.
    """
    check_slots(file)
    slots = [slot for slot in file.slots if slot.provider == provider.kind]
    if not slots:
        names = ", ".join(slot.provider.name.lower() for slot in file.slots)
        raise KeyUnavailable(
            f"no key slot for provider {provider.kind.name.lower()}; slots exist for: {names}.", reason="no_slot"
        )
    for slot in slots:
        data_key = key_in_slot(file, slot, provider)
        if data_key is not None:
            return data_key
    raise KeyUnavailable(
        f"the key of provider {provider.kind.name.lower()} opens no slot: it is another key than the one this store was sealed with. "
        "Nothing was opened; give the right key.",
        reason="wrong_key",
    )


def key_in_slot(file: KeyFile, slot: KeySlot, provider: KeyProvider) -> bytes | None:
    """The data key, if `provider` opens this slot, which is of its kind. Raises `KeyTampered` as `open_keys` does."""
    key = _slot_key(provider, slot.salt, slot.kdf)
    try:
        data_key = unwrap_key(key, slot.salt, _place(file.journal_id, file.key_generation, slot.provider), slot.wrapped)
    except SealBroken:
        return None
    right = key_check_value(data_key, file.journal_id) == file.key_check
    if not right or not hmac.compare_digest(authenticate(data_key, file.journal_id, file.authenticated), file.authenticator):
        # What refuses keys lets go of them first: collectors of errors send along the local variables of the frames that these passed.
        del key, data_key
        raise KeyTampered(
            "a key slot opens, but its list of slots is not the one that was sealed; nothing was opened.",
            reason="slots_tampered",
        )
    return data_key


def _slot_key(provider: KeyProvider, salt: bytes, kdf: Kdf | None) -> bytes:
    if kdf is None:
        return provider.key_encryption_key()
    assert isinstance(provider, PassphraseProvider), "slots with scrypt parameters are those of passphrases"
    return provider.slot_key(salt, kdf)


def _place(journal_id: bytes, generation: int, provider: ProviderKind) -> bytes:
    return b"rap/v1 key slot" + journal_id + generation.to_bytes(4, "little") + provider.to_bytes(2, "little")


def _decode_slot(data: bytes, offset: int, path: str) -> KeySlot:
    provider, kdf, cost, block, parallel, salt, wrapped, reserved = KEYS_SLOT.unpack_from(data, offset)
    is_passphrase = provider == ProviderKind.RECOVERY_PASSPHRASE
    parameters = Kdf(cost, block, parallel)
    unknown = provider not in ProviderKind.__members__.values() or kdf > _SCRYPT or any(reserved)
    if unknown or (not is_passphrase and (kdf or any(parameters))):
        raise FormatTooNew(
            f"{path} has a key slot of unknown kind; it was left alone.", file=path, offset=offset, reason="slot_kind"
        )
    # A passphrase without scrypt would be a key that can be guessed at full speed: no writer makes one, and no bounds allow it.
    return KeySlot(ProviderKind(provider), salt, wrapped, (parameters if kdf else Kdf(0, 0, 0)) if is_passphrase else None)
