"""What renews the safe-operation deadline, with which budget, and what keeps nothing from renewing it."""

import pytest

from rap_projections import NodeStore
from rap_projections.policy import Policy
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import CLUSTER, Ready, ready

DAY_S = 86_400


def permitted(offline_s_max: int = 3 * DAY_S) -> Ready:
    """A cluster that may resolve secrets for so long without a newer instant."""
    it = ready()
    permit(it, offline_s_max)
    return it


def permit(it: Ready, offline_s_max: int) -> None:
    it.fabric.issued_at_s += 1
    ends = {"expires_at_s": it.fabric.issued_at_s + 400 * DAY_S}
    it.cluster.activate(it.fabric.policy(high_risk_operations=("resolve_secret",), offline_s_max=offline_s_max, snapshot=ends))


def pass_a_day(it: Ready) -> None:
    """A day goes by, and the cluster signs a head."""
    it.kit.clock.advance(seconds=DAY_S)
    it.fabric.issued_at_s += DAY_S
    it.kit.store.tick()
    it.cluster.snapshots.take_head(it.fabric.head(expires_at_s=it.fabric.issued_at_s + 400 * DAY_S))


def left_s(it: Ready) -> int:
    seconds: int = it.cluster.status()["degraded"]["seconds_left"]
    return seconds


def test_an_instant_far_ahead_bars_no_later_renewal_once_its_key_is_revoked() -> None:
    """Mutation: the deadline keeps the instant as it was signed, and for the next twenty years no other one is newer."""
    it = permitted()
    ahead_s = it.fabric.issued_at_s + 20 * 365 * DAY_S
    it.cluster.activate(it.fabric.routes([("node-1", [])], issued_at_s=ahead_s, expires_at_s=ahead_s + DAY_S))
    it.cluster.trust.update(it.fabric.revoke_key("routes"))
    for _day in range(10):
        pass_a_day(it)
        assert left_s(it) == 3 * DAY_S


def test_the_bundle_that_revokes_a_key_which_was_ahead_renews() -> None:
    """Mutation: its instant is compared with what the revoked key showed."""
    it = permitted()
    ahead_s = it.fabric.issued_at_s + 20 * DAY_S
    it.cluster.activate(it.fabric.routes([("node-1", [])], issued_at_s=ahead_s, expires_at_s=ahead_s + DAY_S))
    it.kit.clock.advance(seconds=2 * DAY_S)
    it.fabric.issued_at_s += 2 * DAY_S + 1
    assert left_s(it) == DAY_S
    it.cluster.trust.update(it.fabric.revoke_key("routes"))
    assert left_s(it) == 3 * DAY_S


@pytest.mark.parametrize(("before_s", "after_s"), [(7 * DAY_S, 600), (600, 7 * DAY_S)])
def test_a_policy_renews_the_deadline_with_its_own_budget(before_s: int, after_s: int) -> None:
    """Mutation: with that of the policy which it takes the place of."""
    it = permitted(before_s)
    assert left_s(it) == before_s
    permit(it, after_s)
    assert left_s(it) == after_s
    it.kit.store.close()
    it.kit.open()
    assert left_s(it) == after_s


def test_an_operators_policy_that_allows_less_cuts_the_deadline_at_the_next_opening() -> None:
    """Mutation: the deadline runs on as it was renewed."""
    it = permitted(7 * DAY_S)
    it.kit.store.close()
    keys, clock, filesystem = it.kit.keys, it.kit.clock, it.kit.filesystem
    store = NodeStore.open(
        ROOT, keys=keys, clock=clock, filesystem=filesystem, policy=Policy(offline_s_max=600), background=False
    )
    assert store.cluster(CLUSTER).status()["degraded"]["seconds_left"] == 600
