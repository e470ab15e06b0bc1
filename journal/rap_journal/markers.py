"""The marker of a store, a cluster or the agent's journal: who it is, written twice in one small file.

Rules this file keeps:

- Both blocks say the same; either one serves when the other is damaged, which is reported.
- A marker names a closed set of key providers by number, never a path or a module.
- The digest finds rot and needs no key. The authenticator is for whoever has one: without the data key nobody can make a marker
  that says something else. A store's marker has none, since a store has no data key; those of its journals say the same.

Block, 512 bytes, twice::

    offset  size  name              meaning
         0     8  magic             "RAPMARK1"
         8     2  version           1
        10     1  kind              1 store, 2 cluster, 3 agent
        11     1  provider          kind of key provider (see ProviderKind)
        12     4  key_generation    current generation of the data key; 0 for a store
        16    16  journal_id        random, made once; the store's own id in a store's marker
        32    16  store_id          id of the store it belongs to
        48     2  format_level      level that is written; raised by commit_format
        50     2  reserved          0
        52     4  serial            rises with every rewrite, from 1
        56     4  reserved          0
        60     4  reserved          0
        64    64  cluster           cluster id, zero-padded UTF-8; empty for a store and the agent
       128    16  key_check         check value of the current data key; zeros for a store
       144   304  reserved          zeros
       448    32  authenticator     HMAC-SHA-256 of bytes 0 to 447, keyed from the data key; zeros for a store
       480    32  digest            SHA-256 of bytes 0 to 479
"""

import hashlib
import hmac
from enum import IntEnum
from typing import NamedTuple

from rap_journal.errors import DamageError, FormatTooNew, KeyTampered
from rap_journal.filesystem import Directory
from rap_journal.format import (
    FORMAT_LEVEL_BEFORE,
    FORMAT_VERSION,
    MARKER_AUTHENTICATED_BYTES,
    MARKER_BLOCK,
    MARKER_BLOCK_BYTES,
    MARKER_DIGESTED_BYTES,
    MARKER_MAGIC,
)
from rap_journal.layout import MARKER
from rap_journal.sealed_files import install_file
from rap_journal.sealing import KeyRing, Purpose


class MarkerKind(IntEnum):
    """What a marker marks."""

    STORE = 1
    CLUSTER = 2
    AGENT = 3


class ProviderKind(IntEnum):
    """Where a key-encryption key comes from (trust, 18)."""

    FILE = 1
    SYSTEMD_CREDENTIAL = 2
    KERNEL_KEYRING = 3
    TPM2 = 4
    OS_KEY_STORE = 5
    RECOVERY_PASSPHRASE = 6
    MEMORY = 7


class Marker(NamedTuple):
    """What a marker says."""

    kind: MarkerKind
    provider: ProviderKind
    journal_id: bytes
    store_id: bytes
    cluster: str = ""
    key_generation: int = 0
    key_check: bytes = bytes(16)
    format_level: int = FORMAT_LEVEL_BEFORE
    serial: int = 1
    authenticator: bytes = bytes(32)


class MarkerRead(NamedTuple):
    """A marker as read; `bad_blocks` is 1 when one of the two copies is damaged."""

    marker: Marker
    bad_blocks: int


def encode_marker(marker: Marker) -> bytes:
    """The file's 1024 bytes."""
    block = MARKER_BLOCK.pack(
        MARKER_MAGIC, FORMAT_VERSION, marker.kind, marker.provider, marker.key_generation, marker.journal_id, marker.store_id,
        marker.format_level, 0, marker.serial, 0, b"", marker.cluster.encode(), marker.key_check, b"", marker.authenticator, b"",
    )[:MARKER_DIGESTED_BYTES]  # fmt: skip
    return (block + hashlib.sha256(block).digest()) * 2


def sealed_marker(marker: Marker, keys: KeyRing) -> Marker:
    """`marker` with its authenticator, under the generation that it names."""
    return marker._replace(authenticator=_authenticator(marker, keys))


def require_authentic(marker: Marker, keys: KeyRing, path: str) -> None:
    """Raise `KeyTampered` unless whoever made `marker` had the data key that it names. `path` is for messages."""
    if not hmac.compare_digest(marker.authenticator, _authenticator(marker, keys)):
        raise KeyTampered(
            f"{path} was not written by whoever holds the key of this journal; nothing was opened. Find out who changed it, then restore it.",
            file=path,
            reason="marker_tampered",
        )


def write_marker(directory: Directory, temporary: Directory, marker: Marker) -> None:
    """Make `marker` the marker of `directory`, atomically and durably."""
    install_file(temporary, directory, MARKER, encode_marker(marker))


def read_marker(directory: Directory) -> MarkerRead:
    """Read the marker of `directory`. Raises `FileNotFoundError`, `DamageError` when no copy verifies, `FormatTooNew`."""
    with directory.open(MARKER) as file:
        data = file.read_at(0, 2 * MARKER_BLOCK_BYTES + 1)
        path = file.name
    blocks = (data[:MARKER_BLOCK_BYTES], data[MARKER_BLOCK_BYTES:])
    good = [marker for block in blocks if (marker := _decode_block(block, path))]
    if not good:
        raise DamageError(
            f"neither copy in {path} verifies, so it is unknown whose folder this is; nothing was opened. Restore the file from a backup.",
            file=path,
            reason="no_marker",
        )
    newest = max(good, key=lambda marker: marker.serial)
    return MarkerRead(newest, sum(marker != newest for marker in good) + 2 - len(good))


def _decode_block(block: bytes, path: str) -> Marker | None:
    if (
        len(block) != MARKER_BLOCK_BYTES
        or hashlib.sha256(block[:MARKER_DIGESTED_BYTES]).digest() != block[MARKER_DIGESTED_BYTES:]
    ):
        return None
    (
        magic, version, kind, provider, generation, journal_id, store_id, level, zero_1, serial, zero_2, zero_3, cluster, key_check,
        zero_4, authenticator, _digest,
    ) = MARKER_BLOCK.unpack(block)  # fmt: skip
    if magic != MARKER_MAGIC:
        return None
    known = kind in MarkerKind.__members__.values() and provider in ProviderKind.__members__.values()
    if version != FORMAT_VERSION or not known or zero_1 or zero_2 or any(zero_3) or any(zero_4):
        raise FormatTooNew(
            f"{path} has marker format {version}; it was left alone. Use a later release.", file=path, reason="marker_version"
        )
    name = cluster.rstrip(b"\0").decode("utf-8", "replace")
    return Marker(
        MarkerKind(kind), ProviderKind(provider), journal_id, store_id, name, generation, key_check, level, serial, authenticator
    )


def _authenticator(marker: Marker, keys: KeyRing) -> bytes:
    return keys.authenticate(Purpose.MARKER, marker.key_generation, encode_marker(marker)[:MARKER_AUTHENTICATED_BYTES])
