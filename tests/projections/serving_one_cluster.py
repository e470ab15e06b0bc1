"""A program to be watched: a store in two clusters, and then all kinds of work in one of them, between two marks.

Its argument is an empty folder. A mark is an attempt to open a file of that name, which does not exist: whoever watches the
system calls, or the audit events, sees it.
"""

import sys
from contextlib import suppress
from pathlib import Path

from rap_journal.errors import StateStoreError
from rap_projections import ClusterState, History, NodeStore, Operation
from rap_projections.keys import FileKeyProvider
from rap_projections.testing import Fabric

BEGIN, END = "begin-to-serve-one", "end-of-serving-one"
MINE, THEIRS = "mine", "theirs"


def mark(name: str) -> None:
    """Leave a mark."""
    with suppress(FileNotFoundError):
        Path(name).read_bytes()


def serve(cluster: ClusterState, fabric: Fabric) -> None:
    """Every kind of work that touches files."""
    fabric.issued_at_s += 60
    for document in (fabric.peers(["node-1", "node-2"]), fabric.routes([("node-1", []), ("node-2", ["node-1"])])):
        cluster.activate(document)
    with suppress(StateStoreError):
        cluster.activate(b"not a document")
    cluster.snapshots.take_head(fabric.head())
    cluster.trust.update(fabric.revoke_key("spare"))
    cluster.activation("services").stage(fabric.services(["svc-a"]))
    cluster.identity.request(node_id="node-1", membership_id="m-1")
    cluster.peers.observe("node-1", rtt_ms=12.5)
    cluster.health.enter_degraded("disk-failing")
    cluster.allows(Operation.RESOLVE_SECRET)
    cluster.flush()
    cluster.checkpoint()
    cluster.expire()
    cluster.status()
    cluster.reopen()


def main(folder: Path) -> None:
    """Make the store, and serve one of its clusters."""
    keys = FileKeyProvider(folder / "key")
    fabrics = {name: Fabric(name) for name in (MINE, THEIRS)}
    with NodeStore.open(folder / "store", keys=keys, create=True) as store:
        for name, fabric in fabrics.items():
            store.join(name, bundle=fabric.bootstrap, expect=fabric.fingerprint)
    # Opened again, the other cluster has nothing that waits for its witness.
    with NodeStore.open(folder / "store", keys=keys) as store:
        mark(BEGIN)
        serve(store.cluster(MINE), fabrics[MINE])
        with History.open(folder / "store", keys=keys) as history:
            mine = history.cluster(MINE)
            assert mine.at(lsn=mine.horizon.lsn).peers.peers
        mark(END)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
