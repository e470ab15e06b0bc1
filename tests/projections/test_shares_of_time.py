"""Trusted time when keys are revoked: no more goes than the share of the key that went (trust, 16)."""

import pytest

from rap_projections.documents import Revocation, RevocationKind
from rap_projections.refusals import Expired
from tests.projections.store_kit import ready

DAY_S = 86_400


def test_revoking_the_key_that_is_ahead_throws_time_back_behind_nothing_that_others_stated() -> None:
    """Mutation: keep the instants alone that move trusted time, or measure the revoking bundle by the key that it revokes."""
    it = ready()
    began_s = it.fabric.issued_at_s
    ended = it.fabric.services(["svc-a"], expires_at_s=began_s + 5 * DAY_S)
    ahead_s = began_s + 29 * DAY_S
    it.cluster.activate(it.fabric.routes([("node-1", [])], issued_at_s=ahead_s, expires_at_s=ahead_s + DAY_S))
    it.fabric.issued_at_s = began_s + 19 * DAY_S
    it.cluster.snapshots.take_head(it.fabric.head(expires_at_s=began_s + 90 * DAY_S))
    it.fabric.issued_at_s = began_s + 20 * DAY_S
    it.cluster.trust.update(it.fabric.revoke_key("routes"))
    assert it.cluster.status()["trusted_time_s"] == began_s + 20 * DAY_S
    with pytest.raises(Expired):
        it.cluster.activate(ended)


def test_what_another_key_stated_behind_the_one_that_is_ahead_stays_when_that_one_is_revoked() -> None:
    """Mutation: keep the instants alone that move trusted time."""
    it = ready()
    began_s = it.fabric.issued_at_s
    ahead_s = began_s + 29 * DAY_S
    it.cluster.activate(it.fabric.routes([("node-1", [])], issued_at_s=ahead_s, expires_at_s=ahead_s + DAY_S))
    it.fabric.issued_at_s = began_s + 19 * DAY_S
    it.cluster.snapshots.take_head(it.fabric.head(expires_at_s=began_s + 90 * DAY_S))
    it.fabric.issued_at_s = began_s + DAY_S
    it.cluster.trust.update(it.fabric.revoke_key("routes"))
    assert it.cluster.status()["trusted_time_s"] == began_s + 19 * DAY_S


def test_revoking_one_root_of_those_that_signed_the_bootstrap_leaves_a_trusted_time() -> None:
    """Mutation: the share of the bootstrap is one root's; what ended long ago is taken again."""
    it = ready()
    began_s = it.fabric.issued_at_s
    ended = it.fabric.services(["svc-a"], expires_at_s=began_s + 60)
    it.kit.clock.advance(seconds=3600)
    it.kit.store.tick()
    revoked = (Revocation(RevocationKind.KID, it.fabric.key("root-1").kid, (), None),)
    it.fabric.issued_at_s = began_s + 1800
    it.cluster.trust.update(it.fabric.next_bundle(roots=("root-2", "root-3", "root-4"), revocations=revoked))
    assert it.cluster.status()["trusted_time_s"] >= began_s + 3600
    with pytest.raises(Expired):
        it.cluster.activate(ended)
