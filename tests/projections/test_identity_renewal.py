"""Renewing an identity: two keys until it is confirmed, one afterwards, and never none, wherever the power goes."""

import errno
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rap_journal.errors import DamageError, FailClosed, MisuseError, NoSpace, OutcomeUnknown
from rap_journal.testing import EverythingSurvives, RandomSurvival, SeededRandomness
from rap_projections.documents import RevocationKind
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity import Enrollment
from rap_projections.identity_events import CertificateConfirmed, IdentityRefused, RevocationChecked
from rap_projections.identity_keys import kept_certificate, kept_request, private_key_of
from rap_projections.identity_status import IdentityState
from rap_projections.refusals import Expired, NotForThisNode, RefusedError, Revoked, WrongKey
from tests.projections.identity_kit import (
    enrolled,
    key_files,
    named_keys,
    renewed_certificate,
    renewing,
    requested,
    take,
    waiting,
)
from tests.projections.store_kit import (
    CLUSTER,
    FOLDER,
    Ready,
    crashed_at_every_operation,
    files,
    flip_bit,
    names,
    ready,
    write_file,
    written,
)


def test_a_renewal_asks_for_a_second_key_and_the_first_stays_in_use() -> None:
    it = enrolled()
    before = it.cluster.view().identity
    request = x509.load_der_x509_csr(it.cluster.identity.renew())
    after = it.cluster.view().identity
    assert request.is_signature_valid
    assert (after.key, after.certificate, after.enrollment) == (before.key, before.certificate, Enrollment.RENEWING)
    assert after.next_key is not None and after.next_key.key_sha256 != before.key.key_sha256
    assert key_files(it.kit.filesystem) == named_keys(it) and len(named_keys(it)) == 2
    status = it.cluster.identity.status()
    assert (status.state, status.renewal, status.renewal_fingerprint) == (IdentityState.RENEWING, "requested", "")


def test_asked_again_a_renewal_gives_the_same_request_also_after_a_power_cut() -> None:
    it = enrolled()
    first = it.cluster.identity.renew()
    before = it.cluster.digest(), files(it.kit.filesystem)
    assert it.cluster.identity.renew() == first
    assert (it.cluster.digest(), files(it.kit.filesystem)) == before
    it.kit.power_cut()
    assert it.cluster.identity.renew() == first


def test_a_renewal_whose_key_was_revoked_asks_for_another_one() -> None:
    """Mutation: the same request for ever, which no certificate answers; leaving the cluster is the only way out."""
    it = renewing()
    first, revoked = it.cluster.identity.renew(), it.cluster.view().identity.next_key
    it.cluster.trust.update(it.fabric.revoke(RevocationKind.KID, revoked.key_sha256))
    assert it.cluster.identity.renew() != first
    assert it.cluster.view().identity.next_key.key_sha256 != revoked.key_sha256
    assert key_files(it.kit.filesystem) == named_keys(it) and len(named_keys(it)) == 2
    it.cluster.identity.enroll(certificate=renewed_certificate(it))
    assert it.cluster.identity.confirm().changed


@pytest.mark.parametrize("state", [ready, requested])
def test_who_is_not_enrolled_has_nothing_to_renew_and_no_file_is_left(state: Callable[[], Ready]) -> None:
    it = state()
    before = files(it.kit.filesystem)
    with pytest.raises(MisuseError) as caught:
        it.cluster.identity.renew()
    assert (caught.value.reason, files(it.kit.filesystem)) == ("out_of_turn", before)


def test_a_renewed_certificate_waits_beside_the_one_in_use() -> None:
    it = renewing()
    before = it.cluster.view().identity
    receipt = it.cluster.identity.enroll(certificate=renewed_certificate(it))
    after = it.cluster.view().identity
    assert receipt.changed and receipt.durable
    assert (after.certificate, after.key, after.revocation) == (before.certificate, before.key, before.revocation)
    status = it.cluster.identity.status()
    assert (status.state, status.renewal) == (IdentityState.RENEWING, "waiting")
    assert after.next_certificate is not None
    assert status.renewal_fingerprint == after.next_certificate.facts.fingerprint.hex()
    assert status.renewal_expires_at_s == it.fabric.issued_at_s + 180 * 86_400


def test_confirming_puts_it_into_use_and_wipes_the_old_key() -> None:
    it = waiting()
    before, lsn = it.cluster.view().identity, it.cluster.view().lsn
    old, new = named_keys(it)
    if not old.endswith(before.key.reference.removeprefix("sealed:")):
        old, new = new, old
    it.kit.filesystem.operations.clear()
    receipt = it.cluster.identity.confirm()
    after = it.cluster.view().identity
    assert receipt.durable and receipt.changed
    assert (after.enrollment, after.key, after.certificate) == (Enrollment.ENROLLED, before.next_key, before.next_certificate)
    assert (after.next_key, after.next_certificate) == (None, None)
    assert key_files(it.kit.filesystem) == [new]
    assert [record.kind for record in written(it, lsn)] == [13, 16]
    assert CertificateConfirmed._make(written(it, lsn)[0].body).fingerprint == before.next_certificate.facts.fingerprint
    assert RevocationChecked._make(written(it, lsn)[1].body).status == "good"
    done = [(operation.name, operation.path) for operation in it.kit.filesystem.operations]
    journal = [index for index, (name, path) in enumerate(done) if name == "sync" and "/journal/" in path]
    gone = old.replace("document-", "wiping-")
    wiped = [index for index, (_name, path) in enumerate(done) if path in (old, gone)]
    # Mutation: wiping before the event is durable.
    assert journal and max(journal) < min(wiped)
    assert [name for name, path in done if path in (old, gone)] == ["rename", "write", "sync", "unlink"]


def test_confirming_again_changes_nothing() -> None:
    it = waiting()
    it.cluster.identity.confirm()
    before = it.cluster.digest(), files(it.kit.filesystem)
    receipt = it.cluster.identity.confirm()
    assert (receipt.changed, it.cluster.digest(), files(it.kit.filesystem)) == (False, *before)


def test_confirming_too_early_is_a_mistake() -> None:
    it = renewing()
    with pytest.raises(MisuseError) as caught:
        it.cluster.identity.confirm()
    assert caught.value.reason == "out_of_turn" and len(key_files(it.kit.filesystem)) == 2


def test_an_identity_can_be_renewed_again_and_again() -> None:
    it = waiting()
    seen = set()
    for _ in range(3):
        it.cluster.identity.confirm()
        seen.add(it.cluster.view().identity.key.key_sha256)
        it.cluster.identity.enroll(certificate=renewed_certificate(it))
    assert len(seen) == 3 and len(key_files(it.kit.filesystem)) == 2


REFUSED: dict[str, tuple[type[RefusedError], Callable[[Ready], bytes]]] = {
    "is for the key in use": (
        WrongKey,
        lambda it: it.fabric.certificate(first_request(it), expires_at_s=it.fabric.issued_at_s + 86_400),
    ),
    "names another node": (
        NotForThisNode,
        lambda it: it.fabric.certificate(it.cluster.identity.renew(), uri=f"rap://{CLUSTER}/node/node-1"),
    ),
    "is past its end": (
        Expired,
        lambda it: it.fabric.certificate(it.cluster.identity.renew(), expires_at_s=it.fabric.issued_at_s),
    ),
}


def first_request(it: Ready) -> bytes:
    key = it.cluster.view().identity.key
    assert key is not None
    return kept_request(it.cluster._context, key)


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_wrong_renewed_certificate_is_refused_recorded_and_changes_nothing(wrong: str) -> None:
    kind, make = REFUSED[wrong]
    it = renewing()
    offered, before, lsn = make(it), it.cluster.view().identity, it.cluster.view().lsn
    with pytest.raises(kind) as caught:
        it.cluster.identity.enroll(certificate=offered)
    (record,) = written(it, lsn)
    assert IdentityRefused._make(record.body)[:4] == ("control-plane", "renew", caught.value.reason, 1)
    after = it.cluster.view().identity
    assert after._replace(refusals=(), provenance=before.provenance) == before


def test_a_certificate_that_ended_while_it_waited_is_not_confirmed() -> None:
    """Mutation: without judging its time again the only usable key is wiped."""
    it = renewing()
    short = it.fabric.certificate(it.cluster.identity.renew(), expires_at_s=it.fabric.issued_at_s + 60)
    it.cluster.identity.enroll(certificate=short)
    before, lsn = it.cluster.view().identity, it.cluster.view().lsn
    it.kit.clock.advance(seconds=61)
    with pytest.raises(Expired):
        it.cluster.identity.confirm()
    (record,) = written(it, lsn)
    assert IdentityRefused._make(record.body)[:4] == ("agent", "confirm", "expired", 1)
    assert it.cluster.view().identity.key == before.key and len(key_files(it.kit.filesystem)) == 2
    # Another answer to the same request takes its place.
    it.cluster.identity.enroll(certificate=renewed_certificate(it))
    assert it.cluster.identity.confirm().changed


def test_a_certificate_that_was_revoked_while_it_waited_is_not_confirmed() -> None:
    """Mutation: without asking the bundle in force again."""
    it = waiting()
    take(it, (RevocationKind.CERTIFICATE, it.cluster.view().identity.next_certificate.facts.fingerprint))
    with pytest.raises(Revoked):
        it.cluster.identity.confirm()
    assert len(key_files(it.kit.filesystem)) == 2


def test_the_old_key_is_not_let_go_of_where_the_new_one_cannot_be_read() -> None:
    """Mutation: without reading the new key first, nothing usable is left."""
    it = waiting()
    new = f"{FOLDER}/identity/document-{it.cluster.view().identity.next_key.reference.removeprefix('sealed:')}"
    flip_bit(it.kit.filesystem, new)
    before = it.cluster.view().identity
    with pytest.raises(DamageError) as caught:
        it.cluster.identity.confirm()
    assert (caught.value.cluster, caught.value.state_class) == (CLUSTER, IDENTITY.name)
    assert it.cluster.view().identity == before and len(key_files(it.kit.filesystem)) == 2


def usable(it: Ready) -> list[str]:
    """The keys that a certificate in use, or one that waits, can be used with. Damage would raise."""
    view, found = it.cluster.view().identity, []
    for key, certificate in ((view.key, view.certificate), (view.next_key, view.next_certificate)):
        if key is not None and certificate is not None:
            private_key = private_key_of(it.cluster._context, key)
            public = x509.load_der_x509_certificate(kept_certificate(it.cluster._context, certificate)).public_key()
            spki = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            assert private_key.public_key().public_bytes(*spki) == public.public_bytes(*spki)
            found.append(key.reference)
    return found


SURVIVALS = {
    "nothing unsynced": None,
    "everything": lambda at: EverythingSurvives(),
    "some of it": lambda at: RandomSurvival(SeededRandomness(at)),
}


@pytest.mark.parametrize("survival", SURVIVALS)
def test_confirming_interrupted_at_any_operation_leaves_one_usable_identity(survival: str) -> None:
    """Mutation: wiping before the event is durable, or not wiping at the next opening."""
    confirmed = []
    for crash in crashed_at_every_operation(waiting, lambda it: it.cluster.identity.confirm(), survival=SURVIVALS[survival]):
        it = crash.it
        it.kit.open()
        status = it.cluster.identity.status()
        assert (it.cluster.status()["fail_closed"], it.cluster.recovery.is_damage) == (None, False)
        confirmed.append(status.state is IdentityState.ENROLLED)
        assert confirmed[-1] or (status.state, status.renewal) == (IdentityState.RENEWING, "waiting")
        assert len(usable(it)) == (1 if confirmed[-1] else 2)
        assert names(it.kit.filesystem, f"{FOLDER}/identity", part="wiping-") == []
        assert key_files(it.kit.filesystem) == named_keys(it)
        assert confirmed[-1] or not crash.finished
        it.cluster.identity.confirm()
        assert len(usable(it)) == 1 and key_files(it.kit.filesystem) == named_keys(it)
    assert True in confirmed and False in confirmed


def test_a_whole_renewal_interrupted_at_any_operation_can_be_taken_up_again() -> None:
    def renew(it: Ready) -> None:
        identity = it.cluster.identity
        if identity.status().certificate_fingerprint != it_was:
            return
        identity.enroll(certificate=renewed_certificate(it))
        identity.confirm()

    it_was = ""

    def start() -> Ready:
        nonlocal it_was
        it = enrolled()
        it_was = it.cluster.identity.status().certificate_fingerprint
        return it

    for crash in crashed_at_every_operation(start, renew):
        it = crash.it
        it.kit.open()
        assert it.cluster.status()["fail_closed"] is None
        # A key that the crash came before naming may wait for an opening that finds nothing wrong.
        assert usable(it) and set(named_keys(it)) <= set(key_files(it.kit.filesystem))
        renew(it)
        status = it.cluster.identity.status()
        assert (status.state, status.certificate_fingerprint != it_was) == (IdentityState.ENROLLED, True)
        it.kit.store.close()
        it.kit.open()
        assert len(usable(it)) == 1 and key_files(it.kit.filesystem) == named_keys(it)


def test_a_key_that_an_unknown_outcome_may_have_named_is_not_wiped() -> None:
    """Mutation: with every key wiped that the state does not name, the key is gone and its event is not."""
    it = enrolled()
    before = key_files(it.kit.filesystem)
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster.identity.renew()
    it.kit.filesystem.heal()
    it.cluster.identity.confirm()
    made = key_files(it.kit.filesystem)
    assert len(made) == 2 and set(before) < set(made)
    it.cluster.reopen()
    assert it.cluster.status()["fail_closed"] is None
    assert key_files(it.kit.filesystem) == named_keys(it)


def test_a_wipe_that_fails_is_done_at_the_next_opening() -> None:
    it = waiting()
    it.kit.filesystem.fail("unlink", f"{FOLDER}/identity/*", errno.EIO)
    assert it.cluster.identity.confirm().changed
    assert len(names(it.kit.filesystem, f"{FOLDER}/identity", part="wiping-")) == 1
    it.kit.kill()
    assert names(it.kit.filesystem, f"{FOLDER}/identity", part="wiping-") == []
    assert key_files(it.kit.filesystem) == named_keys(it)
    assert it.cluster.status()["fail_closed"] is None


def test_on_a_full_disk_a_renewal_is_refused_and_leaves_no_file() -> None:
    it = enrolled()
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    before = it.cluster.digest(), key_files(it.kit.filesystem)
    with pytest.raises(NoSpace):
        it.cluster.identity.renew()
    assert (it.cluster.digest(), key_files(it.kit.filesystem)) == before


def test_a_damaged_key_of_a_renewal_fails_closed_at_the_next_opening() -> None:
    it = renewing()
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    for path in key_files(it.kit.filesystem):
        write_file(it.kit.filesystem, path, b"")
    it.kit.open()
    assert it.cluster.identity.status().state is IdentityState.DAMAGED
    for call in (it.cluster.identity.renew, it.cluster.identity.confirm):
        with pytest.raises(FailClosed):
            call()


def test_the_request_of_a_renewal_names_the_node() -> None:
    it = enrolled()

    request = x509.load_der_x509_csr(it.cluster.identity.renew())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"rap://{CLUSTER}/node/node-17"]
