"""The view of a cluster: everything at one LSN, and it never changes."""

import pytest

from rap_projections.class_table import CLUSTER_FOLDS
from rap_projections.cluster_view import ClusterView, view_of
from rap_projections.event_kinds import CLUSTER_CLASSES, PEERS
from rap_projections.folding import FoldedState
from tests.projections.class_log import Bodies
from tests.projections.store_kit import furnished


def test_it_has_a_field_per_class_of_a_cluster_each_holding_that_classs_view() -> None:
    it = furnished()
    state = it.cluster._context.state
    view = it.cluster.view()
    assert view._fields == ("cluster", "lsn", "node_us", "digest", *(spec.name for spec in CLUSTER_CLASSES))
    for spec in CLUSTER_CLASSES:
        assert getattr(view, spec.name) == state.view(spec)


def test_it_says_of_which_cluster_at_which_lsn_and_node_time_it_is() -> None:
    it = furnished()
    state = it.cluster._context.state
    assert it.cluster.view()[:4] == ("lab", state.lsn, state.node_us, "")


def test_the_digest_is_there_where_it_was_asked_for() -> None:
    it = furnished()
    assert it.cluster.view(digest=True).digest == it.cluster.digest()
    assert it.cluster.view(digest=True)._replace(digest="") == it.cluster.view()


def test_a_view_stays_as_it_was_when_the_cluster_goes_on() -> None:
    it = furnished()
    before = it.cluster.view(digest=True)
    text = repr(before)
    it.cluster.peers.observe("node-1", rtt_ms=500.0)
    it.cluster.health.partition("split", on=True)
    it.cluster.activate(it.fabric.services(["svc-c"]))
    it.cluster.hints.put("last-relay", "another", ttl_s=5)
    it.cluster.flush()
    assert repr(before) == text
    assert it.cluster.view().lsn > before.lsn


def test_its_maps_cannot_be_written_to() -> None:
    view = furnished().cluster.view()
    for mapping in (view.snapshots.scopes, view.services.services, view.health.contacts, view.trust.instants, view.peers.peers):
        with pytest.raises(TypeError):
            mapping["another"] = None  # type: ignore[index]  # what is tried is what must not be possible


def test_the_view_of_an_empty_state_holds_the_empty_views() -> None:
    state = FoldedState(CLUSTER_FOLDS, Bodies({}))
    view = view_of("lab", state)
    assert view == ClusterView("lab", 0, 0, "", *(row.view(row.empty()) for row in CLUSTER_FOLDS))
    assert view.peers == state.view(PEERS)
