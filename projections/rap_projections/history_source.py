"""A cluster as a backup reads it from outside, beside a live writer or without one.

Rules this file keeps: nothing is locked and nothing is changed; private keys are not read here, since the gate that allows it is the writer's.

Example::

    saved = save_cluster(HistorySource(history.cluster("eu-west-1")), private_keys=False)
"""

from typing import Any

from rap_journal.errors import MisuseError
from rap_journal.values import ClassSpec
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import SNAPSHOTS
from rap_projections.folding import FoldedState
from rap_projections.history import ClusterHistory


class HistorySource:
    """A cluster's history up to its horizon (`backing_up.Source`)."""

    def __init__(self, history: ClusterHistory) -> None:
        self.cluster_id = history.id
        self.journal_id = history.journal_id
        self.incarnation = history.incarnation
        self._state = history.state_at(history.horizon.lsn)
        self._floors = history.witnessed_floors()
        self.shelf = DocumentShelf(history, lambda: self._state.view(SNAPSHOTS))

    def frozen(self) -> tuple[FoldedState, Any]:
        """The state at the horizon, and what the witness knows."""
        return self._state, self._floors

    def load_key(self, spec: ClassSpec, file_id: bytes) -> bytes:
        """Never: see above."""
        raise MisuseError(
            "private keys are backed up by the agent alone; nothing was read.", state_class=spec.name, reason="read_only"
        )
