"""Checkpoints that nobody asks for: written when enough has happened, so that an opening never has much to replay.

Rules this file keeps:

- Due means: so many events, so many bytes of journal, or so many hours with any event at all, since the newest set (policy).
- They take a tenth of the time at most: after one that took long, the next waits, however much is written meanwhile.
- One that fails harms nothing, since replay does without it. It stands in status, and is tried again after a minute.

Example::

    due = DueCheckpoints(context, maintenance.checkpoint)
    due.opened()
    due.tick()            # by the thread for upkeep; `is_idle` says whether there is anything to do
"""

from collections.abc import Callable

from rap_journal.errors import StateStoreError
from rap_projections.cluster_context import ClusterContext
from rap_projections.upkeep_decisions import is_checkpoint_due

PAUSES_PER_CHECKPOINT = 9
"""After a checkpoint that took so long, so many times that passes before the next: a tenth of the time goes into them at most."""

RETRY_US = 60 * 1_000_000
"""How long it waits after one that failed."""


class DueCheckpoints:
    """When the next checkpoint of one cluster is due. `tick` belongs to one thread; the rest may be asked by any.

    Attributes:
        failure: why the last one that was due could not be written; None where it was, or none was due.
    """

    def __init__(self, context: ClusterContext, write: Callable[[], object]) -> None:
        self._context = context
        self._write = write
        self._newest_lsn = 0
        self._newest_node_us = 0
        self._newest_bytes = 0
        self._not_before_us = 0
        self.failure: str | None = None

    def opened(self) -> None:
        """Begin with a freshly opened journal: what was replayed counts as written since the newest set."""
        core = self._context.core
        self._newest_lsn, self._newest_node_us, self._newest_bytes = core.journal.report.checkpoint_lsn, core.node_us(), 0
        self._not_before_us, self.failure = 0, None

    def written(self, lsn: int) -> None:
        """There is a set at `lsn` now, whoever asked for it."""
        core = self._context.core
        self._newest_lsn, self._newest_node_us, self._newest_bytes = lsn, core.node_us(), core.journal.written_bytes
        self.failure = None

    @property
    def is_idle(self) -> bool:
        """Whether no checkpoint is to be written now."""
        context, journal = self._context, self._context.core.journal
        if not context.core.is_open or journal.is_poisoned or not journal.is_writable or context.fail_closed_reason is not None:
            return True
        return self._boot_us() < self._not_before_us or not is_checkpoint_due(
            context.policy,
            events=journal.durable_lsn - self._newest_lsn,
            journal_bytes=journal.written_bytes - self._newest_bytes,
            node_us=context.core.node_us() - self._newest_node_us,
        )

    def tick(self) -> None:
        """Write a checkpoint if one is due."""
        if self.is_idle:
            return
        began_us = self._boot_us()
        try:
            self._write()
        except (StateStoreError, OSError) as error:
            self.failure = type(error).__name__
            self._not_before_us = self._boot_us() + RETRY_US
        else:
            ended_us = self._boot_us()
            self._not_before_us = ended_us + PAUSES_PER_CHECKPOINT * (ended_us - began_us)

    def _boot_us(self) -> int:
        return self._context.core.machine.clock.now().boot_us
