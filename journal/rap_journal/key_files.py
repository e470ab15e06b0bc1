"""The key file: a journal's data key, wrapped by each key provider that may open it, kept in two class folders.

Rules this file keeps:

- A slot wraps the data key with a provider's key; the list of slots is authenticated by the data key itself, so that no slot can
  be added, swapped or weakened by whoever cannot already open the store.
- A wrong provider key and a tampered file are told apart: see `open_keys`.
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
from collections.abc import Callable
from typing import NamedTuple, Protocol

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
from rap_journal.sealing import DATA_KEY_BYTES, SealBroken, authenticate, key_check_value, unwrap_key, wrap_key

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


class KeySlot(NamedTuple):
    """One provider's way to the data key."""

    provider: ProviderKind
    salt: bytes
    wrapped: bytes


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
    head = KEYS_HEADER.pack(KEYS_MAGIC, FORMAT_VERSION, 1, generation, journal_id, key_check_value(data_key, journal_id), 0, b"")
    salt = randomness(SALT_BYTES)
    wrapped = wrap_key(provider.key_encryption_key(), salt, _place(journal_id, generation, provider.kind), data_key)
    content = head + KEYS_SLOT.pack(provider.kind, 0, 0, 0, 0, salt, wrapped, b"")
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


def open_keys(file: KeyFile, provider: KeyProvider) -> bytes:
    """The data key in `file`.

    Raises `KeyUnavailable` when no slot is for this kind of provider or its key is another one, and `KeyTampered` when a slot opens
    and what it holds is not the key this journal was sealed with.
    """
    slots = [slot for slot in file.slots if slot.provider == provider.kind]
    if not slots:
        names = ", ".join(slot.provider.name.lower() for slot in file.slots)
        raise KeyUnavailable(
            f"no key slot for provider {provider.kind.name.lower()}; slots exist for: {names}.", reason="no_slot"
        )
    key_encryption_key = provider.key_encryption_key()
    for slot in slots:
        try:
            data_key = unwrap_key(
                key_encryption_key, slot.salt, _place(file.journal_id, file.key_generation, slot.provider), slot.wrapped
            )
        except SealBroken:
            continue
        right = key_check_value(data_key, file.journal_id) == file.key_check
        if not right or not hmac.compare_digest(authenticate(data_key, file.journal_id, file.authenticated), file.authenticator):
            raise KeyTampered(
                "a key slot opens, but its list of slots is not the one that was sealed; nothing was opened.",
                reason="slots_tampered",
            )
        return data_key
    raise KeyUnavailable(
        f"the key of provider {provider.kind.name.lower()} opens no slot: it is another key than the one this store was sealed with. "
        "Nothing was opened; give the right key.",
        reason="wrong_key",
    )


def _place(journal_id: bytes, generation: int, provider: ProviderKind) -> bytes:
    return b"rap/v1 key slot" + journal_id + generation.to_bytes(4, "little") + provider.to_bytes(2, "little")


def _decode_slot(data: bytes, offset: int, path: str) -> KeySlot:
    provider, kdf, cost, block, parallel, salt, wrapped, reserved = KEYS_SLOT.unpack_from(data, offset)
    if kdf or cost or block or parallel or any(reserved) or provider not in ProviderKind.__members__.values():
        raise FormatTooNew(
            f"{path} has a key slot of unknown kind; it was left alone.", file=path, offset=offset, reason="slot_kind"
        )
    return KeySlot(ProviderKind(provider), salt, wrapped)
