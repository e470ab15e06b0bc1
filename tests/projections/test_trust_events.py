"""The events of the trust class: what each carries, and that what raises a floor says where it came from."""

from rap_projections import trust_events
from rap_projections.documents import Bundle
from rap_projections.event_kinds import TRUST
from rap_projections.stored_document import StoredDocument
from rap_projections.trust_events import BundleActivated, BundleEquivocationSeen, RestoreMarked, RestoreValidated
from tests.projections.frozen_kinds import hints_in, kinds_in, kinds_of, unwrapped

FROZEN = """
20.1 TrustPinned decision strict: fingerprint (digest), method
21.1 BundleActivated decision strict: version, content_id (digest), issued_at_s, expires_at_s, root_kids (digest), signing_kids
    (digest), anchor_fingerprints (digest), platform_roots (name), revocation_digest (digest), revocation_count, revoked_kids
    (digest), requires_head, stored (document)
22.1 RevocationsMerged decision strict: revocation_digest (digest), revocation_count, revoked_kids (digest), origin
23.1 TrustRefused refusal strict: source (name), scope, reason, times, digest (digest)
24.1 BundleEquivocationSeen refusal strict: version, known_content_id (digest), other_content_id (digest), evidence_file_id
    (digest)
25.1 RestoreMarked lifecycle strict: reason, backup_digest (digest), nonce (digest)
26.1 RestoreValidated decision strict: nonce (digest), verdict, ticket_content_id (digest)
27.1 SignedInstantSeen observation strict: kid (digest), signed_s, uptime_s
28.1 TrustFloorRaised lifecycle strict: bundle_version, bundle_content_id (digest), revocation_digest (digest), revocation_count,
    origin
29.1 TrustRepaired lifecycle strict: source, file_id (digest)
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(trust_events) == unwrapped(FROZEN)


def test_all_are_strict_events_of_the_trust_class_numbered_20_to_29() -> None:
    assert [(kind.number, kind.state_class) for kind in kinds_in(trust_events)] == [(number, TRUST) for number in range(20, 30)]


def test_the_bundle_itself_signed_is_where_stored_says_and_the_event_holds_it_in_brief() -> None:
    """Neither a public key nor a certificate stands in the event: kids and fingerprints do."""
    hints = hints_in(trust_events)
    assert [place for place, parts in hints.items() if StoredDocument in parts] == ["BundleActivated.stored"]
    assert set(BundleActivated._fields) & set(Bundle._fields) == {
        "version",
        "issued_at_s",
        "expires_at_s",
        "platform_roots",
        "requires_head",
    }


def test_what_raises_a_floor_or_adds_revocations_from_elsewhere_says_where_it_came_from() -> None:
    origins = [kind.name for kind in kinds_in(trust_events) if "origin" in kind.sensitivity]
    assert origins == ["RevocationsMerged", "TrustFloorRaised"]


def test_of_an_equivocation_both_content_ids_and_the_evidence_are_named() -> None:
    assert BundleEquivocationSeen._fields == ("version", "known_content_id", "other_content_id", "evidence_file_id")


def test_a_ticket_answers_the_nonce_of_the_mark() -> None:
    assert set(RestoreMarked._fields) & set(RestoreValidated._fields) == {"nonce"}
