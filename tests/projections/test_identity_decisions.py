"""Which steps of an enrollment may be recorded, and which are refused with the state unchanged."""

from collections.abc import Callable

import pytest

from rap_journal.errors import MisuseError
from rap_projections import identity
from rap_projections.event_kinds import Event
from rap_projections.identity import Certificate, CertificateFacts, Enrollment, IdentityView, Key
from rap_projections.identity_decisions import (
    decide_confirm,
    decide_install,
    decide_lost,
    decide_refused,
    decide_renew,
    decide_request,
    decide_revocation_checked,
    decide_revoked,
)
from rap_projections.identity_events import (
    CertificateConfirmed,
    CertificateInstalled,
    CertificateRenewed,
    EnrollmentRequested,
    IdentityLost,
    IdentityRefused,
    IdentityRevoked,
    RenewalRequested,
    RevocationChecked,
)
from rap_projections.node_time import Now
from rap_projections.policy import Policy, effective
from rap_projections.refusals import Expired, WrongKey
from rap_projections.stored_document import StoredDocument
from tests.projections.class_log import SECOND, ClassLog, at

KEY = Key("file:one", "ecdsa-p256", b"k" * 32, b"r" * 32)
NEXT_KEY = Key("file:two", "ed25519", b"K" * 32, b"R" * 32)
STORED = StoredDocument(b"f" * 32, 3, b"der")
FIRST = CertificateFacts(b"\x01", "CN=ca", "rap://lab/node-17", 100, 200, b"1" * 32, b"k" * 32)
NEXT = FIRST._replace(fingerprint=b"2" * 32, key_sha256=b"K" * 32)
NOW = Now(0, 0, 0, 150)
LIMITS = effective(Policy(refusal_interval_s=60), None)


def request(view: IdentityView, **changed: object) -> tuple[Event, ...]:
    values: dict[str, object] = {"node_id": "node-17", "membership_id": "m-1", "key": KEY} | changed
    return decide_request(view, **values)  # type: ignore[arg-type]  # each test changes one value


def at_state(state: str) -> ClassLog:
    """A log in which the enrollment has come to `state`."""
    log = ClassLog(identity)
    steps: dict[str, Callable[[], tuple[Event, ...]]] = {
        "none": tuple,
        "requested": lambda: request(log.state.view),
        "enrolled": lambda: decide_install(log.state.view, Certificate(FIRST, STORED), NOW),
        "renewing": lambda: decide_renew(log.state.view, key=NEXT_KEY),
        "renewed": lambda: decide_install(log.state.view, Certificate(NEXT, STORED), NOW),
        "revoked": lambda: decide_revoked(log.state.view, fingerprint=b"", reason="left", source_content_id=b"c"),
    }
    for name, step in steps.items():
        log.append(*step())
        if name == state:
            break
    return log


def test_a_request_is_recorded_once() -> None:
    log = at_state("none")
    events = request(log.state.view)
    assert events == (EnrollmentRequested("node-17", "m-1", *KEY),)
    log.append(*events)
    assert request(log.state.view) == ()


def test_a_request_may_be_made_anew_before_a_certificate_came() -> None:
    assert request(at_state("requested").state.view, key=NEXT_KEY) == (EnrollmentRequested("node-17", "m-1", *NEXT_KEY),)


@pytest.mark.parametrize("state", ["enrolled", "renewing", "renewed", "revoked"])
def test_a_node_past_its_request_cannot_request_again(state: str) -> None:
    """Mutation: drop the call of `_out_of_turn` in `decide_request`."""
    log = at_state(state)
    with pytest.raises(MisuseError, match=r"identity\.request does not fit"):
        request(log.state.view)


@pytest.mark.parametrize(
    "changed",
    [
        {"node_id": ""},
        {"node_id": "a/b"},
        {"membership_id": "x" * 129},
        {"key": KEY._replace(reference="/etc/key")},
        {"key": KEY._replace(reference="file:")},
        {"key": KEY._replace(algorithm="rsa")},
        {"key": KEY._replace(key_sha256=b"short")},
    ],
)
def test_malformed_names_and_references_are_refused(changed: dict[str, object]) -> None:
    """Mutation: drop a check in `decide_request`."""
    with pytest.raises(MisuseError):
        request(at_state("none").state.view, **changed)


def test_a_key_passed_for_a_reference_is_not_repeated_in_the_message() -> None:
    with pytest.raises(MisuseError) as caught:
        request(at_state("none").state.view, key=KEY._replace(reference="-----BEGIN PRIVATE KEY----- canary"))
    assert "canary" not in str(caught.value) and "canary" not in repr(caught.value.facts())


def test_the_first_certificate_is_installed_once() -> None:
    log = at_state("requested")
    events = decide_install(log.state.view, Certificate(FIRST, STORED), NOW)
    assert events == (CertificateInstalled(*FIRST, STORED),)
    log.append(*events)
    assert decide_install(log.state.view, Certificate(FIRST, STORED), NOW) == ()


def test_a_certificate_that_was_not_requested_is_refused() -> None:
    """Mutation: drop the call of `_out_of_turn` in `decide_install`."""
    with pytest.raises(MisuseError, match="does not fit the enrollment state 'none'"):
        decide_install(at_state("none").state.view, Certificate(FIRST, STORED), NOW)


def test_a_certificate_for_another_key_is_refused() -> None:
    """Mutation: drop the check in `decide_install`."""
    with pytest.raises(WrongKey):
        decide_install(at_state("requested").state.view, Certificate(NEXT, STORED), NOW)


@pytest.mark.parametrize(("trusted_s", "valid"), [(199, True), (200, False)])
def test_a_certificate_is_installed_only_before_its_end(trusted_s: int, valid: bool) -> None:
    """Mutation: drop the check in `decide_install`."""
    view = at_state("requested").state.view
    if valid:
        assert decide_install(view, Certificate(FIRST, STORED), NOW._replace(trusted_s=trusted_s))
    else:
        with pytest.raises(Expired):
            decide_install(view, Certificate(FIRST, STORED), NOW._replace(trusted_s=trusted_s))


def test_a_renewal_takes_a_new_key_and_is_recorded_once() -> None:
    log = at_state("enrolled")
    assert decide_renew(log.state.view, key=NEXT_KEY) == (RenewalRequested(*NEXT_KEY),)
    with pytest.raises(MisuseError, match="this one is in use"):
        decide_renew(log.state.view, key=KEY)
    assert decide_renew(at_state("renewing").state.view, key=NEXT_KEY) == ()


def test_the_certificate_of_a_renewal_waits_for_confirmation() -> None:
    log = at_state("renewing")
    events = decide_install(log.state.view, Certificate(NEXT, STORED), NOW)
    assert events == (CertificateRenewed(*NEXT, STORED),)
    log.append(*events)
    assert decide_confirm(log.state.view, NOW) == (CertificateConfirmed(NEXT.fingerprint),)


def test_confirming_without_a_renewal_changes_nothing_and_too_early_is_refused() -> None:
    """Mutation: drop the call of `_out_of_turn` in `decide_confirm`."""
    assert decide_confirm(at_state("enrolled").state.view, NOW) == ()
    for state in ("none", "requested", "renewing", "revoked"):
        with pytest.raises(MisuseError, match=r"identity\.confirm"):
            decide_confirm(at_state(state).state.view, NOW)


@pytest.mark.parametrize(("before_end_s", "valid"), [(1, True), (0, False)])
def test_a_renewed_certificate_is_confirmed_only_before_its_end(before_end_s: int, valid: bool) -> None:
    """Mutation: drop the check in `decide_confirm`."""
    view, now = at_state("renewed").state.view, NOW._replace(trusted_s=NEXT.not_after_s - before_end_s)
    if valid:
        assert decide_confirm(view, now) == (CertificateConfirmed(NEXT.fingerprint),)
    else:
        with pytest.raises(Expired):
            decide_confirm(view, now)


def test_a_revocation_ends_every_step_and_is_recorded_once() -> None:
    """Mutation: drop the call of `_out_of_turn` in `decide_renew`."""
    log = at_state("revoked")
    assert log.state.view.enrollment is Enrollment.REVOKED
    assert decide_revoked(log.state.view, fingerprint=b"", reason="left", source_content_id=b"c") == ()
    with pytest.raises(MisuseError, match="state 'revoked'"):
        decide_renew(log.state.view, key=NEXT_KEY)
    with pytest.raises(MisuseError, match="state 'revoked'"):
        decide_install(log.state.view, Certificate(NEXT._replace(fingerprint=b"3" * 32), STORED), NOW)


def test_a_node_without_identity_cannot_be_revoked_or_lost() -> None:
    view = at_state("none").state.view
    assert decide_revoked(view, fingerprint=b"", reason="left", source_content_id=b"c") == ()
    assert decide_lost(view, key_reference="file:one", reason="gone") == ()


def test_the_loss_of_the_key_in_use_loses_the_identity_and_of_another_does_not() -> None:
    view = at_state("enrolled").state.view
    assert decide_revoked(view, fingerprint=b"1", reason="left", source_content_id=b"c") == (IdentityRevoked(b"1", "left", b"c"),)
    assert decide_lost(view, key_reference="file:one", reason="gone") == (IdentityLost("file:one", "gone"),)
    assert decide_lost(view, key_reference="file:two", reason="gone") == ()


def test_the_revocation_cache_is_written_when_the_answer_changed() -> None:
    log = at_state("enrolled")
    events = decide_revocation_checked(log.state.view, status="good", revocation_digest=b"d", now=NOW)
    assert events == (RevocationChecked("good", 150, b"d"),)
    log.append(*events)
    assert decide_revocation_checked(log.state.view, status="good", revocation_digest=b"d", now=NOW) == ()
    with pytest.raises(MisuseError, match="no revocation status"):
        decide_revocation_checked(log.state.view, status="fine", revocation_digest=b"d", now=NOW)


def test_refusals_are_written_once_per_interval() -> None:
    log = at_state("none")
    values = {"source": "control-plane", "subject": "enroll", "reason": "wrong_key", "times": 1, "digest": b"x"}
    first = decide_refused(log.state.view, **values, now=at(0), policy=LIMITS)  # type: ignore[arg-type]  # a table of values
    assert first == (IdentityRefused("control-plane", "enroll", "wrong_key", 1, b"x"),)
    log.append(*first, node_us=0)
    assert decide_refused(log.state.view, **values, now=at(59 * SECOND), policy=LIMITS) == ()  # type: ignore[arg-type]  # as above


def test_a_renewal_with_a_malformed_key_is_refused() -> None:
    """Mutation: without `_check_key`, whatever was named would be recorded."""
    with pytest.raises(MisuseError):
        decide_renew(at_state("enrolled").state.view, key=NEXT_KEY._replace(key_sha256=b"short"))
