"""Specification, section 13: fresh install creates expected namespace layout."""

import os
import stat
from pathlib import Path

import pytest

from rap_journal.layout import checkpoint_name, keys_name
from rap_projections import History, NodeStore
from rap_projections.event_kinds import CLUSTER_CLASSES
from rap_projections.keys import FileKeyProvider
from rap_projections.testing import Fabric, ManualClock, memory_store
from tests.projections.store_kit import files, folder

NAMESPACE = {"identity", "trust", "snapshots", "peers", "routes", "services", "health", "updates", "telemetry", "tmp"}
"""The folders of a cluster, as section 3 lists them."""

BESIDE = {"journal", "quarantine"}
"""What a cluster has besides: the log that all classes share, and what was cut from it."""


def installed(root: Path, *cluster_ids: str) -> None:
    """A store on the disk that has joined these clusters, opened and closed in order."""
    keys = FileKeyProvider(root.parent / "key")
    with NodeStore.open(root, keys=keys, create=True, clock=ManualClock(), background=False) as store:
        for cluster_id in cluster_ids:
            fabric = Fabric(cluster_id)
            store.join(cluster_id, bundle=fabric.bootstrap, expect=fabric.fingerprint)


def folders_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir()}


def test_fresh_install_creates_expected_namespace_layout(tmp_path: Path) -> None:
    root = tmp_path / "rap-node-agent-state"
    installed(root, "eu-west-1", "us-east-1")
    expected = {"agent", "agent/agent", "agent/journal", "agent/quarantine", "agent/tmp", "clusters", "tmp"}
    for cluster_id in ("eu-west-1", "us-east-1"):
        expected |= {f"clusters/{cluster_id}"} | {f"clusters/{cluster_id}/{name}" for name in NAMESPACE | BESIDE}
    assert folders_of(root) == expected


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_service_account_can_reach_any_file_or_folder_whatever_its_umask(tmp_path: Path, mask: int) -> None:
    root = tmp_path / "state"
    before = os.umask(mask)
    try:
        installed(root, "lab")
    finally:
        os.umask(before)
    seen = set()
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        assert stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1), path
        assert status.st_uid == os.geteuid(), path
        seen.add((stat.S_ISDIR(status.st_mode), stat.S_IMODE(status.st_mode)))
    assert seen == {(True, 0o700), (False, 0o600)}
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_every_class_starts_with_a_checkpoint_of_nothing_at_lsn_zero() -> None:
    kit = memory_store()
    kit.join(Fabric("lab"))
    for spec in CLUSTER_CLASSES:
        held = [name for name in folder(kit.filesystem, f"clusters/lab/{spec.name}").names() if name.startswith("checkpoint-")]
        assert held == [checkpoint_name(0)], spec.name
    assert folder(kit.filesystem, "agent/agent").status(checkpoint_name(0)) is not None


def test_a_fresh_cluster_holds_the_pinned_bundle_its_keys_and_nothing_else() -> None:
    kit = memory_store()
    cluster = kit.join(Fabric("lab"))
    held = {spec.name: sorted(folder(kit.filesystem, f"clusters/lab/{spec.name}").names()) for spec in CLUSTER_CLASSES}
    bundle = cluster.view().trust.chain[0].stored.file_id.hex()
    assert held == {
        spec.name: [checkpoint_name(0)]
        + [f"document-{bundle}"] * (spec.name == "trust")
        + [keys_name(1)] * (spec.name in ("identity", "trust"))
        for spec in CLUSTER_CLASSES
    }
    for name in ("tmp", "quarantine"):
        assert list(folder(kit.filesystem, f"clusters/lab/{name}").names()) == []


def test_a_second_cluster_gets_the_same_layout_and_changes_nothing_of_the_first() -> None:
    kit = memory_store()
    kit.join(Fabric("lab"))
    kit.store.tick()
    before = files(kit.filesystem, "clusters/lab/")
    kit.join(Fabric("other"))
    assert files(kit.filesystem, "clusters/lab/") == before

    def layout(cluster_id: str) -> dict[str, int]:
        prefix = f"clusters/{cluster_id}/"
        return {path.removeprefix(prefix).partition("document-")[0]: 1 for path in files(kit.filesystem, prefix)}

    assert layout("other") == layout("lab")


def test_installing_over_an_installed_store_changes_no_cluster(tmp_path: Path) -> None:
    root = tmp_path / "state"
    installed(root, "lab")
    keys = FileKeyProvider(tmp_path / "key")
    with History.open(root, keys=keys) as history:
        before = history.cluster("lab").at(digest=True)
    layout = folders_of(root)
    installed(root, "lab")
    with History.open(root, keys=keys) as history:
        assert history.cluster("lab").at(digest=True) == before
    assert folders_of(root) == layout
