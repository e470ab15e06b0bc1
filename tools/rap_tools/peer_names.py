"""Which peer a row of observations is about: rows name peers by number, and the directory says whose number it was then.

Rules this file keeps:

- A row is read with the directory under which it was written, not with today's: a number may have gone to another peer since.
- Nothing is folded before a name is asked for; then only what changes the directory is.
- A name that cannot be found any more is shown as its number, `#17`, and never guessed.

Example::

    names = PeerNames(history)
    names.name(number=17, numbering_lsn=40)
"""

from bisect import bisect_right
from typing import Any

from rap_journal.errors import StateStoreError
from rap_journal.records import Record
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import PEERS, SNAPSHOTS, event_of
from rap_projections.history import ClusterHistory
from rap_projections.lifecycle import ClassReset
from rap_projections.peer_directory import EMPTY, Directory
from rap_projections.peers import FOLDS, DirectoryApplied, PeersEvicted, PeersState

_CHANGES_DIRECTORY = (DirectoryApplied, PeersEvicted, ClassReset)


class PeerNames:
    """The directories of one history, each with the LSN from which on it was in force."""

    def __init__(self, history: ClusterHistory | None) -> None:
        """Find names in `history`; without one, every peer is its number."""
        self._history = history
        self._lsns: list[int] = []
        self._directories: list[Directory] = []
        self._state = PeersState()
        self._folded_to = -1
        self._shelf: DocumentShelf | None = None

    def name(self, number: int, numbering_lsn: int) -> str:
        """Id of the peer that had this number under the numbering made by the record `numbering_lsn`."""
        directory = self._directory(numbering_lsn)
        is_his = number < len(directory.ids) and 0 < directory.assigned_lsn[number] <= numbering_lsn
        return directory.ids[number] if is_his else f"#{number}"

    def _directory(self, numbering_lsn: int) -> Directory:
        if numbering_lsn > self._folded_to:
            self._follow(numbering_lsn)
        index = bisect_right(self._lsns, numbering_lsn) - 1
        return self._directories[max(index, 0)] if self._directories else EMPTY

    def _follow(self, until_lsn: int) -> None:
        """Fold what changed the directory up to `until_lsn`, starting from a checkpoint."""
        if self._history is None:
            return
        try:
            if not self._directories:
                self._start(self._history)
            shelf = self._shelf
            assert shelf is not None
            for record in self._history.records(after=self._folded_to, until=until_lsn):
                shelf.note((record,))
                if record.state_class == PEERS.number:
                    self._fold(record, shelf)
        except StateStoreError:
            # What is damaged costs names, and nothing else; verification tells of the damage itself.
            pass
        self._folded_to = max(self._folded_to, until_lsn)

    def _start(self, history: ClusterHistory) -> None:
        lsn = history.horizon.oldest_lsn
        state = history.state_at(lsn)
        snapshots: Any = state.view(SNAPSHOTS)
        self._state.directory = state[PEERS].directory
        self._shelf = DocumentShelf(history, lambda: snapshots)
        self._folded_to = lsn
        self._keep(lsn)

    def _fold(self, record: Record, shelf: DocumentShelf) -> None:
        event = event_of(record)
        if isinstance(event, _CHANGES_DIRECTORY):
            FOLDS[type(event)](self._state, event, record, shelf)
            self._keep(record.lsn)

    def _keep(self, lsn: int) -> None:
        self._lsns.append(lsn)
        self._directories.append(self._state.directory)
