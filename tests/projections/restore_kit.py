"""Stores that were backed up and restored, in memory, and the tickets that validate them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from rap_journal.backup_files import decode_backup, encode_backup, recovery_key_of, unseal_backup
from rap_journal.testing import SeededRandomness
from rap_projections import ClusterState, NodeStore
from rap_projections.backup_content import BackupContent, SavedCluster, read_content, write_content
from rap_projections.restore_decisions import RestoreRequest
from rap_projections.testing.memory_store import MemoryKeyProvider
from tests.projections.store_kit import CLUSTER, Ready, furnished

BACKUP = "/backup"
NEW_ROOT = "/restored"


class Restored(NamedTuple):
    """A store that was restored beside the one it was backed up from."""

    it: Ready
    store: NodeStore

    @property
    def cluster(self) -> ClusterState:
        """The restored cluster."""
        return self.store.cluster(CLUSTER)

    def ticket(self, **changes: Any) -> bytes:
        """The ticket that answers the cluster's request, but for `changes`."""
        return self.it.fabric.restore_ticket(**(answer(self.cluster.restore_request()) | changes))


def answer(request: RestoreRequest) -> dict[str, Any]:
    """The fields of a ticket that answers `request`."""
    fields = request._asdict()
    return {name: value for name, value in fields.items() if name not in ("cluster_id", "reason")}


def enrolled() -> Ready:
    """A furnished store whose node is enrolled."""
    it = furnished()
    request = it.cluster.identity.request(node_id="node-1", membership_id="m-1")
    it.cluster.identity.enroll(certificate=it.fabric.certificate(request))
    return it


def restore(it: Ready, **options: Any) -> NodeStore:
    """Restore `BACKUP` into `NEW_ROOT`, on the same disk."""
    defaults: dict[str, Any] = {
        "keys": it.kit.keys, "clock": it.kit.clock, "filesystem": it.kit.filesystem, "randomness": SeededRandomness(99), "background": False,
    }  # fmt: skip
    return NodeStore.restore(BACKUP, NEW_ROOT, **(defaults | options))


def rewrite(it: Ready, change: Callable[[BackupContent], BackupContent]) -> None:
    """Back up, and put in the place of `BACKUP` one that the same store seals and signs, whose content is changed."""
    store, written = it.kit.store, "/written"
    store.backup(written)
    store_id = store._folders.store_id
    file = decode_backup(it.kit.filesystem.read_file(written, 1 << 24), written)
    content = read_content(unseal_backup(file, recovery_key_of(it.kit.keys.key_encryption_key(), store_id)))
    data = encode_backup(
        file.facts, write_content(change(content)), recipient=file.recipient, signing_seed=store.agent.backup_seed(store_id),
        randomness=SeededRandomness(5),
    )  # fmt: skip
    it.kit.filesystem.write_file(BACKUP, data)


def with_cluster(content: BackupContent, **changes: Any) -> BackupContent:
    """`content`, with these fields of its one cluster changed."""
    (cluster,) = content.clusters
    changed: SavedCluster = cluster._replace(**changes)
    return content._replace(clusters=(changed,))


def restored(it: Ready | None = None, **options: Any) -> Restored:
    """`it`, or a store with an enrolled node, backed up and restored."""
    it = it or enrolled()
    it.kit.store.backup(BACKUP)
    return Restored(it, restore(it, **options))


def other_keys() -> MemoryKeyProvider:
    """The key provider of another machine."""
    return MemoryKeyProvider(bytes(range(32, 64)))
