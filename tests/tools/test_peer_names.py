"""A row's peer is the one that had the number when the row was written."""

from pathlib import Path

import pytest

from rap_journal.records import Record
from rap_projections import History
from rap_projections.event_kinds import event_of
from rap_projections.history import ClusterHistory
from rap_projections.keys import FileKeyProvider
from rap_projections.peer_observations import PeersObserved
from rap_tools.event_entries import entries_of
from rap_tools.peer_names import PeerNames
from tests.tools.command import Disk, new_disk


@pytest.fixture
def renumbered(tmp_path: Path) -> Disk:
    """A store in which number 1 belongs to node-b, and later to node-x."""
    disk = new_disk(tmp_path)
    with disk.open(create=True) as store:
        cluster = store.join("lab", bundle=disk.fabric.bootstrap, expect=disk.fabric.fingerprint)
        for names in (["node-a", "node-b"], ["node-a", "node-x"]):
            cluster.activate(disk.fabric.peers(names))
            cluster.peers.observe_many([(name, 5.0) for name in names])
            cluster.flush()
    return disk


def batches(history: ClusterHistory) -> list[Record]:
    return [record for record in history.records() if isinstance(event_of(record), PeersObserved)]


def peers_of(record: Record, names: PeerNames) -> list[str]:
    return [entry.row.peer for entry in entries_of(record, names) if entry.row]


def test_each_row_has_the_name_of_its_time_in_whatever_order_they_are_read(renumbered: Disk) -> None:
    with History.open(renumbered.root, keys=FileKeyProvider(renumbered.key_file)) as store:
        history = store.cluster("lab")
        old, new = batches(history)
        for first, second in ((old, new), (new, old)):
            names = PeerNames(history)
            found = {record.lsn: peers_of(record, names) for record in (first, second)}
            assert found == {old.lsn: ["node-a", "node-b"], new.lsn: ["node-a", "node-x"]}


def test_without_a_history_a_peer_is_its_number(renumbered: Disk) -> None:
    with History.open(renumbered.root, keys=FileKeyProvider(renumbered.key_file)) as store:
        assert peers_of(batches(store.cluster("lab"))[0], PeerNames(None)) == ["#0", "#1"]


def test_a_numbering_that_is_not_known_is_not_guessed_at(renumbered: Disk) -> None:
    with History.open(renumbered.root, keys=FileKeyProvider(renumbered.key_file)) as store:
        names = PeerNames(store.cluster("lab"))
        assert [names.name(1, 0), names.name(99, 10_000)] == ["#1", "#99"]
