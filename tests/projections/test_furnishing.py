"""A cluster with something in it: of everything, durably, and the same each time."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import Operation
from rap_projections.documents import Scope
from rap_projections.event_kinds import CLUSTER_CLASSES
from rap_projections.identity import Enrollment
from rap_projections.testing import Fabric, furnish, memory_store
from rap_projections.testing.furnishing import NODE_ID
from tests.projections.store_kit import Ready, names, written


def furnished() -> Ready:
    it = Ready(memory_store(), Fabric("lab"))
    furnish(it.kit.store, it.fabric)
    return it


def test_it_has_something_of_everything() -> None:
    it = furnished()
    view = it.cluster.view()
    assert (view.identity.enrollment, view.identity.node_id) == (Enrollment.ENROLLED, NODE_ID)
    assert {name for name, scope in view.snapshots.scopes.items() if scope.active} == {scope.value for scope in Scope}
    assert sorted(view.peers.peers) == ["node-1", "node-2", "node-3"]
    assert [it.cluster.routes.best(node, channel="interactive") is not None for node in ("node-1", "node-2")] == [True, True]
    assert [service.assignment.id for service in it.cluster.services.assigned()] == ["svc-a", "svc-b"]
    assert view.services.services["svc-a"].reported is not None
    assert it.cluster.hints.get("last-relay") == "node-2"
    assert [record.text for record in it.cluster.telemetry.drain()] == ["queue length 12"]


def test_every_class_has_a_record_and_most_have_one_behind_the_checkpoint() -> None:
    it = furnished()
    (newest,) = {path[-16:] for path in names(it.kit.filesystem, "clusters/lab/", part="checkpoint-")} - {"0" * 16}
    assert {record.state_class for record in written(it)} == {spec.number for spec in CLUSTER_CLASSES}
    behind = {record.state_class for record in written(it, int(newest))}
    assert {2, 3, 5, 7, 8, 9} <= behind


def test_high_risk_work_that_the_policy_permits_is_allowed_and_no_other() -> None:
    cluster = furnished().cluster
    assert {operation.value for operation in Operation if cluster.allows(operation).ok} == {"resolve_secret", "start_service"}


def test_it_is_all_durable() -> None:
    it = furnished()
    before = it.cluster.digest()
    it.kit.power_cut()
    assert it.cluster.digest() == before


def test_the_same_store_and_issuer_give_the_same_records_but_for_the_identity() -> None:
    def kinds(it: Ready) -> list[tuple[int, int, int]]:
        return [(record.lsn, record.kind, record.node_us) for record in written(it)]

    one, other = furnished(), furnished()
    assert kinds(one) == kinds(other)
    for name in ("trust", "services", "updates", "peers", "routes", "telemetry"):
        assert getattr(one.cluster.view(), name) == getattr(other.cluster.view(), name)


def test_a_cluster_is_furnished_once() -> None:
    it = furnished()
    with pytest.raises(MisuseError):
        furnish(it.kit.store, it.fabric)
