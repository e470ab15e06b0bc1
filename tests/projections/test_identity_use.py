"""Using the identity: signatures without the key, and only as long as new sessions may begin."""

import copy
import errno
import hashlib
import logging
import pickle
from collections.abc import Callable
from traceback import format_exception

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_public_key

from rap_journal.errors import DamageError, FailClosed, MisuseError
from rap_projections import Operation
from rap_projections.documents import RevocationKind
from rap_projections.identity_keys import private_key_of
from rap_projections.identity_status import IdentityState
from rap_projections.identity_use import Signer
from rap_projections.refusals import NotAllowed, NotValidated
from rap_projections.trust_events import RestoreMarked
from tests.projections.identity_kit import NODE, enrolled, key_files, permit, renewed_certificate, requested, take, working
from tests.projections.store_kit import Ready, flip_bit, ready


def public_key(signer: Signer) -> ec.EllipticCurvePublicKey:
    key = x509.load_der_x509_certificate(signer.certificate()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_a_signature_verifies_under_the_certificate() -> None:
    signer = working().cluster.identity.signer()
    signature = signer.sign(b"challenge")
    public_key(signer).verify(signature, b"challenge", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        public_key(signer).verify(signature, b"another", ec.ECDSA(hashes.SHA256()))
    assert load_der_public_key(signer.public_key()) == public_key(signer)
    assert signer.fingerprint == hashlib.sha256(signer.certificate()).digest()
    assert signer.algorithm == "ecdsa-p256-sha256"


def test_only_bytes_are_signed() -> None:
    signer = working().cluster.identity.signer()
    with pytest.raises(MisuseError) as caught:
        signer.sign("text")  # type: ignore[arg-type]  # the point of the test
    assert caught.value.reason == "bad_data"


@pytest.mark.parametrize("make", [ready, requested])
def test_without_a_certificate_there_is_no_signer(make: Callable[[], Ready]) -> None:
    it = make()
    with pytest.raises(MisuseError) as caught:
        it.cluster.identity.signer()
    assert caught.value.reason == "not_enrolled"


def fail_closed(it: Ready) -> None:
    it.cluster._context.fail_closed("trust_damaged")


def restored(it: Ready) -> None:
    it.cluster._context.execute("trust", lambda now: (RestoreMarked("copy", b"", bytes(32)),))


def certificate_revoked(it: Ready) -> None:
    take(it, (RevocationKind.CERTIFICATE, it.cluster.view().identity.certificate.facts.fingerprint))


def key_revoked(it: Ready) -> None:
    take(it, (RevocationKind.KID, it.cluster.view().identity.key.key_sha256))


def node_revoked(it: Ready) -> None:
    take(it, (RevocationKind.IDENTITY, f"node:{NODE}"))


def membership_revoked(it: Ready) -> None:
    take(it, (RevocationKind.IDENTITY, "membership:m-1"))


def expired(it: Ready) -> None:
    # A deadline far enough away, so that it is the certificate that ended.
    it.cluster.identity.renew()
    short = it.fabric.certificate(it.cluster.identity.renew(), expires_at_s=it.fabric.issued_at_s + 30)
    it.cluster.identity.enroll(certificate=short)
    it.cluster.identity.confirm()
    it.kit.clock.advance(seconds=60)


def past_the_deadline(it: Ready) -> None:
    it.kit.clock.advance(seconds=86_401)
    it.kit.store.tick()


def renewed(it: Ready) -> None:
    it.cluster.identity.enroll(certificate=renewed_certificate(it))
    it.cluster.identity.confirm()


def not_permitted(it: Ready) -> None:
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy(high_risk_operations=()))


BARRED: dict[str, tuple[Callable[[Ready], None], type[Exception], str]] = {
    "the cluster fails closed": (fail_closed, FailClosed, "trust_damaged"),
    "a restore was not validated": (restored, NotValidated, "not_validated"),
    "its certificate is revoked": (certificate_revoked, NotAllowed, "identity_revoked"),
    "its key is revoked": (key_revoked, NotAllowed, "identity_revoked"),
    "its node is revoked": (node_revoked, NotAllowed, "identity_revoked"),
    "its membership is revoked": (membership_revoked, NotAllowed, "identity_revoked"),
    "the deadline is past": (past_the_deadline, NotAllowed, "deadline"),
    "the policy does not permit sessions": (not_permitted, NotAllowed, "policy"),
    "another certificate took its place": (renewed, NotAllowed, "renewed"),
}


@pytest.mark.parametrize("what", BARRED)
def test_nothing_is_signed_where(what: str) -> None:
    """Mutation: without the question to the gate, to the bundle in force, or whether the certificate is still the one in use."""
    it = working()
    signer = it.cluster.identity.signer()
    assert signer.sign(b"x")
    spoil, kind, reason = BARRED[what]
    spoil(it)
    digest = it.cluster.digest()
    with pytest.raises(kind) as caught:
        signer.sign(b"x")
    assert type(caught.value) is kind
    assert (caught.value.reason, caught.value.cluster) == (reason, "lab")  # type: ignore[attr-defined]  # each is a StateStoreError
    assert it.cluster.digest() == digest


def test_nothing_is_signed_with_an_expired_certificate() -> None:
    """Mutation: without the certificate's end in the gate."""
    it = working()
    expired(it)
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok
    with pytest.raises(NotAllowed) as caught:
        it.cluster.identity.signer().sign(b"x")
    assert caught.value.reason == "certificate_expired"


def test_nothing_is_signed_with_a_certificate_that_may_not_have_begun() -> None:
    """Mutation: without the certificate's start in the gate."""
    it = requested()
    request = it.cluster.identity.request(node_id=NODE, membership_id="m-1")
    it.cluster.identity.enroll(certificate=it.fabric.certificate(request, starts_at_s=it.fabric.issued_at_s + 600))
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy(high_risk_operations=("new_session",)))
    signer = it.cluster.identity.signer()
    with pytest.raises(NotAllowed) as caught:
        signer.sign(b"x")
    assert caught.value.reason == "certificate_uncertain"
    it.kit.clock.advance(seconds=540)
    assert signer.sign(b"x")


def test_after_a_renewal_the_next_signer_signs_with_the_new_key() -> None:
    it = working()
    before = it.cluster.identity.signer()
    renewed(it)
    signer = it.cluster.identity.signer()
    assert signer.fingerprint != before.fingerprint
    public_key(signer).verify(signer.sign(b"x"), b"x", ec.ECDSA(hashes.SHA256()))


def test_a_damaged_key_that_is_found_while_at_work_fails_closed_at_once_and_can_be_reset() -> None:
    """Mutation: the status says that all is well, and there is no way out before the next opening."""
    it = working()
    signer = it.cluster.identity.signer()
    (path,) = key_files(it.kit.filesystem)
    flip_bit(it.kit.filesystem, path)
    with pytest.raises(DamageError) as caught:
        signer.sign(b"x")
    assert caught.value.state_class == "identity"
    assert (it.cluster.status()["fail_closed"], it.cluster.identity.status().state) == ("identity_damaged", IdentityState.DAMAGED)
    assert it.cluster.view().health.upkeep.fail_closed.reason == "identity_damaged"
    assert it.cluster.allows(Operation.NEW_SESSION)[:2] == (False, "fail_closed")
    it.cluster.reset("identity")
    assert (it.cluster.status()["fail_closed"], it.cluster.identity.status().state) == (None, IdentityState.NONE)


def failing_with(error: Exception) -> Callable[..., bytes]:
    """A call that raises this error."""

    def fail(*_arguments: object, **_named: object) -> bytes:
        raise error

    return fail


def test_a_key_that_the_system_does_not_hand_over_now_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: a process that has too many files open fails closed until it is opened anew."""
    it = working()
    signer = it.cluster.identity.signer()
    with monkeypatch.context() as failing:
        failing.setattr(it.cluster._core, "load", failing_with(OSError(errno.EMFILE, "too many open files")))
        with pytest.raises(DamageError, match="cannot be read \\(unreadable\\)"):
            signer.sign(b"x")
    assert it.cluster.status()["fail_closed"] is None
    assert signer.sign(b"x")


def test_after_closing_nothing_is_signed() -> None:
    it = working()
    signer = it.cluster.identity.signer()
    it.kit.store.close()
    with pytest.raises(MisuseError) as caught:
        signer.sign(b"x")
    assert caught.value.reason == "closed"


def test_the_key_is_in_no_representation_attribute_pickle_copy_log_or_exception(caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: without `__reduce__`; with the key kept in the signer."""
    caplog.set_level(logging.DEBUG)
    it = working()
    signer = it.cluster.identity.signer()
    signer.sign(b"x")
    recorded = it.cluster.view().identity.key
    assert recorded is not None
    key = private_key_of(it.cluster._context, recorded)
    secret = key.private_numbers().private_value.to_bytes(32, "big")
    assert secret in key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for leave in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(MisuseError, match="cannot be copied or pickled") as caught:
            leave(signer)
        assert secret.hex() not in "".join(format_exception(caught.value))
    assert "redacted" in repr(signer) and not hasattr(signer, "__dict__")
    held = [getattr(signer, name) for name in ("_Signer__identity",)]
    assert "redacted" in repr(held[0])
    for part in (signer, *held, *[getattr(held[0], name) for name in type(held[0]).__slots__]):
        assert not isinstance(part, ec.EllipticCurvePrivateKey | bytes)
    for text in (repr(signer), repr(held), caplog.text):
        assert secret.hex() not in text and repr(secret)[2:-1] not in text


def test_an_enrolled_node_without_a_policy_signs_nothing() -> None:
    it = enrolled()
    with pytest.raises(NotAllowed) as caught:
        it.cluster.identity.signer().sign(b"x")
    assert caught.value.reason == "no_snapshot"
    permit(it)
    assert it.cluster.identity.signer().sign(b"x")
