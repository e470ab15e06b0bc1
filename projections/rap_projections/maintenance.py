"""The upkeep of one cluster's journal: checkpoints, retired history, the disk budget and the background scrub, in their order.

Rules this file keeps:

- A checkpoint comes first; nothing older goes before it was read back.
- On a full disk things give way one step at a time, and no further than the checkpoint needs.
- One thread at a time: two checkpoints at once would each drop what the other counts on.

Example::

    maintenance = Maintenance(context)
    maintenance.opened()
    maintenance.checkpoint()
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from rap_journal.errors import NoSpace
from rap_journal.space import disk_errors_mean
from rap_projections.checkpointing import WrittenCheckpoint, replace_bad_checkpoints, write_checkpoint
from rap_projections.cluster_context import ClusterContext
from rap_projections.due_checkpoints import DueCheckpoints
from rap_projections.giving_way import GivingWay
from rap_projections.retiring import retire, shorten_ledger
from rap_projections.scrubbing import Scrubbing

Outcome = TypeVar("Outcome")


class Maintenance:
    """The upkeep of one cluster.

    Attributes:
        due: what writes the checkpoints that nobody asks for.
    """

    def __init__(self, context: ClusterContext) -> None:
        self._context = context
        self._giving_way = GivingWay(context.core)
        self._scrubbing = Scrubbing(context)
        # Taken again by its holder: opening anew pauses this, and replaces bad checkpoints.
        self._turn = threading.RLock()
        self._disk_bytes: int | None = None
        self.due = DueCheckpoints(context, self.checkpoint)

    def opened(self) -> None:
        """Begin with a freshly opened journal: what of its checkpoints is damaged is replaced, unless the cluster fails closed."""
        if self._context.fail_closed_reason is None:
            with self._turn:
                replace_bad_checkpoints(self._context.core, self._context.policy)
        self._scrubbing.opened()
        self.due.opened()
        with suppress(OSError):
            self._disk_bytes = self._giving_way.measure().disk

    def paused(self) -> AbstractContextManager[object]:
        """No checkpoint begins inside, and one under way is finished before: what it reads is not to be closed under its hands."""
        return self._turn

    def checkpoint(self) -> WrittenCheckpoint:
        """Write a checkpoint set, retire what the policy no longer keeps, and keep within the disk budget.

        Raises `NoSpace` where nothing is left that could give way, `StorageError`, `FailClosed`, and what writing raises.
        """
        core, context = self._context.core, self._context
        with self._turn, disk_errors_mean(core.name, "checkpoint set"):
            core.require_open()
            context.require_open()
            tried: list[str] = []
            written = self._with_room(lambda: write_checkpoint(core, context.policy), tried)
            self.due.written(written.lsn)
            self._with_room(lambda: retire(core, context.policy, core.now()), tried)
            shorten_ledger(core, context.policy, core.now())
            self._disk_bytes = self._giving_way.keep_within(context.policy).disk
            return written

    def tick(self) -> None:
        """Called by the housekeeper: read a little further in what lies at rest, and wake who writes checkpoints if one is due."""
        self._scrubbing.tick()
        if not self.due.is_idle:
            self._context.core.machine.wake_upkeep()

    def status(self) -> dict[str, Any]:
        """What is known here alone: bytes on disk when they were last measured, and why a due checkpoint could not be written."""
        return {
            "disk_bytes": self._disk_bytes,
            "disk_bytes_max": self._context.policy.disk_bytes_max,
            "checkpoint_failure": self.due.failure,
        }

    def _with_room(self, work: Callable[[], Outcome], tried: list[str]) -> Outcome:
        """Do `work`, letting things give way while the disk has no room for it. `tried`: steps taken so far."""
        while True:
            try:
                return work()
            except NoSpace:
                if not self._giving_way.give_on_full_disk(self._context.policy, tried):
                    raise
