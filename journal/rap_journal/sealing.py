"""The key hierarchy, and the two ways in which it seals: a segment's stream of frames, and a file with a one-use key.

Rules this file keeps:

- Data key -> HKDF -> one key per purpose -> HKDF with 32 random bytes of salt -> one key per segment or per file.
- A key that seals a file is used once, so its nonce is zero; frames share their segment's key and bring random nonces.
- Everything that says where sealed bytes belong is associated data: bytes moved elsewhere do not unseal.
- Keys are never shown: their holders have a repr without them, and are neither pickled nor copied. Python cannot promise that memory is
  wiped.

Sources: RFC 5869 (HKDF), NIST SP 800-38D (GCM; 2**32 frames bound random nonces under one key, and a segment holds far fewer).

Example::

    ring = KeyRing(journal_id, {1: data_key}, current=1)
    sealed = ring.seal(Purpose.DOCUMENT, 1, salt, associated, content)
"""

from collections.abc import Mapping
from enum import Enum
from typing import NoReturn, SupportsIndex

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rap_journal.errors import KeyUnavailable, StateStoreError
from rap_journal.format import SALT_BYTES

DATA_KEY_BYTES = 32
KEY_CHECK_BYTES = 16
_ONE_USE_NONCE = bytes(12)


class Purpose(Enum):
    """What a key is for; keys of different purposes have nothing in common."""

    SEGMENT = b"segment"
    CHECKPOINT = b"checkpoint"
    DOCUMENT = b"document"
    IDENTITY = b"identity"
    WITNESS = b"witness"
    LEDGER = b"ledger"
    MARKER = b"marker"
    BACKUP = b"backup"


class SealBroken(StateStoreError):
    """Raised when sealed bytes do not unseal: they, their place or their key are not the ones they were sealed with.

    The caller decides what that means: under a digest that is right it is tampering, which fails closed.
    """

    exit_code = 8


class SecretHolder:
    """What holds keys or other secrets, and so is neither pickled nor copied: a secret stays where it is."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise `TypeError`, for `pickle` as for `copy`."""
        raise TypeError(
            f"a {type(self).__name__} holds secrets and cannot be copied or pickled; nothing was done. Hand it on itself."
        )


class SecretBytes(SecretHolder):
    """Secret bytes on their way through calls that may fail: what shows the local variables of those shows no secret."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "SecretBytes()"

    def __len__(self) -> int:
        return len(self._value)

    def reveal(self) -> bytes:
        """The bytes, for one use: whoever asks gives them no name."""
        return self._value


class KeyRing(SecretHolder):
    """The data keys of one journal, by generation. New bytes are sealed with the current one."""

    def __init__(self, journal_id: bytes, keys: Mapping[int, bytes], current: int) -> None:
        self._journal_id = journal_id
        self._keys = dict(keys)
        self._purposes: dict[tuple[int, Purpose], bytes] = {}
        self.current = current
        assert current in self._keys, "the current generation has a key"

    def __repr__(self) -> str:
        return f"KeyRing(generations={sorted(self._keys)}, current={self.current})"

    @property
    def generations(self) -> frozenset[int]:
        """Generations whose keys are here."""
        return frozenset(self._keys)

    def add(self, generation: int, data_key: bytes) -> None:
        """Take the key of a further generation; it becomes the current one with `use`."""
        self._keys[generation] = data_key

    def use(self, generation: int) -> None:
        """Seal with this generation from now on."""
        assert generation in self._keys, "a generation that is used has a key"
        self.current = generation

    def check_value(self, generation: int) -> bytes:
        """The key check value of a generation."""
        return key_check_value(self._data_key(generation), self._journal_id)

    def authenticate(self, purpose: Purpose, generation: int, content: bytes) -> bytes:
        """HMAC-SHA-256 of `content` under the purpose's key. Raises `KeyUnavailable` for an unknown generation."""
        code = hmac.HMAC(self._purpose_key(purpose, generation), hashes.SHA256())
        code.update(content)
        return code.finalize()

    def segment_cipher(self, generation: int, salt: bytes, header_digest: bytes) -> AESGCM:
        """The cipher of one segment, bound to the digest of its whole header. Raises `KeyUnavailable` for an unknown generation."""
        return AESGCM(self._derive(Purpose.SEGMENT, generation, salt, header_digest))

    def seal(self, purpose: Purpose, generation: int, salt: bytes, associated: bytes, content: bytes) -> bytes:
        """`content` sealed under a one-use key; `salt` must be fresh, `associated` says where the bytes belong."""
        assert len(salt) == SALT_BYTES
        return AESGCM(self._derive(purpose, generation, salt, b"")).encrypt(_ONE_USE_NONCE, content, associated)

    def unseal(self, purpose: Purpose, generation: int, salt: bytes, associated: bytes, sealed: bytes) -> bytes:
        """The content of `sealed`; raises `SealBroken` when anything is not as it was sealed."""
        try:
            return AESGCM(self._derive(purpose, generation, salt, b"")).decrypt(_ONE_USE_NONCE, sealed, associated)
        except InvalidTag:
            raise SealBroken(f"a {purpose.value.decode()} does not unseal", reason="seal_broken") from None

    def secret(self, purpose: Purpose, salt: bytes) -> bytes:
        """32 secret bytes for a use other than sealing, from the key of the current generation."""
        return self._derive(purpose, self.current, salt, b"")

    def _derive(self, purpose: Purpose, generation: int, salt: bytes, context: bytes) -> bytes:
        return hkdf(self._purpose_key(purpose, generation), salt, context)

    def _purpose_key(self, purpose: Purpose, generation: int) -> bytes:
        key = self._purposes.get((generation, purpose))
        if key is None:
            key = hkdf(self._data_key(generation), self._journal_id, b"rap/v1 " + purpose.value)
            self._purposes[generation, purpose] = key
        return key

    def _data_key(self, generation: int) -> bytes:
        key = self._keys.get(generation)
        if key is None:
            raise KeyUnavailable(
                f"no data key of generation {generation}; the sealed bytes were left alone. Give the key of that generation.",
                reason="unknown_generation",
            )
        return key


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """32 bytes derived by HKDF-SHA-256 (RFC 5869)."""
    return HKDF(hashes.SHA256(), DATA_KEY_BYTES, salt, info).derive(key)


def key_check_value(data_key: bytes, journal_id: bytes) -> bytes:
    """16 bytes that tell whether a key is the right one, and nothing about it."""
    return hkdf(data_key, journal_id, b"rap/v1 key check")[:KEY_CHECK_BYTES]


def authenticate(data_key: bytes, journal_id: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256 of `content` (the slot list of a key file) under a key derived from the data key."""
    code = hmac.HMAC(hkdf(data_key, journal_id, b"rap/v1 slots"), hashes.SHA256())
    code.update(content)
    return code.finalize()


def wrap_key(key_encryption_key: bytes, salt: bytes, associated: bytes, data_key: bytes) -> bytes:
    """The data key sealed under the provider's key; 48 bytes. `salt` must be fresh."""
    return AESGCM(hkdf(key_encryption_key, salt, b"rap/v1 wrap")).encrypt(_ONE_USE_NONCE, data_key, associated)


def unwrap_key(key_encryption_key: bytes, salt: bytes, associated: bytes, wrapped: bytes) -> bytes:
    """The data key of a slot; raises `SealBroken` when the provider's key is not the one that wrapped it."""
    try:
        return AESGCM(hkdf(key_encryption_key, salt, b"rap/v1 wrap")).decrypt(_ONE_USE_NONCE, wrapped, associated)
    except InvalidTag:
        raise SealBroken("a key slot does not open with this key", reason="wrong_key") from None
