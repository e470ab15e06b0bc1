"""Which bundles come into force, and what else may be recorded about trust."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import trust
from rap_projections.bundle_schema import revocation_digest
from rap_projections.documents import Bundle, PlatformRoot, Revocation, RevocationKind, RootKey, SigningKey, TrustAnchor
from rap_projections.node_time import Now
from rap_projections.policy import Policy, effective
from rap_projections.refusals import Equivocation, Expired, Rollback, VersionGap
from rap_projections.stored_document import StoredDocument
from rap_projections.trust_decisions import (
    NewBundle,
    decide_bundles,
    decide_equivocation,
    decide_floor_raised,
    decide_instants,
    decide_pin,
    decide_refused,
    decide_restore_marked,
)
from rap_projections.trust_events import (
    BundleActivated,
    BundleEquivocationSeen,
    RestoreMarked,
    SignedInstantSeen,
    TrustFloorRaised,
    TrustPinned,
    TrustRefused,
)
from tests.projections.class_log import SECOND, ClassLog, at

NOW = Now(0, 0, 0, 150)
STORED = StoredDocument(b"f" * 32, 6, b"bundle")


def new_bundle(version: int, *, content_id: bytes | None = None, expires_at_s: int = 200) -> NewBundle:
    bundle = Bundle(
        version, 100, expires_at_s,
        roots=(RootKey(b"R2", b""), RootKey(b"R1", b"")), root_threshold=1,
        keys=(SigningKey(b"K2", b"", ()), SigningKey(b"K1", b"", ())), thresholds=(), scopes=(),
        revocations=(Revocation(RevocationKind.KID, b"old", (), None), Revocation(RevocationKind.IDENTITY, "node:x", (), None)),
        platform_roots=(PlatformRoot("platform-1", b"p"),), trust_anchors=(TrustAnchor(b"a", b"der"),),
        requires_head=True, clock_step_s_max=60, roles=(),
    )  # fmt: skip
    return NewBundle(bundle, content_id or b"%d" % version * 32, STORED)


def in_force(*versions: int) -> ClassLog:
    log = ClassLog(trust)
    log.append(*decide_bundles(log.state.view, [new_bundle(version) for version in versions], NOW))
    return log


def versions(events: tuple[object, ...]) -> list[int]:
    return [event.version for event in events if isinstance(event, BundleActivated)]


def test_a_cluster_is_pinned_once() -> None:
    log = ClassLog(trust)
    events = decide_pin(log.state.view, fingerprint=b"p", method="sha256")
    assert events == (TrustPinned(b"p", "sha256"),)
    log.append(*events)
    assert decide_pin(log.state.view, fingerprint=b"p", method="sha256") == ()
    with pytest.raises(MisuseError, match="pinned already"):
        decide_pin(log.state.view, fingerprint=b"q", method="sha256")


def test_a_bundle_is_recorded_in_brief() -> None:
    (event,) = decide_bundles(ClassLog(trust).state.view, [new_bundle(1)], NOW)
    digest = revocation_digest(new_bundle(1).bundle)
    assert event == BundleActivated(
        1, b"1" * 32, 100, 200, (b"R1", b"R2"), (b"K1", b"K2"), (b"a",), ("platform-1",), digest, 2, (b"old",), True, STORED
    )


def test_bundles_follow_one_another_without_gaps_and_several_come_at_once() -> None:
    assert versions(decide_bundles(in_force(1).state.view, [new_bundle(2), new_bundle(3)], NOW)) == [2, 3]


def test_bundles_in_force_give_no_event_also_among_new_ones() -> None:
    view = in_force(1, 2).state.view
    assert decide_bundles(view, [new_bundle(2)], NOW) == ()
    assert versions(decide_bundles(view, [new_bundle(1), new_bundle(2), new_bundle(3)], NOW)) == [3]


@pytest.mark.parametrize(
    ("offered", "error"),
    [
        ([new_bundle(4)], VersionGap),
        ([new_bundle(3), new_bundle(5)], VersionGap),
        ([new_bundle(2, content_id=b"other")], Equivocation),
        ([new_bundle(3), new_bundle(3, content_id=b"other")], Equivocation),
        ([new_bundle(3, expires_at_s=150)], Expired),
        ([new_bundle(0)], Rollback),
    ],
)
def test_what_does_not_follow_is_refused_and_nothing_comes_into_force(offered: list[NewBundle], error: type[Exception]) -> None:
    """Mutation: drop a check in `decide_bundles`, `_check_follows` or `_check_last`."""
    log = in_force(1, 2)
    before = log.value()
    with pytest.raises(error):
        decide_bundles(log.state.view, offered, NOW)
    assert log.value() == before


def test_only_the_last_of_several_bundles_must_be_unexpired() -> None:
    assert versions(decide_bundles(in_force(1).state.view, [new_bundle(2, expires_at_s=101), new_bundle(3)], NOW)) == [2, 3]


def test_a_floor_above_the_chain_is_reached_through_the_bundles_in_between() -> None:
    """Mutation: drop the check in `_check_last`."""
    log = in_force(1)
    log.append(TrustFloorRaised(3, b"3" * 32, b"", 0, "witness"))
    with pytest.raises(Rollback, match="bundle 2 is below the floor 3"):
        decide_bundles(log.state.view, [new_bundle(2)], NOW)
    with pytest.raises(Equivocation):
        decide_bundles(log.state.view, [new_bundle(2), new_bundle(3, content_id=b"other")], NOW)
    assert versions(decide_bundles(log.state.view, [new_bundle(2), new_bundle(3)], NOW)) == [2, 3]


def test_evidence_of_an_equivocation_is_kept_once_per_pair() -> None:
    log = in_force(1)
    values = {"version": 1, "known_content_id": b"a", "evidence_file_id": b"e"}
    events = decide_equivocation(log.state.view, other_content_id=b"b", **values)  # type: ignore[arg-type]  # a table of values
    assert events == (BundleEquivocationSeen(1, b"a", b"b", b"e"),)
    log.append(*events)
    assert decide_equivocation(log.state.view, other_content_id=b"b", **values) == ()  # type: ignore[arg-type]  # as above
    assert decide_equivocation(log.state.view, other_content_id=b"c", **values)  # type: ignore[arg-type]  # as above


def test_a_restore_is_marked_once_and_another_one_replaces_it() -> None:
    log = in_force(1)
    events = decide_restore_marked(log.state.view, reason="backup", backup_digest=b"b", nonce=b"n")
    assert events == (RestoreMarked("backup", b"b", b"n"),)
    log.append(*events)
    assert decide_restore_marked(log.state.view, reason="backup", backup_digest=b"b", nonce=b"n") == ()
    assert decide_restore_marked(log.state.view, reason="copy", backup_digest=b"", nonce=b"m") == (
        RestoreMarked("copy", b"", b"m"),
    )


def test_one_instant_moves_trusted_time_by_at_most_the_signed_step() -> None:
    log = in_force(1)
    first = decide_instants(log.state.view, kids=[b"k"], signed_s=1000, uptime_s=0, clock_step_s_max=60)
    assert first == (SignedInstantSeen(b"k", 1000, 0),)
    log.append(*first)
    assert decide_instants(log.state.view, kids=[b"k"], signed_s=99_999, uptime_s=10, clock_step_s_max=60) == (
        SignedInstantSeen(b"k", 1070, 10),
    )


def test_every_signer_gets_a_share_of_the_first_instant() -> None:
    """Mutation: give it to one; when that one is revoked, there is no trusted time."""
    assert decide_instants(in_force(1).state.view, kids=[b"j", b"k"], signed_s=1000, uptime_s=0, clock_step_s_max=60) == (
        SignedInstantSeen(b"j", 1000, 0), SignedInstantSeen(b"k", 1000, 0),
    )  # fmt: skip


def test_an_instant_behind_trusted_time_is_recorded_once_an_hour_as_its_keys_share() -> None:
    """Mutation: keep the instants alone that move trusted time forward."""
    log = in_force(1)
    log.append(SignedInstantSeen(b"k", 100_000, 0), SignedInstantSeen(b"j", 1000, 0))
    for signed_s, uptime_s in ((4599, 0), (8599, 4000)):
        assert decide_instants(log.state.view, kids=[b"j"], signed_s=signed_s, uptime_s=uptime_s, clock_step_s_max=60) == ()
    for signed_s, uptime_s in ((4600, 0), (8600, 4000)):
        assert decide_instants(log.state.view, kids=[b"j"], signed_s=signed_s, uptime_s=uptime_s, clock_step_s_max=60) == (
            SignedInstantSeen(b"j", signed_s, uptime_s),
        )


def test_an_instant_that_is_past_already_is_not_recorded() -> None:
    log = in_force(1)
    log.append(SignedInstantSeen(b"k", 1000, 0), SignedInstantSeen(b"j", 1000, 0))
    assert decide_instants(log.state.view, kids=[b"j"], signed_s=1010, uptime_s=10, clock_step_s_max=60) == ()
    assert decide_instants(log.state.view, kids=[b"j"], signed_s=1011, uptime_s=10, clock_step_s_max=60)


@pytest.mark.parametrize(("version", "count", "raises"), [(0, 2, False), (1, 2, False), (2, 2, True), (1, 3, True)])
def test_a_floor_is_raised_only_where_the_other_knows_more(version: int, count: int, raises: bool) -> None:
    events = decide_floor_raised(
        in_force(1).state.view,
        bundle_version=version,
        bundle_content_id=b"1" * 32,
        revocation_digest=b"d",
        revocation_count=count,
        origin="witness",
    )
    assert events == ((TrustFloorRaised(version, b"1" * 32, b"d", count, "witness"),) if raises else ())


def test_refusals_are_written_once_per_interval() -> None:
    log, policy = in_force(1), effective(Policy(refusal_interval_s=60), None)
    values = {"source": "peer", "scope": "bundle", "reason": "rollback", "times": 1, "digest": b"x"}
    first = decide_refused(log.state.view, **values, now=at(0), policy=policy)  # type: ignore[arg-type]  # a table of values
    assert first == (TrustRefused("peer", "bundle", "rollback", 1, b"x"),)
    log.append(*first, node_us=0)
    assert decide_refused(log.state.view, **values, now=at(59 * SECOND), policy=policy) == ()  # type: ignore[arg-type]  # as above


def test_a_bundle_older_than_the_whole_chain_is_a_rollback_also_among_newer_ones() -> None:
    """Mutation: without the order, only the last of several bundles would be compared with the floor."""
    view = in_force(2).state.view
    with pytest.raises(Rollback, match="bundle 1 is older than bundle 2"):
        decide_bundles(view, [new_bundle(1), new_bundle(3)], NOW)
