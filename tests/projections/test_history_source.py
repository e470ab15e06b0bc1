"""A cluster as a backup reads it from outside: the same as the agent reads, but for private keys."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import History
from rap_projections.backing_up import save_cluster
from rap_projections.event_kinds import IDENTITY
from rap_projections.history_source import HistorySource
from rap_projections.testing.memory_store import ROOT
from tests.projections.restore_kit import enrolled
from tests.projections.store_kit import CLUSTER


def test_a_reader_saves_what_the_agent_saves() -> None:
    it = enrolled()
    it.cluster._core.journal.bring_witness_up()
    own = save_cluster(it.cluster.backup_source(), private_keys=False)
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        source = HistorySource(history.cluster(CLUSTER))
        read = save_cluster(source, private_keys=False)
        with pytest.raises(MisuseError):
            source.load_key(IDENTITY, bytes(16))
    assert read == own
