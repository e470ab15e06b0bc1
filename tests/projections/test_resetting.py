"""Resetting identity or trust: what it takes, what it keeps, and that no crash leaves anything in between."""

import hashlib
from collections.abc import Callable

import pytest

from rap_journal.errors import FailClosed, MisuseError
from rap_journal.quarantine import PUT_AWAY, read_piece
from rap_projections import Operation
from rap_projections.event_kinds import event_of
from rap_projections.lifecycle import ClassReset, RecoveryDone
from rap_projections.refusals import Equivocation, Rollback, WrongFingerprint
from rap_projections.testing import Fabric
from tests.projections.restore_kit import enrolled
from tests.projections.store_kit import (
    FOLDER,
    Ready,
    crashed_at_every_operation,
    files,
    folder,
    frames,
    names,
    write_file,
    written,
)


def spoilt(part: str, prepare: Callable[[], Ready] = enrolled) -> Ready:
    """A store whose documents of one class are not what was written, opened again."""
    it = prepare()
    it.kit.store.close()
    for number, path in enumerate(names(it.kit.filesystem, f"{FOLDER}/{part}/", part="document")):
        write_file(it.kit.filesystem, path, bytes([number]) * 300)
    it.kit.open()
    return it


def updated() -> Ready:
    """A store that went through two bundles."""
    it = enrolled()
    it.cluster.trust.update(it.fabric.next_bundle())
    return it


def flipped(prepare: Callable[[], Ready] = updated) -> Ready:
    it = prepare()
    it.kit.wound("trust-flip")
    return it


def reset_trust(it: Ready, bundle: bytes | None = None) -> object:
    data = it.fabric.bundles[-1] if bundle is None else bundle
    return it.cluster.reset("trust", bundle=data, expect=hashlib.sha256(data).hexdigest())


def test_identity_starts_without_a_key_and_everything_else_stays() -> None:
    it = spoilt("identity")
    assert it.cluster.status()["fail_closed"] == "identity_damaged"
    floors = it.cluster.known_floors()
    assert it.cluster.reset("identity")
    assert it.cluster.status()["fail_closed"] is None
    assert it.cluster.identity.status().enrollment.value == "none"
    assert it.cluster.known_floors()[:5] == floors[:5]
    assert it.cluster.routes.best("node-2", channel="interactive") is not None
    request = it.cluster.identity.request(node_id="node-1", membership_id="m-2")
    it.cluster.identity.enroll(certificate=it.fabric.certificate(request))
    it.kit.kill()
    assert (it.cluster.status()["fail_closed"], it.cluster.identity.status().enrollment.value) == (None, "enrolled")


def test_what_is_given_up_is_in_quarantine_and_told_of() -> None:
    """Fails when the bytes are removed without a copy."""
    it = spoilt("identity")
    before = set(files(it.kit.filesystem, f"{FOLDER}/identity/document").values())
    it.cluster.reset("identity")
    kept = folder(it.kit.filesystem, f"{FOLDER}/quarantine")
    pieces = [read_piece(kept, name) for name in kept.names()]
    assert {piece.data for piece in pieces} == before and {piece.label for piece in pieces} == {PUT_AWAY}
    assert names(it.kit.filesystem, f"{FOLDER}/identity/", part="document") == []
    told = [event for event in map(event_of, written(it)) if isinstance(event, RecoveryDone) and event.verdict == "reset"]
    assert len(told) == len(before)
    resets = [event for event in map(event_of, written(it)) if isinstance(event, ClassReset)]
    assert resets == [ClassReset(1, 0, 0, "operator")]


def test_a_lost_identity_can_be_reset_although_nothing_is_damaged() -> None:
    from tests.projections.restore_kit import restored

    other = restored()
    assert other.cluster.reset("identity").changed
    assert other.cluster.identity.status().enrollment.value == "none"
    assert other.cluster.status()["trust"]["restore_state"] == "restored-not-validated"
    assert other.cluster.reset("identity").changed is False


def test_trust_starts_from_a_bundle_that_is_pinned_once_more() -> None:
    it = flipped()
    assert it.cluster.status()["fail_closed"] == "trust_damaged"
    with pytest.raises(FailClosed):
        it.cluster.trust.update(it.fabric.next_bundle())
    reset_trust(it, it.fabric.bundles[1])
    status = it.cluster.status()
    assert (status["fail_closed"], status["trust"]["bundle_version"]) == (None, 2)
    it.kit.kill()
    assert it.cluster.status()["fail_closed"] is None
    assert it.cluster.trust.update(it.fabric.bundles[-1]).changed


def test_documents_that_verify_under_the_new_trust_stay_active() -> None:
    it = flipped()
    reset_trust(it)
    scopes = it.cluster.status()["snapshots"]
    assert {name: scope["active_version"] for name, scope in scopes.items()} == {name: [1, 1] for name in scopes}


def test_trust_never_starts_below_a_floor() -> None:
    """Mutation: the bundle is not compared with the floors of state and witness."""
    it = flipped()
    with pytest.raises(Rollback):
        reset_trust(it, it.fabric.bootstrap)
    assert it.cluster.status()["fail_closed"] == "trust_damaged"


def test_trust_does_not_start_from_another_bundle_of_a_version_that_was_accepted() -> None:
    """Fails when the content id of the floor is not compared."""
    it = flipped()
    twin = Fabric(it.fabric.cluster_id, seed=5)
    with pytest.raises(Equivocation):
        reset_trust(it, twin.next_bundle())


def test_the_fingerprint_comes_from_out_of_band() -> None:
    """Fails when the bundle is taken without its fingerprint."""
    it = flipped()
    with pytest.raises(WrongFingerprint):
        it.cluster.reset("trust", bundle=it.fabric.bundles[-1], expect="00" * 32)


def test_floors_and_trusted_time_do_not_fall() -> None:
    """Fails when floor or instants are not written behind the reset."""
    it = flipped()
    floors, trusted_s = it.cluster.known_floors(), it.cluster.status()["trusted_time_s"]
    it.fabric.next_bundle()
    reset_trust(it)
    after = it.cluster.known_floors()
    assert after.bundle[0] == 3 > floors.bundle[0]
    assert after.scopes == floors.scopes
    assert it.cluster.status()["trusted_time_s"] >= trusted_s
    assert it.cluster.view().trust.floor.version.version == 3


def test_a_state_in_doubt_stays_in_doubt_over_a_reset() -> None:
    """Fails when "not validated" is not carried over: a reset would be a way around the ticket."""

    def doubtful() -> Ready:
        it = updated()
        it.kit.wound("witness-flip")
        assert it.cluster.status()["trust"]["restore_state"] == "restored-not-validated"
        return it

    it = flipped(doubtful)
    reset_trust(it)
    assert it.cluster.status()["fail_closed"] is None
    assert it.cluster.status()["trust"]["restore_state"] == "restored-not-validated"
    assert it.cluster.allows(Operation.START_SERVICE)[:2] == (False, "not_validated")


def test_what_is_sound_is_not_reset() -> None:
    """Mutation: a reset does not ask whether anything is wrong: it would be a way to pin other roots."""
    it = enrolled()
    stranger = Fabric(it.fabric.cluster_id, seed=9)
    digest = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.cluster.reset("identity")
    with pytest.raises(MisuseError):
        it.cluster.reset("trust", bundle=stranger.bootstrap, expect=stranger.fingerprint)
    assert it.cluster.reset("trust", bundle=it.fabric.bootstrap, expect=it.fabric.fingerprint).changed is False
    assert it.cluster.digest() == digest


@pytest.mark.parametrize("arguments", [("trust",), ("peers",), ("",)], ids=["no bundle", "a cache", "nothing"])
def test_only_identity_and_trust_are_reset(arguments: tuple[str]) -> None:
    with pytest.raises(MisuseError):
        flipped().cluster.reset(*arguments)


def test_damage_to_one_class_is_no_reason_to_reset_the_other() -> None:
    it = spoilt("identity")
    with pytest.raises(MisuseError):
        it.cluster.reset("trust", bundle=it.fabric.bootstrap + b"", expect=it.fabric.fingerprint)
    with pytest.raises(MisuseError):
        flipped().cluster.reset("identity")


def test_a_journal_that_was_tampered_with_is_left_and_joined_again_with_its_floors() -> None:
    """Mutation: a tampered journal is written to, or a cluster that is left does not hand its floors to the agent."""
    it = updated()
    flip_sealed(it)
    assert it.cluster.status()["fail_closed"] == "tampered"
    with pytest.raises(FailClosed):
        reset_trust(it)
    floors = it.cluster.known_floors()
    it.kit.store.leave(it.fabric.cluster_id, reason="tampered")
    with pytest.raises(Rollback):
        it.kit.join(it.fabric)
    newest = it.fabric.bundles[-1]
    it.kit.store.join(it.fabric.cluster_id, bundle=newest, expect=hashlib.sha256(newest).hexdigest())
    assert (it.cluster.status()["fail_closed"], it.cluster.known_floors().bundle) == (None, floors.bundle)
    assert it.cluster.known_floors().scopes == floors.scopes


def flip_sealed(it: Ready) -> None:
    """Change a sealed frame, and its digest so that it fits: tampering, and no rot."""
    it.kit.store.close()
    place = frames(it.kit.filesystem)[-1]
    content = bytearray(files(it.kit.filesystem)[place.path])
    content[place.offset + 90] ^= 1
    content[place.end - 16 : place.end] = frame_digest(content[place.offset : place.end])
    write_file(it.kit.filesystem, place.path, bytes(content))
    it.kit.open()


def frame_digest(frame: bytearray) -> bytes:
    """What a frame's digest has to be for its header and stored bytes."""
    stored_bytes = int.from_bytes(frame[8:12], "little")
    return hashlib.sha256(frame[: 80 + stored_bytes]).digest()[:16]


@pytest.mark.parametrize("which", ["identity", "trust"])
def test_a_power_cut_at_any_operation_leaves_it_failing_closed_or_reset(which: str) -> None:
    prepare = (lambda: spoilt("identity")) if which == "identity" else flipped
    work = (lambda it: it.cluster.reset("identity")) if which == "identity" else reset_trust
    seen = set()
    for crash in crashed_at_every_operation(prepare, work):
        crash.it.kit.open()
        reason = crash.it.cluster.status()["fail_closed"]
        seen.add(reason)
        assert reason in (None, f"{which}_damaged"), crash.at
        if reason is not None:
            assert not crash.finished
            work(crash.it)
        assert crash.it.cluster.status()["fail_closed"] is None
        if which == "identity":
            assert crash.it.cluster.identity.status().enrollment.value == "none"
        else:
            assert crash.it.cluster.status()["trust"]["bundle_version"] == 2
    assert seen == {None, f"{which}_damaged"}
