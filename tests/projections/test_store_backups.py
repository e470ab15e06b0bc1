"""What a backup takes of an open store, what it leaves out, and what the agent remembers of a restore."""

import pytest

from rap_projections.refusals import NotAllowed
from rap_projections.testing import Fabric
from tests.projections.restore_kit import BACKUP, enrolled, restore
from tests.projections.store_kit import CLUSTER, ready


def test_private_keys_stay_where_the_policy_does_not_list_it() -> None:
    """Fails when the gate is not asked for private keys; then nothing may be written either."""
    it = enrolled()
    with pytest.raises(NotAllowed):
        it.kit.store.backup(BACKUP, private_keys=True)
    with pytest.raises(FileNotFoundError):
        it.kit.filesystem.read_file(BACKUP, 1)


def test_a_damaged_cluster_is_left_out_and_named() -> None:
    it = enrolled()
    it.kit.wound("trust-flip")
    it.kit.join(Fabric("other"))
    receipt = it.kit.store.backup(BACKUP)
    assert (receipt.clusters, receipt.left_out) == (("other",), {CLUSTER: "trust_damaged"})


def test_backups_of_one_store_are_signed_by_one_key_and_those_of_another_by_another() -> None:
    it, other = enrolled(), ready(seed=1)
    first, again, foreign = it.kit.store.backup(BACKUP), it.kit.store.backup("/second"), other.kit.store.backup(BACKUP)
    assert first.fingerprint == again.fingerprint == it.kit.store.report()["backup_fingerprint"]
    assert foreign.fingerprint != first.fingerprint


def test_the_agent_of_a_restored_store_names_the_backup_and_the_clusters_that_were_left() -> None:
    it = enrolled()
    it.kit.join(Fabric("other"))
    it.kit.store.leave("other", reason="moved")
    receipt = it.kit.store.backup(BACKUP)
    view = restore(it).agent.view()
    assert (view.joined(), view.clusters["other"].floors.bundle[0]) == ((CLUSTER,), 1)
    notes = [(diagnostic.code, diagnostic.text) for diagnostic in view.diagnostics]
    assert notes == [("restored", f"from the backup with SHA-256 {receipt.sha256}")]
