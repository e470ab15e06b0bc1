"""A cluster as a backup reads it, while it is open for writing.

Rules this file keeps: state and floors are those of one LSN; reading changes nothing.

Example::

    saved = save_cluster(LiveSource(context), private_keys=False)
"""

from typing import Any

from rap_journal.sealing import Purpose
from rap_journal.values import ClassSpec
from rap_projections.class_table import CLUSTER_FOLDS
from rap_projections.cluster_context import ClusterContext
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import HEALTH, IDENTITY, SNAPSHOTS, TRUST, UPDATES
from rap_projections.folding import FoldedState
from rap_projections.known_floors import KnownFloors, higher_floors, read_floors
from rap_projections.operations import Allowed, Operation
from rap_projections.witness_floors import witness_floors

_READ = (IDENTITY, TRUST, SNAPSHOTS, UPDATES, HEALTH)
"""The classes that a backup is taken of, of updates the floor alone; no cache is among them (spec 11)."""


def known_floors(context: ClusterContext) -> KnownFloors:
    """The highest floors that the state of an open journal knows, and its witness when it was opened.

    Whether the state is validated is known by a sound state alone: a ticket may have come since.
    """
    core = context.core
    with core.lock:
        known = read_floors(witness_floors(core.state))
        highest = higher_floors(known, read_floors(core.journal.recovered_floors))
    return highest if context.fail_closed_reason is not None else highest._replace(restore=known.restore)


class LiveSource:
    """An open cluster (`backing_up.Source`)."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context
        self.cluster_id = context.cluster_id
        self.journal_id = context.core.journal.keys.marker.journal_id
        self.incarnation = context.core.journal.incarnation
        self.shelf: DocumentShelf = context.shelf
        self.authority = context.authority
        """Held while the backup is taken, so that no document goes meanwhile."""

    @property
    def fail_closed_reason(self) -> str | None:
        """Why the cluster fails closed, if it does."""
        return self._context.fail_closed_reason

    def ask(self, operation: Operation) -> Allowed:
        """The one gate."""
        return self._context.ask(operation)

    def frozen(self) -> tuple[FoldedState, Any]:
        """The state at one LSN, and the floors that the witness knew when it was opened."""
        core = self._context.core
        frozen = FoldedState(CLUSTER_FOLDS, self.shelf)
        with core.lock:
            for spec in _READ:
                frozen.restore(spec.number, core.state.value(spec.number))
            frozen.lsn = core.state.lsn
        return frozen, core.journal.recovered_floors

    def load_key(self, spec: ClassSpec, file_id: bytes) -> bytes:
        """What is sealed for a private key."""
        return self._context.core.load(spec, file_id, purpose=Purpose.IDENTITY)
