"""What a backup says of each cluster: enough to be restored and judged, and nothing that can be made again (spec 11).

Rules this file keeps:

- Trust (every bundle since the bootstrap, as received), floors, trusted time, identity metadata, the documents in force. No caches, no
  history, no telemetry.
- There is one place for a private key, which is empty unless it was asked for and the cluster's policy allows it.
- A representation shows no content.

The shape is in DOCUMENTS.md, "Backup"; the container that seals it in `rap_journal.backup_files`.

Example::

    content = read_content(unseal_backup(file, recovery_key))
    [cluster.cluster_id for cluster in content.clusters]
"""

from typing import NamedTuple

from rap_journal.deterministic_cbor import MalformedCbor, decode_own, encode_arrays
from rap_journal.errors import DamageError, FormatTooNew
from rap_projections.class_state import packed, unpacked
from rap_projections.known_floors import KnownFloors

CONTENT_VERSION = 1


class SavedKey(NamedTuple):
    """A key pair, by what is public of it: algorithm, SHA-256 of the public key and of the signing request."""

    algorithm: str
    key_sha256: bytes
    request_sha256: bytes


class SavedIdentity(NamedTuple):
    """Who the node is in its cluster.

    Attributes:
        node_id, membership_id: as they were requested.
        enrollment: how far enrollment had come, the word of `Enrollment`.
        key: the key in use, or requested.
        certificate: the certificate in use, DER; empty without one.
        secret: what the store keeps sealed for the key, private key included; empty as a rule.
    """

    node_id: str
    membership_id: str
    enrollment: str
    key: SavedKey
    certificate: bytes
    secret: bytes

    def __repr__(self) -> str:
        return "SavedIdentity()"


class SavedScope(NamedTuple):
    """The active document of a scope, as received: the full one, then the increments on it, in order."""

    scope: str
    documents: tuple[bytes, ...]


class SavedInstant(NamedTuple):
    """The newest instant that a key has signed, and the seconds used up when it was seen."""

    kid: bytes
    signed_s: int
    uptime_s: int


class SavedCluster(NamedTuple):
    """One cluster.

    Attributes:
        cluster_id: its id.
        journal_id: the journal that it was taken from.
        incarnation: the opening of that journal.
        lsn: the LSN whose state it is.
        fingerprint, method: what was pinned at join.
        bundles: every bundle since the bootstrap, oldest first, as received.
        instants: newest signed instant by key.
        floors: the highest that state and witness knew.
        snapshots: active documents.
        head: the newest head, as received; empty without one.
        identity: who the node is there; None before the first request.
    """

    cluster_id: str
    journal_id: bytes
    incarnation: bytes
    lsn: int
    fingerprint: bytes
    method: str
    bundles: tuple[bytes, ...]
    instants: tuple[SavedInstant, ...]
    floors: KnownFloors
    snapshots: tuple[SavedScope, ...]
    head: bytes
    identity: SavedIdentity | None

    def __repr__(self) -> str:
        return f"SavedCluster({self.cluster_id!r})"


class LeftCluster(NamedTuple):
    """A cluster that was left, and the floors that are remembered of it."""

    cluster_id: str
    floors: KnownFloors


class BackupContent(NamedTuple):
    """All that a backup holds."""

    version: int
    store_id: bytes
    clusters: tuple[SavedCluster, ...]
    left: tuple[LeftCluster, ...]


def write_content(content: BackupContent) -> bytes:
    """Deterministic CBOR of `content`."""
    return encode_arrays(packed(content))


def read_content(data: bytes) -> BackupContent:
    """What an unsealed backup says. Raises `DamageError` where it is no such content, `FormatTooNew` for a later version of it."""
    try:
        value = decode_own(data)
        if isinstance(value, list) and value and type(value[0]) is int and value[0] > CONTENT_VERSION:
            raise FormatTooNew(
                f"the backup's content is of version {value[0]}; nothing was restored. Use a later release.",
                reason="content_version",
            )
        return unpacked(BackupContent, value)
    except (MalformedCbor, DamageError):
        raise DamageError("what the backup holds is not what a store writes; nothing was restored.", reason="content") from None
