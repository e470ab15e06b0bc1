"""The agent's own state, read beside its writer.

Example::

    read_agent(reader).joined()
"""

from typing import Any

from rap_journal.reader import JournalReader
from rap_projections.agent import AgentView
from rap_projections.class_table import AGENT_FOLDS
from rap_projections.event_kinds import AGENT
from rap_projections.folding import FoldedState


def read_agent(reader: JournalReader) -> AgentView:
    """The agent's state at the reader's horizon. Raises what reading raises."""
    checkpoint = reader.checkpoint_before(AGENT, reader.horizon.lsn)
    state = FoldedState(AGENT_FOLDS, _NoDocuments())
    state.restore(AGENT.number, checkpoint.content.value)
    for _frame, records in reader.records(checkpoint.anchor.lsn):
        if newer := [record for record in records if record.lsn > checkpoint.anchor.lsn]:
            state.apply(newer)
    view: AgentView = state.view(AGENT)
    return view


class _NoDocuments:
    """The agent's journal names no documents."""

    def snapshot(self, content_id: bytes) -> Any:
        raise KeyError(content_id)
