"""Writing down that a cluster fails closed, so that the history before it is kept (journal, 17), or that it no longer does.

Rules this file keeps:

- It is written where it is news, and only where the journal can be written to.
- Nothing is written behind a tail that a recovery has just cut: the first record there tells what was cut, and waits for a sound
  opening.

Example::

    context.fail_closed("identity_damaged")
    write_fail_closed(context)
"""

from contextlib import nullcontext, suppress

from rap_journal.errors import StorageError
from rap_journal.recovery_plan import Verdict
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH
from rap_projections.retiring import SUBJECT
from rap_projections.upkeep_decisions import decide_fail_closed


def write_fail_closed(context: ClusterContext) -> None:
    """Write down why the cluster fails closed, or that it does not. Raises what writing raises where it does not."""
    core, reason = context.core, context.fail_closed_reason
    if not core.journal.is_writable or (reason is not None and core.journal.report.verdict is not Verdict.CLEAN):
        return
    # Having no room for it, or a disk that fails, bars nobody from looking at what is left.
    with suppress(StorageError) if reason is not None else nullcontext():
        context.execute(SUBJECT, lambda now: decide_fail_closed(core.state.view(HEALTH).upkeep, reason), durable=True)
