"""A reader of backups that was written from journal/FORMAT.md, section 24, alone: it uses nothing of this project.

Example::

    content = read_backup(data, recovery_key)
"""

import hashlib
import hmac
import struct
import zlib
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def read_backup(data: bytes, recovery_key: bytes | None, key_encryption_key: bytes | None = None) -> tuple[dict[str, Any], Any]:
    """What stands in the open, and the content. Without a recovery key the key-encryption key gives it."""
    assert 368 <= len(data) <= 268_435_456
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    (
        magic, version, flags, clusters, store_id, made_us, stored_bytes, content_bytes, zero, salt, recipient, ephemeral, signer,
        voucher, zeros,
    ) = struct.unpack_from("<8sHHI16sQQQQ32s32s32s32s32s32s", data)  # fmt: skip
    assert (magic, version, flags & ~3, zero, zeros) == (b"RAPBACK1", 1, 0, 0, bytes(32))
    assert stored_bytes == len(data) - 352
    Ed25519PublicKey.from_public_bytes(signer).verify(data[-96:-32], b"rap/v1 backup" + data[:-96])
    if key_encryption_key is not None:
        vouching = hkdf(key_encryption_key, store_id, b"rap/v1 backup voucher")
        assert hmac.digest(vouching, store_id + signer, "sha256") == voucher
        recovery_key = recovery_key or hkdf(key_encryption_key, store_id, b"rap/v1 backup recipient")
    assert recovery_key is not None
    private = X25519PrivateKey.from_private_bytes(recovery_key)
    assert private.public_key().public_bytes_raw() == recipient
    shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    key = hkdf(shared, salt, b"rap/v1 backup" + ephemeral + recipient)
    body = AESGCM(key).decrypt(bytes(12), data[256:-96], data[:256])
    content = zlib.decompress(body) if flags & 1 else body
    assert len(content) == content_bytes
    facts = {"store_id": store_id, "made_us": made_us, "clusters": clusters, "holds_keys": bool(flags & 2), "signer": signer}
    return facts, cbor2.loads(content)
