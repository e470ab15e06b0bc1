"""The upkeep of a cluster, in its order: checkpoint, history, ledger, budget; one at a time."""

import threading

import pytest

from rap_journal.errors import FailClosed, MisuseError
from rap_projections.policy import Policy
from tests.projections.store_kit import FOLDER, destroy, files, furnished, names, ready


def test_a_checkpoint_measures_what_the_cluster_takes() -> None:
    it = furnished()
    assert it.cluster.status()["writer"]["disk_bytes"] > 0
    it.cluster.checkpoint()
    taken = sum(len(content) for content in files(it.kit.filesystem, f"{FOLDER}/").values())
    writer = it.cluster.status()["writer"]
    assert (writer["disk_bytes"], writer["disk_bytes_max"]) == (taken, 1 << 30)


def test_a_closed_cluster_and_one_that_fails_closed_make_no_checkpoint() -> None:
    it = ready()
    cluster = it.cluster
    it.kit.store.close()
    with pytest.raises(MisuseError):
        cluster.checkpoint()
    destroy(it.kit.filesystem, f"{FOLDER}/trust/", part="document-")
    destroy(it.kit.filesystem, f"{FOLDER}/journal/", part="0")
    it.kit.open()
    before = names(it.kit.filesystem, FOLDER, part="checkpoint-")
    with pytest.raises(FailClosed):
        it.cluster.checkpoint()
    assert names(it.kit.filesystem, FOLDER, part="checkpoint-") == before


def test_two_checkpoints_at_once_wait_for_each_other() -> None:
    it = ready(policy=Policy(history_all_h=0, incident_days=0))
    lsns: list[int] = []

    def work() -> None:
        for _ in range(5):
            it.cluster.note("x")
            lsns.append(it.cluster.checkpoint().lsn)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lsns) == 10
    live = it.cluster.digest()
    assert it.kit.kill().cluster(it.fabric.cluster_id).digest() == live
    assert it.cluster.recovery.is_clean
