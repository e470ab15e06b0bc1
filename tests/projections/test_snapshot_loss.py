"""When a cluster is degraded for a lost document, and when it no longer is."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import Floor, Version
from rap_projections.health import SNAPSHOT_LOST, Degraded, HealthView
from rap_projections.health_decisions import decide_leave_degraded
from rap_projections.health_events import DegradedEntered, DegradedLeft
from rap_projections.node_time import Now
from rap_projections.policy import Policy, effective
from rap_projections.snapshot_loss import decide_snapshot_lost, decide_snapshots_back, lost_scopes
from rap_projections.snapshots import ScopeView, SnapshotsView

NOW = Now(1_000_000, 0, 0, 0)
LIMITS = effective(Policy(), None)
ONCE = Floor(Version(1, 3), bytes(32))
DEGRADED = HealthView(degraded={SNAPSHOT_LOST: Degraded(0, 1)})


@pytest.mark.parametrize(
    ("scope", "is_lost"),
    [
        (ScopeView(), False),
        (ScopeView(floor=ONCE), True),
        (ScopeView(floor=ONCE, withdrawn_reason="damaged"), True),
        (ScopeView(floor=ONCE, withdrawn_reason="revoked"), False),
        (ScopeView(floor=ONCE, active=object()), False),  # type: ignore[arg-type]  # whatever is active will do
    ],
)
def test_a_scope_is_lost_that_had_a_document_and_has_none_because_of_damage(scope: ScopeView, is_lost: bool) -> None:
    snapshots = SnapshotsView(scopes={"routes": scope})
    assert lost_scopes(snapshots) == (("routes",) if is_lost else ())
    assert decide_snapshots_back(DEGRADED, snapshots) == (() if is_lost else (DegradedLeft(SNAPSHOT_LOST),))
    assert decide_snapshots_back(HealthView(), snapshots) == ()


def test_a_loss_degrades_once_and_for_no_longer_than_policy_allows() -> None:
    end_us = NOW.node_us + LIMITS.degraded_s_max * 1_000_000
    assert decide_snapshot_lost(HealthView(), NOW, LIMITS) == (DegradedEntered(SNAPSHOT_LOST, end_us),)
    assert decide_snapshot_lost(DEGRADED, NOW, LIMITS) == ()


def test_no_call_ends_it() -> None:
    with pytest.raises(MisuseError, match="ends when every scope has a document again"):
        decide_leave_degraded(DEGRADED, SNAPSHOT_LOST)
