"""A change of trust as one decision: the bundle, what comes with it, and the end of every document that it lets no longer count."""

from collections.abc import Mapping, Sequence

import pytest

from rap_projections import snapshots, trust
from rap_projections.documents import CAUTIOUS_POLICY
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import Policy, effective
from rap_projections.refusals import Equivocation, Rollback, VersionGap
from rap_projections.snapshot_decisions import decide_activation
from rap_projections.snapshot_events import PreviousDropped, SnapshotActivated, SnapshotFellBack, SnapshotWithdrawn
from rap_projections.trust_change import SignedAnew, TrustChange, decide_trust_change
from rap_projections.trust_decisions import NewBundle, decide_bundles
from rap_projections.trust_events import BundleActivated, SignedInstantSeen
from tests.projections.class_log import ClassLog
from tests.projections.test_trust_decisions import new_bundle
from tests.projections.verified_documents import content, stored, verified

NOW = Now(0, 0, 0, 150)
CAUTIOUS = effective(Policy(), None)
GENEROUS = effective(Policy(), CAUTIOUS_POLICY._replace(fallback_allowed=True))


class Cluster:
    """The trust and the snapshots of a cluster with bundle 1 in force, in miniature."""

    def __init__(self, **active: Sequence[int]) -> None:
        """`active` names, by scope, the versions that were active one after the other."""
        self.trust, self.snapshots = ClassLog(trust), ClassLog(snapshots)
        self.trust.append(*decide_bundles(self.trust.state.view, [new_bundle(1)], NOW))
        for scope, versions in active.items():
            for version in versions:
                document = verified(scope, version)
                self.snapshots.append(*decide_activation(self.snapshots.state.view, document, stored(version), NOW, GENEROUS))

    def decide(
        self,
        *bundles: int,
        signers: Sequence[bytes] = (b"root-1",),
        documents: Mapping[str, int] | None = None,
        flaws: Mapping[bytes, str] | None = None,
        fallback: bool = True,
    ) -> tuple[Event, ...]:
        fresh: list[NewBundle] = [new_bundle(version) for version in bundles]
        anew = [SignedAnew(verified(scope, version), stored(version)) for scope, version in (documents or {}).items()]  # type: ignore[arg-type]  # stands for one
        change = TrustChange(fresh, signers, anew, flaws or {})
        policy = GENEROUS if fallback else CAUTIOUS
        return decide_trust_change(
            self.trust.state.view, self.snapshots.state.view, change, NOW, policy, uptime_s=77, clock_step_s_max=86_400
        )


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_bundle_alone_is_the_bundle_and_each_signers_instant() -> None:
    events = Cluster().decide(2, signers=(b"root-1", b"root-2"))
    assert kinds(events) == ["BundleActivated", "SignedInstantSeen", "SignedInstantSeen"]
    assert events[1:] == (SignedInstantSeen(b"root-1", 100, 77), SignedInstantSeen(b"root-2", 100, 77))


def test_of_several_bundles_the_last_one_gives_the_instant() -> None:
    events = Cluster().decide(2, 3)
    assert [event.version for event in events if isinstance(event, BundleActivated)] == [2, 3]
    assert kinds(events).count("SignedInstantSeen") == 1


def test_bundles_that_are_in_force_already_decide_nothing_whatever_comes_with_them() -> None:
    assert Cluster(peers=[1]).decide(1, documents={"peers": 2}, flaws={content(1): "revoked"}) == ()


def test_what_does_not_follow_is_refused_and_nothing_that_comes_with_it_is_decided() -> None:
    cluster = Cluster(peers=[1])
    with pytest.raises(VersionGap):
        cluster.decide(3, documents={"peers": 2})
    double = TrustChange([new_bundle(1, content_id=b"x" * 32)], (), (), {})
    with pytest.raises(Equivocation):
        decide_trust_change(
            cluster.trust.state.view, cluster.snapshots.state.view, double, NOW, CAUTIOUS, uptime_s=0, clock_step_s_max=0
        )


def test_a_document_that_is_refused_keeps_the_bundle_out() -> None:
    with pytest.raises(Rollback):
        Cluster(peers=[1, 5]).decide(2, documents={"peers": 3})


def test_documents_that_still_count_stay_without_an_event() -> None:
    assert kinds(Cluster(peers=[1, 2], routes=[1]).decide(2)) == ["BundleActivated", "SignedInstantSeen"]


def test_an_active_document_that_no_longer_counts_gives_way_to_a_previous_one_where_policy_allows() -> None:
    cluster = Cluster(peers=[1, 2])
    *_trust, fell_back = cluster.decide(2, flaws={content(2): "revoked"})
    assert isinstance(fell_back, SnapshotFellBack)
    assert (fell_back.content_id, fell_back.given_up_content_id, fell_back.reason) == (content(1), content(2), "revoked")
    *_trust, withdrawn = cluster.decide(2, flaws={content(2): "revoked"}, fallback=False)
    assert withdrawn == SnapshotWithdrawn("peers", content(2), "revoked")


def test_a_previous_document_that_counts_no_longer_either_takes_no_place() -> None:
    events = Cluster(peers=[1, 2, 3]).decide(2, flaws={content(3): "revoked", content(2): "revoked"})
    dropped, fell_back = events[2:]
    assert isinstance(dropped, PreviousDropped) and (dropped.content_id, dropped.reason) == (content(2), "revoked")
    assert isinstance(fell_back, SnapshotFellBack) and fell_back.content_id == content(1)


def test_where_none_counts_any_more_the_scope_has_none() -> None:
    events = Cluster(peers=[1, 2]).decide(2, flaws={content(2): "revoked", content(1): "revoked"})
    assert kinds(events[2:]) == ["PreviousDropped", "SnapshotWithdrawn"]


def test_a_document_signed_anew_takes_over_and_what_no_longer_counts_is_not_kept_behind_it() -> None:
    events = Cluster(peers=[1]).decide(2, documents={"peers": 2}, flaws={content(1): "revoked"})
    activated, dropped = events[2:]
    assert isinstance(activated, SnapshotActivated) and activated.content_id == content(2)
    assert isinstance(dropped, PreviousDropped) and (dropped.content_id, dropped.reason) == (content(1), "revoked")


def test_the_same_content_signed_anew_stays_active_though_its_old_signature_no_longer_counts() -> None:
    events = Cluster(peers=[1]).decide(2, documents={"peers": 1}, flaws={content(1): "revoked"})
    assert kinds(events[2:]) == ["SnapshotActivated"]


def test_each_scope_is_decided_by_itself() -> None:
    events = Cluster(peers=[1], routes=[5]).decide(2, flaws={content(5): "revoked"})
    assert kinds(events[2:]) == ["SnapshotWithdrawn"]
    assert [event.scope for event in events if isinstance(event, SnapshotWithdrawn)] == ["routes"]


def test_it_is_pure() -> None:
    cluster = Cluster(peers=[1, 2])
    before = (cluster.trust.value(), cluster.snapshots.value())
    arguments = {"documents": {"routes": 1}, "flaws": {content(2): "revoked"}}
    assert cluster.decide(2, **arguments) == cluster.decide(2, **arguments)  # type: ignore[arg-type]  # as above
    assert (cluster.trust.value(), cluster.snapshots.value()) == before
