"""One container for every sealed file: checkpoints, signed documents, identity keys, the ledger.

Rules this file keeps:

- A file is built under ``tmp/``, synced, renamed into its class folder, and the folder synced: a name stands for whole content.
- The digest at the end covers every stored byte and needs no key. The seal covers the header and the file's name, so that a file
  moved to another name, class, cluster or journal does not unseal.
- Each file has a fresh salt and so a key of its own.

Bytes::

    offset  size  name             meaning
         0     8  magic            "RAPSEAL1"
         8     2  version          1
        10     1  purpose          1 checkpoint, 2 document, 3 identity key, 4 ledger
        11     1  class            number of the state class, 0 in the ledger
        12     4  key_generation
        16    16  journal_id
        32     8  lsn              of a checkpoint, last one of a ledger file, else 0
        40     4  epoch            of the frame that ends at lsn, else 0
        44     4  flags            bit 0 content compressed
        48    16  chain_digest     of the frame that ends at lsn, else zeros
        64     4  fold_set         version of the folds that made a checkpoint, else 0
        68     4  reserved         zero
        72     8  stored_bytes
        80     8  content_bytes    before compression
        88    32  salt
       120     8  reserved         zeros
       128     n  stored           sealed content
     128+n    32  digest           SHA-256 of everything before
"""

import hashlib
import zlib
from contextlib import suppress
from typing import NamedTuple

from rap_journal.errors import DamageError, FormatTooNew, MisuseError
from rap_journal.filesystem import Directory
from rap_journal.format import (
    FLAG_COMPRESSED,
    FORMAT_VERSION,
    SALT_BYTES,
    SEALED_DIGEST_BYTES,
    SEALED_HEADER,
    SEALED_HEADER_BYTES,
    SEALED_MAGIC,
    TAG_BYTES,
)
from rap_journal.limits import CHECKPOINT_BYTES_MAX
from rap_journal.sealing import KeyRing, Purpose, SealBroken

PURPOSE_NUMBERS = {Purpose.CHECKPOINT: 1, Purpose.DOCUMENT: 2, Purpose.IDENTITY: 3, Purpose.LEDGER: 4}
_CONTENT_BYTES_MAX = CHECKPOINT_BYTES_MAX - SEALED_HEADER_BYTES - TAG_BYTES - SEALED_DIGEST_BYTES
_PURPOSES = {number: purpose for purpose, number in PURPOSE_NUMBERS.items()}


class SealedHeader(NamedTuple):
    """What a sealed file says in the open."""

    purpose: Purpose
    state_class: int
    journal_id: bytes
    lsn: int = 0
    epoch: int = 0
    chain_digest: bytes = bytes(16)
    fold_set: int = 0
    key_generation: int = 0
    flags: int = 0
    content_bytes: int = 0


class SealedFile(NamedTuple):
    """A sealed file whose digest is right; `stored` is all of it."""

    name: str
    header: SealedHeader
    stored: bytes


def encode_sealed_file(name: str, header: SealedHeader, content: bytes, keys: KeyRing, salt: bytes) -> bytes:
    """The bytes of a sealed file to be called `name` in its folder. `salt` is 32 fresh random bytes.

    Raises `MisuseError` for more content than can be read back.
    """
    if len(content) > _CONTENT_BYTES_MAX:
        raise MisuseError(
            f"{len(content)} bytes are more than a sealed file may hold; {name} was not written.", file=name, reason="too_large"
        )
    # Read once: a rotation may come in between, and header and seal must name one generation.
    generation = keys.current
    packed = zlib.compress(content, 1)
    flags, body = (FLAG_COMPRESSED, packed) if len(packed) < len(content) else (0, content)
    head = SEALED_HEADER.pack(
        SEALED_MAGIC, FORMAT_VERSION, PURPOSE_NUMBERS[header.purpose], header.state_class, generation, header.journal_id, header.lsn,
        header.epoch, flags, header.chain_digest, header.fold_set, 0, len(body) + TAG_BYTES, len(content), salt, b"",
    )  # fmt: skip
    sealed = keys.seal(header.purpose, generation, salt, head + name.encode(), body)
    whole = head + sealed
    return whole + hashlib.sha256(whole).digest()


def decode_sealed_file(name: str, data: bytes, path: str) -> SealedFile:
    """Check what needs no key: digest, header, length. Raises `DamageError` or `FormatTooNew`; `path` is for messages."""
    if len(data) < SEALED_HEADER_BYTES + TAG_BYTES + SEALED_DIGEST_BYTES:
        raise _damage(path, "too_short")
    if hashlib.sha256(memoryview(data)[:-SEALED_DIGEST_BYTES]).digest() != data[-SEALED_DIGEST_BYTES:]:
        raise _damage(path, "bad_digest")
    (
        magic, version, purpose, state_class, generation, journal_id, lsn, epoch, flags, chain_digest, fold_set, reserved, stored_bytes,
        content_bytes, _salt, also_reserved,
    ) = SEALED_HEADER.unpack_from(data)  # fmt: skip
    if magic != SEALED_MAGIC:
        raise _damage(path, "bad_magic")
    if version != FORMAT_VERSION or purpose not in _PURPOSES or flags & ~FLAG_COMPRESSED or reserved or any(also_reserved):
        raise FormatTooNew(
            f"{path} has sealed-file format {version}; it was left alone. Use a later release.",
            file=path,
            reason="sealed_version",
        )
    if stored_bytes != len(data) - SEALED_HEADER_BYTES - SEALED_DIGEST_BYTES or content_bytes > _CONTENT_BYTES_MAX:
        raise _damage(path, "bad_length")
    header = SealedHeader(
        _PURPOSES[purpose], state_class, journal_id, lsn, epoch, chain_digest, fold_set, generation, flags, content_bytes
    )
    return SealedFile(name, header, data)


def unseal_file(file: SealedFile, keys: KeyRing) -> bytes:
    """The content of a file whose digest is right; raises `SealBroken` when it was tampered with or moved."""
    head = file.stored[:SEALED_HEADER_BYTES]
    sealed = file.stored[SEALED_HEADER_BYTES:-SEALED_DIGEST_BYTES]
    salt = SEALED_HEADER.unpack(head)[14]
    body = keys.unseal(file.header.purpose, file.header.key_generation, salt, head + file.name.encode(), sealed)
    if not file.header.flags & FLAG_COMPRESSED:
        return body
    machine = zlib.decompressobj()
    try:
        content = machine.decompress(body, file.header.content_bytes + 1)
    except zlib.error:
        raise SealBroken("a sealed file's content does not decompress", file=file.name, reason="compression") from None
    if len(content) != file.header.content_bytes or not machine.eof or machine.unused_data:
        raise SealBroken("a sealed file's content has not the length its header names", file=file.name, reason="content_length")
    return content


def salt_of(file: SealedFile) -> bytes:
    """The salt of a file: the first half names a document."""
    return file.stored[88 : 88 + SALT_BYTES]


def read_sealed_file(directory: Directory, name: str) -> SealedFile:
    """Read and check file `name`. Raises `FileNotFoundError`, `DamageError`, `FormatTooNew`."""
    with directory.open(name) as file:
        size = file.size()
        if size > CHECKPOINT_BYTES_MAX:
            raise _damage(file.name, "too_large")
        return decode_sealed_file(name, file.read_at(0, size), file.name)


def read_purpose(directory: Directory, name: str) -> Purpose | None:
    """What the header of file `name` says it is for, without checking anything else; None where there is no such header.

    Raises `OSError`.
    """
    with directory.open(name) as file:
        head = file.read_at(0, SEALED_HEADER_BYTES)
    if len(head) < SEALED_HEADER_BYTES:
        return None
    magic, version, purpose, *_rest = SEALED_HEADER.unpack(head)
    return _PURPOSES.get(purpose) if (magic, version) == (SEALED_MAGIC, FORMAT_VERSION) else None


def install_file(temporary: Directory, into: Directory, name: str, data: bytes) -> None:
    """Write `data` under `name` in `into`, durably: content sync, then rename, then directory sync."""
    part = f"{into.name.replace('/', '-')}-{name}"
    if temporary.status(part) is not None:
        temporary.unlink(part)
    try:
        with temporary.create(part) as file:
            file.write_at(0, data)
            file.sync()
    except OSError:
        # A full disk is not made fuller: the next wipe may be far away.
        with suppress(OSError):
            temporary.unlink(part)
        raise
    temporary.rename(part, name, into)
    into.sync()


def _damage(path: str, reason: str) -> DamageError:
    return DamageError(f"{path} is not the sealed file that was written ({reason}); it was left alone.", file=path, reason=reason)
