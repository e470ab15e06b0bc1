"""Keys in the identity folder: the private key that is read is the one that was recorded, and what nobody names is wiped."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from rap_journal.deterministic_cbor import decode_own, encode_arrays
from rap_journal.errors import DamageError, KeyLost, KeyUnavailable
from rap_journal.sealing import Purpose
from rap_journal.values import ClassSpec
from rap_projections import Operation
from rap_projections.certificates import key_sha256
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity_keys import SEALED, kept_certificate, kept_request, make_key, private_key_of, wipe_key
from rap_projections.identity_status import IdentityState
from rap_projections.journaled_state import JournaledState
from tests.projections.identity_kit import enrolled, key_files, named_keys, renewing, requested, waiting, working
from tests.projections.store_kit import Ready, folder


def test_the_private_key_is_that_of_the_recorded_public_one() -> None:
    it = enrolled()
    key = it.cluster.view().identity.key
    assert key is not None
    private_key = private_key_of(it.cluster._context, key)
    assert isinstance(private_key.curve, ec.SECP256R1)
    assert key_sha256(private_key.public_key()) == key.key_sha256


def test_another_private_key_beside_the_right_request_is_damage() -> None:
    """Mutation: without comparing the key."""
    it = requested()
    context, key = it.cluster._context, it.cluster.view().identity.key
    assert key is not None
    made = make_key(context, "node-17")
    secret, _request = decode_own(
        context.core.load(IDENTITY, bytes.fromhex(made.key.reference.removeprefix(SEALED)), purpose=Purpose.IDENTITY)
    )
    mixed = context.core.store(IDENTITY, encode_arrays([secret, kept_request(context, key)]), purpose=Purpose.IDENTITY)
    with pytest.raises(DamageError) as caught:
        private_key_of(context, key._replace(reference=SEALED + mixed.hex()))
    assert (caught.value.reason, caught.value.__cause__) == ("key_swapped", None)


def test_another_request_than_the_recorded_one_is_damage() -> None:
    """Mutation: without comparing the request."""
    it = requested()
    key = it.cluster.view().identity.key
    with pytest.raises(DamageError) as caught:
        kept_request(it.cluster._context, key._replace(request_sha256=bytes(32)))
    assert caught.value.reason == "key_swapped"


def test_another_certificate_in_its_place_is_damage() -> None:
    """Mutation: without comparing the digest."""
    it = waiting()
    view = it.cluster.view().identity
    swapped = view.certificate._replace(stored=view.next_certificate.stored)
    with pytest.raises(DamageError) as caught:
        kept_certificate(it.cluster._context, swapped)
    assert caught.value.reason == "certificate_swapped"


def test_a_key_that_is_named_is_not_wiped_and_another_one_is() -> None:
    """Mutation: without asking whether the identity names it."""
    it = waiting()
    context, view = it.cluster._context, it.cluster.view().identity
    for key in (view.key, view.next_key, None):
        wipe_key(context, key)
    assert key_files(it.kit.filesystem) == named_keys(it) and len(named_keys(it)) == 2
    stray = make_key(context, "node-17").key
    wipe_key(context, stray)
    assert key_files(it.kit.filesystem) == named_keys(it)


def test_an_opening_that_fails_closed_wipes_nothing() -> None:
    """Mutation: with the wipe in front of what decides whether the cluster fails closed."""
    it = enrolled()
    make_key(it.cluster._context, "node-17")
    for path in named_keys(it):
        folder_name, _, name = path.rpartition("/")
        folder(it.kit.filesystem, folder_name).unlink(name)
    it.kit.kill()
    assert it.cluster.status()["fail_closed"] == "identity_damaged"
    assert len(key_files(it.kit.filesystem)) == 1


def lose(it: Ready, kind: type[KeyLost | KeyUnavailable], *references: str) -> pytest.MonkeyPatch:
    """From now on these keys cannot be unsealed, in any store."""
    patch = pytest.MonkeyPatch()
    load = JournaledState.load

    def refuse(core: JournaledState, spec: ClassSpec, file_id: bytes, *, purpose: Purpose = Purpose.DOCUMENT) -> bytes:
        if SEALED + file_id.hex() in references:
            raise kind("the key that seals it does not answer", reason="provider")
        return load(core, spec, file_id, purpose=purpose)

    patch.setattr(JournaledState, "load", refuse)
    return patch


@pytest.mark.parametrize("at", ["signing", "opening"])
def test_a_key_that_is_lost_for_good_ends_the_identity_and_fails_nothing_closed(at: str) -> None:
    """Mutation: without writing the loss down; with the loss taken for damage."""
    it = working()
    reference = it.cluster.view().identity.key.reference
    patch = lose(it, KeyLost, reference)
    try:
        if at == "opening":
            it.kit.kill()
        else:
            with pytest.raises(KeyLost):
                it.cluster.identity.signer().sign(b"x")
    finally:
        patch.undo()
    status = it.cluster.identity.status()
    assert (status.state, status.reason, it.cluster.status()["fail_closed"]) == (IdentityState.LOST, "key_lost", None)
    assert it.cluster.allows(Operation.NEW_SESSION).reason == "identity_lost"
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok


def test_a_key_that_is_not_at_hand_ends_nothing() -> None:
    it = working()
    patch = lose(it, KeyUnavailable, it.cluster.view().identity.key.reference)
    try:
        it.kit.kill()
        digest = it.cluster.digest()
        with pytest.raises(KeyUnavailable):
            it.cluster.identity.signer().sign(b"x")
        assert (it.cluster.digest(), it.cluster.identity.status().state) == (digest, IdentityState.ENROLLED)
    finally:
        patch.undo()
    assert it.cluster.identity.signer().sign(b"x")


def test_a_lost_key_of_a_renewal_is_replaced_by_another() -> None:
    it = renewing()
    patch = lose(it, KeyLost, it.cluster.view().identity.next_key.reference)
    try:
        first = it.cluster.view().identity.next_key
        it.cluster.identity.renew()
        assert it.cluster.view().identity.next_key not in (None, first)
    finally:
        patch.undo()
    assert it.cluster.identity.status().state is IdentityState.RENEWING
    assert key_files(it.kit.filesystem) == named_keys(it)
