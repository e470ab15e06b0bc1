"""What the events of the identity class do to its state."""

from rap_projections import identity
from rap_projections.identity import (
    Certificate,
    CertificateFacts,
    Enrollment,
    IdentityView,
    Key,
    RevocationStatus,
)
from rap_projections.identity_events import (
    CertificateConfirmed,
    CertificateInstalled,
    CertificateRenewed,
    EnrollmentRequested,
    IdentityLost,
    IdentityRefused,
    IdentityRepaired,
    IdentityRevoked,
    RenewalRequested,
    RevocationChecked,
)
from rap_projections.lifecycle import ClassReset
from rap_projections.refusal_log import Refusal
from rap_projections.stored_document import StoredDocument
from tests.projections.class_log import ClassLog

REQUESTED = EnrollmentRequested("node-17", "m-1", "file:one", "ecdsa-p256", b"k" * 32, b"r" * 32)
STORED = StoredDocument(b"f" * 32, 3, b"der")
FIRST = CertificateFacts(b"\x01", "CN=ca", "rap://lab/node-17", 100, 200, b"1" * 32, b"k" * 32)
SECOND = FIRST._replace(serial=b"\x02", fingerprint=b"2" * 32, key_sha256=b"K" * 32)
RENEWAL = RenewalRequested("file:two", "ecdsa-p256", b"K" * 32, b"R" * 32)


def enrolled() -> ClassLog:
    log = ClassLog(identity)
    log.append(REQUESTED, CertificateInstalled(*FIRST, STORED))
    return log


def test_a_request_names_node_membership_and_key() -> None:
    log = ClassLog(identity)
    log.append(REQUESTED)
    view: IdentityView = log.state.view
    assert (view.enrollment, view.node_id, view.membership_id) == (Enrollment.REQUESTED, "node-17", "m-1")
    assert view.key == Key("file:one", "ecdsa-p256", b"k" * 32, b"r" * 32)


def test_the_first_certificate_enrolls() -> None:
    view = enrolled().state.view
    assert view.enrollment is Enrollment.ENROLLED
    assert view.certificate == Certificate(FIRST, STORED)
    assert (view.provenance["certificate"], view.provenance["enrollment"], view.provenance["key"]) == (2, 2, 1)


def test_a_renewed_certificate_waits_beside_the_current_one_until_confirmed() -> None:
    log = enrolled()
    log.append(RENEWAL, CertificateRenewed(*SECOND, STORED))
    view = log.state.view
    assert (view.enrollment, view.certificate.facts, view.next_certificate.facts) == (Enrollment.RENEWING, FIRST, SECOND)
    assert (view.key.reference, view.next_key.reference) == ("file:one", "file:two")
    log.append(CertificateConfirmed(SECOND.fingerprint))
    view = log.state.view
    assert (view.enrollment, view.certificate.facts, view.key.reference) == (Enrollment.ENROLLED, SECOND, "file:two")
    assert (view.next_key, view.next_certificate) == (None, None)


def test_a_second_renewal_request_forgets_the_certificate_of_the_first() -> None:
    log = enrolled()
    log.append(RENEWAL, CertificateRenewed(*SECOND, STORED), RENEWAL._replace(key_reference="file:three"))
    assert (log.state.view.next_certificate, log.state.view.next_key.reference) == (None, "file:three")


def test_revoked_and_lost_name_their_reason_and_keep_the_certificate() -> None:
    for event, state in (
        (IdentityRevoked(b"", "left_site", b"c"), Enrollment.REVOKED),
        (IdentityLost("file:one", "left_site"), Enrollment.LOST),
    ):
        log = enrolled()
        log.append(event)
        assert (log.state.view.enrollment, log.state.view.loss_reason) == (state, "left_site")
        assert log.state.view.certificate.facts == FIRST


def test_the_revocation_cache_holds_the_last_answer() -> None:
    log = enrolled()
    log.append(RevocationChecked("good", 150, b"d" * 32), RevocationChecked("unknown", 160, b"d" * 32))
    assert log.state.view.revocation == RevocationStatus("unknown", 160, b"d" * 32)


def test_refusals_and_repairs_are_remembered_and_change_nothing_else() -> None:
    log = enrolled()
    before = log.state.view
    log.append(IdentityRefused("control-plane", "enroll", "wrong_key", 2, b"x"), IdentityRepaired("second_copy", b"f"), node_us=9)
    after = log.state.view
    assert after.refusals == (Refusal("control-plane", "enroll", "wrong_key", 2, b"x", 9, 9, 3),)
    assert after.repaired_lsn == 4
    kept = [name for name in IdentityView._fields if name not in ("refusals", "repaired_lsn", "provenance")]
    assert all(getattr(after, name) == getattr(before, name) for name in kept)


def test_a_reset_leaves_no_identity() -> None:
    log = enrolled()
    log.append(ClassReset(1, 1, 2, "operator"))
    assert log.state.view._replace(provenance={}) == IdentityView()._replace(provenance={})


def test_no_field_of_the_state_could_hold_a_private_key() -> None:
    assert Key._fields == ("reference", "algorithm", "key_sha256", "request_sha256")
