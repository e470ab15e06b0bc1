"""The container of a backup: sealed to a recovery key, signed by the store that made it, and checkable without either.

Rules this file keeps:

- The content is sealed to the public key of whoever is to restore it, with a key pair made for this one file: not even the store that
  made it can read it again.
- The store's own key signs all of it, sealed content included. Who restores must know that key from elsewhere, or hold the
  key-encryption key, under which the voucher names it: a signature by a key that came with the file proves nothing.
- A later format, rot, tampering and "sealed for somebody else" are told apart.

Sources: RFC 7748 (X25519), RFC 8032 (Ed25519), RFC 5869 (HKDF), NIST SP 800-38D (GCM). The bytes are in FORMAT.md, "Backup".

Example::

    data = encode_backup(facts, content, recipient=public, signing_seed=seed, randomness=secrets.token_bytes)
    file = decode_backup(data, path)
    content = unseal_backup(file, recovery_key)
"""

import hashlib
import hmac
import zlib
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rap_journal.errors import DamageError, FormatTooNew, KeyUnavailable, MisuseError
from rap_journal.format import (
    BACKUP_DIGEST_BYTES,
    BACKUP_HEADER,
    BACKUP_HEADER_BYTES,
    BACKUP_MAGIC,
    BACKUP_SIGNATURE_BYTES,
    FLAG_COMPRESSED,
    FLAG_HOLDS_KEYS,
    FORMAT_VERSION,
    SALT_BYTES,
    TAG_BYTES,
)
from rap_journal.limits import BACKUP_BYTES_MAX
from rap_journal.sealing import SealBroken, hkdf

KEY_BYTES = 32
"""Length of every key here, public or private."""

NO_VOUCHER = bytes(32)
"""In place of a voucher where the key provider has no single key to vouch with."""

_TAIL_BYTES = BACKUP_SIGNATURE_BYTES + BACKUP_DIGEST_BYTES
_OVERHEAD_BYTES = BACKUP_HEADER_BYTES + TAG_BYTES + _TAIL_BYTES
_CONTENT_BYTES_MAX = BACKUP_BYTES_MAX - _OVERHEAD_BYTES
_ONE_USE_NONCE = bytes(12)
_SIGNED = b"rap/v1 backup"


class BackupFacts(NamedTuple):
    """What a backup says in the open about itself.

    Attributes:
        store_id: the store that made it.
        made_us: wall clock when it was made, microseconds since 1970: for people, decides nothing.
        cluster_count: how many clusters are in it.
        holds_keys: whether private keys are in it.
        voucher: see `voucher_for`; `NO_VOUCHER` without one.
    """

    store_id: bytes
    made_us: int
    cluster_count: int
    holds_keys: bool
    voucher: bytes


class BackupFile(NamedTuple):
    """A backup whose digest and signature are right. That says who signed it, and not yet who that is.

    Attributes:
        facts: what it says in the open.
        recipient: public key it is sealed to.
        signer: public key of the store that signed it.
        content_bytes: length of the content.
        is_compressed: whether the content was compressed before it was sealed.
        stored: the whole file.
    """

    facts: BackupFacts
    recipient: bytes
    signer: bytes
    content_bytes: int
    is_compressed: bool
    stored: bytes

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the whole file: what restore tickets name."""
        return hashlib.sha256(self.stored).digest()


def encode_backup(
    facts: BackupFacts, content: bytes, *, recipient: bytes, signing_seed: bytes, randomness: Callable[[int], bytes]
) -> bytes:
    """The bytes of a backup, sealed to the X25519 public key `recipient` and signed by the Ed25519 key of `signing_seed`.

    Raises `MisuseError` for a recipient that is no usable key, and for more content than can be read back.
    """
    if len(content) > _CONTENT_BYTES_MAX:
        raise MisuseError(f"{len(content)} bytes are more than a backup may hold; nothing was written.", reason="too_large")
    packed = zlib.compress(content, 6)
    compressed, body = (FLAG_COMPRESSED, packed) if len(packed) < len(content) else (0, content)
    salt, ephemeral = randomness(SALT_BYTES), X25519PrivateKey.from_private_bytes(randomness(KEY_BYTES))
    key = _shared_key(ephemeral, recipient, salt, ephemeral.public_key().public_bytes_raw(), recipient)
    signer = Ed25519PrivateKey.from_private_bytes(signing_seed)
    head = BACKUP_HEADER.pack(
        BACKUP_MAGIC, FORMAT_VERSION, compressed | (FLAG_HOLDS_KEYS if facts.holds_keys else 0), facts.cluster_count, facts.store_id,
        facts.made_us, len(body) + TAG_BYTES, len(content), 0, salt, recipient, ephemeral.public_key().public_bytes_raw(),
        signer.public_key().public_bytes_raw(), facts.voucher, b"",
    )  # fmt: skip
    whole = head + AESGCM(key).encrypt(_ONE_USE_NONCE, body, head)
    whole += signer.sign(_SIGNED + whole)
    return whole + hashlib.sha256(whole).digest()


def decode_backup(data: bytes, path: str) -> BackupFile:
    """Check what needs no secret: digest, header, lengths, signature. `path` is for messages.

    Raises `DamageError` for rot, `FormatTooNew`, and `SealBroken` where the digest is right and the signature is not.
    """
    if len(data) < _OVERHEAD_BYTES or len(data) > BACKUP_BYTES_MAX:
        raise _damage(path, "bad_length")
    if hashlib.sha256(memoryview(data)[:-BACKUP_DIGEST_BYTES]).digest() != data[-BACKUP_DIGEST_BYTES:]:
        raise _damage(path, "bad_digest")
    (
        magic, version, flags, cluster_count, store_id, made_us, stored_bytes, content_bytes, zero, _salt, recipient, _ephemeral, signer,
        voucher, also_zero,
    ) = BACKUP_HEADER.unpack_from(data)  # fmt: skip
    if magic != BACKUP_MAGIC:
        raise _damage(path, "bad_magic")
    if version != FORMAT_VERSION or flags & ~(FLAG_COMPRESSED | FLAG_HOLDS_KEYS) or zero or any(also_zero):
        raise FormatTooNew(
            f"{path} has backup format {version}; it was left alone. Use a later release.", file=path, reason="backup_version"
        )
    if stored_bytes != len(data) - BACKUP_HEADER_BYTES - _TAIL_BYTES or content_bytes > _CONTENT_BYTES_MAX:
        raise _damage(path, "bad_length")
    _check_signature(data, signer, path)
    facts = BackupFacts(store_id, made_us, cluster_count, bool(flags & FLAG_HOLDS_KEYS), voucher)
    return BackupFile(facts, recipient, signer, content_bytes, bool(flags & FLAG_COMPRESSED), data)


def unseal_backup(file: BackupFile, recovery_key: bytes) -> bytes:
    """The content of a backup, for the X25519 private key of its recipient.

    Raises `KeyUnavailable` where it is sealed to another key, `SealBroken` when what was sealed is not what stands there.
    """
    private = X25519PrivateKey.from_private_bytes(recovery_key)
    del recovery_key  # The frames of an error show it no more.
    if not hmac.compare_digest(private.public_key().public_bytes_raw(), file.recipient):
        raise KeyUnavailable(
            f"the backup is sealed to another recovery key, {file.recipient.hex()}; nothing was opened. Give that one.",
            reason="wrong_key",
        )
    head = file.stored[:BACKUP_HEADER_BYTES]
    fields = BACKUP_HEADER.unpack(head)
    salt, ephemeral = fields[9], fields[11]
    try:
        cipher = AESGCM(_shared_key(private, ephemeral, salt, ephemeral, file.recipient))
        body = cipher.decrypt(_ONE_USE_NONCE, file.stored[BACKUP_HEADER_BYTES:-_TAIL_BYTES], head)
    except (InvalidTag, MisuseError):
        raise SealBroken("the backup does not unseal; nothing was taken from it", reason="seal_broken") from None
    return _inflated(body, file.content_bytes) if file.is_compressed else body


def public_recovery_key(recovery_key: bytes) -> bytes:
    """The X25519 public key of a recovery key: what backups are sealed to. Raises `MisuseError` unless it has 32 bytes."""
    if len(recovery_key) != KEY_BYTES:
        del recovery_key
        raise MisuseError(f"a recovery key has {KEY_BYTES} bytes; nothing was done.", reason="recovery_key")
    return X25519PrivateKey.from_private_bytes(recovery_key).public_key().public_bytes_raw()


def public_signing_key(signing_seed: bytes) -> bytes:
    """The Ed25519 public key by which a store's backups are known."""
    return Ed25519PrivateKey.from_private_bytes(signing_seed).public_key().public_bytes_raw()


def recovery_key_of(key_encryption_key: bytes, store_id: bytes) -> bytes:
    """The recovery key of a store whose operator named none: whoever holds the key-encryption key can restore."""
    return hkdf(key_encryption_key, store_id, b"rap/v1 backup recipient")


def voucher_for(key_encryption_key: bytes, store_id: bytes, signer: bytes) -> bytes:
    """What says, to whoever holds the key-encryption key, that this signing key is the store's: HMAC-SHA-256, 32 bytes."""
    key = hkdf(key_encryption_key, store_id, b"rap/v1 backup voucher")
    return hmac.digest(key, store_id + signer, "sha256")


def _shared_key(private: X25519PrivateKey, other: bytes, salt: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    """The key that seals one backup. Raises `MisuseError` where `other` is no key, or one with which anybody could agree."""
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:
        raise MisuseError(
            "the recovery recipient is no usable X25519 public key; nothing was written. It has 32 bytes.", reason="recipient"
        ) from None
    return hkdf(shared, salt, b"rap/v1 backup" + ephemeral + recipient)


def _check_signature(data: bytes, signer: bytes, path: str) -> None:
    end = len(data) - _TAIL_BYTES
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(data[end:-BACKUP_DIGEST_BYTES], _SIGNED + data[:end])
    except (InvalidSignature, ValueError):
        raise SealBroken(
            f"{path} is not what the store signed that it names; nothing was taken from it.", file=path, reason="bad_signature"
        ) from None


def _inflated(body: bytes, content_bytes: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        content = machine.decompress(body, content_bytes + 1)
    except zlib.error:
        raise SealBroken("a backup's content does not decompress", reason="compression") from None
    if len(content) != content_bytes or not machine.eof or machine.unused_data:
        raise SealBroken("a backup's content has not the length its header names", reason="content_length")
    return content


def _damage(path: str, reason: str) -> DamageError:
    return DamageError(
        f"{path} is not the backup that was written ({reason}); nothing was taken from it.", file=path, reason=reason
    )
