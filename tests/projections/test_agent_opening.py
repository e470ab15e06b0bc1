"""The agent's own journal may be lost, and costs no cluster and no start."""

from collections.abc import Callable

import pytest

from rap_journal.errors import KeyUnavailable
from rap_journal.layout import AGENT_DAMAGED
from rap_journal.testing import MemoryFileSystem
from rap_journal.trees import remove_tree
from rap_projections.testing import Fabric, MemoryKeyProvider
from tests.projections.key_kit import Other, keys_of
from tests.projections.store_kit import (
    CLUSTER,
    Ready,
    crashed_at_every_operation,
    destroy,
    files,
    flip_bit,
    folder,
    furnished,
    membership,
    names,
    ready,
    stopped,
    write_file,
)

AGENT_DAMAGE: dict[str, Callable[[MemoryFileSystem], object]] = {
    "its witness is destroyed": lambda filesystem: write_file(filesystem, "agent/WITNESS", bytes(8192)),
    "its marker is destroyed": lambda filesystem: write_file(filesystem, "agent/MARKER", bytes(1024)),
    "its folder is gone": lambda filesystem: remove_tree(folder(filesystem, ""), "agent"),
    "its segments' folder is gone": lambda filesystem: remove_tree(folder(filesystem, "agent"), "journal"),
    "its keys are destroyed": lambda filesystem: destroy(filesystem, "agent", part="keys"),
}


@pytest.mark.parametrize("damage", AGENT_DAMAGE)
def test_a_damaged_agent_journal_blocks_no_cluster_and_is_reported(damage: str) -> None:
    it = furnished()
    before, install_id = it.cluster.digest(), it.kit.store.agent.view().install_id
    filesystem = stopped(it)
    AGENT_DAMAGE[damage](filesystem)
    store = it.kit.open()
    assert store.cluster(CLUSTER).digest() == before
    view = store.agent.view()
    assert (view.install_id, view.joined()) == (install_id, (CLUSTER,))
    assert [diagnostic.code for diagnostic in view.diagnostics] == ["agent-journal-lost"]
    assert bool(names(filesystem, AGENT_DAMAGED)) is (damage != "its folder is gone")
    stopped(it)
    assert it.kit.open().agent.view().diagnostics == view.diagnostics


def test_a_damaged_agent_journal_is_begun_anew_at_whatever_operation_a_crash_comes() -> None:
    def damaged() -> Ready:
        it = ready()
        filesystem = stopped(it)
        write_file(filesystem, "agent/WITNESS", bytes(8192))
        return it

    count = 0
    for crash in crashed_at_every_operation(damaged, lambda it: it.kit.open()):
        assert membership(crash.it.kit.open()) == (True, (), (CLUSTER,))
        count += 1
    assert count > 40


def test_what_the_agents_journal_lost_in_the_middle_is_noted_again() -> None:
    it = ready()
    it.kit.store.agent.diagnostic("before-the-gap", text="goes with it")
    filesystem = stopped(it)
    # The first frame of the agent's journal tells of the installation, later ones of the join.
    path = names(filesystem, "agent/journal", part="-")[0]
    flip_bit(filesystem, path, 600)
    store = it.kit.open()
    assert store.agent.recovery.is_damage
    assert membership(store) == (True, (), (CLUSTER,))


def test_an_agent_can_be_started_and_stopped_on_a_full_disk_again_and_again() -> None:
    it = furnished()
    before = it.cluster.digest()
    filesystem = stopped(it)
    filesystem.capacity_bytes = filesystem.used_bytes
    for _ in range(5):
        store = it.kit.open()
        assert (store.unopened, store.cluster(CLUSTER).digest()) == ({}, before)
        filesystem = stopped(it)
        filesystem.capacity_bytes = filesystem.used_bytes
    filesystem.capacity_bytes = None
    assert it.kit.open().agent.flag("space-again", on=True).durable


def told(it: Ready) -> list[str]:
    return [diagnostic.code for diagnostic in it.kit.store.agent.view().diagnostics]


def test_the_agents_folder_of_another_store_is_not_taken_for_ones_own() -> None:
    """Mutation: without comparing the store's id, the other one's installation, floors and anchor were taken over in silence."""
    it, other = furnished(), ready(seed=1)
    install_id = it.kit.store.agent.view().install_id
    other.kit.store.leave(CLUSTER, reason="moved")
    other.kit.join(Fabric("elsewhere"))
    theirs, filesystem = stopped(other), stopped(it)
    for path in names(theirs, "agent/"):
        write_file(filesystem, path, files(theirs)[path])
    store = it.kit.open()
    assert (store.unopened, store.agent.view().install_id, store.agent.view().joined()) == ({}, install_id, (CLUSTER,))
    assert told(it) == ["agent-journal-lost"]


def test_who_has_a_way_into_the_clusters_gets_in_though_the_agents_journal_lacks_it() -> None:
    """Mutation: an agent's journal begun anew under one key shut out every other key, the recovery passphrase included, from all clusters."""
    it = furnished()
    keys_of(it).add_slot(Other())
    before = it.cluster.digest()
    filesystem = stopped(it)
    remove_tree(folder(filesystem, ""), "agent")
    store = it.kit.open()
    assert store.report()["lacking"] == {"agent": ["tpm2"]}
    stopped(it)
    it.kit.keys = Other()
    store = it.kit.open()
    assert (store.unopened, store.cluster(CLUSTER).digest()) == ({}, before)
    assert (told(it), store.report()["lacking"]) == (["agent-journal-lost"], {"agent": ["memory"]})
    keys_of(it).add_slot(MemoryKeyProvider())
    assert store.report()["lacking"] == {}
    stopped(it)
    it.kit.keys = MemoryKeyProvider()
    assert it.kit.open().agent.view().diagnostics[-1].code == "key-slot-added"


def test_a_key_that_opens_no_cluster_either_puts_nothing_aside() -> None:
    it = furnished()
    filesystem = stopped(it)
    before = files(filesystem)
    for keys, reason in ((MemoryKeyProvider(b"?" * 32), "wrong_key"), (Other(), "no_slot")):
        it.kit.keys = keys
        with pytest.raises(KeyUnavailable) as caught:
            it.kit.open()
        assert caught.value.reason == reason
    assert {path: data for path, data in files(it.kit.filesystem).items() if path != "LOCK"} == {
        path: data for path, data in before.items() if path != "LOCK"
    }
