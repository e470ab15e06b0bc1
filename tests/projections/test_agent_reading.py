"""The agent's state is read beside its writer as it is."""

from rap_journal.reader import JournalReader
from rap_projections.agent_reading import read_agent
from rap_projections.store_folders import agent_setup
from tests.projections.store_kit import CLUSTER, Ready, folder, ready


def read(it: Ready) -> tuple[str, ...]:
    setup = agent_setup(it.kit.keys, bytes)
    with JournalReader.open(folder(it.kit.filesystem, "agent"), setup, live=False) as reader:
        return tuple(read_agent(reader).joined())


def test_the_clusters_that_the_agent_joined_are_listed() -> None:
    it = ready()
    it.kit.store.close()
    assert read(it) == (CLUSTER,)
    it.kit.open().leave(CLUSTER, reason="moved")
    it.kit.store.close()
    assert read(it) == ()
