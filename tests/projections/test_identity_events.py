"""The events of the identity class: what each carries, and that none could carry a key."""

import pytest

from rap_projections import identity_events
from rap_projections.event_kinds import IDENTITY, kind_of_type
from rap_projections.identity_events import CertificateInstalled, CertificateRenewed
from rap_projections.stored_document import StoredDocument
from tests.projections.frozen_kinds import hints_in, kinds_in, kinds_of, unwrapped

FROZEN = """
10.1 EnrollmentRequested decision strict: node_id (name), membership_id (name), key_reference (digest), key_algorithm, key_sha256
    (digest), request_sha256 (digest)
11.1 CertificateInstalled decision strict: serial (digest), issuer (text), subject_uri (text), not_before_s, not_after_s,
    fingerprint (digest), key_sha256 (digest), stored (document)
12.1 RenewalRequested decision strict: key_reference (digest), key_algorithm, key_sha256 (digest), request_sha256 (digest)
13.1 CertificateConfirmed decision strict: fingerprint (digest)
14.1 CertificateRenewed decision strict: serial (digest), issuer (text), subject_uri (text), not_before_s, not_after_s,
    fingerprint (digest), key_sha256 (digest), stored (document)
15.1 IdentityRevoked decision strict: fingerprint (digest), reason, source_content_id (digest)
16.1 RevocationChecked observation strict: status, checked_s, revocation_digest (digest)
17.1 IdentityLost decision strict: key_reference (digest), reason
18.1 IdentityRefused refusal strict: source (name), subject, reason, times, digest (digest)
19.1 IdentityRepaired lifecycle strict: source, file_id (digest)
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(identity_events) == unwrapped(FROZEN)


def test_all_are_strict_events_of_the_identity_class_numbered_10_to_19() -> None:
    assert [(kind.number, kind.state_class) for kind in kinds_in(identity_events)] == [
        (number, IDENTITY) for number in range(10, 20)
    ]


def test_a_private_key_appears_as_a_reference_and_no_field_could_hold_one() -> None:
    hints = hints_in(identity_events)
    references = [place for place in hints if place.endswith(".key_reference")]
    assert references == ["EnrollmentRequested.key_reference", "RenewalRequested.key_reference", "IdentityLost.key_reference"]
    assert all(hints[place] == {str} for place in references)
    digests_and_ids = ("sha256", "fingerprint", "serial", "digest", "content_id", "file_id")
    assert [place for place, parts in hints.items() if bytes in parts and not place.endswith(digests_and_ids)] == []


def test_the_certificate_itself_is_where_stored_says() -> None:
    hints = hints_in(identity_events)
    assert [place for place, parts in hints.items() if StoredDocument in parts] == [
        "CertificateInstalled.stored",
        "CertificateRenewed.stored",
    ]


def test_a_renewed_certificate_says_what_an_installed_one_does() -> None:
    assert CertificateRenewed._fields == CertificateInstalled._fields
    assert kind_of_type(CertificateRenewed).sensitivity == kind_of_type(CertificateInstalled).sensitivity


@pytest.mark.parametrize("place", ["issuer", "subject_uri"])
def test_names_in_a_certificate_are_text_that_a_redacted_copy_leaves_out(place: str) -> None:
    assert kind_of_type(CertificateInstalled).sensitivity[place] == "text"
