"""What the events of the trust class do to its state."""

import pytest

from rap_projections import trust
from rap_projections.documents import Floor, Version
from rap_projections.lifecycle import ClassReset
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import (
    EVIDENCE_MAX,
    INSTANTS_MAX,
    Bootstrap,
    BundleEquivocation,
    KeptBundle,
    Restore,
    RestoreState,
    Revocations,
    SignedInstant,
    TrustView,
    higher,
)
from rap_projections.trust_events import (
    BundleActivated,
    BundleEquivocationSeen,
    RestoreMarked,
    RestoreValidated,
    RevocationsMerged,
    SignedInstantSeen,
    TrustFloorRaised,
    TrustPinned,
    TrustRefused,
    TrustRepaired,
)
from tests.projections.class_log import ClassLog

STORED = StoredDocument(b"f" * 32, 6, b"bundle")


def activated(version: int, *, revoked: tuple[bytes, ...] = ()) -> BundleActivated:
    content_id = b"%d" % version * 32
    return BundleActivated(
        version,
        content_id,
        100,
        200,
        (b"root",),
        (b"key1", b"key2"),
        (b"anchor",),
        ("platform-1",),
        b"revocations",
        3,
        revoked,
        True,
        STORED,
    )


def with_events(*events: tuple[object, ...]) -> TrustView:
    log = ClassLog(trust)
    log.append(*events)
    view: TrustView = log.state.view
    return view


def test_a_bundle_in_force_shows_roots_keys_anchors_platform_roots_and_revocations() -> None:
    view = with_events(TrustPinned(b"p", "sha256"), activated(1))
    assert view.bootstrap == Bootstrap(b"p", "sha256")
    assert view.bundle is not None
    assert view.bundle == (1, b"1" * 32, 100, 200, (b"root",), (b"key1", b"key2"), (b"anchor",), ("platform-1",))
    assert (view.revocations, view.requires_head) == (Revocations(b"revocations", 3), True)
    assert view.floor == Floor(Version(0, 1), b"1" * 32)
    assert (view.provenance["bootstrap"], view.provenance["bundle"]) == (1, 2)


def test_every_bundle_since_the_bootstrap_is_named_in_order() -> None:
    view = with_events(activated(1), activated(2), activated(2), activated(3))
    assert view.chain == tuple(KeptBundle(version, b"%d" % version * 32, STORED) for version in (1, 2, 3))
    assert view.bundle is not None and view.bundle.version == 3


def test_a_floor_raised_from_elsewhere_takes_the_higher_of_both() -> None:
    raised = TrustFloorRaised(5, b"five", b"more", 9, "witness")
    view = with_events(activated(1), raised)
    assert (view.floor, view.revocations) == (Floor(Version(0, 5), b"five"), Revocations(b"more", 9))
    lower = with_events(activated(1), raised._replace(bundle_version=0, revocation_count=2))
    assert (lower.floor, lower.revocations) == (Floor(Version(0, 1), b"1" * 32), Revocations(b"revocations", 3))


@pytest.mark.parametrize(
    ("other", "wins"),
    [
        (Floor(Version(1, 0), b""), True),
        (Floor(Version(0, 6), b"x"), True),
        (Floor(Version(0, 4), b"x"), False),
        (Floor(Version(0, 5), b"x"), False),
    ],
)
def test_the_higher_floor_wins_by_generation_then_version(other: Floor, wins: bool) -> None:
    known = Floor(Version(0, 5), b"k")
    assert higher(known, other) == (other if wins else known)


def test_a_floor_that_does_not_know_its_content_learns_it() -> None:
    assert higher(Floor(Version(0, 5), b""), Floor(Version(0, 5), b"x")) == Floor(Version(0, 5), b"x")


def test_a_restored_state_is_not_validated_until_the_ticket() -> None:
    marked = RestoreMarked("backup", b"b", b"n")
    assert with_events(marked).restore_state is RestoreState.NOT_VALIDATED
    view = with_events(marked, RestoreValidated(b"n", "accept", b"t"))
    assert (view.restore_state, view.restore) == (RestoreState.NORMAL, Restore("backup", b"b", b"n", "accept"))


def test_trusted_time_is_the_newest_instant_plus_the_time_used_up_since() -> None:
    view = with_events(SignedInstantSeen(b"a", 1000, 10), SignedInstantSeen(b"b", 900, 200))
    assert [view.trusted_s(uptime_s) for uptime_s in (0, 10, 50, 200)] == [1000, 1000, 1040, 1190]
    assert TrustView().trusted_s(500) == 0


def test_an_older_instant_of_a_key_changes_nothing() -> None:
    view = with_events(SignedInstantSeen(b"a", 1000, 10), SignedInstantSeen(b"a", 900, 20))
    assert view.instants == {b"a": SignedInstant(1000, 10)}


def test_revoking_a_key_takes_away_its_share_of_trusted_time() -> None:
    seen = (SignedInstantSeen(b"key1", 9000, 0), SignedInstantSeen(b"key2", 1000, 0))
    assert with_events(*seen, activated(2, revoked=(b"key1",))).trusted_s(0) == 1000
    assert with_events(*seen, RevocationsMerged(b"d", 4, (b"key1",), "backup")).trusted_s(0) == 1000


def test_the_instants_of_at_most_256_keys_are_kept_the_newest_ones() -> None:
    view = with_events(*[SignedInstantSeen(number.to_bytes(2, "big"), 1000 + number, 0) for number in range(INSTANTS_MAX + 1)])
    assert len(view.instants) == INSTANTS_MAX and b"\0\0" not in view.instants and b"\x01\0" in view.instants


def test_merged_revocations_replace_the_set() -> None:
    assert with_events(activated(1), RevocationsMerged(b"d", 4, (), "backup")).revocations == Revocations(b"d", 4)


def test_evidence_of_at_most_8_equivocations_is_kept() -> None:
    view = with_events(*[BundleEquivocationSeen(number, b"a", b"b", b"e") for number in range(1, EVIDENCE_MAX + 2)])
    assert view.equivocations == tuple(
        BundleEquivocation(number, b"a", b"b", b"e", number) for number in range(2, EVIDENCE_MAX + 2)
    )


def test_refusals_and_repairs_touch_nothing_else() -> None:
    view = with_events(activated(1), TrustRefused("peer", "bundle", "rollback", 4, b"d"), TrustRepaired("inline", b"f"))
    assert [(entry.reason, entry.times, entry.lsn) for entry in view.refusals] == [("rollback", 4, 2)]
    assert view.repaired_lsn == 3 and view.bundle is not None and view.bundle.version == 1


def test_a_reset_forgets_everything_and_the_floor_is_raised_again_after_it() -> None:
    log = ClassLog(trust)
    log.append(activated(4), ClassReset(2, 1, 1, "gap"), TrustFloorRaised(4, b"4" * 32, b"r", 3, "witness"))
    assert (log.state.view.bundle, log.state.view.chain) == (None, ())
    assert log.state.view.floor == Floor(Version(0, 4), b"4" * 32)
