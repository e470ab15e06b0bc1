"""Specification, section 13: local store reports last applied config version."""

import json
from typing import Any

import pytest

from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX
from rap_projections import History
from rap_projections.documents import Scope
from rap_projections.refusals import Rollback
from rap_projections.testing import Fabric
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, crashed_at_every_operation, flip_bit, furnished, names, ready


def applied(it: Ready) -> dict[str, Any]:
    """The applied version of each scope; status, heartbeat, report and the reader beside the writer must agree on it."""
    status = {
        name: scope["applied_version"] for name, scope in it.cluster.status()["snapshots"].items() if scope["applied_version"]
    }
    assert it.cluster.health.heartbeat().document["applied"] == status
    reported = it.kit.store.report()["clusters"][CLUSTER]["snapshots"]
    assert {name: scope["applied_version"] for name, scope in reported.items() if scope["applied_version"]} == status
    it.cluster.tick()
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        scopes = history.cluster(CLUSTER).at().snapshots.scopes
        assert {name: list(scope.applied.version) for name, scope in scopes.items() if scope.applied} == status
    return status


def test_local_store_reports_last_applied_config_version() -> None:
    it = ready()
    assert applied(it) == {}
    for version in (1, 2, 7):
        it.cluster.activate(it.fabric.peers([f"node-{version}"], version=version))
        assert applied(it) == {"peers": [1, version]}
        it.kit.power_cut()
        assert applied(it) == {"peers": [1, version]}


def test_every_scope_has_its_own_applied_version() -> None:
    it = furnished()
    assert applied(it) == {scope.value: [1, 1] for scope in Scope}
    it.cluster.activate(it.fabric.routes([("node-1", [])], version=9))
    assert applied(it) == {scope.value: [1, 9 if scope is Scope.ROUTES else 1] for scope in Scope}


def test_what_is_pending_verified_or_refused_is_not_reported_as_applied() -> None:
    it = furnished()
    it.cluster.activate(it.fabric.peers(["node-4"], version=3))
    before = applied(it)
    assert before["peers"] == [1, 3]
    with pytest.raises(Rollback):
        it.cluster.activate(it.fabric.peers(["node-5"], version=2))
    assert applied(it) == before
    newer = it.fabric.peers(["node-5"], version=8)
    with it.cluster.activation("peers") as step:
        step.stage(newer)
        assert applied(it) == before
        step.verify()
        assert applied(it) == before
        step.commit()
    assert applied(it) == before | {"peers": [1, 8]}


def test_an_activation_interrupted_before_its_report_is_reported_by_the_next_opening() -> None:
    active_before_report = 0
    for crash in crashed_at_every_operation(ready, lambda it: it.cluster.activate(it.fabric.peers(["node-1"]))):
        with History.open(ROOT, keys=crash.it.kit.keys, filesystem=crash.it.kit.filesystem) as history:
            scope = history.cluster(CLUSTER).at().snapshots.scope("peers")
            active_before_report += scope.active is not None and scope.applied is None
        crash.it.kit.open()
        is_active = crash.it.cluster.snapshots.scope("peers").active is not None
        assert applied(crash.it) == ({"peers": [1, 1]} if is_active else {})
    assert active_before_report > 0


def test_the_applied_version_is_never_ahead_of_what_the_components_run_by() -> None:
    it = ready()
    seen = []
    subscription = it.cluster.subscribe(
        lambda delivered: seen.append(delivered.name), kinds={"SnapshotActivated", "DirectoryApplied", "AppliedReported"}
    )
    it.cluster.activate(it.fabric.peers(["node-1"]))
    assert subscription.wait_idle()
    assert seen == ["SnapshotActivated", "DirectoryApplied", "AppliedReported"]


def test_a_fall_back_reports_the_older_version_and_keeps_the_floor() -> None:
    it = ready()
    it.cluster.activate(it.fabric.policy(fallback_allowed=True))
    large = it.fabric.peers([f"node-{number}" for number in range(900)], version=2)
    assert len(large) > INLINE_DOCUMENT_BYTES_MAX
    it.cluster.activate(it.fabric.peers(["node-1"], version=1))
    it.cluster.activate(large)
    active = it.cluster.snapshots.scope("peers").active
    assert active is not None
    (path,) = names(it.kit.filesystem, f"{FOLDER}/snapshots", part=active.stored.file_id.hex())
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    flip_bit(it.kit.filesystem, path)
    it.kit.open()
    assert applied(it) == {"policy": [1, 1], "peers": [1, 1]}
    scope = it.cluster.status()["snapshots"]["peers"]
    assert (scope["active_version"], scope["is_fallen_back"]) == ([1, 1], True)
    assert it.cluster.snapshots.scope("peers").floor.version.version == 2


def test_expiry_and_refresh_are_reported_with_the_version() -> None:
    it = ready()
    issued = it.fabric.issued_at_s
    it.cluster.activate(it.fabric.peers(["node-1"], refresh_after_s=issued + 100, expires_at_s=issued + 200))

    def dues() -> tuple[bool, bool]:
        scope = it.cluster.status()["snapshots"]["peers"]
        assert (scope["refresh_after_s"], scope["expires_at_s"]) == (issued + 100, issued + 200)
        return scope["is_refresh_due"], scope["is_expired"]

    assert dues() == (False, False)
    it.kit.clock.advance(seconds=100)
    assert dues() == (True, False)
    it.kit.clock.advance(seconds=100)
    assert dues() == (True, True)
    # What has expired is still what the components run by, and said to be.
    assert applied(it) == {"peers": [1, 1]}


def test_the_report_names_no_peer_no_address_no_key_and_no_content() -> None:
    it = furnished()
    it.cluster.identity.request(node_id="node-77", membership_id="member-88")
    text = json.dumps(it.kit.store.report()) + json.dumps(it.cluster.health.heartbeat().document)
    key = it.cluster.view().identity.key
    assert key is not None
    for word in (
        "node-1",
        "node-2",
        "node-77",
        "member-88",
        "quic:",
        "svc-a",
        "artifacts.example",
        key.reference,
        "queue length",
        "last-relay",
    ):
        assert word not in text, word
    for scope in Scope:
        active = it.cluster.snapshots.scope(scope.value).active
        assert active is not None and active.facts.content_id.hex() not in text


def test_clusters_report_their_own_versions() -> None:
    it = ready()
    other = Fabric("other")
    it.kit.join(other)
    it.cluster.activate(it.fabric.peers(["node-1"], version=3))
    it.kit.store.cluster("other").activate(other.peers(["node-1"], version=4))
    clusters = it.kit.store.report()["clusters"]
    assert [clusters[name]["snapshots"]["peers"]["applied_version"] for name in (CLUSTER, "other")] == [[1, 3], [1, 4]]
